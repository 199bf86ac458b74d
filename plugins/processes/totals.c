#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "processes/processes.h"

#define VERIFY_EVERY INT64_C(600000000000) /* ns */
#define FIRST_NAMESPACE "pid:[4026531836]" /* PROC_PID_INIT_INO, the same on every Linux */

static uint64_t link_count(const struct processes *p)
{
	struct stat st;

	return fstat(p->dir, &st) == 0 ? (uint64_t)st.st_nlink : 0;
}

static bool in_first_namespace(const struct processes *p)
{
	char text[64];
	ssize_t n = readlinkat(p->dir, "self/ns/pid", text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return !strcmp(text, FIRST_NAMESPACE);
}

/*
 * The link count of /proc is its directories, "." and ".." included, plus the thread groups of the whole machine,
 * zombies too. So in the
 * first pid namespace the processes are the link count less the other directories. In another one the count is of
 * processes that cannot be
 * seen: it does not fit the entries, and these are counted instead. Modules add and remove directories: looked at
 * again now and then.
 */
static int totals_verify(struct processes *p, uint64_t *ret_pids)
{
	struct totals *t = &p->totals;
	uint64_t before = link_count(p), after, pids, others, low, high;
	int r = proc_count(p->dir, &pids, &others);

	if (r < 0)
		return r;
	after = link_count(p);
	low = before < after ? before : after;
	high = before < after ? after : before;
	t->fixed = others;
	/* Processes came and went while they were counted */
	t->links = low > others && (in_first_namespace(p) || (pids + 2 >= low - others && pids <= high - others + 2));
	t->verified = p->h->now(p->h);
	*ret_pids = t->links ? after - others : pids;
	return 0;
}

static int totals_count(struct processes *p, uint64_t *ret_pids)
{
	struct totals *t = &p->totals;
	uint64_t n, others;

	if (p->h->now(p->h) - t->verified >= VERIFY_EVERY)
		return totals_verify(p, ret_pids);
	if (!t->links)
		return proc_count(p->dir, ret_pids, &others);
	n = link_count(p);
	if (n <= t->fixed)
		return totals_verify(p, ret_pids);
	*ret_pids = n - t->fixed;
	return 0;
}

static void stat_number(const char *line, const char *key, double *ret_value)
{
	size_t length = strlen(key);
	const char *s = line + length;
	uint64_t v;

	if (!strncmp(line, key, length) && kith_scan_u64(&s, &v) == 0)
		*ret_value = (double)v;
}

/* 0, or -EBADMSG when /proc/stat lacks a line */
static int totals_read_stat(struct processes *p, double *values)
{
	char *text;
	int r = p->h->read(p->h, p->totals.stat, &text, NULL);

	if (r < 0)
		return r;
	for (const char *s = text; *s; s = kith_scan_line(s)) {
		if (*s != 'p')
			continue;
		stat_number(s, "processes ", &values[TOTALS_FORKS]);
		stat_number(s, "procs_running ", &values[TOTALS_RUNNING]);
		stat_number(s, "procs_blocked ", &values[TOTALS_BLOCKED]);
	}
	return isnan(values[TOTALS_FORKS]) || isnan(values[TOTALS_RUNNING]) || isnan(values[TOTALS_BLOCKED]) ? -EBADMSG : 0;
}

int totals_sample(void *state)
{
	struct processes *p = state;
	double values[TOTALS_SLEEPING] = { NAN, NAN, NAN, NAN };
	uint64_t pids;
	int count = totals_count(p, &pids), read, put;

	if (count == 0)
		values[TOTALS_TOTAL] = (double)pids;
	read = totals_read_stat(p, values);
	put = p->h->put_all(p->h, p->totals.id, values, TOTALS_SLEEPING);
	return count < 0 ? count : read < 0 ? read : put;
}

struct states {
	int dir;
	double n[N_TOTALS];
};

static int count_state(int32_t pid, void *user)
{
	struct states *s = user;
	struct proc_stat stat;

	/* It may have gone by now */
	if (proc_stat(s->dir, pid, &stat) < 0)
		return 0;
	switch (stat.state) {
	case 'S':
		s->n[TOTALS_SLEEPING]++;
		break;
	case 'I':
		s->n[TOTALS_IDLE]++;
		break;
	case 'T':
	case 't':
		s->n[TOTALS_STOPPED]++;
		break;
	case 'Z':
		s->n[TOTALS_ZOMBIES]++;
		break;
	case 'W':
		s->n[TOTALS_PAGING]++;
		break;
	}
	return 0;
}

int totals_scan(void *state)
{
	struct processes *p = state;
	struct states s = { .dir = p->dir };
	int r = proc_each(p->dir, count_state, &s);

	if (r < 0)
		return r;
	return p->h->put_all(p->h, p->totals.id + TOTALS_SLEEPING, s.n + TOTALS_SLEEPING, N_TOTALS - TOTALS_SLEEPING);
}

int totals_init(struct processes *p)
{
	struct totals *t = &p->totals;
	double every = p->h->option_number(p->h, "scan");
	uint64_t pids;
	int r;

	t->stat = p->h->open(p->h, "/proc/stat");
	if (t->stat < 0)
		return t->stat;
	r = p->h->series(p->h, FAMILY_PROCESSES, NULL, &t->id);
	if (r == 0)
		r = totals_verify(p, &pids);
	if (r == 0)
		r = p->h->sample(p->h, totals_sample, p, NULL);
	if (r == 0 && every > 0)
		r = p->h->watch_timer(p->h, 0, (int64_t)(every * 1e9), (int64_t)(every * 1e8), totals_scan, p, NULL);
	if (r < 0)
		close(t->stat);
	return r;
}
