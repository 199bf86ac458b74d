/*
 * The grammar's half for files: bundles, promises and their statements. After a fault it goes on at the next
 * statement.
 */
#include "promises/grammar.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/names.h"
#include "promises/regex.h"

#define TIMEOUT_DEFAULT (30 * NS_PER_S)

static const char *const statements[] = { "promiser", "promisee", "keep", "grace", "settle", "severity",
                                          "on",       "only",     "tell", "depends",  "let",      "between" };
#define STATEMENT_PROMISEE 1
#define STATEMENT_BETWEEN 11
/* Words of the language's next version */
static const char *const later[] = { "ack",     "silence" };

/* ---- what both halves use --------------------------------------------------------------------------------------- */

static void remember(struct parser *p)
{
	const struct token *t = &p->token;

	if (!p->rule || t->kind == TOKEN_END)
		return;
	if (p->normal.length)
		buf_putc(&p->normal, ' ');
	buf_append(&p->normal, p->tokens.text + t->at, t->length);
}

void parser_next(struct parser *p)
{
	remember(p);
	p->end = p->token.at + p->token.length;
	tokens_next(&p->tokens, &p->token);
	p->failed |= p->tokens.failed;
}

bool parser_at_word(const struct parser *p, const char *word)
{
	return p->token.kind == TOKEN_WORD && !strcmp(p->token.text, word);
}

bool parser_take_word(struct parser *p, const char *word)
{
	if (!parser_at_word(p, word))
		return false;
	parser_next(p);
	return true;
}

bool parser_at_mark(const struct parser *p, unsigned mark)
{
	return p->token.kind == TOKEN_MARK && p->token.mark == mark;
}

bool parser_take_mark(struct parser *p, unsigned mark)
{
	if (!parser_at_mark(p, mark))
		return false;
	parser_next(p);
	return true;
}

void parser_fault(struct parser *p, size_t at, size_t width, const char *hint, const char *format, ...)
{
	struct buf b = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&b, format, args);
	va_end(args);
	fault_add(p->tokens.faults, false, p->tokens.path, p->tokens.text, p->tokens.length, at, width, hint, "%s",
	          buf_text(&b));
	p->failed |= b.failed;
	buf_free(&b);
}

void *parser_expected(struct parser *p, const char *what, const char *hint)
{
	const struct token *t = &p->token;
	int width = (int)(t->length > 40 ? 40 : t->length);

	if (t->kind == TOKEN_END && !p->end_told)
		parser_fault(p, t->at, 1, hint, "expected %s, found the end of the file", what);
	else if (t->kind != TOKEN_FAULT && t->kind != TOKEN_END)
		parser_fault(p, t->at, t->length, hint,
		             t->kind == TOKEN_STRING ? "expected %s, found %.*s" : "expected %s, found \"%.*s\"", what,
		             width, p->tokens.text + t->at);
	p->end_told |= t->kind == TOKEN_END;
	return NULL;
}

/* One of these words; with what may have been meant */
static void *expected_word(struct parser *p, const char *what, const char *const *words, size_t n)
{
	const char *near = p->token.kind == TOKEN_WORD ? suggest(p->token.text, p->token.text_length, words, n) : NULL;
	char hint[96];

	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	return parser_expected(p, what, near ? hint : NULL);
}

void *parser_take(struct parser *p, size_t size)
{
	void *at = arena_take(p->rule ? &p->rule->arena : &p->arena, size);

	p->failed |= !at;
	return at;
}

const char *parser_text(struct parser *p, const char *text, size_t length)
{
	const char *copy = arena_text(p->rule ? &p->rule->arena : &p->arena, text, length);

	p->failed |= !copy;
	return copy;
}

bool parser_not_yet(struct parser *p)
{
	bool is = false;

	for (size_t i = 0; p->token.kind == TOKEN_WORD && i < KITH_COUNT(later) && !is; i++)
		is = !strcmp(p->token.text, later[i]);
	if (is)
		parser_fault(p, p->token.at, p->token.length, NULL, "\"%s\" is not supported yet in this version", p->token.text);
	return is;
}

/* Which statement begins here; KITH_COUNT(statements): none */
static size_t statement_at(const struct parser *p)
{
	size_t i = 0;

	while (i < KITH_COUNT(statements) && !parser_at_word(p, statements[i]))
		i++;
	return parser_at_word(p, "promisees") ? STATEMENT_PROMISEE : i;
}

/* To the next statement: a known word that begins a line, or a brace */
static void resync(struct parser *p)
{
	for (; p->token.kind != TOKEN_END; parser_next(p)) {
		if (parser_at_mark(p, '}'))
			return;
		if (p->token.kind != TOKEN_WORD || !p->token.first)
			continue;
		if (parser_at_word(p, "promise") || parser_at_word(p, "bundle"))
			return;
		if (statement_at(p) < KITH_COUNT(statements))
			return;
		for (size_t i = 0; i < KITH_COUNT(later); i++)
			if (parser_at_word(p, later[i]))
				return;
	}
}

static const char *full_name(struct parser *p, const char *label)
{
	char text[NAME_PART_MAX * 2 + 2];
	int n = snprintf(text, sizeof(text), "%s.%s", p->bundle, label);

	return parser_text(p, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

static bool parse_promiser(struct parser *p)
{
	struct rule *r = p->rule;
	const struct token *t = &p->token;
	const char *colon;

	if (t->kind != TOKEN_NAME && t->kind != TOKEN_WORD && t->kind != TOKEN_STRING)
		return parser_expected(p, "who promises, such as df:* or service:nginx", NULL);
	r->promiser = t->text;
	r->promiser_at = t->at;
	r->promiser_width = t->length;
	colon = t->kind == TOKEN_NAME ? strchr(t->text, ':') : NULL;
	if (colon && !t->quoted && glob_is(colon, strlen(colon))) {
		r->family = parser_text(p, t->text, (size_t)(colon - t->text));
		r->instance = colon + 1;
		if (strlen(r->family) > NAME_PART_MAX || strlen(r->instance) > NAME_INSTANCE_MAX) {
			parser_fault(p, t->at, t->length, NULL, "this name is too long");
			return false;
		}
	}
	parser_next(p);
	return true;
}

/* No more memory than there are: rules are many. NULL: out of memory */
static void *parser_copy(struct parser *p, const void *from, size_t n, size_t size)
{
	void *to = parser_take(p, (n ? n : 1) * size);

	if (to)
		memcpy(to, from, n * size);
	return to;
}

/* Comma-separated words. `places`: where each stands, PROMISEES_MAX of them; NULL: nobody asks */
static bool parse_words(struct parser *p, const char *what, const char *const **ret_words, unsigned *ret_n, struct tell_place *places)
{
	const char *words[PROMISEES_MAX];
	unsigned n = 0;

	do {
		const struct token *t = &p->token;

		/* The next line begins with a statement. */
		if ((t->kind != TOKEN_WORD && t->kind != TOKEN_NAME && t->kind != TOKEN_STRING) || (t->first && !n))
			return parser_expected(p, what, NULL);
		if (n >= PROMISEES_MAX) {
			parser_fault(p, t->at, t->length, NULL, "more than %d words", PROMISEES_MAX);
			return false;
		}
		if (places)
			places[n] = (struct tell_place){ t->at, t->length };
		words[n++] = t->text;
		parser_next(p);
	} while (parser_take_mark(p, ','));
	*ret_words = parser_copy(p, words, n, sizeof(words[0]));
	*ret_n = *ret_words ? n : 0;
	return *ret_words;
}

static bool parse_tell(struct parser *p, struct rule *r)
{
	struct tell_place places[PROMISEES_MAX];

	if (!parse_words(p, "a word: whom to tell", &r->tells, &r->n_tells, places))
		return false;
	r->tell_places = parser_copy(p, places, r->n_tells, sizeof(places[0]));
	if (!r->tell_places)
		r->n_tells = 0;
	return r->tell_places;
}

const char *parser_written(struct parser *p, size_t at, size_t end)
{
	struct tokens t = p->tokens;
	struct token token = { 0 };
	struct buf b = BUF_INIT;
	size_t last = at;
	const char *text;

	t.at = at;
	t.length = end; /* what comes behind is read, and judged, once */
	for (tokens_next(&t, &token); token.kind != TOKEN_END; tokens_next(&t, &token)) {
		if (token.at > last && b.length)
			buf_putc(&b, ' ');
		buf_append(&b, t.text + token.at, token.length);
		last = token.at + token.length;
	}
	p->failed |= b.failed || t.failed;
	text = parser_text(p, buf_text(&b), b.length);
	buf_free(&b);
	return text;
}

/* As a statement: when the promise is in force */
static bool parse_between(struct parser *p)
{
	p->nodes = 0;
	p->rule->between = calendar_parse(p);
	return p->rule->between != NULL;
}

static bool parse_keep(struct parser *p)
{
	size_t at = p->token.at;
	struct expr *e = parse_condition(p);

	if (!e)
		return false;
	p->rule->body = e;
	p->rule->n_nodes = p->nodes;
	p->rule->body_text = parser_written(p, at, p->end);
	if (p->token.kind == TOKEN_END || parser_at_mark(p, '}') || (p->token.kind == TOKEN_WORD && p->token.first))
		return true;
	if (p->token.kind == TOKEN_WORD) {
		if (statement_at(p) < KITH_COUNT(statements))
			return true;
		if (parser_at_word(p, "margin")) {
			parser_fault(p, p->token.at, p->token.length, "write it right behind the value: x > 10% margin 2%",
			             "a margin follows a comparison");
			return false;
		}
		if (parser_not_yet(p))
			return false;
	}
	return parser_expected(p, "an operator or the next statement", NULL);
}

static bool parse_severity(struct parser *p)
{
	const char *names[KITH_DEBUG + 1];

	for (int s = KITH_EMERG; s <= KITH_DEBUG; s++) {
		names[s] = severity_name((enum kith_priority)s);
		if (parser_take_word(p, names[s])) {
			p->rule->severity = (enum kith_priority)s;
			return true;
		}
	}
	return expected_word(p, "emergency, alert, critical, error, warning, notice, info or debug", names, KITH_COUNT(names));
}

/* ---- actions ---------------------------------------------------------------------------------------------------- */

static bool parse_argv(struct parser *p, struct action *a)
{
	const char *argv[ACTION_ARGS_MAX + 1];

	if (p->token.kind != TOKEN_STRING)
		return parser_expected(p, "a program in quotes", "run \"/usr/local/bin/mend\" \"argument\"");
	if (p->token.text[0] != '/') {
		parser_fault(p, p->token.at, p->token.length, "no shell and no search path: begin with /",
		             "a program is named by its whole path");
		return false;
	}
	while (p->token.kind == TOKEN_STRING) {
		if (a->n_args >= ACTION_ARGS_MAX) {
			parser_fault(p, p->token.at, p->token.length, NULL, "more than %d arguments", ACTION_ARGS_MAX);
			return false;
		}
		argv[a->n_args++] = p->token.text;
		parser_next(p);
	}
	argv[a->n_args] = NULL;
	a->argv = parser_copy(p, argv, a->n_args + 1, sizeof(argv[0]));
	return a->argv;
}

static bool parse_at_most(struct parser *p, struct action *a)
{
	const struct token *t = &p->token;

	if (!parser_take_word(p, "most"))
		return parser_expected(p, "\"most\"", "at most 3 per 10m");
	if (t->kind != TOKEN_NUMBER || *t->unit || t->number < 1 || t->number > ACTION_RUNS_MAX ||
	    t->number != (double)(unsigned)t->number)
		return parser_expected(p, "how many runs, from 1 to 1000", "at most 3 per 10m");
	a->at_most = (unsigned)t->number;
	parser_next(p);
	if (!parser_take_word(p, "per"))
		return parser_expected(p, "\"per\"", "at most 3 per 10m");
	if (!parser_duration(p, "a time", &a->per))
		return false;
	if (!a->per) {
		parser_fault(p, p->end - 1, 1, NULL, "the time of a limit is more than 0");
		return false;
	}
	return true;
}

/* `on` is taken */
static bool parse_on(struct parser *p)
{
	static const char *const becomes[] = { "broken", "kept", "unknown" };
	size_t at = p->token.at, width = p->token.length;
	struct action *a = parser_take(p, sizeof(*a)), **tail = &p->rule->actions;
	unsigned n = 0;

	if (!a)
		return false;
	a->timeout = TIMEOUT_DEFAULT;
	if (parser_take_word(p, "broken"))
		a->when = KITH_BROKEN;
	else if (parser_take_word(p, "kept"))
		a->when = KITH_KEPT;
	else if (parser_take_word(p, "unknown"))
		a->when = KITH_UNKNOWN;
	else
		return expected_word(p, "broken, kept or unknown", becomes, KITH_COUNT(becomes));
	if (!parser_take_word(p, "run"))
		return parser_expected(p, "\"run\"", NULL);
	if (!parse_argv(p, a))
		return false;
	for (;;) {
		if (parser_take_word(p, "at")) {
			if (!parse_at_most(p, a))
				return false;
		} else if (parser_take_word(p, "timeout")) {
			if (!parser_duration(p, "a timeout", &a->timeout))
				return false;
			if (!a->timeout) {
				parser_fault(p, p->end - 1, 1, NULL, "a timeout is more than 0");
				return false;
			}
		} else if (parser_take_word(p, "as")) {
			if ((p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_STRING) || p->token.first)
				return parser_expected(p, "a user's name", "as nobody");
			a->user = p->token.text;
			parser_next(p);
		} else {
			break;
		}
	}
	for (; *tail; tail = &(*tail)->next)
		n++;
	if (n == ACTIONS_MAX) {
		parser_fault(p, at, width, "let one program run the others", "a promise has at most %d actions", ACTIONS_MAX);
		return true;
	}
	*tail = a;
	return true;
}

/* A name without a bundle is one of this bundle. */
static bool parse_depends(struct parser *p)
{
	struct dependency **tail = &p->rule->depends, *d = NULL;
	unsigned n = 0;

	for (; *tail; tail = &(*tail)->next)
		n++;
	do {
		const struct token *t = &p->token;

		if (t->kind != TOKEN_WORD || (t->first && !d))
			return parser_expected(p, "a promise's name", "depends network.up");
		if (++n > DEPENDS_MAX) {
			parser_fault(p, t->at, t->length, NULL, "it depends on more than %d promises", DEPENDS_MAX);
			return false;
		}
		d = parser_take(p, sizeof(*d));
		if (!d)
			return false;
		*d = (struct dependency){ .name = strchr(t->text, '.') ? t->text : full_name(p, t->text), .at = t->at, .width = t->length,
			                  .rule = p->rule };
		*tail = d;
		tail = &d->next;
		parser_next(p);
	} while (parser_take_mark(p, ','));
	return true;
}

/* ---- promises --------------------------------------------------------------------------------------------------- */

static bool statement(struct parser *p, size_t which)
{
	struct rule *r = p->rule;

	switch (which) {
	case 0:
		return parse_promiser(p);
	case 1:
		return parse_words(p, "a word: who it is promised to", &r->promisees, &r->n_promisees, NULL);
	case 2:
		return parse_keep(p);
	case 3:
		return parser_duration(p, "grace", &r->grace);
	case 4:
		return parser_duration(p, "settle", &r->settle);
	case 5:
		return parse_severity(p);
	case 6:
		return parse_on(p);
	case 7:
		return facts_parse(p, &r->only);
	case 8:
		return parse_tell(p, r);
	case 9:
		return parse_depends(p);
	case 10:
		return lets_parse(p, &p->rule_lets);
	case 11:
		return parse_between(p);
	}
	return false;
}

/* A word that begins no statement: its name, and where it may have been meant */
static void unknown_statement(struct parser *p, const char *const *known, size_t n)
{
	const char *near;
	char hint[96];

	if (p->token.kind == TOKEN_WORD && parser_not_yet(p))
		return;
	near = p->token.kind == TOKEN_WORD ? suggest(p->token.text, p->token.text_length, known, n) : NULL;
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	if (p->token.kind == TOKEN_WORD)
		parser_fault(p, p->token.at, p->token.length, near ? hint : NULL, "unknown word \"%s\"", p->token.text);
	else
		parser_expected(p, p->rule ? "a statement or \"}\"" : "a promise or \"}\"", NULL);
}

static void parse_statements(struct parser *p, unsigned *seen)
{
	while (p->token.kind != TOKEN_END && !parser_at_mark(p, '}') && !p->failed) {
		size_t i = statement_at(p), at = p->token.at, width = p->token.length;

		if (p->token.first && (parser_at_word(p, "promise") || parser_at_word(p, "bundle")))
			return;
		if (i == KITH_COUNT(statements)) {
			unknown_statement(p, statements, KITH_COUNT(statements));
			parser_next(p);
			resync(p);
			continue;
		}
		if (i != STATEMENT_BETWEEN)
			parser_next(p);
		if ((*seen & 1u << i) && (i < 6 || i == STATEMENT_BETWEEN))
			parser_fault(p, at, width, NULL, "\"%s\" is there already", statements[i]);
		*seen |= 1u << i;
		if (!statement(p, i))
			resync(p);
	}
}

static bool label_valid(const char *text)
{
	for (; *text; text++)
		if (*text == '.')
			return false;
	return true;
}

/* The name of a bundle or promise; NULL: told */
static const char *parse_label(struct parser *p, const char *what)
{
	const char *text = p->token.text;

	if (p->token.kind != TOKEN_WORD) {
		char expected[64];

		snprintf(expected, sizeof(expected), "the %s's name", what);
		return parser_expected(p, expected, NULL);
	}
	if (!label_valid(text) || p->token.text_length > NAME_PART_MAX) {
		parser_fault(p, p->token.at, p->token.length, NULL, "a %s's name has letters, digits, _ and -, at most %d", what,
		             NAME_PART_MAX);
		return NULL;
	}
	return text;
}

static void rule_begin(struct parser *p)
{
	struct rule *r = calloc(1, sizeof(*r));

	if (!r) {
		p->failed = true;
		return;
	}
	r->severity = KITH_WARNING;
	r->path = strdup(p->tokens.path);
	p->failed |= !r->path;
	r->file = p->file;
	if (p->rules->last)
		p->rules->last->next = r;
	else
		p->rules->first = r;
	p->rules->last = r;
	p->rule = r;
	p->tokens.arena = &r->arena;
	buf_reset(&p->normal);
}

static void rule_end(struct parser *p, unsigned seen, size_t at, size_t width)
{
	struct rule *r = p->rule;

	if (!(seen & 1))
		parser_fault(p, at, width, "promiser df:*", "this promise has no promiser");
	if (!(seen & 4))
		parser_fault(p, at, width, "keep memory:available_percent > 5%", "this promise has no condition");
	p->nodes = 0;
	if (r->between && r->body) {
		struct expr *both = expr_new(p, EXPR_WHILE, r->body->at);

		if (both && expr_append(p, both, r->between) && expr_append(p, both, r->body))
			r->body = both;
	}
	if (p->only)
		r->only = facts_both(p, expr_clone(p, p->only), r->only);
	lets_close(p, &p->rule_lets);
	p->failed |= p->normal.failed;
	r->text = parser_text(p, buf_text(&p->normal), p->normal.length);
	p->rule = NULL;
	p->tokens.arena = &p->arena;
}

/* Told; goes on as if it were there. False: nothing here is of the promise. */
static bool brace_missing(struct parser *p)
{
	parser_expected(p, "\"{\"", NULL);
	while (p->token.kind != TOKEN_END && !parser_at_mark(p, '{') && !parser_at_mark(p, '}') && statement_at(p) == KITH_COUNT(statements) &&
	       !(p->token.first && (parser_at_word(p, "promise") || parser_at_word(p, "bundle"))))
		parser_next(p);
	parser_take_mark(p, '{');
	p->end_told = true; /* it may be the braces that are too few: told once */
	return statement_at(p) < KITH_COUNT(statements);
}

/* At `promise` */
static void parse_promise(struct parser *p)
{
	const char *label;
	unsigned seen = 0;
	size_t at = p->token.at, width = p->token.length;

	rule_begin(p);
	if (p->failed)
		return;
	parser_next(p);
	for (; p->line_at < at; p->line_at++)
		p->line += p->tokens.text[p->line_at] == '\n';
	p->rule->line = p->line + 1;
	label = parse_label(p, "promise");
	p->rule->name = full_name(p, label ? label : "");
	if (label) {
		at = p->rule->name_at = p->token.at;
		width = p->rule->name_width = p->token.length;
		parser_next(p);
	} else if (!parser_at_mark(p, '{')) {
		resync(p);
	}
	if (parser_take_mark(p, '{') || (label && brace_missing(p))) {
		parse_statements(p, &seen);
		if (parser_at_mark(p, '}')) {
			/* The brace is of the promise, the token behind it no longer. */
			rule_end(p, seen, at, width);
			parser_next(p);
			return;
		}
		parser_expected(p, "\"}\" at the promise's end", NULL);
	}
	p->rule->name = p->rule->name ? p->rule->name : "";
	rule_end(p, ~0u, at, width);
}

/* ---- bundles and files ------------------------------------------------------------------------------------------ */

/* To the next promise, over a block of its own */
static void skip_item(struct parser *p)
{
	unsigned open = 0;

	for (; p->token.kind != TOKEN_END; parser_next(p)) {
		if (p->token.first && (parser_at_word(p, "promise") || parser_at_word(p, "bundle") || parser_at_word(p, "only") ||
		                       parser_at_word(p, "let")))
			return;
		if (parser_at_mark(p, '{'))
			open++;
		if (parser_at_mark(p, '}') && !open--)
			return;
	}
}

static void parse_bundle_items(struct parser *p)
{
	static const char *const known[] = { "promise", "only", "let" };
	bool promises = false;

	while (p->token.kind != TOKEN_END && !parser_at_mark(p, '}') && !parser_at_word(p, "bundle") && !p->failed) {
		if (parser_at_word(p, "promise")) {
			parse_promise(p);
			promises = true;
		} else if (parser_at_word(p, "only") || parser_at_word(p, "let")) {
			bool only = parser_at_word(p, "only");

			if (promises)
				parser_fault(p, p->token.at, p->token.length, NULL, "\"%s\" stands before the bundle's promises", p->token.text);
			parser_next(p);
			if (only ? !facts_parse(p, &p->only) : !lets_parse(p, &p->lets))
				resync(p);
		} else {
			unknown_statement(p, known, KITH_COUNT(known));
			parser_next(p);
			skip_item(p);
		}
	}
}

/* `bundle` is taken */
static void parse_bundle(struct parser *p)
{
	const char *label = parse_label(p, "bundle");

	p->bundle = label ? label : "";
	p->only = NULL;
	if (label)
		parser_next(p);
	if (!parser_take_mark(p, '{')) {
		if (label)
			parser_expected(p, "\"{\"", NULL);
		while (p->token.kind != TOKEN_END && !parser_at_word(p, "promise") && !parser_at_word(p, "bundle"))
			parser_next(p);
		if (parser_at_word(p, "bundle"))
			return;
	}
	parse_bundle_items(p);
	lets_close(p, &p->lets);
	if (!parser_take_mark(p, '}'))
		parser_expected(p, "\"}\" at the bundle's end", NULL);
}

int grammar_read(const struct promises_file *file, struct rules *rules, struct faults *faults)
{
	static const char *const first[] = { "bundle" };
	struct parser p = { .tokens = { .path = file->path, .text = file->text, .length = file->length, .faults = faults },
		            .rules = rules, .file = file };

	p.tokens.arena = &p.arena;
	/* Some editors begin a file of UTF-8 with U+FEFF. */
	if (file->length >= 3 && !memcmp(file->text, "\xef\xbb\xbf", 3))
		p.tokens.at = 3;
	tokens_next(&p.tokens, &p.token);
	while (p.token.kind != TOKEN_END && !p.failed) {
		if (parser_take_word(&p, "bundle")) {
			parse_bundle(&p);
			continue;
		}
		if (parser_at_word(&p, "promise"))
			parser_fault(&p, p.token.at, p.token.length, "bundle NAME { promise … }", "a promise stands in a bundle");
		else
			expected_word(&p, "\"bundle\"", first, KITH_COUNT(first));
		do
			parser_next(&p);
		while (p.token.kind != TOKEN_END && !parser_at_word(&p, "bundle"));
	}
	buf_free(&p.normal);
	arena_free(&p.arena);
	regex_free_all(p.regexes);
	return p.failed ? -ENOMEM : 0;
}

void rule_free(struct rule *rule)
{
	arena_free(&rule->arena);
	regex_free_all(rule->regexes);
	free(rule->fault);
	free(rule->path);
	free(rule);
}

void rules_free(struct rules *rules)
{
	while (rules->first) {
		struct rule *next = rules->first->next;

		rule_free(rules->first);
		rules->first = next;
	}
	rules->last = NULL;
}
