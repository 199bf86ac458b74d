/* kith-fold --verify: is what is kept whole? */
#ifndef KITH_STORE_FOLD_VERIFY_H
#define KITH_STORE_FOLD_VERIFY_H

#include <stdbool.h>

/*
 * Says on standard output what is wrong with what, a line each. `repair`: what can be is put right: torn ends of segments are cut off, RRD files that are
 * none moved aside, .family files completed, and more: kith-fold(8). 0: all is well, or is now; 1: not; -errno: it cannot be looked at
 */
int verify_run(const char *state, bool repair);

#endif
