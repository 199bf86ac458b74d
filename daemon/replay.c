/*
 * kithd --replay: holds promise files against samples of the past. They come as frames of TrailFamily and Trail on standard input; what was found goes
 * as frames to standard output: kith replay shows it. The same model and engine as ever, with the samples' own time; nothing is run.
 */
#include "daemon.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control.pb-c.h"
#include "control/frame.h"

#define SAMPLES_MAX (1u << 24)
#define TICK NS_PER_S /* so often it is looked for samples that stay out */

struct event {
	int64_t time;
	double value; /* NaN: it is not known from then on */
	const char *instance;
	struct past_family *family;
	int64_t step;
	uint32_t metric;
	bool extra;
	size_t number; /* those of one time stay in their order */
};

/* A family as it was; its message is kept, as all names are its own */
struct past_family {
	struct past_family *next;
	struct owner owner;
	struct family *family;
	Control__Answer *said;
};

struct past_message {
	struct past_message *next;
	Control__Answer *said;
};

/* How long a promise was what */
struct tally {
	UT_hash_handle hh;
	char *key; /* name, a line break, promiser */
	int64_t since, lasted[3];
	enum kith_assessment assessment;
	unsigned broke;
};

struct replay {
	struct daemon *d;
	struct past_family *families;
	struct past_message *messages; /* that events point into */
	struct event *events;
	size_t n, size;
	uint32_t n_series;
	const Control__Trail *last; /* of last_family */
	const struct past_family *last_family;
	int64_t armed, now, from, to;
	struct tally *tallies;
	struct model_observer observer;
	bool failed;
};

/* ---- frames ------------------------------------------------------------------------------------------------------ */

/* NULL: no more of them, or *ret_error */
static Control__Answer *hear(int *ret_error)
{
	uint8_t header[FRAME_HEADER], *packed;
	Control__Answer *answer = NULL;
	size_t n = fread(header, 1, sizeof(header), stdin), size;

	*ret_error = n ? -EPROTO : 0;
	if (n < sizeof(header))
		return NULL;
	*ret_error = -EPROTO;
	size = frame_length(header);
	if (size > FRAME_ANSWER_MAX)
		return NULL;
	packed = malloc(size ? size : 1);
	if (packed && fread(packed, 1, size, stdin) == size)
		answer = control__answer__unpack(NULL, size, packed);
	free(packed);
	if (answer)
		*ret_error = 0;
	return answer;
}

static int take_family(struct replay *r, Control__Answer *said)
{
	const Control__TrailFamily *from = said->trail_family;
	struct past_family *f = calloc(1, sizeof(*f));
	struct kith_metric *metrics = calloc(from->n_metrics ? from->n_metrics : 1, sizeof(*metrics));
	const char ***states = calloc(from->n_metrics ? from->n_metrics : 1, sizeof(*states));
	struct kith_family family = { KITH_FAMILY_INIT, from->name, "", *from->label ? from->label : NULL, metrics,
		                      (uint32_t)from->n_metrics, 0 };
	const char *why = "";
	int err = f && metrics && states ? 0 : -ENOMEM;

	for (size_t i = 0; i < from->n_metrics && !err; i++) {
		const Control__TrailMetric *m = from->metrics[i];

		metrics[i] = (struct kith_metric){ .name = m->name, .unit = m->unit, .help = "", .kind = (uint32_t)m->kind,
			                           .flags = m->event ? KITH_METRIC_EVENT : 0 };
		states[i] = calloc(m->n_states + 1, sizeof(*states[i]));
		err = states[i] ? 0 : -ENOMEM;
		for (size_t k = 0; k < m->n_states && !err; k++)
			states[i][k] = m->states[k];
		if (m->kind == CONTROL__KIND__STATE)
			metrics[i].states = states[i];
	}
	if (!err) {
		f->owner = (struct owner){ .name = from->name, .stale_after = from->stale_after };
		f->said = said;
		f->next = r->families;
		err = family_add(r->d->model, &f->owner, &family, 0, &f->family, &why);
	}
	if (err == -EINVAL)
		fprintf(stderr, "kithd: the family %s of the past cannot be used: %s\n", from->name, why);
	if (!err) {
		r->families = f;
		if (from->now > r->to)
			r->to = from->now;
	}
	for (size_t i = 0; states && i < from->n_metrics; i++)
		free(states[i]);
	free(states);
	free(metrics);
	if (err)
		free(f);
	return err;
}

static int take_trail(struct replay *r, Control__Answer *said)
{
	const Control__Trail *t = said->trail;
	struct past_message *message;
	int64_t time = 0;
	size_t extra = 0;

	if (!r->families || t->metric >= r->families->said->trail_family->n_metrics || t->n_times != t->n_values)
		return -EPROTO;
	while (r->n + t->n_times > r->size) {
		size_t size = r->size ? r->size * 2 : 4096;
		struct event *events = size <= SAMPLES_MAX ? realloc(r->events, size * sizeof(*events)) : NULL;

		if (!events)
			return -ENOMEM;
		r->events = events;
		r->size = size;
	}
	message = malloc(sizeof(*message));
	if (!message)
		return -ENOMEM;
	*message = (struct past_message){ r->messages, said };
	r->messages = message;
	for (size_t i = 0; i < t->n_times; i++) {
		bool is_extra = extra < t->n_extra && t->extra[extra] == i;

		time += t->times[i];
		extra += is_extra;
		r->events[r->n] = (struct event){ time, t->values[i], t->instance, r->families, t->step > 0 ? t->step : 0, t->metric, is_extra, r->n };
		r->n++;
	}
	/* One of many samples comes in several pieces. */
	r->n_series += !r->last || r->last->metric != t->metric || r->last_family != r->families || strcmp(r->last->instance, t->instance) != 0;
	r->last = t;
	r->last_family = r->families;
	return 0;
}

static int read_past(struct replay *r)
{
	Control__Answer *said;
	int err;

	while ((said = hear(&err))) {
		bool kept = false, last = said->is_case == CONTROL__ANSWER__IS_END;

		if (said->is_case == CONTROL__ANSWER__IS_TRAIL_FAMILY)
			kept = (err = take_family(r, said)) == 0;
		else if (said->is_case == CONTROL__ANSWER__IS_TRAIL)
			kept = (err = take_trail(r, said)) == 0;
		if (!kept)
			control__answer__free_unpacked(said, NULL);
		if (err || last)
			break;
	}
	if (err)
		fprintf(stderr, "kithd: the samples of the past cannot be read: %s\n", strerror(-err));
	return err;
}

/* ---- as it went -------------------------------------------------------------------------------------------------- */

static struct tally *tally_of(struct replay *r, const char *name, const char *promiser)
{
	struct tally *t = NULL;
	char *key = NULL;

	if (asprintf(&key, "%s\n%s", name, promiser) < 0)
		key = NULL;
	if (key)
		HASH_FIND_STR(r->tallies, key, t);
	if (t || !key || !(t = calloc(1, sizeof(*t)))) {
		r->failed |= !t;
		free(key);
		return t;
	}
	t->key = key;
	t->since = r->from;
	HASH_ADD_KEYPTR(hh, r->tallies, t->key, strlen(t->key), t);
	return t;
}

static void tally_until(struct tally *t, int64_t time)
{
	if (time > t->since) {
		t->lasted[t->assessment] += time - t->since;
		t->since = time;
	}
}

static void on_transition(const struct kith_transition *from, void *user)
{
	struct replay *r = user;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Transition t = CONTROL__TRANSITION__INIT;
	struct tally *tally = tally_of(r, from->name, from->promiser);

	if (!tally)
		return;
	tally_until(tally, from->time);
	tally->assessment = (enum kith_assessment)from->to;
	if (from->time < r->from)
		return;
	tally->broke += from->to == KITH_BROKEN;
	t.time = from->time;
	t.name = (char *)(uintptr_t)from->name;
	t.promiser = (char *)(uintptr_t)from->promiser;
	t.from = (Control__Assessment)from->from;
	t.to = (Control__Assessment)from->to;
	t.severity = from->severity;
	t.because = (char *)(uintptr_t)from->because;
	answer.is_case = CONTROL__ANSWER__IS_TRANSITION;
	answer.transition = &t;
	frame_write(stdout, &answer);
}

static void on_arm(int64_t at, void *user)
{
	struct replay *r = user;

	r->armed = at;
}

/* Deadlines until then, and samples that stayed out. Samples of one time are one round: its end is when another comes. */
static void moment_comes(struct replay *r, int64_t time)
{
	int64_t at;

	while ((at = r->armed) && at <= time && time > r->now) {
		r->armed = 0;
		model_set_now(r->d->model, at);
		promises_run(r->d->promises, at);
	}
	if (time == r->now)
		return;
	r->now = time;
	model_set_now(r->d->model, time);
	for (struct past_family *f = r->families; f; f = f->next)
		model_expire(r->d->model, &f->owner, time);
}

/* All that time alone brings until then: tick by tick, as long as something may have to be missed */
static void time_comes(struct replay *r, int64_t time)
{
	int64_t from = r->now, longest = 0;

	for (struct past_family *f = r->families; f; f = f->next)
		longest = f->owner.stale_after > longest ? f->owner.stale_after : longest;
	for (int64_t at = from + TICK; at < time && at - from <= longest + TICK; at += TICK)
		moment_comes(r, at);
	moment_comes(r, time);
}

static int by_time(const void *a_, const void *b_)
{
	const struct event *a = a_, *b = b_;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

/* What is known for each minute alone is no older for that. */
static int64_t stale_after(const struct event *e)
{
	int64_t own = e->family->said->trail_family->stale_after;

	return own && own < 2 * e->step ? 2 * e->step : own;
}

static void feed(struct replay *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct event *e = &r->events[i];
		struct owner *owner = &e->family->owner;
		struct instance *instance = NULL;

		time_comes(r, e->time);
		if (instance_add(r->d->model, e->family->family, e->instance, &instance) < 0)
			continue;
		if (isnan(e->value)) {
			model_lose(r->d->model, &instance->series[e->metric]);
			continue;
		}
		owner->stale_after = stale_after(e);
		owner->extra = e->extra;
		model_put(r->d->model, owner, instance->id + e->metric, e->value, e->time);
		owner->extra = false;
	}
	time_comes(r, r->to + 1); /* the last round's end */
}

static void say_span(const struct replay *r)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__ReplaySpan span = CONTROL__REPLAY_SPAN__INIT;

	span.from = r->from;
	span.to = r->to;
	span.series = r->n_series;
	span.samples = r->n;
	answer.is_case = CONTROL__ANSWER__IS_REPLAY_SPAN;
	answer.replay_span = &span;
	frame_write(stdout, &answer);
}

static void say_promise(struct replay *r, const struct promise_info *info)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__ReplayPromise one = CONTROL__REPLAY_PROMISE__INIT;
	Control__Promise promise = CONTROL__PROMISE__INIT;
	struct tally *t = tally_of(r, info->name, info->promiser);

	if (!t)
		return;
	tally_until(t, r->to);
	promise.name = (char *)(uintptr_t)info->name;
	promise.promiser = (char *)(uintptr_t)info->promiser;
	promise.assessment = (Control__Assessment)info->assessment;
	promise.since = info->since;
	promise.severity = info->severity;
	promise.because = (char *)(uintptr_t)info->because;
	one.promise = &promise;
	one.broke = t->broke;
	one.kept = t->lasted[KITH_KEPT];
	one.broken = t->lasted[KITH_BROKEN];
	one.unknown = t->lasted[KITH_UNKNOWN];
	answer.is_case = CONTROL__ANSWER__IS_REPLAY_PROMISE;
	answer.replay_promise = &one;
	frame_write(stdout, &answer);
}

static int load(struct replay *r, struct faults *faults)
{
	struct promises_driver driver = { r, on_arm, NULL };
	struct promises_file *files = NULL;
	struct promises_facts facts;
	struct faults conf_faults = { 0 };
	struct daemon *d = r->d;
	size_t n = 0;
	int err = test_read_named(&d->options, &files, &n, faults);

	if (err < 0)
		return err;
	/* For the tags and the host's name alone; what is wrong with it is not asked here. */
	err = conf_load_faulty(d->options.config, d->options.config_given, &d->conf, &conf_faults);
	faults_free(&conf_faults);
	if (!err) {
		promised_facts(d, d->conf, &facts);
		err = promises_new(d->model, &driver, &facts, &d->promises);
	}
	if (!err && !faults->n_errors)
		err = promises_load(d->promises, files, n, r->now, faults);
	promised_free_files(files, n);
	return err;
}

static int replay(struct replay *r, struct faults *faults)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__End end = CONTROL__END__INIT;
	struct promise_info info;
	int err = read_past(r);

	if (err < 0)
		return err;
	qsort(r->events, r->n, sizeof(*r->events), by_time);
	r->now = r->n ? r->events[0].time : clock_wall();
	if (!r->n || r->to < r->events[r->n - 1].time)
		r->to = r->n ? r->events[r->n - 1].time : r->now;
	r->from = r->d->options.replay_from > r->now ? r->d->options.replay_from : r->now;
	r->to = r->to > r->from ? r->to : r->from;
	model_set_now(r->d->model, r->now);
	r->observer = (struct model_observer){ .user = r, .on_transition = on_transition };
	model_observe(r->d->model, &r->observer);
	say_span(r);
	err = load(r, faults);
	if (err < 0 || faults->n_errors)
		return err;
	feed(r);
	for (size_t i = 0; promises_get(r->d->promises, i, &info) == 0; i++)
		say_promise(r, &info);
	answer.is_case = CONTROL__ANSWER__IS_END;
	answer.end = &end;
	frame_write(stdout, &answer);
	return r->failed ? -ENOMEM : 0;
}

static void replay_free(struct replay *r)
{
	while (r->tallies) {
		struct tally *t = r->tallies;

		HASH_DEL(r->tallies, t);
		free(t->key);
		free(t);
	}
	promises_free(r->d->promises);
	r->d->promises = NULL;
	if (r->observer.user)
		model_unobserve(r->d->model, &r->observer);
	model_free(r->d->model);
	r->d->model = NULL;
	while (r->messages) {
		struct past_message *next = r->messages->next;

		control__answer__free_unpacked(r->messages->said, NULL);
		free(r->messages);
		r->messages = next;
	}
	while (r->families) {
		struct past_family *next = r->families->next;

		control__answer__free_unpacked(r->families->said, NULL);
		free(r->families);
		r->families = next;
	}
	free(r->events);
}

/* `work` with a model of its own: exit status */
static int run(struct daemon *d, int (*work)(struct replay *r, struct faults *faults), bool warnings)
{
	struct replay r = { .d = d };
	struct faults faults = { 0 };
	int err;

	log_set_level(LOG_LEVEL_ERR);
	if (model_new(&d->model) < 0)
		return 1;
	err = work(&r, &faults);
	if (warnings || faults.n_errors)
		test_print_faults(&faults);
	if (err < 0 && !faults.n_errors)
		fprintf(stderr, "kithd: the past cannot be replayed: %s\n", strerror(-err));
	err = err < 0 || faults.n_errors || fflush(stdout) != 0;
	faults_free(&faults);
	replay_free(&r);
	conf_free(d->conf);
	host_facts_free(&d->facts);
	return err;
}

int replay_run(struct daemon *d)
{
	return run(d, replay, true);
}

static void print_family(const char *family, void *user)
{
	(void)user;
	puts(family);
}

/* Which samples are needed at all */
static int families(struct replay *r, struct faults *faults)
{
	int err;

	r->now = clock_wall();
	model_set_now(r->d->model, r->now);
	err = load(r, faults);
	if (err == 0 && !faults->n_errors)
		promises_families(r->d->promises, print_family, NULL);
	return err;
}

int replay_families(struct daemon *d)
{
	/* Nothing is known of any yet: warnings are for when there is. */
	return run(d, families, false);
}
