/* The exec plugin's checks without running any: entries, when they run and how many, what comes of their end. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"
#include "fake_spawn.h"

extern const struct kith_plugin kith_plugin;

#define S INT64_C(1000000000)
#define STATUS(code) ((code) << 8)

static struct fake_host *f;
static struct fake_spawn s;
static const char *list[80];

/* Of the fake host's lists a blank ends an item: here they are given as they are. */
static size_t option_list(const struct kith_host *h, const char *name, const char *const **ret_list)
{
	size_t n = 0;

	(void)h;
	if (strcmp(name, "checks") != 0)
		return 0;
	while (list[n])
		n++;
	*ret_list = list;
	return n;
}

static double option_number(const struct kith_host *h, const char *name)
{
	(void)h;
	return !strcmp(name, "every") ? 60 : !strcmp(name, "timeout") ? 10 : !strcmp(name, "at_once") ? 4 : 1000;
}

static void start(void)
{
	f = fake_host_new(&kith_plugin, "");
	fake_spawn_use(&s, f);
	f->host.option_list = option_list;
	f->host.option_number = option_number;
	ck_assert_int_eq(fake_host_start(f), 0);
}

static void end(void)
{
	fake_host_free(f);
	f = NULL;
	ck_assert_uint_eq(s.running, 0);
	memset(list, 0, sizeof(list));
}

/* ---- entries ---------------------------------------------------------------------------------------------------- */

static const struct entry_case {
	const char *source, *why; /* NULL: it is good */
} entries[] = {
	{ "a /x", NULL },
	{ " a\t/x  y ", NULL },
	{ "a every=5m timeout=500ms watch=/a watch=/b record=x:* /x", NULL },
	{ "a every=never /x", NULL },
	{ "A.b_c-9 every=1.5 /x key=value", NULL },
	{ "a '/with blank/x'", NULL },
	{ "", "it is empty" },
	{ "  ", "it is empty" },
	{ "a", "no program" },
	{ "a every=5m", "no program" },
	{ "/x a", "is no name" },
	{ ".a /x", "is no name" },
	{ "a/b /x", "is no name" },
	{ "a:b /x", "is no name" },
	{ "'' /x", "is no name" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa /x", "is no name" },
	{ "a x/y", "\"x/y\" is neither KEY=VALUE nor a program" },
	{ "a interval=5s /x", "there is no setting \"interval\"" },
	{ "a =5s /x", "there is no setting \"\"" },
	{ "a every= /x", "every= is no duration" },
	{ "a every=x /x", "every=x is no duration" },
	{ "a every=5y /x", "every=5y is no duration" },
	{ "a every=1e3 /x", "is no duration" },
	{ "a every=-5s /x", "is no duration" },
	{ "a every=nan /x", "is no duration" },
	{ "a every=1ms /x", "from 0.1 s to 604800 s" },
	{ "a every=8d /x", "from 0.1 s to 604800 s" },
	{ "a timeout=2h /x", "from 0.1 s to 3600 s" },
	{ "a timeout=never /x", "is no duration" },
	{ "a watch=x /x", "watch=x is no absolute path" },
	{ "a record= /x", "record= names no subject" },
	{ "a /x 'y", "a ' that is not closed" },
	{ "a /x \"y", "a \" that is not closed" },
	{ "a /x y\\", "a backslash at the end" },
};

START_TEST(test_entry)
{
	const struct entry_case *c = &entries[_i];
	char name[ENTRY_NAME_MAX + 1], why[256] = "";
	struct entry *e = NULL;

	ck_assert_int_eq(entry_parse(c->source, 60 * S, 10 * S, &e, name, why, sizeof(why)), c->why ? -EINVAL : 0);
	if (c->why)
		ck_assert_msg(strstr(why, c->why), "\"%s\": %s", c->source, why);
	else
		ck_assert_str_eq(e->name, name);
	entry_free(e);
}
END_TEST

START_TEST(test_entry_words)
{
	char name[ENTRY_NAME_MAX + 1], why[256];
	struct entry *e;

	ck_assert_int_eq(entry_parse("a watch=/p record=r every=2m /x 'a  b' \"c'd\\\"\\\\\\n\" e\\ f g''h '' $HOME", 60 * S, 10 * S, &e, name, why,
	                             sizeof(why)), 0);
	ck_assert_int_eq(e->every, 120 * S);
	ck_assert_int_eq(e->timeout, 10 * S);
	ck_assert_uint_eq(e->n_watch, 1);
	ck_assert_uint_eq(e->n_record, 1);
	ck_assert_str_eq(e->watch[0], "/p");
	ck_assert_str_eq(e->record[0], "r");
	ck_assert_str_eq(e->argv[0], "/x");
	ck_assert_str_eq(e->argv[1], "a  b");
	ck_assert_str_eq(e->argv[2], "c'd\"\\\\n");
	ck_assert_str_eq(e->argv[3], "e f");
	ck_assert_str_eq(e->argv[4], "gh");
	ck_assert_str_eq(e->argv[5], "");
	ck_assert_str_eq(e->argv[6], "$HOME");
	ck_assert_ptr_null(e->argv[7]);
	entry_free(e);
}
END_TEST

START_TEST(test_entry_long)
{
	char text[2048] = "a /x", name[ENTRY_NAME_MAX + 1], why[256];
	struct entry *e = NULL;

	for (int i = 2; i < ENTRY_WORDS_MAX; i++)
		strcat(text, " w");
	ck_assert_int_eq(entry_parse(text, S, S, &e, name, why, sizeof(why)), 0);
	entry_free(e);
	strcat(text, " w");
	ck_assert_int_eq(entry_parse(text, S, S, &e, name, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "more than 256 words"));
}
END_TEST

/* ---- when they run ---------------------------------------------------------------------------------------------- */

START_TEST(test_none)
{
	start();
	ck_assert_str_eq(f->note, "no check is configured");
	ck_assert_int_eq(fake_host_advance(f, 3600 * S), -ENOENT); /* not even a timer */
	ck_assert_uint_eq(s.started, 0);
	end();
}
END_TEST

START_TEST(test_first_runs_are_spread)
{
	static char texts[64][32];
	unsigned most = 0, steps = 0;

	for (int i = 0; i < 64; i++) {
		snprintf(texts[i], sizeof(texts[i]), "c%d /c%d", i, i);
		list[i] = texts[i];
	}
	start();
	ck_assert_uint_eq(s.started, 0); /* nothing runs within init */
	for (int step = 0; step < 110; step++) {
		unsigned before = s.started;

		fake_host_advance(f, S / 10);
		steps += s.started > before;
		if (s.started - before > most)
			most = s.started - before;
		for (size_t k = 0; k < FAKE_SPAWNS_MAX; k++)
			if (s.all[k].runs)
				fake_spawn_end(&s, s.all[k].line, 0, 0, "OK", "");
	}
	ck_assert_uint_eq(s.started, 64);
	ck_assert_uint_le(most, 2);
	ck_assert_uint_ge(steps, 40);
	fake_host_advance(f, 61 * S);
	ck_assert_uint_eq(s.running, 4); /* the others wait for their turn */
	end();
}
END_TEST

START_TEST(test_not_twice_and_counted)
{
	list[0] = "a every=10s timeout=1m /a";
	start();
	fake_host_advance(f, S);
	ck_assert_uint_eq(s.started, 1);
	fake_host_advance(f, 25 * S);
	ck_assert_uint_eq(s.started, 1);
	ck_assert(fake_host_value(f, "check:a:skipped") == 2);
	ck_assert_ptr_null(fake_host_state(f, "check:a:state"));
	ck_assert_int_eq(fake_spawn_end(&s, "/a", 0, 0, "OK", ""), 0);
	ck_assert_str_eq(fake_host_state(f, "check:a:state"), "ok");
	fake_host_advance(f, 10 * S);
	ck_assert_uint_eq(s.started, 2);
	end();
}
END_TEST

START_TEST(test_events)
{
	list[0] = "a every=never watch=/p record=interface:* /a";
	start();
	fake_host_advance(f, 3600 * S);
	ck_assert_uint_eq(s.started, 0);
	ck_assert_int_eq(fake_host_file(f, "/p", "", KITH_FILE_CHANGED), 0);
	ck_assert_uint_eq(s.started, 1);
	/* What comes while it runs is answered by one more run, not at once. */
	fake_host_file(f, "/p", "", KITH_FILE_REMOVED);
	fake_host_file(f, "/p", "", KITH_FILE_ADDED);
	fake_spawn_end(&s, "/a", 0, 0, "OK", "");
	ck_assert_uint_eq(s.started, 1);
	fake_host_advance(f, S);
	ck_assert_uint_eq(s.started, 2);
	fake_spawn_end(&s, "/a", 0, 0, "OK", "");
	fake_host_advance(f, 10 * S);
	ck_assert_uint_eq(s.started, 2);
	/* A thousand at once */
	for (int i = 0; i < 1000; i++) {
		fake_host_file(f, "/p", "", KITH_FILE_CHANGED);
		fake_spawn_end(&s, "/a", 0, 0, "OK", "");
	}
	ck_assert_uint_eq(s.started, 3);
	fake_host_advance(f, 10 * S);
	ck_assert_uint_eq(s.started, 4);
	fake_spawn_end(&s, "/a", 0, 0, "OK", "");
	end();
}
END_TEST

static void tell_record(const char *subject)
{
	struct kith_record r = { .size = sizeof(r), .priority = KITH_NOTICE, .subject = subject, .message = "it is so" };

	ck_assert_int_eq(kith_plugin.on_record(f->state, &r), 0);
}

START_TEST(test_records)
{
	list[0] = "a every=never record=interface:* record=check:* /a";
	start();
	tell_record("disk:sda");
	tell_record("check:a"); /* its own */
	ck_assert_uint_eq(s.started, 0);
	tell_record("interface:eth0");
	ck_assert_uint_eq(s.started, 1);
	fake_spawn_end(&s, "/a", 0, 0, "OK", "");
	fake_host_advance(f, 2 * S);
	tell_record("check:ab");
	ck_assert_uint_eq(s.started, 2);
	end();
}
END_TEST

/* Killed, but it sleeps in the kernel: it does not keep its place, and is not run beside itself. */
START_TEST(test_stuck)
{
	list[0] = "a every=10s /stuck";
	list[1] = "b every=10s /b";
	start();
	fake_host_advance(f, 5 * S);
	ck_assert_int_eq(fake_spawn_end(&s, "/b", 0, 0, "OK", ""), 0);
	fake_host_advance(f, 20 * S);
	ck_assert_str_eq(fake_host_state(f, "check:a:state"), "unknown");
	ck_assert_ptr_nonnull(fake_host_record(f, "3 check:a it was killed because its time was up, and does not end"));
	ck_assert(fake_spawn_runs(&s, "/stuck"));
	fake_host_advance(f, 60 * S);
	ck_assert(fake_host_value(f, "check:a:runs") != 2);
	ck_assert(fake_host_value(f, "check:a:skipped") >= 7);
	ck_assert_int_eq(fake_spawn_end(&s, "/stuck", SIGKILL, KITH_ENDED_TIMEOUT, "", ""), 0);
	ck_assert(fake_host_value(f, "check:a:timeouts") == 1);
	fake_host_advance(f, 10 * S);
	ck_assert(fake_spawn_runs(&s, "/stuck"));
	end();
}
END_TEST

START_TEST(test_cannot_be_run)
{
	list[0] = "a every=10s /a";
	start();
	s.fail = -EACCES;
	fake_host_advance(f, S);
	ck_assert_str_eq(fake_host_state(f, "check:a:state"), "unknown");
	ck_assert(isnan(fake_host_value(f, "check:a:duration")));
	ck_assert_ptr_nonnull(fake_host_record(f, "3 check:a it cannot be run: Permission denied (/a)"));
	s.fail = 0;
	fake_host_advance(f, 10 * S);
	ck_assert_int_eq(fake_spawn_end(&s, "/a", STATUS(0), 0, "fine", ""), 0);
	ck_assert_str_eq(fake_host_state(f, "check:a:state"), "ok");
	ck_assert_ptr_nonnull(fake_host_record(f, "5 check:a fine check=a state=ok was=unknown output=fine"));
	ck_assert_uint_eq(f->n_records, 2);
	end();
}
END_TEST

/* ---- values ----------------------------------------------------------------------------------------------------- */

static void once(int code, const char *output)
{
	fake_host_file(f, "/p", "", KITH_FILE_CHANGED);
	ck_assert_int_eq(fake_spawn_end(&s, "/a", STATUS(code), 0, output, ""), 0);
	fake_host_advance(f, 2 * S);
}

START_TEST(test_values_come_and_go)
{
	list[0] = "a every=never watch=/p /a";
	start();
	once(0, "OK | x=1 y=2");
	once(0, "OK | x=1 y=U");
	once(0, "OK | x=1");
	ck_assert(fake_host_value(f, "perf:a/y:value") == 2);
	once(0, "OK | x=1");
	ck_assert(!fake_host_has(f, "perf", "a/y"));
	once(0, "OK | x=5s");
	ck_assert(!fake_host_has(f, "perf", "a/x"));
	ck_assert(fake_host_value(f, "perf_seconds:a/x:value") == 5);
	once(0, "OK | x=5s");
	fake_host_cap(f, "perf", 1);
	once(0, "OK | x=5s u=1 v=2 w=3s");
	ck_assert(fake_host_value(f, "perf:a/u:value") == 1);
	ck_assert(fake_host_value(f, "perf_seconds:a/w:value") == 3);
	ck_assert_ptr_nonnull(strstr(f->last_log, "\"v\": there are as many values as there may be (max_instances)"));
	end();
}
END_TEST

START_TEST(test_records_of_changes_alone)
{
	list[0] = "a every=never watch=/p /a";
	start();
	once(0, "fine");
	ck_assert_uint_eq(f->n_records, 0);
	once(1, "so so");
	once(1, "so so still");
	ck_assert_uint_eq(f->n_records, 1);
	ck_assert_ptr_nonnull(fake_host_record(f, "4 check:a so so check=a state=warning was=ok output=so so"));
	once(2, "bad | x=1\nvery bad");
	ck_assert_ptr_nonnull(fake_host_record(f, "2 check:a bad check=a state=critical was=warning output=bad / very bad"));
	once(0, "fine");
	ck_assert_ptr_nonnull(fake_host_record(f, "5 check:a fine check=a state=ok was=critical output=fine"));
	ck_assert_uint_eq(f->n_records, 3);
	end();
}
END_TEST

/* ---- another configuration -------------------------------------------------------------------------------------- */

START_TEST(test_reconfigure)
{
	list[0] = "a every=10s /a";
	list[1] = "b every=10s /b";
	list[2] = "c every=10s /c";
	start();
	fake_host_advance(f, 11 * S);
	ck_assert_uint_eq(s.running, 3);
	list[0] = "c every=10s /c2";
	list[1] = "a every=10s /a";
	list[2] = "b every=oops /b";
	list[3] = "a /again";
	list[4] = "d nothing";
	ck_assert_int_eq(fake_host_reconfigure(f), 0);
	ck_assert(fake_spawn_runs(&s, "/a") && fake_spawn_runs(&s, "/b") && !fake_spawn_runs(&s, "/c"));
	ck_assert_uint_eq(s.killed, 1);
	ck_assert_ptr_nonnull(strstr(f->note, "3 of 6 checks cannot be run as written: \"b every=oops /b\": every=oops is no duration"));
	fake_host_advance(f, 11 * S);
	ck_assert(fake_spawn_runs(&s, "/c2"));
	list[0] = NULL;
	ck_assert_int_eq(fake_host_reconfigure(f), 0);
	ck_assert_uint_eq(s.running, 0);
	ck_assert_uint_eq(s.killed, 4);
	ck_assert_uint_eq(fake_host_instances(f, "check"), 0);
	ck_assert_str_eq(f->note, "no check is configured");
	ck_assert_int_eq(fake_host_advance(f, 3600 * S), -ENOENT);
	end();
}
END_TEST

/* An older kithd: refused, with what to do */
START_TEST(test_old_host)
{
	f = fake_host_new(&kith_plugin, "");
	f->host.size = offsetof(struct kith_host, spawn_capture);
	ck_assert_int_eq(fake_host_start(f), -ENOSYS);
	ck_assert_ptr_nonnull(strstr(f->note, "update it"));
	fake_host_free(f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exec");
	TCase *t = tcase_create("exec");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, test_entry, 0, sizeof(entries) / sizeof(entries[0]));
	tcase_add_test(t, test_entry_words);
	tcase_add_test(t, test_entry_long);
	tcase_add_test(t, test_none);
	tcase_add_test(t, test_first_runs_are_spread);
	tcase_add_test(t, test_not_twice_and_counted);
	tcase_add_test(t, test_events);
	tcase_add_test(t, test_records);
	tcase_add_test(t, test_stuck);
	tcase_add_test(t, test_cannot_be_run);
	tcase_add_test(t, test_values_come_and_go);
	tcase_add_test(t, test_records_of_changes_alone);
	tcase_add_test(t, test_reconfigure);
	tcase_add_test(t, test_old_host);
	suite_add_tcase(suite, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
