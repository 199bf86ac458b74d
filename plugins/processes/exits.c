/* What becomes of the processes of a name: their ends, restarts, what they use. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "processes/processes.h"

#define RECORD_SPACING INT64_C(1000000000)   /* ns between records of ends of one name; others are gathered */
#define SUMMARY_AFTER INT64_C(10000000000)   /* ns */

static int tell(struct processes *p, uint32_t priority, const char *subject, const char *message, const struct kith_field *fields, uint32_t n)
{
	struct kith_record record = { .size = sizeof(record), .priority = priority, .subject = subject, .message = message, .fields = fields,
		                      .n_fields = n };
	int r = p->h->record(p->h, &record);

	return r == -ENOSPC ? 0 : r;
}

static void subject_make(const struct wanted *w, char subject[300])
{
	snprintf(subject, 300, "process:%s", w->name);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static int summary(void *user)
{
	struct processes *p = user;
	int r = 0;

	p->h->unwatch(p->h, p->summary);
	p->summary = NULL;
	for (struct wanted *w = p->wanted; w && r == 0; w = w->next) {
		char text[420], subject[300], ended[24], failed[24], killed[24];
		const struct kith_field fields[] = { { "ended", ended }, { "failed", failed }, { "killed", killed } };

		if (!w->untold)
			continue;
		snprintf(ended, sizeof(ended), "%llu", (unsigned long long)w->untold);
		snprintf(failed, sizeof(failed), "%llu", (unsigned long long)w->untold_failed);
		snprintf(killed, sizeof(killed), "%llu", (unsigned long long)w->untold_killed);
		snprintf(text, sizeof(text), "%s more processes of %s ended: %s with another status than 0, %s by a signal", ended, w->name, failed,
		         killed);
		w->untold = w->untold_failed = w->untold_killed = 0;
		w->told = p->h->now(p->h);
		subject_make(w, subject);
		r = tell(p, KITH_INFO, subject, text, fields, KITH_COUNT(fields));
	}
	return r;
}

static int tell_end(struct processes *p, const struct wanted *w, const struct tracked *t)
{
	char text[420], subject[300], how[120], pid[16], number[16], lifetime[32] = "unknown";
	struct kith_field fields[4] = { { "pid", pid }, { "lifetime", lifetime } };
	uint32_t n = 2, priority = KITH_INFO;
	int64_t lived = t->start ? p->h->now(p->h) - t->start : -1;

	snprintf(pid, sizeof(pid), "%d", t->pid);
	if (lived >= 0)
		snprintf(lifetime, sizeof(lifetime), "%.3f s", (double)lived / 1e9);
	if (!t->has_status) {
		snprintf(how, sizeof(how), "ended; its status is not known here");
	} else if (WIFSIGNALED(t->status)) {
		snprintf(how, sizeof(how), "was ended by signal %d (%s)%s", WTERMSIG(t->status), strsignal(WTERMSIG(t->status)),
		         WCOREDUMP(t->status) ? ", core dumped" : "");
		snprintf(number, sizeof(number), "%d", WTERMSIG(t->status));
		fields[n++] = (struct kith_field){ "signal", number };
		fields[n++] = (struct kith_field){ "core", WCOREDUMP(t->status) ? "yes" : "no" };
		priority = KITH_WARNING;
	} else {
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(t->status));
		snprintf(number, sizeof(number), "%d", WEXITSTATUS(t->status));
		fields[n++] = (struct kith_field){ "status", number };
		priority = WEXITSTATUS(t->status) ? KITH_NOTICE : KITH_INFO;
	}
	snprintf(text, sizeof(text), "%s (pid %d) %s%s%s", w->name, t->pid, how, lived >= 0 ? " after " : "", lived >= 0 ? lifetime : "");
	subject_make(w, subject);
	return tell(p, priority, subject, text, fields, n);
}

int exits_ended(struct processes *p, struct wanted *w, const struct tracked *t)
{
	const struct kith_host *h = p->h;
	int64_t now = h->now(h);
	bool killed = t->has_status && WIFSIGNALED(t->status), failed = t->has_status && !killed && WEXITSTATUS(t->status);
	int r = 0;

	if (w->id == KITH_ID_NONE)
		return 0;
	w->exits++;
	w->failures += killed || failed;
	/* A scan puts nothing: its end does */
	if (!p->scanning)
		r = exits_put(p, w);
	if (r == 0 && t->has_status) {
		r = h->put(h, w->id + PROCESS_LAST_STATUS, killed ? 0 : WEXITSTATUS(t->status));
		if (r == 0)
			r = h->put(h, w->id + PROCESS_LAST_SIGNAL, killed ? WTERMSIG(t->status) : 0);
	}
	if (r < 0)
		return r;
	if (!w->told || now - w->told >= RECORD_SPACING || now < w->told) {
		w->told = now;
		return tell_end(p, w, t);
	}
	w->untold++;
	w->untold_failed += failed;
	w->untold_killed += killed;
	return p->summary ? 0 : h->watch_timer(h, SUMMARY_AFTER, 0, SUMMARY_AFTER / 10, summary, p, &p->summary);
}

int exits_unseen(struct processes *p, struct wanted *w)
{
	w->exits++;
	return p->scanning || w->id == KITH_ID_NONE ? 0 : exits_put(p, w);
}

int exits_put(struct processes *p, struct wanted *w)
{
	const double values[] = { (double)w->restarts, (double)w->exits, (double)w->failures };

	_Static_assert(PROCESS_EXITS == PROCESS_RESTARTS + 1 && PROCESS_FAILURES == PROCESS_RESTARTS + 2, "put together");
	return p->h->put_all(p->h, w->id + PROCESS_RESTARTS, values, KITH_COUNT(values));
}

/* The count is about to be put: did the last one go, or does one run again? */
int exits_counted(struct processes *p, struct wanted *w)
{
	char text[420], subject[300];
	int64_t now = p->h->now(p->h);
	bool again = w->published && !w->put && w->count && w->has_run;

	if (w->published && w->put && !w->count)
		w->gone_at = now;
	w->has_run |= w->count > 0;
	if (!w->published || again) {
		w->restarts += again;
		if (exits_put(p, w) < 0)
			return -EIO;
	}
	if (!again)
		return 0;
	subject_make(w, subject);
	snprintf(text, sizeof(text), "%s runs again, after %.3f s without", w->name, (double)(now - w->gone_at) / 1e9);
	return tell(p, KITH_NOTICE, subject, text, NULL, 0);
}

/* ---- what they use ----------------------------------------------------------------------------------------------- */

int64_t exits_start_time(const struct processes *p, uint64_t ticks)
{
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return p->h->now(p->h) - (boot.tv_sec * INT64_C(1000000000) + boot.tv_nsec) +
	       (int64_t)((double)ticks * (1e9 / (double)sysconf(_SC_CLK_TCK)));
}

static bool read_stat(struct processes *p, struct tracked *t, struct proc_stat *ret)
{
	char path[32], text[1024];
	ssize_t n;

	if (t->stat < 0) {
		if (p->n_open >= OPEN_MAX_STATS)
			return false;
		snprintf(path, sizeof(path), "%d/stat", t->pid);
		t->stat = openat(p->dir, path, O_RDONLY | O_CLOEXEC);
		if (t->stat < 0) {
			t->stat = -1;
			return errno == ENOENT;
		}
		p->n_open++;
	}
	n = pread(t->stat, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return true; /* it has just ended: the last reading stands */
	text[n] = '\0';
	return proc_stat_parse(text, ret) == 0;
}

int exits_sample(void *state)
{
	struct processes *p = state;
	double page = (double)sysconf(_SC_PAGESIZE), tick = (double)sysconf(_SC_CLK_TCK);
	int64_t now = p->h->now(p->h);
	int result = 0;

	for (struct wanted *w = p->wanted; w; w = w->next)
		w->sum = (struct usage){ .oldest = now };
	for (struct tracked *t = p->tracked; t; t = t->hh.next) {
		struct usage *sum = &t->wanted->sum;
		struct proc_stat stat = { 0 };

		if (!read_stat(p, t, &stat)) {
			sum->unread++;
			continue;
		}
		if (stat.start) {
			t->cpu = (double)stat.cpu / tick;
			t->start = exits_start_time(p, stat.start);
		}
		sum->cpu += t->cpu;
		sum->memory += (double)stat.pages * page;
		sum->threads += (double)stat.threads;
		if (t->start && t->start < sum->oldest)
			sum->oldest = t->start;
	}
	for (struct wanted *w = p->wanted; w; w = w->next) {
		const double values[] = { w->cpu_ended + w->sum.cpu, w->sum.memory, w->sum.threads,
			                  w->count ? (double)(now - w->sum.oldest) / 1e9 : NAN };
		int r;

		/* Part of them would be a wrong number */
		if (w->id == KITH_ID_NONE || w->sum.unread || !p->scanned)
			continue;
		r = p->h->put_all(p->h, w->id + PROCESS_CPU, values, KITH_COUNT(values));
		if (r < 0)
			result = r;
	}
	return result;
}
