/*
 * Counts this process's allocations, by thread: what `kith cost` shows and what tests of the hot path assert. Counting is done by malloc and its
 * kin as defined in alloc.c, linked into programs that ask for it; they pass on to libc. Sanitizers bring their own: then it says -1.
 */
#ifndef KITH_BASE_ALLOC_H
#define KITH_BASE_ALLOC_H

#include <stdint.h>

/* Allocations of the calling thread so far; -1: not counted in this build */
int64_t alloc_count(void);

#endif
