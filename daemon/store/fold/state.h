/* rrd/.state, taken apart: for the fold, for answers, and for whoever tests it */
#ifndef KITH_STORE_FOLD_STATE_H
#define KITH_STORE_FOLD_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "store/fold/resample.h"

struct state_head {
	uint64_t number; /* of the last segment that was folded */
	int64_t end;     /* wall ns of its last sample */
};

struct state_series {
	const char *metric;
	struct resample series; /* its step is the instance's */
};

struct state_fns {
	/* Not 0: what is of this instance is left out; -ENOMEM ends it */
	int (*instance)(const char *family, const char *name, int64_t step, void *user);
	/* Of the instance that was told last. Not 0 ends it */
	int (*series)(const struct state_series *s, void *user);
	int (*row)(int64_t at, const char *metric, double value, void *user);
};

/* `text` is NUL-terminated behind `length`, and changed. `fns` NULL: the head alone is wanted. -EBADMSG: its checksum is another; then nothing was told */
int state_parse(char *text, size_t length, const struct state_fns *fns, void *user, struct state_head *ret_head);
/* The file in a folder; malloc */
int state_read(const char *rrd, char **ret_text, size_t *ret_length);

#endif
