#include <errno.h>
#include <fnmatch.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "interface/interface.h"

#define RETRY_AFTER INT64_C(1000000000) /* ns, of an interrupted dump */

/* ---- what happened ---------------------------------------------------------------------------------------------- */

static void link_record(struct interface *p, const struct link *l, enum kith_priority priority, const char *what,
                        const char *message)
{
	char subject[IFNAMSIZ + 16], index[16];
	struct kith_field fields[] = { { "event", what }, { "ifindex", index } };
	struct kith_record r = { .size = sizeof(r), .priority = (uint32_t)priority, .subject = subject, .message = message,
		                 .fields = fields, .n_fields = KITH_COUNT(fields) };

	if (p->quiet)
		return;
	snprintf(subject, sizeof(subject), "interface:%s", l->name);
	snprintf(index, sizeof(index), "%d", l->index);
	/* -ENOSPC in a storm of links: what was dropped is counted by the host */
	p->h->record(p->h, &r);
}

static void link_record_state(struct interface *p, const struct link *l, bool up)
{
	char text[64];

	snprintf(text, sizeof(text), "%s is %s", l->name, up ? "up" : "down");
	link_record(p, l, KITH_NOTICE, up ? "up" : "down", text);
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

	if (l->put[metric] == value)
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
		r = link_put(p, l, METRIC_MTU, l->mtu);
	if (r == 0)
		r = link_put(p, l, METRIC_ADDRESSES, l->n_addresses);
	if (!isnan(before) && before != (double)up)
		link_record_state(p, l, up);
	return r;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

struct link *link_named(const struct interface *p, const char *name, size_t length)
{
	struct link *l;

	HASH_FIND(by_name, p->by_name, name, length, l);
	return l;
}

static struct link *link_find(const struct interface *p, int32_t index)
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
	if (!*before || !l->known || (!name_wanted(p, before) && !name_wanted(p, l->name)))
		return;
	snprintf(text, sizeof(text), "%s is now called %s", before, l->name);
	link_record(p, l, KITH_NOTICE, "renamed", text);
}

static void link_remove(struct interface *p, struct link *l)
{
	char text[64];

	if (l->id != KITH_ID_NONE || l->waiting) {
		snprintf(text, sizeof(text), "%s was removed", l->name);
		link_record(p, l, KITH_INFO, "removed", text);
	}
	link_free(p, l);
}

int links_message(struct interface *p, const struct link_message *m)
{
	struct link *l = link_find(p, m->index);
	bool new = !l || !l->known;
	char text[64];

	if (m->removed) {
		if (l)
			link_remove(p, l);
		return 0;
	}
	if (!l && (!m->has_name || !(l = link_new(p, m->index))))
		return m->has_name ? -ENOMEM : 0;
	l->seen = true;
	if (m->has_name)
		link_rename(p, l, m->name);
	l->flags = m->flags;
	if (m->has_operstate)
		l->operstate = m->operstate;
	l->carrier = m->has_carrier ? m->carrier : (m->flags & IFF_LOWER_UP) != 0;
	if (m->has_mtu)
		l->mtu = m->mtu;
	l->known = true;
	if (l->id != KITH_ID_NONE)
		return link_publish(p, l);
	if (l->waiting)
		return 0;
	if (new && name_wanted(p, l->name)) {
		int r = link_begin(p, l);

		snprintf(text, sizeof(text), "%s appeared, %s", l->name, link_is_up(l) ? "up" : "down");
		link_record(p, l, KITH_INFO, "appeared", text);
		return r;
	}
	return link_begin(p, l);
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

static struct address *address_find(const struct link *l, const struct address_message *m)
{
	for (uint32_t i = 0; i < l->n_addresses; i++) {
		struct address *a = &l->addresses[i];

		if (a->family == m->family && a->prefix == m->prefix && !memcmp(a->bytes, m->bytes, sizeof(a->bytes)))
			return a;
	}
	return NULL;
}

static int address_add(struct interface *p, struct link *l, const struct address_message *m)
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
	memcpy(l->addresses[l->n_addresses++].bytes, m->bytes, sizeof(m->bytes));
	return 0;
}

/*
 * Addresses come by sockets of their own, so a link's first address may arrive before the link does: it is kept for
 * it. The kernel
 * removes the addresses before the link, so what is kept for a link that never comes is taken back by their own
 * removal.
 */
int links_address(struct interface *p, const struct address_message *m)
{
	struct link *l = link_find(p, m->index);
	struct address *a = l ? address_find(l, m) : NULL;
	int r = 0;

	if (m->removed) {
		if (!a)
			return 0;
		*a = l->addresses[--l->n_addresses];
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

static int on_dumped_link(const void *message, size_t length, void *user)
{
	struct link_message m;
	int r = link_message_parse(message, length, &m);

	return r > 0 ? links_message(user, &m) : r;
}

static int on_dumped_address(const void *message, size_t length, void *user)
{
	struct address_message m;
	int r = address_message_parse(message, length, &m);

	return r > 0 ? links_address(user, &m) : r;
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
		for (uint32_t i = 0; i < l->n_addresses; i++)
			if (l->addresses[i].seen)
				l->addresses[kept++] = l->addresses[i];
		l->n_addresses = kept;
		if (!l->known && kept == 0)
			link_free(p, l);
		else
			link_publish(p, l);
	}
}

static int links_dump(struct interface *p)
{
	/* Statistics make up most of a link's message and are read elsewhere */
	struct {
		struct ifinfomsg info;
		struct rtattr attribute;
		uint32_t mask;
	} link = { .attribute = { sizeof(link.attribute) + sizeof(link.mask), IFLA_EXT_MASK }, .mask = RTEXT_FILTER_SKIP_STATS };
	struct ifaddrmsg address = { .ifa_family = AF_UNSPEC };
	int r;

	links_mark(p);
	r = p->h->netlink_dump(p->h, NETLINK_ROUTE, RTM_GETLINK, &link, sizeof(link), on_dumped_link, p);
	if (r < 0)
		return r;
	links_sweep(p);
	r = p->h->netlink_dump(p->h, NETLINK_ROUTE, RTM_GETADDR, &address, sizeof(address), on_dumped_address, p);
	if (r < 0)
		return r;
	addresses_sweep(p);
	return 0;
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
