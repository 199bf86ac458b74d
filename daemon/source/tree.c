/* Changes below directories, by fanotify's marks on whole file systems. Who is told of what; the rest of it is in tree_dir.c and tree_place.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "source/kinds.h"
#include "source/tree_impl.h"

#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif
#ifndef FAN_REPORT_TARGET_FID
#define FAN_REPORT_TARGET_FID 0x00001000
#endif

#define READS 8                 /* of sizeof(frames) a batch: a storm must not starve the other watches */
#define PACE (20 * NS_PER_MS)   /* between two batches; the kernel puts what is the same together meanwhile */

static const uint32_t kinds[TREE_KINDS] = { KITH_TREE_CREATED, KITH_TREE_CHANGED, KITH_TREE_ATTR, KITH_TREE_REMOVED };
static const uint64_t bits[TREE_KINDS] = { FAN_CREATE | FAN_MOVED_TO, FAN_CLOSE_WRITE, FAN_ATTRIB, FAN_DELETE | FAN_MOVED_FROM };

/* ---- telling ------------------------------------------------------------------------------------------------------- */

static const char *program_of(struct tree_reader *t, int32_t pid)
{
	char path[PATH_MAX], *name;
	ssize_t n = -1;
	int fd;

	for (unsigned i = 0; i < t->n_programs && i < PROGRAMS; i++)
		if (t->programs[i].pid == pid)
			return t->programs[i].name;
	if (pid <= 0)
		return "";
	name = t->programs[t->n_programs % PROGRAMS].name;
	t->programs[t->n_programs++ % PROGRAMS].pid = pid;
	snprintf(path, sizeof(path), "%s/proc/%d/comm", source_env(t->source)->root, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, name, sizeof(t->programs[0].name) - 1);
		close(fd);
	}
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return name;
}

/* As the subscriber has it: with the path that it gave. `full` is the tree or below it. */
static const char *as_named(const struct tree_sub *s, const char *full, char *text, size_t size)
{
	const char *rest = full + (strcmp(s->real, "/") ? strlen(s->real) : 0);

	if (!strcmp(rest, "/"))
		rest = "";
	snprintf(text, size, "%s%s", *rest && !strcmp(s->path, "/") ? "" : s->path, rest);
	return text;
}

static void tell(struct tree_reader *t, const char *full, struct kith_tree_event e)
{
	e.size = sizeof(e);
	e.time = clock_wall();
	for (struct tree_sub *s = t->subs; s; s = s->next) {
		if (s->dead || !s->real || !tree_within(full, s->real))
			continue;
		e.path = as_named(s, full, t->told, sizeof(t->told));
		e.program = program_of(t, e.pid);
		source_tell_one(s->sub, &e);
	}
}

/* To all of them */
static void tell_lost(struct tree_reader *t)
{
	struct kith_tree_event e = { .size = sizeof(e), .what = KITH_TREE_LOST, .count = 1, .time = clock_wall(), .program = "" };

	for (struct tree_sub *s = t->subs; s; s = s->next) {
		e.path = s->path;
		if (!s->dead)
			source_tell_one(s->sub, &e);
	}
	source_lost(t->source);
}

static void tell_settled(struct tree_reader *t)
{
	struct kith_tree_event e = { .size = sizeof(e), .what = KITH_TREE_SETTLED, .count = 1, .time = clock_wall(), .program = "" };

	for (struct tree_sub *s = t->subs; s; s = s->next) {
		if (s->dead || !s->news)
			continue;
		s->news = false;
		e.path = s->path;
		e.status = s->status;
		source_tell_one(s->sub, &e);
	}
}

/* ---- one event ----------------------------------------------------------------------------------------------------- */

/* dir/name */
static void join(char *to, size_t size, const char *dir, const char *name)
{
	if (!strcmp(name, "."))
		snprintf(to, size, "%s", dir);
	else
		snprintf(to, size, "%s/%s", strcmp(dir, "/") ? dir : "", name);
}

static void orphan_add(struct tree_reader *t, struct tree_orphan *o, const struct tree_frame *f, unsigned directory)
{
	struct tree_orphan *gone;

	o->pid = f->pid;
	for (unsigned k = 0; k < TREE_KINDS; k++)
		o->counts[k][directory] += (f->mask & bits[k]) != 0;
	gone = (f->mask & FAN_DELETE) && directory && f->target.bytes ? tree_orphan_find(t, &f->target) : NULL;
	if (!gone || gone == o)
		return;
	for (unsigned k = 0; k < TREE_KINDS; k++)
		for (unsigned d = 0; d < 2; d++)
			o->counts[k][d] += gone->counts[k][d];
	gone->key.bytes = 0;
}

/* The directory at t->path was removed: what was counted in it is known to have been there. */
static void orphan_found(struct tree_reader *t, struct tree_orphan *o)
{
	o->key.bytes = 0;
	for (unsigned k = 0; k < TREE_KINDS; k++)
		for (unsigned d = 0; d < 2; d++)
			if (o->counts[k][d])
				tell(t, t->path, (struct kith_tree_event){ .what = kinds[k], .pid = o->pid, .count = o->counts[k][d],
				                                           .flags = KITH_TREE_GATHERED | (d ? KITH_TREE_DIRECTORY : 0) });
}

/* A directory that leads to a tree has come or gone. */
static bool is_way(const struct tree_reader *t, const char *path)
{
	for (const struct tree_sub *s = t->subs; s; s = s->next)
		if (!s->dead && s->real && tree_within(s->real, path))
			return true;
	return false;
}

static void on_entry(struct tree_reader *t, const struct tree_frame *f)
{
	unsigned directory = (f->mask & FAN_ONDIR) != 0;
	struct tree_orphan *gone;
	const char *dir;

	switch (tree_dir_find(t, &f->at.dir, &dir)) {
	case TREE_OUTSIDE:
		gone = directory && (f->mask & FAN_DELETE) && f->target.bytes ? tree_orphan_find(t, &f->target) : NULL;
		if (gone)
			gone->key.bytes = 0;
		return;
	case TREE_GONE:
		orphan_add(t, tree_orphan_get(t, &f->at.dir), f, directory);
		return;
	case TREE_ABOVE:
	case TREE_IN:
		break;
	}
	join(t->path, sizeof(t->path), dir, f->at.name);
	gone = directory && (f->mask & FAN_DELETE) && f->target.bytes ? tree_orphan_find(t, &f->target) : NULL;
	if (gone)
		orphan_found(t, gone);
	for (unsigned k = 0; k < TREE_KINDS; k++)
		if (f->mask & bits[k])
			tell(t, t->path, (struct kith_tree_event){ .what = kinds[k], .pid = f->pid, .count = 1,
			                                           .flags = (directory ? KITH_TREE_DIRECTORY : 0) |
			                                                    (f->mask & FAN_MOVE ? KITH_TREE_MOVED : 0) });
	/* A file or a symbolic link may be in the way too. */
	if ((f->mask & (FAN_CREATE | FAN_DELETE | FAN_MOVE)) && is_way(t, t->path))
		t->settle_due = true;
	if (directory && (f->mask & FAN_MOVE)) {
		tree_dirs_forget(t);
		tree_unignore(t);
	}
}

/* Where an entry is; false: nowhere that matters */
static bool entry_path(struct tree_reader *t, const struct tree_entry *entry, char *to, size_t size)
{
	const char *dir;
	enum tree_where where = tree_dir_find(t, &entry->dir, &dir);

	if (where != TREE_IN && where != TREE_ABOVE)
		return false;
	join(to, size, dir, entry->name);
	return true;
}

static void on_rename(struct tree_reader *t, const struct tree_frame *f)
{
	bool from = entry_path(t, &f->from, t->old, sizeof(t->old)), to = entry_path(t, &f->at, t->path, sizeof(t->path));
	uint32_t flags = f->mask & FAN_ONDIR ? KITH_TREE_DIRECTORY : 0;
	struct kith_tree_event e = { .size = sizeof(e), .pid = f->pid, .count = 1, .time = clock_wall() };
	bool moved_in = false;

	for (struct tree_sub *s = t->subs; s; s = s->next) {
		bool was = from && s->real && tree_within(t->old, s->real), is = to && s->real && tree_within(t->path, s->real);

		if (s->dead || (!was && !is))
			continue;
		moved_in |= !was;
		e.what = was && is ? KITH_TREE_RENAMED : is ? KITH_TREE_CREATED : KITH_TREE_REMOVED;
		e.flags = flags | (was && is ? 0 : KITH_TREE_MOVED);
		e.old_path = was && is ? as_named(s, t->old, t->told_old, sizeof(t->told_old)) : NULL;
		e.path = as_named(s, is ? t->path : t->old, t->told, sizeof(t->told));
		e.program = program_of(t, e.pid);
		source_tell_one(s->sub, &e);
	}
	if ((from && is_way(t, t->old)) || (to && is_way(t, t->path)))
		t->settle_due = true;
	if (!flags)
		return;
	tree_dirs_forget(t);
	if (moved_in || t->settle_due)
		tree_unignore(t);
}

static void on_frame(struct tree_reader *t, const struct tree_frame *f)
{
	if (f->mask & FAN_Q_OVERFLOW) {
		memset(t->orphans, 0, sizeof(t->orphans));
		tree_dirs_forget(t);
		t->lost = t->settle_due = true;
		return;
	}
	/* Without a name: the count of its links changed, which its directory's events tell. */
	if (f->pid == t->self || !f->at.name)
		return;
	if ((f->mask & FAN_RENAME) && f->from.name)
		on_rename(t, f);
	else
		on_entry(t, f);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* True: there was something */
static bool batch(struct tree_reader *t, bool *ret_more)
{
	bool more = true, any = false;

	for (unsigned i = 0; i < READS && more; i++) {
		ssize_t n = read(t->fd, t->frames, sizeof(t->frames));
		size_t at = 0, length = 1;
		struct tree_frame f;

		more = n > 0 || (n < 0 && errno == EINTR);
		any |= n > 0;
		while (n > 0 && at < (size_t)n && (length = tree_parse(t->frames + at, (size_t)n - at, &f))) {
			on_frame(t, &f);
			at += length;
		}
		t->lost |= !length;
	}
	*ret_more = more;
	return any;
}

static void sweep(struct tree_reader *t)
{
	struct tree_sub **at = &t->subs, *s;

	while ((s = *at)) {
		if (!s->dead) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		t->settle_due = true; /* its marks */
		free(s->real);
		free(s);
	}
}

/* The first event after a rest is read at once, then PACE passes between batches. */
static void tree_read(struct tree_reader *t)
{
	bool more, any, was_soon = clock_mono() - t->last < PACE;

	source_hold(t->source);
	any = batch(t, &more);
	if (t->settle_due && !more)
		tree_settle(t);
	tell_settled(t);
	if (t->lost && !more) {
		t->lost = false;
		tell_lost(t);
	}
	sweep(t);
	if (t->settle_due && t->subs && !more)
		tree_settle(t);
	tree_places_release(t);
	t->n_programs = 0;
	t->last = clock_mono();
	if (more || (any && (was_soon || t->paused))) {
		loop_fd_set(t->loop, t->watch, 0);
		t->paused = true;
		loop_timer_set(t->loop, t->timer, more ? 0 : PACE);
	} else if (t->paused) {
		t->paused = false;
		loop_fd_set(t->loop, t->watch, LOOP_READ);
	}
	source_release(t->source);
}

static void tree_cb(int fd, unsigned events, void *user)
{
	(void)fd;
	(void)events;
	tree_read(user);
}

static void timer_cb(void *user)
{
	tree_read(user);
}

static void mounts_cb(int fd, unsigned events, void *user)
{
	struct tree_reader *t = user;

	(void)fd;
	(void)events;
	t->settle_due = true;
	/* A storm of mounts is looked at once in PACE. */
	loop_timer_set(t->loop, t->timer, clock_mono() - t->last < PACE ? PACE : 0);
}

/* ---- its life ------------------------------------------------------------------------------------------------------ */

static void tree_close(void *reader)
{
	struct tree_reader *t = reader;

	for (struct tree_sub *s = t->subs; s; s = s->next)
		s->dead = true;
	sweep(t);
	tree_places_release(t);
	for (unsigned i = 0; i < t->n_places; i++)
		free(t->places[i].dir);
	tree_dirs_forget(t);
	loop_remove(t->loop, t->watch);
	loop_remove(t->loop, t->timer);
	loop_remove(t->loop, t->mounts);
	if (t->fd >= 0)
		close(t->fd);
	if (t->mountinfo >= 0)
		close(t->mountinfo);
	free(t);
}

static int tree_init_fd(void)
{
	unsigned flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_DFID_NAME;
	int fd = fanotify_init(flags | FAN_REPORT_FID | FAN_REPORT_TARGET_FID, O_RDONLY);

	/* Before Linux 5.17. Without the directory that was removed, what was in it is not counted when it was removed with all in it at once. */
	if (fd < 0 && errno == EINVAL)
		fd = fanotify_init(flags, O_RDONLY);
	return fd >= 0 ? fd : errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

static int tree_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct tree_reader *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	*t = (struct tree_reader){ .source = s, .loop = env->loop, .mountinfo = -1, .self = getpid() };
	t->mask = FAN_CLOSE_WRITE | FAN_CREATE | FAN_DELETE | FAN_ATTRIB | FAN_RENAME | FAN_ONDIR;
	r = t->fd = tree_init_fd();
	if (r >= 0)
		r = loop_fd(env->loop, t->fd, LOOP_READ, tree_cb, t, &t->watch);
	if (r >= 0)
		r = loop_timer(env->loop, 0, 0, 0, timer_cb, t, &t->timer);
	if (r >= 0) {
		t->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
		r = t->mountinfo < 0 ? -errno : loop_pri(env->loop, t->mountinfo, mounts_cb, t, &t->mounts);
	}
	if (r < 0) {
		tree_close(t);
		return r;
	}
	*ret_reader = t;
	return 0;
}

/* ---- who hears what ------------------------------------------------------------------------------------------------ */

static int tree_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	const struct kith_tree_filter *f = filter;
	struct tree_reader *t = reader;
	struct tree_sub *s;
	size_t n;

	if (!f->path || *f->path != '/' || (n = strlen(f->path)) >= PATH_MAX || (n > 1 && f->path[n - 1] == '/'))
		return -EINVAL;
	s = calloc(1, sizeof(*s) + n + 1);
	if (!s)
		return -ENOMEM;
	s->sub = sub;
	s->news = true;
	memcpy(s->path, f->path, n + 1);
	s->next = t->subs;
	t->subs = s;
	/* It is heard of from now on; how it is, is told once this call is over. */
	tree_settle(t);
	if (s->status == -EPERM) {
		t->subs = s->next;
		free(s->real);
		free(s);
		return -EPERM;
	}
	loop_timer_set(t->loop, t->timer, 0);
	*ret_own = s;
	return 0;
}

/* Its marks go with the next batch, it itself after this one. */
static void tree_remove(void *reader, void *own)
{
	struct tree_reader *t = reader;
	struct tree_sub *s = own;

	if (!s)
		return;
	s->dead = true;
	loop_timer_set(t->loop, t->timer, 0);
}

const struct source_kind source_tree = {
	.id = KITH_SOURCE_TREE,
	.name = "tree",
	.filter_size = sizeof(struct kith_tree_filter),
	.filter_needed = true,
	.open = tree_open,
	.close = tree_close,
	.add = tree_add,
	.remove = tree_remove,
};
