/* kith, the program, against a server of the test's own in a child process */
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/log.h"
#include "control_fixture.h"

static struct fixture f;
static pid_t server;

/* ---- the server ------------------------------------------------------------------------------------------------- */

static void on_tick(void *user)
{
	const struct kith_field fields[] = { { "pid", "12" } };
	const struct kith_record record = { .size = sizeof(record), .priority = KITH_WARNING, .subject = "tick:a",
		                            .message = "was \033[31mred", .fields = fields, .n_fields = 1 };
	const struct kith_transition transition = { .size = sizeof(transition), .from = KITH_KEPT, .to = KITH_BROKEN,
		                                    .severity = KITH_CRIT, .time = 1700000001500000000, .name = "room.disk",
		                                    .promiser = "df:/", .because = "so" };
	struct instance *i = instance_find(f.ticks, "a", 1);

	(void)user;
	model_set_now(f.model, model_now(f.model) + NS_PER_S);
	model_put(f.model, &f.owner, i->id, 2048, model_now(f.model));
	model_put(f.model, &f.owner, i->id + 1, (double)(model_now(f.model) / NS_PER_S), model_now(f.model));
	model_record(f.model, &record);
	model_transition(f.model, &transition);
}

static void serve(void)
{
	struct instance *i;

	log_set_level(LOG_LEVEL_ERR);
	if (fixture_server(&f, f.path, 0, 0) < 0 || loop_timer(f.loop, 0, 20 * NS_PER_MS, 0, on_tick, NULL, NULL) < 0)
		_exit(1);
	fake_promise(&f.promises, "room.disk", "df:/", KITH_KEPT);
	fake_promise(&f.promises, "room.disk", "df:/home", KITH_BROKEN);
	fake_promise(&f.promises, "network.up", "interface:eth0", KITH_UNKNOWN);
	f.promises.n_parts = 3;
	if (instance_add(f.model, f.ticks, "a", &i) < 0)
		_exit(1);
	model_put(f.model, &f.owner, i->id, 1024.5, model_now(f.model));
	if (instance_add(f.model, f.events, "\xff" "e", &i) < 0)
		_exit(1);
	model_put(f.model, &f.owner, i->id, 1, model_now(f.model));
	if (instance_add(f.model, f.events, "none", &i) < 0)
		_exit(1);
	loop_run(f.loop);
	_exit(0);
}

static void setup(void)
{
	struct stat st;

	ck_assert_int_eq(fixture_open(&f), 0);
	server = fork();
	if (server == 0)
		serve();
	for (int i = 0; i < 5000 && lstat(f.path, &st) < 0; i++)
		usleep(1000);
}

static void teardown(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	fixture_close(&f);
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

struct result {
	struct buf out, err;
	int status;
};

static void read_all(int fd, struct buf *b)
{
	char bytes[4096];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_append(b, bytes, (size_t)n);
	close(fd);
}

/*
 * `command` is given to the shell with KITH for the program; `kith` is the one that was built. timeout(1) stands there with --foreground: without it
 * SIGCONT follows its signal, and one that meets the leak checker at work stops both for good.
 */
static struct result run(const char *command)
{
	struct result r = { .out = BUF_INIT, .err = BUF_INIT };
	int out[2], err;
	char name[] = "/tmp/kith-test-err-XXXXXX";
	pid_t pid;

	err = mkstemp(name);
	ck_assert_int_ge(err, 0);
	unlink(name);
	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		setenv("KITH_SOCKET", f.path, 1);
		unsetenv("NO_COLOR");
		dup2(out[1], STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		execl("/bin/bash", "bash", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	read_all(out[0], &r.out);
	ck_assert_int_eq(waitpid(pid, &r.status, 0), pid);
	ck_assert_msg(WIFEXITED(r.status), "%s: %x", command, (unsigned)r.status);
	r.status = WEXITSTATUS(r.status);
	lseek(err, 0, SEEK_SET);
	read_all(err, &r.err);
	return r;
}

static void result_free(struct result *r)
{
	buf_free(&r->out);
	buf_free(&r->err);
}

/* Status, a text that standard output has in it, and one of standard error; NULL: nothing is there at all */
static void expect(const char *command, int status, const char *out, const char *err)
{
	struct result r = run(command);

	ck_assert_msg(r.status == status, "%s: status %d, not %d: %s%s", command, r.status, status, buf_text(&r.out),
	        buf_text(&r.err));
	ck_assert_msg(out ? strstr(buf_text(&r.out), out) != NULL : !r.out.length, "%s: printed %s", command,
	        buf_text(&r.out));
	ck_assert_msg(err ? strstr(buf_text(&r.err), err) != NULL : !r.err.length, "%s: said %s", command, buf_text(&r.err));
	result_free(&r);
}

static json_t *run_json(const char *command, int status)
{
	struct result r = run(command);
	json_error_t error;
	json_t *o = json_loadb(buf_text(&r.out), r.out.length, 0, &error);

	ck_assert_msg(r.status == status, "%s: status %d, not %d: %s", command, r.status, status, buf_text(&r.err));
	ck_assert_msg(o != NULL, "%s: %s in %s", command, error.text, buf_text(&r.out));
	result_free(&r);
	return o;
}

static const char *text_of(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);

	ck_assert_msg(json_is_string(value), "%s is no string", key);
	return json_string_value(value);
}

static void expect_keys(const json_t *o, const char *const *keys)
{
	for (; *keys; keys++)
		ck_assert_msg(json_object_get(o, *keys) != NULL, "%s is missing", *keys);
}

/* ---- the tests -------------------------------------------------------------------------------------------------- */

START_TEST(get_json)
{
	static const char *const keys[] = { "name", "value", "unit", "time", NULL };
	json_t *all = run_json("./kith get --json tick:a event", 0), *o;

	ck_assert_uint_eq(json_array_size(all), 4);
	o = json_array_get(all, 0);
	expect_keys(o, keys);
	ck_assert_uint_eq(json_object_size(o), 4);
	ck_assert_str_eq(text_of(o, "name"), "tick:a:level");
	ck_assert(json_is_number(json_object_get(o, "value")));
	ck_assert_str_eq(text_of(o, "unit"), "B");
	ck_assert_uint_eq(strlen(text_of(o, "time")), strlen("2026-11-22T13:01:37.042Z"));
	ck_assert_int_eq(text_of(o, "time")[23], 'Z');
	o = json_array_get(all, 2);
	ck_assert_str_eq(text_of(o, "name"), "event:\xef\xbf\xbd" "e:state");
	ck_assert_str_eq(text_of(o, "value"), "up");
	o = json_array_get(all, 3);
	ck_assert(json_is_null(json_object_get(o, "value")));
	ck_assert(json_is_null(json_object_get(o, "time")));
	json_decref(all);
	all = run_json("./kith --json get nothing:here 2> /dev/null", 1);
	ck_assert_uint_eq(json_array_size(all), 0);
	json_decref(all);
}
END_TEST

START_TEST(get_text)
{
	expect("./kith get tick:a:level", 0, "tick:a:level  2.00 KiB", NULL);
	expect("./kith get 'event:none:*'", 0, "event:none:state  -", NULL);
	expect("./kith get tick:a:level nope", 0, "tick:a:level", "nothing matches \"nope\"");
	expect("./kith get nope", 1, NULL, "nothing matches \"nope\"");
	expect("./kith get tick:a:level@web1 | wc -l", 0, "1", NULL);
	expect("./kith get tick:a:level@db1", 3, NULL, "no neighbours yet: \"db1\" is not this host");
	expect("./kith get ::", 2, NULL, "names nothing");
	expect("./kith --color always get tick:a:level", 0, "\033[1m", NULL);
	expect("./kith get tick:a:level | grep -c $'\\033'", 1, "0", NULL);
}
END_TEST

START_TEST(promises)
{
	static const char *const keys[] = { "name", "promiser", "promisees", "assessment", "since", "severity",
		"because", "flapping", NULL };
	json_t *all = run_json("./kith promises --json", 1), *o = json_array_get(all, 1);

	ck_assert_uint_eq(json_array_size(all), 3);
	expect_keys(o, keys);
	ck_assert_uint_eq(json_object_size(o), 10);
	ck_assert_str_eq(text_of(o, "assessment"), "broken");
	ck_assert_str_eq(text_of(o, "severity"), "critical");
	ck_assert_uint_eq(json_array_size(json_object_get(o, "promisees")), 2);
	json_decref(all);
	expect("./kith promises | head -1", 0, "broken", NULL);
	expect("./kith promises network", 0, "unknown  network.up", NULL);
	expect("./kith promises room.disk --kept", 0, "df:/ ", NULL);
	expect("./kith promises 'df:*' --broken", 1, "df:/home", NULL);
	expect("./kith promises none.such", 1, NULL, "nothing matches");
	expect("./kith promises --reliability", 1, NULL, "there is no history of promises: ");
}
END_TEST

START_TEST(explain)
{
	json_t *o = run_json("./kith explain --json room.disk", 1);

	ck_assert_str_eq(text_of(o, "promiser"), "df:/home");
	ck_assert_str_eq(text_of(o, "mend"), "free some room\nor promise less");
	ck_assert_uint_eq(json_array_size(json_object_get(o, "parts")), 3);
	ck_assert_str_eq(text_of(json_array_get(json_object_get(o, "parts"), 0), "holds"), "broken");
	ck_assert(json_is_null(json_object_get(json_array_get(json_object_get(o, "parts"), 1), "holds")));
	json_decref(o);
	expect("./kith explain room.disk df:/", 0, "room.disk (df:/) is kept for", NULL);
	expect("./kith explain room.disk", 1, "What would mend it:\n    free some room\n    or promise less\n", NULL);
	expect("./kith explain room.dist", 1, NULL, "did you mean \"room.disk\"?");
	expect("./kith explain", 2, NULL, "kith explain PROMISE [PROMISER]");
}
END_TEST

START_TEST(plugins_cost_status)
{
	static const char *const plugin_keys[] = { "name", "version", "state", "reason", "series", NULL };
	static const char *const cost_keys[] = { "name", "calls", "cpu_ns", "samples", "failures", "kind", NULL };
	json_t *o = run_json("./kith plugins --json", 0);

	ck_assert_uint_eq(json_array_size(o), 2);
	expect_keys(json_array_get(o, 0), plugin_keys);
	ck_assert_str_eq(text_of(json_array_get(o, 1), "state"), "skipped");
	json_decref(o);
	o = run_json("./kith cost -j", 0);
	ck_assert_uint_eq(json_array_size(o), 4); /* the two of room.disk are one */
	expect_keys(json_array_get(o, 2), cost_keys);
	ck_assert_str_eq(text_of(json_array_get(o, 2), "name"), "room.disk");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(o, 2), "calls")), 20);
	json_decref(o);
	o = run_json("./kith status --json", 0);
	ck_assert_str_eq(text_of(o, "host"), "Web1");
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(o, "promises"), "broken")), 1);
	json_decref(o);
	expect("./kith plugins", 0, "needs systemd", NULL);
	expect("./kith cost", 0, "plugin   cpu", NULL);
	expect("./kith status", 0, "1 broken, 1 unknown, 1 kept", NULL);
}
END_TEST

START_TEST(watch)
{
	json_t *o = run_json("./kith watch --json --samples --count 1 tick:a:level", 0);

	ck_assert_str_eq(text_of(o, "kind"), "sample");
	ck_assert_str_eq(text_of(o, "name"), "tick:a:level");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "value")), 2048);
	json_decref(o);
	o = run_json("./kith watch --json --records -n1", 0);
	ck_assert_str_eq(text_of(o, "kind"), "record");
	ck_assert_str_eq(text_of(o, "priority"), "warning");
	ck_assert_str_eq(text_of(o, "message"), "was \033[31mred");
	ck_assert_str_eq(text_of(json_object_get(o, "fields"), "pid"), "12");
	json_decref(o);
	o = run_json("./kith watch --json 'room.*' --count=1", 0);
	ck_assert_str_eq(text_of(o, "kind"), "transition");
	ck_assert_str_eq(text_of(o, "time"), "2023-11-14T22:13:21.500Z");
	ck_assert_str_eq(text_of(o, "from"), "kept");
	ck_assert_str_eq(text_of(o, "to"), "broken");
	json_decref(o);
	expect("./kith watch --records --count 1", 0, "tick:a: was ?[31mred  pid=12", NULL);
	expect("./kith watch --for 50ms none.such", 1, NULL, NULL);
	expect("./kith watch -v --for 50ms none.such", 1, NULL, "watching");
	expect("./kith watch --for 10s tick | head -1 | wc -l", 0, "1", NULL);
	expect("timeout --foreground -s INT 0.3 ./kith watch tick > /dev/null; echo $?", 0, "124", NULL);
	expect("./kith watch none.such & sleep 0.2; kill $!; wait $!", 1, NULL, NULL);
	expect("./kith watch > /dev/null & sleep 0.3; kill $!; wait $!", 0, NULL, NULL);
	expect("./kith watch tick@db1", 3, NULL, "no neighbours");
}
END_TEST

START_TEST(top)
{
	json_t *o = run_json("./kith top --json", 0);

	ck_assert_ptr_nonnull(json_object_get(o, "status"));
	ck_assert_uint_eq(json_array_size(json_object_get(o, "promises")), 3);
	ck_assert_str_eq(text_of(json_array_get(json_object_get(o, "promises"), 0), "assessment"), "broken");
	json_decref(o);
	expect("./kith top", 0, "1 broken, 1 unknown, 1 kept\nbroken   room.disk (df:/home)", NULL);
	expect("./kith top tick:a:total --count 2 | tail -1", 0, "packets/s", NULL);
	/* on a terminal: into the other screen and out of it again, also when it is stopped */
	expect("script -qec './kith top --for 300ms' /dev/null < /dev/null | tr -d '\\r'", 0, "\033[?1049h", NULL);
	expect("script -qec './kith top --for 300ms' /dev/null < /dev/null | tail -c 20", 0, "\033[?25h\033[?1049l", NULL);
	expect("script -qec 'timeout --foreground -s TERM 0.4 ./kith top' /dev/null < /dev/null | tail -c 20", 0,
	        "\033[?25h\033[?1049l", NULL);
}
END_TEST

START_TEST(check)
{
	json_t *o;
	struct result r = run("printf 'one odd\\nand bad word\\n' > $KITH_SOCKET.promise; printf 'fine\\n' > $KITH_SOCKET.good");

	result_free(&r);
	o = run_json("./kith check --json $KITH_SOCKET.promise", 1);
	ck_assert_uint_eq(json_array_size(o), 2);
	ck_assert_str_eq(text_of(json_array_get(o, 0), "severity"), "warning");
	ck_assert_str_eq(text_of(json_array_get(o, 1), "hint"), "say \"good\"");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(o, 1), "line")), 2);
	json_decref(o);
	expect("./kith check $KITH_SOCKET.promise", 1, "control.sock.promise:2:5: unknown word \"bad\"", NULL);
	expect("./kith check $KITH_SOCKET.good", 0, NULL, NULL);
	expect("./kith check /nonexistent", 2, NULL, "cannot read /nonexistent");
	r = run("rm $KITH_SOCKET.promise $KITH_SOCKET.good");
	result_free(&r);
}
END_TEST

START_TEST(usage)
{
	expect("./kith", 2, NULL, "kith help");
	expect("./kith stauts", 2, NULL, "did you mean \"status\"?");
	expect("./kith status more", 2, NULL, "does not take \"more\"");
	expect("./kith status --jsn", 2, NULL, "did you mean --json?");
	expect("./kith watch --count", 2, NULL, "--count needs an argument");
	expect("./kith watch --count=0", 2, NULL, "no number");
	expect("./kith watch --for 3parsecs", 2, NULL, "no duration");
	expect("./kith status --json=yes", 2, NULL, "takes no argument");
	expect("./kith status -x", 2, NULL, "unknown option -x");
	expect("./kith status --color red", 2, NULL, "auto, always or never");
	expect("./kith log --own --system", 2, NULL, "--own and --system exclude one another");
	expect("./kith graph tick -o /nonexistent/a.svg --json", 2, NULL, "leave out one of -o and --json");
	expect("COLUMNS=19 ./kith graph tick", 2, NULL, "a graph wants 20 columns, and here are 19");
	expect("./kith help", 0, "Commands:", NULL);
	expect("./kith --help", 0, "Commands:", NULL);
	expect("./kith help watch", 0, "--transitions", NULL);
	expect("./kith watch -h", 0, "--transitions", NULL);
	expect("./kith help nothing", 2, NULL, "no command");
	expect("./kith version", 0, "kith ", NULL);
	expect("./kith --version", 0, "kith ", NULL);
	expect("./kith --count 1 --records watch", 0, "tick:a", NULL);
	expect("./kith --timeout 2s get -- tick:a:level", 0, "tick:a:level", NULL);
}
END_TEST

START_TEST(times)
{
	static const char *const commands[] = { "get", "graph tick", "export csv", "explain room.disk df:/", "log" };
	static const char *const no_days[] = { "2026-02-29", "2026-02-31", "2026-04-31T00:00:00Z", "1900-02-29", "2026-11-28T24:01:00Z",
		"2026-11-28T10:00:00+30:00" };
	static const char *const futures[] = { "2300-01-01", "2262-04-12", "9999-12-31T23:59:59Z", "2040-02-29", "1795868000000", "4102444800" };
	char command[160];

	for (size_t c = 0; c < 5; c++)
		for (size_t i = 0; i < 6; i++) {
			snprintf(command, sizeof(command), "./kith %s --since '%s'", commands[c], no_days[i]);
			expect(command, 2, NULL, "is no time");
			snprintf(command, sizeof(command), "./kith %s --since %s", commands[c], futures[i]);
			if (c < 4)
				expect(command, 2, NULL, "is in the future\n");
		}
	expect("./kith get --until 2026-02-30", 2, NULL, "\"2026-02-30\" is no time");
	/* Ten digits are a time, nine so many seconds ago */
	expect("./kith get --since 1700000000 --until 1699999999.5", 2, NULL, "--until is not after --since");
	expect("./kith get --since 1700000000 --until 2023-11-14T22:13:20Z", 2, NULL, "--until is not after --since");
	expect("./kith get --since 100000000 --until 1000000000", 2, NULL, "--until is not after --since");
}
END_TEST

START_TEST(not_reached)
{
	char command[80];

	expect("KITH_SOCKET=/nonexistent/x ./kith status", 3, NULL,
	       "kithd does not answer at /nonexistent/x: is it running? (kithd -f; or set KITH_SOCKET)");
	expect("KITH_SOCKET= KITH_RUN_DIR=/nonexistent ./kith get", 3, NULL, "/nonexistent/control.sock");
	expect("./kith -s /nonexistent/y get --json 2> /dev/null | tr -d '\\n'; exit ${PIPESTATUS[0]}", 3, "[]", NULL);
	/* one that listens and says nothing */
	kill(server, SIGSTOP);
	expect("./kith --timeout 200ms status", 3, NULL, "did not answer within 0.2 s");
	kill(server, SIGCONT);
	/* one that dies meanwhile */
	snprintf(command, sizeof(command), "(sleep 0.2; kill -9 %d) & ./kith watch none.such", (int)server);
	expect(command, 3, NULL, "kithd closed the connection");
}
END_TEST

START_TEST(output_that_fails)
{
	expect("./kith get > /dev/full", 1, NULL, "cannot write: No space left on device");
	expect("./kith watch --for 5s > /dev/full", 1, NULL, "cannot write: No space left on device");
	/* nobody reads: quietly, and not 0 */
	expect("{ trap '' PIPE; while printf x 2>/dev/null; do :; done; ./kith get; echo $? >&2; } | true", 0, NULL, "1");
	expect("{ ./kith watch --for 5s; echo $? >&2; } | head -0", 0, NULL, "1\n");
	/* also while there is nothing to write */
	expect("{ timeout --foreground 20 ./kith watch none.such; echo $? >&2; } | sleep 0.3", 0, NULL, "1\n");
	expect("timeout --foreground 0.3 ./kith watch none.such > $KITH_SOCKET.file; echo $?; rm $KITH_SOCKET.file", 0, "124", NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli");
	TCase *t = tcase_create("kith");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, get_json);
	tcase_add_test(t, get_text);
	tcase_add_test(t, promises);
	tcase_add_test(t, explain);
	tcase_add_test(t, plugins_cost_status);
	tcase_add_test(t, watch);
	tcase_add_test(t, top);
	tcase_add_test(t, check);
	tcase_add_test(t, usage);
	tcase_add_test(t, times);
	tcase_add_test(t, not_reached);
	tcase_add_test(t, output_that_fails);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
