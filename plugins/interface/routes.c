/*
 * Default routes and rules. An event says that something has changed; what there is now is dumped then, which is a few messages: of changes alone the
 * truth cannot be told, as IPv4's routes go in silence with their link or address, and IPv6's gain and lose gateways one by one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "interface/interface.h"

#define UNICAST 1 /* RTN_UNICAST: not one that refuses */
#define GATEWAY_NONE 4

static const char *const instances[] = { "default/ipv4", "default/ipv6" };
static const char *const protocols[] = { "ipv4", "ipv6" };
static const char *const words[] = { "IPv4", "IPv6" };
static const struct kith_route_filter filter = { .size = sizeof(filter), .flags = KITH_ROUTE_DEFAULT };

/* ---- values ------------------------------------------------------------------------------------------------------- */

/* The first with the lowest metric, which the kernel takes; NULL: there is none */
static const struct default_route *best_of(const struct defaults *d)
{
	const struct default_route *best = d->n ? &d->routes[0] : NULL;

	for (uint32_t i = 1; i < d->n; i++)
		if (d->routes[i].metric < best->metric)
			best = &d->routes[i];
	return best;
}

/* Of several gateways the one that does best */
static double gateway_state(const struct interface *p, const struct default_route *route)
{
	static const int rank[] = { [REACH_FAILED] = 0, [REACH_UNKNOWN] = 1, [REACH_RESOLVING] = 2, [REACH_YES] = 3 };
	enum reach found = REACH_FAILED;

	if (!route)
		return REACH_UNKNOWN;
	for (uint32_t i = 0; i < route->n_hops; i++) {
		const struct kith_route_hop *hop = &route->hops[i];
		enum reach r = neighbour_reach(p, hop->index, hop->family, hop->gateway);

		if (!hop->family)
			return GATEWAY_NONE;
		if (rank[r] > rank[found])
			found = r;
	}
	return route->n_hops ? (double)found : GATEWAY_NONE;
}

static void describe(const struct interface *p, const struct default_route *route, char *text, size_t size)
{
	size_t n = 0;

	*text = '\0';
	for (uint32_t i = 0; route && i < route->n_hops && n + 100 < size; i++) {
		const struct kith_route_hop *hop = &route->hops[i];
		const struct link *l = link_indexed(p, hop->index);
		char address[INET6_ADDRSTRLEN] = "";

		if (hop->family)
			inet_ntop(hop->family, hop->gateway, address, sizeof(address));
		n += (size_t)snprintf(text + n, size - n, "%s%s%s%s%s", i ? " and " : "", *address ? "via " : "", address, *address ? " on " : "on ",
		                      l && *l->name ? l->name : "an unknown link");
	}
	if (route && !*text)
		snprintf(text, size, "through a nexthop object");
}

static int defaults_put(struct interface *p, struct defaults *d, int metric, double value)
{
	int r;

	if (d->put[metric] == value)
		return 0;
	r = p->h->put(p->h, d->id + (kith_id)metric, value);
	if (r == 0)
		d->put[metric] = value;
	return r;
}

static void defaults_record(struct interface *p, unsigned k, const char *before, const char *now)
{
	struct kith_field fields[] = { { "event", !*now ? "gone" : *before ? "changed" : "appeared" }, { "route", *now ? now : before } };
	char subject[40], text[500];

	snprintf(subject, sizeof(subject), "route:%s", instances[k]);
	if (!*now)
		snprintf(text, sizeof(text), "the default route of %s is gone; it was %s", words[k], before);
	else
		snprintf(text, sizeof(text), "the default route of %s is %s%s%s", words[k], now, *before ? ", was " : "", before);
	tell(p, TOLD_OTHER, *now ? KITH_NOTICE : KITH_WARNING, subject, text, fields, KITH_COUNT(fields));
}

static int defaults_publish(struct interface *p, unsigned k)
{
	struct defaults *d = &p->defaults[k];
	const struct default_route *best = best_of(d);
	char text[sizeof(d->text)];
	int r = 0;

	describe(p, best, text, sizeof(text));
	/* The record first: who asks what broke a promise finds it */
	if (strcmp(text, d->text))
		defaults_record(p, k, d->text, text);
	memcpy(d->text, text, sizeof(text));
	if (d->id == KITH_ID_NONE) {
		if (!best)
			return 0;
		r = p->h->series(p->h, FAMILY_ROUTE, instances[k], &d->id);
		if (r < 0)
			return r == -ENOSPC ? 0 : r;
		for (int i = 0; i < N_ROUTE_METRICS; i++)
			d->put[i] = NAN;
	}
	r = defaults_put(p, d, ROUTE_STATE, best != NULL);
	if (r == 0)
		r = defaults_put(p, d, ROUTE_GATEWAY, gateway_state(p, best));
	if (r == 0)
		r = defaults_put(p, d, ROUTE_ROUTES, d->n);
	if (r == 0 && best)
		r = defaults_put(p, d, ROUTE_METRIC, best->metric);
	return r;
}

void routes_gateway_changed(struct interface *p)
{
	for (unsigned k = 0; k < 2; k++)
		if (p->defaults[k].id != KITH_ID_NONE)
			defaults_put(p, &p->defaults[k], ROUTE_GATEWAY, gateway_state(p, best_of(&p->defaults[k])));
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

static int on_dumped(const void *event, void *user)
{
	const struct kith_route_event *e = event;
	struct interface *p = user;
	struct defaults *d = &p->defaults[e->family == AF_INET6];
	struct default_route *route;

	if (e->removed || e->prefix || e->type != UNICAST)
		return 0;
	/* An interrupted dump tells some twice. */
	for (uint32_t i = 0; i < d->n; i++)
		if (d->routes[i].metric == e->metric && d->routes[i].n_hops == e->n_hops && !memcmp(d->routes[i].hops, e->hops, sizeof(e->hops)))
			return 0;
	if (d->n == DEFAULTS_MAX)
		return 0;
	route = &d->routes[d->n++];
	route->metric = e->metric;
	route->n_hops = e->n_hops;
	route->nexthop = e->nexthop;
	memcpy(route->source, e->source, sizeof(route->source));
	memcpy(route->hops, e->hops, sizeof(e->hops));
	return 0;
}

int routes_look(struct interface *p)
{
	struct defaults before[2];
	int r;

	memcpy(before, p->defaults, sizeof(before));
	p->defaults[0].n = p->defaults[1].n = 0;
	r = p->h->dump_source(p->h, KITH_SOURCE_ROUTE, &filter, on_dumped, p);
	if (r < 0) {
		/* Nothing is known of it but what was before: look again soon */
		memcpy(p->defaults, before, sizeof(before));
		return r == -EINTR || r == -ETIMEDOUT ? look_soon(&p->look_routes) : r;
	}
	neighbours_gateways(p);
	r = defaults_publish(p, 0);
	return r < 0 ? r : defaults_publish(p, 1);
}

static bool uses_nexthops(const struct interface *p)
{
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < p->defaults[k].n; i++)
			if (p->defaults[k].routes[i].nexthop)
				return true;
	return false;
}

static int on_route(const void *event, void *user)
{
	const struct kith_route_event *e = event;
	struct interface *p = user;

	if (!e)
		return 0;
	if (e->family)
		return look_soon(&p->look_routes);
	/* A nexthop object, or one of the objects that a group is made of. The routes go right after its message. */
	return uses_nexthops(p) ? look_later(&p->look_routes) : 0;
}

/* Kernels before 6.6 take the routes that send from it away, whatever their link, and tell nobody. */
void routes_address_gone(struct interface *p, const struct kith_address_event *e)
{
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < p->defaults[k].n; i++)
			if (k == (e->family == AF_INET6) && !memcmp(p->defaults[k].routes[i].source, e->bytes, sizeof(e->bytes))) {
				look_later(&p->look_routes);
				return;
			}
}

/* Its message comes before the kernel takes the routes away. */
void routes_link_changed(struct interface *p, const struct link *l)
{
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < p->defaults[k].n; i++)
			for (uint32_t hop = 0; hop < p->defaults[k].routes[i].n_hops; hop++)
				if (p->defaults[k].routes[i].hops[hop].index == l->index && !p->quiet) {
					look_later(&p->look_routes);
					return;
				}
}

int routes_start(struct interface *p)
{
	p->look_routes = (struct look){ .p = p, .fn = routes_look };
	return p->h->watch_source(p->h, KITH_SOURCE_ROUTE, &filter, on_route, p, NULL);
}

/* ---- rules -------------------------------------------------------------------------------------------------------- */

static size_t side(char *text, size_t size, const char *word, uint8_t family, const uint8_t *address, unsigned prefix)
{
	char number[INET6_ADDRSTRLEN] = "";
	int n;

	if (!prefix)
		return 0;
	inet_ntop(family, address, number, sizeof(number));
	n = snprintf(text, size, " %s %s/%u", word, number, prefix);
	return (size_t)n < size ? (size_t)n : size - 1;
}

static void rule_record(struct interface *p, const struct kith_rule_event *e)
{
	char subject[20], text[400], number[16], table[16];
	struct kith_field fields[] = { { "event", e->removed ? "removed" : "added" }, { "priority", number }, { "table", table } };
	unsigned k = e->family == AF_INET6;
	size_t n;

	snprintf(subject, sizeof(subject), "rule:%s", protocols[k]);
	snprintf(number, sizeof(number), "%u", e->priority);
	snprintf(table, sizeof(table), "%u", e->table);
	n = (size_t)snprintf(text, sizeof(text), "rule %s of %s was %s:%s", number, words[k], e->removed ? "removed" : "added", e->inverted ? " not" : "");
	n += side(text + n, sizeof(text) - n, "from", e->family, e->source, e->source_prefix);
	n += side(text + n, sizeof(text) - n, "to", e->family, e->destination, e->destination_prefix);
	if (*e->input)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " in %s", e->input);
	if (*e->output)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " out %s", e->output);
	if (e->mark)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " mark 0x%x", e->mark);
	if (e->table)
		snprintf(text + n, sizeof(text) - n, " table %u", e->table);
	tell(p, e->removed ? TOLD_RULE_TAKEN : TOLD_RULE_ADDED, KITH_NOTICE, subject, text, fields, KITH_COUNT(fields));
}

static int on_dumped_rule(const void *event, void *user)
{
	const struct kith_rule_event *e = event;
	struct interface *p = user;

	p->rules[e->family == AF_INET6].count += !e->removed;
	return 0;
}

int rules_look(struct interface *p)
{
	int r;

	p->rules[0].count = p->rules[1].count = 0;
	r = p->h->dump_source(p->h, KITH_SOURCE_RULE, NULL, on_dumped_rule, p);
	/* A kernel without policy routing, or without IPv6 */
	if (r == -EOPNOTSUPP)
		return 0;
	if (r == -EINTR || r == -ETIMEDOUT)
		return look_soon(&p->look_rules);
	for (unsigned k = 0; k < 2 && r == 0; k++) {
		struct rules *rules = &p->rules[k];

		if (rules->count == rules->counted)
			continue;
		if (rules->id == KITH_ID_NONE)
			r = p->h->series(p->h, FAMILY_RULE, protocols[k], &rules->id);
		if (r == 0)
			r = p->h->put(p->h, rules->id, rules->count);
		if (r == 0)
			rules->counted = rules->count;
	}
	return r;
}

static int on_rule(const void *event, void *user)
{
	struct interface *p = user;

	if (!event)
		return 0;
	rule_record(p, event);
	return look_soon(&p->look_rules);
}

int rules_start(struct interface *p)
{
	int r;

	p->look_rules = (struct look){ .p = p, .fn = rules_look };
	r = p->h->watch_source(p->h, KITH_SOURCE_RULE, NULL, on_rule, p, NULL);
	return r == -EOPNOTSUPP ? 0 : r;
}
