/* What short-lived processes used: of the kernel's taskstats, which tell it when a task ends. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "processes/processes.h"
#include "sources/task.h"

#define SUMMARY_AFTER INT64_C(60000000000) /* ns */

static void count_name(struct short_lived *s, const char *name)
{
	for (size_t i = 0; i < SHORT_NAMES; i++) {
		if (s->names[i].n && strcmp(s->names[i].name, name))
			continue;
		if (!s->names[i].n)
			snprintf(s->names[i].name, sizeof(s->names[i].name), "%s", name);
		s->names[i].n++;
		return;
	}
	s->others++;
}

/* The names of most of them, as "sh 12, cat 3" */
static void most(struct short_lived *s, char *text, size_t size)
{
	size_t at = 0;

	*text = '\0';
	for (int rank = 0; rank < 3; rank++) {
		size_t best = 0;

		for (size_t i = 1; i < SHORT_NAMES; i++)
			if (s->names[i].n > s->names[best].n)
				best = i;
		if (!s->names[best].n || at + 48 > size)
			break;
		at += (size_t)snprintf(text + at, size - at, "%s%s %" PRIu64, rank ? ", " : "", s->names[best].name, s->names[best].n);
		s->names[best].n = 0;
	}
}

static int summary(void *user)
{
	struct processes *p = user;
	struct short_lived *s = &p->short_lived;
	double d[N_SHORT];
	char text[300], names[200], numbers[N_SHORT][32];
	struct kith_field fields[N_SHORT + 1];
	struct kith_record record = { .size = sizeof(record), .priority = KITH_INFO, .subject = "short_lived", .message = text, .fields = fields,
		                      .n_fields = N_SHORT + 1 };
	static const char *const keys[N_SHORT] = { "count", "cpu_s", "read_bytes", "written_bytes", "cpu_delay_s", "disk_delay_s" };
	int r;

	p->h->unwatch(p->h, s->timer);
	s->timer = NULL;
	for (int i = 0; i < N_SHORT; i++) {
		bool seconds = i == SHORT_CPU || i == SHORT_CPU_DELAY || i == SHORT_DISK_DELAY;

		d[i] = s->sums[i] - s->told[i];
		s->told[i] = s->sums[i];
		snprintf(numbers[i], sizeof(numbers[i]), seconds ? "%.3f" : "%.0f", d[i]);
		fields[i] = (struct kith_field){ keys[i], numbers[i] };
	}
	most(s, names, sizeof(names));
	fields[N_SHORT] = (struct kith_field){ "most", names };
	memset(s->names, 0, sizeof(s->names));
	s->others = 0;
	snprintf(text, sizeof(text), "%.0f short-lived processes within a minute used %.3f s of CPU time; most: %s", d[SHORT_COUNT], d[SHORT_CPU], names);
	r = p->h->record(p->h, &record);
	return r == -ENOSPC ? 0 : r;
}

static int on_task(const void *event, void *user)
{
	const struct kith_task_event *e = event;
	struct processes *p = user;
	struct short_lived *s = &p->short_lived;
	struct tracked *t;
	double cpu;

	if (!e)
		return 0;
	cpu = (double)(e->user + e->system) / 1e9;
	t = names_tracked(p, e->process);
	/* More than was read on the last tick. Of several threads the tick's is the better one. */
	if (t && t->cpu < cpu)
		t->cpu = cpu;
	if (e->lived >= s->limit)
		return 0;
	s->sums[SHORT_COUNT] += e->pid == e->process;
	s->sums[SHORT_CPU] += cpu;
	s->sums[SHORT_READ] += (double)e->read;
	s->sums[SHORT_WRITTEN] += (double)e->written;
	s->sums[SHORT_CPU_DELAY] += (double)e->cpu_delay / 1e9;
	s->sums[SHORT_DISK_DELAY] += (double)e->disk_delay / 1e9;
	if (e->pid == e->process)
		count_name(s, e->name);
	return s->timer ? 0 : p->h->watch_timer(p->h, SUMMARY_AFTER, 0, SUMMARY_AFTER / 10, summary, p, &s->timer);
}

static int sample(void *user)
{
	struct processes *p = user;

	return p->h->put_all(p->h, p->short_lived.id, p->short_lived.sums, N_SHORT);
}

int short_init(struct processes *p)
{
	struct short_lived *s = &p->short_lived;
	int r;

	if (!p->h->option_bool(p->h, "exit_statistics"))
		return 0;
	s->limit = (int64_t)(p->h->option_number(p->h, "short") * 1e9);
	r = p->h->watch_source(p->h, KITH_SOURCE_TASK, NULL, on_task, p, NULL);
	if (r < 0) {
		snprintf(s->note, sizeof(s->note), "no exit statistics: %s", strerror(-r));
		p->h->log(p->h, KITH_NOTICE, "no exit statistics: %s", strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	r = p->h->series(p->h, FAMILY_SHORT, NULL, &s->id);
	return r < 0 ? r : p->h->sample(p->h, sample, p, NULL);
}
