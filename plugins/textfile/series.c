/*
 * Samples become series. A metric is a family of its name with the metric `value`; its labels' values, in the order of the labels' names and joined
 * by slashes, are the instance: node_md_disks{device="md0",state="active"} is node_md_disks:md0/active:value.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "textfile/textfile.h"

#define INSTANCE_MAX 255

/* ---- families --------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, size_t length, const char *suffix)
{
	size_t n = strlen(suffix);

	return length > n && !memcmp(text + length - n, suffix, n);
}

static const char *unit_of(const char *name)
{
	static const struct { const char *suffix, *unit; } units[] = {
		{ "_bytes", "B" }, { "_seconds", "s" }, { "_percent", "%" }, { "_celsius", "Cel" }, { "_hertz", "Hz" },
	};
	size_t n = strlen(name);

	if (ends_with(name, n, "_count") || ends_with(name, n, "_bucket"))
		return "1";
	if (ends_with(name, n, "_total"))
		n -= 6;
	else if (ends_with(name, n, "_sum"))
		n -= 4;
	for (size_t k = 0; k < KITH_COUNT(units); k++)
		if (ends_with(name, n, units[k].suffix))
			return units[k].unit;
	return "1";
}

static uint32_t kind_of(const struct prom_sample *s)
{
	size_t n = strlen(s->name);

	switch (s->type) {
	case PROM_COUNTER:
		return KITH_COUNTER;
	case PROM_GAUGE:
		return KITH_GAUGE;
	case PROM_HISTOGRAM:
		return KITH_COUNTER;
	case PROM_SUMMARY:
		return ends_with(s->name, n, "_sum") || ends_with(s->name, n, "_count") ? KITH_COUNTER : KITH_GAUGE;
	case PROM_UNTYPED:
		break;
	}
	return ends_with(s->name, n, "_total") ? KITH_COUNTER : KITH_GAUGE;
}

/*
 * Lower case, a colon is an underscore. A name of one word could be that of a plugin that is started later: "textfile_" stands before it, as before one
 * that is taken.
 */
static int family_name(const char *name, bool prefixed, char to[64])
{
	int n = snprintf(to, 64, "%s%s", prefixed || !strchr(name, '_') ? "textfile_" : "", name);

	if (n >= 64)
		return -ENAMETOOLONG;
	for (; *to; to++)
		*to = *to >= 'A' && *to <= 'Z' ? (char)(*to - 'A' + 'a') : *to == ':' ? '_' : *to;
	return 0;
}

/* An empty label is none, as Prometheus has it. */
static bool is_labelled(const struct prom_sample *s)
{
	for (size_t k = 0; k < s->n_labels; k++)
		if (*s->labels[k].value)
			return true;
	return false;
}

static int declare(struct textfile *t, const struct prom_sample *s, struct metric *m)
{
	char labels[200] = "";
	const struct kith_metric metric = { "value", unit_of(s->name), *s->help ? s->help : "of a drop-in file", NULL, kind_of(s), KITH_METRIC_EVENT };
	struct kith_family family = { KITH_FAMILY_INIT, m->family_name, metric.help, m->labelled ? labels : NULL, &metric, 1, 0 };
	size_t n = 0;
	int r;

	for (size_t k = 0; k < s->n_labels && n < sizeof(labels); k++)
		n += (size_t)snprintf(labels + n, sizeof(labels) - n, "%s%s", k ? "/" : "", s->labels[k].name);
	for (int prefixed = 0; prefixed < 2; prefixed++) {
		r = family_name(s->name, prefixed != 0, m->family_name);
		if (r == 0)
			r = t->h->declare(t->h, &family, &m->family);
		if (r != -EEXIST)
			return r;
	}
	return r;
}

static int metric_get(struct textfile *t, const struct prom_sample *s, struct metric **ret_metric, char *why, size_t size)
{
	size_t length = strlen(s->name);
	struct metric *m;
	int r;

	HASH_FIND(hh, t->metrics, s->name, length, m);
	if (m) {
		*ret_metric = m;
		return 0;
	}
	if (HASH_COUNT(t->metrics) >= t->max_families) {
		snprintf(why, size, "more than %u different metrics (max_metrics)", t->max_families);
		return -ENOSPC;
	}
	m = calloc(1, sizeof(*m) + length + 1);
	if (!m)
		return -ENOMEM;
	m->labelled = is_labelled(s);
	memcpy(m->name, s->name, length);
	r = declare(t, s, m);
	if (r < 0) {
		snprintf(why, size, "%.60s cannot be a family: %s", s->name,
		         r == -ENAMETOOLONG ? "its name is longer than 63 bytes" : strerror(-r));
		free(m);
		return r;
	}
	HASH_ADD(hh, t->metrics, name[0], length, m);
	*ret_metric = m;
	return 0;
}

/* ---- series ----------------------------------------------------------------------------------------------------- */

/* Control characters as \ooo; the values are UTF-8 already */
static int instance_name(const struct prom_sample *s, char to[INSTANCE_MAX + 1])
{
	size_t n = 0;

	for (size_t k = 0; k < s->n_labels && is_labelled(s); k++) {
		if (k && n < INSTANCE_MAX)
			to[n++] = '/';
		for (const unsigned char *c = (const unsigned char *)s->labels[k].value; *c; c++) {
			bool c1 = *c == 0xc2 && c[1] < 0xa0, bad = *c < 0x20 || *c == 0x7f || c1;

			if (n + (c1 ? 8 : 4) > INSTANCE_MAX)
				return -ENAMETOOLONG;
			if (bad)
				n += (size_t)snprintf(to + n, 5, "\\%03o", *c);
			else
				to[n++] = (char)*c;
			if (c1)
				n += (size_t)snprintf(to + n, 5, "\\%03o", *++c);
		}
	}
	to[n] = '\0';
	return 0;
}

static void series_end(struct series *s)
{
	struct textfile *t = s->file->t;

	t->h->end(t->h, s->id);
	s->file->n_series--;
	HASH_DEL(t->series, s);
	free(s);
}

static int series_get(struct file *f, const struct metric *m, const char *instance, struct series **ret_series, char *why, size_t size)
{
	char key[64 + INSTANCE_MAX + 2];
	struct textfile *t = f->t;
	size_t length = (size_t)snprintf(key, sizeof(key), "%s:%s", m->family_name, instance);
	struct series *s;
	int r;

	HASH_FIND(hh, t->series, key, length, s);
	if (s) {
		*ret_series = s;
		return 0;
	}
	if (HASH_COUNT(t->series) >= t->max_series) {
		snprintf(why, size, "more than %u values in all files (max_series)", t->max_series);
		return -ENOSPC;
	}
	s = calloc(1, sizeof(*s) + length + 1);
	if (!s)
		return -ENOMEM;
	memcpy(s->key, key, length);
	s->file = f;
	r = t->h->series(t->h, m->family, instance, &s->id);
	if (r < 0) {
		snprintf(why, size, "it cannot be a series: %s", r == -ENOSPC ? "there are as many as there may be (max_instances)" : strerror(-r));
		free(s);
		return r;
	}
	HASH_ADD(hh, t->series, key[0], length, s);
	f->n_series++;
	*ret_series = s;
	return 0;
}

static int on_sample(const struct prom_sample *sample, char *why, size_t size, void *user)
{
	struct file *f = user;
	struct textfile *t = f->t;
	char instance[INSTANCE_MAX + 1];
	struct metric *m = NULL;
	struct series *s = NULL;
	int r;

	if (instance_name(sample, instance) < 0) {
		snprintf(why, size, "its labels' values are longer than %d bytes", INSTANCE_MAX);
		return -ENAMETOOLONG;
	}
	r = metric_get(t, sample, &m, why, size);
	if (r == 0 && m->labelled != (*instance != '\0')) {
		snprintf(why, size, "%.60s was seen %s labels: one metric has them always or never", sample->name, m->labelled ? "with" : "without");
		r = -EINVAL;
	}
	if (r == 0) {
		r = series_get(f, m, instance, &s, why, size);
		f->refused |= r == -ENOSPC;
	}
	if (r < 0)
		return r;
	f->refused |= s->file != f;
	if (s->file != f || s->round == f->round) {
		snprintf(why, size, s->file == f ? "%.120s is in this file twice" : "%.60s is in the file %.60s already", s->key, s->file->name);
		return -EEXIST;
	}
	s->round = f->round;
	/* Neither is a value. */
	if (!isfinite(sample->value))
		return 0;
	if (!sample->has_time || t->h->put_at(t->h, s->id, sample->value, sample->time * NS_PER_MS) < 0)
		t->h->put(t->h, s->id, sample->value);
	return 0;
}

static void on_fault(unsigned line, unsigned column, const char *why, void *user)
{
	struct file *f = user;

	if (!f->n_faults++)
		snprintf(f->first, sizeof(f->first), "%.120s:%u:%u: %.200s", f->name, line, column, why);
}

void series_read(struct file *f, const char *text, size_t length)
{
	const struct prom_reader reader = { f, on_sample, on_fault };
	struct series *s, *next;
	bool any = false;

	f->round++;
	f->n_faults = 0;
	f->refused = false;
	*f->first = '\0';
	prom_parse(text, length, &reader);
	HASH_ITER(hh, f->t->series, s, next)
		if (s->file == f && s->round != f->round) {
			series_end(s);
			any = true;
		}
	if (any)
		files_retry(f->t, f);
}

void series_end_all(struct file *f)
{
	struct series *s, *next;

	if (!f->n_series)
		return;
	HASH_ITER(hh, f->t->series, s, next)
		if (s->file == f)
			series_end(s);
	files_retry(f->t, f);
}

void series_free(struct textfile *t)
{
	struct series *s, *next;
	struct metric *m, *next_metric;

	HASH_ITER(hh, t->series, s, next) {
		HASH_DEL(t->series, s);
		free(s);
	}
	HASH_ITER(hh, t->metrics, m, next_metric) {
		HASH_DEL(t->metrics, m);
		free(m);
	}
}
