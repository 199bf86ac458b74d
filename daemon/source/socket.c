/* Sockets that close, by the destroy groups of sock_diag; those that there are, by inet_diag's dumps. */
#include "source/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "source/attribute.h"
#include "source/kinds.h"
#include "source/netlink.h"

#define ACCEPT 0xffffffffu
#define AT_LOCAL ((uint32_t)(NLMSG_HDRLEN + offsetof(struct inet_diag_msg, id.idiag_sport)))
#define AT_REMOTE ((uint32_t)(NLMSG_HDRLEN + offsetof(struct inet_diag_msg, id.idiag_dport)))
#define GROUPS 4

/* Of one subscriber, with copies of its lists behind it */
struct socket_own {
	struct socket_own *next, **link;
	struct kith_socket_filter filter;
	uint16_t ports[];
};

struct socket_reader;

struct socket_group {
	struct socket_reader *reader;
	uint32_t protocol;
	struct netlink_sub *sub;
};

struct socket_reader {
	struct source *source;
	struct netlink_source *netlink;
	struct socket_own *filters;
	struct socket_group groups[GROUPS];
};

static const struct { uint32_t number, protocol; } groups[GROUPS] = {
	{ SKNLGRP_INET_TCP_DESTROY, KITH_SOCKET_TCP },
	{ SKNLGRP_INET6_TCP_DESTROY, KITH_SOCKET_TCP },
	{ SKNLGRP_INET_UDP_DESTROY, KITH_SOCKET_UDP },
	{ SKNLGRP_INET6_UDP_DESTROY, KITH_SOCKET_UDP },
};

/* ---- messages ----------------------------------------------------------------------------------------------------- */

/* An older kernel's is shorter, a newer one's longer. */
static void take_info(const struct attributes *a, struct kith_socket_event *e)
{
	struct tcp_info info = { 0 };

	if (a->length < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
		return;
	memcpy(&info, a->value, a->length < sizeof(info) ? a->length : sizeof(info));
	e->known |= KITH_SOCKET_HAS_INFO;
	e->sent = info.tcpi_bytes_acked;
	e->received = info.tcpi_bytes_received;
	e->retransmits = info.tcpi_total_retrans;
	e->rtt = info.tcpi_rtt;
}

int socket_message(const void *message, size_t length, uint32_t protocol, struct kith_socket_event *ret)
{
	struct kith_socket_event e = { .size = sizeof(e), .protocol = protocol };
	int type = message_type(message, length), r;
	struct inet_diag_msg body;
	struct attributes a, info = { 0 };

	if (type < 0)
		return -EBADMSG;
	if (type != SOCK_DIAG_BY_FAMILY)
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	if (body.idiag_family != AF_INET && body.idiag_family != AF_INET6)
		return 0;
	while ((r = attribute_next(&a)) > 0) {
		if (a.type == INET_DIAG_INFO)
			info = a;
		if (a.type != INET_DIAG_PROTOCOL)
			continue;
		if (!a.length)
			return -EBADMSG;
		e.protocol = a.value[0] == IPPROTO_TCP ? KITH_SOCKET_TCP : a.value[0] == IPPROTO_UDP ? KITH_SOCKET_UDP : 0;
	}
	if (r < 0)
		return r;
	if (!e.protocol)
		return 0;
	e.state = body.idiag_state;
	e.family = body.idiag_family;
	e.local_port = ntohs(body.id.idiag_sport);
	e.remote_port = ntohs(body.id.idiag_dport);
	e.uid = body.idiag_uid;
	e.inode = body.idiag_inode;
	e.rqueue = body.idiag_rqueue;
	e.wqueue = body.idiag_wqueue;
	memcpy(e.local, body.id.idiag_src, e.family == AF_INET ? 4 : 16);
	memcpy(e.remote, body.id.idiag_dst, e.family == AF_INET ? 4 : 16);
	if (e.protocol == KITH_SOCKET_TCP && info.value)
		take_info(&info, &e);
	*ret = e;
	return 1;
}

static void on_message(const void *message, size_t length, void *user)
{
	struct socket_group *g = user;
	struct kith_socket_event event;
	int r = socket_message(message, length, g->protocol, &event);

	if (r > 0)
		source_tell(g->reader->source, &event);
	else if (r < 0)
		source_lost(g->reader->source);
}

static void on_lost(void *user)
{
	struct socket_group *g = user;

	source_lost(g->reader->source);
}

/* ---- filters ------------------------------------------------------------------------------------------------------ */

static bool lists(const uint16_t *ports, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static bool socket_accepts(const void *own, const void *event)
{
	const struct kith_socket_filter *f = &((const struct socket_own *)own)->filter;
	const struct kith_socket_event *e = event;

	if (!(f->protocols & e->protocol))
		return false;
	return (!e->remote_port && lists(f->listeners, f->n_listeners, e->local_port)) || lists(f->local, f->n_local, e->local_port) ||
	       (e->remote_port && lists(f->remote, f->n_remote, e->remote_port));
}

static size_t emit_ports(struct sock_filter *program, size_t at, const uint16_t *ports, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ports[i], 0, 0);
	return at;
}

/*
 * Ports stand in the network's order, as BPF loads them. One end at the end, so that chains of comparisons jump forwards to it; a list for sockets without
 * another end, two for the others.
 */
int socket_program(const struct kith_socket_filter *const *filters, size_t n, struct sock_filter *program)
{
	size_t total = 0, at = 0, others, end;

	for (size_t i = 0; i < n; i++)
		total += filters[i]->n_listeners + 2 * filters[i]->n_local + filters[i]->n_remote;
	if (total > SOCKET_PORTS)
		return 0;
	program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_REMOTE);
	others = at;
	program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0);
	program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_LOCAL);
	for (size_t i = 0; i < n; i++) {
		at = emit_ports(program, at, filters[i]->listeners, filters[i]->n_listeners);
		at = emit_ports(program, at, filters[i]->local, filters[i]->n_local);
	}
	program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	program[others].jf = (uint8_t)(at - others - 1);
	for (size_t i = 0; i < n; i++)
		at = emit_ports(program, at, filters[i]->remote, filters[i]->n_remote);
	program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_LOCAL);
	for (size_t i = 0; i < n; i++)
		at = emit_ports(program, at, filters[i]->local, filters[i]->n_local);
	program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	end = at;
	program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ACCEPT);
	for (size_t i = others + 1; i < end; i++)
		if (BPF_CLASS(program[i].code) == BPF_JMP)
			program[i].jt = (uint8_t)(end - i - 1);
	return (int)at;
}

_Static_assert(SOCKET_PORTS + 8 < 256, "a jump reaches 255 instructions");

static int filters_apply(struct socket_reader *x)
{
	struct sock_filter program[SOCKET_PROGRAM];
	const struct kith_socket_filter *list[SOCKET_PORTS];
	size_t n = 0;
	int length = 0, r = 0;

	for (const struct socket_own *f = x->filters; f && n <= SOCKET_PORTS; f = f->next, n++)
		if (n < SOCKET_PORTS)
			list[n] = &f->filter;
	if (n <= SOCKET_PORTS)
		length = socket_program(list, n, program);
	for (int i = 0; i < GROUPS && r == 0; i++)
		if (x->groups[i].sub)
			r = netlink_filter(x->groups[i].sub, program, (size_t)length);
	return r;
}

/* Those of a protocol that nobody asks for are closed. */
static int sockets_settle(struct socket_reader *x)
{
	uint32_t protocols = 0;
	int r = 0;

	for (const struct socket_own *f = x->filters; f; f = f->next)
		protocols |= f->filter.protocols;
	for (int i = 0; i < GROUPS && r == 0; i++) {
		struct socket_group *g = &x->groups[i];
		struct netlink_listener listener = { g, on_message, on_lost, true };

		if ((protocols & groups[i].protocol) && !g->sub) {
			r = netlink_subscribe_own(x->netlink, NETLINK_SOCK_DIAG, groups[i].number, &listener, &g->sub);
			/* A kernel without IPv6 */
			if (r == -ENOENT)
				r = 0;
		} else if (!(protocols & groups[i].protocol) && g->sub) {
			netlink_unsubscribe(x->netlink, g->sub);
			g->sub = NULL;
		}
	}
	return r < 0 ? r : filters_apply(x);
}

/* ---- its life ----------------------------------------------------------------------------------------------------- */

static int socket_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct socket_reader *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->source = s;
	x->netlink = env->netlink;
	for (int i = 0; i < GROUPS; i++)
		x->groups[i] = (struct socket_group){ .reader = x, .protocol = groups[i].protocol };
	*ret_reader = x;
	return 0;
}

static void socket_close(void *reader)
{
	struct socket_reader *x = reader;

	for (int i = 0; i < GROUPS; i++)
		netlink_unsubscribe(x->netlink, x->groups[i].sub);
	free(x);
}

static void own_drop(struct socket_own *f)
{
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	free(f);
}

static void socket_remove(void *reader, void *own)
{
	struct socket_reader *x = reader;

	own_drop(own);
	/* The last one takes the sockets along */
	if (x->filters)
		sockets_settle(x);
}

static uint16_t *ports_copy(uint16_t *at, const uint16_t **list, uint32_t n)
{
	if (n)
		memcpy(at, *list, n * sizeof(*at));
	*list = at;
	return at + n;
}

static int socket_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	const struct kith_socket_filter *f = filter;
	struct socket_reader *x = reader;
	struct socket_own *own;
	uint16_t *at;
	int r;

	(void)sub;
	if (f->n_listeners > 65536 || f->n_local > 65536 || f->n_remote > 65536)
		return -EINVAL;
	own = calloc(1, sizeof(*own) + ((size_t)f->n_listeners + f->n_local + f->n_remote) * sizeof(uint16_t));
	if (!own)
		return -ENOMEM;
	own->filter = *f;
	at = ports_copy(own->ports, &own->filter.listeners, f->n_listeners);
	at = ports_copy(at, &own->filter.local, f->n_local);
	ports_copy(at, &own->filter.remote, f->n_remote);
	own->next = x->filters;
	own->link = &x->filters;
	if (own->next)
		own->next->link = &own->next;
	x->filters = own;
	r = sockets_settle(x);
	if (r < 0) {
		own_drop(own);
		return r;
	}
	*ret_own = own;
	return 0;
}

/* ---- dumps -------------------------------------------------------------------------------------------------------- */

struct socket_dump {
	const struct kith_socket_filter *filter;
	uint32_t protocol;
	int (*fn)(const void *event, void *user);
	void *user;
};

static int on_dumped(const void *message, size_t length, void *user)
{
	const struct socket_dump *d = user;
	struct kith_socket_event event;
	int r = socket_message(message, length, d->protocol, &event);

	return r > 0 ? d->fn(&event, d->user) : r;
}

static int socket_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	struct socket_reader *x = reader;
	struct socket_dump d = { .filter = filter, .fn = fn, .user = user };
	int r = 0;

	for (int i = 0; i < GROUPS && r >= 0; i++) {
		struct inet_diag_req_v2 request = {
			.sdiag_family = (uint8_t)(i % 2 ? AF_INET6 : AF_INET),
			.sdiag_protocol = (uint8_t)(groups[i].protocol == KITH_SOCKET_TCP ? IPPROTO_TCP : IPPROTO_UDP),
			.idiag_states = d.filter->states,
			.id = { .idiag_sport = htons(d.filter->port), .idiag_dport = htons(d.filter->remote_port) },
		};

		d.protocol = groups[i].protocol;
		if (!(d.filter->protocols & d.protocol))
			continue;
		r = netlink_dump(x->netlink, NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, &request, sizeof(request), on_dumped, &d);
		/* Without IPv6, or without the module for UDP */
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

const struct source_kind source_socket = {
	.id = KITH_SOURCE_SOCKET,
	.name = "socket",
	.filter_size = sizeof(struct kith_socket_filter),
	.filter_needed = true,
	.stays = true,
	.open = socket_open,
	.close = socket_close,
	.add = socket_add,
	.remove = socket_remove,
	.accepts = socket_accepts,
	.dump = socket_dump,
};
