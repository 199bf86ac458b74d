/* The engine as a whole: made, loaded, asked, freed. */
#include "promises/promises.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "promises/engine.h"
#include "promises/typing.h"

#define ACTIONS_MOST 60
#define ACTIONS_PER (60 * NS_PER_S)
#define FILE_LENGTH_MAX ((size_t)8 << 20)

/* ---- new and free ------------------------------------------------------------------------------------------------ */

static void on_family(const struct family *family, bool begins, void *user)
{
	binding_family(user, family, begins);
}

static void on_instance(struct instance *instance, bool begins, void *user)
{
	binding_instance(user, instance, begins);
}

static void on_record(const struct kith_record *record, uint64_t number, void *user)
{
	struct promises *p = user;

	(void)number;
	if (p->records)
		records_hear(p, record);
}

int promises_new(struct model *m, const struct promises_driver *driver, const struct promises_facts *facts,
                 struct promises **ret_promises)
{
	struct promises *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->model = m;
	if (driver)
		p->driver = *driver;
	if (facts_copy(&p->facts, facts) < 0) {
		free(p);
		return -ENOMEM;
	}
	if (promises_limit_actions(p, ACTIONS_MOST, ACTIONS_PER) < 0) {
		facts_free(&p->facts);
		free(p);
		return -ENOMEM;
	}
	p->observer = (struct model_observer){ .user = p, .on_family = on_family, .on_instance = on_instance, .on_record = on_record };
	if (m)
		model_observe(m, &p->observer);
	*ret_promises = p;
	return 0;
}

void promises_set_facts(struct promises *p, const struct promises_facts *facts)
{
	/* Without memory for them the old ones stand. */
	facts_copy(&p->facts, facts);
}

static void live_drop(struct promises *p, struct rule *rule)
{
	if (!rule->live)
		return;
	rule_unbind(p, rule->live);
	/* Promises that ended still point at it until they are freed. */
	if (!p->depth)
		graveyard_clear(p);
	free(rule->live);
	rule->live = NULL;
}

void promises_free(struct promises *p)
{
	if (!p)
		return;
	if (p->model)
		model_unobserve(p->model, &p->observer);
	p->loading = true; /* nothing is assessed any more */
	for (struct rule *r = p->rules.first; r; r = r->next)
		live_drop(p, r);
	graveyard_clear(p);
	rules_free(&p->rules);
	while (p->runs) {
		struct run *run = p->runs;

		p->runs = run->next;
		free(run->name);
		free(run->promiser);
		free(run->program);
		free(run);
	}
	facts_free(&p->facts);
	receivers_free(p);
	free(p->heap);
	free(p->starts);
	free(p->work);
	free(p->index);
	buf_free(&p->because);
	buf_free(&p->place);
	buf_free(&p->line);
	free(p);
}

/* ---- reading and checking ---------------------------------------------------------------------------------------- */

static void names_free(struct named *names, struct named *all)
{
	HASH_CLEAR(hh, names);
	free(all);
}

static size_t count_rules(const struct rules *rules)
{
	size_t n = 0;

	for (const struct rule *r = rules->first; r; r = r->next)
		n++;
	return n;
}

/* By name. -ENOMEM. The first of two of one name is found. */
static int names_make(const struct rules *rules, struct named **ret_names, struct named **ret_all)
{
	struct named *names = NULL, *found, *all = calloc(count_rules(rules) + 1, sizeof(*all)), *next = all;

	if (!all)
		return -ENOMEM;
	for (struct rule *r = rules->first; r; r = r->next) {
		HASH_FIND_STR(names, r->name, found);
		if (found)
			continue;
		next->rule = r;
		HASH_ADD_KEYPTR(hh, names, r->name, strlen(r->name), next);
		if (!next->hh.tbl) {
			names_free(names, all);
			return -ENOMEM;
		}
		next++;
	}
	*ret_names = names;
	*ret_all = all;
	return 0;
}

static void check_duplicate(struct faults *faults, const struct named *names, const struct rule *r)
{
	const struct promises_file *file = r->file;
	struct named *found;
	char hint[512];

	HASH_FIND_STR(names, r->name, found);
	if (!found || found->rule == r || !r->name_width)
		return;
	snprintf(hint, sizeof(hint), "the other is at %.400s:%u", found->rule->path, found->rule->line);
	fault_add(faults, false, file->path, file->text, file->length, r->name_at, r->name_width, hint,
	          "there is a promise \"%s\" already", r->name);
}

/* All files into *rules, checked. -EINVAL: there are errors; -ENOMEM. *rules is the caller's to free either way. */
int rules_read(const struct promises *p, const struct promises_file *files, size_t n, struct rules *rules, struct faults *faults)
{
	struct typing t = { .model = p->model, .faults = faults };
	struct named *names, *all;
	unsigned before = faults->n_errors;
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		const char *nul = memchr(files[i].text, '\0', files[i].length);

		if (nul)
			fault_add(faults, false, files[i].path, files[i].text, (size_t)(nul - files[i].text), (size_t)(nul - files[i].text),
			          1, NULL, "this is no text file: it holds a NUL byte");
		else if (files[i].length > FILE_LENGTH_MAX)
			fault_add(faults, false, files[i].path, NULL, 0, 0, 0, "split it", "the file is larger than 8 MiB");
		else
			err = grammar_read(&files[i], rules, faults);
	}
	if (!err)
		err = names_make(rules, &names, &all);
	if (err < 0)
		return err;
	for (struct rule *r = rules->first; r; r = r->next) {
		t.path = r->file->path;
		t.text = r->file->text;
		t.length = r->file->length;
		check_duplicate(faults, names, r);
		typing_check(&t, r);
		receivers_check(p, r, faults);
	}
	depends_check(rules, names, faults);
	for (struct rule *r = rules->first; r; r = r->next)
		r->file = NULL; /* not the engine's any longer */
	names_free(names, all);
	/* Judged before: faults that the caller has already are not kept twice. */
	err = faults->n_errors > before ? -EINVAL : 0;
	faults_sort(faults);
	return err;
}

int promises_check(struct promises *p, const struct promises_file *files, size_t n, struct faults *faults)
{
	struct rules rules = { 0 };
	int err = rules_read(p, files, n, &rules, faults);

	rules_free(&rules);
	return err;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* The old rule that goes on in the place of the new one: the same text, in force then and now */
static bool is_same(const struct promises *p, const struct rule *old, const struct rule *new)
{
	return old && old->live && !strcmp(old->text, new->text) && (!new->only || facts_hold(&p->facts, new->only));
}

/* A promise that was said to be broken, or kept, is no longer spoken of: its readers hear it. */
static void say_gone(const struct rule *r, int64_t now)
{
	for (struct promise *pr = r->live ? r->live->promises : NULL, *next; pr; pr = next) {
		next = pr->next;
		if (pr->assessment != KITH_UNKNOWN) {
			pr->dead = true; /* its actions do not run */
			promise_set(pr, KITH_UNKNOWN, now, "the promise was changed or taken out");
			pr->dead = false;
		}
	}
}

static int bind_new(struct promises *p, struct rules *rules, const struct named *names, int64_t now)
{
	struct named *old;
	int err = 0;

	for (struct rule *r = rules->first; r && !err; r = r->next) {
		if (r->only && !facts_hold(&p->facts, r->only))
			continue;
		HASH_FIND_STR(names, r->name, old);
		if (old && is_same(p, old->rule, r))
			continue;
		r->live = calloc(1, sizeof(*r->live));
		if (!r->live)
			return -ENOMEM;
		r->live->rule = r;
		err = rule_bind(p, r->live, now);
	}
	return err;
}

static void rule_unchain(struct rules *rules, struct rule *r)
{
	struct rule **at = &rules->first;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
}

/* Puts unchanged old rules in the place of their new twins; what is left of the old ones ends. */
static void commit(struct promises *p, struct rules *rules, const struct named *names, int64_t now)
{
	struct rules merged = { 0 }, gone = { 0 }, twins = { 0 };
	struct rule **tail = &merged.first, **gone_tail = &gone.first, *next;
	struct named *old;

	for (struct rule *r = rules->first; r; r = next) {
		struct rule *keep = r;

		next = r->next;
		HASH_FIND_STR(names, r->name, old);
		if (old && !r->live && is_same(p, old->rule, r)) {
			char *path = r->path;

			keep = old->rule;
			r->path = keep->path;
			keep->path = path;
			keep->line = r->line;
			depends_take(keep, r);
			r->twin = keep;
			r->next = twins.first;
			twins.first = r;
		}
		if (keep != r)
			rule_unchain(&p->rules, keep);
		keep->next = NULL;
		*tail = keep;
		tail = &keep->next;
		merged.last = keep;
	}
	for (struct rule *r = p->rules.first; r; r = next) {
		next = r->next;
		r->next = NULL;
		*gone_tail = r;
		gone_tail = &r->next;
	}
	p->rules = merged;
	p->index_valid = false;
	for (struct rule *r = gone.first; r; r = r->next) {
		say_gone(r, now);
		if (r->live)
			rule_unbind(p, r->live);
	}
	depends_link(p);
	if (p->depth == 1)
		graveyard_clear(p);
	for (struct rule *r = gone.first; r; r = r->next) {
		free(r->live);
		r->live = NULL;
	}
	rules_free(&gone);
	rules_free(&twins);
	*rules = (struct rules){ 0 };
}

int promises_load(struct promises *p, const struct promises_file *files, size_t n, int64_t now, struct faults *faults)
{
	struct rules rules = { 0 };
	struct named *names = NULL, *all = NULL;
	int err;

	if (p->depth)
		return -EBUSY;
	err = rules_read(p, files, n, &rules, faults);
	if (!err)
		err = names_make(&p->rules, &names, &all);
	if (err < 0) {
		rules_free(&rules);
		return err;
	}
	engine_enter(p);
	if (now > p->now)
		p->now = now;
	err = bind_new(p, &rules, names, now);
	if (err < 0) {
		for (struct rule *r = rules.first; r; r = r->next)
			if (r->live)
				rule_unbind(p, r->live);
		graveyard_clear(p);
		for (struct rule *r = rules.first; r; r = r->next)
			free(r->live);
		rules_free(&rules);
	} else {
		p->loading = true;
		commit(p, &rules, names, now);
		p->loading = false;
		depends_assess(p, now);
	}
	names_free(names, all);
	engine_leave(p);
	return err;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

size_t promises_count(const struct promises *p)
{
	return p->n_promises;
}

static int index_make(struct promises *p)
{
	struct promise **index;
	size_t n = 0;

	if (p->index_valid)
		return 0;
	index = realloc(p->index, (p->n_promises + 1) * sizeof(struct promise *));
	if (!index)
		return -ENOMEM;
	p->index = index;
	for (struct rule *r = p->rules.first; r; r = r->next)
		for (struct promise *pr = r->live ? r->live->promises : NULL; pr; pr = pr->next)
			index[n++] = pr;
	p->n_index = n;
	p->index_valid = true;
	return 0;
}

int promises_get(const struct promises *p_, size_t index, struct promise_info *ret_info)
{
	/* The index and the texts are made when asked for: nothing that a caller could see of the engine's state. */
	struct promises *p = (struct promises *)(uintptr_t)p_;
	const struct promise *pr;
	const struct rule *r;

	if (index_make(p) < 0)
		return -ENOMEM;
	if (index >= p->n_index)
		return -ENOENT;
	pr = p->index[index];
	r = pr->live->rule;
	buf_reset(&p->because);
	word_because(&p->because, pr);
	buf_reset(&p->place);
	buf_printf(&p->place, "%s:%u", r->path, r->line);
	if (p->because.failed || p->place.failed)
		return -ENOMEM;
	promise_look(pr, ret_info);
	ret_info->because = buf_text(&p->because);
	ret_info->place = buf_text(&p->place);
	return 0;
}
