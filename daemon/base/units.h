/* Units: reading literals ("10%", "2GiB", "1.5h", "3/s") and showing values for people. */
#ifndef KITH_BASE_UNITS_H
#define KITH_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A number with a unit behind it, in base units. Durations: ns us ms s m h d w. Sizes: B, kB MB GB TB (1000), KiB MiB GiB TiB (1024).
 * Percent: %. Any may end in /s (a rate). A bare number has the unit "" and fits any.
 * *ret_unit is one of "", "B", "s", "%", "/s", "B/s", "s/s", "%/s" (static). *ret_used: the characters read.
 * -EINVAL: no number, or an unknown unit.
 */
int unit_parse(const char *text, size_t length, double *ret_value, const char **ret_unit, size_t *ret_used);

/* Can values of these two units be compared and added? "" (a bare number) and "1" fit everything. */
bool unit_fits(const char *a, const char *b);

/*
 * For people: "3.2 GiB", "12.5 %", "250 ms", "1.2k". `size` at least UNIT_TEXT_MAX. Returns `text`. A counter's unit is its own ("B"): the
 * caller says "B/s" when it shows a rate.
 */
#define UNIT_TEXT_MAX 48
char *unit_format(double value, const char *unit, char *text, size_t size);

#endif
