/*
 * depends: while one promise is broken, those that depend on it are unknown, and say so. No cycles: they are refused when a set is read. A promise
 * that is unknown on account of its own dependency passes that on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "promises/engine.h"

enum { VISIT_NOT, VISIT_OPEN, VISIT_DONE };

#define SUGGEST_NAMES 256

/* ---- when a set is read ------------------------------------------------------------------------------------------ */

static void depends_fault(struct faults *faults, const struct dependency *d, const char *hint, const char *text)
{
	const struct promises_file *file = d->rule->file;

	fault_add(faults, false, file->path, file->text, file->length, d->at, d->width, hint, "%s", text);
}

static void depends_unknown(struct faults *faults, const struct rules *rules, const struct dependency *d)
{
	const char *names[SUGGEST_NAMES], *near;
	char hint[160], text[2 * NAME_PART_MAX + 64];
	size_t n = 0;

	for (const struct rule *r = rules->first; r && n < SUGGEST_NAMES; r = r->next)
		if (r != d->rule)
			names[n++] = r->name;
	near = suggest(d->name, strlen(d->name), names, n);
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	snprintf(text, sizeof(text), "there is no promise \"%s\" to depend on", d->name);
	depends_fault(faults, d, near ? hint : NULL, text);
}

/* "a.b depends on c.d, which depends on a.b" */
static void depends_cycle(struct faults *faults, const struct dependency *const *path, unsigned n)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s depends on itself", path[0]->rule->name);
	for (unsigned i = 0; i + 1 < n; i++)
		buf_printf(&b, "%s %s", i ? ", that on" : ": it depends on", path[i]->name);
	if (n > 1)
		buf_printf(&b, ", that on %s", path[n - 1]->name);
	depends_fault(faults, path[0], "take one of them out", buf_text(&b));
	buf_free(&b);
}

static const char too_long[] = "promises depend on one another in a chain of more than 64";

struct walk {
	struct faults *faults;
	const struct dependency *path[DEPENDS_MAX];
	unsigned n;
};

/* What follows a chain calls itself for each link: it is bounded. Told once. */
static bool depends_measure(struct walk *w, struct rule *r, const struct dependency *d)
{
	if (d->on->chain + 1 > r->chain)
		r->chain = d->on->chain + 1;
	if (d->on->chain == DEPENDS_MAX)
		depends_fault(w->faults, d, NULL, too_long);
	return true;
}

static void depends_walk(struct walk *w, struct rule *r)
{
	r->visit = VISIT_OPEN;
	for (struct dependency *d = r->depends; d; d = d->next) {
		unsigned first = 0;

		if (!d->on || (d->on->visit == VISIT_DONE && depends_measure(w, r, d)))
			continue;
		if (w->n >= DEPENDS_MAX) {
			depends_fault(w->faults, d, NULL, too_long);
			continue;
		}
		w->path[w->n++] = d;
		if (d->on->visit == VISIT_OPEN) {
			while (w->path[first]->rule != d->on)
				first++;
			depends_cycle(w->faults, w->path + first, w->n - first);
		} else {
			depends_walk(w, d->on);
			depends_measure(w, r, d);
		}
		w->n--;
	}
	r->visit = VISIT_DONE;
}

void depends_check(struct rules *rules, const struct named *names, struct faults *faults)
{
	struct walk w = { .faults = faults };
	struct named *found;

	for (struct rule *r = rules->first; r; r = r->next) {
		r->visit = VISIT_NOT;
		r->chain = 0;
		for (struct dependency *d = r->depends; d; d = d->next) {
			HASH_FIND_STR(names, d->name, found);
			d->on = found ? found->rule : NULL;
			if (!found)
				depends_unknown(faults, rules, d);
		}
	}
	for (struct rule *r = rules->first; r; r = r->next)
		if (r->visit == VISIT_NOT)
			depends_walk(&w, r);
}

/* ---- in force ---------------------------------------------------------------------------------------------------- */

void depends_take(struct rule *keep, const struct rule *twin)
{
	const struct dependency *from = twin->depends;

	for (struct dependency *d = keep->depends; d && from; d = d->next, from = from->next)
		d->on = from->on;
}

void depends_link(struct promises *p)
{
	for (struct rule *r = p->rules.first; r; r = r->next) {
		r->dependents = NULL;
		r->visit = VISIT_NOT;
	}
	for (struct rule *r = p->rules.first; r; r = r->next)
		for (struct dependency *d = r->depends; d; d = d->next) {
			if (d->on && d->on->twin)
				d->on = d->on->twin;
			if (!d->on)
				continue;
			d->next_dependent = d->on->dependents;
			d->on->dependents = d;
		}
}

static bool blocks(const struct promise *on)
{
	return !on->dead && (on->assessment == KITH_BROKEN || (on->assessment == KITH_UNKNOWN && on->blocked));
}

/* The promise that keeps `pr` unknown; NULL: none. Of one with a pattern, that of the same instance counts alone where there is one. */
static struct promise *blocker(const struct promise *pr)
{
	for (const struct dependency *d = pr->live->rule->depends; d; d = d->next) {
		const struct live_rule *live = d->on ? d->on->live : NULL;
		struct promise *any = NULL, *same = NULL;

		for (struct promise *on = live ? live->promises : NULL; on; on = on->next) {
			if (pr->instance && on->instance && !strcmp(pr->instance, on->instance))
				same = on;
			if (!any && blocks(on))
				any = on;
		}
		if (same ? blocks(same) : any != NULL)
			return same ? same : any;
	}
	return NULL;
}

/* Also right when the promise that it points at goes. True: its assessment was made under another sign. */
static bool depends_update(struct promise *pr)
{
	pr->blocked = pr->live->rule->depends ? blocker(pr) : NULL;
	return pr->assessed && (pr->blocked != NULL) != pr->assessed_blocked;
}

void depends_changed(struct promises *p, const struct rule *r, int64_t time)
{
	for (struct dependency *d = r->dependents; d; d = d->next_dependent)
		for (struct promise *pr = d->rule->live ? d->rule->live->promises : NULL, *next; pr; pr = next) {
			next = pr->next;
			/* Its own time comes first. */
			if (pr->at && pr->at <= time && !p->loading)
				promise_due(pr, time);
			if (depends_update(pr) && !p->loading)
				promise_assess(pr, time);
		}
}

void depends_begin(struct promise *pr)
{
	depends_update(pr);
}

/* What others depend on comes first: none is said to be broken that is unknown a moment later. */
static void assess_rule(struct rule *r, int64_t now)
{
	r->visit = VISIT_DONE;
	for (struct dependency *d = r->depends; d; d = d->next)
		if (d->on && d->on->visit == VISIT_NOT)
			assess_rule(d->on, now);
	for (struct promise *pr = r->live ? r->live->promises : NULL, *next; pr; pr = next) {
		next = pr->next;
		if (depends_update(pr) || !pr->assessed)
			promise_assess(pr, now);
	}
}

void depends_assess(struct promises *p, int64_t now)
{
	p->settling = true; /* in their order */
	for (struct rule *r = p->rules.first; r; r = r->next)
		if (r->visit == VISIT_NOT)
			assess_rule(r, now);
	p->settling = false;
}

/* ---- what is said ------------------------------------------------------------------------------------------------ */

void word_blocked(struct buf *b, const struct promise *pr)
{
	const struct promise *on = pr->blocked;

	buf_printf(b, "depends on %s", on->live->rule->name);
	for (; on->blocked; on = on->blocked)
		buf_printf(b, ", that on %s", on->blocked->live->rule->name);
	if (on->instance)
		buf_printf(b, " (%s)", on->promiser);
	buf_printf(b, ", which is %s", assessment_name(on->assessment));
}

void word_depends(struct buf *b, const struct promise *pr)
{
	for (const struct dependency *d = pr->live->rule->depends; d; d = d->next) {
		const struct live_rule *live = d->on ? d->on->live : NULL;
		unsigned counts[3] = { 0 };

		buf_printf(b, "%s%s: ", b->length ? "\n" : "", d->name);
		if (!live) {
			buf_puts(b, "not promised on this host");
			continue;
		}
		for (const struct promise *on = live->promises; on; on = on->next)
			counts[on->assessment]++;
		if (live->n_promises == 1)
			buf_puts(b, assessment_name(live->promises->assessment));
		else
			buf_printf(b, "%u broken, %u unknown, %u kept", counts[KITH_BROKEN], counts[KITH_UNKNOWN], counts[KITH_KEPT]);
	}
}
