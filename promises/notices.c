/* Notices: incidents from what the engine says, and the module as a whole. */
#include "promises/notices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "promises/notices_impl.h"

void earlier_of(int64_t *at, int64_t candidate)
{
	if (candidate && (!*at || candidate < *at))
		*at = candidate;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

struct item *item_new(struct receiver *r, struct incident *i)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->incident = i;
	item->receiver = r;
	item->next = i->items;
	i->items = item;
	item->list_next = r->items;
	item->list_link = &r->items;
	if (item->list_next)
		item->list_next->list_link = &item->list_next;
	r->items = item;
	r->n_items++;
	return item;
}

void item_told(struct item *item, enum notice_what told)
{
	struct receiver *r = item->receiver;

	if (told == item->told)
		return;
	r->n_told += (unsigned)(told != NOTICE_NOTHING) - (unsigned)(item->told != NOTICE_NOTHING);
	item->told = told;
	notices_changed(r->notices);
}

void item_free(struct item *item)
{
	struct item **at = &item->incident->items;

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	*item->list_link = item->list_next;
	if (item->list_next)
		item->list_next->list_link = item->list_link;
	item->receiver->n_items--;
	item_told(item, NOTICE_NOTHING);
	free(item);
}

void item_over(struct item *item)
{
	item->receiver->mended += item->incident->state == INCIDENT_KEPT && item->told == NOTICE_NOTHING;
	item_free(item);
}

/* ---- incidents --------------------------------------------------------------------------------------------------- */

static int key_make(const char *name, const char *promiser, char **ret_key, size_t *ret_length)
{
	size_t a = strlen(name) + 1, b = strlen(promiser) + 1;
	char *key = malloc(a + b);

	if (!key)
		return -ENOMEM;
	memcpy(key, name, a);
	memcpy(key + a, promiser, b);
	*ret_key = key;
	*ret_length = a + b;
	return 0;
}

struct incident *incident_find(const struct notices *n, const char *name, const char *promiser)
{
	struct incident *i = NULL;
	size_t length;
	char *key;

	if (key_make(name, promiser, &key, &length) < 0)
		return NULL;
	HASH_FIND(hh, n->incidents, key, length, i);
	free(key);
	return i;
}

struct incident *incident_new(struct notices *n, const char *name, const char *promiser)
{
	struct incident *i = incident_find(n, name, promiser);
	size_t length;

	if (i)
		return i;
	i = calloc(1, sizeof(*i));
	if (!i || key_make(name, promiser, &i->key, &length) < 0) {
		free(i);
		return NULL;
	}
	i->promiser = i->key + strlen(i->key) + 1;
	i->state = INCIDENT_GONE;
	i->changed = i->since = n->now;
	HASH_ADD_KEYPTR(hh, n->incidents, i->key, length, i);
	if (!i->hh.tbl) {
		free(i->key);
		free(i);
		return NULL;
	}
	n->n_orphans++;
	return i;
}

static void incident_bind(struct notices *n, struct incident *i, struct promise *pr)
{
	if (i->promise == pr)
		return;
	if (i->promise)
		promise_set_mark(i->promise, NULL);
	n->n_orphans += !pr - (size_t)!i->promise;
	i->promise = pr;
	if (pr)
		promise_set_mark(pr, i);
}

static void incident_free(struct notices *n, struct incident *i)
{
	incident_bind(n, i, NULL);
	n->n_orphans--;
	while (i->items)
		item_free(i->items);
	ack_end(n, i);
	HASH_DEL(n->incidents, i);
	free(i->key);
	free(i);
}

bool incident_blocked(const struct incident *i)
{
	return i->promise && promise_root(i->promise);
}

static void consider(struct notices *n, struct promise *pr, const struct promise_info *info);

void incident_settle(struct notices *n, struct incident *i)
{
	bool over = i->state == INCIDENT_KEPT || i->state == INCIDENT_GONE;
	struct promise *pr = i->promise;
	struct promise_info info;

	if (i->ack)
		return;
	for (const struct item *item = i->items; item; item = item->next)
		if (!over || item->told != NOTICE_NOTHING || item->sending != NOTICE_NOTHING)
			return;
	incident_free(n, i);
	/* One that was kept and is unknown since then: that is another matter. */
	if (!pr || !over)
		return;
	promise_look(pr, &info);
	if (info.assessment != KITH_KEPT)
		consider(n, pr, &info);
}

/* What follows for its items from how it stands now */
static void incident_touch(struct notices *n, struct incident *i)
{
	for (struct item *item = i->items, *next; item; item = next) {
		int64_t soonest, at;
		bool over;

		next = item->next;
		item_due(n, item, &soonest, &at, &over);
		if (over && item->sending == NOTICE_NOTHING) {
			item_over(item);
		} else {
			earlier_of(&item->receiver->next, at);
		}
	}
}

/* ---- what the engine says ---------------------------------------------------------------------------------------- */

/* The state that follows from an assessment; since when is set where it is another. */
static void incident_state(struct notices *n, struct incident *i, enum kith_assessment assessment)
{
	bool again = i->state == INCIDENT_KEPT || i->state == INCIDENT_GONE, blocked = incident_blocked(i);

	switch (assessment) {
	case KITH_BROKEN:
		/* What was unknown for another's sake starts anew: that one is mended, this one may be in a moment. */
		if (again || i->blocked || !i->broken)
			i->since = i->changed = n->now;
		i->broken = true;
		i->state = INCIDENT_BROKEN;
		break;
	case KITH_UNKNOWN:
		if (i->state == INCIDENT_KEPT)
			break; /* that is told first */
		if (again || (i->blocked && !blocked))
			i->changed = n->now;
		i->state = INCIDENT_UNKNOWN;
		break;
	case KITH_KEPT:
		if (i->state == INCIDENT_KEPT)
			break;
		i->state = INCIDENT_KEPT;
		i->changed = n->now;
		ack_end(n, i);
		break;
	}
	i->blocked = blocked;
}

static void incident_changed(struct notices *n, struct incident *i, const struct promise_info *info)
{
	enum incident_state before = i->state;

	i->severity = info->severity;
	incident_state(n, i, info->assessment);
	if (i->state == INCIDENT_BROKEN && before != INCIDENT_BROKEN)
		route(n, i, info); /* without memory for it the next transition tries again */
	incident_touch(n, i);
	incident_settle(n, i);
}

struct incident *incident_open(struct notices *n, struct promise *pr, const struct promise_info *info)
{
	struct incident *i = incident_new(n, info->name, info->promiser);

	if (!i)
		return NULL;
	incident_bind(n, i, pr);
	incident_state(n, i, info->assessment);
	i->severity = info->severity;
	route(n, i, info);
	return i;
}

/* Opens an incident where somebody is to be told. */
static void consider(struct notices *n, struct promise *pr, const struct promise_info *info)
{
	struct incident *i;

	if (info->assessment == KITH_KEPT || (info->assessment == KITH_UNKNOWN && !n->unknown))
		return;
	for (size_t k = 0;; k++) {
		if (k == n->n_receivers)
			return;
		if (receiver_wants(n->receivers[k], info) && (info->assessment == KITH_BROKEN || n->receivers[k]->unknown))
			break;
	}
	i = incident_open(n, pr, info);
	if (!i)
		return;
	incident_touch(n, i);
	incident_settle(n, i);
}

static void on_changed(struct promise *pr, int64_t time, void *user)
{
	struct notices *n = user;
	struct incident *i = promise_mark(pr);
	struct promise_info info;

	if (!i && !n->n_receivers && !n->n_orphans)
		return;
	if (time > n->now)
		n->now = time;
	promise_look(pr, &info);
	if (!i && n->n_orphans) {
		i = incident_find(n, info.name, info.promiser);
		if (i)
			incident_bind(n, i, pr);
	}
	if (i)
		incident_changed(n, i, &info);
	else
		consider(n, pr, &info);
	notices_arm(n);
}

static void on_ended(struct promise *pr, int64_t time, void *user)
{
	struct notices *n = user;
	struct incident *i = promise_mark(pr);

	if (!i)
		return;
	if (time > n->now)
		n->now = time;
	incident_bind(n, i, NULL);
	/* Mended, and told so, is more than gone. */
	if (i->state != INCIDENT_KEPT) {
		i->state = INCIDENT_GONE;
		i->changed = n->now;
	}
	i->blocked = false;
	if (i->ack)
		earlier_of(&n->quiet_next, i->changed + NOTICE_RETURN);
	incident_touch(n, i);
	incident_settle(n, i);
	notices_arm(n);
}

/* ---- the module as a whole --------------------------------------------------------------------------------------- */

int notices_new(struct promises *p, const struct notices_driver *driver, struct notices **ret_notices)
{
	struct notices *n = calloc(1, sizeof(*n));
	struct promises_listener listener = { n, on_changed, on_ended };

	if (!n)
		return -ENOMEM;
	n->promises = p;
	n->driver = *driver;
	n->next_id = 1;
	promises_listen(p, &listener);
	*ret_notices = n;
	return 0;
}

void notices_free(struct notices *n)
{
	if (!n)
		return;
	promises_listen(n->promises, NULL);
	n->driver = (struct notices_driver){ 0 };
	while (n->incidents)
		incident_free(n, n->incidents);
	for (size_t i = 0; i < n->n_receivers; i++)
		receiver_free(n->receivers[i]);
	silences_free(n);
	free(n->receivers);
	free(n->acked);
	free(n->host);
	free(n);
}

void notices_changed(struct notices *n)
{
	if (n->driver.changed)
		n->driver.changed(false, n->driver.user);
}

void notices_asked(struct notices *n)
{
	if (n->driver.changed)
		n->driver.changed(true, n->driver.user);
}

void notices_look(struct notices *n)
{
	for (size_t i = 0; i < n->n_receivers; i++)
		if (n->receivers[i]->items)
			n->receivers[i]->next = n->now;
}

void notices_arm(struct notices *n)
{
	int64_t at = n->quiet_next;

	for (size_t i = 0; i < n->n_receivers; i++)
		earlier_of(&at, n->receivers[i]->next);
	if (at == n->armed)
		return;
	n->armed = at;
	if (n->driver.arm)
		n->driver.arm(at, n->driver.user);
}

void notices_run(struct notices *n, int64_t now)
{
	n->armed = 0; /* the wish was used up, perhaps a little early */
	if (now > n->now)
		n->now = now;
	if (n->quiet_next && n->quiet_next <= n->now)
		quiet_update(n);
	for (size_t i = 0; i < n->n_receivers; i++)
		if (n->receivers[i]->next && n->receivers[i]->next <= n->now)
			receiver_scan(n, n->receivers[i]);
	notices_arm(n);
}

void notices_jump(struct notices *n, int64_t jump)
{
	for (struct incident *i = n->incidents; i; i = i->hh.next) {
		i->since += jump;
		i->changed += jump;
		for (struct item *item = i->items; item; item = item->next)
			item->told_at += item->told_at ? jump : 0;
	}
	for (size_t i = 0; i < n->n_receivers; i++) {
		struct receiver *r = n->receivers[i];

		r->last += r->last ? jump : 0;
		r->not_before += r->not_before ? jump : 0;
		r->delivered += r->delivered ? jump : 0;
	}
	n->now += jump;
	/* The time of day is another one now. */
	if (n->n_silences || n->n_acked)
		n->quiet_next = n->now;
	notices_look(n);
	notices_arm(n);
}

static void broken_one(struct promise *pr, void *user)
{
	struct notices *n = user;
	struct incident *i = promise_mark(pr);
	struct promise_info info;

	promise_look(pr, &info);
	if (i && i->state == INCIDENT_BROKEN)
		route(n, i, &info);
	else if (!i)
		consider(n, pr, &info);
}

/* Receivers are others: what nobody was told and nobody is to be told any more is dropped, what is broken now finds its way to those that are new. */
static void reroute(struct notices *n)
{
	struct incident *i, *next;
	struct promise_info info;

	HASH_ITER(hh, n->incidents, i, next) {
		if (i->promise)
			promise_look(i->promise, &info);
		for (struct item *item = i->items, *after; item; item = after) {
			after = item->next;
			if (item->told == NOTICE_NOTHING && item->sending == NOTICE_NOTHING &&
			    (!i->promise || !receiver_wants(item->receiver, &info)))
				item_free(item);
		}
	}
	promises_each(n->promises, broken_one, n);
	HASH_ITER(hh, n->incidents, i, next)
		incident_settle(n, i);
	notices_look(n);
}

/* The old one of this name goes on, with what is said of it now. */
static struct receiver *receiver_merge(struct notices *n, struct receiver *new)
{
	for (size_t i = 0; i < n->n_receivers; i++) {
		struct receiver *old = n->receivers[i], was;

		if (!old || strcmp(old->name, new->name) != 0)
			continue;
		was = *old;
		old->user = new->user;
		old->argv = new->argv;
		old->patterns = new->patterns;
		old->n_patterns = new->n_patterns;
		old->severity = new->severity;
		old->wait = new->wait;
		old->repeat = new->repeat;
		old->unknown = new->unknown;
		old->timeout = new->timeout;
		old->kept = new->kept;
		new->user = was.user;
		new->argv = was.argv;
		new->patterns = was.patterns;
		new->n_patterns = was.n_patterns;
		receiver_free(new);
		n->receivers[i] = NULL;
		return old;
	}
	return new;
}

int notices_configure(struct notices *n, const char *host, const struct notice_receiver *receivers, size_t n_receivers, int64_t now)
{
	struct receiver **made;
	char *name = strdup(host);
	int r = name ? receivers_make(receivers, n_receivers, &made) : -ENOMEM;

	if (r < 0) {
		free(name);
		return r;
	}
	if (now > n->now)
		n->now = now;
	n->unknown = false;
	for (size_t i = 0; i < n_receivers; i++) {
		made[i] = receiver_merge(n, made[i]);
		made[i]->notices = n;
		n->unknown = n->unknown || made[i]->unknown;
	}
	for (size_t i = 0; i < n->n_receivers; i++)
		if (n->receivers[i])
			receiver_free(n->receivers[i]);
	free(n->receivers);
	n->receivers = made;
	n->n_receivers = n_receivers;
	free(n->host);
	n->host = name;
	if (n->incidents || n->n_receivers)
		reroute(n);
	notices_arm(n);
	return 0;
}
