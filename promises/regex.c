#include "promises/regex.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tre/tre.h>
#include <wchar.h>

#include "base/buf.h"

#define WIDE_SOME 512 /* characters of a text that no memory is asked for */

/* ---- how large does it become? ----------------------------------------------------------------------------------- */

struct measure {
	const char *at;
	unsigned depth;
	bool too_deep;
};

#define DEPTH_MAX 50

static unsigned measure_branch(struct measure *m);

/* Behind a bracket expression; its first ] is a member */
static void skip_bracket(struct measure *m)
{
	m->at++;
	m->at += *m->at == '^';
	m->at += *m->at == ']';
	while (*m->at && *m->at != ']') {
		if (m->at[0] == '[' && m->at[1] && strchr(":.=", m->at[1])) {
			char end[3] = { m->at[1], ']', '\0' };
			const char *close = strstr(m->at + 2, end);

			m->at = close ? close + 1 : m->at;
		}
		m->at++;
	}
	m->at += *m->at == ']';
}

static unsigned measure_atom(struct measure *m)
{
	unsigned size = 1;

	if (*m->at == '[') {
		skip_bracket(m);
	} else if (*m->at == '(') {
		m->at++;
		if (++m->depth > DEPTH_MAX) {
			m->too_deep = true;
			m->at += strlen(m->at);
			return 1;
		}
		size = measure_branch(m);
		m->depth--;
		m->at += *m->at == ')';
	} else {
		m->at += *m->at == '\\' && m->at[1] ? 2 : 1;
	}
	return size;
}

/* {3}, {3,}, {3,7}: how often at most it is written out */
static unsigned measure_repeat(struct measure *m)
{
	unsigned long most = 0;
	char *end;

	while (*++m->at && *m->at != '}')
		if (*m->at >= '0' && *m->at <= '9') {
			unsigned long n = strtoul(m->at, &end, 10);

			most = n > most ? n : most;
			m->at = end - 1;
		}
	m->at += *m->at == '}';
	return most <= REGEX_PARTS_MAX ? (most ? (unsigned)most : 1) : REGEX_PARTS_MAX + 1;
}

static unsigned measure_branch(struct measure *m)
{
	unsigned total = 0;

	while (*m->at && *m->at != ')' && total <= REGEX_PARTS_MAX) {
		unsigned size;

		if (*m->at == '|') {
			m->at++;
			continue;
		}
		size = measure_atom(m);
		while (*m->at && strchr("*+?{", *m->at)) {
			size *= *m->at == '{' ? measure_repeat(m) : 1;
			if (size > REGEX_PARTS_MAX)
				size = REGEX_PARTS_MAX + 1;
			if (*m->at && strchr("*+?", *m->at))
				m->at++;
		}
		total += size;
	}
	return total;
}

static const char *too_large(const char *pattern)
{
	struct measure m = { .at = pattern };

	if (strlen(pattern) > REGEX_LENGTH_MAX)
		return "it is longer than 512 characters";
	if (measure_branch(&m) > REGEX_PARTS_MAX)
		return "its repetitions make it larger than 2000 characters";
	return m.too_deep ? "its parentheses are nested too deep" : NULL;
}

/* ---- what must be in the text ------------------------------------------------------------------------------------ */

static void needle_take(struct regex *r, const char *run, size_t length)
{
	if (length > strlen(r->needle)) {
		memcpy(r->needle, run, length);
		r->needle[length] = '\0';
	}
}

/* The one plain character at *at, and *at behind it; '\0': it is something else, which is passed over */
static char needle_char(struct measure *m)
{
	char c = *m->at;

	if (c == '\\' && m->at[1] && !strchr(".[]{}()*+?^$|\\/-:\" ", m->at[1]))
		c = '\0'; /* \w and the like */
	else if (c == '\\' && m->at[1])
		c = m->at[1];
	else if (strchr("[(.^$", c))
		c = '\0';
	measure_atom(m);
	return c;
}

/*
 * The longest run of plain characters outside of parentheses, that no choice (|) and no repetition makes optional. To look for it is ten times as fast as
 * to match, and nearly all texts do not have it.
 */
static void needle_find(struct regex *r, const char *pattern)
{
	struct measure m = { .at = pattern };
	char run[REGEX_NEEDLE_MAX];
	size_t n = 0;

	if (strstr(pattern, "(?"))
		return; /* flags: it may not look at case */
	while (*m.at) {
		char c;

		if (*m.at == '|' || *m.at == ')') {
			*r->needle = '\0';
			return;
		}
		c = needle_char(&m);
		if (c && n < sizeof(run) && !(*m.at && strchr("*?{", *m.at)))
			run[n++] = c;
		else
			c = '\0';
		if (c && *m.at != '+')
			continue;
		needle_take(r, run, n);
		n = 0;
		while (*m.at && strchr("*+?{", *m.at)) {
			if (*m.at == '{')
				measure_repeat(&m);
			else
				m.at++;
		}
	}
	needle_take(r, run, n);
}

/* ---- the library ------------------------------------------------------------------------------------------------- */

/* `ret_wide` has room for as many as `text` has bytes; what is no UTF-8 becomes U+FFFD, a byte each. Returns how many characters there are. */
static size_t widen(wchar_t *ret_wide, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t n = 0;

	while (*at) {
		size_t length = *at < 0x80 ? 1 : utf8_length(at, strnlen((const char *)at, 4));
		uint32_t c = *at < 0x80 ? *at : !length ? 0xfffd : *at & (0xff >> (length + 1));

		for (size_t k = 1; k < length; k++)
			c = c << 6 | (at[k] & 0x3f);
		at += length ? length : 1;
		ret_wide[n++] = (wchar_t)c;
	}
	return n;
}

/* As characters, not as bytes, whatever the locale */
static int compile(regex_t *ret_compiled, const char *pattern)
{
	wchar_t *wide = malloc((strlen(pattern) + 1) * sizeof(*wide));
	int err = wide ? tre_regwncomp(ret_compiled, wide, widen(wide, pattern), REG_EXTENDED | REG_NOSUB) : REG_ESPACE;

	free(wide);
	return err;
}

struct regex *regex_new(const char *pattern, char *why, size_t size)
{
	const char *large = too_large(pattern);
	struct regex *r = NULL;
	regex_t *compiled = NULL;
	int err;

	snprintf(why, size, "%s", large ? large : "");
	if (large)
		return NULL;
	r = calloc(1, sizeof(*r));
	compiled = calloc(1, sizeof(*compiled));
	if (!r || !compiled)
		goto fail;
	err = compile(compiled, pattern);
	if (err) {
		if (err != REG_ESPACE)
			tre_regerror(err, compiled, why, size);
		goto fail;
	}
	/* These two are the library's own, and not linear. */
	if (tre_have_backrefs(compiled) || tre_have_approx(compiled)) {
		snprintf(why, size, "%s", tre_have_backrefs(compiled) ? "it refers back to itself (\\1): that takes too long to match" :
		                                                        "it asks for what is nearly the same ({~}): that takes too long to match");
		tre_regfree(compiled);
		goto fail;
	}
	r->compiled = compiled;
	needle_find(r, pattern);
	return r;
fail:
	free(compiled);
	free(r);
	return NULL;
}

void regex_free_all(struct regex *first)
{
	while (first) {
		struct regex *next = first->next;

		tre_regfree(first->compiled);
		free(first->compiled);
		free(first);
		first = next;
	}
}

bool regex_matches(const struct regex *r, const char *text)
{
	wchar_t some[WIDE_SOME], *wide = some;
	size_t length;
	bool matches;

	if (*r->needle && !strstr(text, r->needle))
		return false;
	length = strlen(text);
	if (length > WIDE_SOME && !(wide = malloc(length * sizeof(*wide))))
		return false;
	matches = tre_regwnexec(r->compiled, wide, widen(wide, text), 0, NULL, 0) == 0;
	if (wide != some)
		free(wide);
	return matches;
}
