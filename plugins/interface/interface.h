/*
 * The interface plugin's own: the table of links and their addresses (links.c), default routes and rules (routes.c), neighbours (neighbours.c), speeds
 * (speed.c), counters (counters.c), records (tell.c), the descriptor (interface.c).
 */
#ifndef KITH_INTERFACE_H
#define KITH_INTERFACE_H

#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* uthash's default falls through its switch without saying so in a way that clang knows */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

#include "plugin.h"
#include "sources/ethtool.h"
#include "sources/rtnetlink.h"

/* ---- tell.c: records ---------------------------------------------------------------------------------------------- */

/* What may come by the thousand: words for the counts of a storm, in this order */
enum told { TOLD_APPEARED, TOLD_REMOVED, TOLD_UP, TOLD_DOWN, TOLD_RENAMED, TOLD_ADDED, TOLD_TAKEN, TOLD_RULE_ADDED, TOLD_RULE_TAKEN, TOLD_OTHER, N_TOLD };

struct storm {
	int64_t began;             /* wall ns, of the second that is counted in */
	unsigned said[N_TOLD];     /* records in that second */
	uint64_t counts[N_TOLD];   /* of those that were not said one by one */
	uint64_t total, at_timer;
	unsigned rounds;
	struct kith_watch *timer;  /* while there is a storm */
};

struct interface;

/* Of one kind: what is beyond TELL_MAX in a second is counted, and one record says it when the storm has passed. */
#define TELL_MAX 40
void tell(struct interface *p, enum told what, enum kith_priority priority, const char *subject, const char *message, const struct kith_field *fields,
          uint32_t n);

/* Work that follows from events, done once for many of them: at once, or a little later when it was done just now */
struct look {
	struct interface *p;
	int (*fn)(struct interface *p);
	int64_t last;   /* wall ns; 0: never */
	unsigned again; /* how often it is to be done yet, after this time */
	struct kith_watch *timer;
};
int look_soon(struct look *l);
/* What is to be seen follows its message within the kernel: a little later, and once more after that */
int look_later(struct look *l);

/* ---- links.c ---------------------------------------------------------------------------------------------------- */

enum { FAMILY_INTERFACE, FAMILY_ROUTE, FAMILY_RULE, FAMILY_NEIGHBOUR };

enum metric {
	METRIC_STATE,
	METRIC_OPERSTATE,
	METRIC_CARRIER,
	METRIC_CARRIER_CHANGES,
	METRIC_MTU,
	METRIC_SPEED,
	METRIC_DUPLEX,
	METRIC_ADDRESSES,
	METRIC_ADDRESSES_IPV4,
	METRIC_ADDRESSES_IPV6,
	METRIC_COUNTERS, /* the first of them, in the order of /proc/net/dev */
};
#define N_COUNTERS 16
#define N_EVENTS METRIC_COUNTERS

#define ADDRESSES_MAX 4096 /* remembered for one link; beyond, they are not counted */

struct address {
	uint8_t family, prefix;
	bool seen; /* in this resync */
	bool told; /* a record said it, or need not */
	uint8_t bytes[16];
	uint8_t peer[4]; /* of IPv4: the same address with another end is another one */
};

struct link {
	UT_hash_handle by_index, by_name;
	struct link *prev, *next;    /* among those that wait for room */
	int32_t index;
	char name[IFNAMSIZ];         /* "": only its addresses are known yet, or another link took its name */
	kith_id id;                  /* KITH_ID_NONE: ignored, nameless, or waiting */
	bool waiting;                /* there was no room for its instance */
	bool seen;                   /* in this resync */
	bool known;                  /* flags and below are valid */
	bool carrier;
	bool physical;               /* it may have a speed worth asking for */
	bool ask;                    /* for its speed, soon */
	uint8_t operstate, duplex;
	uint32_t flags, mtu, carrier_changes;
	double speed;                /* Mbit/s; NaN: never known, 0: not now */
	uint32_t n_addresses, size_addresses, n_ipv4;
	struct address *addresses;
	uint32_t line;               /* its line of /proc/net/dev, when lines[line] is this link */
	double put[N_EVENTS];        /* what was put last; NaN: nothing */
};

/* ---- routes.c: default routes -------------------------------------------------------------------------------------- */

enum { ROUTE_STATE, ROUTE_GATEWAY, ROUTE_ROUTES, ROUTE_METRIC, N_ROUTE_METRICS };
#define DEFAULTS_MAX 16 /* of a family; of more the first ones */

struct default_route {
	uint32_t metric, n_hops;
	uint32_t nexthop;   /* 0: none */
	uint8_t source[16]; /* zeros: any */
	struct kith_route_hop hops[KITH_ROUTE_HOPS];
};

/* Of one family; its instance begins with the first default route that is seen, and stays. */
struct defaults {
	kith_id id;
	uint32_t n;
	struct default_route routes[DEFAULTS_MAX];
	char text[200];     /* of the best one, as a record says it; "": none */
	double put[N_ROUTE_METRICS];
};

/* ---- neighbours.c ------------------------------------------------------------------------------------------------- */

#define NEIGHBOURS_MAX 256
enum reach { REACH_UNKNOWN, REACH_RESOLVING, REACH_YES, REACH_FAILED };

struct neighbour {
	struct neighbour *next;
	struct interface *p;
	struct kith_watch *watch;
	kith_id id;
	int32_t index;        /* of its link now; 0: there is none of this name */
	uint32_t states;      /* that the watch hears of */
	unsigned wanted;      /* by how many */
	bool gateway, fresh;  /* of a default route; not yet looked for */
	bool seen;            /* in this dump */
	uint8_t family, address[16];
	enum reach reach;
	uint16_t nud;
	int64_t failed;       /* wall ns, when it did last */
	char link[IFNAMSIZ];
	char text[48];        /* its address */
};

struct batch;

struct interface {
	const struct kith_host *h;
	struct link *by_index, *by_name, *waiting;
	const char *const *ignore, *const *only; /* globs; the host's */
	size_t n_ignore, n_only;
	struct kith_watch *retry; /* of an unfinished resync */
	struct storm storm;
	struct look look_routes, look_rules, look_neighbours;
	struct kith_watch *ask_timer; /* for speeds */
	struct batch *asking;         /* that a worker is at */
	char **named;                 /* interfaces that somebody names, each as often as it is named */
	uint32_t n_named, size_named;
	struct defaults defaults[2];  /* of IPv4 and IPv6 */
	struct rules { kith_id id; uint32_t count, counted; } rules[2];
	struct neighbour *neighbours;
	uint32_t n_neighbours;
	bool quiet;               /* the first dump: nothing has happened, it is so */
	bool told_addresses;      /* beyond ADDRESSES_MAX: logged once */
	int fd;                   /* /proc/net/dev */
	struct link **lines;      /* who stood in which line last time */
	uint32_t n_lines, size_lines;
};

struct link *link_indexed(const struct interface *p, int32_t index);
struct link *link_named(const struct interface *p, const char *name, size_t length);
int links_event(struct interface *p, const struct kith_link_event *e);
int links_address(struct interface *p, const struct kith_address_event *e);
/* Its speed was asked for or has changed. NaN: as before */
int link_speed(struct interface *p, struct link *l, double speed, uint8_t duplex);
/* Dumps links and addresses and makes the table equal to them */
int links_resync(struct interface *p);
/* The options changed: begins and ends what they concern */
void links_reconsider(struct interface *p);
void links_free(struct interface *p);

/* The links and addresses that default routes and neighbours stand on have changed. `l`: this one; it may be about to go */
void routes_link_changed(struct interface *p, const struct link *l);
void routes_address_gone(struct interface *p, const struct kith_address_event *e);
int routes_look(struct interface *p); /* dumps the default routes and puts what has changed */
void routes_gateway_changed(struct interface *p);
int routes_start(struct interface *p);
int rules_look(struct interface *p);
int rules_start(struct interface *p);
int neighbours_start(struct interface *p);
int neighbours_look(struct interface *p);
/* Exactly these are gateways now */
void neighbours_gateways(struct interface *p);
enum reach neighbour_reach(const struct interface *p, int32_t index, uint8_t family, const uint8_t *address);
void neighbours_link_changed(struct interface *p, const struct link *l);
void neighbours_free(struct interface *p);

/* ---- speed.c ------------------------------------------------------------------------------------------------------ */

void speed_ask(struct interface *p, struct link *l);
int speed_start(struct interface *p);
void speed_free(struct interface *p);

/* ---- counters.c ------------------------------------------------------------------------------------------------- */

int counters_sample(void *state);

#endif
