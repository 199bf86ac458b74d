/* What ctnetlink says, and names of ports. The first byte chooses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack/conntrack.h"
#include "source/conntrack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_conntrack: %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_conntrack_stats stats = { .size = sizeof(stats) };
	struct kith_conntrack_event e;
	struct kith_conntrack_port port;
	char *text;

	if (!size || !(text = malloc(size)))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] % 2 == 0) {
		if (flow_parse(text, &port))
			check(port.protocol != 0, "no protocol");
	} else {
		if (conntrack_message(text, size - 1, &e) > 0)
			check(e.protocol && (e.what == KITH_CONNTRACK_NEW || e.what == KITH_CONNTRACK_DESTROY), "an event of nothing");
		if (conntrack_stats_message(text, size - 1, &stats) <= 0)
			check(!stats.processors && !stats.drop, "counts of what is none");
	}
	free(text);
	return 0;
}
