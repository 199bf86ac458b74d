/*
 * What the promise tests share: a model with a few families, an engine whose driver and observer write down what they
 * hear.
 */
#ifndef KITH_TEST_PROMISE_HELP_H
#define KITH_TEST_PROMISE_HELP_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "promises/promises.h"

#define T0 (INT64_C(1800000000) * NS_PER_S)
#define S(x) (T0 + (int64_t)((x) * 1e9))
#define HEARD_MAX 64

struct heard {
	char name[96], promiser[96], user[32], because[512], env[8][600], json[2048], argv[4][64];
	enum kith_assessment from, to;
	uint32_t severity;
	int64_t time;
	uint64_t token;
	int64_t timeout;
};

struct world {
	struct model *m;
	struct owner owner;
	struct family *df, *memory, *interface, *svc;
	struct promises *p;
	struct model_observer observer;
	struct heard transitions[HEARD_MAX], actions[HEARD_MAX];
	char records[HEARD_MAX][512];
	uint32_t priorities[HEARD_MAX];
	unsigned n_transitions, n_actions, n_records, n_arms;
	int64_t armed;
	int act_result;
	unsigned places; /* for actions; 0: without end */
	bool deaf; /* no timer is heard */
};

static const char *const world_updown[] = { "up", "down", "dormant", NULL };
static const struct kith_metric world_df_metrics[] = {
	{ "free", "B", "free", NULL, KITH_GAUGE, 0 },
	{ "free_percent", "%", "free", NULL, KITH_GAUGE, 0 },
	{ "total", "B", "total", NULL, KITH_GAUGE, 0 },
};
static const struct kith_metric world_memory_metrics[] = {
	{ "available", "B", "a", NULL, KITH_GAUGE, 0 },
	{ "available_percent", "%", "a", NULL, KITH_GAUGE, 0 },
};
static const struct kith_metric world_interface_metrics[] = {
	{ "state", "1", "s", world_updown, KITH_STATE, KITH_METRIC_EVENT },
	{ "rx_bytes", "B", "r", NULL, KITH_COUNTER, 0 },
	{ "rx_errors", "errors", "r", NULL, KITH_COUNTER, 0 },
};
static const struct kith_metric world_svc_metrics[] = {
	{ "restarts", "1", "r", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	{ "load", "1", "r", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
};

static inline struct family *world_family(struct world *w, const char *name, const char *label, const struct kith_metric *metrics,
                                          uint32_t n)
{
	struct kith_family f = { KITH_FAMILY_INIT, name, "help", label, metrics, n, 0 };
	struct family *family = NULL;
	const char *why = "";

	ck_assert_msg(family_add(w->m, &w->owner, &f, 0, &family, &why) == 0, "%s", why);
	return family;
}

static inline void world_transition(const struct kith_transition *t, void *user)
{
	struct world *w = user;
	struct heard *h = &w->transitions[w->n_transitions++ % HEARD_MAX];

	snprintf(h->name, sizeof(h->name), "%s", t->name);
	snprintf(h->promiser, sizeof(h->promiser), "%s", t->promiser);
	snprintf(h->because, sizeof(h->because), "%s", t->because);
	h->from = (enum kith_assessment)t->from;
	h->to = (enum kith_assessment)t->to;
	h->severity = t->severity;
	h->time = t->time;
}

static inline void world_record(const struct kith_record *r, uint64_t number, void *user)
{
	struct world *w = user;

	(void)number;
	w->priorities[w->n_records % HEARD_MAX] = r->priority;
	snprintf(w->records[w->n_records % HEARD_MAX], sizeof(w->records[0]), "%s: %s%s%s", r->subject, r->message,
	         r->n_fields == 3 ? " output=" : "", r->n_fields == 3 ? r->fields[2].value : "");
	w->n_records++;
}

static inline void world_arm(int64_t at, void *user)
{
	struct world *w = user;

	if (at == w->armed)
		ck_abort_msg("the same wish again"); /* a passed ck_assert allocates */
	w->armed = at;
	w->n_arms++;
}

static inline int world_act(const struct promise_action *a, void *user)
{
	struct world *w = user;
	struct heard *h = &w->actions[w->n_actions % HEARD_MAX];

	if (w->act_result < 0)
		return w->act_result;
	if (w->places && w->n_actions >= w->places)
		return -EAGAIN;
	w->n_actions++;
	for (int i = 0; i < 8 && a->env[i]; i++)
		snprintf(h->env[i], sizeof(h->env[i]), "%s", a->env[i]);
	for (int i = 0; i < 4 && a->argv[i]; i++)
		snprintf(h->argv[i], sizeof(h->argv[i]), "%s", a->argv[i]);
	snprintf(h->json, sizeof(h->json), "%.*s", (int)a->json_length, a->json);
	snprintf(h->user, sizeof(h->user), "%s", a->user ? a->user : "");
	h->token = a->token;
	h->timeout = a->timeout;
	return 0;
}

static inline struct world *world_new(void)
{
	static const char *const tags[] = { "web", "db" };
	static const struct promises_facts facts = { "web1.example", "ams/r1", tags, 2 };
	struct world *w = calloc(1, sizeof(*w));
	struct promises_driver driver = { w, world_arm, world_act };

	ck_assert_ptr_nonnull(w);
	ck_assert_int_eq(model_new(&w->m), 0);
	w->owner = (struct owner){ .name = "test", .stale_after = 30 * NS_PER_S };
	w->df = world_family(w, "df", "mount point", world_df_metrics, 3);
	w->memory = world_family(w, "memory", NULL, world_memory_metrics, 2);
	w->interface = world_family(w, "interface", "interface", world_interface_metrics, 3);
	w->svc = world_family(w, "svc", "service", world_svc_metrics, 2);
	model_set_now(w->m, T0);
	ck_assert_int_eq(promises_new(w->m, &driver, &facts, &w->p), 0);
	w->observer = (struct model_observer){ .user = w, .on_transition = world_transition, .on_record = world_record };
	model_observe(w->m, &w->observer);
	return w;
}

static inline void world_free(struct world *w)
{
	promises_free(w->p);
	model_unobserve(w->m, &w->observer);
	model_free(w->m);
	free(w);
}

static inline struct instance *world_instance(struct world *w, struct family *f, const char *name)
{
	struct instance *i = NULL;

	ck_assert_int_eq(instance_add(w->m, f, name, &i), 0);
	return i;
}

/* What the loop does when time comes to `now`: the timer first, then whatever happens */
static inline void world_time(struct world *w, int64_t now)
{
	model_set_now(w->m, now);
	if (w->armed && w->armed <= now && !w->deaf) {
		w->armed = 0;
		promises_run(w->p, now);
	}
}

/* A sample of `family:instance:metric` at T0 + seconds; the instance is made when there is none */
static inline void put(struct world *w, const char *family, const char *instance, const char *metric, double value, double seconds)
{
	struct family *f = family_find(w->m, family, strlen(family));
	struct instance *i;
	int k;

	ck_assert_ptr_nonnull(f);
	world_time(w, S(seconds));
	i = world_instance(w, f, instance);
	k = family_metric(f, metric, strlen(metric));
	ck_assert_int_ge(k, 0);
	ck_assert_int_eq(model_put(w->m, &w->owner, i->id + (kith_id)k, value, S(seconds)), 0);
	world_time(w, S(seconds)); /* the end of the round */
}

static inline int world_try(struct world *w, const char *text, int64_t now, struct faults *faults)
{
	struct promises_file file = { "t.promise", text, strlen(text) };

	return promises_load(w->p, &file, 1, now, faults);
}

static inline void world_load_at(struct world *w, const char *text, double seconds)
{
	struct faults faults = { 0 };
	struct buf b = BUF_INIT;
	int r = world_try(w, text, S(seconds), &faults);

	for (struct fault *f = faults.first; f; f = f->next)
		fault_format(f, &b);
	ck_assert_msg(r == 0, "%d:\n%s", r, buf_text(&b));
	buf_free(&b);
	faults_free(&faults);
}

/* One promise b.p of `promiser`, with `keep` and whatever else stands behind it */
static inline void world_keep(struct world *w, const char *promiser, const char *keep)
{
	char text[4096];

	snprintf(text, sizeof(text), "bundle b {\n\tpromise p {\n\t\tpromiser %s\n\t\tkeep %s\n\t}\n}\n", promiser, keep);
	world_load_at(w, text, 0);
}

static inline void done(struct world *w, uint64_t token, int status, bool timed_out, int64_t now)
{
	struct promise_result result = { .status = status, .timed_out = timed_out };

	promises_action_done(w->p, token, &result, now);
}

static inline struct promise_info world_info(struct world *w, size_t index)
{
	struct promise_info info;

	ck_assert_int_eq(promises_get(w->p, index, &info), 0);
	return info;
}

#define is(w, what) ck_assert_str_eq(assessment_name(world_info(w, 0).assessment), what)
#define because(w, text) ck_assert_str_eq(world_info(w, 0).because, text)
#define last(w) (&(w)->transitions[((w)->n_transitions - 1) % HEARD_MAX])

#endif
