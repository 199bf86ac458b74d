/* A duration as it is written, and what may have been meant by what is none. */
#include <stdio.h>
#include <string.h>

#include "promises/grammar.h"

/* "hour" for 1h; NULL: no such word */
static const char *duration_word(const struct token *t)
{
	static const char *const words[][2] = { { "s", "1s" },   { "sec", "1s" }, { "second", "1s" }, { "m", "1m" },   { "min", "1m" }, { "minute", "1m" },
		                                { "h", "1h" },   { "hour", "1h" }, { "d", "1d" },     { "day", "1d" }, { "w", "1w" },   { "week", "1w" } };

	for (size_t i = 0; t->kind == TOKEN_WORD && i < KITH_COUNT(words); i++)
		if (!strcmp(t->text, words[i][0]))
			return words[i][1];
	return NULL;
}

/* The unit that follows a number with a blank between: "5 minutes" */
static const char *unit_behind(const struct parser *p)
{
	const char *at = p->tokens.text + p->tokens.at, *end = p->tokens.text + p->tokens.length;

	while (at < end && *at == ' ')
		at++;
	if (end - at >= 2 && *at == 'm' && (at[1] == 's' || !strncmp(at, "mil", (size_t)(end - at < 3 ? end - at : 3))))
		return "ms";
	if (at == end)
		return "s";
	return *at == 'm' ? "m" : *at == 'h' ? "h" : *at == 'd' ? "d" : *at == 'w' ? "w" : "s";
}

bool parser_duration(struct parser *p, const char *of, int64_t *ret_ns)
{
	struct token let, *t = lets_number(p, &let) ? &let : &p->token;
	char what[80];

	if (t->kind != TOKEN_NUMBER) {
		char hint[32];

		snprintf(what, sizeof(what), "%s such as 10s", of);
		if (duration_word(t))
			snprintf(hint, sizeof(hint), "did you mean %s?", duration_word(t));
		parser_expected(p, what, duration_word(t) ? hint : NULL);
		return false;
	}
	if (strcmp(t->unit, "s") != 0 && (t->number != 0 || *t->unit)) {
		char hint[80];

		snprintf(hint, sizeof(hint), "did you mean %.*s%s?", (int)(t->length > 32 ? 32 : t->length), p->tokens.text + t->at,
		         t == &p->token ? unit_behind(p) : "s");
		parser_fault(p, t->at, t->length, *t->unit ? NULL : hint, "%s needs a unit of time: ms s m h d w", of);
		return false;
	}
	if (t->number * 1e9 > (double)WINDOW_MAX) {
		parser_fault(p, t->at, t->length, NULL, "%s is at most 366d", of);
		return false;
	}
	*ret_ns = (int64_t)(t->number * 1e9 + 0.5);
	parser_next(p);
	return true;
}
