/*
 * Inside of notices: an incident is a promise of which there is something to tell, an item what one receiver knows of it.
 */
#ifndef KITH_PROMISES_NOTICES_IMPL_H
#define KITH_PROMISES_NOTICES_IMPL_H

#include <uthash.h>

#include "base/clock.h"
#include "promises/notices.h"

/* A promise that was told of before a restart may take this long to come back: its plugin starts, its disk is mounted. */
#define NOTICE_RETURN (5 * 60 * NS_PER_S)

enum notice_what { NOTICE_NOTHING, NOTICE_BROKEN, NOTICE_UNKNOWN, NOTICE_REPEAT, NOTICE_GONE, NOTICE_KEPT, N_NOTICES };

enum incident_state { INCIDENT_BROKEN, INCIDENT_UNKNOWN, INCIDENT_KEPT, INCIDENT_GONE };

/* What a receiver knows of an incident */
struct item {
	struct item *next;               /* of the incident's */
	struct item *list_next, **list_link; /* of the receiver's */
	struct incident *incident;
	struct receiver *receiver;
	enum notice_what told;           /* nothing, broken or unknown */
	enum notice_what sending;        /* in the message that is on its way */
	int64_t told_at;
	bool quieted;                    /* an ack or a silence held since it was told last: told when that ends */
};

struct incident {
	UT_hash_handle hh;
	struct promise *promise;         /* NULL: not there (any more, or not yet again after a restart) */
	char *key;                       /* name NUL promiser NUL */
	const char *promiser;            /* in `key`; the name is its beginning */
	enum incident_state state;
	bool broken;                     /* since it began; else it is only unknown */
	bool blocked;                    /* it was unknown on account of another when last heard of */
	enum kith_priority severity;
	int64_t since;                   /* it is broken, or unknown */
	int64_t changed;                 /* the state is this one; may lie ahead of one that may come back */
	struct ack *ack;                 /* NULL: none */
	struct item *items;
	size_t row;                      /* 1 + place in the message that is made; 0: none */
};

struct ack {
	int64_t at, until;
	char *by, *because;
};

struct silence {
	struct notice_silence is;        /* its strings are malloc'ed */
};

struct receiver {
	struct notices *notices;
	char *name, *user;
	char **argv, **patterns;
	size_t n_patterns;
	enum kith_priority severity;
	int64_t wait, repeat, unknown, timeout;
	bool kept;
	struct item *items;
	unsigned n_items, n_told;
	int64_t next;                    /* its items are looked at then; 0: not */
	int64_t last;                    /* the last message was made; 0: none */
	int64_t not_before;              /* after a failure */
	uint64_t token;                  /* of the message on its way; 0: none */
	int64_t delivered;
	uint64_t messages, failed, mended;
	unsigned failing;
	char *why;
};

struct notices {
	struct promises *promises;
	struct notices_driver driver;
	char *host;
	struct receiver **receivers;
	size_t n_receivers;
	bool unknown;                    /* a receiver wants to hear of those that are unknown */
	struct incident *incidents;      /* by key */
	size_t n_orphans;                /* incidents without a promise */
	struct incident **acked;
	size_t n_acked, size_acked;
	struct silence *silences;
	size_t n_silences, size_silences, n_active;
	uint32_t next_id;
	int64_t quiet_next;              /* an ack or a silence begins or ends, or an incident is given up */
	int64_t now, armed;
	uint64_t token;
};

/* ---- notices.c */
struct incident *incident_find(const struct notices *n, const char *name, const char *promiser);
struct incident *incident_new(struct notices *n, const char *name, const char *promiser); /* NULL: out of memory */
/* Of a promise as it stands, with an item for each who wants to know; NULL: out of memory */
struct incident *incident_open(struct notices *n, struct promise *pr, const struct promise_info *info);
void incident_settle(struct notices *n, struct incident *i); /* frees it when nothing is left to remember */
struct item *item_new(struct receiver *r, struct incident *i); /* NULL: out of memory */
void item_told(struct item *item, enum notice_what told);
void item_free(struct item *item);
void item_over(struct item *item); /* the same, and counted where nothing was told */
bool incident_blocked(const struct incident *i);
void notices_changed(struct notices *n);
void notices_asked(struct notices *n);
void notices_look(struct notices *n); /* at all items, as soon as may be */
void notices_arm(struct notices *n);
void earlier_of(int64_t *at, int64_t candidate); /* 0: never */

/* ---- notices_route.c */
int receivers_make(const struct notice_receiver *from, size_t n, struct receiver ***ret_receivers);
void receiver_free(struct receiver *r); /* and its items */
bool receiver_wants(const struct receiver *r, const struct promise_info *info);
int route(struct notices *n, struct incident *i, const struct promise_info *info); /* makes the items that are not there */

/* ---- notices_send.c */
void receiver_scan(struct notices *n, struct receiver *r);
enum notice_what item_due(struct notices *n, struct item *item, int64_t *ret_soonest, int64_t *ret_at, bool *ret_over);

/* ---- notices_message.c */
struct message {
	struct buf subject, text, json;
	char *env[9];
};
/* `items` of `n`, each with its `sending`; sorts them */
int message_make(struct notices *n, const struct receiver *r, struct item **items, size_t n_items, struct message *ret_message);
void message_free(struct message *m);

/* ---- notices_quiet.c */
bool incident_silenced(const struct notices *n, const struct incident *i);
void ack_end(struct notices *n, struct incident *i); /* fine without one */
int ack_set(struct notices *n, struct incident *i, const struct notice_ack *ack);
void quiet_update(struct notices *n);                /* at n->now */
int silence_add(struct notices *n, const struct notice_silence *silence);
void silences_free(struct notices *n);

#endif
