/*
 * Lines of logs: what the plugins syslog and tail share. A line of syslog's in any of its forms becomes a struct line (line.c, rfc5424.c), with its time
 * (stamp.c) and its texts cleaned (clean.c). Nothing here allocates; a line is taken apart where it lies.
 */
#ifndef KITH_LINES_LINE_H
#define KITH_LINES_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

#define LINE_MAX_BYTES 8192  /* of a line that is looked at; what is longer was cut before */
#define LINE_PARAMS_MAX 22   /* of structured data; more are counted and left out */
#define LINE_KEYS_BYTES 1024 /* for their names */
#define LINE_NAME_MAX 128    /* bytes of an identifier, a host, a message's id, a process's id */
#define LINE_NONE 0xffu      /* no facility, no severity: the line has no priority */

/* What is known of where a line came from */
#define LINE_LOCAL 0x1u /* of this host's own socket, where no program writes the host's name */

/*
 * The clock that the times of lines are held against: `now` is set by whoever reads, before each batch; the rest is remembered between lines.
 * All 0 at the start.
 */
struct line_clock {
	int64_t now;       /* wall ns */
	int64_t zone_from; /* local seconds of the quarter of an hour that zone_offset is known of; 0: none yet */
	int64_t zone_offset; /* s, local time - UTC */
	int64_t year_until;  /* wall s that `year` is right until */
	int year;            /* local, of now */
};

/* All texts are UTF-8 without control characters, "" where the line has none, and valid as long as the line's own bytes. */
struct line {
	uint32_t facility; /* 0 to 23, or LINE_NONE */
	uint32_t severity; /* enum kith_priority, or LINE_NONE */
	int64_t time;      /* wall ns, as the line has it; 0: none */
	bool modern;       /* RFC 5424 */
	bool malformed;    /* it began as what it is not: a priority out of range, structured data that does not end */
	const char *host, *identifier, *pid, *msgid, *message;
	const char *sequence; /* the number that Cisco's devices begin with; never with structured data or a msgid */
	struct kith_field params[LINE_PARAMS_MAX]; /* sdid_param=value; names are [a-z0-9_]+ */
	uint32_t n_params, left_out;
	uint32_t n_keys; /* bytes of `keys` */
	char keys[LINE_KEYS_BYTES];
};

/*
 * Takes `text` apart, in place: it is written to, and text[length] too. At most LINE_MAX_BYTES; a line's end, and NULs behind it, may be there and are
 * left out. Whatever it holds becomes a line: at the least its message.
 */
void line_parse(char *text, size_t length, uint32_t flags, struct line_clock *clock, struct line *ret_line);

/* A line of no form: all of it is the message. text[length] is written to. */
void line_plain(char *text, size_t length, struct line *ret_line);

/* "kern", "user", …, "local7"; "" of LINE_NONE */
const char *line_facility(uint32_t facility);

/* ---- clean.c ------------------------------------------------------------------------------------------------------- */

/*
 * In place, never longer: control characters become blanks (tab, line feed, carriage return) or '?', bytes that are no UTF-8 '?'. Writes a NUL behind
 * it. Returns `text`.
 */
char *line_clean(char *text, size_t length);
/* The same of a name: cut to LINE_NAME_MAX bytes between characters, blanks stay as they are */
char *line_clean_name(char *text, size_t length);
/* Where at most `max` bytes of UTF-8 end between characters */
size_t line_cut(const char *text, size_t length, size_t max);

/* ---- stamp.c ------------------------------------------------------------------------------------------------------- */

/*
 * 2026-11-28T01:02:03.456+01:00, also with a blank for the T, a comma for the point and without a zone (then it is local time). Moves *at behind it;
 * false, *at untouched: it is none.
 */
bool stamp_iso(const char **at, const char *end, struct line_clock *clock, int64_t *ret_time);
/*
 * Nov 28 01:02:03, also with one blank, a year before or behind the time, a fraction, and Cisco's * or . before it (its clock is not set, or not
 * synchronised: its time all the same). Local time, of the last year by which it is no more than a week ahead.
 */
bool stamp_bsd(const char **at, const char *end, struct line_clock *clock, int64_t *ret_time);
/* The time that stamp_bsd gave just now, had it been UTC's */
int64_t stamp_as_utc(const struct line_clock *clock, int64_t time);

/* ---- rfc5424.c ----------------------------------------------------------------------------------------------------- */

/* Behind the priority, at "1 ". false: it is no such line, and nothing was written to. */
bool line_modern(char *at, char *end, struct line_clock *clock, struct line *l);

#endif
