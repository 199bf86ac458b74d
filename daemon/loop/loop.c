#include "loop/loop.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* libev's structures start alike and are cast into one another; that is how it is meant to be used. */
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wcast-align"
#endif

/* A wall clock that moved this much against the monotonic one was set, not slewed (500 ppm are 5 ms in 10 s). */
#define TICK_JUMP_MIN (100 * NS_PER_MS)

enum watch_kind { WATCH_FD, WATCH_PRI, WATCH_TIMER, WATCH_CHILD, WATCH_SIGNAL, WATCH_ASYNC };

struct loop_watch {
	struct loop *loop;
	struct loop_watch *next, **link;
	enum watch_kind kind;
	bool dead; /* removed while its callback runs */
	union {
		ev_io io;
		ev_timer timer;
		ev_signal sig;
		ev_async async;
	} ev;
	union {
		loop_fd_fn fd;
		loop_child_fn child;
		loop_fn plain;
	} fn;
	void *user;
	int own_fd;           /* epoll set or pidfd; -1 none */
	int fd;               /* the caller's, of WATCH_PRI */
	pid_t pid;
	int64_t every, slack, due; /* due: monotonic, without slack */
};

struct loop {
	struct ev_loop *ev;
	ev_check check;
	ev_timer tick;
	loop_tick_fn tick_fn;
	void *tick_user;
	int64_t tick_at, clock_offset;
	int64_t now;
	uint64_t iterations;
	struct loop_watch *watches, *current;
};

/* By how much the clock was set since this was called last; 0: not */
static int64_t clock_jump(struct loop *l, int64_t wall)
{
	int64_t offset = wall - clock_mono(), jump = offset - l->clock_offset;

	if (jump < TICK_JUMP_MIN && jump > -TICK_JUMP_MIN)
		return 0;
	l->clock_offset = offset;
	return jump;
}

/* Ahead of all callbacks: none sees the new time before those have who count by the clock. */
static void check_cb(struct ev_loop *ev, ev_check *w, int revents)
{
	struct loop *l = w->data;
	int64_t jump;

	(void)ev;
	(void)revents;
	l->now = clock_wall();
	l->iterations++;
	jump = clock_jump(l, l->now);
	if (jump && l->tick_fn)
		l->tick_fn(l->now, jump, l->tick_user);
}

static void tick_cb(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct loop *l = t->data;
	int64_t wall = clock_wall(), jump = clock_jump(l, wall), at = l->tick_at;

	(void)ev;
	(void)revents;
	if (!jump)
		l->clock_offset = wall - clock_mono(); /* slewed */
	l->now = wall;
	l->tick_at = 0;
	if (l->tick_fn)
		l->tick_fn(at, jump, l->tick_user);
}

int loop_new(struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	/* Not the default loop: that one takes over SIGCHLD; children are watched by pidfd here. */
	l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!l->ev) {
		free(l);
		return -ENOMEM;
	}
	ev_check_init(&l->check, check_cb);
	ev_set_priority(&l->check, EV_MAXPRI);
	l->check.data = l;
	ev_check_start(l->ev, &l->check);
	ev_unref(l->ev);
	ev_timer_init(&l->tick, tick_cb, 0., 0.);
	l->tick.data = l;
	l->now = clock_wall();
	l->clock_offset = l->now - clock_mono();
	*ret_loop = l;
	return 0;
}

static void watch_stop(struct loop_watch *w)
{
	struct ev_loop *ev = w->loop->ev;

	switch (w->kind) {
	case WATCH_FD:
	case WATCH_PRI:
	case WATCH_CHILD:
		ev_io_stop(ev, &w->ev.io);
		break;
	case WATCH_TIMER:
		ev_timer_stop(ev, &w->ev.timer);
		break;
	case WATCH_SIGNAL:
		ev_signal_stop(ev, &w->ev.sig);
		break;
	case WATCH_ASYNC:
		ev_async_stop(ev, &w->ev.async);
		break;
	}
	if (w->own_fd >= 0)
		close(w->own_fd);
	w->own_fd = -1;
}

void loop_remove(struct loop *l, struct loop_watch *w)
{
	if (!w || w->dead)
		return;
	watch_stop(w);
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	w->dead = true;
	if (l->current != w)
		free(w);
}

void loop_free(struct loop *l)
{
	unsigned left = 0;

	if (!l)
		return;
	for (; l->watches; left++)
		loop_remove(l, l->watches);
	if (left)
		log_debug("loop: %u watches were left at the end", left);
	ev_timer_stop(l->ev, &l->tick);
	ev_ref(l->ev);
	ev_check_stop(l->ev, &l->check);
	ev_loop_destroy(l->ev);
	free(l);
}

void loop_run(struct loop *l)
{
	ev_run(l->ev, 0);
}

void loop_stop(struct loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

static void once_cb(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
}

void loop_run_once(struct loop *l, int64_t timeout)
{
	ev_timer once;

	ev_now_update(l->ev);
	ev_timer_init(&once, once_cb, (double)timeout / 1e9, 0);
	if (timeout > 0)
		ev_timer_start(l->ev, &once);
	ev_run(l->ev, timeout > 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
	ev_timer_stop(l->ev, &once);
}

static struct loop_watch *watch_new(struct loop *l, enum watch_kind kind, void *user)
{
	struct loop_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->loop = l;
	w->kind = kind;
	w->user = user;
	w->own_fd = w->fd = -1;
	w->next = l->watches;
	w->link = &l->watches;
	if (w->next)
		w->next->link = &w->next;
	l->watches = w;
	return w;
}

/* A callback runs between begin and end: its own watch may be removed meanwhile and is freed at the end. */
static struct loop_watch *dispatch_begin(struct loop_watch *w)
{
	struct loop_watch *outer = w->loop->current;

	w->loop->current = w;
	return outer;
}

static void dispatch_end(struct loop *l, struct loop_watch *w, struct loop_watch *outer)
{
	l->current = outer;
	if (w->dead)
		free(w);
}

static void fd_cb(struct ev_loop *ev, ev_io *io, int revents)
{
	struct loop_watch *w = io->data, *outer = dispatch_begin(w);
	struct loop *l = w->loop;
	unsigned events = (revents & EV_READ ? LOOP_READ : 0) | (revents & EV_WRITE ? LOOP_WRITE : 0);

	(void)ev;
	w->fn.fd(io->fd, events, w->user);
	dispatch_end(l, w, outer);
}

static int ev_events(unsigned events)
{
	return (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0);
}

int loop_fd(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *user, struct loop_watch **ret_watch)
{
	struct loop_watch *w;

	if (fd < 0)
		return -EBADF;
	w = watch_new(l, WATCH_FD, user);
	if (!w)
		return -ENOMEM;
	w->fn.fd = fn;
	ev_io_init(&w->ev.io, fd_cb, fd, ev_events(events));
	w->ev.io.data = w;
	if (events)
		ev_io_start(l->ev, &w->ev.io);
	if (ret_watch)
		*ret_watch = w;
	return 0;
}

void loop_fd_set(struct loop *l, struct loop_watch *w, unsigned events)
{
	int fd = w->ev.io.fd, wanted = ev_events(events);

	if (wanted == (w->ev.io.events & (EV_READ | EV_WRITE)) && ev_is_active(&w->ev.io) == !!wanted)
		return;
	ev_io_stop(l->ev, &w->ev.io);
	ev_io_set(&w->ev.io, fd, wanted);
	if (wanted)
		ev_io_start(l->ev, &w->ev.io);
}

static void pri_cb(struct ev_loop *ev, ev_io *io, int revents)
{
	struct loop_watch *w = io->data, *outer;
	struct loop *l = w->loop;
	struct epoll_event e;

	(void)ev;
	(void)revents;
	/*
	 * Drains the set, no more: mountinfo (as PSI) forgets its event with the first poll, which is the one that found this set readable, so
	 * nothing may be left in it.
	 */
	if (epoll_wait(w->own_fd, &e, 1, 0) < 0)
		log_debug("loop: a priority descriptor's set cannot be read");
	outer = dispatch_begin(w);
	w->fn.fd(w->fd, LOOP_READ, w->user);
	dispatch_end(l, w, outer);
}

int loop_pri(struct loop *l, int fd, loop_fd_fn fn, void *user, struct loop_watch **ret_watch)
{
	struct epoll_event e = { .events = EPOLLPRI | EPOLLET };
	struct loop_watch *w;
	int set, r;

	set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0)
		return -errno;
	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) < 0) {
		r = -errno;
		goto fail;
	}
	w = watch_new(l, WATCH_PRI, user);
	if (!w) {
		r = -ENOMEM;
		goto fail;
	}
	w->fn.fd = fn;
	w->own_fd = set;
	w->fd = fd;
	ev_io_init(&w->ev.io, pri_cb, set, EV_READ);
	w->ev.io.data = w;
	ev_io_start(l->ev, &w->ev.io);
	if (ret_watch)
		*ret_watch = w;
	return 0;
fail:
	close(set);
	return r;
}

/* Puts `due` off to the next multiple of the largest power of two of ms within the slack: timers of a kind then meet. */
static int64_t timer_put_off(int64_t due, int64_t slack)
{
	int64_t grid = NS_PER_MS;

	if (slack < NS_PER_MS)
		return due;
	while (grid * 2 <= slack)
		grid *= 2;
	return (due + grid - 1) / grid * grid;
}

static void timer_start(struct loop_watch *w)
{
	struct loop *l = w->loop;
	int64_t delay = timer_put_off(w->due, w->slack) - clock_mono();

	ev_now_update(l->ev);
	ev_timer_set(&w->ev.timer, delay > 0 ? (double)delay / 1e9 : 0., 0.);
	ev_timer_start(l->ev, &w->ev.timer);
}

static void timer_cb(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct loop_watch *w = t->data, *outer = dispatch_begin(w);
	struct loop *l = w->loop;

	(void)ev;
	(void)revents;
	if (w->every > 0) {
		int64_t now = clock_mono();

		/* Expiries that were missed (a suspended machine) are not made up for. */
		w->due += w->every;
		if (w->due <= now)
			w->due = now + w->every;
		timer_start(w);
	}
	w->fn.plain(w->user);
	dispatch_end(l, w, outer);
}

int loop_timer(struct loop *l, int64_t after, int64_t every, int64_t slack, loop_fn fn, void *user,
               struct loop_watch **ret_watch)
{
	struct loop_watch *w = watch_new(l, WATCH_TIMER, user);

	if (!w)
		return -ENOMEM;
	w->fn.plain = fn;
	w->every = every;
	w->slack = slack;
	ev_timer_init(&w->ev.timer, timer_cb, 0., 0.);
	w->ev.timer.data = w;
	if (after >= 0) {
		w->due = clock_mono() + after;
		timer_start(w);
	}
	if (ret_watch)
		*ret_watch = w;
	return 0;
}

void loop_timer_set(struct loop *l, struct loop_watch *w, int64_t after)
{
	ev_timer_stop(l->ev, &w->ev.timer);
	if (after < 0)
		return;
	w->due = clock_mono() + after;
	timer_start(w);
}

static void child_cb(struct ev_loop *ev, ev_io *io, int revents)
{
	struct loop_watch *w = io->data, *outer;
	struct loop *l = w->loop;
	siginfo_t info = { 0 };
	pid_t pid = w->pid;
	int status;

	(void)revents;
	/* Not reaped before the callback is through: until then nobody else can have its number, or its group's. */
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		log_err("child %d: %s", (int)pid, strerror(errno));
	else if (info.si_pid == 0)
		return;
	status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : W_EXITCODE(0, info.si_status);
	ev_io_stop(ev, io);
	outer = dispatch_begin(w);
	w->fn.child(pid, status, w->user);
	if (!w->dead)
		loop_remove(l, w);
	dispatch_end(l, w, outer);
	waitpid(pid, NULL, WNOHANG);
}

int loop_child(struct loop *l, pid_t pid, loop_child_fn fn, void *user, struct loop_watch **ret_watch)
{
	struct loop_watch *w;
	int fd;

	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	w = watch_new(l, WATCH_CHILD, user);
	if (!w) {
		close(fd);
		return -ENOMEM;
	}
	w->fn.child = fn;
	w->own_fd = fd;
	w->pid = pid;
	ev_io_init(&w->ev.io, child_cb, fd, EV_READ);
	w->ev.io.data = w;
	ev_io_start(l->ev, &w->ev.io);
	if (ret_watch)
		*ret_watch = w;
	return 0;
}

static void plain_run(struct loop_watch *w)
{
	struct loop_watch *outer = dispatch_begin(w);
	struct loop *l = w->loop;

	w->fn.plain(w->user);
	dispatch_end(l, w, outer);
}

static void signal_cb(struct ev_loop *ev, ev_signal *s, int revents)
{
	(void)ev;
	(void)revents;
	plain_run(s->data);
}

int loop_signal(struct loop *l, int signo, loop_fn fn, void *user, struct loop_watch **ret_watch)
{
	struct loop_watch *w = watch_new(l, WATCH_SIGNAL, user);

	if (!w)
		return -ENOMEM;
	w->fn.plain = fn;
	ev_signal_init(&w->ev.sig, signal_cb, signo);
	w->ev.sig.data = w;
	ev_signal_start(l->ev, &w->ev.sig);
	if (ret_watch)
		*ret_watch = w;
	return 0;
}

static void async_cb(struct ev_loop *ev, ev_async *a, int revents)
{
	(void)ev;
	(void)revents;
	plain_run(a->data);
}

int loop_async(struct loop *l, loop_fn fn, void *user, struct loop_watch **ret_watch)
{
	struct loop_watch *w = watch_new(l, WATCH_ASYNC, user);

	if (!w)
		return -ENOMEM;
	w->fn.plain = fn;
	ev_async_init(&w->ev.async, async_cb);
	w->ev.async.data = w;
	ev_async_start(l->ev, &w->ev.async);
	if (ret_watch)
		*ret_watch = w;
	return 0;
}

void loop_wake(struct loop *l, struct loop_watch *w)
{
	ev_async_send(l->ev, &w->ev.async);
}

void loop_tick(struct loop *l, loop_tick_fn fn, void *user)
{
	l->tick_fn = fn;
	l->tick_user = user;
}

void loop_tick_at(struct loop *l, int64_t at)
{
	int64_t delay = at - clock_wall();

	if (at == l->tick_at)
		return;
	l->tick_at = at;
	ev_timer_stop(l->ev, &l->tick);
	if (!at)
		return;
	ev_now_update(l->ev);
	ev_timer_set(&l->tick, delay > 0 ? (double)delay / 1e9 : 0., 0.);
	ev_timer_start(l->ev, &l->tick);
}

int64_t loop_now(const struct loop *l)
{
	return l->now;
}

uint64_t loop_iterations(const struct loop *l)
{
	return l->iterations;
}
