/* What a condition can ask beyond a comparison (matches, age, windows, records), what makes no sense, and actions */
#include "language_help.h"
#include "promises/engine.h"
#include "promises/regex.h"

/* ---- matches ---------------------------------------------------------------------------------------------------- */

START_TEST(matches_states)
{
	world_keep(w, "eth0", "interface:eth0:state matches \"^(up|dor)\"");
	is(w, "unknown");
	put(w, "interface", "eth0", "state", 0, 1);
	is(w, "kept");
	because(w, "interface:eth0:state is \"up\", promised what matches \"^(up|dor)\"");
	put(w, "interface", "eth0", "state", 1, 2);
	is(w, "broken");
	put(w, "interface", "eth0", "state", 2, 3);
	is(w, "kept");
	world_keep(w, "eth0", "not interface:eth0:state matches \"[no]w\"");
	is(w, "kept");
	put(w, "interface", "eth0", "state", 1, 4);
	is(w, "broken");
	because(w, "interface:eth0:state is \"down\", promised not what matches \"[no]w\"");
}
END_TEST

START_TEST(matches_facts_and_lets)
{
	in_force("os matches \"^deb\" and not kernel matches \"^5\"", true);
	in_force("host matches \"^db[0-9]+\"", false);
	in_force("init matches \".*\"", false); /* not known */
	world_load_at(w, "bundle b {\n let good = interface:lo:state matches \"up\"\n promise p { promiser x keep good }\n"
	                 "promise q { promiser x keep not good }\n}", 0);
	put(w, "interface", "lo", "state", 0, 1);
	ck_assert_str_eq(stands("b.p", NULL), "kept");
	ck_assert_str_eq(stands("b.q", NULL), "broken");
}
END_TEST

START_TEST(matches_refused)
{
	static const char hint[] = "POSIX extended: ^eth[0-9]+$, error|fail";
	char large[1200] = "", text[2048];

	ck_assert(refused(KEEP("interface:lo:state matches \"(up\""), "this is no regular expression: Missing ')'", hint));
	ck_assert(refused(KEEP("interface:lo:state matches \"[up\""), "this is no regular expression: Missing ']'", hint));
	ck_assert(refused(KEEP("interface:lo:state matches \"(u)\\\\1\""),
	                  "this is no regular expression: it refers back to itself (\\1): that takes too long to match", hint));
	ck_assert(refused(KEEP("interface:lo:state matches \"u{~2}\""),
	                  "this is no regular expression: it asks for what is nearly the same ({~}): that takes too long to match", hint));
	ck_assert(refused(KEEP("interface:lo:state matches \"((u{1,200}){1,200}){1,200}\""),
	                  "this is no regular expression: its repetitions make it larger than 2000 characters", hint));
	ck_assert(refused(KEEP("interface:lo:state matches \"^sleep\""), "no state of state matches \"^sleep\"",
	                  "it is one of \"up\", \"down\", \"dormant\""));
	ck_assert(refused(KEEP("memory:available matches \"5\""), "\"matches\" takes a state or a text", NULL));
	ck_assert(refused(KEEP("interface:lo:state matches up"), "expected a regular expression in quotes, found \"up\"", "matches \"^fail\""));
	memset(large, 'x', 513);
	snprintf(text, sizeof(text), KEEP("interface:lo:state matches \"%s\""), large);
	ck_assert(refused(text, "this is no regular expression: it is longer than 512 characters", hint));
}
END_TEST

/* What others are known for: no text makes it slow. Counted by the allocations of a match, which grow with what it has to remember. */
/* What is looked for before a text is matched, and that it changes nothing */
START_TEST(regex_needles)
{
	static const struct {
		const char *pattern, *needle, *matches, *not;
	} table[] = {
		{ "out of memory", "out of memory", "it is out of memory", "out of" },
		{ "a|b", "", "b", "c" },
		{ "^error: .*disk", "error: ", "error: the disk", "an error: the disk" },
		{ "x(abc)?defg", "defg", "xdefg", "xabc" },
		{ "abc*d", "ab", "abd", "acd" },
		{ "abc+d", "abc", "abccd", "abd" },
		{ "ab{0,1}cd", "cd", "acd", "ad" },
		{ "ab{2}cd", "cd", "abbcd", "abcd" },
		{ "[0-9]+ms", "ms", "12ms", "ms" },
		{ "[]abc]x", "x", "]x", "[y" },
		{ "a\\.b\\[c", "a.b[c", "a.b[c", "axb[c" },
		{ "\\<word\\>", "word", "a word.", "awordb" },
		{ "\\w+foo", "foo", "xfoo", " foo" },
		{ "(?i)error", "", "ERROR", "warning" },
		{ "(a|b)cde", "cde", "bcde", "xcde" },
		{ ".", "", "x", "" },
		{ "a.c", "a", "abc", "ac" },
		{ "(abc)*", "", "", NULL },
		{ "M.ller", "ller", "M\xc3\xbcller", "M\xc3\xbc\xc3\xbcller" },
		{ "^[\xc3\xbc\xf0\x9f\x98\x80]$", "", "\xf0\x9f\x98\x80", "\xc3\xb6" },
		{ "^.b$", "b", "\xff" "b", "\xff\xff" "b" },
		{ "0123456789012345678901234567890123456789x", "0123456789012345678901234567890", "0123456789012345678901234567890123456789x",
		  "0123456789012345678901234567890123456789" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char why[128];
		struct regex *r = regex_new(table[i].pattern, why, sizeof(why));

		ck_assert_msg(r != NULL, "%s: %s", table[i].pattern, why);
		ck_assert_msg(!strcmp(r->needle, table[i].needle), "%s: %s", table[i].pattern, r->needle);
		ck_assert_msg(regex_matches(r, table[i].matches), "%s", table[i].pattern);
		ck_assert_msg(!table[i].not || !regex_matches(r, table[i].not), "%s", table[i].pattern);
		regex_free_all(r);
	}
}
END_TEST

START_TEST(regex_sizes)
{
	static const struct {
		const char *pattern;
		bool fits;
	} table[] = {
		{ "", true }, { "a", true }, { "a{1,255}", true }, { "(a{1,40}){1,40}", true }, { "(a{1,50}){1,50}", false }, { "a{3000}", false },
		{ "[]{9}]{9}", true }, { "[[:alpha:]{99}]{99}", true }, { "\\({2000}", true }, { "\\({2001}", false }, { "(a|b|c){600}", true },
		{ "(a|b|c){700}", false }, { "(([a-z]+)*)*", true }, { "x{99999999999999999999}", false },
	};
	char why[160];

	for (size_t i = 0; i < KITH_COUNT(table); i++) {
		struct regex *r = regex_new(table[i].pattern, why, sizeof(why));

		/* The library has a limit of its own for one count. */
		ck_assert_msg((r != NULL) == table[i].fits || (!r && strstr(why, "Invalid")), "%s: %s", table[i].pattern, why);
		ck_assert_msg(r || *why, "%s", table[i].pattern);
		regex_free_all(r);
	}
}
END_TEST

/* ---- age -------------------------------------------------------------------------------------------------------- */

START_TEST(age_is_silence)
{
	world_keep(w, "memory", "age(memory:available) < 20s");
	is(w, "unknown");
	put(w, "memory", "", "available", 9, 0);
	is(w, "kept");
	ck_assert_int_eq(w->armed, S(20) + 1);
	put(w, "memory", "", "available", 9, 10);
	world_time(w, S(30));
	is(w, "kept");
	world_time(w, S(30) + 1);
	is(w, "broken");
	because(w, "age(memory:available) is 20 s, promised < 20 s");
	/* Also while it is stale, which no other function outlives */
	model_set_now(w->m, S(60));
	model_expire(w->m, &w->owner, S(60));
	is(w, "broken");
	put(w, "memory", "", "available", 9, 70);
	is(w, "kept");
}
END_TEST

START_TEST(age_of_what_is_put_when_it_changes)
{
	world_keep(w, "eth0", "age(interface:eth0:state) > 1m or interface:eth0:state == \"up\"");
	put(w, "interface", "eth0", "state", 0, 0);
	is(w, "kept");
	put(w, "interface", "eth0", "state", 1, 5);
	is(w, "broken");
	world_time(w, S(65));
	is(w, "broken");
	world_time(w, S(65) + 1);
	is(w, "kept");
	instance_end(w->m, instance_find(w->interface, "eth0", 4));
	is(w, "unknown");
}
END_TEST

START_TEST(age_with_margin_and_in_arithmetic)
{
	world_keep(w, "memory", "age(memory:available) < 10s margin 5s");
	put(w, "memory", "", "available", 9, 0);
	world_time(w, S(11));
	is(w, "broken");
	put(w, "memory", "", "available", 9, 12);
	is(w, "kept");
	world_keep(w, "memory", "age(memory:available) * 2 < 10s");
	put(w, "memory", "", "available", 9, 20);
	for (int i = 21; i < 27; i++)
		world_time(w, S(i));
	is(w, "broken");
	model_jump(w->m, 3600 * NS_PER_S);
	model_set_now(w->m, S(3626));
	promises_jump(w->p, 3600 * NS_PER_S);
	is(w, "broken");
	put(w, "memory", "", "available", 9, 3630);
	is(w, "kept");
}
END_TEST

/* ---- functions -------------------------------------------------------------------------------------------------- */

START_TEST(functions_over_a_window)
{
	world_load_at(w, "bundle b {\n promise dev { promiser x keep stddev(memory:available, 1m) < 2B }\n"
	                 "promise high { promiser x keep p90(memory:available, 1m) <= 110B }\n"
	                 "promise low { promiser x keep p50(memory:available, 1m) > 90B }\n"
	                 "promise still { promiser x keep not changed(memory:available, 30s) }\n}", 0);
	for (int i = 0; i < 20; i++)
		put(w, "memory", "", "available", 100, i);
	ck_assert_str_eq(stands("b.dev", NULL), "kept");
	ck_assert_str_eq(stands("b.high", NULL), "kept");
	ck_assert_str_eq(stands("b.low", NULL), "kept");
	ck_assert_str_eq(stands("b.still", NULL), "kept");
	put(w, "memory", "", "available", 200, 20);
	ck_assert_str_eq(stands("b.dev", NULL), "broken");
	ck_assert_str_eq(stands("b.high", NULL), "kept"); /* one of twenty-one */
	ck_assert_str_eq(stands("b.still", NULL), "broken");
	ck_assert_str_eq(why("b.still"), "memory:available has changed within 30 s");
	for (int i = 21; i < 30; i++)
		put(w, "memory", "", "available", 200, i);
	ck_assert_str_eq(stands("b.high", NULL), "broken");
	ck_assert_str_eq(stands("b.low", NULL), "kept");
	/* All of it is of the last minute; the change is longer than half a minute ago. */
	for (int i = 30; i < 60; i++)
		put(w, "memory", "", "available", 200, i);
	ck_assert_str_eq(stands("b.still", NULL), "kept");
	ck_assert_str_eq(why("b.still"), "memory:available has not changed within 30 s");
}
END_TEST

START_TEST(forecast_looks_ahead)
{
	world_keep(w, "df:/", "forecast(df:/:free, 10m, 1m) > 0B");
	/* A byte a second, 500 left after a minute: in ten minutes there is none. */
	for (int i = 0; i <= 60; i += 10) {
		if (i < 30)
			is(w, "unknown");
		put(w, "df", "/", "free", 560 - i, i);
	}
	is(w, "broken");
	because(w, "forecast(df:/:free, 10 min, 60 s) is -100 B, promised > 0 B");
	for (int i = 70; i <= 200; i += 10)
		put(w, "df", "/", "free", 500, i);
	is(w, "kept");
}
END_TEST

START_TEST(changed_of_a_state)
{
	world_keep(w, "eth0", "not changed(interface:eth0:state, 1m)");
	put(w, "interface", "eth0", "state", 0, 0);
	is(w, "kept");
	put(w, "interface", "eth0", "state", 1, 10);
	is(w, "broken");
	/* It is put when it changes: time alone ends it. */
	world_time(w, S(69));
	is(w, "broken");
	world_time(w, S(72));
	is(w, "kept");
}
END_TEST

static void record(const char *subject, uint32_t priority, const char *message, double seconds)
{
	struct kith_record r = { .size = sizeof(r), .priority = priority, .subject = subject, .message = message };

	world_time(w, S(seconds));
	model_record(w->m, &r);
}

START_TEST(records_are_counted)
{
	world_keep(w, "log", "count(records of \"kmsg:*\" at error matching \"I/O (error|fault)\", 1m) < 2");
	is(w, "kept"); /* none is a count, too */
	record("kmsg:sda", KITH_ERR, "I/O error, sector 5", 1);
	record("kmsg:sda", KITH_WARNING, "I/O error, sector 5", 1);
	record("kmsg:sda", KITH_CRIT, "all is well", 1);
	record("app:sda", KITH_CRIT, "I/O error", 1);
	is(w, "kept");
	record("kmsg:sdb", KITH_CRIT, "I/O fault", 20);
	is(w, "broken");
	because(w, "count(records of \"kmsg:*\" at error matching \"I/O (error|fault)\", 60 s) is 2, promised < 2");
	world_time(w, S(59));
	is(w, "broken");
	/* Nobody records anything, and it is over all the same. */
	world_time(w, S(63));
	is(w, "kept");
	ck_assert_int_ge(last(w)->time, S(1 + 60. * 63 / 64 - 1));
	ck_assert_int_le(last(w)->time, S(61));
	world_time(w, S(600));
	ck_assert_int_eq(w->armed, 0);
}
END_TEST

/* What the engine itself records counts, and does not run in circles. */
START_TEST(records_of_actions_are_counted)
{
	w->act_result = -ENOENT;
	world_load_at(w, "bundle b {\n promise p { promiser x keep df:/:free > 1B on broken run \"/x\" }\n"
	                 "promise q { promiser x keep count(records of \"b.*\", 1h) == 0 on broken run \"/y\" on kept run \"/z\" }\n}", 0);
	put(w, "df", "/", "free", 5, 1);
	put(w, "df", "/", "free", 0, 2);
	ck_assert_str_eq(stands("b.q", NULL), "broken");
	ck_assert_uint_lt(w->n_records, 20);
	world_load_at(w, "", 3);
	record("b.p", KITH_ERR, "nobody listens", 4);
}
END_TEST

/* ---- what makes no sense ------------------------------------------------------------------------------------------ */

static void sense(const char *keep, const char *expected)
{
	struct faults faults = { 0 };
	char text[512];
	int r;

	snprintf(text, sizeof(text), KEEP("%s"), keep);
	r = world_try(w, text, T0, &faults);
	ck_assert_msg((r == 0) == (strcmp(expected, "this can never be kept") != 0), "%s: %d", keep, r);
	ck_assert_msg(*expected ? faults.first && !strcmp(faults.first->text, expected) : !faults.first, "%s: %s", keep,
	              faults.first ? faults.first->text : "nothing said");
	faults_free(&faults);
}

START_TEST(conditions_make_sense)
{
	static const char never[] = "this can never be kept", always[] = "this is always kept", part[] = "this part is always the same";

	sense("df:/:free > 5B", "");
	sense("true", "");
	sense("5 > 3", always);
	sense("3 > 2 + 2", never);
	sense("df:/:free < 0B", never);
	sense("df:/:free <= 0B", "");
	sense("df:/:free >= 0B", always);
	sense("df:/:free > 0B", "");
	sense("df:/:free > -1B", always);
	sense("0B > df:/:free", never);
	sense("df:/:free != 0B", "");
	sense("df:/:free != -1", always);
	sense("df:/:free == -1", never);
	sense("not df:/:free < 0B", always);
	sense("not df:/:free >= 0B", never);
	sense("df:/:free_percent < 0%", never);
	sense("svc:x:load < 0", ""); /* it may be */
	sense("delta(df:/:free, 1m) < 0B", "");
	sense("rate(interface:lo:rx_bytes) < 0B/s", never);
	sense("rate(interface:lo:rx_bytes) > 0B/s", "");
	sense("avg(df:/:free, 1m) < 0B", never);
	sense("stddev(svc:x:load, 1m) < 0", never);
	sense("forecast(df:/:free, 4h) < 0B", "");
	sense("age(df:/:free) >= 0s", always);
	sense("count(records, 1m) < 0", never);
	sense("df:/:free > 5B and df:/:free < 3B", never);
	sense("df:/:free > 5B and df:/:free < 5B", never);
	sense("df:/:free >= 5B and df:/:free <= 5B", "");
	sense("df:/:free > 3B and df:/:free < 5B", "");
	sense("df:/:free > 5B and df:/:total < 3B", "");
	sense("avg(df:/:free, 1m) > 5B and avg(df:/:free, 2m) < 3B", "");
	sense("avg(df:/:free, 1m) > 5B and avg(df:/:free, 1m) < 3B", never);
	sense("df:/:free > 3B or df:/:free < 5B", always);
	sense("df:/:free > 5B or df:/:free <= 5B", always);
	sense("df:/:free > 5B or df:/:free < 5B", "");
	sense("interface:lo:state == \"up\" and interface:lo:state == \"down\"", never);
	sense("interface:lo:state == \"up\" or interface:lo:state != \"up\"", always);
	sense("interface:lo:state != \"up\" or interface:lo:state != \"down\"", always);
	sense("interface:lo:state != \"up\" and interface:lo:state != \"down\"", "");
	sense("interface:lo:state == \"up\" and interface:lo:state != \"up\"", never);
	sense("df:/:total > 5B and (df:/:free > 1B or df:/:free >= 0B)", part);
	sense("df:/:total > 5B or df:/:free < 0B", part);
	sense("df:/:total > 5B and df:/:free < 0B", never);
	sense("all df:*:free < 0B", never);
	sense("none df:*:free < 0B", always);
	sense("rate(df:/:free) > 5B/s", "free goes up and down: a rate is that of a counter");
}
END_TEST

/* ---- actions ---------------------------------------------------------------------------------------------------- */

START_TEST(as_a_user)
{
	world_load_at(w, "bundle b { promise p { promiser x keep df:/:free > 1B\n on broken run \"/x\" as \"www-data\" timeout 5s\n"
	                 "on kept run \"/y\" as nobody at most 1 per 1m } }", 0);
	put(w, "df", "/", "free", 0, 1);
	ck_assert_str_eq(w->actions[0].user, "www-data");
	done(w, w->actions[0].token, 0, false, S(1));
	put(w, "df", "/", "free", 5, 2);
	ck_assert_str_eq(w->actions[1].user, "nobody");
	ck_assert(refused("bundle b { promise p { promiser x keep true on broken run \"/x\" as 5 } }", "expected a user's name, found \"5\"",
	                  "as nobody"));
}
END_TEST

/* What an action wrote stands in its record, as text, and in what explains the promise. */
START_TEST(output_is_recorded)
{
	struct promise_result result = { .status = 1 << 8, .output = "no \033[31mroom\xff\nsecond line\n", .length = 27 };
	struct promise_explanation x;

	world_load_at(w, "bundle b { promise p { promiser x keep df:/:free > 1B on broken run \"/x\" } }", 0);
	put(w, "df", "/", "free", 0, 1);
	promises_action_done(w->p, w->actions[0].token, &result, S(2));
	ck_assert_str_eq(w->records[w->n_records - 1], "b.p: /x failed with exit status 1 output=no  [31mroom?\nsecond line");
	ck_assert_int_eq(promises_explain(w->p, 0, S(3), &x), 0);
	ck_assert_ptr_nonnull(strstr(x.actions, "exit status 1, it said \"no  [31mroom?\", 1 runs, 1 failures"));
	promise_explanation_free(&x);
}
END_TEST

#define STORM 10000

/* A storm: 10,000 promises break in one second, four places, a hundred starts a minute. */
START_TEST(a_storm_of_transitions)
{
	unsigned started, held = 0;

	ck_assert_int_eq(promises_limit_actions(w->p, 100, 60 * NS_PER_S), 0);
	world_load_at(w, "bundle b { promise p { promiser df:* keep df:*:free > 5B on broken run \"/x\" } }", 0);
	for (int i = 0; i < STORM; i++) {
		char name[16];

		snprintf(name, sizeof(name), "/%d", i);
		put(w, "df", name, "free", 9, 0);
	}
	w->places = 4;
	for (int i = 0; i < STORM; i++) {
		char name[16];

		snprintf(name, sizeof(name), "/%d", i);
		put(w, "df", name, "free", 1, 1);
	}
	ck_assert_uint_eq(w->n_actions, 4);
	/* As they end, others start, until the minute's hundred are there. */
	for (unsigned i = 0; i < 96; i++) {
		w->places++;
		done(w, i + 1, 0, false, S(2));
	}
	ck_assert_uint_eq(w->n_actions, 100);
	w->places += 4;
	for (unsigned i = 96; i < 100; i++)
		done(w, i + 1, 0, false, S(3));
	ck_assert_uint_eq(w->n_actions, 100);
	/* One wake-up, not ten thousand */
	ck_assert_int_eq(w->armed, S(61));
	/* Meanwhile most are kept again: what waits for them is passed over. */
	for (int i = 0; i < STORM - 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "/%d", i);
		put(w, "df", name, "free", 9, 10);
	}
	started = w->n_actions;
	w->places = 1000;
	/* Four had started a second before the others. */
	world_time(w, S(61));
	ck_assert_uint_eq(w->n_actions - started, 4);
	world_time(w, S(62));
	ck_assert_uint_eq(w->n_actions - started, 10);
	for (unsigned i = 0; i < w->n_records && i < HEARD_MAX; i++)
		held += strstr(w->records[i], "actions had to wait: at most 100 start in 60 s") != NULL;
	ck_assert_uint_eq(held, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("promises functions");
	TCase *t = tcase_create("functions");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, matches_states);
	tcase_add_test(t, matches_facts_and_lets);
	tcase_add_test(t, matches_refused);
	tcase_add_test(t, regex_sizes);
	tcase_add_test(t, regex_needles);
	tcase_add_test(t, age_is_silence);
	tcase_add_test(t, age_of_what_is_put_when_it_changes);
	tcase_add_test(t, age_with_margin_and_in_arithmetic);
	tcase_add_test(t, functions_over_a_window);
	tcase_add_test(t, forecast_looks_ahead);
	tcase_add_test(t, changed_of_a_state);
	tcase_add_test(t, records_are_counted);
	tcase_add_test(t, records_of_actions_are_counted);
	tcase_add_test(t, conditions_make_sense);
	tcase_add_test(t, as_a_user);
	tcase_add_test(t, output_is_recorded);
	tcase_add_test(t, a_storm_of_transitions);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
