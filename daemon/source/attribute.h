/* Netlink attributes, taken apart without trust in their lengths; a payload is aligned to 4 at best, so values are copied out. No I/O. */
#ifndef KITH_SOURCE_ATTRIBUTE_H
#define KITH_SOURCE_ATTRIBUTE_H

#include <stddef.h>
#include <stdint.h>

struct attributes {
	const unsigned char *at;
	size_t left;
	/* of the current one */
	uint16_t type;
	const unsigned char *value;
	size_t length;
};

/* 1 with type, value and length set, 0 at the end, -EBADMSG */
int attribute_next(struct attributes *a);
/* Those within the current one */
struct attributes attribute_nest(const struct attributes *a);
/* The current one's value as a whole; 0, or -EBADMSG when it is shorter than `size` */
int attribute_copy(const struct attributes *a, void *ret_value, size_t size);
/* A text with or without its NUL, at most `size` - 1 bytes; -EBADMSG when it is longer. The rest of ret_text is zeros. */
int attribute_text(const struct attributes *a, char *ret_text, size_t size);
uint16_t attribute_be16(const struct attributes *a); /* 0 when it is too short; so below */
uint32_t attribute_be32(const struct attributes *a);
uint64_t attribute_be64(const struct attributes *a);

/* Header and fixed part of one message; the cursor stands before the first attribute. 0 or -EBADMSG. */
int message_open(const void *message, size_t length, void *ret_body, size_t body, struct attributes *ret_attributes);
/* The type of a message; -1: too short for one */
int message_type(const void *message, size_t length);

#endif
