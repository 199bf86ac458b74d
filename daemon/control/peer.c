/* One connection: its requests in, its answers out. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "control/relay.h"
#include "control/server.h"

#define PEER_READ 4096u         /* bytes a call */
#define PEER_REQUEST_WORK 64u   /* what a request counts for, beside its answer */

/* A whole request waits in the buffer. */
static bool peer_has_request(const struct peer *p)
{
	return p->in_length >= FRAME_HEADER && p->in_length - FRAME_HEADER >= frame_length(p->in);
}

/* What it waits for now: nothing is read while an answer goes out, so that no caller can pile up answers. */
void peer_wait(struct peer *p)
{
	unsigned events = 0;

	if (p->doomed) {
		loop_fd_set(p->control->loop, p->watch, LOOP_READ);
		return;
	}
	if (p->out.length || p->answer || (!p->relay && !p->closing && peer_has_request(p)))
		events |= LOOP_WRITE;
	/* Nothing more comes of it: its callback closes it. */
	if (p->ended && !p->relay)
		events |= LOOP_WRITE;
	/* While a program answers one read too many does no harm, and tells of a caller that has gone. */
	if (!p->ended && !p->closing && !p->answer && (p->relay ? !p->in_length : !p->out.length || p->subscription))
		events |= LOOP_READ;
	loop_fd_set(p->control->loop, p->watch, events);
}

void peer_doom(struct peer *p)
{
	if (p->doomed)
		return;
	p->doomed = true;
	queue_free(&p->out);
	/* The callback is told at once: a socket that is shut down is readable. */
	shutdown(p->fd, SHUT_RDWR);
	peer_wait(p);
}

void peer_free(struct peer *p)
{
	struct control *c = p->control;

	loop_remove(c->loop, p->watch);
	close(p->fd);
	watch_stop(p->subscription);
	answer_free(p->answer);
	relay_free(p->relay);
	queue_free(&p->out);
	free(p->in);
	if (p->prev)
		p->prev->next = p->next;
	else
		c->peers = p->next;
	if (p->next)
		p->next->prev = p->prev;
	c->n_peers--;
	free(p);
}

/* ---- out -------------------------------------------------------------------------------------------------------- */

void peer_flush(struct peer *p)
{
	int r;

	if (p->doomed || p->blocked || !p->out.length)
		return;
	r = queue_send(&p->out, p->fd);
	if (r == -EAGAIN)
		p->blocked = true;
	else if (r < 0)
		peer_doom(p);
}

static void peer_queue(struct peer *p, const uint8_t *data, size_t length)
{
	int r = queue_put(&p->out, data, length);

	if (r == -ENOBUFS) {
		/* Perhaps it has read meanwhile and the loop was too busy to hear of it. */
		p->blocked = false;
		peer_flush(p);
		r = p->doomed ? 0 : queue_put(&p->out, data, length);
	}
	if (r < 0) {
		p->control->n_cut_off++;
		log_info("control: a reader that does not keep up is cut off (%zu bytes wait for it)", p->out.length);
		peer_doom(p);
	}
}

void peer_say_bytes(struct peer *p, const uint8_t *frame, size_t length)
{
	if (p->doomed || p->closing)
		return;
	peer_queue(p, frame, length);
	peer_flush(p);
	peer_wait(p);
}

void peer_say_frame(struct peer *p, bool now)
{
	const struct control *c = p->control;
	size_t sent = 0;

	if (p->doomed || p->closing)
		return;
	if (now && !p->out.length && !p->blocked) {
		int r = socket_send(p->fd, c->frame, c->frame_size, &sent);

		if (r == -EAGAIN) {
			p->blocked = true;
		} else if (r < 0) {
			peer_doom(p);
			return;
		}
	}
	if (sent < c->frame_size)
		peer_queue(p, c->frame + sent, c->frame_size - sent);
	if (p->out.length && (now || (p->out.length >= CONTROL_GATHER && !p->answer)))
		peer_flush(p);
	peer_wait(p);
}

void control_frame(struct control *c, const Control__Answer *answer)
{
	size_t length = control__answer__get_packed_size(answer);

	c->framed = NULL;
	if (length > FRAME_ANSWER_MAX) {
		Control__Fault fault = CONTROL__FAULT__INIT;
		Control__Answer instead = CONTROL__ANSWER__INIT;

		fault.code = CONTROL__CODE__INTERNAL;
		fault.text = (char *)"a part of the answer is larger than 1 MiB";
		instead.is_case = CONTROL__ANSWER__IS_FAULT;
		instead.fault = &fault;
		control_frame(c, &instead);
		return;
	}
	frame_put_length(c->frame, length);
	c->frame_size = FRAME_HEADER + control__answer__pack(answer, c->frame + FRAME_HEADER);
}

void peer_say(struct peer *p, const Control__Answer *answer, bool now)
{
	control_frame(p->control, answer);
	peer_say_frame(p, now);
}

void peer_say_end(struct peer *p, const Control__End *end)
{
	Control__Answer answer = CONTROL__ANSWER__INIT;

	answer.is_case = CONTROL__ANSWER__IS_END;
	answer.end = (Control__End *)end;
	peer_say(p, &answer, true);
}

void peer_say_fault(struct peer *p, Control__Code code, const char *format, ...)
{
	Control__Fault fault = CONTROL__FAULT__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fault.code = code;
	fault.text = text;
	answer.is_case = CONTROL__ANSWER__IS_FAULT;
	answer.fault = &fault;
	peer_say(p, &answer, true);
}

void peer_say_refused(struct peer *p, int error, const struct buf *why)
{
	Control__Code code = CONTROL__CODE__INTERNAL;

	if (error == -EHOSTUNREACH)
		code = CONTROL__CODE__NO_NEIGHBOUR;
	else if (error == -EINVAL || error == -E2BIG)
		code = CONTROL__CODE__USAGE;
	peer_say_fault(p, code, "%s", why->length ? buf_text(why) : strerror(-error));
}

/* ---- in --------------------------------------------------------------------------------------------------------- */

static void peer_garbage(struct peer *p, const char *what)
{
	p->control->n_garbage++;
	log_info("control: a client sent %s: its connection is closed", what);
	peer_doom(p);
}

static int peer_in_reserve(struct peer *p)
{
	size_t size = p->in_size ? p->in_size * 2 : PEER_READ;
	uint8_t *in;

	if (p->in_size - p->in_length >= PEER_READ / 2)
		return 0;
	in = realloc(p->in, size);
	if (!in)
		return -ENOMEM;
	p->in = in;
	p->in_size = size;
	return 0;
}

static void peer_read(struct peer *p)
{
	ssize_t n;

	if (peer_in_reserve(p) < 0) {
		peer_doom(p);
		return;
	}
	do
		n = recv(p->fd, p->in + p->in_length, p->in_size - p->in_length, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno != EAGAIN)
			peer_doom(p);
		return;
	}
	if (n == 0)
		p->ended = true;
	p->in_length += (size_t)n;
	if (p->in_length >= FRAME_HEADER && frame_length(p->in) > FRAME_REQUEST_MAX)
		peer_garbage(p, "a request of more than 64 KiB, or none of kith's");
	if (!p->in_length) {
		free(p->in);
		p->in = NULL;
		p->in_size = 0;
	}
}

/* Cuts the first request off the buffer; an empty buffer goes back, so that an idle client holds none. */
static void peer_consume(struct peer *p, size_t length)
{
	p->in_length -= length;
	if (p->in_length) {
		memmove(p->in, p->in + length, p->in_length);
		if (p->in_length >= FRAME_HEADER && frame_length(p->in) > FRAME_REQUEST_MAX)
			peer_garbage(p, "a request of more than 64 KiB, or none of kith's");
		return;
	}
	free(p->in);
	p->in = NULL;
	p->in_size = 0;
}

static void peer_request(struct peer *p)
{
	size_t length = frame_length(p->in);
	Control__Request *request = control__request__unpack(NULL, length, p->in + FRAME_HEADER);

	if (!request) {
		peer_garbage(p, "what is no request");
		return;
	}
	peer_consume(p, FRAME_HEADER + length);
	if (p->doomed) {
		control__request__free_unpacked(request, NULL);
		return;
	}
	if (p->subscription) {
		peer_say_fault(p, CONTROL__CODE__USAGE, "this connection watches: ask on another one");
		p->closing = true;
	} else {
		request_handle(p, request);
	}
	control__request__free_unpacked(request, NULL);
}

/* Goes on with the answer and the requests that wait, until the socket is full or this round's work is done. */
static void peer_pump(struct peer *p)
{
	size_t ahead = p->out.max / 2 < CONTROL_AHEAD ? p->out.max / 2 : CONTROL_AHEAD;
	unsigned work = CONTROL_WORK;

	while (!p->doomed && work) {
		peer_flush(p);
		if (p->blocked && p->out.length)
			break;
		if (p->answer) {
			while (!p->doomed && work && p->out.length < ahead && answer_step(p, &work))
				;
			continue;
		}
		if (p->relay)
			relay_pump(p);
		if (p->relay || p->closing || !peer_has_request(p))
			break;
		work -= work < PEER_REQUEST_WORK ? work : PEER_REQUEST_WORK;
		peer_request(p);
	}
	peer_flush(p);
}

static void peer_cb(int fd, unsigned events, void *user)
{
	struct peer *p = user;

	(void)fd;
	if (events & LOOP_WRITE)
		p->blocked = false;
	if (!p->doomed && (events & LOOP_READ) && !p->ended && !p->answer)
		peer_read(p);
	if (!p->doomed)
		peer_pump(p);
	/* It asked for the end, or there is nobody left who could ask for more. A watch ends with its caller's half. */
	if (!p->doomed && !p->out.length && p->closing)
		p->doomed = true;
	if (!p->doomed && p->ended && (p->subscription || (p->relay && relay_follows(p->relay)) ||
	                              (!p->out.length && !p->answer && !p->relay && !peer_has_request(p))))
		p->doomed = true;
	if (p->doomed)
		peer_free(p);
	else
		peer_wait(p);
}

int control_adopt(struct control *c, int fd_take)
{
	struct peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p) {
		close(fd_take);
		return -ENOMEM;
	}
	p->control = c;
	p->fd = fd_take;
	p->out.max = c->max_queue;
	r = loop_fd(c->loop, fd_take, LOOP_READ, peer_cb, p, &p->watch);
	if (r < 0) {
		close(fd_take);
		free(p);
		return r;
	}
	p->next = c->peers;
	if (p->next)
		p->next->prev = p;
	c->peers = p;
	c->n_peers++;
	return 0;
}
