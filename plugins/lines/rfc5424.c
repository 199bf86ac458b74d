/* RFC 5424: VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG] */
#include <string.h>

#include "lines/line.h"

#define N_HEADER 4 /* host, identifier, pid, msgid */

/* A word of the header, "-" is none. It ends with a blank, or with the line. */
struct word {
	char *at;
	size_t length;
};

static bool take_word(char **at, const char *end, struct word *ret_word)
{
	char *from = *at, *blank = memchr(from, ' ', (size_t)(end - from));

	if (from == end || blank == from)
		return false;
	if (!blank)
		blank = from + (end - from);
	*ret_word = (struct word){ from, (size_t)(blank - from) };
	*at = blank < end ? blank + 1 : blank;
	return true;
}

static const char *word_text(const struct word *w)
{
	return w->length == 1 && *w->at == '-' ? "" : line_clean_name(w->at, w->length);
}

/* ---- structured data ------------------------------------------------------------------------------------------------ */

/* A name of an element or of a parameter: printable, without = ] " and blanks */
static size_t name_length(const char *at, const char *end)
{
	size_t n = 0;

	while (at + n < end && (unsigned char)at[n] > ' ' && (unsigned char)at[n] < 0x7f && at[n] != '=' && at[n] != ']' && at[n] != '"')
		n++;
	return n;
}

/* [a-z0-9_]+ for the name of a field */
static size_t key_add(struct line *l, size_t at, const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			c = '_';
		l->keys[at++] = c;
	}
	return at;
}

/* `id` and `name` stay as they are in the line; the value was unescaped already */
static void param_add(struct line *l, const struct word *id, const struct word *name, const char *value)
{
	size_t from = l->n_keys, at;

	if (l->n_params == LINE_PARAMS_MAX || id->length + name->length + 2 > sizeof(l->keys) - from) {
		l->left_out++;
		return;
	}
	at = key_add(l, from, id->at, id->length);
	l->keys[at++] = '_';
	at = key_add(l, at, name->at, name->length);
	l->keys[at++] = '\0';
	l->n_keys = (uint32_t)at;
	l->params[l->n_params++] = (struct kith_field){ l->keys + from, value };
}

/* Behind the opening quote: where the closing one is; NULL: there is none */
static char *value_end(char *at, const char *end)
{
	for (; at < end; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		else if (*at == '"')
			return at;
	}
	return NULL;
}

/* \" \\ and \] are what they escape; any other backslash stands for itself. */
static size_t unescape(char *text, size_t length)
{
	char *escape = memchr(text, '\\', length);
	size_t to;

	if (!escape)
		return length;
	to = (size_t)(escape - text);
	for (size_t i = to; i < length; i++) {
		if (text[i] == '\\' && i + 1 < length && (text[i + 1] == '"' || text[i + 1] == '\\' || text[i + 1] == ']'))
			i++;
		text[to++] = text[i];
	}
	return to;
}

/* At the opening bracket; behind the closing one after. NULL: it does not end as it should. */
static char *take_element(char *at, const char *end, struct line *l, bool keep)
{
	struct word id = { at + 1, 0 }, name;

	id.length = name_length(id.at, end);
	at = id.at + id.length;
	if (!id.length)
		return NULL;
	while (at < end && *at == ' ') {
		char *value, *quote;

		while (at < end && *at == ' ')
			at++;
		if (at < end && *at == ']')
			break;
		name = (struct word){ at, name_length(at, end) };
		at += name.length;
		if (!name.length || end - at < 2 || at[0] != '=' || at[1] != '"')
			return NULL;
		value = at + 2;
		quote = value_end(value, end);
		if (!quote)
			return NULL;
		at = quote + 1;
		if (keep)
			param_add(l, &id, &name, line_clean(value, unescape(value, (size_t)(quote - value))));
	}
	return at < end && *at == ']' ? at + 1 : NULL;
}

/* Behind it all; NULL: it is none. Looked at first, and taken apart only when it is whole. */
static char *take_data(char *from, char *end, struct line *l)
{
	char *at = from;

	if (*from == '-')
		return from + 1 == end || from[1] == ' ' ? from + 1 : NULL;
	while (at && at < end && *at == '[')
		at = take_element(at, end, l, false);
	if (!at || at == from || (at < end && *at != ' '))
		return NULL;
	for (char *p = from; p < at;)
		p = take_element(p, end, l, true);
	return at;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

static char *skip_mark(char *at, const char *end)
{
	return end - at >= 3 && !memcmp(at, "\xef\xbb\xbf", 3) ? at + 3 : at;
}

bool line_modern(char *at, char *end, struct line_clock *clock, struct line *l)
{
	struct word words[N_HEADER] = { 0 };
	const char *p = at + 2;
	int64_t time = 0;
	char *data;

	/* A nil time is allowed, a wrong one makes it another kind of line. */
	if (end - p >= 2 && p[0] == '-' && p[1] == ' ')
		p++;
	else if (!stamp_iso(&p, end, clock, &time))
		return false;
	if (p == end || *p != ' ')
		return false;
	at += p + 1 - at;
	for (int i = 0; i < N_HEADER; i++)
		if (!take_word(&at, end, &words[i]))
			return false;
	l->modern = true;
	l->time = time;
	l->host = word_text(&words[0]);
	l->identifier = word_text(&words[1]);
	l->pid = word_text(&words[2]);
	l->msgid = word_text(&words[3]);
	data = at < end ? take_data(at, end, l) : at;
	/* Without structured data where it must be, all that is left is the message. */
	l->malformed = at == end || !data;
	if (data && data < end && *data == ' ')
		data++;
	at = skip_mark(data ? data : at, end);
	/* rsyslog's own template of this form has the blank behind an RFC 3164 tag once more. */
	if (end - at >= 2 && *at == ' ')
		at++;
	l->message = line_clean(at, (size_t)(end - at));
	return true;
}
