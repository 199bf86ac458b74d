/*
 * Where files were read to, kept over a restart: lines "pattern TEXT" and "file INODE OFFSET HEAD-LENGTH HEAD-SUM PATH" in `places` of the plugin's
 * folder. Written at most once a second, with what was true a second before: by then kithd has written the records of it, so that a crash doubles the lines of the
 * last moments and loses none. At an end in order it is what is true.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tail/tail.h"

#define PLACES_TITLE "kith tail 1\n"

static int places_path(struct tail *t, char *path, size_t size, const char *suffix)
{
	const char *folder = KITH_HAS(t->h, state_folder) ? t->h->state_folder(t->h) : NULL;

	if (!folder)
		return -ENOENT;
	return snprintf(path, size, "%s/places%s", folder, suffix) < (int)size ? 0 : -ENAMETOOLONG;
}

static int known_add(struct tail *t, const char *pattern)
{
	char **more = realloc(t->known, (t->n_known + 1) * sizeof(*more)), *copy = strdup(pattern);

	if (more)
		t->known = more;
	if (!more || !copy) {
		free(copy);
		return -ENOMEM;
	}
	t->known[t->n_known++] = copy;
	return 0;
}

static int place_add(struct tail *t, const char *line)
{
	struct place one = { 0 }, *p;
	uint64_t ino;
	int at = 0;

	if (sscanf(line, "%" SCNu64 " %" SCNd64 " %" SCNu32 " %" SCNx64 " %n", &ino, &one.offset, &one.head.length, &one.head.sum, &at) != 4 || !at ||
	    line[at] != '/' || one.offset < 0 || one.head.length > HEAD_BYTES)
		return -EINVAL;
	p = calloc(1, sizeof(*p) + strlen(line + at) + 1);
	if (!p)
		return -ENOMEM;
	*p = one;
	p->ino = (ino_t)ino;
	strcpy(p->path, line + at);
	p->next = t->places;
	t->places = p;
	return 0;
}

int places_load(struct tail *t)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *f;
	int r = places_path(t, path, sizeof(path), "");

	if (r < 0)
		return r;
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 : -errno;
	if (getline(&line, &size, f) < 0 || strcmp(line, PLACES_TITLE) != 0)
		r = -EINVAL;
	while (r == 0 && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "pattern ", 8))
			r = known_add(t, line + 8);
		else
			r = strncmp(line, "file ", 5) ? -EINVAL : place_add(t, line + 5);
	}
	free(line);
	fclose(f);
	if (r < 0)
		t->h->log(t->h, KITH_WARNING, "%s is not what it should be; files that it does not tell of are read from their ends", path);
	return r;
}

static void write_all(struct tail *t, FILE *f, bool all)
{
	const char *const *list = NULL;
	size_t n = t->h->option_list(t->h, "files", &list);

	fputs(PLACES_TITLE, f);
	for (size_t i = 0; i < n; i++)
		if (!strchr(list[i], '\n'))
			fprintf(f, "pattern %s\n", list[i]);
	for (struct file *file = t->files; file; file = file->next) {
		int64_t offset = all ? file->offset : file->save_next;

		file->saved = offset;
		file->save_next = file->offset;
		if (!strchr(file->name->path, '\n'))
			fprintf(f, "file %" PRIu64 " %" PRId64 " %" PRIu32 " %" PRIx64 " %s\n", (uint64_t)file->ino, offset, file->head.length,
			        file->head.sum, file->name->path);
	}
	/* What was not found again yet may come back. */
	for (const struct place *p = t->places; p; p = p->next)
		if (!p->taken && t->first)
			fprintf(f, "file %" PRIu64 " %" PRId64 " %" PRIu32 " %" PRIx64 " %s\n", (uint64_t)p->ino, p->offset, p->head.length,
			        p->head.sum, p->path);
}

int places_save(struct tail *t, bool all)
{
	char path[PATH_MAX], new[PATH_MAX];
	bool failed;
	FILE *f;
	int r;

	if ((r = places_path(t, path, sizeof(path), "")) < 0 || (r = places_path(t, new, sizeof(new), ".new")) < 0)
		return r;
	f = fopen(new, "we");
	if (!f)
		return -errno;
	write_all(t, f, all);
	failed = ferror(f);
	if (fclose(f) != 0 || failed) {
		r = errno ? -errno : -EIO;
		unlink(new);
		return r;
	}
	return rename(new, path) < 0 ? -errno : 0;
}

void places_free(struct tail *t)
{
	while (t->places) {
		struct place *p = t->places;

		t->places = p->next;
		free(p);
	}
	for (size_t i = 0; i < t->n_known; i++)
		free(t->known[i]);
	free(t->known);
	t->known = NULL;
	t->n_known = 0;
}

/* By its inode and its first bytes: numbers of devices may be others after a start of the machine. */
struct place *place_find(struct tail *t, ino_t ino, int fd, int64_t size)
{
	for (struct place *p = t->places; p; p = p->next)
		if (!p->taken && p->ino == ino && p->offset <= size && head_same(fd, &p->head))
			return p;
	return NULL;
}
