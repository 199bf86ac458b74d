/* /proc/mdstat, whatever it holds: what is told of an array is within its bounds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "md/mdstat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_array(const struct md_array *a, void *user)
{
	(void)user;
	if (!*a->name || strchr(a->name, '\n') || a->working > a->disks || a->state > MD_FAILED || a->action > MD_DELAYED || a->size < 0) {
		fprintf(stderr, "fuzz_md: an array is out of bounds\n");
		abort();
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	mdstat_parse(text, on_array, NULL);
	free(text);
	return 0;
}
