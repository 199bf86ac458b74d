/*
 * Attention: series that stand close to what is promised of them, or are on their way there, are sampled faster. Here is what promises say of that; the
 * tick makes of it what the CPU allows.
 *
 * A comparison by size is near while its sides are within 5 % of the right one, or within its margin; and its series are wanted soon when at the pace
 * of the last sample it would change within four more: then in a quarter of that time. What is put when it happens needs no attention.
 */
#include <math.h>

#include "promises/engine.h"

bool attention_begin(const struct expr *e)
{
	return e->kind == EXPR_COMPARE && (e->op == OP_LESS || e->op == OP_LESS_EQUAL || e->op == OP_GREATER || e->op == OP_GREATER_EQUAL);
}

bool attention_regular(const struct window_spec *spec)
{
	bool any_sample = spec->op == OP_MIN || spec->op == OP_MAX || spec->op == OP_CHANGED ||
	                  (spec->length && (spec->op == OP_RATE || spec->op == OP_DELTA));

	return !spec->held && !any_sample;
}

/* Whose value a sample between two ticks changes at once */
static struct leaf *node_leaf(const struct node *n)
{
	bool at_once = n->e->kind == EXPR_NAME || (n->e->kind == EXPR_CALL && (n->e->op == OP_MIN || n->e->op == OP_MAX));

	return at_once && n->leaf && n->leaf->series && !n->leaf->series->event ? n->leaf : NULL;
}

static struct owner *leaf_owner(const struct leaf *leaf)
{
	return leaf->series->instance->family->owner;
}

static void near_set(struct node *n, bool near)
{
	struct leaf *leaf = node_leaf(n);

	if (leaf && near && !leaf->n_near++)
		model_near(leaf_owner(leaf), true);
	else if (leaf && !near && leaf->n_near && !--leaf->n_near)
		model_near(leaf_owner(leaf), false);
	for (unsigned i = 0; i < n->n_kids; i++)
		near_set(&n->kids[i], near);
}

static void soon_set(struct node *n, double moves)
{
	struct leaf *leaf = node_leaf(n);

	if (leaf) {
		struct owner *o = leaf_owner(leaf);
		int64_t soon = (int64_t)((double)o->interval * moves / NEAR_MOVES);

		if (soon < 1)
			soon = 1;
		if (!o->soon || soon < o->soon)
			o->soon = soon;
	}
	for (unsigned i = 0; i < n->n_kids; i++)
		soon_set(&n->kids[i], moves);
}

void attention_turn(struct node *n, double gap, bool near)
{
	double move = fabs(gap - n->gap); /* NaN at first */

	n->gap = gap;
	if (near != n->near) {
		n->near = near;
		near_set(n, near);
	}
	if (move * NEAR_MOVES > fabs(gap))
		soon_set(n, fabs(gap) / move);
}

void attention_leave(struct leaf *leaf)
{
	if (leaf->n_near && leaf->series)
		model_near(leaf_owner(leaf), false);
	leaf->n_near = 0;
}

/* ---- what is said ------------------------------------------------------------------------------------------------ */

#define OWNERS_MAX 8

struct owners {
	const struct owner *seen[OWNERS_MAX];
	unsigned n;
};

static void word_leaf(struct buf *b, const struct leaf *leaf)
{
	const struct owner *o = leaf_owner(leaf);
	char name[NAME_MAX_LENGTH + 1];

	buf_printf(b, "%s%s ", b->length ? "\n" : "", o->name);
	if (leaf->series->event || !o->interval) {
		buf_puts(b, "tells it when it happens");
		return;
	}
	buf_puts(b, "is sampled every ");
	word_duration(b, o->interval);
	if (o->interval >= o->usual)
		return;
	buf_puts(b, " instead of ");
	word_duration(b, o->usual);
	if (leaf->n_near)
		buf_printf(b, ": %s is close to what is promised", series_name(leaf->series, name));
	else
		buf_puts(b, o->n_near ? ": another of its series is close to what is promised" : ": one of its series is soon there");
}

static bool is_seen(struct owners *owners, const struct owner *o)
{
	for (unsigned i = 0; i < owners->n; i++)
		if (owners->seen[i] == o)
			return true;
	if (owners->n == OWNERS_MAX)
		return true;
	owners->seen[owners->n++] = o;
	return false;
}

/* Of each plugin one line: of a series that is near, where it has one */
static void word_tree(struct buf *b, const struct tree *tree, struct owners *owners, bool near)
{
	for (const struct leaf *leaf = tree->leaves; leaf; leaf = leaf->next)
		if (leaf->series && (leaf->n_near != 0) == near && !is_seen(owners, leaf_owner(leaf)))
			word_leaf(b, leaf);
	for (unsigned i = 0; i < tree->n_nodes; i++)
		if (tree->nodes[i].e->kind == EXPR_QUANTIFIER)
			for (const struct tree *t = tree->nodes[i].quantifier->trees; t && owners->n < OWNERS_MAX; t = t->next)
				word_tree(b, t, owners, near);
}

void word_attention(struct buf *b, const struct promise *pr)
{
	struct owners owners = { .n = 0 };

	word_tree(b, pr->tree, &owners, true);
	word_tree(b, pr->tree, &owners, false);
}
