/*
 * For tests of the control server: a client of raw bytes beside the server, in one process; each test turns the loop
 * by itself. To be
 * included by one file of a program.
 */
#ifndef CONTROL_RAW_H
#define CONTROL_RAW_H

#include <check.h>

#include "control_fixture.h"

static struct fixture f;

/* ---- a raw client ----------------------------------------------------------------------------------------------- */

struct raw {
	int fd;
	uint8_t *in;
	size_t length, size;
	bool ended;
	Control__Answer *answer;
};

static struct raw raw_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct raw r = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	strcpy(address.sun_path, f.path);
	ck_assert_int_ge(r.fd, 0);
	ck_assert_int_eq(connect(r.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return r;
}

static void raw_close(struct raw *r)
{
	if (r->fd >= 0)
		close(r->fd);
	if (r->answer)
		control__answer__free_unpacked(r->answer, NULL);
	free(r->in);
	*r = (struct raw){ .fd = -1 };
}

static void raw_send(struct raw *r, const void *data, size_t length)
{
	ck_assert_int_eq(send(r->fd, data, length, MSG_NOSIGNAL), (ssize_t)length);
}

static size_t raw_frame(const Control__Request *request, uint8_t *frame)
{
	size_t length = control__request__pack(request, frame + 4);

	frame_put_length(frame, length);
	return length + 4;
}

static void raw_ask(struct raw *r, const Control__Request *request)
{
	uint8_t frame[70000];

	raw_send(r, frame, raw_frame(request, frame));
}

/* What the server has sent so far, without running it */
static void raw_receive(struct raw *r)
{
	for (;;) {
		ssize_t n;

		if (r->size - r->length < 65536) {
			r->size = r->size * 2 + 65536;
			r->in = realloc(r->in, r->size);
			ck_assert_ptr_nonnull(r->in);
		}
		n = recv(r->fd, r->in + r->length, r->size - r->length, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			r->ended = true;
		if (n <= 0)
			return;
		r->length += (size_t)n;
	}
}

/* The next answer among what was received; NULL: none */
static const Control__Answer *raw_take(struct raw *r)
{
	size_t length;

	if (r->answer)
		control__answer__free_unpacked(r->answer, NULL);
	r->answer = NULL;
	if (r->length < 4 || r->length < 4 + frame_length(r->in))
		return NULL;
	length = frame_length(r->in);
	r->answer = control__answer__unpack(NULL, length, r->in + 4);
	ck_assert_ptr_nonnull(r->answer);
	r->length -= 4 + length;
	memmove(r->in, r->in + 4 + length, r->length);
	return r->answer;
}

static void turn(int times)
{
	for (int i = 0; i < times; i++)
		loop_run_once(f.loop, 0);
}

/* Runs the server until there is an answer; NULL: the connection ended, or there is none after many turns */
static const Control__Answer *next(struct raw *r)
{
	for (int i = 0; i < 1000; i++) {
		const Control__Answer *a = raw_take(r);

		if (a)
			return a;
		if (r->ended)
			return NULL;
		loop_run_once(f.loop, 0);
		raw_receive(r);
	}
	return NULL;
}

static const Control__Answer *next_of(struct raw *r, Control__Answer__IsCase what)
{
	const Control__Answer *a = next(r);

	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq((int)a->is_case, (int)what);
	return a;
}

static void ask_status(struct raw *r)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__StatusRequest status = CONTROL__STATUS_REQUEST__INIT;

	request.ask_case = CONTROL__REQUEST__ASK_STATUS;
	request.status = &status;
	raw_ask(r, &request);
}

static void ask_get(struct raw *r, char **patterns, size_t n)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__GetRequest get = CONTROL__GET_REQUEST__INIT;

	get.patterns = patterns;
	get.n_patterns = n;
	request.ask_case = CONTROL__REQUEST__ASK_GET;
	request.get = &get;
	raw_ask(r, &request);
}

static void ask_watch(struct raw *r, const char *pattern, uint32_t kinds)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__WatchRequest watch = CONTROL__WATCH_REQUEST__INIT;
	char *patterns[1] = { (char *)pattern };

	watch.patterns = patterns;
	watch.n_patterns = pattern != NULL;
	watch.kinds = kinds;
	request.ask_case = CONTROL__REQUEST__ASK_WATCH;
	request.watch = &watch;
	raw_ask(r, &request);
}

static void expect_status(struct raw *r)
{
	ask_status(r);
	ck_assert_str_eq(next_of(r, CONTROL__ANSWER__IS_STATUS)->status->version, "9.9");
	next_of(r, CONTROL__ANSWER__IS_END);
}

static void expect_closed(struct raw *r)
{
	ck_assert_ptr_null(next(r));
	ck_assert(r->ended);
}

static kith_id add(struct family *family, const char *name)
{
	struct instance *i;

	ck_assert_int_eq(instance_add(f.model, family, name, &i), 0);
	return i->id;
}

static void put(kith_id id, double value)
{
	model_set_now(f.model, model_now(f.model) + 1);
	ck_assert_int_eq(model_put(f.model, &f.owner, id, value, model_now(f.model)), 0);
}

static void setup(void)
{
	ck_assert_int_eq(fixture_open(&f), 0);
	ck_assert_int_eq(fixture_server(&f, f.path, 0, 0), 0);
}

static void setup_small_queue(void)
{
	ck_assert_int_eq(fixture_open(&f), 0);
	ck_assert_int_eq(fixture_server(&f, f.path, 0, 32768), 0);
}

static void setup_bare(void)
{
	ck_assert_int_eq(fixture_open(&f), 0);
}

static void teardown(void)
{
	fixture_close(&f);
}

#define MANY 10000 /* instances of two series */

static void add_many(void)
{
	char name[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "thing-%05d", i);
		add(f.ticks, name);
	}
}

/* Records and transitions, as the engine and plugins make them */
static void transition(const char *name, const char *promiser)
{
	const struct kith_transition t = { .size = sizeof(t), .from = KITH_KEPT, .to = KITH_BROKEN,
		.severity = KITH_ERR, .time = 7,
		                           .name = name, .promiser = promiser, .because = "so" };

	model_transition(f.model, &t);
}

static void record(const char *subject, const char *message)
{
	const struct kith_field fields[] = { { "pid", "12" }, { "code", "3" } };
	const struct kith_record one = { .size = sizeof(one), .priority = KITH_WARNING, .subject = subject, .message = message,
		                         .fields = fields, .n_fields = 2 };

	model_record(f.model, &one);
}

static TCase *tcase(Suite *s, const char *name, void (*start)(void))
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, start, teardown);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return t;
}

#endif
