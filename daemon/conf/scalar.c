/* Unquoted values: numbers with their suffixes, booleans, null, and strings for all else */
#include "conf/parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 64 /* no number or boolean is longer */

/* Value = count * times / parts: a division by a power of ten is exact where a multiplication by 1e-3 is not. */
struct suffix {
	const char *text;
	enum conf_type type;
	bool any_case;
	double times, parts;
};

#define KI 1024.0
static const struct suffix suffixes[] = {
	{ "", CONF_NUMBER, false, 1, 1 },
	{ "k", CONF_NUMBER, true, 1e3, 1 },
	{ "m", CONF_NUMBER, true, 1e6, 1 },
	{ "g", CONF_NUMBER, true, 1e9, 1 },
	{ "%", CONF_PERCENT, false, 1, 1 },
	{ "b", CONF_SIZE, true, 1, 1 },
	{ "kb", CONF_SIZE, true, KI, 1 },
	{ "mb", CONF_SIZE, true, KI * KI, 1 },
	{ "gb", CONF_SIZE, true, KI * KI * KI, 1 },
	{ "tb", CONF_SIZE, true, KI * KI * KI * KI, 1 },
	{ "kib", CONF_SIZE, true, KI, 1 },
	{ "mib", CONF_SIZE, true, KI * KI, 1 },
	{ "gib", CONF_SIZE, true, KI * KI * KI, 1 },
	{ "tib", CONF_SIZE, true, KI * KI * KI * KI, 1 },
	{ "ns", CONF_DURATION, false, 1, 1e9 },
	{ "us", CONF_DURATION, false, 1, 1e6 },
	{ "\xc2\xb5s", CONF_DURATION, false, 1, 1e6 },
	{ "ms", CONF_DURATION, false, 1, 1e3 },
	{ "s", CONF_DURATION, false, 1, 1 },
	{ "min", CONF_DURATION, false, 60, 1 },
	{ "h", CONF_DURATION, false, 3600, 1 },
	{ "d", CONF_DURATION, false, 86400, 1 },
	{ "w", CONF_DURATION, false, 7 * 86400.0, 1 },
	{ "y", CONF_DURATION, false, 365 * 86400.0, 1 },
};

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t hex_length(const char *s)
{
	size_t n = 0;

	while (digit(s[n]) || ((s[n] | 0x20) >= 'a' && (s[n] | 0x20) <= 'f'))
		n++;
	return n;
}

/* The characters of the number that `s` starts with, 0 when it starts with none */
static size_t number_length(const char *s)
{
	size_t n = *s == '-' || *s == '+', start;

	if (s[n] == '0' && (s[n + 1] | 0x20) == 'x') {
		size_t digits = hex_length(s + n + 2);

		return digits > 0 ? n + 2 + digits : 0;
	}
	start = n;
	while (digit(s[n]))
		n++;
	if (n == start)
		return 0;
	if (s[n] == '.') {
		if (!digit(s[n + 1]))
			return 0;
		while (digit(s[++n]))
			;
	}
	if ((s[n] | 0x20) == 'e') {
		size_t e = n + 1 + (s[n + 1] == '-' || s[n + 1] == '+');

		if (digit(s[e])) {
			while (digit(s[e]))
				e++;
			n = e;
		}
	}
	return n;
}

static const struct suffix *suffix_find(const char *text)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if ((suffixes[i].any_case ? strcasecmp : strcmp)(suffixes[i].text, text) == 0)
			return &suffixes[i];
	return NULL;
}

static bool boolean(const char *word, double *ret_number)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(word, words[i]) == 0) {
			*ret_number = i % 2;
			return true;
		}
	}
	return false;
}

int scalar_classify(const char *text, size_t length, enum conf_type *ret_type, double *ret_number)
{
	char word[WORD_MAX];
	const struct suffix *suffix;
	size_t n;
	double value;

	*ret_type = CONF_STRING;
	*ret_number = 0;
	if (length == 0 || length >= sizeof(word) || memchr(text, 0, length))
		return 0;
	memcpy(word, text, length);
	word[length] = 0;
	if (strcmp(word, "null") == 0) {
		*ret_type = CONF_NULL;
		return 0;
	}
	if (boolean(word, ret_number)) {
		*ret_type = CONF_BOOL;
		return 0;
	}
	n = number_length(word);
	suffix = n ? suffix_find(word + n) : NULL;
	if (!suffix)
		return 0;
	value = strtod(word, NULL) * suffix->times / suffix->parts;
	if (!isfinite(value))
		return -ERANGE;
	*ret_type = suffix->type;
	*ret_number = value;
	return 0;
}

bool scalar_is_m(const char *text, double *ret_count)
{
	size_t n = number_length(text);

	if (n == 0 || strcmp(text + n, "m") != 0)
		return false;
	*ret_count = strtod(text, NULL);
	return true;
}

bool scalar_has_multiplier(const char *text)
{
	size_t n = number_length(text);

	return n > 0 && text[n] && strchr("kKmMgG", text[n]) && !text[n + 1];
}

char *scalar_format(double value, enum kith_option_type type, char out[static CONF_SHOW_MAX])
{
	static const struct unit {
		const char *text;
		double times, parts;
	} durations[] = { { "y", 365 * 86400.0, 1 }, { "w", 7 * 86400.0, 1 }, { "d", 86400, 1 }, { "h", 3600, 1 },
		          { "min", 60, 1 }, { "s", 1, 1 }, { "ms", 1, 1e3 }, { "us", 1, 1e6 }, { "ns", 1, 1e9 }, { "s", 0, 0 } },
	  sizes[] = { { "TiB", KI * KI * KI * KI, 1 }, { "GiB", KI * KI * KI, 1 }, { "MiB", KI * KI, 1 }, { "KiB", KI, 1 },
		      { "", 0, 0 } };
	const struct unit *u;

	if (type != KITH_OPTION_DURATION && type != KITH_OPTION_SIZE) {
		snprintf(out, CONF_SHOW_MAX, "%.15g", value);
		return out;
	}
	for (u = type == KITH_OPTION_SIZE ? sizes : durations; u->times > 0; u++) {
		double count = value * u->parts / u->times;

		if (count >= 1 && fabs(count - nearbyint(count)) < 1e-9 * count) {
			snprintf(out, CONF_SHOW_MAX, "%.15g%s", nearbyint(count), u->text);
			return out;
		}
	}
	snprintf(out, CONF_SHOW_MAX, "%.15g%s", value, u->text);
	return out;
}
