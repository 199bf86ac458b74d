#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct unit_suffix {
	const char *text, *unit;
	double factor;
} unit_suffixes[] = {
	{ "ns", "s", 1e-9 },        { "us", "s", 1e-6 },       { "ms", "s", 1e-3 },          { "s", "s", 1 },
	{ "min", "s", 60 },         { "m", "s", 60 },          { "h", "s", 3600 },           { "d", "s", 86400 },
	{ "w", "s", 604800 },       { "B", "B", 1 },           { "kB", "B", 1e3 },           { "MB", "B", 1e6 },
	{ "GB", "B", 1e9 },         { "TB", "B", 1e12 },       { "KiB", "B", 1024 },         { "MiB", "B", 1048576 },
	{ "GiB", "B", 1073741824 }, { "TiB", "B", 0x1p40 },    { "%", "%", 1 },
};

static const char *rate_of(const char *unit)
{
	switch (*unit) {
	case 'B':
		return "B/s";
	case 's':
		return "s/s";
	case '%':
		return "%/s";
	}
	return "/s";
}

/* Digits, one point, an exponent; bounded, so that the text needs no NUL behind it. */
static size_t number_length(const char *text, size_t length)
{
	size_t i = 0, digits = 0;

	if (i < length && (text[i] == '-' || text[i] == '+'))
		i++;
	for (; i < length && isdigit((unsigned char)text[i]); i++)
		digits++;
	if (i < length && text[i] == '.' && i + 1 < length && isdigit((unsigned char)text[i + 1]))
		for (i++; i < length && isdigit((unsigned char)text[i]); i++)
			digits++;
	if (!digits)
		return 0;
	if (i + 1 < length && (text[i] == 'e' || text[i] == 'E')) {
		size_t e = i + 1;

		if (e + 1 < length && (text[e] == '-' || text[e] == '+'))
			e++;
		if (isdigit((unsigned char)text[e]))
			for (i = e; i < length && isdigit((unsigned char)text[i]); i++)
				;
	}
	return i;
}

int unit_parse(const char *text, size_t length, double *ret_value, const char **ret_unit, size_t *ret_used)
{
	const char *unit = "";
	char number[64];
	size_t n = number_length(text, length), suffix;
	double value;

	if (!n || n >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, n);
	number[n] = '\0';
	value = strtod(number, NULL);
	for (suffix = 0; n + suffix < length && (isalpha((unsigned char)text[n + suffix]) || text[n + suffix] == '%');)
		suffix++;
	if (suffix) {
		size_t i, count = sizeof(unit_suffixes) / sizeof(unit_suffixes[0]);

		for (i = 0; i < count; i++)
			if (strlen(unit_suffixes[i].text) == suffix && !memcmp(unit_suffixes[i].text, text + n, suffix))
				break;
		if (i == count)
			return -EINVAL;
		unit = unit_suffixes[i].unit;
		value *= unit_suffixes[i].factor;
		n += suffix;
	}
	if (n + 1 < length && text[n] == '/' && text[n + 1] == 's' &&
	    (n + 2 == length || !(isalnum((unsigned char)text[n + 2]) || text[n + 2] == '_'))) {
		unit = rate_of(unit);
		n += 2;
	}
	if (!isfinite(value))
		return -EINVAL;
	*ret_value = value;
	*ret_unit = unit;
	*ret_used = n;
	return 0;
}

bool unit_fits(const char *a, const char *b)
{
	size_t n, m;

	if (!strcmp(a, b) || !*a || !*b || !strcmp(a, "1") || !strcmp(b, "1"))
		return true;
	/* A plain rate (3/s) fits packets/s, but neither 3 nor B/s. */
	n = strlen(a);
	m = strlen(b);
	if (!strcmp(a, "/s") || !strcmp(a, "1/s"))
		return m > 2 && !strcmp(b + m - 2, "/s") && strcmp(b, "B/s") != 0 && strcmp(b, "%/s") != 0;
	if (!strcmp(b, "/s") || !strcmp(b, "1/s"))
		return n > 2 && !strcmp(a + n - 2, "/s") && strcmp(a, "B/s") != 0 && strcmp(a, "%/s") != 0;
	return false;
}

/* More than its largest prefix can say in a few digits: cut in the middle it would be another number. */
#define SCALED_MAX 1e4
#define PLAIN_MAX 1e6

static void format_seconds(double v, const char *rate, char *text, size_t size)
{
	double a = fabs(v);

	if (a >= PLAIN_MAX * 86400)
		snprintf(text, size, "%.3g d%s", v / 86400, rate);
	else if (a >= 2 * 86400)
		snprintf(text, size, "%.1f d%s", v / 86400, rate);
	else if (a >= 2 * 3600)
		snprintf(text, size, "%.1f h%s", v / 3600, rate);
	else if (a >= 120)
		snprintf(text, size, "%.1f min%s", v / 60, rate);
	else if (a >= 1 || a == 0)
		snprintf(text, size, "%.3g s%s", v, rate);
	else if (a >= 1e-3)
		snprintf(text, size, "%.3g ms%s", v * 1e3, rate);
	else
		snprintf(text, size, "%.3g us%s", v * 1e6, rate);
}

/* 1234567 with steps of 1000 or 1024, three digits and a bit */
static void format_scaled(double v, double step, const char *const *prefixes, size_t n, const char *unit, char *text, size_t size)
{
	double whole = v;
	size_t i = 0;

	while (fabs(v) >= step && i + 1 < n) {
		v /= step;
		i++;
	}
	if (fabs(v) >= SCALED_MAX)
		snprintf(text, size, "%.3g%s%s", whole, prefixes[0], unit);
	else if (i == 0 && v == rint(v))
		snprintf(text, size, "%.0f%s%s", v, prefixes[0], unit);
	else
		snprintf(text, size, "%.*f%s%s", fabs(v) < 10 ? 2 : 1, v, prefixes[i], unit);
}

char *unit_format(double value, const char *unit, char *text, size_t size)
{
	static const char *const bytes[] = { " ", " Ki", " Mi", " Gi", " Ti", " Pi" };
	static const char *const plain[] = { "", "k", "M", "G", "T" };

	if (isnan(value))
		snprintf(text, size, "-");
	else if (!strcmp(unit, "B") || !strcmp(unit, "B/s"))
		format_scaled(value, 1024, bytes, 6, unit, text, size);
	else if (!strcmp(unit, "s"))
		format_seconds(value, "", text, size);
	else if (!strcmp(unit, "s/s"))
		format_seconds(value, "/s", text, size);
	else if (!strcmp(unit, "%") || !strcmp(unit, "%/s"))
		snprintf(text, size, fabs(value) < PLAIN_MAX ? "%.*f %s" : "%.*g %s", fabs(value) < 10 ? 2 : fabs(value) < PLAIN_MAX ? 1 : 3, value, unit);
	else {
		char u[24] = "";

		if (!strcmp(unit, "1/s") || !strcmp(unit, "/s"))
			snprintf(u, sizeof(u), "/s");
		else if (*unit && strcmp(unit, "1") != 0)
			snprintf(u, sizeof(u), " %s", unit);
		format_scaled(value, 1000, plain, 5, u, text, size);
	}
	return text;
}
