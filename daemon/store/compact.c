/*
 * The file is made smaller: what is older than a day becomes sums, one for each promise and half a day in which it changed; what is older
 * than 30 days goes, save how each promise stood then. What was written meanwhile is copied behind; then the new file takes the old one's
 * place by a rename. In steps, so that nobody waits for it. Where that is not small enough, younger transitions become sums as well, and
 * then the time that is kept is halved until it is.
 *
 * A sum begins and ends with a transition: that the promise stood still before and after is what the lines around it say already. So sums
 * lose nothing of the durations, and a promise that stands still costs nothing.
 */
#include "store/history_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR (3600 * NS_PER_S)
#define DAY (24 * HOUR)
#define FOLD_AFTER DAY
#define KEEP (30 * DAY)
#define KEEP_LEAST DAY
#define BUCKET (12 * HOUR)
#define BUCKET_YOUNG (900 * NS_PER_S) /* of transitions that are folded for want of room */
#define FLUSH_AT_ONCE 512             /* promises a step */
#define STOP 1                        /* what line_cb ends the reading with: from here on the lines are kept */

struct fold {
	UT_hash_handle hh;
	struct track track;
	bool adding, emitted;
	uint8_t to;             /* after the sum's last transition */
	uint8_t from;           /* before its first */
	struct history_sum sum;
	int64_t end;
	size_t key_length;
	char key[];
};

enum stage { STAGE_FOLD, STAGE_FLUSH, STAGE_COPY };

struct compaction {
	enum stage stage;
	int fd;                 /* of the new file */
	struct history_reader reader;
	struct fold *folds, *next;
	struct marks away, lost;
	int64_t now, horizon;   /* times on the clock of now; horizon: what ended before it is dropped */
	off_t young;            /* offset of what may be kept as it is, for its size */
	off_t cut;              /* from here on the file is kept as it is */
	off_t size;             /* of the new file */
	bool copying;           /* some of it was copied */
	uint64_t dropped;       /* sums and transitions that the last 30 days would have held */
	struct buf out;
};

static void folds_free(struct compaction *c)
{
	struct fold *f, *next;

	HASH_ITER(hh, c->folds, f, next)
	{
		HASH_DEL(c->folds, f);
		free(f);
	}
	marks_free(&c->away);
	marks_free(&c->lost);
}

static void compact_free(struct history *h)
{
	struct compaction *c = h->compaction;

	folds_free(c);
	history_reader_close(&c->reader);
	buf_free(&c->out);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	h->compaction = NULL;
}

void compact_cancel(struct history *h)
{
	if (!h->compaction)
		return;
	compact_free(h);
	unlink(h->new_path);
}

/* Not again before the file has doubled once more */
static void compact_fail(struct history *h, int error)
{
	compact_cancel(h);
	h->compacted = h->size;
	history_say(h, KITH_WARNING, "the history of promises could not be made smaller: %s", strerror(-error));
}

/* ---- out -------------------------------------------------------------------------------------------------------- */

static int out_flush(struct history *h)
{
	struct compaction *c = h->compaction;
	ssize_t n;

	if (c->out.failed)
		return -ENOMEM;
	if (!c->out.length)
		return 0;
	n = h->config.write(c->fd, c->out.data, c->out.length, h->config.user);
	if (n < 0)
		return -errno;
	if ((size_t)n < c->out.length)
		return -ENOSPC;
	c->size += n;
	buf_reset(&c->out);
	return 0;
}

static void emit(struct compaction *c, struct fold *f)
{
	if (!f->adding)
		return;
	f->adding = false;
	if (f->end < c->horizon) {
		if (f->end >= c->now - KEEP)
			c->dropped += (uint64_t)f->sum.transitions;
		return;
	}
	/* One alone needs no sum, where the lines before it say what it ends. */
	if (f->emitted && f->sum.transitions == 1 && f->sum.start == f->end) {
		history_put_line(&c->out, f->key, f->key_length, f->end, (enum kith_assessment)f->from, (enum kith_assessment)f->to,
		                 f->sum.repairs > 0);
		return;
	}
	f->emitted = true;
	history_put_sum(&c->out, f->key, f->key_length, &f->sum, f->end, (enum kith_assessment)f->to);
}

/* ---- folding ----------------------------------------------------------------------------------------------------- */

static int64_t bucket_of(const struct compaction *c, int64_t at)
{
	return at < c->now - FOLD_AFTER ? at / BUCKET : -(at / BUCKET_YOUNG);
}

/* Something happens at the end of what passed: in the sum that is being added up, or as the first of a new one */
static void fold_at(struct compaction *c, struct fold *f, const struct passed *p)
{
	if (f->adding && bucket_of(c, f->sum.start) == bucket_of(c, p->to)) {
		if (p->state == KITH_KEPT)
			f->sum.kept += p->to - p->from;
		else if (p->state == KITH_BROKEN)
			f->sum.broken += p->to - p->from;
		f->end = p->to;
		return;
	}
	emit(c, f);
	f->adding = true;
	f->sum = (struct history_sum){ .start = p->to };
	f->end = p->to;
}

/* How it stands after what just happened */
static void fold_state(struct fold *f)
{
	f->to = f->track.state;
	f->sum.open = f->track.definite == KITH_BROKEN ? f->track.open : -1;
}

static void fold_away(struct compaction *c, struct fold *f)
{
	struct passed p;

	if (!track_away(&f->track, &c->away, &p))
		return;
	fold_at(c, f, &p);
	fold_state(f);
}

static void fold_transition(struct compaction *c, struct fold *f, const struct history_line *line, int64_t at)
{
	struct passed p = track_until(&f->track, at, line->from, &c->lost);
	int64_t mended;

	at = f->track.since; /* not before what was there already */
	if (p.to < at) {
		struct passed gap = { KITH_UNKNOWN, p.to, at };

		fold_at(c, f, &p);
		f->to = KITH_UNKNOWN;
		f->sum.open = f->track.definite == KITH_BROKEN ? f->track.open : -1;
		p = gap;
	}
	fold_at(c, f, &p);
	if (!f->sum.transitions++)
		f->from = (uint8_t)line->from;
	f->sum.breaks += track_change(&f->track, at, line->to, &mended);
	f->sum.repairs += line->repaired;
	if (mended >= 0) {
		f->sum.mends++;
		f->sum.mend_time += mended;
		if (mended > f->sum.longest)
			f->sum.longest = mended;
	}
	fold_state(f);
}

static void fold_sum(struct compaction *c, struct fold *f, const struct history_line *line, int64_t at)
{
	const struct history_sum *s = &line->sum;
	struct passed p = track_until(&f->track, at - (line->time - s->start), (enum kith_assessment)f->track.state, &c->lost);

	fold_at(c, f, &p);
	f->sum.kept += s->kept;
	f->sum.broken += s->broken;
	f->sum.transitions += s->transitions;
	f->sum.breaks += s->breaks;
	f->sum.repairs += s->repairs;
	f->sum.mends += s->mends;
	f->sum.mend_time += s->mend_time;
	if (s->longest > f->sum.longest)
		f->sum.longest = s->longest;
	if (at > f->end)
		f->end = at;
	track_sum(&f->track, line, at);
	fold_state(f);
}

static struct fold *fold_get(struct compaction *c, const struct history_line *line)
{
	struct fold *f;

	HASH_FIND(hh, c->folds, line->key, line->key_length, f);
	if (f)
		return f;
	f = calloc(1, sizeof(*f) + line->key_length);
	if (!f)
		return NULL;
	f->track = (struct track)TRACK_INIT;
	f->track.away = c->away.n;
	f->track.lost = c->lost.n;
	f->key_length = line->key_length;
	memcpy(f->key, line->key, line->key_length);
	HASH_ADD_KEYPTR(hh, c->folds, f->key, f->key_length, f);
	if (!f->hh.tbl) {
		free(f);
		return NULL;
	}
	return f;
}

static int line_cb(const struct history_line *line, int64_t at, int64_t end_at, void *user)
{
	struct compaction *c = user;
	struct fold *f;

	if (!line)
		return marks_add(&c->lost, at);
	if (at >= c->now - FOLD_AFTER && c->reader.offset >= c->young) {
		/* A begin or a jump was taken in already; it is to be read again with those that stay. */
		c->reader.seen = c->reader.before;
		return STOP;
	}
	switch (line->kind) {
	case HISTORY_TRANSITION:
	case HISTORY_SUM:
		f = fold_get(c, line);
		if (!f)
			return -ENOMEM;
		fold_away(c, f);
		if (line->kind == HISTORY_SUM)
			fold_sum(c, f, line, at);
		else
			fold_transition(c, f, line, at);
		return 0;
	case HISTORY_BEGIN:
		return marks_add(&c->away, end_at);
	case HISTORY_LOST:
		return marks_add(&c->lost, at - (line->time - line->other));
	case HISTORY_END:
	case HISTORY_JUMP:
	case HISTORY_COMMENT:
		return 0;
	}
	return 0;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static int fold_begin(struct history *h)
{
	struct compaction *c = h->compaction;
	int r;

	folds_free(c);
	history_reader_close(&c->reader);
	buf_reset(&c->out);
	c->dropped = 0;
	c->stage = STAGE_FOLD;
	if (ftruncate(c->fd, 0) < 0)
		return -errno;
	c->size = 0;
	r = history_reader_open(&c->reader, h, c->now);
	if (r < 0)
		return r;
	buf_free(&c->reader.tail); /* it will be written behind */
	c->young = h->size - (off_t)h->config.max / 2;
	buf_puts(&c->out, "# History of promises: kith-history(5). kithd writes to it.\n");
	return 0;
}

void compact_begin(struct history *h, int64_t now)
{
	struct compaction *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return; /* on another tick */
	h->compaction = c;
	c->now = now;
	c->horizon = now - KEEP;
	c->fd = -1;
	c->reader.fd = -1;
	r = history_open_file(h->new_path, O_RDWR | O_APPEND | O_CREAT | O_TRUNC, &c->fd);
	if (r == 0)
		r = fold_begin(h);
	if (r < 0)
		compact_fail(h, r);
}

static int fold_step(struct history *h)
{
	struct compaction *c = h->compaction;
	int r = history_reader_step(&c->reader, line_cb, c);

	if (r < 0)
		return r;
	if (r != STOP || !c->reader.stopped) {
		if (r)
			return 0;
		c->cut = c->reader.end;
	} else {
		c->cut = c->reader.offset;
	}
	c->stage = STAGE_FLUSH;
	c->next = c->folds;
	return 0;
}

/* The last sum of each promise, or how it stood when what is kept begins */
static int flush_step(struct history *h)
{
	struct compaction *c = h->compaction;
	int64_t ahead;

	for (int i = 0; i < FLUSH_AT_ONCE && c->next; i++, c->next = c->next->hh.next) {
		struct fold *f = c->next;

		fold_away(c, f);
		emit(c, f);
		if (f->emitted || f->track.state == KITH_UNKNOWN)
			continue;
		f->end = f->track.since > c->now - KEEP ? f->track.since : c->now - KEEP;
		f->sum = (struct history_sum){ .start = f->end };
		fold_state(f);
		history_put_sum(&c->out, f->key, f->key_length, &f->sum, f->end, (enum kith_assessment)f->to);
	}
	if (c->next)
		return 0;
	/* Sums are on the clock of now, what is behind on that of then: it is set back to it. */
	ahead = c->reader.total - c->reader.seen;
	if (ahead)
		buf_printf(&c->out, "jump\t%lld\t%lld\n", (long long)(c->reader.last - ahead), (long long)-ahead);
	folds_free(c);
	c->stage = STAGE_COPY;
	return 0;
}

static int compact_swap(struct history *h)
{
	struct compaction *c = h->compaction;
	int64_t keep = c->now - c->horizon;
	uint64_t dropped = c->dropped;

	if (rename(h->new_path, h->path) < 0)
		return -errno;
	close(h->fd);
	h->fd = c->fd;
	h->size = h->compacted = c->size;
	h->counts.compactions++;
	c->fd = -1;
	compact_free(h);
	if (dropped)
		history_say(h, KITH_WARNING, "the history of promises is too large: all but the last %.1f days of it was dropped, %llu transitions",
		            (double)keep / (double)DAY, (unsigned long long)dropped);
	return 0;
}

static int copy_step(struct history *h)
{
	struct compaction *c = h->compaction;
	char *chunk = c->reader.chunk;
	off_t left = h->size - c->cut;
	ssize_t n;
	int r;

	n = pread(h->fd, chunk, left < (off_t)HISTORY_CHUNK ? (size_t)left : HISTORY_CHUNK, c->cut);
	if (n < 0 || (n == 0 && left > 0))
		return n < 0 ? -errno : -EIO;
	buf_append(&c->out, chunk, (size_t)n);
	c->cut += n;
	c->copying = true;
	r = out_flush(h);
	/* At once: in a storm there is always one more line. */
	return r == 0 && c->cut == h->size ? compact_swap(h) : r;
}

/* Too many sums, beside what is kept as it is: the same again, of half the time */
static bool is_too_much(const struct history *h)
{
	const struct compaction *c = h->compaction;
	off_t max = (off_t)h->config.max, kept = c->stage == STAGE_FOLD ? 0 : c->reader.end - c->cut;

	return !c->copying && c->size > max - (kept < max / 2 ? kept : max / 2) && c->now - c->horizon > KEEP_LEAST;
}

void compact_step(struct history *h)
{
	struct compaction *c = h->compaction;
	int r = 0;

	switch (c->stage) {
	case STAGE_FOLD:
		r = fold_step(h);
		break;
	case STAGE_FLUSH:
		r = flush_step(h);
		break;
	case STAGE_COPY:
		r = copy_step(h);
		break;
	}
	if (r == 0 && h->compaction)
		r = out_flush(h);
	if (r == 0 && h->compaction && is_too_much(h)) {
		c->horizon = c->now - (c->now - c->horizon) / 2;
		r = fold_begin(h);
	}
	if (r < 0)
		compact_fail(h, r);
}
