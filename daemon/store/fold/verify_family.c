/* --verify: RRD files, and what lies beside them */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/names.h"
#include "plugin.h"
#include "store/fold/rrdfile.h"
#include "store/fold/state.h"
#include "store/fold/undo.h"
#include "store/fold/verify_impl.h"

/* A family that is being looked at */
struct looking {
	struct verify *v;
	struct fold_family *f;
	struct buf mended;   /* faults that are none any more when its .family is written, a NUL behind each */
};

static void fault(struct looking *l, bool mended, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct looking *l, bool mended, const char *format, ...)
{
	struct buf line = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(mended ? &l->mended : &line, format, args);
	va_end(args);
	if (mended)
		buf_putc(&l->mended, '\0');
	else
		verify_fault(l->v, false, "%s", buf_text(&line));
	buf_free(&line);
}

/* ---- data sources ---------------------------------------------------------------------------------------------------------- */

/* A name that was too long for a data source is not to be had from it: rrd_source_name */
static bool is_cut(const char *source)
{
	return strlen(source) == RRD_SOURCE_SIZE - 1 && source[10] == '_' && strspn(source + 11, "0123456789abcdef") == 8;
}

/* By what segments say, or else by its name alone: that it is a gauge is a guess, until a segment says what it is. */
static bool mend_source(struct looking *l, const char *source, bool *ret_guessed)
{
	const struct fold_family *learned = verify_learned(l->v, l->f->name);
	const struct fold_metric *m = learned ? known_source(learned, source) : NULL;
	struct fold_metric guess = { .name = (char *)source, .unit = (char *)"1", .kind = KITH_GAUGE };

	*ret_guessed = !m;
	if (!m && (is_cut(source) || !name_part_valid(source)))
		return false;
	return known_take(l->f, m ? m : &guess) == 0;
}

static void unknown_source(struct looking *l, const char *path, const char *source, bool gauge)
{
	bool guessed = false;

	if (!gauge)
		fault(l, false, "rrd/%s: its data source %s is none of the family's, and no GAUGE: the file is somebody else's, to be moved away", path, source);
	else if (!l->v->repair && l->v->cut_off)
		return;
	else if (!l->v->repair)
		fault(l, false, "rrd/%s: its data source %s is none of the family's", path, source);
	else if (!mend_source(l, source, &guessed))
		fault(l, false, "rrd/%s: its data source %s is none of the family's, and no segment says what it is: a fold will when it is measured again, "
		      "or the file is to be moved away", path, source);
	else
		fault(l, true, "rrd/%s: its data source %s is none of the family's%s", path, source,
		      guessed ? "; no segment says what it is: a gauge until one does" : "");
}

/* Does it take what its family has? */
static void verify_sources(struct looking *l, const struct rrd_file *file, const char *path)
{
	const char *source;
	bool gauge = false;

	for (uint32_t k = 0; k < l->f->n; k++)
		if (rrd_file_source(file, l->f->metrics[k].source, &gauge) >= 0 && !gauge)
			fault(l, false, "rrd/%s: its data source %s is of another type than GAUGE", path, l->f->metrics[k].source);
	for (unsigned s = 0; s < file->n_sources; s++) {
		source = rrd_file_source_name(file, s);
		if (known_source(l->f, source))
			continue;
		rrd_file_source(file, source, &gauge);
		unknown_source(l, path, source, gauge);
	}
}

/* ---- files ------------------------------------------------------------------------------------------------------------------- */

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

static const struct family_file *listed(const struct fold_family *f, const char *name)
{
	for (const struct family_file *file = f ? f->files : NULL; file; file = file->hh.next)
		if (!strcmp(file->file, name))
			return file;
	return NULL;
}

static bool is_there(const struct looking *l, const char *name)
{
	char path[64 + RRD_NAME_SIZE];

	snprintf(path, sizeof(path), "%s/%s", l->f->name, name);
	return faccessat(l->v->rrd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A long name is cut in the file's: of such a one segments alone know whose it is. */
static bool mend_listed(struct looking *l, const char *name)
{
	const struct family_file *known = listed(verify_learned(l->v, l->f->name), name);
	char instance[RRD_NAME_SIZE];
	struct family_file *other;

	if (!known && !rrd_file_instance(name, instance, sizeof(instance)))
		return false;
	HASH_FIND_STR(l->f->files, known ? known->instance : instance, other);
	/* One instance, one file */
	if (other && is_there(l, other->file))
		return false;
	return known_add_file(l->f, name, known ? known->instance : instance) == 0;
}

static void verify_listed(struct looking *l, const char *name, const char *path)
{
	const char *of = l->f->name;

	if (listed(l->f, name) || (l->v->cut_off && !l->v->repair))
		return;
	if (!l->v->repair)
		fault(l, false, "rrd/%s: %s/" RRD_FAMILY " does not say whose it is", path, of);
	else if (mend_listed(l, name))
		fault(l, true, "rrd/%s: %s/" RRD_FAMILY " does not say whose it is", path, of);
	else
		fault(l, false, "rrd/%s: %s/" RRD_FAMILY " does not say whose it is, nor do its name and the segments: it is to be moved away", path, of);
}

static void verify_rrd(struct looking *l, const char *name)
{
	char path[64 + RRD_NAME_SIZE];
	struct verify *v = l->v;
	struct rrd_file file;
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", l->f->name, name) >= sizeof(path))
		return;
	v->files++;
	r = rrd_file_open(v->rrd, path, &file);
	if (r < 0) {
		bool moved = r == -EBADMSG && v->repair && move_aside(v, path);

		verify_fault(v, moved, "rrd/%s: %s", path, r == -EBADMSG ? "it is damaged, or no RRD file" : strerror(-r));
		if (moved)
			unlist(l->f, name);
		return;
	}
	verify_sources(l, &file, path);
	rrd_file_close(&file);
	verify_listed(l, name, path);
}

static void verify_missing(struct looking *l)
{
	struct family_file *file, *next;

	HASH_ITER(hh, l->f->files, file, next) {
		if (is_there(l, file->file))
			continue;
		fault(l, l->v->repair, "rrd/%s/%s: it is not there, and %s/" RRD_FAMILY " says that it is", l->f->name, file->file, l->f->name);
		if (l->v->repair)
			known_remove_file(l->f, file);
	}
}

static bool is_rrd(const char *name)
{
	size_t n = strlen(name), suffix = strlen(RRD_SUFFIX);

	return n > suffix && *name != '.' && !strcmp(name + n - suffix, RRD_SUFFIX);
}

/* ---- families ---------------------------------------------------------------------------------------------------------------- */

/* Its .family is not there or of no use: what segments say of it is taken, and of its files what they say themselves */
static void mend_label(struct looking *l, const char *why)
{
	const struct fold_family *learned = l->v->repair ? verify_learned(l->v, l->f->name) : NULL;
	bool known = learned && known_take_label(l->f, learned) == 0;

	l->f->changed = true;
	fault(l, l->v->repair, "rrd/%s/" RRD_FAMILY ": %s%s", l->f->name, why,
	      l->v->repair && !known ? "; no segment says what its instances are called, and how long values stand: for ever until one does" : "");
}

static int finish(struct looking *l)
{
	int r = l->v->repair ? known_write(l->v->rrd_path, l->f) : 0;

	if (r < 0)
		verify_fault(l->v, false, "rrd/%s/" RRD_FAMILY ": it cannot be written: %s", l->f->name, strerror(-r));
	for (const char *at = l->mended.data; !l->mended.failed && at && at < l->mended.data + l->mended.length; at += strlen(at) + 1)
		verify_fault(l->v, r == 0, "%s", at);
	return l->mended.failed ? -ENOMEM : 0;
}

static int verify_files(struct verify *v, struct fold_family *f, const char *why, DIR *d)
{
	struct looking l = { .v = v, .f = f };
	unsigned long before = v->files;
	struct dirent *e;
	int r;

	while ((e = readdir(d)))
		if (is_rrd(e->d_name))
			verify_rrd(&l, e->d_name);
	verify_missing(&l);
	/* In an empty folder there is nothing to be said of. */
	if (why && v->files > before && (v->repair || !v->cut_off))
		mend_label(&l, why);
	r = finish(&l);
	buf_free(&l.mended);
	return r;
}

static int verify_family(struct verify *v, const char *name)
{
	int fd = openat(v->rrd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct fold_family *f = NULL;
	const char *why = NULL;

	if (!d) {
		verify_fault(v, false, "rrd/%s: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return 0;
	}
	r = known_read(v->rrd, name, &f);
	if (r == -ENOENT || r == -EBADMSG || r == -ELOOP) {
		why = r == -ENOENT ? strerror(ENOENT) : "it is no file of ours";
		r = known_new(name, &f);
	} else if (r == 0 && !f->told) {
		why = "it does not say what the family is";
	}
	if (r == 0)
		r = verify_files(v, f, why, d);
	else if (r != -ENOMEM) {
		verify_fault(v, false, "rrd/%s/" RRD_FAMILY ": %s", name, strerror(-r));
		r = 0;
	}
	known_free(f);
	closedir(d);
	return r;
}

static int verify_state(struct verify *v)
{
	struct state_head head;
	size_t length;
	char *text;
	int r = state_read(v->rrd_path, &text, &length);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = state_parse(text, length, NULL, NULL, &head);
	free(text);
	if (r == -EBADMSG)
		verify_fault(v, v->repair && unlinkat(v->rrd, ".state", 0) == 0, "rrd/.state: it is damaged");
	if (r == 0)
		v->folded = head.number;
	return r == -EBADMSG ? 0 : r;
}

/* What an update that was cut off has left. Without --repair the next fold takes it back, and it is no fault. */
static int verify_undo(struct verify *v)
{
	size_t files;
	int r = undo_check(v->rrd);

	if (r == -EBADMSG) {
		verify_fault(v, v->repair && undo_done(v->rrd) == 0, "rrd/" UNDO_FILE ": it is damaged: an update that was cut off cannot be taken back");
		return 0;
	}
	if (r == 0 && v->repair && undo_restore(v->rrd, &files) > 0)
		printf("rrd/" UNDO_FILE ": an update of %zu files that was cut off was taken back\n", files);
	return r;
}

int verify_rrds(struct verify *v)
{
	int fd = openat(v->rrd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return -errno;
	/* A fold that was cut off before it said of its new files whose they are: the next one does. */
	v->cut_off = undo_begun(v->rrd) || faccessat(v->rrd, ".state", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
	r = verify_undo(v);
	if (r == 0)
		r = verify_state(v);
	while (r == 0 && (e = readdir(d)))
		if (name_part_valid(e->d_name))
			r = verify_family(v, e->d_name);
	closedir(d);
	return r;
}

