/* A peer's watch: which series, records and transitions it is told of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/server.h"

/* The watched series of one instance, in one block; gone with the last of them. */
struct watched {
	struct watched *next, **link;
	struct subscription *subscription;
	uint32_t n, live;
	struct watched_series {
		struct series_watch watch; /* first: found again from its address */
		struct watched *of;
	} series[];
};

/* What the request's patterns name in families that make instances only when somebody wants them */
struct wanted {
	char *family, *instance;
};

struct subscription {
	struct peer *peer;
	struct patterns patterns;
	uint32_t kinds; /* WATCH_* */
	struct watched *watched;
	struct wanted *wanted;
	size_t n_wanted;
	uint32_t n_series;
};

static void watched_free(struct watched *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	free(w);
}

static void on_sample(struct series_watch *watch, const struct series *s, enum series_event event)
{
	struct watched *w = ((struct watched_series *)watch)->of;
	struct peer *p = w->subscription->peer;
	struct control *c = p->control;

	switch (event) {
	case SERIES_STALE:
		return;
	case SERIES_END:
		w->subscription->n_series--;
		if (--w->live == 0)
			watched_free(w);
		return;
	case SERIES_SAMPLE:
		break;
	}
	if (p->doomed)
		return;
	/* memcmp: -Wfloat-equal apart, this is about the same bits */
	if (c->framed != s || c->framed_time != s->time || memcmp(&c->framed_value, &s->value, sizeof(s->value)) != 0) {
		Control__Sample sample = CONTROL__SAMPLE__INIT;
		Control__Answer answer = CONTROL__ANSWER__INIT;
		char name[NAME_MAX_LENGTH + 1];

		sample_fill(&sample, s, name);
		answer.is_case = CONTROL__ANSWER__IS_SAMPLE;
		answer.sample = &sample;
		control_frame(c, &answer);
		c->framed = s;
		c->framed_time = s->time;
		c->framed_value = s->value;
	}
	/* News go at once; a tick's samples go together, in one call. */
	peer_say_frame(p, series_metric(s)->flags & KITH_METRIC_EVENT);
}

void watch_instance(struct subscription *s, struct instance *instance)
{
	const struct family *f = instance->family;
	struct watched *w;
	uint32_t n = 0;

	if (!s || !(s->kinds & WATCH_SAMPLES) || !patterns_family(&s->patterns, f->name))
		return;
	for (uint32_t k = 0; k < f->n_metrics; k++)
		n += patterns_series(&s->patterns, f->name, instance->name, f->metrics[k].name);
	if (!n)
		return;
	w = calloc(1, sizeof(*w) + n * sizeof(w->series[0]));
	if (!w) {
		/* Better no watch than one with a hole in it. */
		peer_doom(s->peer);
		return;
	}
	w->subscription = s;
	w->next = s->watched;
	w->link = &s->watched;
	if (w->next)
		w->next->link = &w->next;
	s->watched = w;
	for (uint32_t k = 0; k < f->n_metrics; k++) {
		struct watched_series *one = &w->series[w->n];

		if (!patterns_series(&s->patterns, f->name, instance->name, f->metrics[k].name))
			continue;
		one->of = w;
		one->watch.fn = on_sample;
		series_watch_add(&instance->series[k], &one->watch);
		w->n++;
	}
	w->live = w->n;
	s->n_series += w->n;
}

/* The part of a name that is asked of a family which makes its instances on demand: NULL when none is named */
static const struct slice *wanted_instance(const struct pattern *p)
{
	if (!p->series || glob_is(p->name.family.at, p->name.family.length))
		return NULL;
	if (p->name.instance.at)
		return &p->name.instance;
	return p->name.metric.at ? &p->name.metric : NULL;
}

static int watch_want(struct subscription *s)
{
	struct model *m = s->peer->control->model;

	if (!s->patterns.n || !(s->kinds & WATCH_SAMPLES))
		return 0;
	s->wanted = calloc(s->patterns.n, sizeof(*s->wanted));
	if (!s->wanted)
		return -ENOMEM;
	for (size_t i = 0; i < s->patterns.n; i++) {
		const struct pattern *p = &s->patterns.list[i];
		const struct slice *instance = wanted_instance(p);
		struct wanted *w = &s->wanted[s->n_wanted];

		if (!instance)
			continue;
		w->family = strndup(p->name.family.at, p->name.family.length);
		w->instance = strndup(instance->at, instance->length);
		if (!w->family || !w->instance || model_want(m, w->family, w->instance) < 0) {
			free(w->family);
			free(w->instance);
			return -ENOMEM;
		}
		s->n_wanted++;
	}
	return 0;
}

void watch_stop(struct subscription *s)
{
	if (!s)
		return;
	while (s->watched) {
		struct watched *w = s->watched;

		for (uint32_t k = 0; k < w->n; k++)
			series_watch_remove(&w->series[k].watch);
		watched_free(w);
	}
	for (size_t i = 0; i < s->n_wanted; i++) {
		model_unwant(s->peer->control->model, s->wanted[i].family, s->wanted[i].instance);
		free(s->wanted[i].family);
		free(s->wanted[i].instance);
	}
	free(s->wanted);
	patterns_free(&s->patterns);
	free(s);
}

static void watch_all(struct subscription *s)
{
	for (struct family *f = family_first(s->peer->control->model); f; f = family_next(f))
		if (patterns_family(&s->patterns, f->name))
			for (struct instance *i = instance_first(f); i; i = instance_next(i))
				watch_instance(s, i);
}

static void say_subscribed(struct peer *p, uint32_t series)
{
	Control__Subscribed subscribed = CONTROL__SUBSCRIBED__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	subscribed.series = series;
	answer.is_case = CONTROL__ANSWER__IS_SUBSCRIBED;
	answer.subscribed = &subscribed;
	peer_say(p, &answer, true);
}

int watch_start(struct peer *p, const Control__WatchRequest *request)
{
	struct subscription *s = calloc(1, sizeof(*s));
	struct buf why = BUF_INIT;
	int r;

	if (!s)
		return -ENOMEM;
	s->peer = p;
	s->kinds = request->kinds & WATCH_ALL ? request->kinds & WATCH_ALL : WATCH_ALL;
	r = (s->kinds & WATCH_SAMPLES ? patterns_parse : patterns_parse_subjects)(&s->patterns, request->patterns, request->n_patterns,
	                                                                           control_host(p->control), &why);
	if (r < 0) {
		peer_say_refused(p, r, &why);
		r = -EINVAL;
		goto fail;
	}
	/* What comes into being by being wanted is there before the watch is put on all that is there. */
	r = watch_want(s);
	if (r < 0)
		goto fail;
	if (s->kinds & WATCH_SAMPLES)
		watch_all(s);
	p->subscription = s;
	say_subscribed(p, s->n_series);
	buf_free(&why);
	return 0;
fail:
	watch_stop(s);
	buf_free(&why);
	return r;
}

bool watch_wants_record(const struct subscription *s, const struct kith_record *record)
{
	return s && (s->kinds & WATCH_RECORDS) && patterns_subject(&s->patterns, record->subject ? record->subject : "");
}

bool watch_wants_transition(struct subscription *s, const struct kith_transition *transition)
{
	return s && (s->kinds & WATCH_TRANSITIONS) && patterns_promise(&s->patterns, transition->name, transition->promiser);
}
