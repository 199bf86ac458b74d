#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "interface/interface.h"

/* Attributes are copied out: a netlink payload is aligned to 4 at best. */
struct attributes {
	const unsigned char *at;
	size_t left;
	uint16_t type;
	const unsigned char *value;
	size_t length;
};

/* 1 with type, value and length set, 0 at the end, -EBADMSG */
static int attribute_next(struct attributes *a)
{
	struct rtattr header;
	size_t step;

	if (a->left < sizeof(header))
		return a->left == 0 ? 0 : -EBADMSG;
	memcpy(&header, a->at, sizeof(header));
	if (header.rta_len < sizeof(header) || header.rta_len > a->left)
		return -EBADMSG;
	a->type = header.rta_type & NLA_TYPE_MASK;
	a->value = a->at + sizeof(header);
	a->length = header.rta_len - sizeof(header);
	step = RTA_ALIGN((size_t)header.rta_len);
	if (step > a->left)
		step = a->left;
	a->at += step;
	a->left -= step;
	return 1;
}

/* Header and fixed part; the cursor stands at the first attribute. 0 or -EBADMSG. */
static int message_open(const void *message, size_t length, struct nlmsghdr *ret_header, void *ret_body, size_t body,
                        struct attributes *ret_attributes)
{
	const unsigned char *at = message;
	size_t start = NLMSG_HDRLEN + NLMSG_ALIGN(body);

	memcpy(ret_header, at, sizeof(*ret_header));
	if (ret_header->nlmsg_len > length || ret_header->nlmsg_len < NLMSG_HDRLEN + body)
		return -EBADMSG;
	memcpy(ret_body, at + NLMSG_HDRLEN, body);
	*ret_attributes = (struct attributes){ 0 };
	if (ret_header->nlmsg_len > start)
		*ret_attributes = (struct attributes){ .at = at + start, .left = ret_header->nlmsg_len - start };
	return 0;
}

/* The type of a message too short for anything else: -1 */
static int message_type(const void *message, size_t length)
{
	struct nlmsghdr header;

	if (length < sizeof(header))
		return -1;
	memcpy(&header, message, sizeof(header));
	return header.nlmsg_type;
}

static int link_attribute(const struct attributes *a, struct link_message *m)
{
	switch (a->type) {
	case IFLA_IFNAME:
		/* With or without its NUL */
		m->has_name = true;
		if (strnlen((const char *)a->value, a->length) == 0 || strnlen((const char *)a->value, a->length) >= IFNAMSIZ)
			return -EBADMSG;
		memset(m->name, 0, sizeof(m->name));
		memcpy(m->name, a->value, strnlen((const char *)a->value, a->length));
		return 0;
	case IFLA_OPERSTATE:
		if (a->length < sizeof(m->operstate))
			return -EBADMSG;
		m->has_operstate = true;
		m->operstate = a->value[0];
		return 0;
	case IFLA_CARRIER:
		if (a->length < 1)
			return -EBADMSG;
		m->has_carrier = true;
		m->carrier = a->value[0] != 0;
		return 0;
	case IFLA_MTU:
		if (a->length < sizeof(m->mtu))
			return -EBADMSG;
		m->has_mtu = true;
		memcpy(&m->mtu, a->value, sizeof(m->mtu));
		return 0;
	}
	return 0;
}

int link_message_parse(const void *message, size_t length, struct link_message *ret)
{
	int type = message_type(message, length), r;
	struct link_message m = { 0 };
	struct ifinfomsg body;
	struct attributes a;
	struct nlmsghdr header;

	if (type < 0)
		return -EBADMSG;
	if (type != RTM_NEWLINK && type != RTM_DELLINK)
		return 0;
	r = message_open(message, length, &header, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	/* AF_BRIDGE: a port joined or left a bridge; its RTM_DELLINK removes no link. */
	if (body.ifi_family != AF_UNSPEC)
		return 0;
	if (body.ifi_index <= 0)
		return -EBADMSG;
	m.index = body.ifi_index;
	m.flags = body.ifi_flags;
	m.removed = type == RTM_DELLINK;
	while ((r = attribute_next(&a)) > 0) {
		r = link_attribute(&a, &m);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret = m;
	return 1;
}

int address_message_parse(const void *message, size_t length, struct address_message *ret)
{
	int type = message_type(message, length), r;
	struct address_message m = { 0 };
	bool local = false, any = false;
	struct ifaddrmsg body;
	struct attributes a;
	struct nlmsghdr header;
	size_t size;

	if (type < 0)
		return -EBADMSG;
	if (type != RTM_NEWADDR && type != RTM_DELADDR)
		return 0;
	r = message_open(message, length, &header, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	if (body.ifa_family != AF_INET && body.ifa_family != AF_INET6)
		return 0;
	if (body.ifa_index == 0 || body.ifa_index > INT32_MAX)
		return -EBADMSG;
	m.index = (int32_t)body.ifa_index;
	m.removed = type == RTM_DELADDR;
	m.family = body.ifa_family;
	m.prefix = body.ifa_prefixlen;
	size = m.family == AF_INET ? 4 : 16;
	while ((r = attribute_next(&a)) > 0) {
		/* On a point-to-point link IFA_ADDRESS is the other end and IFA_LOCAL our own */
		if (a.type != IFA_LOCAL && (a.type != IFA_ADDRESS || local))
			continue;
		if (a.length < size)
			return -EBADMSG;
		memcpy(m.bytes, a.value, size);
		local = a.type == IFA_LOCAL;
		any = true;
	}
	if (r < 0 || !any)
		return -EBADMSG;
	*ret = m;
	return 1;
}
