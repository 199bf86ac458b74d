/*
 * The history of promises: each transition is a line of STATE_DIR/promises.history (kith-history(5)), written when it happens, with one
 * write(2). Nothing of a promise is kept in memory. The file is bounded: what is old is folded into sums, what is older is dropped.
 *
 * No loop and no thread: the caller's tick drives what is not a transition. While the disk is full lines wait, 64 KiB of them at most.
 */
#ifndef KITH_STORE_HISTORY_H
#define KITH_STORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/model.h"

struct history;

struct history_config {
	const char *folder; /* copied; the file is promises.history in it */
	size_t max;         /* bytes from which on it is compacted; 0: 4 MiB */
	/* For tests; NULL: the kernel's */
	void (*clock)(int64_t *ret_wall, int64_t *ret_mono, void *user);
	ssize_t (*write)(int fd, const void *data, size_t length, void *user);
	void *user;
};

struct history_counts {
	uint64_t written, lost, too_long; /* transitions; too_long: of promises whose names are too long for it */
	uint64_t unreadable;              /* lines, when the file was last read */
	uint64_t compactions;
	uint64_t size;                    /* bytes of the file */
	size_t waiting;                   /* bytes that wait for room */
};

/*
 * Opens or makes the file and notes the start in it; from now on transitions are written. A file that cannot be had is said in the log and
 * no failure: history_off says why. -ENOMEM.
 */
int history_new(struct model *m, const struct history_config *config, struct history **ret_history);
/* Hears transitions after all that observe now: who waits for one is told before it is written. */
void history_yield(struct history *h);
void history_free(struct history *h); /* notes the end; NULL is fine */
const char *history_off(const struct history *h); /* why there is none; NULL: there is. `h` may be NULL */
/* On each tick: notes jumps of the clock and, once a minute, that kithd lives; retries what waits; goes on with a compaction */
void history_tick(struct history *h);
/* The clock was set, or the machine slept: looks by how much itself; may be left out, then the next line or tick notices */
void history_jump(struct history *h);
void history_counts(const struct history *h, struct history_counts *ret_counts);

#endif
