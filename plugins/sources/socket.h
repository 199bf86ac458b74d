/*
 * kith/sources/socket.h: TCP and UDP sockets of this network namespace, for watch_source(KITH_SOURCE_SOCKET): those that close, and for dump_source those that
 * there are. What opens is announced by nobody. Format: sock_diag(7), linux/inet_diag.h, linux/tcp.h.
 */
#ifndef KITH_SOURCES_SOCKET_H
#define KITH_SOURCES_SOCKET_H

#include <stdint.h>

#define KITH_SOCKET_TCP 0x1u
#define KITH_SOCKET_UDP 0x2u

/* States of TCP as bits, for dumps */
#define KITH_SOCKET_ESTABLISHED (1u << 1)
#define KITH_SOCKET_CLOSE (1u << 7) /* of UDP: one that is not connected */
#define KITH_SOCKET_LISTEN (1u << 10)

/*
 * Of which ports to hear when a socket closes; the kernel drops the rest before anybody is woken. Lists are copied; of more than 200 ports in all everything is
 * told. For dump_source the lists are not looked at.
 */
struct kith_socket_filter {
	uint32_t size;
	uint32_t protocols;        /* KITH_SOCKET_TCP, _UDP */
	const uint16_t *listeners; /* local ports: sockets without another end */
	const uint16_t *local;     /* local ports: all sockets */
	const uint16_t *remote;    /* the other end's ports */
	uint32_t n_listeners, n_local, n_remote;
	uint32_t states;           /* for dump_source: 1 << state */
	uint16_t port;             /* for dump_source: this local port alone; 0: any */
	uint16_t remote_port;      /* the same of the other end */
	uint32_t reserved;
};

#define KITH_SOCKET_HAS_INFO 0x1u /* TCP's own counts */

struct kith_socket_event {
	uint32_t size;
	uint32_t known;        /* KITH_SOCKET_HAS_* */
	uint32_t protocol;     /* KITH_SOCKET_TCP or _UDP */
	uint32_t state;        /* TCP_*; of one that closes: TCP_CLOSE mostly */
	uint16_t local_port, remote_port; /* remote 0: none */
	uint8_t family;        /* AF_INET or AF_INET6, which may take IPv4 too */
	uint8_t reserved[3];
	uint32_t uid, inode;
	uint32_t rqueue, wqueue; /* a listener's connections that wait to be accepted, and how many may; else bytes */
	uint8_t local[16], remote[16]; /* of IPv4: 4 bytes, then zeros */
	/* of HAS_INFO */
	uint64_t sent, received; /* bytes: acknowledged, taken in */
	uint32_t retransmits;    /* segments */
	uint32_t rtt;            /* us, smoothed; 0: never measured */
};

#endif
