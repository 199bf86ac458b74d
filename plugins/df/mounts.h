/* The mount table of /proc/PID/mountinfo, and which of its mounts a path reaches */
#ifndef DF_MOUNTS_H
#define DF_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	const char *root;      /* which part of the file system is mounted; "/" all of it */
	const char *point;     /* where, from the process's root */
	const char *type;
	enum mount_class class;
	bool visible;  /* `point` leads here; false: something else is mounted over it */
	bool may_hang; /* it is MOUNT_REMOTE, or the way to it leads over one that is */
};

/*
 * Takes `text` apart, in place: the mounts' strings point into it. The mounts come in the file's order, those with a
 * cut-off or otherwise bad line left out. -EBADMSG: the text's end is cut off; -ENOMEM. The caller frees
 * *ret_mounts.
 */
int mounts_parse(char *text, size_t length, struct mount **ret_mounts, size_t *ret_n);

/*
 * Sets `visible` and `may_hang` of the mount at `index`, as a walk along its path would find it. A cost of `n` a
 * mount that is crossed on the way.
 */
void mount_resolve(struct mount *mounts, size_t n, size_t index);

enum mount_class mount_class_of(const char *type);

#endif
