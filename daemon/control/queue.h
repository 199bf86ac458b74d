/* A bounded byte queue in a ring that grows by doubling; what one connection still has to be sent. */
#ifndef KITH_CONTROL_QUEUE_H
#define KITH_CONTROL_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define QUEUE_KEEP 16384u /* an empty queue gives memory beyond this back */

struct queue {
	uint8_t *data; /* NULL until something is put */
	size_t size;   /* of the ring, 0 or a power of two */
	size_t start, length;
	size_t max;    /* bound of `length` */
};

void queue_free(struct queue *q);
/* All or nothing. -ENOBUFS: it would hold more than `max`; -ENOMEM. */
int queue_put(struct queue *q, const void *data, size_t length);
/*
 * Sends what it holds without blocking and without SIGPIPE. 0: it is empty now; -EAGAIN: the rest must wait until `fd`
 * is writable; other
 * errors are the socket's.
 */
int queue_send(struct queue *q, int fd);
/* The same for bytes that are in no queue; *ret_sent may be short with 0 or -EAGAIN */
int socket_send(int fd, const void *data, size_t length, size_t *ret_sent);

#endif
