/* A stream, whatever it holds and however it is cut into pieces: the same lines, none longer than it may be, and a bounded rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syslog/frame.h"

#define LINES_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	size_t lines, bytes;
	uint64_t hash;
};

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_frame: %s\n", what);
	abort();
}

static void on_line(char *text, size_t length, bool cut, size_t whole, void *user)
{
	struct heard *h = user;

	if (!length || length > LINE_MAX_BYTES || (whole && !cut && whole != length) || (cut && whole && whole <= length))
		fail("a line's length");
	h->lines++;
	h->bytes += length;
	for (size_t i = 0; i < length; i++)
		h->hash = (h->hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	h->hash = (h->hash ^ (cut ? 2 : 1)) * UINT64_C(0x100000001b3);
	text[length] = '!'; /* as who takes it apart does; it must not be missed */
}

/* In pieces of `piece` bytes, each read behind the rest of the one before */
static struct heard hear(const uint8_t *data, size_t size, size_t piece)
{
	struct frame f = { 0 };
	struct heard h = { 0 };
	size_t rest = 0;
	char *buffer = malloc(FRAME_REST_MAX + piece + 1);

	if (!buffer)
		return h;
	while (size) {
		size_t n = size < piece ? size : piece, done;

		memcpy(buffer + rest, data, n);
		data += n;
		size -= n;
		done = frame_parse(&f, buffer, rest + n, on_line, &h);
		if (done > rest + n || rest + n - done >= FRAME_REST_MAX)
			fail("a rest");
		rest = rest + n - done;
		memmove(buffer, buffer + done, rest);
	}
	frame_end(&f, buffer, rest, on_line, &h);
	free(buffer);
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard whole, parts;

	if (size < 2 || size > 200000)
		return 0;
	whole = hear(data + 1, size - 1, size);
	parts = hear(data + 1, size - 1, (size_t)*data + 1);
	if (memcmp(&whole, &parts, sizeof(whole)) != 0)
		fail("pieces give other lines");
	if (whole.bytes > size || whole.lines > LINES_MAX * 2)
		fail("more than came");
	return 0;
}
