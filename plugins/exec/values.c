#include "exec/values.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "exec/output.h"

#define TYPES_MAX 128
#define SERIES_MAX 4096
#define STALE 3 /* intervals without a value, as kithd has it of what is sampled */
#define INTERVAL_MAX (INT64_C(1000) * 86400 * 1000000000) /* ns */
#define TYPES_DB_MAX (1 << 20)
#define NAME_SIZE 256

struct type {
	UT_hash_handle hh;
	uint32_t family;
	struct put_type t;
};

struct series {
	UT_hash_handle hh;
	struct type *type;
	const void *owner;
	kith_id id;
	int64_t due;    /* ns: it ends when no value came until then */
	double *sums;   /* of what is ABSOLUTE: a count since the last value */
	char key[];     /* type:instance */
};

struct values {
	const struct kith_host *h;
	struct type *types;
	struct series *series;
	struct kith_watch *timer;
	char *types_db;
	char host[PUT_PART_MAX + 1];
};

int values_new(const struct kith_host *h, const char *types_db, struct values **ret_values)
{
	struct values *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->h = h;
	v->types_db = types_db ? strdup(types_db) : NULL;
	if (gethostname(v->host, sizeof(v->host) - 1) < 0 || !*v->host)
		strcpy(v->host, "localhost");
	*ret_values = v;
	return 0;
}

static void series_end(struct values *v, struct series *s)
{
	v->h->end(v->h, s->id);
	HASH_DEL(v->series, s);
	free(s->sums);
	free(s);
}

void values_free(struct values *v)
{
	struct series *s, *next;
	struct type *t, *next_type;

	if (!v)
		return;
	HASH_ITER(hh, v->series, s, next)
		series_end(v, s);
	HASH_ITER(hh, v->types, t, next_type) {
		HASH_DEL(v->types, t);
		free(t);
	}
	if (v->timer)
		v->h->unwatch(v->h, v->timer);
	free(v->types_db);
	free(v);
}

const char *values_host(const struct values *v)
{
	return v->host;
}

/* ---- types ------------------------------------------------------------------------------------------------------ */

static int type_find(const struct values *v, const char *name, struct put_type *ret)
{
	FILE *f = v->types_db && *v->types_db == '/' ? fopen(v->types_db, "re") : NULL;
	char *text = f ? malloc(TYPES_DB_MAX + 1) : NULL;
	int r = -ENOENT;

	if (text) {
		text[fread(text, 1, TYPES_DB_MAX, f)] = '\0';
		r = put_type_find(text, name, ret);
	}
	free(text);
	if (f)
		fclose(f);
	return r == -ENOENT ? put_type_find(put_types, name, ret) : r;
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && !strcmp(text + n - m, suffix);
}

/* types.db has no units; these names say theirs. */
static const char *unit_of(const char *type)
{
	static const char *const bytes[] = { "bytes", "octets", "df", "df_complex", "memory", "swap", "file_size", "ps_rss", "ps_vm", "cache_size" };
	static const char *const seconds[] = { "duration", "latency", "response_time", "uptime", "delay", "time_offset", "timeleft" };

	for (size_t k = 0; k < KITH_COUNT(bytes); k++)
		if (k < 2 ? ends_with(type, bytes[k]) : !strcmp(type, bytes[k]))
			return "B";
	for (size_t k = 0; k < KITH_COUNT(seconds); k++)
		if (!strcmp(type, seconds[k]))
			return "s";
	return !strcmp(type, "percent") ? "%" : !strcmp(type, "temperature") ? "Cel" : "1";
}

static int type_declare(struct values *v, struct type *t)
{
	struct kith_metric metrics[PUT_VALUES_MAX];
	char name[64], help[PUT_PART_MAX + 32];
	struct kith_family family = { KITH_FAMILY_INIT, name, help, "plugin-instance/type instance", metrics, (uint32_t)t->t.n, 0 };

	if (snprintf(name, sizeof(name), "collectd_%s", t->t.name) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	for (char *c = name; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ? *c : '_';
	snprintf(help, sizeof(help), "values of collectd's type %s", name + strlen("collectd_"));
	for (size_t k = 0; k < t->t.n; k++)
		metrics[k] = (struct kith_metric){ t->t.sources[k].name, unit_of(t->t.name), "a data source of the type", NULL,
			                           t->t.sources[k].kind == PUT_GAUGE ? KITH_GAUGE : KITH_COUNTER, KITH_METRIC_EVENT };
	return v->h->declare(v->h, &family, &t->family);
}

static int type_get(struct values *v, const char *name, struct type **ret_type, char *why)
{
	struct type *t;
	int r;

	HASH_FIND_STR(v->types, name, t);
	if (t) {
		*ret_type = t;
		return 0;
	}
	if (HASH_COUNT(v->types) >= TYPES_MAX) {
		snprintf(why, PUT_WHY_MAX, "more than %d types", TYPES_MAX);
		return -ENOSPC;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	r = type_find(v, name, &t->t);
	if (r < 0)
		snprintf(why, PUT_WHY_MAX, r == -ENOENT ? "type \"%.60s\" is not known: name a types.db that has it (types_db)" :
		         "the line of type \"%.60s\" in types.db is wrong", name);
	if (r == 0) {
		r = type_declare(v, t);
		if (r < 0)
			snprintf(why, PUT_WHY_MAX, "type %.60s cannot be a family: %s", name, strerror(-r));
	}
	if (r < 0) {
		free(t);
		return r;
	}
	HASH_ADD_STR(v->types, t.name, t);
	*ret_type = t;
	return 0;
}

/* ---- series ----------------------------------------------------------------------------------------------------- */

int values_instance(const struct values *v, const struct put_id *id, char *name)
{
	char raw[5 * (PUT_PART_MAX + 1)];
	bool own = !*id->host || !strcmp(id->host, v->host) || !strcmp(id->host, "localhost");
	int n = snprintf(raw, sizeof(raw), "%s%s%s%s%s%s%s", own ? "" : id->host, own ? "" : "/", id->plugin, *id->plugin_instance ? "-" : "",
	                 id->plugin_instance, *id->type_instance ? "/" : "", id->type_instance);

	if (n >= NAME_SIZE)
		return -ENAMETOOLONG;
	return text_clean(raw, (size_t)n, name, NAME_SIZE) ? 0 : -EINVAL;
}

static int on_timer(void *user);

static void plan(struct values *v)
{
	int64_t now = v->h->now(v->h), next = INT64_MAX, wait;

	if (v->timer || !v->series)
		return;
	for (struct series *s = v->series; s; s = s->hh.next)
		if (s->due < next)
			next = s->due;
	wait = next > now ? next - now : 0;
	if (v->h->watch_timer(v->h, wait, 0, wait / 3, on_timer, v, &v->timer) < 0)
		v->timer = NULL;
}

static int on_timer(void *user)
{
	struct values *v = user;
	int64_t now = v->h->now(v->h);
	struct series *s, *next;

	v->h->unwatch(v->h, v->timer);
	v->timer = NULL;
	HASH_ITER(hh, v->series, s, next)
		if (s->due <= now)
			series_end(v, s);
	plan(v);
	return 0;
}

static int series_get(struct values *v, struct type *t, const char *instance, struct series **ret_series, char *why)
{
	char key[PUT_PART_MAX + NAME_SIZE + 2];
	int n = snprintf(key, sizeof(key), "%s:%s", t->t.name, instance), r;
	struct series *s;

	HASH_FIND_STR(v->series, key, s);
	if (s) {
		*ret_series = s;
		return 0;
	}
	if (HASH_COUNT(v->series) >= SERIES_MAX) {
		snprintf(why, PUT_WHY_MAX, "more than %d identifiers", SERIES_MAX);
		return -ENOSPC;
	}
	s = calloc(1, sizeof(*s) + (size_t)n + 1);
	if (!s)
		return -ENOMEM;
	memcpy(s->key, key, (size_t)n);
	s->type = t;
	s->sums = calloc(t->t.n, sizeof(*s->sums));
	r = s->sums ? v->h->series(v->h, t->family, instance, &s->id) : -ENOMEM;
	if (r < 0) {
		snprintf(why, PUT_WHY_MAX, "it cannot be a series: %s", strerror(-r));
		free(s->sums);
		free(s);
		return r;
	}
	HASH_ADD_STR(v->series, key, s);
	*ret_series = s;
	return 0;
}

void values_forget(struct values *v, const void *owner)
{
	struct series *s, *next;

	HASH_ITER(hh, v->series, s, next)
		if (s->owner == owner)
			series_end(v, s);
}

int values_put(struct values *v, const void *owner, const struct put_id *id, int64_t interval, const struct put_values *put, char *why)
{
	char instance[NAME_SIZE];
	struct type *t = NULL;
	struct series *s = NULL;
	int r = values_instance(v, id, instance);

	if (r < 0) {
		snprintf(why, PUT_WHY_MAX, "the identifier is longer than 255 bytes");
		return r;
	}
	r = type_get(v, id->type, &t, why);
	if (r == 0 && t->t.n != put->n) {
		snprintf(why, PUT_WHY_MAX, "type %.60s has %zu data sources, %zu values were given", t->t.name, t->t.n, put->n);
		r = -EINVAL;
	}
	if (r == 0)
		r = series_get(v, t, instance, &s, why);
	if (r < 0)
		return r;
	s->owner = owner;
	/* The longest interval that can be written is centuries. */
	s->due = v->h->now(v->h) + STALE * (interval < INTERVAL_MAX ? interval : INTERVAL_MAX);
	for (size_t k = 0; k < put->n; k++) {
		double value = put->values[k];
		int done;

		if (isnan(value))
			continue;
		if (t->t.sources[k].kind == PUT_ABSOLUTE)
			value = s->sums[k] += value;
		done = put->time ? v->h->put_at(v->h, s->id + (kith_id)k, value, put->time) : v->h->put(v->h, s->id + (kith_id)k, value);
		if (done < 0) {
			snprintf(why, PUT_WHY_MAX, done == -EINVAL ? "its time is older than the last one of %.60s" : "%.60s cannot be put", s->key);
			r = done;
		}
	}
	plan(v);
	return r;
}
