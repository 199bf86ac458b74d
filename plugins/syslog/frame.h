/*
 * Lines of a TCP stream (RFC 6587), of whatever kind each of them is: "LENGTH <PRI>…" by its count of octets, all others up to a line feed or a NUL.
 * Bounded: what is longer than LINE_MAX_BYTES is cut, and the rest of it passed over.
 */
#ifndef KITH_SYSLOG_FRAME_H
#define KITH_SYSLOG_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "lines/line.h"

#define FRAME_COUNT_MAX 7                                  /* digits of a length */
#define FRAME_REST_MAX (LINE_MAX_BYTES + FRAME_COUNT_MAX + 2) /* bytes that may wait for what follows them */

/* A stream's state beside its rest; all 0 at the start */
struct frame {
	size_t skip;    /* bytes of a line that was cut by its count, still to be passed over */
	bool skip_line; /* so is all up to the next line feed */
};

/* `text` may be written to, and text[length] too. `cut`: it was longer; `whole` is its length where that is known, else 0 */
typedef void (*frame_fn)(char *text, size_t length, bool cut, size_t whole, void *user);

/*
 * Gives the lines in `data` to `fn`, and returns how many bytes are done with: the rest, less than FRAME_REST_MAX, is to come again with what follows it.
 * data[length] may be written to.
 */
size_t frame_parse(struct frame *f, char *data, size_t length, frame_fn fn, void *user);
/* The stream is at its end: what is left of it is a line too, cut if it has a count. */
void frame_end(struct frame *f, char *data, size_t length, frame_fn fn, void *user);

#endif
