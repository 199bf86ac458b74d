/* The recent samples of series, for those who look back. */
#include "control/server.h"
#include "store/trail.h"

static void say_family(struct peer *p, const struct family *f)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__TrailFamily family = CONTROL__TRAIL_FAMILY__INIT;
	Control__TrailMetric metrics[KITH_METRICS_MAX], *list[KITH_METRICS_MAX];

	for (uint32_t i = 0; i < f->n_metrics; i++) {
		const struct metric *m = &f->metrics[i];

		control__trail_metric__init(&metrics[i]);
		metrics[i].name = m->name;
		metrics[i].unit = m->unit;
		metrics[i].kind = (Control__Kind)m->kind;
		metrics[i].event = m->flags & KITH_METRIC_EVENT;
		metrics[i].states = m->states;
		metrics[i].n_states = m->kind == KITH_STATE ? m->n_states : 0;
		list[i] = &metrics[i];
	}
	family.name = f->name;
	if (f->instance_label)
		family.label = f->instance_label;
	family.metrics = list;
	family.n_metrics = f->n_metrics;
	family.stale_after = f->owner->stale_after;
	family.now = loop_now(p->control->loop);
	answer.is_case = CONTROL__ANSWER__IS_TRAIL_FAMILY;
	answer.trail_family = &family;
	peer_say(p, &answer, false);
}

void trail_say(struct peer *p, const struct series *s, const struct family **told)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Trail trail = CONTROL__TRAIL__INIT;
	int64_t times[TRAIL_LENGTH], last = 0;
	double values[TRAIL_LENGTH];
	uint32_t extra[TRAIL_LENGTH];
	size_t n = trail_length(s);

	if (*told != s->instance->family)
		say_family(p, s->instance->family);
	*told = s->instance->family;
	for (size_t i = 0; i < n; i++) {
		struct trail_sample one = trail_at(s, i);

		times[i] = one.time - last;
		values[i] = one.value;
		last = one.time;
		if (one.extra)
			extra[trail.n_extra++] = (uint32_t)i;
	}
	trail.instance = s->instance->name;
	trail.metric = s->metric;
	trail.times = times;
	trail.values = values;
	trail.extra = extra;
	trail.n_times = trail.n_values = n;
	answer.is_case = CONTROL__ANSWER__IS_TRAIL;
	answer.trail = &trail;
	peer_say(p, &answer, false);
}
