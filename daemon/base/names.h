/*
 * Names: `family:instance:metric` or `family:metric`. The family ends at the first colon, the metric starts after the last; an
 * instance may hold anything between. `@where` after an '@' that no colon follows.
 */
#ifndef KITH_BASE_NAMES_H
#define KITH_BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_PART_MAX 63       /* family, metric */
#define NAME_INSTANCE_MAX 255
#define NAME_MAX_LENGTH (NAME_PART_MAX * 2 + NAME_INSTANCE_MAX + 2)

/* Slices of the text that was split: not NUL-terminated */
struct slice {
	const char *at;
	size_t length;
};

struct name {
	struct slice family;
	struct slice instance; /* .at NULL: the name has two parts */
	struct slice metric;   /* .at NULL: the name has one part */
	struct slice where;    /* .at NULL: none */
};

/* Splits; -EINVAL when a part is empty or too long, or there are control characters */
int name_split(const char *text, size_t length, struct name *ret_name);

/* '*' any run of characters, '?' one, within the part; everything else is itself */
bool glob_match(const char *pattern, size_t pattern_length, const char *text);
bool glob_is(const char *text, size_t length); /* has a '*' or '?' */

/*
 * Does the pattern name this series? A pattern of three parts matches part by part. Of two parts `a:b`: the metric b of a's nameless
 * instance, or all metrics of instance b. Of one part `a`: all of family a. `instance` is "" for the nameless one, which '*' matches.
 */
bool name_match(const struct name *pattern, const char *family, const char *instance, const char *metric);

/* A valid family, metric or plugin name: [a-z0-9_]+, at most NAME_PART_MAX */
bool name_part_valid(const char *text);

#endif
