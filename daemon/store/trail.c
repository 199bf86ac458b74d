#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/names.h"
#include "store/trail_impl.h"

static void trail_drop(struct trails *t, struct series *s)
{
	struct trail *trail = s->trail;

	s->trail = NULL;
	*trail->link = trail->next;
	if (trail->next)
		trail->next->link = trail->link;
	t->n--;
	free(trail);
}

static void waiting_drop(struct trails *t, struct waiting **at)
{
	struct waiting *w = *at;

	*at = w->next;
	t->n_waiting--;
	free(w->trail);
	free(w);
}

/* What the file had of this series, if it still is of the same kind */
static struct trail *trail_waiting(struct trails *t, const struct series *s)
{
	const struct metric *m = series_metric(s);
	char name[NAME_MAX_LENGTH + 1];
	struct waiting **at;
	struct trail *trail;

	if (!t->waiting)
		return NULL;
	series_name(s, name);
	for (at = &t->waiting; *at && strcmp((*at)->name, name); at = &(*at)->next)
		;
	if (!*at || (*at)->kind != m->kind || (m->kind == KITH_STATE && (*at)->n_states != m->n_states))
		return NULL;
	trail = (*at)->trail;
	(*at)->trail = NULL;
	waiting_drop(t, at);
	return trail;
}

/* A place for the samples, all of it at once: none is made on a sample's way. */
static struct trail *trail_make(struct trails *t, struct series *s)
{
	struct trail *trail = trail_waiting(t, s);

	/* Those that wait are counted when they come: most of them never do. */
	if (trail && t->n >= t->most) {
		free(trail);
		trail = NULL;
	} else if (!trail && t->n < t->most) {
		trail = calloc(1, sizeof(*trail));
	}
	if (!trail) {
		if (!t->refused++)
			log_notice("recent samples are kept of %zu series that promises name; of more there are none to explain or replay", t->n);
		return NULL;
	}
	trail->series = s;
	trail->next = t->all;
	trail->link = &t->all;
	if (trail->next)
		trail->next->link = &trail->next;
	t->all = trail;
	t->n++;
	return trail;
}

static void trail_put(struct trail *trail, const struct series *s, bool extra)
{
	trail->until = 0;
	trail->newest = trail->newest + 1 < TRAIL_LENGTH ? trail->newest + 1 : 0;
	trail->samples[trail->newest] = (struct stored){ (s->time & ~INT64_C(1)) | extra, s->value };
	if (trail->n < TRAIL_LENGTH)
		trail->n++;
}

static void trail_want(struct series *s, bool wanted, void *user)
{
	struct trails *t = user;

	if (!wanted) {
		if (s->trail && !--s->trail->uses)
			trail_drop(t, s);
		return;
	}
	if (!s->trail) {
		s->trail = trail_make(t, s);
		if (s->trail && s->time) {
			/* The gap before it is still one: windows that begin now are told of it. */
			int64_t until = s->trail->until;

			trail_put(s->trail, s, false);
			s->trail->until = until;
		}
	}
	if (s->trail)
		s->trail->uses++;
}

static void trail_end(struct series *s, void *user)
{
	trail_drop(user, s);
}

static struct past trail_past(const struct series *s)
{
	return (struct past){ .n = s->trail->n, .until = s->trail->until };
}

int trails_new(struct model *m, size_t bytes, struct trails **ret_trails)
{
	struct trails *t = calloc(1, sizeof(*t));
	struct model_tracer tracer = { trail_want, trail_put, trail_end, trail_past, trail_at, t };

	if (!t)
		return -ENOMEM;
	t->model = m;
	t->most = bytes / sizeof(struct trail);
	model_set_tracer(m, &tracer);
	*ret_trails = t;
	return 0;
}

void trails_forget(struct trails *t)
{
	while (t->waiting)
		waiting_drop(t, &t->waiting);
}

void trails_free(struct trails *t)
{
	if (!t)
		return;
	while (t->all)
		trail_drop(t, t->all->series);
	trails_forget(t);
	model_set_tracer(t->model, NULL);
	free(t);
}

static void trail_jump(struct trail *trail, int64_t jump)
{
	for (unsigned i = 0; i < trail->n; i++)
		trail->samples[(trail->newest + TRAIL_LENGTH - i) % TRAIL_LENGTH].time += jump & ~INT64_C(1);
	if (trail->until)
		trail->until += jump;
}

void trails_jump(struct trails *t, int64_t jump)
{
	for (struct trail *trail = t->all; trail; trail = trail->next)
		trail_jump(trail, jump);
	for (struct waiting *w = t->waiting; w; w = w->next)
		trail_jump(w->trail, jump);
}

size_t trails_count(const struct trails *t)
{
	return t->n;
}

uint64_t trails_refused(const struct trails *t)
{
	return t->refused;
}

size_t trail_length(const struct series *s)
{
	return s->trail ? s->trail->n : 0;
}

struct trail_sample trail_at(const struct series *s, size_t index)
{
	const struct trail *trail = s->trail;
	const struct stored *x = &trail->samples[(trail->newest + TRAIL_LENGTH - (trail->n - 1 - index)) % TRAIL_LENGTH];

	return (struct trail_sample){ .time = x->time & ~INT64_C(1), .value = x->value, .extra = x->time & 1 };
}
