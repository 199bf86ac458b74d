/* What ctnetlink says, and its filter. No I/O. */
#ifndef KITH_SOURCE_CONNTRACK_H
#define KITH_SOURCE_CONNTRACK_H

#include <stddef.h>

#include "sources/conntrack.h"

struct sock_filter;

/* 1: taken apart, 0: it speaks of something else, -EBADMSG */
int conntrack_message(const void *message, size_t length, struct kith_conntrack_event *ret);
/* One processor's counts are added to `sum`. 1, 0, -EBADMSG as above */
int conntrack_stats_message(const void *message, size_t length, struct kith_conntrack_stats *sum);
#define CONNTRACK_PORTS 100
#define CONNTRACK_PROGRAM (2 * CONNTRACK_PORTS + 40)
/* The program's length; 0: everything passes */
int conntrack_program(const struct kith_conntrack_filter *const *filters, size_t n, struct sock_filter *program);

#endif
