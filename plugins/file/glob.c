/*
 * Patterns. Only directories in which a component with wildcards is looked for are watched and read; what comes and goes in them is told by
 * their events, so that they are read again only where whole directories come or go.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "file/file.h"

#define DEPTH_MAX 32

static void expand(struct files *f, struct pattern *p, const char *dir, const char *rest, int depth);

bool glob_is(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

/* The end of the component at `s` */
static const char *component_end(const char *s)
{
	return s + strcspn(s, "/");
}

static bool component_matches(const char *pattern, const char *name)
{
	char one[NAME_MAX + 1];
	size_t n = (size_t)(component_end(pattern) - pattern);

	if (n >= sizeof(one))
		return false;
	memcpy(one, pattern, n);
	one[n] = '\0';
	return fnmatch(one, name, FNM_PERIOD) == 0;
}

static bool is_last(const char *rest)
{
	return !*component_end(rest);
}

/* dir/name; false: it would be too long */
static bool join(char path[PATH_MAX], const char *dir, const char *name, size_t length)
{
	size_t n = strlen(dir);

	if (n + length + 2 > PATH_MAX)
		return false;
	memcpy(path, dir, n);
	path[n] = '/';
	memcpy(path + n + 1, name, length);
	path[n + 1 + length] = '\0';
	return true;
}

/* ---- what is matched -------------------------------------------------------------------------------------------- */

/* `apart`: its directory is not watched for this pattern */
static void matched(struct files *f, const char *path, bool apart)
{
	struct item *i = NULL;

	if (item_get(f, path, &i) < 0)
		return;
	i->seen = true;
	if (i->matched && (i->apart || !apart))
		return;
	i->matched = true;
	i->apart |= apart;
	if (apart && !i->watch)
		item_watch(i);
	item_dirty(i);
}

static int on_entry(const struct kith_file_event *event, void *user)
{
	struct base *b = user;
	struct files *f = b->p->f;
	char path[PATH_MAX];
	struct item *i = NULL;

	/* The directory itself has come or gone, or it was none when the watch began. */
	if (!*event->name || !b->is_dir) {
		f->expand_due = true;
		files_soon(f);
		return 0;
	}
	if (!join(path, b->dir, event->name, strlen(event->name)))
		return 0;
	HASH_FIND(hh, f->items, path, strlen(path), i);
	if (i) {
		item_dirty(i);
	} else if (!component_matches(b->rest, event->name)) {
		return 0;
	} else if (!is_last(b->rest)) {
		f->expand_due |= (event->what & (KITH_FILE_ADDED | KITH_FILE_REMOVED)) != 0;
		files_soon(f);
	} else if (event->what != KITH_FILE_REMOVED) {
		matched(f, path, false);
	}
	return 0;
}

/* ---- directories ------------------------------------------------------------------------------------------------ */

static void base_free(struct files *f, struct base *b)
{
	if (b->watch)
		f->h->unwatch(f->h, b->watch);
	free(b);
}

static int base_watch(struct files *f, struct base *b)
{
	const char *dir = *b->dir ? b->dir : "/";
	char real[PATH_MAX];
	struct stat st;
	int r;

	if (b->watch)
		f->h->unwatch(f->h, b->watch);
	b->watch = NULL;
	r = files_real(f, dir, real);
	if (r < 0)
		return r;
	b->is_dir = stat(real, &st) == 0 && S_ISDIR(st.st_mode);
	return f->h->watch_file(f->h, real, EVENTS, on_entry, b, &b->watch);
}

static int base_get(struct files *f, struct pattern *p, const char *dir, const char *rest, struct base **ret_base)
{
	size_t n = strlen(dir) + 1;
	struct base *b = p->bases;
	int r;

	while (b && (b->rest != rest || strcmp(b->dir, dir)))
		b = b->next;
	if (!b) {
		b = calloc(1, sizeof(*b) + n);
		if (!b)
			return -ENOMEM;
		b->p = p;
		b->rest = rest;
		memcpy(b->dir, dir, n);
		b->next = p->bases;
		p->bases = b;
	}
	b->seen = true;
	if (b->watch && b->is_dir && !f->remount_due) {
		*ret_base = b;
		return 0;
	}
	r = base_watch(f, b);
	if (r < 0)
		return r;
	*ret_base = b;
	return 0;
}

/* ---- expansion -------------------------------------------------------------------------------------------------- */

static void read_base(struct files *f, struct pattern *p, struct base *b, int depth)
{
	const char *end = component_end(b->rest);
	char real[PATH_MAX], path[PATH_MAX];
	struct dirent *entry;
	DIR *d;

	if (files_real(f, *b->dir ? b->dir : "/", real) < 0)
		return;
	d = opendir(real);
	if (!d) {
		if (errno != ENOENT && errno != ENOTDIR)
			f->h->log(f->h, KITH_WARNING, "%s cannot be read for %s: %s", b->dir, p->text, strerror(errno));
		return;
	}
	while ((entry = readdir(d))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !component_matches(b->rest, entry->d_name) ||
		    !join(path, b->dir, entry->d_name, strlen(entry->d_name)))
			continue;
		if (!*end)
			matched(f, path, false);
		else if (entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)
			expand(f, p, path, end + 1, depth + 1);
	}
	closedir(d);
}

/* `rest`: what of the pattern is to be found below `dir` */
static void expand(struct files *f, struct pattern *p, const char *dir, const char *rest, int depth)
{
	const char *end = component_end(rest), *wild = strpbrk(rest, "*?[");
	char path[PATH_MAX];
	struct base *b = NULL;

	if (depth > DEPTH_MAX)
		return;
	if (!wild) {
		if (join(path, dir, rest, strlen(rest)))
			matched(f, path, true);
		return;
	}
	if (wild >= end) {
		if (join(path, dir, rest, (size_t)(end - rest)))
			expand(f, p, path, end + 1, depth + 1);
		return;
	}
	if (base_get(f, p, dir, rest, &b) < 0)
		f->h->log(f->h, KITH_WARNING, "%s cannot be watched for %s", dir, p->text);
	if (b)
		read_base(f, p, b, depth);
}

static bool is_matched(const struct files *f, const char *path)
{
	for (struct pattern *p = f->patterns; p; p = p->next)
		if (fnmatch(p->text, path, FNM_PATHNAME | FNM_PERIOD) == 0)
			return true;
	return false;
}

static void sweep(struct files *f)
{
	struct item *i, *next;

	for (struct pattern *p = f->patterns; p; p = p->next)
		for (struct base **at = &p->bases, *b; (b = *at);) {
			if (b->seen) {
				at = &b->next;
				continue;
			}
			*at = b->next;
			base_free(f, b);
		}
	HASH_ITER(hh, f->items, i, next) {
		if (!i->matched || i->seen)
			continue;
		if (!f->keep || !is_matched(f, i->path))
			i->matched = i->apart = false;
		item_dirty(i);
	}
}

void glob_expand(struct files *f)
{
	f->expand_due = false;
	for (struct item *i = f->items; i; i = i->hh.next)
		i->seen = false;
	for (struct pattern *p = f->patterns; p; p = p->next)
		for (struct base *b = p->bases; b; b = b->next)
			b->seen = false;
	for (struct pattern *p = f->patterns; p; p = p->next)
		expand(f, p, "", p->text + 1, 0);
	sweep(f);
}

/* ---- their life ------------------------------------------------------------------------------------------------- */

static void pattern_free(struct files *f, struct pattern *p)
{
	struct base *b;

	while ((b = p->bases)) {
		p->bases = b->next;
		base_free(f, b);
	}
	free(p);
}

int glob_name(struct files *f, const char *text, bool named)
{
	struct pattern **at = &f->patterns, *p;

	while (*at && strcmp((*at)->text, text))
		at = &(*at)->next;
	p = *at;
	if (named && p) {
		p->users++;
		return 0;
	}
	if (named) {
		p = calloc(1, sizeof(*p) + strlen(text) + 1);
		if (!p)
			return -ENOMEM;
		p->f = f;
		p->users = 1;
		strcpy(p->text, text);
		*at = p;
	} else if (p && --p->users == 0) {
		*at = p->next;
		pattern_free(f, p);
	} else {
		return 0;
	}
	/* What is there now is no news; what comes by events before the batch is not either. */
	f->quiet = true;
	f->expand_due = true;
	files_soon(f);
	return 0;
}

void glob_free_all(struct files *f)
{
	struct pattern *p;

	while ((p = f->patterns)) {
		f->patterns = p->next;
		pattern_free(f, p);
	}
}
