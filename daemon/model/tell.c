/* What is told to those who asked: records, transitions, and whether somebody wants what is measured on request only. */
#include "model/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct want {
	UT_hash_handle hh;
	char *name; /* family:instance */
	char *family, *instance;
	unsigned count;
};

/* ---- records and transitions ------------------------------------------------------------------------------------ */

void model_record(struct model *m, const struct kith_record *record)
{
	struct kith_record stamped = *record;
	uint64_t number = ++m->n_records;

	if (!stamped.time)
		stamped.time = m->now;
	for (struct model_observer *o = m->observers, *next; o; o = next) {
		next = o->next;
		if (o->on_record)
			o->on_record(&stamped, number, o->user);
	}
}

void model_transition(struct model *m, const struct kith_transition *transition)
{
	for (struct model_observer *o = m->observers, *next; o; o = next) {
		next = o->next;
		if (o->on_transition)
			o->on_transition(transition, o->user);
	}
}

uint64_t model_n_records(const struct model *m)
{
	return m->n_records;
}

/* ---- wants ------------------------------------------------------------------------------------------------------ */

static void want_free(struct want *want)
{
	free(want->name);
	free(want->family);
	free(want->instance);
	free(want);
}

void wants_free(struct model *m)
{
	while (m->wants) {
		struct want *want = m->wants;

		HASH_DEL(m->wants, want);
		want_free(want);
	}
}

/* `family:instance`; NULL without memory. The caller frees it. */
static char *want_name(const char *family, const char *instance)
{
	char *name = NULL;

	return asprintf(&name, "%s:%s", family, instance) < 0 ? NULL : name;
}

static struct want *want_find(struct model *m, const char *name)
{
	struct want *want;

	HASH_FIND_STR(m->wants, name, want);
	return want;
}

static void want_tell(struct model *m, const char *family, const char *instance, bool wanted)
{
	for (struct want_watch *w = m->want_watches, *next; w; w = next) {
		next = w->next;
		if (!strcmp(w->family, family))
			w->fn(instance, wanted, w->user);
	}
}

int model_want(struct model *m, const char *family, const char *instance)
{
	char *name = want_name(family, instance);
	struct want *want = name ? want_find(m, name) : NULL;

	if (want) {
		want->count++;
		free(name);
		return 0;
	}
	want = name ? calloc(1, sizeof(*want)) : NULL;
	if (!want) {
		free(name);
		return -ENOMEM;
	}
	*want = (struct want){ .name = name, .family = strdup(family), .instance = strdup(instance), .count = 1 };
	if (want->family && want->instance)
		HASH_ADD_KEYPTR(hh, m->wants, want->name, strlen(want->name), want);
	if (!want->hh.tbl) {
		want_free(want);
		return -ENOMEM;
	}
	want_tell(m, family, instance, true);
	return 0;
}

void model_unwant(struct model *m, const char *family, const char *instance)
{
	char *name = want_name(family, instance);
	struct want *want = name ? want_find(m, name) : NULL;

	free(name);
	if (!want || --want->count)
		return;
	HASH_DEL(m->wants, want);
	want_tell(m, want->family, want->instance, false);
	want_free(want);
}

void model_watch_wants(struct model *m, struct want_watch *w)
{
	w->next = m->want_watches;
	m->want_watches = w;
	for (struct want *want = m->wants; want; want = want->hh.next)
		if (!strcmp(want->family, w->family))
			w->fn(want->instance, true, w->user);
}

void model_unwatch_wants(struct model *m, struct want_watch *w)
{
	for (struct want_watch **at = &m->want_watches; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			return;
		}
}
