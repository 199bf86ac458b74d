/*
 * kith/sources/audit.h: the kernel's audit events, for watch_source(KITH_SOURCE_AUDIT): netlink's read-only group, beside auditd or without it. There is no
 * dump: what has happened is not kept. Format: Linux's include/uapi/linux/audit.h, and the audit project's list of fields.
 *
 * The kernel sends an event as one or more lines (records) of one serial number; they are told together, as one event, when its end or the next event comes,
 * or after 200 ms. Numbers that are passed over were lost, or are of events that the kernel dropped: `missed`. An overflow of the socket is told as a loss, too.
 * -EPERM: no CAP_AUDIT_READ, or not in the first user and pid namespace. -EOPNOTSUPP: this kernel has no audit.
 */
#ifndef KITH_SOURCES_AUDIT_H
#define KITH_SOURCES_AUDIT_H

#include <stdint.h>

struct kith_audit_field {
	const char *key;   /* as the kernel writes it; those within msg='…' too */
	const char *value; /* UTF-8; quotes are taken away, hexadecimal is decoded, what is not printable stands as \ooo */
};

struct kith_audit_line {
	uint32_t type;     /* 1100 (USER_AUTH) … */
	uint32_t n_fields;
	const struct kith_audit_field *fields;
	const char *text;  /* the line itself behind "audit(…): "; UTF-8, one line */
};

struct kith_audit_event {
	uint32_t size;
	uint32_t flags;    /* KITH_AUDIT_* */
	uint64_t serial;
	uint64_t missed;   /* serials passed over right before it */
	int64_t time;      /* wall ns, by the kernel */
	uint32_t n_lines;  /* of some events, hundreds: the first 16 are told. 0: no event, only that numbers were missed */
	uint32_t line_size; /* sizeof(struct kith_audit_line) */
	const struct kith_audit_line *lines;
};
#define KITH_AUDIT_CUT 0x1u /* it has more lines, or fields, than are told */

#endif
