#include "cli/past.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "base/units.h"
#include "cli/history.h"

#define COLUMNS 24 /* of a line */

struct track {
	char *name;
	char *unit;
	char **states; /* of a state; NULL-terminated */
	Control__Kind kind;
	size_t n;
	int64_t *times;
	double *values;
};

struct past {
	struct track *tracks;
	size_t n;
	Control__TrailFamily *family; /* the last that was told: a packed copy, unpacked */
};

const char *spark(const struct out *o, double share)
{
	static const char *const fine[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const rough[] = { "_", ".", ",", "-", "=", "+", "*", "#" };
	int level = share > 0 ? (int)(share * 7.999) : 0;

	return (o->utf8 ? fine : rough)[level > 7 ? 7 : level];
}

static void track_clear(struct track *t)
{
	free(t->unit);
	for (char **s = t->states; s && *s; s++)
		free(*s);
	free(t->states);
	free(t->times);
	free(t->values);
	*t = (struct track){ .name = t->name };
}

int past_new(char *const *names, size_t n, struct past **ret_past)
{
	struct past *p = calloc(1, sizeof(*p));

	if (p)
		p->tracks = calloc(n ? n : 1, sizeof(*p->tracks));
	if (!p || !p->tracks) {
		past_free(p);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		p->tracks[p->n].name = strdup(names[i]);
		if (!p->tracks[p->n++].name) {
			past_free(p);
			return -ENOMEM;
		}
	}
	*ret_past = p;
	return 0;
}

void past_free(struct past *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		track_clear(&p->tracks[i]);
		free(p->tracks[i].name);
	}
	if (p->family)
		control__trail_family__free_unpacked(p->family, NULL);
	free(p->tracks);
	free(p);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* An answer lives until the next one, a family until its trails are through. */
static void family_keep(struct past *p, const Control__TrailFamily *family)
{
	size_t size = control__trail_family__get_packed_size(family);
	uint8_t *packed = malloc(size ? size : 1);

	if (p->family)
		control__trail_family__free_unpacked(p->family, NULL);
	p->family = NULL;
	if (packed) {
		control__trail_family__pack(family, packed);
		p->family = control__trail_family__unpack(NULL, size, packed);
	}
	free(packed);
}

static struct track *track_find(const struct past *p, const Control__TrailFamily *f, const Control__Trail *trail)
{
	char name[NAME_MAX_LENGTH + 1];

	snprintf(name, sizeof(name), "%s%s%s:%s", f->name, *trail->instance ? ":" : "", trail->instance, f->metrics[trail->metric]->name);
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->tracks[i].name, name))
			return &p->tracks[i];
	return NULL;
}

static bool track_fill(struct track *t, const Control__TrailMetric *m, const Control__Trail *trail)
{
	int64_t time = 0;

	t->n = trail->n_times;
	t->kind = m->kind;
	t->unit = strdup(m->unit);
	t->times = calloc(t->n ? t->n : 1, sizeof(*t->times));
	t->values = calloc(t->n ? t->n : 1, sizeof(*t->values));
	t->states = calloc(m->n_states + 1, sizeof(*t->states));
	if (!t->unit || !t->times || !t->values || !t->states)
		return false;
	for (size_t i = 0; i < t->n; i++) {
		time += trail->times[i];
		t->times[i] = time;
		t->values[i] = trail->values[i];
	}
	for (size_t i = 0; i < m->n_states; i++)
		if (!(t->states[i] = strdup(m->states[i])))
			return false;
	return true;
}

static void on_answer(const Control__Answer *answer, void *user)
{
	struct past *p = user;
	struct track *t;

	if (answer->is_case == CONTROL__ANSWER__IS_TRAIL_FAMILY)
		family_keep(p, answer->trail_family);
	if (answer->is_case != CONTROL__ANSWER__IS_TRAIL || !p->family || answer->trail->metric >= p->family->n_metrics ||
	    answer->trail->n_values != answer->trail->n_times)
		return;
	t = track_find(p, p->family, answer->trail);
	if (!t)
		return;
	track_clear(t);
	if (!track_fill(t, p->family->metrics[answer->trail->metric], answer->trail))
		track_clear(t);
}

void past_ask(struct past *p, struct cli *cli, struct client *client)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__TrailRequest trail = CONTROL__TRAIL_REQUEST__INIT;
	char **names = p ? calloc(p->n ? p->n : 1, sizeof(*names)) : NULL;
	int64_t deadline = ask_deadline(cli);
	const Control__Answer *answer;

	for (size_t i = 0; names && i < p->n; i++)
		names[i] = p->tracks[i].name;
	trail.patterns = names;
	trail.n_patterns = names ? p->n : 0;
	request.ask_case = CONTROL__REQUEST__ASK_TRAIL;
	request.trail = &trail;
	if (trail.n_patterns && client_send(client, &request, deadline) == 0)
		while (client_next(client, deadline, &answer) == 0 && answer->is_case != CONTROL__ANSWER__IS_END &&
		       answer->is_case != CONTROL__ANSWER__IS_FAULT)
			on_answer(answer, p);
	free(names);
}

static struct track *track_named(struct past *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->tracks[i].name, name))
			return &p->tracks[i];
	return NULL;
}

static void on_series(const struct history_series *s, void *user)
{
	struct track *t = track_named(user, s->name);

	if (!t)
		return;
	track_clear(t);
	t->kind = s->kind;
	t->unit = strdup(s->unit);
	t->states = calloc(s->n_states + 1, sizeof(*t->states));
	for (size_t i = 0; t->states && i < s->n_states; i++)
		if (!(t->states[i] = strdup(s->states[i])))
			break;
}

static void on_point(const struct history_series *s, const struct history_point *p, void *user)
{
	struct track *t = track_named(user, s->name);
	int64_t *times;
	double *values;

	if (!t || !t->unit || !t->states || isnan(p->value))
		return;
	if (!(t->n & (t->n - 1))) { /* room for the next power of two */
		times = realloc(t->times, (t->n ? t->n * 2 : 1) * sizeof(*times));
		t->times = times ? times : t->times;
		values = realloc(t->values, (t->n ? t->n * 2 : 1) * sizeof(*values));
		t->values = values ? values : t->values;
		if (!times || !values)
			return;
	}
	t->times[t->n] = p->time;
	t->values[t->n++] = p->value;
}

int past_ask_since(struct past *p, struct cli *cli, int64_t from)
{
	char **names = calloc(p->n ? p->n : 1, sizeof(*names));
	struct history_ask ask = { .patterns = names, .n_patterns = p->n, .from = from, .raw = true, .series = on_series, .point = on_point, .user = p };
	int status;

	if (!names)
		return CLI_UNREACHABLE;
	for (size_t i = 0; i < p->n; i++)
		names[i] = p->tracks[i].name;
	cli->unmatched_fine = true;
	status = p->n ? history_ask(cli, &ask) : CLI_YES;
	free(names);
	return status == CLI_NO ? CLI_YES : status;
}

/* ---- showing ----------------------------------------------------------------------------------------------------- */

static const struct track *track_of(const struct past *p, const char *name)
{
	for (size_t i = 0; p && i < p->n; i++)
		if (!strcmp(p->tracks[i].name, name))
			return p->tracks[i].n >= 2 ? &p->tracks[i] : NULL;
	return NULL;
}

static void state_words(const struct track *t, struct buf *b)
{
	unsigned changes = 0;

	for (size_t i = 1; i < t->n; i++)
		changes += t->values[i] < t->values[i - 1] || t->values[i] > t->values[i - 1];
	if (changes)
		buf_printf(b, "%u change%s", changes, changes == 1 ? "" : "s");
	else
		buf_puts(b, "no change");
}

/* The mean of each of COLUMNS equal spans of time, and the extremes of all; of a counter, of its rate. NaN: nothing in that span. */
static void columns_make(const struct track *t, double columns[COLUMNS], double *low, double *high)
{
	unsigned counts[COLUMNS] = { 0 };
	double span = (double)(t->times[t->n - 1] - t->times[0]) + 1;

	for (size_t i = 0; i < COLUMNS; i++)
		columns[i] = 0;
	for (size_t i = t->kind == CONTROL__KIND__COUNTER; i < t->n; i++) {
		size_t at = (size_t)((double)(t->times[i] - t->times[0]) / span * COLUMNS);
		double value = t->values[i];

		if (t->kind == CONTROL__KIND__COUNTER) {
			double took = (double)(t->times[i] - t->times[i - 1]) / 1e9;

			if (took <= 0)
				continue;
			value = fmax(value - t->values[i - 1], 0) / took;
		}
		at = at < COLUMNS ? at : COLUMNS - 1;
		*low = fmin(*low, value);
		*high = fmax(*high, value);
		columns[at] += value;
		counts[at]++;
	}
	for (size_t i = 0; i < COLUMNS; i++)
		columns[i] = counts[i] ? columns[i] / counts[i] : NAN;
}

static void line_words(const struct track *t, const struct out *o, struct buf *b)
{
	char from[UNIT_TEXT_MAX], to[UNIT_TEXT_MAX], unit[80];
	double columns[COLUMNS], low = INFINITY, high = -INFINITY;
	bool flat;

	columns_make(t, columns, &low, &high);
	if (!isfinite(low))
		return;
	snprintf(unit, sizeof(unit), "%s%s", t->kind == CONTROL__KIND__COUNTER && !strcmp(t->unit, "1") ? "" : t->unit,
	         t->kind == CONTROL__KIND__COUNTER ? "/s" : "");
	unit_format(low, unit, from, sizeof(from));
	unit_format(high, unit, to, sizeof(to));
	flat = !strcmp(from, to);
	/* Between two samples it was what it had been. */
	for (size_t i = 0, known = 0; i < COLUMNS; i++) {
		if (!isnan(columns[i]))
			known = i;
		if (!isnan(columns[known]))
			buf_puts(b, spark(o, !flat ? (columns[known] - low) / (high - low) : 0.4));
	}
	buf_printf(b, " %s%s%s", from, flat ? "" : " to ", flat ? "" : to);
}

void past_words(const struct past *p, const char *name, const struct out *o, struct buf *b)
{
	const struct track *t = track_of(p, name);
	char span[32];
	size_t before = b->length;

	if (!t)
		return;
	if (t->kind == CONTROL__KIND__STATE)
		state_words(t, b);
	else
		line_words(t, o, b);
	if (b->length > before)
		buf_printf(b, " in %s", ago_text(t->times[0], t->times[t->n - 1], span, sizeof(span)));
}

json_t *past_json(const struct past *p, const char *name)
{
	const struct track *t = track_of(p, name);
	json_t *list;

	if (!t)
		return json_null();
	list = json_array();
	for (size_t i = 0; i < t->n; i++) {
		json_t *o = json_object();
		size_t state = 0;

		while (t->states[state] && (double)state < t->values[i])
			state++;
		json_object_set_new(o, "time", json_time(t->times[i]));
		json_object_set_new(o, "value", t->kind == CONTROL__KIND__STATE ? json_text(t->states[state]) : json_double(t->values[i]));
		json_array_append_new(list, o);
	}
	return list;
}
