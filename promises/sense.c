/*
 * Conditions that can never hold, or never fail: a mistake nearly always. Judged by what is written and by what a value can be at all: sizes,
 * percentages, times and counters are not negative; what is compared twice is within both bounds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "promises/typing.h"

/* What an expression's truth can be */
struct can {
	bool hold, fail;
};

static struct can judge(struct typing *t, const struct expr *e);

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* The value of what names no series; NaN otherwise */
static double constant_value(const struct expr *e)
{
	double a, b;

	if (!e->constant)
		return NAN;
	if (e->kind == EXPR_NUMBER)
		return e->number;
	if (e->kind == EXPR_MINUS)
		return -constant_value(e->items[0]);
	if (e->kind != EXPR_ARITH)
		return NAN;
	a = constant_value(e->items[0]);
	b = constant_value(e->items[1]);
	return e->op == OP_ADD ? a + b : e->op == OP_SUBTRACT ? a - b : e->op == OP_MULTIPLY ? a * b : a / b;
}

/* Is it never below 0? The name itself, and the functions that stay within its values; others by what they are */
static bool not_negative(const struct expr *e)
{
	const struct expr *name = e;

	if (e->kind == EXPR_RECORDS)
		return true;
	if (e->kind == EXPR_CALL) {
		if (e->op == OP_COUNT || e->op == OP_STDDEV || e->op == OP_AGE)
			return true;
		if (e->op == OP_DELTA || e->op == OP_FORECAST)
			return false;
		if (e->op == OP_RATE)
			return e->items[0]->metric_index >= 0 && e->items[0]->metric_kind == KITH_COUNTER;
		name = e->items[0];
	}
	if (name->kind != EXPR_NAME || name->metric_index < 0)
		return false;
	return name->metric_kind == KITH_COUNTER || !strcmp(name->unit, "B") || !strcmp(name->unit, "%");
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Do two speak of the same value? */
static bool same_value(const struct expr *a, const struct expr *b)
{
	if (a->kind != b->kind || (a->kind != EXPR_NAME && a->kind != EXPR_CALL))
		return false;
	if (a->kind == EXPR_CALL)
		return a->op == b->op && a->window == b->window && a->horizon == b->horizon && fabs(a->share - b->share) < 1e-9 &&
		       same_value(a->items[0], b->items[0]);
	return same_text(a->family, b->family) && same_text(a->instance, b->instance) && same_text(a->metric, b->metric);
}

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

/* Where a comparison with a constant holds */
struct range {
	double low, high;
	bool low_in, high_in, not; /* not: outside of it */
};

static enum expr_op mirrored(enum expr_op op)
{
	return op == OP_LESS ? OP_GREATER : op == OP_LESS_EQUAL ? OP_GREATER_EQUAL : op == OP_GREATER ? OP_LESS :
	       op == OP_GREATER_EQUAL ? OP_LESS_EQUAL : op;
}

/* False: it is no comparison of a value with a constant */
static bool range_of(const struct expr *e, const struct expr **ret_of, struct range *ret_range)
{
	struct range r = { -INFINITY, INFINITY, false, false, false };
	bool swap;
	enum expr_op op;
	double c;

	if (e->kind != EXPR_COMPARE || e->items[0]->type == TYPE_TRUTH)
		return false;
	swap = e->items[0]->constant;
	if (e->items[!swap]->kind == EXPR_STRING)
		c = e->items[!swap]->number; /* a state's place */
	else
		c = constant_value(e->items[!swap]);
	if (isnan(c) || e->items[swap]->constant)
		return false;
	op = swap ? mirrored(e->op) : e->op;
	if (op == OP_GREATER || op == OP_GREATER_EQUAL || op == OP_EQUAL || op == OP_UNEQUAL) {
		r.low = c;
		r.low_in = op != OP_GREATER;
	}
	if (op == OP_LESS || op == OP_LESS_EQUAL || op == OP_EQUAL || op == OP_UNEQUAL) {
		r.high = c;
		r.high_in = op != OP_LESS;
	}
	r.not = op == OP_UNEQUAL;
	*ret_of = e->items[swap];
	*ret_range = r;
	return true;
}

static bool empty(double low, bool low_in, double high, bool high_in)
{
	return low > high || (!(low < high) && !(low_in && high_in));
}

/* Nothing is in both */
static bool apart(const struct range *a, const struct range *b)
{
	double low = a->low > b->low ? a->low : b->low, high = a->high < b->high ? a->high : b->high;
	bool low_in = (a->low_in || a->low < low) && (b->low_in || b->low < low);
	bool high_in = (a->high_in || a->high > high) && (b->high_in || b->high > high);

	if (a->not || b->not) {
		const struct range *in = a->not ? b : a, *out = a->not ? a : b;

		/* x == 5 and x != 5 */
		return !in->not && !(in->low < in->high) && !(in->low < out->low) && !(in->low > out->low);
	}
	return empty(low, low_in, high, high_in);
}

/* Everything is in one or the other: what is outside of both is nothing */
static bool all_of(const struct range *a, const struct range *b)
{
	const struct range *below = a->low < b->low ? a : b, *above = below == a ? b : a;

	if (a->not || b->not) {
		const struct range *out = a->not ? a : b, *other = a->not ? b : a;

		/* x != 5 or whatever holds 5 */
		return other->not ? out->low < other->low || out->low > other->low :
		                    !empty(other->low, other->low_in, out->low, true) && !empty(out->low, true, other->high, other->high_in);
	}
	return isinf(below->low) && isinf(above->high) && above->high > 0 && below->low < 0 &&
	       (below->high > above->low || (!(below->high < above->low) && (below->high_in || above->low_in)));
}

/* ---- conditions -------------------------------------------------------------------------------------------------- */

static struct can judge_compare(const struct expr *e)
{
	struct range r, sizes = { 0, INFINITY, true, false, false };
	const struct expr *of;
	struct can can = { true, true };
	double a = constant_value(e->items[0]), b = constant_value(e->items[1]);

	if (e->constant && !isnan(a) && !isnan(b)) {
		can.hold = e->op == OP_EQUAL ? !(a < b) && !(a > b) : e->op == OP_UNEQUAL ? a < b || a > b : e->op == OP_LESS ? a < b :
		           e->op == OP_LESS_EQUAL ? a <= b : e->op == OP_GREATER ? a > b : a >= b;
		can.fail = !can.hold;
		return can;
	}
	if (!range_of(e, &of, &r) || !not_negative(of))
		return can;
	can.hold = r.not || !apart(&r, &sizes);
	can.fail = r.not ? r.low >= 0 : r.low > 0 || (!(r.low < 0) && !r.low_in) || !isinf(r.high);
	return can;
}

static struct can judge_chain(struct typing *t, const struct expr *e)
{
	bool and = e->kind == EXPR_AND;
	struct can can = { and, !and };

	for (unsigned i = 0; i < e->n_items; i++) {
		struct can one = judge(t, e->items[i]);

		can.hold = and ? can.hold && one.hold : can.hold || one.hold;
		can.fail = and ? can.fail || one.fail : can.fail && one.fail;
	}
	for (unsigned i = 0; i < e->n_items; i++)
		for (unsigned k = 0; k < i; k++) {
			const struct expr *x, *y;
			struct range a, b;

			if (!range_of(e->items[i], &x, &a) || !range_of(e->items[k], &y, &b) || !same_value(x, y))
				continue;
			if (and && apart(&a, &b))
				can.hold = false;
			if (!and && all_of(&a, &b))
				can.fail = false;
		}
	return can;
}

/* Parts that are decided are told where they stand; the whole by the caller */
static struct can judge(struct typing *t, const struct expr *e)
{
	struct can can = { true, true }, inner;

	switch (e->kind) {
	case EXPR_COMPARE:
		can = judge_compare(e);
		break;
	case EXPR_AND:
	case EXPR_OR:
		can = judge_chain(t, e);
		break;
	case EXPR_NOT:
		inner = judge(t, e->items[0]);
		return (struct can){ inner.fail, inner.hold };
	case EXPR_WHILE:
		return judge(t, e->items[1]);
	case EXPR_QUANTIFIER:
		inner = judge(t, e->items[0]);
		return e->op == OP_NONE_OF ? (struct can){ inner.fail, inner.hold } : inner;
	case EXPR_NUMBER:
	case EXPR_STRING:
	case EXPR_BOOL:
	case EXPR_NAME:
	case EXPR_CALL:
	case EXPR_ARITH:
	case EXPR_MINUS:
	case EXPR_IN:
	case EXPR_FACT:
	case EXPR_BETWEEN:
	case EXPR_MATCHES:
	case EXPR_RECORDS:
		return can;
	}
	if (can.hold && can.fail)
		return can;
	if (!t->senseless)
		t->senseless = e;
	return can;
}

/* ---- what is no condition's truth -------------------------------------------------------------------------------- */

/*
 * Is the margin wider than there is room? Below 0 there is none for what is never negative: what was broken once could not be kept again. Under `not` it
 * is what holds that could not fail again.
 */
static bool margin_too_wide(const struct expr *e)
{
	const struct expr *of;
	struct range r;
	double end;

	if (e->kind != EXPR_COMPARE || isnan(e->margin) || !range_of(e, &of, &r) || !not_negative(of))
		return false;
	if (e->negated ? isinf(r.low) : isinf(r.high))
		return false;
	end = (e->negated ? r.low : r.high) - e->margin;
	return (e->negated ? !r.low_in : r.high_in) ? end < 0 : end <= 0;
}

static void check_parts(struct typing *t, const struct expr *e)
{
	if (margin_too_wide(e))
		typing_fault(t, false, e, "take a smaller margin", "once broken this can never be kept again");
	if (e->kind == EXPR_ARITH && e->op == OP_DIVIDE && e->items[1]->constant && fpclassify(constant_value(e->items[1])) == FP_ZERO)
		typing_fault(t, false, e, "this is never known", "a division by zero");
	for (unsigned i = 0; i < e->n_items; i++)
		check_parts(t, e->items[i]);
}

void sense_check(struct typing *t, const struct expr *body)
{
	struct can can;

	check_parts(t, body);
	if (t->errors)
		return;

	t->senseless = NULL;
	can = judge(t, body);
	if (!t->senseless)
		return;
	if (!can.hold)
		typing_fault(t, false, t->senseless, "no value is like that", "this can never be kept");
	else if (!can.fail)
		typing_fault(t, true, t->senseless, "it promises nothing", "this is always kept");
	else
		typing_fault(t, true, t->senseless, "take it out, or write what was meant", "this part is always the same");
}
