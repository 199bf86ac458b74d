/* control/: the server, over real sockets and with a real loop and model; the client here is raw bytes */
#include <check.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "control_raw.h"

/* ---- the socket ------------------------------------------------------------------------------------------------- */

START_TEST(socket_mode_and_removal)
{
	struct stat st;
	mode_t mask = umask(0077);

	ck_assert_int_eq(fixture_server(&f, f.path, 0, 0), 0);
	umask(mask);
	ck_assert_int_eq(lstat(f.path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 07777, 0660);
	control_free(f.control);
	f.control = NULL;
	ck_assert_int_eq(lstat(f.path, &st), -1);
}
END_TEST

START_TEST(socket_left_behind_is_replaced)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct raw r;

	strcpy(address.sun_path, f.path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	ck_assert_int_eq(fixture_server(&f, f.path, 0, 0), 0);
	r = raw_open();
	expect_status(&r);
	raw_close(&r);
}
END_TEST

START_TEST(socket_of_another_is_not)
{
	struct control *first, *again = NULL;
	struct raw r;

	ck_assert_int_eq(fixture_server(&f, f.path, 0, 0), 0);
	first = f.control;
	f.control = NULL;
	ck_assert_int_eq(fixture_server(&f, f.path, 0, 0), -EADDRINUSE);
	ck_assert_ptr_null(f.control);
	f.control = first;
	r = raw_open();
	expect_status(&r);
	raw_close(&r);

	/* What stands in the socket's place when it stops is left alone. */
	unlink(f.path);
	f.control = NULL;
	ck_assert_int_eq(fixture_server(&f, f.path, 0, 0), 0);
	again = f.control;
	control_free(first);
	f.control = again;
	r = raw_open();
	expect_status(&r);
	raw_close(&r);
}
END_TEST

START_TEST(socket_place_taken_by_a_file)
{
	struct stat st;
	char path[200];

	close(open(f.path, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(fixture_server(&f, f.path, 0, 0), -EEXIST);
	ck_assert_int_eq(lstat(f.path, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(fixture_server(&f, path, 0, 0), -ENAMETOOLONG);
}
END_TEST

/* ---- what callers may send -------------------------------------------------------------------------------------- */

START_TEST(garbage_closes_that_connection_only)
{
	static const uint8_t no_message[] = { 3, 0, 0, 0, 0xff, 0xff, 0xff };
	struct raw good = raw_open(), bad;
	uint8_t length[4];

	expect_status(&good);
	bad = raw_open();
	raw_send(&bad, "GET / HTTP/1.1\r\n\r\n", 18);
	expect_closed(&bad);
	raw_close(&bad);
	bad = raw_open();
	raw_send(&bad, no_message, sizeof(no_message));
	expect_closed(&bad);
	raw_close(&bad);
	bad = raw_open();
	frame_put_length(length, FRAME_REQUEST_MAX + 1);
	raw_send(&bad, length, 4);
	expect_closed(&bad);
	raw_close(&bad);
	ck_assert_uint_eq(f.control->n_garbage, 3);
	expect_status(&good);
	ck_assert_uint_eq(f.control->n_peers, 1);
	raw_close(&good);
}
END_TEST

START_TEST(largest_request_is_read)
{
	static uint8_t frame[FRAME_REQUEST_MAX + 4];
	struct raw r = raw_open();

	/* field 2 (get) of 65532 bytes, in it one pattern; both lengths take three bytes */
	frame_put_length(frame, FRAME_REQUEST_MAX);
	memcpy(frame + 4, "\x12\xfc\xff\x03\x0a\xf8\xff\x03", 8);
	memset(frame + 12, 'x', FRAME_REQUEST_MAX - 8);
	for (size_t at = 0; at < sizeof(frame); at += 8192) {
		raw_send(&r, frame + at, sizeof(frame) - at < 8192 ? sizeof(frame) - at : 8192);
		turn(3);
	}
	/* the first bytes are told back, as no name is as long */
	ck_assert_int_eq(next_of(&r, CONTROL__ANSWER__IS_END)->end->n_unmatched, 1);
	ck_assert_ptr_null(f.control->peers->in);
	expect_status(&r);
	raw_close(&r);
}
END_TEST

START_TEST(unknown_request_is_answered)
{
	static const uint8_t newer[] = { 3, 0, 0, 0, 0xfa, 0x3f, 0 }, empty[4] = { 0 };
	struct raw r = raw_open();

	raw_send(&r, newer, sizeof(newer));
	ck_assert_int_eq(next_of(&r, CONTROL__ANSWER__IS_FAULT)->fault->code, CONTROL__CODE__USAGE);
	raw_send(&r, empty, sizeof(empty));
	next_of(&r, CONTROL__ANSWER__IS_FAULT);
	expect_status(&r);
	ck_assert_uint_eq(f.control->n_garbage, 0);
	raw_close(&r);
}
END_TEST

START_TEST(byte_by_byte)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__GetRequest get = CONTROL__GET_REQUEST__INIT;
	char *pattern = (char *)"tick:a:level";
	uint8_t frame[128];
	struct raw r = raw_open();
	size_t length;

	put(add(f.ticks, "a"), 5);
	get.patterns = &pattern;
	get.n_patterns = 1;
	request.ask_case = CONTROL__REQUEST__ASK_GET;
	request.get = &get;
	length = raw_frame(&request, frame);
	for (size_t i = 0; i < length; i++) {
		raw_receive(&r);
		ck_assert_uint_eq(r.length, 0);
		raw_send(&r, frame + i, 1);
		turn(2);
	}
	ck_assert_str_eq(next_of(&r, CONTROL__ANSWER__IS_SAMPLE)->sample->name, "tick:a:level");
	next_of(&r, CONTROL__ANSWER__IS_END);
	raw_close(&r);
}
END_TEST

START_TEST(requests_in_one_go)
{
	static const uint8_t status[] = { 2, 0, 0, 0, 0x0a, 0 };
	uint8_t many[sizeof(status) * 500];
	struct raw r = raw_open();

	for (size_t i = 0; i < 500; i++)
		memcpy(many + i * sizeof(status), status, sizeof(status));
	raw_send(&r, many, sizeof(many));
	shutdown(r.fd, SHUT_WR);
	for (int i = 0; i < 500; i++) {
		next_of(&r, CONTROL__ANSWER__IS_STATUS);
		next_of(&r, CONTROL__ANSWER__IS_END);
	}
	expect_closed(&r);
	ck_assert_uint_eq(f.control->n_peers, 0);
	raw_close(&r);
}
END_TEST

START_TEST(flood_of_requests_without_reading)
{
	static const uint8_t status[] = { 2, 0, 0, 0, 0x0a, 0 };
	uint8_t many[sizeof(status) * 100];
	struct raw r = raw_open();
	ssize_t n = 0;

	for (size_t i = 0; i < 100; i++)
		memcpy(many + i * sizeof(status), status, sizeof(status));
	/* It is not read from while its answers wait: it stops at what the kernel's buffers hold, and nobody is cut off. */
	for (int i = 0; i < 20000 && n >= 0; i++) {
		n = send(r.fd, many, sizeof(many), MSG_NOSIGNAL | MSG_DONTWAIT);
		turn(1);
	}
	ck_assert_int_lt(n, 0);
	ck_assert_uint_eq(f.control->n_cut_off, 0);
	ck_assert_uint_le(f.control->peers->out.size, 2 * CONTROL_AHEAD);
	ck_assert_uint_le(f.control->peers->in_size, FRAME_REQUEST_MAX * 2);
	raw_close(&r);
	turn(3);
	ck_assert_uint_eq(f.control->n_peers, 0);
}
END_TEST

START_TEST(clients_and_one_more)
{
	struct raw r[CONTROL_MAX_CLIENTS], more;

	for (size_t i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		r[i] = raw_open();
		turn(1);
	}
	expect_status(&r[CONTROL_MAX_CLIENTS - 1]);
	more = raw_open();
	ask_status(&more);
	ck_assert_int_eq(next_of(&more, CONTROL__ANSWER__IS_FAULT)->fault->code, CONTROL__CODE__BUSY);
	expect_closed(&more);
	raw_close(&more);
	ck_assert_uint_eq(f.control->n_refused, 1);
	raw_close(&r[0]);
	turn(2);
	more = raw_open();
	expect_status(&more);
	raw_close(&more);
	for (size_t i = 1; i < CONTROL_MAX_CLIENTS; i++) {
		expect_status(&r[i]);
		raw_close(&r[i]);
	}
}
END_TEST

START_TEST(out_of_descriptors)
{
	struct rlimit limit, low;
	uint64_t before;
	struct raw r;

	/* The caller's descriptor is there, the server's is refused. */
	r = raw_open();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)r.fd + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	turn(2);
	before = loop_iterations(f.loop);
	loop_run_once(f.loop, 20 * NS_PER_MS);
	ck_assert_uint_le(loop_iterations(f.loop) - before, 2);
	ck_assert_uint_eq(f.control->n_peers, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < 100 && !f.control->n_peers; i++)
		loop_run_once(f.loop, 100 * NS_PER_MS);
	expect_status(&r);
	raw_close(&r);
}
END_TEST

/* ---- get -------------------------------------------------------------------------------------------------------- */

START_TEST(get_values)
{
	char *patterns[] = { (char *)"tick:a", (char *)"event:*:state@web1", (char *)"nothing:here" };
	const Control__Answer *a;
	struct raw r = raw_open();
	kith_id id = add(f.ticks, "a");

	put(id, 5.5);
	put(add(f.events, "e"), 1);
	add(f.ticks, "b");
	ask_get(&r, patterns, 3);
	a = next_of(&r, CONTROL__ANSWER__IS_SAMPLE);
	ck_assert_str_eq(a->sample->name, "tick:a:level");
	ck_assert_str_eq(a->sample->unit, "B");
	ck_assert_int_eq((int)a->sample->value_case, CONTROL__SAMPLE__VALUE_NUMBER);
	ck_assert_double_eq(a->sample->number, 5.5);
	a = next_of(&r, CONTROL__ANSWER__IS_SAMPLE);
	ck_assert_str_eq(a->sample->name, "tick:a:total");
	ck_assert_int_eq((int)a->sample->value_case, CONTROL__SAMPLE__VALUE__NOT_SET);
	ck_assert_int_eq(a->sample->time, 0);
	ck_assert_int_eq((int)a->sample->kind, CONTROL__KIND__COUNTER);
	a = next_of(&r, CONTROL__ANSWER__IS_SAMPLE);
	ck_assert_str_eq(a->sample->name, "event:e:state");
	ck_assert_str_eq(a->sample->state, "up");
	a = next_of(&r, CONTROL__ANSWER__IS_END);
	ck_assert_uint_eq(a->end->n_unmatched, 1);
	ck_assert_str_eq(a->end->unmatched[0], "nothing:here");
	raw_close(&r);
}
END_TEST

START_TEST(get_elsewhere)
{
	char *elsewhere = (char *)"tick:a@db7", *nowhere = (char *)"a:b@", *nothing = (char *)"::",
	        *here = (char *)"tick@localhost";
	struct raw r = raw_open();
	const Control__Fault *fault;

	ask_get(&r, &elsewhere, 1);
	fault = next_of(&r, CONTROL__ANSWER__IS_FAULT)->fault;
	ck_assert_int_eq(fault->code, CONTROL__CODE__NO_NEIGHBOUR);
	ck_assert_str_eq(fault->text, "no neighbours yet: \"db7\" is not this host, which is \"Web1\"");
	ask_get(&r, &nowhere, 1);
	ck_assert_int_eq(next_of(&r, CONTROL__ANSWER__IS_FAULT)->fault->code, CONTROL__CODE__USAGE);
	ask_get(&r, &nothing, 1);
	ck_assert_int_eq(next_of(&r, CONTROL__ANSWER__IS_FAULT)->fault->code, CONTROL__CODE__USAGE);
	ask_get(&r, &here, 1);
	next_of(&r, CONTROL__ANSWER__IS_END);
	ask_watch(&r, "room.*@db7", 0);
	ck_assert_int_eq(next_of(&r, CONTROL__ANSWER__IS_FAULT)->fault->code, CONTROL__CODE__NO_NEIGHBOUR);
	expect_status(&r);
	raw_close(&r);
}
END_TEST

START_TEST(get_many_with_a_short_queue)
{
	static bool seen[2 * MANY];
	struct raw r = raw_open();
	size_t n = 0, longest = 0, largest = 0;
	const Control__Answer *a;

	add_many();
	ask_get(&r, NULL, 0);
	for (bool end = false; !end;) {
		turn(1);
		if (f.control->peers) {
			longest = f.control->peers->out.length > longest ? f.control->peers->out.length : longest;
			largest = f.control->peers->out.size > largest ? f.control->peers->out.size : largest;
		}
		raw_receive(&r);
		ck_assert(!r.ended);
		while ((a = raw_take(&r)) != NULL) {
			unsigned number;
			char metric[32];

			if (a->is_case == CONTROL__ANSWER__IS_END) {
				end = true;
				break;
			}
			ck_assert_int_eq((int)a->is_case, CONTROL__ANSWER__IS_SAMPLE);
			ck_assert_int_eq(sscanf(a->sample->name, "tick:thing-%5u:%31s", &number, metric), 2);
			number = number * 2 + (strcmp(metric, "total") == 0);
			ck_assert(!seen[number]);
			seen[number] = true;
			n++;
		}
	}
	ck_assert_uint_eq(n, 2 * MANY);
	ck_assert_uint_gt(longest, 0);
	ck_assert_uint_le(longest, CONTROL_AHEAD + 256);
	ck_assert_uint_le(largest, 2 * CONTROL_AHEAD);
	/* It holds nothing now. */
	turn(1);
	ck_assert_ptr_null(f.control->peers->out.data);
	expect_status(&r);
	raw_close(&r);
}
END_TEST

START_TEST(get_while_things_end)
{
	struct raw r = raw_open();
	size_t n = 0;
	const Control__Answer *a;

	add_many();
	ask_get(&r, NULL, 0);
	turn(2);
	ck_assert_ptr_nonnull(f.control->peers->answer);
	/* From the first on over the one where it stands and further, then the family. */
	for (int i = 0; i < MANY - 10; i++)
		instance_end(f.model, f.ticks->by_name);
	raw_receive(&r);
	turn(1);
	family_remove(f.model, f.ticks);
	add(f.events, "last");
	while ((a = next(&r)) != NULL && a->is_case == CONTROL__ANSWER__IS_SAMPLE)
		n++;
	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq((int)a->is_case, CONTROL__ANSWER__IS_END);
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_lt(n, 2 * MANY);
	raw_close(&r);
}
END_TEST

START_TEST(caller_goes_in_the_middle)
{
	struct raw r = raw_open();

	add_many();
	ask_get(&r, NULL, 0);
	turn(2);
	ck_assert_ptr_nonnull(f.control->peers->answer);
	raw_close(&r);
	turn(3);
	ck_assert_uint_eq(f.control->n_peers, 0);
}
END_TEST

START_TEST(half_closed_caller_gets_its_answer)
{
	struct raw r = raw_open();
	const Control__Answer *a;
	size_t n = 0;

	add_many();
	ask_get(&r, NULL, 0);
	shutdown(r.fd, SHUT_WR);
	while ((a = next(&r)) != NULL && a->is_case == CONTROL__ANSWER__IS_SAMPLE)
		n++;
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(n, 2 * MANY);
	expect_closed(&r);
	raw_close(&r);
}
END_TEST

/* ---- the other requests ----------------------------------------------------------------------------------------- */

START_TEST(promises_and_explain)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__PromisesRequest promises = CONTROL__PROMISES_REQUEST__INIT;
	Control__ExplainRequest explain = CONTROL__EXPLAIN_REQUEST__INIT;
	char *pattern = (char *)"room";
	struct raw r = raw_open();
	const Control__Answer *a;

	fake_promise(&f.promises, "room.disk", "df:/", KITH_KEPT);
	fake_promise(&f.promises, "room.disk", "df:/home", KITH_BROKEN);
	fake_promise(&f.promises, "network.up", "interface:eth0", KITH_UNKNOWN);
	f.promises.n_parts = 5000;
	promises.patterns = &pattern;
	promises.n_patterns = 1;
	request.ask_case = CONTROL__REQUEST__ASK_PROMISES;
	request.promises = &promises;
	raw_ask(&r, &request);
	a = next_of(&r, CONTROL__ANSWER__IS_PROMISE);
	ck_assert_str_eq(a->promise->name, "room.disk");
	ck_assert_str_eq(a->promise->promisees[1], "db1");
	a = next_of(&r, CONTROL__ANSWER__IS_PROMISE);
	ck_assert_int_eq((int)a->promise->assessment, CONTROL__ASSESSMENT__BROKEN);
	next_of(&r, CONTROL__ANSWER__IS_END);

	explain.name = (char *)"room.disk";
	request.ask_case = CONTROL__REQUEST__ASK_EXPLAIN;
	request.explain = &explain;
	raw_ask(&r, &request);
	a = next_of(&r, CONTROL__ANSWER__IS_EXPLANATION);
	ck_assert_str_eq(a->explanation->promise->promiser, "df:/home"); /* the worst */
	ck_assert_uint_eq(a->explanation->others, 1);
	for (size_t i = 0; i < f.promises.n_parts; i++) {
		char text[32];

		snprintf(text, sizeof(text), "part%zu", i);
		ck_assert_str_eq(next_of(&r, CONTROL__ANSWER__IS_PART)->part->text, text);
	}
	next_of(&r, CONTROL__ANSWER__IS_END);
	explain.name = (char *)"room.dist";
	raw_ask(&r, &request);
	a = next_of(&r, CONTROL__ANSWER__IS_FAULT);
	ck_assert_int_eq(a->fault->code, CONTROL__CODE__NOT_FOUND);
	ck_assert_str_eq(a->fault->text, "no promise \"room.dist\": did you mean \"room.disk\"?");
	raw_close(&r);
}
END_TEST

START_TEST(plugins_cost_and_check)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__PluginsRequest plugins = CONTROL__PLUGINS_REQUEST__INIT;
	Control__CostRequest cost = CONTROL__COST_REQUEST__INIT;
	Control__CheckRequest check = CONTROL__CHECK_REQUEST__INIT;
	Control__File file = CONTROL__FILE__INIT, *files = &file;
	struct raw r = raw_open();
	const Control__Answer *a;

	fake_promise(&f.promises, "room.disk", "df:/", KITH_KEPT);
	request.ask_case = CONTROL__REQUEST__ASK_PLUGINS;
	request.plugins = &plugins;
	raw_ask(&r, &request);
	ck_assert_str_eq(next_of(&r, CONTROL__ANSWER__IS_PLUGIN)->plugin->name, "cpu");
	ck_assert_str_eq(next_of(&r, CONTROL__ANSWER__IS_PLUGIN)->plugin->reason, "needs systemd");
	next_of(&r, CONTROL__ANSWER__IS_END);
	request.ask_case = CONTROL__REQUEST__ASK_COST;
	request.cost = &cost;
	raw_ask(&r, &request);
	next_of(&r, CONTROL__ANSWER__IS_COST);
	next_of(&r, CONTROL__ANSWER__IS_COST);
	a = next_of(&r, CONTROL__ANSWER__IS_COST);
	ck_assert_str_eq(a->cost->kind, "promise");
	ck_assert_uint_eq(a->cost->calls, 10);
	next_of(&r, CONTROL__ANSWER__IS_END);
	file.path = (char *)"a.promise";
	file.text.data = (uint8_t *)(uintptr_t)"one odd\nand bad word";
	file.text.len = 20;
	check.files = &files;
	check.n_files = 1;
	request.ask_case = CONTROL__REQUEST__ASK_CHECK;
	request.check = &check;
	raw_ask(&r, &request);
	a = next_of(&r, CONTROL__ANSWER__IS_CHECK_FAULT);
	ck_assert(a->check_fault->warning);
	a = next_of(&r, CONTROL__ANSWER__IS_CHECK_FAULT);
	ck_assert_uint_eq(a->check_fault->line, 2);
	ck_assert_uint_eq(a->check_fault->column, 5);
	ck_assert_str_eq(a->check_fault->hint, "say \"good\"");
	a = next_of(&r, CONTROL__ANSWER__IS_END);
	ck_assert_uint_eq(a->end->errors, 1);
	ck_assert_uint_eq(a->end->warnings, 1);
	raw_close(&r);
}
END_TEST

START_TEST(status_counts)
{
	struct raw r = raw_open();
	const Control__Status *s;

	add(f.ticks, "a");
	add(f.events, "e");
	fake_promise(&f.promises, "room.disk", "df:/", KITH_BROKEN);
	record("df:/", "x");
	ask_status(&r);
	s = next_of(&r, CONTROL__ANSWER__IS_STATUS)->status;
	ck_assert_str_eq(s->host, "Web1");
	ck_assert_uint_eq(s->families, 2);
	ck_assert_uint_eq(s->series, 3);
	ck_assert_uint_eq(s->records, 1);
	ck_assert_uint_eq(s->broken, 1);
	ck_assert_uint_eq(s->plugins_running, 1);
	ck_assert_uint_eq(s->plugins_other, 1);
	ck_assert_uint_eq(s->clients, 1);
	raw_close(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase(s, "socket", setup_bare);
	SRunner *runner;
	int failed;

	tcase_add_test(t, socket_mode_and_removal);
	tcase_add_test(t, socket_left_behind_is_replaced);
	tcase_add_test(t, socket_of_another_is_not);
	tcase_add_test(t, socket_place_taken_by_a_file);
	t = tcase(s, "requests", setup);
	tcase_add_test(t, garbage_closes_that_connection_only);
	tcase_add_test(t, largest_request_is_read);
	tcase_add_test(t, unknown_request_is_answered);
	tcase_add_test(t, byte_by_byte);
	tcase_add_test(t, requests_in_one_go);
	tcase_add_test(t, flood_of_requests_without_reading);
	tcase_add_test(t, clients_and_one_more);
	tcase_add_test(t, out_of_descriptors);
	tcase_add_test(t, promises_and_explain);
	tcase_add_test(t, plugins_cost_and_check);
	tcase_add_test(t, status_counts);
	t = tcase(s, "get", setup);
	tcase_add_test(t, get_values);
	tcase_add_test(t, get_elsewhere);
	tcase_add_test(t, get_many_with_a_short_queue);
	tcase_add_test(t, get_while_things_end);
	tcase_add_test(t, caller_goes_in_the_middle);
	tcase_add_test(t, half_closed_caller_gets_its_answer);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
