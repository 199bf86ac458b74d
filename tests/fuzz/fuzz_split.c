/*
 * A file, whatever it holds and in whatever steps it grows: the same records, none longer than it may be, each byte used once. The first byte says how
 * lines are gathered, the second how much is seen at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tail/split.h"

#define BUFFER 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	size_t records, lines;
	uint64_t hash;
};

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_split: %s\n", what);
	abort();
}

static void hear(struct heard *h, const char *data, const struct piece *p)
{
	char joined[LINE_MAX_BYTES + 8];
	bool cut = p->cut;
	size_t n;

	if (p->length > LINE_MAX_BYTES || p->length > p->used || !p->lines)
		fail("a record's length");
	n = split_join(data, p->length, joined, &cut);
	if (n > LINE_MAX_BYTES || memchr(joined, '\n', n))
		fail("joined");
	h->records++;
	h->lines += p->lines;
	for (size_t i = 0; i < n; i++)
		h->hash = (h->hash ^ (uint8_t)joined[i]) * UINT64_C(0x100000001b3);
	h->hash = (h->hash ^ p->cut) * UINT64_C(0x100000001b3);
}

static struct heard read_all(const struct rules *r, const uint8_t *data, size_t size, size_t step)
{
	struct split s = { 0 };
	struct heard h = { 0 };
	size_t offset = 0, seen = 0;
	char *buffer = malloc(BUFFER + 1);
	struct piece p;

	while (buffer && (seen < size || offset < size)) {
		bool final = seen == size;
		size_t length, at = 0;

		seen = seen + step < size ? seen + step : size;
		do {
			length = seen - offset < BUFFER ? seen - offset : BUFFER;
			memcpy(buffer, data + offset, length);
			for (at = 0; split_next(&s, r, buffer + at, length - at, !at && length == BUFFER, final && offset + length == size, &p); at += p.used) {
				if (!p.used || p.used > length - at)
					fail("bytes used");
				if (!p.none)
					hear(&h, buffer + at, &p);
			}
			offset += at;
		} while (at && offset < seen);
		if (final && offset < size)
			fail("something is left");
	}
	free(buffer);
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const texts[] = { "", "indent", "^[0-9]{4}-", "^(a|b)+c" };
	struct heard whole, parts;
	struct rules r;
	char why[128];

	if (size < 3 || size > 100000 || rules_new(&r, texts[data[0] % 4], why, sizeof(why)) < 0)
		return 0;
	whole = read_all(&r, data + 2, size - 2, size);
	parts = read_all(&r, data + 2, size - 2, (size_t)data[1] + 1);
	rules_free(&r);
	if (memcmp(&whole, &parts, sizeof(whole)) != 0)
		fail("steps give other records");
	return 0;
}
