/*
 * Mean, variance and least-squares line of the samples in the last 64 buckets of time. Moments are centred and merged,
 * never subtracted: an offset of 1e15 or a value of long ago leaves no trace in them.
 *
 * A sample costs one merge and reading one more. A bucket's turn costs two merges and, once in 63 turns, 63 more: the
 * closed buckets are then made into the sums of each and all after it, of which the oldest is what is asked for.
 *
 * Squares are taken: values should be 0 or between 1e-150 and 1e150.
 */
#ifndef KITH_PROMISES_WINDOW_MOMENTS_H
#define KITH_PROMISES_WINDOW_MOMENTS_H

#include <stdbool.h>
#include <stdint.h>

#define MOMENTS_BUCKETS 64

struct moments;

/* NULL: out of memory */
struct moments *moments_new(void);
void moments_free(struct moments *m);
void moments_clear(struct moments *m);
/* Opens a new bucket; the one of 64 buckets ago leaves. */
void moments_step(struct moments *m);
/* A sample, of the weight 1. Times in ns, from any origin that stays; not before the sample or piece before it */
void moments_point(struct moments *m, double value, int64_t time);
/* A value that held from … to (to > from), weighted by that time in seconds: all of its instants count. */
void moments_piece(struct moments *m, double value, int64_t from, int64_t to);

/* Of samples their number, of pieces seconds */
double moments_weight(const struct moments *m);
/* The population's; 0: nothing is there; infinite: out of the range above. Never NaN */
double moments_deviation(const struct moments *m);
/* When the first sample was taken or the first piece began; only where the weight is not 0 */
int64_t moments_since(const struct moments *m);
/* The line through all at time `at` + `later` ns; only where the weight is not 0 */
double moments_line(const struct moments *m, int64_t at, int64_t later);

#endif
