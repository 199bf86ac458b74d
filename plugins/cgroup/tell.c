#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/cgroup.h"

#define HIT_SPACING INT64_C(10000000000) /* ns between two records of one group's one limit */

/* The length of the UTF-8 sequence at `s`; 0: it is none, or a control character */
static size_t sequence(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 : *s >= 0xe0 && *s < 0xf0 ? 3 : *s >= 0xf0 && *s < 0xf5 ? 4 : 0;
	uint32_t v = n ? (uint32_t)(*s & (n == 1 ? 0x7f : 0xff >> (n + 1))) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3f);
	}
	if (!n || v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) || v < 0x20 || (v >= 0x7f && v < 0xa0))
		return 0;
	return n;
}

bool name_make(const char *path, char name[INSTANCE_MAX + 1])
{
	size_t at = 0, dots = 0; /* `dots`: where they can stand without parting a character */

	while (*path) {
		size_t n = sequence((const unsigned char *)path), takes = n ? n : 4;

		if (at <= INSTANCE_MAX - 3)
			dots = at;
		if (at + takes > INSTANCE_MAX) {
			memcpy(name + dots, "...", 4);
			return false;
		}
		if (n)
			memcpy(name + at, path, n);
		else
			snprintf(name + at, 5, "\\x%02x", (unsigned char)*path);
		at += takes;
		path += n ? n : 1;
	}
	name[at] = '\0';
	return true;
}

bool pattern_match(const char *pattern, const char *text, bool slash)
{
	const char *star = NULL, *from = NULL;

	for (;;) {
		if (*pattern == '*') {
			star = pattern++;
			from = text;
		} else if (*text && (*pattern == *text || (*pattern == '?' && !(slash && *text == '/')))) {
			pattern++;
			text++;
		} else if (!*text && !*pattern) {
			return true;
		} else {
			if (!star || !*from || (slash && *from == '/'))
				return false;
			pattern = star + 1;
			text = ++from;
		}
	}
}

static int tell(struct cgroups *c, uint32_t priority, const char *name, const char *message, const struct kith_field *fields, uint32_t n)
{
	char subject[INSTANCE_MAX + 16];
	struct kith_record record = { .size = sizeof(record), .priority = priority, .subject = subject, .message = message, .fields = fields,
		                      .n_fields = n };
	int r;

	snprintf(subject, sizeof(subject), "cgroup:%s", name);
	r = c->h->record(c->h, &record);
	return r == -ENOSPC ? 0 : r;
}

int tell_group(struct cgroups *c, const char *name, const char *what)
{
	char text[INSTANCE_MAX + 80];

	snprintf(text, sizeof(text), "group %s %s", name, what);
	return tell(c, KITH_INFO, name, text, NULL, 0);
}

static int tell_kill(struct cgroups *c, const char *name, const struct kith_cgroup_event *e, uint64_t killed)
{
	char text[INSTANCE_MAX + 120], number[24], total[24];
	const struct kith_field fields[] = { { "killed", number }, { "kills", total } };

	snprintf(text, sizeof(text), "out of memory: the kernel killed %" PRIu64 " process%s of group %s%s", killed, killed == 1 ? "" : "es", name,
	         e->grown[KITH_CGROUP_OOM_GROUP] ? ", the group as a whole" : "");
	snprintf(number, sizeof(number), "%" PRIu64, killed);
	snprintf(total, sizeof(total), "%" PRIu64, e->counts[KITH_CGROUP_OOM_KILL]);
	return tell(c, KITH_ERR, name, text, fields, KITH_COUNT(fields));
}

/* A group at its limit hits it all the time: told once, then with a count of the others after a while */
static struct hit *hit_find(struct cgroups *c, const char *key)
{
	struct hit *hit;

	for (size_t i = 0; i < N_HITS; i++)
		if (c->hits[i].name && !strcmp(c->hits[i].name, key))
			return &c->hits[i];
	hit = &c->hits[c->next_hit];
	c->next_hit = (c->next_hit + 1) % N_HITS;
	free(hit->name);
	*hit = (struct hit){ .name = strdup(key), .told = INT64_MIN };
	return hit->name ? hit : NULL;
}

static int tell_hit(struct cgroups *c, const char *name, const char *limit, const char *what, uint64_t times, uint32_t priority)
{
	char key[INSTANCE_MAX + 32], text[INSTANCE_MAX + 120], number[24];
	const struct kith_field fields[] = { { "limit", limit }, { "times", number } };
	int64_t now = c->h->now(c->h);
	struct hit *hit;

	if (!times)
		return 0;
	snprintf(key, sizeof(key), "%s %s", limit, name);
	hit = hit_find(c, key);
	if (!hit)
		return -ENOMEM;
	hit->since += times;
	if (hit->told != INT64_MIN && now >= hit->told && now - hit->told < HIT_SPACING)
		return 0;
	snprintf(text, sizeof(text), "group %s %s%s", name, what, hit->since > 1 ? ", more than once" : "");
	snprintf(number, sizeof(number), "%" PRIu64, hit->since);
	hit->told = now;
	hit->since = 0;
	return tell(c, priority, name, text, fields, KITH_COUNT(fields));
}

static uint64_t grown(const struct kith_cgroup_event *e, enum kith_cgroup_count own, enum kith_cgroup_count all)
{
	return e->known & 1u << own ? e->grown[own] : e->grown[all];
}

int tell_event(struct cgroups *c, const char *name, const struct kith_cgroup_event *e, bool group)
{
	uint64_t killed = grown(e, KITH_CGROUP_OWN_KILL, KITH_CGROUP_OOM_KILL);
	int r = killed ? tell_kill(c, name, e, killed) : 0;

	if (r == 0)
		r = tell_hit(c, name, "memory.max", "is held at its limit of memory", grown(e, KITH_CGROUP_OWN_MAX, KITH_CGROUP_MAX), KITH_NOTICE);
	if (r == 0)
		r = tell_hit(c, name, "memory.high", "is slowed at its high mark of memory", grown(e, KITH_CGROUP_OWN_HIGH, KITH_CGROUP_HIGH),
		             KITH_INFO);
	if (r == 0)
		r = tell_hit(c, name, "memory", "has come to 90 % of its limit of memory", e->grown[KITH_CGROUP_NEAR], KITH_NOTICE);
	if (r == 0)
		r = tell_hit(c, name, "pids.max", "was refused a process at its limit of them", e->grown[KITH_CGROUP_PIDS_MAX], KITH_WARNING);
	if (r == 0 && group && e->changed & 1u << KITH_CGROUP_POPULATED)
		r = tell_group(c, name, e->counts[KITH_CGROUP_POPULATED] ? "has processes again" : "is empty");
	if (r == 0 && group && e->changed & 1u << KITH_CGROUP_FROZEN)
		r = tell_group(c, name, e->counts[KITH_CGROUP_FROZEN] ? "is frozen" : "is frozen no more");
	return r;
}

void tell_free(struct cgroups *c)
{
	for (size_t i = 0; i < N_HITS; i++)
		free(c->hits[i].name);
}
