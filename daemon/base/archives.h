/* How long what is kept, as text: "10s:6h,1min:2d,10min:2w,2h:2y" */
#ifndef KITH_BASE_ARCHIVES_H
#define KITH_BASE_ARCHIVES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define ARCHIVES_MAX 8u
#define ARCHIVES_DEFAULT "10s:6h,1min:2d,10min:2w,2h:2y"
#define ARCHIVE_ROWS_MAX 1000000u

struct archive {
	int64_t row;   /* ns that a row is of: a multiple of the step */
	uint32_t rows;
};

struct archives {
	struct archive list[ARCHIVES_MAX]; /* the finest first; its rows are of one step or several */
	size_t n;
};

/* "10s", "1min", "2h", "30d", "2w", "2y" (365 days), "90" (seconds): whole seconds, in ns. -EINVAL */
int duration_parse(const char *text, size_t length, int64_t *ret_ns);
/*
 * -EINVAL, and *why says what is wrong: no pair, a row that is no multiple of the step or not longer than the one before, a time shorter than a row, more
 * rows than ARCHIVE_ROWS_MAX, too many. `step`: ns, of whole seconds.
 */
int archives_parse(const char *text, int64_t step, struct archives *ret_archives, struct buf *why);
/* ARCHIVES_DEFAULT for another step: what is finer is of that step. Of those with the same rows the longest stays. */
void archives_default(int64_t step, struct archives *ret_archives);

#endif
