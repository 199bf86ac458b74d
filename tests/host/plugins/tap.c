/*
 * An exporter under test: appends a line for all that it is told to a file, and does as its options say. -DTAP_… makes
 * others of it: TAP_NAME, TAP_VERSION, TAP_QUIET (hears transitions alone).
 *
 *     init    NAME VERSION
 *     fini    NAME VERSION
 *     sample  TIME FAMILY INSTANCE METRIC VALUE UNIT KIND FLAGS STATES LABEL ID SIZES
 *     record  TIME PRIORITY SUBJECT MESSAGE KEY=VALUE …
 *     transition  TIME NAME PROMISER FROM TO SEVERITY BECAUSE
 *
 * with tabs between; times in ns, numbers of enums as they are, STATES with commas, "-" for what is NULL.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin.h"

#ifndef TAP_NAME
#define TAP_NAME "tap"
#endif
#ifndef TAP_VERSION
#define TAP_VERSION "1"
#endif

static const char *const moods[] = { "calm", "busy", NULL };
static const struct kith_metric metrics[] = {
	{ "heard", "words", "what it was told while it talks", NULL, KITH_COUNTER, 0 },
	{ "mood", NULL, "put once, at the start", moods, KITH_STATE, KITH_METRIC_EVENT },
};
static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, TAP_NAME, "An exporter under test", "name", metrics, 2, 0 },
};

static const struct kith_option options[] = {
	{ "file", NULL, "where the lines go", 0, 0, KITH_OPTION_STRING, 0 },
	{ "fail_while", NULL, "all that it hears fails while this file exists", 0, 0, KITH_OPTION_STRING, 0 },
	{ "burn", "0s", "CPU for each sample", 0, 10, KITH_OPTION_DURATION, 0 },
	{ "burn_records", "0s", "CPU for each record", 0, 10, KITH_OPTION_DURATION, 0 },
	{ "talk", "false", "records and samples of its own within each record and transition", 0, 0, KITH_OPTION_BOOL, 0 },
	{ "sample", "false", "samples of its own on the tick", 0, 0, KITH_OPTION_BOOL, 0 },
};

struct tap {
	const struct kith_host *h;
	const char *fail_while;
	int fd;
	double burn, burn_records, heard;
	int talk;
	kith_id id;
};

__attribute__((format(printf, 2, 3))) static void say(struct tap *t, const char *format, ...)
{
	char line[4096];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n >= (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (t->fd >= 0 && write(t->fd, line, (size_t)n) != n)
		t->h->log(t->h, KITH_ERR, "a line is lost");
}

static const char *text(const char *s)
{
	return s ? s : "-";
}

static int result(const struct tap *t)
{
	return t->fail_while && access(t->fail_while, F_OK) == 0 ? -EIO : 0;
}

/* None of this may be told to it: each word would bring forth another. */
static void talk(struct tap *t, const char *why)
{
	struct kith_field field = { "why", why };
	struct kith_record record = { .size = sizeof(record), .priority = KITH_NOTICE, .message = TAP_NAME " heard something",
		                      .fields = &field, .n_fields = 1 };
	kith_id id;

	if (!t->talk)
		return;
	t->h->record(t->h, &record);
	t->h->put(t->h, t->id, ++t->heard);
	/* An instance that begins and ends within the call */
	if (t->h->series(t->h, 0, "short", &id) == 0) {
		t->h->put(t->h, id, 1);
		t->h->end(t->h, id);
	}
}

#ifndef TAP_QUIET
static void burn_cpu(double seconds)
{
	struct timespec t;
	double start, now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	start = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	} while (now - start < seconds);
}

static int tap_sample(void *state, const struct kith_sample *s)
{
	const struct kith_metric *m = s->metric;
	struct tap *t = state;
	char states[256] = "-";

	for (size_t i = 0, n = 0; m->states && m->states[i] && n < sizeof(states); i++)
		n += (size_t)snprintf(states + n, sizeof(states) - n, "%s%s", i ? "," : "", m->states[i]);
	say(t, "sample\t%lld\t%s\t%s\t%s\t%.17g\t%s\t%u\t%u\t%s\t%s\t%u\t%d", (long long)s->time, s->family->name, s->instance,
	    m->name, s->value, text(m->unit), m->kind, m->flags, states, text(s->family->instance), s->id,
	    s->size >= sizeof(*s) && s->family->size >= sizeof(*s->family) && s->family->metric_size >= sizeof(*m));
	if (t->burn > 0)
		burn_cpu(t->burn);
	return result(t);
}

static int tap_record(void *state, const struct kith_record *r)
{
	struct tap *t = state;
	char fields[2048] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < r->n_fields && n < sizeof(fields); i++)
		n += (size_t)snprintf(fields + n, sizeof(fields) - n, "\t%s=%s", r->fields[i].key, r->fields[i].value);
	say(t, "record\t%lld\t%u\t%s\t%s%s", (long long)r->time, r->priority, text(r->subject), r->message, fields);
	if (t->burn_records > 0)
		burn_cpu(t->burn_records);
	talk(t, "a record");
	return result(t);
}
#endif

static int tap_transition(void *state, const struct kith_transition *r)
{
	struct tap *t = state;

	say(t, "transition\t%lld\t%s\t%s\t%u\t%u\t%u\t%s", (long long)r->time, r->name, r->promiser, r->from, r->to, r->severity,
	    text(r->because));
	talk(t, "a transition");
	return result(t);
}

static int tap_tick(void *user)
{
	struct tap *t = user;

	return t->h->put(t->h, t->id, ++t->heard);
}

static void tap_fini(void *state)
{
	struct tap *t = state;

	say(t, "fini\t%s\t%s", TAP_NAME, TAP_VERSION);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static int tap_init(const struct kith_host *h, void **ret_state)
{
	const char *file = h->option_string(h, "file");
	struct tap *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->h = h;
	t->fail_while = h->option_string(h, "fail_while");
	t->burn = h->option_number(h, "burn");
	t->burn_records = h->option_number(h, "burn_records");
	t->talk = h->option_bool(h, "talk");
	t->fd = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
	r = file && t->fd < 0 ? -errno : h->series(h, 0, "self", &t->id);
	if (r == 0)
		r = h->put(h, t->id + 1, 0);
	if (r == 0 && h->option_bool(h, "sample"))
		r = h->sample(h, tap_tick, t, NULL);
	if (r < 0) {
		if (t->fd >= 0)
			close(t->fd);
		free(t);
		return r;
	}
	say(t, "init\t%s\t%s", TAP_NAME, TAP_VERSION);
	*ret_state = t;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = TAP_NAME,
	.version = TAP_VERSION,
	.help = "An exporter under test",
	.provides = KITH_PROVIDES_EXPORTER,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = tap_init,
	.fini = tap_fini,
#ifndef TAP_QUIET
	.on_sample = tap_sample,
	.on_record = tap_record,
#endif
	.on_transition = tap_transition,
};
