#include "store/reliability.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_impl.h"

#define HOUR (3600 * NS_PER_S)

struct asked {
	UT_hash_handle hh;
	struct track track;
	enum kith_assessment now; /* as the engine has it */
	int64_t since;
	struct reliability_window windows[RELIABILITY_WINDOWS];
	size_t key_length;
	char key[];
};

struct reliability {
	struct history *history;
	struct history_reader reader;
	struct asked *asked;
	struct marks away, lost;
	int64_t now;
	bool changing, reading, done;
	/* of the one promise: the last ones, oldest first, and when they were on the clock of now */
	struct reliability_change changes[RELIABILITY_CHANGES];
	int64_t at[RELIABILITY_CHANGES];
	size_t n_changes;
	int64_t away_time; /* of the last away mark, as the clock was set then */
	struct buf key;
};

static const int64_t lengths[RELIABILITY_WINDOWS] = { HOUR, 24 * HOUR, 30 * 24 * HOUR };

int reliability_new(struct history *h, bool changes, struct reliability **ret_reliability)
{
	struct reliability *r;

	if (history_off(h))
		return -ENODATA;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->history = h;
	r->changing = changes;
	r->reader.fd = -1;
	*ret_reliability = r;
	return 0;
}

void reliability_free(struct reliability *r)
{
	struct asked *a, *next;

	if (!r)
		return;
	HASH_ITER(hh, r->asked, a, next)
	{
		HASH_DEL(r->asked, a);
		free(a);
	}
	for (size_t i = 0; i < r->n_changes; i++)
		free(r->changes[i].because);
	marks_free(&r->away);
	marks_free(&r->lost);
	history_reader_close(&r->reader);
	buf_free(&r->key);
	free(r);
}

int reliability_add(struct reliability *r, const char *name, const char *promiser, enum kith_assessment now, int64_t since)
{
	struct asked *a;
	int err;

	buf_reset(&r->key);
	err = history_key(&r->key, name, promiser);
	if (err < 0 || r->key.failed)
		return err < 0 ? err : -ENOMEM;
	HASH_FIND(hh, r->asked, r->key.data, r->key.length, a);
	if (a)
		return 0;
	a = calloc(1, sizeof(*a) + r->key.length);
	if (!a)
		return -ENOMEM;
	a->track = (struct track)TRACK_INIT;
	a->now = now;
	a->since = since;
	for (int i = 0; i < RELIABILITY_WINDOWS; i++)
		a->windows[i].length = lengths[i];
	a->key_length = r->key.length;
	memcpy(a->key, r->key.data, r->key.length);
	HASH_ADD_KEYPTR(hh, r->asked, a->key, a->key_length, a);
	if (!a->hh.tbl) {
		free(a);
		return -ENOMEM;
	}
	return 0;
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

static void pass(const struct reliability *r, struct asked *a, const struct passed *p)
{
	for (int i = 0; i < RELIABILITY_WINDOWS && p->state != KITH_UNKNOWN; i++) {
		struct reliability_window *w = &a->windows[i];
		int64_t begin = r->now - w->length, from = p->from > begin ? p->from : begin, to = p->to < r->now ? p->to : r->now;

		if (to > from)
			*(p->state == KITH_KEPT ? &w->kept : &w->broken) += to - from;
	}
}

/* A time of the whole's that falls into the part from `begin` on, if it is spread evenly */
static int64_t share(int64_t time, int64_t start, int64_t end, int64_t begin)
{
	if (begin <= start)
		return time;
	if (begin >= end)
		return 0;
	return (int64_t)((double)time * ((double)(end - begin) / (double)(end - start)));
}

static void longest(struct reliability_window *w, int64_t length)
{
	if (length > w->longest)
		w->longest = length;
}

static void take_sum(const struct reliability *r, struct asked *a, const struct history_line *line, int64_t at)
{
	const struct history_sum *s = &line->sum;
	int64_t start = at - (line->time - s->start);

	for (int i = 0; i < RELIABILITY_WINDOWS; i++) {
		struct reliability_window *w = &a->windows[i];
		int64_t begin = r->now - w->length;

		if (at < begin)
			continue;
		w->kept += share(s->kept, start, at, begin);
		w->broken += share(s->broken, start, at, begin);
		/* Nobody knows any more which of them came after: all or none */
		if (start + (at - start) / 2 < begin)
			continue;
		w->breaks += (uint64_t)s->breaks;
		w->repairs += (uint64_t)s->repairs;
		w->mends += (uint64_t)s->mends;
		w->mend_time += s->mend_time;
		longest(w, s->longest);
	}
}

static void take_transition(const struct reliability *r, struct asked *a, const struct history_line *line, int64_t at)
{
	int64_t mended;
	bool begins = track_change(&a->track, at, line->to, &mended);

	for (int i = 0; i < RELIABILITY_WINDOWS; i++) {
		struct reliability_window *w = &a->windows[i];

		if (at < r->now - w->length)
			continue;
		w->breaks += begins;
		w->repairs += line->repaired;
		if (mended < 0)
			continue;
		w->mends++;
		w->mend_time += mended;
		longest(w, mended);
	}
}

/* ---- the last transitions ---------------------------------------------------------------------------------------- */

static void change_add(struct reliability *r, const struct reliability_change *change, int64_t at)
{
	if (r->n_changes == RELIABILITY_CHANGES) {
		free(r->changes[0].because);
		memmove(r->changes, r->changes + 1, (RELIABILITY_CHANGES - 1) * sizeof(r->changes[0]));
		memmove(r->at, r->at + 1, (RELIABILITY_CHANGES - 1) * sizeof(r->at[0]));
		r->n_changes--;
	}
	r->changes[r->n_changes] = *change;
	r->at[r->n_changes++] = at;
}

static void change_line(struct reliability *r, const struct history_line *line, int64_t at)
{
	struct reliability_change c = { .time = line->time, .from = line->from, .to = line->to, .repaired = line->repaired };
	struct buf because = BUF_INIT;

	history_unescape(&because, line->because, line->because_length);
	buf_puts(&because, "");
	c.because = buf_take(&because);
	change_add(r, &c, at);
}

static void change_away(struct reliability *r, const struct passed *p)
{
	struct reliability_change c = { .time = r->away_time, .from = p->state, .to = KITH_UNKNOWN };

	c.because = strdup("kithd did not run");
	change_add(r, &c, p->to);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void catch_up(struct reliability *r, struct asked *a)
{
	struct passed p;

	if (!track_away(&a->track, &r->away, &p))
		return;
	pass(r, a, &p);
	if (r->changing)
		change_away(r, &p);
}

static void take_line(struct reliability *r, const struct history_line *line, int64_t at)
{
	struct asked *a;
	struct passed p;

	HASH_FIND(hh, r->asked, line->key, line->key_length, a);
	if (!a)
		return;
	catch_up(r, a);
	if (line->kind == HISTORY_SUM) {
		/* What was before its first transition is no part of it. */
		p = track_until(&a->track, at - (line->time - line->sum.start), (enum kith_assessment)a->track.state, &r->lost);
		pass(r, a, &p);
		take_sum(r, a, line, at);
		track_sum(&a->track, line, at);
		return;
	}
	p = track_until(&a->track, at, line->from, &r->lost);
	pass(r, a, &p);
	take_transition(r, a, line, at);
	if (r->changing)
		change_line(r, line, at);
}

static int line_cb(const struct history_line *line, int64_t at, int64_t end_at, void *user)
{
	struct reliability *r = user;

	if (!line)
		return marks_add(&r->lost, at);
	switch (line->kind) {
	case HISTORY_TRANSITION:
	case HISTORY_SUM:
		take_line(r, line, at);
		return 0;
	case HISTORY_BEGIN:
		r->away_time = line->other;
		/* Of one promise alone it is noted at once, with its time. */
		if (marks_add(&r->away, end_at) < 0)
			return -ENOMEM;
		if (r->changing && r->asked)
			catch_up(r, r->asked);
		return 0;
	case HISTORY_LOST:
		return marks_add(&r->lost, at - (line->time - line->other));
	case HISTORY_END:
	case HISTORY_JUMP:
	case HISTORY_COMMENT:
		return 0;
	}
	return 0;
}

/* From the last line to now, with what the engine says of now */
static void finish_one(struct reliability *r, struct asked *a)
{
	struct track *t = &a->track;
	int64_t since = a->since < r->now ? a->since : r->now;
	struct passed p;

	catch_up(r, a);
	if (t->seen && t->since > since)
		a->now = (enum kith_assessment)t->state; /* it changed after it was added */
	if (t->seen && (enum kith_assessment)t->state != a->now) {
		/* A line is not there: it has been so since the engine says, and before that it is not known. */
		p = track_until(t, since, KITH_UNKNOWN, &r->lost);
		pass(r, a, &p);
	} else if (t->seen && t->since > since) {
		since = t->since;
	}
	if (!t->seen || (enum kith_assessment)t->state != a->now) {
		int64_t mended;

		t->since = since;
		track_change(t, since, a->now, &mended);
	}
	p = track_until(t, r->now, a->now, &r->lost);
	pass(r, a, &p);
	for (int i = 0; i < RELIABILITY_WINDOWS; i++)
		if (t->open > 0)
			longest(&a->windows[i], t->open);
}

static void finish(struct reliability *r)
{
	struct asked *a, *next;

	HASH_ITER(hh, r->asked, a, next)
	{
		finish_one(r, a);
	}
	for (size_t i = 0; i < r->n_changes; i++) {
		int64_t until = i + 1 < r->n_changes ? r->at[i + 1] : r->now;

		r->changes[i].lasted = until > r->at[i] ? until - r->at[i] : 0;
	}
	history_reader_close(&r->reader);
	history_unreadable(r->history, r->reader.unreadable);
	r->done = true;
}

int reliability_step(struct reliability *r)
{
	int err;

	if (r->done)
		return 0;
	/* After all were added: what the file says is never older than what was said of a promise then. */
	if (!r->reading) {
		r->now = history_clock(r->history);
		err = history_reader_open(&r->reader, r->history, r->now);
		if (err < 0)
			return err;
		r->reading = true;
	}
	err = history_reader_step(&r->reader, line_cb, r);
	if (err == 0)
		finish(r);
	return err;
}

const struct reliability_window *reliability_of(const struct reliability *r_, const char *name, const char *promiser)
{
	struct reliability *r = (struct reliability *)(uintptr_t)r_; /* its scratch */
	struct asked *a;

	buf_reset(&r->key);
	if (history_key(&r->key, name, promiser) < 0 || r->key.failed)
		return NULL;
	HASH_FIND(hh, r->asked, r->key.data, r->key.length, a);
	return a ? a->windows : NULL;
}

size_t reliability_changes(const struct reliability *r, const struct reliability_change **ret_changes)
{
	*ret_changes = r->changes;
	return r->n_changes;
}
