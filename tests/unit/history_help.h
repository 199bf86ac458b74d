/*
 * What the tests of the history share: a history in a folder of its own under a clock that the test sets, and beside it a naive one that
 * keeps every change of every promise on a clock that nobody sets.
 */
#ifndef KITH_TEST_HISTORY_HELP_H
#define KITH_TEST_HISTORY_HELP_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/model.h"
#include "store/history.h"
#include "store/history_line.h"
#include "store/reliability.h"

#define SECOND NS_PER_S
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define PROMISES_MAX 64

struct naive_change {
	int64_t at; /* on the clock that nobody sets */
	enum kith_assessment to;
	bool repaired;
};
struct naive {
	struct naive_change *changes;
	size_t n, size;
	enum kith_assessment state;
	int64_t since; /* wall, moved along with jumps: as the engine's */
};

struct world {
	char folder[64], file[96];
	struct model *m;
	struct model_observer observer;
	struct history *h;
	size_t max;
	int64_t wall, mono, steady;
	int write_error;      /* 0: none; what writes fail with */
	ssize_t write_room;   /* bytes that the disk still takes; -1: without end */
	bool dead;            /* what is written goes nowhere */
	unsigned long writes;
	unsigned n_records;
	char record[512];     /* the last */
	struct naive promises[PROMISES_MAX];
	uint64_t seed;
};

static inline void world_clock(int64_t *ret_wall, int64_t *ret_mono, void *user)
{
	struct world *w = user;

	*ret_wall = w->wall;
	*ret_mono = w->mono;
}

static inline ssize_t world_write(int fd, const void *data, size_t length, void *user)
{
	struct world *w = user;
	ssize_t n = (ssize_t)length;

	w->writes++;
	if (w->dead)
		return n;
	if (w->write_error) {
		errno = w->write_error;
		return -1;
	}
	if (w->write_room >= 0) {
		if (!w->write_room) {
			errno = ENOSPC;
			return -1;
		}
		n = n < w->write_room ? n : w->write_room;
		w->write_room -= n;
	}
	return write(fd, data, (size_t)n);
}

static inline void world_record(const struct kith_record *record, uint64_t number, void *user)
{
	struct world *w = user;

	(void)number;
	w->n_records++;
	snprintf(w->record, sizeof(w->record), "%s", record->message);
}

static inline void world_start(struct world *w)
{
	struct history_config config = { .folder = w->folder, .max = w->max, .clock = world_clock, .write = world_write, .user = w };

	ck_assert_int_eq(history_new(w->m, &config, &w->h), 0);
}

static inline void world_open(struct world *w)
{
	*w = (struct world){ .wall = 1800000000 * SECOND, .mono = 1000 * SECOND, .steady = 1800000000 * SECOND, .write_room = -1 };
	strcpy(w->folder, "/tmp/kith-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(w->folder));
	snprintf(w->file, sizeof(w->file), "%s/promises.history", w->folder);
	ck_assert_int_eq(model_new(&w->m), 0);
	w->observer = (struct model_observer){ .user = w, .on_record = world_record };
	model_observe(w->m, &w->observer);
}

static inline void world_close(struct world *w)
{
	char command[128];

	history_free(w->h);
	model_free(w->m);
	for (int i = 0; i < PROMISES_MAX; i++)
		free(w->promises[i].changes);
	snprintf(command, sizeof(command), "rm -rf '%s'", w->folder);
	ck_assert_int_eq(system(command), 0);
}

static inline void pass(struct world *w, int64_t ns)
{
	w->wall += ns;
	w->mono += ns;
	w->steady += ns;
}

static inline void jump(struct world *w, int64_t ns)
{
	w->wall += ns;
	for (int i = 0; i < PROMISES_MAX; i++)
		w->promises[i].since += ns;
}

static inline void naive_add(struct naive *n, int64_t at, enum kith_assessment to, bool repaired)
{
	if (n->n == n->size) {
		n->size = n->size ? n->size * 2 : 64;
		n->changes = realloc(n->changes, n->size * sizeof(*n->changes));
		ck_assert_ptr_nonnull(n->changes);
	}
	n->changes[n->n++] = (struct naive_change){ at, to, repaired };
	n->state = to;
}

static inline void say(struct world *w, const char *name, const char *promiser, enum kith_assessment from, enum kith_assessment to,
                       bool repaired, const char *because)
{
	struct kith_transition t = { .size = sizeof(t), .from = from, .to = to, .time = w->wall, .name = name, .promiser = promiser,
		                     .because = because, .flags = repaired ? KITH_TRANSITION_REPAIRED : 0 };

	model_transition(w->m, &t);
}

static inline void names_of(int i, char name[32], char promiser[32])
{
	snprintf(name, 32, "b.p%d", i / 2);
	snprintf(promiser, 32, "df:/%d", i);
}

static inline void change(struct world *w, int i, enum kith_assessment to, bool repaired)
{
	struct naive *n = &w->promises[i];
	char name[32], promiser[32];

	names_of(i, name, promiser);
	if (n->state == to)
		return;
	say(w, name, promiser, n->state, to, repaired, "it is so");
	naive_add(n, w->steady, to, repaired);
	n->since = w->wall;
}

/* kithd ends, in an orderly way or killed, and comes again after `away` on a clock that was set by `jumped` meanwhile */
static inline void restart(struct world *w, bool killed, int64_t away, int64_t jumped)
{
	struct timespec times[2];

	/* A jump that nobody noticed before kithd was killed is one of the time that it was away. */
	history_jump(w->h);
	w->dead = killed;
	history_free(w->h);
	w->h = NULL;
	w->dead = false;
	if (killed) {
		times[0] = times[1] = (struct timespec){ w->wall / SECOND, w->wall % SECOND };
		ck_assert_int_eq(utimensat(AT_FDCWD, w->file, times, 0), 0);
	}
	for (int i = 0; i < PROMISES_MAX; i++)
		if (w->promises[i].state != KITH_UNKNOWN)
			naive_add(&w->promises[i], w->steady, KITH_UNKNOWN, false);
	/* What passed shows on the wall clock alone. A clock that goes back while nobody looks hides it. */
	w->wall += away + jumped;
	w->steady += away + jumped > 0 ? away + jumped : 0;
	w->mono = 1000 * SECOND;
	for (int i = 0; i < PROMISES_MAX; i++)
		w->promises[i].since = w->wall;
	world_start(w);
}

static inline struct reliability *ask(struct world *w, bool changes, int first, int n)
{
	struct reliability *r;
	int more;

	ck_assert_int_eq(reliability_new(w->h, changes, &r), 0);
	for (int i = first; i < first + n; i++) {
		char name[32], promiser[32];

		names_of(i, name, promiser);
		ck_assert_int_eq(reliability_add(r, name, promiser, w->promises[i].state, w->promises[i].since), 0);
	}
	while ((more = reliability_step(r)) > 0)
		;
	ck_assert_int_eq(more, 0);
	return r;
}

static inline const struct reliability_window *window_of(const struct reliability *r, int i)
{
	const struct reliability_window *found;
	char name[32], promiser[32];

	names_of(i, name, promiser);
	found = reliability_of(r, name, promiser);
	ck_assert_ptr_nonnull(found);
	return found;
}

/* The same, from every change */
static inline struct reliability_window naive_window(const struct world *w, const struct naive *n, int64_t length)
{
	struct reliability_window x = { .length = length };
	enum kith_assessment state = KITH_UNKNOWN, definite = KITH_UNKNOWN;
	int64_t since = 0, begin = w->steady - length, open = -1;

	for (size_t i = 0; i <= n->n; i++) {
		int64_t at = i < n->n ? n->changes[i].at : w->steady, from = since > begin ? since : begin;

		if (at > from && state == KITH_KEPT)
			x.kept += at - from;
		if (at > from && state == KITH_BROKEN)
			x.broken += at - from;
		if (state == KITH_BROKEN)
			open += at - since;
		since = at;
		if (i == n->n)
			break;
		state = n->changes[i].to;
		if (state == KITH_BROKEN && definite != KITH_BROKEN) {
			open = 0;
			x.breaks += at >= begin;
		}
		if (state == KITH_KEPT && definite == KITH_BROKEN && at >= begin) {
			x.mends++;
			x.mend_time += open;
			x.longest = open > x.longest ? open : x.longest;
		}
		if (state == KITH_KEPT)
			open = -1;
		x.repairs += at >= begin && n->changes[i].repaired;
		if (state != KITH_UNKNOWN)
			definite = state;
	}
	if (open > x.longest)
		x.longest = open;
	return x;
}

/* `exact` windows, the shortest first, are the naive ones; of the others the counts and sums may differ by what one sum holds */
static inline void same_as_naive(struct world *w, int n_promises)
{
	struct reliability *r = ask(w, false, 0, n_promises);

	for (int i = 0; i < n_promises; i++) {
		const struct reliability_window *mine = window_of(r, i);

		for (int k = 0; k < RELIABILITY_WINDOWS; k++) {
			struct reliability_window want = naive_window(w, &w->promises[i], mine[k].length);

			ck_assert_msg(mine[k].kept == want.kept && mine[k].broken == want.broken && mine[k].breaks == want.breaks &&
			              mine[k].repairs == want.repairs && mine[k].mends == want.mends &&
			              mine[k].mend_time == want.mend_time && mine[k].longest == want.longest,
			              "promise %d window %d: kept %.9f not %.9f, broken %.9f not %.9f, breaks %lu not %lu, repairs %lu not %lu, "
			              "mends %lu not %lu, mend time %.9f not %.9f, longest %.9f not %.9f", i, k, (double)mine[k].kept / 1e9,
			              (double)want.kept / 1e9, (double)mine[k].broken / 1e9, (double)want.broken / 1e9,
			              (unsigned long)mine[k].breaks, (unsigned long)want.breaks, (unsigned long)mine[k].repairs,
			              (unsigned long)want.repairs, (unsigned long)mine[k].mends, (unsigned long)want.mends,
			              (double)mine[k].mend_time / 1e9, (double)want.mend_time / 1e9, (double)mine[k].longest / 1e9,
			              (double)want.longest / 1e9);
		}
	}
	reliability_free(r);
}

static inline uint32_t pick(struct world *w, uint32_t below)
{
	w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(w->seed >> 33) % below;
}

static inline char *file_text(const struct world *w)
{
	size_t length;
	char *text;

	ck_assert_int_eq(file_read_all(w->file, 64u << 20, &text, &length), 0);
	return text;
}

static inline off_t file_size(const struct world *w)
{
	struct stat st;

	ck_assert_int_eq(stat(w->file, &st), 0);
	return st.st_size;
}

#endif
