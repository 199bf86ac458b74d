/* kith-fold --answer: a question about the past on standard input, its answer on standard output, in the frames of the control socket */
#ifndef KITH_STORE_FOLD_ANSWER_H
#define KITH_STORE_FOLD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "control/control.pb-c.h"
#include "control/pattern.h"
#include "store/pack.h"

/* Of a sample, or of a step of an RRD file */
struct past_point {
	int64_t time;
	double value, least, most;
};

/* A series that is asked for */
struct past_series {
	UT_hash_handle hh;       /* by its name */
	char *name, *unit;
	char **states;           /* NULL-terminated; NULL: it is no state */
	bool counter;            /* told as a rate */
	int64_t hold;            /* ns that a value stands; 0: until it changes */
	/* the sample before, of a counter */
	double last;
	int64_t last_time;       /* 0: none */
	struct past_point *points; /* of segments and the ring, in order */
	size_t n, size;
	struct past_point *old;  /* of RRD files, all before those */
	size_t n_old, old_size;
};

struct past {
	const char *state;       /* the folder */
	int64_t from, to, step;
	struct patterns patterns;
	struct past_series *series;
	int64_t heard;           /* wall ns: until when the last chunk tells; 0: there was none */
};

/* The program's exit status */
int answer_run(const char *state);

/* answer_journal.c: what the ring and segments have. `ring` as journal_snapshot gives it. */
int past_read_journal(struct past *p, const uint8_t *ring, size_t length);
/* The series of that name, made when it is new; NULL: no memory */
struct past_series *past_series_get(struct past *p, const char *family, const char *instance, const char *metric, const char *unit, uint32_t kind,
                                    char *const *states, int64_t hold);
int past_add(struct past_point **points, size_t *n, size_t *size, const struct past_point *point);
/* answer_rrd.c: what RRD files have of the time before that */
int past_read_rrd(struct past *p);

#endif
