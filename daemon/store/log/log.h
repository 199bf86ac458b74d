/*
 * kith-log: answers one LogRequest from the record store and the system's journal, in order of time. A process that lives as long as the answer.
 *
 *   main.c     options, the request, merging, what is written
 *   query.c    what is asked for, and what of a block says quickly that there is nothing of it
 *   scan.c     one block or open file: what fits, as frames
 *   own.c      the store: which blocks, several at a time, in order
 *   journal.c  the system's journal, read in place
 *   verify.c   --verify
 */
#ifndef KITH_LOG_H
#define KITH_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "control/control.pb-c.h"
#include "control/frame.h"
#include "control/pattern.h"
#include "promises/regex.h"
#include "store/records.h"
#include "store/records_format.h"

/* ---- query.c ------------------------------------------------------------------------------------------------------ */

#define QUERY_LITERALS 8
#define QUERY_WORDS 16
#define QUERY_FIELDS 32
#define LITERAL_MAX 512

/* One way for the expression to match: a text that the message has in it then, and words that it has then */
struct literal {
	char text[LITERAL_MAX + 1];
	size_t length; /* 0: nothing is known */
	size_t rare;   /* which of its bytes is the rarest in logs: that one is searched for */
	uint64_t words[QUERY_WORDS];
	size_t n_words;
};
struct query_field {
	const char *key, *value;
	uint64_t words[QUERY_WORDS]; /* of both */
	size_t n_words;
};
struct query {
	struct patterns patterns;
	int64_t from, to;    /* wall ns; `to` is the last that counts */
	uint32_t priority;   /* this and more urgent ones */
	struct regex *regex; /* NULL: none */
	bool literal_only;   /* the expression is the one literal and nothing else */
	struct literal literals[QUERY_LITERALS];
	size_t n_literals;   /* 0: anything may match */
	struct query_field fields[QUERY_FIELDS];
	size_t n_fields;
	uint32_t last;       /* 0: all */
	bool own, journal, follow;
	char *text;          /* of the fields */
};

/* -EINVAL, -EHOSTUNREACH: `why` says what is wrong; -ENOMEM. `host`: this host's name. Points into the request. */
int query_new(struct query *q, const Control__LogRequest *request, const char *host, int64_t now, struct buf *why);
void query_free(struct query *q);
/* May there be a record in the block that fits? By its header alone. */
bool query_block(const struct query *q, const struct block_head *h);
bool query_words(const struct query *q, const struct block_head *h);
bool query_message(const struct query *q, const char *message);
/* Where the literal comes first; `end`: nowhere */
const char *query_find(const struct literal *l, const char *at, const char *end);
bool query_fields(const struct query *q, const struct record_row *row);
/* `promise`: the name of one, if it is of a transition; or NULL */
bool query_subject(const struct query *q, const char *subject, const char *promise);

/* ---- frames: records as they are written, in order of time --------------------------------------------------------- */

struct found {
	int64_t time;
	uint64_t order;  /* of arrival */
	size_t at, length; /* in the frames of its chunk */
};
/* What was found in one block */
struct chunk {
	uint8_t *frames;
	size_t length, size;
	struct found *found;
	size_t n, n_size;
	bool failed;     /* out of memory */
};
void chunk_free(struct chunk *c);
void chunk_add(struct chunk *c, const struct record_row *row, const char *subject, const char *source);

/* ---- scan.c ------------------------------------------------------------------------------------------------------- */

/* A block, or an open file */
struct unit {
	uint64_t file;          /* number of the file of blocks; of an open file its own */
	bool open;
	int fd;                 /* of an open file; -1 */
	int64_t size;           /* of an open file, when it was looked at first; of a block */
	struct index_entry entry; /* of an open file from and to alone */
	uint64_t count;         /* what was found in it */
	bool counted;
};
/* What one thread needs */
struct scanner {
	const struct query *query;
	int dir;
	int fd;                 /* the file of blocks that is open; -1 */
	uint64_t file;
	struct block_dctx *dctx;
	uint8_t *data, *raw;
	size_t data_size, raw_size;
	bool *names;            /* of the block's names: does it fit? bit by bit */
	char *name_text;
	const char **name_at;
	size_t names_size, name_text_size;
	unsigned damaged, gone; /* blocks */
};
int scanner_open(struct scanner *s, const struct query *q, int dir);
void scanner_close(struct scanner *s);
/* All that fits; into `chunk`, or, if that is NULL, counted only. *ret_count. -ENOMEM. A damaged block is one without records. */
int scanner_scan(struct scanner *s, const struct unit *u, struct chunk *chunk, uint64_t *ret_count);

/* ---- own.c -------------------------------------------------------------------------------------------------------- */

struct own;
struct output;
/* -ENOENT: there is no store; -errno */
int own_new(const char *state_dir, const struct query *q, struct output *out, struct own **ret_own);
void own_free(struct own *o);
/* How many fit, counted from the last one on until there are `most` or more; from there on own_next begins. -EPIPE: nobody reads any more */
int own_count(struct own *o, uint64_t most, uint64_t *ret_count);
/* The next in order of time; 1: there it is, 0: that was all; -errno. The frame is valid until the next call. */
int own_next(struct own *o, int64_t *ret_time, const uint8_t **ret_frame, size_t *ret_length);
void own_progress(const struct own *o, uint64_t *ret_done, uint64_t *ret_of); /* bytes */
unsigned own_damaged(const struct own *o, unsigned *ret_gone);

/* ---- journal.c ---------------------------------------------------------------------------------------------------- */

struct journal;
/* -ENODATA: there is none; -EACCES: no right to read it; `why` says so. `folder`: NULL is the system's */
int journal_new(const char *folder, const struct query *q, struct output *out, struct journal **ret_journal, struct buf *why);
void journal_free(struct journal *j); /* NULL is fine */
int journal_count(struct journal *j, uint64_t most, uint64_t *ret_count);
int journal_next(struct journal *j, int64_t *ret_time, const uint8_t **ret_frame, size_t *ret_length); /* as own_next */
/* Waits until there is more, or `fd` has an error: then 0; 1: there may be more; -errno */
int journal_wait(struct journal *j, int fd);

/* ---- main.c: called while something takes long. False: stop, nobody reads any more ---- */
bool output_progress(struct output *o);

/* ---- verify.c: exit status */
int verify_run(const char *state_dir, bool mend);

#endif
