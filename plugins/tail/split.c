#include "tail/split.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REPEAT_MAX 64     /* of {n,m}: the C library writes them out */
#define REPEATS_MAX 4
#define MATCH_BYTES 1024  /* of a line that are looked at for where a record begins */

/* ---- rules ------------------------------------------------------------------------------------------------------------- */

/* What would take the C library much memory or time: \1 is matched by trying, {n} is written out. NULL: nothing */
static const char *too_much(const char *p)
{
	unsigned repeats = 0, n;

	for (; *p; p++) {
		if (*p == '\\') {
			if (p[1] >= '1' && p[1] <= '9')
				return "no back-references (\\1)";
			p += p[1] != '\0';
			continue;
		}
		if (*p != '{')
			continue;
		if (++repeats > REPEATS_MAX)
			return "too many repetitions ({n})";
		for (n = 0; *p && *p != '}'; p++) {
			n = *p >= '0' && *p <= '9' ? n * 10 + (unsigned)(*p - '0') : 0;
			if (n > REPEAT_MAX)
				return "a repetition of more than 64";
		}
		if (!*p)
			break;
	}
	return NULL;
}

int rules_new(struct rules *r, const char *text, char *why, size_t size)
{
	const char *much;
	int error;

	*r = (struct rules){ .several = *text != '\0' };
	if (!*text || !strcmp(text, "indent"))
		return 0;
	much = strlen(text) > SPLIT_PATTERN_MAX ? "it is longer than 256 bytes" : too_much(text);
	if (much) {
		snprintf(why, size, "%s", much);
		return -EINVAL;
	}
	error = regcomp(&r->begins, text, REG_EXTENDED | REG_NOSUB);
	if (error) {
		regerror(error, &r->begins, why, size);
		return -EINVAL;
	}
	r->regular = true;
	return 0;
}

void rules_free(struct rules *r)
{
	if (r->regular)
		regfree(&r->begins);
	r->regular = false;
}

/* The line at `at`, which ends before `end`; the byte there is put back. */
static bool begins_record(const struct rules *r, char *at, char *end)
{
	char behind, *nul = end - at > MATCH_BYTES ? at + MATCH_BYTES : end;
	bool match;

	if (!r->several)
		return true;
	if (!r->regular)
		return at == end || (*at != ' ' && *at != '\t');
	behind = *nul;
	*nul = '\0';
	match = regexec(&r->begins, at, 0, NULL, 0) == 0;
	*nul = behind;
	return match;
}

/* ---- pieces -------------------------------------------------------------------------------------------------------------- */

static bool pass(struct piece *p, size_t used)
{
	*p = (struct piece){ .used = used, .none = true };
	return used > 0;
}

/* What is passed over of what was cut. false: nothing is */
static bool pass_over(struct split *s, const struct rules *r, char *data, size_t length, bool full, bool final, struct piece *p)
{
	char *end = memchr(data, '\n', length);

	if (s->skip) {
		s->skip = !end;
		return pass(p, end ? (size_t)(end - data) + 1 : length);
	}
	/* Only whole lines can be told apart, and those that will never be whole here. */
	if (!end && !final && !full)
		return pass(p, 0);
	if (begins_record(r, data, end ? end : data + length)) {
		s->skip_on = false;
		return false;
	}
	s->skip = !end && !final;
	return pass(p, end ? (size_t)(end - data) + 1 : length);
}

static bool give(struct piece *p, size_t used, size_t length, unsigned lines)
{
	*p = (struct piece){ .used = used, .length = length > LINE_MAX_BYTES ? LINE_MAX_BYTES : length, .cut = length > LINE_MAX_BYTES, .lines = lines };
	return true;
}

bool split_next(struct split *s, const struct rules *r, char *data, size_t length, bool full, bool final, struct piece *ret_piece)
{
	size_t at = 0, taken = 0;
	unsigned lines = 0;

	if (!length)
		return false;
	if (s->skip || s->skip_on) {
		if (pass_over(s, r, data, length, full, final, ret_piece))
			return true;
		if (s->skip || s->skip_on)
			return false;
	}
	while (at < length) {
		char *end = memchr(data + at, '\n', length - at);

		if (!end && !final)
			break;
		if (lines && begins_record(r, data + at, end ? end : data + length))
			return give(ret_piece, at, taken, lines);
		taken = end ? (size_t)(end - data) : length;
		at = end ? taken + 1 : length;
		lines++;
		if (!r->several)
			return give(ret_piece, at, taken, 1);
		if (taken > LINE_MAX_BYTES) {
			s->skip_on = true;
			return give(ret_piece, at, taken, lines);
		}
	}
	if (final)
		return give(ret_piece, at, taken, lines);
	if (!full)
		return false;
	/* A line as long as the buffer, or lines of one record */
	s->skip = data[length - 1] != '\n';
	s->skip_on = r->several;
	give(ret_piece, length, length, lines + 1);
	return true;
}

size_t split_join(const char *data, size_t length, char *to, bool *cut)
{
	size_t n = 0;

	while (length && data[length - 1] == '\n')
		length--;
	for (size_t i = 0; i < length; i++) {
		if (n + 2 > LINE_MAX_BYTES) {
			*cut = true;
			break;
		}
		if (data[i] == '\n') {
			to[n++] = '\\';
			to[n++] = 'n';
		} else if (data[i] != '\r' || i + 1 >= length || data[i + 1] != '\n') {
			to[n++] = data[i];
		}
	}
	return line_cut(to, n, n);
}
