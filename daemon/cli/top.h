/*
 * kith top in three parts: what is known (top_data.c), how it is drawn (top_draw.c: into a buffer, given a width and a
 * height), and the
 * terminal and the loop (cmd_top.c).
 */
#ifndef KITH_CLI_TOP_H
#define KITH_CLI_TOP_H

#include <stdbool.h>
#include <stdint.h>
/* Not the default one, whose switch falls through in a way that clang warns of */
#define HASH_FUNCTION(key, length, hash) HASH_OAT(key, length, hash)
#include <uthash.h>

#include "base/buf.h"
#include "cli/out.h"
#include "control/control.pb-c.h"

#define TOP_HISTORY 60u     /* samples kept for the sparkline */
#define TOP_SERIES_MAX 4096u
#define TOP_PROMISES_MAX 1024u

struct top_series {
	UT_hash_handle hh;
	char *name, *unit;
	Control__Kind kind;
	char *state;            /* of a state metric; NULL: none yet */
	double value, raw;      /* value: what is shown, of a counter its rate; raw: the last sample */
	int64_t time;           /* of the last sample; 0: none */
	bool known, stale;      /* known: `value` is set */
	double history[TOP_HISTORY];
	unsigned n, next;
	unsigned rank;          /* of the pattern that it came by: the order on the screen */
};

struct top_promise {
	char *name, *promiser, *because;
	Control__Assessment assessment;
	int64_t since;
};

struct top {
	const char *const *patterns; /* the order of the series */
	unsigned n_patterns;
	struct top_series *series; /* uthash by name */
	bool sorted;
	struct top_promise *promises; /* broken first */
	unsigned n_promises;
	unsigned counts[3];           /* by Control__Assessment */
	Control__Status status;       /* strings owned */
	int64_t status_time, last_status_time; /* monotonic */
	uint64_t last_wakeups;
	bool promises_stale;          /* a transition came: ask again */
};

extern const char *const top_default_patterns[];
extern const unsigned top_n_default_patterns;

void top_init(struct top *t, const char *const *patterns, unsigned n);
void top_free(struct top *t);
void top_sample(struct top *t, const Control__Sample *sample);
void top_status(struct top *t, const Control__Status *status);
void top_promises_begin(struct top *t); /* the list is told anew */
void top_promise(struct top *t, const Control__Promise *promise);
void top_promises_end(struct top *t);
void top_sort(struct top *t);

/* At most `height` lines (0: any number) of at most `width` columns (0: any), each ended by "\n". `now`: wall ns. */
void top_draw(struct top *t, const struct out *o, unsigned width, unsigned height, int64_t now, struct buf *b);

#endif
