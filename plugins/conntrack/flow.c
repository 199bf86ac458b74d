/* What is tracked of the ports that somebody names: counted by events, made exact by a dump when some were lost. */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack/conntrack.h"

#define PUT_AFTER INT64_C(50000000)

static const struct { const char *name; uint8_t number; bool ports; } protocols[] = {
	{ "tcp", IPPROTO_TCP, true },     { "udp", IPPROTO_UDP, true },       { "sctp", IPPROTO_SCTP, true },
	{ "icmp", IPPROTO_ICMP, false },  { "icmpv6", IPPROTO_ICMPV6, false }, { "gre", IPPROTO_GRE, false },
};

bool flow_parse(const char *text, struct kith_conntrack_port *ret)
{
	size_t n = strcspn(text, "/"), i = 0;
	uint32_t port = 0;

	while (i < KITH_COUNT(protocols) && (strlen(protocols[i].name) != n || strncmp(protocols[i].name, text, n)))
		i++;
	if (i == KITH_COUNT(protocols))
		return false;
	if (text[n] == '/') {
		text += n + 1;
		if (!protocols[i].ports || *text < '1' || *text > '9')
			return false;
		while (*text >= '0' && *text <= '9' && port <= 65535)
			port = port * 10 + (uint32_t)(*text++ - '0');
		if (*text || port > 65535)
			return false;
	}
	*ret = (struct kith_conntrack_port){ .protocol = protocols[i].number, .port = (uint16_t)port };
	return true;
}

/* ---- values ------------------------------------------------------------------------------------------------------- */

static int flow_put(struct conntrack *p, struct flow *f)
{
	double values[N_FLOW] = { (double)f->open, (double)f->begun, (double)f->ended, f->counted ? (double)f->bytes : NAN,
		                  f->counted ? (double)f->packets : NAN };

	f->stale = false;
	return f->id == KITH_ID_NONE ? 0 : p->h->put_all(p->h, f->id, values, N_FLOW);
}

static int flows_put(struct conntrack *p)
{
	int result = 0, r;

	for (struct flow *f = p->flows; f; f = f->next)
		if (f->stale && (r = flow_put(p, f)) < 0)
			result = r;
	return result;
}

static int on_put(void *user)
{
	struct conntrack *p = user;

	p->h->unwatch(p->h, p->put_timer);
	p->put_timer = NULL;
	p->put_last = p->h->now(p->h);
	return flows_put(p);
}

/* At once, and what follows shortly after together: of thousands a second some twenty. */
static int put_soon(struct conntrack *p)
{
	int64_t now = p->h->now(p->h);

	if (p->put_timer)
		return 0;
	if (now >= p->put_last && now - p->put_last < PUT_AFTER)
		return p->h->watch_timer(p->h, PUT_AFTER, 0, PUT_AFTER / 5, on_put, p, &p->put_timer);
	p->put_last = now;
	return flows_put(p);
}

static bool fits(const struct flow *f, const struct kith_conntrack_event *e)
{
	return f->port.protocol == e->protocol && (!f->port.port || f->port.port == e->port);
}

static int on_event(const void *event, void *user)
{
	const struct kith_conntrack_event *e = event;
	struct conntrack *p = user;
	bool any = false;

	for (struct flow *f = e ? p->flows : NULL; f; f = f->next) {
		if (!fits(f, e))
			continue;
		if (e->what == KITH_CONNTRACK_NEW) {
			f->begun++;
			f->open++;
		} else {
			f->ended++;
			f->open -= f->open > 0;
			f->counted |= (e->known & KITH_CONNTRACK_HAS_COUNTS) != 0;
			f->bytes += e->bytes + e->reply_bytes;
			f->packets += e->packets + e->reply_packets;
		}
		f->stale = any = true;
	}
	return any ? put_soon(p) : 0;
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

static int on_dumped(const void *event, void *user)
{
	const struct kith_conntrack_event *e = event;
	struct conntrack *p = user;

	for (struct flow *f = p->flows; f; f = f->next)
		f->dumped += fits(f, e);
	return 0;
}

/* What was lost: so many more began, or ended, than were heard of, at the least. */
int flows_look(struct conntrack *p)
{
	int r;

	if (!p->flows)
		return 0;
	for (struct flow *f = p->flows; f; f = f->next)
		f->dumped = 0;
	r = p->h->dump_source(p->h, KITH_SOURCE_CONNTRACK, NULL, on_dumped, p);
	if (r < 0)
		return r == -EINTR || r == -ETIMEDOUT ? 0 : r;
	for (struct flow *f = p->flows; f; f = f->next) {
		if (f->dumped > f->open)
			f->begun += f->dumped - f->open;
		else
			f->ended += f->open - f->dumped;
		f->open = f->dumped;
		f->stale = true;
	}
	return flows_put(p);
}

/* The new watch comes before the old one goes: nothing is missed */
static int flows_watch(struct conntrack *p)
{
	struct kith_conntrack_port ports[FLOWS_MAX];
	struct kith_conntrack_filter filter = { .size = sizeof(filter), .ports = ports };
	struct kith_watch *before = p->watch;
	int r = 0;

	for (const struct flow *f = p->flows; f; f = f->next)
		ports[filter.n_ports++] = f->port;
	p->watch = NULL;
	if (filter.n_ports)
		r = p->h->watch_source(p->h, KITH_SOURCE_CONNTRACK, &filter, on_event, p, &p->watch);
	if (before)
		p->h->unwatch(p->h, before);
	return r;
}

/* ---- what somebody names ------------------------------------------------------------------------------------------ */

static int flow_begin(struct conntrack *p, const struct kith_conntrack_port *port, const char *instance, struct flow **ret_flow)
{
	struct flow *f;
	int r;

	if (p->n_flows == FLOWS_MAX) {
		p->h->log(p->h, KITH_WARNING, "%s: %d ports are counted already, no more can be", instance, FLOWS_MAX);
		return -ENOSPC;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->port = *port;
	f->next = p->flows;
	p->flows = f;
	p->n_flows++;
	if (p->h->series(p->h, FAMILY_FLOW, instance, &f->id) < 0)
		f->id = KITH_ID_NONE;
	*ret_flow = f;
	r = flows_watch(p);
	if (r < 0)
		return r;
	r = flows_look(p);
	/* What was tracked before has not begun since */
	f->begun = f->ended = 0;
	return r < 0 ? r : flow_put(p, f);
}

static void flow_end(struct conntrack *p, struct flow *f)
{
	struct flow **at = &p->flows;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	p->n_flows--;
	if (f->id != KITH_ID_NONE)
		p->h->end(p->h, f->id);
	free(f);
}

int flow_want(struct conntrack *p, const char *instance, bool wanted)
{
	struct kith_conntrack_port port;
	struct flow *f = p->flows;
	int r = 0;

	if (!flow_parse(instance, &port))
		return 0;
	while (f && (f->port.protocol != port.protocol || f->port.port != port.port))
		f = f->next;
	if (!f && wanted)
		r = flow_begin(p, &port, instance, &f);
	if (!f || (!wanted && !f->wanted))
		return r == -ENOSPC ? 0 : r;
	f->wanted += wanted ? 1 : -1u;
	if (f->wanted)
		return r;
	flow_end(p, f);
	return flows_watch(p);
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	return flow_want(user, instance, wanted);
}

int flows_start(struct conntrack *p)
{
	const char *const *list;
	size_t n = p->h->option_list(p->h, "ports", &list);
	struct kith_conntrack_port port;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (!flow_parse(list[i], &port))
			p->h->log(p->h, KITH_WARNING, "ports: \"%s\" is none: write tcp/443, udp/53, tcp, udp, sctp, icmp, icmpv6 or gre", list[i]);
		r = flow_want(p, list[i], true);
	}
	return r < 0 ? r : p->h->watch_wanted(p->h, FAMILY_FLOW, on_wanted, p, NULL);
}

void flows_free(struct conntrack *p)
{
	struct flow *f;

	while ((f = p->flows)) {
		p->flows = f->next;
		free(f);
	}
}
