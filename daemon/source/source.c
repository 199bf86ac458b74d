#include "source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct source_sub {
	struct source_sub *next;
	struct source *source;
	struct source_listener listener;
	void *own;
	bool dead; /* unsubscribed while somebody is told: freed after it */
};

struct source {
	struct source *next, **link;
	const struct source_kind *kind;
	struct sources *all;
	void *reader;
	struct source_sub *subs;
	unsigned telling;
	bool unused; /* swept and closed once nobody is told any more */
};

struct sources {
	struct source_env env;
	struct source *open;
};

int sources_new(const struct source_env *env, struct sources **ret_sources)
{
	struct sources *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->env = *env;
	*ret_sources = all;
	return 0;
}

void sources_root(struct sources *all, const char *root)
{
	all->env.root = root;
}

static void source_close(struct source *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	s->kind->close(s->reader);
	free(s);
}

static int source_open(struct sources *all, uint32_t id, struct source **ret_source)
{
	const struct source_kind *kind = source_kind_find(id);
	struct source *s = all->open;
	int r;

	if (!kind)
		return -EOPNOTSUPP;
	while (s && s->kind != kind)
		s = s->next;
	if (s) {
		*ret_source = s;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->kind = kind;
	s->all = all;
	r = kind->open(s, &all->env, &s->reader);
	if (r < 0) {
		free(s);
		return r;
	}
	s->next = all->open;
	s->link = &all->open;
	if (s->next)
		s->next->link = &s->next;
	all->open = s;
	*ret_source = s;
	return 0;
}

/* Frees who has gone, and closes the source after the last: false then */
static bool source_sweep(struct source *s)
{
	struct source_sub **at = &s->subs, *sub;

	if (s->telling || !s->unused)
		return true;
	while ((sub = *at)) {
		if (sub->dead) {
			*at = sub->next;
			free(sub);
		} else {
			at = &sub->next;
		}
	}
	s->unused = false;
	if (s->subs)
		return true;
	source_close(s);
	return false;
}

static int filter_check(uint32_t id, const void *filter)
{
	const struct source_kind *kind = source_kind_find(id);
	uint32_t size;

	if (!kind)
		return -EOPNOTSUPP;
	if (!filter)
		return kind->filter_needed ? -EINVAL : 0;
	memcpy(&size, filter, sizeof(size));
	return size < kind->filter_size || !kind->filter_size ? -EINVAL : 0;
}

int source_subscribe(struct sources *all, uint32_t id, const void *filter, const struct source_listener *listener,
                     struct source_sub **ret_sub)
{
	struct source_sub *sub, **end;
	struct source *s;
	int r;

	if ((r = filter_check(id, filter)) < 0 || (r = source_open(all, id, &s)) < 0)
		return r;
	sub = calloc(1, sizeof(*sub));
	if (!sub) {
		r = -ENOMEM;
		goto fail;
	}
	sub->source = s;
	sub->listener = *listener;
	for (end = &s->subs; *end; end = &(*end)->next)
		;
	*end = sub;
	r = s->kind->add ? s->kind->add(s->reader, sub, filter, &sub->own) : 0;
	if (r < 0) {
		sub->dead = true;
		goto fail;
	}
	*ret_sub = sub;
	return 0;
fail:
	s->unused = true;
	source_sweep(s);
	return r;
}

void source_unsubscribe(struct source_sub *sub)
{
	struct source *s = sub->source;

	if (sub->dead)
		return;
	sub->dead = true;
	if (s->kind->remove)
		s->kind->remove(s->reader, sub->own);
	sub->own = NULL;
	s->unused = true;
	source_sweep(s);
}

void sources_free(struct sources *all)
{
	if (!all)
		return;
	while (all->open) {
		struct source *s = all->open;
		struct source_sub *sub = s->subs;

		while (sub && sub->dead)
			sub = sub->next;
		if (sub)
			source_unsubscribe(sub);
		else
			source_close(s);
	}
	free(all);
}

int source_dump(struct sources *all, uint32_t id, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	struct source *s;
	int r;

	if ((r = filter_check(id, filter)) < 0 || (r = source_open(all, id, &s)) < 0)
		return r;
	s->telling++;
	r = s->kind->dump ? s->kind->dump(s->reader, filter, fn, user) : -ENOTSUP;
	s->telling--;
	s->unused |= !s->kind->stays;
	source_sweep(s);
	return r;
}

/* ---- for the kinds ----------------------------------------------------------------------------------------------- */

void source_tell(struct source *s, const void *event)
{
	s->telling++;
	for (struct source_sub *sub = s->subs; sub; sub = sub->next)
		if (!sub->dead && (!s->kind->accepts || s->kind->accepts(sub->own, event)))
			sub->listener.event(event, sub->listener.user);
	s->telling--;
	source_sweep(s);
}

bool source_tell_one(struct source_sub *sub, const void *event)
{
	struct source *s = sub->source;
	bool alive;

	s->telling++;
	sub->listener.event(event, sub->listener.user);
	alive = !sub->dead;
	s->telling--;
	source_sweep(s);
	return alive;
}

void source_lost(struct source *s)
{
	s->telling++;
	for (struct source_sub *sub = s->subs; sub; sub = sub->next)
		if (!sub->dead)
			sub->listener.lost(sub->listener.user);
	s->telling--;
	source_sweep(s);
}

void source_hold(struct source *s)
{
	s->telling++;
}

bool source_release(struct source *s)
{
	s->telling--;
	return source_sweep(s);
}

const struct source_env *source_env(const struct source *s)
{
	return &s->all->env;
}

void source_each(const struct source *s, void (*fn)(void *own, void *user), void *user)
{
	for (struct source_sub *sub = s->subs; sub; sub = sub->next)
		if (!sub->dead && sub->own)
			fn(sub->own, user);
}
