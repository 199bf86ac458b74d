#include "promises/tokens.h"

#include <string.h>

#include "base/buf.h"
#include "base/names.h"
#include "base/units.h"

#define STRING_LENGTH_MAX 4096

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What a family's name is made of */
static bool is_part(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_';
}

static bool is_name(char c)
{
	return is_letter(c) || is_digit(c) || (c && strchr("_./*?@-+%:", c)) || (unsigned char)c >= 0x80;
}

static char peek(const struct tokens *t, size_t ahead)
{
	return t->at + ahead < t->length ? t->text[t->at + ahead] : '\0';
}

#define token_fault(t, at_, width_, hint_, ...) \
	fault_add((t)->faults, false, (t)->path, (t)->text, (t)->length, at_, width_, hint_, __VA_ARGS__)

/* Blanks and comments; true when a line began */
static bool skip_blanks(struct tokens *t)
{
	bool line = t->at == 0;

	while (t->at < t->length) {
		char c = t->text[t->at];

		if (c == '#') {
			while (t->at < t->length && t->text[t->at] != '\n')
				t->at++;
			continue;
		}
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
		line |= c == '\n';
		t->at++;
	}
	return line;
}

static char escaped(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case '"':
	case '\\':
		return c;
	}
	return '\0';
}

/* A string that is at fault ends where it would have: what is in it is no word of the language. */
static bool leave_quoted(struct tokens *t)
{
	while (t->at < t->length && peek(t, 0) != '\n' && peek(t, 0) != '"')
		t->at += peek(t, 0) == '\\' && peek(t, 1) == '"' ? 2 : 1;
	if (peek(t, 0) == '"')
		t->at++;
	return false;
}

/* From the opening quote on; appends what it holds. False: told. */
static bool read_quoted(struct tokens *t, struct buf *b)
{
	size_t start = t->at++;

	for (;;) {
		char c = peek(t, 0);

		if (t->at >= t->length || c == '\n') {
			token_fault(t, start, t->at - start, "a string ends with \" on its line", "this string does not end");
			return false;
		}
		t->at++;
		if (c == '"')
			break;
		if (c == '\\') {
			c = escaped(peek(t, 0));
			if (!c) {
				token_fault(t, t->at - 1, 2, "there are \\\" \\\\ \\n \\t", "unknown escape in a string");
				return leave_quoted(t);
			}
			t->at++;
		} else if ((unsigned char)c < 0x20 || c == 0x7f) {
			token_fault(t, t->at - 1, 1, NULL, "a control character in a string");
			return leave_quoted(t);
		}
		buf_putc(b, c);
	}
	if (b->length > STRING_LENGTH_MAX) {
		token_fault(t, start, t->at - start, NULL, "this string is longer than %d characters", STRING_LENGTH_MAX);
		return false;
	}
	return true;
}

static void take_text(struct tokens *t, struct token *token, struct buf *b)
{
	token->text_length = b->length;
	token->text = b->failed ? NULL : arena_text(t->arena, buf_text(b), b->length);
	if (!token->text) {
		t->failed = true;
		token->text = "";
		token->text_length = 0;
	}
}

static void read_string(struct tokens *t, struct token *token)
{
	struct buf b = BUF_INIT;

	token->kind = read_quoted(t, &b) ? TOKEN_STRING : TOKEN_FAULT;
	take_text(t, token, &b);
	buf_free(&b);
}

/* Is there a name here: [a-z0-9_]+ and a colon with something behind it? */
static bool at_name(const struct tokens *t)
{
	size_t n = 0;

	while (is_part(peek(t, n)))
		n++;
	return n && peek(t, n) == ':' && (is_name(peek(t, n + 1)) || peek(t, n + 1) == '"');
}

static void read_name(struct tokens *t, struct token *token)
{
	struct buf b = BUF_INIT;

	token->kind = TOKEN_NAME;
	for (;;) {
		char c = peek(t, 0);

		if (c == '"' && b.length && b.data[b.length - 1] == ':') {
			token->quoted = true;
			if (!read_quoted(t, &b)) {
				token->kind = TOKEN_FAULT;
				break;
			}
			continue;
		}
		if (!is_name(c))
			break;
		buf_putc(&b, c);
		t->at++;
	}
	take_text(t, token, &b);
	buf_free(&b);
	if (token->kind == TOKEN_NAME && token->text_length > NAME_MAX_LENGTH) {
		token_fault(t, token->at, t->at - token->at, NULL, "this name is longer than %d characters", NAME_MAX_LENGTH);
		token->kind = TOKEN_FAULT;
	}
}

static void read_word(struct tokens *t, struct token *token)
{
	struct buf b = BUF_INIT;
	char c;

	token->kind = TOKEN_WORD;
	while (c = peek(t, 0), is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.') {
		buf_putc(&b, c);
		t->at++;
	}
	take_text(t, token, &b);
	buf_free(&b);
}

static void read_number(struct tokens *t, struct token *token)
{
	size_t used, width = 0;
	char c;

	if (!unit_parse(t->text + t->at, t->length - t->at, &token->number, &token->unit, &used)) {
		c = peek(t, used);
		if (!is_letter(c) && !is_digit(c) && c != '_' && c != '.') {
			token->kind = TOKEN_NUMBER;
			t->at += used;
			return;
		}
	}
	while (c = peek(t, width), is_letter(c) || is_digit(c) || c == '_' || c == '.' || c == '%')
		width++;
	token_fault(t, t->at, width, "units: ns us ms s m h d w, B kB MB GB TB KiB MiB GiB TiB, %; /s after any makes a rate",
	            "\"%.*s\" is not a number with a unit", (int)(width > 64 ? 64 : width), t->text + t->at);
	token->kind = TOKEN_FAULT;
	t->at += width;
}

static void read_mark(struct tokens *t, struct token *token)
{
	char c = peek(t, 0), d = peek(t, 1);

	token->kind = TOKEN_MARK;
	if (d == '=' && (c == '<' || c == '>' || c == '=' || c == '!')) {
		token->mark = MARK2(c, d);
		t->at += 2;
		return;
	}
	token->mark = MARK2(c, 0);
	t->at++;
	if (c && strchr("()[]{},<>=+-*/", c))
		return;
	token->kind = TOKEN_FAULT;
	if ((c == '&' && d == '&') || (c == '|' && d == '|')) {
		t->at++;
		token_fault(t, token->at, 2, c == '&' ? "did you mean \"and\"?" : "did you mean \"or\"?", "unknown operator");
	} else if (c == '!') {
		token_fault(t, token->at, 1, "did you mean \"not\"?", "unknown operator");
	} else if (c == '%') {
		token_fault(t, token->at, 1, "% is a unit here: 10%", "there is no operator %%");
	} else if (c > 0x20 && c < 0x7f) {
		token_fault(t, token->at, 1, NULL, "unexpected character \"%c\"", c);
	} else {
		token_fault(t, token->at, 1, NULL, "unexpected byte 0x%02x", (unsigned)(unsigned char)c);
	}
}

void tokens_next(struct tokens *t, struct token *ret_token)
{
	struct token token = { .text = "", .unit = "" };
	char c;

	token.first = skip_blanks(t);
	token.at = t->at;
	c = peek(t, 0);
	if (t->at >= t->length)
		token.kind = TOKEN_END;
	else if (c == '"')
		read_string(t, &token);
	else if (at_name(t))
		read_name(t, &token);
	else if (is_digit(c))
		read_number(t, &token);
	else if (is_letter(c) || c == '_')
		read_word(t, &token);
	else
		read_mark(t, &token);
	token.length = t->at - token.at;
	*ret_token = token;
}
