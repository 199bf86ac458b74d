/* Ties conditions to series: trees of nodes, leaves that wait for their series, instances that come and go. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "promises/engine.h"
#include "promises/typing.h"

static void quantifier_free(struct quantifier *q);
static struct tree *tree_new(struct promise *pr, struct node *over, struct expr *root, struct instance *instance);

/* ---- leaves ------------------------------------------------------------------------------------------------------ */

const char *leaf_instance(const struct tree *tree, const struct expr *name)
{
	switch (name->scope) {
	case SCOPE_ITSELF:
		return name->instance;
	case SCOPE_PROMISER:
		return tree->promise->instance;
	case SCOPE_QUANTIFIER:
		return tree->instance;
	}
	return name->instance;
}

static void leaf_windows_free(struct leaf *leaf)
{
	for (struct node *n = leaf->users; n; n = n->next_user) {
		window_free(n->window);
		n->window = NULL;
	}
}

/*
 * A window begins with what is known of its series: samples that were kept of it, also from before a restart, unless nobody looked for longer than half of
 * the window. Of an instance that is new there are none: values of the last one of that name are not this one's.
 */
static void leaf_remember(struct leaf *leaf)
{
	const struct model *m = leaf->tree->promise->engine->model;
	const struct series *s = leaf->series;
	struct past past = series_past(m, s);
	int64_t gap = past.until ? model_now(m) - past.until : 0;

	for (struct node *n = leaf->users; n; n = n->next_user) {
		if (!n->window || gap > n->e->window / 2)
			continue;
		for (size_t i = 0; i < past.n; i++) {
			struct trail_sample x = series_past_at(m, s, i);

			/* What stands there now is put by whoever binds it. */
			if ((!s->time || x.time < s->time) && !(n->regular && x.extra))
				window_put(n->window, x.value, x.time);
		}
	}
}

static void leaf_windows_make(struct leaf *leaf, const struct metric *m)
{
	leaf_windows_free(leaf);
	for (struct node *n = leaf->users; n; n = n->next_user)
		if (n->e->kind == EXPR_CALL && n->e->op != OP_AGE) {
			struct window_spec spec = { .op = n->e->op, .length = n->e->window, .share = n->e->share, .horizon = n->e->horizon,
				                    .counter = m->kind == KITH_COUNTER, .held = m->flags & KITH_METRIC_EVENT };

			n->window = window_new(&spec);
			n->regular = attention_regular(&spec);
		}
}

/* What takes all samples into account, or how old one is, wants them as often as configured. */
static bool leaf_patient(const struct leaf *leaf)
{
	for (const struct node *n = leaf->users; n; n = n->next_user)
		if (n->e->kind != EXPR_NAME)
			return false;
	return true;
}

/* Without an evaluation: the caller does that where there are values already */
static void leaf_bind(struct leaf *leaf, struct instance *instance)
{
	int k = leaf->e->metric_index;

	if (leaf->state == LEAF_BOUND || k < 0 || (uint32_t)k >= instance->family->n_metrics)
		return;
	leaf->series = &instance->series[k];
	leaf->state = LEAF_BOUND;
	leaf_windows_make(leaf, series_metric(leaf->series));
	leaf->watch.patient = leaf_patient(leaf);
	series_watch_add(&instance->series[k], &leaf->watch);
	leaf->traced = series_trace(leaf->tree->promise->engine->model, leaf->series, true);
	if (leaf->traced)
		leaf_remember(leaf);
	leaf_seed(leaf);
}

static struct leaf *leaf_find(struct tree *tree, const struct expr *e)
{
	const char *instance = leaf_instance(tree, e);

	for (struct leaf *leaf = tree->leaves; leaf; leaf = leaf->next)
		if (!strcmp(leaf->e->family, e->family) && !strcmp(leaf->e->metric, e->metric) &&
		    !strcmp(leaf_instance(tree, leaf->e), instance))
			return leaf;
	return NULL;
}

static int leaf_wait(struct promises *p, struct leaf *leaf)
{
	struct topic *t;

	if (leaf->e->scope != SCOPE_ITSELF)
		return 0;
	t = topic_find(p, leaf->e->family);
	leaf->slot = t ? slot_get(t, leaf->e->instance) : NULL;
	if (!leaf->slot)
		return -ENOMEM;
	leaf->slot_next = leaf->slot->leaves;
	leaf->slot_link = &leaf->slot->leaves;
	if (leaf->slot_next)
		leaf->slot_next->slot_link = &leaf->slot_next;
	leaf->slot->leaves = leaf;
	return 0;
}

/* The leaf of the name `e`, with `user` as one more of its users */
static int leaf_use(struct tree *tree, const struct expr *e, struct node *user)
{
	struct promises *p = tree->promise->engine;
	struct leaf *leaf = leaf_find(tree, e);

	if (!leaf) {
		leaf = calloc(1, sizeof(*leaf));
		if (!leaf)
			return -ENOMEM;
		leaf->watch.fn = leaf_event;
		leaf->tree = tree;
		leaf->e = e;
		leaf->next = tree->leaves;
		tree->leaves = leaf;
		if (leaf_wait(p, leaf) < 0)
			return -ENOMEM;
	}
	user->leaf = leaf;
	user->next_user = leaf->users;
	leaf->users = user;
	return 0;
}

static struct instance *leaf_target(const struct leaf *leaf)
{
	const struct tree *tree = leaf->tree;
	const struct family *f;

	switch (leaf->e->scope) {
	case SCOPE_PROMISER:
		return tree->promise->bound;
	case SCOPE_QUANTIFIER:
		return tree->bound;
	case SCOPE_ITSELF:
		break;
	}
	f = family_find(tree->promise->engine->model, leaf->e->family, strlen(leaf->e->family));
	return f ? instance_find(f, leaf->e->instance, strlen(leaf->e->instance)) : NULL;
}

static void leaf_let_go(struct leaf *leaf)
{
	attention_leave(leaf);
	if (leaf->traced)
		series_trace(leaf->tree->promise->engine->model, leaf->series, false);
	leaf->traced = false;
	series_watch_remove(&leaf->watch);
	slot_leave(leaf);
}

static void leaf_free(struct leaf *leaf)
{
	leaf_let_go(leaf);
	free(leaf);
}

/* ---- trees ------------------------------------------------------------------------------------------------------- */

/* Kids that become nodes: a call's name is its leaf, a list's values stay in the expression, a quantifier has trees. */
static unsigned node_kids(const struct expr *e)
{
	if (e->kind == EXPR_CALL || e->kind == EXPR_QUANTIFIER)
		return 0;
	return e->kind == EXPR_IN ? 1 : e->n_items;
}

static unsigned count_nodes(const struct expr *e)
{
	unsigned n = 1;

	for (unsigned i = 0; i < node_kids(e); i++)
		n += count_nodes(e->items[i]);
	return n;
}

static int quantifier_new(struct tree *tree, struct node *node)
{
	struct promise *pr = tree->promise;
	struct quantifier *q = calloc(1, sizeof(*q));
	const struct expr *e = node->e;
	struct family *f;

	if (!q)
		return -ENOMEM;
	node->quantifier = q;
	q->node = node;
	q->topic = topic_find(pr->engine, e->family);
	if (!q->topic)
		return -ENOMEM;
	q->next = q->topic->quantifiers;
	q->link = &q->topic->quantifiers;
	if (q->next)
		q->next->link = &q->next;
	q->topic->quantifiers = q;
	f = family_find(pr->engine->model, e->family, strlen(e->family));
	for (struct instance *i = f ? instance_first(f) : NULL; i; i = instance_next(i))
		if (glob_match(e->instance, strlen(e->instance), i->name) && !tree_new(pr, node, e->items[0], i))
			return -ENOMEM;
	return 0;
}

static int build(struct tree *tree, struct node *node, const struct expr *e)
{
	unsigned n = node_kids(e);

	node->e = e;
	node->tree = tree;
	node->number = NAN;
	node->n_kids = (uint16_t)n;
	node->kids = &tree->nodes[tree->n_nodes];
	node->attends = attention_begin(e);
	if (node->attends)
		node->gap = NAN;
	tree->n_nodes += n;
	for (unsigned i = 0; i < n; i++) {
		node->kids[i].parent = node;
		if (build(tree, &node->kids[i], e->items[i]) < 0)
			return -ENOMEM;
	}
	if (e->kind == EXPR_NAME)
		return leaf_use(tree, e, node);
	if (e->kind == EXPR_CALL)
		return leaf_use(tree, e->items[0], node);
	if (e->kind == EXPR_QUANTIFIER)
		return quantifier_new(tree, node);
	if (e->kind == EXPR_RECORDS) {
		struct window_spec spec = { .op = OP_RECORDS, .length = e->window, .held = true };

		node->window = window_new(&spec);
		if (!node->window)
			return -ENOMEM;
		node->number = 0;
		records_begin(tree->promise->engine, node);
	}
	if (e->kind == EXPR_BETWEEN) {
		node_time(node, tree->promise->engine->now);
		node->next_time = tree->promise->times;
		tree->promise->times = node;
	}
	return 0;
}

static void tree_unlink(struct tree *tree)
{
	if (!tree->link)
		return;
	*tree->link = tree->next;
	if (tree->next)
		tree->next->link = tree->link;
	tree->link = NULL;
	tree->next = NULL;
}

/* Lets go of all series; the memory stays until the engine is not in use. */
static void tree_detach(struct tree *tree)
{
	tree->dead = true;
	for (struct leaf *leaf = tree->leaves; leaf; leaf = leaf->next)
		leaf_let_go(leaf);
	for (unsigned i = 0; i < tree->n_nodes; i++) {
		struct quantifier *q;

		if (tree->nodes[i].e && tree->nodes[i].e->kind == EXPR_RECORDS)
			records_end(tree->promise->engine, &tree->nodes[i]);
		if (!tree->nodes[i].e || tree->nodes[i].e->kind != EXPR_QUANTIFIER || !(q = tree->nodes[i].quantifier) || !q->link)
			continue;
		*q->link = q->next;
		if (q->next)
			q->next->link = q->link;
		q->link = NULL;
		for (struct tree *t = q->trees; t; t = t->next)
			tree_detach(t);
	}
}

static void tree_free(struct tree *tree)
{
	tree_detach(tree);
	for (unsigned i = 0; i < tree->n_nodes; i++) {
		struct node *n = &tree->nodes[i];

		if (n->e && (n->e->kind == EXPR_CALL || n->e->kind == EXPR_RECORDS))
			window_free(n->window);
		if (n->e && n->e->kind == EXPR_QUANTIFIER && n->quantifier)
			quantifier_free(n->quantifier);
	}
	while (tree->leaves) {
		struct leaf *next = tree->leaves->next;

		leaf_free(tree->leaves);
		tree->leaves = next;
	}
	free(tree->instance);
	free(tree);
}

static void quantifier_free(struct quantifier *q)
{
	while (q->trees) {
		struct tree *t = q->trees;

		tree_unlink(t);
		tree_free(t);
	}
	free(q);
}

/* The scratch of an evaluation must hold all users of one leaf and the nodes above them. */
static int work_reserve(struct promises *p, const struct tree *tree)
{
	struct node **work;

	if (tree->size <= p->size_work)
		return 0;
	work = realloc(p->work, tree->size * sizeof(struct node *));
	if (!work)
		return -ENOMEM;
	p->work = work;
	p->size_work = tree->size;
	return 0;
}

static void held_collect(struct tree *tree)
{
	for (unsigned i = 0; i < tree->n_nodes; i++) {
		struct node *n = &tree->nodes[i];

		/* Whether its series is one that holds is known once the family is there: the window says. */
		if (n->e->kind == EXPR_RECORDS || n->e->op == OP_AGE ||
		    (n->e->kind == EXPR_CALL && n->e->window && (n->e->items[0]->metric_flags & KITH_METRIC_EVENT))) {
			n->next_held = tree->promise->held;
			tree->promise->held = n;
		}
	}
}

static void held_drop(struct promise *pr, const struct tree *tree)
{
	struct node **at = &pr->held;

	while (*at)
		if ((*at)->tree == tree)
			*at = (*at)->next_held;
		else
			at = &(*at)->next_held;
	at = &pr->times;
	while (*at)
		if ((*at)->tree == tree)
			*at = (*at)->next_time;
		else
			at = &(*at)->next_time;
}

/* With `over`, joins that quantifier's trees; it counts once it has values. Computed. */
static struct tree *tree_new(struct promise *pr, struct node *over, struct expr *root, struct instance *instance)
{
	unsigned n = count_nodes(root);
	struct tree *tree = calloc(1, sizeof(*tree) + n * sizeof(struct node));
	struct quantifier *q = over ? over->quantifier : NULL;

	if (!tree)
		return NULL;
	tree->promise = pr;
	tree->over = over;
	tree->size = n;
	tree->n_nodes = 1;
	tree->bound = instance;
	tree->instance = instance ? strdup(instance->name) : NULL;
	if ((instance && !tree->instance) || work_reserve(pr->engine, tree) < 0 || build(tree, &tree->nodes[0], root) < 0) {
		tree_free(tree);
		return NULL;
	}
	held_collect(tree);
	for (struct leaf *leaf = tree->leaves; leaf; leaf = leaf->next) {
		struct instance *target = leaf_target(leaf);

		if (target)
			leaf_bind(leaf, target);
	}
	tree_compute(tree);
	if (!q)
		return tree;
	tree->next = q->trees;
	tree->link = &q->trees;
	if (tree->next)
		tree->next->link = &tree->next;
	q->trees = tree;
	q->n_trees++;
	pr->n_joining++;
	tree->join_by = pr->engine->now + JOIN_WAIT;
	if (tree_ready(tree))
		quantifier_join(over, tree);
	return tree;
}

/* ---- promises ---------------------------------------------------------------------------------------------------- */

static void promise_free(struct promise *pr)
{
	if (pr->tree)
		tree_free(pr->tree);
	for (unsigned i = 0; i < pr->n_actions; i++) {
		free(pr->actions[i].times);
		free(pr->actions[i].last_output);
	}
	free(pr->actions);
	free(pr->promiser);
	free(pr->instance);
	free(pr);
}

/* Out of force: no series, no deadline, no list; freed once the engine is not in use */
void promise_end(struct promise *pr)
{
	struct promises *p = pr->engine;

	if (pr->link) {
		*pr->link = pr->next;
		if (pr->next)
			pr->next->link = pr->link;
		else
			pr->live->tail = pr->link;
		pr->live->n_promises--;
		p->n_promises--;
		pr->link = NULL;
	}
	for (struct promise **at = &p->ending; pr->ending && *at; at = &(*at)->next_ending)
		if (*at == pr) {
			*at = pr->next_ending;
			break;
		}
	pr->ending = false;
	p->index_valid = false;
	pr->dead = true;
	listen_ended(pr);
	late_remove(p, pr);
	heap_remove(p, pr);
	actions_forget(p, pr);
	if (pr->tree)
		tree_detach(pr->tree);
	if (pr->live->rule->dependents)
		depends_changed(p, pr->live->rule, p->now);
	pr->next = p->dead_promises;
	p->dead_promises = pr;
}

void graveyard_clear(struct promises *p)
{
	while (p->dead_trees) {
		struct tree *next = p->dead_trees->next;

		tree_free(p->dead_trees);
		p->dead_trees = next;
	}
	while (p->dead_promises) {
		struct promise *next = p->dead_promises->next;

		promise_free(p->dead_promises);
		p->dead_promises = next;
	}
}

static int actions_new(struct promise *pr)
{
	const struct rule *r = pr->live->rule;
	unsigned n = 0;

	for (const struct action *a = r->actions; a; a = a->next)
		n++;
	if (!n)
		return 0;
	pr->actions = calloc(n, sizeof(*pr->actions));
	if (!pr->actions)
		return -ENOMEM;
	for (const struct action *a = r->actions; a; a = a->next) {
		struct action_state *s = &pr->actions[pr->n_actions++];

		s->action = a;
		s->promise = pr;
		s->times = a->at_most ? calloc(a->at_most, sizeof(*s->times)) : NULL;
		if (a->at_most && !s->times)
			return -ENOMEM;
	}
	return 0;
}

static int promise_name(struct promise *pr, const struct instance *instance)
{
	const struct rule *r = pr->live->rule;
	struct buf b = BUF_INIT;

	if (instance) {
		pr->instance = strdup(instance->name);
		buf_printf(&b, "%s:%s", r->family, instance->name);
	} else {
		buf_puts(&b, r->promiser);
	}
	pr->promiser = buf_take(&b);
	return pr->promiser && (!instance || pr->instance) ? 0 : -ENOMEM;
}

/* Names in `e` that a tree other than those of `q` may watch too, or several of those trees */
static bool has_shared(const struct expr *e, const struct expr *q, bool inside)
{
	if (e == q)
		inside = true;
	if (e->kind == EXPR_NAME)
		return inside ? e->scope != SCOPE_QUANTIFIER : !strcmp(e->family, q->family);
	for (unsigned i = 0; i < e->n_items; i++)
		if (has_shared(e->items[i], q, inside))
			return true;
	return false;
}

static bool is_shared(const struct expr *e, const struct expr *body)
{
	if (e->kind == EXPR_QUANTIFIER)
		return has_shared(body, e, false);
	for (unsigned i = 0; i < e->n_items; i++)
		if (is_shared(e->items[i], body))
			return true;
	return false;
}

static bool has_quantifier(const struct tree *tree)
{
	for (unsigned i = 0; i < tree->n_nodes; i++)
		if (tree->nodes[i].e->kind == EXPR_QUANTIFIER)
			return true;
	return false;
}

/* Bound and computed, not assessed yet */
int promise_new(struct promises *p, struct live_rule *live, struct instance *instance, int64_t now, struct promise **ret_promise)
{
	struct promise *pr = calloc(1, sizeof(*pr));

	if (!pr)
		return -ENOMEM;
	pr->engine = p;
	pr->live = live;
	pr->bound = instance;
	pr->since = now;
	pr->heap_index = SIZE_MAX;
	pr->shared = is_shared(live->rule->body, live->rule->body);
	if (promise_name(pr, instance) < 0 || actions_new(pr) < 0 || heap_reserve(p, p->n_promises + 1) < 0)
		goto fail;
	pr->tree = tree_new(pr, NULL, live->rule->body, NULL);
	if (!pr->tree)
		goto fail;
	pr->several = has_quantifier(pr->tree) || (pr->tree->leaves && pr->tree->leaves->next);
	pr->link = live->tail;
	*live->tail = pr;
	live->tail = &pr->next;
	live->n_promises++;
	p->n_promises++;
	p->index_valid = false;
	*ret_promise = pr;
	return 0;
fail:
	promise_free(pr);
	return -ENOMEM;
}

/* ---- what comes and goes ----------------------------------------------------------------------------------------- */

/* A family is there: does the rule suit it? */
static void rule_recheck(struct promises *p, struct live_rule *live)
{
	struct buf reason = BUF_INIT;
	struct typing t = { .model = p->model, .reason = &reason };
	struct rule *r = live->rule;
	bool faulty = r->fault != NULL;

	free(r->fault);
	r->fault = NULL;
	if (!typing_check(&t, r)) {
		struct kith_record record = { .size = sizeof(record), .priority = KITH_WARNING, .subject = r->name };

		r->fault = buf_take(&reason);
		record.message = r->fault ? r->fault : "out of memory";
		model_record(p->model, &record);
	}
	buf_free(&reason);
	for (struct promise *pr = live->promises; pr; pr = pr->next) {
		pr->held = NULL;
		held_collect(pr->tree);
		for (unsigned i = 0; i < pr->tree->n_nodes; i++)
			if (pr->tree->nodes[i].e->kind == EXPR_QUANTIFIER)
				for (struct tree *tree = pr->tree->nodes[i].quantifier->trees; tree; tree = tree->next)
					held_collect(tree);
		if (faulty || r->fault)
			promise_assess(pr, p->now);
	}
}

void binding_family(struct promises *p, const struct family *family, bool begins)
{
	struct topic *t = topic_find(p, family->name);

	if (!t || !begins)
		return;
	engine_enter(p);
	for (unsigned i = 0; i < t->n_rules; i++)
		rule_recheck(p, t->rules[i]);
	engine_leave(p);
}

static void instance_begins(struct promises *p, struct topic *t, struct instance *instance)
{
	struct slot *s;
	struct promise *pr;

	HASH_FIND_STR(t->slots, instance->name, s);
	for (struct leaf *leaf = s ? s->leaves : NULL; leaf; leaf = leaf->slot_next)
		leaf_bind(leaf, instance);
	for (struct quantifier *q = t->quantifiers; q; q = q->next) {
		const struct expr *e = q->node->e;

		if (!glob_match(e->instance, strlen(e->instance), instance->name))
			continue;
		if (tree_new(q->node->tree->promise, q->node, e->items[0], instance))
			promise_schedule(q->node->tree->promise);
	}
	for (unsigned i = 0; i < t->n_rules; i++) {
		struct live_rule *live = t->rules[i];
		const struct rule *r = live->rule;

		if (!live->bound || !r->family || strcmp(r->family, t->name) != 0)
			continue;
		if (glob_match(r->instance, strlen(r->instance), instance->name) &&
		    promise_new(p, live, instance, p->now, &pr) == 0) {
			depends_begin(pr);
			promise_assess(pr, p->now);
		}
	}
}

static void quantifier_ends(struct quantifier *q, const struct instance *instance)
{
	struct promise *pr = q->node->tree->promise;
	struct promises *p = pr->engine;
	struct tree *tree = q->trees;

	while (tree && tree->bound != instance)
		tree = tree->next;
	if (!tree)
		return;
	tree_unlink(tree);
	held_drop(pr, tree);
	tree_detach(tree);
	quantifier_leave(q->node, tree);
	tree->next = p->dead_trees;
	p->dead_trees = tree;
	if (pr->ending)
		return;
	pr->ending = true;
	pr->next_ending = p->ending;
	p->ending = pr;
}

static void instance_ends(struct promises *p, struct topic *t, const struct instance *instance)
{
	for (struct quantifier *q = t->quantifiers; q; q = q->next)
		quantifier_ends(q, instance);
	endings_assess(p);
	for (unsigned i = 0; i < t->n_rules; i++) {
		struct live_rule *live = t->rules[i];
		struct promise *pr;

		if (!live->rule->family || strcmp(live->rule->family, t->name) != 0)
			continue;
		for (pr = live->promises; pr && pr->bound != instance; pr = pr->next)
			;
		if (!pr)
			continue;
		/* It names no series of its own, perhaps: its end is said all the same. */
		promise_set(pr, KITH_UNKNOWN, p->now, "its promiser has ended");
		promise_end(pr);
	}
}

void binding_instance(struct promises *p, struct instance *instance, bool begins)
{
	struct topic *t = topic_find(p, instance->family->name);

	if (!t)
		return;
	engine_enter(p);
	if (model_now(p->model) > p->now)
		p->now = model_now(p->model);
	if (begins)
		instance_begins(p, t, instance);
	else
		instance_ends(p, t, instance);
	engine_leave(p);
}
