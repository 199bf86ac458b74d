/* What sock_diag says, and its filter. No I/O. */
#ifndef KITH_SOURCE_SOCKET_H
#define KITH_SOURCE_SOCKET_H

#include <stddef.h>

#include "sources/socket.h"

struct sock_filter;

/* `protocol`: where the message does not say it. 1: taken apart, 0: it speaks of something else, -EBADMSG */
int socket_message(const void *message, size_t length, uint32_t protocol, struct kith_socket_event *ret);
#define SOCKET_PORTS 200
#define SOCKET_PROGRAM (3 * SOCKET_PORTS + 16)
/* The program's length; 0: too many ports, everything passes */
int socket_program(const struct kith_socket_filter *const *filters, size_t n, struct sock_filter *program);

#endif
