/* Inside of the journal: the ring (journal.c) and its way to the disk (journal_disk.c) */
#ifndef KITH_STORE_JOURNAL_IMPL_H
#define KITH_STORE_JOURNAL_IMPL_H

#include "store/journal.h"
#include "store/pack.h"
#include "store/segment.h"

#define JOURNAL_RESERVE 512u /* bytes that a chunk keeps for ends of instances and the next sample */

/* Of the ring, the oldest first; the last one is being filled */
struct chunk {
	struct chunk *next;
	struct segment_head head;
	int64_t end;            /* wall ns of its last sample */
	uint8_t *data;
	size_t length, size;
	uint64_t samples;
	size_t written;         /* bytes of it that are on disk */
	uint64_t written_samples;
	bool sealed, finished;  /* finished: its seal is on disk, too */
};

struct journal {
	struct model *model;
	struct model_observer observer;
	struct journal_config config;
	char *path;             /* NULL: in memory alone */
	struct chunk *oldest, *newest;
	struct chunk *spare;    /* the next one; NULL: none yet */
	struct packer packer;   /* fills `newest` */
	size_t ring;
	uint32_t families;      /* of this chunk */
	uint32_t chunk;         /* number of it within this process; never 0 */
	uint64_t number;        /* of the next segment */
	bool started;           /* and it was told of in a chunk */
	/* the disk */
	int folder;             /* -1: not there */
	int fd;                 /* of the segment that is written; -1 */
	uint64_t fd_number;
	off_t fd_size;
	char *off;              /* why not */
	int64_t retry;          /* wall ns: not before */
	int64_t appended;       /* wall ns of the last time */
	int64_t synced;         /* wall ns of the last time */
	bool dirty, torn;       /* torn: what failed could not be taken back yet */
	struct segment_file *files; /* on disk, by number, but for the one that is written */
	size_t n_files;
	uint64_t folded;
	uint64_t lost;          /* samples, since it was said last */
	int64_t lost_told;      /* wall ns: when; 0: not yet */
	int64_t lost_from, lost_to;
	struct journal_counts counts;
};

/* journal_disk.c */
int disk_open(struct journal *j);           /* the folder, what is in it, and the ring out of it */
void disk_close(struct journal *j);
void disk_append(struct journal *j, int64_t now); /* what is new of all chunks in memory */
void disk_sync(struct journal *j, int64_t now);
void disk_trim(struct journal *j);                /* what is folded and old, or too much */
void disk_read_folded(struct journal *j);

/* journal.c */
void journal_lose(struct journal *j, uint64_t samples, int64_t from, int64_t to);
void chunk_free(struct chunk *c);

#endif
