/* host/: watches, starts and stops, and what happens to plugins that misbehave */
#include <check.h>
#include <errno.h>
#include <signal.h>

#include "host_plugin.h"

/* ---- watches ------------------------------------------------------------------------------------------------------ */

static int samples(void)
{
	return t.h->sample(t.h, count_call, NULL, &t.watch);
}

START_TEST(samples_on_the_tick)
{
	start("interval = 100ms", samples);
	fixture_until(&f, t.calls == 1);
	fixture_until(&f, t.calls == 4);
	ck_assert_uint_eq(fixture_info(&f, "t").calls, 5); /* and init */
	t.h->unwatch(t.h, t.watch);
	fixture_for(&f, 250 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 4);
	end();
	ck_assert_int_eq(t.finis, 1);
}
END_TEST

static int hear_fd(int fd, uint32_t events, void *user)
{
	char c;

	(void)user;
	ck_assert_int_eq(fd, t.fds[0]);
	t.events = events;
	t.calls++;
	if (t.result == 0)
		ck_assert_int_eq(read(fd, &c, 1), 1);
	return t.result;
}

START_TEST(watches_descriptors)
{
	start("", NULL);
	ck_assert_int_eq(pipe(t.fds), 0);
	ck_assert_int_eq(t.h->watch_fd(t.h, -1, KITH_READ, hear_fd, NULL, &t.watch), -EBADF);
	ck_assert_int_eq(t.h->watch_fd(t.h, t.fds[0], KITH_READ, hear_fd, NULL, &t.watch), 0);
	ck_assert_int_eq(write(t.fds[1], "ab", 2), 2);
	fixture_until(&f, t.calls == 2);
	ck_assert_uint_eq(t.events, KITH_READ);
	t.h->unwatch(t.h, t.watch);
	ck_assert_int_eq(write(t.fds[1], "c", 1), 1);
	fixture_for(&f, 50 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 2);
	close(t.fds[0]);
	close(t.fds[1]);
	end();
}
END_TEST

/* A descriptor whose callback fails stays readable: without a pause it would spin. */
START_TEST(backs_off_a_descriptor)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	t.result = -EIO;
	ck_assert_int_eq(pipe(t.fds), 0);
	ck_assert_int_eq(t.h->watch_fd(t.h, t.fds[0], KITH_READ, hear_fd, NULL, &t.watch), 0);
	ck_assert_int_eq(write(t.fds[1], "a", 1), 1);
	fixture_until(&f, fixture_info(&f, "t").state == HOST_BACKED_OFF);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "Input/output error"));
	fixture_for(&f, 200 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 3);
	t.result = 0;
	fixture_until(&f, t.calls == 4);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_uint_eq(fixture_info(&f, "t").failures, 3);
	close(t.fds[0]);
	close(t.fds[1]);
	end();
}
END_TEST

START_TEST(watches_timers)
{
	start("", NULL);
	ck_assert_int_eq(t.h->watch_timer(t.h, NS_PER_MS, 0, 0, count_call, NULL, NULL), 0);
	fixture_until(&f, t.calls == 1);
	fixture_for(&f, 30 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	ck_assert_int_eq(t.h->watch_timer(t.h, 0, 5 * NS_PER_MS, NS_PER_MS, count_call, NULL, &t.watch), 0);
	fixture_until(&f, t.calls == 4);
	end();
}
END_TEST

static int unwatch_itself(void *user)
{
	(void)user;
	t.calls++;
	t.h->unwatch(t.h, t.watch);
	t.h->unwatch(t.h, t.other);
	return 0;
}

START_TEST(unwatches_within_a_callback)
{
	start("interval = 100ms", NULL);
	ck_assert_int_eq(t.h->sample(t.h, unwatch_itself, NULL, &t.watch), 0);
	ck_assert_int_eq(t.h->sample(t.h, count_call, NULL, &t.other), 0);
	fixture_until(&f, t.calls == 1);
	fixture_for(&f, 250 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	end();
}
END_TEST

static int unwatch_outer(const char *instance, int wanted, void *user)
{
	(void)instance;
	(void)user;
	t.wanted += wanted;
	t.h->unwatch(t.h, t.watch);
	return 0;
}

static int nest(void *user)
{
	(void)user;
	t.calls++;
	return t.h->watch_wanted(t.h, 0, unwatch_outer, NULL, NULL);
}

/* The watch whose callback runs is dropped by a callback within it. */
START_TEST(unwatches_the_outer_callback)
{
	start("interval = 100ms", NULL);
	ck_assert_int_eq(model_want(f.model, "t", "x"), 0);
	ck_assert_int_eq(t.h->sample(t.h, nest, NULL, &t.watch), 0);
	fixture_until(&f, t.calls == 1);
	ck_assert_int_eq(t.wanted, 1);
	fixture_for(&f, 150 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	end();
}
END_TEST

static int hear_wanted(const char *instance, int wanted, void *user)
{
	(void)user;
	snprintf(t.name, sizeof(t.name), "%s", instance);
	t.wanted += wanted ? 1 : -1;
	return t.result;
}

static int watch_wanted_in_init(void)
{
	return t.h->watch_wanted(t.h, 0, hear_wanted, NULL, NULL);
}

START_TEST(is_told_what_is_wanted)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(t.h->watch_wanted(t.h, 7, hear_wanted, NULL, NULL), -EINVAL);
	ck_assert_int_eq(model_want(f.model, "t", "early"), 0);
	/* Stopped and started with the want standing: told within init */
	t.init = watch_wanted_in_init;
	fixture_reload(&f, "plugin t { number = 1 }");
	ck_assert_int_eq(t.inits, 2);
	ck_assert_int_eq(t.wanted, 1);
	ck_assert_str_eq(t.name, "early");
	ck_assert_int_eq(model_want(f.model, "t", "late*"), 0);
	ck_assert_str_eq(t.name, "late*");
	model_unwant(f.model, "t", "late*");
	ck_assert_int_eq(t.wanted, 1);
	/* Never passed over, even when it fails */
	t.result = -EIO;
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(model_want(f.model, "t", "more"), 0);
		ck_assert_int_eq(t.wanted, 2);
		model_unwant(f.model, "t", "more");
		ck_assert_int_eq(t.wanted, 1);
	}
	end();
}
END_TEST

START_TEST(a_dropped_watch_keeps_nobody_backed_off)
{
	start("interval = 100ms", samples);
	log_set_level((enum log_level)0);
	t.result = -EIO;
	fixture_until(&f, fixture_info(&f, "t").state == HOST_BACKED_OFF);
	t.h->unwatch(t.h, t.watch);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_str_eq(fixture_info(&f, "t").reason, "");
	end();
}
END_TEST

static int hear_file(const struct kith_file_event *event, void *user)
{
	(void)user;
	t.calls++;
	t.events |= event->what;
	snprintf(t.name, sizeof(t.name), "%s", event->name);
	return t.result;
}

START_TEST(resyncs_after_a_pause)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(t.h->watch_file(t.h, "relative", KITH_FILE_CHANGED, hear_file, NULL, NULL), -EINVAL);
	ck_assert_int_eq(t.h->watch_file(t.h, f.dir, KITH_FILE_CHANGED, hear_file, NULL, &t.watch), 0);
	touch("a");
	fixture_until(&f, t.calls == 1);
	ck_assert_str_eq(t.name, "a");
	t.result = -EIO;
	for (int i = 0; i < 2; i++) {
		int calls = t.calls;

		touch("a");
		fixture_until(&f, t.calls > calls);
	}
	touch("a");
	fixture_until(&f, fixture_info(&f, "t").state == HOST_BACKED_OFF);
	t.result = 0;
	t.calls = 0;
	touch("b");
	fixture_for(&f, 100 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 0);
	ck_assert_int_eq(t.resyncs, 0);
	fixture_until(&f, t.resyncs == 1);
	touch("b");
	fixture_until(&f, t.calls >= 1);
	untouch("a");
	untouch("b");
	end();
}
END_TEST

/* ---- options that change ------------------------------------------------------------------------------------------ */

START_TEST(refuses_wrong_options)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	fixture_reload(&f, "plugin t {\n  number = 11\n}\n");
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_REFUSED);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "kith.conf:2:12"));
	ck_assert_int_eq(t.finis, 1);
	ck_assert_ptr_null(family_find(f.model, "t", 1));
	fixture_reload(&f, "");
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_int_eq(t.inits, 2);
	end();
}
END_TEST

START_TEST(reconfigures)
{
	memset(&t, 0, sizeof(t));
	plugin = plugin_of("t");
	plugin.reconfigure = t_reconfigure;
	fixture_start(&f, "plugin t { number = 1 }");
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
	fixture_reload(&f, "plugin  t  { number = 1 } # the same");
	ck_assert_int_eq(t.reconfigures, 0);
	fixture_reload(&f, "plugin t { number = 2 }");
	ck_assert_int_eq(t.reconfigures, 1);
	ck_assert_int_eq(t.inits, 1);
	ck_assert_double_eq(t.h->option_number(t.h, "number"), 2);
	fixture_reload(&f, "interval = 3s\nplugin t { number = 2 }");
	ck_assert_int_eq(t.reconfigures, 2);
	fixture_reload(&f, "plugin t { enabled = no; number = 2 }");
	ck_assert_int_eq(t.finis, 1);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_SKIPPED);
	end();
	ck_assert_int_eq(t.finis, 1);
}
END_TEST

/* ---- starting and stopping ---------------------------------------------------------------------------------------- */

static int fail_after_much(void)
{
	kith_id id;

	ck_assert_int_eq(t.h->series(t.h, 0, "x", &id), 0);
	ck_assert_int_eq(t.h->sample(t.h, count_call, NULL, NULL), 0);
	ck_assert_int_eq(t.h->watch_timer(t.h, 0, NS_PER_MS, 0, count_call, NULL, NULL), 0);
	t.h->note(t.h, "no coffee");
	return -ENODEV;
}

START_TEST(a_start_that_fails_leaves_nothing)
{
	memset(&t, 0, sizeof(t));
	t.init = fail_after_much;
	plugin = plugin_of("t");
	fixture_start(&f, "interval = 100ms");
	log_set_level((enum log_level)0);
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_REFUSED);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "no coffee"));
	ck_assert_ptr_null(family_find(f.model, "t", 1));
	fixture_for(&f, 50 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 0);
	end();
	ck_assert_int_eq(t.finis, 0);
}
END_TEST

START_TEST(needs_are_looked_at)
{
	memset(&t, 0, sizeof(t));
	plugin = plugin_of("t");
	plugin.needs = 1ull << 60;
	fixture_start(&f, "");
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_SKIPPED);
	ck_assert_int_eq(t.inits, 0);
	end();
}
END_TEST

static int burn(void *user)
{
	int64_t until = clock_thread_cpu() + 8 * NS_PER_MS;

	(void)user;
	t.calls++;
	while (clock_thread_cpu() < until)
		;
	return 0;
}

/* 0.01 % of a core are 6 ms in a calm window, half a millisecond in one after a strike. */
START_TEST(over_its_budget_it_is_slowed)
{
	start("interval = 100ms\nplugin t { cpu_budget = 0.01% }", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(t.h->sample(t.h, burn, NULL, NULL), 0);
	fixture_until(&f, t.calls == 1);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_BACKED_OFF);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "slowed"));
	fixture_for(&f, 500 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	end();
}
END_TEST

START_TEST(over_its_budget_thrice_it_is_stopped)
{
	start("interval = 100ms\nplugin t { cpu_budget = 0.01% }", NULL);
	log_set_level((enum log_level)0);
	/* Watches of their own: a pause of one is none of the other's. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(t.h->watch_timer(t.h, 0, 0, 0, burn, NULL, NULL), 0);
	fixture_until(&f, fixture_info(&f, "t").state == HOST_STOPPED);
	fixture_until(&f, t.finis == 1);
	ck_assert_ptr_null(family_find(f.model, "t", 1));
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "cpu_budget"));
	/* It starts again when its section changes. */
	fixture_reload(&f, "plugin t { cpu_budget = 50% }");
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_int_eq(t.inits, 2);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *tc = tcase_create("watches"), *life = tcase_create("life");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_set_timeout(life, 60);
	tcase_add_test(tc, samples_on_the_tick);
	tcase_add_test(tc, watches_descriptors);
	tcase_add_test(tc, backs_off_a_descriptor);
	tcase_add_test(tc, watches_timers);
	tcase_add_test(tc, unwatches_within_a_callback);
	tcase_add_test(tc, unwatches_the_outer_callback);
	tcase_add_test(tc, is_told_what_is_wanted);
	tcase_add_test(tc, a_dropped_watch_keeps_nobody_backed_off);
	tcase_add_test(tc, resyncs_after_a_pause);
	suite_add_tcase(suite, tc);
	tcase_add_test(life, refuses_wrong_options);
	tcase_add_test(life, reconfigures);
	tcase_add_test(life, a_start_that_fails_leaves_nothing);
	tcase_add_test(life, needs_are_looked_at);
	tcase_add_test(life, over_its_budget_it_is_slowed);
	tcase_add_test(life, over_its_budget_thrice_it_is_stopped);
	suite_add_tcase(suite, life);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
