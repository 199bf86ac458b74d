#include "promises/window_sums.h"

#include <string.h>

static struct sum add(struct sum a, struct sum b)
{
	return (struct sum){ a.amount + b.amount, a.weight + b.weight };
}

static struct sum *sum_at(struct sums *s, int64_t number)
{
	return &s->buckets[(uint64_t)number % SUMS_BUCKETS];
}

void sums_clear(struct sums *s)
{
	*s = (struct sums){ .now = 0, .flipped = -1 };
}

void sums_step(struct sums *s)
{
	int64_t oldest = s->now + 2 - SUMS_BUCKETS;

	*sum_at(s, s->now) = s->newest;
	if (oldest > s->flipped) {
		for (int64_t i = s->now - 1; i >= oldest; i--)
			*sum_at(s, i) = add(*sum_at(s, i), *sum_at(s, i + 1));
		s->flipped = s->now;
		s->back = (struct sum){ 0 };
	} else {
		s->back = add(s->back, s->newest);
	}
	s->rest = add(*sum_at(s, oldest), s->back);
	s->now++;
	s->newest = (struct sum){ 0 };
}
