/*
 * Exporters hear samples, records and transitions. Only those that ask for samples pay for them: a watch for each series.
 * What they use is theirs alone, not of the plugin whose sample it was. One that fails or uses too much rests; what
 * happens meanwhile passes it by, which is said.
 */
#include "host/impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define TICK_MOST (20 * NS_PER_MS)   /* that an exporter takes of a tick before it is accounted for at once */
#define REST_LEAST (50 * NS_PER_MS)
#define MISSED_EVERY (10 * NS_PER_S) /* how often it is said what passed it by, at most */

struct export_series {
	struct series_watch watch;
	struct export *export;
	struct export_series *next, **link;
};

enum export_what { EXPORT_SAMPLES, EXPORT_RECORDS, EXPORT_TRANSITIONS, N_EXPORT };

struct export {
	struct plugin *plugin;
	struct model_observer observer;
	struct export_series *series;
	/* One for each function, on no list: how often it failed in a row, and how long it rests. They fail and rest apart. */
	struct kith_watch told[N_EXPORT];
	uint64_t missed;
	int64_t missed_said; /* mono ns */
	bool inside;         /* what an exporter causes is not told to itself */
	bool tick;           /* the call began on a tick: its time is taken as there */
};

/* ---- calls into the exporter ------------------------------------------------------------------------------------ */

static void export_say_missed(struct export *e)
{
	uint64_t missed = e->missed;
	int64_t now = clock_mono();

	if (!missed || e->plugin->host->closing || (e->missed_said && now - e->missed_said < MISSED_EVERY))
		return;
	e->missed = 0;
	e->missed_said = now;
	plugin_say(e->plugin, KITH_WARNING, "was not told %llu samples, records or transitions while it rested",
	           (unsigned long long)missed);
}

static bool export_rests(struct export *e, enum export_what what)
{
	const struct kith_watch *sampler = e->plugin->samples;
	struct account *a = &e->plugin->account;
	struct kith_watch *w = &e->told[what];
	int64_t now;

	/* What a tick cost is known at its end, when none of these is at hand: the samples, if it hears any, rest for it. */
	if (a->slowed && a->rest_due >= REST_LEAST && (what == EXPORT_SAMPLES || !e->plugin->d.on_sample)) {
		watch_pause(w, a->rest_due);
		a->rest_due = 0;
	}
	if (!w->retry_at && !(a->slowed && sampler))
		return false;
	now = clock_mono();
	return now < w->retry_at || (a->slowed && sampler && what == EXPORT_SAMPLES && now < sampler->retry_at);
}

/* On a tick a clock of CPU would be most of what a sample costs: there it is the monotonic one. */
static bool export_begin(struct export *e, enum export_what what, struct account_mark *mark)
{
	struct plugin *p = e->plugin;

	if (e->inside || p->state == HOST_STOPPED)
		return false;
	if (export_rests(e, what)) {
		e->missed++;
		return false;
	}
	e->inside = true;
	if (e->missed)
		export_say_missed(e);
	e->tick = p->host->in_tick;
	*mark = e->tick ? (struct account_mark){ clock_mono(), alloc_count() } : account_enter();
	export_spent_before(p->host, mark);
	return true;
}

/* It is still inside while it is accounted for: to be told that it was slowed could slow it again, without end. */
static void export_end(struct export *e, enum export_what what, struct account_mark mark, int result)
{
	int64_t now = e->tick ? clock_mono() : clock_thread_cpu();
	struct plugin *p = e->plugin;

	export_spent_after(p->host, &mark);
	p->host->spent += now - mark.cpu;
	p->host->spent_allocations += alloc_count() - mark.allocations;
	if (e->tick && p->account.tick_took + now - mark.cpu < TICK_MOST) {
		account_sampled(p, &e->told[what], mark.allocations, now - mark.cpu, result);
	} else {
		mark.cpu -= p->account.tick_took;
		p->account.tick_took = 0;
		account_leave(p, &e->told[what], mark, now, result);
	}
	e->inside = false;
}

/* ---- what it is told -------------------------------------------------------------------------------------------- */

static void export_series_free(struct export_series *s)
{
	series_watch_remove(&s->watch);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	free(s);
}

static void export_tell(struct export *e, const struct series *series)
{
	const struct metric *m = series_metric(series);
	const struct family *f = series->instance->family;
	struct kith_metric metric = { m->name, m->unit, m->help, (const char *const *)m->states, m->kind, m->flags };
	struct kith_family family = { .size = sizeof(family), .metric_size = sizeof(metric), .name = f->name, .help = f->help,
		                      .instance = f->instance_label };
	struct kith_sample sample = { .size = sizeof(sample), .id = series->instance->id + series->metric,
		                      .value = series->value, .time = series->time, .family = &family, .metric = &metric,
		                      .instance = series->instance->name };
	struct account_mark mark;

	if (export_begin(e, EXPORT_SAMPLES, &mark))
		export_end(e, EXPORT_SAMPLES, mark, e->plugin->d.on_sample(e->plugin->instance, &sample));
}

static void export_sample(struct series_watch *watch, const struct series *series, enum series_event event)
{
	struct export_series *s = (struct export_series *)(void *)((char *)watch - offsetof(struct export_series, watch));

	if (event == SERIES_END)
		export_series_free(s);
	else if (event == SERIES_SAMPLE)
		export_tell(s->export, series);
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
	/* The clocks alone would cost more than all else that a line of a log goes through. */
	if ((record->flags & KITH_RECORD_LOG) && !(e->plugin->d.provides & KITH_PROVIDES_LOGS))
		return;
	if (e->plugin->d.on_record && export_begin(e, EXPORT_RECORDS, &mark))
		export_end(e, EXPORT_RECORDS, mark, e->plugin->d.on_record(e->plugin->instance, record));
}

static void export_transition(const struct kith_transition *transition, void *user)
{
	struct export *e = user;
	struct account_mark mark;

	if (e->plugin->d.on_transition && export_begin(e, EXPORT_TRANSITIONS, &mark))
		export_end(e, EXPORT_TRANSITIONS, mark, e->plugin->d.on_transition(e->plugin->instance, transition));
}

/* ---- start and end ---------------------------------------------------------------------------------------------- */

/* The series that are put when they change, and have a value: into `ids`, unless it is NULL. Returns how many. */
static size_t export_events(struct model *m, kith_id *ids)
{
	size_t n = 0;

	for (struct family *f = family_first(m); f; f = family_next(f))
		for (struct instance *i = instance_first(f); i; i = instance_next(i))
			for (uint32_t k = 0; k < f->n_metrics; k++) {
				if (!(f->metrics[k].flags & KITH_METRIC_EVENT) || !series_valid(&i->series[k]))
					continue;
				if (ids)
					ids[n] = i->id + k;
				n++;
			}
	return n;
}

/*
 * What is put only when it changes may not come again for days: what it is now is told at the start. By ids, as who is
 * told may make instances and end them.
 */
static void export_tell_events(struct export *e)
{
	struct model *m = e->plugin->host->parts.model;
	size_t n = e->plugin->d.on_sample ? export_events(m, NULL) : 0;
	kith_id *ids = n ? malloc(n * sizeof(*ids)) : NULL;

	if (n && !ids)
		log_err("plugin %s: no memory to tell it what holds now", e->plugin->name);
	n = ids ? export_events(m, ids) : 0;
	for (size_t k = 0; k < n; k++) {
		const struct instance *i = instance_of(m, ids[k]);

		if (i)
			export_tell(e, &i->series[ids[k] - i->id]);
	}
	free(ids);
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
	for (size_t k = 0; k < N_EXPORT; k++)
		e->told[k] = (struct kith_watch){ .plugin = p, .what = WHAT_EXPORT };
	e->observer = (struct model_observer){ .user = e, .on_instance = export_instance, .on_record = export_record,
		                               .on_transition = export_transition };
	p->exports = e;
	model_observe(m, &e->observer);
	for (struct family *f = family_first(m); f; f = family_next(f))
		for (struct instance *i = instance_first(f); i; i = instance_next(i))
			export_instance(i, true, e);
	export_tell_events(e);
}

void export_stop(struct plugin *p)
{
	struct export *e = p->exports;

	if (!e)
		return;
	p->exports = NULL;
	model_unobserve(p->host->parts.model, &e->observer);
	e->missed_said = 0;
	export_say_missed(e);
	while (e->series)
		export_series_free(e->series);
	free(e);
}
