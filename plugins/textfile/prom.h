/*
 * Prometheus' text exposition format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Nothing here knows of kithd: bytes in,
 * samples out, faults with their place.
 */
#ifndef KITH_TEXTFILE_PROM_H
#define KITH_TEXTFILE_PROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROM_NAME_MAX 200   /* bytes of a metric's or a label's name */
#define PROM_LABELS_MAX 32
#define PROM_VALUES_MAX 4096 /* bytes of all label values of a line */
#define PROM_HELP_MAX 200
#define PROM_TIME_MAX INT64_C(9223372036854) /* ms; in ns it fits into 63 bits */

enum prom_type { PROM_UNTYPED, PROM_COUNTER, PROM_GAUGE, PROM_HISTOGRAM, PROM_SUMMARY };

struct prom_label {
	const char *name, *value; /* the value is UTF-8, unescaped, without NUL */
};

struct prom_sample {
	const char *name;
	const char *help;         /* "" where there is none */
	enum prom_type type;      /* of the metric that the sample belongs to */
	struct prom_label labels[PROM_LABELS_MAX]; /* by name, ascending */
	size_t n_labels;
	double value;             /* may be NaN or infinite */
	bool has_time;
	int64_t time;             /* ms since 1970 */
	unsigned line;
};

struct prom_reader {
	void *user;
	/* The structure is valid during the call. Not 0: what is wrong with it stands in `why`. */
	int (*sample)(const struct prom_sample *sample, char *why, size_t size, void *user);
	/* The line is left out; line and column count from 1. */
	void (*fault)(unsigned line, unsigned column, const char *why, void *user);
};

void prom_parse(const char *text, size_t length, const struct prom_reader *reader);

#endif
