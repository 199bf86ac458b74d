/* md: Linux software RAID: what state each array is in, by the kernel's own notification. See the README beside. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "md/mdstat.h"
#include "plugin.h"
#include "sources/device.h"

enum { STATE, ACTION, READ_ONLY, DISKS, WORKING, FAULTY, SPARE, SIZE, PROGRESS, SPEED, LEFT, N_METRICS };
static const char *const states[] = { "inactive", "active", "degraded", "failed", NULL };
static const char *const actions[] = { "idle", "resync", "recovery", "check", "reshape", "delayed", NULL };
static const char *const yes_no[] = { "no", "yes", NULL };

#define EVENT(n, unit, text, kind, states) { n, unit, text, states, kind, KITH_METRIC_EVENT }
static const struct kith_metric metrics[N_METRICS] = {
	[STATE] = EVENT("state", "1", "degraded: disks are missing; failed: more than it can do without", KITH_STATE, states),
	[ACTION] = EVENT("action", "1", "what goes on in it", KITH_STATE, actions),
	[READ_ONLY] = EVENT("read_only", "1", "whether it takes no writes", KITH_STATE, yes_no),
	[DISKS] = EVENT("disks", "disks", "that it is made of", KITH_GAUGE, NULL),
	[WORKING] = EVENT("working", "disks", "of these, those that work and are up to date", KITH_GAUGE, NULL),
	[FAULTY] = EVENT("faulty", "disks", "members that failed", KITH_GAUGE, NULL),
	[SPARE] = EVENT("spare", "disks", "members that wait to take a place", KITH_GAUGE, NULL),
	[SIZE] = EVENT("size", "B", "of the array", KITH_GAUGE, NULL),
	[PROGRESS] = { "progress", "%", "of what goes on", NULL, KITH_GAUGE, 0 },
	[SPEED] = { "speed", "B/s", "of what goes on", NULL, KITH_GAUGE, 0 },
	[LEFT] = { "left", "s", "until it is done, as the kernel reckons", NULL, KITH_GAUGE, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "md", "Software RAID arrays", "array", metrics, N_METRICS, 0 },
};

struct array {
	struct array *next;
	kith_id id;
	unsigned seen; /* round */
	struct md_array now;
};

struct state {
	const struct kith_host *h;
	int fd; /* -1: the kernel has no md, or not yet */
	unsigned round;
	struct array *arrays;
	struct kith_watch *changes, *sampler;
	unsigned busy; /* arrays in which something goes on */
};

static int sample(void *user);

/* ---- records ----------------------------------------------------------------------------------------------------- */

static int tell(struct state *s, uint32_t priority, const struct md_array *a, const char *what)
{
	char subject[MD_NAME_MAX + 4], text[200], disks[16], working[16], faulty[16];
	const struct kith_field fields[] = { { "disks", disks }, { "working", working }, { "faulty", faulty }, { "level", a->level } };
	struct kith_record record = { .size = sizeof(record), .priority = priority, .subject = subject, .message = text, .fields = fields,
		                      .n_fields = *a->level ? 4 : 3 };
	int r;

	snprintf(subject, sizeof(subject), "md:%s", a->name);
	snprintf(text, sizeof(text), "array %s %s", a->name, what);
	snprintf(disks, sizeof(disks), "%u", a->disks);
	snprintf(working, sizeof(working), "%u", a->working);
	snprintf(faulty, sizeof(faulty), "%u", a->faulty);
	r = s->h->record(s->h, &record);
	return r == -ENOSPC ? 0 : r;
}

static int tell_state(struct state *s, const struct md_array *a)
{
	static const uint32_t priorities[] = { [MD_INACTIVE] = KITH_WARNING, [MD_ACTIVE] = KITH_NOTICE, [MD_DEGRADED] = KITH_ERR, [MD_FAILED] = KITH_CRIT };
	char what[120];

	if (a->state == MD_DEGRADED || a->state == MD_FAILED)
		snprintf(what, sizeof(what), "%s: %u of %u disks work", a->state == MD_FAILED ? "has failed" : "is degraded", a->working, a->disks);
	else
		snprintf(what, sizeof(what), "is %s", states[a->state]);
	return tell(s, priorities[a->state], a, what);
}

static int tell_changes(struct state *s, const struct md_array *before, const struct md_array *now)
{
	char what[120];
	int r = 0;

	if (before->state != now->state || before->working != now->working)
		r = tell_state(s, now);
	if (r == 0 && now->faulty > before->faulty)
		r = tell(s, KITH_ERR, now, "has a disk that failed");
	if (r == 0 && before->read_only != now->read_only)
		r = tell(s, KITH_WARNING, now, now->read_only ? "takes no writes any more" : "takes writes again");
	if (r == 0 && before->action != now->action) {
		if (now->action == MD_IDLE)
			snprintf(what, sizeof(what), "is done with its %s", actions[before->action]);
		else
			snprintf(what, sizeof(what), now->action == MD_DELAYED ? "waits for others before it goes on" : "begins its %s", actions[now->action]);
		r = tell(s, KITH_NOTICE, now, what);
	}
	return r;
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */

static int array_put(struct state *s, struct array *x)
{
	const struct md_array *a = &x->now;
	double values[N_METRICS] = { [STATE] = a->state, [ACTION] = a->action, [READ_ONLY] = a->read_only, [DISKS] = a->disks, [WORKING] = a->working,
		                     [FAULTY] = a->faulty, [SPARE] = a->spare, [SIZE] = a->size, [PROGRESS] = a->progress, [SPEED] = a->speed,
		                     [LEFT] = a->left };

	if (!a->disks) /* of a level without slots each member works, or the array would not */
		values[DISKS] = values[WORKING] = a->members;
	return s->h->put_all(s->h, x->id, values, N_METRICS);
}

static int array_new(struct state *s, const struct md_array *a, struct array **ret_array)
{
	struct array *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	r = s->h->series(s->h, 0, a->name, &x->id);
	if (r < 0) {
		free(x);
		return r;
	}
	x->next = s->arrays;
	s->arrays = x;
	*ret_array = x;
	return 0;
}

static int on_array(const struct md_array *a, void *user)
{
	struct state *s = user;
	struct array *x = s->arrays;
	struct md_array before;
	bool first;
	int r = 0;

	while (x && strcmp(x->now.name, a->name))
		x = x->next;
	first = !x;
	if (first)
		r = array_new(s, a, &x);
	if (r < 0)
		return r == -ENOSPC || r == -EINVAL ? 0 : r; /* beyond the cap, which the host says */
	before = x->now;
	x->now = *a;
	x->seen = s->round;
	s->busy += a->action != MD_IDLE && a->action != MD_DELAYED;
	r = first && a->state != MD_ACTIVE && a->state != MD_INACTIVE ? tell_state(s, a) : first ? 0 : tell_changes(s, &before, a);
	return r < 0 ? r : array_put(s, x);
}

static void forget_unseen(struct state *s)
{
	for (struct array **at = &s->arrays; *at;) {
		struct array *x = *at;

		if (x->seen == s->round) {
			at = &x->next;
			continue;
		}
		tell(s, KITH_NOTICE, &x->now, "is stopped");
		s->h->end(s->h, x->id);
		*at = x->next;
		free(x);
	}
}

/* Progress comes without a notice: it is read on the tick, while there is any. */
static int sampler_set(struct state *s)
{
	if (s->busy && !s->sampler)
		return s->h->sample(s->h, sample, s, &s->sampler);
	if (!s->busy && s->sampler) {
		s->h->unwatch(s->h, s->sampler);
		s->sampler = NULL;
	}
	return 0;
}

static int look(struct state *s)
{
	char *text;
	int r = s->h->read(s->h, s->fd, &text, NULL);

	if (r < 0)
		return r;
	s->round++;
	s->busy = 0;
	r = mdstat_parse(text, on_array, s);
	if (r < 0)
		return r;
	forget_unseen(s);
	return sampler_set(s);
}

static int sample(void *user)
{
	return look(user);
}

static int on_change(int fd, uint32_t events, void *user)
{
	(void)fd;
	(void)events;
	return look(user);
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static int begin(struct state *s)
{
	int fd = s->h->open(s->h, "/proc/mdstat"), r;

	s->h->note(s->h, fd < 0 ? "there is no /proc/mdstat: it begins when the first array comes" : NULL);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = s->h->watch_pri(s->h, fd, on_change, s, &s->changes);
	if (r < 0) {
		close(fd);
		return r;
	}
	s->fd = fd;
	/* After the watch: what comes in between is seen. */
	return look(s);
}

/* The kernel's md is a module that the first array loads. */
static int on_device(const void *event, void *user)
{
	const struct kith_device_event *e = event;
	struct state *s = user;

	return e && s->fd < 0 && !strncmp(e->name, "md", 2) ? begin(s) : 0;
}

static int resync(void *state)
{
	struct state *s = state;

	return s->fd < 0 ? begin(s) : look(s);
}

static void fini(void *state)
{
	struct state *s = state;

	for (struct array *x = s->arrays, *next; x; x = next) {
		next = x->next;
		free(x);
	}
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	static const struct kith_device_filter filter = { .size = sizeof(filter), .subsystem = "block" };
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->fd = -1;
	r = begin(s);
	if (r == 0 && s->fd < 0)
		r = h->watch_source(h, KITH_SOURCE_DEVICE, &filter, on_device, s, NULL);
	if (r < 0) {
		fini(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "md",
	.version = "1",
	.help = "Software RAID arrays",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.init = init,
	.fini = fini,
	.resync = resync,
	.hears = "EPOLLPRI on /proc/mdstat, and uevents of block devices until there is one",
	.costs = "nothing while nothing changes; 20 us a change",
};
