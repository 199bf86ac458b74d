/* Trails out of the journal's ring: after a crash no file has what was sampled last. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/names.h"
#include "store/journal.h"
#include "store/trail_impl.h"

struct recalled {
	UT_hash_handle hh;
	struct waiting *waiting;
};

/* Of an instance in a chunk: the trails of its metrics; NULL for those that there is no room for */
struct bound {
	struct bound *next;
	struct waiting *list[];
};

struct recall {
	struct trails *trails;
	struct recalled *by_name;
	struct bound *bound;
	int64_t last; /* wall ns */
};

static int remember(struct recall *r, struct waiting *w)
{
	struct recalled *one = calloc(1, sizeof(*one));

	if (!one)
		return -ENOMEM;
	one->waiting = w;
	HASH_ADD_KEYPTR(hh, r->by_name, w->name, strlen(w->name), one);
	return 0;
}

static int waiting_new(struct recall *r, const char *name, struct waiting **ret_waiting)
{
	struct trails *t = r->trails;
	size_t length = strlen(name);
	struct waiting *w = calloc(1, sizeof(*w) + length + 1);

	if (w)
		w->trail = calloc(1, sizeof(*w->trail));
	if (!w || !w->trail) {
		free(w);
		return -ENOMEM;
	}
	memcpy(w->name, name, length + 1);
	w->next = t->waiting;
	t->waiting = w;
	t->n_waiting++;
	*ret_waiting = w;
	return remember(r, w);
}

static int waiting_get(struct recall *r, const struct unpack_instance *i, const struct unpack_metric *m, struct waiting **ret_waiting)
{
	char name[NAME_MAX_LENGTH + 1];
	struct recalled *one;
	struct waiting *w;
	int err;

	*ret_waiting = NULL;
	if (snprintf(name, sizeof(name), "%s%s%s:%s", i->family->name, *i->name ? ":" : "", i->name, m->name) >= (int)sizeof(name))
		return 0;
	HASH_FIND_STR(r->by_name, name, one);
	if (!one && r->trails->n_waiting >= TRAILS_RECALLED_MAX)
		return 0;
	w = one ? one->waiting : NULL;
	if (!w && (err = waiting_new(r, name, &w)) < 0)
		return err;
	/* What the file had of something else */
	if (w->kind != m->kind || w->n_states != m->n_states)
		w->trail->n = 0;
	w->kind = m->kind;
	w->n_states = m->n_states;
	*ret_waiting = w;
	return 0;
}

static int on_instance(struct unpack_instance *i, void *user)
{
	struct recall *r = user;
	struct bound *b = calloc(1, sizeof(*b) + i->family->n * sizeof(struct waiting *));
	int err = b ? 0 : -ENOMEM;

	if (!b)
		return err;
	b->next = r->bound;
	r->bound = b;
	for (uint32_t k = 0; !err && k < i->family->n; k++)
		err = waiting_get(r, i, &i->family->metrics[k], &b->list[k]);
	i->user = b;
	return err;
}

static int on_sample(const struct unpack_instance *i, uint32_t metric, double value, int64_t time, bool extra, void *user)
{
	struct recall *r = user;
	struct waiting *w = ((struct bound *)i->user)->list[metric];
	struct trail *t = w ? w->trail : NULL;

	if (time > r->last)
		r->last = time;
	/* The file may have it already. */
	if (!t || !isfinite(value) || (t->n && time <= (t->samples[t->newest].time | 1)))
		return 0;
	t->newest = t->n && t->newest + 1 < TRAIL_LENGTH ? t->newest + 1 : 0;
	t->samples[t->newest] = (struct stored){ (time & ~INT64_C(1)) | extra, value };
	if (t->n < TRAIL_LENGTH)
		t->n++;
	return 0;
}

static int on_end(const struct unpack_instance *i, int64_t time, void *user)
{
	struct bound *b = i->user;

	(void)time;
	(void)user;
	for (uint32_t k = 0; k < i->family->n; k++)
		if (b->list[k])
			b->list[k]->trail->n = 0;
	return 0;
}

int trails_recall(struct trails *t, struct journal *j)
{
	static const struct unpack_fns fns = { on_instance, on_sample, on_end, NULL };
	struct recall r = { .trails = t };
	struct recalled *one, *next;
	int err = 0;

	/* What was written when kithd stopped has all of it. */
	if (journal_end(j) <= t->saved)
		return 0;
	for (struct waiting *w = t->waiting; w && !err; w = w->next)
		err = remember(&r, w);
	if (!err)
		err = journal_read(j, &fns, &r);
	for (struct waiting *w = t->waiting; w; w = w->next)
		if (w->trail->n && w->trail->until < r.last)
			w->trail->until = r.last;
	HASH_ITER(hh, r.by_name, one, next) {
		HASH_DEL(r.by_name, one);
		free(one);
	}
	while (r.bound) {
		struct bound *b = r.bound;

		r.bound = b->next;
		free(b);
	}
	return err == -ENOMEM ? err : 0;
}
