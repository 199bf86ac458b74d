/* pressure: the kernel's pressure stall information: averages and totals on the tick, stalls by triggers. See the README beside. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"
#include "sources/pressure.h"

#define NS_PER_S INT64_C(1000000000)
#define KERNEL_WINDOW (2 * NS_PER_S) /* what the kernel takes multiples of without CAP_SYS_RESOURCE */
#define WINDOW_MAX (10 * NS_PER_S)

enum { STALLS = KITH_PRESSURE_VALUES, STATE, N_METRICS };
enum { CALM, STALLED };
static const char *const states[] = { "calm", "stalled", NULL };

#define SHARE(n, text) { n, "%", text, NULL, KITH_GAUGE, 0 }
static const struct kith_metric metrics[N_METRICS] = {
	[KITH_PRESSURE_SOME_AVG10] = SHARE("some_avg10", "part of the last 10 s that some task waited"),
	[KITH_PRESSURE_SOME_AVG60] = SHARE("some_avg60", "part of the last minute that some task waited"),
	[KITH_PRESSURE_SOME_AVG300] = SHARE("some_avg300", "part of the last 5 minutes that some task waited"),
	[KITH_PRESSURE_SOME_TOTAL] = { "some_total", "s", "time that some task waited", NULL, KITH_COUNTER, 0 },
	[KITH_PRESSURE_FULL_AVG10] = SHARE("full_avg10", "part of the last 10 s that all tasks waited"),
	[KITH_PRESSURE_FULL_AVG60] = SHARE("full_avg60", "part of the last minute that all tasks waited"),
	[KITH_PRESSURE_FULL_AVG300] = SHARE("full_avg300", "part of the last 5 minutes that all tasks waited"),
	[KITH_PRESSURE_FULL_TOTAL] = { "full_total", "s", "time that all tasks waited", NULL, KITH_COUNTER, 0 },
	[STALLS] = { "stalls", "stalls", "how often tasks waited for long within the window", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[STATE] = { "state", "1", "whether tasks have just waited for long", states, KITH_STATE, KITH_METRIC_EVENT },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "pressure", "How long tasks wait for a processor, memory, a disk", "resource", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ .name = "triggers", .help = "hear of stalls of these (cpu, memory, io, irq) even when nobody names them", .type = KITH_OPTION_LIST },
	{ .name = "window", .fallback = "2s", .help = "stalls are added up over this time", .min = 0.5, .max = 10, .type = KITH_OPTION_DURATION },
	{ .name = "stall", .help = "so long a stall within the window is told; unset: what suits the resource", .min = 0.001, .max = 10,
	  .type = KITH_OPTION_DURATION },
};

/* `share`: part of the window that is told when no option says another. irq's waiting is always everybody's. */
static const struct kind {
	const char *name;
	double share;
	uint32_t flags;
	enum kith_priority priority;
} kinds[] = {
	{ "cpu", 0.9, 0, KITH_INFO },
	{ "memory", 0.075, 0, KITH_NOTICE },
	{ "io", 0.5, 0, KITH_NOTICE },
	{ "irq", 0.1, KITH_PRESSURE_FULL, KITH_NOTICE },
};
#define N_KINDS KITH_COUNT(kinds)

struct resource {
	struct state *s;
	const struct kind *kind;
	int fd; /* -1: the kernel does not measure it */
	kith_id id;
	unsigned wanted;
	struct kith_watch *trigger, *timer; /* timer: while it is stalled */
	int refused;         /* 0, or why there is no trigger */
	int64_t stall, window;
	int64_t began, last; /* of this stall */
	uint64_t stalls, before; /* `before`: this stall */
};

struct state {
	const struct kith_host *h;
	struct resource resources[N_KINDS];
};

/* ---- the note ---------------------------------------------------------------------------------------------------- */

static void tell(struct state *s)
{
	int64_t window = (int64_t)(s->h->option_number(s->h, "window") * 1e9);
	char text[200] = "";

	for (size_t i = 0; i < N_KINDS && !*text; i++) {
		const struct resource *r = &s->resources[i];

		if (r->refused)
			snprintf(text, sizeof(text), "no stalls of %s: %s", r->kind->name,
			         r->refused == -EROFS || r->refused == -EACCES ? "/proc/pressure may not be written here" : strerror(-r->refused));
		else if (r->trigger && r->window != window)
			snprintf(text, sizeof(text), "stalls within %.0f s instead of %.1f s: another window takes CAP_SYS_RESOURCE", (double)r->window / 1e9,
			         (double)window / 1e9);
	}
	s->h->note(s->h, *text ? text : NULL);
}

/* ---- stalls ------------------------------------------------------------------------------------------------------ */

static int tell_record(struct resource *r, const char *message)
{
	const struct kith_host *h = r->s->h;
	char subject[32], stalls[24], stall[24], window[24];
	const struct kith_field fields[] = { { "stalls", stalls }, { "stall", stall }, { "window", window } };
	struct kith_record record = { .size = sizeof(record), .priority = r->kind->priority, .subject = subject, .message = message,
		                      .fields = fields, .n_fields = KITH_COUNT(fields) };
	int result;

	snprintf(subject, sizeof(subject), "pressure:%s", r->kind->name);
	snprintf(stalls, sizeof(stalls), "%llu", (unsigned long long)(r->stalls - r->before));
	snprintf(stall, sizeof(stall), "%.3f s", (double)r->stall / 1e9);
	snprintf(window, sizeof(window), "%.3f s", (double)r->window / 1e9);
	result = h->record(h, &record);
	return result == -ENOSPC ? 0 : result;
}

static int64_t quiet_time(const struct resource *r)
{
	return 2 * r->window + NS_PER_S;
}

static int become_calm(struct resource *r)
{
	const struct kith_host *h = r->s->h;
	char text[120];
	int result;

	if (r->timer)
		h->unwatch(h, r->timer);
	r->timer = NULL;
	snprintf(text, sizeof(text), "no more stalls for %s: %llu within %.0f s", r->kind->name, (unsigned long long)(r->stalls - r->before),
	         (double)(r->last - r->began + r->window) / 1e9);
	result = h->put(h, r->id + STATE, CALM);
	return result < 0 ? result : tell_record(r, text);
}

static int on_timer(void *user)
{
	struct resource *r = user;
	const struct kith_host *h = r->s->h;
	int64_t quiet = h->now(h) - r->last;

	/* A clock that was set back is no reason to wait for long */
	if (quiet >= quiet_time(r) || quiet < 0)
		return become_calm(r);
	h->unwatch(h, r->timer);
	r->timer = NULL;
	return h->watch_timer(h, quiet_time(r) - quiet, 0, NS_PER_S / 2, on_timer, r, &r->timer);
}

static int on_stall(const void *event, void *user)
{
	struct resource *r = user;
	const struct kith_host *h = r->s->h;
	char text[120];
	int result;

	if (!event) {
		if (r->trigger)
			h->unwatch(h, r->trigger);
		r->trigger = NULL;
		r->refused = -ENODEV;
		tell(r->s);
		return r->timer ? become_calm(r) : 0;
	}
	r->last = h->now(h);
	r->stalls++;
	result = h->put(h, r->id + STALLS, (double)r->stalls);
	if (result < 0 || r->timer)
		return result;
	r->began = r->last;
	r->before = r->stalls - 1;
	result = h->watch_timer(h, quiet_time(r), 0, NS_PER_S / 2, on_timer, r, &r->timer);
	if (result == 0)
		result = h->put(h, r->id + STATE, STALLED);
	if (result < 0)
		return result;
	snprintf(text, sizeof(text), "%s tasks waited for %s for %.3f s within %.1f s", r->kind->flags & KITH_PRESSURE_FULL ? "all" : "some",
	         r->kind->name, (double)r->stall / 1e9, (double)r->window / 1e9);
	return tell_record(r, text);
}

static int trigger_try(struct resource *r, int64_t window)
{
	const struct kith_host *h = r->s->h;
	double stall = h->option_number(h, "stall"), wish = h->option_number(h, "window") * 1e9;
	char path[40];
	struct kith_pressure_filter filter = { .size = sizeof(filter), .flags = r->kind->flags, .path = path, .window = window };

	/* In another window as large a part of it */
	filter.stall = (int64_t)(stall > 0 ? stall * 1e9 * ((double)window / wish) : r->kind->share * (double)window);
	if (filter.stall > window)
		filter.stall = window;
	snprintf(path, sizeof(path), "/proc/pressure/%s", r->kind->name);
	r->stall = filter.stall;
	r->window = window;
	return h->watch_source(h, KITH_SOURCE_PRESSURE, &filter, on_stall, r, &r->trigger);
}

static int trigger_start(struct resource *r)
{
	const struct kith_host *h = r->s->h;
	int64_t window = (int64_t)(h->option_number(h, "window") * 1e9), wider = (window + KERNEL_WINDOW - 1) / KERNEL_WINDOW * KERNEL_WINDOW;
	int result;

	if (r->trigger || r->refused)
		return 0;
	result = trigger_try(r, window);
	if (result == -EINVAL && wider != window && wider <= WINDOW_MAX)
		result = trigger_try(r, wider);
	r->refused = result;
	tell(r->s);
	if (result < 0)
		return result == -ENOMEM ? result : 0;
	/* So that a promise on them is kept, not unknown, while nothing stalls */
	result = h->put(h, r->id + STALLS, (double)r->stalls);
	return result < 0 ? result : h->put(h, r->id + STATE, CALM);
}

static void trigger_stop(struct resource *r)
{
	const struct kith_host *h = r->s->h;

	if (r->trigger)
		h->unwatch(h, r->trigger);
	if (r->timer) {
		h->unwatch(h, r->timer);
		h->put(h, r->id + STATE, CALM);
	}
	r->trigger = r->timer = NULL;
	r->refused = 0;
	tell(r->s);
}

static int want(struct resource *r, int wanted)
{
	if (r->fd < 0)
		return 0;
	if (wanted)
		return r->wanted++ ? 0 : trigger_start(r);
	if (r->wanted && --r->wanted == 0)
		trigger_stop(r);
	return 0;
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct state *s = user;
	int result = 0;

	for (size_t i = 0; i < N_KINDS && result == 0; i++)
		if (strpbrk(instance, "*?") || !strcmp(instance, s->resources[i].kind->name))
			result = want(&s->resources[i], wanted);
	return result;
}

/* ---- the tick ---------------------------------------------------------------------------------------------------- */

static int sample(void *user)
{
	struct state *s = user;
	int result = 0;

	for (size_t i = 0; i < N_KINDS; i++) {
		struct resource *r = &s->resources[i];
		double values[KITH_PRESSURE_VALUES];
		char *text;
		int one;

		if (r->fd < 0)
			continue;
		one = s->h->read(s->h, r->fd, &text, NULL);
		if (one == 0)
			one = kith_pressure_parse(text, values) ? 0 : -EBADMSG;
		if (one == 0)
			one = s->h->put_all(s->h, r->id, values, KITH_PRESSURE_VALUES);
		if (one < 0)
			result = one;
	}
	return result;
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static int open_resources(struct state *s)
{
	unsigned there = 0;
	int r = 0;

	for (size_t i = 0; i < N_KINDS; i++) {
		struct resource *x = &s->resources[i];
		char path[40], *text;

		x->s = s;
		x->kind = &kinds[i];
		snprintf(path, sizeof(path), "/proc/pressure/%s", kinds[i].name);
		x->fd = s->h->open(s->h, path);
		if (x->fd < 0)
			continue;
		/* An older kernel with psi=0 has the files, and refuses to tell what is in them. */
		r = s->h->read(s->h, x->fd, &text, NULL);
		if (r == 0)
			r = s->h->series(s->h, 0, kinds[i].name, &x->id);
		if (r < 0) {
			close(x->fd);
			x->fd = -1;
			continue;
		}
		there++;
	}
	if (there)
		return 0;
	s->h->note(s->h, "this kernel does not measure pressure: CONFIG_PSI, and psi=1 on its command line");
	return -EOPNOTSUPP;
}

static int add_triggers(struct state *s)
{
	const char *const *list;
	size_t n = s->h->option_list(s->h, "triggers", &list);

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		int r;

		while (k < N_KINDS && strcmp(list[i], kinds[k].name))
			k++;
		if (k == N_KINDS) {
			s->h->log(s->h, KITH_WARNING, "triggers: there is no \"%s\": cpu, memory, io and irq can be named", list[i]);
			continue;
		}
		r = want(&s->resources[k], 1);
		if (r < 0)
			return r;
	}
	return s->h->watch_wanted(s->h, 0, on_wanted, s, NULL);
}

static void fini(void *state)
{
	struct state *s = state;

	for (size_t i = 0; i < N_KINDS; i++)
		if (s->resources[i].fd >= 0)
			close(s->resources[i].fd);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	for (size_t i = 0; i < N_KINDS; i++)
		s->resources[i].fd = -1;
	r = open_resources(s);
	if (r == 0)
		r = add_triggers(s);
	if (r == 0)
		r = h->sample(h, sample, s, NULL);
	if (r < 0) {
		fini(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "pressure",
	.version = "1",
	.help = "How long tasks wait for a processor, memory, a disk",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS,
	.needs = KITH_NEEDS_PSI,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "/proc/pressure on the tick; its triggers for what somebody names",
	.costs = "20 us a tick",
};
