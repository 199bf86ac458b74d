/* From what a body says now to what is said of the promise: grace and settle, deadlines, transitions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "promises/engine.h"

const char *assessment_name(enum kith_assessment a)
{
	switch (a) {
	case KITH_UNKNOWN:
		return "unknown";
	case KITH_KEPT:
		return "kept";
	case KITH_BROKEN:
		return "broken";
	}
	return "unknown";
}

const char *severity_name(enum kith_priority s)
{
	static const char *const names[] = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" };

	return (unsigned)s < KITH_COUNT(names) ? names[s] : "debug";
}

/* ---- deadlines: a heap of promises, the earliest first ----------------------------------------------------------- */

#define NOT_IN_HEAP SIZE_MAX

static void heap_place(struct promises *p, struct promise *pr, size_t i)
{
	p->heap[i] = pr;
	pr->heap_index = i;
}

static void heap_up(struct promises *p, struct promise *pr, size_t i)
{
	while (i && p->heap[(i - 1) / 2]->at > pr->at) {
		heap_place(p, p->heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	heap_place(p, pr, i);
}

static void heap_down(struct promises *p, struct promise *pr, size_t i)
{
	for (;;) {
		size_t kid = 2 * i + 1;

		if (kid + 1 < p->n_heap && p->heap[kid + 1]->at < p->heap[kid]->at)
			kid++;
		if (kid >= p->n_heap || p->heap[kid]->at >= pr->at)
			break;
		heap_place(p, p->heap[kid], i);
		i = kid;
	}
	heap_place(p, pr, i);
}

int heap_reserve(struct promises *p, size_t n)
{
	struct promise **heap;
	size_t size = p->size_heap ? p->size_heap : 16;

	if (n <= p->size_heap)
		return 0;
	while (size < n)
		size *= 2;
	heap = realloc(p->heap, size * sizeof(struct promise *));
	if (!heap)
		return -ENOMEM;
	p->heap = heap;
	p->size_heap = size;
	return 0;
}

void heap_remove(struct promises *p, struct promise *pr)
{
	size_t i = pr->heap_index;
	struct promise *last;

	pr->at = 0;
	if (i == NOT_IN_HEAP)
		return;
	pr->heap_index = NOT_IN_HEAP;
	last = p->heap[--p->n_heap];
	if (last == pr)
		return;
	if (i && p->heap[(i - 1) / 2]->at > last->at)
		heap_up(p, last, i);
	else
		heap_down(p, last, i);
}

static void heap_set(struct promises *p, struct promise *pr, int64_t at)
{
	if (!at) {
		heap_remove(p, pr);
		return;
	}
	if (pr->heap_index == NOT_IN_HEAP) {
		pr->at = at;
		heap_up(p, pr, p->n_heap++);
	} else if (at < pr->at) {
		pr->at = at;
		heap_up(p, pr, pr->heap_index);
	} else {
		pr->at = at;
		heap_down(p, pr, pr->heap_index);
	}
}

static void earlier(int64_t *at, int64_t candidate)
{
	if (candidate && (!*at || candidate < *at))
		*at = candidate;
}

static int64_t next_join(const struct promise *pr)
{
	int64_t at = 0;

	for (unsigned i = 0; i < pr->tree->n_nodes; i++) {
		const struct node *n = &pr->tree->nodes[i];

		if (n->e->kind != EXPR_QUANTIFIER)
			continue;
		for (const struct tree *t = n->quantifier->trees; t; t = t->next)
			if (!t->joined)
				earlier(&at, t->join_by);
		earlier(&at, n->quantifier->gather);
	}
	return at;
}

void promise_schedule(struct promise *pr)
{
	int64_t at = pr->pending;

	if (pr->dead)
		return;
	for (const struct node *n = pr->held; n; n = n->next_held)
		if (n->e->op == OP_AGE)
			earlier(&at, age_next(n));
		else if (n->window)
			earlier(&at, window_next(n->window));
	for (const struct node *n = pr->times; n; n = n->next_time)
		earlier(&at, n->at);
	if (pr->n_joining)
		earlier(&at, next_join(pr));
	if (pr->n_actions)
		earlier(&at, actions_next(pr));
	if (pr->flaps.flaps)
		earlier(&at, flapping_next(pr));
	if (at != pr->at)
		heap_set(pr->engine, pr, at);
}

/* ---- transitions ------------------------------------------------------------------------------------------------- */

void promise_set(struct promise *pr, enum kith_assessment to, int64_t time, const char *because)
{
	struct promises *p = pr->engine;
	struct kith_transition t = {
		.size = sizeof(t), .from = pr->assessment, .to = to, .severity = pr->live->rule->severity, .time = time,
		.name = pr->live->rule->name, .promiser = pr->promiser,
	};
	enum kith_assessment from = pr->assessment;
	bool broke = to == KITH_BROKEN && pr->definite == KITH_KEPT;
	struct buf line = BUF_INIT;

	if (from == to)
		return;
	if (to == KITH_BROKEN && pr->definite != KITH_BROKEN)
		pr->mending = 0;
	if (to == KITH_KEPT) {
		pr->repaired = pr->definite == KITH_BROKEN && pr->mending;
		pr->mending = 0;
		if (pr->repaired)
			t.flags = KITH_TRANSITION_REPAIRED;
	}
	pr->from = from;
	pr->assessment = to;
	if (to != KITH_UNKNOWN)
		pr->definite = to;
	pr->since = time;
	pr->transitions++;
	/* An observer may call the engine: the line is this call's own meanwhile. */
	line = p->line;
	p->line = BUF_INIT;
	buf_reset(&line);
	if (because)
		buf_puts(&line, because);
	else
		word_because(&line, pr);
	t.because = buf_text(&line);
	model_transition(p->model, &t);
	if (broke)
		flapping_broke(pr, time);
	listen_changed(pr, time);
	if (pr->n_actions && !pr->dead)
		actions_transition(pr, from, time, t.because);
	buf_free(&p->line);
	p->line = line;
	if (pr->live->rule->dependents)
		depends_changed(p, pr->live->rule, time);
}

/* What a decision goes by: the body's truth, or that another promise stands before it */
static uint8_t promise_ground(const struct promise *pr)
{
	return pr->blocked ? GROUND_BLOCKED : pr->live->rule->fault ? KITH_UNKNOWN : pr->truth;
}

/* The body says something else than at the last decision, since `time`: grace and settle begin. */
static void promise_decide(struct promise *pr, int64_t time)
{
	const struct rule *r = pr->live->rule;

	pr->pending = 0;
	pr->ground = promise_ground(pr);
	switch (r->fault || pr->blocked ? KITH_UNKNOWN : (enum kith_assessment)pr->truth) {
	case KITH_UNKNOWN:
		promise_set(pr, KITH_UNKNOWN, time, NULL);
		break;
	case KITH_KEPT:
		if (pr->assessment != KITH_KEPT && pr->definite == KITH_BROKEN && r->settle)
			pr->pending = time + r->settle;
		else
			promise_set(pr, KITH_KEPT, time, NULL);
		break;
	case KITH_BROKEN:
		if (pr->assessment != KITH_BROKEN && r->grace)
			pr->pending = time + r->grace;
		else
			promise_set(pr, KITH_BROKEN, time, NULL);
		break;
	}
}

/*
 * The samples of a round come one after the other. A promise that speaks of several series would be judged by the new value of one and the old one of
 * another; of a promise that depends on another, a sample that breaks, or mends, both comes to one of them first. These are decided once all of the
 * round's samples are in, so that none is said to be broken, or kept, that never was.
 */
static void late_add(struct promises *p, struct promise *pr, int64_t time)
{
	if (!p->late) {
		p->late_tail = &p->late;
		p->late_at = time;
	}
	if (pr->late)
		return;
	pr->late = true;
	pr->late_since = time;
	pr->next_late = NULL;
	*p->late_tail = pr;
	p->late_tail = &pr->next_late;
}

void late_remove(struct promises *p, struct promise *pr)
{
	struct promise **at = &p->late;

	if (!pr->late)
		return;
	while (*at != pr)
		at = &(*at)->next_late;
	*at = pr->next_late;
	if (!*at)
		p->late_tail = at;
	pr->late = false;
}

void late_run(struct promises *p)
{
	bool before = p->settling;

	p->settling = true;
	while (p->late) {
		struct promise *pr = p->late;

		late_remove(p, pr);
		if (pr->dead)
			continue;
		/* As before after all: what runs, grace or settle, goes on. */
		if (pr->ground != promise_ground(pr))
			promise_decide(pr, pr->late_since);
		promise_schedule(pr);
	}
	p->settling = before;
}

static void assess(struct promise *pr, int64_t time, bool round)
{
	struct promises *p = pr->engine;
	const struct rule *r = pr->live->rule;
	bool unblocked = pr->assessed_blocked != (pr->blocked != NULL), first = !pr->assessed;

	pr->assessed = true;
	pr->assessed_blocked = pr->blocked != NULL;
	pr->truth = pr->tree->nodes[0].truth;
	if (!p->settling && !pr->blocked && !r->fault && ((round && pr->several) || (r->depends && pr->truth != KITH_UNKNOWN)))
		late_add(p, pr, time);
	else
		promise_decide(pr, time);
	/* Unknown for another reason than before is no transition, and yet it is or is no obstacle to others. */
	if (first || unblocked)
		listen_changed(pr, time);
	if (unblocked && r->dependents)
		depends_changed(pr->engine, r, time);
	promise_schedule(pr);
}

void promise_assess(struct promise *pr, int64_t time)
{
	assess(pr, time, true);
}

/* One whose promiser may be what ends has no later. */
void promise_assess_ended(struct promise *pr, int64_t time)
{
	assess(pr, time, !pr->bound);
}

void promise_due(struct promise *pr, int64_t time)
{
	struct promises *p = pr->engine;
	int64_t now = p->now;

	while (pr->at && pr->at <= time && !pr->dead) {
		int64_t at = pr->at;

		/* As it was then, however late it is looked at */
		p->now = at;
		if (pr->pending && pr->pending <= at) {
			pr->pending = 0;
			promise_set(pr, (enum kith_assessment)pr->ground, at, NULL);
		}
		promise_advance(pr, at);
		if (pr->tree->nodes[0].truth != pr->truth)
			assess(pr, at, false);
		if (pr->n_actions)
			actions_due(pr, at);
		flapping_due(pr, at);
		promise_schedule(pr);
	}
	if (now > p->now)
		p->now = now;
}

/* ---- the engine's outermost calls -------------------------------------------------------------------------------- */

void engine_enter(struct promises *p)
{
	p->depth++;
}

void engine_leave(struct promises *p)
{
	int64_t at;

	if (p->depth == 1 && p->records_heard)
		records_assess(p);
	if (--p->depth)
		return;
	if (p->dead_promises || p->dead_trees)
		graveyard_clear(p);
	at = p->n_heap ? p->heap[0]->at : 0;
	if (p->late)
		earlier(&at, p->late_at);
	earlier(&at, p->queue_at);
	if (at == p->armed)
		return;
	p->armed = at;
	if (p->driver.arm)
		p->driver.arm(at, p->driver.user);
}

void promises_run(struct promises *p, int64_t now)
{
	engine_enter(p);
	if (now > p->now)
		p->now = now;
	p->armed = 0; /* the wish was used up, perhaps a little early */
	late_run(p);
	/* In the order of time, of all of them: what one becomes the others hear when it was so. */
	while (p->n_heap && p->heap[0]->at <= now)
		promise_due(p->heap[0], p->heap[0]->at);
	if (p->queue_at && p->queue_at <= now)
		queue_run(p, now);
	engine_leave(p);
}

static void tree_jump(struct tree *tree, int64_t jump)
{
	tree->join_by += jump;
	for (unsigned i = 0; i < tree->n_nodes; i++) {
		struct node *n = &tree->nodes[i];

		if ((n->e->kind == EXPR_CALL || n->e->kind == EXPR_RECORDS) && n->window)
			window_jump(n->window, jump);
		if (n->e->kind != EXPR_QUANTIFIER)
			continue;
		if (n->quantifier->gather)
			n->quantifier->gather += jump;
		for (struct tree *t = n->quantifier->trees; t; t = t->next)
			tree_jump(t, jump);
	}
}

static void promise_jump(struct promise *pr, int64_t jump)
{
	pr->since += jump;
	pr->late_since += jump;
	if (pr->flaps.at)
		pr->flaps.at += jump;
	if (pr->pending)
		pr->pending += jump;
	for (unsigned i = 0; i < pr->n_actions; i++) {
		struct action_state *s = &pr->actions[i];

		for (unsigned k = 0; k < s->n_times; k++)
			s->times[k] += jump;
		if (s->again)
			s->again += jump;
		if (s->last_time)
			s->last_time += jump;
	}
	tree_jump(pr->tree, jump);
	if (pr->at)
		pr->at += jump; /* all by the same: the heap stays in order */
}

static void promise_retime(struct promise *pr)
{
	int64_t now = pr->engine->now;

	for (struct node *n = pr->times; n; n = n->next_time)
		n->at = now;
	promise_advance(pr, now);
	if (pr->tree->nodes[0].truth != pr->truth)
		assess(pr, now, false);
	promise_schedule(pr);
}

void promises_jump(struct promises *p, int64_t jump)
{
	engine_enter(p);
	for (struct rule *r = p->rules.first; r; r = r->next)
		for (struct promise *pr = r->live ? r->live->promises : NULL; pr; pr = pr->next)
			promise_jump(pr, jump);
	p->now += jump;
	if (p->model && model_now(p->model) > p->now)
		p->now = model_now(p->model);
	queue_jump(p, jump);
	late_run(p); /* not before: samples have the new time already */
	/* The time of day is another one now. */
	for (struct rule *r = p->rules.first; r; r = r->next)
		for (struct promise *pr = r->live ? r->live->promises : NULL, *next; pr; pr = next) {
			next = pr->next;
			if (pr->times)
				promise_retime(pr);
		}
	engine_leave(p);
}
