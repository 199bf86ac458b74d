/*
 * How many lines a source may bring: a token bucket for each of a bounded number of sources, the one that was used longest ago making room. While all
 * of them are in use newcomers share one bucket, so that made-up addresses bring no more than it holds. Nothing is allocated but by limits_new.
 */
#ifndef KITH_LINES_LIMIT_H
#define KITH_LINES_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_IN_USE INT64_C(10000000000) /* ns: a source that was used so lately makes no room */

/* Who it is: an address, a process; compared as it is, padding and all */
struct limit_key {
	uint64_t part[3];
};

struct limit_source {
	struct limit_key key;
	struct limit_source *next_hash, *newer, *older;
	struct limit_source *next_dropped;
	double tokens;
	int64_t at;        /* mono ns of its last line */
	uint64_t dropped;  /* lines, since this was said last */
	bool listed;       /* among those whose drops are to be said */
	bool shared;       /* the one of the newcomers */
	uint32_t note[16]; /* for whoever uses it: what to call it. 0 for a new one */
};

struct limits;

/* Says what was dropped: source->dropped, which is 0 after */
typedef void (*limit_say_fn)(const struct limit_source *source, void *user);

/* `rate` lines a second over time, `burst` at once (1 at least) */
struct limits *limits_new(unsigned sources, double rate, double burst, limit_say_fn say, void *user); /* NULL: no memory */
void limits_free(struct limits *l);                                                                  /* says nothing */
/* Never NULL; valid until the next call. `mono`: ns, the same for a batch of lines will do */
struct limit_source *limits_find(struct limits *l, const struct limit_key *key, int64_t mono);
/* false: the line is one too many, and is counted */
bool limits_take(struct limits *l, struct limit_source *source, int64_t mono);
bool limits_dropped(const struct limits *l); /* is there something to be said? */
void limits_say(struct limits *l);

#endif
