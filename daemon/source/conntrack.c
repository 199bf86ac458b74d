/* ctnetlink: events of connections that begin and end, dumps of the table and of its statistics. */
#include "source/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "source/attribute.h"
#include "source/kinds.h"
#include "source/netlink.h"

#define ACCEPT 0xffffffffu
#define TYPE(message) (NFNL_SUBSYS_CTNETLINK << 8 | (message))
#define AT_FIRST ((uint32_t)(NLMSG_HDRLEN + sizeof(struct nfgenmsg))) /* its first attribute */
#define GROUPS 2

struct ct_own {
	struct ct_own *next, **link;
	struct kith_conntrack_filter filter;
	struct kith_conntrack_port ports[];
};

struct ct_reader {
	struct source *source;
	struct netlink_source *netlink;
	struct ct_own *filters;
	struct netlink_sub *subs[GROUPS];
};

static const uint32_t groups[GROUPS] = { NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY };

/* ---- messages ----------------------------------------------------------------------------------------------------- */

static int take_protocol(const struct attributes *a, struct kith_conntrack_event *e)
{
	struct attributes inner = attribute_nest(a);
	int r;

	while ((r = attribute_next(&inner)) > 0) {
		if (inner.type == CTA_PROTO_NUM && attribute_copy(&inner, &e->protocol, sizeof(e->protocol)) < 0)
			return -EBADMSG;
		if (inner.type == CTA_PROTO_DST_PORT)
			e->port = attribute_be16(&inner);
	}
	return r;
}

static int take_tuple(const struct attributes *a, struct kith_conntrack_event *e)
{
	struct attributes inner = attribute_nest(a);
	int r;

	while ((r = attribute_next(&inner)) > 0)
		if (inner.type == CTA_TUPLE_PROTO && take_protocol(&inner, e) < 0)
			return -EBADMSG;
	return r;
}

static int take_counts(const struct attributes *a, uint64_t *packets, uint64_t *bytes)
{
	struct attributes inner = attribute_nest(a);
	int r;

	while ((r = attribute_next(&inner)) > 0) {
		if (inner.type == CTA_COUNTERS_PACKETS)
			*packets = attribute_be64(&inner);
		else if (inner.type == CTA_COUNTERS_BYTES)
			*bytes = attribute_be64(&inner);
	}
	return r;
}

static int take_attribute(const struct attributes *a, struct kith_conntrack_event *e)
{
	switch (a->type) {
	case CTA_TUPLE_ORIG:
		return take_tuple(a, e);
	case CTA_ID:
		e->id = attribute_be32(a);
		return 0;
	case CTA_COUNTERS_ORIG:
		e->known |= KITH_CONNTRACK_HAS_COUNTS;
		return take_counts(a, &e->packets, &e->bytes);
	case CTA_COUNTERS_REPLY:
		e->known |= KITH_CONNTRACK_HAS_COUNTS;
		return take_counts(a, &e->reply_packets, &e->reply_bytes);
	}
	return 0;
}

int conntrack_message(const void *message, size_t length, struct kith_conntrack_event *ret)
{
	struct kith_conntrack_event e = { .size = sizeof(e) };
	int type = message_type(message, length), r;
	struct nfgenmsg body;
	struct attributes a;

	if (type < 0)
		return -EBADMSG;
	if (type != TYPE(IPCTNL_MSG_CT_NEW) && type != TYPE(IPCTNL_MSG_CT_DELETE))
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	if (r < 0)
		return r;
	e.what = type == TYPE(IPCTNL_MSG_CT_NEW) ? KITH_CONNTRACK_NEW : KITH_CONNTRACK_DESTROY;
	e.family = body.nfgen_family;
	while ((r = attribute_next(&a)) > 0) {
		r = take_attribute(&a, &e);
		if (r < 0)
			return r;
	}
	if (r < 0 || !e.protocol)
		return -EBADMSG;
	*ret = e;
	return 1;
}

int conntrack_stats_message(const void *message, size_t length, struct kith_conntrack_stats *sum)
{
	int type = message_type(message, length), r;
	struct kith_conntrack_stats s = *sum;
	struct nfgenmsg body;
	struct attributes a;

	if (type < 0)
		return -EBADMSG;
	if (type != TYPE(IPCTNL_MSG_CT_GET_STATS_CPU))
		return 0;
	r = message_open(message, length, &body, sizeof(body), &a);
	while (r >= 0 && (r = attribute_next(&a)) > 0) {
		uint64_t *count = a.type == CTA_STATS_FOUND           ? &s.found
		                  : a.type == CTA_STATS_INVALID       ? &s.invalid
		                  : a.type == CTA_STATS_INSERT_FAILED ? &s.insert_failed
		                  : a.type == CTA_STATS_DROP          ? &s.drop
		                  : a.type == CTA_STATS_EARLY_DROP    ? &s.early_drop
		                  : a.type == CTA_STATS_ERROR         ? &s.error
		                                                      : NULL;

		if (count)
			*count += attribute_be32(&a);
	}
	if (r < 0)
		return r;
	s.processors++;
	*sum = s;
	return 1;
}

static void on_message(const void *message, size_t length, void *user)
{
	struct ct_reader *x = user;
	struct kith_conntrack_event event;
	int r = conntrack_message(message, length, &event);

	if (r > 0)
		source_tell(x->source, &event);
	else if (r < 0)
		source_lost(x->source);
}

static void on_lost(void *user)
{
	struct ct_reader *x = user;

	source_lost(x->source);
}

/* ---- filters ------------------------------------------------------------------------------------------------------ */

static bool filter_accepts(const struct kith_conntrack_filter *f, const struct kith_conntrack_event *e)
{
	for (uint32_t i = 0; i < f->n_ports; i++)
		if (f->ports[i].protocol == e->protocol && (!f->ports[i].port || f->ports[i].port == e->port))
			return true;
	return !f->n_ports;
}

static bool conntrack_accepts(const void *own, const void *event)
{
	return filter_accepts(&((const struct ct_own *)own)->filter, event);
}

static void emit(struct sock_filter *program, size_t *at, uint16_t code, uint32_t k)
{
	program[(*at)++] = (struct sock_filter){ code, 0, 0, k };
}

/* A becomes the place of attribute `type` of the message or, `within`, of the one that A stands at. Without it: everything passes. */
static void emit_find(struct sock_filter *program, size_t *at, uint32_t type, bool within)
{
	if (!within)
		emit(program, at, BPF_LD | BPF_IMM, AT_FIRST);
	emit(program, at, BPF_LDX | BPF_IMM, type);
	emit(program, at, BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_AD_OFF + (within ? SKF_AD_NLATTR_NEST : SKF_AD_NLATTR));
	emit(program, at, BPF_JMP | BPF_JEQ | BPF_K, 0);
	program[*at - 1].jf = 1;
	emit(program, at, BPF_RET | BPF_K, ACCEPT);
}

/* The tuple's number of the protocol in the upper half, its port in the lower, compared one by one */
int conntrack_program(const struct kith_conntrack_filter *const *filters, size_t n, struct sock_filter *program)
{
	size_t total = 0, at = 0, first, end;

	for (size_t i = 0; i < n; i++) {
		total += filters[i]->n_ports;
		if (!filters[i]->n_ports || total > CONNTRACK_PORTS)
			return 0;
	}
	emit_find(program, &at, CTA_TUPLE_ORIG, false);
	emit_find(program, &at, CTA_TUPLE_PROTO, true);
	emit(program, &at, BPF_ST, 0);
	/* The protocol: without one the message is none of ours to understand */
	emit_find(program, &at, CTA_PROTO_NUM, true);
	emit(program, &at, BPF_MISC | BPF_TAX, 0);
	emit(program, &at, BPF_LD | BPF_B | BPF_IND, sizeof(struct nlattr));
	emit(program, &at, BPF_ALU | BPF_LSH | BPF_K, 16);
	emit(program, &at, BPF_ST, 1);
	first = at;
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < filters[i]->n_ports; k++)
			if (!filters[i]->ports[k].port)
				emit(program, &at, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)filters[i]->ports[k].protocol << 16);
	/* Protocols without ports have no such attribute: of these only a whole protocol is asked for. */
	emit(program, &at, BPF_LD | BPF_MEM, 0);
	emit(program, &at, BPF_LDX | BPF_IMM, CTA_PROTO_DST_PORT);
	emit(program, &at, BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_NLATTR_NEST);
	program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0, 1, 0);
	emit(program, &at, BPF_RET | BPF_K, 0);
	emit(program, &at, BPF_MISC | BPF_TAX, 0);
	emit(program, &at, BPF_LD | BPF_H | BPF_IND, sizeof(struct nlattr));
	emit(program, &at, BPF_LDX | BPF_MEM, 1);
	emit(program, &at, BPF_ALU | BPF_OR | BPF_X, 0);
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < filters[i]->n_ports; k++)
			emit(program, &at, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)filters[i]->ports[k].protocol << 16 | filters[i]->ports[k].port);
	emit(program, &at, BPF_RET | BPF_K, 0);
	end = at;
	emit(program, &at, BPF_RET | BPF_K, ACCEPT);
	for (size_t i = first; i < end; i++)
		if (program[i].code == (BPF_JMP | BPF_JEQ | BPF_K))
			program[i].jt = (uint8_t)(end - i - 1);
	return (int)at;
}

_Static_assert(2 * CONNTRACK_PORTS + 12 < 256, "a jump reaches 255 instructions");

static int filters_apply(struct ct_reader *x)
{
	const struct kith_conntrack_filter *list[CONNTRACK_PORTS];
	struct sock_filter program[CONNTRACK_PROGRAM];
	size_t n = 0;
	int length, r = 0;

	for (const struct ct_own *f = x->filters; f && n <= CONNTRACK_PORTS; f = f->next, n++)
		if (n < CONNTRACK_PORTS)
			list[n] = &f->filter;
	length = n > CONNTRACK_PORTS ? 0 : conntrack_program(list, n, program);
	for (int i = 0; i < GROUPS && r == 0; i++)
		if (x->subs[i])
			r = netlink_filter(x->subs[i], program, (size_t)length);
	return r;
}

/* ---- its life ----------------------------------------------------------------------------------------------------- */

static int ct_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct ct_reader *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->source = s;
	x->netlink = env->netlink;
	*ret_reader = x;
	return 0;
}

static void ct_close(void *reader)
{
	struct ct_reader *x = reader;

	for (int i = 0; i < GROUPS; i++)
		netlink_unsubscribe(x->netlink, x->subs[i]);
	free(x);
}

static void own_drop(struct ct_own *f)
{
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	free(f);
}

static void ct_remove(void *reader, void *own)
{
	struct ct_reader *x = reader;

	own_drop(own);
	/* The last one takes the sockets along */
	if (x->filters)
		filters_apply(x);
}

static int sockets_open(struct ct_reader *x)
{
	struct netlink_listener listener = { x, on_message, on_lost, false };
	int r = 0;

	for (int i = 0; i < GROUPS && r == 0; i++)
		if (!x->subs[i])
			r = netlink_subscribe_own(x->netlink, NETLINK_NETFILTER, groups[i], &listener, &x->subs[i]);
	return r;
}

static int ct_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	static const struct kith_conntrack_filter all = { .size = sizeof(all) };
	const struct kith_conntrack_filter *f = filter ? filter : &all;
	struct ct_reader *x = reader;
	struct ct_own *own;
	int r;

	(void)sub;
	if (f->n_ports > 65536)
		return -EINVAL;
	own = calloc(1, sizeof(*own) + f->n_ports * sizeof(own->ports[0]));
	if (!own)
		return -ENOMEM;
	own->filter = *f;
	own->filter.ports = own->ports;
	if (f->n_ports)
		memcpy(own->ports, f->ports, f->n_ports * sizeof(own->ports[0]));
	own->next = x->filters;
	own->link = &x->filters;
	if (own->next)
		own->next->link = &own->next;
	x->filters = own;
	r = sockets_open(x);
	if (r == 0)
		r = filters_apply(x);
	if (r < 0) {
		own_drop(own);
		return r;
	}
	*ret_own = own;
	return 0;
}

/* ---- dumps -------------------------------------------------------------------------------------------------------- */

struct ct_dump {
	struct kith_conntrack_filter filter;
	int (*fn)(const void *event, void *user);
	void *user;
	struct kith_conntrack_stats stats;
};

static int on_dumped(const void *message, size_t length, void *user)
{
	const struct ct_dump *d = user;
	struct kith_conntrack_event event;
	int r = conntrack_message(message, length, &event);

	if (r <= 0)
		return r;
	return filter_accepts(&d->filter, &event) ? d->fn(&event, d->user) : 0;
}

static int ct_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	struct ct_dump d = { .fn = fn, .user = user };
	struct nfgenmsg request = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };
	struct ct_reader *x = reader;

	if (filter)
		d.filter = *(const struct kith_conntrack_filter *)filter;
	return netlink_dump(x->netlink, NETLINK_NETFILTER, TYPE(IPCTNL_MSG_CT_GET), &request, sizeof(request), on_dumped, &d);
}

static int on_stats(const void *message, size_t length, void *user)
{
	struct ct_dump *d = user;
	int r = conntrack_stats_message(message, length, &d->stats);

	return r < 0 ? r : 0;
}

static int stats_dump(void *reader, const void *filter, int (*fn)(const void *event, void *user), void *user)
{
	struct ct_dump d = { .stats = { .size = sizeof(d.stats) } };
	struct nfgenmsg request = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };
	struct ct_reader *x = reader;
	int r;

	(void)filter;
	r = netlink_dump(x->netlink, NETLINK_NETFILTER, TYPE(IPCTNL_MSG_CT_GET_STATS_CPU), &request, sizeof(request), on_stats, &d);
	return r < 0 ? r : fn(&d.stats, user);
}

static int stats_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	(void)reader;
	(void)sub;
	(void)filter;
	(void)ret_own;
	return -EOPNOTSUPP;
}

const struct source_kind source_conntrack = {
	.id = KITH_SOURCE_CONNTRACK,
	.name = "conntrack",
	.stays = true,
	.filter_size = sizeof(struct kith_conntrack_filter),
	.open = ct_open,
	.close = ct_close,
	.add = ct_add,
	.remove = ct_remove,
	.accepts = conntrack_accepts,
	.dump = ct_dump,
};

const struct source_kind source_conntrack_stats = {
	.id = KITH_SOURCE_CONNTRACK_STATS,
	.name = "conntrack-stats",
	.stays = true,
	.open = ct_open,
	.close = ct_close,
	.add = stats_add,
	.dump = stats_dump,
};
