/* Connections of the ports that somebody names: how many are open, and what those that closed came to. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "socket/socket.h"

static struct connection *connection_find(const struct socket_state *s, const struct port_name *name)
{
	struct connection *c = s->connections;

	while (c && (c->name.protocol != name->protocol || c->name.port != name->port || c->name.remote != name->remote))
		c = c->next;
	return c;
}

static bool fits(const struct connection *c, const struct kith_socket_event *e)
{
	return c->wanted && c->name.protocol == e->protocol && c->name.port == (c->name.remote ? e->remote_port : e->local_port);
}

static int connection_put(struct socket_state *s, struct connection *c, double rtt)
{
	double values[N_CONNECTION] = { c->open, c->closed, c->sent, c->received, c->retransmits, rtt };

	return c->id == KITH_ID_NONE ? 0 : s->h->put_all(s->h, c->id, values, N_CONNECTION);
}

void connection_closed(struct socket_state *s, const struct kith_socket_event *e)
{
	/* A listener, or one that never came about */
	if (!e->remote_port)
		return;
	for (struct connection *c = s->connections; c; c = c->next) {
		if (!fits(c, e))
			continue;
		c->closed++;
		if (e->known & KITH_SOCKET_HAS_INFO) {
			c->sent += (double)e->sent;
			c->received += (double)e->received;
			c->retransmits += e->retransmits;
		}
		connection_put(s, c, e->rtt ? e->rtt / 1e6 : NAN);
	}
}

/* ---- counting those that are open --------------------------------------------------------------------------------- */

static int on_dumped(const void *event, void *user)
{
	const struct kith_socket_event *e = event;
	struct connection *c = user;

	c->open += e->remote_port != 0;
	return 0;
}

int connection_sample(struct socket_state *s)
{
	int result = 0, r;

	for (struct connection *c = s->connections; c; c = c->next) {
		struct kith_socket_filter filter = { .size = sizeof(filter), .protocols = c->name.protocol, .states = KITH_SOCKET_ESTABLISHED };
		double before = c->open;

		if (!c->wanted)
			continue;
		filter.port = c->name.remote ? 0 : c->name.port;
		filter.remote_port = c->name.remote ? c->name.port : 0;
		c->open = 0;
		r = s->h->dump_source(s->h, KITH_SOURCE_SOCKET, &filter, on_dumped, c);
		if (r < 0)
			c->open = before;
		else
			r = connection_put(s, c, NAN);
		if (r < 0 && r != -EINTR && r != -ETIMEDOUT)
			result = r;
	}
	return result;
}

/* ---- what is heard ------------------------------------------------------------------------------------------------ */

static int on_closed(const void *event, void *user)
{
	const struct kith_socket_event *e = event;
	struct socket_state *s = user;

	if (!e)
		return 0;
	connection_closed(s, e);
	if (e->remote_port || !listen_is(s, e->protocol, e->local_port))
		return 0;
	s->tries = 9;
	return listen_look_soon(s);
}

/* The new watch comes before the old one goes: nothing is missed, and nothing told twice as both are changed between two events. */
int ports_watch(struct socket_state *s)
{
	uint16_t *ports = malloc((s->n_listeners + s->n_connections * 2 + 1) * sizeof(*ports)), *at = ports;
	struct kith_socket_filter filter = { .size = sizeof(filter), .listeners = ports };
	struct kith_watch *before = s->watch;
	int r = 0;

	if (!ports)
		return -ENOMEM;
	for (const struct listener *l = s->listeners; l; l = l->hh.next)
		if (l->wanted) {
			*at++ = (uint16_t)l->key;
			filter.protocols |= l->key >> 16;
		}
	filter.n_listeners = (uint32_t)(at - ports);
	filter.local = at;
	for (const struct connection *c = s->connections; c; c = c->next)
		if (c->wanted && !c->name.remote)
			*at++ = c->name.port;
	filter.n_local = (uint32_t)(at - filter.local);
	filter.remote = at;
	for (const struct connection *c = s->connections; c; c = c->next) {
		if (c->wanted && c->name.remote)
			*at++ = c->name.port;
		if (c->wanted)
			filter.protocols |= c->name.protocol;
	}
	filter.n_remote = (uint32_t)(at - filter.remote);
	s->watch = NULL;
	if (filter.protocols)
		r = s->h->watch_source(s->h, KITH_SOURCE_SOCKET, &filter, on_closed, s, &s->watch);
	if (before)
		s->h->unwatch(s->h, before);
	free(ports);
	return r;
}

/* ---- what somebody names ------------------------------------------------------------------------------------------ */

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct socket_state *s = user;
	struct port_name name;
	struct connection *c;

	if (!port_name_parse(instance, &name) || *name.process)
		return 0;
	c = connection_find(s, &name);
	if (!c && wanted) {
		if (s->n_connections == INSTANCES_MAX || !(c = calloc(1, sizeof(*c))))
			return 0;
		c->name = name;
		if (s->h->series(s->h, FAMILY_CONNECTION, instance, &c->id) < 0)
			c->id = KITH_ID_NONE;
		c->next = s->connections;
		s->connections = c;
		s->n_connections++;
	}
	if (!c || (!wanted && !c->wanted))
		return 0;
	c->wanted += wanted ? 1 : -1u;
	s->any_connection += wanted ? 1 : -1u;
	if (!c->wanted) {
		struct connection **at = &s->connections;

		while (*at != c)
			at = &(*at)->next;
		*at = c->next;
		if (c->id != KITH_ID_NONE)
			s->h->end(s->h, c->id);
		s->n_connections--;
		free(c);
	}
	return ports_watch(s);
}

int connection_start(struct socket_state *s)
{
	return s->h->watch_wanted(s->h, FAMILY_CONNECTION, on_wanted, s, NULL);
}

void connection_free(struct socket_state *s)
{
	struct connection *c;

	while ((c = s->connections)) {
		s->connections = c->next;
		free(c);
	}
}
