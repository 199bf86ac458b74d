/*
 * What a program that follows the Nagios plugin conventions writes: a line of text, more lines of it, and performance data behind
 * bars. Nothing here knows of kithd: bytes in, a structure out.
 */
#ifndef KITH_EXEC_OUTPUT_H
#define KITH_EXEC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#define OUTPUT_TEXT_MAX 8192 /* bytes of text that are kept, first line and further ones together */
#define PERF_MAX 256         /* values that one run may give */
#define PERF_LABEL_MAX 180   /* bytes; with the check's name before it, it is the name of an instance */
#define PERF_WHY_MAX 200

/* One family for each unit, as all values of a metric have one unit */
enum perf_family { PERF_NUMBER, PERF_SECONDS, PERF_BYTES, PERF_PERCENT, PERF_COUNT, N_PERF_FAMILIES };
enum perf_level { PERF_OK, PERF_WARNING, PERF_CRITICAL };

/* What was not given is NaN. All in the family's unit */
struct perf {
	char *label; /* valid UTF-8 without control characters, not empty */
	enum perf_family family;
	double value; /* NaN: the program says that it does not know ("U") */
	double warn, warn_low, crit, crit_low, min, max;
	double level; /* enum perf_level, by the thresholds; NaN without one */
};

struct output {
	char *text;  /* the first line, cleaned; "" when there was none */
	char *all;   /* all text, cleaned; a new line is a space, a slash and a space */
	struct perf *perfs;
	size_t n_perfs;
	unsigned bad; /* parts of the performance data that were skipped; */
	char why[PERF_WHY_MAX]; /* the first of them: what and why */
};

/* 0 or -ENOMEM; whatever the bytes are, nothing else fails. `kilo`: how many bytes a KB is, 1000 or 1024. */
int output_parse(const char *data, size_t length, double kilo, struct output *ret_output);
/* The performance data alone */
int perf_parse(const char *data, size_t length, double kilo, struct output *output);
void output_free(struct output *o);

/*
 * Copies text as valid UTF-8 without control characters: what is neither becomes U+FFFD or a space; a new line a space, a slash and a space. At
 * most size - 1 bytes and NUL, never half a character. Blanks at the ends are left out. Returns the length.
 */
size_t text_clean(const char *data, size_t length, char *text, size_t size);

#endif
