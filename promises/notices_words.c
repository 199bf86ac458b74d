/* Notices: silences and acks as a person writes and reads them. */
#include <errno.h>
#include <string.h>

#include "promises/calendar.h"
#include "promises/notices_impl.h"

#define DAY_NS (CALENDAR_DAY * NS_PER_S)

/* What is wrong with a time, where that is known */
static int when_refused(struct buf *why, const char *option, const char *text, int err)
{
	if (err == -ERANGE)
		buf_printf(why, "%s %.100s is more than ten years away", option, text);
	else
		buf_printf(why, "%s \"%.100s\" is no time: say 2h, 18:00, \"2026-12-24 18:00\" or 2026-12-24T18:00:00Z", option, text);
	return -EINVAL;
}

int ack_until(const char *text, int64_t now, int64_t *ret_until, struct buf *why)
{
	int64_t until;
	int err = calendar_when(text, now, now, &until);

	if (err < 0)
		return when_refused(why, "--until", text, err);
	if (until <= now) {
		buf_printf(why, "--until %.100s has passed already", text);
		return -EINVAL;
	}
	*ret_until = until;
	return 0;
}

static int length_parse(const char *text, int64_t *ret_length, struct buf *why)
{
	if (calendar_duration(text, ret_length) == 0)
		return 0;
	buf_printf(why, "--for \"%.100s\" is no duration: say 30m, 2h or 1d", text);
	return -EINVAL;
}

/* ---- once -------------------------------------------------------------------------------------------------------- */

static int once_end(const struct silence_words *w, int64_t now, struct notice_silence *s, struct buf *why)
{
	int64_t length;
	int err;

	if (w->length) {
		err = length_parse(w->length, &length, why);
		if (err == 0)
			s->to = s->from + length;
		return err;
	}
	err = calendar_when(w->to, now, s->from, &s->to);
	return err < 0 ? when_refused(why, "--to", w->to, err) : 0;
}

static int once_parse(const struct silence_words *w, int64_t now, struct notice_silence *s, struct buf *why)
{
	int clock = w->from ? calendar_clock(w->from) : -1, err;

	s->from = now;
	if (clock >= 0) {
		s->from = calendar_moment(now, 0, clock); /* today's, unless it would be over: then tomorrow's */
	} else if (w->from) {
		err = calendar_when(w->from, now, now, &s->from);
		if (err < 0)
			return when_refused(why, "--from", w->from, err);
	}
	err = once_end(w, now, s, why);
	if (err == 0 && clock >= 0 && s->to <= now) {
		s->from = calendar_moment(now, 1, clock);
		err = once_end(w, now, s, why);
	}
	if (err < 0)
		return err;
	if (s->to <= s->from)
		buf_puts(why, "it ends before it begins");
	else if (s->to <= now)
		buf_puts(why, "it is over already");
	return why->length ? -EINVAL : 0;
}

/* ---- every ------------------------------------------------------------------------------------------------------- */

static int every_days(const struct silence_words *w, struct notice_silence *s, struct buf *why)
{
	if (!strcmp(w->every, "week")) {
		if (!w->from) {
			buf_puts(why, "--every week wants to know of which day: --from \"2026-12-24 02:00\", or --every thu");
			return -EINVAL;
		}
		s->days = 1u << calendar_weekday(s->from);
	} else if (calendar_days(w->every, &s->days) < 0) {
		buf_printf(why, "--every \"%.100s\" is no days: say day, week, mon..fri or sat,sun", w->every);
		return -EINVAL;
	}
	return 0;
}

static int every_end(const struct silence_words *w, struct notice_silence *s, struct buf *why)
{
	int64_t length;
	int err;

	s->day_until = CALENDAR_DAY;
	if (w->to) {
		s->day_until = calendar_clock(w->to);
		if (s->day_until < 0) {
			buf_printf(why, "with --every --to is a time of day, such as 06:00, not \"%.100s\"", w->to);
			return -EINVAL;
		}
	} else if (w->length) {
		err = length_parse(w->length, &length, why);
		if (err < 0)
			return err;
		if (length > DAY_NS || length < NS_PER_S) {
			buf_puts(why, "with --every --for is from 1 s to 24 h");
			return -EINVAL;
		}
		s->day_until = (int)((s->day_from + length / NS_PER_S) % CALENDAR_DAY);
		return 0; /* where that is the same time of day it is a whole day */
	}
	if (s->day_until == s->day_from) {
		buf_puts(why, "nothing is between these; all day is --from 00:00 --to 24:00");
		return -EINVAL;
	}
	return 0;
}

static int every_parse(const struct silence_words *w, int64_t now, struct notice_silence *s, struct buf *why)
{
	int err;

	s->every = true;
	s->from = now;
	s->day_from = w->from ? calendar_clock(w->from) : 0;
	if (s->day_from == CALENDAR_DAY)
		s->day_from = 0;
	if (s->day_from < 0) {
		err = calendar_when(w->from, now, now, &s->from);
		if (err < 0)
			return when_refused(why, "--from", w->from, err);
		s->day_from = (int)((s->from - calendar_moment(s->from, 0, 0)) / NS_PER_S) % CALENDAR_DAY;
	}
	err = every_days(w, s, why);
	return err < 0 ? err : every_end(w, s, why);
}

int silence_parse(const struct silence_words *w, int64_t now, struct notice_silence *silence, struct buf *why)
{
	struct notice_silence s = *silence;
	int err;

	if (!w->to && !w->length && !w->every) {
		buf_puts(why, "until when? say --for 2h, --to 18:00 or --every day");
		return -EINVAL;
	}
	if (w->to && w->length) {
		buf_puts(why, "--to and --for say the same: keep one");
		return -EINVAL;
	}
	s.to = 0;
	err = w->every ? every_parse(w, now, &s, why) : once_parse(w, now, &s, why);
	if (err == 0)
		*silence = s;
	return err;
}

void word_silence(struct buf *b, const struct notice_silence *s)
{
	if (!s->every) {
		buf_puts(b, "from ");
		calendar_word_time(b, s->from);
		buf_puts(b, " to ");
		calendar_word_time(b, s->to);
		return;
	}
	buf_puts(b, "every ");
	if (s->days == CALENDAR_ALL_DAYS)
		buf_puts(b, "day");
	else
		calendar_word_days(b, s->days);
	if (s->day_from || s->day_until != CALENDAR_DAY) {
		buf_puts(b, " from ");
		calendar_word_clock(b, s->day_from);
		buf_puts(b, " to ");
		calendar_word_clock(b, s->day_until);
	}
}

/* One line or two: "acknowledged by root at … until …: …" */
void word_quiet(struct buf *b, const struct notices *n, const struct promise_info *info)
{
	struct notice_ack ack;
	struct notice_silence s;

	if (notices_acked(n, info->promise, &ack)) {
		buf_printf(b, "acknowledged by %s at ", ack.by);
		calendar_word_time(b, ack.at);
		buf_puts(b, ", until ");
		if (ack.until)
			calendar_word_time(b, ack.until);
		else
			buf_puts(b, "it is kept");
		buf_printf(b, "%s%s", *ack.because ? ": " : "", ack.because);
	}
	if (notices_silenced(n, info->name, info->promiser, &s)) {
		buf_printf(b, "%ssilenced by %s ", b->length ? "\n" : "", s.by);
		word_silence(b, &s);
		buf_printf(b, " (silence %u)%s%s", s.id, *s.because ? ": " : "", s.because);
	}
}
