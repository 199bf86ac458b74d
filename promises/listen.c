/* Those that keep something beside each promise (notices), and the names that `tell` may have. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "promises/engine.h"

#define SUGGEST_RECEIVERS 64

void promises_listen(struct promises *p, const struct promises_listener *listener)
{
	p->listener = listener ? *listener : (struct promises_listener){ 0 };
}

void listen_changed(struct promise *pr, int64_t time)
{
	if (pr->engine->listener.changed)
		pr->engine->listener.changed(pr, time, pr->engine->listener.user);
}

void listen_ended(struct promise *pr)
{
	if (pr->engine->listener.ended && pr->assessed)
		pr->engine->listener.ended(pr, pr->engine->now, pr->engine->listener.user);
}

void promise_look(const struct promise *pr, struct promise_info *ret_info)
{
	const struct rule *r = pr->live->rule;

	*ret_info = (struct promise_info){
		.name = r->name, .promiser = pr->promiser, .promisees = r->promisees, .n_promisees = r->n_promisees,
		.assessment = pr->assessment, .since = pr->since, .severity = r->severity, .because = "", .body = r->body_text, .place = "",
		.repaired = pr->assessment == KITH_KEPT && pr->repaired, .flapping = flapping_count(pr), .tells = r->tells, .n_tells = r->n_tells,
		.promise = (struct promise *)(uintptr_t)pr, .evaluations = pr->evaluations, .cpu_ns = pr->cpu_ns,
		.transitions = pr->transitions, .actions = pr->started, .failures = pr->failures,
	};
}

const char *promise_because(struct promise *pr)
{
	struct promises *p = pr->engine;

	buf_reset(&p->because);
	word_because(&p->because, pr);
	return buf_text(&p->because);
}

struct promise *promise_root(const struct promise *pr)
{
	struct promise *root = pr->blocked;

	while (root && root->blocked)
		root = root->blocked;
	return root;
}

void *promise_mark(const struct promise *pr)
{
	return pr->mark;
}

void promise_set_mark(struct promise *pr, void *mark)
{
	pr->mark = mark;
}

void promises_each(struct promises *p, void (*fn)(struct promise *pr, void *user), void *user)
{
	for (struct rule *r = p->rules.first; r; r = r->next)
		for (struct promise *pr = r->live ? r->live->promises : NULL; pr; pr = pr->next)
			fn(pr, user);
}

/* ---- tell -------------------------------------------------------------------------------------------------------- */

void receivers_free(struct promises *p)
{
	for (size_t i = 0; i < p->n_receivers; i++)
		free(p->receivers[i]);
	free(p->receivers);
	p->receivers = NULL;
	p->n_receivers = 0;
}

int promises_set_receivers(struct promises *p, const char *const *names, size_t n)
{
	char **copy = names ? calloc(n + 1, sizeof(*copy)) : NULL;

	if (names && !copy)
		return -ENOMEM;
	for (size_t i = 0; names && i < n; i++) {
		copy[i] = strdup(names[i]);
		if (!copy[i]) {
			while (i)
				free(copy[--i]);
			free(copy);
			return -ENOMEM;
		}
	}
	receivers_free(p);
	p->receivers = copy;
	p->n_receivers = names ? n : 0;
	return 0;
}

static bool is_receiver(const struct promises *p, const char *name)
{
	for (size_t i = 0; i < p->n_receivers; i++)
		if (!strcmp(p->receivers[i], name))
			return true;
	return !strcmp(name, "zone");
}

void receivers_check(const struct promises *p, const struct rule *r, struct faults *faults)
{
	const char *names[SUGGEST_RECEIVERS], *near;
	char hint[160], shown[64];
	size_t n = 0;

	for (size_t i = 0; i < p->n_receivers && n < SUGGEST_RECEIVERS; i++)
		names[n++] = p->receivers[i];
	for (unsigned i = 0; p->receivers && i < r->n_tells; i++) {
		const char *name = r->tells[i];

		if (is_receiver(p, name))
			continue;
		near = suggest(name, strlen(name), names, n);
		snprintf(shown, sizeof(shown), "%s", name);
		if (near)
			snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
		else
			snprintf(hint, sizeof(hint), "a section notify %s { run = [...] } of kith.conf makes it one", shown);
		fault_add(faults, true, r->file->path, r->file->text, r->file->length, r->tell_places[i].at, r->tell_places[i].width, hint,
		          "nobody is told: there is no receiver \"%s\"", shown);
	}
}
