/* The clock plugin, with clocks of the test's own */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock/clock.h"
#include "fake_host.h"

extern const struct kith_plugin kith_plugin;

static struct clocks clocks;
static struct timex ntp;
static int fail_watch, fail_ntp, watch_fd;
static bool was_set;
static struct fake_host *f;

void kernel_clocks(struct clocks *ret_clocks)
{
	*ret_clocks = clocks;
}

int kernel_ntp(struct timex *ret_timex)
{
	*ret_timex = ntp;
	return fail_ntp;
}

int kernel_set_watch(void)
{
	return fail_watch ? fail_watch : (watch_fd = open("/dev/null", O_RDONLY | O_CLOEXEC));
}

int kernel_set_read(int fd)
{
	bool set = was_set;

	ck_assert_int_eq(fd, watch_fd);
	was_set = false;
	return set;
}

#define S(x) ((int64_t)((x) * 1e9))

static void start(void)
{
	clocks = (struct clocks){ .wall = S(1700000000), .boot = S(5000), .awake = S(4000) };
	ntp = (struct timex){ .status = STA_NANO };
	f = fake_host_new(&kith_plugin, "");
	ck_assert_int_eq(fake_host_start(f), 0);
}

static void pass(double seconds)
{
	clocks.wall += S(seconds);
	clocks.boot += S(seconds);
	clocks.awake += S(seconds);
	ck_assert_int_eq(fake_host_sample(f), 0);
}

static void set(double by)
{
	clocks.wall += S(by);
	was_set = true;
	ck_assert_int_eq(fake_host_fd(f, watch_fd, KITH_READ), 0);
}

START_TEST(steps)
{
	start();
	pass(10);
	ck_assert(fake_host_value(f, "clock:steps") == 0 && isnan(fake_host_value(f, "clock:step")));
	set(3600);
	ck_assert(fake_host_value(f, "clock:steps") == 1 && fake_host_value(f, "clock:step") == 3600);
	ck_assert_str_eq(fake_host_record(f, "clock"), "4 clock the clock was set forward by 1 h 0 min 0.000 s step=3600");
	set(-86400 - 61.5);
	ck_assert_str_eq(fake_host_record(f, "back"), "4 clock the clock was set back by 1 d 0 h 1 min 1.500 s step=-86461.5");
	ck_assert(fake_host_value(f, "clock:steps") == 2);
	pass(10);
	ck_assert_uint_eq(f->n_records, 2);
	/* A tick may come before it is told. */
	clocks.wall += S(60);
	was_set = true;
	pass(10);
	ck_assert(fake_host_value(f, "clock:steps") == 3);
	ck_assert_int_eq(fake_host_fd(f, watch_fd, KITH_READ), 0);
	ck_assert(fake_host_value(f, "clock:steps") == 3);
	fake_host_free(f);
}
END_TEST

/* What a time service corrects bit by bit is no step, however much it comes to; nor is a small one. */
START_TEST(corrections)
{
	start();
	for (int i = 0; i < 1000; i++) {
		clocks.wall += S(0.005);
		pass(10);
	}
	set(0.009);
	ck_assert(fake_host_value(f, "clock:steps") == 0);
	set(0.011);
	ck_assert(fake_host_value(f, "clock:steps") == 1);
	/* Readable without a reason */
	clocks.wall += S(5);
	ck_assert_int_eq(fake_host_fd(f, watch_fd, KITH_READ), 0);
	ck_assert(fake_host_value(f, "clock:steps") == 1);
	fake_host_free(f);
}
END_TEST

START_TEST(sleep_is_no_step)
{
	start();
	pass(10);
	clocks.wall += S(7200);
	clocks.boot += S(7200);
	was_set = true; /* the kernel cancels the timer then, too */
	ck_assert_int_eq(fake_host_fd(f, watch_fd, KITH_READ), 0);
	ck_assert(fake_host_value(f, "clock:slept") == 7200 && fake_host_value(f, "clock:steps") == 0);
	ck_assert_str_eq(fake_host_record(f, "slept"), "5 clock the machine slept for 2 h 0 min 0.000 s slept=7200");
	clocks.wall += S(60) + S(1);
	clocks.boot += S(60);
	was_set = true; /* its own clock was not right when it awoke */
	ck_assert_int_eq(fake_host_fd(f, watch_fd, KITH_READ), 0);
	ck_assert(fake_host_value(f, "clock:slept") == 7260 && fake_host_value(f, "clock:step") == 1);
	fake_host_free(f);
}
END_TEST

START_TEST(how_it_is_kept)
{
	start();
	ntp = (struct timex){ .status = STA_NANO, .offset = 1500000, .freq = 65536 * 12, .esterror = 250, .maxerror = 16000, .tai = 37 };
	pass(10);
	ck_assert_str_eq(fake_host_state(f, "clock:synchronised"), "yes");
	ck_assert_str_eq(fake_host_state(f, "clock:leap"), "none");
	ck_assert_double_eq_tol(fake_host_value(f, "clock:offset"), 0.0015, 1e-12);
	ck_assert(fake_host_value(f, "clock:frequency") == 12 && fake_host_value(f, "clock:tai_offset") == 37);
	ck_assert_double_eq_tol(fake_host_value(f, "clock:maximum_error"), 0.016, 1e-12);
	ck_assert_uint_eq(f->n_records, 0);
	ntp.status = STA_UNSYNC | STA_INS;
	ntp.offset = 1500;
	pass(10);
	ck_assert_str_eq(fake_host_state(f, "clock:synchronised"), "no");
	ck_assert_str_eq(fake_host_state(f, "clock:leap"), "insert");
	ck_assert_double_eq_tol(fake_host_value(f, "clock:offset"), 0.0015, 1e-12); /* without STA_NANO in us */
	ck_assert_uint_eq(f->n_records, 2);
	ck_assert_ptr_nonnull(fake_host_record(f, "leap second"));
	ntp.status = STA_DEL;
	pass(10);
	ck_assert_ptr_nonnull(fake_host_record(f, "left out"));
	ck_assert_ptr_nonnull(fake_host_record(f, "a time service keeps the clock"));
	fail_ntp = -EFAULT;
	ck_assert_int_eq(fake_host_sample(f), -EFAULT);
	ck_assert_ptr_null(f->note);
	fail_ntp = -EPERM; /* a sandbox: the rest goes on */
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_ptr_nonnull(strstr(f->note, "adjtimex"));
	set(60);
	ck_assert(fake_host_value(f, "clock:steps") == 1);
	fail_ntp = 0;
	fake_host_free(f);
}
END_TEST

START_TEST(without_the_kernels_help)
{
	fail_watch = -ENOSYS;
	f = fake_host_new(&kith_plugin, "");
	ck_assert_int_eq(fake_host_start(f), -ENOSYS);
	fake_host_free(f);
	fail_watch = 0;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *tcase = tcase_create("clock");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, steps);
	tcase_add_test(tcase, corrections);
	tcase_add_test(tcase, sleep_is_no_step);
	tcase_add_test(tcase, how_it_is_kept);
	tcase_add_test(tcase, without_the_kernels_help);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
