/* What is left behind, and what is too old to be kept */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "base/names.h"
#include "store/fold/fold.h"
#include "store/fold/rrdfile.h"
#include "store/fold/undo.h"

#define NEW_PREFIX ".new"
#define PATH_SIZE (64u + RRD_NAME_SIZE)

static DIR *folder_open(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

int write_restore(struct fold *f)
{
	struct dirent *e;
	size_t files = 0;
	DIR *d;
	int r;

	if (flock(f->update_lock, LOCK_EX) < 0)
		return -errno;
	r = undo_restore(f->folder, &files);
	if (r < 0)
		log_err("rrd/" UNDO_FILE ": what an update that was cut off has left cannot be put back: %s", strerror(-r));
	else if (r > 0)
		log_info("an update of %zu RRD files was cut off; it is made again", files);
	d = r < 0 ? NULL : folder_open(f->folder, ".");
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, NEW_PREFIX, strlen(NEW_PREFIX)))
			unlinkat(f->folder, e->d_name, 0);
	if (d)
		closedir(d);
	flock(f->update_lock, LOCK_UN);
	return r < 0 ? r : 0;
}

/* Is something known of it now? */
static bool alive(const struct fold_group *g, const char *instance)
{
	struct fold_instance *i;

	HASH_FIND_STR(g->instances, instance, i);
	for (size_t k = 0; i && k < i->family_size; k++)
		if (i->series[k].live || i->n_rows)
			return true;
	return false;
}

static bool any_alive(const struct fold_group *g)
{
	for (const struct fold_instance *i = g->instances; i; i = i->hh.next)
		if (alive(g, i->name))
			return true;
	return false;
}

static void remove_of(struct fold *f, struct fold_group *g, int64_t before)
{
	struct family_file *file, *next;
	char path[PATH_SIZE];
	struct rrd_file rrd;
	bool old;

	HASH_ITER(hh, g->family->files, file, next) {
		snprintf(path, sizeof(path), "%s/%s", g->family->name, file->file);
		if (rrd_file_open(f->folder, path, &rrd) < 0)
			continue;
		old = rrd.last < before && !alive(g, file->instance);
		rrd_file_close(&rrd);
		if (!old || unlinkat(f->folder, path, 0) < 0)
			continue;
		f->counts.removed++;
		known_remove_file(g->family, file);
	}
	if (g->family->files || !g->family->changed || any_alive(g)) {
		if (known_write(f->rrd_path, g->family) < 0)
			log_warning("rrd/%s/" RRD_FAMILY " cannot be written", g->family->name);
		return;
	}
	snprintf(path, sizeof(path), "%s/" RRD_FAMILY, g->family->name);
	unlinkat(f->folder, path, 0);
	if (unlinkat(f->folder, g->family->name, AT_REMOVEDIR) == 0)
		g->folder = false;
}

void write_remove_old(struct fold *f)
{
	/* By the last sample, not by the clock alone: one that is wrong is no reason to forget everything. */
	int64_t newest = f->end < f->now ? f->end : f->now;
	DIR *d = folder_open(f->folder, ".");
	struct fold_group *g;
	struct dirent *e;

	if (!d)
		return;
	if (!f->end || flock(f->update_lock, LOCK_EX) < 0) {
		closedir(d);
		return;
	}
	while ((e = readdir(d)))
		if (name_part_valid(e->d_name) && fold_group(f, e->d_name, &g) == 0)
			remove_of(f, g, newest - f->config.keep);
	closedir(d);
	flock(f->update_lock, LOCK_UN);
}
