/* How many processes of a name there are: the names that somebody wants, and the processes counted for them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "processes/processes.h"

static int names_scan_at(struct processes *p, int64_t due);

/* ---- counting --------------------------------------------------------------------------------------------------- */

/* During a scan nothing is put: a count on its way to the truth is none. */
static int publish(struct processes *p, struct wanted *w)
{
	int r;

	if (p->scanning || p->scanned == 0 || w->id == KITH_ID_NONE || (w->published && w->put == w->count))
		return 0;
	r = exits_counted(p, w);
	if (r == 0)
		r = p->h->put(p->h, w->id, w->count);
	if (r == 0) {
		w->put = w->count;
		w->published = true;
	}
	return r;
}

struct tracked *names_tracked(const struct processes *p, int32_t pid)
{
	struct tracked *t;

	HASH_FIND(hh, p->tracked, &pid, sizeof(pid), t);
	return t;
}

static int64_t wall_clock(void)
{
	struct timespec now;

	/* Not the host's now, which is when this wake-up began */
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

bool names_overtaken(const struct processes *p, int32_t pid, int64_t forked)
{
	for (uint32_t i = 0; i < RECENT_MAX; i++)
		if (p->overtaken[i].pid == pid && p->overtaken[i].time + CLOCK_ERROR >= forked)
			return true;
	return false;
}

static void overtake(struct processes *p, int32_t pid)
{
	p->overtaken[p->overtaken_at].pid = pid;
	p->overtaken[p->overtaken_at].time = wall_clock();
	p->overtaken_at = (p->overtaken_at + 1) % RECENT_MAX;
}

static int untrack(struct processes *p, struct tracked *t)
{
	struct wanted *w = t->wanted;
	int r;

	w->count--;
	w->cpu_ended += t->cpu;
	HASH_DELETE(hh, p->tracked, t);
	p->n_tracked--;
	/*
	 * The filter may keep the pid until it changes for another reason; a new owner of it is not tracked and passed
	 * over.
	 */
	if (t->watch)
		p->h->unwatch(p->h, t->watch);
	if (t->pidfd >= 0) {
		close(t->pidfd);
		p->n_pidfds--;
	}
	if (t->stat >= 0) {
		close(t->stat);
		p->n_open--;
	}
	if (t->ended && p->scanning)
		overtake(p, t->pid);
	r = t->ended ? exits_ended(p, w, t) : 0;
	free(t);
	return r;
}

/* Changes of the filter are gathered: a burst of processes makes one update */
static int filter_stale(struct processes *p)
{
	if (!p->events)
		return 0;
	p->stale = true;
	return p->scanning ? 0 : names_batch_soon(p, BATCH_AFTER); /* a scan makes one at its end */
}

int names_track(struct processes *p, int32_t pid, struct wanted *w)
{
	struct tracked *t = names_tracked(p, pid);
	struct wanted *before = t ? t->wanted : NULL;
	int r = 0;

	if (t)
		t->seen = true;
	if (before == w)
		return 0;
	if (t && w) {
		t->wanted = w;
		before->count--;
		w->count++;
	} else if (t) {
		r = untrack(p, t);
	} else {
		t = calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		*t = (struct tracked){ .p = p, .wanted = w, .pid = pid, .pidfd = -1, .stat = -1, .fresh = p->events && !p->wide, .seen = true };
		HASH_ADD(hh, p->tracked, pid, sizeof(t->pid), t);
		p->n_tracked++;
		w->count++;
		if (t->fresh)
			r = filter_stale(p);
	}
	if (p->wide && p->n_tracked <= NARROW_AGAIN && r == 0)
		r = filter_stale(p);
	if (before && r == 0)
		r = publish(p, before);
	if (w && r == 0)
		r = publish(p, w);
	return r;
}

/*
 * The name that a process called `comm` counts for: of several the longest. A name beyond what the kernel keeps is
 * held against argv[0].
 */
static struct wanted *match(const struct processes *p, int32_t pid, const char *comm, size_t length)
{
	struct wanted *best = NULL;
	char program[256] = "";
	int n = -1;

	for (struct wanted *w = p->wanted; w; w = w->next) {
		if (best && best->length >= w->length)
			continue;
		if (w->length <= COMM_MAX) {
			if (w->length == length && !memcmp(w->name, comm, length))
				best = w;
			continue;
		}
		if (length != COMM_MAX || memcmp(w->name, comm, COMM_MAX))
			continue;
		if (n < 0)
			n = proc_program(p->dir, pid, program, sizeof(program));
		if (n == (int)w->length && !memcmp(program, w->name, w->length))
			best = w;
	}
	return best;
}

int names_classify(struct processes *p, int32_t pid)
{
	struct tracked *t = names_tracked(p, pid);
	struct wanted *w = NULL;
	struct proc_stat stat = { 0 };
	char comm[80]; /* a kernel worker's is longer than a process's */
	int r, n = proc_name(p->dir, pid, comm, sizeof(comm));

	if (n > 0)
		w = match(p, pid, comm, (size_t)n);
	/* Its zombie still has a name */
	if (w && (!t || t->wanted != w) && proc_life(p->dir, pid, &stat) == PROC_GONE)
		w = NULL;
	if (t && n < 0)
		t->ended = true;
	if (!t && !w)
		return 0;
	r = names_track(p, pid, w);
	t = r < 0 || !w ? NULL : names_tracked(p, pid);
	if (t && !t->start && stat.start)
		t->start = exits_start_time(p, stat.start);
	return t && !p->events ? events_hold(p, t) : r;
}

/* ---- scanning --------------------------------------------------------------------------------------------------- */

void names_settle(struct processes *p)
{
	p->settled = wall_clock();
}

void names_recent_add(struct processes *p, int32_t pid)
{
	int64_t now = p->h->now(p->h);

	p->recent[p->recent_at++] = pid;
	if (p->recent_at < RECENT_MAX)
		return;
	p->recent_at = 0;
	/* So many in so short a time that one may have been forgotten before its forks were heard: a scan makes it good */
	if (now - p->recent_lap < SCAN_SPACING)
		names_scan_soon(p);
	p->recent_lap = now;
}

bool names_recent(const struct processes *p, int32_t pid)
{
	for (uint32_t i = 0; i < RECENT_MAX; i++)
		if (p->recent[i] == pid)
			return true;
	return false;
}

int names_look(struct processes *p, int32_t pid)
{
	struct tracked *t;
	int r;

	t = names_tracked(p, pid);
	if (t && proc_life(p->dir, pid, NULL) == PROC_GONE) {
		/* Its forks may be on their way still */
		names_recent_add(p, pid);
		t->ended = true;
		return names_track(p, pid, NULL);
	}
	r = names_classify(p, pid);
	t = r < 0 ? NULL : names_tracked(p, pid);
	return t && proc_life(p->dir, pid, NULL) == PROC_HEADLESS ? events_hold(p, t) : r;
}

static int scan_one(int32_t pid, void *user)
{
	return names_look(user, pid);
}

static int scan_now(struct processes *p)
{
	struct tracked *t, *next;
	int r;

	p->scan_wanted = false;
	p->scanning = true;
	for (t = p->tracked; t; t = t->hh.next)
		t->seen = false;
	r = proc_each(p->dir, scan_one, p);
	for (t = p->tracked; t && r >= 0; t = next) {
		next = t->hh.next;
		if (!t->seen) {
			t->ended = true;
			names_track(p, t->pid, NULL);
		}
	}
	p->scanning = false;
	if (r < 0)
		return r;
	p->scans++;
	p->scanned = p->h->now(p->h);
	names_settle(p);
	/* Those that the filter did not know: told to the kernel, and looked at again, before anybody hears of them */
	p->scanning = true;
	r = events_update(p);
	p->scanning = false;
	for (struct wanted *w = p->wanted; w && r == 0; w = w->next) {
		r = publish(p, w);
		if (r == 0 && w->published)
			r = exits_put(p, w);
	}
	return r;
}

/*
 * Lost events are made good at most once in a while: while a storm lasts more are lost, and only what is left of it
 * counts.
 */
int names_scan(struct processes *p)
{
	return names_scan_at(p, p->scanned ? p->scanned + SCAN_SPACING : 0);
}

/* Never within this call: the caller may be walking through the table */
int names_scan_soon(struct processes *p)
{
	int64_t soonest = p->h->now(p->h) + BATCH_AFTER, due = p->scanned + SCAN_SPACING;

	return names_scan_at(p, due > soonest ? due : soonest);
}

int names_scan_later(struct processes *p)
{
	return names_scan_at(p, p->h->now(p->h) + SCAN_SPACING);
}

static int on_batch(void *user)
{
	struct processes *p = user;
	int r = 0;

	p->h->unwatch(p->h, p->batch);
	p->batch = NULL;
	if (p->stale)
		r = events_update(p);
	if (p->scan_wanted && r == 0)
		r = names_scan_at(p, p->scan_due);
	return r;
}

static int names_scan_at(struct processes *p, int64_t due)
{
	int64_t now = p->h->now(p->h);

	if (!p->wanted || p->starting || p->scanning)
		return 0;
	/* A clock that was set back must not put it off for long */
	if (due <= now || due - now > SCAN_SPACING)
		return scan_now(p);
	p->scan_due = p->scan_wanted && p->scan_due < due ? p->scan_due : due;
	p->scan_wanted = true;
	return names_batch_soon(p, due - now);
}

int names_batch_soon(struct processes *p, int64_t after)
{
	int64_t due = p->h->now(p->h) + after;

	if (p->starting || (p->batch && p->batch_due <= due))
		return 0;
	if (p->batch)
		p->h->unwatch(p->h, p->batch);
	p->batch = NULL;
	p->batch_due = due;
	return p->h->watch_timer(p->h, after, 0, 0, on_batch, p, &p->batch);
}

static int on_fallback(void *user)
{
	struct processes *p = user;

	return p->wanted ? scan_now(p) : 0;
}

/* ---- the names -------------------------------------------------------------------------------------------------- */

void names_tell(struct processes *p)
{
	char text[256] = "";
	int n = 0;

	if (p->no_events && p->wanted)
		n = snprintf(text, sizeof(text), "no process events (%s): named processes are counted every %.0f s", strerror(-p->no_events),
		             p->h->option_number(p->h, "scan_interval"));
	if (p->n_globs)
		snprintf(text + n, sizeof(text) - (size_t)n, "%sprocess:…:count of a name with '*' is not counted: name the processes",
		         n ? "; " : "");
	if (!*text)
		snprintf(text, sizeof(text), "%s", p->short_lived.note);
	p->h->note(p->h, *text ? text : NULL);
}

/* With a name wanted the kernel is asked, or scanned; with none nothing is open and nothing runs */
static int source_adapt(struct processes *p)
{
	int64_t every;
	int r = 0;

	if (p->starting)
		return 0;
	if (!p->wanted) {
		events_stop(p);
		if (p->batch)
			p->h->unwatch(p->h, p->batch);
		if (p->fallback)
			p->h->unwatch(p->h, p->fallback);
		if (p->summary)
			p->h->unwatch(p->h, p->summary);
		p->batch = p->fallback = p->summary = NULL;
		p->scanned = 0;
		p->scan_wanted = p->stale = p->wide = false;
		names_tell(p);
		return 0;
	}
	if (!p->events && !p->no_events) {
		p->no_events = events_start(p);
		if (p->no_events)
			p->h->log(p->h, KITH_NOTICE, "no process events: %s", strerror(-p->no_events));
	}
	if (p->no_events && !p->fallback) {
		every = (int64_t)(p->h->option_number(p->h, "scan_interval") * 1e9);
		r = p->h->watch_timer(p->h, every, every, every / 10, on_fallback, p, &p->fallback);
	}
	names_tell(p);
	return r;
}

static int source_begin(struct processes *p)
{
	int r = source_adapt(p);

	if (r < 0 || p->starting || !p->wanted)
		return r;
	/* Several names come together, when a file of promises is read: one scan and one filter for them */
	p->stale = true;
	return names_scan_at(p, p->h->now(p->h) + BATCH_AFTER);
}

int names_refused(struct processes *p, int error)
{
	p->no_events = error ? -abs(error) : -EOPNOTSUPP;
	p->h->log(p->h, KITH_NOTICE, "no process events: %s", strerror(-p->no_events));
	events_stop(p);
	p->stale = p->wide = false;
	return source_adapt(p);
}

static struct wanted **wanted_find(struct processes *p, const char *name)
{
	struct wanted **at = &p->wanted;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

int names_add(struct processes *p, const char *name, bool by_option)
{
	struct wanted **at = wanted_find(p, name), *w = *at;
	size_t length = strlen(name);
	int r;

	if (w) {
		w->by_option |= by_option;
		w->by_promise |= !by_option;
		return 0;
	}
	if (length == 0 || length > 255) {
		p->h->log(p->h, KITH_WARNING, "a process's name of %zu bytes cannot be counted", length);
		return 0;
	}
	w = calloc(1, sizeof(*w) + length + 1);
	if (!w)
		return -ENOMEM;
	memcpy(w->name, name, length + 1);
	w->length = length;
	w->by_option = by_option;
	w->by_promise = !by_option;
	r = p->h->series(p->h, FAMILY_PROCESS, name, &w->id);
	if (r < 0) {
		p->h->log(p->h, KITH_WARNING, "process:%s is not counted: %s", name, strerror(-r));
		free(w);
		return 0;
	}
	*at = w;
	p->n_wanted++;
	return source_begin(p);
}

static int names_remove(struct processes *p, const char *name)
{
	struct wanted **at = wanted_find(p, name), *w = *at;
	struct tracked *t, *next;
	int r;

	if (!w)
		return 0;
	w->by_promise = false;
	if (w->by_option)
		return 0;
	for (t = p->tracked; t; t = next) {
		next = t->hh.next;
		if (t->wanted == w)
			(void)untrack(p, t);
	}
	*at = w->next;
	p->n_wanted--;
	r = p->h->end(p->h, w->id);
	free(w);
	/* Those that also match a shorter name are found by the scan */
	if (p->wanted)
		return source_begin(p);
	return source_adapt(p) < 0 ? -EIO : r;
}

int names_on_wanted(const char *instance, int wanted, void *user)
{
	struct processes *p = user;

	if (strpbrk(instance, "*?")) {
		if (wanted)
			p->n_globs++;
		else if (p->n_globs)
			p->n_globs--;
		if (!p->starting)
			names_tell(p);
		return 0;
	}
	return wanted ? names_add(p, instance, false) : names_remove(p, instance);
}

int names_start(struct processes *p)
{
	int r;

	p->starting = false;
	if (!p->wanted) {
		names_tell(p);
		return 0;
	}
	/* The events first: what happens during the scan is heard after it */
	r = source_adapt(p);
	return r < 0 ? r : names_scan(p);
}

void names_free(struct processes *p)
{
	struct tracked *t, *next;
	struct wanted *w;

	for (t = p->tracked; t; t = next) {
		next = t->hh.next;
		if (t->pidfd >= 0)
			close(t->pidfd);
		if (t->stat >= 0)
			close(t->stat);
		HASH_DELETE(hh, p->tracked, t);
		free(t);
	}
	while ((w = p->wanted)) {
		p->wanted = w->next;
		free(w);
	}
}
