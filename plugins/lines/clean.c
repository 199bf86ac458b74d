/* Texts from outside: UTF-8 without control characters, whatever they were. */
#include <string.h>

#include "lines/line.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGH UINT64_C(0x8080808080808080)

/* How many bytes from `at` on need no look: printable ASCII, by eights */
static size_t plain_length(const char *at, size_t length)
{
	size_t n = 0;

	while (length - n >= 8) {
		uint64_t v, odd;

		memcpy(&v, at + n, 8);
		/* A byte above 0x7e, or below a blank */
		odd = v | (v + ONES) | ((v - ONES * 0x20) & ~v);
		if (odd & HIGH)
			break;
		n += 8;
	}
	while (n < length && (unsigned char)at[n] >= 0x20 && (unsigned char)at[n] < 0x7f)
		n++;
	return n;
}

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The length of the character at `s`, 0 if it is none: overlong, a surrogate, beyond Unicode, cut off */
static size_t character_length(const unsigned char *s, size_t left)
{
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	if (s[0] < 0xe0)
		return left >= 2 && is_tail(s[1]) ? 2 : 0;
	if (s[0] < 0xf0) {
		if (left < 3 || !is_tail(s[1]) || !is_tail(s[2]) || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return 3;
	}
	if (left < 4 || !is_tail(s[1]) || !is_tail(s[2]) || !is_tail(s[3]) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return 4;
}

/* U+0080 to U+009f are control characters too, which terminals heed */
static bool is_c1(const unsigned char *s)
{
	return s[0] == 0xc2 && s[1] < 0xa0;
}

char *line_clean(char *text, size_t length)
{
	size_t i = 0;

	while (i < length) {
		unsigned char *s;
		size_t n;

		i += plain_length(text + i, length - i);
		if (i == length)
			break;
		s = (unsigned char *)text + i;
		n = *s < 0x80 ? 0 : character_length(s, length - i);
		if (n && !is_c1(s)) {
			i += n;
			continue;
		}
		*s = *s == '\t' || *s == '\n' || *s == '\r' ? ' ' : '?';
		if (n)
			s[1] = '?';
		i += n ? n : 1;
	}
	text[length] = '\0';
	return text;
}

size_t line_cut(const char *text, size_t length, size_t max)
{
	if (length <= max)
		return length;
	while (max && is_tail((unsigned char)text[max]))
		max--;
	return max;
}

char *line_clean_name(char *text, size_t length)
{
	return line_clean(text, line_cut(text, length, LINE_NAME_MAX));
}
