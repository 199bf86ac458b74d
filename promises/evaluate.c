/* A sample's way through a condition: from its leaf up, as far as something changes. No allocation here. */
#include <math.h>
#include <string.h>

#include "promises/engine.h"
#include "promises/regex.h"

/* ---- one node ---------------------------------------------------------------------------------------------------- */

static double operand(const struct node *n)
{
	return n->e->kind == EXPR_STRING ? n->e->number : n->number;
}

bool compare_numbers(enum expr_op op, double a, double b)
{
	switch (op) {
	case OP_LESS:
		return a < b;
	case OP_LESS_EQUAL:
		return a <= b;
	case OP_GREATER:
		return a > b;
	case OP_GREATER_EQUAL:
		return a >= b;
	case OP_EQUAL:
		return a == b;
	case OP_UNEQUAL:
		return a != b;
	case OP_NONE:
	case OP_ADD:
	case OP_SUBTRACT:
	case OP_MULTIPLY:
	case OP_DIVIDE:
	case OP_ALL:
	case OP_ANY:
	case OP_NONE_OF:
	case OP_SOME:
	case OP_RATE:
	case OP_DELTA:
	case OP_AVG:
	case OP_MIN:
	case OP_MAX:
	case OP_SUM:
	case OP_COUNT:
	case OP_STDDEV:
	case OP_PERCENTILE:
	case OP_FORECAST:
	case OP_CHANGED:
	case OP_AGE:
	case OP_RECORDS:
		break;
	}
	return false;
}

/*
 * Margin: once it failed, a comparison must hold by the margin to hold again. Where failing is what is promised (under
 * `not`), once it held it must fail by the margin to fail again.
 */
static bool with_margin(struct node *n, double a, double b)
{
	const struct expr *e = n->e;
	double shift = e->op == OP_GREATER || e->op == OP_GREATER_EQUAL ? e->margin : -e->margin;
	bool holds;

	if (n->latched)
		holds = compare_numbers(e->op, a, e->negated ? b - shift : b + shift);
	else
		holds = compare_numbers(e->op, a, b);
	n->latched = holds == e->negated;
	return holds;
}

static uint8_t truth_of(bool holds)
{
	return holds ? KITH_KEPT : KITH_BROKEN;
}

static uint8_t compare(struct node *n)
{
	const struct expr *e = n->e;
	const struct node *x = &n->kids[0], *y = &n->kids[1];
	double a, b;

	if (x->e->type == TYPE_TRUTH) {
		if (!x->truth || !y->truth)
			return KITH_UNKNOWN;
		return truth_of((x->truth == y->truth) == (e->op == OP_EQUAL));
	}
	a = operand(x);
	b = operand(y);
	if (isnan(a) || isnan(b)) {
		if (n->attends)
			attention_turn(n, NAN, false);
		return KITH_UNKNOWN;
	}
	if (n->attends)
		attention_see(n, a, b);
	return truth_of(isnan(e->margin) ? compare_numbers(e->op, a, b) : with_margin(n, a, b));
}

static uint8_t is_in(const struct node *n)
{
	double a = n->kids[0].number;

	if (isnan(a))
		return KITH_UNKNOWN;
	for (unsigned i = 1; i < n->e->n_items; i++) {
		const struct expr *item = n->e->items[i];

		if (a == (item->kind == EXPR_MINUS ? -item->items[0]->number : item->number))
			return KITH_KEPT;
	}
	return KITH_BROKEN;
}

static uint8_t matches(const struct node *n)
{
	const struct node *left = &n->kids[0];
	const struct series *s = left->e->kind == EXPR_NAME && left->leaf ? left->leaf->series : NULL;
	const struct metric *m = s ? series_metric(s) : NULL;

	if (isnan(left->number) || !m || m->kind != KITH_STATE || !(left->number >= 0 && left->number < m->n_states))
		return KITH_UNKNOWN;
	return truth_of(regex_matches(n->e->regex, m->states[(uint32_t)left->number]));
}

/* `decides`: the truth of one kid that settles it */
static uint8_t chain(const struct node *n, uint8_t decides)
{
	uint8_t truth = decides == KITH_BROKEN ? KITH_KEPT : KITH_BROKEN;

	for (unsigned i = 0; i < n->n_kids; i++) {
		if (n->kids[i].truth == decides)
			return decides;
		if (n->kids[i].truth == KITH_UNKNOWN)
			truth = KITH_UNKNOWN;
	}
	return truth;
}

static uint8_t opposite(uint8_t truth)
{
	return truth == KITH_UNKNOWN ? KITH_UNKNOWN : truth == KITH_KEPT ? KITH_BROKEN : KITH_KEPT;
}

/* Of how many it is promised */
unsigned quantifier_least(const struct node *n)
{
	return n->e->least ? n->e->least : (unsigned)ceil(n->e->share * n->quantifier->n_joined - 1e-9);
}

static uint8_t quantify_some(const struct node *n)
{
	const struct quantifier *q = n->quantifier;
	unsigned least = quantifier_least(n);

	if (q->counts[KITH_KEPT] >= least && (n->e->least || !q->gather))
		return KITH_KEPT;
	if (q->gather)
		return KITH_UNKNOWN;
	return q->counts[KITH_KEPT] + q->counts[KITH_UNKNOWN] < least ? KITH_BROKEN : KITH_UNKNOWN;
}

static uint8_t quantify(const struct node *n)
{
	const struct quantifier *q = n->quantifier;
	uint8_t decides = n->e->op == OP_ALL ? KITH_BROKEN : KITH_KEPT, truth;

	if (!q->n_joined)
		return KITH_UNKNOWN;
	if (n->e->op == OP_SOME)
		return quantify_some(n);
	truth = q->counts[decides] ? decides : q->counts[KITH_UNKNOWN] || q->gather ? KITH_UNKNOWN : opposite(decides);
	return n->e->op == OP_NONE_OF ? opposite(truth) : truth;
}

static double arithmetic(enum expr_op op, double a, double b)
{
	double v = op == OP_ADD ? a + b : op == OP_SUBTRACT ? a - b : op == OP_MULTIPLY ? a * b : a / b;

	return isfinite(v) ? v : NAN;
}

/* Its value from its kids'. True when it is another one now. */
static bool node_compute(struct node *n)
{
	uint8_t truth = n->truth;
	double number = n->number;

	switch (n->e->kind) {
	case EXPR_NUMBER:
	case EXPR_STRING:
		number = n->e->number;
		break;
	case EXPR_BOOL:
		truth = truth_of(n->e->number != 0);
		break;
	case EXPR_NAME:
	case EXPR_CALL: /* its leaf sets it */
	case EXPR_FACT: /* of no condition that is bound */
		return false;
	case EXPR_ARITH:
		number = arithmetic(n->e->op, n->kids[0].number, n->kids[1].number);
		break;
	case EXPR_MINUS:
		number = -n->kids[0].number;
		break;
	case EXPR_COMPARE:
		truth = compare(n);
		break;
	case EXPR_IN:
		truth = is_in(n);
		break;
	case EXPR_AND:
		truth = chain(n, KITH_BROKEN);
		break;
	case EXPR_OR:
		truth = chain(n, KITH_KEPT);
		break;
	case EXPR_NOT:
		truth = opposite(n->kids[0].truth);
		break;
	case EXPR_QUANTIFIER:
		truth = quantify(n);
		break;
	case EXPR_BETWEEN: /* time sets it */
	case EXPR_RECORDS: /* its records do */
		return false;
	case EXPR_MATCHES:
		truth = matches(n);
		break;
	case EXPR_WHILE:
		truth = n->kids[0].truth == KITH_KEPT ? n->kids[1].truth : KITH_UNKNOWN;
		break;
	}
	if (truth == n->truth && (number == n->number || (isnan(number) && isnan(n->number))))
		return false;
	n->truth = truth;
	n->number = number;
	return true;
}

/* ---- upwards ----------------------------------------------------------------------------------------------------- */

static void climb(struct node *n);

/* The root of a quantifier's tree may have changed */
static void tree_changed(struct tree *tree)
{
	struct quantifier *q;
	uint8_t truth = tree->nodes[0].truth;

	if (!tree->over || !tree->joined || truth == tree->counted)
		return;
	q = tree->over->quantifier;
	q->counts[tree->counted]--;
	q->counts[truth]++;
	tree->counted = truth;
	if (node_compute(tree->over))
		climb(tree->over);
}

/* `n` changed */
static void climb(struct node *n)
{
	while (n->parent) {
		n = n->parent;
		if (!node_compute(n))
			return;
	}
	tree_changed(n->tree);
}

void node_changed(struct node *node)
{
	if (node_compute(node))
		climb(node);
}

void tree_compute(struct tree *tree)
{
	/* Kids stand behind their parents. */
	for (unsigned i = tree->n_nodes; i-- > 0;)
		node_compute(&tree->nodes[i]);
	tree_changed(tree);
}

/*
 * Several nodes of a tree changed at once: each node above is computed once, after all below it, so that no comparison
 * sees half of a sample. The scratch has room for every user of a leaf.
 */
static void climb_all(struct node **work, size_t n, struct tree *tree)
{
	while (n) {
		size_t last = 0, i;
		struct node *node;

		for (i = 1; i < n; i++)
			if (work[i] > work[last])
				last = i;
		node = work[last];
		work[last] = work[--n];
		if (!node_compute(node) || !node->parent)
			continue;
		for (i = 0; i < n && work[i] != node->parent; i++)
			;
		if (i == n)
			work[n++] = node->parent;
	}
	tree_changed(tree);
}

/* ---- leaves ------------------------------------------------------------------------------------------------------ */

/* Seconds since the last sample: known also when that is stale */
static double node_age(const struct series *s, int64_t now)
{
	return now > s->time ? (double)(now - s->time) * 1e-9 : 0;
}

static double user_value(const struct node *n, const struct series *s)
{
	if (n->e->op == OP_AGE)
		return s && s->time ? node_age(s, n->tree->promise->engine->now) : NAN;
	if (!s || !series_valid(s))
		return NAN;
	if (n->e->kind == EXPR_NAME)
		return s->value;
	return n->window ? window_value(n->window) : NAN;
}

static bool set_number(struct node *n, double number)
{
	if (number == n->number || (isnan(number) && isnan(n->number)))
		return false;
	n->number = number;
	if (n->e->op == OP_CHANGED)
		n->truth = isnan(number) ? KITH_UNKNOWN : truth_of(number > 0);
	return true;
}

/*
 * Functions that count each sample as one, or look at two in a row, go by the interval that was configured: the rounds that attention adds would
 * weigh too much. The others see those too.
 */
static void user_put(struct node *user, const struct series *s)
{
	if (!user->regular || !s->instance->family->owner->extra)
		window_put(user->window, s->value, s->time);
}

/* The users of `leaf` from its series; puts the sample into their windows first when it is one. */
static void leaf_update(struct leaf *leaf, const struct series *s, bool sample)
{
	struct promises *p = leaf->tree->promise->engine;
	size_t n = 0;

	if (leaf->users && !leaf->users->next_user) {
		struct node *user = leaf->users;

		if (sample && user->window)
			user_put(user, s);
		if (!set_number(user, user_value(user, s)))
			return;
		if (user->parent)
			climb(user);
		return;
	}
	for (struct node *user = leaf->users; user; user = user->next_user) {
		if (sample && user->window)
			user_put(user, s);
		if (set_number(user, user_value(user, s)) && user->parent) {
			size_t i = 0;

			while (i < n && p->work[i] != user->parent)
				i++;
			if (i == n)
				p->work[n++] = user->parent;
		}
	}
	if (n)
		climb_all(p->work, n, leaf->tree);
}

void leaf_seed(struct leaf *leaf)
{
	bool valid = series_valid(leaf->series);

	for (struct node *user = leaf->users; user; user = user->next_user) {
		if (valid && user->window)
			window_put(user->window, leaf->series->value, leaf->series->time);
		set_number(user, user_value(user, leaf->series));
	}
}

bool tree_ready(const struct tree *tree)
{
	for (const struct leaf *leaf = tree->leaves; leaf; leaf = leaf->next)
		if (leaf->state != LEAF_BOUND || !leaf->series->time)
			return false;
	return true;
}

/*
 * The first instance that comes is rarely the only one: after a start a plugin finds one after the other. Until GATHER_WAIT later only that is said which
 * those that are yet to come cannot change.
 */
static void gather_begin(struct quantifier *q, struct promise *pr)
{
	q->gather = pr->engine->now + GATHER_WAIT;
	pr->n_joining++;
}

static void gather_end(struct quantifier *q, struct promise *pr)
{
	if (!q->gather)
		return;
	q->gather = 0;
	pr->n_joining--;
}

void quantifier_join(struct node *node, struct tree *tree)
{
	struct quantifier *q = node->quantifier;

	if (tree->joined)
		return;
	tree->joined = true;
	tree->promise->n_joining--;
	q->n_joined++;
	tree->counted = tree->nodes[0].truth;
	q->counts[tree->counted]++;
	node_changed(node);
}

void quantifier_leave(struct node *node, struct tree *tree)
{
	struct quantifier *q = node->quantifier;

	q->n_trees--;
	if (!tree->joined) {
		tree->promise->n_joining--;
		return;
	}
	q->n_joined--;
	q->counts[tree->counted]--;
	tree->joined = false;
	if (!q->n_joined)
		gather_end(q, tree->promise);
	node_changed(node);
}

static struct leaf *leaf_of(struct series_watch *watch)
{
	return (void *)((char *)watch - offsetof(struct leaf, watch));
}

/*
 * Does another tree of the same promise hear of this sample after us? Then it is judged there: no half of a sample is
 * ever seen. Only promises with quantifiers that can be so ask.
 */
static bool more_to_come(struct leaf *leaf)
{
	for (struct series_watch *w = leaf->watch.next; w; w = w->next)
		if (w->fn == leaf_event && leaf_of(w)->tree->promise == leaf->tree->promise)
			return true;
	return false;
}

static void leaf_evaluate(struct leaf *leaf, const struct series *s, bool sample, int64_t time)
{
	struct tree *tree = leaf->tree;
	struct promise *pr = tree->promise;
	bool joins;

	if (pr->at && pr->at <= time)
		promise_due(pr, time);
	leaf_update(leaf, s, sample);
	joins = tree->over && !tree->joined && tree_ready(tree);
	if (joins) {
		/* One that had its samples before the promise came is there with all others. */
		if (!tree->over->quantifier->n_joined)
			gather_begin(tree->over->quantifier, pr);
		quantifier_join(tree->over, tree);
	}
	if (pr->tree->nodes[0].truth != pr->truth && !(pr->shared && more_to_come(leaf)))
		promise_assess(pr, time);
	if (pr->held || joins)
		promise_schedule(pr);
}

/*
 * An instance ends series by series; a promise that names several, or goes over instances, is judged once all of it is
 * gone: no half of an end is ever seen.
 */
static void leaf_ended(struct leaf *leaf)
{
	struct promise *pr = leaf->tree->promise;
	struct promises *p = pr->engine;

	leaf->state = LEAF_ENDED;
	attention_leave(leaf);
	leaf->traced = false; /* it went with its series */
	leaf->series = NULL;
	/* A quantifier's tree goes as a whole, right after. */
	if (leaf->tree->over && leaf->e->scope == SCOPE_QUANTIFIER)
		return;
	leaf_update(leaf, NULL, false);
	if (pr->ending)
		return;
	pr->ending = true;
	pr->next_ending = p->ending;
	p->ending = pr;
}

void endings_assess(struct promises *p)
{
	while (p->ending) {
		struct promise *pr = p->ending;

		p->ending = pr->next_ending;
		pr->ending = false;
		if (pr->at && pr->at <= p->now)
			promise_due(pr, p->now);
		if (!pr->dead && pr->tree->nodes[0].truth != pr->truth)
			promise_assess_ended(pr, p->now);
		promise_schedule(pr);
	}
}

void leaf_event(struct series_watch *watch, const struct series *series, enum series_event event)
{
	struct leaf *leaf = leaf_of(watch);
	struct promise *pr = leaf->tree->promise;
	struct promises *p = pr->engine;
	int64_t time = event == SERIES_SAMPLE ? series->time : model_now(p->model), begin = 0;
	unsigned weight = 0;

	p->depth++;
	if (p->late && time > p->late_at)
		late_run(p);
	if (time > p->now)
		p->now = time;
	else if (event != SERIES_SAMPLE)
		time = p->now;
	/* The first ones each, so that a figure is there soon; then one stands for many. */
	if (++pr->evaluations <= COST_FIRST)
		weight = 1;
	else if (pr->evaluations % COST_EVERY == 0)
		weight = COST_EVERY;
	if (weight)
		begin = clock_mono();
	switch (event) {
	case SERIES_SAMPLE:
		leaf_evaluate(leaf, series, true, time);
		break;
	case SERIES_STALE:
		leaf_evaluate(leaf, series, false, time);
		break;
	case SERIES_END:
		leaf_ended(leaf);
		break;
	}
	if (weight)
		pr->cpu_ns += (uint64_t)(clock_mono() - begin) * weight;
	engine_leave(p);
}

bool records_changed(struct node *n)
{
	if (!set_number(n, window_value(n->window)))
		return false;
	climb(n);
	return true;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static void join_due(struct promise *pr, int64_t now)
{
	for (unsigned i = 0; i < pr->tree->n_nodes && pr->n_joining; i++) {
		struct node *n = &pr->tree->nodes[i];

		if (n->e->kind != EXPR_QUANTIFIER)
			continue;
		for (struct tree *t = n->quantifier->trees; t; t = t->next)
			if (!t->joined && t->join_by <= now)
				quantifier_join(n, t);
		if (n->quantifier->gather && n->quantifier->gather <= now) {
			gather_end(n->quantifier, pr);
			node_changed(n);
		}
	}
}

bool node_time(struct node *n, int64_t now)
{
	uint8_t truth = truth_of(calendar_holds(n->e, now, &n->at));
	bool changed = truth != n->truth;

	n->truth = truth;
	return changed;
}

/*
 * When a comparison of an age with a constant changes next although no sample comes; of an age in arithmetic: in a second. 0: never.
 * A nanosecond behind the threshold it is passed, whichever sign compares.
 */
int64_t age_next(const struct node *n)
{
	const struct node *parent = n->parent;
	const struct series *s = n->leaf->series;
	int64_t now = n->tree->promise->engine->now, next = 0;
	double bound;

	if (!s || !s->time)
		return 0;
	if (!parent || parent->e->kind != EXPR_COMPARE || !parent->e->items[n == &parent->kids[0]]->constant)
		return now + NS_PER_S;
	bound = parent->kids[n == &parent->kids[0]].number;
	for (int i = -1; i <= 1; i++) {
		double shift = i && !isnan(parent->e->margin) ? i * parent->e->margin : 0;
		int64_t at = s->time + (int64_t)((bound + shift) * 1e9) + 1;

		if (at > now && (!next || at < next))
			next = at;
	}
	return next;
}

void promise_advance(struct promise *pr, int64_t now)
{
	for (struct node *n = pr->held; n; n = n->next_held) {
		if (n->e->op == OP_AGE) {
			if (n->leaf->series && set_number(n, user_value(n, n->leaf->series)))
				climb(n);
			continue;
		}
		if (!n->window)
			continue;
		window_advance(n->window, now);
		if ((!n->leaf || (n->leaf->series && series_valid(n->leaf->series))) && set_number(n, window_value(n->window)))
			climb(n);
	}
	for (struct node *n = pr->times; n; n = n->next_time)
		if (n->at && n->at <= now && node_time(n, now))
			climb(n);
	if (pr->n_joining)
		join_due(pr, now);
}
