/* One check's life: when it runs, and that it does not run twice at a time or with too many others. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"

#define EVENT_GAP NS_PER_S        /* between two runs that events start; what comes in between is answered by one run after it */
#define KILL_GRACE (5 * NS_PER_S) /* after the time limit: a process that sleeps in the kernel does not even end by SIGKILL */
#define KEEP (64 * 1024)          /* bytes of output */
#define SLACK_MAX (5 * NS_PER_S)

static void unwatch(struct check *c, struct kith_watch **w)
{
	if (*w)
		c->x->h->unwatch(c->x->h, *w);
	*w = NULL;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static void release_place(struct check *c)
{
	if (c->counted)
		c->x->running--;
	c->counted = false;
}

static int on_ended(const struct kith_ended *ended, void *user)
{
	struct check *c = user;
	struct exec *x = c->x;

	c->running = NULL;
	unwatch(c, &c->stuck);
	release_place(c);
	result_ended(c, ended);
	if (c->again) {
		c->again = false;
		check_event(c);
	}
	check_pump(x);
	return 0;
}

/* Killed, and still there: others have its place, and nobody waits for its answer. */
static int on_stuck(void *user)
{
	struct check *c = user;
	struct exec *x = c->x;

	unwatch(c, &c->stuck);
	release_place(c);
	result_stuck(c);
	check_pump(x);
	return 0;
}

static void run(struct check *c)
{
	const struct kith_host *h = c->x->h;
	struct kith_program program = { .size = sizeof(program), .argv = c->e->argv, .timeout = c->e->timeout, .keep = KEEP };
	int r;

	c->counts[CHECK_RUNS]++;
	r = h->spawn_capture(h, &program, on_ended, c, &c->running);
	if (r < 0) {
		result_failed(c, -r);
		return;
	}
	c->counted = true;
	c->x->running++;
	if (h->watch_timer(h, c->e->timeout + KILL_GRACE, 0, NS_PER_S, on_stuck, c, &c->stuck) < 0)
		c->stuck = NULL; /* without it only the place is not given back early */
}

void check_pump(struct exec *x)
{
	while (x->queue && x->running < x->at_once) {
		struct check *c = x->queue;

		x->queue = c->next_queued;
		c->queued = false;
		run(c);
	}
}

static void enqueue(struct check *c)
{
	struct check **at = &c->x->queue;

	while (*at)
		at = &(*at)->next_queued;
	*at = c;
	c->next_queued = NULL;
	c->queued = true;
	check_pump(c->x);
}

static void dequeue(struct check *c)
{
	struct check **at = &c->x->queue;

	while (*at && *at != c)
		at = &(*at)->next_queued;
	if (*at)
		*at = c->next_queued;
	c->queued = false;
}

/* ---- when ------------------------------------------------------------------------------------------------------- */

static int on_due(void *user)
{
	struct check *c = user;

	if (c->running || c->queued)
		result_skipped(c);
	else
		enqueue(c);
	return 0;
}

/* The first run, and from then on by the interval: with slack, so that checks share wake-ups */
static int on_first(void *user)
{
	struct check *c = user;
	const struct kith_host *h = c->x->h;
	int64_t every = c->e->every, slack = every / 10 < SLACK_MAX ? every / 10 : SLACK_MAX;
	int r;

	r = h->watch_timer(h, every, every, slack, on_due, c, &c->timer);
	if (r < 0)
		return r;
	unwatch(c, &c->first);
	return on_due(c);
}

static int on_later(void *user)
{
	struct check *c = user;

	unwatch(c, &c->later);
	check_event(c);
	return 0;
}

void check_event(struct check *c)
{
	const struct kith_host *h = c->x->h;
	int64_t now = h->now(h), wait = c->event_at + EVENT_GAP - now;

	if (c->queued || c->later)
		return;
	if (c->running) {
		/* It may have looked before the event: once more after it. */
		c->again = true;
		return;
	}
	if (wait > 0 && wait <= EVENT_GAP && h->watch_timer(h, wait, 0, 0, on_later, c, &c->later) == 0)
		return;
	c->event_at = now;
	enqueue(c);
}

static int on_file(const struct kith_file_event *event, void *user)
{
	struct trigger *t = user;

	(void)event;
	check_event(t->check);
	return 0;
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static int start(struct check *c, int64_t after)
{
	const struct kith_host *h = c->x->h;
	int r = 0;

	for (size_t i = 0; i < c->e->n_watch && r == 0; i++) {
		c->triggers[i].check = c;
		r = h->watch_file(h, c->e->watch[i], KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED, on_file, &c->triggers[i],
		                  &c->triggers[i].watch);
	}
	if (r == 0 && c->e->every)
		r = h->watch_timer(h, after, 0, 0, on_first, c, &c->first);
	return r;
}

int check_new(struct exec *x, struct entry *e_take, int64_t after, struct check **ret_check)
{
	struct check *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		entry_free(e_take);
		return -ENOMEM;
	}
	c->x = x;
	c->e = e_take;
	c->state = -1;
	c->triggers = calloc(e_take->n_watch + 1, sizeof(*c->triggers));
	r = c->triggers ? x->h->series(x->h, FAMILY_CHECK, e_take->name, &c->id) : -ENOMEM;
	if (r == 0)
		r = start(c, after);
	if (r < 0)
		check_free(c);
	else
		*ret_check = c;
	return r;
}

void check_free(struct check *c)
{
	dequeue(c);
	release_place(c);
	unwatch(c, &c->running);
	unwatch(c, &c->stuck);
	unwatch(c, &c->later);
	unwatch(c, &c->first);
	unwatch(c, &c->timer);
	for (size_t i = 0; c->triggers && i < c->e->n_watch; i++)
		unwatch(c, &c->triggers[i].watch);
	result_forget(c, true);
	if (c->id != KITH_ID_NONE)
		c->x->h->end(c->x->h, c->id);
	free(c->triggers);
	entry_free(c->e);
	free(c);
}
