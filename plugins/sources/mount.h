/*
 * kith/sources/mount.h: the mount table of the host's first mount namespace, as kithd sees it, for watch_source(KITH_SOURCE_MOUNT), by EPOLLPRI on
 * /proc/self/mountinfo (below another root /proc/1/mountinfo). Format: proc_pid_mountinfo(5).
 *
 * One reading is told as what went, what changed, what came, and SETTLED at its end. It is done at once when the kernel says that the table has changed; while that
 * goes on less and less often, down to once a second: what comes and goes between two readings is not told. dump_source tells the table of the last reading
 * as ADDED, in the table's order, and SETTLED.
 *
 * Not announced by the kernel: that a file system turned read-only by itself after an error, or by a remount in another mount namespace. A dump with
 * KITH_MOUNT_AGAIN finds it.
 */
#ifndef KITH_SOURCES_MOUNT_H
#define KITH_SOURCES_MOUNT_H

#include <stdint.h>

#define KITH_MOUNT_AGAIN 0x1u /* of a dump: the table is read again before it, and what is different is told to all */

/* May be NULL */
struct kith_mount_filter {
	uint32_t size;
	uint32_t flags; /* KITH_MOUNT_AGAIN */
};

#define KITH_MOUNT_ADDED 0x1u
#define KITH_MOUNT_REMOVED 0x2u
#define KITH_MOUNT_CHANGED 0x4u /* its options, or those of its file system, or its parent */
#define KITH_MOUNT_SETTLED 0x8u /* no mount: all of a reading, or of a dump, has been told */

/* Flags */
#define KITH_MOUNT_READ_ONLY 0x1u       /* this mount */
#define KITH_MOUNT_SUPER_READ_ONLY 0x2u /* the file system, and so all its mounts */
#define KITH_MOUNT_UNWATCHED 0x4u       /* of SETTLED: this file does not tell of changes: whoever wants them dumps it with KITH_MOUNT_AGAIN */
#define KITH_MOUNT_CUT 0x8u             /* of SETTLED: the table is longer than what is followed of it */

/* Texts are any bytes but NUL; NULL of SETTLED */
struct kith_mount_event {
	uint32_t size;
	uint32_t what;         /* one of KITH_MOUNT_ADDED … */
	uint32_t flags;
	uint32_t old_flags;    /* of CHANGED */
	uint32_t id, parent;   /* the kernel uses ids again */
	uint32_t major, minor; /* of the device; 0:n for those without */
	const char *root;      /* which part of the file system is mounted; "/" all of it */
	const char *point;     /* where, from the root of the process */
	const char *type;
	const char *source;    /* "/dev/sda1", "host:/export", "none"; "" where there is none */
	const char *options;   /* of the mount: "rw,relatime" */
	const char *super_options; /* of the file system */
	const char *old_options, *old_super_options; /* of CHANGED, else NULL */
	int64_t time;          /* wall ns of the reading */
};

#endif
