#include "cli/replay_past.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/history.h"

#define POINTS_AT_ONCE 4096u

struct track {
	char *family, *instance, *metric, *unit; /* the first three share an allocation, of `family` */
	Control__Kind kind;
	char **states;
	size_t n_states;
	bool event;
	int64_t stale_after;
	int64_t *times;
	double *values;
	int64_t *steps;
	bool *extra;
	size_t n, room;
};

struct tracks {
	struct track *list;
	size_t n;
	bool failed;
	FILE *to;
};

static void tracks_free(struct tracks *all)
{
	for (size_t k = 0; k < all->n; k++) {
		struct track *t = &all->list[k];

		for (size_t i = 0; i < t->n_states; i++)
			free(t->states[i]);
		free(t->states);
		free(t->family);
		free(t->unit);
		free(t->times);
		free(t->values);
		free(t->extra);
		free(t->steps);
	}
	free(all->list);
}

/* ---- hearing ----------------------------------------------------------------------------------------------------------- */

/* FAMILY:METRIC or FAMILY:INSTANCE:METRIC; an instance may hold colons */
static bool split(struct track *t, const char *name)
{
	char *first, *last;

	t->family = strdup(name);
	first = t->family ? strchr(t->family, ':') : NULL;
	last = t->family ? strrchr(t->family, ':') : NULL;
	if (!first)
		return false;
	*first = *last = '\0';
	t->metric = last + 1;
	t->instance = first == last ? last : first + 1;
	return true;
}

static void on_series(const struct history_series *s, void *user)
{
	struct tracks *all = user;
	struct track *more = realloc(all->list, (all->n + 1) * sizeof(*more)), *t;

	if (!more) {
		all->failed = true;
		return;
	}
	all->list = more;
	t = &all->list[all->n++];
	*t = (struct track){ .kind = s->kind, .event = s->event, .stale_after = s->stale_after, .unit = strdup(s->unit) };
	t->states = calloc(s->n_states + 1, sizeof(*t->states));
	while (t->states && t->n_states < s->n_states && (t->states[t->n_states] = strdup(s->states[t->n_states])))
		t->n_states++;
	if (!split(t, s->name) || !t->unit || !t->states || t->n_states < s->n_states)
		all->failed = true;
}

static bool room(struct track *t)
{
	size_t more = t->room ? t->room * 2 : 64;
	int64_t *times, *steps;
	double *values;
	bool *extra;

	if (t->n < t->room)
		return true;
	times = realloc(t->times, more * sizeof(*times));
	t->times = times ? times : t->times;
	values = realloc(t->values, more * sizeof(*values));
	t->values = values ? values : t->values;
	extra = realloc(t->extra, more * sizeof(*extra));
	t->extra = extra ? extra : t->extra;
	steps = realloc(t->steps, more * sizeof(*steps));
	t->steps = steps ? steps : t->steps;
	if (!times || !values || !extra || !steps)
		return false;
	t->room = more;
	return true;
}

static void on_point(const struct history_series *s, const struct history_point *p, void *user)
{
	struct tracks *all = user;
	struct track *t = all->n ? &all->list[all->n - 1] : NULL;

	(void)s;
	/* Between rows it may be another metric's that is known. */
	if (all->failed || !t || (isnan(p->value) && p->step))
		return;
	if (!room(t)) {
		all->failed = true;
		return;
	}
	t->times[t->n] = p->time;
	t->values[t->n] = p->value;
	t->steps[t->n] = p->step;
	t->extra[t->n++] = p->extra;
}

/* ---- telling ----------------------------------------------------------------------------------------------------------- */

static void say(struct tracks *all, Control__Answer__IsCase is, ProtobufCMessage *message)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;

	answer.is_case = is;
	answer.end = (void *)message; /* all have a pointer at the same place */
	all->failed |= !frame_write(all->to, &answer);
}

static void say_points(struct tracks *all, const struct track *t, uint32_t metric)
{
	int64_t times[POINTS_AT_ONCE];
	uint32_t extra[POINTS_AT_ONCE];

	for (size_t at = 0, n; at < t->n; at += n) {
		Control__Trail trail = CONTROL__TRAIL__INIT;

		for (n = 0; n < POINTS_AT_ONCE && at + n < t->n && t->steps[at + n] == t->steps[at]; n++) {
			size_t k = n;

			times[k] = k ? t->times[at + k] - t->times[at + k - 1] : t->times[at];
			if (t->extra[at + k])
				extra[trail.n_extra++] = (uint32_t)k;
		}
		trail.instance = t->instance;
		trail.metric = metric;
		trail.step = t->steps[at];
		trail.n_times = trail.n_values = n;
		trail.times = times;
		trail.values = t->values + at;
		trail.extra = extra;
		say(all, CONTROL__ANSWER__IS_TRAIL, &trail.base);
	}
}

static int by_family(const void *a_, const void *b_)
{
	const struct track *a = a_, *b = b_;
	int r = strcmp(a->family, b->family);

	return r ? r : strcmp(a->metric, b->metric);
}

/* n tracks of one family, by metric */
static void say_family(struct tracks *all, const struct track *list, size_t n, int64_t now)
{
	Control__TrailFamily family = CONTROL__TRAIL_FAMILY__INIT;
	Control__TrailMetric *metrics = calloc(n, sizeof(*metrics)), **pointers = calloc(n, sizeof(*pointers));

	if (!metrics || !pointers) {
		free(metrics);
		free(pointers);
		all->failed = true;
		return;
	}
	family.name = list->family;
	family.label = (char *)"";
	family.stale_after = list->stale_after;
	family.now = now;
	family.metrics = pointers;
	for (size_t k = 0; k < n; k++) {
		Control__TrailMetric *m = &metrics[family.n_metrics];

		if (*list[k].instance)
			family.label = (char *)"instance";
		if (k && !strcmp(list[k].metric, list[k - 1].metric))
			continue;
		control__trail_metric__init(m);
		m->name = list[k].metric;
		m->unit = list[k].unit;
		m->kind = list[k].kind;
		m->event = list[k].event;
		m->n_states = list[k].n_states;
		m->states = list[k].states;
		pointers[family.n_metrics++] = m;
	}
	say(all, CONTROL__ANSWER__IS_TRAIL_FAMILY, &family.base);
	for (size_t k = 0, metric = 0; k < n; k++) {
		metric += k && strcmp(list[k].metric, list[k - 1].metric) != 0;
		say_points(all, &list[k], (uint32_t)metric);
	}
	free(metrics);
	free(pointers);
}

int replay_past(struct cli *cli, char **families, size_t n, int64_t from, FILE *to)
{
	struct tracks all = { .to = to };
	struct history_ask ask = { .patterns = families, .n_patterns = n, .from = from, .raw = true, .series = on_series, .point = on_point,
		                   .user = &all };
	Control__End end = CONTROL__END__INIT;
	int64_t now = clock_wall();
	int status = history_ask(cli, &ask);

	if (status == CLI_YES && !all.failed && all.n) {
		qsort(all.list, all.n, sizeof(*all.list), by_family);
		for (size_t k = 0, m; k < all.n; k += m) {
			for (m = 1; k + m < all.n && !strcmp(all.list[k + m].family, all.list[k].family); m++)
				;
			say_family(&all, all.list + k, m, now);
		}
	}
	say(&all, CONTROL__ANSWER__IS_END, &end.base);
	if (status == CLI_YES && (all.failed || fflush(to) != 0)) {
		cli_fail("the samples of the past cannot be kept: out of memory");
		status = CLI_UNREACHABLE;
	}
	tracks_free(&all);
	return status;
}
