#include "store/fold/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/names.h"
#include "store/fold/family.h"
#include "store/fold/open.h"
#include "store/fold/rrdfile.h"
#include "store/fold/state.h"
#include "store/fold/undo.h"
#include "store/segment.h"

struct verify {
	const char *state;
	bool repair;
	int journal, rrd, lock;
	char *rrd_path;
	unsigned long segments, files, faults, repaired;
	unsigned long long samples;
};

static void fault(struct verify *v, bool repaired, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct verify *v, bool repaired, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts(repaired ? "; repaired" : "");
	v->faults++;
	v->repaired += repaired;
}

/* ---- segments ------------------------------------------------------------------------------------------------------------ */

static int count(const struct unpack_instance *i, uint32_t metric, double value, int64_t time, bool extra, void *user)
{
	unsigned long long *n = user;

	(void)i;
	(void)metric;
	(void)value;
	(void)time;
	(void)extra;
	++*n;
	return 0;
}

/* Somebody has it open for writing: then a lease for reading is refused. `unsure`: what is said where there are no leases */
static bool is_written(int fd, bool unsure)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		fcntl(fd, F_SETLEASE, F_UNLCK);
		return false;
	}
	return errno == EAGAIN || unsure;
}

/* As kithd does at its start: the end that is none is cut off, and it is sealed. */
static bool cut(struct verify *v, const char *name, const struct segment *s)
{
	int fd = openat(v->journal, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	uint8_t seal[SEGMENT_FRAME];
	bool done;

	if (fd < 0)
		return false;
	segment_put_seal(s->head.number, s->length, seal);
	done = ftruncate(fd, (off_t)s->file_length) == 0 && (s->sealed || write(fd, seal, sizeof(seal)) == (ssize_t)sizeof(seal)) && fsync(fd) == 0;
	close(fd);
	return done;
}

static void verify_tail(struct verify *v, const char *name, const struct segment *s, bool last)
{
	int fd = openat(v->journal, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool written;

	if (fd < 0)
		return;
	written = is_written(fd, last);
	close(fd);
	/* Of what is being written the end may be half there. */
	if (written || (s->sealed && !s->lost))
		return;
	if (s->lost)
		fault(v, v->repair && cut(v, name, s), "journal/%s: %zu bytes behind its last good frame are damaged", name, s->lost);
	else if (!last)
		fault(v, v->repair && cut(v, name, s), "journal/%s: its seal is missing", name);
}

static int verify_segment(struct verify *v, uint64_t number, bool last)
{
	static const struct unpack_fns fns = { .sample = count };
	char name[SEGMENT_NAME_SIZE];
	struct unpacker *u;
	struct segment s;
	int r = segment_read(v->journal, number, &s);

	segment_name(number, name);
	v->segments++;
	/* kithd is about to begin it, or ended then and does so when it starts. */
	if (r == -ENODATA && last)
		return 0;
	if (r == -ENOMEM || r == -ENOENT)
		return r == -ENOENT ? 0 : r;
	if (r < 0) {
		fault(v, false, "journal/%s: %s", name, r == -EBADMSG ? "it is no segment" : r == -ENODATA ? "it is empty" : strerror(-r));
		return 0;
	}
	if (s.head.number != number)
		fault(v, false, "journal/%s: it says that it is number %llu", name, (unsigned long long)s.head.number);
	verify_tail(v, name, &s, last);
	r = unpacker_new(s.head.begin, &fns, &v->samples, &u);
	if (r == 0) {
		r = unpacker_feed(u, s.data, s.length);
		if (r == -EBADMSG) {
			fault(v, false, "journal/%s: behind its first %llu samples there is what is none", name, (unsigned long long)unpacker_samples(u));
			r = 0;
		}
		unpacker_free(u);
	}
	segment_free(&s);
	return r;
}

static int verify_journal(struct verify *v)
{
	struct segment_file *files;
	size_t n;
	int r = segment_list(v->journal, &files, &n);

	for (size_t k = 0; r == 0 && k < n; k++)
		r = verify_segment(v, files[k].number, k + 1 == n);
	if (r == 0)
		free(files);
	return r;
}

/* ---- RRD files ------------------------------------------------------------------------------------------------------------- */

static bool move_aside(struct verify *v, const char *path)
{
	char *to;
	bool done;

	if (asprintf(&to, "%s.bad", path) < 0)
		return false;
	done = renameat(v->rrd, path, v->rrd, to) == 0;
	free(to);
	return done;
}

/* Does it take what its family has? */
static void verify_sources(struct verify *v, const struct fold_family *f, const struct rrd_file *file, const char *path)
{
	bool gauge;

	for (unsigned s = 0; s < file->n_sources; s++) {
		bool known = false;

		for (uint32_t k = 0; !known && k < f->n; k++)
			known = !strcmp(f->metrics[k].source, rrd_file_source_name(file, s));
		if (!known)
			fault(v, false, "rrd/%s: its data source %s is none of the family's", path, rrd_file_source_name(file, s));
	}
	for (uint32_t k = 0; k < f->n; k++)
		if (rrd_file_source(file, f->metrics[k].source, &gauge) >= 0 && !gauge)
			fault(v, false, "rrd/%s: its data source %s is of another type than GAUGE", path, f->metrics[k].source);
}

/* One that was moved aside is not missed. */
static void unlist(struct fold_family *f, const char *name)
{
	struct family_file *file, *next;

	HASH_ITER(hh, f->files, file, next)
		if (!strcmp(file->file, name)) {
			known_remove_file(f, file);
			return;
		}
}

static void verify_listed(struct verify *v, struct fold_family *f, const char *name, const char *path)
{
	struct family_file *file, *next;
	char instance[RRD_NAME_SIZE];
	bool known;

	HASH_ITER(hh, f->files, file, next)
		if (!strcmp(file->file, name))
			return;
	known = rrd_file_instance(name, instance, sizeof(instance));
	fault(v, v->repair && known && known_add_file(f, name, instance) == 0, "rrd/%s: %s/" RRD_FAMILY " does not say whose it is", path, f->name);
}

static void verify_rrd(struct verify *v, struct fold_family *f, const char *name)
{
	char path[64 + RRD_NAME_SIZE];
	struct rrd_file file;
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", f->name, name) >= sizeof(path))
		return;
	v->files++;
	r = rrd_file_open(v->rrd, path, &file);
	if (r < 0) {
		bool moved = r == -EBADMSG && v->repair && move_aside(v, path);

		fault(v, moved, "rrd/%s: %s", path, r == -EBADMSG ? "it is damaged, or no RRD file" : strerror(-r));
		if (moved)
			unlist(f, name);
		return;
	}
	verify_sources(v, f, &file, path);
	rrd_file_close(&file);
	verify_listed(v, f, name, path);
}

static void verify_missing(struct verify *v, struct fold_family *f)
{
	struct family_file *file, *next;
	char path[64 + RRD_NAME_SIZE];

	HASH_ITER(hh, f->files, file, next) {
		snprintf(path, sizeof(path), "%s/%s", f->name, file->file);
		if (faccessat(v->rrd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		fault(v, v->repair, "rrd/%s: it is not there, and %s/" RRD_FAMILY " says that it is", path, f->name);
		if (v->repair)
			known_remove_file(f, file);
	}
}

static bool is_rrd(const char *name)
{
	size_t n = strlen(name), suffix = strlen(RRD_SUFFIX);

	return n > suffix && *name != '.' && !strcmp(name + n - suffix, RRD_SUFFIX);
}

static int verify_family(struct verify *v, const char *name)
{
	int fd = openat(v->rrd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct fold_family *f;
	struct dirent *e;

	if (!d) {
		fault(v, false, "rrd/%s: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return 0;
	}
	r = known_read(v->rrd, name, &f);
	if (r < 0 && r != -ENOMEM) {
		fault(v, false, "rrd/%s/" RRD_FAMILY ": %s", name, r == -EBADMSG ? "it is no file of ours" : strerror(-r));
		r = known_new(name, &f);
	}
	if (r == 0) {
		while ((e = readdir(d)))
			if (is_rrd(e->d_name))
				verify_rrd(v, f, e->d_name);
		verify_missing(v, f);
		if (v->repair && f->n && known_write(v->rrd_path, f) < 0)
			fault(v, false, "rrd/%s/" RRD_FAMILY ": it cannot be written", name);
		known_free(f);
	}
	closedir(d);
	return r;
}

static int no_instance(const char *family, const char *name, int64_t step, void *user)
{
	(void)family;
	(void)name;
	(void)step;
	(void)user;
	return -ENOENT;
}

static int verify_state(struct verify *v)
{
	static const struct state_fns fns = { .instance = no_instance };
	struct state_head head;
	size_t length;
	char *text;
	int r = state_read(v->rrd_path, &text, &length);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = state_parse(text, length, &fns, NULL, &head);
	free(text);
	if (r == -EBADMSG)
		fault(v, v->repair && unlinkat(v->rrd, ".state", 0) == 0, "rrd/.state: it is damaged");
	return r == -EBADMSG ? 0 : r;
}

static int verify_rrds(struct verify *v)
{
	int fd = openat(v->rrd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t files;

	if (!d)
		return -errno;
	if (undo_pending(v->rrd) && v->repair && undo_restore(v->rrd, &files) > 0)
		printf("rrd/" UNDO_FILE ": an update of %zu files that was cut off was taken back\n", files);
	r = verify_state(v);
	while (r == 0 && (e = readdir(d)))
		if (name_part_valid(e->d_name))
			r = verify_family(v, e->d_name);
	closedir(d);
	return r;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------------------- */

static int open_at(const char *state, const char *name, char **ret_path)
{
	int fd;

	if (asprintf(ret_path, "%s/%s", state, name) < 0) {
		*ret_path = NULL;
		return -ENOMEM;
	}
	fd = open(*ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int verify_run(const char *state, bool repair)
{
	struct verify v = { .state = state, .repair = repair, .lock = -1 };
	char *journal = NULL;
	int r;

	v.journal = open_at(state, "journal", &journal);
	v.rrd = open_at(state, "rrd", &v.rrd_path);
	r = v.journal < 0 && v.rrd < 0 ? v.journal : 0;
	if (r == 0 && v.rrd >= 0) {
		v.lock = rrd_lock_open(v.rrd, repair);
		if (v.lock >= 0)
			flock(v.lock, repair ? LOCK_EX : LOCK_SH);
		r = verify_rrds(&v);
		rrd_unlock(v.lock);
	}
	if (r == 0 && v.journal >= 0)
		r = verify_journal(&v);
	if (r < 0)
		log_err("%s cannot be looked at: %s", state, strerror(-r));
	else
		printf("%lu segments with %llu samples, %lu RRD files: %lu faults, %lu repaired\n", v.segments, v.samples, v.files, v.faults, v.repaired);
	for (int k = 0; k < 3; k++) {
		int fd = (const int[]){ v.journal, v.rrd, v.lock }[k];

		if (fd >= 0)
			close(fd);
	}
	free(journal);
	free(v.rrd_path);
	return r < 0 ? r : v.faults > v.repaired;
}
