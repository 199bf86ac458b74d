/* A promise that breaks again and again: said when it begins and when it ends, through jumps of the clock and restarts of its rule. */
#include "promise_help.h"

static struct world *w;

static void setup(void)
{
	w = world_new();
	world_keep(w, "df", "df:/:free_percent > 10%");
	put(w, "df", "/", "free_percent", 42, 1);
}

static void teardown(void)
{
	world_free(w);
}

/* Breaks and is kept again `n` times, every `each` seconds from `at` on */
static double breaks(unsigned n, double at, double each)
{
	for (unsigned i = 0; i < n; i++, at += each) {
		put(w, "df", "/", "free_percent", 4, at);
		put(w, "df", "/", "free_percent", 42, at + each / 2);
	}
	return at;
}

START_TEST(begins_and_ends)
{
	breaks(4, 10, 10);
	ck_assert_uint_eq(world_info(w, 0).flapping, 0);
	ck_assert_uint_eq(w->n_records, 0);
	breaks(1, 50, 10);
	ck_assert_uint_eq(world_info(w, 0).flapping, 5);
	ck_assert_uint_eq(w->n_records, 1);
	ck_assert_str_eq(w->records[0], "b.p: promise b.p of df flaps: broke 5 times in 10 min");
	ck_assert_uint_eq(w->priorities[0], KITH_WARNING);
	breaks(3, 60, 10);
	ck_assert_uint_eq(world_info(w, 0).flapping, 8);
	ck_assert_uint_eq(w->n_records, 1);
	/* It ends by itself, ten minutes later; in the meantime it goes on while two are left. */
	world_time(w, S(500));
	ck_assert_uint_eq(world_info(w, 0).flapping, 8);
	breaks(1, 501, 1);
	world_time(w, S(720));
	ck_assert_uint_eq(w->n_records, 2);
	ck_assert_str_eq(w->records[1], "b.p: promise b.p of df flaps no more");
	ck_assert_uint_eq(w->priorities[1], KITH_NOTICE);
	ck_assert_uint_eq(world_info(w, 0).flapping, 0);
	/* And it may begin again. */
	breaks(4, 721, 10);
	ck_assert_uint_eq(w->n_records, 3);
}
END_TEST

/* 5 in more than ten minutes are no flapping, however long that goes on. */
START_TEST(seldom)
{
	double at = breaks(50, 10, 181);

	ck_assert_uint_eq(w->n_records, 0);
	ck_assert_uint_eq(world_info(w, 0).flapping, 0);
	ck_assert_uint_gt(world_info(w, 0).transitions, 99);
	/* Nothing is waited for either */
	ck_assert_int_eq(w->armed, 0);
	(void)at;
}
END_TEST

/* Between broken and unknown is no flapping: it was never kept. */
START_TEST(unknown_is_no_end)
{
	put(w, "df", "/", "free_percent", 4, 2);
	for (int i = 0; i < 20; i++) {
		world_time(w, S(100 + 60 * i));
		model_expire(w->m, &w->owner, S(100 + 60 * i));
		ck_assert_int_eq(world_info(w, 0).assessment, KITH_UNKNOWN);
		put(w, "df", "/", "free_percent", 4, 101 + 60 * i);
		ck_assert_int_eq(world_info(w, 0).assessment, KITH_BROKEN);
	}
	ck_assert_uint_eq(w->n_records, 0);
}
END_TEST

/* The clock is set by more than the ten minutes, in both directions */
START_TEST(clock_set)
{
	double at = breaks(3, 10, 10);

	model_jump(w->m, 3600 * NS_PER_S);
	promises_jump(w->p, 3600 * NS_PER_S);
	at = breaks(1, at + 3600, 10);
	ck_assert_uint_eq(w->n_records, 0);
	at = breaks(1, at, 10);
	ck_assert_uint_eq(w->n_records, 1);
	model_jump(w->m, -7200 * NS_PER_S);
	promises_jump(w->p, -7200 * NS_PER_S);
	at -= 7200;
	ck_assert_uint_eq(world_info(w, 0).flapping, 5);
	ck_assert_int_le(w->armed, S(at + 60));
	world_time(w, S(at + 100));
	ck_assert_uint_eq(world_info(w, 0).flapping, 5);
	for (int i = 0; i < 12 && w->n_records == 1; i++)
		world_time(w, w->armed);
	ck_assert_uint_eq(w->n_records, 2);
	ck_assert_uint_eq(world_info(w, 0).flapping, 0);
}
END_TEST

/* Settle calms it. */
START_TEST(settled)
{
	world_keep(w, "df", "df:/:free_percent > 10% settle 1m");
	put(w, "df", "/", "free_percent", 42, 2);
	breaks(20, 10, 10);
	ck_assert_uint_eq(w->n_records, 0);
}
END_TEST

static Suite *flapping_suite(void)
{
	Suite *s = suite_create("flapping");
	TCase *t = tcase_create("flapping");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, begins_and_ends);
	tcase_add_test(t, seldom);
	tcase_add_test(t, unknown_is_no_end);
	tcase_add_test(t, clock_set);
	tcase_add_test(t, settled);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(flapping_suite());
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
