/*
 * Process events. Exec and fork are asked for in full as soon as one name is wanted: an exec's event does not carry
 * the new name, and a
 * daemon that forks right after its exec would have forked before any filter could name it. Exits and renames are
 * asked for by pid
 * while there are few.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "processes/processes.h"

/* All threads of a process whose leader went before them have gone now */
static int on_pidfd(int fd, uint32_t events, void *user)
{
	struct tracked *t = user;

	struct processes *p = t->p;
	int r;

	(void)fd;
	(void)events;
	t->ended = true;
	r = names_track(p, t->pid, NULL);
	/* No event will tell that it runs again */
	return r == 0 && !p->events ? names_scan_later(p) : r;
}

int events_hold(struct processes *p, struct tracked *t)
{
	int r;

	/* Without events every scan looks at all of them anyway, and the pids may be of another namespace than ours. */
	if (t->pidfd >= 0 || (!p->events && (!p->no_events || !p->own_pids || p->n_pidfds >= NARROW_MAX)))
		return 0;
	t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	if (t->pidfd < 0 && !p->events)
		return 0;
	if (t->pidfd < 0) {
		t->ended = errno == ESRCH;
		return errno == ESRCH ? names_track(p, t->pid, NULL) : names_scan_soon(p);
	}
	r = p->h->watch_fd(p->h, t->pidfd, KITH_READ, on_pidfd, t, &t->watch);
	if (r < 0) {
		close(t->pidfd);
		t->pidfd = -1;
		return r;
	}
	p->n_pidfds++;
	return 0;
}

static int on_exit_event(struct processes *p, struct tracked *t, int32_t status)
{
	struct proc_stat stat;

	/*
	 * The leader of a process whose threads live on? Or those of a whole group that ends: they may lag behind the
	 * leader.
	 */
	t->status = status;
	t->has_status = true;
	t->ended = proc_stat(p->dir, t->pid, &stat) < 0 || stat.threads <= 1;
	if (t->ended)
		return names_track(p, t->pid, NULL);
	return events_hold(p, t);
}

/*
 * A child has its parent's name until it says otherwise. That is the name which the parent had then: of a parent that
 * may have changed it
 * since (or has gone since, unseen), the child is looked at itself. So it is in events older than the last scan, or
 * than the filter that
 * lets all exits through: the child's exit may have come before that.
 */
static int on_fork(struct processes *p, const struct kith_process_event *e)
{
	struct tracked *t = names_tracked(p, e->parent);
	int r;

	if (names_tracked(p, e->pid))
		return 0; /* a scan has seen it */
	if (e->time <= p->settled + CLOCK_ERROR && names_overtaken(p, e->pid, e->time))
		return 0; /* one has even seen its end */
	if (e->time <= p->settled + CLOCK_ERROR || names_recent(p, e->parent)) {
		names_recent_add(p, e->pid);
		r = names_classify(p, e->pid);
		t = names_tracked(p, e->parent);
		if (r < 0 || !t || names_tracked(p, e->pid) || proc_life(p->dir, e->pid, NULL) != PROC_GONE)
			return r;
		return exits_unseen(p, t->wanted);
	}
	if (!t)
		return 0;
	r = names_track(p, e->pid, t->wanted);
	t = r < 0 ? NULL : names_tracked(p, e->pid);
	if (t)
		t->start = e->time;
	return r;
}

static int on_event(const struct kith_process_event *e, void *user)
{
	struct processes *p = user;
	struct tracked *t;

	switch (e->what) {
	case 0:
		/* Only now is it known that this host delivers nothing */
		return names_refused(p, e->status);
	case KITH_PROCESS_FORK:
		return on_fork(p, e);
	case KITH_PROCESS_EXEC:
	case KITH_PROCESS_NAME:
		names_recent_add(p, e->pid);
		return names_classify(p, e->pid);
	case KITH_PROCESS_EXIT:
		t = names_tracked(p, e->pid);
		return t ? on_exit_event(p, t, e->status) : 0;
	}
	return 0;
}

/* ---- the filter ------------------------------------------------------------------------------------------------- */

/*
 * What to ask for now, with `pids` of at least NARROW_MAX. The names are allocated; the strings are not. 0 or -ENOMEM.
 */
static int filter_make(struct processes *p, int32_t *pids, struct kith_process_filter *ret_filter)
{
	struct kith_process_filter f = { .size = sizeof(f), .all = KITH_PROCESS_EXEC | KITH_PROCESS_FORK,
		                         .some = KITH_PROCESS_EXIT | KITH_PROCESS_NAME, .pids = pids };
	const char **names = calloc(p->n_wanted + 1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (struct wanted *w = p->wanted; w; w = w->next)
		names[f.n_names++] = w->name;
	f.names = names;
	if (p->n_tracked > (p->wide ? NARROW_AGAIN : NARROW_MAX)) {
		p->wide = true;
		f.all |= f.some;
		f.some = 0;
	} else {
		p->wide = false;
		for (struct tracked *t = p->tracked; t; t = t->hh.next)
			pids[f.n_pids++] = t->pid;
	}
	*ret_filter = f;
	return 0;
}

int events_start(struct processes *p)
{
	struct kith_process_filter f;
	int32_t pids[NARROW_MAX];
	int r = filter_make(p, pids, &f);

	if (r < 0)
		return r;
	r = p->h->watch_process(p->h, &f, on_event, p, &p->events);
	free((void *)(uintptr_t)f.names);
	return r;
}

void events_stop(struct processes *p)
{
	if (p->events)
		p->h->unwatch(p->h, p->events);
	p->events = NULL;
}

int events_update(struct processes *p)
{
	struct tracked *t, *next;
	struct kith_process_filter f;
	bool was_wide = p->wide;
	int32_t pids[NARROW_MAX];
	int r;

	if (!p->events || !p->stale)
		return 0;
	r = filter_make(p, pids, &f);
	if (r < 0)
		return r;
	r = p->h->set_process_filter(p->h, p->events, &f);
	free((void *)(uintptr_t)f.names);
	if (r < 0)
		return r;
	p->stale = false;
	p->updates++;
	if (p->wide && !was_wide)
		names_settle(p);
	/* Before, nothing would have told of their exit or of another name */
	for (t = p->tracked; t && r >= 0; t = next) {
		next = t->hh.next;
		if (t->fresh) {
			t->fresh = false;
			r = names_look(p, t->pid);
		}
	}
	return r;
}
