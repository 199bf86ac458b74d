/*
 * The history of promises: its file and what is read out of it, beside a naive history of the same random lives (KITH_SEED sets the seed, which
 * is printed).
 */
#include "history_help.h"

static const char *const odd[] = {
	"", "plain", "a\tb", "a\nb", "\\", "\\t", "a\\", "\x01\x1f\x7f", "\xff\xfe", "na\xc3\xafve \xe2\x82\xac", " ", "\t\t\t", "\r\n", "\"quoted\"",
};

START_TEST(texts_round)
{
	for (size_t i = 0; i < KITH_COUNT(odd); i++)
		for (size_t k = 1; k < KITH_COUNT(odd); k++) {
			struct kith_transition t = { .size = sizeof(t), .from = KITH_KEPT, .to = KITH_BROKEN, .name = odd[k], .promiser = odd[i],
				                     .because = odd[(i + k) % KITH_COUNT(odd)] };
			struct history_line line;
			struct buf b = BUF_INIT, back = BUF_INIT;
			char *tab;

			ck_assert_int_eq(history_put_transition(&b, &t, 77), 0);
			ck_assert_ptr_eq(strchr(b.data, '\n'), b.data + b.length - 1);
			ck_assert_int_eq(history_line_parse(b.data, b.length - 1, &line), 0);
			ck_assert(line.kind == HISTORY_TRANSITION && line.time == 77 && line.from == KITH_KEPT && line.to == KITH_BROKEN);
			tab = memchr(line.key, '\t', line.key_length);
			history_unescape(&back, line.key, (size_t)(tab - line.key));
			ck_assert_str_eq(buf_text(&back), odd[k]);
			buf_reset(&back);
			history_unescape(&back, tab + 1, line.key_length - (size_t)(tab + 1 - line.key));
			ck_assert_str_eq(buf_text(&back), odd[i]);
			buf_reset(&back);
			history_unescape(&back, line.because, line.because_length);
			ck_assert_str_eq(buf_text(&back), t.because);
			buf_free(&back);
			buf_free(&b);
		}
}
END_TEST

START_TEST(bad_lines)
{
	static const char *const bad[] = {
		"", "kept", "kept\t", "kept\t1", "kept\t1\tbroken\t-\tn\tp", "kept\tx\tbroken\t-\tn\tp\tb", "kept\t-1\tbroken\t-\tn\tp\tb",
		"kept\t1\tbent\t-\tn\tp\tb", "kept\t1\tbroken\t-\t\tp\tb", "kept\t1\tbroken\t-\tn\tp\tb\tmore", "mended\t1\tbroken\t-\tn\tp\tb",
		"begin\t1", "begin\t1\t2\t3", "begin\t1\t-2", "end", "end\t", "end\t1\t", "jump\t1", "jump\t1\t99999999999999999999", "lost\t1\t2",
		"kept\t5000000000000000000\tbroken\t-\tn\tp\tb", "sum\t10\tkept\t0\t8\t8\t1\t0\t0\t0\t0\t0\t-1\tn\tp",
		"sum\t10\tkept\t11\t0\t0\t1\t0\t0\t0\t0\t0\t-1\tn\tp", "sum\t10\tkept\t0\t8\t2\t1\t2\t0\t0\t0\t0\t-1\tn\tp",
		"sum\t10\tkept\t0\t8\t2\t1\t1\t0\t0\t0\t0\t-2\tn\tp", "sum\t10\tkept\t0\t8\t2\t1\t1\t0\t0\t0\t0\t-1\tn", " kept\t1\tbroken\t-\tn\tp\tb",
	};
	struct history_line line = { .time = 42 };

	for (size_t i = 0; i < KITH_COUNT(bad); i++)
		ck_assert_msg(history_line_parse(bad[i], strlen(bad[i]), &line) == -EINVAL && line.time == 42, "%s", bad[i]);
	ck_assert_int_eq(history_line_parse("end\t1\0", 6, &line), -EINVAL);
}
END_TEST

START_TEST(long_texts)
{
	struct kith_transition t = { .size = sizeof(t), .to = KITH_KEPT, .name = "b.p", .promiser = "df:/" };
	char *text = malloc(1 << 20), *control = malloc(HISTORY_KEY_MAX);
	struct history_line line;
	struct buf b = BUF_INIT;

	/* Cut between characters */
	memset(text, 0xe2, 1 << 20);
	for (size_t i = 0; i + 3 < 1 << 20; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	text[(1 << 20) - 1] = '\0';
	t.because = text;
	ck_assert_int_eq(history_put_transition(&b, &t, 1), 0);
	ck_assert_uint_lt(b.length, HISTORY_LINE_MAX);
	ck_assert_int_eq(history_line_parse(b.data, b.length - 1, &line), 0);
	ck_assert_uint_eq(line.because_length, HISTORY_BECAUSE_MAX + 3);
	/* The longest that can be, and that can be read */
	memset(control, 1, HISTORY_KEY_MAX);
	control[(HISTORY_KEY_MAX - 8) / 4] = '\0';
	memset(text, 1, 1 << 20);
	text[(1 << 20) - 1] = '\0';
	t.promiser = control;
	buf_reset(&b);
	ck_assert_int_eq(history_put_transition(&b, &t, INT64_C(1) << 61), 0);
	ck_assert_uint_lt(b.length, HISTORY_LINE_MAX);
	ck_assert_int_eq(history_line_parse(b.data, b.length - 1, &line), 0);
	/* Too long: nothing of it is written */
	t.name = text;
	buf_reset(&b);
	ck_assert_int_eq(history_put_transition(&b, &t, 1), -E2BIG);
	ck_assert_uint_eq(b.length, 0);
	buf_free(&b);
	free(text);
	free(control);
}
END_TEST

/* ---- reading ----------------------------------------------------------------------------------------------------- */

START_TEST(windows_of_a_day)
{
	struct world w;
	struct reliability *r;
	const struct reliability_window *x;

	world_open(&w);
	world_start(&w);
	change(&w, 0, KITH_KEPT, false);
	pass(&w, 10 * HOUR);
	change(&w, 0, KITH_BROKEN, false);
	pass(&w, 30 * 60 * SECOND);
	change(&w, 0, KITH_KEPT, true);
	pass(&w, 15 * 60 * SECOND);
	r = ask(&w, false, 0, 1);
	x = window_of(r, 0);
	ck_assert_int_eq(x[0].length, HOUR);
	ck_assert_int_eq(x[0].kept, HOUR / 2);
	ck_assert_int_eq(x[0].broken, HOUR / 2);
	ck_assert_int_eq(x[1].length, DAY);
	ck_assert_int_eq(x[1].kept, 10 * HOUR + HOUR / 4);
	ck_assert_int_eq(x[1].broken, HOUR / 2);
	ck_assert_uint_eq(x[1].breaks, 1);
	ck_assert_uint_eq(x[1].repairs, 1);
	ck_assert_uint_eq(x[1].mends, 1);
	ck_assert_int_eq(x[1].mend_time, HOUR / 2);
	ck_assert_int_eq(x[2].longest, HOUR / 2);
	ck_assert_int_eq(x[2].length, 30 * DAY);
	reliability_free(r);
	world_close(&w);
}
END_TEST

START_TEST(last_changes)
{
	struct world w;
	struct reliability *r;
	const struct reliability_change *c;

	world_open(&w);
	world_start(&w);
	for (int i = 0; i < 12; i++) {
		change(&w, 0, i % 2 ? KITH_BROKEN : KITH_KEPT, i == 10);
		pass(&w, (i + 1) * SECOND);
	}
	r = ask(&w, true, 0, 1);
	ck_assert_uint_eq(reliability_changes(r, &c), RELIABILITY_CHANGES);
	ck_assert(c[0].from == KITH_BROKEN && c[0].to == KITH_KEPT && c[0].lasted == 5 * SECOND);
	ck_assert(c[6].repaired && !c[5].repaired && !c[7].repaired);
	ck_assert_int_eq(c[7].lasted, 12 * SECOND);
	ck_assert_str_eq(c[7].because, "it is so");
	reliability_free(r);
	/* Killed in between: that is a change, too. */
	restart(&w, true, HOUR, 0);
	pass(&w, 3 * SECOND);
	r = ask(&w, true, 0, 1);
	ck_assert_uint_eq(reliability_changes(r, &c), RELIABILITY_CHANGES);
	ck_assert(c[7].from == KITH_BROKEN && c[7].to == KITH_UNKNOWN && c[7].lasted == HOUR + 3 * SECOND && c[7].time == w.wall - HOUR - 3 * SECOND);
	ck_assert_str_eq(c[7].because, "kithd did not run");
	ck_assert_int_eq(c[6].lasted, 12 * SECOND);
	reliability_free(r);
	world_close(&w);
}
END_TEST

/* Away, in both ways, and the clock set meanwhile */
START_TEST(restarts)
{
	struct world w;

	for (int killed = 0; killed < 2; killed++) {
		world_open(&w);
		world_start(&w);
		change(&w, 0, KITH_KEPT, false);
		change(&w, 1, KITH_KEPT, false);
		pass(&w, HOUR);
		change(&w, 0, KITH_BROKEN, false);
		pass(&w, HOUR / 2);
		restart(&w, killed, 2 * HOUR, 0);
		same_as_naive(&w, 2);
		pass(&w, SECOND);
		change(&w, 0, KITH_BROKEN, false);
		pass(&w, 10 * SECOND);
		change(&w, 0, KITH_KEPT, false);
		pass(&w, HOUR);
		same_as_naive(&w, 2);
		restart(&w, killed, HOUR, -5 * HOUR);
		change(&w, 0, KITH_KEPT, false);
		pass(&w, HOUR);
		same_as_naive(&w, 2);
		restart(&w, killed, 0, DAY);
		change(&w, 0, KITH_KEPT, false);
		pass(&w, 60 * SECOND);
		same_as_naive(&w, 2);
		world_close(&w);
	}
}
END_TEST

START_TEST(jumps)
{
	struct world w;
	struct reliability *r;

	world_open(&w);
	world_start(&w);
	change(&w, 0, KITH_KEPT, false);
	change(&w, 1, KITH_BROKEN, false);
	pass(&w, HOUR);
	/* Noticed by a tick, by a transition, by nobody before it is asked */
	jump(&w, 3 * HOUR);
	history_tick(w.h);
	pass(&w, HOUR / 4);
	same_as_naive(&w, 2);
	jump(&w, -7 * HOUR);
	change(&w, 0, KITH_BROKEN, false);
	pass(&w, HOUR / 4);
	jump(&w, 100 * DAY);
	same_as_naive(&w, 2);
	change(&w, 0, KITH_KEPT, true);
	history_jump(w.h);
	pass(&w, HOUR / 8);
	same_as_naive(&w, 2);
	r = ask(&w, false, 0, 2);
	ck_assert_int_eq(window_of(r, 1)[1].broken, HOUR + HOUR / 2 + HOUR / 8);
	ck_assert_int_eq(window_of(r, 1)[1].kept, 0);
	reliability_free(r);
	world_close(&w);
}
END_TEST

static void append(const struct world *w, const char *text, size_t length)
{
	FILE *f = fopen(w->file, "a");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, length, f), length);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(torn_tail)
{
	struct world w;
	char *text;

	world_open(&w);
	world_start(&w);
	change(&w, 0, KITH_KEPT, false);
	pass(&w, HOUR);
	w.dead = true;
	history_free(w.h);
	w.dead = false;
	append(&w, "broken\t18000036", 15);
	w.h = NULL;
	world_start(&w);
	text = file_text(&w);
	ck_assert_ptr_null(strstr(text, "broken"));
	ck_assert_ptr_nonnull(strstr(text, "it is so\nbegin\t"));
	free(text);
	ck_assert_uint_eq(w.n_records, 0);
	world_close(&w);
}
END_TEST

/* What cannot be read is passed over, counted and said; what was around it stays, and what it may have hidden is unknown. */
START_TEST(garbage)
{
	struct world w;
	struct reliability *r;
	struct history_counts counts;
	static const char few[] = "kept\t1\t2\nbegin\t-\njump\t5\t3000000000000000000\n"
	                          "kept\t4000000000000000000\tbroken\t-\tb.p0\tdf:/0\tin the far future\n";
	char *big = malloc(100000), noise[4096];

	world_open(&w);
	w.seed = 5;
	world_start(&w);
	change(&w, 0, KITH_KEPT, false);
	change(&w, 1, KITH_KEPT, false);
	pass(&w, HOUR / 4);
	w.dead = true; /* these are lost */
	change(&w, 1, KITH_BROKEN, false);
	w.dead = false;
	memset(big, 'x', 100000);
	big[99999] = '\n';
	append(&w, big, 100000);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)pick(&w, 256);
	noise[sizeof(noise) - 1] = '\n';
	append(&w, noise, sizeof(noise));
	append(&w, few, strlen(few));
	history_free(w.h);
	w.h = NULL;
	world_start(&w);
	change(&w, 1, KITH_KEPT, false);
	pass(&w, HOUR / 4);
	r = ask(&w, false, 0, 2);
	/* Of 0 nothing is missing; but kithd was restarted, and it is unknown since. */
	ck_assert_int_ge(window_of(r, 1)[0].kept, HOUR / 4);
	ck_assert_int_eq(window_of(r, 1)[0].broken, 0);
	reliability_free(r);
	history_counts(w.h, &counts);
	ck_assert_uint_gt(counts.unreadable, 4);
	ck_assert_uint_eq(w.n_records, 1);
	ck_assert_ptr_nonnull(strstr(w.record, "lines cannot be read"));
	/* Said once */
	reliability_free(ask(&w, false, 0, 2));
	ck_assert_uint_eq(w.n_records, 1);
	free(big);
	world_close(&w);
}
END_TEST

START_TEST(gone_and_there_again)
{
	struct world w;

	world_open(&w);
	world_start(&w);
	change(&w, 0, KITH_KEPT, false);
	pass(&w, 2 * 60 * SECOND);
	ck_assert_int_eq(unlink(w.file), 0);
	history_tick(w.h);
	ck_assert_ptr_nonnull(strstr(w.record, "begins anew"));
	pass(&w, HOUR);
	/* What the engine knows of it still stands. */
	same_as_naive(&w, 1);
	change(&w, 0, KITH_BROKEN, false);
	pass(&w, HOUR);
	ck_assert_int_gt(file_size(&w), 100);
	ck_assert_int_eq(truncate(w.file, 70), 0);
	pass(&w, 60 * SECOND);
	history_tick(w.h);
	change(&w, 0, KITH_KEPT, false);
	reliability_free(ask(&w, false, 0, 1));
	world_close(&w);
}
END_TEST

START_TEST(cannot_be_had)
{
	struct history_config config = { 0 };
	struct history *h, *second;
	struct model *m;
	struct world w;
	char path[128];
	struct reliability *r;

	ck_assert_int_eq(model_new(&m), 0);
	config.folder = "/nonexistent/folder";
	ck_assert_int_eq(history_new(m, &config, &h), 0);
	ck_assert_str_eq(history_off(h), "/nonexistent/folder/promises.history: No such file or directory");
	ck_assert_int_eq(reliability_new(h, false, &r), -ENODATA);
	history_tick(h);
	history_jump(h);
	history_yield(h);
	history_free(h);
	ck_assert_ptr_nonnull(history_off(NULL));
	world_open(&w);
	world_start(&w);
	config.folder = w.folder;
	ck_assert_int_eq(history_new(m, &config, &second), 0);
	ck_assert_ptr_nonnull(strstr(history_off(second), "another kithd writes it"));
	history_free(second);
	history_free(w.h);
	w.h = NULL;
	unlink(w.file);
	ck_assert_int_eq(mkfifo(w.file, 0600), 0);
	ck_assert_int_eq(history_new(m, &config, &second), 0);
	ck_assert_ptr_nonnull(strstr(history_off(second), "no plain file"));
	history_free(second);
	unlink(w.file);
	snprintf(path, sizeof(path), "%s/other", w.folder);
	ck_assert_int_eq(symlink(path, w.file), 0);
	ck_assert_int_eq(history_new(m, &config, &second), 0);
	ck_assert_ptr_nonnull(strstr(history_off(second), "no plain file"));
	history_free(second);
	world_close(&w);
	model_free(m);
}
END_TEST

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

START_TEST(disk_full)
{
	struct world w;
	struct history_counts counts;
	struct reliability *r;
	char *text;

	world_open(&w);
	world_start(&w);
	change(&w, 0, KITH_KEPT, false);
	pass(&w, HOUR / 4);
	/* The next line is written in part. */
	w.write_room = 20;
	change(&w, 0, KITH_BROKEN, false);
	ck_assert_uint_eq(w.n_records, 1);
	ck_assert_ptr_nonnull(strstr(w.record, "No space left"));
	text = file_text(&w);
	ck_assert_ptr_null(strstr(text, "broken"));
	free(text);
	pass(&w, HOUR / 4);
	jump(&w, HOUR);
	history_tick(w.h);
	change(&w, 0, KITH_KEPT, true);
	pass(&w, HOUR / 4);
	/* What waits is known all the same. */
	same_as_naive(&w, 1);
	ck_assert_uint_eq(w.n_records, 1);
	w.write_room = -1;
	history_tick(w.h);
	ck_assert_uint_eq(w.n_records, 2);
	ck_assert_ptr_nonnull(strstr(w.record, "nothing was lost"));
	same_as_naive(&w, 1);
	/* So many that they cannot all wait */
	w.write_error = EDQUOT;
	for (int i = 0; i < 3000; i++) {
		pass(&w, SECOND);
		change(&w, 1, i % 2 ? KITH_BROKEN : KITH_KEPT, false);
	}
	jump(&w, -2 * HOUR);
	pass(&w, 60 * SECOND);
	history_tick(w.h);
	history_counts(w.h, &counts);
	ck_assert_uint_le(counts.waiting, 65536);
	ck_assert_uint_gt(counts.waiting, 50000);
	ck_assert_uint_gt(counts.lost, 1000);
	w.write_error = 0;
	pass(&w, SECOND);
	history_tick(w.h);
	history_counts(w.h, &counts);
	ck_assert_uint_eq(counts.waiting, 0);
	ck_assert_ptr_nonnull(strstr(w.record, "transitions were lost"));
	text = file_text(&w);
	ck_assert_ptr_nonnull(strstr(text, "\nlost\t"));
	free(text);
	/* Of the other nothing was lost; of this one what came before is unknown, not made up. */
	r = ask(&w, false, 0, 2);
	ck_assert_int_eq(window_of(r, 0)[1].kept, naive_window(&w, &w.promises[0], DAY).kept);
	ck_assert_int_eq(window_of(r, 0)[1].broken, naive_window(&w, &w.promises[0], DAY).broken);
	ck_assert_int_le(window_of(r, 1)[1].kept, naive_window(&w, &w.promises[1], DAY).kept);
	ck_assert_int_gt(window_of(r, 1)[1].kept, 0);
	ck_assert_int_le(window_of(r, 1)[1].broken, naive_window(&w, &w.promises[1], DAY).broken);
	reliability_free(r);
	world_close(&w);
}
END_TEST

/* One write a transition, no other work */
START_TEST(burst)
{
	struct world w;
	int64_t begin;
	unsigned long writes;
	char name[32];

	world_open(&w);
	world_start(&w);
	writes = w.writes;
	begin = clock_thread_cpu();
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "b.p%d", i);
		say(&w, name, "df:/", KITH_KEPT, KITH_BROKEN, false, "df:/:free_percent is 4.2 %, promised > 10 %");
	}
	printf("burst: %.1f us a transition, %lld bytes\n", (double)(clock_thread_cpu() - begin) / 1e3 / 10000, (long long)file_size(&w));
	ck_assert_uint_eq(w.writes - writes, 10000);
	world_close(&w);
}
END_TEST

/* ---- random lives ------------------------------------------------------------------------------------------------ */

static void random_step(struct world *w, int n_promises, int64_t most)
{
	uint32_t what = pick(w, 100);

	pass(w, (int64_t)(pick(w, 1u << 30)) * (most / (1 << 30)) + pick(w, 1000));
	if (what < 80)
		change(w, (int)pick(w, (uint32_t)n_promises), (enum kith_assessment)pick(w, 3), !pick(w, 4));
	else if (what < 90)
		history_tick(w->h);
	else if (what < 94)
		jump(w, (int64_t)pick(w, 8 * 3600) * SECOND - 4 * HOUR);
	else if (what < 97)
		restart(w, pick(w, 2), (int64_t)pick(w, 3600) * SECOND, pick(w, 2) ? (int64_t)pick(w, 7200) * SECOND - HOUR : 0);
}

static uint64_t seed(void)
{
	const char *given = getenv("KITH_SEED");
	uint64_t s = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	printf("KITH_SEED=%llu\n", (unsigned long long)s);
	fflush(stdout);
	return s;
}

START_TEST(random_lives)
{
	uint64_t s = seed();

	for (int round = 0; round < 60; round++) {
		static const int64_t most[] = { 10 * SECOND, 600 * SECOND, 4 * HOUR, 3 * DAY };
		struct world w;

		world_open(&w);
		w.seed = s + (uint64_t)round;
		world_start(&w);
		for (int i = 0; i < 200; i++) {
			random_step(&w, 4, most[round % 4]);
			if (i % 20 == 19)
				same_as_naive(&w, 4);
		}
		world_close(&w);
	}
}
END_TEST

static Suite *history_suite(void)
{
	Suite *s = suite_create("history");
	TCase *t = tcase_create("history");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, texts_round);
	tcase_add_test(t, bad_lines);
	tcase_add_test(t, long_texts);
	tcase_add_test(t, windows_of_a_day);
	tcase_add_test(t, last_changes);
	tcase_add_test(t, restarts);
	tcase_add_test(t, jumps);
	tcase_add_test(t, torn_tail);
	tcase_add_test(t, garbage);
	tcase_add_test(t, gone_and_there_again);
	tcase_add_test(t, cannot_be_had);
	tcase_add_test(t, disk_full);
	tcase_add_test(t, burst);
	tcase_add_test(t, random_lives);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(history_suite());
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
