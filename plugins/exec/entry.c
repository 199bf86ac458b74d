/*
 * One string of `checks`: NAME [KEY=VALUE]... PROGRAM [ARGUMENT]...
 *
 * Words are separated by blanks. Within '...' all is itself; within "..." a backslash before " or \ takes it as it is; outside of quotes a backslash
 * takes the next character as it is. There is no shell: $ * ~ ; | & and the like mean nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"

static int wrong(char *why, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int wrong(char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word from *at on into *to, which is moved behind its NUL. */
static int word(const char **at, char **to, char *why, size_t size)
{
	const char *s = *at;
	char *t = *to, quote = '\0';

	for (; *s && (quote || !is_blank(*s)); s++) {
		if (quote && *s == quote) {
			quote = '\0';
		} else if (!quote && (*s == '\'' || *s == '"')) {
			quote = *s;
		} else if (*s == '\\' && (!quote || (quote == '"' && (s[1] == '"' || s[1] == '\\')))) {
			if (!*++s)
				return wrong(why, size, "a backslash at the end: nothing follows that it could take");
			*t++ = *s;
		} else {
			*t++ = *s;
		}
	}
	if (quote)
		return wrong(why, size, "a %c that is not closed", quote);
	*t++ = '\0';
	*at = s;
	*to = t;
	return 0;
}

static int words_split(struct entry *e, const char **words, size_t *ret_n, char *why, size_t size)
{
	const char *at = e->source;
	char *to = e->buffer;
	size_t n = 0;

	for (;;) {
		int r;

		while (is_blank(*at))
			at++;
		if (!*at)
			break;
		if (n == ENTRY_WORDS_MAX)
			return wrong(why, size, "more than %d words", ENTRY_WORDS_MAX);
		words[n++] = to;
		r = word(&at, &to, why, size);
		if (r < 0)
			return r;
	}
	*ret_n = n;
	return 0;
}

static bool name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && !name[n] && n <= ENTRY_NAME_MAX && *name != '.';
}

/* 500ms, 30s, 5m, 1h, 1d; without a unit seconds */
static int duration(const char *key, const char *text, int64_t min, int64_t max, int64_t *ret_ns, char *why, size_t size)
{
	static const struct { const char *name; double s; } units[] = {
		{ "", 1 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 },
	};
	size_t digits = strspn(text, "0123456789.");
	char *end;
	double v = strtod(text, &end);

	if (digits && end == text + digits)
		for (size_t k = 0; k < KITH_COUNT(units); k++) {
			if (strcmp(end, units[k].name))
				continue;
			v *= units[k].s * (double)NS_PER_S;
			if (v >= (double)min && v <= (double)max) {
				*ret_ns = (int64_t)v;
				return 0;
			}
			return wrong(why, size, "%s=%s: from %g s to %g s are possible", key, text, (double)min / (double)NS_PER_S,
			             (double)max / (double)NS_PER_S);
		}
	return wrong(why, size, "%s=%s is no duration: write 500ms, 30s, 5m, 1h", key, text);
}

static int setting(struct entry *e, const char *text, char *why, size_t size)
{
	const char *equal = strchr(text, '=');
	size_t n = equal ? (size_t)(equal - text) : 0;

	if (n == 5 && !memcmp(text, "every", n)) {
		if (!strcmp(equal + 1, "never")) {
			e->every = 0;
			return 0;
		}
		return duration("every", equal + 1, ENTRY_EVERY_MIN, ENTRY_EVERY_MAX, &e->every, why, size);
	}
	if (n == 7 && !memcmp(text, "timeout", n))
		return duration("timeout", equal + 1, ENTRY_EVERY_MIN, 3600 * NS_PER_S, &e->timeout, why, size);
	if (n == 4 && !memcmp(text, "user", n)) {
		if (!equal[1])
			return wrong(why, size, "user= names nobody");
		e->user = equal + 1;
		return 0;
	}
	if (n == 5 && !memcmp(text, "watch", n)) {
		if (equal[1] != '/')
			return wrong(why, size, "%s is no absolute path", text);
		e->n_watch++;
		return 0;
	}
	if (n == 6 && !memcmp(text, "record", n)) {
		if (!equal[1])
			return wrong(why, size, "record= names no subject");
		e->n_record++;
		return 0;
	}
	if (equal)
		return wrong(why, size, "there is no setting \"%.*s\": every, timeout, watch and record are there", (int)n, text);
	return wrong(why, size, "\"%.60s\" is neither KEY=VALUE nor a program: a program is an absolute path", text);
}

/* Words 1 to `program` are settings: those that are lists first */
static void arrange(struct entry *e, const char **words, size_t n, size_t program)
{
	const char **to = e->words;

	e->watch = to;
	for (size_t i = 1; i < program; i++)
		if (!strncmp(words[i], "watch=", 6))
			*to++ = words[i] + 6;
	e->record = to;
	for (size_t i = 1; i < program; i++)
		if (!strncmp(words[i], "record=", 7))
			*to++ = words[i] + 7;
	e->argv = to;
	for (size_t i = program; i < n; i++)
		*to++ = words[i];
	*to = NULL;
}

static int entry_fill(struct entry *e, char *name, char *why, size_t size)
{
	const char *words[ENTRY_WORDS_MAX];
	size_t n = 0, program;
	int r;

	r = words_split(e, words, &n, why, size);
	if (r < 0)
		return r;
	if (!n)
		return wrong(why, size, "it is empty: write NAME PROGRAM ARGUMENTS");
	if (!name_valid(words[0]))
		return wrong(why, size, "\"%.70s\" is no name: letters, digits, \"_\", \"-\" and \".\" make one, at most %d of them", words[0],
		             ENTRY_NAME_MAX);
	strcpy(name, words[0]);
	e->name = words[0];
	for (program = 1; program < n && words[program][0] != '/'; program++) {
		r = setting(e, words[program], why, size);
		if (r < 0)
			return r;
	}
	if (program == n)
		return wrong(why, size, "no program: an absolute path must follow");
	e->words = calloc(n + 1, sizeof(*e->words));
	if (!e->words)
		return -ENOMEM;
	arrange(e, words, n, program);
	return 0;
}

int entry_parse(const char *source, int64_t every, int64_t timeout, struct entry **ret_entry, char *name, char *why, size_t why_size)
{
	struct entry *e = calloc(1, sizeof(*e));
	int r = -ENOMEM;

	*name = '\0';
	if (!e)
		return r;
	e->source = strdup(source);
	e->buffer = malloc(strlen(source) + 1);
	e->every = every;
	e->timeout = timeout;
	if (e->source && e->buffer)
		r = entry_fill(e, name, why, why_size);
	if (r < 0)
		entry_free(e);
	else
		*ret_entry = e;
	return r;
}

void entry_free(struct entry *e)
{
	if (!e)
		return;
	free(e->source);
	free(e->buffer);
	free(e->words);
	free(e);
}

bool entry_same(const struct entry *a, const struct entry *b)
{
	return a->every == b->every && a->timeout == b->timeout && !strcmp(a->source, b->source);
}
