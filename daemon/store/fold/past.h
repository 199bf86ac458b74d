/*
 * What is known of the past, of the series that patterns name: samples in memory (a snapshot of the ring), in segments, and rows of RRD files for the time
 * before. Each time comes from one of them.
 */
#ifndef KITH_STORE_FOLD_PAST_H
#define KITH_STORE_FOLD_PAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "control/pattern.h"
#include "store/fold/family.h"
#include "store/fold/resample.h"

#define PAST_POINTS_MAX (1u << 20)    /* of all series at a time: 48 MiB */
#define PAST_STEPS_MAX (1u << 20)     /* of one series */
#define PAST_RING_MAX (256u << 20)    /* bytes */

enum past_source { PAST_RING = 1, PAST_JOURNAL = 2, PAST_RRD = 3 }; /* as Points.from */

struct past_point {
	int64_t time;                  /* wall ns; of a step or a row: its end */
	double value, least, most;     /* NaN: not known from here on. Without a step all three are the same */
	int64_t step;                  /* ns; 0: a sample */
	uint32_t from;                 /* enum past_source */
	bool extra;                    /* taken between two rounds */
};

struct past_series {
	char *key;                     /* FAMILY, tab, instance, tab, metric */
	char *family, *instance, *metric, *unit, *file; /* file: of the RRD; NULL: none is known */
	char **states;
	uint32_t n_states, kind, flags; /* KITH_METRIC_* */
	int64_t hold;                  /* ns; RESAMPLE_FOREVER */
	int64_t stale_after;           /* ns: its family's; 0: never */
	/* While samples come */
	struct resample resample;
	int64_t first;                 /* wall ns: from when on samples know it; INT64_MAX: they do not */
	bool live, any;
	int64_t time;                  /* of the sample before */
	double value;
	bool later;                    /* there was no memory for its points: another time */
	bool done;
	struct past_point *points;     /* of samples; then all, in order */
	size_t n, room;
	UT_hash_handle hh;
};

struct past;
struct past_config {
	const char *state;             /* STATE_DIR */
	struct patterns *patterns;     /* those that match are marked */
	int64_t from, to;              /* wall ns, both of it */
	int64_t step;                  /* ns; 0: samples, and RRD rows as they are */
	bool raw;                      /* without step: counters as they are; what stood at `from` is a point then */
	const uint8_t *ring;           /* journal_snapshot's; NULL: none */
	size_t ring_length;
	/* Each series that has points, with all of them in order. Not 0 ends it */
	int (*series)(const struct past_series *s, void *user);
	/* Now and then; not 0 ends it. May be NULL */
	int (*progress)(uint64_t done, uint64_t of, void *user);
	void *user;
};

/* 0; -ENOMEM, -EBADMSG (the ring is none), what a function gave, or -errno of the folder */
int past_run(const struct past_config *config);

#endif
