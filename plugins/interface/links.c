#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <linux/if_arp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "interface/interface.h"

#define RETRY_AFTER INT64_C(1000000000) /* ns, of an interrupted dump */

/* ---- what happened ---------------------------------------------------------------------------------------------- */

static void link_record(struct interface *p, const struct link *l, enum told told, enum kith_priority priority, const char *what,
                        const char *message)
{
	char subject[IFNAMSIZ + 16], index[16];
	struct kith_field fields[] = { { "event", what }, { "ifindex", index } };

	snprintf(subject, sizeof(subject), "interface:%s", l->name);
	snprintf(index, sizeof(index), "%d", l->index);
	tell(p, told, priority, subject, message, fields, KITH_COUNT(fields));
}

static void link_record_state(struct interface *p, const struct link *l, bool up)
{
	char text[64];

	snprintf(text, sizeof(text), "%s is %s", l->name, up ? "up" : "down");
	link_record(p, l, up ? TOLD_UP : TOLD_DOWN, KITH_NOTICE, up ? "up" : "down", text);
}

static void address_record(struct interface *p, const struct link *l, const struct address *a, bool added)
{
	char subject[IFNAMSIZ + 16], index[16], address[INET6_ADDRSTRLEN] = "", whole[INET6_ADDRSTRLEN + 8], text[120];
	struct kith_field fields[] = { { "event", added ? "address_added" : "address_removed" }, { "address", whole }, { "ifindex", index } };

	inet_ntop(a->family, a->bytes, address, sizeof(address));
	snprintf(whole, sizeof(whole), "%s/%u", address, a->prefix);
	snprintf(subject, sizeof(subject), "interface:%s", l->name);
	snprintf(index, sizeof(index), "%d", l->index);
	snprintf(text, sizeof(text), added ? "%s has the address %s" : "%s no longer has the address %s", l->name, whole);
	tell(p, added ? TOLD_ADDED : TOLD_TAKEN, KITH_NOTICE, subject, text, fields, KITH_COUNT(fields));
}

/* Those that were heard of before their link was, too */
static void addresses_record(struct interface *p, struct link *l)
{
	for (uint32_t i = 0; i < l->n_addresses; i++) {
		if (!l->addresses[i].told && l->id != KITH_ID_NONE)
			address_record(p, l, &l->addresses[i], true);
		l->addresses[i].told |= l->known;
	}
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

/*
 * Up as people mean it: enabled, and the link below works. The operational state is the driver's word; of those that
 * have none (lo,
 * tunnels, dummies) it stays "unknown" and the carrier tells.
 */
static bool link_is_up(const struct link *l)
{
	return (l->flags & IFF_UP) &&
	       (l->operstate == IF_OPER_UP || (l->operstate == IF_OPER_UNKNOWN && (l->flags & IFF_LOWER_UP)));
}

static int link_put(struct interface *p, struct link *l, enum metric metric, double value)
{
	int r;

	if (l->put[metric] == value || isnan(value))
		return 0;
	r = p->h->put(p->h, l->id + (kith_id)metric, value);
	if (r == 0)
		l->put[metric] = value;
	return r;
}

/* Puts what has changed; the state first, somebody may be waiting for it */
static int link_publish(struct interface *p, struct link *l)
{
	bool up = link_is_up(l);
	double before = l->put[METRIC_STATE];
	int r;

	if (l->id == KITH_ID_NONE || !l->known)
		return 0;
	r = link_put(p, l, METRIC_STATE, up);
	if (r == 0)
		r = link_put(p, l, METRIC_OPERSTATE, l->operstate <= IF_OPER_UP ? l->operstate : IF_OPER_UNKNOWN);
	if (r == 0)
		r = link_put(p, l, METRIC_CARRIER, l->carrier);
	if (r == 0)
		r = link_put(p, l, METRIC_CARRIER_CHANGES, l->carrier_changes);
	if (r == 0)
		r = link_put(p, l, METRIC_MTU, l->mtu);
	if (r == 0)
		r = link_put(p, l, METRIC_SPEED, l->speed);
	if (r == 0 && !isnan(l->speed))
		r = link_put(p, l, METRIC_DUPLEX, l->duplex);
	if (r == 0)
		r = link_put(p, l, METRIC_ADDRESSES, l->n_addresses);
	if (r == 0)
		r = link_put(p, l, METRIC_ADDRESSES_IPV4, l->n_ipv4);
	if (r == 0)
		r = link_put(p, l, METRIC_ADDRESSES_IPV6, l->n_addresses - l->n_ipv4);
	if (!isnan(before) && before != (double)up)
		link_record_state(p, l, up);
	if (isnan(before) || before != (double)up)
		routes_link_changed(p, l);
	return r;
}

int link_speed(struct interface *p, struct link *l, double speed, uint8_t duplex)
{
	double before = l->speed;
	char text[100];

	/* Unknown, and never known: nothing to say */
	if (!isnan(speed) && (speed > 0 || !isnan(before)))
		l->speed = speed;
	l->duplex = duplex;
	if (!isnan(before) && before > 0 && l->speed > 0 && before != l->speed && l->id != KITH_ID_NONE) {
		snprintf(text, sizeof(text), "%s runs at %.0f Mbit/s, was %.0f", l->name, l->speed, before);
		link_record(p, l, TOLD_OTHER, l->speed < before ? KITH_WARNING : KITH_NOTICE, "speed", text);
	}
	return link_publish(p, l);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

struct link *link_named(const struct interface *p, const char *name, size_t length)
{
	struct link *l;

	HASH_FIND(by_name, p->by_name, name, length, l);
	return l;
}

struct link *link_indexed(const struct interface *p, int32_t index)
{
	struct link *l;

	HASH_FIND(by_index, p->by_index, &index, sizeof(index), l);
	return l;
}

static struct link *link_new(struct interface *p, int32_t index)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->index = index;
	l->speed = NAN;
	HASH_ADD(by_index, p->by_index, index, sizeof(l->index), l);
	return l;
}

static bool name_listed(const char *name, const char *const *globs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fnmatch(globs[i], name, 0) == 0)
			return true;
	return false;
}

static bool name_wanted(const struct interface *p, const char *name)
{
	if (p->n_only && !name_listed(name, p->only, p->n_only))
		return false;
	return !name_listed(name, p->ignore, p->n_ignore);
}

/* Makes the instance. Without room the link waits for another one's end. */
static int link_begin(struct interface *p, struct link *l)
{
	kith_id id = KITH_ID_NONE;
	int r;

	if (l->id != KITH_ID_NONE || !*l->name || !name_wanted(p, l->name))
		return 0;
	r = p->h->series(p->h, 0, l->name, &id);
	if (r == -ENOSPC && !l->waiting) {
		DL_APPEND(p->waiting, l);
		l->waiting = true;
	}
	if (r == -ENOSPC)
		return 0;
	if (r < 0) {
		p->h->log(p->h, KITH_WARNING, "interface %d: its name makes no instance: %s", l->index, strerror(-r));
		return 0;
	}
	l->id = id;
	for (int i = 0; i < N_EVENTS; i++)
		l->put[i] = NAN;
	return link_publish(p, l);
}

static void link_stop_waiting(struct interface *p, struct link *l)
{
	if (l->waiting)
		DL_DELETE(p->waiting, l);
	l->waiting = false;
}

/* Ends the instance; the name and what is known stay */
static void link_end(struct interface *p, struct link *l)
{
	struct link *other = p->waiting;

	link_stop_waiting(p, l);
	if (l->id == KITH_ID_NONE)
		return;
	p->h->end(p->h, l->id);
	l->id = KITH_ID_NONE;
	l->speed = NAN;
	if (other && other != l) {
		link_stop_waiting(p, other);
		link_begin(p, other);
	}
}

static void link_forget_name(struct interface *p, struct link *l)
{
	link_end(p, l);
	if (*l->name)
		HASH_DELETE(by_name, p->by_name, l);
	if (l->line < p->n_lines && p->lines[l->line] == l)
		p->lines[l->line] = NULL;
	memset(l->name, 0, sizeof(l->name));
}

static void link_free(struct interface *p, struct link *l)
{
	link_forget_name(p, l);
	l->known = false;
	neighbours_link_changed(p, l);
	routes_link_changed(p, l);
	HASH_DELETE(by_index, p->by_index, l);
	free(l->addresses);
	free(l);
}

static void link_rename(struct interface *p, struct link *l, const char *name)
{
	struct link *other = link_named(p, name, strlen(name));
	char before[IFNAMSIZ], text[80];

	if (!strcmp(l->name, name))
		return;
	/*
	 * Its own message, which says that it is called otherwise or gone, is yet to come: a dump is in no order of time.
	 */
	if (other)
		link_forget_name(p, other);
	memcpy(before, l->name, sizeof(before));
	link_forget_name(p, l);
	snprintf(l->name, sizeof(l->name), "%s", name);
	HASH_ADD(by_name, p->by_name, name, strlen(l->name), l);
	neighbours_link_changed(p, l);
	if (!*before || !l->known || (!name_wanted(p, before) && !name_wanted(p, l->name)))
		return;
	snprintf(text, sizeof(text), "%s is now called %s", before, l->name);
	link_record(p, l, TOLD_RENAMED, KITH_NOTICE, "renamed", text);
}

static void link_remove(struct interface *p, struct link *l)
{
	char text[64];

	if (l->id != KITH_ID_NONE || l->waiting) {
		snprintf(text, sizeof(text), "%s was removed", l->name);
		link_record(p, l, TOLD_REMOVED, KITH_INFO, "removed", text);
	}
	link_free(p, l);
}

static void link_take(struct link *l, const struct kith_link_event *e)
{
	l->flags = e->flags;
	if (e->known & KITH_LINK_HAS_OPERSTATE)
		l->operstate = e->operstate;
	l->carrier = e->known & KITH_LINK_HAS_CARRIER ? e->carrier : (e->flags & IFF_LOWER_UP) != 0;
	if (e->known & KITH_LINK_HAS_CHANGES)
		l->carrier_changes = e->carrier_changes;
	if (e->known & KITH_LINK_HAS_MTU)
		l->mtu = e->mtu;
	l->physical = e->type == ARPHRD_ETHER && !*e->kind;
	l->known = true;
}

int links_event(struct interface *p, const struct kith_link_event *e)
{
	struct link *l = link_indexed(p, e->index);
	bool new = !l || !l->known, up;
	char text[64];
	int r;

	if (e->removed) {
		if (l)
			link_remove(p, l);
		return 0;
	}
	if (!l && (!(e->known & KITH_LINK_HAS_NAME) || !(l = link_new(p, e->index))))
		return e->known & KITH_LINK_HAS_NAME ? -ENOMEM : 0;
	l->seen = true;
	if (e->known & KITH_LINK_HAS_NAME)
		link_rename(p, l, e->name);
	up = l->known && link_is_up(l);
	link_take(l, e);
	if (link_is_up(l) != up || new)
		speed_ask(p, l);
	if (l->id != KITH_ID_NONE)
		return link_publish(p, l);
	if (l->waiting)
		return 0;
	r = link_begin(p, l);
	if (new && name_wanted(p, l->name)) {
		snprintf(text, sizeof(text), "%s appeared, %s", l->name, link_is_up(l) ? "up" : "down");
		link_record(p, l, TOLD_APPEARED, KITH_INFO, "appeared", text);
	}
	addresses_record(p, l);
	return r;
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

static struct address *address_find(const struct link *l, const struct kith_address_event *e)
{
	for (uint32_t i = 0; i < l->n_addresses; i++) {
		struct address *a = &l->addresses[i];

		if (a->family == e->family && a->prefix == e->prefix && !memcmp(a->bytes, e->bytes, sizeof(a->bytes)) &&
		    (a->family != AF_INET || !memcmp(a->peer, e->peer, sizeof(a->peer))))
			return a;
	}
	return NULL;
}

static int address_add(struct interface *p, struct link *l, const struct kith_address_event *m)
{
	struct address *grown;
	uint32_t size;

	if (l->n_addresses == ADDRESSES_MAX) {
		if (!p->told_addresses)
			p->h->log(p->h, KITH_WARNING, "%s has more than %d addresses: no more are counted", l->name, ADDRESSES_MAX);
		p->told_addresses = true;
		return 0;
	}
	if (l->n_addresses == l->size_addresses) {
		size = l->size_addresses ? l->size_addresses * 2 : 2;
		grown = realloc(l->addresses, size * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->addresses = grown;
		l->size_addresses = size;
	}
	l->addresses[l->n_addresses] = (struct address){ .family = m->family, .prefix = m->prefix, .seen = true };
	memcpy(l->addresses[l->n_addresses].peer, m->peer, sizeof(l->addresses->peer));
	memcpy(l->addresses[l->n_addresses++].bytes, m->bytes, sizeof(m->bytes));
	l->n_ipv4 += m->family == AF_INET;
	addresses_record(p, l);
	return 0;
}

/*
 * Addresses come by sockets of their own, so a link's first address may arrive before the link does: it is kept for
 * it. The kernel
 * removes the addresses before the link, so what is kept for a link that never comes is taken back by their own
 * removal.
 */
int links_address(struct interface *p, const struct kith_address_event *m)
{
	struct link *l = link_indexed(p, m->index);
	struct address *a = l ? address_find(l, m) : NULL;
	int r = 0;

	if (m->removed) {
		if (!a)
			return 0;
		if (l->id != KITH_ID_NONE)
			address_record(p, l, a, false);
		l->n_ipv4 -= a->family == AF_INET;
		*a = l->addresses[--l->n_addresses];
		routes_link_changed(p, l);
		routes_address_gone(p, m);
		if (!l->known && l->n_addresses == 0) {
			link_free(p, l);
			return 0;
		}
	} else if (a) {
		a->seen = true; /* its lifetime was renewed */
		return 0;
	} else {
		if (!l && !(l = link_new(p, m->index)))
			return -ENOMEM;
		r = address_add(p, l, m);
	}
	return r < 0 ? r : link_publish(p, l);
}

/* ---- resync ----------------------------------------------------------------------------------------------------- */

static int on_dumped_link(const void *event, void *user)
{
	return links_event(user, event);
}

static int on_dumped_address(const void *event, void *user)
{
	return links_address(user, event);
}

static void links_mark(struct interface *p)
{
	for (struct link *l = p->by_index; l; l = l->by_index.next) {
		l->seen = false;
		for (uint32_t i = 0; i < l->n_addresses; i++)
			l->addresses[i].seen = false;
	}
}

static void links_sweep(struct interface *p)
{
	struct link *l, *next;

	for (l = p->by_index; l; l = next) {
		next = l->by_index.next;
		if (!l->seen)
			link_remove(p, l);
	}
}

static void addresses_sweep(struct interface *p)
{
	struct link *l, *next;

	for (l = p->by_index; l; l = next) {
		uint32_t kept = 0;

		next = l->by_index.next;
		l->n_ipv4 = 0;
		for (uint32_t i = 0; i < l->n_addresses; i++) {
			if (!l->addresses[i].seen && l->id != KITH_ID_NONE)
				address_record(p, l, &l->addresses[i], false);
			if (!l->addresses[i].seen)
				continue;
			l->n_ipv4 += l->addresses[i].family == AF_INET;
			l->addresses[kept++] = l->addresses[i];
		}
		l->n_addresses = kept;
		if (!l->known && kept == 0)
			link_free(p, l);
		else
			link_publish(p, l);
	}
}

static int links_dump(struct interface *p)
{
	int r;

	links_mark(p);
	r = p->h->dump_source(p->h, KITH_SOURCE_LINK, NULL, on_dumped_link, p);
	if (r < 0)
		return r;
	links_sweep(p);
	r = p->h->dump_source(p->h, KITH_SOURCE_ADDRESS, NULL, on_dumped_address, p);
	if (r < 0)
		return r;
	addresses_sweep(p);
	r = routes_look(p);
	if (r == 0)
		r = rules_look(p);
	return r < 0 ? r : neighbours_look(p);
}

static int on_retry(void *user)
{
	struct interface *p = user;

	p->h->unwatch(p->h, p->retry);
	p->retry = NULL;
	return links_resync(p);
}

/* What an unfinished dump did say was taken in; what it did not is swept by the next one that finishes. */
int links_resync(struct interface *p)
{
	int r = links_dump(p), error = r;

	if (r < 0 && !p->retry)
		r = p->h->watch_timer(p->h, RETRY_AFTER, 0, RETRY_AFTER / 2, on_retry, p, &p->retry);
	/*
	 * -EINTR: links come and go faster than the kernel can list them. -ETIMEDOUT: it is so busy with them that it says nothing. Neither is
	 * a fault.
	 */
	return error == -EINTR || error == -ETIMEDOUT ? r : error;
}

void links_reconsider(struct interface *p)
{
	for (struct link *l = p->by_index; l; l = l->by_index.next)
		if (*l->name && !name_wanted(p, l->name))
			link_end(p, l);
	for (struct link *l = p->by_index; l; l = l->by_index.next)
		if (!l->waiting)
			link_begin(p, l);
}

void links_free(struct interface *p)
{
	struct link *l, *next;

	/* The host ends the series itself */
	for (l = p->by_index; l; l = next) {
		next = l->by_index.next;
		free(l->addresses);
		if (*l->name)
			HASH_DELETE(by_name, p->by_name, l);
		HASH_DELETE(by_index, p->by_index, l);
		free(l);
	}
	free(p->lines);
}
