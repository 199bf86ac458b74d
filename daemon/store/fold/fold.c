#include "store/fold/fold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/fold/open.h"
#include "store/journal.h"

#define MISSING_MAX 4096u /* numbers that are looked for between two segments */

/* ---- begin and end --------------------------------------------------------------------------------------------------- */

static int open_all(struct fold *f)
{
	int r;

	if (asprintf(&f->journal_path, "%s/journal", f->config.state) < 0)
		f->journal_path = NULL;
	if (asprintf(&f->state_path, "%s/rrd", f->config.state) < 0)
		f->state_path = NULL;
	f->rrd_path = f->config.rrd ? strdup(f->config.rrd) : f->state_path ? strdup(f->state_path) : NULL;
	if (!f->journal_path || !f->state_path || !f->rrd_path)
		return -ENOMEM;
	f->journal = open(f->journal_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->journal < 0) {
		r = -errno;
		log_err("%s: %s", f->journal_path, strerror(-r));
		return r;
	}
	if (mkdir(f->rrd_path, 0700) < 0 && errno != EEXIST) {
		r = -errno;
		log_err("%s cannot be made: %s", f->rrd_path, strerror(-r));
		return r;
	}
	f->folder = open(f->rrd_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->folder < 0) {
		r = -errno;
		log_err("%s: %s", f->rrd_path, strerror(-r));
		return r;
	}
	return 0;
}

static int lock_all(struct fold *f)
{
	f->lock = openat(f->folder, RRD_FOLD_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	f->update_lock = rrd_lock_open(f->folder, true);
	if (f->lock < 0 || f->update_lock < 0) {
		int r = f->lock < 0 ? -errno : f->update_lock;

		log_err("%s cannot be locked: %s", f->rrd_path, strerror(-r));
		return r;
	}
	if (flock(f->lock, LOCK_EX | LOCK_NB) < 0) {
		log_err("another kith-fold is at work in %s", f->rrd_path);
		return -EBUSY;
	}
	return 0;
}

static void close_all(struct fold *f)
{
	struct fold_instance *i, *next_i;
	struct fold_group *g, *next_g;

	HASH_ITER(hh, f->groups, g, next_g) {
		HASH_ITER(hh, g->instances, i, next_i)
			fold_instance_free(f, i);
		HASH_DEL(f->groups, g);
		known_free(g->family);
		free(g);
	}
	if (f->connected)
		f->rrd.cached_disconnect();
	for (int k = 0; k < 4; k++) {
		int fd = (const int[]){ f->journal, f->folder, f->lock, f->update_lock }[k];

		if (fd >= 0)
			close(fd);
	}
	free(f->journal_path);
	free(f->state_path);
	free(f->rrd_path);
}

/* ---- how far it went --------------------------------------------------------------------------------------------------- */

int folded_read(int journal, uint64_t *ret_number)
{
	char text[FOLDED_SIZE + 1] = { 0 };
	int fd = openat(journal, JOURNAL_FOLDED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && folded_parse(text, ret_number) ? 1 : -EBADMSG;
}

int folded_write(const char *journal_path, int journal, uint64_t number)
{
	char *path = NULL, *beside = NULL, text[FOLDED_SIZE];
	size_t n = folded_format(number, text);
	int r = -ENOMEM;

	if (asprintf(&path, "%s/" JOURNAL_FOLDED, journal_path) < 0)
		path = NULL;
	if (asprintf(&beside, "%s/" JOURNAL_FOLDED ".new", journal_path) < 0)
		beside = NULL;
	if (path && beside)
		r = file_replace(path, beside, text, n, true);
	if (r == 0)
		fsync(journal);
	free(path);
	free(beside);
	return r;
}

/* All rows that are whole are written; then the state, then what was folded. In this order: each is of use without the next. */
static int checkpoint(struct fold *f)
{
	int r = write_all_rows(f);

	if (r < 0 || f->failed)
		return r;
	r = state_save(f);
	if (r == 0 && fsync(f->folder) < 0)
		r = -errno;
	if (r < 0)
		log_err("%s/.state cannot be written: %s", f->rrd_path, strerror(-r));
	if (r == 0 && !f->config.export_only) {
		r = folded_write(f->journal_path, f->journal, f->number);
		if (r < 0)
			log_err("%s/" JOURNAL_FOLDED " cannot be written: %s", f->journal_path, strerror(-r));
	}
	f->failed |= r < 0;
	return r;
}

/* ---- segments ------------------------------------------------------------------------------------------------------------ */

static bool is_there(int journal, uint64_t number, const char *suffix)
{
	char name[SEGMENT_NAME_SIZE + 8];

	snprintf(name, sizeof(name), SEGMENT_NAME "%s", (unsigned long long)number, suffix);
	return faccessat(journal, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool segments_missing(int journal, uint64_t before, uint64_t after, uint64_t folded, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t first = (before > folded ? before : folded) + 1, missing = 0;

	for (uint64_t n = first; n < after; n++) {
		/* What was set aside was said then. */
		if (n - first < MISSING_MAX && (is_there(journal, n, "") || is_there(journal, n, SEGMENT_ASIDE)))
			continue;
		if (!missing++)
			*ret_first = n;
		*ret_last = n;
		if (n - first >= MISSING_MAX) {
			*ret_last = after - 1;
			break;
		}
	}
	/* kithd removes the oldest alone: when the one before is gone meanwhile, these went in the same way. */
	return missing && is_there(journal, before, "");
}

static void say_missing(struct fold *f, uint64_t before, uint64_t after)
{
	uint64_t first, last;

	if (f->config.export_only || !segments_missing(f->journal, before, after, before, &first, &last))
		return;
	f->bad = true;
	if (first == last)
		log_warning("segment %llu is missing: what it had is lost", (unsigned long long)first);
	else
		log_warning("segments %llu to %llu are missing: what they had is lost", (unsigned long long)first, (unsigned long long)last);
}

/* 0: taken in, or of no use; 1: it is still written; -errno: it cannot be read now */
static int take(struct fold *f, uint64_t number, bool last)
{
	struct segment s;
	int r = segment_read(f->journal, number, &s);

	if (r == -ENOENT)
		return 0;
	if (r == -ENODATA && last)
		return 1;
	if (r == -EBADMSG || r == -EFBIG || r == -ENODATA) {
		log_warning(SEGMENT_NAME " is no segment, and left out", (unsigned long long)number);
		f->bad = true;
		return 0;
	}
	if (r < 0) {
		log_err(SEGMENT_NAME " cannot be read: %s", (unsigned long long)number, strerror(-r));
		f->failed = true;
		return r;
	}
	if (s.head.number != number) {
		log_warning(SEGMENT_NAME " says that it is number %llu, and is left out", (unsigned long long)number, (unsigned long long)s.head.number);
		f->bad = true;
		segment_free(&s);
		return 0;
	}
	if (!s.sealed && last && !f->config.export_only) {
		segment_free(&s);
		return 1;
	}
	if (s.lost && s.sealed)
		log_warning(SEGMENT_NAME ": %zu bytes behind its end are left out", (unsigned long long)number, s.lost);
	r = fold_segment(f, &s);
	segment_free(&s);
	return r;
}

static int take_all(struct fold *f)
{
	struct segment_file *files;
	uint64_t before = 0; /* the last one that is there and was taken in, now or in time past; 0: none */
	bool any = false;
	size_t n;
	int r = segment_list(f->journal, &files, &n);

	for (size_t k = 0; r == 0 && k < n; k++) {
		if (files[k].number <= f->number) {
			before = files[k].number;
			continue;
		}
		r = take(f, files[k].number, k + 1 == n);
		if (r == 0 && f->number == files[k].number) {
			if (before)
				say_missing(f, before, f->number);
			before = f->number;
		}
		any |= r == 0;
		if (r == 0 && f->held > FOLD_HELD_MAX)
			r = checkpoint(f);
	}
	free(files);
	if (r == -ENOMEM)
		log_err("no memory");
	if (r >= 0 && any)
		return checkpoint(f);
	/* The last one may have ended between its state and this. */
	if (r >= 0 && f->number != f->told && !f->config.export_only && folded_write(f->journal_path, f->journal, f->number) < 0)
		f->failed = true;
	return r;
}

static int load(struct fold *f)
{
	int r = folded_read(f->journal, &f->told);

	/* A journal that began anew counts from 1 again. */
	r = f->config.export_only || r != 0 ? state_load(f) : 0;
	return r == -ENOENT || r == 0 ? 0 : r;
}

static void say(const struct fold *f)
{
	const struct fold_counts *c = &f->counts;

	if (c->future)
		log_warning("%llu samples are ahead of the clock by more than a day, and left out", (unsigned long long)c->future);
	if (c->odd)
		log_warning("%llu families or metrics have names that are none, and are left out", (unsigned long long)c->odd);
	if (c->backwards)
		log_notice("%llu samples are of steps that were told before, and left out: the clock was set back",
		           (unsigned long long)c->backwards);
	log_info("%llu segments, %llu samples: %llu rows in %llu updates; %llu values were there already; %llu files made, %llu removed",
	         (unsigned long long)c->segments, (unsigned long long)c->samples, (unsigned long long)c->rows, (unsigned long long)c->updates,
	         (unsigned long long)c->skipped, (unsigned long long)c->created, (unsigned long long)c->removed);
}

int fold_run(const struct fold_config *config)
{
	struct fold f = { .config = *config, .journal = -1, .folder = -1, .lock = -1, .update_lock = -1, .now = clock_wall() };
	int r = open_all(&f);

	if (r == 0)
		r = lock_all(&f);
	if (r == 0)
		r = write_restore(&f);
	if (r == 0)
		r = write_connect(&f);
	if (r == 0)
		r = load(&f);
	if (r == 0) {
		r = take_all(&f);
		if (r >= 0 && !f.failed && !f.config.export_only)
			write_remove_old(&f);
		say(&f);
		r = r < 0 || f.failed || f.bad ? 1 : 0;
	}
	close_all(&f);
	return r;
}
