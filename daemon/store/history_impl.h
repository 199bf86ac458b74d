/* Inside of the history: the file being written (history.c), read (history_read.c) and compacted (compact.c) */
#ifndef KITH_STORE_HISTORY_IMPL_H
#define KITH_STORE_HISTORY_IMPL_H

#include <uthash.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/history.h"
#include "store/history_line.h"

#define HISTORY_FILE "promises.history"
#define HISTORY_WAIT_MAX 65536u              /* bytes that wait for room */
#define HISTORY_SLACK (5 * NS_PER_S)         /* what lines may be out of order, or ahead of now */
#define HISTORY_CHUNK 16384u                 /* bytes read at a time */

struct compaction;

struct history {
	struct model *model;
	struct model_observer observer;
	struct history_config config;
	char *path, *new_path;
	int fd;               /* -1: there is none */
	char *off;            /* why; NULL: there is one */
	off_t size;
	bool torn;            /* the file ends within a line */
	bool full;            /* the last write failed, and that was said */
	struct buf line, waiting;
	uint64_t lost;        /* transitions that no line tells of yet */
	int64_t lost_from, lost_to;
	int64_t tried;        /* wall: the last write that failed */
	int64_t touched;      /* wall: the file's time of change */
	int64_t offset;       /* of the wall clock to the monotonic one */
	struct history_counts counts;
	struct compaction *compaction;
	off_t compacted;      /* its size after the last one */
};

/* history.c */
int64_t history_clock(struct history *h); /* wall; notes a jump since the last call */
int history_open_file(const char *path, int flags, int *ret_fd); /* opened, a plain file and ours */
void history_unreadable(struct history *h, uint64_t n); /* so many lines cannot be read: said when it is news */
void history_say(struct history *h, enum kith_priority priority, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* compact.c */
void compact_begin(struct history *h, int64_t now);
void compact_step(struct history *h);   /* a chunk of it; frees it at its end */
void compact_cancel(struct history *h); /* fine when none runs */

/* ---- reading: history_read.c ---- */

/*
 * Lines in order, in steps of a chunk. `at` and `begin_at` are the line's times on the clock as it is set now, so that differences
 * between them are times that passed: the first pass over the file adds up by how much the clock was set since.
 */
struct history_reader {
	int fd;
	off_t at, end;
	struct buf tail;    /* what waited when it began */
	bool in_tail;
	char *chunk;
	size_t filled;
	bool skipping;      /* within a line that is too long */
	bool second;        /* pass */
	int64_t total, seen, before; /* jumps of all lines; up to this one; before it */
	int64_t limit;      /* a later line is none */
	int64_t last;       /* the latest line's time on the clock of now */
	uint64_t unreadable;
	off_t offset;       /* of the line that `fn` is given */
	bool stopped;       /* by `fn` */
};
/* A line that can be read, or NULL: one that cannot. Not 0 ends the reading */
typedef int (*history_fn)(const struct history_line *line, int64_t at, int64_t end_at, void *user);

int history_reader_open(struct history_reader *r, struct history *h, int64_t now);
void history_reader_close(struct history_reader *r);
/* 1: there is more; 0: that was all; -errno, or what `fn` gave */
int history_reader_step(struct history_reader *r, history_fn fn, void *user);

/* ---- what lines say of one promise ---- */

/* Where all promises lost what was known of them */
struct marks {
	int64_t *at;
	size_t n, size;
};
int marks_add(struct marks *m, int64_t at);
void marks_free(struct marks *m);

struct track {
	uint8_t state;      /* enum kith_assessment */
	uint8_t definite;   /* the last that was not unknown; unknown: none */
	bool seen;          /* a line told of it */
	size_t away, lost;  /* marks that it has heard of */
	int64_t since;
	int64_t open;       /* broken time of the break that has not ended; -1: none */
};
/* What passed since the line before */
struct passed {
	enum kith_assessment state;
	int64_t from, to;
};
#define TRACK_INIT { .open = -1 }
/* kithd was away in the meantime: to its end. False: it was not */
bool track_away(struct track *t, const struct marks *away, struct passed *ret_passed);
/* Up to `at`, where it is seen to have been `from` until then */
struct passed track_until(struct track *t, int64_t at, enum kith_assessment from, const struct marks *lost);
/* It changes to `to` at `at`, after track_until. *ret_mended: ns that a break lasted which ends here, -1 none. True: a break begins. */
bool track_change(struct track *t, int64_t at, enum kith_assessment to, int64_t *ret_mended);
void track_sum(struct track *t, const struct history_line *line, int64_t at);

#endif
