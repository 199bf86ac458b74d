/*
 * Amount and weight summed over the last 64 buckets of time. What leaves is not subtracted: a huge value of long ago
 * leaves no rounding error behind. A bucket's turn costs two additions and, once in 63 turns, 63 more.
 */
#ifndef KITH_PROMISES_WINDOW_SUMS_H
#define KITH_PROMISES_WINDOW_SUMS_H

#include <stdint.h>

#define SUMS_BUCKETS 64

struct sum {
	double amount, weight;
};

struct sums {
	int64_t now;     /* number of the newest bucket */
	int64_t flipped; /* buckets up to this one hold the sum of themselves and those after them, up to this one */
	struct sum back; /* of the buckets after `flipped` that are closed */
	struct sum rest; /* of all buckets but the newest */
	struct sum newest;
	struct sum buckets[SUMS_BUCKETS]; /* the closed ones */
};

void sums_clear(struct sums *s);
/* Opens a new bucket; the one of 64 buckets ago leaves. */
void sums_step(struct sums *s);

static inline void sums_add(struct sums *s, double amount, double weight)
{
	s->newest.amount += amount;
	s->newest.weight += weight;
}

static inline struct sum sums_total(const struct sums *s)
{
	return (struct sum){ s->rest.amount + s->newest.amount, s->rest.weight + s->newest.weight };
}

#endif
