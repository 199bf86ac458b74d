/*
 * The file of what people were told, whatever is in it: what is read is within its bounds, can be written, and is the same when that is read. A line of
 * the input whose sum is wrong is tried with the right one as well, or no fuzzer would come past it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "promises/notices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW (INT64_C(1800000000) * NS_PER_S)

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_notices: %s\n", what);
	abort();
}

static uint32_t sum_of(const char *text, size_t length)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < length; i++) {
		crc ^= (unsigned char)text[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* Each line with a sum of its own before it */
static void with_sums(const char *text, size_t length, struct buf *b)
{
	while (length) {
		const char *end = memchr(text, '\n', length);
		size_t n = end ? (size_t)(end - text) : length;
		size_t skip = n > 9 && text[8] == '\t' ? 9 : 0;

		buf_printf(b, "%08x\t", sum_of(text + skip, n - skip));
		buf_append(b, text + skip, n - skip);
		buf_putc(b, '\n');
		n += end != NULL;
		text += n;
		length -= n;
	}
}

static void look(const struct notices *n)
{
	struct notice_receiver_info receiver;
	struct notice_silence silence;
	struct notice_ack ack;
	size_t i;

	for (i = 0; notices_silence_at(n, i, &silence) == 0; i++) {
		struct buf words = BUF_INIT;

		check(silence.id && *silence.pattern && strlen(silence.by) <= NOTICE_WORDS_MAX && strlen(silence.because) <= NOTICE_WORDS_MAX, "a silence");
		word_silence(&words, &silence);
		buf_free(&words);
	}
	check(i <= NOTICE_SILENCES_MAX, "too many silences");
	for (i = 0; notices_ack_at(n, i, &ack) == 0; i++)
		check(*ack.name && *ack.promiser && strlen(ack.because) <= NOTICE_WORDS_MAX, "an ack");
	check(i <= NOTICE_ACKS_MAX, "too many acks");
	check(notices_receiver_at(n, 0, &receiver) == 0, "no receiver");
}

static struct notices *read_it(struct promises *p, const char *text, size_t length, size_t *ret_bad)
{
	static const char *const argv[] = { "/bin/true", NULL };
	static const struct notice_receiver ops = { .name = "ops", .argv = argv, .severity = KITH_WARNING, .wait = 10 * NS_PER_S,
		                                    .repeat = 3600 * NS_PER_S, .kept = true };
	struct notices_driver driver = { 0 };
	struct notices *n = NULL;

	check(notices_new(p, &driver, &n) == 0 && notices_configure(n, "host", &ops, 1, NOW) == 0, "no notices");
	check(notices_load(n, text, length, NOW, ret_bad) == 0, "not loaded");
	look(n);
	return n;
}

static void try_it(struct promises *p, const char *text, size_t length)
{
	struct buf first = BUF_INIT, second = BUF_INIT;
	size_t bad;
	struct notices *n = read_it(p, text, length, &bad);

	check(notices_save(n, &first) == 0, "not saved");
	for (int i = 0; i < 50; i++)
		notices_run(n, NOW + i * 600 * NS_PER_S);
	notices_jump(n, -3600 * NS_PER_S);
	notices_free(n);
	n = read_it(p, buf_text(&first), first.length, &bad);
	check(!bad, "what was written is not read");
	check(notices_save(n, &second) == 0 && first.length == second.length, "written anew it is another");
	notices_free(n);
	buf_free(&first);
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct promises_facts facts = { .host = "host", .zone = "" };
	struct buf sums = BUF_INIT;
	struct model *m = NULL;
	struct promises *p = NULL;

	check(model_new(&m) == 0 && promises_new(m, NULL, &facts, &p) == 0, "no engine");
	try_it(p, (const char *)data, size);
	with_sums((const char *)data, size, &sums);
	try_it(p, buf_text(&sums), sums.length);
	buf_free(&sums);
	promises_free(p);
	model_free(m);
	return 0;
}
