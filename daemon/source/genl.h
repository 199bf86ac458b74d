/* Families of generic netlink: their numbers, which differ from boot to boot, and their attributes */
#ifndef KITH_SOURCE_GENL_H
#define KITH_SOURCE_GENL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/netlink.h"

struct genl_attr {
	uint16_t type;
	size_t length;
	const unsigned char *data; /* not aligned */
};

/* A message of a family, without its headers */
struct genl_message {
	uint16_t family;
	uint8_t command;
	const unsigned char *attrs;
	size_t length;
};

/* What `message` (struct nlmsghdr first) holds. False: it is too short. */
bool genl_parse(const void *message, size_t length, struct genl_message *ret_message);
/* The next attribute; the cursor moves behind it. False: the end, or the rest makes no sense. */
bool genl_next(const unsigned char **at, size_t *left, struct genl_attr *ret_attr);
/* A number of 1, 2, 4 or 8 bytes; false: it has another length */
bool genl_number(const struct genl_attr *a, uint64_t *ret_value);
/* Ended with NUL, cut to the size */
void genl_text(const struct genl_attr *a, char *text, size_t size);

/* -EOPNOTSUPP: this kernel, or this network namespace, has no such family or group */
int genl_group(struct netlink_source *s, const char *family, const char *group, uint16_t *ret_family, uint32_t *ret_group);

#endif
