#include "host/impl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/spawn.h"

/*
 * Calls that can hang, each in a thread of its own: there are few, they are rare, and a thread that hangs in the kernel is simply left alone
 * until it comes back.
 */
#define WORKERS_MAX 16
#define WORKERS_PLUGIN_MAX 8
#define WORKER_STACK (128 * 1024)

struct workers {
	pthread_mutex_t lock; /* guards finished, running, closed */
	struct job *finished;
	unsigned running;
	bool closed;          /* the host is gone; the last job frees this */
	struct loop *loop;
	struct loop_watch *wake;
};

int work_init(struct host *h)
{
	h->workers = calloc(1, sizeof(*h->workers));
	if (!h->workers)
		return -ENOMEM;
	pthread_mutex_init(&h->workers->lock, NULL);
	h->workers->loop = h->parts.loop;
	return 0;
}

static void workers_free(struct workers *w)
{
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void job_unlink(struct job *job)
{
	if (!job->link)
		return;
	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
	job->link = NULL;
}

static void job_finish(struct job *job)
{
	struct plugin *p = job->plugin;

	job_unlink(job);
	if (p && p->state != HOST_STOPPED) {
		struct account_mark mark;
		int result;

		model_set_now(p->host->parts.model, loop_now(p->host->parts.loop));
		mark = account_enter();
		export_spent_before(p->host, &mark);
		result = job->done(job->result, job->user);
		export_spent_after(p->host, &mark);
		account_leave(p, NULL, mark, clock_thread_cpu(), result);
	}
	library_release(job->library);
	free(job);
}

/* On the loop: takes over what the workers finished */
static void finished_cb(void *user)
{
	struct workers *w = user;
	struct job *job, *next;

	pthread_mutex_lock(&w->lock);
	job = w->finished;
	w->finished = NULL;
	pthread_mutex_unlock(&w->lock);
	for (; job; job = next) {
		next = job->next_done;
		job_finish(job);
	}
}

static void *worker_main(void *user)
{
	struct job *job = user;
	struct workers *w = job->workers;
	bool closed, last;

	job->result = job->fn(job->user);
	pthread_mutex_lock(&w->lock);
	w->running--;
	closed = w->closed;
	last = closed && !w->running;
	if (!closed) {
		job->next_done = w->finished;
		w->finished = job;
		loop_wake(w->loop, w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	/* After the host's end nobody takes the job; the library that it holds stays until the process ends, which it is about to. */
	if (closed)
		free(job);
	if (last)
		workers_free(w);
	return NULL;
}

static int worker_thread(struct job *job)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	/* Signals are for the loop thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, worker_main, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int work_start(struct plugin *p, kith_work_fn fn, kith_done_fn done, void *user)
{
	struct workers *w = p->host->workers;
	struct job *job;
	unsigned of_plugin = 0, running;
	int r;

	for (job = p->jobs; job; job = job->next)
		of_plugin++;
	pthread_mutex_lock(&w->lock);
	running = w->running;
	pthread_mutex_unlock(&w->lock);
	if (running >= WORKERS_MAX || of_plugin >= WORKERS_PLUGIN_MAX)
		return -EAGAIN;
	if (!w->wake) {
		r = loop_async(w->loop, finished_cb, w, &w->wake);
		if (r < 0)
			return r;
	}
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct job){ .workers = w, .plugin = p, .fn = fn, .done = done, .user = user };
	job->library = p->library;
	if (job->library)
		library_hold(job->library);
	pthread_mutex_lock(&w->lock);
	w->running++;
	pthread_mutex_unlock(&w->lock);
	r = worker_thread(job);
	if (r < 0) {
		pthread_mutex_lock(&w->lock);
		w->running--;
		pthread_mutex_unlock(&w->lock);
		library_release(job->library);
		free(job);
		return r;
	}
	job->next = p->jobs;
	job->link = &p->jobs;
	if (job->next)
		job->next->link = &job->next;
	p->jobs = job;
	return 0;
}

/* The plugin goes: its jobs come back to nobody, and keep its code until then. */
void work_forget(struct plugin *p)
{
	while (p->jobs) {
		struct job *job = p->jobs;

		job_unlink(job);
		job->plugin = NULL;
	}
}

void work_fini(struct host *h)
{
	struct workers *w = h->workers;
	bool last;

	if (!w)
		return;
	finished_cb(w);
	pthread_mutex_lock(&w->lock);
	w->closed = true;
	last = !w->running;
	if (!last)
		log_notice("%u calls that hang are left behind", w->running);
	pthread_mutex_unlock(&w->lock);
	loop_remove(h->parts.loop, w->wake);
	h->workers = NULL;
	if (last) {
		finished_cb(w);
		workers_free(w);
	}
}

/* ---- children of plugins ---------------------------------------------------------------------------------------- */

static void plugin_child_unlink(struct plugin_child *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
}

static void plugin_child_done(int status, bool timed_out, void *user)
{
	struct plugin_child *c = user;
	struct plugin *p = c->plugin;
	struct account_mark mark = account_enter();
	int result;

	(void)timed_out;
	plugin_child_unlink(c);
	model_set_now(p->host->parts.model, loop_now(p->host->parts.loop));
	export_spent_before(p->host, &mark);
	result = p->state == HOST_STOPPED ? 0 : c->done(status, c->user);
	export_spent_after(p->host, &mark);
	account_leave(p, NULL, mark, clock_thread_cpu(), result);
	free(c);
}

int plugin_spawn(struct plugin *p, const char *const argv[], int64_t timeout, kith_done_fn done, void *user)
{
	struct plugin_child *c = calloc(1, sizeof(*c));
	struct child_request request = { .argv = argv, .timeout = timeout, .done = plugin_child_done, .user = c };
	int r;

	if (!c)
		return -ENOMEM;
	c->plugin = p;
	c->done = done;
	c->user = user;
	r = child_start(p->host->parts.children, &request, &c->child);
	if (r < 0) {
		free(c);
		return r;
	}
	c->next = p->children;
	c->link = &p->children;
	if (c->next)
		c->next->link = &c->next;
	p->children = c;
	return 0;
}

void plugin_spawn_forget(struct plugin *p)
{
	while (p->children) {
		struct plugin_child *c = p->children;

		plugin_child_unlink(c);
		child_forget(c->child);
		free(c);
	}
}
