/* Notices: acks, silences, the times that people write, and days that have 23 or 25 hours */
#include <config.h>

#include <time.h>

#include "notices_help.h"
#include "promises/calendar.h"

static const char *const abc[] = { "a", "b", "c" };
static const struct notice_ack by_root = { .by = "root", .because = "looking at it" };

static struct town *abc_new(void)
{
	struct town *t = town_new(NULL, 0);

	town_promise(t, abc, 3, NULL);
	for (int i = 0; i < 3; i++)
		town_put(t, abc[i], 0, 1);
	return t;
}

static int ack(struct town *t, const char *name, double until)
{
	struct notice_ack a = by_root;

	a.until = until > 0 ? S(until) : 0;
	return notices_ack(t->n, town_info(t, name).promise, &a, t->now);
}

static uint32_t silence(struct town *t, const char *pattern, double from, double to)
{
	struct notice_silence s = { .pattern = pattern, .promiser = "", .by = "root", .because = "work", .from = S(from), .to = S(to) };
	uint32_t id = 0;

	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), 0);
	return id;
}

START_TEST(test_ack)
{
	struct town *t = abc_new();
	struct notice_ack a;

	ck_assert_int_eq(ack(t, "b.a", 0), -ENOENT);
	town_put(t, "a", 2, 5);
	town_to(t, 20);
	ck_assert_uint_eq(t->n_sent, 1);
	ck_assert_int_eq(ack(t, "b.a", 0), 0);
	ck_assert(notices_acked(t->n, town_info(t, "b.a").promise, &a));
	ck_assert_str_eq(a.name, "b.a");
	ck_assert_str_eq(a.because, "looking at it");
	town_to(t, 50000);
	ck_assert_uint_eq(t->n_sent, 1);
	/* Its data stay out: still acknowledged. Kept: told, and the ack is over. */
	town_put(t, "a", 0, 50001);
	ck_assert(!notices_acked(t->n, town_info(t, "b.a").promise, &a));
	town_to(t, 50020);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.a of svc:a is kept again (warning)");
	town_put(t, "a", 2, 60000);
	town_to(t, 60020);
	ck_assert_uint_eq(t->n_sent, 3);
	town_free(t);
}
END_TEST

/* Acknowledged before it was told: nothing is told, also not that it is kept */
START_TEST(test_ack_early)
{
	struct town *t = abc_new();

	town_put(t, "a", 2, 5);
	ck_assert_int_eq(ack(t, "b.a", 0), 0);
	town_to(t, 100);
	town_put(t, "a", 0, 200);
	town_to(t, 300);
	ck_assert_uint_eq(t->n_sent, 0);
	town_free(t);
}
END_TEST

START_TEST(test_ack_until)
{
	struct town *t = abc_new();

	town_put(t, "a", 2, 5);
	town_put(t, "b", 2, 5);
	town_to(t, 20);
	ck_assert_int_eq(ack(t, "b.a", 500), 0);
	town_to(t, 499);
	ck_assert_uint_eq(t->n_sent, 1);
	town_to(t, 501);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.a of svc:a is still broken (warning)");
	ck_assert_int_eq(t->sent[1].time, S(500));
	/* Taken back: told again as well; twice is once */
	ck_assert_int_eq(ack(t, "b.a", 0), 0);
	ck_assert_int_eq(ack(t, "b.a", 9000), 0);
	town_to(t, 600);
	ck_assert_int_eq(notices_unack(t->n, town_info(t, "b.a").promise, t->now), 0);
	ck_assert_int_eq(notices_unack(t->n, town_info(t, "b.a").promise, t->now), -ENOENT);
	town_to(t, 601);
	ck_assert_uint_eq(t->n_sent, 3);
	sent_is(t, 2, "web1: b.a of svc:a is still broken (warning)");
	town_free(t);
}
END_TEST

/* Without receivers an ack is a mark, and goes when it is kept or gone */
START_TEST(test_ack_alone)
{
	struct town *t = town_new(&town_ops, 0);
	struct notice_ack a;

	ck_assert_int_eq(notices_configure(t->n, "web1", NULL, 0, t->now), 0);
	town_promise(t, abc, 3, NULL);
	town_put(t, "a", 2, 5);
	ck_assert_int_eq(ack(t, "b.a", 0), 0);
	ck_assert_int_eq(notices_ack_at(t->n, 0, &a), 0);
	ck_assert_int_eq(notices_ack_at(t->n, 1, &a), -ENOENT);
	town_put(t, "a", 0, 6);
	ck_assert_int_eq(notices_ack_at(t->n, 0, &a), -ENOENT);
	town_put(t, "a", 2, 7);
	ck_assert_int_eq(ack(t, "b.a", 0), 0);
	world_load_at(t->w, "", 8);
	town_to(t, 200);
	ck_assert_int_eq(notices_ack_at(t->n, 0, &a), 0);
	town_to(t, 400);
	ck_assert_int_eq(notices_ack_at(t->n, 0, &a), -ENOENT);
	ck_assert_uint_eq(t->n_sent, 0);
	town_free(t);
}
END_TEST

START_TEST(test_silence)
{
	struct town *t = abc_new();
	struct notice_silence s;
	uint32_t id = silence(t, "b.?", 100, 200);

	/* Before, within, after */
	town_put(t, "a", 2, 5);
	town_to(t, 99);
	ck_assert_uint_eq(t->n_sent, 1);
	ck_assert(!notices_silenced(t->n, "b.a", "svc:a", &s));
	town_put(t, "b", 2, 110);
	ck_assert(notices_silenced(t->n, "b.a", "svc:a", &s));
	ck_assert_uint_eq(s.id, id);
	town_put(t, "c", 2, 120);
	town_put(t, "c", 0, 150);
	town_to(t, 199);
	ck_assert_uint_eq(t->n_sent, 1);
	/* The end tells what is broken then: b for the first time, a again; of c nothing */
	town_to(t, 201);
	ck_assert_uint_eq(t->n_sent, 2);
	ck_assert_int_eq(t->sent[1].time, S(200));
	sent_is(t, 1, "web1: 1 broken, 1 still broken (warning): b.b, b.a");
	ck_assert_int_eq(notices_silence_at(t->n, 0, &s), -ENOENT);
	/* Told, then kept within a silence: told at its end */
	id = silence(t, "svc:b", 250, 400);
	town_put(t, "b", 0, 300);
	town_to(t, 350);
	ck_assert_uint_eq(t->n_sent, 2);
	ck_assert_int_eq(notices_unsilence(t->n, id, t->now), 0);
	ck_assert_int_eq(notices_unsilence(t->n, id, t->now), -ENOENT);
	town_to(t, 351);
	ck_assert_uint_eq(t->n_sent, 3);
	sent_is(t, 2, "web1: b.b of svc:b is kept again (warning)");
	town_free(t);
}
END_TEST

/* Two that overlap are one; a promiser narrows one */
START_TEST(test_silence_two)
{
	struct town *t = abc_new();
	struct notice_silence s = { .pattern = "b", .promiser = "svc:b", .by = "root", .because = "", .from = S(2), .to = S(300) };
	uint32_t id;

	silence(t, "b.a", 2, 100);
	silence(t, "svc:a", 50, 200);
	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), 0);
	town_put(t, "a", 2, 5);
	town_put(t, "b", 2, 5);
	town_put(t, "c", 2, 5);
	town_to(t, 199);
	ck_assert_uint_eq(t->n_sent, 1);
	sent_is(t, 0, "web1: b.c of svc:c is broken (warning)");
	town_to(t, 299);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.a of svc:a is broken (warning)");
	town_to(t, 301);
	sent_is(t, 2, "web1: b.b of svc:b is broken (warning)");
	s.from = S(290);
	s.to = S(290);
	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), -EINVAL);
	s.to = S(295);
	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), -EINVAL);
	s.to = S(3000);
	for (int i = 0; i < NOTICE_SILENCES_MAX; i++)
		ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), 0);
	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), -ENOSPC);
	town_free(t);
}
END_TEST

/* The clock is set: waits go along, the time of day does not */
START_TEST(test_silence_jump)
{
	struct town *t = abc_new();
	int64_t jump = 3600 * NS_PER_S;

	silence(t, "*", 100, 1000);
	town_put(t, "a", 2, 120);
	town_to(t, 200);
	ck_assert_uint_eq(t->n_sent, 0);
	t->now += jump;
	model_jump(t->w->m, jump);
	model_set_now(t->w->m, t->now);
	promises_jump(t->w->p, jump);
	notices_jump(t->n, jump);
	town_to(t, 3801);
	ck_assert_uint_eq(t->n_sent, 1);
	town_free(t);
}
END_TEST

/* ---- what people write ------------------------------------------------------------------------------------------- */

static int64_t at(const char *text)
{
	int64_t when;

	ck_assert_msg(calendar_when(text, T0, T0, &when) == 0, "%s", text);
	return when;
}

static const struct written {
	const char *from, *to, *length, *every, *means; /* "!" before what it is refused with */
} writtens[] = {
	/* It is Saturday 2027-03-13 12:00 in Berlin. */
	{ NULL, NULL, "2h", NULL, "from 2027-03-13 12:00:00 +0100 to 2027-03-13 14:00:00 +0100" },
	{ NULL, "2h", NULL, NULL, "from 2027-03-13 12:00:00 +0100 to 2027-03-13 14:00:00 +0100" },
	{ NULL, "18:00", NULL, NULL, "from 2027-03-13 12:00:00 +0100 to 2027-03-13 18:00:00 +0100" },
	{ NULL, "11:00", NULL, NULL, "from 2027-03-13 12:00:00 +0100 to 2027-03-14 11:00:00 +0100" },
	{ "22:00", "06:00", NULL, NULL, "from 2027-03-13 22:00:00 +0100 to 2027-03-14 06:00:00 +0100" },
	{ "11:30", NULL, "1h", NULL, "from 2027-03-13 11:30:00 +0100 to 2027-03-13 12:30:00 +0100" },
	{ "11:00", NULL, "1h", NULL, "from 2027-03-14 11:00:00 +0100 to 2027-03-14 12:00:00 +0100" },
	{ "08:00", "10:00", NULL, NULL, "from 2027-03-14 08:00:00 +0100 to 2027-03-14 10:00:00 +0100" },
	{ "1h", "3h", NULL, NULL, "from 2027-03-13 13:00:00 +0100 to 2027-03-13 15:00:00 +0100" },
	{ "2027-03-28 01:30", "2027-03-28 03:30", NULL, NULL, "from 2027-03-28 01:30:00 +0100 to 2027-03-28 03:30:00 +0200" },
	{ "2027-03-20T10:00:00Z", "2027-03-20T12:30:00.5+01:00", NULL, NULL, "from 2027-03-20 11:00:00 +0100 to 2027-03-20 12:30:00 +0100" },
	{ "2027-04-01", NULL, "1d", NULL, "from 2027-04-01 00:00:00 +0200 to 2027-04-02 00:00:00 +0200" },
	{ NULL, NULL, NULL, "day", "every day" },
	{ NULL, NULL, NULL, "sat,sun", "every sat, sun" },
	{ "22:00", "06:00", NULL, "mon..fri", "every mon..fri from 22:00 to 06:00" },
	{ "02:00", NULL, "1h", "day", "every day from 02:00 to 03:00" },
	{ "23:30", NULL, "1h", "sun", "every sun from 23:30 to 00:30" },
	{ "20:00", NULL, NULL, "fri..mon", "every fri..mon from 20:00 to 24:00" },
	{ "00:00", "24:00", NULL, "tue", "every tue" },
	{ "2027-03-18 02:00", NULL, "2h", "week", "every thu from 02:00 to 04:00" },
	{ NULL, NULL, NULL, NULL, "!until when? say --for 2h, --to 18:00 or --every day" },
	{ "18:00", NULL, NULL, NULL, "!until when? say --for 2h, --to 18:00 or --every day" },
	{ NULL, "18:00", "2h", NULL, "!--to and --for say the same: keep one" },
	{ NULL, "soon", NULL, NULL, "!--to \"soon\" is no time: say 2h, 18:00, \"2026-12-24 18:00\" or 2026-12-24T18:00:00Z" },
	{ "2h", "1h", NULL, NULL, "!it ends before it begins" },
	{ NULL, "2027-03-12", NULL, NULL, "!it ends before it begins" },
	{ "2027-03-11", "2027-03-12", NULL, NULL, "!it is over already" },
	{ NULL, "2099-01-01", NULL, NULL, "!--to 2099-01-01 is more than ten years away" },
	{ NULL, NULL, "2", NULL, "!--for \"2\" is no duration: say 30m, 2h or 1d" },
	{ NULL, NULL, "-2h", NULL, "!--for \"-2h\" is no duration: say 30m, 2h or 1d" },
	{ NULL, NULL, "3MB", NULL, "!--for \"3MB\" is no duration: say 30m, 2h or 1d" },
	{ NULL, NULL, NULL, "daily", "!--every \"daily\" is no days: say day, week, mon..fri or sat,sun" },
	{ NULL, NULL, NULL, "mon..", "!--every \"mon..\" is no days: say day, week, mon..fri or sat,sun" },
	{ NULL, NULL, NULL, "mon,", "!--every \"mon,\" is no days: say day, week, mon..fri or sat,sun" },
	{ NULL, NULL, NULL, "week", "!--every week wants to know of which day: --from \"2026-12-24 02:00\", or --every thu" },
	{ "08:00", "08:00", NULL, "day", "!nothing is between these; all day is --from 00:00 --to 24:00" },
	{ "08:00", "2h", NULL, "day", "!with --every --to is a time of day, such as 06:00, not \"2h\"" },
	{ "08:00", NULL, "25h", "day", "!with --every --for is from 1 s to 24 h" },
};
static const char *const bad_times[] = { "", "x", "2", "25:00", "12:60", "2027-02-29", "2027-13-01", "2027-00-10", "2027-04-31x", "1969-01-01",
	                                 "2027-03-20T10", "2027-03-20 10:00 ", "2027-03-20T10:00:00+24:00", "2027-03-20T10:00:00+0", "-1h", "0s",
	                                 "2027-3-2", "24:01" };

static int64_t berlin(void)
{
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	return at("2027-03-13 12:00");
}

START_TEST(test_written)
{
	const struct written *w = &writtens[_i];
	struct silence_words words = { w->from, w->to, w->length, w->every };
	struct notice_silence s = { .pattern = "*", .promiser = "", .by = "", .because = "" };
	struct buf b = BUF_INIT;
	int r = silence_parse(&words, berlin(), &s, &b);

	if (r == 0)
		word_silence(&b, &s);
	ck_assert_str_eq(buf_text(&b), w->means + (*w->means == '!'));
	ck_assert_int_eq(r, *w->means == '!' ? -EINVAL : 0);
	buf_free(&b);
}
END_TEST

START_TEST(test_times)
{
	int64_t when, now = berlin();

	for (size_t i = 0; i < KITH_COUNT(bad_times); i++)
		ck_assert_msg(calendar_when(bad_times[i], now, now, &when) == -EINVAL, "\"%s\"", bad_times[i]);
	ck_assert_int_eq(at("2027-03-13T11:00:00Z"), now);
	ck_assert_int_eq(at("2027-03-13t06:00:00.25-05:00"), now);
	ck_assert_int_eq(calendar_when("2000-02-29", now, now, &when), -ERANGE);
	ck_assert_int_eq(calendar_when("9999-12-31", now, now, &when), -ERANGE);
	ck_assert_int_eq(calendar_when("12:00", now, now, &when), 0);
	ck_assert_int_eq(when, now + 24 * 3600 * NS_PER_S);
}
END_TEST

/* Every hour of the days around a change: where does the window hold? */
static void window_is(const char *from, const char *to, const char *every, const char *first, unsigned hours, const char *expected)
{
	struct silence_words words = { from, to, NULL, every };
	struct notice_silence s = { .pattern = "*", .promiser = "", .by = "", .because = "" };
	int64_t begin = at(first), next;
	struct buf why = BUF_INIT;
	char found[64] = "";

	ck_assert_msg(silence_parse(&words, at("2027-03-01"), &s, &why) == 0, "%s", buf_text(&why));
	for (unsigned i = 0; i < hours; i++) {
		int64_t now = begin + (int64_t)i * 1800 * NS_PER_S;

		found[i] = calendar_window(s.day_from, s.day_until, s.days, now, &next) ? '#' : '.';
		ck_assert_int_gt(next, now);
	}
	ck_assert_str_eq(found, expected);
}

START_TEST(test_summer)
{
	berlin();
	/* The night of 2027-03-28 has no hour from 2 to 3, that of 10-31 has it twice. Half hours from 22:00 on */
	window_is("23:00", "04:00", "day", "2027-03-27 22:00", 14, "..########....");
	window_is("23:00", "04:00", "day", "2027-10-30 22:00", 18, "..############....");
	window_is("23:00", "04:00", "sat", "2027-03-27 22:00", 14, "..########....");
	window_is("23:00", "04:00", "sun", "2027-03-27 22:00", 14, "..............");
	window_is("22:00", "06:00", "mon..fri", "2027-03-05 21:00", 20, "..################..");
	window_is("00:00", "24:00", "sun", "2027-03-27 22:00", 12, "....########");
}
END_TEST

/* A recurring silence over midnight, with what breaks within */
START_TEST(test_every)
{
	struct silence_words words = { "22:00", "06:00", NULL, "day" };
	struct notice_silence s = { .pattern = "*", .promiser = "", .by = "root", .because = "night" };
	struct buf why = BUF_INIT;
	struct town *t;
	uint32_t id;

	setenv("TZ", "UTC", 1);
	tzset();
	t = abc_new(); /* T0 is a Friday, 08:00 */
	ck_assert_int_eq(silence_parse(&words, t->now, &s, &why), 0);
	ck_assert_int_eq(notices_silence(t->n, &s, t->now, &id), 0);
	town_put(t, "a", 2, 15 * 3600); /* 23:00 */
	town_to(t, 21 * 3600 + 3599);
	ck_assert_uint_eq(t->n_sent, 0);
	town_to(t, 22 * 3600 + 1);
	ck_assert_uint_eq(t->n_sent, 1);
	ck_assert_int_eq(t->sent[0].time, S(22 * 3600));
	/* By day it is repeated, at night not, at six it is told again */
	town_to(t, 38 * 3600 - 1);
	ck_assert_uint_eq(t->n_sent, 16);
	town_to(t, 46 * 3600 - 1);
	ck_assert_uint_eq(t->n_sent, 16);
	town_to(t, 46 * 3600 + 1);
	ck_assert_uint_eq(t->n_sent, 17);
	town_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notices quiet");
	TCase *c = tcase_create("quiet");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_ack);
	tcase_add_test(c, test_ack_early);
	tcase_add_test(c, test_ack_until);
	tcase_add_test(c, test_ack_alone);
	tcase_add_test(c, test_silence);
	tcase_add_test(c, test_silence_two);
	tcase_add_test(c, test_silence_jump);
	tcase_add_loop_test(c, test_written, 0, (int)KITH_COUNT(writtens));
	tcase_add_test(c, test_times);
	tcase_add_test(c, test_summer);
	tcase_add_test(c, test_every);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
