#include "promises/sketch.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PER_LOG 49.998333288886556  /* bins in a factor of e: 1 / ln(1.01 / 0.99) */
#define LOG_EDGE 0.020000666706669525
#define KEY_OFFSET 40000            /* log of the least number is above -745, a key above -37251 */
#define CHUNK_BINS 32
#define SLICE_CHUNKS (SKETCH_BINS / CHUNK_BINS)
#define CHUNKS (SKETCH_SLICES * SLICE_CHUNKS)
#define SLOTS (2 * SKETCH_BINS)
#define SLOT_SHIFT (32 - 9)

_Static_assert(SLOTS == 1 << (32 - SLOT_SHIFT), "a slot number has the bits that the shift leaves");

/*
 * The key of a bin orders as its values do: 0 of zero, 1 … of positive values, -1 … of negative ones. At level n a key
 * stands for 2^n keys of level 0.
 */
struct bin {
	int32_t key;
	uint32_t weight;
};

struct slice {
	unsigned level, n_bins, n_chunks;
	uint32_t weight;
	uint8_t chunks[SLICE_CHUNKS];
	double min, max;
};

struct sketch {
	double share;
	/* The rows: all slices together, at the level of all */
	unsigned level, n_rows;
	unsigned cursor;     /* the row of the rank */
	uint64_t below;      /* weight of the rows before it */
	uint64_t total, rank;
	double min, max;
	double estimate;     /* of the row at the cursor */
	int32_t estimate_key;
	unsigned estimate_level;
	unsigned newest;
	unsigned n_free, n_used; /* chunks given back; chunks ever taken */
	struct slice slices[SKETCH_SLICES];
	int32_t keys[SKETCH_BINS];
	uint64_t weights[SKETCH_BINS];
	uint16_t slots[SLOTS]; /* of the newest slice: number of the bin + 1, 0: free */
	uint8_t free[CHUNKS];
	struct bin pool[CHUNKS][CHUNK_BINS]; /* last: untouched as long as it is not needed */
};

/* ---- bins -------------------------------------------------------------------------------------------------------- */

static int32_t key_of(double value)
{
	double place;
	int32_t key;

	if (value == 0)
		return 0;
	place = fmin(log(fabs(value)) * PER_LOG, KEY_OFFSET - 1);
	key = (int32_t)place;
	key += (double)key < place;
	return value < 0 ? -(key + KEY_OFFSET) : key + KEY_OFFSET;
}

static int32_t coarser(int32_t key, unsigned levels)
{
	int32_t up = (INT32_C(1) << levels) - 1;

	return key >= 0 ? (key + up) >> levels : -((up - key) >> levels);
}

/* As far, in proportion, from the lower edge of the bin as from the upper */
static double bin_value(int32_t key, unsigned level)
{
	double bins = ldexp(1, (int)level), size = fabs((double)key), low;

	if (!key)
		return 0;
	low = exp(((size - 1) * bins - KEY_OFFSET) * LOG_EDGE);
	low *= 2 / (1 + exp(-bins * LOG_EDGE));
	return key < 0 ? -low : low;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* The first row whose key is not below `key` */
static unsigned row_find(const struct sketch *s, int32_t key)
{
	unsigned at = 0, n = s->n_rows;

	while (n) {
		unsigned half = n / 2;

		if (s->keys[at + half] < key) {
			at += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return at;
}

static void rows_collapse(struct sketch *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_rows; i++) {
		int32_t key = coarser(s->keys[i], 1);

		if (n && s->keys[n - 1] == key) {
			s->weights[n - 1] += s->weights[i];
		} else {
			s->keys[n] = key;
			s->weights[n++] = s->weights[i];
		}
	}
	s->n_rows = n;
	s->level++;
	s->cursor = 0;
	s->below = 0;
}

static void row_add(struct sketch *s, int32_t key, unsigned level, uint32_t weight)
{
	for (;;) {
		int32_t k = coarser(key, s->level - level);
		unsigned at = row_find(s, k);

		if (at == s->n_rows || s->keys[at] != k) {
			if (s->n_rows == SKETCH_BINS) {
				rows_collapse(s);
				continue;
			}
			memmove(&s->keys[at + 1], &s->keys[at], (s->n_rows - at) * sizeof(s->keys[0]));
			memmove(&s->weights[at + 1], &s->weights[at], (s->n_rows - at) * sizeof(s->weights[0]));
			s->keys[at] = k;
			s->weights[at] = 0;
			s->n_rows++;
			if (at < s->cursor)
				s->cursor++;
		}
		s->weights[at] += weight;
		if (at < s->cursor)
			s->below += weight;
		s->total += weight;
		return;
	}
}

/* The cursor goes where the rank is. Each sample moves it by two rows at most, on average: no row is empty. */
static void settle(struct sketch *s)
{
	double rank;

	if (!s->total)
		return;
	/* 0.55 of 100 is a little more than 55 in binary numbers. */
	rank = ceil(s->share * (double)s->total * (1 - 4e-16));
	s->rank = rank < 1 ? 1 : rank >= (double)s->total ? s->total : (uint64_t)rank;
	while (s->below >= s->rank)
		s->below -= s->weights[--s->cursor];
	while (s->below + s->weights[s->cursor] < s->rank)
		s->below += s->weights[s->cursor++];
	if (s->keys[s->cursor] != s->estimate_key || s->level != s->estimate_level) {
		s->estimate_key = s->keys[s->cursor];
		s->estimate_level = s->level;
		s->estimate = bin_value(s->estimate_key, s->level);
	}
}

/* ---- slices ------------------------------------------------------------------------------------------------------ */

static struct bin *slice_bin(struct sketch *s, const struct slice *slice, unsigned i)
{
	return &s->pool[slice->chunks[i / CHUNK_BINS]][i % CHUNK_BINS];
}

/* In the newest slice; false: it has no room for another bin */
static bool slice_place(struct sketch *s, int32_t key, uint32_t weight)
{
	struct slice *slice = &s->slices[s->newest];
	uint32_t slot = (uint32_t)key * UINT32_C(2654435761) >> SLOT_SHIFT;

	for (; s->slots[slot]; slot = (slot + 1) % SLOTS) {
		struct bin *b = slice_bin(s, slice, s->slots[slot] - 1u);

		if (b->key == key) {
			b->weight += weight;
			return true;
		}
	}
	if (slice->n_bins == SKETCH_BINS)
		return false;
	if (slice->n_bins == slice->n_chunks * CHUNK_BINS)
		slice->chunks[slice->n_chunks++] = s->n_free ? s->free[--s->n_free] : (uint8_t)s->n_used++;
	*slice_bin(s, slice, slice->n_bins) = (struct bin){ .key = key, .weight = weight };
	s->slots[slot] = (uint16_t)++slice->n_bins;
	return true;
}

static void slice_collapse(struct sketch *s)
{
	struct slice *slice = &s->slices[s->newest];
	unsigned n = slice->n_bins;

	slice->level++;
	slice->n_bins = 0;
	memset(s->slots, 0, sizeof(s->slots));
	for (unsigned i = 0; i < n; i++) {
		struct bin b = *slice_bin(s, slice, i); /* its place is written by no later one than itself */

		slice_place(s, coarser(b.key, 1), b.weight);
	}
}

static void slice_open(struct sketch *s)
{
	s->slices[s->newest] = (struct slice){ .min = INFINITY, .max = -INFINITY };
	memset(s->slots, 0, sizeof(s->slots));
}

static void slice_leave(struct sketch *s, struct slice *slice)
{
	unsigned n = 0, cursor = 0;

	for (unsigned i = 0; i < slice->n_bins; i++) {
		const struct bin *b = slice_bin(s, slice, i);
		unsigned row = row_find(s, coarser(b->key, s->level - slice->level));

		s->weights[row] -= b->weight;
		s->total -= b->weight;
		if (row < s->cursor)
			s->below -= b->weight;
	}
	for (unsigned i = 0; i < s->n_rows; i++) {
		if (!s->weights[i])
			continue;
		cursor += i < s->cursor;
		s->keys[n] = s->keys[i];
		s->weights[n++] = s->weights[i];
	}
	s->n_rows = n;
	s->cursor = cursor;
	while (slice->n_chunks)
		s->free[s->n_free++] = slice->chunks[--slice->n_chunks];
}

/*
 * Back to finer bins where the slices know better: twice the rows fit then. Costs a step for every bin in the window,
 * and those are no more than its samples.
 */
static void refine(struct sketch *s)
{
	while (s->level && s->n_rows <= SKETCH_BINS / 2) {
		unsigned finest = 0, level = s->level;

		for (int i = 0; i < SKETCH_SLICES; i++)
			if (s->slices[i].level > finest)
				finest = s->slices[i].level;
		if (finest == level)
			return;
		for (unsigned n = s->n_rows; level > finest && n <= SKETCH_BINS / 2; n *= 2)
			level--;
		s->level = level;
		s->n_rows = s->cursor = 0;
		s->total = s->below = 0;
		for (int i = 0; i < SKETCH_SLICES; i++)
			for (unsigned b = 0; b < s->slices[i].n_bins; b++) {
				const struct bin *bin = slice_bin(s, &s->slices[i], b);

				row_add(s, bin->key, s->slices[i].level, bin->weight);
			}
	}
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

struct sketch *sketch_new(double share)
{
	struct sketch *s = malloc(sizeof(*s)); /* no calloc: that may write the pool's pages */

	if (!s)
		return NULL;
	s->share = share;
	sketch_clear(s);
	return s;
}

void sketch_free(struct sketch *s)
{
	free(s);
}

void sketch_clear(struct sketch *s)
{
	s->level = s->n_rows = s->cursor = 0;
	s->total = s->below = s->rank = 0;
	s->min = INFINITY;
	s->max = -INFINITY;
	s->estimate = 0;
	s->estimate_key = 0;
	s->estimate_level = 0;
	s->n_free = s->n_used = 0;
	for (unsigned i = 0; i < SKETCH_SLICES; i++) {
		s->newest = i;
		slice_open(s);
	}
}

void sketch_step(struct sketch *s)
{
	bool leaves;

	s->newest = (s->newest + 1) % SKETCH_SLICES;
	leaves = s->slices[s->newest].n_bins;
	if (leaves)
		slice_leave(s, &s->slices[s->newest]);
	slice_open(s);
	if (!leaves)
		return;
	refine(s);
	s->min = INFINITY;
	s->max = -INFINITY;
	for (int i = 0; i < SKETCH_SLICES; i++) {
		s->min = fmin(s->min, s->slices[i].min);
		s->max = fmax(s->max, s->slices[i].max);
	}
	settle(s);
}

void sketch_add(struct sketch *s, double value, uint32_t weight)
{
	struct slice *slice = &s->slices[s->newest];
	int32_t key;

	if (!weight || weight > UINT32_MAX - slice->weight)
		return;
	slice->weight += weight;
	key = key_of(value);
	row_add(s, key, 0, weight);
	/* Never coarser than the rows, of which its bins are a part */
	while (!slice_place(s, coarser(key, slice->level), weight))
		slice_collapse(s);
	slice->min = fmin(slice->min, value);
	slice->max = fmax(slice->max, value);
	s->min = fmin(s->min, value);
	s->max = fmax(s->max, value);
	settle(s);
}

double sketch_value(const struct sketch *s)
{
	if (!s->total)
		return NAN;
	if (s->rank == 1)
		return s->min;
	if (s->rank == s->total)
		return s->max;
	return fmax(s->min, fmin(s->max, s->estimate));
}
