/* The text of a pressure file, whatever it is: numbers or NaN, no infinity, nothing read beyond its end */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/pressure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	double values[KITH_PRESSURE_VALUES];
	char *text = malloc(size + 1);
	int lines, there = 0;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	lines = kith_pressure_parse(text, values);
	for (int i = 0; i < KITH_PRESSURE_VALUES; i++) {
		there += !isnan(values[i]);
		if (!isnan(values[i]) && (!isfinite(values[i]) || values[i] < 0)) {
			fprintf(stderr, "fuzz_pressure: value %d is %g\n", i, values[i]);
			abort();
		}
	}
	if (there % 4 || (there && !lines)) {
		fprintf(stderr, "fuzz_pressure: %d values of %d lines\n", there, lines);
		abort();
	}
	free(text);
	return 0;
}
