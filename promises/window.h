/*
 * What a function over a series remembers: the last two samples (rate without a window), or a window of time as
 * running state.
 *
 * A window of length W is a ring of 64 buckets of W/64 each, at fixed places in time. It holds the bucket of now and
 * the 63 before: from 63/64 of W to all of it. A percentile has 16 of W/16: it holds from 15/16 of W to all of it. A
 * sample costs the same whatever the length; nothing is kept of single samples, and only window_new allocates. A sample
 * that is counted (rate, delta) brings the increase since the one before it and the time that this took. A counter that
 * fell was reset: its increase is the new value.
 *
 * Of a series that is sampled on the tick the window ends at its last sample, which it always holds: between two
 * samples nothing changes, and no timer is needed. Of a series that is put when it changes (KITH_METRIC_EVENT) the
 * value holds: the window moves on with time, avg, stddev, percentiles and forecast are weighted by time, and min and
 * max know the value that held when the window began. A value that held for no time yet weighs nothing; while that is
 * all there is, avg and percentiles are that value and stddev is 0.
 *
 * stddev: of the population, of values that are 0 or between 1e-150 and 1e150; infinite outside.
 * percentile: the nearest rank, within 1 % while the values in the window span a factor of 150 or less in magnitude;
 *   2 % to its square (22,000), 4 % to the square of that, and so on (sketch.h). Between the true least and greatest.
 *   Times weigh in whole ns up to windows of 34 s, in 2^20 ns of a year.
 * forecast: the least-squares line through the samples, where it is `horizon` after the last of them; of a held series
 *   through all instants, `horizon` after the time that the window has come to. NaN until they span half of the window
 *   (a held value: until it is known for that long) or while there are fewer than 3 samples (held: 1 will do). A
 *   counter is forecast by its value; its reset begins another line.
 * changed: 1 when a value differed from the one before it less than W ago, else 0. Exact: no buckets.
 * records: the sum of the weights that were put, a count of events; 0 before the first. Held always: it falls with time.
 *
 * A window takes with malloc's part: changed, and rate without a window 160 bytes; min, max 0.8 KB; rate, delta,
 * avg, sum, count, records 1.3 KB; stddev, forecast 4.4 KB; percentile 38 KB of address space, of which a window of 300
 * samples touches 13 KB (tests/bench/bench_windows.c).
 */
#ifndef KITH_PROMISES_WINDOW_H
#define KITH_PROMISES_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "promises/syntax.h"

#define WINDOW_BUCKETS 64
#define WINDOW_SLICES 16 /* of a percentile */

struct window;

struct window_spec {
	enum expr_op op; /* OP_RATE … OP_CHANGED */
	int64_t length;  /* ns; 0: rate of the last two samples, of no other function */
	double share;    /* of OP_PERCENTILE: 0.5 for p50, 0.999 for p999 */
	int64_t horizon; /* of OP_FORECAST: ns */
	bool counter, held;
};

/* NULL: out of memory */
struct window *window_new(const struct window_spec *spec);
void window_free(struct window *w);
/* A finite value; of OP_RECORDS the weight of an event, not negative. A time before the last counts as that one. */
void window_put(struct window *w, double value, int64_t time);
/* Of a held series: time has come to `now`. */
void window_advance(struct window *w, int64_t now);
/* When a held window changes next although no sample comes; 0: never */
int64_t window_next(const struct window *w);
double window_value(const struct window *w); /* NaN: none yet */
/* The clock was set by `jump` ns: what is in the window stays as long ago as it was. */
void window_jump(struct window *w, int64_t jump);

#endif
