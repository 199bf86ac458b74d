/* device: what comes, goes and changes, by the kernel's uevents; whether a device that somebody names is there. See the README beside. */
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"
#include "sources/device.h"

#define LOOK_AFTER INT64_C(200000000) /* ns: gaps in the numbers come in bursts, as network devices of containers do */
#define INSTANCE_MAX 255

enum { DEVICES, UEVENTS };
enum { STATE, CHANGES };
enum { ABSENT, PRESENT, OFFLINE };
enum { EVENTS, MISSED };
static const char *const states[] = { "absent", "present", "offline", NULL };

static const struct kith_metric device_metrics[] = {
	{ "state", "1", "whether it is there", states, KITH_STATE, KITH_METRIC_EVENT },
	{ "changes", "changes", "uevents of it since kithd knows it", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
};
static const struct kith_metric uevent_metrics[] = {
	{ "events", "uevents", "that the kernel sent", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	{ "missed", "uevents", "numbers that were passed over: of other network namespaces, or lost", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
};
static const struct kith_family families[] = {
	[DEVICES] = { KITH_FAMILY_INIT, "device", "Devices that somebody names", "subsystem/name", device_metrics, KITH_COUNT(device_metrics), 0 },
	[UEVENTS] = { KITH_FAMILY_INIT, "uevents", "The kernel's messages about devices", NULL, uevent_metrics, KITH_COUNT(uevent_metrics), 0 },
};

static const struct kith_option options[] = {
	{ .name = "records", .fallback = "block, usb, cpu, memory, nvme, mmc, power_supply, typec, watchdog",
	  .help = "subsystems (patterns) of which what comes and goes is recorded", .type = KITH_OPTION_LIST },
	{ .name = "changes", .help = "subsystems (patterns) of which changes are recorded, too", .type = KITH_OPTION_LIST },
};

/* What somebody names: "block/sda", "block/" followed by a pattern, or a pattern of both */
struct want {
	struct want *next;
	bool exact;
	size_t subsystem; /* its length in `name`; 0: it is a pattern too */
	char name[];
};

struct device {
	struct device *next;
	kith_id id;
	double changes;
	int state;
	bool seen; /* of this look at all */
	char name[];
};

struct state {
	const struct kith_host *h;
	kith_id uevents;
	double events, missed;
	struct want *wants;
	struct device *devices;
	struct kith_watch *look;
};

/* ---- devices that are named -------------------------------------------------------------------------------------- */

/* Between "subsystem/name" and what is wanted */
static bool want_takes(const struct want *w, const char *name)
{
	return w->exact ? !strcmp(w->name, name) : fnmatch(w->name, name, FNM_NOESCAPE) == 0;
}

/* `exact`: somebody names this one, not by a pattern */
static bool is_wanted(const struct state *s, const char *name, bool exact)
{
	for (const struct want *w = s->wants; w; w = w->next)
		if ((w->exact || !exact) && want_takes(w, name))
			return true;
	return false;
}

/* Most uevents are of subsystems that nobody names. */
static bool subsystem_wanted(const struct state *s, const char *subsystem)
{
	for (const struct want *w = s->wants; w; w = w->next)
		if (!w->subsystem || (strlen(subsystem) == w->subsystem && !strncmp(w->name, subsystem, w->subsystem)))
			return true;
	return false;
}

static struct device **device_find(struct state *s, const char *name)
{
	struct device **at = &s->devices;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static int device_state(struct state *s, struct device *d, int now)
{
	if (d->state == now)
		return 0;
	d->state = now;
	return s->h->put(s->h, d->id + STATE, now);
}

static void device_end(struct state *s, struct device **at)
{
	struct device *d = *at;

	*at = d->next;
	s->h->end(s->h, d->id);
	free(d);
}

static int device_new(struct state *s, const char *name, struct device **ret_device)
{
	struct device *d = malloc(sizeof(*d) + strlen(name) + 1);
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct device){ .next = s->devices, .state = -1 };
	memcpy(d->name, name, strlen(name) + 1);
	r = s->h->series(s->h, DEVICES, name, &d->id);
	if (r == 0)
		r = s->h->put(s->h, d->id + CHANGES, 0);
	if (r < 0) {
		free(d);
		return r;
	}
	s->devices = d;
	*ret_device = d;
	return 0;
}

/* It is there, whatever was known of it. Beyond the cap of instances it is not followed, which the host says. */
static int device_there(struct state *s, const char *name, int now, struct device **ret_device)
{
	struct device *d = *device_find(s, name);
	int r = d ? 0 : device_new(s, name, &d);

	if (r == 0) {
		*ret_device = d;
		return device_state(s, d, now);
	}
	*ret_device = NULL;
	return r == -ENOSPC || r == -EINVAL ? 0 : r; /* a name that is no text is no instance */
}

static int device_gone(struct state *s, const char *name)
{
	struct device **at = device_find(s, name);

	if (!*at)
		return 0;
	if (is_wanted(s, name, true))
		return device_state(s, *at, ABSENT);
	device_end(s, at);
	return 0;
}

static bool name_of(const char *subsystem, const char *name, char text[INSTANCE_MAX + 1])
{
	return *subsystem && *name && snprintf(text, INSTANCE_MAX + 1, "%s/%s", subsystem, name) <= INSTANCE_MAX;
}

/* ---- looking at all ---------------------------------------------------------------------------------------------- */

static int on_dump(const void *event, void *user)
{
	const struct kith_device_event *e = event;
	char name[INSTANCE_MAX + 1];
	struct state *s = user;
	struct device *d;
	int r;

	if (!name_of(e->subsystem, e->name, name) || !is_wanted(s, name, false))
		return 0;
	d = *device_find(s, name);
	r = d && d->state == OFFLINE ? 0 : device_there(s, name, PRESENT, &d);
	if (d)
		d->seen = true;
	return r;
}

static int subsystem_dump(struct state *s, const char *subsystem)
{
	struct kith_device_filter filter = { .size = sizeof(filter), .subsystem = subsystem };
	int r = s->h->dump_source(s->h, KITH_SOURCE_DEVICE, &filter, on_dump, s);

	return r == -ENOENT || r == -EINVAL ? 0 : r; /* there is no such subsystem, or not yet */
}

/* The subsystem of `w`, unless another want before it has it. Of a pattern over all: those that records are made of. */
static int want_dump(struct state *s, const struct want *w)
{
	char subsystem[INSTANCE_MAX + 1];
	const char *const *list;
	size_t n = w->subsystem ? 0 : s->h->option_list(s->h, "records", &list);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = subsystem_dump(s, list[i]);
	if (!w->subsystem)
		return r;
	for (const struct want *other = s->wants; other != w; other = other->next)
		if (other->subsystem == w->subsystem && !strncmp(other->name, w->name, w->subsystem))
			return 0;
	snprintf(subsystem, sizeof(subsystem), "%.*s", (int)w->subsystem, w->name);
	return subsystem_dump(s, subsystem);
}

/* Was its subsystem among those that were dumped? */
static bool was_dumped(const struct state *s, const char *name)
{
	size_t length = strcspn(name, "/");
	const char *const *list;
	size_t n = s->h->option_list(s->h, "records", &list);

	for (const struct want *w = s->wants; w; w = w->next) {
		if (w->subsystem == length && !strncmp(w->name, name, length))
			return true;
		for (size_t i = 0; !w->subsystem && i < n; i++)
			if (strlen(list[i]) == length && !strncmp(list[i], name, length))
				return true;
	}
	return false;
}

static int look(struct state *s)
{
	struct device **at, *d;
	int r = 0, one;

	for (d = s->devices; d; d = d->next)
		d->seen = false;
	for (const struct want *w = s->wants; w; w = w->next)
		if ((one = want_dump(s, w)) < 0)
			r = one;
	for (const struct want *w = s->wants; w; w = w->next)
		if (w->exact && !*device_find(s, w->name) && (one = device_there(s, w->name, ABSENT, &d)) < 0)
			r = one;
	if (r < 0)
		return r;
	for (at = &s->devices; (d = *at);) {
		if (d->seen || !was_dumped(s, d->name)) {
			at = &d->next;
		} else if (is_wanted(s, d->name, true)) {
			device_state(s, d, ABSENT);
			at = &d->next;
		} else {
			device_end(s, at);
		}
	}
	return 0;
}

static int on_look(void *user)
{
	struct state *s = user;

	s->h->unwatch(s->h, s->look);
	s->look = NULL;
	return look(s);
}

static int resync(void *state)
{
	return look(state);
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct state *s = user;
	const char *slash = strchr(instance, '/');
	size_t length = slash ? (size_t)(slash - instance) : 0;
	struct want *w, **at = &s->wants;

	if (wanted) {
		w = malloc(sizeof(*w) + strlen(instance) + 1);
		if (!w)
			return -ENOMEM;
		w->next = s->wants;
		w->exact = !strchr(instance, '*');
		w->subsystem = memchr(instance, '*', length) ? 0 : length;
		memcpy(w->name, instance, strlen(instance) + 1);
		s->wants = w;
	} else {
		while (*at && strcmp((*at)->name, instance))
			at = &(*at)->next;
		w = *at;
		if (!w)
			return 0;
		*at = w->next;
		free(w);
		for (struct device **d = &s->devices; *d;)
			if (is_wanted(s, (*d)->name, false))
				d = &(*d)->next;
			else
				device_end(s, d);
	}
	return wanted ? look(s) : 0;
}

/* ---- uevents ----------------------------------------------------------------------------------------------------- */

static bool listed(struct state *s, const char *option, const char *subsystem)
{
	const char *const *list;
	size_t n = s->h->option_list(s->h, option, &list);

	for (size_t i = 0; i < n; i++)
		if (fnmatch(list[i], subsystem, FNM_NOESCAPE) == 0)
			return true;
	return false;
}

static int tell(struct state *s, const struct kith_device_event *e)
{
	static const char *const words[] = {
		[KITH_DEVICE_ADD] = "is there",        [KITH_DEVICE_REMOVE] = "is gone",     [KITH_DEVICE_CHANGE] = "changed",
		[KITH_DEVICE_MOVE] = "moved",          [KITH_DEVICE_ONLINE] = "is online",   [KITH_DEVICE_OFFLINE] = "is offline",
		[KITH_DEVICE_BIND] = "has its driver", [KITH_DEVICE_UNBIND] = "lost its driver",
	};
	char subject[sizeof("device:") + INSTANCE_MAX], name[INSTANCE_MAX + 1], text[2 * INSTANCE_MAX], sequence[24];
	struct kith_field fields[8];
	struct kith_record record = { .size = sizeof(record), .priority = e->action == KITH_DEVICE_REMOVE || e->action == KITH_DEVICE_OFFLINE ? KITH_NOTICE : KITH_INFO,
		                      .time = e->time, .subject = subject, .message = text, .fields = fields };
	const char *const values[] = { e->type, e->node, e->driver, e->path };
	static const char *const keys[] = { "type", "node", "driver", "path" };
	int r;

	if (!name_of(e->subsystem, e->name, name) || e->action >= KITH_COUNT(words))
		return 0;
	snprintf(subject, sizeof(subject), "device:%s", name);
	snprintf(text, sizeof(text), "%s %s %s%s%s%s", e->subsystem, e->name, words[e->action], *e->node ? ": /dev/" : "", e->node,
	         !strcmp(e->type, "partition") ? ", a partition" : "");
	snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)e->sequence);
	for (size_t i = 0; i < KITH_COUNT(values); i++)
		if (*values[i])
			fields[record.n_fields++] = (struct kith_field){ keys[i], values[i] };
	fields[record.n_fields++] = (struct kith_field){ "sequence", sequence };
	r = s->h->record(s->h, &record);
	return r == -ENOSPC ? 0 : r;
}

/* A driver that binds or lets go belongs to its device's coming and going; the parts of an USB device are no devices to a person. */
static bool to_be_told(struct state *s, const struct kith_device_event *e)
{
	size_t length = strlen(e->type);

	switch (e->action) {
	case KITH_DEVICE_ADD:
	case KITH_DEVICE_REMOVE:
	case KITH_DEVICE_MOVE:
	case KITH_DEVICE_ONLINE:
	case KITH_DEVICE_OFFLINE:
		return listed(s, "records", e->subsystem) && (length < 10 || strcmp(e->type + length - 10, "_interface") != 0);
	default:
		return listed(s, "changes", e->subsystem);
	}
}

static int follow(struct state *s, const struct kith_device_event *e)
{
	const char *old = e->action == KITH_DEVICE_MOVE ? kith_device_property(e, "DEVPATH_OLD") : NULL;
	char name[INSTANCE_MAX + 1];
	struct device *d;
	int r;

	if (old && strrchr(old, '/') && name_of(e->subsystem, strrchr(old, '/') + 1, name) && (r = device_gone(s, name)) < 0)
		return r;
	if (!name_of(e->subsystem, e->name, name) || !is_wanted(s, name, false))
		return 0;
	if (e->action == KITH_DEVICE_REMOVE)
		return device_gone(s, name);
	d = *device_find(s, name);
	if (e->action == KITH_DEVICE_OFFLINE)
		r = device_there(s, name, OFFLINE, &d);
	else if (!d || d->state == ABSENT || e->action == KITH_DEVICE_ONLINE || e->action == KITH_DEVICE_ADD)
		r = device_there(s, name, PRESENT, &d);
	else
		r = 0;
	return r < 0 || !d ? r : s->h->put(s->h, d->id + CHANGES, ++d->changes);
}

static int on_event(const void *event, void *user)
{
	const struct kith_device_event *e = event;
	struct state *s = user;
	int r = 0, told;

	if (!e)
		return 0;
	s->h->put(s->h, s->uevents + EVENTS, ++s->events);
	if (e->missed) {
		s->missed += (double)e->missed;
		s->h->put(s->h, s->uevents + MISSED, s->missed);
		/* Most likely of another namespace's network devices; if not, what is there tells. */
		if (!s->look && s->wants)
			r = s->h->watch_timer(s->h, LOOK_AFTER, 0, LOOK_AFTER, on_look, s, &s->look);
	}
	told = to_be_told(s, e) ? tell(s, e) : 0;
	if (subsystem_wanted(s, e->subsystem)) {
		int followed = follow(s, e);

		r = followed < 0 ? followed : r;
	}
	return r < 0 ? r : told;
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static void fini(void *state)
{
	struct state *s = state;

	for (struct want *w = s->wants, *next; w; w = next) {
		next = w->next;
		free(w);
	}
	for (struct device *d = s->devices, *next; d; d = next) {
		next = d->next;
		free(d);
	}
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	r = h->watch_source(h, KITH_SOURCE_DEVICE, NULL, on_event, s, NULL);
	if (r == -EPERM || r == -EACCES) {
		h->note(h, "this host lets nobody hear of its devices here");
		r = -EOPNOTSUPP;
	}
	if (r == 0)
		r = h->series(h, UEVENTS, NULL, &s->uevents);
	if (r == 0)
		r = h->put_all(h, s->uevents, (const double[]){ 0, 0 }, 2);
	if (r == 0)
		r = h->watch_wanted(h, DEVICES, on_wanted, s, NULL);
	if (r < 0) {
		fini(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "device",
	.version = "1",
	.help = "Devices that come, go and change",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_SYSFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.resync = resync,
	.hears = "the kernel's uevents (netlink)",
	.costs = "nothing on an idle host; 4 us for a uevent",
};
