/* One path: what it is, what of it changed, and who watches it. */
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/file.h"

#define LINKS_MAX 16 /* symbolic links that lead to each other */
#define FIELDS_MAX 16

/* ---- looking ---------------------------------------------------------------------------------------------------- */

static enum file_type type_of(mode_t mode)
{
	return S_ISREG(mode) ? TYPE_FILE : S_ISDIR(mode) ? TYPE_DIRECTORY : S_ISLNK(mode) ? TYPE_SYMLINK : S_ISSOCK(mode) ? TYPE_SOCKET :
	       S_ISFIFO(mode) ? TYPE_FIFO : S_ISBLK(mode) ? TYPE_BLOCK : TYPE_CHARACTER;
}

static bool is_absence(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

int look_at(const struct files *f, const char *path, bool follow, struct look *ret_look)
{
	struct look l = { 0 };
	char real[PATH_MAX];
	struct stat st;
	int r = files_real(f, path, real);

	if (r < 0)
		return r;
	if (lstat(real, &st) < 0) {
		if (!is_absence(errno))
			return -errno;
		*ret_look = l;
		return 0;
	}
	l.link = S_ISLNK(st.st_mode);
	if (l.link && follow && stat(real, &st) < 0) {
		if (!is_absence(errno))
			return -errno;
		*ret_look = l;
		return 0;
	}
	l.exists = true;
	l.type = type_of(st.st_mode);
	l.mode = st.st_mode & 07777;
	l.uid = st.st_uid;
	l.gid = st.st_gid;
	l.size = st.st_size;
	l.links = st.st_nlink;
	l.mtime = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	l.ctime = st.st_ctim.tv_sec * NS_PER_S + st.st_ctim.tv_nsec;
	l.dev = st.st_dev;
	l.ino = st.st_ino;
	*ret_look = l;
	return 0;
}

bool look_same(const struct look *a, const struct look *b)
{
	return a->size == b->size && a->mtime == b->mtime && a->ctime == b->ctime && a->ino == b->ino && a->dev == b->dev;
}

/* 0644 as 644: what people write */
static unsigned mode_digits(unsigned mode)
{
	return (mode >> 9) * 1000 + (mode >> 6 & 7) * 100 + (mode >> 3 & 7) * 10 + (mode & 7);
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

struct fields {
	struct kith_field all[FIELDS_MAX];
	char values[FIELDS_MAX][48];
	uint32_t n;
};

static void add(struct fields *s, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(struct fields *s, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->values[s->n], sizeof(s->values[0]), format, args);
	va_end(args);
	s->all[s->n] = (struct kith_field){ key, s->values[s->n] };
	s->n++;
}

static const char *word(bool content, bool mode, bool owner)
{
	return content && (mode || owner) ? "its content and its rights changed" : content ? "its content changed" :
	       mode && owner ? "its mode and its owner changed" : mode ? "its mode changed" : "its owner changed";
}

/* What happened between two looks. `a`: before */
static void tell(struct item *i, const struct look *a, const struct look *b)
{
	bool replaced = a->exists && b->exists && (a->ino != b->ino || a->dev != b->dev || a->type != b->type);
	bool content = b->type == TYPE_FILE && (a->size != b->size || a->mtime != b->mtime);
	bool mode = a->mode != b->mode, owner = a->uid != b->uid || a->gid != b->gid;
	const char *what, *change;
	struct fields s = { .n = 0 };
	char name[NAME_MAX_BYTES + 1], message[NAME_MAX_BYTES + 160];

	if (a->exists != b->exists) {
		change = b->exists ? "created" : "removed";
		what = b->exists ? "it was created" : "it was removed";
	} else if (replaced) {
		change = what = "replaced";
		what = "another file took its place";
	} else if (content || mode || owner) {
		change = content ? "changed" : mode ? "mode" : "owner";
		what = word(content, mode, owner);
	} else {
		return;
	}
	if (name_escape(i->path, name) < 0)
		return;
	add(&s, "change", "%s", change);
	if (b->exists) {
		add(&s, "size", "%lld", (long long)b->size);
		add(&s, "mode", "%04o", b->mode);
		add(&s, "owner", "%u", (unsigned)b->uid);
		add(&s, "group", "%u", (unsigned)b->gid);
		add(&s, "inode", "%llu", (unsigned long long)b->ino);
	}
	if (a->exists && (!b->exists || a->size != b->size))
		add(&s, "size_before", "%lld", (long long)a->size);
	if (a->exists && b->exists && mode)
		add(&s, "mode_before", "%04o", a->mode);
	if (a->exists && b->exists && owner) {
		add(&s, "owner_before", "%u", (unsigned)a->uid);
		add(&s, "group_before", "%u", (unsigned)a->gid);
	}
	snprintf(message, sizeof(message), "%s: %s", name, what);
	files_record(i->f, KITH_NOTICE, name, message, s.all, s.n);
}

/* ---- watching --------------------------------------------------------------------------------------------------- */

static void unwatch(struct files *f, struct kith_watch **w)
{
	if (*w)
		f->h->unwatch(f->h, *w);
	*w = NULL;
}

static int on_self(const struct kith_file_event *event, void *user)
{
	struct item *i = user;

	/* An entry of a directory: something in it changed. */
	if (*event->name)
		i->list_due = true;
	item_dirty(i);
	return 0;
}

static int on_target(const struct kith_file_event *event, void *user)
{
	return on_self(event, user);
}

int item_watch(struct item *i)
{
	char real[PATH_MAX];
	struct stat st;
	int r;

	unwatch(i->f, &i->watch);
	r = files_real(i->f, i->path, real);
	if (r < 0)
		return r;
	i->watch_is_dir = stat(real, &st) == 0 && S_ISDIR(st.st_mode);
	return i->f->h->watch_file(i->f->h, real, EVENTS, on_self, i, &i->watch);
}

/* Where the links lead, as far as it can be told; -EINVAL: it is no link */
static int link_target(const struct files *f, const char *path, char target[PATH_MAX])
{
	char real[PATH_MAX], to[PATH_MAX];
	bool any = false;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(target, path);
	for (int k = 0; k < LINKS_MAX; k++) {
		ssize_t n;
		char *slash;

		if (files_real(f, target, real) < 0)
			return -ENAMETOOLONG;
		n = readlink(real, to, sizeof(to) - 1);
		if (n < 0)
			return any ? 0 : -EINVAL;
		any = true;
		to[n] = '\0';
		slash = strrchr(target, '/');
		if (*to == '/')
			slash = target;
		else
			slash++;
		if ((size_t)(slash - target) + (size_t)n >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(slash, to);
	}
	return -ELOOP;
}

/* What a symbolic link leads to has its own watch, and a directory that a pattern found too. */
static void watch_more(struct item *i, const struct look *l)
{
	char target[PATH_MAX], real[PATH_MAX];

	bool is_dir = l->exists && l->type == TYPE_DIRECTORY;

	/* It became a directory, or is none any more. What happened before the new watch is seen by another look. */
	if (i->watch ? is_dir != i->watch_is_dir : is_dir) {
		item_watch(i);
		item_dirty(i);
	}
	if (!i->f->follow || !l->link || link_target(i->f, i->path, target) < 0) {
		unwatch(i->f, &i->target_watch);
		free(i->target);
		i->target = NULL;
		return;
	}
	if (i->target && !strcmp(i->target, target))
		return;
	unwatch(i->f, &i->target_watch);
	free(i->target);
	i->target = strdup(target);
	/* A directory is watched through the link itself. */
	if (i->target && !(l->exists && l->type == TYPE_DIRECTORY) && files_real(i->f, target, real) == 0)
		i->f->h->watch_file(i->f->h, real, EVENTS, on_target, i, &i->target_watch);
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

int item_get(struct files *f, const char *path, struct item **ret_item)
{
	size_t length = strlen(path);
	struct item *i;
	char name[NAME_MAX_BYTES + 1];

	HASH_FIND(hh, f->items, path, length, i);
	if (i) {
		*ret_item = i;
		return 0;
	}
	if (name_escape(path, name) < 0) {
		f->h->log(f->h, KITH_WARNING, "%.200s…: its name is longer than %d bytes: left out", path, NAME_MAX_BYTES);
		return -ENAMETOOLONG;
	}
	if (HASH_COUNT(f->items) >= f->max) {
		if (!f->full_said)
			f->h->log(f->h, KITH_WARNING, "more than %u files: the rest is left out; raise max, or write narrower patterns", f->max);
		f->full_said = true;
		return -ENOSPC;
	}
	i = calloc(1, sizeof(*i) + length + 1);
	if (!i)
		return -ENOMEM;
	i->f = f;
	i->born = !f->quiet;
	memcpy(i->path, path, length);
	for (size_t k = 0; k < f->n_hashes; k++)
		i->hash |= fnmatch(f->hashes[k], path, FNM_PATHNAME) == 0;
	for (struct expectation *e = f->expectations; e; e = e->next)
		if (!strcmp(e->path, path)) {
			i->hash = i->expected = i->has_right = true;
			memcpy(i->right, e->digest, DIGEST);
		}
	HASH_ADD(hh, f->items, path[0], length, i);
	*ret_item = i;
	return 0;
}

void item_free(struct item *i)
{
	struct files *f = i->f;

	if (i->dirty)
		for (struct item **at = &f->dirty; *at; at = &(*at)->next_dirty)
			if (*at == i) {
				*at = i->next_dirty;
				if (!*at)
					f->dirty_end = at;
				break;
			}
	if (i->denied)
		f->n_denied--;
	unwatch(f, &i->watch);
	unwatch(f, &i->target_watch);
	work_item_goes(i);
	if (i->id != KITH_ID_NONE)
		f->h->end(f->h, i->id);
	HASH_DELETE(hh, f->items, i);
	free(i->target);
	free(i);
}

void item_dirty(struct item *i)
{
	struct files *f = i->f;

	files_soon(f);
	if (i->dirty)
		return;
	i->dirty = true;
	i->next_dirty = NULL;
	*f->dirty_end = i;
	f->dirty_end = &i->next_dirty;
}

int item_name(struct files *f, const char *path, bool named)
{
	struct item *i = NULL;
	int r;

	if (!named) {
		HASH_FIND(hh, f->items, path, strlen(path), i);
		if (i && i->named && --i->named == 0)
			item_dirty(i);
		return 0;
	}
	r = item_get(f, path, &i);
	if (r == 0 && !i->watch)
		r = item_watch(i);
	if (r < 0) {
		f->h->log(f->h, KITH_WARNING, "%s cannot be watched: %s", path, strerror(-r));
		if (i && !i->named && !i->matched)
			item_free(i);
		return r == -ENOMEM ? r : 0;
	}
	i->named++;
	if (!i->known)
		i->born = false;
	item_dirty(i);
	return 0;
}

/* Its series end, so that nothing old is believed of a file that is gone; its place stays */
static int item_begin(struct item *i)
{
	const struct kith_host *h = i->f->h;
	char name[NAME_MAX_BYTES + 1];
	int r = name_escape(i->path, name);

	if (i->id != KITH_ID_NONE)
		h->end(h, i->id);
	i->id = KITH_ID_NONE;
	return r < 0 ? r : h->series(h, FAMILY_FILE, name, &i->id);
}

static void put(struct item *i, const struct look *l)
{
	double v[N_METRICS];

	for (int k = 0; k < N_METRICS; k++)
		v[k] = NAN;
	v[EXISTS] = l->exists;
	v[CHANGES] = i->changes;
	if (l->exists) {
		v[TYPE] = l->type;
		v[SIZE] = (double)l->size;
		v[MODE] = mode_digits(l->mode);
		v[OWNER] = l->uid;
		v[GROUP] = l->gid;
		v[MODIFIED] = (double)l->mtime / (double)NS_PER_S;
		v[LINKS] = (double)l->links;
	}
	if (i->hash && i->expected && !l->exists)
		v[CONTENT] = CONTENT_UNREADABLE;
	i->f->h->put_all(i->f->h, i->id, v, N_METRICS);
}

static void denied(struct item *i, int error)
{
	char name[NAME_MAX_BYTES + 1];

	if (i->denied)
		return;
	i->denied = true;
	i->f->n_denied++;
	if (name_escape(i->path, name) == 0)
		i->f->h->log(i->f->h, KITH_WARNING, "%s cannot be looked at: %s", name, strerror(-error));
	if (i->id != KITH_ID_NONE)
		i->f->h->end(i->f->h, i->id);
	i->id = KITH_ID_NONE;
	i->known = false;
}

/* Reading it again is due: its content may be another one. */
static void follow_up(struct item *i, const struct look *l, bool content)
{
	if (i->hash && l->exists && l->type == TYPE_FILE && (!i->hashed || !look_same(&i->hashed_of, l)))
		i->hash_due = true;
	if (!l->exists)
		i->hash_due = i->list_due = false;
	if (l->exists && l->type == TYPE_DIRECTORY && (i->list_due || content || !i->listed))
		i->list_due = true;
	else
		i->list_due = false;
	if (i->hash_due || i->list_due)
		work_pump(i->f);
}

void item_look(struct item *i)
{
	struct files *f = i->f;
	struct look l, before = i->last;
	bool content;
	int r = look_at(f, i->path, f->follow, &l);

	if (r < 0) {
		denied(i, r);
		if (!i->named && !i->matched)
			item_free(i);
		return;
	}
	if (i->denied)
		f->n_denied--;
	i->denied = false;
	content = l.exists && (!before.exists || !look_same(&before, &l));
	if (i->known ? before.exists != l.exists || l.exists : l.exists && i->born)
		tell(i, &before, &l);
	if (i->known && (before.exists != l.exists || (l.exists && (before.size != l.size || before.mtime != l.mtime || before.ino != l.ino))))
		i->changes++;
	i->last = l;
	if (!l.exists && !i->named && !(i->matched && (i->apart || f->keep))) {
		item_free(i);
		return;
	}
	if (!i->named && !i->matched) {
		item_free(i);
		return;
	}
	watch_more(i, &l);
	if (!l.exists && !i->named && !(f->keep && i->known)) {
		if (i->id != KITH_ID_NONE)
			f->h->end(f->h, i->id);
		i->id = KITH_ID_NONE;
		i->known = true;
		return;
	}
	if (i->id == KITH_ID_NONE || (i->known && before.exists && !l.exists) || (l.exists && before.exists && l.type != before.type)) {
		r = item_begin(i);
		i->listed = false;
		if (r < 0)
			return;
	}
	i->known = true;
	put(i, &l);
	follow_up(i, &l, content);
}
