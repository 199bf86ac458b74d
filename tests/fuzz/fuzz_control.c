/*
 * The control server's frames and requests: the input is what a client sends, cut into pieces by its own bytes, while
 * things happen
 * to what it may watch. Whatever it sends, the server is there for the next client.
 */
#include <fcntl.h>

#include "base/log.h"
#include "unit/control_fixture.h"

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_control: %s\n", what);
	abort();
}

/* Reads all that the server sent; every frame must be an answer. */
static void drain(int fd, struct buf *in)
{
	char bytes[16384];
	size_t at = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		buf_append(in, bytes, (size_t)n);
	while (in->length - at >= FRAME_HEADER) {
		const uint8_t *frame = (const uint8_t *)in->data + at;
		Control__Answer *a;

		if (in->length - at - FRAME_HEADER < frame_length(frame))
			break;
		a = control__answer__unpack(NULL, frame_length(frame), frame + FRAME_HEADER);
		check(a && a->is_case != CONTROL__ANSWER__IS__NOT_SET, "it sent what is no answer");
		control__answer__free_unpacked(a, NULL);
		at += FRAME_HEADER + frame_length(frame);
	}
	if (at) {
		memmove(in->data, in->data + at, in->length - at);
		in->length -= at;
	}
}

static void happen(struct fixture *f, unsigned turn)
{
	static const char *const names[] = { "a", "b", "/var/lib", "sshd" };
	const struct kith_record record = { .size = sizeof(record), .priority = KITH_ERR, .subject = "tick:a",
		.message = "it was" };
	const struct kith_transition transition = { .size = sizeof(transition), .from = KITH_KEPT, .to = KITH_BROKEN,
		                                    .name = "room.disk", .promiser = "tick:a", .because = "so" };
	struct instance *i;

	model_set_now(f->model, model_now(f->model) + 1);
	if (instance_add(f->model, turn & 4 ? f->events : f->ticks, names[turn % 4], &i) == 0)
		model_put(f->model, &f->owner, i->id, turn & 1, model_now(f->model));
	model_record(f->model, &record);
	model_transition(f->model, &transition);
	if (turn % 5 == 4 && f->ticks->by_name)
		instance_end(f->model, f->ticks->by_name);
}

static void feed(struct fixture *f, int fd, const uint8_t *data, size_t size)
{
	struct buf in = BUF_INIT;

	for (unsigned turn = 0; size; turn++) {
		/* one byte, or a good part of what is left */
		size_t piece = data[0] & 1 ? 1 : 1 + (size_t)data[0] * 16;
		ssize_t n = send(fd, data, piece < size ? piece : size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
		loop_run_once(f->loop, 0);
		if (turn < 64)
			happen(f, turn);
		drain(fd, &in);
	}
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 10000 && f->control->n_peers; i++) {
		loop_run_once(f->loop, 0);
		drain(fd, &in);
	}
	check(f->control->n_peers == 0, "a client that has gone is still there");
	buf_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture f;
	int ends[2];

	log_set_level(LOG_LEVEL_ERR);
	check(fixture_open(&f) == 0 && fixture_server(&f, NULL, 0, 65536) == 0, "no server");
	fake_promise(&f.promises, "room.disk", "tick:a", KITH_BROKEN);
	fake_promise(&f.promises, "network.up", "event:a", KITH_KEPT);
	f.promises.n_parts = 3;
	for (unsigned i = 0; i < 8; i++)
		happen(&f, i);
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "no sockets");
	check(control_adopt(f.control, ends[0]) == 0, "not taken");
	feed(&f, ends[1], data, size);
	close(ends[1]);
	fixture_close(&f);
	return 0;
}
