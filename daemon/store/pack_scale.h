/* The scales of pack.h: a value that is a whole number of units, exactly, there and back */
#ifndef KITH_STORE_PACK_SCALE_H
#define KITH_STORE_PACK_SCALE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/pack.h"

#define PACK_NONE 0u
#define PACK_BITS_SCALE (PACK_SCALES + 1u)
#define PACK_WHOLE_MAX 9007199254740992.0 /* 2^53 */

/* 1024, one, hundredths, thousandths, millionths */
static inline double scale_multiply(unsigned scale, double value)
{
	static const double times[PACK_SCALES + 1] = { 0, 1.0 / 1024, 1, 100, 1000, 1000000 };

	return value * times[scale];
}

static inline double scale_value(unsigned scale, int64_t number)
{
	static const double by[PACK_SCALES + 1] = { 1, 1.0 / 1024, 1, 100, 1000, 1000000 };

	return (double)number / by[scale];
}

/* False: it is no whole number of that scale's units */
static inline bool scale_fits(unsigned scale, double value, int64_t *ret_number)
{
	double x = scale_multiply(scale, value);
	int64_t number;

	if (!(fabs(x) < PACK_WHOLE_MAX))
		return false;
	number = llrint(x);
	/* -0.0 is another double than 0.0 */
	if (scale_value(scale, number) != value || (number == 0 && signbit(value)))
		return false;
	*ret_number = number;
	return true;
}

#endif
