#include "store/trail.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

struct stored {
	int64_t time; /* bit 0: extra */
	double value;
};

struct trail {
	struct trail *next, **link; /* of all */
	struct series *series;
	unsigned uses;              /* names that promises have for it */
	unsigned n, newest;
	struct stored samples[TRAIL_LENGTH];
};

struct trails {
	struct model *model;
	struct trail *all;
	size_t n, most;
	uint64_t refused;
};

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

/* A place for the samples, all of it at once: none is made on a sample's way. */
static struct trail *trail_make(struct trails *t, struct series *s)
{
	struct trail *trail = t->n < t->most ? malloc(sizeof(*trail)) : NULL;

	if (!trail) {
		if (!t->refused++)
			log_notice("recent samples are kept of %zu series that promises name; of more there are none to explain or replay", t->n);
		return NULL;
	}
	trail->series = s;
	trail->uses = trail->n = trail->newest = 0;
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
		if (s->trail && s->time)
			trail_put(s->trail, s, false);
	}
	if (s->trail)
		s->trail->uses++;
}

static void trail_end(struct series *s, void *user)
{
	trail_drop(user, s);
}

int trails_new(struct model *m, size_t bytes, struct trails **ret_trails)
{
	struct trails *t = calloc(1, sizeof(*t));
	struct model_tracer tracer = { trail_want, trail_put, trail_end, t };

	if (!t)
		return -ENOMEM;
	t->model = m;
	t->most = bytes / sizeof(struct trail);
	model_set_tracer(m, &tracer);
	*ret_trails = t;
	return 0;
}

void trails_free(struct trails *t)
{
	if (!t)
		return;
	while (t->all)
		trail_drop(t, t->all->series);
	model_set_tracer(t->model, NULL);
	free(t);
}

void trails_jump(struct trails *t, int64_t jump)
{
	for (struct trail *trail = t->all; trail; trail = trail->next)
		for (unsigned i = 0; i < trail->n; i++)
			trail->samples[(trail->newest + TRAIL_LENGTH - i) % TRAIL_LENGTH].time += jump & ~INT64_C(1);
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
