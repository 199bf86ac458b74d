/* Watches, work and programs, and how a test fires them */
#include "fake_host_own.h"

#include <errno.h>
#include <string.h>

/* ---- watches ------------------------------------------------------------------------------------------------------ */

static struct fake_watch *watch_new(struct fake_host *f, enum watch_kind kind, void *user, struct kith_watch **ret_watch)
{
	struct fake_watch *w = must(calloc(1, sizeof(*w))), **end = &f->watches;

	w->kind = kind;
	w->user = user;
	while (*end)
		end = &(*end)->next;
	*end = w;
	if (ret_watch)
		*ret_watch = (struct kith_watch *)w;
	return w;
}

void fake_watches_sweep(struct fake_host *f, bool all)
{
	struct fake_watch **at = &f->watches, *w;

	while ((w = *at)) {
		if (!w->dead && !all) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w->path);
		free(w);
	}
}

static int do_watch_fd(const struct kith_host *h, int fd, uint32_t events, kith_fd_fn fn, void *user, struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_FD, user, ret);

	w->fd = fd;
	w->events = events;
	w->fn.fd = fn;
	return 0;
}

static int do_watch_pri(const struct kith_host *h, int fd, kith_fd_fn fn, void *user, struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_PRI, user, ret);

	w->fd = fd;
	w->fn.fd = fn;
	return 0;
}

static int do_watch_timer(const struct kith_host *h, int64_t after, int64_t every, int64_t slack, kith_fn fn, void *user,
                          struct kith_watch **ret)
{
	struct fake_watch *w;

	if (after < 0 || every < 0 || slack < 0)
		die("watch_timer: a negative time");
	w = watch_new(fake(h), WATCH_TIMER, user, ret);
	w->due = fake(h)->now + after;
	w->every = every;
	w->fn.call = fn;
	return 0;
}

static int do_sample(const struct kith_host *h, kith_fn fn, void *user, struct kith_watch **ret)
{
	watch_new(fake(h), WATCH_SAMPLE, user, ret)->fn.call = fn;
	return 0;
}

static int do_watch_netlink(const struct kith_host *h, int protocol, uint32_t group, kith_netlink_fn fn, void *user,
                            struct kith_watch **ret)
{
	struct fake_watch *w;

	if (fake(h)->fail_netlink)
		return fake(h)->fail_netlink;
	w = watch_new(fake(h), WATCH_NETLINK, user, ret);
	w->fd = protocol;
	w->events = group;
	w->fn.netlink = fn;
	return 0;
}

void fake_filter_free(struct fake_host *f)
{
	free((void *)(uintptr_t)f->filter.pids);
	for (uint32_t k = 0; k < f->filter.n_names; k++)
		free((void *)(uintptr_t)f->filter.names[k]);
	free((void *)(uintptr_t)f->filter.names);
	f->filter = (struct kith_process_filter){ 0 };
}

static void filter_copy(struct fake_host *f, const struct kith_process_filter *filter)
{
	int32_t *pids = must(calloc(filter->n_pids + 1, sizeof(*pids)));
	char **names = must(calloc(filter->n_names + 1, sizeof(*names)));

	if (filter->size != sizeof(*filter))
		die("a filter without its size");
	if (filter->n_pids)
		memcpy(pids, filter->pids, filter->n_pids * sizeof(*pids));
	for (uint32_t k = 0; k < filter->n_names; k++)
		names[k] = must(strdup(filter->names[k]));
	fake_filter_free(f);
	f->filter = *filter;
	f->filter.pids = pids;
	f->filter.names = (const char *const *)names;
	f->n_filters++;
}

static int do_watch_process(const struct kith_host *h, const struct kith_process_filter *filter, kith_process_fn fn,
                            void *user, struct kith_watch **ret)
{
	if (fake(h)->fail_process)
		return fake(h)->fail_process;
	filter_copy(fake(h), filter);
	watch_new(fake(h), WATCH_PROCESS, user, ret)->fn.process = fn;
	return 0;
}

static int do_set_process_filter(const struct kith_host *h, struct kith_watch *watch, const struct kith_process_filter *filter)
{
	if (!watch)
		die("set_process_filter without a watch");
	filter_copy(fake(h), filter);
	return 0;
}

static int do_watch_file(const struct kith_host *h, const char *path, uint32_t events, kith_file_fn fn, void *user,
                         struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_FILE, user, ret);

	w->path = must(strdup(path));
	w->events = events;
	w->fn.file = fn;
	return 0;
}

static int do_watch_source(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user,
                           struct kith_watch **ret)
{
	struct fake_watch *w;

	if (fake(h)->fail_source)
		return fake(h)->fail_source;
	w = watch_new(fake(h), WATCH_SOURCE, user, ret);
	w->fd = (int)source;
	w->fn.source = fn;
	if (filter) {
		uint32_t size = *(const uint32_t *)filter;

		w->path = must(malloc(size));
		memcpy(w->path, filter, size);
	}
	return 0;
}

static int do_dump_source(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user)
{
	(void)filter;
	if (fake(h)->fail_source)
		return fake(h)->fail_source;
	for (struct fake_answer *a = fake(h)->answers; a; a = a->next) {
		int r = a->source == source ? fn(a->message, user) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int do_watch_wanted(const struct kith_host *h, uint32_t family, kith_wanted_fn fn, void *user, struct kith_watch **ret)
{
	struct fake_watch *w = watch_new(fake(h), WATCH_WANTED, user, ret);
	int r = 0;

	w->events = family;
	w->fn.wanted = fn;
	for (struct fake_want *n = fake(h)->wants; n && !r; n = n->next)
		if (n->family == family && n->count)
			r = fn(n->instance, 1, user);
	return r;
}

static void do_unwatch(const struct kith_host *h, struct kith_watch *watch)
{
	struct fake_watch *w = (struct fake_watch *)watch;

	if (!w)
		return;
	if (w->dead)
		die("unwatch: twice");
	w->dead = true;
	if (w->kind == WATCH_PROCESS)
		fake_filter_free(fake(h));
}

static int do_netlink_dump(const struct kith_host *h, int protocol, uint16_t type, const void *body, size_t length,
                           kith_netlink_fn fn, void *user)
{
	(void)body;
	(void)length;
	if (fake(h)->fail_netlink)
		return fake(h)->fail_netlink;
	for (struct fake_answer *a = fake(h)->answers; a; a = a->next) {
		int r = !a->source && a->protocol == protocol && a->type == type ? fn(a->message, a->length, user) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int do_work(const struct kith_host *h, kith_work_fn fn, kith_done_fn done, void *user)
{
	struct fake_work *w, **end = &fake(h)->works;

	if (fake(h)->fail_work)
		return fake(h)->fail_work;
	if (fn && fake_host_waiting_work(fake(h)) >= 2)
		return -EAGAIN;
	w = must(calloc(1, sizeof(*w)));
	*w = (struct fake_work){ NULL, fn, done, user };
	while (*end)
		end = &(*end)->next;
	*end = w;
	return 0;
}

static int do_spawn(const struct kith_host *h, const char *const argv[], int64_t timeout, kith_done_fn done, void *user)
{
	if (!argv[0] || timeout <= 0)
		return -EINVAL;
	return do_work(h, NULL, done, user);
}

void fake_table_watches(struct kith_host *h)
{
	h->watch_fd = do_watch_fd;
	h->watch_pri = do_watch_pri;
	h->watch_timer = do_watch_timer;
	h->sample = do_sample;
	h->watch_netlink = do_watch_netlink;
	h->watch_process = do_watch_process;
	h->set_process_filter = do_set_process_filter;
	h->watch_file = do_watch_file;
	h->watch_wanted = do_watch_wanted;
	h->watch_source = do_watch_source;
	h->dump_source = do_dump_source;
	h->unwatch = do_unwatch;
	h->netlink_dump = do_netlink_dump;
	h->work = do_work;
	h->spawn = do_spawn;
}

/* ---- firing ------------------------------------------------------------------------------------------------------- */

struct fired {
	int result, calls;
};

static void fired(struct fired *r, int result)
{
	r->calls++;
	if (r->result == 0 && result < 0)
		r->result = result;
}

static int fired_all(struct fake_host *f, const struct fired *r)
{
	fake_watches_sweep(f, false);
	return r->calls ? r->result : -ENOENT;
}

int fake_host_sample(struct fake_host *f)
{
	struct fired r = { 0 };

	f->now += f->interval;
	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_SAMPLE)
			fired(&r, w->fn.call(w->user));
	return fired_all(f, &r);
}

int fake_host_advance(struct fake_host *f, int64_t ns)
{
	int64_t until = f->now + ns;
	struct fired r = { 0 };

	for (;;) {
		struct fake_watch *next = NULL;

		for (struct fake_watch *w = f->watches; w; w = w->next)
			if (!w->dead && w->kind == WATCH_TIMER && w->due <= until && (!next || w->due < next->due))
				next = w;
		if (!next)
			break;
		if (next->due > f->now)
			f->now = next->due;
		if (next->every)
			next->due += next->every;
		else
			next->due = INT64_MAX; /* it has expired; it stays registered until unwatch */
		fired(&r, next->fn.call(next->user));
	}
	f->now = until;
	return fired_all(f, &r);
}

int fake_host_netlink(struct fake_host *f, int protocol, uint32_t group, const void *message, size_t length)
{
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_NETLINK && w->fd == protocol && w->events == group)
			fired(&r, w->fn.netlink(message, length, w->user));
	return fired_all(f, &r);
}

int fake_host_process(struct fake_host *f, uint32_t what, int32_t pid, int32_t parent, int32_t status, const char *name)
{
	struct kith_process_event e = { sizeof(e), what, pid, parent, status, name, f->now };
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_PROCESS)
			fired(&r, w->fn.process(&e, w->user));
	return fired_all(f, &r);
}

int fake_host_file(struct fake_host *f, const char *path, const char *name, uint32_t what)
{
	struct kith_file_event e = { sizeof(e), what, path, name ? name : "" };
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_FILE && (w->events & what) && !strcmp(w->path, path))
			fired(&r, w->fn.file(&e, w->user));
	return fired_all(f, &r);
}

int fake_host_source(struct fake_host *f, uint32_t source, const void *event)
{
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_SOURCE && w->fd == (int)source)
			fired(&r, w->fn.source(event, w->user));
	return fired_all(f, &r);
}

const void *fake_host_filter(const struct fake_host *f, uint32_t source, unsigned index)
{
	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_SOURCE && w->fd == (int)source && !index--)
			return w->path;
	return NULL;
}

unsigned fake_host_sources(const struct fake_host *f, uint32_t source)
{
	unsigned n = 0;

	for (struct fake_watch *w = f->watches; w; w = w->next)
		n += !w->dead && w->kind == WATCH_SOURCE && w->fd == (int)source;
	return n;
}

static int fire_fd(struct fake_host *f, enum watch_kind kind, int fd, uint32_t events)
{
	struct fired r = { 0 };

	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == kind && w->fd == fd)
			fired(&r, w->fn.fd(fd, events, w->user));
	return fired_all(f, &r);
}

int fake_host_fd(struct fake_host *f, int fd, uint32_t events)
{
	return fire_fd(f, WATCH_FD, fd, events);
}

int fake_host_pri(struct fake_host *f, int fd)
{
	return fire_fd(f, WATCH_PRI, fd, 0);
}

int fake_host_resync(struct fake_host *f)
{
	int r = f->plugin->resync ? f->plugin->resync(f->state) : -ENOENT;

	fake_watches_sweep(f, false);
	return r;
}

void fake_host_want(struct fake_host *f, uint32_t family, const char *instance, bool wanted)
{
	struct fake_want *n = f->wants;

	while (n && (n->family != family || strcmp(n->instance, instance)))
		n = n->next;
	if (!n) {
		n = must(calloc(1, sizeof(*n)));
		n->family = family;
		n->instance = must(strdup(instance));
		n->next = f->wants;
		f->wants = n;
	}
	if (!wanted && n->count == 0)
		die("want %s: taken back twice", instance);
	n->count = wanted ? n->count + 1 : n->count - 1;
	if (n->count != (wanted ? 1u : 0u))
		return;
	for (struct fake_watch *w = f->watches; w; w = w->next)
		if (!w->dead && w->kind == WATCH_WANTED && w->events == family)
			w->fn.wanted(instance, wanted, w->user);
	fake_watches_sweep(f, false);
}

unsigned fake_host_waiting_work(const struct fake_host *f)
{
	unsigned n = 0;

	for (struct fake_work *w = f->works; w; w = w->next)
		n += w->fn != NULL;
	return n;
}

unsigned fake_host_run_work(struct fake_host *f)
{
	struct fake_work *w = f->works, *next;
	unsigned n = 0;

	f->works = NULL;
	for (; w; w = next, n++) {
		int result = w->fn ? w->fn(w->user) : 0;

		next = w->next;
		if (w->done)
			w->done(result, w->user);
		free(w);
	}
	fake_watches_sweep(f, false);
	return n;
}

void fake_host_answer(struct fake_host *f, int protocol, uint16_t type, const void *message, size_t length)
{
	struct fake_answer *a = must(calloc(1, sizeof(*a))), **end = &f->answers;

	a->protocol = protocol;
	a->type = type;
	a->length = length;
	a->message = must(malloc(length ? length : 1));
	memcpy(a->message, message, length);
	while (*end)
		end = &(*end)->next;
	*end = a;
}

void fake_host_source_answer(struct fake_host *f, uint32_t source, const void *event, size_t length)
{
	struct fake_answer **end = &f->answers;

	fake_host_answer(f, 0, 0, event, length);
	while ((*end)->next)
		end = &(*end)->next;
	(*end)->source = source;
}

void fake_host_no_answers(struct fake_host *f)
{
	struct fake_answer *a;

	while ((a = f->answers)) {
		f->answers = a->next;
		free(a->message);
		free(a);
	}
}
