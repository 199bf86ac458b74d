#include "source/rtnetlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "source/attribute.h"

static size_t address_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

/* ---- links -------------------------------------------------------------------------------------------------------- */

static int link_kind(const struct attributes *a, struct kith_link_event *e)
{
	struct attributes info = attribute_nest(a);
	int r;

	while ((r = attribute_next(&info)) > 0)
		if (info.type == IFLA_INFO_KIND && attribute_text(&info, e->kind, sizeof(e->kind)) < 0)
			memcpy(e->kind, "virtual", sizeof("virtual")); /* too long a name for us, but a name */
	return r;
}

static int link_attribute(const struct attributes *a, struct kith_link_event *e)
{
	int r = 0;

	switch (a->type) {
	case IFLA_IFNAME:
		e->known |= KITH_LINK_HAS_NAME;
		r = attribute_text(a, e->name, sizeof(e->name));
		return r < 0 || !*e->name ? -EBADMSG : 0;
	case IFLA_OPERSTATE:
		e->known |= KITH_LINK_HAS_OPERSTATE;
		return attribute_copy(a, &e->operstate, sizeof(e->operstate));
	case IFLA_CARRIER:
		e->known |= KITH_LINK_HAS_CARRIER;
		r = attribute_copy(a, &e->carrier, sizeof(e->carrier));
		e->carrier = e->carrier != 0;
		return r;
	case IFLA_MTU:
		e->known |= KITH_LINK_HAS_MTU;
		return attribute_copy(a, &e->mtu, sizeof(e->mtu));
	case IFLA_CARRIER_CHANGES:
		e->known |= KITH_LINK_HAS_CHANGES;
		return attribute_copy(a, &e->carrier_changes, sizeof(e->carrier_changes));
	case IFLA_LINKINFO:
		return link_kind(a, e);
	}
	return 0;
}

int rtnetlink_link(const void *message, size_t length, struct kith_link_event *ret)
{
	struct kith_link_event e = { .size = sizeof(e) };
	int type = message_type(message, length), r;
	struct ifinfomsg body;
	struct attributes a;

	if (type < 0)
		return -EBADMSG;
	if (type != RTM_NEWLINK && type != RTM_DELLINK)
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	/* AF_BRIDGE: a port joined or left a bridge; its RTM_DELLINK removes no link. */
	if (body.ifi_family != AF_UNSPEC)
		return 0;
	if (body.ifi_index <= 0)
		return -EBADMSG;
	e.index = body.ifi_index;
	e.flags = body.ifi_flags;
	e.type = body.ifi_type;
	e.removed = type == RTM_DELLINK;
	while ((r = attribute_next(&a)) > 0) {
		r = link_attribute(&a, &e);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret = e;
	return 1;
}

/* ---- addresses ---------------------------------------------------------------------------------------------------- */

int rtnetlink_address(const void *message, size_t length, struct kith_address_event *ret)
{
	struct kith_address_event e = { .size = sizeof(e) };
	int type = message_type(message, length), r;
	bool local = false, any = false;
	struct ifaddrmsg body;
	struct attributes a;
	size_t size;

	if (type < 0)
		return -EBADMSG;
	if (type != RTM_NEWADDR && type != RTM_DELADDR)
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	size = address_size(body.ifa_family);
	if (!size)
		return 0;
	if (body.ifa_index == 0 || body.ifa_index > INT32_MAX)
		return -EBADMSG;
	e.index = (int32_t)body.ifa_index;
	e.removed = type == RTM_DELADDR;
	e.family = body.ifa_family;
	e.prefix = body.ifa_prefixlen;
	while ((r = attribute_next(&a)) > 0) {
		/* On a point-to-point link IFA_ADDRESS is the other end and IFA_LOCAL our own */
		if (a.type != IFA_LOCAL && a.type != IFA_ADDRESS)
			continue;
		if (attribute_copy(&a, a.type == IFA_LOCAL ? e.bytes : e.peer, size) < 0)
			return -EBADMSG;
		local |= a.type == IFA_LOCAL;
		any = true;
	}
	if (r < 0 || !any)
		return -EBADMSG;
	if (!local)
		memcpy(e.bytes, e.peer, sizeof(e.bytes));
	if (!memcmp(e.bytes, e.peer, sizeof(e.bytes)))
		memset(e.peer, 0, sizeof(e.peer));
	*ret = e;
	return 1;
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static int hop_gateway(const struct attributes *a, uint8_t family, struct kith_route_hop *hop)
{
	struct rtvia via;

	if (a->type == RTA_GATEWAY) {
		hop->family = family;
		return attribute_copy(a, hop->gateway, address_size(family));
	}
	/* A gateway of the other family: an address family, then its address */
	if (attribute_copy(a, &via, sizeof(via)) < 0 || !address_size((uint8_t)via.rtvia_family) ||
	    a->length < sizeof(via) + address_size((uint8_t)via.rtvia_family))
		return -EBADMSG;
	hop->family = (uint8_t)via.rtvia_family;
	memcpy(hop->gateway, a->value + sizeof(via), address_size(hop->family));
	return 0;
}

static int route_multipath(const struct attributes *a, struct kith_route_event *e)
{
	const unsigned char *at = a->value;
	size_t left = a->length;
	struct rtnexthop next;
	int r;

	for (e->n_hops = 0; left; e->n_hops += e->n_hops < KITH_ROUTE_HOPS) {
		struct kith_route_hop hop = { 0 };
		struct attributes inner;
		size_t step;

		if (left < sizeof(next))
			return -EBADMSG;
		memcpy(&next, at, sizeof(next));
		if (next.rtnh_len < sizeof(next) || next.rtnh_len > left)
			return -EBADMSG;
		hop.index = next.rtnh_ifindex;
		hop.flags = next.rtnh_flags;
		inner = (struct attributes){ .at = at + sizeof(next), .left = next.rtnh_len - sizeof(next) };
		while ((r = attribute_next(&inner)) > 0)
			if ((inner.type == RTA_GATEWAY || inner.type == RTA_VIA) && hop_gateway(&inner, e->family, &hop) < 0)
				return -EBADMSG;
		if (r < 0)
			return r;
		if (e->n_hops < KITH_ROUTE_HOPS)
			e->hops[e->n_hops] = hop;
		step = RTNH_ALIGN((size_t)next.rtnh_len);
		step = step > left ? left : step;
		at += step;
		left -= step;
	}
	return 0;
}

static int route_attribute(const struct attributes *a, struct kith_route_event *e, struct kith_route_hop *one)
{
	switch (a->type) {
	case RTA_DST:
		return attribute_copy(a, e->destination, address_size(e->family));
	case RTA_TABLE:
		return attribute_copy(a, &e->table, sizeof(e->table));
	case RTA_PRIORITY:
		return attribute_copy(a, &e->metric, sizeof(e->metric));
	case RTA_OIF:
		return attribute_copy(a, &one->index, sizeof(one->index));
	case RTA_PREFSRC:
		return attribute_copy(a, e->source, address_size(e->family));
	case RTA_NH_ID:
		return attribute_copy(a, &e->nexthop, sizeof(e->nexthop));
	case RTA_GATEWAY:
	case RTA_VIA:
		return hop_gateway(a, e->family, one);
	case RTA_MULTIPATH:
		return route_multipath(a, e);
	}
	return 0;
}

/* Routes of many tables may go this way: which ones, they say themselves. */
static int route_nexthop(const void *message, size_t length, bool removed, struct kith_route_event *ret)
{
	struct kith_route_event e = { .size = sizeof(e), .removed = removed };
	struct attributes a;
	struct nhmsg body;
	int r = message_open(message, length, &body, sizeof(body), &a);

	while (r == 0 && (r = attribute_next(&a)) > 0)
		r = a.type == NHA_ID ? attribute_copy(&a, &e.nexthop, sizeof(e.nexthop)) : 0;
	if (r < 0 || !e.nexthop)
		return -EBADMSG;
	*ret = e;
	return 1;
}

int rtnetlink_route(const void *message, size_t length, struct kith_route_event *ret)
{
	struct kith_route_event e = { .size = sizeof(e) };
	int type = message_type(message, length), r;
	struct kith_route_hop one = { 0 };
	struct attributes a;
	struct rtmsg body;

	if (type < 0)
		return -EBADMSG;
	if (type == RTM_NEWNEXTHOP || type == RTM_DELNEXTHOP)
		return route_nexthop(message, length, type == RTM_DELNEXTHOP, ret);
	if (type != RTM_NEWROUTE && type != RTM_DELROUTE)
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	/* A cached one is no entry of a table. */
	if (!address_size(body.rtm_family) || (body.rtm_flags & RTM_F_CLONED))
		return 0;
	e.removed = type == RTM_DELROUTE;
	e.family = body.rtm_family;
	e.prefix = body.rtm_dst_len;
	e.table = body.rtm_table;
	e.type = body.rtm_type;
	e.protocol = body.rtm_protocol;
	one.flags = (uint8_t)body.rtm_flags;
	while ((r = attribute_next(&a)) > 0) {
		r = route_attribute(&a, &e, &one);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!e.n_hops && (one.index || one.family)) {
		e.hops[0] = one;
		e.n_hops = 1;
	}
	*ret = e;
	return 1;
}

/* ---- rules -------------------------------------------------------------------------------------------------------- */

static int rule_attribute(const struct attributes *a, struct kith_rule_event *e)
{
	switch (a->type) {
	case FRA_PRIORITY:
		return attribute_copy(a, &e->priority, sizeof(e->priority));
	case FRA_TABLE:
		return attribute_copy(a, &e->table, sizeof(e->table));
	case FRA_FWMARK:
		return attribute_copy(a, &e->mark, sizeof(e->mark));
	case FRA_SRC:
		return attribute_copy(a, e->source, address_size(e->family));
	case FRA_DST:
		return attribute_copy(a, e->destination, address_size(e->family));
	case FRA_IIFNAME:
		return attribute_text(a, e->input, sizeof(e->input));
	case FRA_OIFNAME:
		return attribute_text(a, e->output, sizeof(e->output));
	}
	return 0;
}

int rtnetlink_rule(const void *message, size_t length, struct kith_rule_event *ret)
{
	struct kith_rule_event e = { .size = sizeof(e) };
	int type = message_type(message, length), r;
	struct fib_rule_hdr body;
	struct attributes a;

	if (type < 0)
		return -EBADMSG;
	if (type != RTM_NEWRULE && type != RTM_DELRULE)
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	if (!address_size(body.family))
		return 0;
	if (body.src_len > 128 || body.dst_len > 128)
		return -EBADMSG;
	e.removed = type == RTM_DELRULE;
	e.family = body.family;
	e.action = body.action;
	e.table = body.table;
	e.source_prefix = body.src_len;
	e.destination_prefix = body.dst_len;
	e.inverted = (body.flags & FIB_RULE_INVERT) != 0;
	while ((r = attribute_next(&a)) > 0) {
		r = rule_attribute(&a, &e);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret = e;
	return 1;
}

/* ---- neighbours --------------------------------------------------------------------------------------------------- */

int rtnetlink_neighbour(const void *message, size_t length, struct kith_neighbour_event *ret)
{
	struct kith_neighbour_event e = { .size = sizeof(e) };
	int type = message_type(message, length), r;
	struct attributes a;
	struct ndmsg body;
	bool any = false;

	if (type < 0)
		return -EBADMSG;
	if (type != RTM_NEWNEIGH && type != RTM_DELNEIGH)
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	/* A bridge's table speaks in the same words; a proxied address is no neighbour. */
	if (!address_size(body.ndm_family) || (body.ndm_flags & NTF_PROXY))
		return 0;
	if (body.ndm_ifindex <= 0)
		return -EBADMSG;
	e.removed = type == RTM_DELNEIGH;
	e.index = body.ndm_ifindex;
	e.state = body.ndm_state;
	e.family = body.ndm_family;
	e.flags = body.ndm_flags;
	while ((r = attribute_next(&a)) > 0) {
		if (a.type != NDA_DST)
			continue;
		if (attribute_copy(&a, e.address, address_size(e.family)) < 0)
			return -EBADMSG;
		any = true;
	}
	if (r < 0 || !any)
		return -EBADMSG;
	*ret = e;
	return 1;
}
