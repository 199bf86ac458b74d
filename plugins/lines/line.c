/* A line of syslog's, in the forms that are met: RFC 5424, RFC 3164, what the C library writes locally, what rsyslog writes into files, and less. */
#include "lines/line.h"

#include <string.h>

#define TAG_MAX 64   /* bytes of a tag, before its pid */
#define PID_MAX 64
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

/* What a host is called, or its address: 1, 0 where it cannot be */
static bool is_host(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == ':' ||
		      c == '%' || c == '/'))
			return false;
	}
	return length > 0 && length <= 255 && at[length - 1] != ':';
}

/* A dot or two colons within: no program is called so, and no word of a message that a colon follows */
static bool is_surely_host(const char *at, size_t length)
{
	const char *dot = memchr(at, '.', length);

	return is_host(at, length) && ((dot && dot > at && dot < at + length - 1) || memmem(at, length, "::", 2));
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

static char *take_host(char *at, size_t length, struct line *l)
{
	l->host = line_clean_name(at, length);
	return at + length + 1;
}

/* ---- RFC 3164 and its kin --------------------------------------------------------------------------------------------- */

static bool take_time(char **at, const char *end, struct line_clock *clock, struct line *l)
{
	const char *p = *at;

	if (!stamp_bsd(&p, end, clock, &l->time) && !stamp_iso(&p, end, clock, &l->time))
		return false;
	if (p < end && *p != ' ' && *p != ':') {
		l->time = 0;
		return false;
	}
	*at += p - *at;
	while (*at < end && (**at == ' ' || **at == ':'))
		(*at)++;
	return true;
}

/*
 * Behind the time comes the host, unless the line is of this host's socket, or what is there is a tag already. Without a time only what can be nothing
 * else is taken for a host.
 */
static void take_rest(char *at, char *end, bool timed, bool local, struct line *l)
{
	struct tag t = find_tag(at, (size_t)(end - at), timed && local);
	size_t word;

	if (!t.name) {
		word = word_length(at, end);
		if (word < (size_t)(end - at) && (timed ? is_host(at, word) && !local : is_surely_host(at, word))) {
			t = find_tag(at + word + 1, (size_t)(end - at) - word - 1, false);
			if (timed || t.name)
				at = take_host(at, word, l);
		}
	} else if (timed && !local && is_surely_host(at, t.name) && at[t.name] == ':' && t.name + 1 < (size_t)(end - at)) {
		/* Cisco: "host: %ASA-6-302013: …" */
		struct tag next = find_tag(at + t.length, (size_t)(end - at) - t.length, false);

		if (next.name) {
			size_t length = t.length;

			l->host = line_clean_name(at, t.name);
			at += length;
			t = next;
		}
	}
	if (t.name)
		at = take_tag(at, &t, l);
	l->message = line_clean(at, (size_t)(end - at));
}

static void line_begin(struct line *l)
{
	memset(l, 0, offsetof(struct line, params));
	l->n_params = l->left_out = l->n_keys = 0;
	l->facility = l->severity = LINE_NONE;
	l->host = l->identifier = l->pid = l->msgid = l->message = "";
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
	bool timed;

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
	while (at < end && *at == ' ')
		at++;
	timed = take_time(&at, end, clock, l);
	take_rest(at, end, timed, flags & LINE_LOCAL, l);
}
