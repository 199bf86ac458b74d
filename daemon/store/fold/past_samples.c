/* Samples of segments and of the ring, for series that are asked for */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plugin.h"
#include "store/fold/past_impl.h"
#include "store/fold/state.h"
#include "store/pack.h"

#define BEHIND (60 * NS_PER_S)         /* what comes so long after is read too: a counter's rate is known by the next sample */
#define PROGRESS_EVERY (250 * NS_PER_MS)

/* Of an instance in a chunk: the series of its metrics, NULL for those that nobody wants */
struct binding {
	struct binding *next;
	uint32_t n;
	struct past_series *list[];
};

struct reading {
	struct past *past;
	struct binding *bindings;
};

struct telling {
	struct past *past;
	struct past_series *series;
};

/* ---- points ---------------------------------------------------------------------------------------------------------- */

static bool wanted(const struct past *p, int64_t time)
{
	return time >= p->config.from && time <= p->config.to;
}

/* From `time` on it is not known. */
static int tell_gap(struct past *p, struct past_series *s, int64_t time, int64_t step)
{
	const struct past_point gap = { time, NAN, NAN, NAN, step, p->source, false };

	if (!s->n || isnan(s->points[s->n - 1].value) || !wanted(p, time))
		return 0;
	return past_point_add(p, s, &gap);
}

static int tell_run(const struct resample_run *run, void *user)
{
	struct telling *t = user;
	struct past *p = t->past;
	int64_t step = p->config.step, first = run->first, last = run->last;
	int r = 0;

	if (first < p->config.from)
		first = step_up(p->config.from, step);
	if (last > p->config.to)
		last = step_up(p->config.to - step + 1, step);
	if (first > last)
		return 0;
	if (t->series->n && t->series->points[t->series->n - 1].time < first - step)
		r = tell_gap(p, t->series, t->series->points[t->series->n - 1].time + step, step);
	for (int64_t at = first; r == 0 && at <= last; at += step) {
		const struct past_point point = { at, run->average, run->least, run->most, step, p->source, false };

		r = past_point_add(p, t->series, &point);
	}
	return r;
}

/* What stood when it began, before the first of its samples then: of what is put when it changes, and where all that stood is asked for */
static int tell_stood(struct past *p, struct past_series *s)
{
	int64_t from = p->config.from;
	const struct past_point point = { from, s->value, s->value, s->value, 0, p->source, false };

	if (p->config.step || s->n || !s->live || s->time >= from)
		return 0;
	if (!p->config.raw && (s->kind == KITH_COUNTER || s->hold != RESAMPLE_FOREVER))
		return 0;
	if (s->hold != RESAMPLE_FOREVER && from - s->time > s->hold)
		return 0;
	return past_point_add(p, s, &point);
}

static int tell_sample(struct past *p, struct past_series *s, int64_t time, double value)
{
	struct past_point point = { time, value, value, value, 0, p->source, p->extra };
	double rate;
	int r;

	if (!wanted(p, time))
		return 0;
	r = tell_stood(p, s);
	if (r == 0 && s->kind == KITH_COUNTER && !p->config.raw) {
		if (!s->live || time <= s->time || (s->hold != RESAMPLE_FOREVER && time - s->time > s->hold))
			return 0;
		rate = (value >= s->value ? value - s->value : value) * (double)NS_PER_S / (double)(time - s->time);
		point.value = point.least = point.most = rate;
	}
	return r == 0 ? past_point_add(p, s, &point) : r;
}

static int series_put(struct past *p, struct past_series *s, int64_t time, double value)
{
	struct telling t = { p, s };
	int r;

	if (time < s->first)
		s->first = time;
	if (p->config.step)
		return resample_put(&s->resample, time, value, tell_run, &t);
	r = tell_sample(p, s, time, value);
	s->time = time;
	s->value = value;
	s->live = s->any = true;
	return r;
}

static int series_end(struct past *p, struct past_series *s, int64_t time)
{
	struct telling t = { p, s };
	int r = 0;

	if (p->config.step)
		return resample_end(&s->resample, time, tell_run, &t);
	if (!s->live)
		return 0;
	if (wanted(p, time))
		r = tell_stood(p, s);
	s->live = false;
	return r ? r : tell_gap(p, s, time, 0);
}

/* ---- what a chunk tells ------------------------------------------------------------------------------------------------ */

static int bind(struct reading *g, struct unpack_instance *u, struct binding **ret_binding)
{
	struct patterns *patterns = g->past->config.patterns;
	const struct unpack_family *f = u->family;
	struct binding *b = NULL;
	int r = 0;

	for (uint32_t k = 0; r == 0 && k < f->n; k++) {
		const struct unpack_metric *m = &f->metrics[k];
		const struct fold_metric known = { .name = m->name, .unit = m->unit, .kind = m->kind, .flags = m->flags, .n_states = m->n_states,
			                           .states = m->states };

		if (!patterns_series(patterns, f->name, u->name, m->name))
			continue;
		if (!b) {
			b = calloc(1, sizeof(*b) + f->n * sizeof(struct past_series *));
			if (!b)
				return -ENOMEM;
			b->n = f->n;
			b->next = g->bindings;
			g->bindings = b;
		}
		r = past_series_get(g->past, f->name, u->name, &known, f->stale_after, &b->list[k]);
		if (r == 0 && b->list[k]->done)
			b->list[k] = NULL;
	}
	*ret_binding = b;
	return r;
}

static int on_instance(struct unpack_instance *u, void *user)
{
	struct reading *g = user;
	struct binding *b = NULL;
	int r = 0;

	if (patterns_family(g->past->config.patterns, u->family->name))
		r = bind(g, u, &b);
	u->user = b;
	return r;
}

static int on_sample(const struct unpack_instance *u, uint32_t metric, double value, int64_t time, bool extra, void *user)
{
	struct reading *g = user;
	struct binding *b = u->user;

	g->past->extra = extra;
	return b->list[metric] && time > 0 ? series_put(g->past, b->list[metric], time, value) : 0;
}

static int on_end(const struct unpack_instance *u, int64_t time, void *user)
{
	struct reading *g = user;
	struct binding *b = u->user;
	int r = 0;

	for (uint32_t k = 0; b && r == 0 && k < b->n; k++)
		if (b->list[k])
			r = series_end(g->past, b->list[k], time);
	return r;
}

/* kithd did not run from `from` on; `longer`: what stands for so long goes on */
static int all_end(struct past *p, int64_t from, int64_t longer)
{
	struct past_series *s, *next;
	int r = 0;

	if (!from)
		return 0;
	HASH_ITER(hh, p->series, s, next)
		if (r == 0 && !s->done && (!longer || (s->stale_after && s->stale_after < longer)))
			r = series_end(p, s, from);
	return r;
}

static int on_start(int64_t time, void *user)
{
	struct reading *g = user;

	(void)time;
	return all_end(g->past, g->past->end, 0);
}

/* ---- what the last fold knew ------------------------------------------------------------------------------------------- */

struct seeding {
	struct past *past;
	const char *family, *instance;
};

static int seed_instance(const char *family, const char *name, int64_t step, void *user)
{
	struct seeding *s = user;

	(void)step;
	s->family = family;
	s->instance = name;
	return patterns_family(s->past->config.patterns, family) ? 0 : -ENOENT;
}

static int seed_series(const struct state_series *from, void *user)
{
	struct seeding *g = user;
	struct past *p = g->past;
	struct past_series *s;
	char key[512];

	if ((size_t)snprintf(key, sizeof(key), "%s\t%s\t%s", g->family, g->instance, from->metric) >= sizeof(key))
		return 0;
	HASH_FIND_STR(p->series, key, s);
	if (!s || s->done || s->any || s->resample.any || !from->series.live || from->series.kind != s->kind)
		return 0;
	s->first = p->end;
	s->live = s->any = true;
	s->time = from->series.time;
	s->value = from->series.value;
	if (p->config.step) {
		s->resample.live = s->resample.any = true;
		s->resample.time = s->resample.since = s->time;
		s->resample.value = s->value;
		s->resample.next = step_up(p->end + 1, p->config.step);
	}
	return 0;
}

static int seed_row(int64_t at, const char *metric, double value, void *user)
{
	(void)at;
	(void)metric;
	(void)value;
	(void)user;
	return 0;
}

static int seed(struct past *p)
{
	static const struct state_fns fns = { seed_instance, seed_series, seed_row };
	struct seeding s = { .past = p };
	struct state_head head;
	char *copy;
	int r;

	if (!p->state_text)
		return 0;
	copy = malloc(p->state_length + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, p->state_text, p->state_length + 1);
	p->number = p->state_number;
	p->end = p->state_end;
	r = state_parse(copy, p->state_length, &fns, &s, &head);
	free(copy);
	return r == -ENOMEM ? r : 0;
}

/* ---- all of them --------------------------------------------------------------------------------------------------------- */

static int feed(struct past *p, const struct past_chunk *c, const uint8_t *data, size_t length)
{
	static const struct unpack_fns fns = { on_instance, on_sample, on_end, on_start };
	struct reading g = { .past = p };
	struct unpacker *u;
	int r = 0;

	if (p->end && (p->number + 1 != c->number || c->begin > p->end))
		r = all_end(p, p->end, p->number + 1 != c->number ? 0 : c->begin - p->end);
	p->source = c->data ? PAST_RING : PAST_JOURNAL;
	if (r == 0)
		r = unpacker_new(c->begin, &fns, &g, &u);
	if (r < 0)
		return r;
	r = unpacker_feed(u, data, length);
	if (unpacker_samples(u))
		p->end = unpacker_time(u);
	unpacker_free(u);
	while (g.bindings) {
		struct binding *b = g.bindings;

		g.bindings = b->next;
		free(b);
	}
	p->number = c->number;
	return r == -EBADMSG ? 0 : r; /* what stood before was told */
}

static int feed_chunk(struct past *p, const struct past_chunk *c)
{
	struct segment s;
	int r;

	if (c->data)
		return feed(p, c, c->data, c->length);
	r = segment_read(p->journal, c->number, &s);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* removed meanwhile, or no segment */
	r = feed(p, c, s.data, s.length);
	segment_free(&s);
	return r;
}

/* The first that may matter: what is in RRD files and ended long before is left out. */
static size_t begin_at(const struct past *p)
{
	int64_t from = p->config.from - p->config.step;
	size_t k = 0;

	while (k + 2 < p->n_chunks && p->chunks[k + 2].begin <= from && p->chunks[k + 1].number <= p->state_number)
		k++;
	return k;
}

static int tell_rest(struct past *p)
{
	int64_t until = p->config.to, certain = p->config.ring ? clock_wall() : p->end ? p->end : INT64_MAX;
	struct past_series *s, *next;
	int r = 0;

	until = p->until = until < certain ? until : certain;
	if (!p->source)
		p->source = PAST_JOURNAL; /* what the last fold knew of it */
	HASH_ITER(hh, p->series, s, next) {
		struct telling t = { p, s };

		if (r == 0 && !s->done && p->config.step && s->resample.any)
			r = resample_rest(&s->resample, until, tell_run, &t) ?: resample_part(&s->resample, until, tell_run, &t);
		if (r == 0 && !s->done)
			r = tell_stood(p, s);
	}
	return r;
}

static int say(struct past *p, size_t k)
{
	int64_t now = clock_mono();

	if (!p->config.progress || now - p->said < PROGRESS_EVERY)
		return 0;
	p->said = now;
	return p->config.progress(k, p->n_chunks, p->config.user);
}

int past_samples(struct past *p)
{
	bool seeded = false;
	int r = 0;

	p->end = 0;
	p->number = 0;
	for (size_t k = begin_at(p); r == 0 && k < p->n_chunks; k++) {
		const struct past_chunk *c = &p->chunks[k];

		if (c->begin > p->config.to && c->begin - p->config.to > BEHIND)
			break;
		if (!seeded && c->number > p->state_number) {
			r = seed(p);
			seeded = true;
		}
		if (r == 0)
			r = feed_chunk(p, c);
		if (r == 0)
			r = say(p, k);
	}
	if (r == 0 && !seeded && p->config.to > p->state_end)
		r = seed(p);
	return r == 0 ? tell_rest(p) : r;
}
