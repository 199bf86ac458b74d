/*
 * Netlink notifications, shared by plugins: one socket per protocol and group, read into one static buffer; sender, truncation and lengths
 * are checked before anybody is called. An overflow (ENOBUFS) or a truncated datagram is counted and told to every subscriber's `lost`.
 */
#ifndef KITH_SOURCE_NETLINK_H
#define KITH_SOURCE_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

struct netlink_source;
struct netlink_sub;
struct sock_filter;

struct netlink_listener {
	void *user;
	void (*message)(const void *message, size_t length, void *user); /* one struct nlmsghdr with its payload */
	void (*lost)(void *user);   /* events were lost: dump. Called once for a burst, after the socket has been drained */
	bool events; /* each message says what no dump can, and is told after a loss too; those of states are passed over until the dump */
};

struct netlink_stats { uint64_t messages, overflows, truncated, foreign, malformed; };

int netlink_source_new(struct loop *l, struct netlink_source **ret_source);
void netlink_source_free(struct netlink_source *s);
int netlink_subscribe(struct netlink_source *s, int protocol, uint32_t group, const struct netlink_listener *listener,
                      struct netlink_sub **ret_sub);
/* The same on a socket that nobody else shares, so that it may have a filter of its own: a classic BPF program, 0 instructions for none */
int netlink_subscribe_own(struct netlink_source *s, int protocol, uint32_t group, const struct netlink_listener *listener,
                          struct netlink_sub **ret_sub);
int netlink_filter(struct netlink_sub *sub, const struct sock_filter *program, size_t n);
void netlink_unsubscribe(struct netlink_source *s, struct netlink_sub *sub);
/* Synchronous dump on a socket of its own (kept open a while is the implementation's choice). Repeated up to 5 times when the kernel says it was interrupted;
 * -EINTR: it still was, an object may be missing. -ETIMEDOUT: the kernel was silent for 2 s. A negative value of `fn` ends it and is returned. */
int netlink_dump(struct netlink_source *s, int protocol, uint16_t type, const void *body, size_t length,
                 int (*fn)(const void *message, size_t length, void *user), void *user);
/* The same, where the kernel takes the request at its word (NETLINK_GET_STRICT_CHK): of routes, for one, it lists those of the table that is asked for alone. A kernel
 * that cannot (before 4.20) lists all. */
int netlink_dump_strict(struct netlink_source *s, int protocol, uint16_t type, const void *body, size_t length,
                        int (*fn)(const void *message, size_t length, void *user), void *user);
struct netlink_stats netlink_stats(const struct netlink_source *s);

/*
 * Takes one datagram apart and calls `message` for each netlink message in it. -EBADMSG: a length is bad (what came before it was delivered).
 * No I/O: for tests and fuzzing.
 */
int netlink_parse(const void *datagram, size_t length, void (*message)(const void *, size_t, void *), void *user);

#endif
