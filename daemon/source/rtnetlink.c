/* rtnetlink's multicast groups as typed sources, one for each kind of thing. What the kernel can filter it filters. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "source/kinds.h"
#include "source/netlink.h"
#include "source/rtnetlink.h"

#define GROUPS 3
#define NEXTHOPS 2 /* the group of routes that no program filters: it has other messages, and few */

union event {
	struct kith_link_event link;
	struct kith_address_event address;
	struct kith_route_event route;
	struct kith_rule_event rule;
	struct kith_neighbour_event neighbour;
};

enum rt_what { RT_LINK, RT_ADDRESS, RT_ROUTE, RT_RULE, RT_NEIGHBOUR };

/* Of one subscriber */
struct rt_filter {
	struct rt_filter *next, **link;
	bool given;
	union {
		struct kith_route_filter route;
		struct kith_neighbour_filter neighbour;
	} is;
};

/* The sockets are opened with the first subscriber: a dump takes none. */
struct rt_reader {
	struct source *source;
	struct netlink_source *netlink;
	enum rt_what what;
	struct netlink_sub *subs[GROUPS];
	struct rt_filter *filters; /* of routes and neighbours */
};

static const uint32_t groups[][GROUPS] = {
	[RT_LINK] = { RTNLGRP_LINK, 0 },
	[RT_ADDRESS] = { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR },
	[RT_ROUTE] = { RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, [NEXTHOPS] = RTNLGRP_NEXTHOP },
	[RT_RULE] = { RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE },
	[RT_NEIGHBOUR] = { RTNLGRP_NEIGH, 0 },
};

static bool is_filtered(enum rt_what what)
{
	return what == RT_ROUTE || what == RT_NEIGHBOUR;
}

static int take_apart(enum rt_what what, const void *message, size_t length, union event *ret)
{
	switch (what) {
	case RT_LINK:
		return rtnetlink_link(message, length, &ret->link);
	case RT_ADDRESS:
		return rtnetlink_address(message, length, &ret->address);
	case RT_ROUTE:
		return rtnetlink_route(message, length, &ret->route);
	case RT_RULE:
		return rtnetlink_rule(message, length, &ret->rule);
	case RT_NEIGHBOUR:
		return rtnetlink_neighbour(message, length, &ret->neighbour);
	}
	return 0;
}

/* What cannot be read may have been anything: everybody looks for themselves. */
static void on_message(const void *message, size_t length, void *user)
{
	struct rt_reader *x = user;
	union event event;
	int r = take_apart(x->what, message, length, &event);

	if (r > 0)
		source_tell(x->source, &event);
	else if (r < 0)
		source_lost(x->source);
}

static void on_lost(void *user)
{
	struct rt_reader *x = user;

	source_lost(x->source);
}

/* ---- the kernel's filters ----------------------------------------------------------------------------------------- */

static int program_make(const struct rt_reader *x, struct sock_filter *program)
{
	const struct kith_neighbour_filter *neighbours[RTNETLINK_PROGRAM / 11];
	size_t n = 0;

	for (const struct rt_filter *f = x->filters; f; f = f->next) {
		if (!f->given || (x->what == RT_ROUTE && !(f->is.route.flags & KITH_ROUTE_DEFAULT)) ||
		    (x->what == RT_NEIGHBOUR && !f->is.neighbour.index))
			return 0;
		if (n == sizeof(neighbours) / sizeof(neighbours[0]))
			return -ENOSPC;
		neighbours[n++] = &f->is.neighbour;
	}
	return x->what == RT_ROUTE ? rtnetlink_route_program(program, RTNETLINK_PROGRAM)
	                           : rtnetlink_neighbour_program(neighbours, n, program, RTNETLINK_PROGRAM);
}

static int filters_apply(struct rt_reader *x)
{
	struct sock_filter *program = malloc(RTNETLINK_PROGRAM * sizeof(*program));
	int n = program ? program_make(x, program) : -ENOMEM, r = n < 0 ? n : 0;

	for (int i = 0; i < GROUPS && r == 0; i++)
		if (x->subs[i] && i != NEXTHOPS)
			r = netlink_filter(x->subs[i], program, (size_t)n);
	free(program);
	return r;
}

static bool route_accepts(const void *own, const void *event)
{
	const struct kith_route_event *e = event;
	const struct rt_filter *f = own;

	return !f->given || !(f->is.route.flags & KITH_ROUTE_DEFAULT) || !e->family || (e->prefix == 0 && e->table == RT_TABLE_MAIN);
}

static bool neighbour_accepts(const void *own, const void *event)
{
	const struct kith_neighbour_event *e = event;
	const struct rt_filter *f = own;
	const struct kith_neighbour_filter *n = &f->is.neighbour;

	if (!f->given || !n->index)
		return true;
	return e->index == n->index && e->family == n->family && !memcmp(e->address, n->address, sizeof(n->address)) &&
	       (e->removed || !n->states || (e->state & n->states));
}

/* ---- their life --------------------------------------------------------------------------------------------------- */

static int rt_open(struct source *s, const struct source_env *env, enum rt_what what, void **ret_reader)
{
	struct rt_reader *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	*x = (struct rt_reader){ .source = s, .netlink = env->netlink, .what = what };
	*ret_reader = x;
	return 0;
}

static void rt_close(void *reader)
{
	struct rt_reader *x = reader;

	for (int i = 0; i < GROUPS; i++)
		netlink_unsubscribe(x->netlink, x->subs[i]);
	free(x);
}

static int sockets_open(struct rt_reader *x)
{
	struct netlink_listener listener = { x, on_message, on_lost, false };
	int r = 0;

	for (int i = 0; i < GROUPS && r == 0; i++) {
		if (groups[x->what][i] && !x->subs[i])
			r = is_filtered(x->what) ? netlink_subscribe_own(x->netlink, NETLINK_ROUTE, groups[x->what][i], &listener, &x->subs[i])
			                         : netlink_subscribe(x->netlink, NETLINK_ROUTE, groups[x->what][i], &listener, &x->subs[i]);
		/* A kernel before 5.3 has no such objects */
		if (r == -EINVAL && i == NEXTHOPS)
			r = 0;
	}
	return r;
}

static void rt_remove(void *reader, void *own)
{
	struct rt_reader *x = reader;
	struct rt_filter *f = own;

	if (!f)
		return;
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	free(f);
	/* The last one takes the sockets along */
	if (x->filters)
		filters_apply(x);
}

static int rt_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	struct rt_reader *x = reader;
	struct rt_filter *f;
	int r = sockets_open(x);

	(void)sub;
	if (r < 0 || !is_filtered(x->what))
		return r;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->given = filter;
	if (filter)
		memcpy(&f->is, filter, x->what == RT_ROUTE ? sizeof(f->is.route) : sizeof(f->is.neighbour));
	f->next = x->filters;
	f->link = &x->filters;
	if (f->next)
		f->next->link = &f->next;
	x->filters = f;
	r = filters_apply(x);
	if (r < 0) {
		rt_remove(x, f);
		return r;
	}
	*ret_own = f;
	return 0;
}

/* ---- dumps -------------------------------------------------------------------------------------------------------- */

struct rt_dump {
	enum rt_what what;
	bool defaults;
	struct rt_filter filter;
	int (*fn)(const void *event, void *user);
	void *user;
};

#define ENOUGH (-ECANCELED)

static int on_dumped(const void *message, size_t length, void *user)
{
	const struct rt_dump *d = user;
	union event event;
	int r = take_apart(d->what, message, length, &event);

	if (r <= 0)
		return r;
	if (d->what == RT_ROUTE && !route_accepts(&d->filter, &event)) {
		static const uint8_t zero[16];

		/*
		 * IPv4's tables are listed by their destinations, lowest first: behind the defaults comes whatever else a router may have, a million
		 * of them perhaps.
		 */
		return event.route.family == AF_INET && event.route.table == RT_TABLE_MAIN && memcmp(event.route.destination, zero, 4) ? ENOUGH : 0;
	}
	if (d->what == RT_NEIGHBOUR && !neighbour_accepts(&d->filter, &event))
		return 0;
	return d->fn(&event, d->user);
}

static int dump_links(struct netlink_source *s, struct rt_dump *d)
{
	/* Statistics make up most of a link's message and are read elsewhere */
	struct {
		struct ifinfomsg info;
		struct rtattr attribute;
		uint32_t mask;
	} request = { .attribute = { sizeof(request.attribute) + sizeof(request.mask), IFLA_EXT_MASK }, .mask = RTEXT_FILTER_SKIP_STATS };

	return netlink_dump(s, NETLINK_ROUTE, RTM_GETLINK, &request, sizeof(request), on_dumped, d);
}

static int dump_routes(struct netlink_source *s, struct rt_dump *d, uint8_t family)
{
	struct {
		struct rtmsg body;
		struct rtattr attribute;
		uint32_t table;
	} request = { .body = { .rtm_family = family, .rtm_table = RT_TABLE_MAIN },
		      .attribute = { sizeof(request.attribute) + sizeof(request.table), RTA_TABLE }, .table = RT_TABLE_MAIN };
	struct rtmsg any = { .rtm_family = family };
	int r;

	if (!d->defaults)
		return netlink_dump(s, NETLINK_ROUTE, RTM_GETROUTE, &any, sizeof(any), on_dumped, d);
	r = netlink_dump_strict(s, NETLINK_ROUTE, RTM_GETROUTE, &request, sizeof(request), on_dumped, d);
	/* IPv6 makes the table when it is used first. */
	return r == ENOUGH || r == -ENOENT ? 0 : r;
}

static int rt_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	struct rt_reader *x = reader;
	struct rt_dump d = { .what = x->what, .filter = { .given = filter }, .fn = fn, .user = user };
	struct ifaddrmsg address = { .ifa_family = AF_UNSPEC };
	struct fib_rule_hdr rule = { .family = AF_INET };
	struct ndmsg neighbour = { .ndm_family = AF_UNSPEC };
	int r = 0;

	if (filter && is_filtered(x->what))
		memcpy(&d.filter.is, filter, x->what == RT_ROUTE ? sizeof(d.filter.is.route) : sizeof(d.filter.is.neighbour));
	d.defaults = filter && x->what == RT_ROUTE && (d.filter.is.route.flags & KITH_ROUTE_DEFAULT);
	switch (x->what) {
	case RT_LINK:
		return dump_links(x->netlink, &d);
	case RT_ADDRESS:
		return netlink_dump(x->netlink, NETLINK_ROUTE, RTM_GETADDR, &address, sizeof(address), on_dumped, &d);
	case RT_ROUTE:
		r = dump_routes(x->netlink, &d, AF_INET);
		return r < 0 ? r : dump_routes(x->netlink, &d, AF_INET6);
	case RT_RULE:
		r = netlink_dump(x->netlink, NETLINK_ROUTE, RTM_GETRULE, &rule, sizeof(rule), on_dumped, &d);
		rule.family = AF_INET6;
		return r < 0 ? r : netlink_dump(x->netlink, NETLINK_ROUTE, RTM_GETRULE, &rule, sizeof(rule), on_dumped, &d);
	case RT_NEIGHBOUR:
		return netlink_dump(x->netlink, NETLINK_ROUTE, RTM_GETNEIGH, &neighbour, sizeof(neighbour), on_dumped, &d);
	}
	return r;
}

/* ---- the kinds ---------------------------------------------------------------------------------------------------- */

static int link_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	return rt_open(s, env, RT_LINK, ret_reader);
}

static int address_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	return rt_open(s, env, RT_ADDRESS, ret_reader);
}

static int route_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	return rt_open(s, env, RT_ROUTE, ret_reader);
}

static int rule_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	return rt_open(s, env, RT_RULE, ret_reader);
}

static int neighbour_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	return rt_open(s, env, RT_NEIGHBOUR, ret_reader);
}

#define KIND(number, word) .id = (number), .name = (word), .close = rt_close, .add = rt_add, .remove = rt_remove, .dump = rt_dump

const struct source_kind source_link = { KIND(KITH_SOURCE_LINK, "link"), .open = link_open };
const struct source_kind source_address = { KIND(KITH_SOURCE_ADDRESS, "address"), .open = address_open };
const struct source_kind source_rule = { KIND(KITH_SOURCE_RULE, "rule"), .open = rule_open };
const struct source_kind source_route = {
	KIND(KITH_SOURCE_ROUTE, "route"), .open = route_open, .filter_size = sizeof(struct kith_route_filter), .accepts = route_accepts,
};
const struct source_kind source_neighbour = {
	KIND(KITH_SOURCE_NEIGHBOUR, "neighbour"), .open = neighbour_open, .filter_size = sizeof(struct kith_neighbour_filter),
	.accepts = neighbour_accepts,
};
