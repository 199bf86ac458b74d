/* The grammar's half for conditions: operators by precedence, one function a level. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/names.h"
#include "promises/grammar.h"
#include "promises/regex.h"

static const struct {
	const char *text;
	enum expr_op op;
} functions[] = {
	{ "rate", OP_RATE }, { "delta", OP_DELTA }, { "avg", OP_AVG },     { "min", OP_MIN },
	{ "max", OP_MAX },   { "sum", OP_SUM },     { "count", OP_COUNT }, { "stddev", OP_STDDEV },
	{ "forecast", OP_FORECAST }, { "changed", OP_CHANGED }, { "age", OP_AGE },
};

struct expr *expr_new(struct parser *p, enum expr_kind kind, size_t at)
{
	struct expr *e;

	if (++p->nodes > CONDITION_NODES_MAX) {
		if (p->nodes == CONDITION_NODES_MAX + 1)
			parser_fault(p, at, 1, "split it into several promises", "this condition has more than %d parts",
			             CONDITION_NODES_MAX);
		return NULL;
	}
	e = parser_take(p, sizeof(*e));
	if (!e)
		return NULL;
	e->kind = kind;
	e->at = at;
	e->text = "";
	e->margin = NAN;
	e->metric_index = -1;
	e->constant = true;
	return e;
}

bool expr_append(struct parser *p, struct expr *e, struct expr *item)
{
	unsigned n = e->n_items;

	if (!item)
		return false;
	if (n == 0 || (n >= 2 && !(n & (n - 1)))) { /* room for 2, 4, 8, … */
		struct expr **items = parser_take(p, (n ? n * 2 : 2) * sizeof(struct expr *));

		if (!items)
			return false;
		if (n)
			memcpy(items, e->items, n * sizeof(struct expr *));
		e->items = items;
	}
	e->items[e->n_items++] = item;
	e->constant &= item->constant;
	e->width = p->end > e->at ? p->end - e->at : 1;
	return true;
}

/* Compiles e->text; it belongs to the rule, or to the reader. False: told */
static bool regex_attach(struct parser *p, struct expr *e)
{
	char why[160], text[200];
	struct regex *r = regex_new(e->text, why, sizeof(why)), **first = p->rule ? &p->rule->regexes : &p->regexes;

	if (!r) {
		p->failed |= !*why;
		snprintf(text, sizeof(text), "this is no regular expression: %s", why);
		if (*why)
			parser_fault(p, e->at, e->width, "POSIX extended: ^eth[0-9]+$, error|fail", "%s", text);
		return false;
	}
	r->next = *first;
	*first = r;
	e->regex = r;
	return true;
}

struct expr *expr_clone(struct parser *p, const struct expr *e)
{
	struct expr *copy = e ? expr_new(p, e->kind, e->at) : NULL;

	if (!copy)
		return NULL;
	*copy = *e;
	copy->items = NULL;
	copy->n_items = 0;
	copy->text = e->text ? parser_text(p, e->text, strlen(e->text)) : NULL;
	copy->family = e->family ? parser_text(p, e->family, strlen(e->family)) : NULL;
	copy->instance = e->instance ? parser_text(p, e->instance, strlen(e->instance)) : NULL;
	copy->metric = e->metric ? parser_text(p, e->metric, strlen(e->metric)) : NULL;
	for (unsigned i = 0; i < e->n_items; i++)
		if (!expr_append(p, copy, expr_clone(p, e->items[i])))
			return NULL;
	copy->width = e->width;
	copy->subject = e->subject ? parser_text(p, e->subject, strlen(e->subject)) : NULL;
	if (e->regex && !regex_attach(p, copy))
		return NULL;
	return copy;
}

static bool deeper(struct parser *p)
{
	if (p->depth >= CONDITION_DEPTH_MAX) {
		parser_fault(p, p->token.at, p->token.length, NULL, "this condition is nested more than %d deep",
		             CONDITION_DEPTH_MAX);
		return false;
	}
	p->depth++;
	return true;
}

static struct expr *parse_or(struct parser *p);
static struct expr *parse_not(struct parser *p);
static struct expr *parse_unary(struct parser *p);

/* ---- names and literals ----------------------------------------------------------------------------------------- */

static struct expr *parse_name(struct parser *p)
{
	struct token *t = &p->token;
	struct expr *e = expr_new(p, EXPR_NAME, t->at);
	struct name name;
	const char *star;

	if (!e)
		return NULL;
	e->width = t->length;
	e->constant = false;
	if (name_split(t->text, t->text_length, &name) < 0) {
		parser_fault(p, t->at, t->length, "a name is family:metric or family:instance:metric", "\"%s\" is no name", t->text);
		return NULL;
	}
	if (name.where.at) {
		parser_fault(p, t->at, t->length, "a promise speaks of its own host",
		             "\"@%.*s\" is not supported yet in this version",
		             (int)name.where.length, name.where.at);
		return NULL;
	}
	e->three = name.instance.at != NULL;
	e->family = parser_text(p, name.family.at, name.family.length);
	e->instance = parser_text(p, e->three ? name.instance.at : "", e->three ? name.instance.length : 0);
	e->metric = parser_text(p, name.metric.at, name.metric.length);
	if (!e->family || !e->instance || !e->metric)
		return NULL;
	e->pattern = e->three && !t->quoted && glob_is(e->instance, strlen(e->instance));
	if (glob_is(e->metric, strlen(e->metric)) && !t->quoted) {
		star = strchr(e->metric, '*');
		parser_fault(p, t->at, t->length, star && star[1] ? "as an operator * has blanks around it" : NULL, "a metric cannot be a pattern: name it");
		return NULL;
	}
	parser_next(p);
	return e;
}

static struct expr *parse_literal(struct parser *p)
{
	struct token *t = &p->token;
	struct expr *e;

	e = expr_new(p, t->kind == TOKEN_NUMBER ? EXPR_NUMBER : t->kind == TOKEN_STRING ? EXPR_STRING : EXPR_BOOL, t->at);
	if (!e)
		return NULL;
	e->width = t->length;
	e->number = t->kind == TOKEN_NUMBER ? t->number : t->kind == TOKEN_WORD && !strcmp(t->text, "true") ? 1 : 0;
	snprintf(e->unit, sizeof(e->unit), "%s", t->unit);
	e->text = t->text;
	parser_next(p);
	return e;
}

/* The string behind `matches` or `matching`, into e->text. False: told */
static bool take_regex(struct parser *p, struct expr *e)
{
	size_t at = e->at, width = e->width;

	if (p->token.kind != TOKEN_STRING) {
		parser_expected(p, "a regular expression in quotes", "matches \"^fail\"");
		return false;
	}
	e->text = p->token.text;
	e->at = p->token.at;
	e->width = p->token.length;
	if (!regex_attach(p, e))
		return false;
	e->at = at;
	e->width = width;
	parser_next(p);
	return true;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static bool parse_window(struct parser *p, const char *what, int64_t *ret_window)
{
	size_t at = p->token.at, width = p->token.length;

	if (!parser_duration(p, what, ret_window))
		return false;
	if (*ret_window < WINDOW_MIN) {
		parser_fault(p, at, width, NULL, "%s is at least 1ms", what);
		return false;
	}
	return true;
}

/* (NAME, 4h) or (NAME, 4h, 1h): how far, and over how long the trend is taken */
static bool parse_forecast(struct parser *p, struct expr *e)
{
	if (!parser_take_mark(p, ',')) {
		parser_fault(p, p->token.at, 1, "write how far it looks ahead", "forecast() needs a time: forecast(%.*s, 4h)",
		             (int)e->items[0]->width, p->tokens.text + e->items[0]->at);
		return false;
	}
	if (!parse_window(p, "a time ahead", &e->horizon))
		return false;
	if (parser_take_mark(p, ','))
		return parse_window(p, "a window", &e->window);
	e->window = e->horizon / 4;
	if (e->window < FORECAST_LEAST)
		e->window = FORECAST_LEAST;
	if (e->window > FORECAST_MOST)
		e->window = FORECAST_MOST;
	return true;
}

static bool parse_priority(struct parser *p, struct expr *e)
{
	for (int s = KITH_EMERG; s <= KITH_DEBUG; s++)
		if (parser_take_word(p, severity_name((enum kith_priority)s))) {
			e->priority = (unsigned)s;
			return true;
		}
	parser_expected(p, "emergency, alert, critical, error, warning, notice, info or debug", "count(records at error, 10m)");
	return false;
}

/* count( is taken; at `records` */
static struct expr *parse_records(struct parser *p, struct expr *e)
{
	static const char hint[] = "count(records of \"kmsg:*\" at error matching \"I/O\", 10m)";

	e->kind = EXPR_RECORDS;
	e->op = OP_RECORDS;
	e->constant = false;
	e->priority = KITH_DEBUG;
	e->text = "";
	parser_next(p);
	for (;;) {
		if (parser_take_word(p, "of")) {
			if (p->token.kind != TOKEN_STRING)
				return parser_expected(p, "a subject in quotes", hint);
			e->subject = p->token.text;
			parser_next(p);
		} else if (parser_take_word(p, "at")) {
			if (!parse_priority(p, e))
				return NULL;
		} else if (parser_take_word(p, "matching")) {
			if (!take_regex(p, e))
				return NULL;
		} else {
			break;
		}
	}
	if (!parser_take_mark(p, ','))
		return parser_expected(p, "\",\" and a window", hint);
	if (!parse_window(p, "a window", &e->window))
		return NULL;
	if (!parser_take_mark(p, ')'))
		return parser_expected(p, "\")\"", NULL);
	e->width = p->end - e->at;
	return e;
}

/* p50, p95, p999: the share, or 0 */
static double percentile_of(const char *word)
{
	size_t n = strlen(word);
	double share = 0, place = 0.1;

	if (word[0] != 'p' || n < 3 || n > 5 || strspn(word + 1, "0123456789") != n - 1)
		return 0;
	for (size_t i = 1; i < n; i++, place /= 10)
		share += (word[i] - '0') * place;
	return share;
}

static struct expr *parse_call(struct parser *p, enum expr_op op, const char *name)
{
	struct expr *e = expr_new(p, EXPR_CALL, p->token.at);

	if (!e)
		return NULL;
	e->op = op;
	e->text = name;
	parser_next(p);
	if (!parser_take_mark(p, '('))
		return parser_expected(p, "\"(\"", NULL);
	if (op == OP_COUNT && parser_at_word(p, "records"))
		return parse_records(p, e);
	if (p->token.kind != TOKEN_NAME)
		return parser_expected(p, "a name such as interface:lo:rx_bytes", NULL);
	if (!expr_append(p, e, parse_name(p)))
		return NULL;
	if (op == OP_AGE) {
		if (parser_at_mark(p, ','))
			return parser_expected(p, "\")\"", "age(name) is the time since its last sample");
	} else if (op == OP_FORECAST) {
		if (!parse_forecast(p, e))
			return NULL;
	} else if (parser_take_mark(p, ',')) {
		if (!parse_window(p, "a window", &e->window))
			return NULL;
	} else if (op != OP_RATE && parser_at_mark(p, ')')) {
		parser_fault(p, p->token.at, 1, "write the time that it looks back", "%s() needs a window: %s(%.*s, 5m)", name, name,
		             (int)e->items[0]->width, p->tokens.text + e->items[0]->at);
		return NULL;
	}
	if (!parser_take_mark(p, ')'))
		return parser_expected(p, "\")\"", e->items[0]->kind == EXPR_NAME ? "blanks around operators" : NULL);
	e->width = p->end - e->at;
	return e;
}

/* What other languages call it */
static const char *other_name(const char *word)
{
	static const char *const names[][2] = {
		{ "average", "avg" }, { "mean", "avg" }, { "median", "p50" }, { "percentile", "p95" }, { "quantile", "p95" },
		{ "minimum", "min" }, { "maximum", "max" }, { "increase", "delta" }, { "diff", "delta" }, { "deriv", "rate" },
		{ "derivative", "rate" }, { "irate", "rate" }, { "predict_linear", "forecast" }, { "nodata", "age" }, { "absent", "age" },
	};

	for (size_t i = 0; i < KITH_COUNT(names); i++)
		if (!strcmp(word, names[i][0]))
			return names[i][1];
	return NULL;
}

/* Does a parenthesis follow the word? Then it was meant for a function. */
static bool is_called(const struct parser *p)
{
	size_t at = p->tokens.at;

	while (at < p->tokens.length && (p->tokens.text[at] == ' ' || p->tokens.text[at] == '\t'))
		at++;
	return at < p->tokens.length && p->tokens.text[at] == '(';
}

static void *unknown_word(struct parser *p)
{
	static const char *const known[] = { "rate", "delta", "avg", "min", "max", "sum", "count", "stddev", "p95", "forecast", "changed", "age", "between", "all", "any", "none",
		                             "some", "not", "true", "false" };
	const char *near = suggest(p->token.text, p->token.text_length, known, KITH_COUNT(known));
	bool called = is_called(p);
	char hint[160];

	if (called && other_name(p->token.text))
		near = other_name(p->token.text);
	if (!near)
		near = lets_suggest(p);
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	else if (called)
		snprintf(hint, sizeof(hint), "there are rate delta avg min max sum count stddev p50 … p999 forecast changed age");
	else
		snprintf(hint, sizeof(hint), "a state is written in quotes: \"%.63s\"", p->token.text);
	parser_fault(p, p->token.at, p->token.length, hint, called ? "unknown function \"%s\"" : "unknown word \"%s\" in a condition", p->token.text);
	return NULL;
}

static struct expr *parse_percentile(struct parser *p, double share)
{
	const char *word = p->token.text;
	size_t at = p->token.at, width = p->token.length;
	struct expr *e = parse_call(p, OP_PERCENTILE, word);

	if (!e)
		return NULL;
	/* p100 reads as the greatest, and would be p10. */
	if (strspn(word + 2, "0") == strlen(word + 2) && strlen(word) > 3) {
		char hint[96];

		snprintf(hint, sizeof(hint), "max() is the greatest; p%c0 is so many of a hundred", word[1]);
		parser_fault(p, at, width, hint, "p99 is 99 %%, p999 is 99.9 %%: there is no \"%s\"", word);
		return NULL;
	}
	e->share = share;
	return e;
}

static struct expr *parse_word(struct parser *p)
{
	struct expr *let;

	if (parser_at_word(p, "true") || parser_at_word(p, "false"))
		return parse_literal(p);
	if (p->facts)
		return facts_word(p);
	if (parser_at_word(p, "between"))
		return calendar_parse(p);
	for (size_t i = 0; i < KITH_COUNT(functions); i++)
		if (parser_at_word(p, functions[i].text))
			return parse_call(p, functions[i].op, functions[i].text);
	if (percentile_of(p->token.text) > 0)
		return parse_percentile(p, percentile_of(p->token.text));
	let = lets_use(p);
	if (let || parser_not_yet(p))
		return let;
	return unknown_word(p);
}

static struct expr *parse_primary(struct parser *p)
{
	struct expr *e;

	if (parser_at_mark(p, '(')) {
		if (!deeper(p))
			return NULL;
		parser_next(p);
		e = parse_or(p);
		p->depth--;
		if (!e)
			return NULL;
		return parser_take_mark(p, ')') ? e : parser_expected(p, "\")\"", NULL);
	}
	switch (p->token.kind) {
	case TOKEN_NUMBER:
	case TOKEN_STRING:
		return parse_literal(p);
	case TOKEN_NAME:
		if (!p->facts)
			return parse_name(p);
		parser_fault(p, p->token.at, p->token.length, "what a promise speaks of stands in its keep",
		             "\"only on\" asks about facts of the host, not about series");
		return NULL;
	case TOKEN_WORD:
		return parse_word(p);
	case TOKEN_END:
	case TOKEN_MARK:
	case TOKEN_FAULT:
		break;
	}
	return parser_expected(p, "a name, a value or \"(\"", NULL);
}

/* ---- operators -------------------------------------------------------------------------------------------------- */

static struct expr *parse_unary(struct parser *p)
{
	struct expr *e, *item;

	if (!parser_at_mark(p, '-'))
		return parse_primary(p);
	if (!deeper(p))
		return NULL;
	e = expr_new(p, EXPR_MINUS, p->token.at);
	parser_next(p);
	item = e ? parse_unary(p) : NULL;
	p->depth--;
	return item && expr_append(p, e, item) ? e : NULL;
}

static struct expr *parse_binary(struct parser *p, struct expr *(*below)(struct parser *), char a,
                                 enum expr_op op_a, char b, enum expr_op op_b)
{
	struct expr *left = below(p);

	while (left && (parser_at_mark(p, MARK2(a, 0)) || parser_at_mark(p, MARK2(b, 0)))) {
		struct expr *e = expr_new(p, EXPR_ARITH, left->at);

		if (!e)
			return NULL;
		e->op = parser_at_mark(p, MARK2(a, 0)) ? op_a : op_b;
		parser_next(p);
		if (!expr_append(p, e, left) || !expr_append(p, e, below(p)))
			return NULL;
		left = e;
	}
	return left;
}

static struct expr *parse_term(struct parser *p)
{
	return parse_binary(p, parse_unary, '*', OP_MULTIPLY, '/', OP_DIVIDE);
}

static struct expr *parse_sum(struct parser *p)
{
	return parse_binary(p, parse_term, '+', OP_ADD, '-', OP_SUBTRACT);
}

static enum expr_op comparison(const struct token *t)
{
	static const struct {
		unsigned mark;
		enum expr_op op;
	} marks[] = {
		{ MARK2('=', '='), OP_EQUAL },     { MARK2('!', '='), OP_UNEQUAL }, { MARK2('<', 0), OP_LESS },
		{ MARK2('<', '='), OP_LESS_EQUAL }, { MARK2('>', 0), OP_GREATER },   { MARK2('>', '='), OP_GREATER_EQUAL },
	};

	for (size_t i = 0; t->kind == TOKEN_MARK && i < KITH_COUNT(marks); i++)
		if (t->mark == marks[i].mark)
			return marks[i].op;
	return OP_NONE;
}

static bool parse_margin(struct parser *p, struct expr *e)
{
	struct token let;
	const struct token *t;

	if (!parser_take_word(p, "margin"))
		return true;
	t = lets_number(p, &let) ? &let : &p->token;
	if (t->kind != TOKEN_NUMBER) {
		parser_expected(p, "how far behind the threshold, such as 2%", NULL);
		return false;
	}
	e->margin = t->number;
	e->margin_unit = t->unit;
	e->margin_at = p->token.at;
	e->margin_width = p->token.length;
	parser_next(p);
	if (p->facts) {
		parser_fault(p, e->margin_at, e->margin_width, NULL, "facts do not move: no margin");
		return false;
	}
	if (e->op == OP_EQUAL || e->op == OP_UNEQUAL) {
		parser_fault(p, e->margin_at, e->margin_width, NULL, "a margin goes with < <= > >= alone");
		return false;
	}
	e->width = p->end - e->at;
	return true;
}

static struct expr *parse_in(struct parser *p, struct expr *left)
{
	struct expr *e = expr_new(p, EXPR_IN, left->at);

	if (!e || !expr_append(p, e, left))
		return NULL;
	parser_next(p);
	if (!parser_take_mark(p, '['))
		return parser_expected(p, "\"[\"", "in [\"up\", \"dormant\"]");
	do {
		bool minus = parser_at_mark(p, '-');

		if (!minus && p->token.kind != TOKEN_NUMBER && p->token.kind != TOKEN_STRING)
			return parser_expected(p, "a number or a string", NULL);
		if (!expr_append(p, e, minus ? parse_unary(p) : parse_literal(p)))
			return NULL;
		if (minus && e->items[e->n_items - 1]->items[0]->kind != EXPR_NUMBER) {
			parser_fault(p, e->items[e->n_items - 1]->at, e->items[e->n_items - 1]->width, NULL,
			             "a list holds numbers or strings alone");
			return NULL;
		}
	} while (parser_take_mark(p, ','));
	if (!parser_take_mark(p, ']'))
		return parser_expected(p, "\",\" or \"]\"", NULL);
	e->width = p->end - e->at;
	return e;
}

static struct expr *parse_matches(struct parser *p, struct expr *left)
{
	struct expr *e = expr_new(p, EXPR_MATCHES, left->at);

	if (!e || !expr_append(p, e, left))
		return NULL;
	parser_next(p);
	if (!take_regex(p, e))
		return NULL;
	e->width = p->end - e->at;
	return e;
}

static struct expr *parse_comparison(struct parser *p)
{
	struct expr *left = parse_sum(p), *e;
	enum expr_op op;

	if (!left)
		return NULL;
	if (parser_at_word(p, "in"))
		return parse_in(p, left);
	if (parser_at_word(p, "matches"))
		return parse_matches(p, left);
	if (parser_at_mark(p, '='))
		return parser_expected(p, "a comparison", "did you mean \"==\"?");
	op = comparison(&p->token);
	if (op == OP_NONE)
		return left;
	e = expr_new(p, EXPR_COMPARE, left->at);
	if (!e)
		return NULL;
	e->op = op;
	parser_next(p);
	if (!expr_append(p, e, left) || !expr_append(p, e, parse_sum(p)) || !parse_margin(p, e))
		return NULL;
	if (comparison(&p->token) != OP_NONE) {
		parser_fault(p, p->token.at, p->token.length, "write: a < x and x < b", "comparisons do not chain");
		return NULL;
	}
	return e;
}

/* How many of `some 3` or `some 30%`; `some` is taken */
static bool parse_some(struct parser *p, struct expr *e)
{
	const struct token *t = &p->token;
	char text[64];
	int n;

	if (t->kind != TOKEN_NUMBER) {
		parser_expected(p, "how many", "some 3 (…), some 30% (…)");
		return false;
	}
	if (!strcmp(t->unit, "%") && t->number > 0 && t->number <= 100) {
		e->share = t->number / 100;
	} else if (!*t->unit && t->number >= 1 && t->number <= SOME_MAX && t->number == rint(t->number)) {
		e->least = (unsigned)t->number;
	} else {
		parser_fault(p, t->at, t->length, "some 3 (…), some 30% (…)", "\"some\" takes a whole number or a percentage up to 100%%");
		return false;
	}
	n = snprintf(text, sizeof(text), "some %.*s", (int)(t->length > 32 ? 32 : t->length), p->tokens.text + t->at);
	e->text = parser_text(p, text, (size_t)n);
	parser_next(p);
	return e->text != NULL;
}

static struct expr *parse_quantifier(struct parser *p, enum expr_op op)
{
	struct expr *e = expr_new(p, EXPR_QUANTIFIER, p->token.at), *item;

	if (!e || !deeper(p))
		return NULL;
	e->op = op;
	e->text = op == OP_ALL ? "all" : op == OP_ANY ? "any" : "none";
	parser_next(p);
	if (op == OP_SOME && !parse_some(p, e))
		return NULL;
	item = parse_not(p);
	p->depth--;
	if (!item || !expr_append(p, e, item))
		return NULL;
	e->constant = false;
	return e;
}

static struct expr *parse_not(struct parser *p)
{
	struct expr *e, *item;

	if (!p->facts && parser_at_word(p, "all"))
		return parse_quantifier(p, OP_ALL);
	if (!p->facts && parser_at_word(p, "any"))
		return parse_quantifier(p, OP_ANY);
	if (!p->facts && parser_at_word(p, "none"))
		return parse_quantifier(p, OP_NONE_OF);
	if (!p->facts && parser_at_word(p, "some"))
		return parse_quantifier(p, OP_SOME);
	if (!parser_at_word(p, "not"))
		return parse_comparison(p);
	e = expr_new(p, EXPR_NOT, p->token.at);
	if (!e || !deeper(p))
		return NULL;
	parser_next(p);
	item = parse_not(p);
	p->depth--;
	return item && expr_append(p, e, item) ? e : NULL;
}

static struct expr *parse_chain(struct parser *p, enum expr_kind kind, const char *word,
                                struct expr *(*below)(struct parser *))
{
	struct expr *left = below(p), *e;

	if (!left || !parser_at_word(p, word))
		return left;
	e = expr_new(p, kind, left->at);
	if (!e || !expr_append(p, e, left))
		return NULL;
	while (parser_take_word(p, word))
		if (!expr_append(p, e, below(p)))
			return NULL;
	return e;
}

static struct expr *parse_and(struct parser *p)
{
	return parse_chain(p, EXPR_AND, "and", parse_not);
}

static struct expr *parse_or(struct parser *p)
{
	return parse_chain(p, EXPR_OR, "or", parse_and);
}

struct expr *parse_condition(struct parser *p)
{
	p->depth = 0;
	p->nodes = 0;
	return parse_or(p);
}
