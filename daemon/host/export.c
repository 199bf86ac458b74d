/* Exporters hear samples, records and transitions. Only those that ask for samples pay for them. */
#include "host/impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

struct export_series {
	struct series_watch watch;
	struct export *export;
	struct export_series *next, **link;
};

struct export {
	struct plugin *plugin;
	struct model_observer observer;
	struct export_series *series;
	bool inside; /* what an exporter records is not told to itself */
};

static void export_done(struct export *e, struct account_mark mark, int result)
{
	e->inside = false;
	account_leave(e->plugin, NULL, mark, clock_thread_cpu(), result);
}

static void export_series_free(struct export_series *s)
{
	series_watch_remove(&s->watch);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	free(s);
}

static void export_sample(struct series_watch *watch, const struct series *series, enum series_event event)
{
	struct export_series *s = (struct export_series *)(void *)((char *)watch - offsetof(struct export_series, watch));
	struct export *e = s->export;
	const struct metric *m = series_metric(series);
	const struct family *f = series->instance->family;
	struct kith_metric metric = { m->name, m->unit, m->help, (const char *const *)m->states, m->kind, m->flags };
	struct kith_family family = { .size = sizeof(family), .metric_size = sizeof(metric), .name = f->name, .help = f->help,
		                      .instance = f->instance_label };
	struct kith_sample sample = { .size = sizeof(sample), .id = series->instance->id + series->metric,
		                      .value = series->value, .time = series->time, .family = &family, .metric = &metric,
		                      .instance = series->instance->name };
	struct account_mark mark;

	if (event == SERIES_END) {
		export_series_free(s);
		return;
	}
	if (event != SERIES_SAMPLE || e->inside || e->plugin->state == HOST_STOPPED)
		return;
	mark = account_enter();
	e->inside = true;
	export_done(e, mark, e->plugin->d.on_sample(e->plugin->instance, &sample));
}

static void export_instance(struct instance *instance, bool begins, void *user)
{
	struct export *e = user;

	if (!begins || !e->plugin->d.on_sample)
		return;
	for (uint32_t k = 0; k < instance->family->n_metrics; k++) {
		struct export_series *s = calloc(1, sizeof(*s));

		if (!s) {
			log_err("plugin %s: no memory to export %s", e->plugin->name, instance->family->name);
			return;
		}
		s->export = e;
		s->watch.fn = export_sample;
		s->next = e->series;
		s->link = &e->series;
		if (s->next)
			s->next->link = &s->next;
		e->series = s;
		series_watch_add(&instance->series[k], &s->watch);
	}
}

static void export_record(const struct kith_record *record, uint64_t number, void *user)
{
	struct export *e = user;
	struct account_mark mark;

	(void)number;
	if (!e->plugin->d.on_record || e->inside || e->plugin->state == HOST_STOPPED)
		return;
	mark = account_enter();
	e->inside = true;
	export_done(e, mark, e->plugin->d.on_record(e->plugin->instance, record));
}

static void export_transition(const struct kith_transition *transition, void *user)
{
	struct export *e = user;
	struct account_mark mark;

	if (!e->plugin->d.on_transition || e->inside || e->plugin->state == HOST_STOPPED)
		return;
	mark = account_enter();
	e->inside = true;
	export_done(e, mark, e->plugin->d.on_transition(e->plugin->instance, transition));
}

void export_start(struct plugin *p)
{
	struct model *m = p->host->parts.model;
	struct export *e;

	if (!(p->d.provides & KITH_PROVIDES_EXPORTER))
		return;
	e = calloc(1, sizeof(*e));
	if (!e) {
		log_err("plugin %s: no memory to export", p->name);
		return;
	}
	e->plugin = p;
	e->observer = (struct model_observer){ .user = e, .on_instance = export_instance, .on_record = export_record,
		                               .on_transition = export_transition };
	p->exports = e;
	model_observe(m, &e->observer);
	for (struct family *f = family_first(m); f; f = family_next(f))
		for (struct instance *i = instance_first(f); i; i = instance_next(i))
			export_instance(i, true, e);
}

void export_stop(struct plugin *p)
{
	struct export *e = p->exports;

	if (!e)
		return;
	p->exports = NULL;
	model_unobserve(p->host->parts.model, &e->observer);
	while (e->series)
		export_series_free(e->series);
	free(e);
}
