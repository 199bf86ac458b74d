/* Times on the command line: 10m (ago), 18:00, 2026-12-24, "2026-12-24 18:00", RFC 3339, @SECONDS */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cli.h"

#define YEARS (100 * 366 * 86400.) /* further back nobody looks */

static bool ago(const char *text, int64_t now, int64_t *ret_time)
{
	const char *unit = "";
	size_t used = 0;
	double value;

	if (unit_parse(text, strlen(text), &value, &unit, &used) < 0 || text[used] || strcmp(unit, "s") != 0 || !(value >= 0) || value > YEARS)
		return false;
	*ret_time = now - (int64_t)(value * 1e9);
	return true;
}

/* ".042" behind the seconds; moves *at behind it */
static int64_t fraction(const char **at)
{
	char *end;
	double value;

	if (**at != '.')
		return 0;
	value = strtod(*at, &end);
	*at = end;
	return llround(value * 1e9);
}

/* Z, +01:00, or nothing: then it is local time */
static bool zone(const char *at, struct tm *tm, time_t *ret_seconds)
{
	int hours, minutes, n = 0;

	tm->tm_isdst = -1;
	if (!*at) {
		*ret_seconds = mktime(tm);
		return true;
	}
	*ret_seconds = timegm(tm);
	if ((*at == 'Z' || *at == 'z') && !at[1])
		return true;
	if ((*at != '+' && *at != '-') || sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || at[1 + n])
		return false;
	*ret_seconds -= (*at == '-' ? -60 : 60) * (hours * 60 + minutes);
	return true;
}

static bool date(const char *text, int64_t *ret_time)
{
	struct tm tm = { 0 };
	const char *at = strptime(text, "%Y-%m-%d", &tm);
	time_t seconds;
	int64_t part = 0;

	if (!at)
		return false;
	if (*at == ' ' || *at == 'T' || *at == 't') {
		const char *clock = strptime(at + 1, "%H:%M:%S", &tm);

		at = clock ? clock : strptime(at + 1, "%H:%M", &tm);
		if (!at)
			return false;
		part = fraction(&at);
	}
	if (!zone(at, &tm, &seconds))
		return false;
	*ret_time = (int64_t)seconds * NS_PER_S + part;
	return true;
}

/* The last time that it was so late */
static bool time_of_day(const char *text, int64_t now, int64_t *ret_time)
{
	time_t seconds = (time_t)(now / NS_PER_S);
	struct tm tm;
	const char *at;

	localtime_r(&seconds, &tm);
	tm.tm_sec = 0;
	at = strptime(text, "%H:%M:%S", &tm);
	at = at ? at : strptime(text, "%H:%M", &tm);
	if (!at || *at)
		return false;
	tm.tm_isdst = -1;
	seconds = mktime(&tm);
	if ((int64_t)seconds * NS_PER_S > now) {
		tm.tm_mday--;
		tm.tm_isdst = -1;
		seconds = mktime(&tm);
	}
	*ret_time = (int64_t)seconds * NS_PER_S;
	return true;
}

static bool seconds(const char *text, int64_t *ret_time)
{
	char *end;
	double value;

	if (*text != '@')
		return false;
	value = strtod(text + 1, &end);
	if (end == text + 1 || *end || !(fabs(value) < 9e9))
		return false;
	*ret_time = llround(value * 1e9);
	return true;
}

int cli_time(const struct cli *cli, int id, int64_t *ret_time)
{
	const char *text = cli_value(cli, id);
	int64_t now = clock_wall();

	if (!text)
		return CLI_YES;
	if (!strcmp(text, "now")) {
		*ret_time = now;
		return CLI_YES;
	}
	if (ago(text, now, ret_time) || seconds(text, ret_time) || date(text, ret_time) || time_of_day(text, now, ret_time))
		return CLI_YES;
	cli_fail("\"%s\" is no time: say 10m (ago), 18:00, 2026-12-24, \"2026-12-24 18:00\" or RFC 3339", text);
	return CLI_USAGE;
}
