/*
 * A quantile of the weighted values of the last 16 slices of time, in bounded memory.
 *
 * Values are counted in bins whose edges grow by a factor g, (1 + e) / (1 - e) for an error of e = 1 %: a value is off
 * by 1 % at most, and zero is a bin of its own. 256 bins reach over a factor of 150 in magnitude when values are dense
 * there, over any range when they are few; both signs share them. When more are needed every two neighbours become one,
 * which squares g and about doubles the error: 2 % to a factor of 22,000, 4 % to 5e8, then 8 %, … Each slice is
 * collapsed for its own values alone, and what all of them share goes back as soon as the slices that needed it have
 * left: the error is that of the values that are in the window, not of any before. Below 1e-300 it holds no longer.
 *
 * The true least and greatest value bound the answer; they are given exactly where the rank is the first or the last.
 * Nothing is allocated after sketch_new. A value costs a logarithm, a binary search over at most 256 rows and amortised
 * two steps of the cursor, which stays at the quantile.
 *
 * Memory: 38 KB of address space, of which it touches 5 KB and then 256 bytes for every 32 bins of a slice, rounded up
 * to pages.
 */
#ifndef KITH_PROMISES_SKETCH_H
#define KITH_PROMISES_SKETCH_H

#include <stdint.h>

#define SKETCH_SLICES 16
#define SKETCH_BINS 256

struct sketch;

/* share: of the quantile, 0 … 1. NULL: out of memory */
struct sketch *sketch_new(double share);
void sketch_free(struct sketch *s);
/* Forgets all values */
void sketch_clear(struct sketch *s);
/* Opens a new slice; the one of 16 slices ago leaves. */
void sketch_step(struct sketch *s);
/* Of the newest slice. A slice takes a weight of 2^32 - 1 in all: what goes beyond it is left out. */
void sketch_add(struct sketch *s, double value, uint32_t weight);
/* The nearest rank: the least value that at least `share` of the weight does not exceed. NaN: there is none. */
double sketch_value(const struct sketch *s);

#endif
