/* The conntrack plugin's own: the table as a whole (conntrack.c), what is tracked of some ports (flow.c) */
#ifndef KITH_CONNTRACK_PLUGIN_H
#define KITH_CONNTRACK_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"
#include "sources/conntrack.h"

#define FLOWS_MAX 100

enum { FAMILY_CONNTRACK, FAMILY_FLOW };
enum { TABLE_ENTRIES, TABLE_LIMIT, TABLE_FILL, TABLE_DROPPED, TABLE_EARLY, TABLE_INSERT_FAILED, TABLE_INVALID, TABLE_ERRORS, N_TABLE };
enum { FLOW_OPEN, FLOW_BEGUN, FLOW_ENDED, FLOW_BYTES, FLOW_PACKETS, N_FLOW };

struct flow {
	struct flow *next;
	struct kith_conntrack_port port;
	kith_id id;
	unsigned wanted;  /* by how many, the option among them */
	bool counted;     /* the kernel counts bytes */
	bool stale;       /* a value has changed since it was put */
	uint64_t open, begun, ended, bytes, packets, dumped;
};

struct conntrack {
	const struct kith_host *h;
	struct flow *flows;
	uint32_t n_flows;
	struct kith_watch *watch;
	struct kith_watch *put_timer; /* values that have changed are put soon */
	int64_t put_last;             /* wall ns of the last time; 0: never */
	int count, limit;    /* descriptors */
	bool full;           /* it was told that the table is nearly full */
	double dropped;      /* packets, as of the last tick; NaN: not known yet */
	double percent;      /* from which on it is nearly full */
};

/* "tcp/443", "udp/53", "tcp", "icmp", a protocol's number: false: no such name. One way to write each */
bool flow_parse(const char *text, struct kith_conntrack_port *ret);
int flow_want(struct conntrack *p, const char *instance, bool wanted);
int flows_look(struct conntrack *p); /* dumps the table: what is open is exact then */
int flows_start(struct conntrack *p);
void flows_free(struct conntrack *p);

#endif
