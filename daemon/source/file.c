#include "source/file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define READ_SIZE 4096 /* at least one event: 16 + NAME_MAX + 1 */
#define READ_BATCH 16
#define RESOLVE_TRIES 8 /* a path may appear while its ancestors are being watched */

#define MASK_ALWAYS (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define MASK_APPEAR (IN_CREATE | IN_MOVED_TO)
#define WAY_MAX 64 /* directories and symbolic links on the way to a directory */
#define LINKS_MAX 40 /* as the kernel has it */

/* One watched directory, or symbolic link on the way to one. Two paths of one directory share a kernel watch. */
struct watch {
	struct watch *next;
	int wd;
	unsigned users;
};

struct file_sub {
	struct file_sub *next;
	struct file_listener listener;
	char *path;        /* as subscribed */
	char *dir;         /* the directory to be watched; no slash at its end, "" is the root */
	char *name;        /* of the file in it; NULL: all entries */
	uint32_t events;
	struct watch *watch; /* NULL: nothing could be watched, not even the root */
	struct watch **way;  /* of what leads to it */
	size_t n_way;
	struct watch *appear; /* one of them: where what is missing is to appear, if a link leads there */
	size_t covered;    /* how much of `dir` the watch stands for: all of it, or an ancestor while it is missing */
	bool dead;
};

struct file_source {
	struct loop *loop;
	struct file_sub *subs;
	struct watch *watches;
	struct loop_watch *reader;
	int fd; /* -1: no subscriber */
	bool dispatching;
};

/* ---- watches ---------------------------------------------------------------------------------------------------- */

static void watch_unuse(struct file_source *s, struct watch *w)
{
	struct watch **link = &s->watches;

	if (!w || --w->users > 0)
		return;
	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	if (w->wd >= 0)
		inotify_rm_watch(s->fd, w->wd); /* its IN_IGNORED finds nobody */
	free(w);
}

static int watch_use(struct file_source *s, const char *path, uint32_t mask, struct watch **ret_watch)
{
	int wd = inotify_add_watch(s->fd, path, mask | IN_MASK_ADD);
	struct watch *w = s->watches;

	if (wd < 0)
		return -errno;
	while (w && w->wd != wd)
		w = w->next;
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w) {
			inotify_rm_watch(s->fd, wd);
			return -ENOMEM;
		}
		w->wd = wd;
		w->next = s->watches;
		s->watches = w;
	}
	w->users++;
	*ret_watch = w;
	return 0;
}

static uint32_t mask_of(uint32_t events)
{
	uint32_t mask = 0;

	if (events & KITH_FILE_CHANGED)
		mask |= IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO;
	if (events & KITH_FILE_ADDED)
		mask |= IN_CREATE | IN_MOVED_TO;
	if (events & KITH_FILE_REMOVED)
		mask |= IN_DELETE | IN_MOVED_FROM;
	if (events & KITH_FILE_ATTR)
		mask |= IN_ATTRIB;
	return mask;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool sub_attached(const struct file_sub *sub)
{
	return sub->watch && sub->covered == strlen(sub->dir);
}

/* Watches the first `covered` bytes of the sub's directory */
static int sub_watch(struct file_source *s, struct file_sub *sub, size_t covered)
{
	bool whole = covered == strlen(sub->dir);
	char path[PATH_MAX];
	struct watch *w = NULL;
	int r;

	memcpy(path, sub->dir, covered);
	path[covered] = '\0';
	if (covered == 0)
		memcpy(path, "/", 2);
	r = watch_use(s, path, (whole ? mask_of(sub->events) : MASK_APPEAR) | MASK_ALWAYS, &w);
	if (r < 0)
		return r;
	watch_unuse(s, sub->watch);
	sub->watch = w;
	sub->covered = covered;
	return 0;
}

static void way_forget(struct file_source *s, struct file_sub *sub)
{
	for (size_t i = 0; i < sub->n_way; i++)
		watch_unuse(s, sub->way[i]);
	free(sub->way);
	sub->way = NULL;
	sub->appear = NULL;
	sub->n_way = 0;
}

/* A symbolic link at the end of `path`, of `length` bytes: what it leads to, with `rest` behind it, is to be walked next. -ENOTDIR: it is none */
static int link_enter(char path[PATH_MAX], size_t *length, char rest[PATH_MAX])
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to));
	size_t left = strlen(rest);

	if (n < 0 || (size_t)n + left + 2 > PATH_MAX)
		return -ENOTDIR;
	memmove(rest + n + 1, rest, left + 1);
	memcpy(rest, to, (size_t)n);
	rest[n] = '/';
	while (*to != '/' && *length && path[*length - 1] != '/')
		--*length;
	*length = *to == '/' || !*length ? 0 : *length - 1;
	path[*length] = '\0';
	return 0;
}

/* The first component of `rest` moves to the end of `path`. False: none is left, or it is too long */
static bool component_enter(char path[PATH_MAX], size_t *length, char rest[PATH_MAX])
{
	size_t skip = strspn(rest, "/"), n = strcspn(rest + skip, "/");
	const char *name = rest + skip;

	if (!n || *length + n + 2 > PATH_MAX)
		return false;
	if (n == 2 && !memcmp(name, "..", 2)) {
		while (*length && path[--*length] != '/')
			;
	} else if (n != 1 || *name != '.') {
		path[(*length)++] = '/';
		memcpy(path + *length, name, n);
		*length += n;
	}
	path[*length] = '\0';
	memmove(rest, name + n, strlen(name + n) + 1);
	return true;
}

/*
 * The kernel tells a directory's watch of its own renaming alone. So the directories above it are asked for theirs too, and symbolic links on the way, which are
 * replaced to lead to another one. Where the way ends, as something is missing, is watched for that: a link may lead there. What may not be watched is left out.
 */
static void way_watch(struct file_source *s, struct file_sub *sub)
{
	char path[PATH_MAX] = "", rest[PATH_MAX];
	struct watch *found[WAY_MAX + 1], *appear = NULL;
	size_t length = 0, n = 0;
	int links = 0, r = 0;

	strcpy(rest, sub->dir);
	while (n < WAY_MAX && links <= LINKS_MAX && r != -ENOENT && component_enter(path, &length, rest)) {
		struct watch *w = NULL;

		r = length ? watch_use(s, path, IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW, &w) : 0;
		if (w)
			found[n++] = w;
		links += link_enter(path, &length, rest) == 0;
	}
	if (r == -ENOENT) {
		*strrchr(path, '/') = '\0';
		if (watch_use(s, *path ? path : "/", MASK_APPEAR | MASK_ALWAYS, &appear) == 0)
			found[n++] = appear;
	}
	/* The new ones before the old ones go: what both have stays watched */
	way_forget(s, sub);
	sub->way = n ? malloc(n * sizeof(struct watch *)) : NULL;
	for (size_t i = 0; i < n && !sub->way; i++)
		watch_unuse(s, found[i]);
	if (!sub->way)
		return;
	memcpy(sub->way, found, n * sizeof(struct watch *));
	sub->n_way = n;
	sub->appear = links ? appear : NULL;
}

static bool sub_needs(const struct file_sub *sub, const struct watch *w)
{
	for (size_t i = 0; i < sub->n_way; i++)
		if (sub->way[i] == w)
			return true;
	return sub->watch == w;
}

/* Is there now more of the directory than is covered? */
static bool sub_can_descend(const struct file_sub *sub)
{
	const char *end = strchr(sub->dir + sub->covered + 1, '/');
	size_t length = end ? (size_t)(end - sub->dir) : strlen(sub->dir);
	char path[PATH_MAX];

	memcpy(path, sub->dir, length);
	path[length] = '\0';
	return is_directory(path);
}

/* Watches the directory, or the nearest ancestor that exists. -ENOSPC, -EACCES, …: not even that. */
static int sub_resolve(struct file_source *s, struct file_sub *sub)
{
	int r = -ENOENT;

	for (int tries = 0; tries < RESOLVE_TRIES; tries++) {
		size_t covered = strlen(sub->dir);

		while ((r = sub_watch(s, sub, covered)) < 0 && covered > 0) {
			if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
				return r;
			while (covered > 0 && sub->dir[--covered] != '/')
				;
		}
		if (r == 0)
			way_watch(s, sub);
		if (r < 0 || sub_attached(sub) || !sub_can_descend(sub))
			return r;
	}
	return r;
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

static void sub_tell(struct file_sub *sub, uint32_t what, const char *name)
{
	struct kith_file_event e = { .size = sizeof(e), .what = what, .path = sub->path, .name = sub->name ? "" : name };

	if (!sub->dead && (sub->events & what))
		sub->listener.event(&e, sub->listener.user);
}

/* What was linked in complete, by a hard or symbolic link, is never closed after writing */
static bool entry_is_link(const struct file_sub *sub, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	size_t length = strlen(sub->dir), n = strlen(name);

	if (length + n + 2 > sizeof(path))
		return false;
	memcpy(path, sub->dir, length);
	path[length] = '/';
	memcpy(path + length + 1, name, n + 1);
	return lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink > 1));
}

/* The directory has appeared (again): what is in it already was announced to nobody */
static void sub_tell_present(struct file_sub *sub)
{
	const char *path = *sub->dir ? sub->dir : "/";
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (sub->name) {
		if (lstat(sub->path, &st) == 0) {
			sub_tell(sub, KITH_FILE_ADDED, "");
			sub_tell(sub, KITH_FILE_CHANGED, "");
		}
		return;
	}
	sub_tell(sub, KITH_FILE_ADDED, "");
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		sub_tell(sub, KITH_FILE_ADDED, entry->d_name);
		sub_tell(sub, KITH_FILE_CHANGED, entry->d_name);
	}
	closedir(dir);
}

/* Something above or at the directory has changed */
static void sub_move(struct file_source *s, struct file_sub *sub, bool was_attached)
{
	int r = sub_resolve(s, sub);

	if (r < 0)
		log_warning("%s cannot be watched: %s", sub->path, strerror(-r));
	if (was_attached)
		sub_tell(sub, KITH_FILE_REMOVED, "");
	if (!sub->dead && sub_attached(sub))
		sub_tell_present(sub);
}

static void sub_event(struct file_source *s, struct file_sub *sub, const struct watch *w, const struct inotify_event *e)
{
	const char *name = e->len ? e->name : "", *next;
	size_t length;

	if (!sub_attached(sub)) {
		next = sub->dir + sub->covered + 1;
		length = strcspn(next, "/");
		if ((e->mask & MASK_APPEAR) && (w == sub->appear || (strlen(name) == length && !memcmp(name, next, length))))
			sub_move(s, sub, false);
		return;
	}
	if (!*name && !sub->name && (e->mask & IN_ATTRIB))
		sub_tell(sub, KITH_FILE_ATTR, "");
	if (!*name || (sub->name && strcmp(sub->name, name)))
		return;
	if (e->mask & (IN_CREATE | IN_MOVED_TO))
		sub_tell(sub, KITH_FILE_ADDED, name);
	if ((e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) ||
	    ((e->mask & IN_CREATE) && (sub->events & KITH_FILE_CHANGED) && entry_is_link(sub, name)))
		sub_tell(sub, KITH_FILE_CHANGED, name);
	if (e->mask & (IN_DELETE | IN_MOVED_FROM))
		sub_tell(sub, KITH_FILE_REMOVED, name);
	if (e->mask & IN_ATTRIB)
		sub_tell(sub, KITH_FILE_ATTR, name);
}

/* The watched directory itself is gone: deleted, renamed away, its file system unmounted; or something on the way to it */
static void watch_gone(struct file_source *s, struct watch *w, uint32_t mask)
{
	/*
	 * After IN_IGNORED the kernel has no such watch; a rename keeps it, on a directory that is no longer the one asked
	 * for
	 */
	if (mask & (IN_IGNORED | IN_DELETE_SELF | IN_UNMOUNT))
		w->wd = -1;
	w->users++;
	for (struct file_sub *sub = s->subs; sub; sub = sub->next) {
		bool attached = sub_attached(sub);

		if (sub->dead || !sub_needs(sub, w))
			continue;
		if (sub->watch == w) {
			sub->watch = NULL;
			w->users--;
		}
		sub_move(s, sub, attached);
	}
	watch_unuse(s, w);
}

static void source_overflow(struct file_source *s)
{
	log_notice("file events were lost: looking again");
	for (struct file_sub *sub = s->subs; sub; sub = sub->next) {
		int r = sub->dead ? 0 : sub_resolve(s, sub);

		if (r < 0)
			log_warning("%s cannot be watched: %s", sub->path, strerror(-r));
		if (!sub->dead && sub->listener.lost)
			sub->listener.lost(sub->listener.user);
	}
}

static void source_event(struct file_source *s, const struct inotify_event *e)
{
	struct watch *w = s->watches;

	if (e->mask & IN_Q_OVERFLOW) {
		source_overflow(s);
		return;
	}
	while (w && w->wd != e->wd)
		w = w->next;
	if (!w)
		return;
	if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		watch_gone(s, w, e->mask);
		return;
	}
	w->users++; /* stays while subscribers move away from it */
	for (struct file_sub *sub = s->subs; sub; sub = sub->next)
		if (!sub->dead && (sub->watch == w || sub->appear == w))
			sub_event(s, sub, w, e);
	watch_unuse(s, w);
}

static void sub_free(struct file_source *s, struct file_sub *sub)
{
	watch_unuse(s, sub->watch);
	way_forget(s, sub);
	free(sub->path);
	free(sub->dir);
	free(sub->name);
	free(sub);
}

static void source_sweep(struct file_source *s)
{
	struct file_sub **at = &s->subs, *sub;

	while ((sub = *at)) {
		if (!sub->dead) {
			at = &sub->next;
			continue;
		}
		*at = sub->next;
		sub_free(s, sub);
	}
	if (!s->subs && s->fd >= 0) {
		loop_remove(s->loop, s->reader);
		s->reader = NULL;
		close(s->fd);
		s->fd = -1;
	}
}

static void readable(int fd, unsigned events, void *user)
{
	struct file_source *s = user;
	_Alignas(struct inotify_event) char buffer[READ_SIZE];

	(void)events;
	s->dispatching = true;
	for (int i = 0; i < READ_BATCH; i++) {
		ssize_t n = read(fd, buffer, sizeof(buffer));
		size_t at = 0;

		if (n <= 0)
			break;
		while (at + sizeof(struct inotify_event) <= (size_t)n) {
			const struct inotify_event *e = (const void *)(buffer + at);

			at += sizeof(*e) + e->len;
			source_event(s, e);
		}
	}
	s->dispatching = false;
	source_sweep(s);
}

/* ---- subscribers ------------------------------------------------------------------------------------------------ */

int file_source_new(struct loop *l, struct file_source **ret_source)
{
	struct file_source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = l;
	s->fd = -1;
	*ret_source = s;
	return 0;
}

void file_source_free(struct file_source *s)
{
	if (!s)
		return;
	for (struct file_sub *sub = s->subs; sub; sub = sub->next)
		sub->dead = true;
	source_sweep(s);
	free(s);
}

static int source_open(struct file_source *s)
{
	int r;

	if (s->fd >= 0)
		return 0;
	s->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	r = loop_fd(s->loop, s->fd, LOOP_READ, readable, s, &s->reader);
	if (r < 0) {
		close(s->fd);
		s->fd = -1;
	}
	return r;
}

/* Cuts the path: `dir` without doubled and trailing slashes, `name` after the last one of a file's */
static int sub_paths(struct file_sub *sub, const char *path, bool directory)
{
	char *out, *slash;

	sub->path = strdup(path);
	sub->dir = out = strdup(path);
	if (!sub->path || !out)
		return -ENOMEM;
	for (const char *in = path; *in; in++)
		if (*in != '/' || out == sub->dir || out[-1] != '/')
			*out++ = *in;
	if (out > sub->dir && out[-1] == '/')
		out--;
	*out = '\0';
	if (directory)
		return 0;
	slash = strrchr(sub->dir, '/');
	if (!slash)
		return -EISDIR; /* "/" */
	sub->name = strdup(slash + 1);
	*slash = '\0';
	return sub->name ? 0 : -ENOMEM;
}

int file_subscribe(struct file_source *s, const char *path, bool directory, uint32_t events,
                   const struct file_listener *listener, struct file_sub **ret_sub)
{
	struct file_sub *sub, **end = &s->subs;
	int r;

	if (*path != '/' || strlen(path) >= PATH_MAX || !mask_of(events))
		return -EINVAL;
	r = source_open(s);
	if (r < 0)
		return r;
	sub = calloc(1, sizeof(*sub));
	if (!sub) {
		r = -ENOMEM;
		goto fail;
	}
	sub->listener = *listener;
	sub->events = events;
	r = sub_paths(sub, path, directory);
	if (r == 0)
		r = sub_resolve(s, sub);
	if (r < 0) {
		sub_free(s, sub);
		goto fail;
	}
	while (*end)
		end = &(*end)->next;
	*end = sub;
	*ret_sub = sub;
	return 0;

fail:
	if (!s->dispatching)
		source_sweep(s);
	return r;
}

void file_unsubscribe(struct file_source *s, struct file_sub *sub)
{
	if (!sub)
		return;
	sub->dead = true;
	if (!s->dispatching)
		source_sweep(s);
}
