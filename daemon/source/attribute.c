#include "source/attribute.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

int attribute_next(struct attributes *a)
{
	struct nlattr header;
	size_t step;

	if (a->left < sizeof(header))
		return a->left == 0 ? 0 : -EBADMSG;
	memcpy(&header, a->at, sizeof(header));
	if (header.nla_len < sizeof(header) || header.nla_len > a->left)
		return -EBADMSG;
	a->type = header.nla_type & NLA_TYPE_MASK;
	a->value = a->at + sizeof(header);
	a->length = header.nla_len - sizeof(header);
	step = NLA_ALIGN((size_t)header.nla_len);
	if (step > a->left)
		step = a->left;
	a->at += step;
	a->left -= step;
	return 1;
}

struct attributes attribute_nest(const struct attributes *a)
{
	return (struct attributes){ .at = a->value, .left = a->length };
}

int attribute_copy(const struct attributes *a, void *ret_value, size_t size)
{
	if (a->length < size)
		return -EBADMSG;
	memcpy(ret_value, a->value, size);
	return 0;
}

int attribute_text(const struct attributes *a, char *ret_text, size_t size)
{
	size_t n = strnlen((const char *)a->value, a->length);

	if (n >= size)
		return -EBADMSG;
	memset(ret_text, 0, size);
	memcpy(ret_text, a->value, n);
	return 0;
}

static uint64_t big_endian(const struct attributes *a, size_t size)
{
	uint64_t v = 0;

	for (size_t i = 0; i < size && a->length >= size; i++)
		v = v << 8 | a->value[i];
	return v;
}

uint16_t attribute_be16(const struct attributes *a)
{
	return (uint16_t)big_endian(a, 2);
}

uint32_t attribute_be32(const struct attributes *a)
{
	return (uint32_t)big_endian(a, 4);
}

uint64_t attribute_be64(const struct attributes *a)
{
	return big_endian(a, 8);
}

int message_open(const void *message, size_t length, void *ret_body, size_t body, struct attributes *ret_attributes)
{
	const unsigned char *at = message;
	size_t start = NLMSG_HDRLEN + NLMSG_ALIGN(body);
	struct nlmsghdr header;

	if (length < sizeof(header))
		return -EBADMSG;
	memcpy(&header, at, sizeof(header));
	if (header.nlmsg_len > length || header.nlmsg_len < NLMSG_HDRLEN + body)
		return -EBADMSG;
	memcpy(ret_body, at + NLMSG_HDRLEN, body);
	*ret_attributes = (struct attributes){ 0 };
	if (header.nlmsg_len > start)
		*ret_attributes = (struct attributes){ .at = at + start, .left = header.nlmsg_len - start };
	return 0;
}

int message_type(const void *message, size_t length)
{
	struct nlmsghdr header;

	if (length < sizeof(header))
		return -1;
	memcpy(&header, message, sizeof(header));
	return header.nlmsg_type;
}
