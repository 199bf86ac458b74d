/* audit: what the kernel's audit log says: counted by what it is about, and recorded. See the README beside. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"

static const struct kith_metric class_metrics[] = {
	{ "count", "events", "of this class since kithd runs", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
};
enum { EVENTS, MISSED };
static const struct kith_metric log_metrics[] = {
	[EVENTS] = { "events", "events", "that were heard", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[MISSED] = { "missed", "events", "numbers that were passed over: lost on their way", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
};
enum { CLASSES_FAMILY, LOG_FAMILY };
static const struct kith_family families[] = {
	[CLASSES_FAMILY] = { KITH_FAMILY_INIT, "audit", "Audit events by what they are about", "class", class_metrics, KITH_COUNT(class_metrics), 0 },
	[LOG_FAMILY] = { KITH_FAMILY_INIT, "audit_log", "The kernel's audit log", NULL, log_metrics, KITH_COUNT(log_metrics), 0 },
};

static const struct kith_option options[] = {
	{ .name = "records", .fallback = "denials, logins_failed, anomalies, config",
	  .help = "of which events records are made: classes, or types by name (USER_CMD) or number; all: of all", .type = KITH_OPTION_LIST },
};

struct state {
	const struct kith_host *h;
	kith_id classes[AUDIT_CLASSES], log;
	double counts[AUDIT_CLASSES], events, missed;
	bool said; /* that numbers are missed */
};

static bool is_recorded(const struct state *s, const struct kith_audit_event *e, enum audit_class class)
{
	const char *const *list;
	size_t n = s->h->option_list(s->h, "records", &list);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(list[i], audit_class_names[class]) || !strcmp(list[i], "all"))
			return true;
		for (uint32_t k = 0; k < e->n_lines; k++) {
			char name[AUDIT_NAME], number[12];

			snprintf(number, sizeof(number), "%u", e->lines[k].type);
			if (!strcmp(list[i], audit_type_name(e->lines[k].type, name)) || !strcmp(list[i], number))
				return true;
		}
	}
	return false;
}

static int record_missed(struct state *s, const struct kith_audit_event *e)
{
	char text[96], number[24];
	struct kith_field field = { "missed", number };
	struct kith_record r = { .size = sizeof(r), .priority = KITH_WARNING, .time = e->n_lines ? e->time : 0, .subject = "audit_log", .message = text, .fields = &field, .n_fields = 1 };
	int done;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)e->missed);
	snprintf(text, sizeof(text), "%s audit events were lost on their way here", number);
	done = s->h->record(s->h, &r);
	return done == -ENOSPC ? 0 : done;
}

static int on_event(const void *event, void *user)
{
	const struct kith_audit_event *e = event;
	struct state *s = user;
	struct audit_words words;
	enum audit_class class;
	int r = 0, done;

	if (!e)
		return 0;
	if (e->missed) {
		s->missed += (double)e->missed;
		s->h->put(s->h, s->log + MISSED, s->missed);
		r = record_missed(s, e);
	}
	if (!e->n_lines)
		return r;
	s->h->put(s->h, s->log + EVENTS, ++s->events);
	class = audit_class_of(e);
	s->h->put(s->h, s->classes[class], ++s->counts[class]);
	if (!is_recorded(s, e, class))
		return r;
	audit_words(e, class, &words);
	done = s->h->record(s->h, &words.record);
	return done == -ENOSPC ? r : done < 0 ? done : r;
}

/* What was lost is gone; kithd has said so. */
static int resync(void *state)
{
	(void)state;
	return 0;
}

static void fini(void *state)
{
	free(state);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	r = h->watch_source(h, KITH_SOURCE_AUDIT, NULL, on_event, s, NULL);
	if (r == -EPERM || r == -EACCES || r == -EOPNOTSUPP) {
		h->note(h, r == -EOPNOTSUPP ? "this kernel has no audit log" : "the audit log wants CAP_AUDIT_READ, in the first user and network namespace");
		r = -EOPNOTSUPP;
	}
	for (unsigned i = 0; i < AUDIT_CLASSES && r == 0; i++) {
		r = h->series(h, CLASSES_FAMILY, audit_class_names[i], &s->classes[i]);
		if (r == 0)
			r = h->put(h, s->classes[i], 0);
	}
	if (r == 0)
		r = h->series(h, LOG_FAMILY, NULL, &s->log);
	if (r == 0)
		r = h->put_all(h, s->log, (const double[]){ 0, 0 }, 2);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "audit",
	.version = "1",
	.help = "What the kernel's audit log says",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.resync = resync,
	.hears = "netlink's read-only group of the audit log",
	.costs = "nothing on an idle host; 10 us for an event",
};
