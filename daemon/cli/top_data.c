/* What kith top knows: series with a short history, promises, the daemon's status. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/names.h"
#include "cli/top.h"

/* What people look at first, in this order */
const char *const top_default_patterns[] = {
	"cpu:total:busy_percent", "load:1m", "memory:available", "memory:used", "swap:used", "processes:total",
	        "processes:running",
	"disk:*:read_bytes", "disk:*:write_bytes", "interface:*:rx_bytes", "interface:*:tx_bytes", "df:*:free_percent",
	"kith:cpu_percent", "kith:anonymous", "kith:wakeups",
};
const unsigned top_n_default_patterns = sizeof(top_default_patterns) / sizeof(top_default_patterns[0]);

void top_init(struct top *t, const char *const *patterns, unsigned n)
{
	*t = (struct top){ .patterns = patterns, .n_patterns = n };
}

static void series_free(struct top *t, struct top_series *s)
{
	HASH_DEL(t->series, s);
	free(s->name);
	free(s->unit);
	free(s->state);
	free(s);
}

static void promises_free(struct top *t)
{
	for (unsigned i = 0; i < t->n_promises; i++) {
		free(t->promises[i].name);
		free(t->promises[i].promiser);
		free(t->promises[i].because);
	}
	t->n_promises = 0;
}

void top_free(struct top *t)
{
	while (t->series)
		series_free(t, t->series);
	promises_free(t);
	free(t->promises);
	free(t->status.host);
	free(t->status.version);
}

static unsigned rank_of(const struct top *t, const char *text)
{
	struct name name, pattern;
	char family[NAME_PART_MAX + 1] = "", instance[NAME_INSTANCE_MAX + 1] = "", metric[NAME_PART_MAX + 1] = "";

	if (name_split(text, strlen(text), &name) < 0 || !name.metric.at || name.metric.length > NAME_PART_MAX)
		return t->n_patterns;
	memcpy(family, name.family.at, name.family.length);
	if (name.instance.at)
		memcpy(instance, name.instance.at, name.instance.length);
	memcpy(metric, name.metric.at, name.metric.length);
	for (unsigned i = 0; i < t->n_patterns; i++)
		if (name_split(t->patterns[i], strlen(t->patterns[i]), &pattern) == 0 &&
		    name_match(&pattern, family, instance, metric))
			return i;
	return t->n_patterns;
}

static struct top_series *series_of(struct top *t, const Control__Sample *sample)
{
	struct top_series *s;

	HASH_FIND_STR(t->series, sample->name, s);
	if (s || HASH_COUNT(t->series) >= TOP_SERIES_MAX)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->name = strdup(sample->name);
	s->unit = strdup(sample->unit);
	if (!s->name || !s->unit) {
		free(s->name);
		free(s->unit);
		free(s);
		return NULL;
	}
	s->kind = sample->kind;
	s->rank = rank_of(t, s->name);
	HASH_ADD_KEYPTR(hh, t->series, s->name, strlen(s->name), s);
	t->sorted = false;
	return s;
}

static void history_add(struct top_series *s, double value)
{
	s->value = value;
	s->known = true;
	s->history[s->next] = value;
	s->next = (s->next + 1) % TOP_HISTORY;
	if (s->n < TOP_HISTORY)
		s->n++;
}

void top_sample(struct top *t, const Control__Sample *sample)
{
	struct top_series *s = series_of(t, sample);

	if (!s)
		return;
	s->stale = sample->stale;
	if (sample->value_case == CONTROL__SAMPLE__VALUE_STATE) {
		free(s->state);
		s->state = strdup(sample->state);
	} else if (sample->value_case == CONTROL__SAMPLE__VALUE_NUMBER && sample->time > s->time) {
		if (s->kind != CONTROL__KIND__COUNTER)
			history_add(s, sample->number);
		else if (s->time && sample->number >= s->raw)
			history_add(s, (sample->number - s->raw) / ((double)(sample->time - s->time) / 1e9));
		s->raw = sample->number;
	}
	s->time = sample->time;
}

void top_status(struct top *t, const Control__Status *status)
{
	free(t->status.host);
	free(t->status.version);
	t->last_wakeups = t->status.wakeups;
	t->last_status_time = t->status_time;
	t->status = *status;
	t->status.host = strdup(status->host);
	t->status.version = strdup(status->version);
	t->status_time = clock_mono();
}

void top_promises_begin(struct top *t)
{
	promises_free(t);
	memset(t->counts, 0, sizeof(t->counts));
	t->promises_stale = false;
}

/* Broken and unknown ones are kept before kept ones, should there be more than can be shown. */
static struct top_promise *promise_slot(struct top *t, Control__Assessment assessment)
{
	if (!t->promises)
		t->promises = calloc(TOP_PROMISES_MAX, sizeof(*t->promises));
	if (!t->promises)
		return NULL;
	if (t->n_promises < TOP_PROMISES_MAX)
		return &t->promises[t->n_promises++];
	if (assessment == CONTROL__ASSESSMENT__KEPT)
		return NULL;
	for (unsigned i = 0; i < t->n_promises; i++)
		if (t->promises[i].assessment == CONTROL__ASSESSMENT__KEPT) {
			free(t->promises[i].name);
			free(t->promises[i].promiser);
			free(t->promises[i].because);
			return &t->promises[i];
		}
	return NULL;
}

void top_promise(struct top *t, const Control__Promise *promise)
{
	struct top_promise *p;

	t->counts[promise->assessment < 3 ? promise->assessment : 0]++;
	p = promise_slot(t, promise->assessment);
	if (!p)
		return;
	p->name = strdup(promise->name);
	p->promiser = strdup(promise->promiser);
	p->because = strdup(promise->because);
	p->assessment = promise->assessment;
	p->since = promise->since;
}

static int promise_order(const void *a, const void *b)
{
	static const int order[] = { [CONTROL__ASSESSMENT__UNKNOWN] = 1, [CONTROL__ASSESSMENT__KEPT] = 2,
		                     [CONTROL__ASSESSMENT__BROKEN] = 0 };
	const struct top_promise *x = a, *y = b;

	if (x->assessment != y->assessment)
		return order[x->assessment % 3] - order[y->assessment % 3];
	if (x->since != y->since)
		return x->since < y->since ? 1 : -1;
	return x->name && y->name ? strcmp(x->name, y->name) : 0;
}

void top_promises_end(struct top *t)
{
	if (t->n_promises)
		qsort(t->promises, t->n_promises, sizeof(*t->promises), promise_order);
}

static int series_order(const struct top_series *a, const struct top_series *b)
{
	return a->rank != b->rank ? (a->rank < b->rank ? -1 : 1) : strcmp(a->name, b->name);
}

void top_sort(struct top *t)
{
	if (!t->sorted)
		HASH_SORT(t->series, series_order);
	t->sorted = true;
}
