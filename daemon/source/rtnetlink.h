/* rtnetlink's messages as the structures of plugins/sources/rtnetlink.h, and the kernel's filters for them. No I/O. */
#ifndef KITH_SOURCE_RTNETLINK_H
#define KITH_SOURCE_RTNETLINK_H

#include <stddef.h>
#include <stdint.h>

#include "sources/ethtool.h"
#include "sources/rtnetlink.h"

struct sock_filter;

/*
 * `message`: one struct nlmsghdr with its payload. 1: taken apart; 0: it speaks of something else (a bridge's port, another type); -EBADMSG: a length or value
 * is bad.
 */
int rtnetlink_link(const void *message, size_t length, struct kith_link_event *ret);
int rtnetlink_address(const void *message, size_t length, struct kith_address_event *ret);
int rtnetlink_route(const void *message, size_t length, struct kith_route_event *ret);
int rtnetlink_rule(const void *message, size_t length, struct kith_rule_event *ret);
int rtnetlink_neighbour(const void *message, size_t length, struct kith_neighbour_event *ret);
/* Of generic netlink, the group "monitor" of the family "ethtool" */
int ethtool_message(const void *message, size_t length, struct kith_ethtool_event *ret);

/* Programs that pass what one of the filters accepts. Their length, or -ENOSPC. */
#define RTNETLINK_PROGRAM 4096
int rtnetlink_route_program(struct sock_filter *program, size_t size);
int rtnetlink_neighbour_program(const struct kith_neighbour_filter *const *filters, size_t n, struct sock_filter *program, size_t size);

#endif
