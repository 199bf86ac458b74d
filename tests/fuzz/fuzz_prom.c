/* The text format, whatever it is: names and labels are what they may be, faults have a place, and no line gives both. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "textfile/prom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t size;
	unsigned lines, last_sample, last_fault;
};

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_prom: %s\n", what);
	abort();
}

static int on_sample(const struct prom_sample *s, char *why, size_t size, void *user)
{
	struct seen *seen = user;

	check(*s->name && strlen(s->name) <= PROM_NAME_MAX, "no name");
	check(strspn(s->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") == strlen(s->name), "a bad name");
	check(strlen(s->help) <= PROM_HELP_MAX, "long help");
	check(s->n_labels <= PROM_LABELS_MAX, "too many labels");
	for (size_t k = 0; k < s->n_labels; k++) {
		check(*s->labels[k].name && strlen(s->labels[k].value) < PROM_VALUES_MAX, "a bad label");
		check(k == 0 || strcmp(s->labels[k - 1].name, s->labels[k].name) < 0, "labels out of order");
	}
	check(s->line > seen->last_sample && s->line > seen->last_fault, "a line twice");
	seen->last_sample = s->line;
	seen->lines++;
	if (seen->lines % 7)
		return 0;
	snprintf(why, size, "every seventh");
	return -1;
}

static void on_fault(unsigned line, unsigned column, const char *why, void *user)
{
	struct seen *seen = user;

	check(line > seen->last_fault && line >= seen->last_sample && line <= seen->size + 1, "a fault out of order");
	check(column >= 1 && column <= seen->size + 1 && *why, "a fault without a place");
	seen->last_fault = line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { .size = size };
	const struct prom_reader reader = { &seen, on_sample, on_fault };

	prom_parse((const char *)data, size, &reader);
	return 0;
}
