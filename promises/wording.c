/* What the engine says: conditions as written, values, reasons, remedies. Not on a sample's way. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "promises/engine.h"

#define REASONS_MAX 3

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* "10.0 %" as "10 %", "1.00 GiB" as "1 GiB" */
static void trim_zeros(char *text)
{
	char *point = strchr(text, '.'), *end, *keep;

	if (!point)
		return;
	end = point + 1 + strspn(point + 1, "0123456789");
	for (keep = end; keep > point + 1 && keep[-1] == '0'; keep--)
		;
	if (keep == point + 1)
		keep = point;
	memmove(keep, end, strlen(end) + 1);
}

void word_number(struct buf *b, double value, const char *unit)
{
	char text[UNIT_TEXT_MAX];

	unit_format(value, unit, text, sizeof(text));
	trim_zeros(text);
	buf_puts(b, text);
}

void word_duration(struct buf *b, int64_t ns)
{
	word_number(b, (double)ns * 1e-9, "s");
}

/* A state's name, where its series is there */
static const char *state_word(const struct node *n)
{
	const struct series *s = n->e->kind == EXPR_NAME ? n->leaf->series : NULL;
	const struct metric *m = s ? series_metric(s) : NULL;

	if (!m || m->kind != KITH_STATE || !(n->number >= 0 && n->number < m->n_states))
		return NULL;
	return m->states[(uint32_t)n->number];
}

void word_value(struct buf *b, const struct node *node)
{
	const char *state;

	if (node->e->type == TYPE_TRUTH) {
		buf_puts(b, node->truth == KITH_KEPT ? "true" : node->truth == KITH_BROKEN ? "false" : "unknown");
		return;
	}
	if (node->e->kind == EXPR_STRING) {
		buf_printf(b, "\"%s\"", node->e->text);
		return;
	}
	state = state_word(node);
	if (state)
		buf_printf(b, "\"%s\"", state);
	else if (isnan(node->number))
		buf_puts(b, "unknown");
	else
		word_number(b, node->number, node->e->unit);
}

/* ---- conditions as written --------------------------------------------------------------------------------------- */

static void word_name(struct buf *b, const struct expr *e, const struct tree *tree)
{
	const char *instance = tree ? leaf_instance(tree, e) : e->instance;

	buf_puts(b, e->family);
	if (instance && *instance)
		buf_printf(b, ":%s", instance);
	buf_printf(b, ":%s", e->metric);
}

static const char *op_word(enum expr_op op)
{
	static const char *const words[] = {
		[OP_ADD] = "+", [OP_SUBTRACT] = "-", [OP_MULTIPLY] = "*", [OP_DIVIDE] = "/", [OP_EQUAL] = "==",
		[OP_UNEQUAL] = "!=", [OP_LESS] = "<", [OP_LESS_EQUAL] = "<=", [OP_GREATER] = ">", [OP_GREATER_EQUAL] = ">=",
	};

	return (unsigned)op < KITH_COUNT(words) && words[op] ? words[op] : "";
}

/* How tightly it binds: what binds less needs parentheses within it */
static int tightness(const struct expr *e)
{
	switch (e->kind) {
	case EXPR_OR:
		return 1;
	case EXPR_AND:
		return 2;
	case EXPR_NOT:
	case EXPR_QUANTIFIER:
		return 3;
	case EXPR_COMPARE:
	case EXPR_IN:
	case EXPR_MATCHES:
		return 4;
	case EXPR_ARITH:
		return e->op == OP_ADD || e->op == OP_SUBTRACT ? 5 : 6;
	case EXPR_MINUS:
		return 7;
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_BOOL:
	case EXPR_NAME:
	case EXPR_CALL:
	case EXPR_FACT:
	case EXPR_BETWEEN:
	case EXPR_RECORDS:
		break;
	case EXPR_WHILE:
		return 0;
	}
	return 8;
}

static void word_inner(struct buf *b, const struct expr *e, const struct tree *tree, int least)
{
	bool wrap = tightness(e) < least;

	if (wrap)
		buf_putc(b, '(');
	word_expr(b, e, tree);
	if (wrap)
		buf_putc(b, ')');
}

static void word_list(struct buf *b, const struct expr *e, const struct tree *tree)
{
	for (unsigned i = 1; i < e->n_items; i++) {
		buf_puts(b, i > 1 ? ", " : "");
		word_expr(b, e->items[i], tree);
	}
}

static void word_items(struct buf *b, const struct expr *e, const struct tree *tree)
{
	int t = tightness(e);

	for (unsigned i = 0; i < e->n_items; i++) {
		if (i)
			buf_printf(b, " %s ", e->kind == EXPR_AND ? "and" : e->kind == EXPR_OR ? "or" : op_word(e->op));
		word_inner(b, e->items[i], tree, i ? t + 1 : t + (e->kind != EXPR_ARITH));
	}
	if (e->kind == EXPR_COMPARE && !isnan(e->margin)) {
		buf_puts(b, " margin ");
		word_number(b, e->margin, e->margin_unit);
	}
}

static void word_call(struct buf *b, const struct expr *e, const struct tree *tree)
{
	buf_printf(b, "%s(", e->text);
	word_name(b, e->items[0], tree);
	if (e->horizon) {
		buf_puts(b, ", ");
		word_duration(b, e->horizon);
	}
	if (e->window) {
		buf_puts(b, ", ");
		word_duration(b, e->window);
	}
	buf_putc(b, ')');
}

static void word_records(struct buf *b, const struct expr *e)
{
	buf_puts(b, "count(records");
	if (e->subject)
		buf_printf(b, " of \"%s\"", e->subject);
	if (e->priority != KITH_DEBUG)
		buf_printf(b, " at %s", severity_name((enum kith_priority)e->priority));
	if (e->regex)
		buf_printf(b, " matching \"%s\"", e->text);
	buf_puts(b, ", ");
	word_duration(b, e->window);
	buf_putc(b, ')');
}

void word_expr(struct buf *b, const struct expr *e, const struct tree *tree)
{
	switch (e->kind) {
	case EXPR_NUMBER:
		word_number(b, e->number, e->unit);
		break;
	case EXPR_STRING:
		buf_printf(b, "\"%s\"", e->text);
		break;
	case EXPR_BOOL:
		buf_puts(b, e->number != 0 ? "true" : "false");
		break;
	case EXPR_NAME:
		word_name(b, e, tree);
		break;
	case EXPR_BETWEEN:
		word_calendar(b, e);
		break;
	case EXPR_MATCHES:
		word_inner(b, e->items[0], tree, 5);
		buf_printf(b, " matches \"%s\"", e->text);
		break;
	case EXPR_RECORDS:
		word_records(b, e);
		break;
	case EXPR_WHILE:
		word_expr(b, e->items[1], tree);
		break;
	case EXPR_FACT:
		buf_puts(b, facts_name(e->fact));
		if (e->asks)
			buf_printf(b, " \"%s\"", e->text);
		break;
	case EXPR_CALL:
		word_call(b, e, tree);
		break;
	case EXPR_MINUS:
		buf_putc(b, '-');
		word_inner(b, e->items[0], tree, 7);
		break;
	case EXPR_ARITH:
	case EXPR_COMPARE:
	case EXPR_AND:
	case EXPR_OR:
		word_items(b, e, tree);
		break;
	case EXPR_IN:
		word_inner(b, e->items[0], tree, 5);
		buf_puts(b, " in [");
		word_list(b, e, tree);
		buf_putc(b, ']');
		break;
	case EXPR_NOT:
		buf_puts(b, "not ");
		word_inner(b, e->items[0], tree, 3);
		break;
	case EXPR_QUANTIFIER:
		buf_printf(b, "%s ", e->text);
		word_inner(b, e->items[0], tree && tree->over ? tree : NULL, 4);
		break;
	}
}

/* ---- why unknown ------------------------------------------------------------------------------------------------- */

static void word_leaf(struct buf *b, const struct node *n)
{
	const struct leaf *leaf = n->leaf;
	const struct promises *p = leaf->tree->promise->engine;
	const struct family *f = family_find(p->model, leaf->e->family, strlen(leaf->e->family));

	if (!f) {
		buf_printf(b, "no plugin gives family %s", leaf->e->family);
		return;
	}
	if (leaf->state == LEAF_ENDED) {
		word_name(b, leaf->e, leaf->tree);
		buf_puts(b, " has ended");
		return;
	}
	if (leaf->state == LEAF_BOUND && leaf->series->stale) {
		int64_t now = model_now(p->model) > p->now ? model_now(p->model) : p->now;

		buf_puts(b, "no sample for ");
		word_duration(b, now - leaf->series->time);
		buf_puts(b, " of ");
	} else if (leaf->state == LEAF_BOUND && leaf->series->time && n->e->kind == EXPR_CALL) {
		buf_printf(b, "%s() waits for the next sample of ", n->e->text);
	} else {
		buf_puts(b, "no sample yet of ");
	}
	word_name(b, leaf->e, leaf->tree);
}

static bool is_unknown(const struct node *n)
{
	return n->e->type == TYPE_TRUTH ? n->truth == KITH_UNKNOWN : n->e->kind != EXPR_STRING && isnan(n->number);
}

static void word_no_branch(struct buf *b, const struct node *n)
{
	const struct quantifier *q = n->quantifier;
	const struct promises *p = n->tree->promise->engine;

	for (const struct tree *t = q->trees; t; t = t->next)
		if (is_unknown(&t->nodes[0])) {
			word_unknown(b, &t->nodes[0]);
			return;
		}
	if (q->gather)
		buf_printf(b, "the first of %s:%s has only just come", n->e->family, n->e->instance);
	else if (!family_find(p->model, n->e->family, strlen(n->e->family)))
		buf_printf(b, "no plugin gives family %s", n->e->family);
	else
		buf_printf(b, "nothing matches %s:%s", n->e->family, n->e->instance);
}

void word_unknown(struct buf *b, const struct node *node)
{
	if (node->e->kind == EXPR_NAME || node->e->kind == EXPR_CALL) {
		word_leaf(b, node);
		return;
	}
	if (node->e->kind == EXPR_QUANTIFIER) {
		word_no_branch(b, node);
		return;
	}
	if (node->e->kind == EXPR_WHILE && node->kids[0].truth != KITH_KEPT) {
		buf_puts(b, "not promised now, but ");
		word_calendar(b, node->kids[0].e);
		return;
	}
	for (unsigned i = 0; i < node->n_kids; i++)
		if (is_unknown(&node->kids[i])) {
			word_unknown(b, &node->kids[i]);
			return;
		}
	word_expr(b, node->e, node->tree);
	buf_puts(b, " has no value: division by zero");
}

/* ---- why it holds or fails --------------------------------------------------------------------------------------- */

/* The parts that make a condition what it is: fn is called for each comparison among them */
struct culprits {
	struct buf *b;
	unsigned n;
	void (*fn)(struct culprits *c, const struct node *node, uint8_t truth);
	const char *between;
};

static void find_culprits(struct culprits *c, const struct node *n, uint8_t truth);

static void part_begin(struct culprits *c)
{
	if (c->n && c->n < REASONS_MAX)
		buf_puts(c->b, c->between);
}

static void quantifier_culprits(struct culprits *c, const struct node *n, uint8_t truth)
{
	const struct quantifier *q = n->quantifier;
	bool some = n->e->op == OP_SOME;
	uint8_t inner = n->e->op == OP_NONE_OF ? (truth == KITH_KEPT ? KITH_BROKEN : KITH_KEPT) : truth;
	bool single = n->e->op == OP_ALL ? inner == KITH_BROKEN : inner == KITH_KEPT;

	if (single && !some) {
		for (const struct tree *t = q->trees; t; t = t->next)
			if (t->joined && t->nodes[0].truth == inner)
				find_culprits(c, &t->nodes[0], inner);
		return;
	}
	part_begin(c);
	if (c->n++ >= REASONS_MAX)
		return;
	if (some)
		buf_printf(c->b, "%u of %u hold, promised %u: ", q->counts[KITH_KEPT], q->n_joined, quantifier_least(n));
	else
		buf_printf(c->b, inner == KITH_KEPT ? "all of %u hold: " : "none of %u holds: ", q->n_joined);
	word_expr(c->b, n->e->items[0], NULL);
}

static void find_culprits(struct culprits *c, const struct node *n, uint8_t truth)
{
	switch (n->e->kind) {
	case EXPR_AND:
	case EXPR_OR:
		for (unsigned i = 0; i < n->n_kids; i++)
			if (n->kids[i].truth == truth)
				find_culprits(c, &n->kids[i], truth);
		return;
	case EXPR_NOT:
		find_culprits(c, &n->kids[0], truth == KITH_KEPT ? KITH_BROKEN : truth == KITH_BROKEN ? KITH_KEPT : truth);
		return;
	case EXPR_QUANTIFIER:
		quantifier_culprits(c, n, truth);
		return;
	case EXPR_WHILE:
		find_culprits(c, &n->kids[1], truth);
		return;
	case EXPR_COMPARE:
	case EXPR_IN:
	case EXPR_MATCHES:
	case EXPR_RECORDS:
	case EXPR_BOOL:
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_NAME:
	case EXPR_CALL:
	case EXPR_ARITH:
	case EXPR_MINUS:
	case EXPR_FACT:
	case EXPR_BETWEEN:
		break;
	}
	if (c->n < REASONS_MAX) {
		part_begin(c);
		c->fn(c, n, truth);
	}
	c->n++;
}

/* The right side: a literal as written, anything else with its value */
static void word_bound(struct buf *b, const struct node *n)
{
	word_expr(b, n->e, n->tree);
	if (n->e->constant)
		return;
	buf_puts(b, " (");
	word_value(b, n);
	buf_putc(b, ')');
}

static void word_margin(struct buf *b, const struct node *n)
{
	const struct expr *e = n->e;
	double y = n->kids[1].number;
	bool up = (e->op == OP_GREATER || e->op == OP_GREATER_EQUAL) != e->negated;

	if (isnan(e->margin) || !n->latched || isnan(y))
		return;
	buf_puts(b, ", ");
	buf_puts(b, up ? "above " : "below ");
	word_number(b, up ? y + e->margin : y - e->margin, e->items[1]->unit[0] ? e->items[1]->unit : e->items[0]->unit);
	buf_puts(b, " to be kept again");
}

/* "df:/:free_percent is 4.2 %, promised > 10 %" */
static void word_reason(struct culprits *c, const struct node *n, uint8_t truth)
{
	const struct expr *e = n->e;
	struct buf *b = c->b;

	(void)truth;
	if (e->kind == EXPR_BETWEEN) {
		buf_puts(b, n->truth == KITH_KEPT ? "it is " : "it is not ");
		word_calendar(b, e);
		return;
	}
	if (e->kind == EXPR_CALL) { /* changed() */
		word_name(b, e->items[0], n->tree);
		buf_puts(b, n->truth == KITH_KEPT ? " has changed within " : " has not changed within ");
		word_duration(b, e->window);
		return;
	}
	if (e->kind == EXPR_BOOL || (e->kind == EXPR_COMPARE && e->items[0]->type == TYPE_TRUTH)) {
		word_expr(b, e, n->tree);
		buf_printf(b, " is %s", n->truth == KITH_KEPT ? "true" : "false");
		return;
	}
	word_expr(b, n->kids[0].e, n->tree);
	buf_puts(b, " is ");
	word_value(b, &n->kids[0]);
	buf_puts(b, e->negated ? ", promised not " : ", promised ");
	if (e->kind == EXPR_MATCHES) {
		buf_printf(b, "what matches \"%s\"", e->text);
		return;
	}
	if (e->kind == EXPR_IN) {
		buf_puts(b, e->n_items > 2 ? "one of " : "");
		word_list(b, e, n->tree);
		return;
	}
	if (e->items[1]->kind != EXPR_STRING || e->op != OP_EQUAL)
		buf_printf(b, "%s ", op_word(e->op));
	word_bound(b, &n->kids[1]);
	word_margin(b, n);
}

static void word_pending(struct buf *b, const struct promise *pr)
{
	const struct rule *r = pr->live->rule;

	if (!pr->pending)
		return;
	buf_puts(b, pr->truth == KITH_BROKEN ? "; broken when this lasts " : "; kept again when this lasts ");
	word_duration(b, pr->truth == KITH_BROKEN ? r->grace : r->settle);
}

void word_because(struct buf *b, const struct promise *pr)
{
	const struct node *root = &pr->tree->nodes[0];
	struct culprits c = { .b = b, .fn = word_reason, .between = "; " };

	if (pr->live->rule->fault) {
		buf_puts(b, pr->live->rule->fault);
		return;
	}
	if (pr->blocked) {
		word_blocked(b, pr);
		return;
	}
	if (root->truth == KITH_UNKNOWN) {
		word_unknown(b, root);
		return;
	}
	find_culprits(&c, root, root->truth);
	if (c.n > REASONS_MAX)
		buf_printf(b, "; and %u more", c.n - REASONS_MAX);
	word_pending(b, pr);
}

/* ---- what would mend it ------------------------------------------------------------------------------------------ */

/* "df:/:free_percent must rise above 12 % (it is 4.2 %)" */
static void word_remedy(struct culprits *c, const struct node *n, uint8_t truth)
{
	static const struct {
		const char *text, *otherwise;
	} must[] = {
		[OP_EQUAL] = { "must become ", "must be other than " },
		[OP_UNEQUAL] = { "must be other than ", "must become " },
		[OP_LESS] = { "must fall below ", "must rise to at least " },
		[OP_LESS_EQUAL] = { "must fall to at most ", "must rise above " },
		[OP_GREATER] = { "must rise above ", "must fall to at most " },
		[OP_GREATER_EQUAL] = { "must rise to at least ", "must fall below " },
	};
	const struct expr *e = n->e;
	struct buf *b = c->b;
	bool holds = truth == KITH_KEPT; /* and must not */

	if (e->kind == EXPR_CALL) {
		word_name(b, e->items[0], n->tree);
		buf_puts(b, holds ? " must stay as it is for " : " must change within ");
		word_duration(b, e->window);
		return;
	}
	if (e->kind == EXPR_BETWEEN || e->kind == EXPR_BOOL || (e->kind == EXPR_COMPARE && e->items[0]->type == TYPE_TRUTH)) {
		word_expr(b, e, n->tree);
		buf_printf(b, " must become %s", holds ? "false" : "true");
		return;
	}
	word_expr(b, n->kids[0].e, n->tree);
	buf_putc(b, ' ');
	if (e->kind == EXPR_MATCHES) {
		buf_printf(b, holds ? "must not match \"%s\"" : "must match \"%s\"", e->text);
	} else if (e->kind == EXPR_IN) {
		buf_puts(b, holds ? "must be none of " : "must become one of ");
		word_list(b, e, n->tree);
	} else {
		buf_puts(b, holds ? must[e->op].otherwise : must[e->op].text);
		if (!isnan(e->margin) && n->latched && e->items[1]->constant) {
			bool up = (e->op == OP_GREATER || e->op == OP_GREATER_EQUAL) != e->negated;

			word_number(b, n->kids[1].number + (up ? e->margin : -e->margin),
			            e->items[1]->unit[0] ? e->items[1]->unit : e->items[0]->unit);
		} else {
			word_bound(b, &n->kids[1]);
		}
	}
	buf_puts(b, " (it is ");
	word_value(b, &n->kids[0]);
	buf_putc(b, ')');
}

void word_mend(struct buf *b, const struct promise *pr)
{
	const struct node *root = &pr->tree->nodes[0];
	struct culprits c = { .b = b, .fn = word_remedy, .between = root->e->kind == EXPR_OR ? "\nor " : "\n" };

	if (pr->blocked) {
		buf_printf(b, "%s must be kept: it ", pr->blocked->live->rule->name);
		word_blocked(b, pr);
		return;
	}
	if (root->truth == KITH_KEPT)
		return;
	if (root->truth == KITH_UNKNOWN || pr->live->rule->fault) {
		buf_puts(b, "it must become known: ");
		if (pr->live->rule->fault)
			buf_puts(b, pr->live->rule->fault);
		else
			word_unknown(b, root);
		return;
	}
	find_culprits(&c, root, root->truth);
	if (c.n > REASONS_MAX)
		buf_printf(b, "\nand %u more", c.n - REASONS_MAX);
}
