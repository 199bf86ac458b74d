/*
 * Trails: the recent samples of each series that a promise names, in memory, at most TRAIL_LENGTH of each, bounded in total. For kith explain,
 * kith replay, and for windows that begin: a file keeps them from one kithd to the next, so that what promises know of the time
 * before a restart is not forgotten.
 */
#ifndef KITH_STORE_TRAIL_H
#define KITH_STORE_TRAIL_H

#include "model/model.h"

#define TRAIL_LENGTH 360 /* samples: an hour at 10 s */

#define TRAILS_RECALLED_MAX 1024u /* series that trails_recall takes, until they are forgotten */

struct journal;
struct trails;

/* Hears of all series that promises name from now on. `bytes`: of all trails together; series beyond have none. -ENOMEM */
int trails_new(struct model *m, size_t bytes, struct trails **ret_trails);
void trails_free(struct trails *t); /* before the model; NULL is fine */
/* The clock was set by `jump` ns: what was, stays as long ago as it was. */
void trails_jump(struct trails *t, int64_t jump);
size_t trails_count(const struct trails *t);
uint64_t trails_refused(const struct trails *t); /* series that there was no room for, so far */

/*
 * trails_save writes all of them to `path`, by way of a new file that takes its place. trails_load reads them: each waits for its series to be
 * named, and is what it was. A file of another time (older than TRAILS_AGE, or newer than now), another version or with a damage is of no
 * use: 0 with one line about it in *ret_why, which is the caller's (NULL: all is well, or there is none). Format: trail_file.c.
 */
#define TRAILS_AGE (24 * 3600 * INT64_C(1000000000)) /* ns */
int trails_save(struct trails *t, const char *path, int64_t now);
int trails_load(struct trails *t, const char *path, int64_t now, char **ret_why);
/*
 * After trails_load, when kithd did not stop but ended: what the journal has of the time since the file was written, of whatever series: what promises will
 * name is not known yet. -ENOMEM
 */
int trails_recall(struct trails *t, struct journal *j);
/* Those that still wait are for series that are no more. */
void trails_forget(struct trails *t);

/* Of one series. 0: it has none */
size_t trail_length(const struct series *s);
/* `index` from 0, the oldest, to trail_length - 1 */
struct trail_sample trail_at(const struct series *s, size_t index);

#endif
