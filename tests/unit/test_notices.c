/* Notices: what is told, when, and to whom. */
#include <config.h>

#include "notices_help.h"

static const char *const abc[] = { "a", "b", "c" };

static struct town *abc_new(const struct notice_receiver *r, size_t n, const char *const *more)
{
	struct town *t = town_new(r, n);

	town_promise(t, abc, 3, more);
	for (int i = 0; i < 3; i++)
		town_put(t, abc[i], 0, 1);
	return t;
}

START_TEST(test_one)
{
	struct town *t = abc_new(NULL, 0, NULL);

	town_put(t, "a", 2, 5);
	town_to(t, 14.9);
	ck_assert_uint_eq(t->n_sent, 0);
	town_to(t, 15);
	ck_assert_uint_eq(t->n_sent, 1);
	sent_is(t, 0, "web1: b.a of svc:a is broken (warning)");
	ck_assert_str_eq(t->sent[0].what, "broken");
	ck_assert_str_eq(t->sent[0].program, "/bin/tell");
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "\"promises\":[{\"name\":\"b.a\",\"promiser\":\"svc:a\",\"promisees\":[],\"what\":\"broken\","
	                                              "\"assessment\":\"broken\",\"severity\":\"warning\",\"since\":\""));
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "\"because\":\"svc:a:load is 2"));
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "\"more\":0}"));
	town_put(t, "a", 0, 100);
	town_to(t, 109.9);
	ck_assert_uint_eq(t->n_sent, 1);
	town_to(t, 110);
	sent_is(t, 1, "web1: b.a of svc:a is kept again (warning)");
	town_to(t, 100000);
	ck_assert_uint_eq(t->n_sent, 2);
	town_free(t);
}
END_TEST

START_TEST(test_group)
{
	struct town *t = abc_new(NULL, 0, NULL);

	town_put(t, "a", 2, 5);
	town_put(t, "b", 2, 9);
	town_put(t, "c", 2, 16); /* after the message */
	town_to(t, 60);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 0, "web1: 2 broken (warning): b.a, b.b");
	ck_assert_int_eq(t->sent[0].time, S(15));
	sent_is(t, 1, "web1: b.c of svc:c is broken (warning)");
	ck_assert_int_eq(t->sent[1].time, S(26));
	town_free(t);
}
END_TEST

START_TEST(test_blip)
{
	struct town *t = abc_new(NULL, 0, NULL);
	struct notice_receiver_info info;

	town_put(t, "a", 2, 5);
	town_put(t, "a", 0, 14);
	town_to(t, 1000);
	ck_assert_uint_eq(t->n_sent, 0);
	ck_assert_int_eq(notices_receiver_at(t->n, 0, &info), 0);
	ck_assert_uint_eq(info.mended, 1);
	ck_assert_uint_eq(info.told, 0);
	/* And one that is kept for a moment only: nothing new, since it was told as broken */
	town_put(t, "a", 2, 1000);
	town_put(t, "a", 0, 1100);
	town_put(t, "a", 2, 1105);
	town_to(t, 1300);
	ck_assert_uint_eq(t->n_sent, 1);
	town_free(t);
}
END_TEST

static const char *const on_a[] = { "", "depends a", "depends b" };

/* The cause first, or what depends on it first, or all told before */
START_TEST(test_fold)
{
	struct town *t = abc_new(NULL, 0, on_a);

	if (_i == 0) {
		town_put(t, "a", 2, 5);
		town_put(t, "b", 2, 6);
	} else {
		town_put(t, "c", 2, 5);
		town_put(t, "b", 2, 6);
		town_put(t, "a", 2, 7);
	}
	town_to(t, 100);
	ck_assert_uint_eq(t->n_sent, 1);
	sent_is(t, 0, "web1: b.a of svc:a is broken (warning)");
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "also affected: 2 promises: b.b (svc:b), b.c (svc:c)\\n"));
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "\"affected\":[{\"name\":\"b.b\",\"promiser\":\"svc:b\"},{\"name\":\"b.c\","
	                                              "\"promiser\":\"svc:c\"}],\"n_affected\":2}"));
	/* The cause is mended; b is broken for itself, which keeps c unknown. */
	town_put(t, "b", 2, 150);
	town_put(t, "a", 0, 200);
	town_to(t, 300);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: 1 broken, 1 kept again (warning): b.b, b.a");
	ck_assert_int_eq(t->sent[1].time, S(210));
	ck_assert_ptr_nonnull(strstr(t->sent[1].json, "also affected: 1 promise: b.c (svc:c)"));
	town_free(t);
}
END_TEST

/* Told of b; then its cause breaks: b is not repeated beside it. Mended, both are told. */
START_TEST(test_fold_late)
{
	struct town *t = abc_new(NULL, 0, on_a);

	town_put(t, "b", 2, 5);
	town_put(t, "a", 2, 100);
	town_to(t, 200);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.a of svc:a is broken (warning)");
	town_to(t, 3700 + 300);
	ck_assert_uint_eq(t->n_sent, 3);
	sent_is(t, 2, "web1: b.a of svc:a is still broken (warning)");
	town_put(t, "b", 0, 5000);
	town_put(t, "a", 0, 5001);
	town_to(t, 5100);
	ck_assert_uint_eq(t->n_sent, 4);
	sent_is(t, 3, "web1: 2 kept again (warning): b.b, b.a");
	town_free(t);
}
END_TEST

START_TEST(test_repeat)
{
	struct town *t = abc_new(NULL, 0, NULL);

	town_put(t, "a", 2, 5);
	town_put(t, "b", 2, 600);
	town_put(t, "c", 2, 3000);
	/* a is told at 15, b at 610, c at 3010; a is repeated an hour later, c is too new to go with it, b is not. */
	town_to(t, 3620);
	ck_assert_uint_eq(t->n_sent, 4);
	sent_is(t, 3, "web1: 2 still broken (warning): b.a, b.b");
	ck_assert_int_eq(t->sent[3].time, S(3615));
	town_to(t, 6610);
	ck_assert_uint_eq(t->n_sent, 5);
	sent_is(t, 4, "web1: 3 still broken (warning): b.a, b.b, b.c");
	ck_assert_str_eq(t->sent[4].what, "repeat");
	town_free(t);
}
END_TEST

START_TEST(test_no_repeat_no_kept)
{
	struct notice_receiver r = town_ops;
	struct town *t;

	r.repeat = 0;
	r.kept = false;
	t = abc_new(&r, 1, NULL);
	town_put(t, "a", 2, 5);
	town_to(t, 1e6);
	ck_assert_uint_eq(t->n_sent, 1);
	town_put(t, "a", 0, 1e6 + 1);
	town_to(t, 1e6 + 100);
	ck_assert_uint_eq(t->n_sent, 1);
	town_put(t, "a", 2, 1e6 + 200);
	town_to(t, 1e6 + 300);
	ck_assert_uint_eq(t->n_sent, 2);
	town_free(t);
}
END_TEST

START_TEST(test_unknown)
{
	struct notice_receiver r[2] = { town_ops, town_ops };
	struct town *t;

	r[0].unknown = 300 * NS_PER_S;
	r[1].name = "other";
	t = town_new(r, 2);
	town_promise(t, abc, 3, on_a);
	town_put(t, "a", 0, 1);
	town_put(t, "c", 0, 1);
	town_to(t, 299);
	ck_assert_uint_eq(t->n_sent, 0);
	town_to(t, 310);
	ck_assert_uint_eq(t->n_sent, 1);
	sent_is(t, 0, "web1: b.b of svc:b is unknown (warning)");
	ck_assert_str_eq(t->sent[0].receiver, "ops");
	/* Unknown for a dependency is none of it. */
	town_put(t, "a", 2, 400);
	town_to(t, 3000);
	ck_assert_uint_eq(t->n_sent, 3);
	sent_is(t, 1, "web1: b.a of svc:a is broken (warning)");
	town_put(t, "b", 0, 3100);
	town_put(t, "a", 0, 3101);
	town_to(t, 3150);
	ck_assert_uint_eq(t->n_sent, 5);
	sent_is(t, 3, "web1: 2 kept again (warning): b.b, b.a");
	sent_is(t, 4, "web1: b.a of svc:a is kept again (warning)");
	ck_assert_str_eq(t->sent[4].receiver, "other");
	town_free(t);
}
END_TEST

START_TEST(test_unknown_then_broken)
{
	struct notice_receiver r = town_ops;
	struct town *t;

	r.unknown = 60 * NS_PER_S;
	t = town_new(&r, 1);
	town_promise(t, abc, 1, NULL);
	town_to(t, 70);
	sent_is(t, 0, "web1: b.a of svc:a is unknown (warning)");
	town_put(t, "a", 2, 100);
	town_to(t, 200);
	sent_is(t, 1, "web1: b.a of svc:a is broken (warning)");
	town_put(t, "a", 0, 300);
	town_to(t, 400);
	ck_assert_uint_eq(t->n_sent, 3);
	town_free(t);
}
END_TEST

/* tell names receivers: those alone, whatever their patterns and severity; the zone is nobody here */
START_TEST(test_routes)
{
	static const char *const more[] = { "tell db", "severity notice", "tell zone\n severity critical" };
	static const char *const patterns[] = { "b.c", "x.*" };
	struct notice_receiver r[3] = { town_ops, town_ops, town_ops };
	struct town *t;

	r[1].name = "db";
	r[1].severity = KITH_ALERT;
	r[2].name = "web";
	r[2].patterns = patterns;
	r[2].n_patterns = 2;
	t = abc_new(r, 3, more);
	town_put(t, "a", 2, 5);
	town_put(t, "b", 2, 5);
	town_put(t, "c", 2, 5);
	town_to(t, 100);
	ck_assert_uint_eq(t->n_sent, 3);
	for (int i = 0; i < 3; i++)
		sent_is(t, i, !strcmp(t->sent[i].receiver, "db") ? "web1: b.a of svc:a is broken (warning)" : "web1: b.c of svc:c is broken (critical)");
	town_free(t);
}
END_TEST

START_TEST(test_match)
{
	ck_assert(notice_match("web.*", "web.a", "svc:x"));
	ck_assert(notice_match("web", "web.a", "svc:x"));
	ck_assert(notice_match("svc", "web.a", "svc:x"));
	ck_assert(notice_match("svc:*", "web.a", "svc:x"));
	ck_assert(notice_match("*", "web.a", "svc:x"));
	ck_assert(notice_match("web.?", "web.a", "svc:x"));
	ck_assert(!notice_match("we", "web.a", "svc:x"));
	ck_assert(!notice_match("web.a:*", "web.a", "svc:x"));
	ck_assert(!notice_match("", "web.a", "svc:x"));
}
END_TEST

START_TEST(test_failure)
{
	struct town *t = abc_new(NULL, 0, NULL);
	struct notice_receiver_info info;

	t->status = 7;
	town_put(t, "a", 2, 5);
	town_to(t, 20);
	ck_assert_uint_eq(t->n_sent, 1);
	ck_assert_str_eq(t->record, "ops cannot be told: /bin/tell failed with exit status 7: no route; it is tried again");
	/* 15, 45, 105, 225, 465, 945, 1545, 2145 … */
	town_put(t, "b", 2, 30);
	town_to(t, 46);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: 2 broken (warning): b.a, b.b");
	town_put(t, "a", 0, 50);
	town_to(t, 944);
	ck_assert_uint_eq(t->n_sent, 5);
	sent_is(t, 4, "web1: b.b of svc:b is broken (warning)");
	town_to(t, 2145);
	ck_assert_uint_eq(t->n_sent, 8);
	ck_assert_uint_eq(t->n_records, 1);
	ck_assert_int_eq(notices_receiver_at(t->n, 0, &info), 0);
	ck_assert_uint_eq(info.failing, 8);
	ck_assert_int_eq(info.again, S(2745));
	ck_assert_str_eq(info.why, "/bin/tell failed with exit status 7: no route");
	t->status = 0;
	town_to(t, 2745);
	ck_assert_uint_eq(t->n_sent, 9);
	ck_assert_uint_eq(t->n_records, 2);
	ck_assert_str_eq(t->record, "ops is told again, after 8 tries that failed");
	ck_assert_int_eq(notices_receiver_at(t->n, 0, &info), 0);
	ck_assert_uint_eq(info.messages, 1);
	ck_assert_uint_eq(info.failed, 8);
	ck_assert_uint_eq(info.told, 1);
	/* One that cannot be started */
	t->send_result = -ENOENT;
	town_put(t, "a", 2, 3000);
	town_to(t, 3010);
	ck_assert_str_eq(t->record, "ops cannot be told: /bin/tell cannot be run: No such file or directory; it is tried again");
	t->send_result = 0;
	town_to(t, 3041);
	sent_is(t, 9, "web1: b.a of svc:a is broken (warning)");
	town_free(t);
}
END_TEST

/* What changes while a message is on its way is told after it; one at a time. */
START_TEST(test_on_its_way)
{
	struct town *t = abc_new(NULL, 0, NULL);

	t->held = true;
	town_put(t, "a", 2, 5);
	town_to(t, 16);
	ck_assert_uint_eq(t->n_sent, 1);
	town_put(t, "a", 0, 17);
	town_put(t, "b", 2, 18);
	town_to(t, 60);
	ck_assert_uint_eq(t->n_sent, 1);
	town_delivered(t, 0);
	t->held = false;
	town_to(t, 61);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: 1 broken, 1 kept again (warning): b.b, b.a");
	/* Told that it is kept while it breaks again */
	t->held = true;
	town_put(t, "b", 0, 100);
	town_to(t, 111);
	ck_assert_uint_eq(t->n_sent, 3);
	town_put(t, "b", 2, 112);
	town_delivered(t, 0);
	t->held = false;
	town_to(t, 130);
	ck_assert_uint_eq(t->n_sent, 4);
	sent_is(t, 3, "web1: b.b of svc:b is broken (warning)");
	ck_assert_int_eq(t->sent[3].time, S(122));
	town_free(t);
}
END_TEST

/* Delivery takes effect for those that failed meanwhile: nothing is told of one that is kept again before it was. */
START_TEST(test_failed_and_kept)
{
	struct town *t = abc_new(NULL, 0, NULL);

	t->held = true;
	town_put(t, "a", 2, 5);
	town_to(t, 16);
	town_put(t, "a", 0, 17);
	town_delivered(t, 1);
	t->held = false;
	town_to(t, 1000);
	ck_assert_uint_eq(t->n_sent, 1);
	town_free(t);
}
END_TEST

START_TEST(test_gone)
{
	struct town *t = abc_new(NULL, 0, NULL);
	static const char *const changed[] = { "severity error", "", "" };

	town_put(t, "a", 2, 5);
	town_put(t, "b", 2, 5);
	town_to(t, 100);
	ck_assert_uint_eq(t->n_sent, 1);
	/* The text of a is another, the promise is the same; b and c are gone: c was never told of. */
	town_put(t, "c", 2, 100);
	town_promise(t, abc, 1, changed);
	town_to(t, 200);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.b of svc:b is no longer promised (warning)");
	town_put(t, "a", 0, 300);
	town_to(t, 400);
	sent_is(t, 2, "web1: b.a of svc:a is kept again (error)");
	town_free(t);
}
END_TEST

/* Of a promiser with a pattern: its instance ends, and comes back within the wait */
START_TEST(test_instance)
{
	struct town *t = town_new(NULL, 0);

	world_load_at(t->w, "bundle b {\n promise p {\n promiser svc:*\n keep svc:*:load < 1\n }\n}\n", 0);
	town_put(t, "x", 2, 1);
	town_put(t, "y", 2, 1);
	town_to(t, 20);
	ck_assert_uint_eq(t->n_sent, 1);
	sent_is(t, 0, "web1: 2 broken (warning): b.p, b.p");
	instance_end(t->w->m, world_instance(t->w, t->w->svc, "x"));
	town_put(t, "x", 2, 25);
	instance_end(t->w->m, world_instance(t->w, t->w->svc, "y"));
	town_to(t, 100);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.p of svc:y is no longer promised (warning)");
	town_free(t);
}
END_TEST

START_TEST(test_storm)
{
	struct town *t = town_new(NULL, 0);
	char name[16];

	world_load_at(t->w, "bundle b {\n promise p {\n promiser svc:*\n keep svc:*:load < 1\n }\n}\n", 0);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		put(t->w, "svc", name, "load", 2, 1);
	}
	for (int k = 0; k < 3; k++)
		for (int i = 0; i < 5000; i++) {
			snprintf(name, sizeof(name), "s%d", i);
			put(t->w, "svc", name, "load", k % 2 ? 2 : 0, 2 + k);
		}
	town_to(t, 11);
	ck_assert_uint_eq(t->n_sent, 1);
	ck_assert_uint_eq(t->sent[0].count, 5000);
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, " more: kith promises lists all"));
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "and 4,950 more"));
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "\"more\":4950}"));
	town_to(t, 100);
	ck_assert_uint_eq(t->n_sent, 1);
	town_free(t);
}
END_TEST

/* Names and reasons of the worst kind: what goes out is one line where it should be, valid UTF-8, bounded */
START_TEST(test_bounds)
{
	struct town *t = town_new(NULL, 0);
	char name[300];

	world_load_at(t->w, "bundle b {\n promise p {\n promiser svc:*\n promisee \"\\\"quoted\\\"\", ops\n keep svc:*:load < 1\n }\n}\n", 0);
	for (int i = 0; i < 60; i++) {
		memset(name, i % 2 ? '"' : '\\', 250);
		snprintf(name + 240, 16, "\xc3\xa4\xff%d", i);
		put(t->w, "svc", name, "load", 2, 1);
	}
	town_to(t, 20);
	ck_assert_uint_eq(t->n_sent, 1);
	ck_assert_uint_eq(t->sent[0].count, 60);
	ck_assert_ptr_nonnull(strstr(t->sent[0].json, "\xc3\xa4?"));
	for (const char *c = t->sent[0].json; *c; c += utf8_length((const unsigned char *)c, strlen(c)))
		ck_assert_msg(utf8_length((const unsigned char *)c, strlen(c)) && ((unsigned char)*c >= 0x20 || (*c == '\n' && !c[1])), "at %s", c);
	town_free(t);
}
END_TEST

START_TEST(test_configure)
{
	struct notice_receiver r[2] = { town_ops, town_ops };
	struct town *t = abc_new(NULL, 0, NULL);

	town_put(t, "a", 2, 5);
	town_to(t, 100);
	ck_assert_uint_eq(t->n_sent, 1);
	/* Another one beside it hears of what is broken; the first goes on, with what is new of it. */
	r[0].name = "new";
	r[1].repeat = 100 * NS_PER_S;
	ck_assert_int_eq(notices_configure(t->n, "web2", r, 2, t->now), 0);
	town_to(t, 114);
	ck_assert_uint_eq(t->n_sent, 2);
	ck_assert_str_eq(t->sent[1].receiver, "new");
	sent_is(t, 1, "web2: b.a of svc:a is broken (warning)");
	town_to(t, 120);
	ck_assert_uint_eq(t->n_sent, 3);
	ck_assert_str_eq(t->sent[2].receiver, "ops");
	sent_is(t, 2, "web2: b.a of svc:a is still broken (warning)");
	/* With none nothing is kept. */
	ck_assert_int_eq(notices_configure(t->n, "web2", NULL, 0, t->now), 0);
	town_put(t, "a", 0, 200);
	town_put(t, "a", 2, 201);
	town_to(t, 10000);
	ck_assert_uint_eq(t->n_sent, 3);
	ck_assert_int_eq(t->armed, 0);
	town_free(t);
}
END_TEST

START_TEST(test_jump)
{
	struct town *t = abc_new(NULL, 0, NULL);
	int64_t jump = (_i ? -1 : 1) * 3600 * NS_PER_S;

	town_put(t, "a", 2, 5);
	town_to(t, 20);
	ck_assert_uint_eq(t->n_sent, 1);
	town_put(t, "b", 2, 21);
	/* Half-way through the wait the clock is set. */
	town_to(t, 25);
	t->now += jump;
	model_jump(t->w->m, jump);
	model_set_now(t->w->m, t->now);
	promises_jump(t->w->p, jump);
	notices_jump(t->n, jump);
	town_to(t, 25 + (double)jump / 1e9);
	ck_assert_int_eq(t->armed, S(31) + jump);
	town_to(t, 32 + (double)jump / 1e9);
	ck_assert_uint_eq(t->n_sent, 2);
	sent_is(t, 1, "web1: b.b of svc:b is broken (warning)");
	/* The repetition of a is an hour after it was told, whatever the clock says. */
	town_to(t, 3614 + (double)jump / 1e9);
	ck_assert_uint_eq(t->n_sent, 2);
	town_to(t, 3616 + (double)jump / 1e9);
	ck_assert_uint_eq(t->n_sent, 3);
	town_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notices");
	TCase *c = tcase_create("notices");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_one);
	tcase_add_test(c, test_group);
	tcase_add_test(c, test_blip);
	tcase_add_loop_test(c, test_fold, 0, 2);
	tcase_add_test(c, test_fold_late);
	tcase_add_test(c, test_repeat);
	tcase_add_test(c, test_no_repeat_no_kept);
	tcase_add_test(c, test_unknown);
	tcase_add_test(c, test_unknown_then_broken);
	tcase_add_test(c, test_routes);
	tcase_add_test(c, test_match);
	tcase_add_test(c, test_failure);
	tcase_add_test(c, test_on_its_way);
	tcase_add_test(c, test_failed_and_kept);
	tcase_add_test(c, test_gone);
	tcase_add_test(c, test_instance);
	tcase_add_test(c, test_storm);
	tcase_add_test(c, test_bounds);
	tcase_add_test(c, test_configure);
	tcase_add_loop_test(c, test_jump, 0, 2);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
