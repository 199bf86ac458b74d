/*
 * How well promises were kept over the last hour, day and 30 days, and the last transitions of one: read from the history's file when
 * somebody asks, in steps.
 */
#ifndef KITH_STORE_RELIABILITY_H
#define KITH_STORE_RELIABILITY_H

#include "store/history.h"

#define RELIABILITY_WINDOWS 3
#define RELIABILITY_CHANGES 8

/*
 * Times in ns. A break is from becoming broken to being kept again; the time within it that nobody knows of does not count. It counts where
 * it begins, its length where it ends. What is neither kept nor broken time is not known.
 */
struct reliability_window {
	int64_t length;
	int64_t kept, broken;
	uint64_t breaks, repairs;
	uint64_t mends;
	int64_t mend_time;  /* of all mends together */
	int64_t longest;    /* break that ended in it or goes on */
};

struct reliability_change {
	int64_t time;       /* as the clock was set then */
	int64_t lasted;     /* ns */
	enum kith_assessment from, to;
	bool repaired;
	char *because;
};

struct reliability;

/* -ENODATA: there is no history; -ENOMEM. `changes`: the last transitions of the one promise that is added, too. `h` outlives it. */
int reliability_new(struct history *h, bool changes, struct reliability **ret_reliability);
void reliability_free(struct reliability *r); /* NULL is fine */
/* A promise that is asked about, as it stands now. Twice is once. -E2BIG: its names are too long for the history. */
int reliability_add(struct reliability *r, const char *name, const char *promiser, enum kith_assessment now, int64_t since);
/* After all were added: a few KiB of the file. 1: there is more; 0: the results are there; -errno */
int reliability_step(struct reliability *r);

/* RELIABILITY_WINDOWS of them, the shortest first; NULL: it was not added */
const struct reliability_window *reliability_of(const struct reliability *r, const char *name, const char *promiser);
/* The last ones, oldest first */
size_t reliability_changes(const struct reliability *r, const struct reliability_change **ret_changes);

#endif
