/*
 * What a program writes, as the exec plugin reads it, whatever it is: texts are valid and bounded, values are numbers, and nothing is skipped
 * without a word. The first byte chooses between whole output and performance data alone.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_perfdata: %s\n", what);
	abort();
}

/* Cleaned once more it is the same: nothing is in it that should not be. */
static void check_text(const char *text, size_t max)
{
	size_t n = strlen(text);
	char *again = malloc(n + 1);

	check(n <= max, "a text is too long");
	if (again) {
		check(text_clean(text, n, again, n + 1) == n && !memcmp(text, again, n), "a text is not clean");
		free(again);
	}
}

static void check_perf(const struct output *o, size_t i)
{
	const struct perf *p = &o->perfs[i];
	const double v[] = { p->value, p->warn, p->warn_low, p->crit, p->crit_low, p->min, p->max };

	check_text(p->label, PERF_LABEL_MAX);
	check(*p->label, "an empty label");
	check((unsigned)p->family < N_PERF_FAMILIES, "no family");
	for (size_t k = 0; k < sizeof(v) / sizeof(v[0]); k++)
		check(isnan(v[k]) || isfinite(v[k]), "an infinite value");
	check(isnan(p->level) || p->level == PERF_OK || p->level == PERF_WARNING || p->level == PERF_CRITICAL, "no level");
	for (size_t k = 0; k < i; k++)
		check(strcmp(o->perfs[k].label, p->label) != 0, "a label twice");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct output o = { 0 };

	if (size && *data == '\x01') {
		if (perf_parse(text + 1, size - 1, 1024, &o) < 0)
			return 0;
	} else {
		if (output_parse(text, size, 1000, &o) < 0)
			return 0;
		check_text(o.text, OUTPUT_TEXT_MAX - 1);
		check_text(o.all, OUTPUT_TEXT_MAX - 1);
	}
	check(o.n_perfs <= PERF_MAX, "too many values");
	check((o.bad > 0) == (*o.why != '\0'), "skipped without a word");
	for (size_t i = 0; i < o.n_perfs; i++)
		check_perf(&o, i);
	output_free(&o);
	return 0;
}
