/* Databases of packages, whatever they are: a snapshot is in order and within its bounds, and faults are said. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "package/database.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_package: %s\n", what);
	abort();
}

static void check_snapshot(struct snapshot *s)
{
	size_t n = 0;

	check((s->faults > 0) == (*s->why != '\0'), "a fault without a word");
	for (int k = 0; k < N_PACKAGE_STATES; k++)
		n += s->counts[k];
	check(n == s->n && s->held <= s->n, "counts");
	for (size_t k = 0; k < s->n; k++) {
		struct package p = snapshot_get(s, k);

		check(*p.name && p.state > PACKAGE_ABSENT && p.state < N_PACKAGE_STATES, "a bad package");
		check(p.version + strlen(p.version) < (char *)s + s->size, "beyond the end");
		check(k == 0 || strcmp(snapshot_get(s, k - 1).name, p.name) < 0, "out of order");
		check(snapshot_find(s, p.name).version == p.version, "it is not found");
		check(version_compare(p.version, p.version) == 0, "it differs from itself");
		if (k) {
			int c = version_compare(snapshot_get(s, k - 1).version, p.version), d = version_compare(p.version, snapshot_get(s, k - 1).version);

			check((c < 0) == (d > 0) && (c == 0) == (d == 0), "no order");
		}
	}
	snapshot_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *s = NULL;

	if (database_dpkg((const char *)data, size, &s) == 0)
		check_snapshot(s);
	s = NULL;
	if (database_rpm((const char *)data, size, &s) == 0)
		check_snapshot(s);
	return 0;
}
