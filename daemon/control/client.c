#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define CLIENT_READ 65536u
#define CLIENT_RETRY (10 * NS_PER_MS) /* while kithd's backlog is full */

struct client {
	int fd, interrupt;
	uint8_t *in;
	size_t start, length, size; /* of what was read and not yet used */
	Control__Answer *answer;
};

/* ms for poll(2), rounded up: -1 without end, 0 when it has passed */
static int poll_time(int64_t deadline)
{
	int64_t left;

	if (deadline == CLIENT_FOREVER)
		return -1;
	left = deadline - clock_mono();
	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > 3600000 ? 3600000 : (int)left;
}

static bool client_interrupted(const struct client *c)
{
	struct pollfd fd = { .fd = c->interrupt, .events = POLLIN };

	return c->interrupt >= 0 && poll(&fd, 1, 0) > 0;
}

/* The interrupt wins: whoever wants to stop should not have to wait for a quiet moment. */
static int client_wait(struct client *c, short events, int64_t deadline)
{
	struct pollfd fds[2] = { { .fd = c->fd, .events = events }, { .fd = c->interrupt, .events = POLLIN } };

	for (;;) {
		int n = poll(fds, 2, poll_time(deadline));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[1].revents)
			return -EINTR;
		if (n > 0)
			return 0;
		if (n == 0 && (deadline != CLIENT_FOREVER && clock_mono() >= deadline))
			return -ETIMEDOUT;
	}
}

static int client_connect(struct client *c, const struct sockaddr_un *address, int64_t deadline)
{
	for (;;) {
		if (connect(c->fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		/* poll(2) does not tell when a full backlog has room again. */
		if (deadline != CLIENT_FOREVER && clock_mono() >= deadline)
			return -ETIMEDOUT;
		poll(NULL, 0, (int)(CLIENT_RETRY / NS_PER_MS));
	}
}

int client_open(const char *path, int64_t deadline, struct client **ret_client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct client *c;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->interrupt = -1;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = c->fd < 0 ? -errno : client_connect(c, &address, deadline);
	if (r < 0) {
		client_close(c);
		return r;
	}
	*ret_client = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->answer)
		control__answer__free_unpacked(c->answer, NULL);
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	free(c);
}

void client_interrupt(struct client *c, int fd)
{
	c->interrupt = fd;
}

int client_fd(const struct client *c)
{
	return c->fd;
}

int client_send(struct client *c, const Control__Request *request, int64_t deadline)
{
	size_t length = control__request__get_packed_size(request), sent = 0;
	uint8_t *frame;
	int r = 0;

	if (length > FRAME_REQUEST_MAX)
		return -EMSGSIZE;
	frame = malloc(FRAME_HEADER + length);
	if (!frame)
		return -ENOMEM;
	frame_put_length(frame, length);
	control__request__pack(request, frame + FRAME_HEADER);
	length += FRAME_HEADER;
	while (sent < length && r == 0) {
		ssize_t n = send(c->fd, frame + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			r = client_wait(c, POLLOUT, deadline);
		else if (errno != EINTR)
			r = errno == ECONNRESET ? -EPIPE : -errno;
	}
	free(frame);
	return r;
}

/* Room for a frame of `need` bytes at the least, and for a good read */
static int client_reserve(struct client *c, size_t need)
{
	size_t size = need > CLIENT_READ ? need : CLIENT_READ;
	uint8_t *in;

	if (c->start) {
		memmove(c->in, c->in + c->start, c->length);
		c->start = 0;
	}
	if (size <= c->size)
		return 0;
	in = realloc(c->in, size);
	if (!in)
		return -ENOMEM;
	c->in = in;
	c->size = size;
	return 0;
}

/* 1: something came; 0: wait; -ECONNRESET: the end */
static int client_read(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->length, c->size - c->length, MSG_DONTWAIT);

	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->length += (size_t)n;
	return 1;
}

int client_next(struct client *c, int64_t deadline, const Control__Answer **ret_answer)
{
	size_t length;
	int r;

	if (c->answer)
		control__answer__free_unpacked(c->answer, NULL);
	c->answer = NULL;
	for (;;) {
		const uint8_t *at = c->in ? c->in + c->start : NULL;

		length = c->length >= FRAME_HEADER ? frame_length(at) : 0;
		if (length > FRAME_ANSWER_MAX)
			return -EPROTO;
		if (c->length >= FRAME_HEADER && c->length - FRAME_HEADER >= length)
			break;
		r = client_reserve(c, FRAME_HEADER + length);
		if (r < 0)
			return r;
		/* In a flood it never waits; it is to be stopped all the same. */
		if (client_interrupted(c))
			return -EINTR;
		r = client_read(c);
		if (r < 0)
			return r;
		if (r == 0)
			r = client_wait(c, POLLIN, deadline);
		if (r < 0)
			return r;
	}
	c->answer = control__answer__unpack(NULL, length, c->in + c->start + FRAME_HEADER);
	c->start += FRAME_HEADER + length;
	c->length -= FRAME_HEADER + length;
	if (!c->answer)
		return -EPROTO;
	*ret_answer = c->answer;
	return 0;
}
