/* Which files there are: all that the options name or match, looked for again when a folder of theirs changes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tail/tail.h"

#define DEPTH_MAX 16
#define RESCAN_DELAY (2 * NS_PER_MS)

/* ---- folders ----------------------------------------------------------------------------------------------------------- */

static void folder_watch(struct folder *d);

static int on_folder(const struct kith_file_event *event, void *user)
{
	struct folder *d = user;

	d->t->rescan = true;
	tail_soon(d->t, RESCAN_DELAY);
	/* It was not there when its watch began: what is in it is watched from now on. */
	if (!*event->name && event->what == KITH_FILE_ADDED && !d->is_dir)
		folder_watch(d);
	return 0;
}

static void folder_watch(struct folder *d)
{
	const struct kith_host *h = d->t->h;
	struct stat st;
	int r;

	if (d->watch)
		h->unwatch(h, d->watch);
	d->watch = NULL;
	d->is_dir = stat(d->path, &st) == 0 && S_ISDIR(st.st_mode);
	r = h->watch_file(h, d->path, KITH_FILE_ADDED | KITH_FILE_REMOVED, on_folder, d, &d->watch);
	if (r < 0)
		h->log(h, KITH_WARNING, "%s cannot be watched: %s", d->path, strerror(-r));
}

static void folder_need(struct tail *t, const char *path)
{
	struct folder *d = t->folders;

	while (d && strcmp(d->path, path) != 0)
		d = d->next;
	if (!d && t->n_folders < FOLDERS_MAX) {
		d = calloc(1, sizeof(*d) + strlen(path) + 1);
		if (!d)
			return;
		d->t = t;
		strcpy(d->path, path);
		d->next = t->folders;
		t->folders = d;
		t->n_folders++;
		folder_watch(d);
	}
	if (d)
		d->seen = true;
}

static void folders_sweep(struct tail *t, bool all)
{
	for (struct folder **at = &t->folders, *d; (d = *at);) {
		if (d->seen && !all) {
			d->seen = false;
			at = &d->next;
			continue;
		}
		*at = d->next;
		if (d->watch)
			t->h->unwatch(t->h, d->watch);
		free(d);
		t->n_folders--;
	}
}

/* ---- one path -------------------------------------------------------------------------------------------------------------- */

struct file *file_find(struct tail *t, dev_t dev, ino_t ino)
{
	for (struct file *f = t->files; f; f = f->next)
		if (f->dev == dev && f->ino == ino)
			return f;
	return NULL;
}

/* The last one that was found under `name` */
static struct file *file_of(struct tail *t, const struct name *name)
{
	struct file *last = NULL;

	for (struct file *f = t->files; f; f = f->next)
		if (f->name == name)
			last = f;
	return last;
}

/* Without waiting, should it be a fifo. -EINVAL: it is no file */
static int open_file(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fstat(fd, st) < 0 ? -errno : S_ISREG(st->st_mode) ? 0 : -EINVAL;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

static struct name *name_find(struct tail *t, const char *path)
{
	struct name *n = t->names;

	while (n && strcmp(n->path, path) != 0)
		n = n->next;
	return n;
}

/*
 * A file that kithd read before it ended, and that was renamed since: beside its old path, under another name. It is read to its end before what took its
 * place is.
 */
static struct file *find_renamed(struct tail *t, struct name *n, struct place *p)
{
	size_t length = strlen(n->path);
	char path[PATH_MAX], folder[PATH_MAX];
	struct dirent *entry;
	struct file *f = NULL;
	struct stat st;
	DIR *d;

	snprintf(folder, sizeof(folder), "%.*s", (int)(n->base - n->path), n->path);
	d = length < PATH_MAX ? opendir(folder) : NULL;
	while (d && !f && (entry = readdir(d))) {
		int fd;

		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != p->ino || snprintf(path, sizeof(path), "%s%s", folder, entry->d_name) >= (int)sizeof(path))
			continue;
		fd = open_file(path, &st);
		if (fd < 0)
			continue;
		if (st.st_ino != p->ino || p->offset > st.st_size || !head_same(fd, &p->head) || file_find(t, st.st_dev, st.st_ino))
			close(fd);
		else if (file_new(n, fd, &st, true, p, &f) < 0)
			f = NULL;
	}
	if (d)
		closedir(d);
	if (f) {
		file_rotate(f);
		p->taken = true;
	}
	return f;
}

static void say_lost(struct name *n)
{
	struct kith_record r = { .size = sizeof(r), .priority = KITH_WARNING, .subject = "tail:lost",
		                 .message = "what was written to it before it was replaced, while kithd did not run, is not to be found" };
	struct kith_field field = { "file", n->path };

	r.fields = &field;
	r.n_fields = 1;
	n->t->h->record(n->t->h, &r);
}

/* A file that is followed from now on. At the first scan it may be known from the last run, and so may the one before it. */
static void begin_file(struct name *n, int fd, const struct stat *st, bool known, struct file *before)
{
	struct tail *t = n->t;
	struct place *place = t->first ? place_find(t, st->st_ino, fd, st->st_size) : NULL;
	/* What comes later is new; and so is what the last run would have known. */
	bool start = !t->first || known || !strcmp(t->h->option_string(t->h, "from"), "start");
	struct file *f;

	if (place)
		place->taken = true;
	for (struct place *p = t->places; p && t->first && !place; p = p->next)
		if (!p->taken && !strcmp(p->path, n->path)) {
			before = find_renamed(t, n, p);
			start = true;
			if (!before && !p->taken)
				say_lost(n);
			p->taken = true;
			break;
		}
	if (file_new(n, fd, st, start, place, &f) == 0)
		f->before = before;
	tail_save_soon(t);
}

/* It is there already, under another name than `n`, which may be NULL: under that it is read on for as long as lines may come to it. */
static void found_again(struct tail *t, struct file *f, struct name *n, const char *path, bool literal)
{
	struct file *had = n ? file_of(t, n) : NULL;

	f->matched = true;
	if (had)
		file_rotate(had);
	if (file_is_over(f) && (n || name_new(t, path, literal, &n) == 0)) {
		file_rename(f, n);
		f->before = had;
		f->matched = false;
		n->seen = true;
		tail_save_soon(t);
	} else if (n) {
		n->seen = literal;
	}
}

static void found(struct tail *t, const char *path, bool literal, bool known)
{
	struct name *n = name_find(t, path);
	struct file *f;
	struct stat st;
	int fd;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (literal && !n)
			name_new(t, path, true, &n);
		if (literal && n)
			n->seen = true;
		return;
	}
	f = file_find(t, st.st_dev, st.st_ino);
	if (f && (!n || f->name != n)) {
		found_again(t, f, n, path, literal);
		return;
	}
	if (!n && name_new(t, path, literal, &n) < 0)
		return;
	n->seen = true;
	n->literal |= literal;
	if (f) {
		f->rotated = false;
		return;
	}
	f = file_of(t, n);
	fd = open_file(path, &st);
	if (fd < 0) {
		t->h->log(t->h, KITH_WARNING, "%s cannot be read: %s", path, strerror(-fd));
		return;
	}
	if (file_find(t, st.st_dev, st.st_ino)) { /* it was renamed in between, which will be told */
		close(fd);
		return;
	}
	if (f)
		file_rotate(f);
	begin_file(n, fd, &st, known, f);
}

/* ---- patterns --------------------------------------------------------------------------------------------------------------- */

static bool has_wildcard(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (strchr("*?[", at[i]))
			return true;
	return false;
}

struct search {
	struct tail *t;
	bool known;   /* the last run had this pattern: a file that it does not know of is new */
	bool literal;
};

/* `path` has `length` bytes of what is behind; `rest` begins behind a slash */
static void expand(const struct search *s, char *path, size_t length, const char *rest, unsigned depth)
{
	size_t part = strcspn(rest, "/");
	bool last = !rest[part];
	char pattern[NAME_MAX + 1];
	struct dirent *entry;
	DIR *d;

	if (length + part + 2 > PATH_MAX || part > NAME_MAX || depth > DEPTH_MAX || !part)
		return;
	path[length] = '\0';
	if (last || has_wildcard(rest, part))
		folder_need(s->t, length ? path : "/");
	if (!has_wildcard(rest, part)) {
		snprintf(path + length, PATH_MAX - length, "/%.*s", (int)part, rest);
		if (last)
			found(s->t, path, s->literal, s->known);
		else
			expand(s, path, length + 1 + part, rest + part + 1, depth + 1);
		return;
	}
	snprintf(pattern, sizeof(pattern), "%.*s", (int)part, rest);
	d = opendir(length ? path : "/");
	while (d && (entry = readdir(d))) {
		int n;

		if (fnmatch(pattern, entry->d_name, FNM_PERIOD) != 0)
			continue;
		n = snprintf(path + length, PATH_MAX - length, "/%s", entry->d_name);
		if (n >= (int)(PATH_MAX - length))
			continue;
		if (last)
			found(s->t, path, false, s->known);
		else
			expand(s, path, length + (size_t)n, rest + part + 1, depth + 1);
	}
	if (d)
		closedir(d);
}

static bool is_known(const struct tail *t, const char *pattern)
{
	for (size_t i = 0; i < t->n_known; i++)
		if (!strcmp(t->known[i], pattern))
			return true;
	return false;
}

/* Those that nothing leads to any more are read to their ends; names that nothing is left of end. */
static void sweep(struct tail *t)
{
	struct name *n, *next;

	for (struct file *f = t->files; f; f = f->next) {
		struct stat st;

		if (!f->rotated && (!f->name->seen || stat(f->name->path, &st) < 0 || st.st_ino != f->ino || st.st_dev != f->dev))
			file_rotate(f);
	}
	for (n = t->names; n; n = next) {
		bool used = n->literal || n->seen;

		next = n->next;
		for (struct file *f = t->files; f && !used; f = f->next)
			used = f->name == n;
		n->seen = false;
		if (!used)
			name_free(n);
	}
}

static bool is_asked_for(const struct tail *t, const char *path)
{
	const char *const *list = NULL;
	size_t n = t->h->option_list(t->h, "files", &list);

	for (size_t i = 0; i < n; i++)
		if (fnmatch(list[i], path + strlen(t->h->root(t->h)), FNM_PATHNAME | FNM_PERIOD) == 0)
			return true;
	return false;
}

/* Of the last run, renamed meanwhile, and nothing took their place; or they were so then already. */
static void find_others(struct tail *t)
{
	for (struct place *p = t->places; p; p = p->next) {
		struct name *n = name_find(t, p->path);

		if (!p->taken && is_asked_for(t, p->path) && (n || name_new(t, p->path, false, &n) == 0))
			find_renamed(t, n, p);
	}
}

void find_all(struct tail *t)
{
	const char *const *list = NULL;
	size_t n = t->h->option_list(t->h, "files", &list);
	char path[PATH_MAX];

	for (struct file *f = t->files; f; f = f->next)
		f->matched = false;
	for (size_t i = 0; i < n; i++) {
		struct search s = { t, is_known(t, list[i]), !has_wildcard(list[i], strlen(list[i])) };
		int root = snprintf(path, sizeof(path), "%s", t->h->root(t->h));

		if (root < (int)sizeof(path))
			expand(&s, path, (size_t)root, list[i] + 1, 0);
	}
	if (t->first)
		find_others(t);
	folders_sweep(t, false);
	sweep(t);
	t->first = false;
}

void find_free(struct tail *t)
{
	folders_sweep(t, true);
}
