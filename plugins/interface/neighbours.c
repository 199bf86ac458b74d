/*
 * Gateways, and the neighbours that somebody names. Each has a watch of its own, so that the kernel passes on what concerns it alone: of a gateway that answers and
 * that nobody names only that it no longer does, as the kernel refreshes what it knows of a neighbour in use every half a minute.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interface/interface.h"

#define NS_PER_S INT64_C(1000000000)
#define USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_NOARP | NUD_PERMANENT)
enum { NEIGHBOUR_STATE, NEIGHBOUR_NUD };

/* The index of the state's only bit, behind "none" */
static unsigned nud_index(uint16_t nud)
{
	for (unsigned i = 0; i < 8; i++)
		if (nud & 1u << i)
			return i + 1;
	return 0;
}

/* ---- one neighbour ------------------------------------------------------------------------------------------------ */

static int neighbour_put(struct neighbour *n)
{
	const struct kith_host *h = n->p->h;
	int r = h->put(h, n->id + NEIGHBOUR_STATE, n->reach);

	return r == 0 && n->wanted ? h->put(h, n->id + NEIGHBOUR_NUD, nud_index(n->nud)) : r;
}

static void neighbour_record(struct neighbour *n, enum reach before)
{
	struct kith_field fields[] = { { "event", n->reach == REACH_FAILED ? "failed" : "reachable" }, { "address", n->text }, { "interface", n->link } };
	char subject[90], text[140];

	if (n->reach != REACH_FAILED && (n->reach != REACH_YES || before != REACH_FAILED))
		return;
	snprintf(subject, sizeof(subject), "neighbour:%s/%s", n->link, n->text);
	snprintf(text, sizeof(text), "%s %s on %s %s", n->gateway ? "the gateway" : "the neighbour", n->text, n->link,
	         n->reach == REACH_FAILED ? "does not answer" : "answers again");
	tell(n->p, TOLD_OTHER, n->reach == REACH_FAILED ? KITH_WARNING : KITH_NOTICE, subject, text, fields, KITH_COUNT(fields));
}

static int on_event(const void *event, void *user);

/* While it answers and nobody names it only its failure is of interest. The new watch comes before the old one goes: nothing is missed. */
static int neighbour_watch(struct neighbour *n)
{
	const struct kith_host *h = n->p->h;
	uint32_t states = n->reach == REACH_YES && !n->wanted ? NUD_FAILED : 0xff;
	struct kith_neighbour_filter filter = { .size = sizeof(filter), .states = states, .index = n->index, .family = n->family };
	struct kith_watch *before = n->watch;
	int r = 0;

	if (before && n->states == states && n->index)
		return 0;
	n->watch = NULL;
	memcpy(filter.address, n->address, sizeof(filter.address));
	if (n->index)
		r = h->watch_source(h, KITH_SOURCE_NEIGHBOUR, &filter, on_event, n, &n->watch);
	if (before)
		h->unwatch(h, before);
	n->states = states;
	return r;
}

static int neighbour_is(struct neighbour *n, enum reach reach, uint16_t nud)
{
	enum reach before = n->reach;
	bool same = before == reach && n->nud == nud;
	int r;

	n->reach = reach;
	n->nud = nud;
	r = neighbour_watch(n);
	if (same || n->id == KITH_ID_NONE)
		return r;
	if (before != reach)
		neighbour_record(n, before);
	if (r == 0)
		r = neighbour_put(n);
	if (before != reach && n->gateway)
		routes_gateway_changed(n->p);
	return r;
}

/*
 * An entry that failed is taken away some time later: that it is gone says nothing new. One that somebody removes by hand is said to have failed right before
 * that: of it nothing is known any more.
 */
static int neighbour_event(struct neighbour *n, const struct kith_neighbour_event *e)
{
	int64_t now = n->p->h->now(n->p->h);
	bool by_hand = now - n->failed < NS_PER_S && now >= n->failed;

	if (e->removed)
		return neighbour_is(n, n->reach == REACH_FAILED && !by_hand ? REACH_FAILED : REACH_UNKNOWN, 0);
	if (e->state & USABLE)
		return neighbour_is(n, REACH_YES, e->state);
	if (e->state & NUD_FAILED)
		n->failed = now;
	if (e->state & NUD_FAILED)
		return neighbour_is(n, REACH_FAILED, e->state);
	/* The next try after a failure is no news until it succeeds. */
	if (e->state & NUD_INCOMPLETE)
		return neighbour_is(n, n->reach == REACH_FAILED ? REACH_FAILED : REACH_RESOLVING, e->state);
	return neighbour_is(n, REACH_UNKNOWN, e->state);
}

static int on_event(const void *event, void *user)
{
	return event ? neighbour_event(user, event) : 0;
}

/* ---- the list ----------------------------------------------------------------------------------------------------- */

static struct neighbour *neighbour_find(const struct interface *p, const char *link, uint8_t family, const uint8_t *address)
{
	for (struct neighbour *n = p->neighbours; n; n = n->next)
		if (n->family == family && !memcmp(n->address, address, sizeof(n->address)) && !strcmp(n->link, link))
			return n;
	return NULL;
}

static struct neighbour *neighbour_new(struct interface *p, const char *link, uint8_t family, const uint8_t *address)
{
	const struct link *l = link_named(p, link, strlen(link));
	struct neighbour *n;
	char name[80];

	if (p->n_neighbours == NEIGHBOURS_MAX || !(n = calloc(1, sizeof(*n))))
		return NULL;
	n->p = p;
	n->family = family;
	n->fresh = true;
	n->index = l ? l->index : 0;
	memcpy(n->address, address, sizeof(n->address));
	snprintf(n->link, sizeof(n->link), "%s", link);
	inet_ntop(family, address, n->text, sizeof(n->text));
	snprintf(name, sizeof(name), "%s/%s", n->link, n->text);
	if (p->h->series(p->h, FAMILY_NEIGHBOUR, name, &n->id) < 0)
		n->id = KITH_ID_NONE;
	n->next = p->neighbours;
	p->neighbours = n;
	p->n_neighbours++;
	return n;
}

static void neighbour_free(struct interface *p, struct neighbour *n)
{
	struct neighbour **at = &p->neighbours;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	p->n_neighbours--;
	if (n->watch)
		p->h->unwatch(p->h, n->watch);
	if (n->id != KITH_ID_NONE)
		p->h->end(p->h, n->id);
	free(n);
}

/* Ends those that are nobody's concern any more, and looks for what is new */
static int neighbours_settle(struct interface *p)
{
	struct neighbour *n, *next;
	bool fresh = false;
	int r = 0;

	for (n = p->neighbours; n; n = next) {
		next = n->next;
		if (!n->gateway && !n->wanted) {
			neighbour_free(p, n);
			continue;
		}
		if (n->fresh && n->id != KITH_ID_NONE)
			neighbour_put(n);
		if (n->fresh && r == 0)
			r = neighbour_watch(n);
		fresh |= n->fresh;
		n->fresh = false;
	}
	return fresh && r == 0 ? look_soon(&p->look_neighbours) : r;
}

void neighbours_gateways(struct interface *p)
{
	int r;

	for (struct neighbour *n = p->neighbours; n; n = n->next)
		n->gateway = false;
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < p->defaults[k].n; i++)
			for (uint32_t j = 0; j < p->defaults[k].routes[i].n_hops; j++) {
				const struct kith_route_hop *hop = &p->defaults[k].routes[i].hops[j];
				const struct link *l = link_indexed(p, hop->index);
				struct neighbour *n;

				if (!hop->family || !l || !*l->name)
					continue;
				n = neighbour_find(p, l->name, hop->family, hop->gateway);
				if (!n)
					n = neighbour_new(p, l->name, hop->family, hop->gateway);
				if (n)
					n->gateway = true;
			}
	r = neighbours_settle(p);
	if (r < 0)
		p->h->log(p->h, KITH_WARNING, "gateways cannot be watched: %s", strerror(-r));
}

enum reach neighbour_reach(const struct interface *p, int32_t index, uint8_t family, const uint8_t *address)
{
	for (const struct neighbour *n = p->neighbours; n; n = n->next)
		if (n->index == index && n->family == family && !memcmp(n->address, address, sizeof(n->address)))
			return n->reach;
	return REACH_UNKNOWN;
}

/* A link of that name is there, is another one, or is about to go (not known any more) */
void neighbours_link_changed(struct interface *p, const struct link *l)
{
	for (struct neighbour *n = p->neighbours; n; n = n->next) {
		bool named = *l->name && !strcmp(n->link, l->name);

		if (named && n->index != l->index)
			n->index = l->index;
		else if (!named && n->index == l->index)
			n->index = 0;
		else
			continue;
		n->states = 0; /* of another link: a new watch */
		n->reach = REACH_UNKNOWN;
		n->nud = 0;
		n->fresh = true;
	}
	for (struct neighbour *n = p->neighbours; n; n = n->next)
		if (n->fresh) {
			neighbours_settle(p);
			break;
		}
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

static int on_dumped(const void *event, void *user)
{
	const struct kith_neighbour_event *e = event;
	struct interface *p = user;

	for (struct neighbour *n = p->neighbours; n; n = n->next) {
		if (n->index != e->index || n->family != e->family || memcmp(n->address, e->address, sizeof(n->address)))
			continue;
		n->seen = true;
		return neighbour_event(n, e);
	}
	return 0;
}

int neighbours_look(struct interface *p)
{
	struct kith_neighbour_event none = { .size = sizeof(none), .removed = 1 };
	int r;

	if (!p->neighbours)
		return 0;
	for (struct neighbour *n = p->neighbours; n; n = n->next)
		n->seen = false;
	r = p->h->dump_source(p->h, KITH_SOURCE_NEIGHBOUR, NULL, on_dumped, p);
	if (r < 0)
		return r == -EINTR || r == -ETIMEDOUT ? look_soon(&p->look_neighbours) : r;
	for (struct neighbour *n = p->neighbours; n && r == 0; n = n->next)
		if (!n->seen)
			r = neighbour_event(n, &none);
	return r;
}

/* ---- what somebody names ------------------------------------------------------------------------------------------ */

/* `instance` as eth0/192.0.2.1. A pattern names what is there anyway. */
static int on_wanted(const char *instance, int wanted, void *user)
{
	const char *slash = strchr(instance, '/');
	struct interface *p = user;
	uint8_t address[16] = { 0 };
	struct neighbour *n;
	char link[IFNAMSIZ];
	uint8_t family;

	if (!slash || slash == instance || (size_t)(slash - instance) >= sizeof(link) || strchr(instance, '*'))
		return 0;
	memcpy(link, instance, (size_t)(slash - instance));
	link[slash - instance] = '\0';
	family = strchr(slash, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, slash + 1, address) != 1)
		return 0;
	n = neighbour_find(p, link, family, address);
	/* Another way to write an address is another name: only the usual one is known */
	if (!n && wanted)
		n = neighbour_new(p, link, family, address);
	if (!n || (!wanted && !n->wanted))
		return 0;
	n->wanted += wanted ? 1 : -1u;
	n->fresh = true;
	return neighbours_settle(p);
}

int neighbours_start(struct interface *p)
{
	return p->h->watch_wanted(p->h, FAMILY_NEIGHBOUR, on_wanted, p, NULL);
}

void neighbours_free(struct interface *p)
{
	struct neighbour *n;

	/* The host ends series and watches itself */
	while ((n = p->neighbours)) {
		p->neighbours = n->next;
		free(n);
	}
}
