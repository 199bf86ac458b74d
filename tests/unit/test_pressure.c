#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "sources/pressure.h"

extern const struct kith_plugin kith_plugin;

#define SECOND INT64_C(1000000000)
#define MEMORY "some avg10=1.50 avg60=0.25 avg300=100.00 total=2500000\nfull avg10=0.50 avg60=0.10 avg300=0.01 total=1250000\n"
#define CPU "some avg10=20.41 avg60=14.47 avg300=10.44 total=1000000\n" /* before Linux 5.13 cpu has no full */

static struct fake_host *f;
static char root[64];
/* What the kernel of this test takes */
static struct {
	bool any_window;
	int refuses;
	int64_t stall, window;
	uint32_t flags;
	char path[64];
} kernel;
static int (*watch_source)(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user,
                           struct kith_watch **ret_watch);

static int kernel_watch(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user,
                        struct kith_watch **ret_watch)
{
	const struct kith_pressure_filter *p = filter;

	ck_assert_uint_eq(source, KITH_SOURCE_PRESSURE);
	ck_assert_uint_eq(p->size, sizeof(*p));
	if (kernel.refuses)
		return kernel.refuses;
	if (!kernel.any_window && p->window % (2 * SECOND))
		return -EINVAL;
	kernel.stall = p->stall;
	kernel.window = p->window;
	kernel.flags = p->flags;
	strcpy(kernel.path, p->path);
	return watch_source(h, source, filter, fn, user, ret_watch);
}

static void setup(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.any_window = true;
	fake_tree_new(root);
	ck_assert_int_eq(fake_write(root, "/proc/pressure/cpu", CPU), 0);
	ck_assert_int_eq(fake_write(root, "/proc/pressure/memory", MEMORY), 0);
	ck_assert_int_eq(fake_write(root, "/proc/pressure/io", MEMORY), 0);
	f = fake_host_new(&kith_plugin, root);
	watch_source = f->host.watch_source;
	f->host.watch_source = kernel_watch;
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static void start(void)
{
	ck_assert_int_eq(fake_host_start(f), 0);
}

static void stall(void)
{
	struct kith_pressure_event e = { sizeof(e), 0, "", f->now };

	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_PRESSURE, &e), 0);
}

START_TEST(averages)
{
	start();
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:some_avg10"), 1.5);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:some_avg60"), 0.25);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:some_avg300"), 100);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:some_total"), 2.5);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:full_avg300"), 0.01);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:full_total"), 1.25);
	ck_assert_double_eq(fake_host_value(f, "pressure:cpu:some_avg10"), 20.41);
	ck_assert(isnan(fake_host_value(f, "pressure:cpu:full_avg10")));
	ck_assert(!fake_host_has(f, "pressure", "irq")); /* this kernel has none */
	/* Nobody asked: no trigger, no timer, nothing that wakes */
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 0);
	ck_assert_int_eq(fake_host_advance(f, 1000 * SECOND), -ENOENT);
	ck_assert_ptr_null(f->note);
}
END_TEST

START_TEST(cut_off)
{
	double values[KITH_PRESSURE_VALUES];
	char text[sizeof(MEMORY)];

	for (size_t n = 0; n < sizeof(MEMORY); n++) {
		int lines;

		memcpy(text, MEMORY, n);
		text[n] = '\0';
		lines = kith_pressure_parse(text, values);
		ck_assert_int_eq(lines, n < 55 ? 0 : n < sizeof(MEMORY) - 1 ? 1 : 2);
		ck_assert(lines == 0 ? isnan(values[KITH_PRESSURE_SOME_TOTAL]) : values[KITH_PRESSURE_SOME_TOTAL] == 2.5);
		ck_assert(lines < 2 ? isnan(values[KITH_PRESSURE_FULL_AVG10]) : values[KITH_PRESSURE_FULL_AVG10] == 0.5);
	}
	/* One that is bad does not keep the others away */
	start();
	ck_assert_int_eq(fake_write(root, "/proc/pressure/cpu", "garbage\n"), 0);
	ck_assert_int_eq(fake_host_sample(f), -EBADMSG);
	ck_assert_double_eq(fake_host_value(f, "pressure:io:some_avg10"), 1.5);
	ck_assert(isnan(fake_host_value(f, "pressure:cpu:some_avg10")));
}
END_TEST

START_TEST(stalls)
{
	fake_host_want(f, 0, "memory", true);
	start();
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 1);
	ck_assert_str_eq(kernel.path, "/proc/pressure/memory");
	ck_assert_int_eq(kernel.window, 2 * SECOND);
	ck_assert_int_eq(kernel.stall, SECOND * 15 / 100);
	ck_assert_str_eq(fake_host_state(f, "pressure:memory:state"), "calm");
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:stalls"), 0);
	stall();
	ck_assert_str_eq(fake_host_state(f, "pressure:memory:state"), "stalled");
	ck_assert_ptr_nonnull(fake_host_record(f, "5 pressure:memory some tasks waited for memory for 0.150 s within 2.0 s"));
	/* Goes on: counted, no more records, no more states */
	for (int i = 0; i < 9; i++) {
		fake_host_advance(f, 2 * SECOND);
		stall();
	}
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:stalls"), 10);
	ck_assert_uint_eq(f->n_records, 1);
	ck_assert_uint_eq(fake_host_puts(f, "pressure:memory:state"), 2);
	ck_assert_int_eq(fake_host_advance(f, 4 * SECOND), 0);
	ck_assert_str_eq(fake_host_state(f, "pressure:memory:state"), "stalled");
	ck_assert_int_eq(fake_host_advance(f, 3 * SECOND), 0);
	ck_assert_str_eq(fake_host_state(f, "pressure:memory:state"), "calm");
	ck_assert_ptr_nonnull(fake_host_record(f, "no more stalls for memory: 10 within 20 s"));
	ck_assert_int_eq(fake_host_advance(f, 1000 * SECOND), -ENOENT); /* no timer left */
	stall();
	ck_assert_str_eq(fake_host_state(f, "pressure:memory:state"), "stalled");
	ck_assert_uint_eq(f->n_records, 3);
	fake_host_want(f, 0, "memory", false);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 0);
	ck_assert_int_eq(fake_host_advance(f, 1000 * SECOND), -ENOENT);
}
END_TEST

START_TEST(clock_set_back)
{
	fake_host_want(f, 0, "memory", true);
	start();
	stall();
	f->now -= 3600 * SECOND;
	ck_assert_int_eq(fake_host_advance(f, 3600 * SECOND + 6 * SECOND), 0);
	ck_assert_str_eq(fake_host_state(f, "pressure:memory:state"), "calm");
}
END_TEST

START_TEST(everything_by_a_glob)
{
	ck_assert_int_eq(fake_write(root, "/proc/pressure/irq", "full avg10=0.00 avg60=0.00 avg300=0.00 total=7000000\n"), 0);
	fake_host_option(f, "triggers", "io, nonsense");
	start();
	ck_assert_ptr_nonnull(strstr(f->last_log, "nonsense"));
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 1);
	fake_host_want(f, 0, "*", true);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 4);
	ck_assert_uint_eq(kernel.flags, KITH_PRESSURE_FULL); /* irq was the last */
	fake_host_want(f, 0, "io", true);
	fake_host_want(f, 0, "io", false);
	fake_host_want(f, 0, "*", false);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 1);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "pressure:irq:full_total"), 7);
	ck_assert(isnan(fake_host_value(f, "pressure:irq:some_total")));
}
END_TEST

START_TEST(another_window)
{
	kernel.any_window = false;
	fake_host_option(f, "window", "500ms");
	fake_host_option(f, "stall", "50ms");
	fake_host_want(f, 0, "memory", true);
	start();
	ck_assert_int_eq(kernel.window, 2 * SECOND);
	ck_assert_int_eq(kernel.stall, SECOND / 5); /* the same part of it */
	ck_assert_ptr_nonnull(strstr(f->note, "2 s instead of 0.5 s"));
	fake_host_want(f, 0, "memory", false);
	ck_assert_ptr_null(f->note);
	fake_host_option(f, "window", "9s");
	fake_host_option(f, "stall", NULL);
	ck_assert_int_eq(fake_host_reconfigure(f), 0);
	fake_host_want(f, 0, "io", true);
	ck_assert_int_eq(kernel.window, 10 * SECOND);
	ck_assert_int_eq(kernel.stall, 5 * SECOND);
}
END_TEST

START_TEST(no_right)
{
	kernel.refuses = -EROFS;
	fake_host_want(f, 0, "memory", true);
	start();
	ck_assert_ptr_nonnull(strstr(f->note, "may not be written"));
	ck_assert(isnan(fake_host_value(f, "pressure:memory:stalls"))); /* unknown, not none */
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:some_avg10"), 1.5);
	/* Asked again, tried again */
	fake_host_want(f, 0, "memory", false);
	ck_assert_ptr_null(f->note);
	kernel.refuses = 0;
	fake_host_want(f, 0, "memory", true);
	ck_assert_double_eq(fake_host_value(f, "pressure:memory:stalls"), 0);
	/* Taken away */
	stall();
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_PRESSURE, NULL), 0);
	ck_assert_ptr_nonnull(f->note);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 0);
	ck_assert_str_eq(fake_host_state(f, "pressure:memory:state"), "calm");
}
END_TEST

START_TEST(none)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/proc/pressure", root);
	fake_tree_free(path);
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f->note, "psi=1"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pressure");
	TCase *c = tcase_create("pressure");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, averages);
	tcase_add_test(c, cut_off);
	tcase_add_test(c, stalls);
	tcase_add_test(c, clock_set_back);
	tcase_add_test(c, everything_by_a_glob);
	tcase_add_test(c, another_window);
	tcase_add_test(c, no_right);
	tcase_add_test(c, none);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
