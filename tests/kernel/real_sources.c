#include "real_sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct real_watch {
	struct real_watch *next;
	struct real *real;
	bool dead;
	struct netlink_sub *netlink;
	struct process_sub *process;
	struct source_sub *source;
	struct loop_watch *loop;
	union {
		kith_netlink_fn netlink;
		kith_process_fn process;
		kith_fd_fn fd;
		kith_source_fn source;
		kith_fn call;
	} fn;
	void *user;
};

void skip(const char *reason)
{
	printf("SKIP: %s\n", reason);
	exit(77);
}

static struct real *real_of(const struct kith_host *h)
{
	struct fake_host *f = h->self;

	return (struct real *)f->watch_data;
}

static void note_failure(struct real_watch *w, int result)
{
	if (result < 0 && w->real->failure == 0)
		w->real->failure = result;
}

static struct real_watch *real_watch_new(struct real *r, void *user)
{
	struct real_watch *w = calloc(1, sizeof(*w));

	check(w);
	w->real = r;
	w->user = user;
	w->next = r->watches;
	r->watches = w;
	return w;
}

static void real_watch_drop(struct real_watch *w)
{
	struct real *r = w->real;

	if (w->dead)
		return;
	netlink_unsubscribe(r->netlink, w->netlink);
	process_unsubscribe(r->process, w->process);
	if (w->source)
		source_unsubscribe(w->source);
	loop_remove(r->loop, w->loop);
	w->dead = true; /* freed at the end: a callback may be running */
}

static void netlink_cb(const void *message, size_t length, void *user)
{
	struct real_watch *w = user;

	if (!w->dead)
		note_failure(w, w->fn.netlink(message, length, w->user));
}

static void source_cb(const void *event, void *user)
{
	struct real_watch *w = user;

	if (!w->dead)
		note_failure(w, w->fn.source(event, w->user));
}

static void process_cb(const struct kith_process_event *event, void *user)
{
	struct real_watch *w = user;

	if (!w->dead)
		note_failure(w, w->fn.process(event, w->user));
}

static void silent_cb(int error, void *user)
{
	struct kith_process_event event = { .size = sizeof(event), .status = -error };

	process_cb(&event, user);
}

static void lost_cb(void *user)
{
	struct real_watch *w = user;

	w->real->resync_due = true;
}

static void timer_cb(void *user)
{
	struct real_watch *w = user;

	if (!w->dead)
		note_failure(w, w->fn.call(w->user));
}

static void fd_cb(int fd, unsigned events, void *user)
{
	struct real_watch *w = user;

	if (!w->dead)
		note_failure(w, w->fn.fd(fd, events, w->user));
}

static int finish(struct real_watch *w, int result, struct kith_watch **ret)
{
	if (result < 0)
		w->dead = true;
	else if (ret)
		*ret = (struct kith_watch *)w;
	return result;
}

static int do_watch_netlink(const struct kith_host *h, int protocol, uint32_t group, kith_netlink_fn fn, void *user,
                            struct kith_watch **ret)
{
	struct real *r = real_of(h);
	struct real_watch *w = real_watch_new(r, user);
	struct netlink_listener listener = { w, netlink_cb, lost_cb, false };

	w->fn.netlink = fn;
	return finish(w, netlink_subscribe(r->netlink, protocol, group, &listener, &w->netlink), ret);
}

static int do_watch_process(const struct kith_host *h, const struct kith_process_filter *filter, kith_process_fn fn,
                            void *user, struct kith_watch **ret)
{
	struct real *r = real_of(h);
	struct real_watch *w = real_watch_new(r, user);
	struct process_listener listener = { w, process_cb, lost_cb, silent_cb };

	w->fn.process = fn;
	return finish(w, process_subscribe(r->process, filter, &listener, &w->process), ret);
}

static int do_watch_source(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user,
                           struct kith_watch **ret)
{
	struct real *r = real_of(h);
	struct real_watch *w = real_watch_new(r, user);
	struct source_listener listener = { w, source_cb, lost_cb };

	w->fn.source = fn;
	return finish(w, source_subscribe(r->sources, source, filter, &listener, &w->source), ret);
}

static int do_dump_source(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user)
{
	return source_dump(real_of(h)->sources, source, filter, fn, user);
}

static int do_set_process_filter(const struct kith_host *h, struct kith_watch *watch, const struct kith_process_filter *filter)
{
	struct real_watch *w = (struct real_watch *)watch;

	return process_set_filter(real_of(h)->process, w->process, filter);
}

static int do_watch_timer(const struct kith_host *h, int64_t after, int64_t every, int64_t slack, kith_fn fn, void *user,
                          struct kith_watch **ret)
{
	struct real *r = real_of(h);
	struct real_watch *w = real_watch_new(r, user);

	w->fn.call = fn;
	return finish(w, loop_timer(r->loop, after, every, slack, timer_cb, w, &w->loop), ret);
}

static int do_watch_fd(const struct kith_host *h, int fd, uint32_t events, kith_fd_fn fn, void *user, struct kith_watch **ret)
{
	struct real *r = real_of(h);
	struct real_watch *w = real_watch_new(r, user);

	w->fn.fd = fn;
	return finish(w, loop_fd(r->loop, fd, events, fd_cb, w, &w->loop), ret);
}

static void do_unwatch(const struct kith_host *h, struct kith_watch *watch)
{
	struct real *r = real_of(h);

	for (struct real_watch *w = r->watches; w; w = w->next) {
		if ((struct kith_watch *)w == watch) {
			check(!w->dead);
			real_watch_drop(w);
			return;
		}
	}
	fprintf(stderr, "unwatch of a watch that is none\n");
	exit(1);
}

static int do_netlink_dump(const struct kith_host *h, int protocol, uint16_t type, const void *body, size_t length,
                           kith_netlink_fn fn, void *user)
{
	return netlink_dump(real_of(h)->netlink, protocol, type, body, length, fn, user);
}

static int64_t do_now(const struct kith_host *h)
{
	return loop_now(real_of(h)->loop);
}

void real_new(struct real *r, const struct kith_plugin *plugin)
{
	struct source_env env;

	*r = (struct real){ .f = fake_host_new(plugin, "") };
	r->f->watch_data = r;
	check(loop_new(&r->loop) == 0);
	check(netlink_source_new(r->loop, &r->netlink) == 0);
	check(process_source_new(r->loop, &r->process) == 0);
	env = (struct source_env){ .loop = r->loop, .netlink = r->netlink, .root = "" };
	check(sources_new(&env, &r->sources) == 0);
	r->f->host.watch_netlink = do_watch_netlink;
	r->f->host.watch_source = do_watch_source;
	r->f->host.dump_source = do_dump_source;
	r->f->host.watch_process = do_watch_process;
	r->f->host.set_process_filter = do_set_process_filter;
	r->f->host.watch_timer = do_watch_timer;
	r->f->host.watch_fd = do_watch_fd;
	r->f->host.unwatch = do_unwatch;
	r->f->host.netlink_dump = do_netlink_dump;
	r->f->host.now = do_now;
}

void real_start(struct real *r)
{
	int result = fake_host_start(r->f);

	if (result < 0)
		fprintf(stderr, "init: %s\n", strerror(-result));
	check(result == 0);
}

void real_free(struct real *r)
{
	struct real_watch *w;

	check_equal(r->failure, 0);
	fake_host_free(r->f);
	while ((w = r->watches)) {
		r->watches = w->next;
		real_watch_drop(w);
		free(w);
	}
	sources_free(r->sources);
	process_source_free(r->process);
	netlink_source_free(r->netlink);
	loop_free(r->loop);
}

static void run_once(struct real *r, int64_t timeout)
{
	r->f->now = loop_now(r->loop);
	loop_run_once(r->loop, timeout);
	r->f->now = loop_now(r->loop);
	if (r->resync_due) {
		int result = r->f->plugin->resync(r->f->state);

		r->resync_due = false;
		r->resyncs++;
		if (result < 0 && r->failure == 0)
			r->failure = result;
	}
}

void real_run(struct real *r, int64_t ns)
{
	int64_t end = clock_mono() + ns, now;

	while ((now = clock_mono()) < end)
		run_once(r, end - now);
}

void real_settle(struct real *r, int64_t quiet)
{
	int64_t start;

	do {
		start = clock_mono();
		run_once(r, quiet);
	} while (clock_mono() - start < quiet);
}

bool real_until(struct real *r, const char *name, double value, int64_t ns)
{
	int64_t end = clock_mono() + ns, now;

	while (fake_host_value(r->f, name) != value) {
		now = clock_mono();
		if (now >= end)
			return false;
		run_once(r, end - now);
	}
	return true;
}
