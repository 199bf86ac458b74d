/*
 * kith/sources/pressure.h: stalls by the kernel's pressure stall information, for watch_source(KITH_SOURCE_PRESSURE).
 *
 * A watch tells each time that tasks were stalled for `stall` within `window`, at most once a window. There is no dump: averages and totals are the
 * text of the file itself. Format: the kernel's Documentation/accounting/psi.rst.
 */
#ifndef KITH_SOURCES_PRESSURE_H
#define KITH_SOURCES_PRESSURE_H

#include <math.h> /* NAN */
#include <stdint.h>
#include <string.h>

#define KITH_PRESSURE_FULL 0x1u /* all tasks stalled at once, not some of them */

/*
 * `path`: a pressure file below the host's root: "/proc/pressure/memory", or "/sys/fs/cgroup/GROUP/memory.pressure". `window`: 500 ms to 10 s; without
 * CAP_SYS_RESOURCE a multiple of 2 s, as the kernel wants it. `stall`: more than 0, at most the window; the kernel takes whole microseconds.
 * -EOPNOTSUPP: this kernel has no pressure stall information, or it was switched off (psi=0). -ENOENT: no such file. -EINVAL: the
 * kernel refuses these times. -EACCES or -EPERM: no right to set a trigger.
 */
struct kith_pressure_filter {
	uint32_t size;
	uint32_t flags; /* KITH_PRESSURE_* */
	const char *path;
	int64_t stall, window; /* ns */
};

/* Told with NULL for the event: the file is gone (its group was removed), this watch tells nothing more. */
struct kith_pressure_event {
	uint32_t size;
	uint32_t flags;   /* as the filter's */
	const char *path; /* as the filter's */
	int64_t time;     /* wall ns */
};

/* ---- the text of a pressure file --------------------------------------------------------------------------------- */

enum kith_pressure_value {
	KITH_PRESSURE_SOME_AVG10,
	KITH_PRESSURE_SOME_AVG60,
	KITH_PRESSURE_SOME_AVG300,
	KITH_PRESSURE_SOME_TOTAL, /* s */
	KITH_PRESSURE_FULL_AVG10,
	KITH_PRESSURE_FULL_AVG60,
	KITH_PRESSURE_FULL_AVG300,
	KITH_PRESSURE_FULL_TOTAL,
	KITH_PRESSURE_VALUES,
};

/* A number such as 12.34 behind `key`, with a blank or the line's end behind it; *p moves behind that. NaN, and *p stays: it is none. */
static inline double kith_pressure_number(const char **p, const char *key)
{
	const char *s = *p;
	uint64_t whole = 0, part = 0, scale = 1;

	if (strncmp(s, key, strlen(key)))
		return (double)NAN;
	s += strlen(key);
	if (*s < '0' || *s > '9')
		return (double)NAN;
	while (*s >= '0' && *s <= '9')
		whole = whole * 10 + (uint64_t)(*s++ - '0');
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9' && scale < 1000000; s++, scale *= 10)
			part = part * 10 + (uint64_t)(*s - '0');
	if (*s != ' ' && *s != '\n')
		return (double)NAN;
	*p = s;
	return (double)whole + (double)part / (double)scale;
}

/* Percents and seconds into `values` (KITH_PRESSURE_VALUES of them), NaN for what the text does not have. The number of whole lines: 0, 1, 2. */
static inline int kith_pressure_parse(const char *text, double *values)
{
	static const char *const keys[] = { " avg10=", " avg60=", " avg300=", " total=" };
	int lines = 0, i;

	for (i = 0; i < KITH_PRESSURE_VALUES; i++)
		values[i] = (double)NAN;
	while (*text) {
		int full = !strncmp(text, "full", 4);
		double v[4];
		const char *s = text + 4;

		if (full || !strncmp(text, "some", 4)) {
			for (i = 0; i < 4 && (v[i] = kith_pressure_number(&s, keys[i])) >= 0; i++)
				;
			if (i == 4) {
				v[3] /= 1e6;
				memcpy(values + 4 * full, v, sizeof(v));
				lines++;
			}
		}
		while (*text && *text != '\n')
			text++;
		text += *text == '\n';
	}
	return lines;
}

#endif
