#include "host/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "host/spawn.h"

static struct kith_watch *watch_make(struct plugin *p, enum watch_what what, void *user)
{
	struct kith_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->plugin = p;
	w->what = what;
	w->user = user;
	w->fd = -1;
	w->next = p->watches;
	w->link = &p->watches;
	if (w->next)
		w->next->link = &w->next;
	p->watches = w;
	return w;
}

static void watch_unlink(struct kith_watch *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
}

/* A registration that failed half-way */
static int watch_undo(struct kith_watch *w, int r)
{
	watch_unlink(w);
	free(w);
	return r;
}

static int watch_done(struct kith_watch *w, struct kith_watch **ret_watch)
{
	if (ret_watch)
		*ret_watch = w;
	return 0;
}

static void watch_sample_unlink(struct kith_watch *w)
{
	for (struct kith_watch **at = &w->plugin->samples; *at; at = &(*at)->next_sample)
		if (*at == w) {
			*at = w->next_sample;
			return;
		}
}

static void watch_release(struct kith_watch *w)
{
	struct host_parts *parts = &w->plugin->host->parts;

	switch (w->what) {
	case WHAT_FD:
	case WHAT_PRI:
	case WHAT_TIMER:
		loop_remove(parts->loop, w->on.loop);
		break;
	case WHAT_SAMPLE:
		watch_sample_unlink(w);
		break;
	case WHAT_NETLINK:
		netlink_unsubscribe(parts->netlink, w->on.netlink);
		break;
	case WHAT_PROCESS:
		process_unsubscribe(parts->process, w->on.process);
		break;
	case WHAT_FILE:
		file_unsubscribe(parts->file, w->on.file);
		break;
	case WHAT_SOURCE:
		source_unsubscribe(w->on.source);
		break;
	case WHAT_WANTED:
		model_unwatch_wants(parts->model, &w->on.want);
		free(w->on.want.family);
		break;
	case WHAT_PROGRAM:
		if (w->on.child)
			child_forget(w->on.child);
		break;
	case WHAT_EXPORT:
		break;
	}
	loop_remove(parts->loop, w->pause);
}

void watch_remove(const struct kith_host *t, struct kith_watch *w)
{
	(void)t;
	if (!w || w->dead)
		return;
	account_drop(w->plugin, w);
	watch_release(w);
	watch_unlink(w);
	w->dead = true;
	if (!w->calling)
		free(w);
}

void watch_drop_all(struct plugin *p)
{
	while (p->watches)
		watch_remove(&p->table, p->watches);
}

/* ---- calls into the plugin -------------------------------------------------------------------------------------- */

static bool call_begin(struct kith_watch *w, struct account_mark *mark)
{
	struct plugin *p = w->plugin;

	if (p->state == HOST_STOPPED)
		return false;
	model_set_now(p->host->parts.model, loop_now(p->host->parts.loop));
	w->calling++;
	*mark = account_enter();
	export_spent_before(p->host, mark);
	return true;
}

static void call_end(struct kith_watch *w, struct account_mark *mark, int result)
{
	export_spent_after(w->plugin->host, mark);
	account_leave(w->plugin, w, *mark, clock_thread_cpu(), result);
	if (!--w->calling && w->dead)
		free(w);
}

static void timer_cb(void *user);
static void pri_cb(int fd, unsigned events, void *user);

/* What was passed over is made up for: by a call where that is enough, else by a resync. */
static void resume_cb(void *user)
{
	struct kith_watch *w = user;
	bool missed = w->missed;

	w->retry_at = 0;
	w->missed = false;
	if (w->what == WHAT_FD)
		loop_fd_set(w->plugin->host->parts.loop, w->on.loop, w->events);
	else if (missed && w->what == WHAT_TIMER)
		timer_cb(w);
	else if (missed && w->what == WHAT_PRI)
		pri_cb(w->fd, LOOP_READ, w);
	else if (missed)
		host_resync_later(w->plugin); /* that it rests was said when it began to */
}

static void resume_at(struct kith_watch *w)
{
	struct loop *loop = w->plugin->host->parts.loop;
	int64_t ns = w->retry_at - clock_mono();

	if (!w->pause && loop_timer(loop, -1, 0, 0, resume_cb, w, &w->pause) < 0)
		return;
	loop_timer_set(loop, w->pause, ns > 0 ? ns : 0);
}

/* A descriptor's watch is taken off the loop, where it would spin; the others are passed over until their time has come. */
void watch_pause(struct kith_watch *w, int64_t ns)
{
	if (ns <= 0)
		return;
	w->retry_at = clock_mono() + ns;
	if (w->what != WHAT_FD)
		return;
	resume_at(w);
	if (w->pause)
		loop_fd_set(w->plugin->host->parts.loop, w->on.loop, 0);
}

/* Is it paused now? Then what happened is remembered until it goes on. */
static bool call_passed_over(struct kith_watch *w)
{
	if (!w->retry_at || clock_mono() >= w->retry_at)
		return false;
	if (!w->missed)
		resume_at(w);
	w->missed = true;
	return true;
}

void watch_run_samples(struct plugin *p, int64_t *mono)
{
	struct kith_watch *w, *next;

	for (w = p->samples; w && p->state != HOST_STOPPED; w = next) {
		struct account_mark mark = { *mono, alloc_count() };
		int result;

		next = w->next_sample;
		if (w->retry_at > *mono)
			continue;
		export_spent_before(p->host, &mark);
		w->calling++;
		result = w->fn.plain(w->user);
		*mono = clock_mono();
		next = w->next_sample;
		export_spent_after(p->host, &mark);
		account_sampled(p, w, mark.allocations, *mono - mark.cpu, result);
		w->calling--;
		if (w->dead) {
			/* What follows it may be gone too: the rest waits for the next tick. */
			if (!w->calling)
				free(w);
			return;
		}
	}
}

static void fd_cb(int fd, unsigned events, void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if (call_begin(w, &mark))
		call_end(w, &mark, w->fn.fd(fd, events, w->user));
}

static void pri_cb(int fd, unsigned events, void *user)
{
	if (!call_passed_over(user))
		fd_cb(fd, events, user);
}

static void timer_cb(void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if (!call_passed_over(w) && call_begin(w, &mark))
		call_end(w, &mark, w->fn.plain(w->user));
}

static void netlink_cb(const void *message, size_t length, void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if (!call_passed_over(w) && call_begin(w, &mark))
		call_end(w, &mark, w->fn.netlink(message, length, w->user));
}

/* That there are no process events after all comes once: it is told even to a watch that is paused. */
static void process_cb(const struct kith_process_event *event, void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if ((!event->what || !call_passed_over(w)) && call_begin(w, &mark))
		call_end(w, &mark, w->fn.process(event, w->user));
}

static void file_cb(const struct kith_file_event *event, void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if (!call_passed_over(w) && call_begin(w, &mark))
		call_end(w, &mark, w->fn.file(event, w->user));
}

/* That nothing more comes is told even to a watch that is paused. */
static void source_cb(const void *event, void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if ((!event || !call_passed_over(w)) && call_begin(w, &mark))
		call_end(w, &mark, w->fn.source(event, w->user));
}

/* Never passed over: nobody tells again what is wanted. */
static void wanted_cb(const char *instance, bool wanted, void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if (call_begin(w, &mark))
		call_end(w, &mark, w->fn.wanted(instance, wanted, w->user));
}

/* Once: then the watch is gone. */
static void program_cb(int status, bool timed_out, const struct child_output *o, void *user)
{
	struct kith_watch *w = user;
	struct kith_ended ended = { .size = sizeof(ended), .status = status, .output = o->text[0], .error = o->text[1],
		                    .output_length = o->length[0], .error_length = o->length[1], .took = o->took };
	struct account_mark mark;
	int result;

	ended.flags = (timed_out ? KITH_ENDED_TIMEOUT : 0) | (o->cut ? KITH_ENDED_CUT : 0);
	w->on.child = NULL;
	if (!call_begin(w, &mark)) {
		watch_remove(&w->plugin->table, w);
		return;
	}
	result = w->fn.ended(&ended, w->user);
	watch_remove(&w->plugin->table, w);
	call_end(w, &mark, result);
}

/* Never passed over: nobody writes it again. */
static void output_cb(int stream, const char *data, size_t length, void *user)
{
	struct kith_watch *w = user;
	struct account_mark mark;

	if (call_begin(w, &mark))
		call_end(w, &mark, w->output(stream, data, length, w->user));
}

static void lost_cb(void *user)
{
	struct kith_watch *w = user;

	if (w->plugin->resync_due)
		return;
	plugin_say(w->plugin, KITH_WARNING, "events were lost; everything is read again");
	host_resync_later(w->plugin);
}

/* Subscribed, but this host delivers no process events: told to the plugin as an event of no kind. */
static void silent_cb(int error, void *user)
{
	struct kith_process_event event = { .size = sizeof(event), .what = 0, .status = -error };
	struct kith_watch *w = user;

	event.time = loop_now(w->plugin->host->parts.loop);
	process_cb(&event, w);
}

/* ---- registrations ---------------------------------------------------------------------------------------------- */

int watch_add_fd(const struct kith_host *t, int fd, uint32_t events, kith_fd_fn fn, void *user, struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w = watch_make(p, WHAT_FD, user);
	int r;

	if (!w)
		return -ENOMEM;
	w->fn.fd = fn;
	w->events = (events & KITH_READ ? LOOP_READ : 0) | (events & KITH_WRITE ? LOOP_WRITE : 0);
	r = loop_fd(p->host->parts.loop, fd, w->events, fd_cb, w, &w->on.loop);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_add_pri(const struct kith_host *t, int fd, kith_fd_fn fn, void *user, struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w = watch_make(p, WHAT_PRI, user);
	int r;

	if (!w)
		return -ENOMEM;
	w->fn.fd = fn;
	w->fd = fd;
	r = loop_pri(p->host->parts.loop, fd, pri_cb, w, &w->on.loop);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_add_timer(const struct kith_host *t, int64_t after, int64_t every, int64_t slack, kith_fn fn, void *user,
                    struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w = watch_make(p, WHAT_TIMER, user);
	int r;

	if (!w)
		return -ENOMEM;
	w->fn.plain = fn;
	/* A timer of less than a millisecond would be a spin. */
	if (every > 0 && every < NS_PER_MS)
		every = NS_PER_MS;
	r = loop_timer(p->host->parts.loop, after < 0 ? 0 : after, every, slack, timer_cb, w, &w->on.loop);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_add_sample(const struct kith_host *t, kith_fn fn, void *user, struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w = watch_make(p, WHAT_SAMPLE, user), **at;

	if (!w)
		return -ENOMEM;
	w->fn.plain = fn;
	for (at = &p->samples; *at; at = &(*at)->next_sample)
		;
	*at = w;
	tick_plan(p->host);
	return watch_done(w, ret_watch);
}

int watch_add_netlink(const struct kith_host *t, int protocol, uint32_t group, kith_netlink_fn fn, void *user,
                      struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w = watch_make(p, WHAT_NETLINK, user);
	struct netlink_listener listener = { w, netlink_cb, lost_cb, false };
	int r;

	if (!w)
		return -ENOMEM;
	w->fn.netlink = fn;
	r = netlink_subscribe(p->host->parts.netlink, protocol, group, &listener, &w->on.netlink);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_add_process(const struct kith_host *t, const struct kith_process_filter *filter, kith_process_fn fn, void *user,
                      struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w = watch_make(p, WHAT_PROCESS, user);
	struct process_listener listener = { w, process_cb, lost_cb, silent_cb };
	int r;

	if (!w)
		return -ENOMEM;
	w->fn.process = fn;
	r = process_subscribe(p->host->parts.process, filter, &listener, &w->on.process);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_set_process_filter(const struct kith_host *t, struct kith_watch *w, const struct kith_process_filter *filter)
{
	struct plugin *p = table_plugin(t);

	if (!w || w->dead || w->plugin != p || w->what != WHAT_PROCESS)
		return -EINVAL;
	return process_set_filter(p->host->parts.process, w->on.process, filter);
}

int watch_add_file(const struct kith_host *t, const char *path, uint32_t events, kith_file_fn fn, void *user,
                   struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w;
	struct file_listener listener = { NULL, file_cb, lost_cb };
	struct stat st;
	int r;

	if (*path != '/')
		return -EINVAL;
	w = watch_make(p, WHAT_FILE, user);
	if (!w)
		return -ENOMEM;
	w->fn.file = fn;
	listener.user = w;
	r = file_subscribe(p->host->parts.file, path, stat(path, &st) == 0 && S_ISDIR(st.st_mode), events, &listener,
	                   &w->on.file);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_add_source(const struct kith_host *t, uint32_t source, const void *filter, kith_source_fn fn, void *user,
                     struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w = watch_make(p, WHAT_SOURCE, user);
	struct source_listener listener = { w, source_cb, lost_cb };
	int r;

	if (!w)
		return -ENOMEM;
	w->fn.source = fn;
	r = source_subscribe(p->host->sources, source, filter, &listener, &w->on.source);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_add_wanted(const struct kith_host *t, uint32_t family, kith_wanted_fn fn, void *user, struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct kith_watch *w;

	if (family >= p->n_families)
		return -EINVAL;
	w = watch_make(p, WHAT_WANTED, user);
	if (!w)
		return -ENOMEM;
	w->fn.wanted = fn;
	w->on.want = (struct want_watch){ .family = strdup(p->families[family]->name), .fn = wanted_cb, .user = w };
	if (!w->on.want.family)
		return watch_undo(w, -ENOMEM);
	if (ret_watch)
		*ret_watch = w;
	model_watch_wants(p->host->parts.model, &w->on.want);
	return 0;
}

int watch_add_program(const struct kith_host *t, const struct kith_program *program, kith_ended_fn fn, void *user,
                      struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct child_request request = { .argv = program->argv, .env = program->env, .timeout = program->timeout,
		                         .ended = program_cb, .keep = program->keep };
	struct kith_watch *w;
	int r;

	if (program->size < sizeof(*program) || !program->argv || !program->argv[0] || program->argv[0][0] != '/' ||
	    program->flags)
		return -EINVAL;
	w = watch_make(p, WHAT_PROGRAM, user);
	if (!w)
		return -ENOMEM;
	w->fn.ended = fn;
	request.user = w;
	r = child_start(p->host->parts.children, &request, &w->on.child);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}

int watch_add_stream(const struct kith_host *t, const struct kith_stream *program, kith_output_fn output, kith_ended_fn ended, void *user,
                     struct kith_watch **ret_watch)
{
	struct plugin *p = table_plugin(t);
	struct child_request request = { .argv = program->argv, .env = program->env, .user_name = program->user, .ended = program_cb,
		                         .data = output_cb };
	struct kith_watch *w;
	int r;

	if (program->size < sizeof(*program) || !program->argv || !program->argv[0] || program->argv[0][0] != '/' || program->flags || !output ||
	    !ended)
		return -EINVAL;
	w = watch_make(p, WHAT_PROGRAM, user);
	if (!w)
		return -ENOMEM;
	w->fn.ended = ended;
	w->output = output;
	request.user = w;
	r = child_start(p->host->parts.children, &request, &w->on.child);
	return r < 0 ? watch_undo(w, r) : watch_done(w, ret_watch);
}
