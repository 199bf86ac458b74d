/* Datagrams of taskstats, whatever they are: names that end, times that are none below 0. The family is number 23, as in the corpus. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/task.h"

#define FAMILY 23

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct kith_task_event *e, void *user)
{
	int good = e->size == sizeof(*e) && strlen(e->name) <= 16 && e->lived >= 0 && e->user >= 0 && e->system >= 0 && e->cpu_delay >= 0 &&
	           e->disk_delay >= 0 && e->swap_delay >= 0;

	++*(unsigned *)user;
	if (good)
		return;
	fprintf(stderr, "fuzz_taskstats: an event that is none\n");
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n = 0;

	task_parse(data, size, FAMILY, check, &n);
	if (n > size / 100) {
		fprintf(stderr, "fuzz_taskstats: %u events of %zu bytes\n", n, size);
		abort();
	}
	return 0;
}
