/*
 * kith/sources/cgroup.h: control groups: which there are, and what the kernel announces of them, for watch_source(KITH_SOURCE_CGROUP).
 *
 * By inotify on the directories of the hierarchies and on cgroup.events, memory.events and pids.events; of version 1 by eventfd for memory and by inotify on
 * pids.events. dump_source tells every group, as ADDED with its counts. The root group is not told: that is the host.
 * Format: the kernel's Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, cgroup-v1/pids.rst.
 */
#ifndef KITH_SOURCES_CGROUP_H
#define KITH_SOURCES_CGROUP_H

#include <stdint.h>

/* Hierarchies. A hybrid host has several; a group of the same path is told once for each. */
enum kith_cgroup_tree {
	KITH_CGROUP_V2,
	KITH_CGROUP_V1_MEMORY,
	KITH_CGROUP_V1_PIDS,
	KITH_CGROUP_TREES,
};

enum kith_cgroup_count {
	KITH_CGROUP_POPULATED, /* 0 or 1: a process is in it or below */
	KITH_CGROUP_FROZEN,    /* 0 or 1 */
	/* Counters since the group was made; of version 2 with the groups below it */
	KITH_CGROUP_LOW,       /* reclaimed although below memory.low */
	KITH_CGROUP_HIGH,      /* throttled at memory.high */
	KITH_CGROUP_MAX,       /* held at memory.max */
	KITH_CGROUP_OOM,       /* out of memory */
	KITH_CGROUP_OOM_KILL,  /* processes killed for that */
	KITH_CGROUP_OOM_GROUP, /* groups killed as a whole */
	KITH_CGROUP_PIDS_MAX,  /* forks refused at pids.max */
	KITH_CGROUP_NEAR,      /* version 1: came to 90 % of its memory limit */
	/* Of this group alone, without those below it; not before Linux 5.2 */
	KITH_CGROUP_OWN_HIGH,
	KITH_CGROUP_OWN_MAX,
	KITH_CGROUP_OWN_KILL,
	KITH_CGROUP_COUNTS,
};

#define KITH_CGROUP_ADDED 0x1u   /* it is there */
#define KITH_CGROUP_REMOVED 0x2u
#define KITH_CGROUP_CHANGED 0x4u /* counts: see `changed` */
#define KITH_CGROUP_FILES 0x8u   /* controllers were enabled or disabled: there may be other files now */
#define KITH_CGROUP_FULL 0x10u   /* no group: more are there than can be watched. path says why. Told once until there is room. */

struct kith_cgroup_event {
	uint32_t size;
	uint32_t what;         /* one of KITH_CGROUP_* */
	uint32_t tree;         /* enum kith_cgroup_tree */
	uint32_t known;        /* bits 1 << count: which counts this group has */
	uint32_t changed;      /* of CHANGED: which of them moved */
	uint32_t reserved;
	const char *path;      /* below the hierarchy: "/system.slice/nginx.service"; any bytes but NUL and newline */
	const char *directory; /* below the host's root: "/sys/fs/cgroup/system.slice/nginx.service" */
	int64_t time;          /* wall ns */
	uint64_t counts[KITH_CGROUP_COUNTS];
	uint64_t grown[KITH_CGROUP_COUNTS]; /* of CHANGED: by how much since the last event or dump */
};

#endif
