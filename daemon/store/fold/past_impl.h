/* Inside of past.c, past_samples.c, past_rows.c */
#ifndef KITH_STORE_FOLD_PAST_IMPL_H
#define KITH_STORE_FOLD_PAST_IMPL_H

#include "store/fold/past.h"
#include "store/segment.h"

/* A segment or a chunk of the ring */
struct past_chunk {
	uint64_t number;
	int64_t begin;
	const uint8_t *data; /* of the ring; NULL: a file */
	size_t length;
};

struct past {
	struct past_config config;
	struct past_series *series;
	int journal, rrd;    /* folders; -1: none */
	int lock;
	struct past_chunk *chunks;
	size_t n_chunks;
	char *rrd_path;
	char *state_text;    /* rrd/.state; NULL: none */
	size_t state_length;
	uint64_t state_number; /* up to which segment it is */
	int64_t state_end;   /* wall ns of its last sample */
	int64_t end;         /* of the samples so far */
	int64_t until;       /* what is known ends here: config.to, or the last sample */
	uint64_t number;     /* of the segment that is read */
	uint32_t source;     /* of what is read */
	bool extra;          /* so is the sample that is read */
	size_t points;       /* in memory */
	bool delivering;     /* rows of a file: as many as it has */
	int64_t said;        /* mono ns of the last progress */
};

/* past.c */
int past_series_get(struct past *p, const char *family, const char *instance, const struct fold_metric *m, int64_t stale_after,
                    struct past_series **ret_series);
int past_point_add(struct past *p, struct past_series *s, const struct past_point *point);
/* past_samples.c: all chunks, for series that are not done */
int past_samples(struct past *p);
/* past_rows.c: rows of its file for the time before s->first, in front of its points */
int past_rows(struct past *p, struct past_series *s);
/* Series that have RRD files */
int past_rows_find(struct past *p);

#endif
