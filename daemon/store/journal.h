/*
 * The journal: all samples, in memory (the ring: the last ones) and on disk (STATE_DIR/journal, kith-journal(5)), by the same bytes: a chunk is packed
 * (pack.h) as samples come, and what of it is new is appended to its segment on each tick, with one write. kith-fold takes what is sealed into RRD files.
 *
 * No loop and no thread of its own: the caller's tick drives it. A sample's way allocates nothing: there is a spare chunk. Without a disk (full, read-only,
 * broken) the ring goes on; what leaves it without having been written is counted and recorded.
 */
#ifndef KITH_STORE_JOURNAL_H
#define KITH_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "model/model.h"
#include "store/pack.h"

struct journal;

/* What it does to files. NULL members: the kernel's. Each gives -1 and errno, as those do. */
struct journal_io {
	int (*open)(int folder, const char *name, int flags, mode_t mode, void *user);
	ssize_t (*writev)(int fd, const struct iovec *iov, int n, void *user);
	int (*truncate)(int fd, off_t length, void *user);
	int (*unlink)(int folder, const char *name, void *user);
	void *user;
};

struct journal_config {
	const char *folder;    /* copied; made when it is missing. NULL: in memory alone */
	size_t chunk;          /* bytes; a segment is sealed when it is full. 0: 64 KiB; at least 4 KiB */
	size_t ring;           /* bytes of all chunks in memory. 0: 1 MiB; at least four chunks */
	int64_t ring_age;      /* ns: what ended longer ago leaves memory, and the disk when it is folded. 0: 1 h */
	uint64_t disk;         /* bytes of all segments. 0: 64 MiB */
	int64_t sync;          /* ns between two syncs. 0: 30 s */
	/* To be synced, now and then, elsewhere: the descriptor is valid during the call. Not 0: not now, it is tried again. NULL: never */
	int (*flush)(int fd, void *user);
	void *user;
	struct journal_io io;
};

struct journal_counts {
	uint64_t samples;      /* taken since the start */
	uint64_t bytes;        /* that they took, with what they are of */
	uint64_t restored;     /* samples of the ring that the disk had at the start */
	uint64_t dropped;      /* samples that left the ring without having been written, or whose segment was removed before it was folded */
	uint64_t refused;      /* samples that there was no memory for */
	uint64_t damaged;      /* bytes of segments that could not be read at the start */
	uint64_t appends, written; /* writes, and their bytes */
	uint64_t failures;     /* of these */
	size_t ring, chunks;   /* bytes in memory */
	uint64_t disk, segments; /* bytes and segments on disk */
	uint64_t unfolded;     /* segments that are sealed and wait for kith-fold */
};

/* -ENOMEM. A folder that cannot be had is said in the log, and tried again later. */
int journal_new(struct model *m, const struct journal_config *config, struct journal **ret_journal);
void journal_free(struct journal *j); /* appends and seals what there is; NULL is fine */
/* On each tick, after its samples: appends, seals, syncs, drops */
void journal_tick(struct journal *j, int64_t now);
/* The clock was set: times go on from another one, in another chunk */
void journal_jump(struct journal *j);
/* Seals what there is, so that it can be folded */
void journal_seal(struct journal *j);
/* kith-fold has ended: what it has folded up to is read from its file, and what is not needed any more is removed */
void journal_folded(struct journal *j);
/* Other limits from now on: ring and disk in bytes, sync in ns; 0: as in the configuration */
void journal_limit(struct journal *j, size_t ring, uint64_t disk, int64_t sync);
void journal_counts(const struct journal *j, struct journal_counts *ret_counts);
bool journal_writes(const struct journal *j); /* to a disk, if it can */
const char *journal_off(const struct journal *j); /* why nothing is written now; NULL: it is */

/*
 * The ring as it is now, for another process: the head of a segment, the length of the chunk (8 bytes, little-endian), the chunk, of each from the oldest
 * on; then 8 bytes of FF. `put` gets it piece by piece; not 0 ends it and is returned. What was appended to disk is in it too, under the same numbers.
 */
int journal_snapshot(struct journal *j, int (*put)(const void *data, size_t length, void *user), void *user);

/* Tells of all that the ring has, the oldest first: unpacker_feed's results, but for a damaged chunk, of which what stands before is told. */
int journal_read(struct journal *j, const struct unpack_fns *fns, void *user);
int64_t journal_end(const struct journal *j); /* wall ns of the ring's last sample; 0: it has none */

/* STATE_DIR/journal/folded: segment.h */
#define JOURNAL_FOLDED "folded"

#endif
