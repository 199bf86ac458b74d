/*
 * The history made smaller: what is asked of it is the same as before, and as of a naive history that keeps everything; it stays within its bound;
 * whatever happens meanwhile, nothing of it is lost or counted twice. KITH_SEED sets the seed, which is printed.
 */
#include "history_help.h"

static uint64_t compactions(const struct world *w)
{
	struct history_counts counts;

	history_counts(w->h, &counts);
	return counts.compactions;
}

/* How often the file became smaller */
static unsigned random_day(struct world *w, int n_promises, int steps)
{
	off_t size = file_size(w);
	unsigned n = 0;

	for (int i = 0; i < steps; i++) {
		uint32_t what = pick(w, 100);

		pass(w, DAY / steps + (int64_t)pick(w, 1000) * NS_PER_MS - 500 * NS_PER_MS);
		if (what < 90)
			change(w, (int)pick(w, (uint32_t)n_promises), (enum kith_assessment)pick(w, 3), !pick(w, 4));
		else if (what < 94)
			jump(w, (int64_t)pick(w, 8 * 3600) * SECOND - 4 * HOUR);
		else if (what < 96)
			restart(w, pick(w, 2), (int64_t)pick(w, 3600) * SECOND, pick(w, 2) ? (int64_t)pick(w, 7200) * SECOND - HOUR : 0);
		history_tick(w->h);
		n += file_size(w) < size;
		size = file_size(w);
	}
	return n;
}

/* Some of its 29 days as lines, some as sums of sums: to the nanosecond the same */
START_TEST(same_as_before)
{
	const char *given = getenv("KITH_SEED");
	uint64_t s = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	printf("KITH_SEED=%llu\n", (unsigned long long)s);
	fflush(stdout);
	for (int round = 0; round < 12; round++) {
		unsigned n = 0;
		struct world w;

		world_open(&w);
		w.seed = s + (uint64_t)round;
		w.max = 40000;
		world_start(&w);
		for (int day = 0; day < 27; day++) {
			n += random_day(&w, 2, 100);
			same_as_naive(&w, 2);
			ck_assert_int_lt(file_size(&w), 2 * 40000 + 8192);
		}
		ck_assert_uint_gt(n, 1);
		world_close(&w);
	}
}
END_TEST

/* Nothing but the last 30 days is kept; of one that has been quiet since before, how it stands */
START_TEST(a_year)
{
	struct world w;
	struct reliability *r;

	world_open(&w);
	w.seed = 3;
	w.max = 64000;
	world_start(&w);
	change(&w, 5, KITH_KEPT, false);
	change(&w, 4, KITH_BROKEN, false);
	for (int day = 0; day < 365; day++)
		for (int i = 0; i < 20; i++) {
			pass(&w, DAY / 20);
			change(&w, (int)pick(&w, 4), (enum kith_assessment)pick(&w, 3), !pick(&w, 4));
			history_tick(w.h);
		}
	ck_assert_uint_gt(compactions(&w), 3);
	ck_assert_int_lt(file_size(&w), 2 * 64000);
	r = ask(&w, false, 0, 6);
	for (int i = 0; i < 6; i++) {
		const struct reliability_window *x = window_of(r, i);

		for (int k = 0; k < 2; k++) {
			struct reliability_window want = naive_window(&w, &w.promises[i], x[k].length);

			ck_assert(x[k].kept == want.kept && x[k].broken == want.broken && x[k].breaks == want.breaks);
		}
	}
	ck_assert_int_eq(window_of(r, 5)[2].kept, 30 * DAY);
	ck_assert_int_eq(window_of(r, 4)[2].broken, 30 * DAY);
	ck_assert_int_ge(window_of(r, 4)[2].longest, 30 * DAY);
	/* What 12 hours come to is spread evenly where the 30 days begin within them. */
	for (int i = 0; i < 4; i++) {
		struct reliability_window want = naive_window(&w, &w.promises[i], 30 * DAY);

		ck_assert_int_le(llabs((long long)(window_of(r, i)[2].kept - want.kept)), DAY / 2);
		ck_assert_int_le(llabs((long long)(window_of(r, i)[2].broken - want.broken)), DAY / 2);
	}
	reliability_free(r);
	world_close(&w);
}
END_TEST

/* More than it may hold: the time that is kept is halved until it fits, and that is said */
START_TEST(too_much)
{
	struct world w;
	struct reliability *r;

	world_open(&w);
	w.seed = 4;
	w.max = 24000;
	world_start(&w);
	for (int day = 0; day < 40; day++)
		for (int i = 0; i < 200; i++) {
			pass(&w, DAY / 200);
			change(&w, (int)pick(&w, 20), (enum kith_assessment)pick(&w, 3), false);
			history_tick(w.h);
			ck_assert_int_lt(file_size(&w), 3 * 24000);
		}
	ck_assert_ptr_nonnull(strstr(w.record, "is too large: all but the last"));
	r = ask(&w, false, 0, 20);
	for (int i = 0; i < 20; i++) {
		const struct reliability_window *x = window_of(r, i);
		struct reliability_window want = naive_window(&w, &w.promises[i], HOUR);

		ck_assert(x[2].kept > 0 && x[2].broken > 0 && x[2].kept + x[2].broken <= 30 * DAY);
		ck_assert_int_le(x[0].kept + x[0].broken, HOUR);
		ck_assert_int_le(llabs((long long)(x[0].kept - want.kept)), 1800 * SECOND);
	}
	reliability_free(r);
	world_close(&w);
}
END_TEST

/* A storm between two ticks: the transitions themselves drive it */
START_TEST(storm)
{
	struct world w;
	int64_t begin, longest = 0;
	off_t largest = 0;

	world_open(&w);
	w.max = 1 << 20;
	world_start(&w);
	for (int i = 0; i < 100000; i++) {
		pass(&w, SECOND / 1000);
		begin = clock_thread_cpu();
		change(&w, i % 64, i / 64 % 2 ? KITH_BROKEN : KITH_KEPT, false);
		begin = clock_thread_cpu() - begin;
		longest = begin > longest ? begin : longest;
		if (i % 1000 == 0 && file_size(&w) > largest)
			largest = file_size(&w);
	}
	printf("storm: the longest transition took %.0f us, the file was at most %.1f MiB\n", (double)longest / 1e3, (double)largest / (1 << 20));
	fflush(stdout);
	ck_assert_uint_gt(compactions(&w), 0);
	ck_assert_int_lt(largest, 4 << 20);
	world_close(&w);
}
END_TEST

/* The disk fills up, kithd is killed, or the file is taken away in the middle of it */
START_TEST(cut_short)
{
	char path[128];

	for (int steps = 0; steps < 12; steps++)
		for (int how = 0; how < 3; how++) {
			struct world w;
			int done = 0;

			world_open(&w);
			w.seed = 6;
			w.max = 100000; /* more than a chunk: several steps */
			world_start(&w);
			while (file_size(&w) < 150000) {
				pass(&w, 20 * 60 * SECOND);
				change(&w, (int)pick(&w, 6), (enum kith_assessment)pick(&w, 3), false);
			}
			snprintf(path, sizeof(path), "%s.new", w.file);
			/* A tick is several steps; transitions in between, too */
			for (; done < steps && !compactions(&w); done++)
				history_tick(w.h);
			pass(&w, SECOND);
			change(&w, 0, w.promises[0].state == KITH_KEPT ? KITH_BROKEN : KITH_KEPT, false);
			if (how == 0) {
				w.write_error = ENOSPC;
				for (int i = 0; i < 40; i++)
					history_tick(w.h);
				w.write_error = 0;
			} else if (how == 1) {
				restart(&w, true, SECOND, 0);
				ck_assert_int_eq(access(path, F_OK), -1);
			} else {
				ck_assert_int_eq(unlink(w.file), 0);
				pass(&w, 120 * SECOND);
				history_tick(w.h);
				ck_assert_int_eq(access(path, F_OK), -1);
				world_close(&w);
				continue;
			}
			pass(&w, 2 * SECOND);
			for (int i = 0; i < 100; i++)
				history_tick(w.h);
			{
				struct reliability *r = ask(&w, false, 0, 6);

				for (int i = 0; i < 6; i++)
					for (int k = 0; k < 2; k++) {
						const struct reliability_window *x = &window_of(r, i)[k];
						struct reliability_window want = naive_window(&w, &w.promises[i], x->length);

						ck_assert_int_eq(x->kept, want.kept);
						ck_assert_int_eq(x->broken, want.broken);
					}
				reliability_free(r);
			}
			world_close(&w);
		}
}
END_TEST

static Suite *compact_suite(void)
{
	Suite *s = suite_create("history_compact");
	TCase *t = tcase_create("compact");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, same_as_before);
	tcase_add_test(t, a_year);
	tcase_add_test(t, too_much);
	tcase_add_test(t, storm);
	tcase_add_test(t, cut_short);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(compact_suite());
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
