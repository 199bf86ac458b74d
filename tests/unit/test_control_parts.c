/* control/: the queue against a plain array, patterns by table, and the client library against peers that misbehave */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/client.h"
#include "control/pattern.h"
#include "control/queue.h"

/* ---- queue ------------------------------------------------------------------------------------------------------ */

START_TEST(queue_keeps_order)
{
	struct queue q = { .max = 100000 };
	uint32_t in = 0, out = 0, seed = (uint32_t)_i;
	uint8_t bytes[3000];
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	for (int round = 0; round < 3000; round++) {
		size_t length;
		ssize_t n;

		seed = seed * 1103515245 + 12345;
		length = seed >> 8 & 2047;
		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)(in + i);
		if (queue_put(&q, bytes, length) == 0)
			in += (uint32_t)length;
		else
			ck_assert_uint_gt(q.length + length, q.max);
		ck_assert_uint_le(q.length, q.max);
		if (seed >> 20 & 1)
			queue_send(&q, ends[0]);
		if (seed >> 21 & 1) {
			n = recv(ends[1], bytes, seed >> 8 & 1023, MSG_DONTWAIT);
			for (ssize_t i = 0; i < n; i++)
				ck_assert_uint_eq(bytes[i], (uint8_t)out++);
		}
	}
	do {
		ssize_t n;

		queue_send(&q, ends[0]);
		while ((n = recv(ends[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
			for (ssize_t i = 0; i < n; i++)
				ck_assert_uint_eq(bytes[i], (uint8_t)out++);
	} while (q.length);
	ck_assert_uint_eq(in, out);
	queue_free(&q);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(queue_bounds)
{
	struct queue q = { .max = 10 };
	int ends[2];

	ck_assert_int_eq(queue_put(&q, "12345678901", 11), -ENOBUFS);
	ck_assert_int_eq(queue_put(&q, "1234567890", 10), 0);
	ck_assert_int_eq(queue_put(&q, "1", 1), -ENOBUFS);
	ck_assert_int_eq(queue_put(&q, "", 0), 0);
	ck_assert_uint_eq(q.length, 10);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	close(ends[1]);
	ck_assert_int_eq(queue_send(&q, ends[0]), -EPIPE);
	close(ends[0]);
	queue_free(&q);
}
END_TEST

/* ---- patterns --------------------------------------------------------------------------------------------------- */

static bool parse(struct patterns *p, const char *text)
{
	struct buf why = BUF_INIT;
	char *texts[1] = { (char *)text };
	int r = patterns_parse(p, texts, 1, "web1", &why);

	ck_assert_msg((r == 0) == (why.length == 0), "%s: %d, %s", text, r, buf_text(&why));
	buf_free(&why);
	return r == 0;
}

START_TEST(subjects_with_an_at)
{
	static const struct {
		const char *pattern, *subject;
		bool matches;
	} cases[] = {
		{ "service:getty@tty1.service", "service:getty@tty1.service", true },
		{ "service:getty@*", "service:getty@tty1.service", true },
		{ "service:getty@tty1.service", "service:getty", false },
		{ "service:getty@tty1.service@web1", "service:getty@tty1.service", true },
		{ "service:*@*", "service:ssh", false },
		{ "service:ssh@web1", "service:ssh", true },
		{ "service:ssh@web1", "service:ssh@web1", false },
		{ "service@web1", "service:ssh", true },
	};
	char *other[] = { (char *)"service@web2" };
	struct buf why = BUF_INIT;
	struct patterns p;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *texts[] = { (char *)cases[i].pattern };

		ck_assert_int_eq(patterns_parse_subjects(&p, texts, 1, "web1", &why), 0);
		ck_assert_msg(patterns_subject(&p, cases[i].subject) == cases[i].matches, "%s", cases[i].pattern);
		patterns_free(&p);
	}
	ck_assert_int_eq(patterns_parse_subjects(&p, other, 1, "web1", &why), -EHOSTUNREACH);
	buf_free(&why);
}
END_TEST

START_TEST(patterns_of_promises)
{
	static const struct {
		const char *pattern, *name, *promiser;
		bool matches;
	} cases[] = {
		{ "room.disk", "room.disk", "df:/", true },       { "room.*", "room.disk", "df:/", true },
		{ "room", "room.disk", "df:/", true },            { "roo", "room.disk", "df:/", false },
		{ "*.disk", "room.disk", "df:/", true },          { "room.dis", "room.disk", "df:/", false },
		{ "df", "room.disk", "df:/", true },              { "df:/", "room.disk", "df:/", true },
		{ "df:/home", "room.disk", "df:/", false },       { "df:/:free_percent", "room.disk", "df:/", true },
		{ "df:*:free", "room.disk", "df:/var:lib", true }, { "memory:available", "room.memory", "memory", true },
		{ "room.disk@web1", "room.disk", "df:/", true },  { "df:a@b:x", "room.disk", "df:a@b", true },
		{ "*", "room.disk", "df:/", true },               { "interface:*", "room.disk", "df:/", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct patterns p;

		ck_assert(parse(&p, cases[i].pattern));
		ck_assert_msg(patterns_promise(&p, cases[i].name, cases[i].promiser) == cases[i].matches, "%s %s", cases[i].pattern,
		              cases[i].name);
		ck_assert(p.list[0].matched == cases[i].matches);
		patterns_free(&p);
	}
}
END_TEST

START_TEST(patterns_of_subjects)
{
	static const struct {
		const char *pattern, *subject;
		bool matches;
	} cases[] = {
		{ "df", "df:/", true },          { "df:/", "df:/", true },  { "df:/:free", "df:/", true },
		{ "df:/home:free", "df:/", false }, { "cpu", "cpu", true }, { "cpu:busy", "cpu", true },
		{ "c*", "cpu:0", true },         { "room.*", "cpu", false }, { "df:*", "df:/a:b", true },
		{ "cpu", "a-word-that-is-longer-than-any-family-can-be-and-then-some-more-of-it:x", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct patterns p;

		ck_assert(parse(&p, cases[i].pattern));
		ck_assert_msg(patterns_subject(&p, cases[i].subject) == cases[i].matches, "%s %s", cases[i].pattern,
		        cases[i].subject);
		patterns_free(&p);
	}
}
END_TEST

START_TEST(patterns_refused)
{
	static const char *const bad[] = { "", "@web1", "a:b@", "a:b@web2", ":", "a:", ":b", "a::b", "a\nb",
		"a:b\x7f", "*@*", "a@WEB2" };
	static const char *const good[] = { "a", "a@web1", "a@WEB1", "a:b@localhost", "a@b:c", "a.b.c", "*:*:*" };
	char *many[PATTERNS_MAX + 1];
	struct buf why = BUF_INIT;
	struct patterns p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!parse(&p, bad[i]), "%s", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(parse(&p, good[i]), "%s", good[i]);
		patterns_free(&p);
	}
	for (size_t i = 0; i <= PATTERNS_MAX; i++)
		many[i] = (char *)"a";
	ck_assert_int_eq(patterns_parse(&p, many, PATTERNS_MAX + 1, "web1", &why), -E2BIG);
	ck_assert_int_eq(patterns_parse(&p, many, PATTERNS_MAX, "web1", &why), 0);
	patterns_free(&p);
	buf_free(&why);
}
END_TEST

/* ---- client ----------------------------------------------------------------------------------------------------- */

/* A listening socket whose server is the test itself */
static int listen_at(char path[64], struct client **ret_client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), peer;

	snprintf(path, 64, "/tmp/kith-test-client-%d", (int)getpid());
	unlink(path);
	strcpy(address.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(client_open(path, 0, ret_client), -ECONNREFUSED);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(client_open(path, clock_mono() + NS_PER_S, ret_client), 0);
	peer = accept(fd, NULL, NULL);
	ck_assert_int_ge(peer, 0);
	close(fd);
	unlink(path);
	return peer;
}

static size_t fault_frame(const char *text, uint8_t *frame)
{
	Control__Fault fault = CONTROL__FAULT__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	size_t length;

	fault.text = (char *)text;
	answer.is_case = CONTROL__ANSWER__IS_FAULT;
	answer.fault = &fault;
	length = control__answer__pack(&answer, frame + 4);
	frame_put_length(frame, length);
	return length + 4;
}

START_TEST(client_reads_any_cut)
{
	const Control__Answer *a;
	struct client *c;
	uint8_t frame[256];
	char path[64];
	int peer = listen_at(path, &c);
	size_t n = fault_frame("hello", frame);

	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(client_next(c, 0, &a), -ETIMEDOUT);
		ck_assert_int_eq(write(peer, frame + i, 1), 1);
	}
	n += fault_frame("again", frame + n);
	ck_assert_int_eq(client_next(c, 0, &a), 0);
	ck_assert_str_eq(a->fault->text, "hello");
	ck_assert_int_eq(write(peer, frame, n), (ssize_t)n);
	close(peer);
	ck_assert_int_eq(client_next(c, CLIENT_FOREVER, &a), 0);
	ck_assert_int_eq(client_next(c, CLIENT_FOREVER, &a), 0);
	ck_assert_str_eq(a->fault->text, "again");
	ck_assert_int_eq(client_next(c, CLIENT_FOREVER, &a), -ECONNRESET);
	client_close(c);
}
END_TEST

START_TEST(client_distrusts)
{
	static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0x7f }, none[] = { 2, 0, 0, 0, 0xff, 0xff };
	const Control__Answer *a;
	struct client *c;
	char path[64];
	int peer = listen_at(path, &c);

	ck_assert_int_eq(write(peer, huge, 4), 4);
	ck_assert_int_eq(client_next(c, 0, &a), -EPROTO);
	client_close(c);
	close(peer);
	peer = listen_at(path, &c);
	ck_assert_int_eq(write(peer, none, 6), 6);
	ck_assert_int_eq(client_next(c, 0, &a), -EPROTO);
	client_close(c);
	close(peer);
}
END_TEST

START_TEST(client_is_interrupted)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__GetRequest get = CONTROL__GET_REQUEST__INIT;
	char *large = malloc(FRAME_REQUEST_MAX + 1), path[64];
	const Control__Answer *a;
	struct client *c;
	int peer = listen_at(path, &c), ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	client_interrupt(c, ends[0]);
	ck_assert_int_eq(client_next(c, 0, &a), -ETIMEDOUT);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	ck_assert_int_eq(client_next(c, CLIENT_FOREVER, &a), -EINTR);
	memset(large, 'x', FRAME_REQUEST_MAX);
	large[FRAME_REQUEST_MAX] = '\0';
	get.patterns = &large;
	get.n_patterns = 1;
	request.ask_case = CONTROL__REQUEST__ASK_GET;
	request.get = &get;
	ck_assert_int_eq(client_send(c, &request, 0), -EMSGSIZE);
	close(peer);
	get.n_patterns = 0;
	ck_assert_int_eq(client_send(c, &request, 0), -EPIPE);
	client_close(c);
	close(ends[0]);
	close(ends[1]);
	free(large);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control parts");
	TCase *t = tcase_create("parts");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, queue_keeps_order, 0, 4);
	tcase_add_test(t, queue_bounds);
	tcase_add_test(t, subjects_with_an_at);
	tcase_add_test(t, patterns_of_promises);
	tcase_add_test(t, patterns_of_subjects);
	tcase_add_test(t, patterns_refused);
	tcase_add_test(t, client_reads_any_cut);
	tcase_add_test(t, client_distrusts);
	tcase_add_test(t, client_is_interrupted);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
