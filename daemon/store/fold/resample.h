/*
 * One series from samples to steps of the wall clock: one value for each (B - step, B], B a multiple of the step. Knows no files and no names.
 *
 * Gauges: the mean of the step's samples; without one, the last value as long as it stands. States: the last one. Counters: the rate per second, the
 * increase between two samples spread evenly over the time between them; a reset to a lower value counts from 0. Of counters that are put when they
 * change, the increase is of the moment when it was told. Unknown: before the first sample, after the end, while kithd did not run, and when a value is
 * older than it may be; of a counter, when less than half of the step is known.
 */
#ifndef KITH_STORE_FOLD_RESAMPLE_H
#define KITH_STORE_FOLD_RESAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#define RESAMPLE_FOREVER INT64_MAX

/* The steps that end at first, first + step, … last: all of them have this value */
struct resample_run {
	int64_t first, last;           /* wall ns */
	double average, least, most;   /* of a value that stood: all three are it. Of a state the average is the last */
};

/* What becomes known; in the order of time, and nothing of what is unknown. Not 0 ends the call that it came from, and is returned. */
typedef int resample_fn(const struct resample_run *run, void *user);

struct resample {
	int64_t step;        /* ns; more than 0 */
	int64_t hold;        /* ns that a value stands without a successor; RESAMPLE_FOREVER: put when it changes */
	uint32_t kind;       /* enum kith_kind */
	bool live;           /* the last sample stands: neither ended nor outdated nor interrupted */
	bool any;            /* there was a sample */
	int64_t next;        /* the end of the step that is gathered; all before it were told. 0: none yet */
	int64_t time;        /* of the last sample */
	double value;
	/* Of the step up to now */
	uint64_t n;          /* gauges, states: samples. counters: pieces between two */
	int64_t known;       /* counters: ns */
	int64_t since;       /* counters that are put when they change: from when on they are known */
	double sum, least, most; /* counters: sum is the increase, the others are rates */
	uint64_t backwards;  /* samples whose step had been told already: the clock was set back */
};

void resample_begin(struct resample *r, uint32_t kind, int64_t step, int64_t hold);
/* Samples in the order in which they were taken. Times that are not after 1970 are left out. */
int resample_put(struct resample *r, int64_t time, double value, resample_fn *fn, void *user);
/* No sample before `until` is to come: what is certain is told, at most the steps that end before it. */
int resample_advance(struct resample *r, int64_t until, resample_fn *fn, void *user);
/* The instance has ended, or kithd did not run from then on. */
int resample_end(struct resample *r, int64_t time, resample_fn *fn, void *user);
/* The last thing: what is known of the steps up to `until`, for readers who do not wait. -EINVAL: INT64_MAX */
int resample_rest(struct resample *r, int64_t until, resample_fn *fn, void *user);

/* After resample_rest(): what is known of the step that `until` lies in, as far as it goes; told with `until` as its end */
int resample_part(const struct resample *r, int64_t until, resample_fn *fn, void *user);

/* The first multiple of the step that is not before `time` */
int64_t step_up(int64_t time, int64_t step);

#endif
