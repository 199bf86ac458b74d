/*
 * kith/sources/kmsg.h: what the kernel says, for watch_source(KITH_SOURCE_KMSG): records of /dev/kmsg from now on, one event each. dump_source gives what
 * is in the kernel's buffer, from the oldest. Records that the kernel overwrote before they were read are gone for good: the next event says how many, and no resync comes. Format: the kernel's Documentation/ABI/testing/dev-kmsg.
 */
#ifndef KITH_SOURCES_KMSG_H
#define KITH_SOURCES_KMSG_H

#include <stdint.h>

#define KITH_KMSG_USER 0x1u /* of other facilities too: what programs wrote to /dev/kmsg */

/* May be NULL: all of the kernel's own */
struct kith_kmsg_filter {
	uint32_t size;
	uint32_t flags;    /* KITH_KMSG_* */
	uint32_t priority; /* at most this (enum kith_priority): 4 is warnings and what is more urgent */
};

struct kith_kmsg_event {
	uint32_t size;
	uint32_t priority;     /* enum kith_priority */
	uint32_t facility;     /* 0: the kernel; else as syslog's */
	uint32_t flags;        /* 0 */
	uint64_t sequence;
	uint64_t lost;         /* that were overwritten right before this one */
	int64_t time;          /* wall ns */
	const char *text;      /* UTF-8, control characters as blanks, without those at the end */
	const char *subsystem; /* "block", "usb", …; "" where the kernel says none */
	const char *device;    /* "+scsi:0:0:0:0", "b8:0", "n3" as the kernel writes it; "" none */
};

#endif
