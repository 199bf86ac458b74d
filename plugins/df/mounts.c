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

/* Blank, tab, newline and backslash stand as \ooo in the file. In place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static int scan_u32(const char *s, uint32_t *ret_value, char end)
{
	uint64_t value;

	if (kith_scan_u64(&s, &value) != 0 || *s != end || value > UINT32_MAX)
		return -EBADMSG;
	*ret_value = (uint32_t)value;
	return 0;
}

/* id parent major:minor root point options [optional fields] - type source super-options */
static int parse_line(char *line, struct mount *m)
{
	enum { ID, PARENT, DEVICE, ROOT, POINT, OPTIONS, N_FIXED };
	char *field[N_FIXED], *save = NULL, *word;
	const char *minor;
	int i;

	for (i = 0; i < N_FIXED; i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!field[i])
			return -EBADMSG;
	}
	while ((word = strtok_r(NULL, " ", &save)) && strcmp(word, "-") != 0)
		;
	if (!word || !(word = strtok_r(NULL, " ", &save)))
		return -EBADMSG;
	minor = strchr(field[DEVICE], ':');
	if (!minor || scan_u32(field[ID], &m->id, '\0') || scan_u32(field[PARENT], &m->parent, '\0') ||
	    scan_u32(field[DEVICE], &m->major, ':') || scan_u32(minor + 1, &m->minor, '\0') || *field[POINT] != '/')
		return -EBADMSG;
	unescape(field[ROOT]);
	unescape(field[POINT]);
	unescape(word);
	m->root = field[ROOT];
	m->point = field[POINT];
	m->type = word;
	m->class = mount_class_of(word);
	m->visible = m->may_hang = false;
	return 0;
}

int mounts_parse(char *text, size_t length, struct mount **ret_mounts, size_t *ret_n)
{
	struct mount *mounts;
	size_t n = 0, lines = 0;
	char *p, *end;

	if (length == 0 || text[length - 1] != '\n')
		return -EBADMSG;
	for (p = text; (p = memchr(p, '\n', length - (size_t)(p - text))); p++)
		lines++;
	mounts = calloc(lines, sizeof(*mounts));
	if (!mounts)
		return -ENOMEM;
	for (p = text; (end = memchr(p, '\n', length - (size_t)(p - text))); p = end + 1) {
		*end = '\0';
		if (parse_line(p, &mounts[n]) == 0)
			n++;
	}
	*ret_mounts = mounts;
	*ret_n = n;
	return 0;
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
