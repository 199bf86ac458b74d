/* let NAME = … : a name for a part of conditions. It stands for what was written, each time anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "promises/grammar.h"

#define LETS_MAX 256

struct let {
	struct let *next;
	const char *name, *text; /* text: as written, without comments */
	struct expr *e;
	size_t at, width;        /* of the name */
	unsigned nodes;
	bool used;
};

static struct let *let_find(struct let *lets, const char *name)
{
	while (lets && strcmp(lets->name, name) != 0)
		lets = lets->next;
	return lets;
}

/* The promise's own ones hide the bundle's. */
static struct let *let_named(const struct parser *p)
{
	struct let *let = p->token.kind == TOKEN_WORD ? let_find(p->rule_lets, p->token.text) : NULL;

	if (!let && p->token.kind == TOKEN_WORD)
		let = let_find(p->lets, p->token.text);
	return let;
}

/* What means something in a condition or begins a statement cannot be a name. */
static bool is_word_of_language(const char *name)
{
	static const char *const words[] = {
		"and", "or", "not", "in", "margin", "true", "false", "all", "any", "none", "some", "matches", "between", "on", "rate", "delta",
		"avg", "min", "max", "sum", "count", "stddev", "age", "forecast", "changed", "records", "promise", "bundle", "promiser",
		"promisee", "keep", "grace", "settle", "severity", "only", "tell", "depends", "let", "repeat", "as", "run", "at", "timeout",
	};

	for (size_t i = 0; i < KITH_COUNT(words); i++)
		if (!strcmp(words[i], name))
			return true;
	return name[0] == 'p' && name[1] && strspn(name + 1, "0123456789") == strlen(name + 1);
}

static bool name_fits(struct parser *p, struct let *const *lets)
{
	const struct token *t = &p->token;
	unsigned n = 0;

	if (t->kind != TOKEN_WORD || strpbrk(t->text, ".-")) {
		parser_expected(p, "a name of letters, digits and _", "let limit = 10%");
		return false;
	}
	if (is_word_of_language(t->text)) {
		parser_fault(p, t->at, t->length, "take another name", "\"%s\" is a word of the language", t->text);
		return false;
	}
	if (let_find(*lets, t->text)) {
		parser_fault(p, t->at, t->length, NULL, "there is a let \"%s\" already", t->text);
		return false;
	}
	for (const struct let *l = *lets; l; l = l->next)
		n++;
	if (n >= LETS_MAX)
		parser_fault(p, t->at, t->length, NULL, "more than %d lets", LETS_MAX);
	return n < LETS_MAX;
}

bool lets_parse(struct parser *p, struct let **lets)
{
	struct let *let;
	size_t at;

	if (!name_fits(p, lets))
		return false;
	let = parser_take(p, sizeof(*let));
	if (!let)
		return false;
	*let = (struct let){ .name = p->token.text, .at = p->token.at, .width = p->token.length };
	parser_next(p);
	if (!parser_take_mark(p, '='))
		return parser_expected(p, "\"=\"", "let limit = 10%");
	at = p->token.at;
	let->e = parse_condition(p);
	if (!let->e)
		return false;
	let->nodes = p->nodes;
	let->text = parser_written(p, at, p->end);
	/* Known from here on: it cannot speak of itself. */
	let->next = *lets;
	*lets = let;
	if (p->token.kind == TOKEN_END || p->token.first || parser_at_mark(p, '}'))
		return true;
	return parser_expected(p, "an operator or the next line", NULL);
}

void lets_close(struct parser *p, struct let **lets)
{
	for (const struct let *let = *lets; let; let = let->next)
		if (!let->used)
			fault_add(p->tokens.faults, true, p->tokens.path, p->tokens.text, p->tokens.length, let->at, let->width,
			          "take it out, or use it in what follows", "\"%s\" is not used", let->name);
	*lets = NULL;
}

/* The same text of a promise with another let is another promise. */
static void let_remember(struct parser *p, struct let *let)
{
	let->used = true;
	if (p->rule)
		buf_printf(&p->normal, " %s = %s;", let->name, let->text);
}

struct expr *lets_use(struct parser *p)
{
	struct let *let = let_named(p);
	struct expr *e;

	if (!let)
		return NULL;
	e = expr_clone(p, let->e);
	if (!e)
		return NULL;
	let_remember(p, let);
	/* What does not fit here is shown here. */
	e->at = p->token.at;
	e->width = p->token.length;
	parser_next(p);
	return e;
}

bool lets_number(struct parser *p, struct token *ret_number)
{
	struct let *let = let_named(p);

	if (!let || let->e->kind != EXPR_NUMBER)
		return false;
	let_remember(p, let);
	*ret_number = p->token;
	ret_number->kind = TOKEN_NUMBER;
	ret_number->number = let->e->number;
	ret_number->unit = let->e->unit;
	return true;
}

const char *lets_suggest(const struct parser *p)
{
	const char *names[2 * LETS_MAX];
	size_t n = 0;

	for (const struct let *let = p->rule_lets; let; let = let->next)
		names[n++] = let->name;
	for (const struct let *let = p->lets; let; let = let->next)
		names[n++] = let->name;
	return suggest(p->token.text, p->token.text_length, names, n);
}
