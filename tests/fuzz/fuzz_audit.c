/* Audit lines, each of them a line of the input: their texts are clean, and so is the record that is made of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/buf.h"
#include "source/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	size_t left = strlen(text);

	for (const unsigned char *at = (const unsigned char *)text; left;) {
		size_t n = utf8_length(at, left);

		if (!n || *at < 0x20 || *at == 0x7f) {
			fprintf(stderr, "fuzz_audit: a text is not clean\n");
			abort();
		}
		at += n;
		left -= n;
	}
}

/* "TYPE audit(…): …" */
static void add(struct audit_parts *p, const char *line, size_t length)
{
	uint32_t type = 0;
	size_t at = 0, body;

	for (; at < length && line[at] >= '0' && line[at] <= '9' && at < 4; at++)
		type = type * 10 + (uint32_t)(line[at] - '0');
	if (at < length && audit_head(line + at + 1, length - at - 1, &p->time, &p->serial, &body))
		audit_add(p, type, line + at + 1 + body, length - at - 1 - body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit_parts *p = calloc(1, sizeof(*p));
	struct audit_pool *pool = malloc(sizeof(*pool));
	struct kith_audit_event e;
	struct audit_words words;
	char *text = malloc(size + 1);

	if (!p || !pool || !text)
		abort();
	memcpy(text, data, size);
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;

		add(p, text + at, length);
		at += length + 1;
	}
	audit_event(p, pool, &e);
	for (uint32_t i = 0; i < e.n_lines; i++) {
		check_text(e.lines[i].text);
		for (uint32_t k = 0; k < e.lines[i].n_fields; k++) {
			check_text(e.lines[i].fields[k].key);
			check_text(e.lines[i].fields[k].value);
		}
	}
	if (e.n_lines) {
		audit_words(&e, audit_class_of(&e), &words);
		if (words.record.n_fields > AUDIT_FIELDS)
			abort();
	}
	free(text);
	free(pool);
	free(p);
	return 0;
}
