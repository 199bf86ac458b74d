/* Recorded frames: tests/data/netlink, found through $srcdir */
#ifndef KITH_TESTS_FRAMES_H
#define KITH_TESTS_FRAMES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All of a frame file, at most `size` bytes; ends the test when it is not there */
static inline size_t frame_read(const char *name, void *data, size_t size)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/data/netlink/%s.bin", srcdir ? srcdir : ".", name);
	f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "%s cannot be read\n", path);
		abort();
	}
	n = fread(data, 1, size, f);
	fclose(f);
	return n;
}

/* `n` bytes in memory of exactly that size: a read behind them is seen by the address sanitizer */
static inline void *exactly(const void *data, size_t n)
{
	void *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	memcpy(copy, data, n);
	return copy;
}

#endif
