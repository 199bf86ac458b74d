/* Inside of the record store: what waits and is written (records.c), the folder (records_folder.c), the thread that packs (records_worker.c) */
#ifndef KITH_STORE_RECORDS_IMPL_H
#define KITH_STORE_RECORDS_IMPL_H

#include <pthread.h>

#include "base/clock.h"
#include "store/records.h"
#include "store/records_format.h"

#define WAIT_SIZE (512u << 10)         /* bytes of memory for rows that wait */
#define WAIT_HEAD (OPEN_HEAD + FRAME_HEAD)
#define WAIT_WRITE (64u << 10)         /* so many are not left to the tick */
#define WAIT_KEEP (128u << 10)         /* memory beyond this goes back when nothing waits */
#define BLOCK_SIZE (256u << 10)
#define OPEN_AGE (24 * 3600 * NS_PER_S) /* an open file of this age is made a block, however small */
#define TRY_EVERY NS_PER_S
#define CHECK_EVERY (60 * NS_PER_S)     /* is the open file still there? */
#define TRIM_EVERY (3600 * NS_PER_S)
#define FILE_NAME_MAX 32
#define SOURCES 16
#define SOURCE_MAX 32

/* Whose records were dropped: the subject's family */
struct records_source {
	char name[SOURCE_MAX];
	uint64_t dropped;
};
struct records_lost {
	struct records_source sources[SOURCES];
	unsigned n;
	uint64_t others, all; /* of sources beyond; of all */
	int64_t from, to;     /* the first one's time, the last one's */
};

/* What the thread that packs shares with the loop's, under `lock` */
struct records_worker {
	pthread_mutex_t lock;
	pthread_t thread;
	bool running;      /* there is a thread, or one to be joined */
	bool ended;        /* it will do nothing more */
	bool stop;         /* it shall end after this block */
	bool again;        /* there is more to do than it knows of */
	uint64_t limit;    /* open files below this are to be packed */
	int64_t max_size, max_age;
	bool young;        /* the clock was set: nothing goes for its age */
	/* what it has to tell */
	uint64_t blocks, damaged, removed, packed_ns;
	int64_t size;
	int error;         /* of the last try; 0: it went well */
};

struct records {
	struct model *model;
	struct model_observer observer;
	const struct records_io *io;
	void (*soon)(void *user);
	void *user;
	char *path;          /* of the folder */
	int dir;             /* -1: it is not open */
	size_t block_size;
	/* what waits: rows from `start` to `end` in `wait`, and room for both heads before them */
	uint8_t *wait;
	size_t start, end;
	uint64_t waiting;    /* rows */
	/* the open file */
	int fd;              /* -1: there is none yet */
	uint64_t sequence;   /* its number, or that of the next one */
	off_t size;
	bool torn;           /* there is half a frame at its end that could not be cut off */
	int64_t begun;       /* wall ns of its first row */
	int64_t checked, trimmed, young_until, tried; /* mono; tried: wall */
	int64_t offset;      /* of the wall clock to the monotonic one; 0: not known yet */
	bool failing, said;
	int error;           /* why it fails */
	int packing_error;   /* that was said */
	uint64_t said_damaged;
	struct records_lost lost;
	struct records_counts counts;
	struct records_worker worker;
};

extern const struct records_io records_system_io;

/* records_folder.c */
struct records_file {
	uint64_t sequence;
	int64_t size, changed; /* changed: wall ns */
	bool open;             /* .open, else .blocks */
};
/* The files of the folder, by number, a file of blocks before an open one of the same number. -errno; *ret_files to be freed */
int records_list(int dir, struct records_file **ret_files, size_t *ret_n);
void records_file_name(char name[FILE_NAME_MAX], uint64_t sequence, bool open);
/* Makes and opens the folder, takes it for this process, finds the number to go on with and the file to go on in. -EBUSY: another's */
int records_folder_open(struct records *r);
void records_folder_close(struct records *r);
int records_file_new(struct records *r);
/* Cuts off what is no whole frame at an open file's end. *ret_size: its size then; 0: it is no open file. *ret_time: of its first row, or 0 */
int records_open_mend(const struct records_io *io, int fd, int64_t *ret_size, int64_t *ret_time);
/* All of a file, of `most` bytes at the most; to be freed. -EFBIG */
int records_read_all(const struct records_io *io, int fd, size_t most, uint8_t **ret_data, size_t *ret_length);
/* Writes all of it or -errno; what was written of it then is to be cut off */
int records_write_all(const struct records_io *io, int fd, const uint8_t *data, size_t length);
/* records_worker.c */
void worker_init(struct records_worker *w);
/* Starts it if it is not at work. */
void worker_wake(struct records *r);
void worker_join(struct records *r, bool wait); /* if it has ended, or when it has */

#endif
