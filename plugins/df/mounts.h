/* The mount table as the source `mount` tells it, and which of its mounts a path reaches */
#ifndef DF_MOUNTS_H
#define DF_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sources/mount.h"

/* What the type of a file system says about it */
enum mount_class {
	MOUNT_LOCAL,  /* statfs(2) answers from memory */
	MOUNT_REMOTE, /* it may ask another host or a program, and hang; types that are not known count as such */
	MOUNT_PSEUDO, /* has no space that could run out: proc, cgroup, … */
	MOUNT_TRIGGER, /* autofs: to look at it would mount it */
};

struct mount {
	uint32_t id, parent;
	uint32_t major, minor; /* of the device; 0:n for those without */
	char *point;           /* where, from the process's root */
	char *type;
	enum mount_class class;
	bool visible;  /* `point` leads here; false: something else is mounted over it */
	bool may_hang; /* it is MOUNT_REMOTE, or the way to it leads over one that is */
};

/* In the order of the table */
struct mounts {
	struct mount *all;
	size_t n, size;
};

int mounts_add(struct mounts *mounts, const struct kith_mount_event *e); /* -ENOMEM */
void mounts_free(struct mounts *mounts);

/*
 * Sets `visible` and `may_hang` of the mount at `index`, as a walk along its path would find it. A cost of `n` a
 * mount that is crossed on the way.
 */
void mount_resolve(struct mount *mounts, size_t n, size_t index);

enum mount_class mount_class_of(const char *type);

#endif
