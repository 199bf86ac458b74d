#include "source/genl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>

bool genl_parse(const void *message, size_t length, struct genl_message *ret_message)
{
	struct nlmsghdr header;
	struct genlmsghdr genl;

	if (length < NLMSG_HDRLEN + GENL_HDRLEN)
		return false;
	memcpy(&header, message, sizeof(header));
	memcpy(&genl, (const unsigned char *)message + NLMSG_HDRLEN, sizeof(genl));
	*ret_message = (struct genl_message){ header.nlmsg_type, genl.cmd, (const unsigned char *)message + NLMSG_HDRLEN + GENL_HDRLEN,
		                              length - NLMSG_HDRLEN - GENL_HDRLEN };
	return true;
}

bool genl_next(const unsigned char **at, size_t *left, struct genl_attr *ret_attr)
{
	struct nlattr a;
	size_t step;

	if (*left < sizeof(a))
		return false;
	memcpy(&a, *at, sizeof(a));
	if (a.nla_len < sizeof(a) || a.nla_len > *left)
		return false;
	*ret_attr = (struct genl_attr){ a.nla_type & NLA_TYPE_MASK, a.nla_len - sizeof(a), *at + sizeof(a) };
	step = NLA_ALIGN((size_t)a.nla_len);
	if (step > *left)
		step = *left;
	*at += step;
	*left -= step;
	return true;
}

bool genl_number(const struct genl_attr *a, uint64_t *ret_value)
{
	uint8_t one;
	uint16_t two;
	uint32_t four;

	switch (a->length) {
	case 1:
		memcpy(&one, a->data, sizeof(one));
		*ret_value = one;
		return true;
	case 2:
		memcpy(&two, a->data, sizeof(two));
		*ret_value = two;
		return true;
	case 4:
		memcpy(&four, a->data, sizeof(four));
		*ret_value = four;
		return true;
	case 8:
		memcpy(ret_value, a->data, sizeof(*ret_value));
		return true;
	}
	return false;
}

void genl_text(const struct genl_attr *a, char *text, size_t size)
{
	size_t n = a->length < size ? a->length : size - 1;

	memcpy(text, a->data, n);
	text[n] = '\0';
}

struct wanted {
	const char *family, *group;
	uint16_t id;
	uint32_t number;
};

static void find_group(const struct genl_attr *groups, struct wanted *w)
{
	const unsigned char *at = groups->data;
	size_t left = groups->length;
	struct genl_attr one, a;

	while (genl_next(&at, &left, &one)) {
		const unsigned char *in = one.data;
		size_t rest = one.length;
		char name[GENL_NAMSIZ] = "";
		uint64_t number = 0;

		while (genl_next(&in, &rest, &a)) {
			if (a.type == CTRL_ATTR_MCAST_GRP_NAME)
				genl_text(&a, name, sizeof(name));
			else if (a.type == CTRL_ATTR_MCAST_GRP_ID)
				(void)genl_number(&a, &number);
		}
		if (!strcmp(name, w->group))
			w->number = (uint32_t)number;
	}
}

static int on_family(const void *message, size_t length, void *user)
{
	struct wanted *w = user;
	struct genl_attr a, groups = { 0 };
	struct genl_message m;
	char name[GENL_NAMSIZ] = "";
	uint64_t id = 0;

	if (!genl_parse(message, length, &m))
		return 0;
	while (genl_next(&m.attrs, &m.length, &a)) {
		if (a.type == CTRL_ATTR_FAMILY_NAME)
			genl_text(&a, name, sizeof(name));
		else if (a.type == CTRL_ATTR_FAMILY_ID)
			(void)genl_number(&a, &id);
		else if (a.type == CTRL_ATTR_MCAST_GROUPS)
			groups = a;
	}
	if (strcmp(name, w->family) != 0)
		return 0;
	w->id = (uint16_t)id;
	find_group(&groups, w);
	return 0;
}

int genl_group(struct netlink_source *s, const char *family, const char *group, uint16_t *ret_family, uint32_t *ret_group)
{
	const struct genlmsghdr all = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	struct wanted w = { .family = family, .group = group };
	int r = netlink_dump(s, NETLINK_GENERIC, GENL_ID_CTRL, &all, sizeof(all), on_family, &w);

	if (r < 0)
		return r == -EPROTONOSUPPORT ? -EOPNOTSUPP : r;
	if (!w.id || !w.number)
		return -EOPNOTSUPP;
	*ret_family = w.id;
	*ret_group = w.number;
	return 0;
}
