/*
 * kith/sources/tree.h: what changes below a directory, however deep, for watch_source(KITH_SOURCE_TREE), by fanotify(7). It needs CAP_SYS_ADMIN and
 * CAP_DAC_READ_SEARCH in the machine's own user namespace (-EPERM), Linux 5.9; renames are told as such from 5.17 on.
 *
 * The kernel tells of whole file systems: those that the directory and the mount points below it are on. What happens elsewhere on them wakes kithd too,
 * at most 50 times a second; directories in which much happens that nobody asks for are left out by the kernel itself (Linux 6.0), save for renames
 * and removals. What kithd itself does is not told. Network file systems, and those that give no file handles (proc, FUSE, most overlays), are not
 * watched: KITH_TREE_SETTLED says so when it is the directory itself that is on one; mount points below it are left out.
 *
 * What one process did to one name before it was read is one event. After an overflow of the kernel's queue: KITH_TREE_LOST, then resync.
 */
#ifndef KITH_SOURCES_TREE_H
#define KITH_SOURCES_TREE_H

#include <stdint.h>

#define KITH_TREE_CREATED 0x1u /* or linked, or moved in from elsewhere (KITH_TREE_MOVED) */
#define KITH_TREE_CHANGED 0x2u /* closed after it was open for writing */
#define KITH_TREE_REMOVED 0x4u /* or moved away (KITH_TREE_MOVED) */
#define KITH_TREE_RENAMED 0x8u /* within the tree: from `old_path` to `path` */
#define KITH_TREE_ATTR 0x10u   /* mode, owner, times, links, extended attributes */
#define KITH_TREE_LOST 0x20u   /* events were lost */
#define KITH_TREE_SETTLED 0x40u /* once after the start, and when the directory, or what is mounted there or below, is another one: `status` */

/* flags */
#define KITH_TREE_DIRECTORY 0x1u /* it is one */
#define KITH_TREE_MOVED 0x2u
#define KITH_TREE_GATHERED 0x4u  /* `path` is the directory, gone meanwhile, below which `count` entries were */

struct kith_tree_filter {
	uint32_t size;
	uint32_t flags;   /* 0 */
	const char *path; /* absolute, without a slash at its end; need not be there yet. Links in it are followed when it is settled */
};

struct kith_tree_event {
	uint32_t size;
	uint32_t what;        /* one of KITH_TREE_* */
	uint32_t flags;
	int32_t status;       /* of SETTLED: 0 it is watched, -ENOENT it is not there (and waited for), another: it cannot be watched */
	int32_t pid;          /* whose doing it is; 0: of nobody that is seen from here */
	uint32_t count;       /* how many of these, 1 save with GATHERED */
	int64_t time;         /* wall ns, when it was read */
	const char *path;     /* begins with the filter's; any bytes but NUL */
	const char *old_path; /* of RENAMED, else NULL */
	const char *program;  /* the process's name, at most 15 bytes; "" when it has ended */
};

#endif
