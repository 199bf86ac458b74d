#include "promises/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * What one bucket holds depends on the function: avg weight and weighted values; rate and delta time and increase;
 * sum, count a number
 */
struct bucket {
	double amount, weight;
};

struct window {
	enum expr_op op;
	bool counter, held, any;
	int64_t length, width; /* ns */
	int64_t origin;        /* bucket 0 begins here: moves with the clock */
	int64_t now;           /* bucket number of the newest */
	int64_t last_time;     /* of the last sample */
	int64_t held_until;    /* held: the value is accounted for up to here */
	double last;
	double amount, weight; /* of all buckets; of the last pair without a window */
	/* min, max: buckets whose extreme no later one beats, the oldest first. The newest bucket is its last. */
	uint8_t queue[WINDOW_BUCKETS];
	unsigned head, n_queue;
	struct bucket buckets[]; /* WINDOW_BUCKETS, none without a window */
};

struct window *window_new(const struct window_spec *spec)
{
	int64_t length = spec->length;
	struct window *w = calloc(1, sizeof(*w) + (length ? WINDOW_BUCKETS * sizeof(struct bucket) : 0));

	if (!w)
		return NULL;
	w->op = spec->op;
	w->length = length;
	w->width = (length + WINDOW_BUCKETS - 1) / WINDOW_BUCKETS;
	w->counter = spec->counter;
	w->held = spec->held && length;
	return w;
}

void window_free(struct window *w)
{
	free(w);
}

static int64_t bucket_of(const struct window *w, int64_t time)
{
	int64_t t = time - w->origin;

	return t >= 0 ? t / w->width : -((-t + w->width - 1) / w->width);
}

static struct bucket *bucket_at(struct window *w, int64_t number)
{
	return &w->buckets[(uint64_t)number % WINDOW_BUCKETS];
}

static bool is_extreme(const struct window *w)
{
	return w->op == OP_MIN || w->op == OP_MAX;
}

/* Running sums gather rounding errors: made anew once a turn of the ring. */
static void window_total(struct window *w)
{
	w->amount = w->weight = 0;
	for (int i = 0; i < WINDOW_BUCKETS; i++) {
		w->amount += w->buckets[i].amount;
		w->weight += w->buckets[i].weight;
	}
}

/* ---- min and max: a queue of buckets ----------------------------------------------------------------------------- */

static void queue_drop(struct window *w, unsigned slot)
{
	if (w->n_queue && w->queue[w->head] == slot) {
		w->head = (w->head + 1) % WINDOW_BUCKETS;
		w->n_queue--;
	}
}

static bool beats(const struct window *w, double a, double b)
{
	return w->op == OP_MIN ? a <= b : a >= b;
}

/* The newest bucket takes a value: it has an extreme once weight is set */
static void queue_put(struct window *w, double value)
{
	unsigned slot = (unsigned)((uint64_t)w->now % WINDOW_BUCKETS);
	struct bucket *b = &w->buckets[slot];

	if (b->weight > 0 && beats(w, b->amount, value))
		return;
	b->amount = value;
	b->weight = 1;
	while (w->n_queue) {
		unsigned last = w->queue[(w->head + w->n_queue - 1) % WINDOW_BUCKETS];

		if (last != slot && !beats(w, value, w->buckets[last].amount))
			break;
		w->n_queue--;
	}
	w->queue[(w->head + w->n_queue++) % WINDOW_BUCKETS] = (uint8_t)slot;
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

/* The value that held from held_until on, as far as the newest bucket and `until` go */
static void hold(struct window *w, int64_t until)
{
	if (!w->held || !w->any || until <= w->held_until)
		return;
	if (w->op == OP_AVG) {
		double seconds = (double)(until - w->held_until) * 1e-9;
		struct bucket *b = bucket_at(w, w->now);

		b->weight += seconds;
		b->amount += seconds * w->last;
		w->weight += seconds;
		w->amount += seconds * w->last;
	}
	w->held_until = until;
}

/* Opens the next bucket in the place of the one that falls out */
static void window_step(struct window *w)
{
	struct bucket *b;

	hold(w, w->origin + (w->now + 1) * w->width);
	w->now++;
	b = bucket_at(w, w->now);
	if (is_extreme(w))
		queue_drop(w, (unsigned)(b - w->buckets));
	w->amount -= b->amount;
	w->weight -= b->weight;
	*b = (struct bucket){ 0 };
	if (b == w->buckets && !is_extreme(w))
		window_total(w);
	if (is_extreme(w) && w->held && w->any)
		queue_put(w, w->last);
}

static void window_clear(struct window *w, int64_t number)
{
	memset(w->buckets, 0, WINDOW_BUCKETS * sizeof(w->buckets[0]));
	w->amount = w->weight = 0;
	w->n_queue = 0;
	w->now = number;
}

static void window_move(struct window *w, int64_t time)
{
	int64_t number = bucket_of(w, time);

	if (number - w->now >= 2 * WINDOW_BUCKETS || !w->any) {
		/* Nothing of before is left; a value that holds fills it all. */
		window_clear(w, w->held && w->any ? number - WINDOW_BUCKETS : number);
		w->held_until = w->origin + w->now * w->width;
		if (w->held && w->any && is_extreme(w))
			queue_put(w, w->last);
	}
	while (w->now < number)
		window_step(w);
	hold(w, time);
}

void window_advance(struct window *w, int64_t now)
{
	if (w->held && w->any)
		window_move(w, now);
}

int64_t window_next(const struct window *w)
{
	if (!w->held || !w->any || w->held_until - w->last_time >= w->length + w->width)
		return 0;
	return w->origin + (w->now + 1) * w->width;
}

/* ---- samples ---------------------------------------------------------------------------------------------------- */

static double increase(const struct window *w, double value)
{
	if (w->counter && value < w->last)
		return value;
	return value - w->last;
}

/* Without a window: increase and time of the last pair; samples of one time are one */
static void pair_put(struct window *w, double value, int64_t time)
{
	if (w->any && time > w->last_time) {
		w->amount = increase(w, value);
		w->weight = (double)(time - w->last_time) * 1e-9;
	} else if (w->any) {
		w->amount += increase(w, value);
	}
	if (!w->any || time > w->last_time)
		w->last_time = time;
	w->last = value;
	w->any = true;
}

static void bucket_add(struct window *w, double amount, double weight)
{
	struct bucket *b = bucket_at(w, w->now);

	b->amount += amount;
	b->weight += weight;
	w->amount += amount;
	w->weight += weight;
}

void window_put(struct window *w, double value, int64_t time)
{
	if (!w->length) {
		pair_put(w, value, time);
		return;
	}
	if (w->any && time < w->last_time)
		time = w->last_time; /* the clock was set back and nobody said so */
	window_move(w, time);
	if (is_extreme(w))
		queue_put(w, value);
	else if (w->op == OP_RATE || w->op == OP_DELTA)
		bucket_add(w, w->any ? increase(w, value) : 0, w->any ? (double)(time - w->last_time) * 1e-9 : 0);
	else if (w->op == OP_AVG && !w->held)
		bucket_add(w, value, 1);
	else if (w->op == OP_SUM || w->op == OP_COUNT)
		bucket_add(w, w->op == OP_SUM ? value : 1, 1);
	if (!w->any)
		w->held_until = time;
	w->any = true;
	w->last = value;
	w->last_time = time;
}

double window_value(const struct window *w)
{
	if (!w->any)
		return NAN;
	switch (w->op) {
	case OP_RATE:
		if (w->held) {
			/* No increase but at the samples: all of the window's time counts, once there was a second sample. */
			return w->amount / ((double)w->length * 1e-9);
		}
		return w->weight > 0 ? w->amount / w->weight : NAN;
	case OP_AVG:
		return w->weight > 0 ? w->amount / w->weight : w->last;
	case OP_MIN:
	case OP_MAX:
		return w->n_queue ? w->buckets[w->queue[w->head]].amount : w->last;
	case OP_DELTA:
	case OP_SUM:
	case OP_COUNT:
		return w->amount;
	case OP_NONE:
	case OP_ADD:
	case OP_SUBTRACT:
	case OP_MULTIPLY:
	case OP_DIVIDE:
	case OP_EQUAL:
	case OP_UNEQUAL:
	case OP_LESS:
	case OP_LESS_EQUAL:
	case OP_GREATER:
	case OP_GREATER_EQUAL:
	case OP_ALL:
	case OP_ANY:
	case OP_NONE_OF:
	case OP_SOME:
	case OP_STDDEV:
	case OP_PERCENTILE:
	case OP_FORECAST:
	case OP_CHANGED:
	case OP_AGE:
	case OP_RECORDS:
		break;
	}
	return NAN;
}

void window_jump(struct window *w, int64_t jump)
{
	w->origin += jump;
	w->last_time += jump;
	w->held_until += jump;
}
