/*
 * The record store: all records of this host, and the transitions of its promises, in STATE_DIR/records (kith-records(5)). What comes is
 * put into memory, 64 KiB at most, and goes to a file with one write(2) on each tick, and soon after it came; a file with some 256 KiB in it is compressed into a
 * block by a thread that lives as long as that takes. Bounded in bytes and age: the oldest goes.
 *
 * No loop: the caller's tick drives it. While nothing can be written records wait, half a MiB of them at most; then the oldest are dropped,
 * counted by where they came from, and a record says so as soon as there is room again. kith-log reads it (store/records_reader.h).
 */
#ifndef KITH_STORE_RECORDS_H
#define KITH_STORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/model.h"

#define RECORDS_FOLDER "records" /* in the state directory */
#define RECORDS_SIZE_MIN (INT64_C(1) << 20)
#define RECORDS_SOON INT64_C(500000000) /* ns */

struct records;

/*
 * The calls that it writes with. Paths are relative to the folder `dir`. As the system's: -1 and errno. Called by the loop's thread and by the
 * one that packs. For tests.
 */
struct records_io {
	int (*open)(int dir, const char *path, int flags, void *user);
	ssize_t (*write)(int fd, const void *data, size_t length, void *user);
	ssize_t (*pread)(int fd, void *data, size_t length, off_t at, void *user);
	int (*truncate)(int fd, off_t length, void *user);
	int (*sync)(int fd, void *user);
	int (*unlink)(int dir, const char *path, void *user);
	void *user;
};

struct records_config {
	const char *folder;   /* the state directory; copied */
	int64_t max_size;     /* bytes of all files together; 0: 64 MiB */
	int64_t max_age;      /* ns; 0: 30 days */
	size_t block_size;    /* bytes of rows that are a block; 0: 256 KiB */
	const struct records_io *io; /* NULL: the system's. Outlives the store */
	void (*soon)(void *user); /* something waits: records_flush is wanted within RECORDS_SOON. NULL: the tick is enough */
	void *user;
};

struct records_counts {
	uint64_t kept;        /* records that were written */
	uint64_t dropped;     /* that were not */
	uint64_t blocks;      /* made */
	uint64_t damaged;     /* stretches that could not be read when a block was made of them */
	uint64_t removed;     /* files, as they were too old or too much */
	uint64_t packed_ns;   /* CPU that blocks took */
	int64_t size;         /* bytes of all files, as of the last look */
	size_t waiting;       /* bytes in memory */
};

/* From now on records and transitions are kept. That there is no folder is said on the next tick and tried again. -ENOMEM */
int records_new(struct model *m, const struct records_config *config, struct records **ret_records);
/* Hears of things after all that observe now: who waits for one is told before it is written. */
void records_yield(struct records *r);
void records_free(struct records *r); /* writes what waits; NULL is fine */
void records_configure(struct records *r, int64_t max_size, int64_t max_age);
/* On each tick. `now`: wall ns */
void records_tick(struct records *r, int64_t now);
/* What waits is written: whoever reads the files finds all that was. -errno: it is not */
int records_flush(struct records *r);
void records_counts(struct records *r, struct records_counts *ret_counts);
/* Waits until the thread that packs has ended: for tests and for the end */
void records_settle(struct records *r);

#endif
