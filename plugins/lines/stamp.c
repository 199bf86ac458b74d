/* The times that lines have, to ns since 1970 */
#include <string.h>
#include <time.h>

#include "lines/line.h"

#define NS_PER_S INT64_C(1000000000)
#define DAY 86400
#define AHEAD (7 * DAY) /* s that the clock of who wrote a line may be ahead */
#define QUARTER 900 /* s: no time zone's offset changes within one */

struct civil {
	int year, month, day, hour, minute, second; /* month from 1 */
	int64_t ns;
};

/* Days since 1970 of a date of the Gregorian calendar (its years begin in March here) */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400, of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t seconds_of(const struct civil *c)
{
	return days_of(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

static bool is_civil(const struct civil *c)
{
	static const unsigned char days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;

	/* 60: a leap second */
	return c->month >= 1 && c->month <= 12 && c->day >= 1 && c->day <= days[c->month - 1] && (c->month != 2 || c->day < 29 || leap) &&
	       c->hour < 24 && c->minute < 60 && c->second <= 60;
}

/* Of local time, as seconds since 1970 would be in UTC. The C library is asked once a quarter of an hour of the lines' times. */
static int64_t zone_offset(struct line_clock *clock, const struct civil *c, int64_t local)
{
	int64_t from = local - ((local % QUARTER) + QUARTER) % QUARTER;
	struct tm tm = { .tm_year = c->year - 1900, .tm_mon = c->month - 1, .tm_mday = c->day, .tm_hour = c->hour, .tm_min = c->minute,
		         .tm_sec = c->second, .tm_isdst = -1 };
	time_t t;

	if (from != clock->zone_from || !clock->zone_from) {
		t = mktime(&tm);
		clock->zone_offset = t == (time_t)-1 ? 0 : local - (int64_t)t;
		clock->zone_from = from;
	}
	return clock->zone_offset;
}

static int64_t local_time(struct line_clock *clock, const struct civil *c)
{
	int64_t local = seconds_of(c);

	return (local - zone_offset(clock, c, local)) * NS_PER_S + c->ns;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `n` digits */
static bool take_digits(const char **at, const char *end, int n, int *ret_value)
{
	int v = 0;

	if (end - *at < n)
		return false;
	for (int i = 0; i < n; i++) {
		if (!is_digit((*at)[i]))
			return false;
		v = v * 10 + ((*at)[i] - '0');
	}
	*at += n;
	*ret_value = v;
	return true;
}

static bool take_char(const char **at, const char *end, char c)
{
	if (*at == end || **at != c)
		return false;
	(*at)++;
	return true;
}

/* hh:mm:ss, with a fraction perhaps: digits beyond the ninth are left out */
static bool take_clock(const char **at, const char *end, struct civil *c)
{
	int64_t unit = NS_PER_S / 10;

	if (!take_digits(at, end, 2, &c->hour) || !take_char(at, end, ':') || !take_digits(at, end, 2, &c->minute) ||
	    !take_char(at, end, ':') || !take_digits(at, end, 2, &c->second))
		return false;
	if (end - *at >= 2 && (**at == '.' || **at == ',') && is_digit((*at)[1])) {
		(*at)++;
		for (; *at < end && is_digit(**at); (*at)++, unit /= 10)
			c->ns += unit * (**at - '0');
	}
	return true;
}

/* Z, +01:00, -0130, +02. false: there is none, or it is wrong */
static bool take_zone(const char **at, const char *end, int64_t *ret_offset)
{
	const char *p = *at;
	int sign, hours, minutes = 0;

	if (take_char(&p, end, 'Z') || take_char(&p, end, 'z')) {
		*at = p;
		*ret_offset = 0;
		return true;
	}
	if (p == end || (*p != '+' && *p != '-'))
		return false;
	sign = *p++ == '-' ? -1 : 1;
	if (!take_digits(&p, end, 2, &hours) || hours > 23)
		return false;
	if (take_char(&p, end, ':')) {
		if (!take_digits(&p, end, 2, &minutes))
			return false;
	} else if (p < end && is_digit(*p) && !take_digits(&p, end, 2, &minutes)) {
		return false;
	}
	if (minutes > 59)
		return false;
	*at = p;
	*ret_offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool stamp_iso(const char **at, const char *end, struct line_clock *clock, int64_t *ret_time)
{
	struct civil c = { 0 };
	const char *p = *at;
	int64_t offset;

	if (!take_digits(&p, end, 4, &c.year) || !take_char(&p, end, '-') || !take_digits(&p, end, 2, &c.month) || !take_char(&p, end, '-') ||
	    !take_digits(&p, end, 2, &c.day) || p == end || (*p != 'T' && *p != 't' && *p != ' '))
		return false;
	p++;
	if (!take_clock(&p, end, &c) || !is_civil(&c) || c.year < 1970 || c.year > 2200)
		return false;
	if (take_zone(&p, end, &offset))
		*ret_time = (seconds_of(&c) - offset) * NS_PER_S + c.ns;
	else
		*ret_time = local_time(clock, &c);
	*at = p;
	return true;
}

/* 1 to 12; 0: it is no month's name */
static int take_month(const char **at, const char *end)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	char name[3];

	if (end - *at < 4 || (*at)[3] != ' ')
		return 0;
	for (int i = 0; i < 3; i++)
		name[i] = (char)((*at)[i] | 0x20);
	for (int m = 0; m < 12; m++)
		if (!memcmp(names + 3 * m, name, 3)) {
			*at += 4;
			return m + 1;
		}
	return 0;
}

/* " 1", "1", "01", "28" */
static bool take_day(const char **at, const char *end, struct civil *c)
{
	take_char(at, end, ' ');
	if (end - *at >= 2 && is_digit((*at)[1]))
		return take_digits(at, end, 2, &c->day);
	return take_digits(at, end, 1, &c->day);
}

static int year_of_now(struct line_clock *clock)
{
	int64_t now = clock->now / NS_PER_S;
	time_t t = (time_t)now;
	struct tm tm;

	if (clock->year && now < clock->year_until && now >= clock->year_until - DAY)
		return clock->year;
	clock->year = localtime_r(&t, &tm) ? tm.tm_year + 1900 : 1970;
	/* Until midnight in no zone is the year another one. */
	clock->year_until = now - (tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) + DAY;
	return clock->year;
}

/* The last one by which it is not ahead, save for clocks that are: next year's on New Year's Eve, the year before on New Year's Day */
static void guess_year(struct line_clock *clock, struct civil *c)
{
	int64_t now = clock->now / NS_PER_S;

	c->year = year_of_now(clock) + 1;
	while (seconds_of(c) > now + AHEAD && c->year > 1970)
		c->year--;
}

bool stamp_bsd(const char **at, const char *end, struct line_clock *clock, int64_t *ret_time)
{
	struct civil c = { 0 };
	const char *p = *at, *q;
	bool known;

	if (p < end && (*p == '*' || *p == '.'))
		p++;
	c.month = take_month(&p, end);
	if (!c.month || !take_day(&p, end, &c) || !take_char(&p, end, ' '))
		return false;
	q = p;
	known = take_digits(&q, end, 4, &c.year) && take_char(&q, end, ' ');
	if (known)
		p = q;
	if (!take_clock(&p, end, &c))
		return false;
	q = p;
	if (!known && take_char(&q, end, ' ') && take_digits(&q, end, 4, &c.year) && c.year > 1969 && q < end && *q == ' ') {
		known = true;
		p = q;
	}
	if (!known)
		guess_year(clock, &c);
	if (!is_civil(&c) || c.year < 1970 || c.year > 2200)
		return false;
	*ret_time = local_time(clock, &c);
	*at = p;
	return true;
}

int64_t stamp_as_utc(const struct line_clock *clock, int64_t time)
{
	return time + clock->zone_offset * NS_PER_S;
}
