/* What trail.c and trail_file.c share */
#ifndef KITH_STORE_TRAIL_IMPL_H
#define KITH_STORE_TRAIL_IMPL_H

#include "store/trail.h"

struct stored {
	int64_t time; /* bit 0: extra */
	double value;
};

/* Of a series; or of the file, then it waits for one of that name */
struct trail {
	struct trail *next, **link; /* of all */
	struct series *series;
	int64_t until;              /* nobody looked from then on, until its next sample; 0: it was looked at all the time */
	unsigned uses;              /* names that promises have for it */
	unsigned n, newest;
	struct stored samples[TRAIL_LENGTH];
};

struct waiting {
	struct waiting *next;
	struct trail *trail;
	uint32_t kind, n_states; /* of the metric as it was */
	char name[];
};

struct trails {
	struct model *model;
	struct trail *all;
	struct waiting *waiting;
	size_t n, n_waiting, most;
	uint64_t refused;
	int64_t saved;              /* when the file was written, wall ns; 0: there was none */
};

#endif
