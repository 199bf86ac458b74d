/* Audit lines, taken apart: for tests and fuzzing apart from the reader */
#ifndef KITH_SOURCE_AUDIT_H
#define KITH_SOURCE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "sources/audit.h"

#define AUDIT_LINES_MAX 16u  /* of an event */
#define AUDIT_FIELDS_MAX 256u
#define AUDIT_TEXT_MAX (16u << 10) /* bytes of all lines of an event */

/* "audit(1364481363.243:24287): ": *ret_body is the offset behind it. False: it begins otherwise. */
bool audit_head(const char *text, size_t length, int64_t *ret_time, uint64_t *ret_serial, size_t *ret_body);

struct audit_raw {
	uint32_t type;
	size_t at, length; /* in `text` */
};

/* An event as its lines come */
struct audit_parts {
	uint64_t serial, missed;
	int64_t time;
	int64_t since; /* mono ns */
	uint32_t n_lines;
	bool cut;
	size_t used;
	struct audit_raw lines[AUDIT_LINES_MAX];
	char text[AUDIT_TEXT_MAX];
};

void audit_add(struct audit_parts *p, uint32_t type, const char *text, size_t length); /* without its head */

/* What audit_event makes of the lines; some 100 KiB */
struct audit_pool {
	struct kith_audit_line lines[AUDIT_LINES_MAX];
	struct kith_audit_field fields[AUDIT_FIELDS_MAX];
	uint32_t n_fields;
	size_t used;
	char text[5 * AUDIT_TEXT_MAX + 64];
	bool cut;
};

/* Valid while the pool is */
void audit_event(const struct audit_parts *p, struct audit_pool *pool, struct kith_audit_event *ret_event);

#endif
