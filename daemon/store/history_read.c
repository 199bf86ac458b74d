/* The file as it is read: lines in order, on the clock as it is set now; and what the lines of one promise say. */
#include "store/history_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int history_reader_open(struct history_reader *r, struct history *h, int64_t now)
{
	*r = (struct history_reader){ .fd = -1, .limit = now + HISTORY_SLACK, .end = h->size };
	if (h->fd < 0)
		return -ENODATA;
	/* Its own: a compaction puts another file in the place of this one. */
	r->fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
	if (r->fd < 0)
		return -errno;
	r->chunk = malloc(HISTORY_CHUNK);
	if (h->torn)
		buf_putc(&r->tail, '\n');
	buf_append(&r->tail, h->waiting.data, h->waiting.length);
	if (!r->chunk || r->tail.failed) {
		history_reader_close(r);
		return -ENOMEM;
	}
	return 0;
}

void history_reader_close(struct history_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	free(r->chunk);
	r->chunk = NULL;
	buf_free(&r->tail);
}

/* By how much the clock was set at this line. A begin that is before the end before it: it was set back while kithd was away. */
static int64_t line_jump(const struct history_line *line)
{
	if (line->kind == HISTORY_JUMP)
		return line->other;
	if (line->kind == HISTORY_BEGIN && line->other > line->time)
		return line->time - line->other;
	return 0;
}

/* A jump that goes beyond all sense is none: the times on both sides would be lost with it. */
static bool jump_take(int64_t *sum, int64_t jump)
{
	int64_t result;

	if (__builtin_add_overflow(*sum, jump, &result) || result > INT64_C(1) << 61 || result < -(INT64_C(1) << 61))
		return false;
	*sum = result;
	return true;
}

static int reader_line(struct history_reader *r, const char *text, size_t length, history_fn fn, void *user)
{
	struct history_line line;
	int64_t at, end_at;
	bool ok;

	if (!length)
		return 0;
	if (!r->second) {
		/* The first pass looks for two kinds of lines alone. */
		if ((text[0] == 'j' || (text[0] == 'b' && length > 1 && text[1] == 'e')) && history_line_parse(text, length, &line) == 0)
			jump_take(&r->total, line_jump(&line));
		return 0;
	}
	ok = history_line_parse(text, length, &line) == 0;
	r->before = r->seen;
	if (ok && line.kind == HISTORY_COMMENT)
		return 0;
	/* When kithd ended stands on the clock of before. */
	end_at = ok && line.kind == HISTORY_BEGIN ? line.other + (r->total - r->seen) : 0;
	if (ok)
		ok = jump_take(&r->seen, line_jump(&line));
	at = ok ? line.time + (r->total - r->seen) : 0;
	if (!ok || at > r->limit) {
		r->unreadable++;
		return fn(NULL, r->last, 0, user);
	}
	if (line.kind == HISTORY_BEGIN && (!line.other || end_at > at))
		end_at = line.other ? at : r->last;
	if (at > r->last)
		r->last = at;
	return fn(&line, at, end_at, user);
}

/* The whole lines of the chunk; what is left of it is moved to its beginning. */
static int reader_lines(struct history_reader *r, off_t begin, history_fn fn, void *user)
{
	char *line = r->chunk, *end = r->chunk + r->filled, *stop;
	int result = 0;

	while (line < end && (stop = memchr(line, '\n', (size_t)(end - line)))) {
		r->offset = begin + (line - r->chunk);
		if (r->skipping)
			r->skipping = false;
		else
			result = reader_line(r, line, (size_t)(stop - line), fn, user);
		line = stop + 1;
		if (result)
			return result;
	}
	r->filled = (size_t)(end - line);
	memmove(r->chunk, line, r->filled);
	if (r->filled < HISTORY_LINE_MAX)
		return 0;
	r->filled = 0;
	if (!r->skipping && r->second) {
		r->unreadable++;
		result = fn(NULL, r->last, 0, user);
	}
	r->skipping = true;
	return result;
}

/* More into the chunk; 0: there is no more */
static ssize_t reader_fill(struct history_reader *r)
{
	size_t room = HISTORY_CHUNK - r->filled;
	ssize_t n = 0;

	if (!r->in_tail) {
		off_t left = r->end - r->at;

		if (left > 0)
			n = pread(r->fd, r->chunk + r->filled, left < (off_t)room ? (size_t)left : room, r->at);
		if (n < 0)
			return errno == EINTR ? 1 : -errno;
		if (n == 0) {
			r->in_tail = true;
			r->at = 0;
			r->filled = 0; /* a line that was cut off */
		}
	}
	if (r->in_tail) {
		size_t left = r->tail.length - (size_t)r->at;

		n = (ssize_t)(left < room ? left : room);
		if (n)
			memcpy(r->chunk + r->filled, r->tail.data + r->at, (size_t)n);
	}
	r->at += n;
	r->filled += (size_t)n;
	return n;
}

int history_reader_step(struct history_reader *r, history_fn fn, void *user)
{
	ssize_t n = reader_fill(r);
	int result;

	if (n < 0)
		return (int)n;
	if (n > 0) {
		result = reader_lines(r, r->at - (off_t)r->filled, fn, user);
		r->stopped = result != 0;
		return result ? result : 1;
	}
	if (r->second)
		return 0;
	r->second = true;
	r->in_tail = r->skipping = false;
	r->at = 0;
	r->filled = 0;
	r->offset = 0;
	return 1;
}

/* ---- one promise ------------------------------------------------------------------------------------------------- */

int marks_add(struct marks *m, int64_t at)
{
	/* Many in one place are one. */
	if (m->n && m->at[m->n - 1] == at)
		return 0;
	if (m->n == m->size) {
		size_t size = m->size ? m->size * 2 : 16;
		int64_t *more = realloc(m->at, size * sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->at = more;
		m->size = size;
	}
	m->at[m->n++] = at;
	return 0;
}

void marks_free(struct marks *m)
{
	free(m->at);
	*m = (struct marks){ 0 };
}

static struct passed track_pass(struct track *t, int64_t at)
{
	struct passed p = { (enum kith_assessment)t->state, t->since, at > t->since ? at : t->since };

	if (p.state == KITH_BROKEN)
		t->open += p.to - p.from;
	t->since = p.to;
	return p;
}

bool track_away(struct track *t, const struct marks *away, struct passed *ret_passed)
{
	size_t first = t->away;

	t->away = away->n;
	if (first == away->n || t->state == KITH_UNKNOWN)
		return false;
	*ret_passed = track_pass(t, away->at[first]);
	t->state = KITH_UNKNOWN;
	return true;
}

struct passed track_until(struct track *t, int64_t at, enum kith_assessment from, const struct marks *lost)
{
	struct passed p;
	size_t first = t->lost;

	t->lost = lost->n;
	if (!t->seen || from == (enum kith_assessment)t->state)
		return track_pass(t, at);
	/* Something in between is not there: what is known ends where lines were lost, or at once. */
	p = track_pass(t, first < lost->n && lost->at[first] < at ? lost->at[first] : t->since);
	t->state = from;
	t->since = at > t->since ? at : t->since;
	return p;
}

bool track_change(struct track *t, int64_t at, enum kith_assessment to, int64_t *ret_mended)
{
	bool begins = to == KITH_BROKEN && t->definite != KITH_BROKEN;

	*ret_mended = -1;
	if (begins || (to == KITH_BROKEN && t->open < 0))
		t->open = 0;
	if (to == KITH_KEPT && t->definite == KITH_BROKEN)
		*ret_mended = t->open;
	if (to == KITH_KEPT)
		t->open = -1;
	if (to != KITH_UNKNOWN)
		t->definite = (uint8_t)to;
	t->state = (uint8_t)to;
	t->seen = true;
	if (at > t->since)
		t->since = at;
	return begins;
}

void track_sum(struct track *t, const struct history_line *line, int64_t at)
{
	t->state = (uint8_t)line->to;
	t->open = line->sum.open < 0 && line->to == KITH_BROKEN ? 0 : line->sum.open;
	if (t->open >= 0)
		t->definite = KITH_BROKEN;
	else if (line->to == KITH_KEPT || line->sum.mends)
		t->definite = KITH_KEPT;
	t->seen = true;
	if (at > t->since)
		t->since = at;
}
