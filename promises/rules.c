/* A rule in force: the families and instances that it names are wanted, its promises are there. */
#include <errno.h>
#include <string.h>

#include "promises/engine.h"

/* Each family and instance that a rule names, in a fixed order */
struct mention {
	struct promises *p;
	struct live_rule *live;
	int (*fn)(struct mention *m, const char *family, const char *instance);
	unsigned done, limit; /* of the limit first ones alone */
};

static int mention_one(struct mention *m, const char *family, const char *instance)
{
	int r;

	if (m->done >= m->limit)
		return 0;
	r = m->fn(m, family, instance);
	if (r < 0)
		return r;
	m->done++;
	return 0;
}

static int mention_expr(struct mention *m, const struct expr *e)
{
	int r = e->kind == EXPR_NAME ? mention_one(m, e->family, e->instance) : 0;

	for (unsigned i = 0; i < e->n_items && !r; i++)
		r = mention_expr(m, e->items[i]);
	return r;
}

static int mention_all(struct mention *m)
{
	const struct rule *r = m->live->rule;
	int err = r->family ? mention_one(m, r->family, r->instance) : 0;

	return err ? err : mention_expr(m, r->body);
}

static int mention_topic(struct mention *m, const char *family, const char *instance)
{
	struct topic *t = topic_get(m->p, family);

	(void)instance;
	return t ? topic_add_rule(t, m->live) : -ENOMEM;
}

static int mention_no_topic(struct mention *m, const char *family, const char *instance)
{
	struct topic *t = topic_find(m->p, family);

	(void)instance;
	if (t) {
		topic_remove_rule(t, m->live);
		topic_drop_unused(m->p, t);
	}
	return 0;
}

static int mention_want(struct mention *m, const char *family, const char *instance)
{
	return model_want(m->p->model, family, instance);
}

static int mention_unwant(struct mention *m, const char *family, const char *instance)
{
	model_unwant(m->p->model, family, instance);
	return 0;
}

static int rule_promises(struct promises *p, struct live_rule *live, int64_t now)
{
	const struct rule *r = live->rule;
	struct promise *pr;
	struct family *f;
	int err;

	if (!r->family)
		return promise_new(p, live, NULL, now, &pr);
	f = family_find(p->model, r->family, strlen(r->family));
	for (struct instance *i = f ? instance_first(f) : NULL; i; i = instance_next(i)) {
		if (!glob_match(r->instance, strlen(r->instance), i->name))
			continue;
		err = promise_new(p, live, i, now, &pr);
		if (err < 0)
			return err;
	}
	return 0;
}

int rule_bind(struct promises *p, struct live_rule *live, int64_t now)
{
	struct mention m = { .p = p, .live = live, .fn = mention_topic, .limit = ~0u };
	int err;

	live->tail = &live->promises;
	err = mention_all(&m);
	if (err < 0)
		goto fail_topics;
	/* Series may come into being in here; the promises are made after and find them. */
	m.fn = mention_want;
	m.done = 0;
	err = mention_all(&m);
	if (err < 0)
		goto fail_wants;
	live->bound = true;
	err = rule_promises(p, live, now);
	if (err < 0)
		rule_unbind(p, live);
	return err;
fail_wants:
	m.limit = m.done;
	m.done = 0;
	m.fn = mention_unwant;
	mention_all(&m);
fail_topics:
	m.limit = ~0u;
	m.fn = mention_no_topic;
	mention_all(&m);
	return err;
}

void rule_unbind(struct promises *p, struct live_rule *live)
{
	struct mention m = { .p = p, .live = live, .fn = mention_unwant, .limit = ~0u };

	if (!live->bound)
		return;
	live->bound = false;
	while (live->promises)
		promise_end(live->promises);
	mention_all(&m);
	m.fn = mention_no_topic;
	m.done = 0;
	mention_all(&m);
}
