#include "control/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define QUEUE_FIRST 4096u

void queue_free(struct queue *q)
{
	free(q->data);
	q->data = NULL;
	q->size = q->start = q->length = 0;
}

/* Into a ring twice as large or more, straightened */
static int queue_grow(struct queue *q, size_t need)
{
	size_t size = q->size ? q->size : QUEUE_FIRST, first = q->size - q->start;
	uint8_t *data;

	while (size < need)
		size *= 2;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	if (first > q->length)
		first = q->length;
	if (q->length) {
		memcpy(data, q->data + q->start, first);
		memcpy(data + first, q->data, q->length - first);
	}
	free(q->data);
	q->data = data;
	q->size = size;
	q->start = 0;
	return 0;
}

int queue_put(struct queue *q, const void *data, size_t length)
{
	size_t end, first;
	int r;

	if (!length)
		return 0;
	if (length > q->max || q->length > q->max - length)
		return -ENOBUFS;
	if (q->length + length > q->size) {
		r = queue_grow(q, q->length + length);
		if (r < 0)
			return r;
	}
	end = (q->start + q->length) & (q->size - 1);
	first = q->size - end;
	if (first > length)
		first = length;
	memcpy(q->data + end, data, first);
	memcpy(q->data, (const uint8_t *)data + first, length - first);
	q->length += length;
	return 0;
}

static void queue_sent(struct queue *q, size_t n)
{
	q->length -= n;
	q->start = q->length ? (q->start + n) & (q->size - 1) : 0;
	if (!q->length && q->size > QUEUE_KEEP)
		queue_free(q);
}

int queue_send(struct queue *q, int fd)
{
	while (q->length) {
		size_t first = q->size - q->start;
		struct iovec parts[2];
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 1 };
		ssize_t n;

		if (first >= q->length) {
			parts[0] = (struct iovec){ q->data + q->start, q->length };
		} else {
			parts[0] = (struct iovec){ q->data + q->start, first };
			parts[1] = (struct iovec){ q->data, q->length - first };
			message.msg_iovlen = 2;
		}
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		queue_sent(q, (size_t)n);
	}
	return 0;
}

int socket_send(int fd, const void *data, size_t length, size_t *ret_sent)
{
	size_t sent = 0;
	int r = 0;

	while (sent < length) {
		ssize_t n = send(fd, (const uint8_t *)data + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
			break;
		}
		sent += (size_t)n;
	}
	*ret_sent = sent;
	return r;
}
