/* Times of day and days of the week, and the times that a person writes. Local time of the process; pure functions of the time that is given. */
#ifndef KITH_PROMISES_CALENDAR_H
#define KITH_PROMISES_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define CALENDAR_DAY (24 * 3600)
#define CALENDAR_ALL_DAYS 0x7fu /* bit 0 is Sunday */

/* 08:00, 23:59:30, 24:00: seconds after midnight; -1: no such time */
int calendar_clock(const char *text);
/* "mon", "mon..fri", "sat,sun", "day" (all of them): 0, or -EINVAL */
int calendar_days(const char *text, unsigned *ret_days);
/*
 * Is `now` within the window of a day that is among `days`? `until` <= `from`: over midnight, and the day is that of the beginning. *ret_next: when
 * that changes, or may; 0: never.
 */
bool calendar_window(int from, int until, unsigned days, int64_t now, int64_t *ret_next);
/* Wall ns of so many seconds after midnight of the day of `now`, or `days` later: by the calendar, over changes of summer time */
int64_t calendar_moment(int64_t now, int days, int seconds);
unsigned calendar_weekday(int64_t now); /* 0: Sunday */
void calendar_word_clock(struct buf *b, int seconds);
void calendar_word_days(struct buf *b, unsigned days); /* "mon..fri, sun" */

/*
 * A time as a person writes it: a duration from `now` (2h), a time of day (the first after `after`), a date and a time (local), or RFC 3339. -EINVAL;
 * -ERANGE: more than ten years away.
 */
int calendar_when(const char *text, int64_t now, int64_t after, int64_t *ret_at);
/* A duration with its unit, of more than 0 and at most a year; -EINVAL */
int calendar_duration(const char *text, int64_t *ret_ns);
/* Local, with its offset: "2026-11-22 13:01:37 +0100" */
void calendar_word_time(struct buf *b, int64_t at);

#endif
