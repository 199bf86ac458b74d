#include "mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static const struct {
	const char *type;
	enum mount_class class;
} classes[] = {
	{ "apfs", MOUNT_LOCAL }, { "bcachefs", MOUNT_LOCAL }, { "btrfs", MOUNT_LOCAL }, { "cramfs", MOUNT_LOCAL },
	{ "erofs", MOUNT_LOCAL }, { "exfat", MOUNT_LOCAL }, { "ext2", MOUNT_LOCAL }, { "ext3", MOUNT_LOCAL },
	{ "ext4", MOUNT_LOCAL }, { "f2fs", MOUNT_LOCAL }, { "hfs", MOUNT_LOCAL }, { "hfsplus", MOUNT_LOCAL },
	{ "iso9660", MOUNT_LOCAL }, { "jffs2", MOUNT_LOCAL }, { "jfs", MOUNT_LOCAL }, { "minix", MOUNT_LOCAL },
	{ "msdos", MOUNT_LOCAL }, { "nilfs2", MOUNT_LOCAL }, { "ntfs3", MOUNT_LOCAL }, { "overlay", MOUNT_LOCAL },
	{ "reiserfs", MOUNT_LOCAL }, { "romfs", MOUNT_LOCAL }, { "squashfs", MOUNT_LOCAL }, { "tmpfs", MOUNT_LOCAL },
	{ "ubifs", MOUNT_LOCAL }, { "udf", MOUNT_LOCAL }, { "ufs", MOUNT_LOCAL }, { "vfat", MOUNT_LOCAL },
	{ "xfs", MOUNT_LOCAL }, { "zfs", MOUNT_LOCAL }, { "zonefs", MOUNT_LOCAL },

	{ "autofs", MOUNT_TRIGGER },

	{ "binder", MOUNT_PSEUDO }, { "binfmt_misc", MOUNT_PSEUDO }, { "bpf", MOUNT_PSEUDO }, { "cgroup", MOUNT_PSEUDO },
	{ "cgroup2", MOUNT_PSEUDO }, { "configfs", MOUNT_PSEUDO }, { "cpuset", MOUNT_PSEUDO }, { "debugfs", MOUNT_PSEUDO },
	{ "devfs", MOUNT_PSEUDO }, { "devpts", MOUNT_PSEUDO }, { "devtmpfs", MOUNT_PSEUDO }, { "efivarfs", MOUNT_PSEUDO },
	{ "fuse.gvfsd-fuse", MOUNT_PSEUDO }, { "fuse.lxcfs", MOUNT_PSEUDO }, { "fuse.portal", MOUNT_PSEUDO },
	{ "fusectl", MOUNT_PSEUDO }, { "guest_memfd", MOUNT_PSEUDO }, { "hugetlbfs", MOUNT_PSEUDO },
	{ "mqueue", MOUNT_PSEUDO }, { "nfsd", MOUNT_PSEUDO }, { "nsfs", MOUNT_PSEUDO }, { "openpromfs", MOUNT_PSEUDO },
	{ "proc", MOUNT_PSEUDO }, { "pstore", MOUNT_PSEUDO }, { "ramfs", MOUNT_PSEUDO }, { "resctrl", MOUNT_PSEUDO },
	{ "rootfs", MOUNT_PSEUDO }, { "rpc_pipefs", MOUNT_PSEUDO }, { "securityfs", MOUNT_PSEUDO },
	{ "selinuxfs", MOUNT_PSEUDO }, { "smackfs", MOUNT_PSEUDO }, { "sysfs", MOUNT_PSEUDO }, { "tracefs", MOUNT_PSEUDO },
	{ "usbfs", MOUNT_PSEUDO }, { "virtual", MOUNT_PSEUDO }, { "xenfs", MOUNT_PSEUDO },
};

enum mount_class mount_class_of(const char *type)
{
	size_t i;

	for (i = 0; i < KITH_COUNT(classes); i++)
		if (strcmp(classes[i].type, type) == 0)
			return classes[i].class;
	return MOUNT_REMOTE;
}

int mounts_add(struct mounts *mounts, const struct kith_mount_event *e)
{
	size_t point = strlen(e->point) + 1, type = strlen(e->type) + 1;
	struct mount *m;

	if (mounts->n == mounts->size) {
		size_t wanted = mounts->size ? 2 * mounts->size : 64;

		m = realloc(mounts->all, wanted * sizeof(*m));
		if (!m)
			return -ENOMEM;
		mounts->all = m;
		mounts->size = wanted;
	}
	m = &mounts->all[mounts->n];
	*m = (struct mount){ .id = e->id, .parent = e->parent, .major = e->major, .minor = e->minor, .class = mount_class_of(e->type) };
	m->point = malloc(point + type);
	if (!m->point)
		return -ENOMEM;
	m->type = m->point + point;
	memcpy(m->point, e->point, point);
	memcpy(m->type, e->type, type);
	mounts->n++;
	return 0;
}

void mounts_free(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++)
		free(mounts->all[i].point);
	free(mounts->all);
	*mounts = (struct mounts){ 0 };
}

/* Whether `path` is `point` or lies below it */
static bool is_below(const char *path, const char *point)
{
	size_t n = strlen(point);

	if (n == 1) /* "/" */
		return true;
	return strncmp(path, point, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool is_top(const struct mount *mounts, size_t n, const struct mount *m)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (mounts[i].id == m->parent && &mounts[i] != m)
			return false;
	return true;
}

/*
 * Where a walk along `path` that stands on `from` (NULL: on the root, before anything) is caught next: the mount
 * upon it that comes first on the way. NULL: none
 */
static struct mount *next_on_way(struct mount *mounts, size_t n, const struct mount *from, const char *path)
{
	struct mount *next = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		struct mount *m = &mounts[i];

		if (m == from || !is_below(path, m->point))
			continue;
		if (from ? m->parent != from->id || m->id == m->parent : !is_top(mounts, n, m))
			continue;
		if (!next || strlen(m->point) <= strlen(next->point))
			next = m;
	}
	return next;
}

void mount_resolve(struct mount *mounts, size_t n, size_t index)
{
	struct mount *wanted = &mounts[index], *at = NULL, *next;
	bool may_hang = false;
	size_t steps;

	for (steps = 0; steps <= n && (next = next_on_way(mounts, n, at, wanted->point)); steps++) {
		at = next;
		may_hang |= at->class == MOUNT_REMOTE || at->class == MOUNT_TRIGGER;
	}
	wanted->visible = at == wanted;
	wanted->may_hang = may_hang;
}
