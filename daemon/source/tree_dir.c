/* Directories by their handles, remembered until one of them is moved: resolving one takes five system calls. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/tree_impl.h"

#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200
#endif
#ifndef FAN_MARK_IGNORE
#define FAN_MARK_IGNORE 0x00000400
#endif

#define IGNORE_AFTER 16   /* events of no interest in a directory, then the kernel leaves it out */
#define IGNORE_MAX 4096   /* directories that are left out; then all are heard of again */
#define PATH_KEPT_MAX 512 /* a longer one is not remembered, so that memory is bounded */

static uint64_t key_hash(const struct tree_key *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ key->fsid;

	for (uint32_t i = 0; i < key->bytes; i++)
		h = (h ^ key->handle[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

enum tree_where tree_where_is(const struct tree_reader *t, const char *path)
{
	enum tree_where where = TREE_OUTSIDE;

	for (const struct tree_sub *s = t->subs; s; s = s->next) {
		if (s->dead || !s->real)
			continue;
		if (tree_within(path, s->real))
			return TREE_IN;
		if (tree_within(s->real, path))
			where = TREE_ABOVE;
	}
	return where;
}

/* A descriptor of the directory, O_PATH, or -errno */
static int key_open(struct tree_reader *t, const struct tree_key *key)
{
	struct { struct file_handle h; unsigned char bytes[TREE_HANDLE_MAX]; } handle;
	int place = tree_place_fd(t, key->fsid), fd;

	if (place < 0)
		return -EXDEV;
	handle.h.handle_bytes = key->bytes;
	handle.h.handle_type = key->type;
	memcpy(handle.h.f_handle, key->handle, key->bytes);
	fd = open_by_handle_at(place, &handle.h, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A removed directory that is still in use has " (deleted)" behind its path. */
static enum tree_where fd_path(const struct tree_reader *t, int fd, char path[PATH_MAX])
{
	char link[40];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n <= 0 || *path != '/')
		return TREE_OUTSIDE; /* below no mount of this namespace */
	path[n] = '\0';
	if (n > 10 && !strcmp(path + n - 10, " (deleted)") && fstat(fd, &st) == 0 && st.st_nlink == 0)
		path[n - 10] = '\0';
	return tree_where_is(t, path);
}

/* In a directory above a tree, directories have to be heard of. Moves are heard of everywhere: what is moved may come into a tree. */
static void ignore(struct tree_reader *t, const struct tree_key *key)
{
	uint64_t mask = FAN_CLOSE_WRITE | FAN_CREATE | FAN_DELETE | FAN_ATTRIB | FAN_EVENT_ON_CHILD;
	char path[PATH_MAX], link[40];
	enum tree_where where;
	int fd;

	if (t->no_ignore)
		return;
	if (t->ignored >= IGNORE_MAX)
		tree_unignore(t);
	fd = key_open(t, key);
	if (fd < 0)
		return;
	where = fd_path(t, fd, path);
	if (where == TREE_OUTSIDE)
		mask |= FAN_ONDIR;
	if (where == TREE_OUTSIDE || where == TREE_ABOVE) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (fanotify_mark(t->fd, FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_EVICTABLE, mask, AT_FDCWD, link) == 0)
			t->ignored++;
		else
			t->no_ignore = errno == EINVAL;
	}
	close(fd);
}

void tree_unignore(struct tree_reader *t)
{
	if (t->ignored)
		fanotify_mark(t->fd, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
	t->ignored = 0;
	for (unsigned i = 0; i < DIRS; i++)
		t->dirs[i].events = 0;
}

static void dir_forget(struct tree_dir *d)
{
	free(d->path);
	*d = (struct tree_dir){ 0 };
}

void tree_dirs_forget(struct tree_reader *t)
{
	for (unsigned i = 0; i < DIRS; i++)
		dir_forget(&t->dirs[i]);
}

/* `path` has the place of t->told, which the caller uses later */
static enum tree_where resolve(struct tree_reader *t, const struct tree_key *key, char path[PATH_MAX])
{
	enum tree_where where;
	int fd = key_open(t, key);

	/* Where it was cannot be told for want of descriptors or memory. */
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		t->lost = true;
	if (fd < 0)
		return fd == -ESTALE || fd == -ENOENT || t->lost ? TREE_GONE : TREE_OUTSIDE;
	where = fd_path(t, fd, path);
	close(fd);
	return where;
}

enum tree_where tree_dir_find(struct tree_reader *t, const struct tree_key *key, const char **ret_path)
{
	struct tree_dir *d = &t->dirs[key_hash(key) % DIRS];
	enum tree_where where;
	size_t length;

	if (!d->key.bytes || !tree_key_same(&d->key, key)) {
		where = resolve(t, key, t->told);
		if (where == TREE_GONE)
			return where;
		*ret_path = t->told;
		length = where == TREE_OUTSIDE ? 0 : strlen(t->told);
		if (length > PATH_KEPT_MAX)
			return where;
		dir_forget(d);
		d->path = where == TREE_OUTSIDE ? NULL : strdup(t->told);
		if (where != TREE_OUTSIDE && !d->path)
			return where;
		d->key = *key;
		d->where = where;
	}
	if (d->where != TREE_IN && ++d->events == IGNORE_AFTER)
		ignore(t, key);
	*ret_path = d->path;
	return d->where;
}

struct tree_orphan *tree_orphan_find(struct tree_reader *t, const struct tree_key *key)
{
	for (unsigned i = 0; i < ORPHANS; i++)
		if (t->orphans[i].key.bytes && tree_key_same(&t->orphans[i].key, key))
			return &t->orphans[i];
	return NULL;
}

struct tree_orphan *tree_orphan_get(struct tree_reader *t, const struct tree_key *key)
{
	struct tree_orphan *o = tree_orphan_find(t, key);

	if (o)
		return o;
	o = &t->orphans[t->next_orphan++ % ORPHANS];
	*o = (struct tree_orphan){ .key = *key };
	return o;
}
