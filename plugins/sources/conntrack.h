/*
 * kith/sources/conntrack.h: what the kernel's connection tracking begins and ends, for watch_source(KITH_SOURCE_CONNTRACK). dump_source tells what it tracks now, each
 * as NEW. Takes CAP_NET_ADMIN (-EPERM). Format: linux/netfilter/nfnetlink_conntrack.h. The kernel makes events only while somebody listens
 * (net.netfilter.nf_conntrack_events); what was tracked before that may end without one.
 */
#ifndef KITH_SOURCES_CONNTRACK_H
#define KITH_SOURCES_CONNTRACK_H

#include <stdint.h>

#define KITH_CONNTRACK_NEW 0x1u
#define KITH_CONNTRACK_DESTROY 0x2u

/* A protocol by its number (6 TCP, 17 UDP, 1 ICMP) and the port that the first packet went to; 0: any */
struct kith_conntrack_port {
	uint16_t port;
	uint8_t protocol;
	uint8_t reserved;
};

/* The kernel drops the rest before anybody is woken. `ports` is copied; of more than 100 everything is told. None: everything. */
struct kith_conntrack_filter {
	uint32_t size;
	uint32_t n_ports;
	const struct kith_conntrack_port *ports;
};

#define KITH_CONNTRACK_HAS_COUNTS 0x1u /* net.netfilter.nf_conntrack_acct was on when it began */

struct kith_conntrack_event {
	uint32_t size;
	uint32_t what;  /* one of KITH_CONNTRACK_* */
	uint32_t known; /* KITH_CONNTRACK_HAS_* */
	uint32_t id;
	uint8_t family, protocol; /* AF_INET or AF_INET6; IPPROTO_* */
	uint16_t port;            /* that the first packet went to; 0: the protocol has none */
	uint32_t reserved;
	uint64_t packets, bytes;                     /* of HAS_COUNTS: from who began it */
	uint64_t reply_packets, reply_bytes;         /* the other way */
};

/* Of the whole table since boot, added up over processors: dump_source of KITH_SOURCE_CONNTRACK_STATS tells one event; nothing can be watched */
struct kith_conntrack_stats {
	uint32_t size;
	uint32_t processors;
	uint64_t found, invalid, insert_failed, drop, early_drop, error;
};

#endif
