#include "control/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/server.h"

#define RELAY_READ 65536u
#define TAG_END 0x0a   /* what an Answer begins with that is an End, */
#define TAG_FAULT 0x12 /* and a Fault */

struct relay {
	struct peer *peer;
	const char *program, *mode;
	void *process;      /* NULL: it has ended */
	int fd;             /* its standard output; -1: that ended */
	struct loop_watch *watch;
	uint8_t *data;      /* read, and not yet passed on */
	size_t length, size;
	bool follows;
	bool whole;         /* an End or a Fault was passed on */
	bool timed_out;
	int status;
};

static void output_close(struct relay *r)
{
	if (r->fd < 0)
		return;
	loop_remove(r->peer->control->loop, r->watch);
	close(r->fd);
	r->watch = NULL;
	r->fd = -1;
}

void relay_free(struct relay *r)
{
	struct control *c;

	if (!r)
		return;
	c = r->peer->control;
	output_close(r);
	if (r->process)
		c->daemon.stop(r->process, c->daemon.user);
	c->n_relays--;
	free(r->data);
	free(r);
}

bool relay_follows(const struct relay *r)
{
	return r->follows;
}

/* ---- what it says -------------------------------------------------------------------------------------------------- */

/* Room in the peer's queue for more of it */
static bool peer_room(const struct peer *p, size_t length)
{
	return !p->out.length || (p->out.length < CONTROL_AHEAD && length <= p->out.max - p->out.length);
}

/* False: the peer has no room for the next frame, or it is not here whole */
static bool pass_one(struct relay *r)
{
	struct peer *p = r->peer;
	size_t length = r->length >= FRAME_HEADER ? frame_length(r->data) : 0;
	uint8_t tag;

	if (r->length < FRAME_HEADER || r->length - FRAME_HEADER < length || !peer_room(p, FRAME_HEADER + length))
		return false;
	tag = length ? r->data[FRAME_HEADER] : 0;
	if (!r->whole)
		peer_say_bytes(p, r->data, FRAME_HEADER + length);
	r->whole |= tag == TAG_END || tag == TAG_FAULT;
	r->length -= FRAME_HEADER + length;
	memmove(r->data, r->data + FRAME_HEADER + length, r->length);
	return true;
}

/* Whole frames at once, as far as there is room: one frame after the other would move the rest each time. */
static void pass_all(struct relay *r)
{
	struct peer *p = r->peer;
	size_t at = 0;

	while (!r->whole && r->length - at >= FRAME_HEADER) {
		size_t length = frame_length(r->data + at);
		uint8_t tag = r->length - at > FRAME_HEADER ? r->data[at + FRAME_HEADER] : 0;

		if (r->length - at - FRAME_HEADER < length || at + FRAME_HEADER + length > p->out.max)
			break;
		at += FRAME_HEADER + length;
		r->whole = length && (tag == TAG_END || tag == TAG_FAULT);
	}
	if (at && peer_room(p, at)) {
		peer_say_bytes(p, r->data, at);
		r->length -= at;
		memmove(r->data, r->data + at, r->length);
	} else if (at) {
		r->whole = false;
		while (pass_one(r))
			;
	}
}

/* Room for the frame that is coming, or for a good read. -EMSGSIZE: no frame of kith's is so long */
static int reserve(struct relay *r)
{
	size_t need = r->length >= FRAME_HEADER ? FRAME_HEADER + frame_length(r->data) : 0, size = RELAY_READ;
	uint8_t *data;

	if (need > FRAME_HEADER + FRAME_ANSWER_MAX)
		return -EMSGSIZE;
	while (size < need || size - r->length < RELAY_READ / 4)
		size *= 2;
	if (size <= r->size)
		return 0;
	data = realloc(r->data, size);
	if (!data)
		return -ENOMEM;
	r->data = data;
	r->size = size;
	return 0;
}

/* 1: something came; 0: nothing is there; the output is closed at its end */
static int output_read(struct relay *r)
{
	ssize_t n;

	if (reserve(r) < 0) {
		output_close(r);
		return 0;
	}
	do
		n = read(r->fd, r->data + r->length, r->size - r->length);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		output_close(r);
		return 0;
	}
	r->length += (size_t)n;
	return 1;
}

static void say_cut(struct relay *r)
{
	struct peer *p = r->peer;

	if (r->timed_out)
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "%s took too long and was ended: ask for less", r->program);
	else if (WIFEXITED(r->status) && WEXITSTATUS(r->status) == 127)
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "%s could not be run", r->program);
	else if (WIFSIGNALED(r->status))
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "%s was ended by signal %d", r->program, WTERMSIG(r->status));
	else
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "%s ended before its answer did", r->program);
}

void relay_pump(struct peer *p)
{
	struct relay *r = p->relay;

	for (int i = 0; i < 4 && !p->doomed; i++) {
		pass_all(r);
		if (r->fd < 0 || p->out.length >= CONTROL_AHEAD || (r->length && r->whole) || !output_read(r))
			break;
	}
	if (p->doomed)
		return;
	pass_all(r);
	/* Nothing is read while the peer has enough to read itself: the program waits then, in its write. */
	if (r->fd >= 0)
		loop_fd_set(p->control->loop, r->watch, p->out.length < CONTROL_AHEAD ? LOOP_READ : 0);
	if (r->fd >= 0 || r->process || (r->length >= FRAME_HEADER && !r->whole && !peer_room(p, r->length)))
		return;
	p->relay = NULL;
	if (!r->whole)
		say_cut(r);
	relay_free(r);
	peer_wait(p);
}

/* By a program or its end: what the peer may do next is for its own callback, which comes when the socket can be written to. */
static void relay_cb(int fd, unsigned events, void *user)
{
	struct relay *r = user;
	struct peer *p = r->peer;

	(void)fd;
	(void)events;
	if (!p->doomed)
		relay_pump(p);
}

static void ended_cb(int status, bool timed_out, void *user)
{
	struct relay *r = user;
	struct peer *p = r->peer;

	r->process = NULL;
	r->status = status;
	r->timed_out = timed_out;
	if (!p->doomed)
		relay_pump(p);
}

/* ---- its start ----------------------------------------------------------------------------------------------------- */

static int write_whole(int fd, const void *data, size_t length)
{
	const uint8_t *at = data;

	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

/* The request as a file in memory: the program reads it when it likes, and nobody waits for it. */
static int input_make(const Control__Request *request, const void *more, size_t more_length, int *ret_fd)
{
	size_t length = control__request__get_packed_size(request);
	uint8_t *frame = malloc(FRAME_HEADER + length);
	int fd = frame ? memfd_create("request", MFD_CLOEXEC) : -1, r = frame ? 0 : -ENOMEM;

	if (frame && fd < 0)
		r = -errno;
	if (r == 0) {
		frame_put_length(frame, length);
		control__request__pack(request, frame + FRAME_HEADER);
		r = write_whole(fd, frame, FRAME_HEADER + length);
	}
	if (r == 0 && more_length)
		r = write_whole(fd, more, more_length);
	free(frame);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		close(fd);
	if (r == 0)
		*ret_fd = fd;
	return r;
}

static int relay_run(struct relay *r, const Control__Request *request, const void *more, size_t length, int64_t timeout)
{
	struct control *c = r->peer->control;
	struct control_run run = { .program = r->program, .mode = r->mode, .timeout = timeout, .ended = ended_cb, .user = r };
	int ends[2], x;

	x = input_make(request, more, length, &run.input);
	if (x < 0)
		return x;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		x = -errno;
		close(run.input);
		return x;
	}
	r->fd = ends[0];
	run.output = ends[1];
	/* This end alone: the program waits in its write. */
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		x = -errno;
	if (x == 0)
		x = loop_fd(c->loop, r->fd, LOOP_READ, relay_cb, r, &r->watch);
	if (x == 0)
		x = c->daemon.run(&run, &r->process, c->daemon.user);
	close(ends[1]);
	close(run.input);
	return x;
}

int relay_start(struct peer *p, const char *program, const char *mode, const Control__Request *request, const void *more, size_t length, int64_t timeout)
{
	struct control *c = p->control;
	struct relay *r;
	int x;

	if (!c->daemon.run) {
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "this kithd runs no %s", program);
		return -ENOTSUP;
	}
	if (c->n_relays >= RELAY_MAX) {
		peer_say_fault(p, CONTROL__CODE__BUSY, "kithd is answering %d such questions already: try again in a moment", RELAY_MAX);
		return -EBUSY;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct relay){ .peer = p, .program = program, .mode = mode, .fd = -1, .follows = timeout == 0 };
	c->n_relays++;
	x = relay_run(r, request, more, length, timeout);
	if (x < 0) {
		relay_free(r);
		if (x == -ENOENT)
			peer_say_fault(p, CONTROL__CODE__INTERNAL, "the program %s was not found: is kith installed whole?", program);
		else if (x != -ENOMEM)
			peer_say_fault(p, CONTROL__CODE__INTERNAL, "%s could not be run: %s", program, strerror(-x));
		return x;
	}
	p->relay = r;
	return 0;
}
