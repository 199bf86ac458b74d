/* kith-fold --export: the past for other programs */
#ifndef KITH_STORE_FOLD_EXPORT_H
#define KITH_STORE_FOLD_EXPORT_H

#include <stdint.h>

#include "store/fold/fold.h"

struct export {
	const char *state;
	char *const *patterns;   /* n of them; none: everything */
	size_t n;
	int64_t from, to, step;  /* wall ns; of CSV alone. step 0: as it is there */
};

/* time,name,value on standard output. 0; 1, and it was said: nothing matched, or it failed */
int export_csv(const struct export *e);
/* Into the folder `to`, which is new or empty: RRD files with all that is known now. `fold` says of which shape new ones are */
int export_rrd(const struct export *e, const struct fold_config *fold, const char *to);
/* "2h" (ago), seconds since 1970, 2026-11-28T12:00:00Z, "now". -EINVAL */
int export_time(const char *text, int64_t now, int64_t *ret_time);

#endif
