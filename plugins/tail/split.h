/* From a file's bytes to records: lines, or lines with those that belong to them. */
#ifndef KITH_TAIL_SPLIT_H
#define KITH_TAIL_SPLIT_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "lines/line.h"

#define SPLIT_PATTERN_MAX 256 /* bytes of a regular expression */

/* How a file's lines make records: each by itself; those that begin with a blank go on the one before; or what `begins` matches begins one. */
struct rules {
	bool several;  /* more than one line may be a record */
	bool regular;  /* `begins` is there; else a blank at a line's beginning goes on */
	regex_t begins;
};

/* "", "indent", or a POSIX extended regular expression. -EINVAL: `why` (at least 128 bytes) says what is wrong */
int rules_new(struct rules *r, const char *text, char *why, size_t size);
void rules_free(struct rules *r);

/* What goes on between two looks at a file; all 0 at the start */
struct split {
	bool skip;     /* the rest of a line that was cut */
	bool skip_on;  /* lines that go on a record that was cut */
};

struct piece {
	size_t used;   /* bytes that are done with, with the record's end */
	size_t length; /* bytes of it that are taken: from `data`, LINE_MAX_BYTES at most */
	bool none;     /* these bytes are passed over */
	bool cut;
	unsigned lines; /* that it has; 0 with `none` */
};

/*
 * The next record at data[0]. false: more bytes are needed. `full`: no more fit the buffer. `final`: there will be no more, what is left is a record.
 * data[length] may be written to; what is before it, too.
 */
bool split_next(struct split *s, const struct rules *r, char *data, size_t length, bool full, bool final, struct piece *ret_piece);
/* Lines with \n between them, cut to LINE_MAX_BYTES; `to` has room for a byte more. Returns the length. */
size_t split_join(const char *data, size_t length, char *to, bool *cut);

#endif
