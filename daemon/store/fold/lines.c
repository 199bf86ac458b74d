#include "store/fold/lines.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_line.h"

static void begin_word(struct buf *b)
{
	if (b->length && b->data[b->length - 1] != '\n')
		buf_putc(b, '\t');
}

void line_word(struct buf *b, const char *text)
{
	begin_word(b);
	history_escape(b, text, SIZE_MAX);
}

void line_number(struct buf *b, int64_t number)
{
	begin_word(b);
	buf_printf(b, "%lld", (long long)number);
}

void line_double(struct buf *b, double value)
{
	begin_word(b);
	if (isnan(value))
		buf_putc(b, '-');
	else
		buf_printf(b, "%.17g", value);
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: it only gets shorter. No NUL comes out of it. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		int high, low;

		if (*text != '\\' || !text[1]) {
			*to++ = *text;
			continue;
		}
		text++;
		high = *text == 'x' ? hex(text[1]) : -1;
		low = high >= 0 ? hex(text[2]) : -1;
		if (low >= 0 && (high || low)) {
			*to++ = (char)(high * 16 + low);
			text += 2;
		} else {
			*to++ = *text == 't' ? '\t' : *text == 'n' ? '\n' : *text;
		}
	}
	*to = '\0';
}

size_t line_split(char *line, char **ret_words, size_t most)
{
	size_t n = 0;

	while (line && n < most) {
		char *tab = strchr(line, '\t');

		if (tab)
			*tab++ = '\0';
		unescape(line);
		ret_words[n++] = line;
		line = tab;
	}
	return n;
}

bool word_number(const char *word, int64_t *ret_number)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(word, &end, 10);
	if (errno || end == word || *end)
		return false;
	*ret_number = n;
	return true;
}

bool word_double(const char *word, double *ret_value)
{
	char *end;
	double value;

	if (!strcmp(word, "-")) {
		*ret_value = NAN;
		return true;
	}
	value = strtod(word, &end);
	if (end == word || *end || !isfinite(value))
		return false;
	*ret_value = value;
	return true;
}

char *line_next(char **at)
{
	char *line = *at, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end++ = '\0';
	*at = end;
	return line;
}
