/* The group "monitor" of generic netlink's family "ethtool": numbers that the kernel gives when it starts, asked for once. */
#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "source/attribute.h"
#include "source/kinds.h"
#include "source/netlink.h"
#include "source/rtnetlink.h"

struct ethtool_reader {
	struct source *source;
	struct netlink_source *netlink;
	struct netlink_sub *sub;
	uint32_t group; /* 0: there is none */
};

/* ---- messages ----------------------------------------------------------------------------------------------------- */

static int header_index(const struct attributes *a, struct kith_ethtool_event *e)
{
	struct attributes inner = attribute_nest(a);
	uint32_t index;
	int r;

	while ((r = attribute_next(&inner)) > 0) {
		if (inner.type != ETHTOOL_A_HEADER_DEV_INDEX)
			continue;
		if (attribute_copy(&inner, &index, sizeof(index)) < 0 || !index || index > INT32_MAX)
			return -EBADMSG;
		e->index = (int32_t)index;
	}
	return r;
}

static int mode_attribute(const struct attributes *a, struct kith_ethtool_event *e)
{
	switch (a->type) {
	case ETHTOOL_A_LINKMODES_HEADER:
		return header_index(a, e);
	case ETHTOOL_A_LINKMODES_SPEED:
		e->known |= KITH_ETHTOOL_HAS_SPEED;
		return attribute_copy(a, &e->speed, sizeof(e->speed));
	case ETHTOOL_A_LINKMODES_DUPLEX:
		e->known |= KITH_ETHTOOL_HAS_DUPLEX;
		return attribute_copy(a, &e->duplex, sizeof(e->duplex));
	}
	return 0;
}

int ethtool_message(const void *message, size_t length, struct kith_ethtool_event *ret)
{
	struct kith_ethtool_event e = { .size = sizeof(e) };
	struct genlmsghdr body;
	struct attributes a;
	int r = message_open(message, length, &body, sizeof(body), &a);

	if (r < 0)
		return r;
	if (body.cmd != ETHTOOL_MSG_LINKMODES_NTF)
		return 0;
	while ((r = attribute_next(&a)) > 0) {
		r = mode_attribute(&a, &e);
		if (r < 0)
			return r;
	}
	if (r < 0 || !e.index)
		return -EBADMSG;
	*ret = e;
	return 1;
}

static void on_message(const void *message, size_t length, void *user)
{
	struct ethtool_reader *x = user;
	struct kith_ethtool_event event;
	int r = ethtool_message(message, length, &event);

	if (r > 0)
		source_tell(x->source, &event);
	else if (r < 0)
		source_lost(x->source);
}

static void on_lost(void *user)
{
	struct ethtool_reader *x = user;

	source_lost(x->source);
}

/* ---- its numbers -------------------------------------------------------------------------------------------------- */

/* One group: its number when it is the monitor's, else 0, or -EBADMSG */
static int group_number(const struct attributes *a, uint32_t *ret_number)
{
	struct attributes inner = attribute_nest(a);
	char name[GENL_NAMSIZ] = "";
	uint32_t number = 0;
	int r;

	while ((r = attribute_next(&inner)) > 0) {
		if (inner.type == CTRL_ATTR_MCAST_GRP_NAME)
			attribute_text(&inner, name, sizeof(name));
		else if (inner.type == CTRL_ATTR_MCAST_GRP_ID)
			attribute_copy(&inner, &number, sizeof(number));
	}
	if (r == 0 && !strcmp(name, ETHTOOL_MCGRP_MONITOR_NAME))
		*ret_number = number;
	return r;
}

static int on_family(const void *message, size_t length, void *user)
{
	struct ethtool_reader *x = user;
	char name[GENL_NAMSIZ] = "";
	struct genlmsghdr body;
	struct attributes a, list = { 0 };
	uint32_t group = 0;
	int r = message_open(message, length, &body, sizeof(body), &a);

	while (r >= 0 && (r = attribute_next(&a)) > 0) {
		if (a.type == CTRL_ATTR_FAMILY_NAME)
			attribute_text(&a, name, sizeof(name));
		else if (a.type == CTRL_ATTR_MCAST_GROUPS)
			list = attribute_nest(&a);
	}
	while (r >= 0 && (r = attribute_next(&list)) > 0)
		r = group_number(&list, &group);
	if (r == 0 && !strcmp(name, ETHTOOL_GENL_NAME))
		x->group = group;
	return r;
}

/* ---- its life ----------------------------------------------------------------------------------------------------- */

static int ethtool_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct ethtool_reader *x = calloc(1, sizeof(*x));
	struct genlmsghdr request = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	struct netlink_listener listener = { x, on_message, on_lost, false };
	int r;

	if (!x)
		return -ENOMEM;
	x->source = s;
	x->netlink = env->netlink;
	r = netlink_dump(x->netlink, NETLINK_GENERIC, GENL_ID_CTRL, &request, sizeof(request), on_family, x);
	if (r == 0 && !x->group)
		r = -EOPNOTSUPP;
	if (r == 0)
		r = netlink_subscribe(x->netlink, NETLINK_GENERIC, x->group, &listener, &x->sub);
	if (r < 0) {
		free(x);
		return r;
	}
	*ret_reader = x;
	return 0;
}

static void ethtool_close(void *reader)
{
	struct ethtool_reader *x = reader;

	netlink_unsubscribe(x->netlink, x->sub);
	free(x);
}

const struct source_kind source_ethtool = {
	.id = KITH_SOURCE_ETHTOOL,
	.name = "ethtool",
	.open = ethtool_open,
	.close = ethtool_close,
};
