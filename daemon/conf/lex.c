/* Words, strings, comments: what the parser of kith.conf is made of */
#include "base/buf.h"
#include "conf/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BAD_BYTES_MAX 20

void conf_fault(struct faults *f, bool warning, const struct conf_file *file, size_t at, size_t width, const char *hint,
                const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (at > file->length)
		at = file->length;
	if (width > file->length - at)
		width = file->length - at;
	if (width > 0) {
		const char *end = memchr(file->text + at, '\n', width);

		if (end)
			width = (size_t)(end - (file->text + at));
	}
	if (width > 0 && file->text[at + width - 1] == '\r')
		width--;
	fault_add(f, warning, file->path, file->text, file->length, at, width ? width : 1, hint, "%s", text);
}

char *conf_show(const char *text, size_t length, char out[static CONF_SHOW_MAX])
{
	size_t max = CONF_SHOW_MAX - 4, n = length;

	if (n > max) {
		n = max;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--; /* not within a character */
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
	strcpy(out + n, length > n ? "..." : "");
	return out;
}

void lex_stop(struct lex *l)
{
	l->stopped = true;
	l->unclosed = true; /* what is open now is so because reading stopped */
	l->at = l->length;
}

bool lex_check_bytes(struct lex *l)
{
	unsigned n_bad = 0;

	for (size_t i = 0, step; i < l->length; i += step) {
		unsigned char c = (unsigned char)l->text[i];

		step = utf8_length((const unsigned char *)l->text + i, l->length - i);
		if (step > 1 || (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t')
			continue;
		if (c == '\r' && i + 1 < l->length && l->text[i + 1] == '\n')
			continue;
		if (step == 0)
			lex_fault(l, i, 1, "save the file as UTF-8", "byte 0x%02x is no UTF-8", c);
		else if (c == 0)
			lex_fault(l, i, 1, "this should be a text file", "a NUL byte");
		else
			lex_fault(l, i, 1, "remove it, or write it as an escape in a quoted string", "a control character (0x%02x)", c);
		if (c == 0 || ++n_bad >= BAD_BYTES_MAX)
			return false;
		step = 1;
	}
	return true;
}

static bool comment_starts(const struct lex *l)
{
	return lex_peek(l) == '#' || (lex_peek(l) == '/' && lex_peek2(l) == '*');
}

static void skip_comment(struct lex *l)
{
	size_t start = l->at, depth = 0;

	if (l->text[l->at] == '#') {
		while (l->at < l->length && l->text[l->at] != '\n')
			l->at++;
		return;
	}
	while (l->at < l->length) {
		if (lex_peek(l) == '/' && lex_peek2(l) == '*') {
			depth++;
			l->at += 2;
		} else if (lex_peek(l) == '*' && lex_peek2(l) == '/') {
			l->at += 2;
			if (--depth == 0)
				return;
		} else {
			l->at++;
		}
	}
	if (!l->unclosed)
		lex_fault(l, start, 2, "end it with */; comments nest", "this comment is not closed");
	l->unclosed = true;
}

void lex_skip_blanks(struct lex *l)
{
	for (;;) {
		int c = lex_peek(l);

		if (c == ' ' || c == '\t' || c == '\r')
			l->at++;
		else if (comment_starts(l))
			skip_comment(l);
		else
			return;
	}
}

void lex_skip_space(struct lex *l)
{
	for (;;) {
		lex_skip_blanks(l);
		if (lex_peek(l) != '\n')
			return;
		l->at++;
	}
}

static int hex4(const struct lex *l, size_t at)
{
	int v = 0;

	if (at + 4 > l->length)
		return -1;
	for (size_t i = at; i < at + 4; i++) {
		char c = l->text[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v * 16 + ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

static void put_utf8(struct buf *b, uint32_t u)
{
	if (u < 0x80) {
		buf_putc(b, (char)u);
	} else if (u < 0x800) {
		buf_putc(b, (char)(0xc0 | u >> 6));
		buf_putc(b, (char)(0x80 | (u & 0x3f)));
	} else if (u < 0x10000) {
		buf_putc(b, (char)(0xe0 | u >> 12));
		buf_putc(b, (char)(0x80 | (u >> 6 & 0x3f)));
		buf_putc(b, (char)(0x80 | (u & 0x3f)));
	} else {
		buf_putc(b, (char)(0xf0 | u >> 18));
		buf_putc(b, (char)(0x80 | (u >> 12 & 0x3f)));
		buf_putc(b, (char)(0x80 | (u >> 6 & 0x3f)));
		buf_putc(b, (char)(0x80 | (u & 0x3f)));
	}
}

/* `at` is on the backslash of a \u; 0 and `at` behind it, or false */
static bool unicode_escape(struct lex *l, struct buf *b)
{
	int high = hex4(l, l->at + 2), low = -1;
	size_t width = 6;

	if (high < 0) {
		lex_fault(l, l->at, 2, "four hexadecimal digits follow: \\u00e9", "a bad \\u escape");
		return false;
	}
	if (high >= 0xd800 && high <= 0xdbff && l->at + 8 < l->length && l->text[l->at + 6] == '\\' &&
	    l->text[l->at + 7] == 'u') {
		low = hex4(l, l->at + 8);
		width = 12;
	}
	if (high >= 0xd800 && high <= 0xdfff && (high > 0xdbff || low < 0xdc00 || low > 0xdfff)) {
		lex_fault(l, l->at, 6, "write the character itself, in UTF-8", "half of a surrogate pair");
		return false;
	}
	if (high == 0) {
		lex_fault(l, l->at, 6, NULL, "a string cannot hold the character U+0000");
		return false;
	}
	if (low >= 0)
		put_utf8(b, 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
	else
		put_utf8(b, (uint32_t)high);
	l->at += width;
	return true;
}

static bool escape(struct lex *l, struct buf *b)
{
	static const char from[] = "\"\\/bfnrt'", to[] = "\"\\/\b\f\n\r\t'";
	int c = lex_peek2(l);
	const char *p;

	if (c == 'u')
		return unicode_escape(l, b);
	p = c > 0 ? strchr(from, c) : NULL;
	if (!p) {
		lex_fault(l, l->at, 2, "write \\\\ for a backslash, or use single quotes: nothing is an escape there",
		          "an unknown escape");
		return false;
	}
	buf_putc(b, to[p - from]);
	l->at += 2;
	return true;
}

/* Behind the closing quote of a string whose contents were at fault, so that what follows is read in step */
static void skip_quoted(struct lex *l, char quote)
{
	while (l->at < l->length && l->text[l->at] != '\n' && l->text[l->at] != quote)
		l->at += l->text[l->at] == '\\' && lex_peek2(l) >= 0 && lex_peek2(l) != '\n' ? 2 : 1;
	if (lex_peek(l) == quote)
		l->at++;
}

bool lex_quoted(struct lex *l, struct buf *b)
{
	size_t start = l->at;
	char quote = l->text[l->at++];

	for (;;) {
		int c = lex_peek(l);

		if (c < 0 || c == '\n') {
			lex_fault(l, start, l->at - start, quote == '"' ? "end it with \"; text of several lines goes between <<EOD and EOD"
			                                                : "end it with '; text of several lines goes between <<EOD and EOD",
			          "this string is not closed");
			return false;
		}
		if (c == quote) {
			l->at++;
			break;
		}
		if (c == '\\' && quote == '"') {
			if (escape(l, b))
				continue;
			l->at += lex_peek2(l) >= 0 && lex_peek2(l) != '\n' ? 2 : 1;
			skip_quoted(l, quote);
			return false;
		}
		if (c == '\\' && lex_peek2(l) == '\'')
			l->at++; /* the one escape between single quotes */
		buf_putc(b, l->text[l->at++]);
	}
	if (b->failed)
		l->nomem = true;
	return !b->failed;
}

bool lex_is_heredoc(const struct lex *l)
{
	return l->at + 2 < l->length && l->text[l->at] == '<' && l->text[l->at + 1] == '<' && l->text[l->at + 2] >= 'A' &&
	       l->text[l->at + 2] <= 'Z';
}

/* Length of the line at `at` without its end, and where the next one starts */
static size_t line_at(const struct lex *l, size_t at, size_t *ret_next)
{
	const char *end = memchr(l->text + at, '\n', l->length - at);
	size_t length = end ? (size_t)(end - (l->text + at)) : l->length - at;

	*ret_next = end ? at + length + 1 : l->length;
	return length > 0 && l->text[at + length - 1] == '\r' ? length - 1 : length;
}

bool lex_heredoc(struct lex *l, struct buf *b)
{
	size_t start = l->at, name = l->at + 2, n_name = 0, next, length;
	char hint[CONF_SHOW_MAX + 64], shown[CONF_SHOW_MAX];

	while (name + n_name < l->length && l->text[name + n_name] >= 'A' && l->text[name + n_name] <= 'Z')
		n_name++;
	conf_show(l->text + name, n_name, shown);
	if (line_at(l, name, &next) != n_name) {
		lex_fault(l, start, n_name + 2, "the text starts on the next line", "something follows <<%s", shown);
		return false;
	}
	for (bool first = true; next < l->length; first = false) {
		size_t line = next;

		length = line_at(l, line, &next);
		if (length == n_name && memcmp(l->text + line, l->text + name, n_name) == 0) {
			l->at = line + length;
			if (b->failed)
				l->nomem = true;
			return !b->failed;
		}
		if (!first)
			buf_putc(b, '\n');
		buf_append(b, l->text + line, length);
	}
	snprintf(hint, sizeof(hint), "end it with a line that is %s alone, without blanks", shown);
	lex_fault(l, start, n_name + 2, hint, "this text is not closed");
	l->at = l->length;
	l->unclosed = true;
	return false;
}

size_t lex_word(const struct lex *l, bool key)
{
	size_t n = 0;

	if (comment_starts(l))
		return 0;
	while (l->at + n < l->length) {
		unsigned char c = (unsigned char)l->text[l->at + n];

		if (c <= ' ' || strchr("{}[];,=\"'", c) || (key && c == ':'))
			break;
		n++;
	}
	return n;
}

/* A '=' in an unquoted value of several words, nearly always a slip */
static void bare_equals(struct lex *l, enum bare where, size_t end)
{
	size_t next = l->at + 1;

	while (next < l->length && (l->text[next] == ' ' || l->text[next] == '\t'))
		next++;
	switch (where) {
	case BARE_KEY:
		if (next < l->length && l->text[next] == '{')
			lex_fault(l, l->at, 1, "leave it out", "no '=' stands between a section's names and its '{'");
		else
			lex_fault(l, l->key_at, end - l->key_at,
			          "join the words with '_'; a value of several words goes between quotes", "a key is one word");
		break;
	case BARE_EQUALS:
		lex_fault(l, l->at, 1, "put ';' or a new line between two settings, or quotes around the value",
		          "a second '=' in one setting");
		break;
	case BARE_ITEM:
		lex_fault(l, l->at, 1, "put quotes around the text; a list ends with ']'", "a '=' within a list");
		break;
	}
}

bool lex_bare(struct lex *l, enum bare where, size_t *ret_width)
{
	size_t start = l->at, end = l->at;
	bool blank = false;

	for (;; l->at++) {
		int c = lex_peek(l);
		bool after_blank = l->at > end || l->at == start;

		if (c < 0 || strchr("\n;,}]", c) || (after_blank && comment_starts(l)))
			break;
		if (c == ' ' || c == '\t' || c == '\r') {
			blank = true;
			continue;
		}
		if (c == '=' && blank) {
			bare_equals(l, where, end);
			return false;
		}
		if (c == '{' || c == '[' || c == '"') {
			lex_fault(l, l->at, 1, c == '{' && where == BARE_EQUALS ?
			          "leave out the '=' before a section's name, or put quotes around the value" :
			          "put quotes around the value", "'%c' in a value without quotes", c);
			return false;
		}
		end = l->at + 1;
	}
	l->at = end;
	*ret_width = end - start;
	return true;
}
