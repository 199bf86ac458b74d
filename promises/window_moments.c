#include "promises/window_moments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Means are distances from the first value and time: small numbers, however large those are. */
struct part {
	double weight;
	double value, mean;          /* the mean is value + mean */
	double squares;              /* sum of squares about the mean */
	int64_t time;                /* ns */
	double time_mean;            /* s after `time` */
	double time_squares, product; /* about the means */
};

struct moments {
	int64_t now;     /* number of the newest bucket */
	int64_t flipped; /* buckets up to this one hold the sum of themselves and those after them, up to this one */
	struct part back; /* of the buckets after `flipped` that are closed */
	struct part rest; /* of all buckets but the newest */
	struct part buckets[MOMENTS_BUCKETS];
};

/* a is before b */
static struct part merge(const struct part *a, const struct part *b)
{
	struct part p = *a;
	double share, pull, value, time;

	if (!(b->weight > 0))
		return *a;
	if (!(a->weight > 0))
		return *b;
	p.weight = a->weight + b->weight;
	share = b->weight / p.weight;
	pull = a->weight * share;
	value = (b->value - a->value) + (b->mean - a->mean);
	time = (double)(b->time - a->time) * 1e-9 + (b->time_mean - a->time_mean);
	p.mean += value * share;
	p.squares += b->squares + value * value * pull;
	p.time_mean += time * share;
	p.time_squares += b->time_squares + time * time * pull;
	p.product += b->product + time * value * pull;
	return p;
}

static struct part *part_at(struct moments *m, int64_t number)
{
	return &m->buckets[(uint64_t)number % MOMENTS_BUCKETS];
}

static const struct part *newest(const struct moments *m)
{
	return &m->buckets[(uint64_t)m->now % MOMENTS_BUCKETS];
}

struct moments *moments_new(void)
{
	struct moments *m = malloc(sizeof(*m));

	if (m)
		moments_clear(m);
	return m;
}

void moments_free(struct moments *m)
{
	free(m);
}

void moments_clear(struct moments *m)
{
	*m = (struct moments){ .now = 0, .flipped = -1 };
}

void moments_step(struct moments *m)
{
	int64_t oldest = m->now + 2 - MOMENTS_BUCKETS;

	if (oldest > m->flipped) {
		for (int64_t i = m->now - 1; i >= oldest; i--)
			*part_at(m, i) = merge(part_at(m, i), part_at(m, i + 1));
		m->flipped = m->now;
		m->back = (struct part){ 0 };
	} else {
		m->back = merge(&m->back, newest(m));
	}
	m->rest = merge(part_at(m, oldest), &m->back);
	m->now++;
	*part_at(m, m->now) = (struct part){ 0 };
}

static void add(struct moments *m, const struct part *p)
{
	struct part *to = part_at(m, m->now);

	*to = merge(to, p);
}

void moments_point(struct moments *m, double value, int64_t time)
{
	add(m, &(struct part){ .weight = 1, .value = value, .time = time });
}

void moments_piece(struct moments *m, double value, int64_t from, int64_t to)
{
	double seconds = (double)(to - from) * 1e-9;

	add(m, &(struct part){ .weight = seconds, .value = value, .time = from, .time_mean = seconds / 2,
	                       .time_squares = seconds * seconds * seconds / 12 });
}

double moments_weight(const struct moments *m)
{
	return m->rest.weight + newest(m)->weight;
}

double moments_deviation(const struct moments *m)
{
	struct part p = merge(&m->rest, newest(m));

	if (!(p.weight > 0))
		return 0;
	return isnan(p.squares) ? INFINITY : sqrt(p.squares / p.weight);
}

int64_t moments_since(const struct moments *m)
{
	return m->rest.weight > 0 ? m->rest.time : newest(m)->time;
}

double moments_line(const struct moments *m, int64_t at, int64_t later)
{
	struct part p = merge(&m->rest, newest(m));
	double slope = p.time_squares > 0 ? p.product / p.time_squares : 0;
	double ahead = (double)(at - p.time) * 1e-9 + (double)later * 1e-9;

	return p.value + (p.mean + slope * (ahead - p.time_mean));
}
