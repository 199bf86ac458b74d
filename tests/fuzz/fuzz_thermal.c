/* A message of the family "thermal", whatever it holds; by its first byte as a sample or as an event */
#include <stdlib.h>
#include <string.h>

#include "source/thermal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_thermal_event e;
	unsigned char *message = malloc(size + 1); /* of its own size: what is read beyond it is found */
	bool sample = size && data[0] & 1;

	if (!message)
		return 0;
	memcpy(message, data, size);
	if (thermal_parse(message, size, sample, &e) && (e.what > KITH_THERMAL_CPU_CAPABILITY || strnlen(e.name, sizeof(e.name)) == sizeof(e.name)))
		abort();
	free(message);
	return 0;
}
