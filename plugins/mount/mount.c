/* mount: what is mounted where, by the kernel's news of its mount table. See the README beside. */
#include "mount.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/kmsg.h"

#define STACK_MAX 64 /* mounts on one point */
#define LOOK_AFTER INT64_C(100000000) /* ns: the kernel's message may come before the deed */

static const char *const states[] = { "absent", "mounted", NULL };
static const char *const read_only_states[] = { "rw", "ro", NULL };
static const char *const turned_states[] = { "no", "yes", NULL };

static const struct kith_metric mount_metrics[] = {
	[STATE] = { "state", "1", "whether something is mounted there", states, KITH_STATE, KITH_METRIC_EVENT },
	[READ_ONLY] = { "read_only", "1", "whether it can be written to", read_only_states, KITH_STATE, KITH_METRIC_EVENT },
	[TURNED] = { "turned_read_only", "1", "whether it could be written to and is read-only now", turned_states, KITH_STATE, KITH_METRIC_EVENT },
};
#define COUNTER(name, help) { name, "warnings", help, NULL, KITH_COUNTER, KITH_METRIC_EVENT }
static const struct kith_metric quota_metrics[] = {
	[HARD] = COUNTER("hard", "hard limits that were reached: it was refused"),
	[SOFT] = COUNTER("soft", "soft limits that were passed"),
	[GRACE] = COUNTER("grace", "soft limits that were passed for too long: it was refused"),
	[BELOW] = COUNTER("below", "limits that were left behind again"),
};
static const struct kith_family families[] = {
	[MOUNTS] = { KITH_FAMILY_INIT, "mount", "What is mounted where", "mount point", mount_metrics, KITH_COUNT(mount_metrics), 0 },
	[QUOTAS] = { KITH_FAMILY_INIT, "quota", "Limits of disk quotas", "mount point", quota_metrics, KITH_COUNT(quota_metrics), 0 },
};

static const struct kith_option options[] = {
	{ .name = "ignore",
	  .fallback = "/run/credentials/*,/run/netns/*,/run/docker/*,/run/containerd/*,/var/lib/docker/*,/var/lib/containers/*,"
	              "/var/lib/containerd/*,/var/lib/kubelet/*,/run/user/*,/snap/*",
	  .help = "mount points to leave out, as globs; * matches / too", .type = KITH_OPTION_LIST },
	{ .name = "ignore_types", .fallback = "nsfs", .help = "types of file systems to leave out, as globs", .type = KITH_OPTION_LIST },
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

static size_t utf8(const unsigned char *s)
{
	size_t n = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 : *s >= 0xe0 && *s < 0xf0 ? 3 : *s >= 0xf0 && *s < 0xf5 ? 4 : 0;

	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* U+0080 to U+009f are control characters, too */
	return n == 2 && *s == 0xc2 && s[1] < 0xa0 ? 0 : n;
}

bool clean(const char *from, char *to, size_t size)
{
	const unsigned char *s = (const unsigned char *)from;
	size_t n = 0, length;

	for (; *s; s += length ? length : 1) {
		length = *s < 0x20 || *s == 0x7f ? 0 : utf8(s);
		if (n + 5 > size)
			break;
		if (length)
			memcpy(to + n, s, length);
		else
			snprintf(to + n, 5, "\\%03o", (unsigned)*s);
		n += length ? length : 4;
	}
	to[n] = '\0';
	return !*s;
}

bool is_read_only(uint32_t flags)
{
	return flags & (KITH_MOUNT_READ_ONLY | KITH_MOUNT_SUPER_READ_ONLY);
}

static bool matches(const struct state *s, const char *option, const char *text)
{
	const char *const *globs;
	size_t n = s->h->option_list(s->h, option, &globs);

	for (size_t i = 0; i < n; i++)
		if (fnmatch(globs[i], text, 0) == 0)
			return true;
	return false;
}

static bool is_named(const struct state *s, const char *name)
{
	for (const struct want *w = s->wants; w; w = w->next)
		if (!strcmp(w->name, name))
			return true;
	return false;
}

/* What somebody names is not left out. */
bool is_ignored(const struct state *s, const struct kith_mount_event *e)
{
	return !is_named(s, e->point) && (matches(s, "ignore", e->point) || matches(s, "ignore_types", e->type));
}

/* ---- mount points ------------------------------------------------------------------------------------------------ */

static unsigned bucket_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return hash % BUCKETS;
}

struct point *point_find(const struct state *s, const char *name)
{
	struct point *p = s->points[bucket_of(name)];

	while (p && strcmp(p->name, name))
		p = p->next;
	return p;
}

/* -ENOSPC, -EINVAL: it cannot be followed */
static int point_new(struct state *s, const char *name, struct point **ret_point)
{
	struct point *p = malloc(sizeof(*p) + strlen(name) + 1), **bucket = &s->points[bucket_of(name)];
	int r;

	if (!p)
		return -ENOMEM;
	*p = (struct point){ .next = *bucket, .state = -1 };
	memcpy(p->name, name, strlen(name) + 1);
	r = s->h->series(s->h, MOUNTS, name, &p->id);
	if (r < 0) {
		free(p);
		return r;
	}
	*bucket = p;
	*ret_point = p;
	return 0;
}

static void point_end(struct state *s, struct point **at)
{
	struct point *p = *at;

	*at = p->next;
	s->h->end(s->h, p->id);
	free(p);
}

/* What it says of reading and writing ends with the mount: its series begin anew. */
static int point_absent(struct state *s, struct point *p)
{
	int r;

	if (p->state == ABSENT)
		return 0;
	if (p->state == MOUNTED) {
		s->h->end(s->h, p->id);
		r = s->h->series(s->h, MOUNTS, p->name, &p->id);
		if (r < 0)
			return r;
	}
	p->state = ABSENT;
	p->top = (struct top){ 0 };
	p->turned = false;
	return s->h->put(s->h, p->id + STATE, ABSENT);
}

static int point_mounted(struct state *s, struct point *p)
{
	const struct top *new = &p->found, *old = &p->top;
	bool other = p->state != MOUNTED || new->mount != old->mount || new->major != old->major || new->minor != old->minor;
	bool ro = is_read_only(new->flags), turned = p->turned && ro && !other;
	int64_t now = s->h->now(s->h);

	if (other)
		p->since = s->since ? now : 0;
	else if (ro && !is_read_only(old->flags))
		turned = now - p->since >= SETTLING;
	if (!other && new->flags == old->flags)
		return 0;
	p->state = MOUNTED;
	p->turned = turned;
	p->top = *new;
	return s->h->put_all(s->h, p->id, (const double[]){ MOUNTED, ro, turned }, 3);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static struct top top_of(const struct kith_mount_event *e)
{
	return (struct top){ e->id, e->major, e->minor, e->flags };
}

static int on_dump(const void *event, void *user)
{
	const struct kith_mount_event *e = event;
	struct state *s = user;
	char name[NAME_SIZE];
	struct point *p;
	int r;

	if (e->what != KITH_MOUNT_ADDED || !clean(e->point, name, sizeof(name)) || is_ignored(s, e))
		return 0;
	p = point_find(s, name);
	if (!p && (r = point_new(s, name, &p)) < 0)
		return r == -ENOSPC || r == -EINVAL ? 0 : r;
	s->stacked |= p->seen;
	p->seen = true;
	p->found = top_of(e);
	return 0;
}

/*
 * Of several mounts on one point mostly the last of the table is on top. One that was moved there, or mounted beneath another one, stands in the order of its
 * making: what is on top of what is said by the parents alone.
 */
static int on_stacked(const void *event, void *user)
{
	const struct kith_mount_event *e = event;
	struct state *s = user;
	char name[NAME_SIZE];
	struct point *p;

	if (e->what != KITH_MOUNT_ADDED || !clean(e->point, name, sizeof(name)) || is_ignored(s, e))
		return 0;
	p = point_find(s, name);
	if (!p || !p->seen || e->parent != p->found.mount || e->id == p->found.mount)
		return 0;
	p->found = top_of(e);
	s->stacked = true;
	return 0;
}

static int look(struct state *s, bool again)
{
	const struct kith_mount_filter filter = { sizeof(filter), again ? KITH_MOUNT_AGAIN : 0 };
	int r, one;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct point *p = s->points[i]; p; p = p->next)
			p->seen = false;
	s->stacked = false;
	r = s->h->dump_source(s->h, KITH_SOURCE_MOUNT, &filter, on_dump, s);
	for (int i = 0; i < STACK_MAX && s->stacked && r >= 0; i++) {
		s->stacked = false;
		r = s->h->dump_source(s->h, KITH_SOURCE_MOUNT, NULL, on_stacked, s);
	}
	for (const struct want *w = s->wants; w && r >= 0; w = w->next) {
		struct point *p = point_find(s, w->name);

		if (!p && (one = point_new(s, w->name, &p)) < 0 && one != -ENOSPC && one != -EINVAL)
			r = one;
	}
	for (size_t i = 0; i < BUCKETS && r >= 0; i++)
		for (struct point **at = &s->points[i], *p; (p = *at);) {
			one = p->seen ? point_mounted(s, p) : 0;
			if (!p->seen && !is_named(s, p->name)) {
				point_end(s, at);
				continue;
			}
			if (!p->seen)
				one = point_absent(s, p);
			if (one < 0)
				r = one;
			at = &p->next;
		}
	if (r == 0 && !s->since)
		s->since = s->h->now(s->h);
	return r;
}

static int on_mount(const void *event, void *user)
{
	const struct kith_mount_event *e = event;
	struct state *s = user;
	char name[NAME_SIZE];

	if (!e)
		return 0;
	if (e->what == KITH_MOUNT_SETTLED) {
		s->n_told = 0;
		return look(s, false);
	}
	if (is_ignored(s, e))
		return 0;
	return tell_mount(s, e, clean(e->point, name, sizeof(name)) ? point_find(s, name) : NULL);
}

/* ---- file systems that turn read-only by themselves --------------------------------------------------------------- */

static int nobody(const void *event, void *user)
{
	(void)event;
	(void)user;
	return 0;
}

static int on_again(void *user)
{
	const struct kith_mount_filter again = { sizeof(again), KITH_MOUNT_AGAIN };
	struct state *s = user;

	s->h->unwatch(s->h, s->again);
	s->again = NULL;
	/* What is different is told to on_mount. */
	return s->h->dump_source(s->h, KITH_SOURCE_MOUNT, &again, nobody, NULL);
}

static int on_kmsg(const void *event, void *user)
{
	const struct kith_kmsg_event *e = event;
	struct state *s = user;

	if (!e || s->again || !(strstr(e->text, "ead-only") || strstr(e->text, "eadonly")))
		return 0;
	return s->h->watch_timer(s->h, LOOK_AFTER, 0, LOOK_AFTER, on_again, s, &s->again);
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct want *w, **at;
	struct state *s = user;

	if (strchr(instance, '*'))
		return 0;
	if (wanted) {
		w = malloc(sizeof(*w) + strlen(instance) + 1);
		if (!w)
			return -ENOMEM;
		w->next = s->wants;
		memcpy(w->name, instance, strlen(instance) + 1);
		s->wants = w;
		return look(s, false);
	}
	for (at = &s->wants; *at && strcmp((*at)->name, instance);)
		at = &(*at)->next;
	w = *at;
	if (!w)
		return 0;
	*at = w->next;
	free(w);
	return look(s, false);
}

static void fini(void *state)
{
	struct state *s = state;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct point *p = s->points[i], *next; p; p = next) {
			next = p->next;
			free(p);
		}
	for (struct want *w = s->wants, *next; w; w = next) {
		next = w->next;
		free(w);
	}
	quotas_free(s);
	free(s);
}

static int resync(void *state)
{
	return look(state, true);
}

static int init(const struct kith_host *h, void **ret_state)
{
	const struct kith_kmsg_filter kernel = { .size = sizeof(kernel), .priority = KITH_INFO };
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	r = h->watch_source(h, KITH_SOURCE_MOUNT, NULL, on_mount, s, NULL);
	if (r == 0)
		r = look(s, false);
	if (r == -ENOENT || r == -EACCES) {
		h->note(h, "the mount table /proc/self/mountinfo cannot be read: mount proc there");
		r = -EOPNOTSUPP;
	}
	if (r == 0)
		r = h->watch_wanted(h, MOUNTS, on_wanted, s, NULL);
	if (r < 0) {
		fini(s);
		return r;
	}
	/* Both are more than there is on many a host, and nothing is missed that somebody could have told. */
	(void)h->watch_source(h, KITH_SOURCE_KMSG, &kernel, on_kmsg, s, NULL);
	(void)h->watch_source(h, KITH_SOURCE_QUOTA, NULL, on_quota, s, NULL);
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "mount",
	.version = "1",
	.help = "What is mounted where",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.resync = resync,
	.hears = "EPOLLPRI on /proc/self/mountinfo; generic netlink VFS_DQUOT; /dev/kmsg for file systems that turn read-only by themselves",
	.costs = "nothing on an idle host; 2 us for each mount of the table when that changes, once a second at most in a storm",
};
