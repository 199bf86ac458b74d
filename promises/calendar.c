/*
 * between 08:00 and 20:00 on mon..fri: the host's local time. Pure functions of the time that is given, and of the time zone of the process.
 * The day is that of the beginning: 22:00 to 06:00 on fri ends on Saturday morning.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "promises/calendar.h"
#include "promises/engine.h"

static const char *const day_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };

/* ---- reading ----------------------------------------------------------------------------------------------------- */

int calendar_clock(const char *text)
{
	int parts[3] = { 0 }, n = 0;

	for (; n < 3; n++) {
		size_t digits = strspn(text, "0123456789");

		if (!digits || digits > 2 || (n && digits < 2))
			return -1;
		parts[n] = atoi(text);
		text += digits;
		if (*text != ':')
			break;
		text++;
	}
	if (*text || n == 0 || n == 3 || parts[1] > 59 || parts[2] > 59 || parts[0] > 24 || (parts[0] == 24 && (parts[1] || parts[2])))
		return -1;
	return parts[0] * 3600 + parts[1] * 60 + parts[2];
}

static bool take_clock(struct parser *p, int *ret_seconds)
{
	int seconds = p->token.kind == TOKEN_NAME ? calendar_clock(p->token.text) : -1;

	if (seconds < 0) {
		parser_expected(p, "a time of day", "between 08:00 and 20:00 on mon..fri");
		return false;
	}
	*ret_seconds = seconds;
	parser_next(p);
	return true;
}

static int day_number(const char *text, size_t length)
{
	for (int i = 0; i < 7; i++)
		if (length == 3 && !strncmp(text, day_names[i], 3))
			return i;
	return -1;
}

/* mon, or mon..fri */
static bool day_range(const char *text, size_t length, unsigned *days)
{
	const char *dots = memmem(text, length, "..", 2);
	int first = day_number(text, dots ? (size_t)(dots - text) : length);
	int last = dots ? day_number(dots + 2, (size_t)(text + length - dots - 2)) : first;

	if (first < 0 || last < 0)
		return false;
	for (int i = first;; i = (i + 1) % 7) {
		*days |= 1u << i;
		if (i == last)
			break;
	}
	return true;
}

int calendar_days(const char *text, unsigned *ret_days)
{
	unsigned days = 0;

	if (!strcmp(text, "day")) {
		*ret_days = CALENDAR_ALL_DAYS;
		return 0;
	}
	for (;; text++) {
		size_t n = strcspn(text, ",");

		while (*text == ' ')
			text++, n--;
		if (!day_range(text, n, &days))
			return -EINVAL;
		text += n;
		if (!*text)
			break;
	}
	*ret_days = days;
	return 0;
}

/* False: told */
static bool take_days(struct parser *p, unsigned *days)
{
	const struct token *t = &p->token;

	if (t->kind != TOKEN_WORD || !day_range(t->text, t->text_length, days)) {
		parser_expected(p, "a day: sun, mon, tue, wed, thu, fri or sat", "on mon..fri, sun");
		return false;
	}
	parser_next(p);
	return true;
}

struct expr *calendar_parse(struct parser *p)
{
	struct expr *e = expr_new(p, EXPR_BETWEEN, p->token.at);

	if (!e)
		return NULL;
	e->constant = false;
	parser_next(p);
	if (!take_clock(p, &e->from))
		return NULL;
	if (!parser_take_word(p, "and"))
		return parser_expected(p, "\"and\"", "between 08:00 and 20:00 on mon..fri");
	if (!take_clock(p, &e->until))
		return NULL;
	if (e->from == e->until || e->from == CALENDAR_DAY) {
		parser_fault(p, e->at, p->end - e->at, "all day is between 00:00 and 24:00", "nothing is between these");
		return NULL;
	}
	/* The next line's `on` begins a statement. */
	if (parser_at_word(p, "on") && !p->token.first) {
		parser_next(p);
		do
			if (!take_days(p, &e->days))
				return NULL;
		while (parser_take_mark(p, ','));
	} else {
		e->days = CALENDAR_ALL_DAYS;
	}
	e->width = p->end - e->at;
	return e;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

/* Wall ns of so many seconds after midnight of the day `days` from that of `tm`: by the calendar, over changes of summer time */
static int64_t moment(const struct tm *tm, int days, int seconds)
{
	struct tm at = *tm;
	time_t t;

	at.tm_mday += days;
	at.tm_hour = seconds / 3600;
	at.tm_min = seconds / 60 % 60;
	at.tm_sec = seconds % 60;
	at.tm_isdst = -1;
	t = mktime(&at);
	return t == (time_t)-1 ? INT64_MAX : (int64_t)t * NS_PER_S;
}

int64_t calendar_moment(int64_t now, int days, int seconds)
{
	time_t t = (time_t)(now / NS_PER_S);
	struct tm tm;

	return localtime_r(&t, &tm) ? moment(&tm, days, seconds) : INT64_MAX;
}

unsigned calendar_weekday(int64_t now)
{
	time_t t = (time_t)(now / NS_PER_S);
	struct tm tm;

	return localtime_r(&t, &tm) ? (unsigned)tm.tm_wday : 0;
}

bool calendar_holds(const struct expr *e, int64_t now, int64_t *ret_next)
{
	return calendar_window(e->from, e->until, e->days, now, ret_next);
}

bool calendar_window(int from, int until, unsigned days, int64_t now, int64_t *ret_next)
{
	time_t seconds = (time_t)(now / NS_PER_S);
	int64_t next = INT64_MAX;
	bool holds = false;
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		return false;
	/* From yesterday, whose night may reach into today, to the same day of the next week */
	for (int day = -1; day <= 8; day++) {
		int64_t begin, end;

		if (!(days & 1u << (tm.tm_wday + day + 7) % 7))
			continue;
		begin = moment(&tm, day, from);
		end = moment(&tm, until > from ? day : day + 1, until);
		/* As 24:00 of one day is 00:00 of the next, what ends and begins at once goes on. */
		if (begin <= now && now < end)
			holds = true;
		if (begin > now && begin < next)
			next = begin;
		if (end > now && end < next)
			next = end;
	}
	*ret_next = next == INT64_MAX ? 0 : next;
	return holds;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

void calendar_word_clock(struct buf *b, int seconds)
{
	buf_printf(b, "%02d:%02d", seconds / 3600, seconds / 60 % 60);
	if (seconds % 60)
		buf_printf(b, ":%02d", seconds % 60);
}

static int run_length(unsigned days, int first)
{
	int n = 0;

	while (n < 7 && days & 1u << (first + n) % 7)
		n++;
	return n;
}

void calendar_word_days(struct buf *b, unsigned days)
{
	const char *between = "";

	for (int i = 1; i <= 7; i++) { /* weeks begin on Monday */
		int day = i % 7, n = run_length(days, day);

		if (!n || days & 1u << (day + 6) % 7)
			continue;
		buf_printf(b, "%s%s", between, day_names[day]);
		if (n > 1)
			buf_printf(b, "%s%s", n > 2 ? ".." : ", ", day_names[(day + n - 1) % 7]);
		between = ", ";
	}
}

void word_calendar(struct buf *b, const struct expr *e)
{
	buf_puts(b, "between ");
	calendar_word_clock(b, e->from);
	buf_puts(b, " and ");
	calendar_word_clock(b, e->until);
	if (e->days == CALENDAR_ALL_DAYS)
		return;
	buf_puts(b, " on ");
	calendar_word_days(b, e->days);
}
