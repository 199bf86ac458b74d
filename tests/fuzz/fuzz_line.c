/*
 * A line, whatever it holds: its texts are UTF-8 without control characters and lie within it or are none, its numbers are in their ranges, and it is taken
 * apart without a byte beyond its end. The first byte says how it came.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "lines/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_line: %s\n", what);
	abort();
}

static void check_text(const char *text)
{
	size_t left = strlen(text);

	for (const unsigned char *at = (const unsigned char *)text; left;) {
		size_t n = utf8_length(at, left);

		if (!n || *at < 0x20 || *at == 0x7f)
			fail("a text is not clean");
		at += n;
		left -= n;
	}
}

static void check_key(const char *key)
{
	if (!*key || strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(key))
		fail("the name of a field");
}

static void check(const struct line *l, const struct entry *e)
{
	const char *const texts[] = { l->host, l->identifier, l->pid, l->msgid, l->message, e->record.subject };

	for (size_t i = 0; i < KITH_COUNT(texts); i++)
		check_text(texts[i]);
	for (size_t i = 0; i < 4; i++)
		if (strlen(texts[i]) > LINE_NAME_MAX)
			fail("a name is too long");
	if ((l->facility > 23 && l->facility != LINE_NONE) || (l->severity > 7 && l->severity != LINE_NONE) ||
	    (l->facility == LINE_NONE) != (l->severity == LINE_NONE))
		fail("a priority");
	if (l->n_params > LINE_PARAMS_MAX || e->record.n_fields > ENTRY_FIELDS_MAX || e->record.priority > KITH_DEBUG || e->record.time <= 0)
		fail("a record");
	for (uint32_t i = 0; i < e->record.n_fields; i++) {
		check_key(e->fields[i].key);
		check_text(e->fields[i].value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_clock clock = { .now = INT64_C(1795827600000000000) };
	struct entry e;
	struct line l;
	char *text;

	if (!size || size > LINE_MAX_BYTES)
		return 0;
	text = malloc(size); /* the first byte's place is the NUL's */
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	line_parse(text, size - 1, *data & 1 ? LINE_LOCAL : 0, &clock, &l);
	entry_init(&e, INT64_C(86400000000000));
	entry_fill(&e, &l, clock.now, KITH_NOTICE, NULL);
	check(&l, &e);
	free(text);
	return 0;
}
