/*
 * The files of control groups and their names, whatever they hold: numbers that are finite, names that are clean. The first byte chooses the parser.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/cgroup.h"
#include "source/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_cgroup: %s\n", what);
	abort();
}

static void check_name(const char *text)
{
	char name[INSTANCE_MAX + 1], again[INSTANCE_MAX + 1];

	if (name_make(text, name))
		check(name_make(name, again) && !strcmp(name, again), "a name is not clean");
	check(strlen(name) <= INSTANCE_MAX, "a name is too long");
	check(pattern_match("*", name, false), "'*' does not match all");
	pattern_match(text, name, true);
	pattern_match(name, text, false);
}

static void check_events(enum cgroup_watch_kind kind, const char *text)
{
	uint64_t counts[KITH_CGROUP_COUNTS] = { 0 }, kills = 0;
	uint32_t known = 0;
	bool under;

	cgroup_parse(kind, text, &known, counts);
	check(known < 1u << KITH_CGROUP_COUNTS, "an unknown count");
	for (unsigned i = 0; i < KITH_CGROUP_COUNTS; i++)
		check((known & 1u << i) || !counts[i], "a count that is not known");
	check(counts[KITH_CGROUP_POPULATED] <= 1 && counts[KITH_CGROUP_FROZEN] <= 1, "neither no nor yes");
	if (!cgroup_parse_oom_control(text, &kills, &under))
		check(!kills, "kills from nowhere");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t at[N_CPU_KEYS] = { 0 };
	double values[N_VALUES], number;
	char *text;

	if (!size || !(text = malloc(size)))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	for (int i = 0; i < N_VALUES; i++)
		values[i] = NAN;
	switch (data[0] % 8) {
	case 0:
		check_name(text);
		break;
	case 1:
		files_parse_cpu(text, strlen(text), at, values);
		files_parse_cpu(text, strlen(text), at, values);
		break;
	case 2:
		files_parse_io(text, values);
		break;
	case 3:
		if (files_parse_number(text, &number))
			check(number >= 0 && number < 1e18, "no number");
		break;
	default:
		check_events(WATCH_EVENTS + data[0] % 4, text);
		break;
	}
	for (int i = 0; i < N_VALUES; i++)
		check(isnan(values[i]) || (isfinite(values[i]) && values[i] >= 0), "an infinite value");
	free(text);
	return 0;
}
