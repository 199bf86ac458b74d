/* Attention: which series stand close to what is promised of them, and how soon the next sample is wanted */
#include "language_help.h"
#include "promises/engine.h"

#define NEAR(n) ck_assert_uint_eq(w->owner.n_near, n)

static void level(double percent, double seconds)
{
	put(w, "df", "/", "free_percent", percent, seconds);
}

START_TEST(near_and_far)
{
	world_keep(w, "df", "df:/:free_percent > 40%");
	NEAR(0);
	level(80, 0);
	NEAR(0);
	level(42, 1); /* 5 % of 40 */
	NEAR(1);
	level(42.4, 2); /* once near, 6.25 % */
	NEAR(1);
	level(42.6, 3);
	NEAR(0);
	level(42.4, 4);
	NEAR(0);
	level(39, 5); /* also when it is broken: so it is kept again soon */
	NEAR(1);
	is(w, "broken");
	level(20, 6);
	NEAR(0);
}
END_TEST

START_TEST(margins_count)
{
	world_keep(w, "df", "df:/:free_percent > 10% margin 5%");
	level(16, 0);
	NEAR(0);
	level(15, 1);
	NEAR(1);
}
END_TEST

START_TEST(what_attends)
{
	static const struct {
		const char *keep;
		unsigned near;
	} rows[] = {
		{ "df:/:free_percent >= 40%", 1 },
		{ "df:/:free_percent < 40%", 1 },
		{ "df:/:free_percent <= 40%", 1 },
		{ "not (df:/:free_percent < 40%)", 1 },
		{ "40% < df:/:free_percent", 1 },
		{ "df:/:free_percent * 2 + 1 > 81", 1 },
		{ "min(df:/:free_percent, 1m) > 40%", 1 },
		{ "max(df:/:free_percent, 1m) > 40%", 1 },
		{ "df:/:free_percent > 39% and df:/:free_percent < 41% or df:/:free_percent > 90%", 1 },
		{ "all df:*:free_percent > 40%", 1 },
		{ "some 50% df:*:free_percent > 40%", 1 },
		/* Not what one sample more tells */
		{ "avg(df:/:free_percent, 1m) > 40%", 0 },
		{ "p50(df:/:free_percent, 1m) > 40%", 0 },
		{ "df:/:free_percent == 40", 0 },
		{ "df:/:free_percent != 41", 0 },
		{ "df:/:free_percent in [40, 41]", 0 },
		{ "age(df:/:free_percent) < 1s", 0 },
		{ "df:/:free_percent > 30%", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_load_at(w, "", 0);
		NEAR(0);
		world_keep(w, "df", rows[i].keep);
		level(40.5, (double)i + 1);
		ck_assert_msg(w->owner.n_near == rows[i].near, "%s: %u", rows[i].keep, w->owner.n_near);
	}
}
END_TEST

/* What is put when it happens comes at once anyway. */
START_TEST(events_need_none)
{
	world_keep(w, "svc", "svc:a:load < 10");
	put(w, "svc", "a", "load", 9.9, 0);
	is(w, "kept");
	NEAR(0);
}
END_TEST

START_TEST(several_count_each_series_once)
{
	world_load_at(w,
	              "bundle b {\n promise p { promiser df:* keep df:*:free_percent > 40% }\n"
	              " promise q { promiser d keep df:/:free_percent > 41% and df:/:free_percent < 42% }\n"
	              " promise r { promiser d keep df:/:free_percent > df:/b:free_percent }\n}",
	              0);
	level(40.5, 1); /* p and q each have a leaf of their own */
	NEAR(2);
	put(w, "df", "/b", "free_percent", 40.6, 2); /* p of /b, and both sides of r */
	NEAR(5);
	put(w, "df", "/b", "free_percent", 90, 3);
	NEAR(2);
	put(w, "df", "/b", "free_percent", 40.6, 4);
	instance_end(w->m, world_instance(w, w->df, "/b"));
	NEAR(2);
	world_load_at(w, "bundle b { promise p { promiser df:* keep df:*:free_percent > 40% } }", 5);
	NEAR(1);
	instance_end(w->m, world_instance(w, w->df, "/"));
	NEAR(0);
	level(40.5, 6); /* a new instance of the name */
	NEAR(1);
	world_load_at(w, "", 7);
	NEAR(0);
}
END_TEST

START_TEST(quantified_instances_come_and_go)
{
	world_keep(w, "d", "all df:*:free_percent > 40%");
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "/%d", i);
		put(w, "df", name, "free", 1, i);
		put(w, "df", name, "free_percent", 41, i);
		NEAR((unsigned)i + 1);
	}
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "/%d", i);
		instance_end(w->m, world_instance(w, w->df, name));
		NEAR(9 - (unsigned)i);
	}
}
END_TEST

/* Stale: nothing is known of it, nor how near it is. */
START_TEST(unknown_is_not_near)
{
	world_keep(w, "df", "df:/:free_percent > 40%");
	level(41, 0);
	NEAR(1);
	world_time(w, S(31));
	model_expire(w->m, &w->owner, S(31));
	is(w, "unknown");
	NEAR(0);
	level(41, 40);
	NEAR(1);
	family_remove(w->m, w->df);
	NEAR(0);
}
END_TEST

START_TEST(on_its_way)
{
	world_keep(w, "df", "df:/:free_percent > 10%");
	w->owner.interval = 10 * NS_PER_S;
	level(90, 0);
	ck_assert_int_eq(w->owner.soon, 0); /* no pace yet */
	level(80, 10); /* 70 away, in 7 more such steps */
	ck_assert_int_eq(w->owner.soon, 0);
	level(60, 20); /* 50 away, in 2.5 */
	ck_assert_int_eq(w->owner.soon / NS_PER_MS, 6250); /* a quarter of 25 s */
	w->owner.soon = 0;
	level(60, 30);
	ck_assert_int_eq(w->owner.soon, 0);
	level(20, 40);
	ck_assert_int_eq(w->owner.soon / NS_PER_MS, 625);
	NEAR(0);
	/* The sooner of two */
	w->owner.soon = NS_PER_MS;
	level(15, 50);
	ck_assert_int_eq(w->owner.soon, NS_PER_MS);
}
END_TEST

static unsigned told;
static void attend(struct owner *owner, bool now, void *user)
{
	ck_assert_ptr_eq(user, w);
	ck_assert_ptr_eq(owner, &w->owner);
	ck_assert(!now);
	told++;
}

START_TEST(the_owner_is_told)
{
	told = 0;
	w->owner.attend = attend;
	w->owner.user = w;
	world_keep(w, "df", "df:/:free_percent > 40% and df:/b:free_percent > 40%");
	level(41, 0);
	ck_assert_uint_eq(told, 1);
	put(w, "df", "/b", "free_percent", 41, 1);
	ck_assert_uint_eq(told, 1);
	level(80, 2);
	ck_assert_uint_eq(told, 1);
	world_load_at(w, "", 3);
	ck_assert_uint_eq(told, 2);
}
END_TEST

/* Samples in between weigh nothing where each sample counts as one, or where two in a row are compared. */
START_TEST(samples_in_between)
{
	static const struct {
		const char *keep, *kept;
	} rows[] = {
		{ "avg(df:/:free_percent, 10m) == 10", "kept" },
		{ "sum(df:/:free_percent, 10m) == 20", "kept" },
		{ "count(df:/:free_percent, 10m) == 2", "kept" },
		{ "stddev(df:/:free_percent, 10m) == 0", "kept" },
		{ "p99(df:/:free_percent, 10m) < 12", "kept" },
		{ "max(df:/:free_percent, 10m) == 99", "kept" },
		{ "min(df:/:free_percent, 10m) == 1", "kept" },
		{ "df:/:free_percent == 99", "kept" },
		{ "changed(df:/:free_percent, 10m)", "kept" },
	};
	unsigned before;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double at = (double)i * 100;

		instance_end(w->m, world_instance(w, w->df, "/"));
		world_load_at(w, "", at);
		world_keep(w, "d", rows[i].keep);
		level(10, at);
		level(10, at + 10);
		w->owner.extra = true;
		level(1, at + 11);
		level(99, at + 12);
		w->owner.extra = false;
		ck_assert_msg(!strcmp(stands("b.p", NULL), rows[i].kept), "%s: %s", rows[i].keep, why("b.p"));
	}
	world_load_at(w, "", 2000);
	before = transitions_of("b.p", KITH_BROKEN);
	world_keep(w, "d", "rate(interface:e:rx_bytes) < 11B/s");
	put(w, "interface", "e", "rx_bytes", 0, 2000);
	put(w, "interface", "e", "rx_bytes", 100, 2010);
	w->owner.extra = true;
	put(w, "interface", "e", "rx_bytes", 190, 2010.1); /* a burst */
	w->owner.extra = false;
	is(w, "kept");
	put(w, "interface", "e", "rx_bytes", 200, 2020);
	is(w, "kept");
	ck_assert_uint_eq(transitions_of("b.p", KITH_BROKEN), before);
}
END_TEST

static char *attention(void)
{
	struct promise_explanation x;
	char *text;

	ck_assert_int_eq(promises_explain(w->p, 0, S(0), &x), 0);
	text = strdup(x.attention);
	promise_explanation_free(&x);
	return text;
}

START_TEST(it_is_explained)
{
	char *text;

	w->owner.usual = w->owner.interval = 10 * NS_PER_S;
	world_keep(w, "df", "df:/:free_percent > 40% and svc:a:load < 9 and df:/b:free_percent > 1%");
	level(90, 0);
	put(w, "df", "/b", "free_percent", 50, 0);
	text = attention();
	ck_assert_str_eq(text, "test is sampled every 10 s");
	free(text);
	level(41, 10);
	w->owner.interval = 100 * NS_PER_MS;
	text = attention();
	ck_assert_str_eq(text, "test is sampled every 100 ms instead of 10 s: df:/:free_percent is close to what is promised");
	free(text);
	world_load_at(w, "bundle b { promise p { promiser d keep svc:a:load < 9 } promise q { promiser d keep df:/:free_percent > 40% } }", 20);
	put(w, "svc", "a", "load", 1, 20);
	text = attention();
	ck_assert_str_eq(text, "test tells it when it happens");
	free(text);
	world_load_at(w, "bundle b { promise p { promiser d keep df:/b:free_percent > 9% } promise q { promiser d keep df:/:free_percent > 40% } }", 30);
	text = attention();
	ck_assert_str_eq(text, "test is sampled every 100 ms instead of 10 s: another of its series is close to what is promised");
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("promises attention");
	TCase *t = tcase_create("attention");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, near_and_far);
	tcase_add_test(t, margins_count);
	tcase_add_test(t, what_attends);
	tcase_add_test(t, events_need_none);
	tcase_add_test(t, several_count_each_series_once);
	tcase_add_test(t, quantified_instances_come_and_go);
	tcase_add_test(t, unknown_is_not_near);
	tcase_add_test(t, on_its_way);
	tcase_add_test(t, the_owner_is_told);
	tcase_add_test(t, samples_in_between);
	tcase_add_test(t, it_is_explained);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
