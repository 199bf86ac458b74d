#include "store/fold/resample.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "plugin.h"

int64_t step_up(int64_t time, int64_t step)
{
	int64_t rest = time % step;

	return rest > 0 ? time + (step - rest) : time - rest;
}

void resample_begin(struct resample *r, uint32_t kind, int64_t step, int64_t hold)
{
	*r = (struct resample){ .kind = kind, .step = step, .hold = hold > 0 ? hold : RESAMPLE_FOREVER };
}

static bool spreads(const struct resample *r)
{
	return r->kind == KITH_COUNTER && r->hold != RESAMPLE_FOREVER;
}

/* Until when the last sample's value stands, if nothing comes */
static int64_t stands_until(const struct resample *r)
{
	return r->hold > RESAMPLE_FOREVER - r->time ? RESAMPLE_FOREVER : r->time + r->hold;
}

/* Of a counter that is put when it changes: how long it has stood in this step at `time` */
static int64_t stood_since(const struct resample *r, int64_t time)
{
	int64_t from = r->since > r->next - r->step ? r->since : r->next - r->step;

	return time > from ? time - from : 0;
}

static void forget_step(struct resample *r)
{
	r->n = 0;
	r->known = 0;
	r->sum = r->least = r->most = 0;
}

static int tell(int64_t first, int64_t last, double average, double least, double most, resample_fn *fn, void *user)
{
	const struct resample_run run = { first, last, average, least, most };

	return isfinite(average) ? fn(&run, user) : 0;
}

/* What is known of the step that ends at `next`, of its first `length` ns, which end at `at` */
static int tell_step(const struct resample *r, int64_t at, int64_t length, resample_fn *fn, void *user)
{
	int64_t known = r->known;
	double value;

	if (r->kind != KITH_COUNTER) {
		if (r->n)
			return tell(at, at, r->kind == KITH_STATE ? r->sum : r->sum / (double)r->n, r->least, r->most, fn, user);
		return r->live && at <= stands_until(r) ? tell(at, at, r->value, r->value, r->value, fn, user) : 0;
	}
	if (r->live && !spreads(r))
		known += stood_since(r, at);
	value = known > 0 && known >= length - known ? r->sum * (double)NS_PER_S / (double)known : NAN;
	return r->n ? tell(at, at, value, fmin(r->least, value), fmax(r->most, value), fn, user) : tell(at, at, value, value, value, fn, user);
}

/* The step that ends at `next` has no more to come. */
static int step_done(struct resample *r, resample_fn *fn, void *user)
{
	int e = tell_step(r, r->next, r->step, fn, user);

	forget_step(r);
	r->next += r->step;
	return e;
}

/* Steps from `next` on that end before `until`, in which nothing was told: at once */
static int stood(struct resample *r, int64_t until, resample_fn *fn, void *user)
{
	int64_t last = step_up(until, r->step) - r->step, stands, from = r->next;
	double value = r->kind == KITH_COUNTER ? 0 : r->value;

	if (from > last)
		return 0;
	r->next = last + r->step;
	if (!r->live || spreads(r))
		return 0;
	stands = stands_until(r);
	if (last > stands)
		last = step_up(stands - r->step + 1, r->step);
	return from > last ? 0 : tell(from, last, value, value, value, fn, user);
}

static void extremes(struct resample *r, double value)
{
	r->least = r->n ? fmin(r->least, value) : value;
	r->most = r->n ? fmax(r->most, value) : value;
	r->n++;
}

/* Of a counter: from the last sample to `until` it grew by `increase`, evenly, at `rate` a second. Told: steps that end before `until` */
static int spread(struct resample *r, int64_t until, double increase, resample_fn *fn, void *user)
{
	double rate = increase * (double)NS_PER_S / (double)(until - r->time);
	int64_t from = r->time > r->next - r->step ? r->time : r->next - r->step;
	int e = 0;

	while (e == 0 && from < until) {
		int64_t to = until < r->next ? until : r->next;

		if (r->known == 0 && from == r->next - r->step && until > r->next + r->step) {
			/* Whole steps at once */
			int64_t last = step_up(until, r->step) - r->step;

			e = tell(r->next, last, rate, rate, rate, fn, user);
			r->next = last + r->step;
			from = last;
			continue;
		}
		extremes(r, rate);
		r->sum += rate * (double)(to - from) / (double)NS_PER_S;
		r->known += to - from;
		from = to;
		if (to == r->next && to < until)
			e = step_done(r, fn, user);
	}
	return e;
}

/* Its step has all of the increase; the rate since the sample before counts among the least and the most. */
static void of_moment(struct resample *r, int64_t time, double increase)
{
	r->sum += increase;
	if (time > r->time)
		extremes(r, increase * (double)NS_PER_S / (double)(time - r->time));
}

static int count(struct resample *r, int64_t time, double value, resample_fn *fn, void *user)
{
	double increase = value >= r->value ? value - r->value : value;
	int e = 0;

	if (spreads(r) && r->live && time > r->time && time <= stands_until(r))
		e = spread(r, time, increase, fn, user);
	if (e == 0)
		e = resample_advance(r, time, fn, user);
	/* Of the moment: put when it changes, or twice at once */
	if (!r->live)
		r->since = time;
	else if ((time == r->time || !spreads(r)) && time > r->next - r->step)
		of_moment(r, time, increase);
	return e;
}

static void gather(struct resample *r, double value)
{
	extremes(r, value);
	r->sum = r->kind == KITH_STATE ? value : r->sum + value;
}

int resample_put(struct resample *r, int64_t time, double value, resample_fn *fn, void *user)
{
	int e = 0;

	if (time <= 0 || time > INT64_MAX - 2 * r->step || !isfinite(value))
		return 0;
	if (!r->next)
		r->next = step_up(time, r->step);
	/* The clock was set back: what is between the two values cannot be said. */
	if (r->any && time < r->time && r->kind == KITH_COUNTER)
		r->live = false;
	if (r->kind == KITH_COUNTER)
		e = count(r, time, value, fn, user);
	else
		e = resample_advance(r, time, fn, user);
	if (time <= r->next - r->step)
		r->backwards++;
	else if (r->kind != KITH_COUNTER)
		gather(r, value);
	r->time = time;
	r->value = value;
	r->any = r->live = true;
	return e;
}

int resample_advance(struct resample *r, int64_t until, resample_fn *fn, void *user)
{
	int e = 0;

	if (!r->next || r->next >= until)
		return 0;
	if (spreads(r) && r->live) {
		if (r->next <= r->time)
			e = step_done(r, fn, user);
		/* The next sample may still tell of the time since the last one. */
		if (e || until <= stands_until(r))
			return e;
		r->live = false;
		if (r->next >= until)
			return 0;
	}
	e = step_done(r, fn, user);
	return e ? e : stood(r, until, fn, user);
}

int resample_end(struct resample *r, int64_t time, resample_fn *fn, void *user)
{
	int e;

	if (!r->live)
		return 0;
	e = resample_advance(r, time, fn, user);
	if (r->kind == KITH_COUNTER && !spreads(r))
		r->known += stood_since(r, time);
	r->live = false;
	return e;
}

int resample_rest(struct resample *r, int64_t until, resample_fn *fn, void *user)
{
	int e;

	if (until == INT64_MAX)
		return -EINVAL;
	e = resample_advance(r, until + 1, fn, user);
	while (e == 0 && r->next && r->next <= until)
		e = step_done(r, fn, user);
	return e;
}

int resample_part(const struct resample *r, int64_t until, resample_fn *fn, void *user)
{
	int64_t length = until - (r->next - r->step);

	return r->next && length > 0 && length < r->step ? tell_step(r, until, length, fn, user) : 0;
}
