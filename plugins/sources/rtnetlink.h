/*
 * kith/sources/rtnetlink.h: links, addresses, routes, rules and neighbours of this network namespace, for watch_source(KITH_SOURCE_LINK and following).
 *
 * Each change is an event, dump_source tells all that there is. Each of the five has sockets of its own, so that nothing says in which order a link and
 * its addresses are heard of. Numbers that are not explained are the kernel's: rtnetlink(7), linux/if.h, linux/rtnetlink.h, linux/neighbour.h.
 */
#ifndef KITH_SOURCES_RTNETLINK_H
#define KITH_SOURCES_RTNETLINK_H

#include <stdint.h>

#define KITH_LINK_NAME 16 /* bytes of an interface's name, with its NUL */

/* ---- KITH_SOURCE_LINK; no filter ---------------------------------------------------------------------------------- */

#define KITH_LINK_HAS_NAME 0x1u
#define KITH_LINK_HAS_OPERSTATE 0x2u
#define KITH_LINK_HAS_CARRIER 0x4u
#define KITH_LINK_HAS_MTU 0x8u
#define KITH_LINK_HAS_CHANGES 0x10u

struct kith_link_event {
	uint32_t size;
	uint32_t removed; /* 1: it has gone, or left for another network namespace */
	int32_t index;    /* > 0 */
	uint32_t flags;   /* IFF_* */
	uint32_t known;   /* KITH_LINK_HAS_*: which of the following were said */
	uint32_t mtu;     /* bytes */
	uint32_t carrier_changes;
	uint16_t type;    /* ARPHRD_* */
	uint8_t operstate; /* IF_OPER_* */
	uint8_t carrier;  /* 0 or 1 */
	char name[KITH_LINK_NAME];
	char kind[KITH_LINK_NAME]; /* of a virtual one: "veth", "bridge", …; "" for hardware */
};

/* ---- KITH_SOURCE_ADDRESS; no filter ------------------------------------------------------------------------------- */

struct kith_address_event {
	uint32_t size;
	uint32_t removed;
	int32_t index;          /* of its link */
	uint8_t family, prefix; /* AF_INET or AF_INET6; bits */
	uint16_t reserved;
	uint8_t bytes[16];      /* our own; of IPv4: 4, then zeros. So everywhere here */
	uint8_t peer[16];       /* the other end's, or the network's, where that is another one. IPv4 may have one address with several of these */
};

/* ---- KITH_SOURCE_ROUTE -------------------------------------------------------------------------------------------- */

#define KITH_ROUTE_DEFAULT 0x1u /* default routes of the main table alone: the kernel drops the rest before anybody is woken */

/* May be NULL: all */
struct kith_route_filter {
	uint32_t size;
	uint32_t flags; /* KITH_ROUTE_* */
};

#define KITH_ROUTE_HOPS 8 /* more are not told */

struct kith_route_hop {
	int32_t index;   /* of the link; 0: none */
	uint8_t family;  /* of the gateway; 0: the link itself */
	uint8_t flags;   /* RTNH_F_* */
	uint16_t reserved;
	uint8_t gateway[16];
};

/*
 * Of IPv4 the kernel removes routes in silence when their link goes down or its last address goes, when their nexthop object goes, and before Linux 6.6 when the
 * address that they send from goes. For the objects there is an event, see `nexthop`.
 */
struct kith_route_event {
	uint32_t size;
	uint32_t removed;
	uint32_t table, metric;
	uint8_t family, prefix, type, protocol; /* type: RTN_*; protocol: RTPROT_* */
	uint32_t n_hops;
	uint8_t destination[16];
	struct kith_route_hop hops[KITH_ROUTE_HOPS];
	uint8_t source[16]; /* that it prefers to send from; zeros: any */
	uint32_t nexthop;   /* its nexthop object; 0: none. With a `family` of 0 it is no route, but that object itself which has changed or gone */
};

/* ---- KITH_SOURCE_RULE; no filter ---------------------------------------------------------------------------------- */

struct kith_rule_event {
	uint32_t size;
	uint32_t removed;
	uint32_t priority, table, mark;
	uint8_t family, action, source_prefix, destination_prefix; /* action: FR_ACT_* */
	uint32_t inverted; /* 1: it holds for all that does not fit */
	uint8_t source[16], destination[16];
	char input[KITH_LINK_NAME], output[KITH_LINK_NAME]; /* "": any */
};

/* ---- KITH_SOURCE_NEIGHBOUR ---------------------------------------------------------------------------------------- */

/*
 * One neighbour: the kernel drops what concerns others, and states that are not asked for, before anybody is woken. For dump_source an index of 0, or NULL,
 * means all. At most 300 watches in all (-ENOSPC).
 */
struct kith_neighbour_filter {
	uint32_t size;
	uint32_t states; /* NUD_* of which to hear; 0: all. Its removal is always told. */
	int32_t index;
	uint8_t family;
	uint8_t reserved[3];
	uint8_t address[16];
};

struct kith_neighbour_event {
	uint32_t size;
	uint32_t removed;
	int32_t index;
	uint16_t state; /* NUD_* */
	uint8_t family, flags; /* NTF_* */
	uint8_t address[16];
};

#endif
