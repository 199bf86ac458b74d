/* Paths as names of instances, and digests as text. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "file/file.h"

/* The length of the character at `s`, or 0 when these bytes are no UTF-8 or a control character */
static size_t good_length(const unsigned char *s)
{
	size_t n = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 : *s >= 0xe0 && *s < 0xf0 ? 3 : *s >= 0xf0 && *s < 0xf5 ? 4 : 0;

	if (n == 1)
		return *s >= 0x20 && *s != 0x7f && *s != '\\';
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((*s == 0xc2 && s[1] < 0xa0) || (*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
	    (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

int text_escape(const char *path, char *text, size_t size)
{
	const unsigned char *s = (const unsigned char *)path;
	size_t n = 0;

	while (*s) {
		size_t length = good_length(s), put = length ? length : 4;

		if (n + put >= size)
			break;
		if (length)
			memcpy(text + n, s, length);
		else
			snprintf(text + n, 5, "\\%03o", *s);
		n += put;
		s += length ? length : 1;
	}
	text[n] = '\0';
	return *s ? -ENAMETOOLONG : 0;
}

int name_escape(const char *path, char name[NAME_MAX_BYTES + 1])
{
	return text_escape(path, name, NAME_MAX_BYTES + 1);
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

int name_unescape(const char *name, char *path)
{
	for (; *name; path++) {
		if (*name == '\\' && name[1] >= '0' && name[1] <= '3' && is_octal(name[2]) && is_octal(name[3])) {
			*path = (char)((name[1] - '0') * 64 + (name[2] - '0') * 8 + (name[3] - '0'));
			if (!*path)
				return -EINVAL;
			name += 4;
		} else {
			*path = *name++;
		}
	}
	*path = '\0';
	return 0;
}

void digest_text(const unsigned char digest[DIGEST], char text[DIGEST_TEXT])
{
	for (int i = 0; i < DIGEST; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int digest_line(const char *line, unsigned char digest[DIGEST], const char **ret_path)
{
	for (int i = 0; i < DIGEST; i++, line += 2) {
		if (hex(line[0]) < 0 || hex(line[1]) < 0)
			return -EINVAL;
		digest[i] = (unsigned char)(hex(line[0]) * 16 + hex(line[1]));
	}
	if (*line != ' ' && *line != '\t')
		return -EINVAL;
	while (*line == ' ' || *line == '\t' || *line == '*')
		line++;
	if (*line != '/')
		return -EINVAL;
	*ret_path = line;
	return 0;
}
