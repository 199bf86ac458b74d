/*
 * kith/sources/quota.h: limits of disk quotas that somebody reaches or gets below again, for watch_source(KITH_SOURCE_QUOTA), by generic netlink (family
 * VFS_DQUOT, group events). No filter, no dump. The first network namespace alone has it. Format: the kernel's Documentation/filesystems/quota.rst.
 */
#ifndef KITH_SOURCES_QUOTA_H
#define KITH_SOURCES_QUOTA_H

#include <stdint.h>

enum kith_quota_kind { KITH_QUOTA_USER, KITH_QUOTA_GROUP, KITH_QUOTA_PROJECT, KITH_QUOTA_OTHER };

/* As the kernel numbers them */
enum kith_quota_warning {
	KITH_QUOTA_INODES_HARD = 1,   /* the hard limit: refused */
	KITH_QUOTA_INODES_GRACE = 2,  /* above the soft limit for longer than allowed: refused */
	KITH_QUOTA_INODES_SOFT = 3,   /* above the soft limit */
	KITH_QUOTA_SPACE_HARD = 4,
	KITH_QUOTA_SPACE_GRACE = 5,
	KITH_QUOTA_SPACE_SOFT = 6,
	KITH_QUOTA_INODES_HARD_BELOW = 7, /* below it again */
	KITH_QUOTA_INODES_SOFT_BELOW = 8,
	KITH_QUOTA_SPACE_HARD_BELOW = 9,
	KITH_QUOTA_SPACE_SOFT_BELOW = 10,
};

struct kith_quota_event {
	uint32_t size;
	uint32_t kind;         /* enum kith_quota_kind: whose id it is */
	uint32_t warning;      /* enum kith_quota_warning, or one that this kithd does not know */
	uint32_t major, minor; /* of the file system's device */
	uint32_t reserved;
	uint64_t id;           /* whose limit it is */
	uint64_t caused_by;    /* uid of who did it */
	int64_t time;          /* wall ns */
};

#endif
