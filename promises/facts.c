/* only on …: a condition over facts of the host, judged when a set is loaded. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "promises/engine.h"
#include "promises/regex.h"

static const struct fact_word {
	const char *word, *unit; /* unit NULL: a text */
	enum expr_type type;
} words[N_FACTS] = {
	[FACT_HOST] = { "host", NULL, TYPE_STRING },
	[FACT_ZONE] = { "zone", NULL, TYPE_STRING },
	[FACT_TAG] = { "tag", NULL, TYPE_TRUTH },
	[FACT_OS] = { "os", NULL, TYPE_STRING },
	[FACT_OS_VERSION] = { "os_version", NULL, TYPE_STRING },
	[FACT_KERNEL] = { "kernel", NULL, TYPE_STRING },
	[FACT_ARCH] = { "arch", NULL, TYPE_STRING },
	[FACT_VIRTUAL] = { "virtual", NULL, TYPE_STRING },
	[FACT_INIT] = { "init", NULL, TYPE_STRING },
	[FACT_CPUS] = { "cpus", "", TYPE_NUMBER },
	[FACT_MEMORY] = { "memory", "B", TYPE_NUMBER },
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct expr *facts_both(struct parser *p, struct expr *a, struct expr *b)
{
	struct expr *e;

	if (!a || !b)
		return a ? a : b;
	e = expr_new(p, EXPR_AND, a->at);
	return e && expr_append(p, e, a) && expr_append(p, e, b) ? e : NULL;
}

/* A let may have brought in a series. */
static bool of_facts(struct parser *p, const struct expr *e)
{
	if (e->kind == EXPR_NAME || e->kind == EXPR_CALL || e->kind == EXPR_QUANTIFIER || e->kind == EXPR_RECORDS) {
		parser_fault(p, e->at, e->width, "what a promise speaks of stands in its keep",
		             "\"only on\" asks about facts of the host, not about series");
		return false;
	}
	for (unsigned i = 0; i < e->n_items; i++)
		if (!of_facts(p, e->items[i]))
			return false;
	return true;
}

bool facts_parse(struct parser *p, struct expr **only)
{
	struct expr *e;

	if (!parser_take_word(p, "on")) {
		parser_expected(p, "\"on\"", "only on tag \"web\"");
		return false;
	}
	p->facts = true;
	e = parse_condition(p);
	p->facts = false;
	if (!e || !of_facts(p, e))
		return false;
	*only = facts_both(p, *only, e);
	return *only != NULL;
}

static void *unknown_fact(struct parser *p)
{
	const char *names[N_FACTS], *near;
	char hint[160];

	for (int i = 0; i < N_FACTS; i++)
		names[i] = words[i].word;
	near = suggest(p->token.text, p->token.text_length, names, N_FACTS);
	if (p->end && p->token.kind == TOKEN_WORD && strchr("=<>", p->tokens.text[p->end - 1]))
		snprintf(hint, sizeof(hint), "a text is written in quotes: \"%.63s\"", p->token.text);
	else if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	else
		snprintf(hint, sizeof(hint), "only on tag \"web\"");
	return parser_expected(p, "a fact: host, zone, tag, os, os_version, kernel, arch, virtual, init, cpus or memory", hint);
}

struct expr *facts_word(struct parser *p)
{
	struct expr *e = lets_use(p);
	int i = 0;

	if (e)
		return e;
	while (i < N_FACTS && !parser_at_word(p, words[i].word))
		i++;
	if (i == N_FACTS)
		return unknown_fact(p);
	e = expr_new(p, EXPR_FACT, p->token.at);
	if (!e)
		return NULL;
	e->fact = (enum fact)i;
	e->text = words[i].word;
	e->width = p->token.length;
	parser_next(p);
	if (p->token.kind == TOKEN_STRING && i <= FACT_TAG) {
		e->asks = true;
		e->text = p->token.text;
		parser_next(p);
		e->width = p->end - e->at;
	} else if (i == FACT_TAG) {
		return parser_expected(p, "a string", "only on tag \"web\"");
	}
	return e;
}

void facts_type(struct expr *e)
{
	e->type = e->asks ? TYPE_TRUTH : words[e->fact].type;
	snprintf(e->unit, sizeof(e->unit), "%s", words[e->fact].unit ? words[e->fact].unit : "");
}

const char *facts_name(enum fact fact)
{
	return words[fact].word;
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

/* A zone holds what is below it: "ams" is said of a host in ams/r1 too. */
static bool zone_is(const char *pattern, const char *zone)
{
	size_t n = strlen(pattern);

	if (!*zone)
		return false;
	return glob_match(pattern, n, zone) || (!strncmp(pattern, zone, n) && zone[n] == '/');
}

static bool fact_asked(const struct facts *f, const struct expr *e)
{
	if (e->fact == FACT_ZONE)
		return zone_is(e->text, f->texts[FACT_ZONE]);
	if (e->fact == FACT_HOST)
		return glob_match(e->text, strlen(e->text), f->texts[FACT_HOST]);
	for (size_t i = 0; i < f->n_tags; i++)
		if (glob_match(e->text, strlen(e->text), f->tags[i]))
			return true;
	return false;
}

static const char *text_of(const struct facts *f, const struct expr *e)
{
	return e->kind == EXPR_STRING ? e->text : e->kind == EXPR_FACT ? f->texts[e->fact] : "";
}

/* Not a number: the fact is not known. */
static double number_of(const struct facts *f, const struct expr *e)
{
	double a, b;

	switch (e->kind) {
	case EXPR_NUMBER:
		return e->number;
	case EXPR_FACT:
		return e->fact == FACT_CPUS || e->fact == FACT_MEMORY ? f->numbers[e->fact - FACT_CPUS] : NAN;
	case EXPR_MINUS:
		return -number_of(f, e->items[0]);
	case EXPR_ARITH:
		a = number_of(f, e->items[0]);
		b = number_of(f, e->items[1]);
		return e->op == OP_ADD ? a + b : e->op == OP_SUBTRACT ? a - b : e->op == OP_MULTIPLY ? a * b : a / b;
	case EXPR_STRING:
	case EXPR_BOOL:
	case EXPR_NAME:
	case EXPR_CALL:
	case EXPR_COMPARE:
	case EXPR_IN:
	case EXPR_AND:
	case EXPR_OR:
	case EXPR_NOT:
	case EXPR_QUANTIFIER:
	case EXPR_BETWEEN:
	case EXPR_WHILE:
	case EXPR_MATCHES:
	case EXPR_RECORDS:
		break;
	}
	return NAN;
}

/* Texts are ordered as versions are: 6.10 is more than 6.9. What is not known compares with nothing. */
static bool fact_compare(const struct facts *f, const struct expr *e)
{
	const struct expr *x = e->items[0], *y = e->items[1];
	double a, b;

	if (x->type == TYPE_TRUTH)
		return (facts_hold(f, x) == facts_hold(f, y)) == (e->op == OP_EQUAL);
	if (x->type == TYPE_STRING) {
		const char *s = text_of(f, x), *t = text_of(f, y);

		if (!*s || !*t)
			return e->op == OP_UNEQUAL && *s != *t;
		a = strverscmp(s, t);
		b = 0;
	} else {
		a = number_of(f, x);
		b = number_of(f, y);
	}
	return !isnan(a) && !isnan(b) && compare_numbers(e->op, a, b);
}

static bool fact_in(const struct facts *f, const struct expr *e)
{
	const struct expr *x = e->items[0];

	for (unsigned i = 1; i < e->n_items; i++)
		if (x->type == TYPE_STRING ? !strcmp(text_of(f, x), text_of(f, e->items[i])) :
		                             compare_numbers(OP_EQUAL, number_of(f, x), number_of(f, e->items[i])))
			return true;
	return false;
}

bool facts_hold(const struct facts *f, const struct expr *e)
{
	switch (e->kind) {
	case EXPR_AND:
		for (unsigned i = 0; i < e->n_items; i++)
			if (!facts_hold(f, e->items[i]))
				return false;
		return true;
	case EXPR_OR:
		for (unsigned i = 0; i < e->n_items; i++)
			if (facts_hold(f, e->items[i]))
				return true;
		return false;
	case EXPR_NOT:
		return !facts_hold(f, e->items[0]);
	case EXPR_BOOL:
		return e->number != 0;
	case EXPR_FACT:
		return e->asks && fact_asked(f, e);
	case EXPR_COMPARE:
		return fact_compare(f, e);
	case EXPR_IN:
		return fact_in(f, e);
	case EXPR_MATCHES:
		return *text_of(f, e->items[0]) && regex_matches(e->regex, text_of(f, e->items[0]));
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_NAME:
	case EXPR_CALL:
	case EXPR_ARITH:
	case EXPR_MINUS:
	case EXPR_QUANTIFIER:
	case EXPR_BETWEEN:
	case EXPR_WHILE:
	case EXPR_RECORDS:
		break;
	}
	return false;
}

/* ---- the host's -------------------------------------------------------------------------------------------------- */

void facts_free(struct facts *f)
{
	for (size_t i = 0; i < f->n_tags; i++)
		free(f->tags[i]);
	free(f->tags);
	for (int i = 0; i < N_FACTS; i++)
		free(f->texts[i]);
	*f = (struct facts){ 0 };
}

int facts_copy(struct facts *to, const struct promises_facts *from)
{
	static const struct promises_facts none;
	const struct promises_facts *facts = from ? from : &none;
	const char *const texts[N_FACTS] = {
		[FACT_HOST] = facts->host,       [FACT_ZONE] = facts->zone,     [FACT_OS] = facts->os,
		[FACT_OS_VERSION] = facts->os_version, [FACT_KERNEL] = facts->kernel, [FACT_ARCH] = facts->arch,
		[FACT_VIRTUAL] = facts->virtual, [FACT_INIT] = facts->init,
	};
	struct facts f = { .numbers = { facts->cpus > 0 ? facts->cpus : (double)NAN, facts->memory > 0 ? facts->memory : (double)NAN } };

	for (int i = 0; i < N_FACTS; i++) {
		f.texts[i] = strdup(texts[i] ? texts[i] : "");
		if (!f.texts[i])
			goto fail;
	}
	f.tags = calloc(facts->n_tags + 1, sizeof(*f.tags));
	if (!f.tags)
		goto fail;
	for (; f.n_tags < facts->n_tags; f.n_tags++) {
		f.tags[f.n_tags] = strdup(facts->tags[f.n_tags]);
		if (!f.tags[f.n_tags])
			goto fail;
	}
	facts_free(to);
	*to = f;
	return 0;
fail:
	facts_free(&f);
	return -ENOMEM;
}
