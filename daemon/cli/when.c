#include "cli/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"

#define YEARS_MAX (100 * 366 * 86400.)
#define UNIX_DIGITS 10 /* of a bare number that is no time ago, but one since 1970 */

/* What does not fit is the first or the last time that does. 0 would be none at all. */
static int64_t fitting(int64_t seconds, int64_t ns)
{
	if (seconds >= WHEN_LAST / NS_PER_S)
		return WHEN_LAST;
	return seconds < 0 || (!seconds && !ns) ? 1 : seconds * NS_PER_S + ns;
}

static int days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && !(year % 4) && (year % 100 || !(year % 400)));
}

/* "1795868000", "1795868000.5" */
static bool unix_time(const char *text, int64_t *ret_time)
{
	size_t digits = strspn(text, "0123456789");
	double seconds;
	char *end;

	if (digits < UNIX_DIGITS || text[digits + (text[digits] == '.' ? 1 + strspn(text + digits + 1, "0123456789") : 0)])
		return false;
	seconds = strtod(text, &end);
	*ret_time = seconds < (double)(WHEN_LAST / NS_PER_S) ? (int64_t)(seconds * 1e3 + 0.5) * NS_PER_MS : WHEN_LAST;
	return true;
}

/* "18:00", "18:00:05.25"; *at behind it */
static bool time_of_day(const char **at, struct tm *tm, int64_t *ns)
{
	int used = 0;
	double second = 0;

	if (sscanf(*at, "%2d:%2d%n", &tm->tm_hour, &tm->tm_min, &used) < 2 || !used)
		return false;
	*at += used;
	if (**at == ':') {
		char *end;

		second = strtod(*at + 1, &end);
		if (end == *at + 1 || (*at)[1] == '-' || (*at)[1] == '+')
			return false;
		*at = end;
	}
	if (tm->tm_hour < 0 || tm->tm_hour > 24 || tm->tm_min < 0 || tm->tm_min > 59 || !(second >= 0 && second < 61) ||
	    (tm->tm_hour == 24 && (tm->tm_min || second > 0)))
		return false;
	tm->tm_sec = (int)second;
	*ns = (int64_t)((second - tm->tm_sec) * 1e9);
	return true;
}

/* "Z", "+01:00": seconds east of Greenwich; false: neither */
static bool zone(const char *text, long *ret_east)
{
	int hours, minutes, used = 0;

	*ret_east = 0;
	if (!strcmp(text, "Z") || !strcmp(text, "z"))
		return true;
	if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) < 2 || text[1 + used] ||
	    hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*ret_east = (hours * 3600L + minutes * 60L) * (*text == '-' ? -1 : 1);
	return true;
}

static int day(const char *text, const struct tm *today, int64_t *ret_time)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *at = text;
	int64_t ns = 0;
	long east;
	int used = 0;

	if (!strncmp(text, "today", 5) || !strncmp(text, "yesterday", 9)) {
		tm.tm_year = today->tm_year;
		tm.tm_mon = today->tm_mon;
		tm.tm_mday = today->tm_mday - (*text == 'y');
		at += *text == 'y' ? 9 : 5;
	} else {
		if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used) < 3 || !used || tm.tm_year < 1970 ||
		    tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > days_of(tm.tm_year, tm.tm_mon))
			return -EINVAL;
		tm.tm_year -= 1900;
		tm.tm_mon--;
		at += used;
	}
	if (*at == ' ' || *at == 'T' || *at == 't') {
		at++;
		if (!time_of_day(&at, &tm, &ns))
			return -EINVAL;
	}
	if (*at && !zone(at, &east))
		return -EINVAL;
	*ret_time = fitting(*at ? timegm(&tm) - east : mktime(&tm), ns);
	return 0;
}

int when_past(const char *text, int64_t now, int64_t *ret_time)
{
	time_t seconds = (time_t)(now / NS_PER_S);
	const char *unit, *at = text;
	struct tm today, tm;
	int64_t ns = 0;
	size_t used;
	double value;

	if (!localtime_r(&seconds, &today))
		return -EINVAL;
	if (!strcmp(text, "now")) {
		*ret_time = now;
		return 0;
	}
	if (unix_time(text, ret_time))
		return 0;
	if (unit_parse(text, strlen(text), &value, &unit, &used) == 0 && !text[used] && (!*unit || !strcmp(unit, "s")) && value >= 0 &&
	    value < YEARS_MAX) {
		*ret_time = now - (int64_t)(value * 1e9);
		*ret_time = *ret_time < 1 ? 1 : *ret_time;
		return 0;
	}
	tm = today;
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	if (time_of_day(&at, &tm, &ns) && !*at) {
		*ret_time = mktime(&tm) * NS_PER_S + ns;
		if (*ret_time > now) {
			tm.tm_mday--;
			tm.tm_isdst = -1;
			*ret_time = mktime(&tm) * NS_PER_S + ns;
		}
		return 0;
	}
	return day(text, &today, ret_time);
}
