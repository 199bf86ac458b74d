/* A line of syslog's, in the forms that are met: RFC 5424, RFC 3164, what the C library writes locally, what rsyslog writes into files, and less. */
#include "lines/line.h"

#include <string.h>

#define TAG_MAX 64   /* bytes of a tag, before its pid */
#define PID_MAX 64
#define COUNTER_MAX 12 /* digits of Cisco's */
#define PRI_MAX 191

static const char *const facilities[] = {
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
};

const char *line_facility(uint32_t facility)
{
	return facility < KITH_COUNT(facilities) ? facilities[facility] : "";
}

/*
 * <0> to <191>, without leading zeros. Otherwise the line has none that can be identified, and what looks like one is part of its message (RFC 3164,
 * 4.3.3).
 */
static char *take_priority(char *at, const char *end, struct line *l)
{
	char *p = at + 1;
	uint32_t v = 0;

	if (at == end || *at != '<')
		return at;
	while (p < end && p < at + 4 && *p >= '0' && *p <= '9')
		v = v * 10 + (uint32_t)(*p++ - '0');
	if (p == at + 1 || p == end || *p != '>' || v > PRI_MAX || (at[1] == '0' && p > at + 2)) {
		l->malformed = p > at + 1;
		return at;
	}
	l->facility = v >> 3;
	l->severity = v & 7;
	return p + 1;
}

/* ---- names ----------------------------------------------------------------------------------------------------------- */

static size_t word_length(const char *at, const char *end)
{
	const char *blank = memchr(at, ' ', (size_t)(end - at));

	return (size_t)((blank ? blank : end) - at);
}

/* What a host is called, or its address */
static bool is_host(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == ':' ||
		      c == '%' || c == '/'))
			return false;
	}
	/* "::1" begins with a colon, a lone one is what some devices put before a message; Cisco's tags begin with '%' */
	return length > 0 && length <= 255 && at[length - 1] != ':' && *at != '%' && (*at != ':' || at[1] == ':');
}

/* A dot or two colons within: no program is called so, and no word of a message that a colon follows */
static bool is_surely_host(const char *at, size_t length)
{
	const char *dot = memchr(at, '.', length);

	return is_host(at, length) && ((dot && dot > at && dot < at + length - 1) || memmem(at, length, "::", 2));
}

/* An IPv6 address in brackets; a time in them has fewer colons */
static bool is_bracketed(const char *at, size_t length)
{
	size_t colons = 0;

	if (length < 4 || *at != '[' || at[length - 1] != ']' || !is_host(at + 1, length - 2))
		return false;
	for (size_t i = 1; i < length - 1; i++)
		colons += at[i] == ':';
	return colons >= 6 || memmem(at, length, "::", 2);
}

struct tag {
	size_t name;          /* bytes of it; 0: there is no tag */
	size_t pid_at, pid;   /* where its pid is, and its bytes; 0: none */
	size_t length;        /* up to the message */
};

static bool is_tag_char(char c)
{
	return (unsigned char)c > ' ' && c != '[' && c != ':' && c != 0x7f && c != '"' && c != '<' && c != '{' && c != '=' && c != ',';
}

/* name[pid]: name: name[pid] and, where blanks may be in it, "the name:" */
static struct tag find_tag(const char *at, size_t left, bool blanks)
{
	struct tag none = { 0 }, t = { 0 };
	size_t n = 0;

	while (n < left && n < TAG_MAX && (is_tag_char(at[n]) || (blanks && n && at[n] == ' ')))
		n++;
	/* A colon within: systemd's units (user@1000.service: is one), Perl's modules, IPv6 */
	while (n && n < left && n < TAG_MAX && at[n] == ':' && n + 1 < left && is_tag_char(at[n + 1]))
		for (n++; n < left && n < TAG_MAX && is_tag_char(at[n]);)
			n++;
	if (!n || n == left)
		return none;
	t.name = t.length = n;
	if (at[n] == '[') {
		const char *close = memchr(at + n, ']', left - n < PID_MAX ? left - n : PID_MAX);

		if (!close || memchr(at + n, ' ', (size_t)(close - at) - n))
			return none;
		t.pid_at = n + 1;
		t.pid = (size_t)(close - at) - t.pid_at;
		t.length = t.pid_at + t.pid + 1;
		if (t.length < left && at[t.length] != ':' && at[t.length] != ' ')
			return none;
	} else if (at[n] != ':' || (n + 1 < left && at[n + 1] != ' ')) {
		return none;
	}
	if (t.length < left && at[t.length] == ':')
		t.length++;
	if (t.length < left && at[t.length] == ' ')
		t.length++;
	return t;
}

static char *take_tag(char *at, const struct tag *t, struct line *l)
{
	l->identifier = line_clean_name(at, t->name);
	if (t->pid)
		l->pid = line_clean_name(at + t->pid_at, t->pid);
	return at + t->length;
}

/* Of a word of `length` bytes, and a blank or a colon behind it */
static void take_host(char *at, size_t length, struct line *l)
{
	bool bracketed = *at == '[';

	l->host = line_clean_name(at + bracketed, length - 2 * bracketed);
}

static char *skip_blanks(char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	return at;
}

/* ---- what Cisco's devices add ----------------------------------------------------------------------------------------- */

/* %SYS-5-CONFIG_I, %ASA-6-302013: facility, severity, name */
static bool is_mnemonic(const char *at, const char *end)
{
	if (at >= end || *at != '%')
		return false;
	for (const char *p = at + 1; p < end; p++) {
		char c = *p;

		if (c == '-' && end - p > 2 && p[1] >= '0' && p[1] <= '7' && p[2] == '-')
			return p > at + 1;
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return false;
}

/* "host:" and a blank, where what follows can be no message of a program called so: the length of the host, 0 where it is none */
static size_t colon_host(const char *at, const char *end)
{
	size_t word = word_length(at, end);
	const char *next = at + word + 1;

	if (word < 2 || next >= end || at[word - 1] != ':')
		return 0;
	word--;
	if (is_bracketed(at, word))
		return word;
	if (is_mnemonic(next, end))
		return is_host(at, word) ? word : 0;
	return is_surely_host(at, word) && find_tag(next, (size_t)(end - next), false).name ? word : 0;
}

/* Is what is here a host with a tag, so that what stands before it is none? On this host's socket: a tag */
static bool has_names(const char *at, const char *end, bool local)
{
	size_t word = word_length(at, end), left = (size_t)(end - at);

	if (local || is_mnemonic(at, end))
		return find_tag(at, left, false).name;
	if (colon_host(at, end))
		return true;
	if (word >= left || !(is_host(at, word) || is_bracketed(at, word)) || find_tag(at, left, false).name)
		return false;
	return is_surely_host(at, word) || find_tag(at + word + 1, left - word - 1, false).name ||
	       (left - word > 3 && !memcmp(at + word, " : ", 3) && is_mnemonic(at + word + 3, end));
}

#define ZONE_MAX 5

/*
 * The name of a zone behind the time. UTC, GMT and Z are known, and are hosts only where nothing else can be it; another one is skipped where a colon behind
 * it says that it is Cisco's: its time is taken for local. `sure`: the line is Cisco's.
 */
static bool take_zone(const char **at, const char *end, bool sure, bool local)
{
	const char *p = *at + (*at < end && **at == ' '), *behind;
	size_t n = 0;
	bool utc;

	if (p >= end || *p < 'A' || *p > 'Z')
		return false;
	while (p + n < end && n <= ZONE_MAX && p[n] >= 'A' && p[n] <= 'Z')
		n++;
	if (n > ZONE_MAX)
		return false;
	behind = p + n;
	utc = (n == 1 && *p == 'Z') || (n == 3 && (!memcmp(p, "UTC", 3) || !memcmp(p, "GMT", 3)));
	if (behind < end && *behind == ':' && (behind + 1 == end || behind[1] == ' ')) {
		if (!utc && !sure && (end - behind < 3 || !is_mnemonic(behind + 2, end)))
			return false;
	} else if (!utc || (behind < end && *behind != ' ') || (p > *at && (behind == end || !has_names(behind + 1, end, local)))) {
		return false;
	}
	*at = behind;
	return utc;
}

/* 45: the digits, 0 where there are none */
static size_t counter_length(const char *at, const char *end)
{
	size_t n = 0;

	while (at + n < end && n < COUNTER_MAX && at[n] >= '0' && at[n] <= '9')
		n++;
	return n && end - at > (ptrdiff_t)n + 1 && at[n] == ':' && at[n + 1] == ' ' ? n : 0;
}

static char *skip_counter(char *at, const char *end)
{
	size_t n = counter_length(at, end);

	return n ? skip_blanks(at + n + 1, end) : at;
}

/* Since the device began: 00:00:46, 1d02h, 2w3d */
static bool is_uptime(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!((at[i] >= '0' && at[i] <= '9') || (i && memchr(":ywdhms", at[i], 7))))
			return false;
	return !memmem(at, length, "::", 2);
}

/* "*Nov 28 11:56:45.123 UTC:" */
static bool take_cisco_time(char **at, const char *end, struct line_clock *clock, struct line *l)
{
	const char *p = *at;
	int64_t time;

	if (!stamp_bsd(&p, end, clock, &time))
		return false;
	if (take_zone(&p, end, true, false))
		time = stamp_as_utc(clock, time);
	if (p == end || *p != ':' || (p + 1 < end && p[1] != ' '))
		return false;
	l->time = time;
	*at = skip_blanks(*at + (p + 1 - *at), end);
	return true;
}

/*
 * What IOS puts before the time, or instead of it: a counter, a host, another counter. "45: host1: 000046: *Nov 28 11:56:45: %SYS-5-CONFIG_I: x". Without a
 * counter it could be a program's that writes the time, so there must be a mark of Cisco's.
 */
static bool take_prefixed(char **at, char *end, struct line_clock *clock, struct line *l)
{
	char *number = *at, *p = skip_counter(skip_counter(number, end), end), *host = p;
	size_t n_number = counter_length(number, end), n = word_length(p, end), n_host;
	bool marked;

	n_host = n > 1 && p + n < end && p[n - 1] == ':' && (is_host(p, n - 1) || is_bracketed(p, n - 1)) ? n - 1 : 0;
	if (n_host) {
		p = skip_blanks(p + n, end);
		if (!n_number) {
			number = p;
			n_number = counter_length(p, end);
		}
		p = skip_counter(p, end);
	}
	if (p == *at || p == end)
		return false;
	marked = n_number || *p == '*' || *p == '.';
	if (take_cisco_time(&p, end, clock, l)) {
		if (!marked && !is_mnemonic(p, end)) {
			l->time = 0;
			return false;
		}
	} else if (!is_mnemonic(p, end)) {
		return false;
	} else if (n_host && is_uptime(host, n_host)) {
		n_host = 0;
	}
	if (n_number)
		l->sequence = line_clean_name(number, n_number);
	if (n_host)
		take_host(host, n_host, l);
	*at = p;
	return true;
}

/* ---- RFC 3164 and its kin --------------------------------------------------------------------------------------------- */

static bool take_time(char **at, const char *end, struct line_clock *clock, bool local, struct line *l)
{
	const char *p = *at;
	bool emblem = p < end && *p == ':', utc = false;
	int64_t time;

	/* ASA's EMBLEM form begins with a colon. */
	p += emblem;
	if (stamp_bsd(&p, end, clock, &time))
		utc = take_zone(&p, end, emblem, local);
	else if (!stamp_iso(&p, end, clock, &time))
		return false;
	if (p < end && *p != ' ' && *p != ':')
		return false;
	l->time = utc ? stamp_as_utc(clock, time) : time;
	/* Cisco has a colon behind the time, with a blank before it or not; those of "::1" are its own. */
	*at = skip_blanks(*at + (p + (p < end && *p == ':') - *at), end);
	if (end - *at >= 2 && (*at)[0] == ':' && (*at)[1] == ' ')
		*at = skip_blanks(*at + 1, end);
	return true;
}

/*
 * Behind the time comes the host, unless the line is of this host's socket, or what is there is a tag already. Without a time only what can be nothing
 * else is taken for a host. Returns where the tag or the message begins.
 */
static char *take_place(char *at, char *end, bool timed, bool local, struct line_clock *clock, struct line *l, struct tag *ret_tag)
{
	size_t left = (size_t)(end - at), word;
	char *next;

	*ret_tag = find_tag(at, left, timed && local);
	if ((timed && local) || ret_tag->pid || (!timed && ret_tag->name))
		return at;
	word = word_length(at, end);
	if (timed && word && at[word - 1] == ':' && colon_host(at, end)) {
		take_host(at, word - 1, l);
		next = at + word + 1;
		*ret_tag = find_tag(next, (size_t)(end - next), false);
		return next;
	}
	if (ret_tag->name || word == left || !(is_bracketed(at, word) || (timed ? is_host(at, word) : is_surely_host(at, word))))
		return at;
	next = at + word + 1;
	/* ASA: "fw1 : %ASA-6-302013: …"; a relay that put its time and the host before Cisco's line */
	if (end - next > 2 && next[0] == ':' && next[1] == ' ' && is_mnemonic(next + 2, end))
		next += 2;
	*ret_tag = find_tag(next, (size_t)(end - next), false);
	if (!timed && !ret_tag->name)
		return at;
	take_host(at, word, l);
	if (next < end && *next >= '0' && *next <= '9' && take_prefixed(&next, end, clock, l))
		*ret_tag = find_tag(next, (size_t)(end - next), false);
	return next;
}

static void line_begin(struct line *l)
{
	memset(l, 0, offsetof(struct line, params));
	l->n_params = l->left_out = l->n_keys = 0;
	l->facility = l->severity = LINE_NONE;
	l->host = l->identifier = l->pid = l->msgid = l->sequence = l->message = "";
}

void line_plain(char *text, size_t length, struct line *ret_line)
{
	line_begin(ret_line);
	while (length && (text[length - 1] == '\n' || text[length - 1] == '\0' || text[length - 1] == '\r'))
		length--;
	ret_line->message = line_clean(text, length);
}

void line_parse(char *text, size_t length, uint32_t flags, struct line_clock *clock, struct line *ret_line)
{
	struct line *l = ret_line;
	char *at = text, *end = text + length;
	bool local = flags & LINE_LOCAL, timed;
	struct tag tag;

	while (end > at && (end[-1] == '\n' || end[-1] == '\0' || end[-1] == '\r'))
		end--;
	line_begin(l);
	at = take_priority(at, end, l);
	if (l->malformed) {
		l->message = line_clean(at, (size_t)(end - at));
		return;
	}
	if (end - at >= 2 && at[0] == '1' && at[1] == ' ' && l->facility != LINE_NONE) {
		if (line_modern(at, end, clock, l))
			return;
		l->malformed = true;
	}
	at = skip_blanks(at, end);
	timed = take_time(&at, end, clock, local, l);
	if (!timed && take_prefixed(&at, end, clock, l))
		tag = find_tag(at, (size_t)(end - at), false);
	else
		at = take_place(at, end, timed, local, clock, l, &tag);
	if (tag.name)
		at = take_tag(at, &tag, l);
	l->message = line_clean(at, (size_t)(end - at));
}
