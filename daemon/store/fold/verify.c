#include "store/fold/verify.h"

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
#include "store/fold/fold.h"
#include "store/fold/open.h"
#include "store/fold/verify_impl.h"
#include "store/journal.h"
#include "store/segment.h"

void verify_fault(struct verify *v, bool repaired, const char *format, ...)
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
		verify_fault(v, v->repair && cut(v, name, s), "journal/%s: %zu bytes behind its last good frame are damaged", name, s->lost);
	else if (!last)
		verify_fault(v, v->repair && cut(v, name, s), "journal/%s: its seal is missing", name);
}

/* What is none of ours at its place, and never will be: it goes out of the way, and is kept. */
static bool set_aside(const struct verify *v, const char *name, bool last)
{
	int fd = openat(v->journal, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char to[SEGMENT_NAME_SIZE + 8];
	bool written = fd >= 0 && is_written(fd, last);

	if (fd >= 0)
		close(fd);
	snprintf(to, sizeof(to), "%s" SEGMENT_ASIDE, name);
	if (written || renameat(v->journal, name, v->journal, to) < 0)
		return false;
	fsync(v->journal);
	return true;
}

static void useless(struct verify *v, const char *name, bool last, const char *why)
{
	if (v->repair && set_aside(v, name, last))
		verify_fault(v, true, "journal/%s: %s; it is journal/%s" SEGMENT_ASIDE " now", name, why, name);
	else
		verify_fault(v, false, "journal/%s: %s", name, why);
}

static int verify_samples(struct verify *v, const char *name, const struct segment *s)
{
	static const struct unpack_fns fns = { .sample = count };
	struct unpacker *u;
	int r = unpacker_new(s->head.begin, &fns, &v->samples, &u);

	if (r < 0)
		return r;
	r = unpacker_feed(u, s->data, s->length);
	if (r == -EBADMSG) {
		verify_fault(v, false, "journal/%s: behind its first %llu samples there is what is none", name, (unsigned long long)unpacker_samples(u));
		r = 0;
	}
	unpacker_free(u);
	return r;
}

/* 1: it is a segment, and that one; 0: it is not; -ENOMEM */
static int verify_segment(struct verify *v, uint64_t number, bool last)
{
	char name[SEGMENT_NAME_SIZE], why[64];
	struct segment s;
	int r = segment_read(v->journal, number, &s);

	segment_name(number, name);
	v->segments++;
	/* kithd is about to begin it, or ended then and does so when it starts. */
	if (r == -ENODATA && last)
		return 0;
	if (r == -ENOMEM || r == -ENOENT)
		return r == -ENOENT ? 0 : r;
	if (r == -EBADMSG || r == -EFBIG || r == -ENODATA || r == -ELOOP) {
		useless(v, name, last, r == -ENODATA ? "it is empty" : "it is no segment");
		return 0;
	}
	if (r < 0) {
		verify_fault(v, false, "journal/%s: %s", name, strerror(-r));
		return 0;
	}
	if (s.head.number != number) {
		snprintf(why, sizeof(why), "it says that it is number %llu", (unsigned long long)s.head.number);
		useless(v, name, last, why);
	} else {
		verify_tail(v, name, &s, last);
		r = verify_samples(v, name, &s);
		r = r == 0 ? 1 : r;
	}
	segment_free(&s);
	return r;
}

static void verify_between(struct verify *v, uint64_t before, uint64_t after, uint64_t folded)
{
	char from[SEGMENT_NAME_SIZE], to[SEGMENT_NAME_SIZE];
	uint64_t first, last;

	if (!segments_missing(v->journal, before, after, folded, &first, &last))
		return;
	segment_name(first, from);
	segment_name(last, to);
	if (first == last)
		verify_fault(v, false, "journal: segment %llu (%s) is missing: what it had is lost, and kith-fold will go on behind it",
		             (unsigned long long)first, from);
	else
		verify_fault(v, false, "journal: segments %llu to %llu (%s to %s) are missing: what they had is lost, and kith-fold will go on behind them",
		             (unsigned long long)first, (unsigned long long)last, from, to);
}

/* Without it kithd removes nothing, and with another one too much. What rrd/.state knows the end of is in RRD files. */
static uint64_t verify_folded(struct verify *v)
{
	uint64_t number = 0;
	int r = folded_read(v->journal, &number);
	bool done;

	if (r >= 0)
		return number;
	if (r != -EBADMSG) {
		verify_fault(v, false, "journal/" JOURNAL_FOLDED ": %s", strerror(-r));
		return 0;
	}
	done = v->repair && (v->folded ? folded_write(v->journal_path, v->journal, v->folded) == 0 : unlinkat(v->journal, JOURNAL_FOLDED, 0) == 0);
	verify_fault(v, done, "journal/" JOURNAL_FOLDED ": it is damaged");
	return v->folded;
}

static int verify_journal(struct verify *v)
{
	struct segment_file *files;
	uint64_t before = 0, folded;
	size_t n;
	int r = segment_list(v->journal, &files, &n);

	if (r < 0)
		return r;
	/* After the list: what was folded meanwhile may be gone. */
	folded = verify_folded(v);
	for (size_t k = 0; r >= 0 && k < n; k++) {
		r = verify_segment(v, files[k].number, k + 1 == n);
		if (r <= 0)
			continue;
		if (before)
			verify_between(v, before, files[k].number, folded);
		before = files[k].number;
	}
	free(files);
	return r < 0 ? r : 0;
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

/* Nobody folds while something is put right, nor are files changed while they are looked at. */
static void lock(struct verify *v)
{
	v->fold_lock = v->repair ? openat(v->rrd, RRD_FOLD_LOCK, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (v->fold_lock >= 0)
		flock(v->fold_lock, LOCK_EX);
	v->lock = rrd_lock_open(v->rrd, v->repair);
	if (v->lock >= 0)
		flock(v->lock, v->repair ? LOCK_EX : LOCK_SH);
}

int verify_run(const char *state, bool repair)
{
	struct verify v = { .state = state, .repair = repair, .lock = -1, .fold_lock = -1 };
	int r;

	v.journal = open_at(state, "journal", &v.journal_path);
	v.rrd = open_at(state, "rrd", &v.rrd_path);
	r = v.journal < 0 && v.rrd < 0 ? v.journal : 0;
	if (r == 0 && v.rrd >= 0) {
		lock(&v);
		r = verify_rrds(&v);
		rrd_unlock(v.lock);
	}
	if (r == 0 && v.journal >= 0)
		r = verify_journal(&v);
	if (r < 0)
		log_err("%s cannot be looked at: %s", state, strerror(-r));
	else
		printf("%lu segments with %llu samples, %lu RRD files: %lu faults, %lu repaired\n", v.segments, v.samples, v.files, v.faults, v.repaired);
	for (int k = 0; k < 4; k++) {
		int fd = (const int[]){ v.journal, v.rrd, v.lock, v.fold_lock }[k];

		if (fd >= 0)
			close(fd);
	}
	verify_forget(&v);
	free(v.journal_path);
	free(v.rrd_path);
	return r < 0 ? r : v.faults > v.repaired;
}
