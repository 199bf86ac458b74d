/* Records: mounts that come, go and change; limits of quotas */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mount.h"

static int record(struct state *s, struct kith_record *r)
{
	int done = s->h->record(s->h, r);

	return done == -ENOSPC ? 0 : done;
}

/* Of one file system with many mounts its options are told once. */
static bool device_told(struct state *s, const struct kith_mount_event *e)
{
	for (size_t i = 0; i < s->n_told; i++)
		if (s->told[i].major == e->major && s->told[i].minor == e->minor)
			return true;
	if (s->n_told < DEVICES) {
		s->told[s->n_told].major = e->major;
		s->told[s->n_told++].minor = e->minor;
	}
	return false;
}

/* What to say of a change, and how loud; NULL: nothing */
static const char *change(struct state *s, const struct kith_mount_event *e, const struct point *p, uint32_t *ret_priority)
{
	bool was = is_read_only(e->old_flags), is = is_read_only(e->flags);
	bool of_file_system = strcmp(e->super_options, e->old_super_options) != 0;

	if (!of_file_system && !strcmp(e->options, e->old_options))
		return NULL; /* its parent */
	if (of_file_system && device_told(s, e))
		return NULL;
	*ret_priority = KITH_INFO;
	if (is && !was && p && p->top.mount == e->id && e->time - p->since < SETTLING)
		return "is mounted read-only";
	*ret_priority = is && !was ? KITH_ERR : KITH_NOTICE;
	return is && !was ? "has become read-only" : was && !is ? "can be written to again" : "has other options";
}

int tell_mount(struct state *s, const struct kith_mount_event *e, const struct point *p)
{
	char point[TEXT_SIZE], source[TEXT_SIZE], type[128], options[TEXT_SIZE], super[TEXT_SIZE], device[32];
	char subject[sizeof("mount:") + TEXT_SIZE], text[4 * TEXT_SIZE];
	struct kith_field fields[] = { { "type", type }, { "source", source }, { "device", device }, { "options", options }, { "super_options", super } };
	struct kith_record r = { .size = sizeof(r), .priority = KITH_INFO, .time = e->time, .subject = subject, .message = text, .fields = fields,
		                 .n_fields = KITH_COUNT(fields) };
	const char *what;

	clean(e->point, point, sizeof(point));
	clean(e->source, source, sizeof(source));
	clean(e->type, type, sizeof(type));
	clean(e->options, options, sizeof(options));
	clean(e->super_options, super, sizeof(super));
	snprintf(device, sizeof(device), "%u:%u", e->major, e->minor);
	snprintf(subject, sizeof(subject), "mount:%s", point);
	if (e->what == KITH_MOUNT_ADDED) {
		snprintf(text, sizeof(text), "%s is mounted%s: %s %s", point, is_read_only(e->flags) ? " read-only" : "", type, source);
	} else if (e->what == KITH_MOUNT_REMOVED) {
		r.priority = KITH_NOTICE;
		snprintf(text, sizeof(text), "%s is unmounted: %s %s", point, type, source);
	} else {
		what = change(s, e, p, &r.priority);
		if (!what)
			return 0;
		snprintf(text, sizeof(text), "%s %s: %s %s, %s", point, what, type, source, strcmp(e->options, e->old_options) ? options : super);
	}
	return record(s, &r);
}

/* ---- quotas ------------------------------------------------------------------------------------------------------ */

static const struct {
	enum quota_metric metric;
	uint32_t priority;
	const char *text;
} warnings[] = {
	[KITH_QUOTA_INODES_HARD] = { HARD, KITH_WARNING, "has as many files as it may: it is refused more" },
	[KITH_QUOTA_INODES_GRACE] = { GRACE, KITH_WARNING, "had too many files for too long: it is refused more" },
	[KITH_QUOTA_INODES_SOFT] = { SOFT, KITH_NOTICE, "has more files than its soft limit" },
	[KITH_QUOTA_SPACE_HARD] = { HARD, KITH_WARNING, "has as much space as it may: it is refused more" },
	[KITH_QUOTA_SPACE_GRACE] = { GRACE, KITH_WARNING, "had too much space for too long: it is refused more" },
	[KITH_QUOTA_SPACE_SOFT] = { SOFT, KITH_NOTICE, "has more space than its soft limit" },
	[KITH_QUOTA_INODES_HARD_BELOW] = { BELOW, KITH_INFO, "is below its hard limit of files again" },
	[KITH_QUOTA_INODES_SOFT_BELOW] = { BELOW, KITH_INFO, "is below its soft limit of files again" },
	[KITH_QUOTA_SPACE_HARD_BELOW] = { BELOW, KITH_INFO, "is below its hard limit of space again" },
	[KITH_QUOTA_SPACE_SOFT_BELOW] = { BELOW, KITH_INFO, "is below its soft limit of space again" },
};

/* Where the device is mounted; one that is not followed: "8:1" */
static void place_of(const struct state *s, const struct kith_quota_event *e, char name[NAME_SIZE])
{
	const char *best = NULL;

	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct point *p = s->points[i]; p; p = p->next)
			if (p->state == MOUNTED && p->top.major == e->major && p->top.minor == e->minor && (!best || strcmp(p->name, best) < 0))
				best = p->name;
	if (best)
		snprintf(name, NAME_SIZE, "%s", best);
	else
		snprintf(name, NAME_SIZE, "%u:%u", e->major, e->minor);
}

static int quota_find(struct state *s, const char *name, struct quota **ret_quota)
{
	struct quota *q = s->quotas;
	int r;

	while (q && strcmp(q->name, name))
		q = q->next;
	if (!q) {
		q = calloc(1, sizeof(*q) + strlen(name) + 1);
		if (!q)
			return -ENOMEM;
		memcpy(q->name, name, strlen(name) + 1);
		r = s->h->series(s->h, QUOTAS, name, &q->id);
		if (r < 0) {
			free(q);
			return r;
		}
		q->next = s->quotas;
		s->quotas = q;
	}
	*ret_quota = q;
	return 0;
}

static int tell_quota(struct state *s, const struct kith_quota_event *e, const char *place)
{
	static const char *const kinds[] = { "user", "group", "project", "id" };
	const char *kind = kinds[e->kind < KITH_COUNT(kinds) ? e->kind : KITH_QUOTA_OTHER];
	char subject[sizeof("quota:") + NAME_SIZE], text[TEXT_SIZE], id[24], caused[24], device[32];
	struct kith_field fields[] = { { "kind", kind }, { "id", id }, { "caused_by", caused }, { "device", device } };
	struct kith_record r = { .size = sizeof(r), .priority = warnings[e->warning].priority, .time = e->time, .subject = subject, .message = text,
		                 .fields = fields, .n_fields = KITH_COUNT(fields) };

	snprintf(id, sizeof(id), "%llu", (unsigned long long)e->id);
	snprintf(caused, sizeof(caused), "%llu", (unsigned long long)e->caused_by);
	snprintf(device, sizeof(device), "%u:%u", e->major, e->minor);
	snprintf(subject, sizeof(subject), "quota:%s", place);
	snprintf(text, sizeof(text), "%s %s %s on %s", kind, id, warnings[e->warning].text, place);
	return record(s, &r);
}

int on_quota(const void *event, void *user)
{
	const struct kith_quota_event *e = event;
	struct state *s = user;
	char place[NAME_SIZE];
	struct quota *q;
	int r, told;

	if (!e || e->warning >= KITH_COUNT(warnings) || !warnings[e->warning].text)
		return 0;
	place_of(s, e, place);
	told = tell_quota(s, e, place);
	r = quota_find(s, place, &q);
	if (r < 0)
		return r == -ENOSPC ? told : r;
	q->counts[warnings[e->warning].metric]++;
	r = s->h->put_all(s->h, q->id, q->counts, QUOTA_METRICS);
	return r < 0 ? r : told;
}

void quotas_free(struct state *s)
{
	for (struct quota *q = s->quotas, *next; q; q = next) {
		next = q->next;
		free(q);
	}
}
