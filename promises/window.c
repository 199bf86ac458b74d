#include "promises/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "promises/sketch.h"
#include "promises/window_moments.h"
#include "promises/window_sums.h"

_Static_assert(WINDOW_BUCKETS == SUMS_BUCKETS && WINDOW_BUCKETS == MOMENTS_BUCKETS, "all turn at once");
_Static_assert(WINDOW_SLICES == SKETCH_SLICES, "so do these");

/* Buckets whose extreme no later one beats, the oldest first. The newest bucket is its last. */
struct extremes {
	uint8_t queue[WINDOW_BUCKETS];
	unsigned head, n;
	bool any[WINDOW_BUCKETS];
	double values[WINDOW_BUCKETS];
};

struct window {
	enum expr_op op;
	bool counter, held, any;
	bool changed;          /* ever */
	unsigned n_buckets;
	unsigned shift;        /* percentile, held: a weight of 1 is 2^shift ns */
	int64_t length, width; /* ns */
	int64_t horizon;       /* ns */
	int64_t origin;        /* bucket 0 begins here: moves with the clock */
	int64_t now;           /* bucket number of the newest */
	int64_t last_time;     /* of the last sample */
	int64_t held_until;    /* held: the value is accounted for up to here */
	int64_t held_from;     /* held: from here on; later than last_time when that is of before held_until */
	int64_t change;        /* time of the last one */
	double last;
	double amount, weight; /* without a window: increase and time of the last pair */
	uint64_t filled;       /* records: buckets that have any; bit 0 is the newest */
	/* One of these, as the function needs; none without a window and of changed */
	struct sums *sums; /* rate, delta: time and increase; avg: weight and weighted values; sum, count, records */
	struct extremes *extremes;
	struct moments *moments;
	struct sketch *sketch;
};

/* ---- which function needs what ----------------------------------------------------------------------------------- */

static bool parts_new(struct window *w, const struct window_spec *spec)
{
	switch (w->op) {
	case OP_RATE:
	case OP_DELTA:
	case OP_AVG:
	case OP_SUM:
	case OP_COUNT:
	case OP_RECORDS:
		w->sums = malloc(sizeof(*w->sums));
		return w->sums;
	case OP_MIN:
	case OP_MAX:
		w->extremes = malloc(sizeof(*w->extremes));
		return w->extremes;
	case OP_STDDEV:
	case OP_FORECAST:
		w->moments = moments_new();
		return w->moments;
	case OP_PERCENTILE:
		w->sketch = sketch_new(spec->share);
		return w->sketch;
	case OP_CHANGED:
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
	case OP_AGE:
		break;
	}
	return true;
}

struct window *window_new(const struct window_spec *spec)
{
	struct window *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->op = spec->op;
	w->length = spec->length;
	w->horizon = spec->horizon;
	w->n_buckets = w->op == OP_PERCENTILE ? WINDOW_SLICES : WINDOW_BUCKETS;
	w->width = (w->length + w->n_buckets - 1) / w->n_buckets;
	while (w->width >> w->shift > INT32_MAX)
		w->shift++;
	w->counter = spec->counter;
	w->held = (spec->held || w->op == OP_RECORDS) && w->length;
	if (w->length && !parts_new(w, spec)) {
		free(w);
		return NULL;
	}
	return w;
}

void window_free(struct window *w)
{
	if (!w)
		return;
	free(w->sums);
	free(w->extremes);
	moments_free(w->moments);
	sketch_free(w->sketch);
	free(w);
}

/* ---- min and max: a queue of buckets ----------------------------------------------------------------------------- */

static void queue_drop(struct extremes *x, unsigned slot)
{
	x->any[slot] = false;
	if (x->n && x->queue[x->head] == slot) {
		x->head = (x->head + 1) % WINDOW_BUCKETS;
		x->n--;
	}
}

static bool beats(const struct window *w, double a, double b)
{
	return w->op == OP_MIN ? a <= b : a >= b;
}

/* The newest bucket takes a value */
static void queue_put(struct window *w, double value)
{
	struct extremes *x = w->extremes;
	unsigned slot = (unsigned)((uint64_t)w->now % WINDOW_BUCKETS);

	if (x->any[slot] && beats(w, x->values[slot], value))
		return;
	x->values[slot] = value;
	x->any[slot] = true;
	while (x->n) {
		unsigned last = x->queue[(x->head + x->n - 1) % WINDOW_BUCKETS];

		if (last != slot && !beats(w, value, x->values[last]))
			break;
		x->n--;
	}
	x->queue[(x->head + x->n++) % WINDOW_BUCKETS] = (uint8_t)slot;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static int64_t bucket_of(const struct window *w, int64_t time)
{
	int64_t t = time - w->origin;

	return t >= 0 ? t / w->width : -((-t + w->width - 1) / w->width);
}

static int64_t bucket_start(const struct window *w, int64_t number)
{
	return w->origin + number * w->width;
}

/* The value that held from held_until on, as far as the newest bucket and `until` go */
static void hold(struct window *w, int64_t until)
{
	int64_t from = w->held_until;

	if (!w->held || !w->any || until <= from)
		return;
	w->held_until = until;
	if (w->op == OP_AVG) {
		double seconds = (double)(until - from) * 1e-9;

		sums_add(w->sums, seconds * w->last, seconds);
	} else if (w->moments) {
		moments_piece(w->moments, w->last, from - w->origin, until - w->origin);
	} else if (w->sketch) {
		/* Differences of rounded times: no time is lost, however short each piece. */
		int64_t weight = ((until - w->origin) >> w->shift) - ((from - w->origin) >> w->shift);

		sketch_add(w->sketch, w->last, (uint32_t)weight);
	}
}

/* Opens the next bucket in the place of the one that falls out */
static void window_step(struct window *w)
{
	hold(w, bucket_start(w, w->now + 1));
	w->now++;
	if (w->sums) {
		sums_step(w->sums);
		w->filled <<= 1;
	} else if (w->moments) {
		moments_step(w->moments);
	} else if (w->sketch) {
		sketch_step(w->sketch);
	} else if (w->extremes) {
		queue_drop(w->extremes, (unsigned)((uint64_t)w->now % WINDOW_BUCKETS));
		if (w->held && w->any)
			queue_put(w, w->last);
	}
}

static void window_clear(struct window *w, int64_t number)
{
	w->filled = 0;
	w->now = number;
	if (w->sums)
		sums_clear(w->sums);
	else if (w->moments)
		moments_clear(w->moments);
	else if (w->sketch)
		sketch_clear(w->sketch);
	else if (w->extremes)
		*w->extremes = (struct extremes){ .n = 0 };
}

static void window_move(struct window *w, int64_t time)
{
	int64_t number;

	if (w->any && time < bucket_start(w, w->now + 1)) {
		hold(w, time);
		return;
	}
	number = bucket_of(w, time);
	if (number - w->now >= 2 * (int64_t)w->n_buckets || !w->any) {
		/* Nothing of before is left; a value that holds fills it all. */
		window_clear(w, w->held && w->any ? number - w->n_buckets : number);
		w->held_until = bucket_start(w, w->now);
		if (w->held && w->any && w->extremes)
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
	if (!w->held || !w->any)
		return 0;
	if (w->op == OP_CHANGED)
		return window_value(w) > 0 ? w->change + w->length : 0;
	if (w->op == OP_RECORDS) /* the oldest bucket that has any leaves */
		return w->filled ? bucket_start(w, w->now + 1 + __builtin_clzll(w->filled)) : 0;
	if (w->held_until - w->held_from >= w->length + w->width)
		return 0;
	return bucket_start(w, w->now + 1);
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

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

static void moments_put(struct window *w, double value, int64_t time)
{
	if (w->op == OP_FORECAST && w->counter && w->any && value < w->last)
		window_clear(w, w->now); /* reset: another line begins */
	if (!w->held)
		moments_point(w->moments, value, time - w->origin);
}

static void sums_put(struct window *w, double value, int64_t time)
{
	if (w->op == OP_RATE || w->op == OP_DELTA) {
		if (w->any)
			sums_add(w->sums, increase(w, value), (double)(time - w->last_time) * 1e-9);
	} else if (w->op == OP_AVG) {
		if (!w->held)
			sums_add(w->sums, value, 1);
	} else if (w->op == OP_COUNT) {
		sums_add(w->sums, 1, 1);
	} else {
		sums_add(w->sums, value, 1);
		w->filled |= value > 0;
	}
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
	if (w->sums) {
		sums_put(w, value, time);
	} else if (w->moments) {
		moments_put(w, value, time);
	} else if (w->extremes) {
		queue_put(w, value);
	} else if (w->sketch) {
		if (!w->held)
			sketch_add(w->sketch, value, 1);
	} else if (w->any && value != w->last) {
		w->changed = true;
		w->change = w->held && w->held_until > time ? w->held_until : time;
	}
	if (!w->any)
		w->held_until = time;
	w->held_from = w->held_until > time ? w->held_until : time;
	w->any = true;
	w->last = value;
	w->last_time = time;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static double window_forecast(const struct window *w)
{
	int64_t end = (w->held ? w->held_until : w->last_time) - w->origin;
	double weight = moments_weight(w->moments);

	/* Of pieces the weight is time: one that holds for long says as much as many do. */
	if (!(weight > 0) || (!w->held && weight < 3) || end - moments_since(w->moments) < w->length - w->length / 2)
		return NAN;
	return moments_line(w->moments, end, w->horizon);
}

static double sums_value(const struct window *w)
{
	struct sum s = sums_total(w->sums);

	if (w->op == OP_RATE) {
		/* Held: no increase but at the samples; all of the window's time counts. */
		if (w->held)
			return s.amount / ((double)w->length * 1e-9);
		return s.weight > 0 ? s.amount / s.weight : NAN;
	}
	if (w->op == OP_AVG)
		return s.weight > 0 ? s.amount / s.weight : w->last;
	return s.amount;
}

double window_value(const struct window *w)
{
	double value;

	if (!w->any)
		return w->op == OP_RECORDS ? 0 : NAN;
	if (!w->length) {
		if (w->op == OP_RATE)
			return w->weight > 0 ? w->amount / w->weight : NAN;
		return w->op == OP_DELTA ? w->amount : NAN;
	}
	if (w->sums)
		return sums_value(w);
	if (w->extremes)
		return w->extremes->n ? w->extremes->values[w->extremes->queue[w->extremes->head]] : w->last;
	if (w->moments)
		return w->op == OP_FORECAST ? window_forecast(w) : moments_deviation(w->moments);
	if (w->sketch) {
		value = sketch_value(w->sketch);
		return isnan(value) ? w->last : value;
	}
	return w->changed && (w->held ? w->held_until : w->last_time) - w->change < w->length;
}

void window_jump(struct window *w, int64_t jump)
{
	w->origin += jump;
	w->last_time += jump;
	w->held_until += jump;
	w->held_from += jump;
	w->change += jump;
}
