/*
 * Trails: the recent samples of each series that a promise names, in memory, at most TRAIL_LENGTH of each, bounded in total. For kith explain and
 * kith replay.
 */
#ifndef KITH_STORE_TRAIL_H
#define KITH_STORE_TRAIL_H

#include "model/model.h"

#define TRAIL_LENGTH 360 /* samples: an hour at 10 s */

struct trails;

struct trail_sample {
	int64_t time; /* wall ns */
	double value; /* of a state: the index of its name */
	bool extra;   /* attention added it */
};

/* Hears of all series that promises name from now on. `bytes`: of all trails together; series beyond have none. -ENOMEM */
int trails_new(struct model *m, size_t bytes, struct trails **ret_trails);
void trails_free(struct trails *t); /* before the model; NULL is fine */
/* The clock was set by `jump` ns: what was, stays as long ago as it was. */
void trails_jump(struct trails *t, int64_t jump);
size_t trails_count(const struct trails *t);
uint64_t trails_refused(const struct trails *t); /* series that there was no room for, so far */

/* Of one series. 0: it has none */
size_t trail_length(const struct series *s);
/* `index` from 0, the oldest, to trail_length - 1 */
struct trail_sample trail_at(const struct series *s, size_t index);

#endif
