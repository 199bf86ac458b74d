/* Notices over restarts: what was told is known, whatever became of the file */
#include <config.h>

#include "notices_help.h"

static const char *const abc[] = { "a", "b", "c" };
static const char *const on_a[] = { "", "depends a", "" };

static char *save(struct town *t, size_t *ret_length)
{
	struct buf b = BUF_INIT;

	ck_assert_int_eq(notices_save(t->n, &b), 0);
	*ret_length = b.length;
	return buf_take(&b);
}

/* kithd ends and starts: promises are unknown until each has had a sample. `away`: s that it was not there */
static void restart(struct town *t, double away, const double *values)
{
	struct town *fresh = calloc(1, sizeof(*fresh));
	double seconds = (double)(t->now - T0) / 1e9 + away;
	size_t length, bad = 99;
	char *text = save(t, &length);

	notices_free(t->n);
	world_free(t->w);
	fresh->w = world_new();
	t->w = fresh->w;
	free(fresh);
	model_set_now(t->w->m, S(seconds));
	t->now = S(seconds);
	town_begin_notices(t);
	ck_assert_int_eq(notices_configure(t->n, "web1", &town_ops, 1, t->now), 0);
	ck_assert_int_eq(notices_load(t->n, text, length, t->now, &bad), 0);
	ck_assert_uint_eq(bad, 0);
	free(text);
	town_promise(t, abc, 3, on_a);
	for (int i = 0; i < 3; i++)
		town_put(t, abc[i], values[i], seconds + 0.1);
}

static struct town *abc_new(void)
{
	struct town *t = town_new(NULL, 0);

	town_promise(t, abc, 3, on_a);
	for (int i = 0; i < 3; i++)
		town_put(t, abc[i], 0, 1);
	return t;
}

START_TEST(test_restart)
{
	struct town *t = abc_new();

	town_put(t, "a", 2, 5);
	town_put(t, "c", 2, 5);
	town_to(t, 20);
	ck_assert_uint_eq(t->n_sent, 1);
	restart(t, 60, (double[]){ 2, 0, 2 });
	town_to(t, 3600);
	ck_assert_uint_eq(t->n_sent, 1);
	/* Repeated when it was to be; c was mended while kithd was away */
	town_to(t, 3700);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: 2 still broken (warning): b.a, b.c");
	restart(t, 60, (double[]){ 2, 0, 0 });
	town_to(t, 3800);
	ck_assert_uint_eq(t->n_sent, 3);
	sent_is(t, 2, "web1: b.c of svc:c is kept again (warning)");
	town_free(t);
}
END_TEST

START_TEST(test_restart_gone)
{
	struct town *t = abc_new();

	town_put(t, "a", 2, 5);
	town_put(t, "c", 2, 5);
	town_to(t, 20);
	restart(t, 60, (double[]){ 2, 0, 2 });
	world_load_at(t->w, "", 100);
	restart(t, 1, (double[]){ 2, 0, 2 });
	world_load_at(t->w, "", 110);
	town_to(t, 130);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: 2 no longer promised (warning): b.a, b.c");
	town_free(t);
}
END_TEST

/* Promises that never come back after the restart are told as gone once they had time to */
START_TEST(test_restart_orphans)
{
	struct town *t = abc_new();
	size_t length, bad;
	char *text;

	town_put(t, "a", 2, 5);
	town_to(t, 20);
	text = save(t, &length);
	notices_free(t->n);
	town_begin_notices(t);
	ck_assert_int_eq(notices_configure(t->n, "web1", &town_ops, 1, t->now), 0);
	world_load_at(t->w, "", 20);
	ck_assert_int_eq(notices_load(t->n, text, length, t->now, &bad), 0);
	free(text);
	town_to(t, 320);
	ck_assert_uint_eq(t->n_sent, 1);
	town_to(t, 331);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.a of svc:a is no longer promised (warning)");
	text = save(t, &length);
	ck_assert_ptr_null(strstr(text, "told"));
	free(text);
	town_free(t);
}
END_TEST

START_TEST(test_restart_quiet)
{
	struct town *t = abc_new();
	struct notice_ack a = { .by = "ann\tb\\", .because = "line\nline", .until = S(5000) };
	struct notice_silence s = { .pattern = "b.c", .promiser = "", .by = "root", .because = "\xc3\xa4", .from = S(2), .to = S(1000) };
	uint32_t id;

	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), 0);
	town_put(t, "a", 2, 5);
	town_put(t, "c", 2, 5);
	town_to(t, 20);
	ck_assert_int_eq(notices_ack(t->n, town_info(t, "b.a").promise, &a, t->now), 0);
	restart(t, 10, (double[]){ 2, 0, 2 });
	ck_assert_int_eq(notices_ack_at(t->n, 0, &a), 0);
	ck_assert_str_eq(a.by, "ann\tb\\");
	ck_assert_str_eq(a.because, "line\nline");
	ck_assert_int_eq(notices_silence_at(t->n, 0, &s), 0);
	ck_assert_str_eq(s.because, "\xc3\xa4");
	ck_assert(s.active);
	ck_assert_uint_eq(s.id, id);
	town_to(t, 999);
	ck_assert_uint_eq(t->n_sent, 1);
	town_to(t, 1001);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.c of svc:c is broken (warning)");
	/* The ack ran out while kithd was away: told once promises had time to be assessed */
	restart(t, 6000, (double[]){ 2, 0, 2 });
	town_to(t, 7050);
	ck_assert_uint_eq(t->n_sent, 3);
	sent_is(t, 2, "web1: 2 still broken (warning): b.a, b.c");
	/* Numbers are not given twice. */
	s = (struct notice_silence){ .pattern = "x", .promiser = "", .by = "", .because = "", .from = S(0), .to = S(9000) };
	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), 0);
	ck_assert_uint_eq(id, 2);
	town_free(t);
}
END_TEST

/* The same story with a restart at one of its steps, and without: the same is told */
static const struct step {
	double at;
	int which;
	double value;
} story[] = {
	{ 10, 1, 2 }, { 12, 0, 2 }, { 40, 2, 2 }, { 60, 2, 0 }, { 100, 1, 2 }, { 130, 0, 0 }, { 170, 2, 2 }, { 230, 1, 0 }, { 300, 2, 0 }, { 400, 0, 2 },
};

static void tell_story(struct town *t, int restart_after, struct buf *told)
{
	double values[3] = { 0, 0, 0 };

	for (int i = 0; i < (int)KITH_COUNT(story); i++) {
		town_put(t, abc[story[i].which], story[i].value, story[i].at);
		values[story[i].which] = story[i].value;
		/* Once what waited was told: what had not been told begins its wait anew. */
		if (i == restart_after) {
			town_to(t, story[i].at + 11);
			if (i == 1)
				town_to(t, story[i].at + 20);
			restart(t, 0, values);
		}
	}
	town_to(t, 1000);
	for (unsigned i = 0; i < t->n_sent; i++)
		buf_printf(told, "%s\n", t->sent[i].subject);
}

START_TEST(test_story)
{
	struct town *a = abc_new(), *b = abc_new();
	struct buf without = BUF_INIT, with = BUF_INIT;

	tell_story(a, -1, &without);
	ck_assert_uint_gt(a->n_sent, 5);
	/* Step 0 and 4 break what another step explains 2 s later, or while something else is not told yet */
	if (_i != 0)
		tell_story(b, _i, &with);
	else
		buf_puts(&with, buf_text(&without));
	ck_assert_str_eq(buf_text(&with), buf_text(&without));
	buf_free(&without);
	buf_free(&with);
	town_free(a);
	town_free(b);
}
END_TEST

/* ---- files that are not what they were --------------------------------------------------------------------------- */

static char *full_state(struct town *t, size_t *ret_length)
{
	struct notice_ack a = { .by = "root", .because = "because" };
	struct notice_silence s = { .pattern = "b.c", .promiser = "svc:*", .by = "root", .because = "x", .from = S(2), .to = S(1000) };
	struct notice_silence every = { .pattern = "b", .promiser = "", .by = "root", .because = "", .from = S(2), .every = true, .days = 3, .day_until = 60 };
	uint32_t id;

	town_put(t, "a", 2, 5);
	town_put(t, "c", 2, 5);
	town_to(t, 20);
	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), 0);
	ck_assert_int_eq(notices_silence(t->n, &every, t->now, &id), 0);
	ck_assert_int_eq(notices_ack(t->n, town_info(t, "b.a").promise, &a, t->now), 0);
	return save(t, ret_length);
}

/* From memory of exactly its size, into a module of its own; how many lines hold */
static size_t load_exact(const char *text, size_t length, size_t *ret_bad)
{
	struct town *t = town_new(NULL, 0);
	char *exact = malloc(length ? length : 1);
	struct notice_receiver_info r;
	struct notice_silence s;
	struct notice_ack a;
	size_t n = 0;

	memcpy(exact, text, length);
	ck_assert_int_eq(notices_load(t->n, exact, length, S(21), ret_bad), 0);
	free(exact);
	while (notices_silence_at(t->n, n, &s) == 0)
		n++;
	n += notices_ack_at(t->n, 0, &a) == 0;
	ck_assert_int_eq(notices_receiver_at(t->n, 0, &r), 0);
	n += r.told;
	town_to(t, 5000);
	town_free(t);
	return n;
}

START_TEST(test_truncated)
{
	struct town *t = abc_new();
	size_t length, bad, most = 0;
	char *text = full_state(t, &length);

	ck_assert_uint_eq(load_exact(text, length, &bad), 5);
	ck_assert_uint_eq(bad, 0);
	for (size_t n = 0; n < length; n++) {
		size_t held = load_exact(text, n, &bad);

		ck_assert_uint_ge(bad, 1);
		ck_assert_uint_ge(held, most);
		most = held;
	}
	ck_assert_uint_eq(most, 5);
	free(text);
	town_free(t);
}
END_TEST

START_TEST(test_damaged)
{
	struct town *t = abc_new();
	size_t length, bad;
	char *text = full_state(t, &length);

	for (size_t n = 0; n < length; n++) {
		text[n] ^= (char)(1 << n % 8);
		/* One line is lost, or two where its end is. */
		ck_assert_uint_ge(load_exact(text, length, &bad), 3);
		ck_assert_uint_ge(bad, 1);
		text[n] ^= (char)(1 << n % 8);
	}
	free(text);
	town_free(t);
}
END_TEST

START_TEST(test_junk)
{
	char junk[20000];
	size_t bad;

	memset(junk, 'x', sizeof(junk));
	ck_assert_uint_eq(load_exact(junk, sizeof(junk), &bad), 0);
	ck_assert_uint_eq(bad, 2);
	memset(junk, '\n', sizeof(junk));
	ck_assert_uint_eq(load_exact(junk, 100, &bad), 0);
	ck_assert_uint_eq(bad, 101);
	ck_assert_uint_eq(load_exact("", 0, &bad), 0);
	ck_assert_uint_eq(bad, 1);
}
END_TEST

/* With the kept ones told to nobody: it broke again while kithd was away, and that is told */
START_TEST(test_not_kept)
{
	struct notice_receiver r = town_ops;
	struct town *t = town_new(NULL, 0);
	unsigned changed;

	r.kept = false;
	ck_assert_int_eq(notices_configure(t->n, "web1", &r, 1, t->now), 0);
	town_promise(t, abc, 3, on_a);
	town_put(t, "a", 2, 5);
	town_to(t, 20);
	changed = t->n_changed;
	town_put(t, "a", 0, 30);
	town_to(t, 50);
	ck_assert_uint_gt(t->n_changed, changed);
	restart(t, 10, (double[]){ 2, 0, 0 });
	town_to(t, 100);
	ck_assert_uint_eq(t->n_sent, 2);
	town_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notices state");
	TCase *c = tcase_create("state");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_restart);
	tcase_add_test(c, test_restart_gone);
	tcase_add_test(c, test_restart_orphans);
	tcase_add_test(c, test_restart_quiet);
	tcase_add_loop_test(c, test_story, 0, (int)KITH_COUNT(story));
	tcase_add_test(c, test_truncated);
	tcase_add_test(c, test_damaged);
	tcase_add_test(c, test_junk);
	tcase_add_test(c, test_not_kept);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
