/* Which file systems are marked: that of each tree, or of the nearest directory above it while it is not there, and those that are mounted below it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "source/tree_impl.h"

#define MOUNTINFO_MAX (4 << 20)

/* Looking at these can hang, and what others do there is not announced. */
static const char *const remote[] = { "nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "9p", "autofs", NULL };
/* These hold no files, and nothing is announced. */
static const char *const unreal[] = { "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "debugfs", "tracefs", "securityfs", "pstore", "bpf",
	                              "configfs", "fusectl", "binfmt_misc", "nsfs", "rpc_pipefs", "efivarfs", "selinuxfs", NULL };

static bool is_one_of(const char *type, const char *const *list)
{
	if (list == remote && !strncmp(type, "fuse", 4) && strcmp(type, "fuseblk") && strcmp(type, "fusectl"))
		return true;
	while (*list && strcmp(*list, type))
		list++;
	return *list != NULL;
}

/* ---- /proc/self/mountinfo ------------------------------------------------------------------------------------------ */

/* \040 and the like, in place */
static void unescape(char *text)
{
	char *to = text;

	for (const char *s = text; *s;) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /mount\040point options … - type source options": cuts the line at *at; false: that was the last one */
static bool mount_next(char **at, char **ret_point, char **ret_type)
{
	while (**at) {
		char *line = *at, *end = strchr(line, '\n'), *type, *point = line;

		*at = end ? end + 1 : line + strlen(line);
		if (end)
			*end = '\0';
		type = strstr(line, " - ");
		for (int i = 0; i < 4 && point; i++) {
			point = strchr(point, ' ');
			point = point ? point + 1 : NULL;
		}
		if (!point || !type || point > type)
			continue;
		type += 3;
		point[strcspn(point, " ")] = '\0';
		type[strcspn(type, " ")] = '\0';
		unescape(point);
		*ret_point = point;
		*ret_type = type;
		return true;
	}
	return false;
}

/* Where that is mounted which `path`, as it is written, is on: PATH_MAX bytes, `path` itself when it cannot be told. True: it is one of the network's. */
static bool mount_of(const char *mounts, const char *path, char *ret_point)
{
	char *copy = strdup(mounts), *at = copy, *point, *type;
	size_t best = 0;
	bool r = false;

	snprintf(ret_point, PATH_MAX, "%s", path);
	while (copy && mount_next(&at, &point, &type))
		if (tree_within(path, point) && strlen(point) >= best && strlen(point) < PATH_MAX) {
			best = strlen(point);
			memcpy(ret_point, point, best + 1);
			r = is_one_of(type, remote);
		}
	free(copy);
	return r;
}

/* ---- marks --------------------------------------------------------------------------------------------------------- */

static int fsid_of(const char *dir, uint64_t *ret_fsid)
{
	struct statfs s;

	if (statfs(dir, &s) < 0)
		return -errno;
	memcpy(ret_fsid, &s.f_fsid, sizeof(*ret_fsid));
	return 0;
}

/* What comes later by handles is tried here, so that a lack of rights or means is known from the start. */
static int try_handle(const char *dir)
{
	struct { struct file_handle h; unsigned char bytes[TREE_HANDLE_MAX]; } handle = { .h = { .handle_bytes = TREE_HANDLE_MAX } };
	int mount_id, fd, place, r = 0;

	if (name_to_handle_at(AT_FDCWD, dir, &handle.h, &mount_id, 0) < 0)
		return -errno;
	place = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place < 0)
		return -errno;
	fd = open_by_handle_at(place, &handle.h, O_PATH | O_CLOEXEC);
	if (fd < 0)
		r = -errno;
	else
		close(fd);
	close(place);
	return r;
}

static int place_mark(struct tree_reader *t, const char *dir)
{
	int r = fanotify_mark(t->fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, t->mask, AT_FDCWD, dir);

	/* Before Linux 5.17 */
	if (r < 0 && errno == EINVAL && !(t->mask & FAN_MOVE)) {
		t->mask = FAN_CLOSE_WRITE | FAN_CREATE | FAN_DELETE | FAN_ATTRIB | FAN_MOVE | FAN_ONDIR;
		r = fanotify_mark(t->fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, t->mask, AT_FDCWD, dir);
	}
	return r < 0 ? -errno : 0;
}

/* One more of `next`, the places to come */
static int place_add(struct tree_reader *t, struct tree_place *next, unsigned *n, const char *dir)
{
	uint64_t fsid = 0;
	int r = fsid_of(dir, &fsid);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < *n; i++)
		if (next[i].fsid == fsid)
			return 0;
	if (*n == PLACES_MAX)
		return -ENOSPC;
	if ((r = place_mark(t, dir)) < 0 || (r = try_handle(dir)) < 0)
		return r;
	next[*n] = (struct tree_place){ fsid, strdup(dir), -1 };
	if (!next[*n].dir)
		return -ENOMEM;
	(*n)++;
	return 0;
}

/* Those that nothing wants any more. One that is unmounted took its mark with it. */
static void places_replace(struct tree_reader *t, const struct tree_place *next, unsigned n)
{
	tree_places_release(t);
	for (unsigned i = 0; i < t->n_places; i++) {
		struct tree_place *p = &t->places[i];
		bool wanted = false;
		uint64_t fsid = 0;

		for (unsigned k = 0; k < n; k++)
			wanted |= next[k].fsid == p->fsid;
		if (!wanted && fsid_of(p->dir, &fsid) == 0 && fsid == p->fsid)
			fanotify_mark(t->fd, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, t->mask, AT_FDCWD, p->dir);
		free(p->dir);
	}
	memcpy(t->places, next, n * sizeof(*next));
	t->n_places = n;
}

void tree_places_drop(struct tree_reader *t)
{
	places_replace(t, NULL, 0);
}

int tree_place_fd(struct tree_reader *t, uint64_t fsid)
{
	struct tree_place *p = t->places, *end = p + t->n_places;
	struct statfs s;

	while (p < end && p->fsid != fsid)
		p++;
	if (p == end)
		return -1;
	if (p->fd >= 0)
		return p->fd;
	p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	/* Another one may be mounted there since. */
	if (p->fd >= 0 && (fstatfs(p->fd, &s) < 0 || memcmp(&s.f_fsid, &fsid, sizeof(fsid)))) {
		close(p->fd);
		p->fd = -1;
	}
	return p->fd;
}

void tree_places_release(struct tree_reader *t)
{
	for (unsigned i = 0; i < t->n_places; i++) {
		if (t->places[i].fd >= 0)
			close(t->places[i].fd);
		t->places[i].fd = -1;
	}
}

/* ---- trees --------------------------------------------------------------------------------------------------------- */

/* The nearest directory that is there and where that is mounted (`real`, `point`: PATH_MAX), and what is missing below it: "" or "/more" */
static int nearest(const char *path, const char *mounts, char *real, char *point, const char **ret_rest)
{
	char text[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(text))
		return -ENAMETOOLONG;
	memcpy(text, path, n + 1);
	for (;;) {
		if (mount_of(mounts, n ? text : "/", point))
			return -EREMOTE;
		if (realpath(n ? text : "/", real)) {
			*ret_rest = path + n;
			return mount_of(mounts, real, point) ? -EREMOTE : 0;
		}
		if ((errno != ENOENT && errno != ENOTDIR) || !n)
			return -errno;
		while (n > 0 && text[--n] != '/')
			;
		text[n] = '\0';
	}
}

static void places_below(struct tree_reader *t, struct tree_place *next, unsigned *n, const char *real, const char *mounts)
{
	char *copy = strdup(mounts), *at = copy, *point, *type;

	while (copy && mount_next(&at, &point, &type)) {
		int r;

		if (!strcmp(point, real) || !tree_within(point, real) || is_one_of(type, remote) || is_one_of(type, unreal))
			continue;
		r = place_add(t, next, n, point);
		if (r < 0 && r != -ENOENT)
			log_notice("%s, mounted below a watched tree, is not watched: %s", point, strerror(-r));
	}
	free(copy);
}

static void sub_settle(struct tree_reader *t, struct tree_sub *s, struct tree_place *next, unsigned *n, const char *mounts)
{
	const char *root = source_env(t->source)->root, *rest = "";
	struct buf path = BUF_INIT;
	char real[PATH_MAX], point[PATH_MAX];
	struct stat st;
	int r;

	buf_printf(&path, "%s%s", root, strcmp(s->path, "/") || !*root ? s->path : "");
	r = path.failed ? -ENOMEM : nearest(buf_text(&path), mounts, real, point, &rest);
	free(s->real);
	s->real = NULL;
	if (r == 0) {
		size_t length = strlen(real), more = strlen(rest);

		/* The root's own slash, and that of the rest */
		if (length == 1 && more)
			length = 0;
		s->real = malloc(length + more + 1);
		if (s->real) {
			memcpy(s->real, real, length);
			memcpy(s->real + length, rest, more + 1);
		}
		/* By its mount point: that stays, whatever becomes of the directory. */
		r = s->real ? place_add(t, next, n, point) : -ENOMEM;
	}
	st.st_dev = 0;
	st.st_ino = 0;
	if (r == 0 && *rest)
		r = -ENOENT;
	else if (r == 0 && (stat(real, &st) < 0 || !S_ISDIR(st.st_mode)))
		r = -ENOTDIR;
	if (r == 0)
		places_below(t, next, n, s->real, mounts);
	buf_free(&path);
	s->news = s->news || s->status != r || s->dev != st.st_dev || s->ino != st.st_ino;
	s->status = r;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
}

void tree_settle(struct tree_reader *t)
{
	struct tree_place next[PLACES_MAX];
	char *mounts = NULL;
	size_t length;
	unsigned n = 0;

	t->settle_due = false;
	if (file_read_all("/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, &length) < 0)
		mounts = NULL;
	for (struct tree_sub *s = t->subs; s; s = s->next)
		if (!s->dead)
			sub_settle(t, s, next, &n, mounts ? mounts : "");
	free(mounts);
	places_replace(t, next, n);
	tree_dirs_forget(t);
	tree_unignore(t);
}
