#include "promises/typing.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "base/units.h"
#include "promises/regex.h"

#define HINT_MAX 512
#define SUGGEST_NAMES 256

static bool type_check(struct typing *t, struct expr *e);

static void type_fault(struct typing *t, bool warning, size_t at, size_t width, const char *hint, const char *format,
                       ...)
        __attribute__((format(printf, 6, 7)));
static void type_fault(struct typing *t, bool warning, size_t at, size_t width, const char *hint, const char *format,
                       ...)
{
	struct buf b = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&b, format, args);
	va_end(args);
	if (t->faults)
		fault_add(t->faults, warning, t->path, t->text, t->length, at, width, hint && *hint ? hint : NULL,
		          "%s", buf_text(&b));
	else if (!warning && t->reason && !t->reason->length)
		buf_puts(t->reason, buf_text(&b));
	buf_free(&b);
	t->errors += !warning;
}

#define expr_fault(t, e, hint, ...) type_fault(t, false, (e)->at, (e)->width, hint, __VA_ARGS__)

void typing_fault(struct typing *t, bool warning, const struct expr *e, const char *hint, const char *text)
{
	type_fault(t, warning, e->at, e->width, hint, "%s", text);
}

static void set_unit(struct expr *e, const char *unit, const char *more)
{
	char text[UNIT_LENGTH];
	size_t n = strlen(unit), m = strlen(more);

	if (n > sizeof(text) - 1)
		n = sizeof(text) - 1;
	if (m > sizeof(text) - 1 - n)
		m = sizeof(text) - 1 - n;
	memcpy(text, unit, n);
	memcpy(text + n, more, m);
	text[n + m] = '\0';
	memcpy(e->unit, text, sizeof(text));
}

static bool plain(const char *unit)
{
	return !*unit || !strcmp(unit, "1");
}

/* "a size (B)" */
static const char *unit_words(const char *unit, char *text, size_t size)
{
	size_t n = strlen(unit);

	if (plain(unit))
		snprintf(text, size, "a plain number");
	else if (!strcmp(unit, "B"))
		snprintf(text, size, "a size (B)");
	else if (!strcmp(unit, "%"))
		snprintf(text, size, "a percentage (%%)");
	else if (!strcmp(unit, "s"))
		snprintf(text, size, "a duration (s)");
	else if (n >= 2 && !strcmp(unit + n - 2, "/s"))
		snprintf(text, size, "a rate (%s)", unit);
	else
		snprintf(text, size, "a number of %s", unit);
	return text;
}

/* How to write a value of this unit */
static void unit_example(const char *unit, char *hint)
{
	static const char *const examples[][2] = { { "B", "1GiB" },      { "%", "10%" },   { "s", "10s" },
		                                   { "B/s", "1MiB/s" }, { "%/s", "1%/s" }, { "s/s", "0.5" } };

	for (size_t i = 0; i < KITH_COUNT(examples); i++)
		if (!strcmp(unit, examples[i][0])) {
			snprintf(hint, HINT_MAX, "write a value such as %s", examples[i][1]);
			return;
		}
	snprintf(hint, HINT_MAX, "a bare number fits any unit");
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static void family_warn(struct typing *t, const char *family, size_t at)
{
	const char *names[SUGGEST_NAMES], *near;
	char hint[HINT_MAX] = "";
	size_t n = 0;

	if (!t->model || !t->faults)
		return;
	for (unsigned i = 0; i < t->n_warned; i++)
		if (!strcmp(t->warned[i], family))
			return;
	if (t->n_warned < TYPING_WARNED_MAX)
		t->warned[t->n_warned++] = family;
	for (const struct family *f = family_first(t->model); f && n < SUGGEST_NAMES; f = family_next(f))
		names[n++] = f->name;
	near = suggest(family, strlen(family), names, n);
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"? until it comes this is unknown", near);
	else
		snprintf(hint, sizeof(hint), "until it comes this is unknown");
	type_fault(t, true, at, strlen(family), hint, "no plugin gives family \"%s\"", family);
}

/* `df:/:fre`: what was meant, or what there is */
static void metric_fault(struct typing *t, const struct expr *e, const struct family *f)
{
	const char *names[KITH_METRICS_MAX], *near;
	char hint[HINT_MAX];
	size_t length;

	for (uint32_t i = 0; i < f->n_metrics; i++)
		names[i] = f->metrics[i].name;
	near = suggest(e->metric, strlen(e->metric), names, f->n_metrics);
	if (near) {
		snprintf(hint, sizeof(hint), "did you mean \"%s:%s%s%s\"?", e->family, e->instance, e->three ? ":" : "", near);
	} else {
		length = (size_t)snprintf(hint, sizeof(hint), "it has ");
		for (uint32_t i = 0; i < f->n_metrics && length < HINT_MAX - 2 * NAME_PART_MAX; i++)
			length += (size_t)snprintf(hint + length, sizeof(hint) - length, "%s%s", i ? ", " : "",
			                           i < 12 ? names[i] : "…");
	}
	expr_fault(t, e, hint, "family \"%s\" has no metric \"%s\"", e->family, e->metric);
}

static bool check_scope(struct typing *t, struct expr *e)
{
	const struct rule *r = t->rule;
	bool of_promiser = r->family && !strcmp(r->family, e->family) && !strcmp(r->instance, e->instance);
	const struct expr *q = t->quantifier;

	e->scope = SCOPE_ITSELF;
	if (!e->pattern)
		return true;
	if (q && q->family && !strcmp(q->family, e->family) && !strcmp(q->instance, e->instance)) {
		e->scope = SCOPE_QUANTIFIER;
		return true;
	}
	if (of_promiser) {
		e->scope = SCOPE_PROMISER;
		return true;
	}
	if (r->family && !strcmp(r->family, e->family)) {
		char hint[HINT_MAX];

		snprintf(hint, sizeof(hint), "write %s:%s:%s, as the promiser does, or all, any, none or some N before it",
		         e->family, r->instance, e->metric);
		expr_fault(t, e, hint, "\"%s:%s\" stands for many", e->family, e->instance);
		return false;
	}
	expr_fault(t, e, "write all, any, none or some N before the comparison", "\"%s:%s\" stands for many", e->family, e->instance);
	return false;
}

static bool check_name(struct typing *t, struct expr *e)
{
	const struct family *f = t->model ? family_find(t->model, e->family, strlen(e->family)) : NULL;
	char hint[HINT_MAX];
	int k;

	e->metric_index = -1;
	e->metric_flags = 0;
	e->metric_kind = KITH_GAUGE;
	e->type = TYPE_ANY;
	e->unit[0] = '\0';
	if (!check_scope(t, e))
		return false;
	if (!f) {
		family_warn(t, e->family, e->at);
		return true;
	}
	if (e->three && !f->instance_label) {
		snprintf(hint, sizeof(hint), "did you mean \"%s:%s\"?", e->family, e->metric);
		expr_fault(t, e, hint, "family \"%s\" has no instances", e->family);
		return false;
	}
	if (!e->three && f->instance_label) {
		bool metric = family_metric(f, e->metric, strlen(e->metric)) >= 0;

		snprintf(hint, sizeof(hint), metric ? "write %s:NAME:%s, or all %s:*:%s" : "write %s:%s:METRIC", e->family, e->metric,
		         e->family, e->metric);
		expr_fault(t, e, hint, "a name of family \"%s\" has a %s and a metric", e->family, f->instance_label);
		return false;
	}
	k = family_metric(f, e->metric, strlen(e->metric));
	if (k < 0) {
		metric_fault(t, e, f);
		return false;
	}
	e->metric_index = k;
	e->metric_kind = f->metrics[k].kind;
	e->metric_flags = f->metrics[k].flags;
	e->type = e->metric_kind == KITH_STATE ? TYPE_STATE : TYPE_NUMBER;
	set_unit(e, e->type == TYPE_NUMBER ? f->metrics[k].unit : "", "");
	return true;
}

static const struct metric *metric_of(const struct typing *t, const struct expr *e)
{
	const struct family *f;

	if (e->kind == EXPR_QUANTIFIER || e->kind != EXPR_NAME || e->metric_index < 0 || !t->model)
		return NULL;
	f = family_find(t->model, e->family, strlen(e->family));
	return f && (uint32_t)e->metric_index < f->n_metrics ? &f->metrics[e->metric_index] : NULL;
}

/* ---- comparisons ------------------------------------------------------------------------------------------------ */

static void states_hint(const struct metric *m, char *hint)
{
	size_t length = (size_t)snprintf(hint, HINT_MAX, "it is one of ");

	for (uint32_t i = 0; i < m->n_states && length < HINT_MAX - 80; i++)
		length += (size_t)snprintf(hint + length, HINT_MAX - length, "%s\"%.60s\"", i ? ", " : "", m->states[i]);
}

/* A string beside a state: finds its index */
static bool check_state(struct typing *t, const struct expr *name, struct expr *text)
{
	const struct metric *m = metric_of(t, name);
	const char *near;
	char hint[HINT_MAX];

	if (!m)
		return true;
	for (uint32_t i = 0; i < m->n_states; i++)
		if (!strcmp(m->states[i], text->text)) {
			text->number = i;
			return true;
		}
	near = suggest(text->text, strlen(text->text), (const char *const *)m->states, m->n_states);
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	else
		states_hint(m, hint);
	expr_fault(t, text, hint, "%s has no state \"%.100s\"", name->metric, text->text);
	return false;
}

/* A metric of the same family that has the other side's unit: free_percent for free */
static bool sibling(const struct typing *t, const struct expr *name, const char *unit, char *hint)
{
	const struct metric *m = metric_of(t, name);
	const struct family *f;
	size_t n;

	if (!m)
		return false;
	f = family_find(t->model, name->family, strlen(name->family));
	n = strlen(m->name);
	for (uint32_t i = 0; i < f->n_metrics; i++) {
		const struct metric *o = &f->metrics[i];
		size_t k = strlen(o->name);
		const char *longer = k > n ? o->name : m->name;
		size_t least = k > n ? n : k;
		bool same = !strncmp(o->name, m->name, least) && longer[least] == '_';

		if (o != m && same && !strcmp(o->unit, unit)) {
			snprintf(hint, HINT_MAX, "did you mean \"%s:%s%s%s\"?", name->family, name->instance, name->three ? ":" : "",
			         o->name);
			return true;
		}
	}
	return false;
}

static void unit_hint(const struct typing *t, const struct expr *a, const struct expr *b, char *hint)
{
	const struct expr *name = metric_of(t, a) ? a : b, *other = name == a ? b : a;
	size_t n = strlen(other->unit);

	if (metric_of(t, name) && n > 2 && !strcmp(other->unit + n - 2, "/s") && name->metric_kind == KITH_COUNTER &&
	    strlen(name->unit) == n - 2 && !strncmp(name->unit, other->unit, n - 2))
		snprintf(hint, HINT_MAX, "did you mean rate(%s:%s%s%s)?", name->family, name->instance, name->three ? ":" : "",
		         name->metric);
	else if (!strcmp(other->unit, "/s") && name->metric_kind == KITH_COUNTER && metric_of(t, name))
		snprintf(hint, HINT_MAX, "did you mean rate(%s:%s%s%s)?", name->family, name->instance, name->three ? ":" : "",
		         name->metric);
	else if (!sibling(t, name, other->unit, hint))
		unit_example(b->kind == EXPR_NUMBER ? a->unit : b->unit, hint);
}

/* A unit that says how much, and not of what there are so many */
static bool measures(const char *unit)
{
	static const char *const units[] = { "B", "s", "%", "Hz", "Cel" };
	size_t n = strlen(unit);

	for (size_t i = 0; i < KITH_COUNT(units); i++)
		if (!strcmp(unit, units[i]))
			return true;
	return n >= 2 && !strcmp(unit + n - 2, "/s");
}

/* A number that is written fits any unit; a value without one is not so many bytes, seconds or percent: a ratio of 0.1 is not above 10 %. */
static bool lacks_unit(const struct expr *e, const struct expr *other)
{
	return e->type == TYPE_NUMBER && !e->constant && plain(e->unit) && measures(other->unit);
}

static bool check_units(struct typing *t, const struct expr *a, const struct expr *b, const char *verb)
{
	char hint[HINT_MAX], x[80], y[80];
	bool lacks = lacks_unit(a, b) || lacks_unit(b, a);

	if (a->type == TYPE_ANY || b->type == TYPE_ANY || (unit_fits(a->unit, b->unit) && !lacks))
		return true;
	if (lacks && (!strcmp(a->unit, "%") || !strcmp(b->unit, "%")))
		snprintf(hint, sizeof(hint), "write the bare number, or make it a percentage: … * 100%%");
	else if (lacks)
		snprintf(hint, sizeof(hint), "write the bare number");
	else
		unit_hint(t, a, b, hint);
	expr_fault(t, b, hint, "%s cannot be %s %s", unit_words(a->unit, x, sizeof(x)), verb,
	           unit_words(b->unit, y, sizeof(y)));
	return false;
}

static bool check_margin(struct typing *t, const struct expr *e)
{
	const char *unit = plain(e->items[0]->unit) ? e->items[1]->unit : e->items[0]->unit;
	char hint[HINT_MAX], x[80], y[80];
	bool lacks;

	if (isnan(e->margin) || e->items[0]->type == TYPE_ANY || e->items[1]->type == TYPE_ANY)
		return true;
	lacks = plain(unit) && measures(e->margin_unit);
	if (unit_fits(unit, e->margin_unit) && !lacks)
		return true;
	if (lacks)
		snprintf(hint, sizeof(hint), "write the bare number: how much it is, not which part of it");
	else
		unit_example(unit, hint);
	type_fault(t, false, e->margin_at, e->margin_width, hint, "the margin is %s, the comparison %s",
	           unit_words(e->margin_unit, x, sizeof(x)), unit_words(unit, y, sizeof(y)));
	return false;
}

static bool is_ordering(enum expr_op op)
{
	return op == OP_LESS || op == OP_LESS_EQUAL || op == OP_GREATER || op == OP_GREATER_EQUAL;
}

/* A state on one side (or what may be one) and a string on the other, or a fault */
static bool check_state_pair(struct typing *t, const struct expr *e, const struct expr *state, struct expr *other)
{
	const struct metric *m = metric_of(t, state);
	char hint[HINT_MAX] = "";

	if (m)
		states_hint(m, hint);
	if (other->type == TYPE_STATE) {
		expr_fault(t, other, hint, "two states cannot be compared with each other");
		return false;
	}
	if (other->type != TYPE_STRING && other->type != TYPE_ANY) {
		expr_fault(t, other, hint, "%s is a state, it cannot be compared with a %s", state->metric,
		           other->type == TYPE_TRUTH ? "truth value" : "number");
		return false;
	}
	if (is_ordering(e->op)) {
		expr_fault(t, e, "use == or !=, or in [ … ]", "states have no order");
		return false;
	}
	return other->type != TYPE_STRING || check_state(t, state, other);
}

static bool check_compare(struct typing *t, struct expr *e)
{
	struct expr *a = e->items[0], *b = e->items[1];

	if (a->type == TYPE_STATE)
		return check_state_pair(t, e, a, b);
	if (b->type == TYPE_STATE)
		return check_state_pair(t, e, b, a);
	if (a->type == TYPE_STRING && b->type == TYPE_STRING && (a->kind == EXPR_FACT || b->kind == EXPR_FACT))
		return true; /* texts of facts are ordered as versions are */
	if (a->type == TYPE_STRING || b->type == TYPE_STRING) {
		struct expr *text = b->type == TYPE_STRING ? b : a, *other = text == b ? a : b;

		if (other->type == TYPE_ANY && other->kind == EXPR_NAME && !is_ordering(e->op))
			return true;
		expr_fault(t, text, NULL,
		           other->type == TYPE_ANY ? "states have no order" : "a string is compared with a state alone");
		return false;
	}
	if (a->type == TYPE_TRUTH || b->type == TYPE_TRUTH) {
		if (a->type == b->type && !is_ordering(e->op))
			return true;
		expr_fault(t, e, "use and, or, not", a->type == b->type ? "truth values have no order" :
		                                                          "a truth value cannot be compared with a number");
		return false;
	}
	return check_units(t, a, b, "compared with") && check_margin(t, e);
}

static bool check_in(struct typing *t, struct expr *e)
{
	const struct expr *left = e->items[0];
	bool ok = true;

	if (left->type == TYPE_TRUTH || (left->type == TYPE_STRING && left->kind != EXPR_FACT)) {
		expr_fault(t, left, NULL, "\"in\" takes a state or a number");
		return false;
	}
	for (unsigned i = 1; i < e->n_items; i++) {
		struct expr *item = e->items[i];

		if (left->type == TYPE_STATE) {
			ok &= check_state_pair(t, e, left, item);
		} else if (left->type == TYPE_STRING && item->type != TYPE_STRING) {
			expr_fault(t, item, NULL, "a text cannot be compared with a number");
			ok = false;
		} else if (left->type == TYPE_NUMBER && item->type == TYPE_STRING) {
			expr_fault(t, item, NULL, "a number cannot be compared with a string");
			ok = false;
		} else {
			ok &= check_units(t, left, item, "compared with");
		}
	}
	return ok;
}

/* ---- arithmetic, calls ------------------------------------------------------------------------------------------ */

static bool numeric(struct typing *t, const struct expr *e, const char *what)
{
	static const char *const is[] = { "", "", "a state", "a string", "a truth value" };

	if (e->type == TYPE_NUMBER || e->type == TYPE_ANY)
		return true;
	expr_fault(t, e, NULL, "%s takes numbers, this is %s", what, is[e->type]);
	return false;
}

/* "B/s" of "B" and so on: is `rate` the unit `of` per second? */
static bool is_rate_of(const char *rate, const char *of)
{
	size_t n = strlen(rate), m = plain(of) ? 0 : strlen(of);

	return n == m + 2 && !strncmp(rate, of, m) && !strcmp(rate + m, "/s");
}

static bool product(struct expr *e, const char *a, const char *b)
{
	if (plain(a))
		set_unit(e, b, "");
	else if (plain(b))
		set_unit(e, a, "");
	else if (!strcmp(b, "s") && strlen(a) >= 2 && !strcmp(a + strlen(a) - 2, "/s"))
		set_unit(e, a, ""), e->unit[strlen(e->unit) - 2] = '\0';
	else if (!strcmp(a, "s") && strlen(b) >= 2 && !strcmp(b + strlen(b) - 2, "/s"))
		set_unit(e, b, ""), e->unit[strlen(e->unit) - 2] = '\0';
	else
		return false;
	return true;
}

static bool quotient(struct expr *e, const char *a, const char *b)
{
	if (!strcmp(a, b))
		set_unit(e, "", "");
	else if (plain(b))
		set_unit(e, a, "");
	else if (!strcmp(b, "s"))
		set_unit(e, plain(a) ? "" : a, "/s");
	else if (is_rate_of(b, a))
		set_unit(e, "s", "");
	else
		return false;
	return true;
}

static bool check_arith(struct typing *t, struct expr *e)
{
	struct expr *a = e->items[0], *b = e->items[1];
	char x[80], y[80];
	bool ok;

	if (!numeric(t, a, "arithmetic") || !numeric(t, b, "arithmetic"))
		return false;
	e->type = TYPE_NUMBER;
	if (a->type == TYPE_ANY || b->type == TYPE_ANY) {
		e->type = TYPE_ANY;
		set_unit(e, "", "");
		return true;
	}
	if (e->op == OP_ADD || e->op == OP_SUBTRACT) {
		set_unit(e, plain(a->unit) ? b->unit : a->unit, "");
		return check_units(t, a, b, e->op == OP_ADD ? "added to" : "reduced by");
	}
	ok = e->op == OP_MULTIPLY ? product(e, a->unit, b->unit) : quotient(e, a->unit, b->unit);
	if (!ok)
		expr_fault(t, b, NULL, "%s cannot be %s %s", unit_words(a->unit, x, sizeof(x)),
		           e->op == OP_MULTIPLY ? "multiplied by" : "divided by", unit_words(b->unit, y, sizeof(y)));
	return ok;
}

static bool check_call(struct typing *t, struct expr *e)
{
	struct expr *of = e->items[0];
	char hint[HINT_MAX];

	e->type = of->type;
	if (of->type == TYPE_STATE && e->op != OP_COUNT && e->op != OP_CHANGED && e->op != OP_AGE) {
		snprintf(hint, sizeof(hint), "%s is a state", of->metric);
		expr_fault(t, of, hint, "%s() takes a number", e->text);
		return false;
	}
	if (e->op == OP_COUNT) {
		e->type = TYPE_NUMBER;
		set_unit(e, "", "");
	} else if (e->op == OP_CHANGED) {
		e->type = TYPE_TRUTH;
		set_unit(e, "", "");
	} else if (e->op == OP_AGE) {
		e->type = TYPE_NUMBER;
		set_unit(e, "s", "");
	} else if (e->op == OP_RATE) {
		if (of->metric_index >= 0 && of->metric_kind == KITH_GAUGE) {
			snprintf(hint, sizeof(hint), "did you mean delta(%s:%s%s%s, 1m)?", of->family, of->instance, of->three ? ":" : "",
			         of->metric);
			type_fault(t, true, e->at, e->width, hint, "%s goes up and down: a rate is that of a counter", of->metric);
		}
		set_unit(e, plain(of->unit) ? "" : of->unit, of->type == TYPE_ANY ? "" : "/s");
	} else {
		set_unit(e, of->unit, "");
	}
	return true;
}

/* ---- truth ------------------------------------------------------------------------------------------------------ */

static bool check_truth(struct typing *t, const struct expr *e)
{
	char words[80], hint[HINT_MAX];

	if (e->type == TYPE_TRUTH)
		return true;
	if (e->type == TYPE_NUMBER && e->unit[0]) {
		snprintf(hint, sizeof(hint), "compare it: … > value");
		expr_fault(t, e, hint, "a condition is needed here, this is %s", unit_words(e->unit, words, sizeof(words)));
	} else if (e->type == TYPE_STATE) {
		expr_fault(t, e, "compare it: … == \"state\"", "a condition is needed here, this is a state");
	} else {
		expr_fault(t, e, "compare it with something", "a condition is needed here, this is a %s",
		           e->type == TYPE_STRING ? "string" : e->type == TYPE_NUMBER ? "number" : "value");
	}
	return false;
}

/*
 * The pattern that a quantifier goes over: the one within that is not the promiser's; the promiser's when it is alone
 */
struct patterns {
	const struct expr *own, *promisers, *inner;
	bool several;
};

static void find_patterns(const struct rule *r, const struct expr *e, struct patterns *found)
{
	if (e->kind == EXPR_QUANTIFIER && !found->inner)
		found->inner = e;
	for (unsigned i = 0; i < e->n_items; i++)
		find_patterns(r, e->items[i], found);
	if (e->kind != EXPR_NAME || !e->pattern)
		return;
	if (r->family && !strcmp(r->family, e->family) && !strcmp(r->instance, e->instance))
		found->promisers = e;
	else if (!found->own)
		found->own = e;
	else
		found->several |= strcmp(found->own->family, e->family) || strcmp(found->own->instance, e->instance);
}

static bool check_quantifier(struct typing *t, struct expr *e)
{
	struct patterns found = { 0 };
	const struct expr *over;
	bool ok;

	find_patterns(t->rule, e->items[0], &found);
	over = found.own ? found.own : found.promisers;
	if (found.inner) {
		expr_fault(t, found.inner, "split it into two promises", "all, any, none and some cannot be nested");
		return false;
	}
	if (!over) {
		expr_fault(t, e->items[0], "write * for the instance", "\"%s\" needs a name with a pattern", e->text);
		return false;
	}
	if (found.several) {
		expr_fault(t, e->items[0], "split it", "\"%s\" goes over one pattern, there are several here", e->text);
		return false;
	}
	e->family = over->family;
	e->instance = over->instance;
	t->quantifier = e;
	ok = type_check(t, e->items[0]) && check_truth(t, e->items[0]);
	t->quantifier = NULL;
	return ok;
}

/* A state's name, or a fact's text. A pattern that no state is like is a mistake. */
static bool check_matches(struct typing *t, struct expr *e)
{
	const struct expr *left = e->items[0];
	const struct metric *m = metric_of(t, left);
	char hint[HINT_MAX] = "";
	bool any = !m;

	e->type = TYPE_TRUTH;
	if (left->type != TYPE_STATE && left->type != TYPE_ANY && !(left->type == TYPE_STRING && left->kind == EXPR_FACT)) {
		expr_fault(t, left, NULL, "\"matches\" takes a state or a text");
		return false;
	}
	for (uint32_t i = 0; m && i < m->n_states; i++)
		any |= regex_matches(e->regex, m->states[i]);
	if (any)
		return true;
	states_hint(m, hint);
	expr_fault(t, e, hint, "no state of %s matches \"%.100s\"", left->metric, e->text);
	return false;
}

static bool check_items(struct typing *t, struct expr *e)
{
	bool ok = true;

	for (unsigned i = 0; i < e->n_items; i++)
		ok &= type_check(t, e->items[i]);
	return ok;
}

static bool check_truths(struct typing *t, struct expr *e)
{
	bool ok = true;

	for (unsigned i = 0; i < e->n_items; i++)
		ok &= type_check(t, e->items[i]) && check_truth(t, e->items[i]);
	return ok;
}

/* Types of `e` and all below; a part that failed is not judged further, its neighbours are */
static bool type_check(struct typing *t, struct expr *e)
{
	e->type = TYPE_TRUTH;
	switch (e->kind) {
	case EXPR_NUMBER:
		e->type = TYPE_NUMBER;
		return true;
	case EXPR_STRING:
		e->type = TYPE_STRING;
		return true;
	case EXPR_BOOL:
		return true;
	case EXPR_NAME:
		return check_name(t, e);
	case EXPR_FACT:
		facts_type(e);
		return true;
	case EXPR_BETWEEN:
		return true;
	case EXPR_MATCHES:
		return check_items(t, e) && check_matches(t, e);
	case EXPR_RECORDS:
		e->type = TYPE_NUMBER;
		set_unit(e, "", "");
		return true;
	case EXPR_WHILE:
		return check_truths(t, e);
	case EXPR_CALL:
		return check_items(t, e) && check_call(t, e);
	case EXPR_ARITH:
		return check_items(t, e) && check_arith(t, e);
	case EXPR_MINUS:
		if (!check_items(t, e) || !numeric(t, e->items[0], "a minus"))
			return false;
		e->type = e->items[0]->type;
		set_unit(e, e->items[0]->unit, "");
		return true;
	case EXPR_COMPARE:
		if (!check_items(t, e) || !check_compare(t, e))
			return false;
		e->type = TYPE_TRUTH;
		return true;
	case EXPR_IN:
		return check_items(t, e) && check_in(t, e);
	case EXPR_AND:
	case EXPR_OR:
	case EXPR_NOT:
		return check_truths(t, e);
	case EXPR_QUANTIFIER:
		return check_quantifier(t, e);
	}
	return false;
}

static void set_negated(struct expr *e, bool negated)
{
	e->negated = negated;
	if (e->kind == EXPR_NOT || (e->kind == EXPR_QUANTIFIER && e->op == OP_NONE_OF))
		negated = !negated;
	for (unsigned i = 0; i < e->n_items; i++)
		set_negated(e->items[i], negated);
}

bool typing_check(struct typing *t, struct rule *rule)
{
	const struct family *f;

	t->rule = rule;
	t->quantifier = NULL;
	t->errors = 0;
	if (rule->family) {
		f = t->model ? family_find(t->model, rule->family, strlen(rule->family)) : NULL;
		if (!f)
			family_warn(t, rule->family, rule->promiser_at);
		else if (!f->instance_label)
			type_fault(t, false, rule->promiser_at, rule->promiser_width, NULL, "family \"%s\" has no instances", rule->family);
	}
	if (rule->only && type_check(t, rule->only))
		check_truth(t, rule->only);
	if (rule->body && type_check(t, rule->body) && check_truth(t, rule->body))
		set_negated(rule->body, false);
	if (rule->body && !t->errors)
		sense_check(t, rule->body);
	return !t->errors;
}
