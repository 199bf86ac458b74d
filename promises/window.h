/*
 * What a function over a series remembers: the last two samples (rate without a window), or a window of time as
 * running state.
 *
 * A window of length W is a ring of 64 buckets of W/64 each, at fixed places in time. It holds the bucket of now and
 * the 63 before: from 63/64 of W to all of it. A sample costs the same whatever the length; nothing is kept of single
 * samples. A sample that is counted (rate, delta) brings the increase since the one before it and the time that this
 * took. A counter that fell was reset: its increase is the new value.
 *
 * Of a series that is sampled on the tick the window ends at its last sample, which it always holds: between two
 * samples nothing changes, and no timer is needed. Of a series that is put when it changes (KITH_METRIC_EVENT) the
 * value holds: the window moves on with time, avg is weighted by time, and min and max know the value that held when
 * the window began.
 */
#ifndef KITH_PROMISES_WINDOW_H
#define KITH_PROMISES_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "promises/syntax.h"

#define WINDOW_BUCKETS 64

struct window;

struct window_spec {
	enum expr_op op; /* OP_RATE … OP_CHANGED */
	int64_t length;  /* ns; 0: rate of the last two samples */
	double share;    /* of OP_PERCENTILE: 0.5 for p50, 0.999 for p999 */
	int64_t horizon; /* of OP_FORECAST: ns */
	bool counter, held;
};

/* NULL: out of memory */
struct window *window_new(const struct window_spec *spec);
void window_free(struct window *w);
void window_put(struct window *w, double value, int64_t time);
/* Of a held series: time has come to `now`. */
void window_advance(struct window *w, int64_t now);
/* When a held window changes next although no sample comes; 0: never */
int64_t window_next(const struct window *w);
double window_value(const struct window *w); /* NaN: none yet */
void window_jump(struct window *w, int64_t jump);

#endif
