/* What a rule was understood to say, in plain English: for `kith check --explain`. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "promises/engine.h"

static void say(struct buf *b, const struct expr *e, bool holds);

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void say_over(struct buf *b, const char *what, const struct expr *e)
{
	buf_printf(b, "%s ", what);
	word_expr(b, e->items[0], NULL);
	if (e->window) {
		buf_puts(b, " over ");
		word_duration(b, e->window);
	}
}

static void say_call(struct buf *b, const struct expr *e)
{
	switch (e->op) {
	case OP_RATE:
		say_over(b, e->window ? "the increase a second of" : "the increase a second, between the last two samples, of", e);
		return;
	case OP_DELTA:
		say_over(b, "the increase of", e);
		return;
	case OP_AVG:
		say_over(b, "the average of", e);
		return;
	case OP_MIN:
		say_over(b, "the least of", e);
		return;
	case OP_MAX:
		say_over(b, "the greatest of", e);
		return;
	case OP_SUM:
		say_over(b, "the sum of the samples of", e);
		return;
	case OP_COUNT:
		say_over(b, "the number of samples of", e);
		return;
	case OP_STDDEV:
		say_over(b, "the standard deviation of", e);
		return;
	case OP_PERCENTILE:
		buf_printf(b, "percentile %g ", e->share * 100);
		say_over(b, "of", e);
		return;
	case OP_FORECAST:
		buf_puts(b, "what the trend over ");
		word_duration(b, e->window);
		buf_puts(b, " makes of ");
		word_expr(b, e->items[0], NULL);
		buf_puts(b, " in ");
		word_duration(b, e->horizon);
		return;
	case OP_AGE:
		buf_puts(b, "the time since the last sample of ");
		word_expr(b, e->items[0], NULL);
		return;
	case OP_NONE:
	case OP_ADD:
	case OP_SUBTRACT:
	case OP_MULTIPLY:
	case OP_DIVIDE:
	case OP_EQUAL:
	case OP_UNEQUAL:
	case OP_LESS:
	case OP_LESS_EQUAL:
	case OP_GREATER:
	case OP_GREATER_EQUAL:
	case OP_ALL:
	case OP_ANY:
	case OP_NONE_OF:
	case OP_SOME:
	case OP_CHANGED:
	case OP_RECORDS:
		break;
	}
	word_expr(b, e, NULL);
}

static void say_value(struct buf *b, const struct expr *e)
{
	if (e->kind == EXPR_RECORDS) {
		buf_puts(b, "the number of records");
		if (e->subject)
			buf_printf(b, " of \"%s\"", e->subject);
		if (e->priority != KITH_DEBUG)
			buf_printf(b, ", %s or worse,", severity_name((enum kith_priority)e->priority));
		if (e->regex)
			buf_printf(b, " that match \"%s\"", e->text);
		buf_puts(b, " in ");
		word_duration(b, e->window);
	} else if (e->kind == EXPR_CALL) {
		say_call(b, e);
	} else {
		word_expr(b, e, NULL);
	}
}

/* ---- conditions -------------------------------------------------------------------------------------------------- */

static void say_compare(struct buf *b, const struct expr *e, bool holds)
{
	static const struct {
		const char *is, *is_not;
	} words[] = {
		[OP_EQUAL] = { " is ", " is not " },
		[OP_UNEQUAL] = { " is not ", " is " },
		[OP_LESS] = { " is less than ", " is at least " },
		[OP_LESS_EQUAL] = { " is at most ", " is more than " },
		[OP_GREATER] = { " is more than ", " is at most " },
		[OP_GREATER_EQUAL] = { " is at least ", " is less than " },
	};
	bool up = (e->op == OP_GREATER || e->op == OP_GREATER_EQUAL) == holds;

	if (e->items[0]->type == TYPE_TRUTH) {
		word_expr(b, e, NULL);
		buf_puts(b, holds ? "" : " is false");
		return;
	}
	say_value(b, e->items[0]);
	buf_puts(b, holds ? words[e->op].is : words[e->op].is_not);
	say_value(b, e->items[1]);
	if (isnan(e->margin))
		return;
	buf_puts(b, " (once it was not, by ");
	word_number(b, e->margin, *e->margin_unit ? e->margin_unit : e->items[0]->unit);
	buf_puts(b, up ? " more)" : " less)");
}

static void say_in(struct buf *b, const struct expr *e, bool holds)
{
	say_value(b, e->items[0]);
	buf_puts(b, holds ? " is one of " : " is none of ");
	for (unsigned i = 1; i < e->n_items; i++) {
		buf_puts(b, i == 1 ? "" : i + 1 < e->n_items ? ", " : holds ? " or " : " and ");
		word_expr(b, e->items[i], NULL);
	}
}

/* not (a and b) is said as: a fails or b fails */
static void say_chain(struct buf *b, const struct expr *e, bool holds)
{
	bool and = (e->kind == EXPR_AND) == holds;

	for (unsigned i = 0; i < e->n_items; i++) {
		const struct expr *item = e->items[i];
		bool wrap = item->kind == EXPR_AND || item->kind == EXPR_OR;

		if (i)
			buf_puts(b, and ? ", and " : ", or ");
		buf_puts(b, wrap ? "(" : "");
		say(b, item, holds);
		buf_puts(b, wrap ? ")" : "");
	}
}

static void say_quantifier(struct buf *b, const struct expr *e, bool holds)
{
	if (e->op == OP_ALL)
		buf_puts(b, holds ? "for each of them, " : "for at least one of them it fails that ");
	else if (e->op == OP_ANY)
		buf_puts(b, holds ? "for at least one of them, " : "for none of them, ");
	else if (e->op == OP_NONE_OF)
		buf_puts(b, holds ? "for none of them, " : "for at least one of them, ");
	else if (e->least)
		buf_printf(b, holds ? "for at least %u of them, " : "for fewer than %u of them, ", e->least);
	else
		buf_printf(b, holds ? "for at least %g %% of them, " : "for less than %g %% of them, ", e->share * 100);
	say(b, e->items[0], true);
}

/* That `e` holds, or that it does not */
static void say(struct buf *b, const struct expr *e, bool holds)
{
	switch (e->kind) {
	case EXPR_COMPARE:
		say_compare(b, e, holds);
		return;
	case EXPR_IN:
		say_in(b, e, holds);
		return;
	case EXPR_AND:
	case EXPR_OR:
		say_chain(b, e, holds);
		return;
	case EXPR_NOT:
		say(b, e->items[0], !holds);
		return;
	case EXPR_QUANTIFIER:
		say_quantifier(b, e, holds);
		return;
	case EXPR_WHILE:
		say(b, e->items[1], holds);
		return;
	case EXPR_MATCHES:
		word_expr(b, e->items[0], NULL);
		buf_printf(b, holds ? " matches \"%s\"" : " does not match \"%s\"", e->text);
		return;
	case EXPR_BETWEEN:
		buf_puts(b, holds ? "it is " : "it is not ");
		word_calendar(b, e);
		return;
	case EXPR_CALL:
		word_expr(b, e->items[0], NULL);
		buf_puts(b, holds ? " has changed in the last " : " has not changed in the last ");
		word_duration(b, e->window);
		return;
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_BOOL:
	case EXPR_NAME:
	case EXPR_ARITH:
	case EXPR_MINUS:
	case EXPR_RECORDS:
	case EXPR_FACT:
		break;
	}
	word_expr(b, e, NULL);
	buf_puts(b, holds ? "" : " is false");
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void say_list(struct buf *b, const char *const *words, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_printf(b, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " and ", words[i]);
}

static void say_time(struct buf *b, const char *before, int64_t ns, const char *behind)
{
	if (!ns)
		return;
	buf_puts(b, before);
	word_duration(b, ns);
	buf_puts(b, behind);
}

static void say_action(struct buf *b, const struct action *a)
{
	buf_printf(b, "    When it becomes %s, it runs", assessment_name(a->when));
	for (unsigned i = 0; i < a->n_args; i++)
		buf_printf(b, " %s", a->argv[i]);
	if (a->user)
		buf_printf(b, " as %s", a->user);
	if (a->at_most) {
		buf_printf(b, ", at most %u %s in ", a->at_most, a->at_most == 1 ? "time" : "times");
		word_duration(b, a->per);
	}
	say_time(b, ", stopped after ", a->timeout, ".\n");
}

static void say_rule(struct buf *b, const struct rule *r, bool here)
{
	buf_printf(b, "%s (%s:%u)\n    ", r->name, r->path, r->line);
	buf_printf(b, r->family ? "Each %s promises" : "%s promises", r->promiser);
	if (r->n_promisees)
		buf_putc(b, ' ');
	say_list(b, r->promisees, r->n_promisees);
	buf_puts(b, " that ");
	say(b, r->body, true);
	buf_puts(b, ".\n");
	if (r->between) {
		buf_puts(b, "    It is in force ");
		word_calendar(b, r->between);
		buf_puts(b, "; otherwise it is unknown.\n");
	}
	if (r->only) {
		buf_puts(b, "    It is for hosts where ");
		say(b, r->only, true);
		buf_puts(b, here ? ": this is one.\n" : ": this is none.\n");
	}
	for (const struct dependency *d = r->depends; d; d = d->next)
		buf_printf(b, "    While %s is broken it is unknown.\n", d->name);
	say_time(b, "    It is broken when that has failed for ", r->grace, ".\n");
	say_time(b, "    It is kept again when that has held for ", r->settle, ".\n");
	buf_printf(b, "    To break it is a matter of severity \"%s\".\n", severity_name(r->severity));
	for (const struct action *a = r->actions; a; a = a->next)
		say_action(b, a);
}

int promises_describe(struct promises *p, const struct promises_file *files, size_t n, struct faults *faults, struct buf *text)
{
	struct rules rules = { 0 };
	int r = rules_read(p, files, n, &rules, faults);

	for (const struct rule *rule = rules.first; r == 0 && rule; rule = rule->next)
		say_rule(text, rule, !rule->only || facts_hold(&p->facts, rule->only));
	rules_free(&rules);
	return text->failed ? -ENOMEM : r;
}
