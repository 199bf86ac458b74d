/* The recent samples of what promises name: kept, bounded, gone with their series */
#include "language_help.h"
#include "store/trail.h"

static struct trails *trails;

static void begin(size_t bytes)
{
	setup();
	ck_assert_int_eq(trails_new(w->m, bytes, &trails), 0);
}

static void end(void)
{
	promises_free(w->p);
	w->p = NULL;
	ck_assert_uint_eq(trails_count(trails), 0);
	trails_free(trails);
	teardown();
}

static struct series *series(const char *instance, unsigned metric)
{
	return &world_instance(w, w->df, instance)->series[metric];
}

START_TEST(named_series_alone)
{
	begin(1 << 20);
	put(w, "df", "/", "free_percent", 50, 0);
	put(w, "df", "/", "free", 50, 0);
	world_keep(w, "d", "df:/:free_percent > 10%");
	ck_assert_uint_eq(trails_count(trails), 1);
	ck_assert_uint_eq(trail_length(series("/", 0)), 0);
	ck_assert_uint_eq(trail_length(series("/", 1)), 1); /* what stood there */
	put(w, "df", "/", "free", 60, 1);
	put(w, "df", "/", "free_percent", 60, 1);
	w->owner.extra = true;
	put(w, "df", "/", "free_percent", 70, 1.5);
	w->owner.extra = false;
	ck_assert_uint_eq(trail_length(series("/", 1)), 3);
	ck_assert(trail_at(series("/", 1), 0).value == 50 && trail_at(series("/", 1), 2).value == 70);
	ck_assert_int_eq(trail_at(series("/", 1), 1).time, S(1));
	ck_assert(!trail_at(series("/", 1), 1).extra && trail_at(series("/", 1), 2).extra);
	trails_jump(trails, 3600 * NS_PER_S);
	ck_assert_int_eq(trail_at(series("/", 1), 0).time, S(3600));
	ck_assert_int_eq(trail_at(series("/", 1), 2).time, S(3601.5));
	ck_assert(trail_at(series("/", 1), 2).extra);
	end();
}
END_TEST

START_TEST(the_last_ones)
{
	begin(1 << 20);
	world_keep(w, "d", "df:/:free_percent > 10%");
	for (int i = 0; i < 3 * TRAIL_LENGTH + 17; i++) {
		size_t n = i < TRAIL_LENGTH ? (size_t)i + 1 : TRAIL_LENGTH;

		put(w, "df", "/", "free_percent", i, i);
		ck_assert_uint_eq(trail_length(series("/", 1)), n);
		ck_assert(trail_at(series("/", 1), n - 1).value == i);
		ck_assert(trail_at(series("/", 1), 0).value == (double)i + 1 - (double)n);
		ck_assert_int_eq(trail_at(series("/", 1), n / 2).time, S(i + 1 - (int)n + (int)(n / 2)));
	}
	end();
}
END_TEST

/* Several names for one series keep one trail, until the last of them goes; a series takes its own along. */
START_TEST(come_and_go)
{
	begin(1 << 20);
	world_load_at(w, "bundle b {\n promise p { promiser df:* keep df:*:free_percent > 10% }\n"
	                 " promise q { promiser d keep df:/:free_percent > 20% and df:/:free > 1B }\n"
	                 " promise r { promiser d keep all df:*:free_percent > 5% } }", 0);
	put(w, "df", "/", "free_percent", 50, 0);
	put(w, "df", "/b", "free_percent", 50, 0);
	ck_assert_uint_eq(trails_count(trails), 3);
	world_load_at(w, "bundle b { promise p { promiser df:* keep df:*:free_percent > 10% } }", 1);
	ck_assert_uint_eq(trails_count(trails), 2);
	ck_assert_uint_eq(trail_length(series("/", 1)), 1); /* the same one */
	instance_end(w->m, world_instance(w, w->df, "/b"));
	ck_assert_uint_eq(trails_count(trails), 1);
	world_load_at(w, "", 2);
	ck_assert_uint_eq(trails_count(trails), 0);
	ck_assert_uint_eq(trail_length(series("/", 1)), 0);
	put(w, "df", "/", "free_percent", 50, 3);
	end();
}
END_TEST

START_TEST(bounded)
{
	char name[16];

	begin(100000); /* 17 of them */
	world_keep(w, "df:*", "df:*:free_percent > 10%");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "/%d", i);
		put(w, "df", name, "free_percent", 50, i);
	}
	ck_assert_uint_eq(trails_count(trails), 17);
	ck_assert_uint_eq(trails_refused(trails), 83);
	ck_assert_uint_eq(trail_length(series("/0", 1)), 1);
	ck_assert_uint_eq(trail_length(series("/99", 1)), 0);
	/* Whoever had none takes nobody's away. */
	world_load_at(w, "bundle b { promise p { promiser df:* keep df:*:free_percent > 11% } }", 200);
	ck_assert_uint_eq(trails_count(trails), 17);
	for (int i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "/%d", i);
		instance_end(w->m, world_instance(w, w->df, name));
	}
	put(w, "df", "/new", "free_percent", 50, 300);
	ck_assert_uint_eq(trail_length(series("/new", 1)), 1);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trails");
	TCase *t = tcase_create("trails");
	SRunner *runner;
	int failed;

	tcase_add_test(t, named_series_alone);
	tcase_add_test(t, the_last_ones);
	tcase_add_test(t, come_and_go);
	tcase_add_test(t, bounded);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
