/* The families that promises name: who mentions them, and which leaves wait for which of their instances */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "promises/engine.h"

struct topic *topic_find(struct promises *p, const char *family)
{
	struct topic *t;

	HASH_FIND_STR(p->topics, family, t);
	return t;
}

void promises_families(const struct promises *p, void (*tell)(const char *family, void *user), void *user)
{
	for (const struct topic *t = p->topics; t; t = t->hh.next)
		tell(t->name, user);
}

struct topic *topic_get(struct promises *p, const char *family)
{
	struct topic *t = topic_find(p, family);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->name = strdup(family);
	if (t->name)
		HASH_ADD_KEYPTR(hh, p->topics, t->name, strlen(t->name), t);
	if (!t->name || !t->hh.tbl) {
		free(t->name);
		free(t);
		return NULL;
	}
	return t;
}

void topic_drop_unused(struct promises *p, struct topic *t)
{
	if (t->n_rules || t->slots || t->quantifiers)
		return;
	HASH_DEL(p->topics, t);
	free(t->rules);
	free(t->name);
	free(t);
}

int topic_add_rule(struct topic *t, struct live_rule *live)
{
	if (t->n_rules && t->rules[t->n_rules - 1] == live)
		return 0;
	if (t->n_rules == t->size_rules) {
		unsigned size = t->size_rules ? t->size_rules * 2 : 4;
		struct live_rule **rules = realloc(t->rules, size * sizeof(struct live_rule *));

		if (!rules)
			return -ENOMEM;
		t->rules = rules;
		t->size_rules = size;
	}
	t->rules[t->n_rules++] = live;
	return 0;
}

void topic_remove_rule(struct topic *t, const struct live_rule *live)
{
	for (unsigned i = t->n_rules; i-- > 0;)
		if (t->rules[i] == live) {
			memmove(&t->rules[i], &t->rules[i + 1], (t->n_rules - i - 1) * sizeof(struct live_rule *));
			t->n_rules--;
			return;
		}
}

struct slot *slot_get(struct topic *t, const char *instance)
{
	struct slot *s;

	HASH_FIND_STR(t->slots, instance, s);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->topic = t;
	s->name = strdup(instance);
	if (s->name)
		HASH_ADD_KEYPTR(hh, t->slots, s->name, strlen(s->name), s);
	if (!s->name || !s->hh.tbl) {
		free(s->name);
		free(s);
		return NULL;
	}
	return s;
}

void slot_leave(struct leaf *leaf)
{
	struct slot *s = leaf->slot;

	if (!s)
		return;
	*leaf->slot_link = leaf->slot_next;
	if (leaf->slot_next)
		leaf->slot_next->slot_link = leaf->slot_link;
	leaf->slot = NULL;
	if (s->leaves)
		return;
	HASH_DEL(s->topic->slots, s);
	free(s->name);
	free(s);
}
