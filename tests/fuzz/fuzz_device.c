/* A uevent, whatever it holds: what is pointed to lies within it and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t total;

static void walk(const char *text)
{
	total += strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_device_event e;
	char *frame;

	if (size > DEVICE_FRAME_MAX)
		return 0;
	frame = malloc(size + 2);
	if (!frame)
		return 0;
	memcpy(frame, data, size);
	if (device_parse(frame, size, &e)) {
		walk(e.path);
		walk(e.name);
		walk(e.subsystem);
		walk(e.type);
		walk(e.driver);
		walk(e.node);
		for (const char *p = e.properties; *p; p += strlen(p) + 1)
			walk(p);
		if (kith_device_property(&e, "DEVPATH") != e.path || strchr(e.name, '/')) {
			fprintf(stderr, "fuzz_device: what was taken is not what is there\n");
			abort();
		}
	}
	free(frame);
	return 0;
}
