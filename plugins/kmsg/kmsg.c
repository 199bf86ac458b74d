/* kmsg: what the kernel says. Counts what it recognises, and makes records of that and of what is urgent. See the README beside. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kmsg/recognise.h"
#include "sources/kmsg.h"

enum { ERRORS = KMSG_KINDS, WARNINGS, MESSAGES, LOST, N_INSTANCES };
static const char *const others[] = { "errors", "warnings", "messages", "lost" };

static const struct kith_metric metrics[] = {
	{ "count", "messages", "messages of this kind since kithd started", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "kmsg", "What the kernel says, by what it is about", "kind", metrics, KITH_COUNT(metrics), 0 },
};

static const struct kith_option options[] = {
	{ .name = "level", .fallback = "warning", .help = "messages so urgent become records: emergency, alert, critical, error, warning, notice, info, debug; none",
	  .type = KITH_OPTION_STRING },
	{ .name = "user", .fallback = "false", .help = "also what programs write to /dev/kmsg", .type = KITH_OPTION_BOOL },
};

static const char *const levels[] = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" };
#define NO_LEVEL (-1)

struct state {
	const struct kith_host *h;
	int level; /* NO_LEVEL: only what is recognised */
	kith_id ids[N_INSTANCES];
	double counts[N_INSTANCES];
	int32_t oom_pid; /* of the line before the kill; 0: there was none */
	char oom_group[FOUND_VALUE];
};

static const char *instance_name(unsigned i)
{
	return i < KMSG_KINDS ? kmsg_kinds[i].name : others[i - KMSG_KINDS];
}

static int count(struct state *s, unsigned instance, double n, int64_t time)
{
	int r;

	s->counts[instance] += n;
	r = s->h->put_at(s->h, s->ids[instance], s->counts[instance], time);
	/* Its time may be a little before the last one's, as the kernel's clock is another one. */
	return r == -EINVAL ? s->h->put(s->h, s->ids[instance], s->counts[instance]) : r;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static int record(struct state *s, const struct kith_kmsg_event *e, unsigned instance, uint32_t priority, const struct found *f)
{
	struct kith_field fields[FOUND_FIELDS + 4];
	struct kith_record record = { .size = sizeof(record), .priority = priority, .time = e->time, .message = e->text, .fields = fields };
	char subject[32], sequence[24];
	int r;

	snprintf(subject, sizeof(subject), "kmsg:%s", instance_name(instance));
	snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)e->sequence);
	record.subject = subject;
	for (uint32_t i = 0; f && i < f->n; i++)
		fields[record.n_fields++] = (struct kith_field){ f->fields[i].key, f->fields[i].value };
	if (*e->subsystem)
		fields[record.n_fields++] = (struct kith_field){ "subsystem", e->subsystem };
	if (*e->device)
		fields[record.n_fields++] = (struct kith_field){ "kernel_device", e->device };
	fields[record.n_fields++] = (struct kith_field){ "priority", levels[e->priority] };
	fields[record.n_fields++] = (struct kith_field){ "sequence", sequence };
	r = s->h->record(s->h, &record);
	return r == -ENOSPC ? 0 : r;
}

/* The kernel says which group was out of memory a line before it says whom it killed. */
static void add_group(struct state *s, struct found *f)
{
	const char *pid = NULL;

	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->fields[i].key, "pid"))
			pid = f->fields[i].value;
	if (pid && s->oom_pid && s->oom_pid == strtol(pid, NULL, 10) && f->n < FOUND_FIELDS) {
		f->fields[f->n].key = "cgroup";
		memcpy(f->fields[f->n++].value, s->oom_group, FOUND_VALUE);
	}
	s->oom_pid = 0;
}

static int lost(struct state *s, const struct kith_kmsg_event *e)
{
	struct kith_kmsg_event said = *e;
	char text[100];

	snprintf(text, sizeof(text), "%llu messages of the kernel were overwritten before they were read", (unsigned long long)e->lost);
	said.text = text;
	said.subsystem = said.device = "";
	said.priority = KITH_WARNING;
	count(s, LOST, (double)e->lost, e->time);
	return record(s, &said, LOST, KITH_WARNING, NULL);
}

static int on_message(const void *event, void *user)
{
	const struct kith_kmsg_event *e = event;
	struct state *s = user;
	struct found found;
	int32_t pid;
	int r = 0;

	if (!e)
		return 0;
	if (e->lost)
		r = lost(s, e);
	count(s, MESSAGES, 1, e->time);
	if (e->priority <= KITH_ERR)
		count(s, ERRORS, 1, e->time);
	else if (e->priority == KITH_WARNING)
		count(s, WARNINGS, 1, e->time);
	pid = kmsg_oom_group(e->text, s->oom_group);
	if (pid)
		s->oom_pid = pid;
	kmsg_recognise(e->text, &found);
	if (found.kind == KMSG_NONE)
		return (int)e->priority > s->level ? r : record(s, e, MESSAGES, e->priority, NULL);
	if (found.kind == KMSG_OOM)
		add_group(s, &found);
	/* The record first: who asks what broke a promise on the count finds it. */
	r = record(s, e, found.kind, e->priority < kmsg_kinds[found.kind].priority ? e->priority : kmsg_kinds[found.kind].priority, &found);
	count(s, found.kind, 1, e->time);
	return r;
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static int set_level(struct state *s)
{
	const char *name = s->h->option_string(s->h, "level");

	s->level = NO_LEVEL;
	if (!name || !strcmp(name, "none"))
		return 0;
	while (++s->level < (int)KITH_COUNT(levels))
		if (!strcmp(name, levels[s->level]))
			return 0;
	s->h->note(s->h, "level: emergency, alert, critical, error, warning, notice, info, debug or none");
	return -EINVAL;
}

static void fini(void *state)
{
	free(state);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct kith_kmsg_filter filter = { .size = sizeof(filter), .priority = KITH_DEBUG };
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	filter.flags = h->option_bool(h, "user") ? KITH_KMSG_USER : 0;
	r = set_level(s);
	for (unsigned i = 0; i < N_INSTANCES && r == 0; i++) {
		r = h->series(h, 0, instance_name(i), &s->ids[i]);
		if (r == 0)
			r = h->put(h, s->ids[i], 0);
	}
	if (r == 0)
		r = h->watch_source(h, KITH_SOURCE_KMSG, &filter, on_message, s, NULL);
	if (r == -EPERM || r == -EACCES) {
		h->note(h, "reading /dev/kmsg takes CAP_SYSLOG here (kernel.dmesg_restrict = 1): run kithd as root, or grant it in the unit");
		r = -EOPNOTSUPP;
	}
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "kmsg",
	.version = "1",
	.help = "What the kernel says: out of memory, I/O errors, crashes, hangs",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS,
	.needs = KITH_NEEDS_KMSG,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "/dev/kmsg",
	.costs = "nothing on an idle host; 3 us for a message",
};
