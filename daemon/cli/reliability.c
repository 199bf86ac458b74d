/* kith promises --reliability: how well each promise was kept over an hour, a day, 30 days */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/status.h"

#define KNOWN_ALL 99.95 /* percent: it would be shown as 100 */

/* "1h", "1d", "30d": the name of a window */
static const char *window_name(int64_t window, char *text, size_t size)
{
	int64_t hours = window / (3600 * NS_PER_S);

	if (hours % 24 == 0 && hours)
		snprintf(text, size, "%lldd", (long long)(hours / 24));
	else
		snprintf(text, size, "%lldh", (long long)hours);
	return text;
}

/* -1: it was neither kept nor broken */
static double reliability_percent(const Control__Reliability *r)
{
	double kept = (double)r->kept, broken = (double)r->broken;

	return kept + broken > 0 ? 100 * kept / (kept + broken) : -1;
}

/* What was broken for a moment in a month is not shown as if it had not been. */
static void percent_text(double percent, char *text, size_t size)
{
	if (percent < 100 && percent > 99.99)
		snprintf(text, size, ">99.99 %%");
	else if (percent < 100 && percent > 99)
		snprintf(text, size, "%.2f %%", percent);
	else
		snprintf(text, size, "%.3g %%", percent);
}

static void window_cell(struct table *t, const Control__Reliability *r)
{
	double percent = reliability_percent(r), known = 100 * (double)(r->kept + r->broken) / (double)(r->window ? r->window : 1);
	enum out_color color = percent < 0 ? OUT_DIM : percent < 99 ? OUT_RED : percent < 100 ? OUT_YELLOW : OUT_GREEN;
	char text[32];

	if (percent < 0) {
		table_cell(t, color, "-");
		return;
	}
	percent_text(percent, text, sizeof(text));
	if (known >= KNOWN_ALL)
		table_cell(t, color, "%s", text);
	else
		table_cell(t, color, known < 0.1 ? "%s of <0.1 %%" : "%s of %.2g %%", text, known);
}

static void duration_cell(struct table *t, double seconds)
{
	char text[UNIT_TEXT_MAX];

	table_cell(t, OUT_PLAIN, "%s", seconds > 0 ? unit_format(seconds, "s", text, sizeof(text)) : "-");
}

void reliability_row(struct table *t, const Control__Promise *p)
{
	const Control__Reliability *last = p->n_reliability ? p->reliability[p->n_reliability - 1] : NULL;

	table_cell(t, assessment_color(p->assessment), "%s", assessment_text(p->assessment));
	table_cell(t, OUT_BOLD, "%s", p->name);
	table_cell(t, OUT_PLAIN, "%s", p->promiser);
	for (size_t i = 0; i < 3; i++) {
		if (i < p->n_reliability)
			window_cell(t, p->reliability[i]);
		else
			table_cell(t, OUT_DIM, "-");
	}
	table_cell(t, OUT_PLAIN, "%llu", (unsigned long long)(last ? last->breaks : 0));
	table_cell(t, OUT_PLAIN, "%llu", (unsigned long long)(last ? last->repairs : 0));
	duration_cell(t, last ? (double)last->longest / 1e9 : 0);
	duration_cell(t, last && last->mends ? (double)last->mend_time / (double)last->mends / 1e9 : 0);
	if (p->flapping)
		table_cell(t, OUT_YELLOW, "flapping");
	else
		table_cell(t, OUT_PLAIN, "-");
}

static json_t *window_json(const Control__Reliability *r)
{
	json_t *o = json_object();
	double percent = reliability_percent(r);
	int64_t unknown = r->window - r->kept - r->broken;

	json_object_set_new(o, "kept_seconds", json_double((double)r->kept / 1e9));
	json_object_set_new(o, "broken_seconds", json_double((double)r->broken / 1e9));
	json_object_set_new(o, "unknown_seconds", json_double(unknown > 0 ? (double)unknown / 1e9 : 0));
	json_object_set_new(o, "reliability", percent < 0 ? json_null() : json_double(percent / 100));
	json_object_set_new(o, "breaks", json_u64(r->breaks));
	json_object_set_new(o, "repairs", json_u64(r->repairs));
	json_object_set_new(o, "mends", json_u64(r->mends));
	json_object_set_new(o, "mend_seconds", r->mends ? json_double((double)r->mend_time / (double)r->mends / 1e9) : json_null());
	json_object_set_new(o, "longest_break_seconds", json_double((double)r->longest / 1e9));
	return o;
}

json_t *reliability_json(const Control__Promise *p)
{
	json_t *o = json_object();
	char name[32];

	for (size_t i = 0; i < p->n_reliability; i++)
		json_object_set_new(o, window_name(p->reliability[i]->window, name, sizeof(name)), window_json(p->reliability[i]));
	return o;
}
