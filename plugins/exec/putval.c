#include "exec/putval.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS 1e9
#define TIME_MAX 9.2e9 /* s: fits 63 bits of ns */

struct words {
	const char *at, *end;
	char word[PUT_LINE_MAX + 1];
	char *why;
};

static int wrong(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PUT_WHY_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word, quotes taken off. 1; 0: none is left; -EINVAL */
static int next(struct words *w)
{
	size_t n = 0;
	bool quoted = false;

	while (w->at < w->end && is_blank(*w->at))
		w->at++;
	if (w->at == w->end)
		return 0;
	for (; w->at < w->end && (quoted || !is_blank(*w->at)); w->at++) {
		if (*w->at == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && *w->at == '\\' && ++w->at == w->end)
			break;
		if (!*w->at)
			return wrong(w->why, "a NUL byte");
		w->word[n++] = *w->at;
	}
	if (quoted)
		return wrong(w->why, "a quote is not closed");
	w->word[n] = '\0';
	return 1;
}

static int part(char to[PUT_PART_MAX + 1], const char *from, size_t n, const char *what, char *why)
{
	if (n > PUT_PART_MAX)
		return wrong(why, "the %s is longer than %d bytes", what, PUT_PART_MAX);
	memcpy(to, from, n);
	to[n] = '\0';
	return 0;
}

/* NAME or NAME-INSTANCE */
static int pair(const char *from, size_t n, char name[PUT_PART_MAX + 1], char instance[PUT_PART_MAX + 1], const char *what, char *why)
{
	const char *dash = memchr(from, '-', n);
	size_t length = dash ? (size_t)(dash - from) : n;
	int r = part(name, from, length, what, why);

	*instance = '\0';
	if (r == 0 && dash)
		r = part(instance, dash + 1, n - length - 1, "instance", why);
	if (r == 0 && !*name)
		r = wrong(why, "the %s is empty", what);
	return r;
}

/* HOST/PLUGIN[-INSTANCE]/TYPE[-INSTANCE] */
static int identifier(const char *text, struct put_id *id, char *why)
{
	const char *first = strchr(text, '/'), *second = first ? strchr(first + 1, '/') : NULL;
	int r;

	if (!second)
		return wrong(why, "\"%.60s\" is no identifier: host/plugin-instance/type-instance", text);
	/* An instance of the type may hold slashes, as collectd has it. */
	r = part(id->host, text, (size_t)(first - text), "host", why);
	if (r == 0 && !*id->host)
		r = wrong(why, "the host is empty");
	if (r == 0)
		r = pair(first + 1, (size_t)(second - first - 1), id->plugin, id->plugin_instance, "plugin", why);
	if (r == 0)
		r = pair(second + 1, strlen(second + 1), id->type, id->type_instance, "type", why);
	return r;
}

/* All of it a number, in decimals */
static bool number(const char *text, size_t n, double *ret)
{
	char word[64], *end;

	if (n == 0 || n >= sizeof(word))
		return false;
	memcpy(word, text, n);
	word[n] = '\0';
	if (strspn(word, "0123456789+-.eE") != n)
		return false;
	*ret = strtod(word, &end);
	return !*end && isfinite(*ret);
}

static int time_of(const char *text, size_t n, int64_t *ret, char *why)
{
	double s;

	if (n == 1 && *text == 'N') {
		*ret = 0;
		return 0;
	}
	if (!number(text, n, &s) || s < 1 || s > TIME_MAX)
		return wrong(why, "\"%.*s\" is no time: N, or seconds since 1970", n > 40 ? 40 : (int)n, text);
	*ret = (int64_t)(s * NS);
	return 0;
}

/* TIME:VALUE[:VALUE…] */
static int values_of(const char *text, struct put_values *v, char *why)
{
	const char *colon = strchr(text, ':');
	int r;

	if (!colon)
		return wrong(why, "\"%.40s\" is neither an option nor time:value", text);
	r = time_of(text, (size_t)(colon - text), &v->time, why);
	for (v->n = 0; r == 0 && colon; v->n++) {
		const char *at = colon + 1;
		size_t n;

		colon = strchr(at, ':');
		n = colon ? (size_t)(colon - at) : strlen(at);
		if (v->n == PUT_VALUES_MAX)
			return wrong(why, "more than %d values", PUT_VALUES_MAX);
		if ((n == 1 && *at == 'U') || (n == 3 && !strncasecmp(at, "nan", 3)))
			v->values[v->n] = NAN;
		else if (!number(at, n, &v->values[v->n]))
			return wrong(why, "\"%.*s\" is no number", n > 40 ? 40 : (int)n, at);
	}
	return r;
}

static int put_values(struct words *w, const struct put_reader *reader)
{
	struct put_id id;
	struct put_values v;
	int64_t interval = 0;
	bool any = false;
	int r = next(w);

	if (r == 0)
		return wrong(w->why, "PUTVAL without an identifier");
	if (r > 0)
		r = identifier(w->word, &id, w->why);
	if (r < 0)
		return r;
	while ((r = next(w)) > 0) {
		const char *equal = strchr(w->word, '=');
		double s;

		if (equal && !any) {
			/* meta:KEY=… and the like mean nothing here. */
			if (strncasecmp(w->word, "interval=", 9) != 0)
				continue;
			if (!number(equal + 1, strlen(equal + 1), &s) || s <= 0 || s > TIME_MAX)
				return wrong(w->why, "\"%.40s\" is no interval: seconds", w->word);
			interval = (int64_t)(s * NS);
			continue;
		}
		r = values_of(w->word, &v, w->why);
		if (r == 0)
			r = reader->values(&id, interval, &v, w->why, reader->user);
		if (r < 0)
			return r;
		any = true;
	}
	return r < 0 ? r : any ? 0 : wrong(w->why, "PUTVAL without values: time:value");
}

static int notification_option(struct put_notification *n, const char *key, size_t length, const char *value, char *why)
{
	static const char *const severities[] = { [PUT_FAILURE] = "failure", [PUT_WARNING] = "warning", [PUT_OKAY] = "okay" };
	const struct { const char *key; char *to; } parts[] = {
		{ "host", n->id.host }, { "plugin", n->id.plugin }, { "plugin_instance", n->id.plugin_instance },
		{ "type", n->id.type }, { "type_instance", n->id.type_instance },
	};

	for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
		if (strlen(parts[k].key) == length && !strncasecmp(key, parts[k].key, length))
			return part(parts[k].to, value, strlen(value), parts[k].key, why);
	if (length == 7 && !strncasecmp(key, "message", length)) {
		snprintf(n->message, sizeof(n->message), "%s", value);
		return 0;
	}
	if (length == 4 && !strncasecmp(key, "time", length))
		return time_of(value, strlen(value), &n->time, why);
	if (length == 8 && !strncasecmp(key, "severity", length)) {
		for (size_t k = 0; k < sizeof(severities) / sizeof(severities[0]); k++)
			if (!strcasecmp(value, severities[k])) {
				n->severity = (enum put_severity)k;
				return 1;
			}
		return wrong(why, "\"%.40s\" is no severity: failure, warning, okay", value);
	}
	/* n:KEY, s:KEY and so on: meta data that nobody reads */
	return length > 2 && key[1] == ':' ? 0 : wrong(why, "PUTNOTIF has no \"%.*s\"", length > 40 ? 40 : (int)length, key);
}

static int put_notification(struct words *w, const struct put_reader *reader)
{
	struct put_notification n = { .severity = PUT_FAILURE };
	bool severity = false;
	int r;

	while ((r = next(w)) > 0) {
		const char *equal = strchr(w->word, '=');

		if (!equal)
			return wrong(w->why, "\"%.40s\" is no KEY=VALUE", w->word);
		r = notification_option(&n, w->word, (size_t)(equal - w->word), equal + 1, w->why);
		if (r < 0)
			return r;
		severity |= r == 1;
	}
	if (r < 0)
		return r;
	if (!severity || !*n.message)
		return wrong(w->why, "PUTNOTIF without %s=", severity ? "message" : "severity");
	return reader->notification(&n, w->why, reader->user);
}

int put_line(const char *line, size_t length, const struct put_reader *reader, char *why)
{
	struct words *w;
	int r;

	if (length > PUT_LINE_MAX)
		return wrong(why, "longer than %d bytes", PUT_LINE_MAX);
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->at = line;
	w->end = line + length;
	w->why = why;
	r = next(w);
	if (r > 0 && *w->word == '#')
		r = 0;
	else if (r > 0 && !strcasecmp(w->word, "PUTVAL"))
		r = put_values(w, reader);
	else if (r > 0 && !strcasecmp(w->word, "PUTNOTIF"))
		r = put_notification(w, reader);
	else if (r > 0)
		r = wrong(why, "\"%.40s\" is no command: PUTVAL and PUTNOTIF are", w->word);
	free(w);
	return r;
}

/* ---- types ------------------------------------------------------------------------------------------------------ */

static int source_parse(const char *at, size_t n, struct put_source *s)
{
	static const char *const kinds[] = { [PUT_GAUGE] = "GAUGE", [PUT_COUNTER] = "COUNTER", [PUT_DERIVE] = "DERIVE", [PUT_ABSOLUTE] = "ABSOLUTE" };
	const char *colon = memchr(at, ':', n), *end;
	size_t length = colon ? (size_t)(colon - at) : 0;

	if (!length || length >= sizeof(s->name))
		return -EINVAL;
	for (size_t k = 0; k < length; k++) {
		char c = at[k];

		s->name[k] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
	}
	s->name[length] = '\0';
	end = memchr(colon + 1, ':', n - length - 1);
	length = end ? (size_t)(end - colon - 1) : 0;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (strlen(kinds[k]) == length && !strncasecmp(kinds[k], colon + 1, length)) {
			s->kind = (enum put_kind)k;
			return 0;
		}
	return -EINVAL;
}

/* What follows the name on its line: sources, separated by blanks or commas */
static int sources_parse(const char *at, const char *end, struct put_type *t)
{
	t->n = 0;
	while (at < end) {
		size_t n = 0;

		if (is_blank(*at) || *at == ',') {
			at++;
			continue;
		}
		while (at + n < end && !is_blank(at[n]) && at[n] != ',')
			n++;
		if (t->n == PUT_VALUES_MAX || source_parse(at, n, &t->sources[t->n]) < 0)
			return -EINVAL;
		for (size_t k = 0; k < t->n; k++)
			if (!strcmp(t->sources[k].name, t->sources[t->n].name))
				return -EINVAL;
		t->n++;
		at += n;
	}
	return t->n ? 0 : -EINVAL;
}

int put_type_find(const char *text, const char *name, struct put_type *ret_type)
{
	size_t n = strlen(name);
	struct put_type t;

	if (n == 0 || n > PUT_PART_MAX)
		return -ENOENT;
	while (*text) {
		const char *end = text + strcspn(text, "\n");

		if ((size_t)(end - text) > n && !memcmp(text, name, n) && is_blank(text[n])) {
			memcpy(t.name, name, n + 1);
			if (sources_parse(text + n, end, &t) < 0)
				return -EINVAL;
			*ret_type = t;
			return 0;
		}
		text = *end ? end + 1 : end;
	}
	return -ENOENT;
}

#define ONE(name, kind) name " value:" kind ":U:U\n"
const char put_types[] =
	ONE("absolute", "ABSOLUTE") ONE("bitrate", "GAUGE") ONE("blocked_clients", "GAUGE") ONE("bytes", "GAUGE") ONE("cache_size", "GAUGE")
	ONE("capacity", "GAUGE") ONE("charge", "GAUGE") ONE("connections", "DERIVE") ONE("contextswitch", "DERIVE") ONE("count", "GAUGE")
	ONE("counter", "COUNTER") ONE("cpu", "DERIVE") ONE("cpufreq", "GAUGE") ONE("current", "GAUGE") ONE("current_connections", "GAUGE")
	ONE("current_sessions", "GAUGE") ONE("delay", "GAUGE") ONE("derive", "DERIVE") ONE("df_complex", "GAUGE") ONE("df_inodes", "GAUGE")
	ONE("drop", "DERIVE") ONE("duration", "GAUGE") ONE("email_count", "GAUGE") ONE("entropy", "GAUGE") ONE("errors", "DERIVE")
	ONE("evicted_keys", "DERIVE") ONE("fanspeed", "GAUGE") ONE("file_handles", "GAUGE") ONE("file_size", "GAUGE") ONE("files", "GAUGE")
	ONE("fork_rate", "DERIVE") ONE("frequency", "GAUGE") ONE("gauge", "GAUGE") ONE("hash_collisions", "DERIVE") ONE("http_requests", "DERIVE")
	ONE("humidity", "GAUGE") ONE("if_collisions", "DERIVE") ONE("if_multicast", "DERIVE") ONE("invocations", "DERIVE") ONE("irq", "DERIVE")
	ONE("latency", "GAUGE") ONE("links", "GAUGE") ONE("mail_queue", "GAUGE") ONE("memory", "GAUGE") ONE("objects", "GAUGE")
	ONE("operations", "DERIVE") ONE("packets", "DERIVE") ONE("pending_operations", "GAUGE") ONE("percent", "GAUGE") ONE("ping", "GAUGE")
	ONE("ping_droprate", "GAUGE") ONE("ping_stddev", "GAUGE") ONE("power", "GAUGE") ONE("pressure", "GAUGE") ONE("protocol_counter", "DERIVE")
	ONE("ps_state", "GAUGE") ONE("ps_vm", "GAUGE") ONE("ps_rss", "GAUGE") ONE("queue_length", "GAUGE") ONE("records", "GAUGE")
	ONE("requests", "GAUGE") ONE("response_code", "GAUGE") ONE("response_time", "GAUGE") ONE("signal_power", "GAUGE") ONE("signal_quality", "GAUGE")
	ONE("snr", "GAUGE") ONE("swap", "GAUGE") ONE("swap_io", "DERIVE") ONE("tcp_connections", "GAUGE") ONE("temperature", "GAUGE")
	ONE("threads", "GAUGE") ONE("time_offset", "GAUGE") ONE("timeleft", "GAUGE") ONE("total_bytes", "DERIVE") ONE("total_connections", "DERIVE")
	ONE("total_operations", "DERIVE") ONE("total_requests", "DERIVE") ONE("total_time_in_ms", "DERIVE") ONE("total_values", "DERIVE")
	ONE("uptime", "GAUGE") ONE("users", "GAUGE") ONE("vcpu", "GAUGE") ONE("voltage", "GAUGE") ONE("vs_processes", "GAUGE")
	"df used:GAUGE:0:U free:GAUGE:0:U\n"
	"disk_latency read:GAUGE:0:U write:GAUGE:0:U\n"
	"disk_merged read:DERIVE:0:U write:DERIVE:0:U\n"
	"disk_octets read:DERIVE:0:U write:DERIVE:0:U\n"
	"disk_ops read:DERIVE:0:U write:DERIVE:0:U\n"
	"disk_time read:DERIVE:0:U write:DERIVE:0:U\n"
	"disk_io_time io_time:DERIVE:0:U weighted_io_time:DERIVE:0:U\n"
	"if_dropped rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"if_errors rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"if_octets rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"if_packets rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"io_octets rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"io_packets rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"load shortterm:GAUGE:0:5000 midterm:GAUGE:0:5000 longterm:GAUGE:0:5000\n"
	"mysql_octets rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"ps_count processes:GAUGE:0:U threads:GAUGE:0:U\n"
	"ps_cputime user:DERIVE:0:U syst:DERIVE:0:U\n"
	"ps_disk_octets read:DERIVE:0:U write:DERIVE:0:U\n"
	"ps_disk_ops read:DERIVE:0:U write:DERIVE:0:U\n"
	"ps_pagefaults minflt:DERIVE:0:U majflt:DERIVE:0:U\n"
	"serial_octets rx:DERIVE:0:U tx:DERIVE:0:U\n"
	"vmpage_faults minflt:DERIVE:0:U majflt:DERIVE:0:U\n"
	"vmpage_io in:DERIVE:0:U out:DERIVE:0:U\n";
