/*
 * Rows to files. FOLD_BATCH files at a time: made and given their data sources, their heads saved, updated, synced, the saved heads removed. An update in
 * place that is cut off in between is taken back at the next start.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugin.h"
#include "store/fold/arguments.h"
#include "store/fold/fold.h"
#include "store/fold/rrdfile.h"
#include "store/fold/undo.h"

#define NEW_FILE ".new" RRD_SUFFIX  /* librrd puts six characters behind it while it writes */
#define ROWS_AT_ONCE 2048u
#define RRD_ERROR_SIZE 128u
#define PATH_SIZE (64u + RRD_NAME_SIZE)
#define VALUE_SIZE 32u              /* bytes of a value as text */

struct batch {
	struct fold_instance *list[FOLD_BATCH];
	size_t n;
};

/* librrd does not say why each time; errno is of whatever it did last. A full disk is the usual reason. */
static const char *rrd_error(struct fold *f, char text[RRD_ERROR_SIZE])
{
	const char *error = f->rrd.get_error();
	struct statvfs st;

	if (error && *error)
		return error;
	if (fstatvfs(f->folder, &st) < 0)
		return "librrd does not say why";
	snprintf(text, RRD_ERROR_SIZE, "librrd does not say why; space for %llu bytes is left there",
	         (unsigned long long)st.f_bavail * (unsigned long long)st.f_frsize);
	return text;
}

static void path_of(const struct fold_instance *i, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%s", i->group->family->name, i->file);
}

/* Rows that cannot be written go: they are made again from the segments. */
static void give_up(struct fold *f, struct fold_instance *i, bool disk)
{
	f->held -= i->n_rows * (sizeof(*i->at) + i->family_size * sizeof(*i->values));
	i->n_rows = 0;
	i->failed = true;
	if (disk)
		f->failed = true;
	else
		f->bad = true;
}

static int move_aside(struct fold *f, const char *path, const char *why)
{
	char to[PATH_SIZE + 8];

	snprintf(to, sizeof(to), "%s.bad", path);
	if (renameat(f->folder, path, f->folder, to) < 0) {
		log_err("rrd/%s: %s, and it cannot be moved aside: %s", path, why, strerror(errno));
		return -errno;
	}
	log_warning("rrd/%s: %s; it is rrd/%s now, and a new one begins", path, why, to);
	f->bad = true;
	f->counts.aside++;
	return 0;
}

/* ---- what is there ------------------------------------------------------------------------------------------------- */

static bool sources_fine(const struct fold_instance *i, const struct rrd_file *file)
{
	const struct fold_family *family = i->group->family;
	bool gauge;

	for (uint32_t k = 0; k < family->n; k++)
		if (rrd_file_source(file, family->metrics[k].source, &gauge) >= 0 && !gauge)
			return false;
	return true;
}

/* rrdcached may hold what the file does not have yet. */
static void flush_cached(struct fold *f, const char *path)
{
	char *full;

	if (!f->connected || asprintf(&full, "%s/%s", f->rrd_path, path) < 0)
		return;
	f->rrd.clear_error();
	f->rrd.cached_flush(full);
	free(full);
}

int write_look(struct fold *f, struct fold_instance *i)
{
	struct rrd_file file;
	char path[PATH_SIZE];
	int r;

	path_of(i, path);
	i->step = f->config.step;
	r = rrd_file_open(f->folder, path, &file);
	if (r == 0 && f->connected) {
		rrd_file_close(&file);
		flush_cached(f, path);
		r = rrd_file_open(f->folder, path, &file);
	}
	if (r == -ENOENT)
		return 0;
	if (r == -EBADMSG)
		r = move_aside(f, path, "it is damaged, or no RRD file");
	else if (r == 0 && file.last > f->now + FOLD_FUTURE) {
		rrd_file_close(&file);
		r = move_aside(f, path, "its last update is of the future");
	} else if (r == 0) {
		i->exists = true;
		i->step = file.step;
		i->written = file.last;
		if (!sources_fine(i, &file)) {
			log_err("rrd/%s: it has a data source of another type than GAUGE, and is left alone", path);
			give_up(f, i, false);
		}
		rrd_file_close(&file);
		return known_add_file(i->group->family, i->file, i->name);
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		log_err("rrd/%s cannot be read: %s", path, strerror(-r));
		give_up(f, i, true);
	}
	return 0;
}

/* ---- files are made, and get new data sources ------------------------------------------------------------------------ */

static void argument_source(struct arguments *a, const struct fold_metric *m, int64_t step)
{
	argument(a, "DS:%s:GAUGE:%lld:U:U", m->source, (long long)(2 * step / NS_PER_S));
}

static bool has_states(const struct fold_family *family)
{
	for (uint32_t k = 0; k < family->n; k++)
		if (family->metrics[k].kind == KITH_STATE)
			return true;
	return false;
}

static void argument_archives(struct arguments *a, const struct archives *archives, int64_t step, bool states)
{
	static const char *const functions[] = { "AVERAGE", "MIN", "MAX", "LAST" };

	for (size_t k = 0; k < archives->n; k++) {
		int64_t pdps = archives->list[k].row / step;

		/* Of rows of one step all are the same. */
		for (size_t n = 0; n < (pdps == 1 ? 1u : states ? 4u : 3u); n++)
			argument(a, "RRA:%s:0.5:%lld:%u", functions[n], (long long)pdps, archives->list[k].rows);
	}
}

/*
 * A new file stands in the page cache in pieces of up to 2 MiB (ext4 from Linux 6.16 on), and librrd changes it by a mapping: a byte that is changed writes
 * all of its piece. Read again it is in pages.
 */
static void leave_cache(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static int create(struct fold *f, struct fold_instance *i, const char *path)
{
	char text[RRD_ERROR_SIZE];
	const struct fold_family *family = i->group->family;
	struct arguments a = { 0 };
	char *new = NULL;
	int r = -ENOMEM;

	for (uint32_t k = 0; k < family->n; k++)
		argument_source(&a, &family->metrics[k], i->step);
	argument_archives(&a, &f->config.archives, i->step, has_states(family));
	if (a.failed || asprintf(&new, "%s/" NEW_FILE, f->rrd_path) < 0)
		goto out;
	f->rrd.clear_error();
	if (f->rrd.create_r(new, (unsigned long)(i->step / NS_PER_S), (time_t)((i->at[0] - i->step) / NS_PER_S), (int)a.n,
	                    (const char **)a.list) != 0) {
		r = -EIO;
		log_err("rrd/%s cannot be made: %s", path, rrd_error(f, text));
		unlink(new);
		goto out;
	}
	leave_cache(new);
	r = renameat(f->folder, NEW_FILE, f->folder, path) < 0 ? -errno : 0;
	if (r < 0)
		log_err("rrd/%s cannot be made: %s", path, strerror(-r));
	i->exists = r == 0;
	f->counts.created += r == 0;
	if (r == 0)
		r = known_add_file(i->group->family, i->file, i->name);
out:
	free(new);
	arguments_free(&a);
	return r;
}

/* Metrics that the file has no data source for */
static int tune(struct fold *f, struct fold_instance *i, const struct rrd_file *file, const char *path)
{
	char text[RRD_ERROR_SIZE];
	const struct fold_family *family = i->group->family;
	struct arguments a = { 0 };
	bool gauge;
	int r = 0;

	argument(&a, "tune");
	argument(&a, "%s/%s", f->rrd_path, path);
	for (uint32_t k = 0; k < family->n; k++)
		if (rrd_file_source(file, family->metrics[k].source, &gauge) < 0)
			argument_source(&a, &family->metrics[k], i->step);
	if (a.failed) {
		r = -ENOMEM;
	} else if (a.n > 2) {
		f->rrd.clear_error();
		flush_cached(f, path);
		if (f->rrd.tune((int)a.n, a.list) != 0) {
			log_err("rrd/%s gets no new data source: %s", path, rrd_error(f, text));
			r = -EIO;
		}
		if (f->connected)
			f->rrd.cached_forget(a.list[1]);
		r = r == 0 ? 1 : r;
	}
	arguments_free(&a);
	return r;
}

static int group_folder(struct fold *f, struct fold_group *g)
{
	if (g->folder)
		return 0;
	if (mkdirat(f->folder, g->family->name, 0700) < 0 && errno != EEXIST) {
		log_err("rrd/%s cannot be made: %s", g->family->name, strerror(errno));
		return -errno;
	}
	g->folder = true;
	return 0;
}

/* The file is there, has all data sources, and is open. */
static int prepare(struct fold *f, struct fold_instance *i, const char *path, struct rrd_file *file)
{
	int r = group_folder(f, i->group);

	if (r == 0 && !i->exists)
		r = create(f, i, path);
	if (r == 0)
		r = rrd_file_open(f->folder, path, file);
	if (r == 0) {
		r = tune(f, i, file, path);
		if (r != 0)
			rrd_file_close(file);
		if (r > 0)
			r = rrd_file_open(f->folder, path, file);
	}
	return r;
}

/* ---- updates ----------------------------------------------------------------------------------------------------------- */

/* Whole numbers are most values, and printf's way to them is long. */
static size_t put_value(char *at, double value)
{
	char digits[24];
	size_t n = 0, length = 0;
	uint64_t number;

	if (isnan(value)) {
		*at = 'U';
		return 1;
	}
	if (!(fabs(value) < 1e15) || value != floor(value))
		return (size_t)snprintf(at, VALUE_SIZE, "%.17g", value);
	number = (uint64_t)fabs(value);
	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10));
	if (value < 0)
		at[length++] = '-';
	while (n)
		at[length++] = digits[--n];
	return length;
}

struct update {
	char *text;
	size_t length;
	const char **list;
	size_t n;
	const struct rrd_file *file;
	int *metric;     /* of each data source of the file: the family's; -1: none */
};

static void put_row(struct update *u, const struct fold_instance *i, int64_t at, const double *values)
{
	char *begin = u->text + u->length, *to = begin;

	to += snprintf(to, VALUE_SIZE, "%lld", (long long)(at / NS_PER_S));
	for (unsigned s = 0; s < u->file->n_sources; s++) {
		*to++ = ':';
		to += put_value(to, values && u->metric[s] >= 0 && (size_t)u->metric[s] < i->family_size ? values[u->metric[s]] : NAN);
	}
	*to++ = '\0';
	u->list[u->n++] = begin;
	u->length += (size_t)(to - begin);
}

static int send_rows(struct fold *f, const struct update *u, const char *path, const char *full)
{
	char text[RRD_ERROR_SIZE];

	f->rrd.clear_error();
	if ((f->connected ? f->rrd.cached_update(full, (int)u->n, (const char *const *)u->list) :
	                    f->rrd.update_r(full, NULL, (int)u->n, u->list)) == 0) {
		f->counts.updates++;
		return 0;
	}
	log_err("rrd/%s is not updated: %s", path, rrd_error(f, text));
	return -EIO;
}

/* The first `n` rows of it */
static int update_rows(struct fold *f, struct fold_instance *i, struct update *u, size_t n, const char *path, const char *full)
{
	int r = 0;

	for (size_t row = 0; r == 0 && row < n; row++) {
		/* Without that one the file would take what it gets for the time since its last one. */
		if (i->at[row] - i->step > i->written)
			put_row(u, i, i->at[row] - i->step, NULL);
		put_row(u, i, i->at[row], i->values + row * i->family_size);
		i->written = i->at[row];
		f->counts.rows++;
		if (u->n < ROWS_AT_ONCE && row + 1 < n)
			continue;
		r = send_rows(f, u, path, full);
		u->n = u->length = 0;
	}
	return r;
}

static size_t rows_whole(const struct fold_instance *i)
{
	int64_t whole = fold_instance_whole(i);
	size_t n = i->n_rows;

	while (n && i->at[n - 1] >= whole)
		n--;
	return n;
}

static void rows_drop(struct fold *f, struct fold_instance *i, size_t n)
{
	i->n_rows -= n;
	memmove(i->at, i->at + n, i->n_rows * sizeof(*i->at));
	memmove(i->values, i->values + n * i->family_size, i->n_rows * i->family_size * sizeof(*i->values));
	f->held -= n * (sizeof(*i->at) + i->family_size * sizeof(*i->values));
	/* What one long time took is not kept for the next. */
	if (!i->n_rows) {
		free(i->at);
		free(i->values);
		i->at = NULL;
		i->values = NULL;
		i->room = 0;
	}
}

static int update_file(struct fold *f, struct fold_instance *i, const char *path)
{
	struct update u = { 0 };
	struct rrd_file file;
	char *full = NULL;
	size_t n = rows_whole(i), most = (n * 2 < ROWS_AT_ONCE + 1 ? n * 2 : ROWS_AT_ONCE + 1);
	int r = rrd_file_open(f->folder, path, &file);

	if (r < 0)
		return r;
	u.file = &file;
	u.text = malloc(most * (file.n_sources + 1) * VALUE_SIZE);
	u.list = malloc(most * sizeof(*u.list));
	u.metric = malloc(file.n_sources * sizeof(*u.metric));
	if (asprintf(&full, "%s/%s", f->rrd_path, path) < 0)
		full = NULL;
	if (u.text && u.list && u.metric && full) {
		for (unsigned s = 0; s < file.n_sources; s++) {
			u.metric[s] = -1;
			for (uint32_t k = 0; k < i->group->family->n; k++)
				if (!strcmp(i->group->family->metrics[k].source, rrd_file_source_name(&file, s)))
					u.metric[s] = (int)k;
		}
		i->written = file.last > i->written ? file.last : i->written;
		r = update_rows(f, i, &u, n, path, full);
		if (r == 0)
			rows_drop(f, i, n);
	} else {
		r = -ENOMEM;
	}
	rrd_file_close(&file);
	free(full);
	free(u.text);
	free(u.list);
	free(u.metric);
	return r;
}

static int sync_file(struct fold *f, const char *path)
{
	char text[RRD_ERROR_SIZE];
	char *full;
	int fd, r = 0;

	if (f->connected) {
		if (asprintf(&full, "%s/%s", f->rrd_path, path) < 0)
			return -ENOMEM;
		f->rrd.clear_error();
		if (f->rrd.cached_flush(full) != 0) {
			log_err("rrd/%s: rrdcached does not write it: %s", path, rrd_error(f, text));
			r = -EIO;
		}
		free(full);
		return r;
	}
	fd = openat(f->folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fdatasync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Heads of all files, saved. Those whose turn does not come are taken out of the batch. */
static int batch_prepare(struct fold *f, struct batch *b, struct undo *u)
{
	char path[PATH_SIZE];
	struct rrd_file file;
	size_t n = 0;
	int r = 0;

	for (size_t k = 0; r == 0 && k < b->n; k++) {
		struct fold_instance *i = b->list[k];

		path_of(i, path);
		r = prepare(f, i, path, &file);
		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			give_up(f, i, true);
			r = 0;
			continue;
		}
		if (!f->connected)
			r = undo_add(u, path, file.head, file.head_length);
		rrd_file_close(&file);
		b->list[n++] = i;
	}
	b->n = n;
	return r;
}

/* Only when there is something to write: its start takes as long as an hour of samples. */
static int need_librrd(struct fold *f)
{
	struct buf why = BUF_INIT;
	int r = librrd_load(&f->rrd, &why);

	if (r < 0) {
		log_err("librrd is missing: %s", buf_text(&why));
		f->failed = true;
	}
	buf_free(&why);
	return r;
}

static void say_family(struct fold *f, struct fold_group *g)
{
	int r = group_folder(f, g);

	r = r < 0 ? r : known_write(f->rrd_path, g->family);
	if (r < 0) {
		log_err("rrd/%s/" RRD_FAMILY " cannot be written: %s", g->family->name, strerror(-r));
		f->failed = true;
	}
}

static int batch_write(struct fold *f, struct batch *b)
{
	struct undo u = { .fd = -1 };
	char path[PATH_SIZE];
	int r = need_librrd(f);

	if (r < 0)
		return r;
	r = f->connected ? 0 : undo_begin(&u, f->folder);
	if (r == 0)
		r = batch_prepare(f, b, &u);
	if (r == 0 && !f->connected)
		r = undo_ready(&u);
	else if (!f->connected && u.fd >= 0)
		undo_give_up(&u);
	if (r < 0) {
		log_err("rrd/" UNDO_FILE " cannot be written: %s; nothing more is folded now", strerror(-r));
		f->failed = true;
		return r;
	}
	for (size_t k = 0; k < b->n; k++) {
		path_of(b->list[k], path);
		if (update_file(f, b->list[k], path) < 0)
			give_up(f, b->list[k], true);
	}
	for (size_t k = 0; k < b->n; k++) {
		path_of(b->list[k], path);
		if (!b->list[k]->failed && (r = sync_file(f, path)) < 0) {
			log_err("rrd/%s is not on the disk: %s", path, strerror(-r));
			f->failed = true;
		}
	}
	/* While .undo says that this goes on: new files have no family yet that knows them. */
	for (size_t k = 0; k < b->n; k++)
		say_family(f, b->list[k]->group);
	b->n = 0;
	r = f->connected ? 0 : undo_done(f->folder);
	if (r < 0) {
		/* It would be put back at the next start; so is what was folded up to. */
		log_err("rrd/" UNDO_FILE " cannot be removed: %s", strerror(-r));
		f->failed = true;
	}
	return r;
}

int write_all_rows(struct fold *f)
{
	struct fold_instance *i, *next_i;
	struct fold_group *g, *next_g;
	struct batch b = { 0 };
	int r = 0;

	if (flock(f->update_lock, LOCK_EX) < 0)
		return -errno;
	HASH_ITER(hh, f->groups, g, next_g) {
		HASH_ITER(hh, g->instances, i, next_i) {
			if (r < 0 || i->failed || !rows_whole(i))
				continue;
			b.list[b.n++] = i;
			if (b.n == FOLD_BATCH)
				r = batch_write(f, &b);
		}
	}
	if (r == 0 && b.n)
		r = batch_write(f, &b);
	/* Also before its first row: what is gathered of its series is of no use to who does not know them. */
	HASH_ITER(hh, f->groups, g, next_g)
		if (g->folder || g->family->files || (g->instances && !f->config.export_only))
			say_family(f, g);
	flock(f->update_lock, LOCK_UN);
	return r;
}

int write_connect(struct fold *f)
{
	char text[RRD_ERROR_SIZE];

	if (!f->config.cached)
		return 0;
	if (need_librrd(f) < 0)
		return -ENOENT;
	f->rrd.clear_error();
	if (f->rrd.cached_connect(f->config.cached) != 0) {
		log_err("rrdcached at %s cannot be reached: %s", f->config.cached, rrd_error(f, text));
		return -ECONNREFUSED;
	}
	f->connected = true;
	return 0;
}
