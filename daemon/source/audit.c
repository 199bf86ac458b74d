/* The audit log, by netlink's read-only group */
#include "source/audit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "source/kinds.h"
#include "source/netlink.h"

#define OPEN_MAX 8 /* events whose lines still come, at once: of as many processors */
#define GAPS 8
#define WAIT (200 * NS_PER_MS) /* for an event's end, and for numbers that come late */

struct gap {
	uint64_t from, to; /* without `to` */
	int64_t since;     /* mono ns */
};

struct audit_reader {
	struct source *source;
	struct netlink_source *netlink;
	struct netlink_sub *sub;
	struct loop *loop;
	struct loop_watch *timer;
	struct audit_parts *open[OPEN_MAX]; /* in the order of their first lines */
	unsigned n_open;
	struct gap gaps[GAPS];
	unsigned n_gaps;
	uint64_t missed;   /* to be told with the next event */
	uint64_t expected; /* 0: none was heard */
	struct audit_pool *pool;
	bool armed;
};

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void gap_end(struct audit_reader *a, unsigned i)
{
	a->missed += a->gaps[i].to - a->gaps[i].from;
	a->gaps[i] = a->gaps[--a->n_gaps];
}

/* One of another processor may come a little late. */
static void gap_late(struct audit_reader *a, uint64_t serial)
{
	for (unsigned i = 0; i < a->n_gaps; i++) {
		struct gap *g = &a->gaps[i], rest;

		if (serial < g->from || serial >= g->to)
			continue;
		rest = (struct gap){ serial + 1, g->to, g->since };
		g->to = serial;
		if (g->from == g->to)
			*g = a->gaps[--a->n_gaps];
		if (rest.from == rest.to)
			return;
		if (a->n_gaps == GAPS)
			gap_end(a, 0);
		a->gaps[a->n_gaps++] = rest;
		return;
	}
}

static void number_heard(struct audit_reader *a, uint64_t serial)
{
	if (a->expected && serial < a->expected && a->expected - serial < (1u << 20)) {
		gap_late(a, serial);
		return;
	}
	if (a->expected && serial > a->expected) {
		if (a->n_gaps == GAPS)
			gap_end(a, 0);
		a->gaps[a->n_gaps++] = (struct gap){ a->expected, serial, clock_mono() };
	}
	a->expected = serial + 1;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* The source is held by the caller. */
static void tell(struct audit_reader *a, struct audit_parts *p_take)
{
	struct kith_audit_event e;

	p_take->missed = a->missed;
	a->missed = 0;
	audit_event(p_take, a->pool, &e);
	source_tell(a->source, &e);
	free(p_take);
}

static void tell_open(struct audit_reader *a, unsigned i)
{
	struct audit_parts *p = a->open[i];

	memmove(&a->open[i], &a->open[i + 1], (a->n_open - i - 1) * sizeof(struct audit_parts *));
	a->n_open--;
	tell(a, p);
}

static void arm(struct audit_reader *a)
{
	if (a->armed || (!a->n_open && !a->n_gaps))
		return;
	a->armed = true;
	loop_timer_set(a->loop, a->timer, WAIT);
}

static void audit_timer(void *user)
{
	const struct kith_audit_event none = { .size = sizeof(none), .line_size = sizeof(struct kith_audit_line) };
	struct audit_reader *a = user;
	struct kith_audit_event e = none;
	int64_t before = clock_mono() - WAIT * 9 / 10;

	a->armed = false;
	source_hold(a->source);
	for (unsigned i = 0; i < a->n_gaps;)
		if (a->gaps[i].since <= before)
			gap_end(a, i);
		else
			i++;
	while (a->n_open && a->open[0]->since <= before)
		tell_open(a, 0);
	if (a->missed) {
		e.missed = a->missed;
		e.time = clock_wall();
		a->missed = 0;
		source_tell(a->source, &e);
	}
	if (source_release(a->source))
		arm(a);
}

/* Whether no other line of its event follows: userland's and the daemon's own */
static bool is_alone(uint32_t type)
{
	return (type >= AUDIT_FIRST_USER_MSG && type <= AUDIT_DAEMON_CONFIG) || (type >= AUDIT_FIRST_USER_MSG2 && type <= AUDIT_LAST_USER_MSG2);
}

static unsigned find_open(const struct audit_reader *a, uint64_t serial)
{
	unsigned i = 0;

	while (i < a->n_open && a->open[i]->serial != serial)
		i++;
	return i;
}

static void line_heard(struct audit_reader *a, uint32_t type, const char *text, size_t length)
{
	uint64_t serial;
	int64_t time;
	size_t body;
	unsigned i;

	if (!audit_head(text, length, &time, &serial, &body))
		return;
	i = find_open(a, serial);
	if (i == a->n_open) {
		struct audit_parts *p;

		number_heard(a, serial);
		if (type == AUDIT_EOE)
			return;
		if (a->n_open == OPEN_MAX)
			tell_open(a, 0);
		p = malloc(sizeof(*p));
		if (!p) {
			a->missed++;
			return;
		}
		memset(p, 0, offsetof(struct audit_parts, lines));
		p->serial = serial;
		p->time = time;
		p->since = clock_mono();
		i = a->n_open;
		a->open[a->n_open++] = p;
	}
	if (type != AUDIT_EOE)
		audit_add(a->open[i], type, text + body, length - body);
	if (type == AUDIT_EOE || is_alone(type))
		tell_open(a, i);
}

static void on_message(const void *message, size_t length, void *user)
{
	struct audit_reader *a = user;
	struct nlmsghdr header;

	memcpy(&header, message, sizeof(header));
	source_hold(a->source);
	line_heard(a, header.nlmsg_type, (const char *)message + NLMSG_HDRLEN, length - NLMSG_HDRLEN);
	if (source_release(a->source))
		arm(a);
}

static void on_lost(void *user)
{
	struct audit_reader *a = user;

	source_lost(a->source);
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

/* The log goes to the first network namespace alone; in another one the group can be joined, and nothing comes. */
static bool is_first_namespace(void)
{
	struct stat own, first;

	return stat("/proc/self/ns/net", &own) < 0 || stat("/proc/1/ns/net", &first) < 0 || own.st_ino == first.st_ino;
}

static int audit_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct audit_reader *a = calloc(1, sizeof(*a));
	struct netlink_listener listener = { a, on_message, on_lost, true };
	int r = -ENOMEM;

	if (!a)
		return -ENOMEM;
	a->source = s;
	a->loop = env->loop;
	a->netlink = env->netlink;
	a->pool = malloc(sizeof(*a->pool));
	if (!a->pool)
		goto fail;
	r = is_first_namespace() ? loop_timer(env->loop, -1, 0, 0, audit_timer, a, &a->timer) : -EPERM;
	if (r < 0)
		goto fail;
	r = netlink_subscribe(env->netlink, NETLINK_AUDIT, AUDIT_NLGRP_READLOG, &listener, &a->sub);
	if (r < 0)
		goto fail;
	*ret_reader = a;
	return 0;
fail:
	loop_remove(env->loop, a->timer);
	free(a->pool);
	free(a);
	return r == -EPROTONOSUPPORT || r == -EAFNOSUPPORT || r == -EINVAL ? -EOPNOTSUPP : r;
}

static void audit_close(void *reader)
{
	struct audit_reader *a = reader;

	netlink_unsubscribe(a->netlink, a->sub);
	loop_remove(a->loop, a->timer);
	for (unsigned i = 0; i < a->n_open; i++)
		free(a->open[i]);
	free(a->pool);
	free(a);
}

const struct source_kind source_audit = {
	.id = KITH_SOURCE_AUDIT,
	.name = "audit",
	.open = audit_open,
	.close = audit_close,
};
