/* A record of /dev/kmsg, whatever it holds: its texts are UTF-8 without control characters, and so is what is found in them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "kmsg/recognise.h"
#include "source/kmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	size_t left = strlen(text);

	for (const unsigned char *at = (const unsigned char *)text; left;) {
		size_t n = utf8_length(at, left);

		if (!n || *at < 0x20 || *at == 0x7f) {
			fprintf(stderr, "fuzz_kmsg: a text is not clean\n");
			abort();
		}
		at += n;
		left -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_kmsg_event event;
	char group[FOUND_VALUE], *record;
	struct found found;

	if (size > KMSG_RECORD_MAX)
		return 0;
	record = malloc(size + 1);
	if (!record)
		return 0;
	memcpy(record, data, size);
	if (kmsg_parse(record, size, &event)) {
		check_text(event.text);
		check_text(event.subsystem);
		check_text(event.device);
		kmsg_recognise(event.text, &found);
		for (uint32_t i = 0; i < found.n; i++)
			check_text(found.fields[i].value);
		kmsg_oom_group(event.text, group);
	}
	free(record);
	return 0;
}
