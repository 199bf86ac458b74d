/*
 * Listening ports: all that there are, and those that somebody names. The kernel tells when a listener closes, and nothing when one opens: so after a close, and
 * for as long as a named one is absent, they are dumped a few times more, and else on the tick.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "socket/socket.h"

#define NS_PER_MS INT64_C(1000000)
#define LOOK_AGAIN (20 * NS_PER_MS)
#define TRIES 9 /* 20 ms, 40 ms … some 10 s in all: a service that is started again is back by then */

/* ---- values ------------------------------------------------------------------------------------------------------- */

static int listener_put(struct socket_state *s, struct listener *l)
{
	double values[N_LISTEN] = { [LISTEN_STATE] = l->sockets ? LISTEN_YES : LISTEN_ABSENT, [LISTEN_BACKLOG] = l->backlog,
		                    [LISTEN_BACKLOG_LIMIT] = l->limit, [LISTEN_SOCKETS] = l->sockets };
	int r = 0;

	for (int i = 0; i < N_LISTEN && r == 0; i++) {
		if (l->put[i] == values[i] || l->id == KITH_ID_NONE)
			continue;
		r = s->h->put(s->h, l->id + (kith_id)i, values[i]);
		l->put[i] = values[i];
	}
	return r;
}

static void listener_record(struct socket_state *s, const struct listener *l, bool opened)
{
	char subject[40], text[80], port[8];
	struct kith_field fields[] = { { "event", opened ? "opened" : "closed" }, { "port", port } };
	struct kith_record r = { .size = sizeof(r), .priority = KITH_INFO, .subject = subject, .message = text, .fields = fields,
		                 .n_fields = KITH_COUNT(fields) };

	if (s->quiet)
		return;
	snprintf(port, sizeof(port), "%u", l->key & 0xffff);
	snprintf(subject, sizeof(subject), "listen:%s/%s", port_protocol(l->key >> 16), port);
	snprintf(text, sizeof(text), "port %s/%s is %s", port_protocol(l->key >> 16), port, opened ? "listened on" : "no longer listened on");
	if (l->wanted && !opened)
		r.priority = KITH_NOTICE;
	/* -ENOSPC: what was dropped is counted by the host */
	s->h->record(s->h, &r);
}

int holder_put(struct holder *x)
{
	int r;

	if (x->id == KITH_ID_NONE || (x->told && x->is == x->put))
		return 0;
	r = x->s->h->put(x->s->h, x->id, x->is);
	x->put = x->is;
	x->told = r == 0;
	return r;
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

static struct listener *listener_find(const struct socket_state *s, uint32_t key)
{
	struct listener *l;

	HASH_FIND(hh, s->listeners, &key, sizeof(key), l);
	return l;
}

static struct listener *listener_new(struct socket_state *s, uint32_t key)
{
	struct listener *l;
	char name[24];

	if (s->n_listeners == INSTANCES_MAX && !s->full)
		s->h->log(s->h, KITH_WARNING, "more than %d ports are listened on: the others are not followed", INSTANCES_MAX);
	s->full |= s->n_listeners == INSTANCES_MAX;
	if (s->n_listeners == INSTANCES_MAX || !(l = calloc(1, sizeof(*l))))
		return NULL;
	l->key = key;
	snprintf(name, sizeof(name), "%s/%u", port_protocol(key >> 16), key & 0xffff);
	if (s->h->series(s->h, FAMILY_LISTEN, name, &l->id) < 0)
		l->id = KITH_ID_NONE;
	for (int i = 0; i < N_LISTEN; i++)
		l->put[i] = NAN;
	HASH_ADD(hh, s->listeners, key, sizeof(l->key), l);
	s->n_listeners++;
	return l;
}

static void listener_end(struct socket_state *s, struct listener *l)
{
	if (l->id != KITH_ID_NONE)
		s->h->end(s->h, l->id);
	HASH_DEL(s->listeners, l);
	s->n_listeners--;
	free(l);
}

bool listen_is(const struct socket_state *s, uint32_t protocol, uint16_t port)
{
	const struct listener *l = listener_find(s, protocol << 16 | port);

	return l && l->sockets;
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

static int on_dumped(const void *event, void *user)
{
	const struct kith_socket_event *e = event;
	struct socket_state *s = user;
	uint32_t key = e->protocol << 16 | e->local_port;
	struct listener *l = listener_find(s, key);

	/* A client's socket of UDP looks like a server's, but for its port. */
	if (e->remote_port || (!l && e->protocol == KITH_SOCKET_UDP && e->local_port >= s->low && e->local_port <= s->high))
		return 0;
	if (!l && !(l = listener_new(s, key)))
		return 0; /* no room: those that are known are as they are */
	l->sockets++;
	l->backlog += e->protocol == KITH_SOCKET_TCP ? e->rqueue : 0;
	l->limit += e->protocol == KITH_SOCKET_TCP ? e->wqueue : 0;
	l->all += e->inode;
	if (l->n_inodes < INODES_MAX)
		l->inodes[l->n_inodes++] = e->inode;
	return 0;
}

static int holders_settle(struct socket_state *s)
{
	int r = 0;

	for (struct holder *x = s->holders; x && r == 0; x = x->next) {
		const struct listener *l = listener_find(s, x->name.protocol << 16 | x->name.port);

		if (!x->wanted)
			continue;
		if (!l || !l->sockets) {
			x->looked = 0;
			x->is = LISTEN_ABSENT;
			owner_release(x);
			r = holder_put(x);
		} else if (x->looked != l->all || x->is == LISTEN_OTHER || x->again) {
			/* One that took it over, as from a supervisor, changes nothing of the socket: it is looked for on every look */
			x->again = false;
			r = owner_look(x, l);
		}
	}
	return r;
}

/* True: somebody waits for one that is not there */
static bool listeners_settle(struct socket_state *s)
{
	struct listener *l, *next;
	bool absent = false;

	for (l = s->listeners; l; l = next) {
		next = l->hh.next;
		if (l->sockets && !l->before)
			listener_record(s, l, true);
		else if (!l->sockets && l->before)
			listener_record(s, l, false);
		if (!l->sockets && !l->wanted) {
			listener_end(s, l);
			continue;
		}
		absent |= !l->sockets;
		listener_put(s, l);
	}
	return absent;
}

static int on_timer(void *user)
{
	struct socket_state *s = user;

	s->h->unwatch(s->h, s->timer);
	s->timer = NULL;
	return listen_look(s);
}

static int look_again(struct socket_state *s, int64_t after)
{
	return s->timer ? 0 : s->h->watch_timer(s->h, after, 0, after / 4, on_timer, s, &s->timer);
}

int listen_look(struct socket_state *s)
{
	struct kith_socket_filter filter = { .size = sizeof(filter), .protocols = KITH_SOCKET_TCP, .states = KITH_SOCKET_LISTEN };
	int r;

	s->looked = s->h->now(s->h);
	for (struct listener *l = s->listeners; l; l = l->hh.next) {
		l->before = l->sockets;
		l->sockets = l->backlog = l->limit = l->n_inodes = 0;
		l->all_before = l->all;
		l->all = 0;
	}
	r = s->h->dump_source(s->h, KITH_SOURCE_SOCKET, &filter, on_dumped, s);
	filter.protocols = KITH_SOCKET_UDP;
	filter.states = KITH_SOCKET_CLOSE;
	if (r == 0)
		r = s->h->dump_source(s->h, KITH_SOURCE_SOCKET, &filter, on_dumped, s);
	if (r < 0) {
		/* Half a dump says nothing: as before, until the next one */
		for (struct listener *l = s->listeners; l; l = l->hh.next) {
			l->sockets = l->before;
			l->all = l->all_before;
		}
		return r == -EINTR || r == -ETIMEDOUT ? 0 : r;
	}
	if (listeners_settle(s) && s->tries)
		r = look_again(s, LOOK_AGAIN << (TRIES - s->tries--));
	else
		s->tries = 0;
	return r < 0 ? r : holders_settle(s);
}

int listen_look_soon(struct socket_state *s)
{
	int64_t now = s->h->now(s->h);

	if (now >= s->looked && now - s->looked < LOOK_AGAIN)
		return look_again(s, LOOK_AGAIN);
	return listen_look(s);
}

/* ---- what somebody names ------------------------------------------------------------------------------------------ */

static int holder_want(struct socket_state *s, const struct port_name *name, const char *instance, bool wanted)
{
	struct holder *x = s->holders;

	while (x && (x->name.protocol != name->protocol || x->name.port != name->port || strcmp(x->name.process, name->process)))
		x = x->next;
	if (!x && wanted) {
		if (s->n_holders == INSTANCES_MAX || !(x = calloc(1, sizeof(*x))))
			return 0;
		x->s = s;
		x->name = *name;
		x->pidfd = -1;
		x->next = s->holders;
		s->holders = x;
		s->n_holders++;
	}
	if (!x || (!wanted && !x->wanted))
		return 0;
	x->wanted += wanted ? 1 : -1u;
	if (x->wanted == 1 && wanted) {
		x->told = false;
		x->is = LISTEN_UNKNOWN;
		x->looked = 0;
		if (s->h->series(s->h, FAMILY_LISTEN, instance, &x->id) < 0)
			x->id = KITH_ID_NONE;
	}
	if (x->wanted)
		return 0;
	owner_release(x);
	if (x->id != KITH_ID_NONE)
		s->h->end(s->h, x->id);
	x->id = KITH_ID_NONE;
	if (!x->question) {
		struct holder **at = &s->holders;

		while (*at != x)
			at = &(*at)->next;
		*at = x->next;
		s->n_holders--;
		free(x);
	}
	return 0;
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct socket_state *s = user;
	struct port_name name;
	struct listener *l;
	int r = 0;

	s->any_listen += wanted ? 1 : -1u;
	if (!port_name_parse(instance, &name) || name.remote)
		return 0; /* a pattern: of what is there */
	l = listener_find(s, name.protocol << 16 | name.port);
	if (!l && wanted)
		l = listener_new(s, name.protocol << 16 | name.port);
	if (l && (wanted || l->wanted))
		l->wanted += wanted ? 1 : -1u;
	if (*name.process)
		r = holder_want(s, &name, instance, wanted);
	if (l && !l->wanted && !l->sockets)
		listener_end(s, l);
	if (r == 0)
		r = ports_watch(s);
	/* Of what nobody wants any more there is nothing to see */
	return r < 0 || !wanted ? r : listen_look_soon(s);
}

int listen_start(struct socket_state *s)
{
	char *text;
	int fd = s->h->open(s->h, "/proc/sys/net/ipv4/ip_local_port_range"), r = -1;

	s->low = 32768;
	s->high = 60999;
	if (fd >= 0)
		r = s->h->read(s->h, fd, &text, NULL);
	if (r == 0) {
		const char *at = text;
		uint64_t low, high;

		if (kith_scan_u64(&at, &low) == 0 && kith_scan_u64(&at, &high) == 0 && low <= high && high <= 65535) {
			s->low = (uint16_t)low;
			s->high = (uint16_t)high;
		}
	}
	if (fd >= 0)
		close(fd);
	r = listen_look(s);
	return r < 0 ? r : s->h->watch_wanted(s->h, FAMILY_LISTEN, on_wanted, s, NULL);
}

void listen_free(struct socket_state *s)
{
	struct listener *l, *next;
	struct holder *x;

	/* The host ends series itself */
	for (l = s->listeners; l; l = next) {
		next = l->hh.next;
		HASH_DEL(s->listeners, l);
		free(l);
	}
	while ((x = s->holders)) {
		s->holders = x->next;
		owner_forget(x);
		owner_release(x);
		free(x);
	}
}
