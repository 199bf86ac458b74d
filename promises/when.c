/* Times as a person writes them on a command line: 2h, 18:00, 2026-12-24 18:00, 2026-12-24T18:00:00Z. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "promises/calendar.h"

#define YEAR (INT64_C(366) * 86400 * NS_PER_S)
#define YEARS 10

int calendar_duration(const char *text, int64_t *ret_ns)
{
	const char *unit;
	double value;
	size_t used;

	if (unit_parse(text, strlen(text), &value, &unit, &used) < 0 || text[used] || strcmp(unit, "s") != 0)
		return -EINVAL;
	/* Less than a nanosecond is none. */
	if (value < 1e-9 || value > (double)YEAR / 1e9)
		return -EINVAL;
	*ret_ns = (int64_t)(value * 1e9);
	return 0;
}

/* So many digits; -1: they are not there */
static int digits(const char **text, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)**text))
			return -1;
		value = value * 10 + *(*text)++ - '0';
	}
	return value;
}

/* HH:MM[:SS[.fraction]] */
static bool read_clock(const char **text, struct tm *tm)
{
	tm->tm_hour = digits(text, 2);
	if (tm->tm_hour < 0 || tm->tm_hour > 24 || *(*text)++ != ':')
		return false;
	tm->tm_min = digits(text, 2);
	if (tm->tm_min < 0 || tm->tm_min > 59)
		return false;
	if (**text != ':')
		return tm->tm_hour < 24 || !tm->tm_min;
	++*text;
	tm->tm_sec = digits(text, 2);
	if (tm->tm_sec < 0 || tm->tm_sec > 60 || (tm->tm_hour == 24 && (tm->tm_min || tm->tm_sec)))
		return false;
	if (**text == '.' && isdigit((unsigned char)(*text)[1]))
		for (++*text; isdigit((unsigned char)**text);)
			++*text;
	return true;
}

/* Behind date and time: Z, +01:00 or -0130, in seconds east of Greenwich. 0: none; -EINVAL: no such */
static int read_zone(const char **text, long *ret_offset)
{
	int sign = **text == '-' ? -1 : 1, hours, minutes;

	if (**text == 'Z' || **text == 'z') {
		++*text;
		*ret_offset = 0;
		return 1;
	}
	if (**text != '+' && **text != '-')
		return 0;
	++*text;
	hours = digits(text, 2);
	if (**text == ':')
		++*text;
	minutes = digits(text, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_offset = sign * (hours * 3600L + minutes * 60L);
	return 1;
}

static int read_date(const char *text, int64_t *ret_at)
{
	static const int most[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct tm tm = { .tm_isdst = -1 };
	long offset;
	int zone;
	time_t t;

	tm.tm_year = digits(&text, 4) - 1900;
	if (tm.tm_year < 70 || *text++ != '-')
		return -EINVAL;
	tm.tm_mon = digits(&text, 2) - 1;
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || *text++ != '-')
		return -EINVAL;
	tm.tm_mday = digits(&text, 2);
	if (tm.tm_mday < 1 || tm.tm_mday > most[tm.tm_mon])
		return -EINVAL;
	if (tm.tm_mon == 1 && tm.tm_mday == 29 && ((tm.tm_year % 4) || (tm.tm_year % 100 == 0 && (tm.tm_year + 300) % 400)))
		return -EINVAL;
	if (*text == 'T' || *text == 't' || *text == ' ') {
		text++;
		if (!read_clock(&text, &tm))
			return -EINVAL;
		zone = read_zone(&text, &offset);
		if (zone < 0)
			return zone;
		if (zone) {
			t = timegm(&tm) - offset;
			goto out;
		}
	}
	t = mktime(&tm);
out:
	if (*text)
		return -EINVAL;
	/* What does not fit into ns is far away in any case. */
	*ret_at = t > INT64_MAX / NS_PER_S ? INT64_MAX : (int64_t)t * NS_PER_S;
	return 0;
}

int calendar_when(const char *text, int64_t now, int64_t after, int64_t *ret_at)
{
	int seconds = calendar_clock(text);
	int64_t at, duration;

	if (seconds >= 0) {
		at = calendar_moment(after, 0, seconds);
		if (at <= after)
			at = calendar_moment(after, 1, seconds);
	} else if (calendar_duration(text, &duration) == 0) {
		at = now + duration;
	} else if (read_date(text, &at) < 0) {
		return -EINVAL;
	}
	if (at > now + YEARS * YEAR || at < now - YEARS * YEAR)
		return -ERANGE;
	*ret_at = at;
	return 0;
}

void calendar_word_time(struct buf *b, int64_t at)
{
	time_t t = (time_t)(at / NS_PER_S);
	char text[64];
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &tm))
		strcpy(text, "an unknown time");
	buf_puts(b, text);
}
