/*
 * The interface plugin's own: what rtnetlink says (message.c), the table of links (links.c), counters (counters.c),
 * the descriptor (interface.c).
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

/* ---- message.c: no state, no I/O -------------------------------------------------------------------------------- */

struct link_message {
	int32_t index;
	uint32_t flags; /* IFF_* */
	bool removed;
	bool has_name, has_operstate, has_carrier, has_mtu;
	char name[IFNAMSIZ];
	uint8_t operstate; /* IF_OPER_* */
	bool carrier;
	uint32_t mtu;
};

struct address_message {
	int32_t index;
	bool removed;
	uint8_t family, prefix;
	uint8_t bytes[16]; /* of IPv4: 4, then zeros */
};

/*
 * `message`: one struct nlmsghdr with its payload. 1: taken apart; 0: it speaks of something else (a bridge's port,
 * another type);
 * -EBADMSG: a length or value is bad.
 */
int link_message_parse(const void *message, size_t length, struct link_message *ret);
int address_message_parse(const void *message, size_t length, struct address_message *ret);

/* ---- links.c ---------------------------------------------------------------------------------------------------- */

enum metric {
	METRIC_STATE,
	METRIC_OPERSTATE,
	METRIC_CARRIER,
	METRIC_MTU,
	METRIC_ADDRESSES,
	METRIC_COUNTERS, /* the first of them, in the order of /proc/net/dev */
};
#define N_COUNTERS 16
#define N_EVENTS METRIC_COUNTERS

#define ADDRESSES_MAX 4096 /* remembered for one link; beyond, they are not counted */

struct address {
	uint8_t family, prefix;
	bool seen; /* in this resync */
	uint8_t bytes[16];
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
	uint8_t operstate;
	uint32_t flags, mtu;
	uint32_t n_addresses, size_addresses;
	struct address *addresses;
	uint32_t line;               /* its line of /proc/net/dev, when lines[line] is this link */
	double put[N_EVENTS];        /* what was put last; NaN: nothing */
};

struct interface {
	const struct kith_host *h;
	struct link *by_index, *by_name, *waiting;
	const char *const *ignore, *const *only; /* globs; the host's */
	size_t n_ignore, n_only;
	struct kith_watch *retry; /* of an unfinished resync */
	bool quiet;               /* the first dump: nothing has happened, it is so */
	bool told_addresses;      /* beyond ADDRESSES_MAX: logged once */
	int fd;                   /* /proc/net/dev */
	struct link **lines;      /* who stood in which line last time */
	uint32_t n_lines, size_lines;
};

struct link *link_named(const struct interface *p, const char *name, size_t length);
int links_message(struct interface *p, const struct link_message *m);
int links_address(struct interface *p, const struct address_message *m);
/* Dumps links and addresses and makes the table equal to them */
int links_resync(struct interface *p);
/* The options changed: begins and ends what they concern */
void links_reconsider(struct interface *p);
void links_free(struct interface *p);

/* ---- counters.c ------------------------------------------------------------------------------------------------- */

int counters_sample(void *state);

#endif
