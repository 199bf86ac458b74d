/* What becomes of promises: actions, reloads, what is told about them */
#include "promise_help.h"

static struct world *w;

static void setup(void)
{
	w = world_new();
}

static void teardown(void)
{
	world_free(w);
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

#define RUN "\n\t\tseverity critical\n\t\ton broken run \"/bin/mend\" \"a \\\"b\\\"\" at most 2 per 1m timeout 5s"

START_TEST(test_action)
{
	struct heard *a = &w->actions[0];

	world_keep(w, "df", "df:/:free_percent > 10%" RUN);
	put(w, "df", "/", "free_percent", 42, 0);
	put(w, "df", "/", "free_percent", 4, 1.5);
	ck_assert_uint_eq(w->n_actions, 1);
	ck_assert_str_eq(a->argv[0], "/bin/mend");
	ck_assert_str_eq(a->argv[1], "a \"b\"");
	ck_assert_int_eq(a->timeout, 5 * NS_PER_S);
	ck_assert_str_eq(a->env[0], "KITH_PROMISE=b.p");
	ck_assert_str_eq(a->env[1], "KITH_PROMISER=df");
	ck_assert_str_eq(a->env[2], "KITH_FROM=kept");
	ck_assert_str_eq(a->env[3], "KITH_TO=broken");
	ck_assert_str_eq(a->env[4], "KITH_SEVERITY=critical");
	ck_assert_str_eq(a->env[5], "KITH_SINCE=2027-01-15T08:00:01.500Z");
	ck_assert_str_eq(a->env[6], "KITH_BECAUSE=df:/:free_percent is 4 %, promised > 10 %");
	ck_assert_str_eq(a->env[7], "KITH_TIME=2027-01-15T08:00:01.500Z");
	ck_assert_str_eq(a->json, "{\"promise\":\"b.p\",\"promiser\":\"df\",\"from\":\"kept\",\"to\":\"broken\",\"severity\":\"critical\","
	                          "\"since\":\"2027-01-15T08:00:01.500Z\",\"because\":\"df:/:free_percent is 4 %, promised > 10 %\","
	                          "\"time\":\"2027-01-15T08:00:01.500Z\"}\n");
	done(w, a->token, 0, false, S(2));
	ck_assert_str_eq(w->records[0], "b.p: /bin/mend ran");
	ck_assert_uint_eq(w->priorities[0], KITH_NOTICE);
	ck_assert(!world_info(w, 0).repaired);
	put(w, "df", "/", "free_percent", 42, 3);
	ck_assert(world_info(w, 0).repaired);
	ck_assert_uint_eq(world_info(w, 0).actions, 1);
	done(w, a->token, 0, false, S(4)); /* a token twice: nothing */
	ck_assert_uint_eq(w->n_records, 1);
}
END_TEST

/* 126, 127: there was no such program or user. A mending that follows is not its. */
START_TEST(test_action_that_never_ran)
{
	world_load_at(w,
	              "bundle b { promise p { promiser df\nkeep df:/:free > 5B\non broken run \"/one\" as nosuchuser\non broken run \"/two\" } }", 0);
	for (int i = 0; i < 2; i++) {
		put(w, "df", "/", "free", 9, 10 * i);
		put(w, "df", "/", "free", 1, 10 * i + 1);
		done(w, w->actions[2 * i].token, (i ? 126 : 127) << 8, false, S(10 * i + 2));
		ck_assert_uint_eq(w->n_actions, 2u * (unsigned)i + 2);
		/* The second time the other one runs. */
		done(w, w->actions[2 * i + 1].token, i ? 0 : 127 << 8, false, S(10 * i + 3));
		put(w, "df", "/", "free", 9, 10 * i + 4);
		ck_assert_int_eq(world_info(w, 0).repaired, i);
	}
}
END_TEST

START_TEST(test_action_limit)
{
	world_keep(w, "df", "df:/:free_percent > 10%" RUN);
	for (int i = 0; i < 5; i++) {
		put(w, "df", "/", "free_percent", 42, 2 * i);
		put(w, "df", "/", "free_percent", 4, 2 * i + 1);
		if (i < 2)
			done(w, w->actions[i].token, 256, false, S(2 * i + 1));
	}
	put(w, "df", "/", "free_percent", 42, 20);
	ck_assert_uint_eq(w->n_actions, 2);
	ck_assert_uint_eq(w->n_records, 3);
	ck_assert_str_eq(w->records[0], "b.p: /bin/mend failed with exit status 1");
	ck_assert_ptr_nonnull(strstr(w->records[2], "flaps"));
	ck_assert_uint_eq(w->priorities[0], KITH_WARNING);
	ck_assert_uint_eq(world_info(w, 0).failures, 2);
	ck_assert_int_eq(w->armed, S(61));
	world_time(w, S(61));
	ck_assert_str_eq(w->records[3], "b.p: held back 3 runs of /bin/mend: at most 2 per 60 s");
	ck_assert_uint_eq(w->n_actions, 2); /* kept now: none is due */
	put(w, "df", "/", "free_percent", 4, 62);
	ck_assert_uint_eq(w->n_actions, 3);
}
END_TEST

/* Still broken when the limit opens: it is run then */
START_TEST(test_action_limit_opens)
{
	world_keep(w, "df", "df:/:free_percent > 10%" RUN);
	for (int i = 0; i < 3; i++) {
		put(w, "df", "/", "free_percent", 42, 2 * i);
		put(w, "df", "/", "free_percent", 4, 2 * i + 1);
		if (i < 2)
			done(w, w->actions[i].token, 0, false, S(2 * i + 1));
	}
	ck_assert_uint_eq(w->n_actions, 2);
	world_time(w, S(61));
	ck_assert_uint_eq(w->n_actions, 3);
	ck_assert_str_eq(w->actions[2].env[2], "KITH_FROM=kept");
}
END_TEST

START_TEST(test_action_one_at_a_time)
{
	world_keep(w, "df", "df:/:free_percent > 10%\n\t\ton broken run \"/bin/mend\"\n\t\ton kept run \"/bin/tell\"");
	put(w, "df", "/", "free_percent", 4, 1);
	put(w, "df", "/", "free_percent", 42, 2);
	put(w, "df", "/", "free_percent", 4, 3);
	put(w, "df", "/", "free_percent", 42, 4);
	ck_assert_uint_eq(w->n_actions, 1);
	done(w, w->actions[0].token, 0, true, S(5));
	ck_assert_str_eq(w->records[0], "b.p: /bin/mend was stopped: it took longer than its timeout");
	ck_assert_uint_eq(w->n_actions, 2);
	ck_assert_str_eq(w->actions[1].argv[0], "/bin/tell");
	done(w, w->actions[1].token, 9, false, S(6));
	ck_assert_str_eq(w->records[1], "b.p: /bin/tell was killed by signal 9");
}
END_TEST

START_TEST(test_action_again)
{
	world_keep(w, "df", "df:/:free_percent > 10%\n\t\ton unknown run \"/bin/a\"\n\t\ton broken run \"/bin/mend\"");
	w->act_result = -EAGAIN;
	put(w, "df", "/", "free_percent", 4, 1);
	ck_assert_int_eq(w->armed, S(2));
	w->act_result = 0;
	world_time(w, S(2));
	ck_assert_uint_eq(w->n_actions, 1);
	done(w, w->actions[0].token, 0, false, S(2));
	w->act_result = -ENOENT;
	instance_end(w->m, instance_find(w->df, "/", 1));
	ck_assert_uint_eq(w->n_actions, 1);
	ck_assert_str_eq(w->records[1], "b.p: /bin/a cannot be run: No such file or directory");
}
END_TEST

/* The promise is gone when its action is done */
START_TEST(test_action_outlives)
{
	world_keep(w, "df:*", "df:*:free_percent > 10%\n\t\ton broken run \"/bin/mend\"");
	put(w, "df", "/", "free_percent", 4, 1);
	instance_end(w->m, instance_find(w->df, "/", 1));
	ck_assert_uint_eq(promises_count(w->p), 0);
	done(w, w->actions[0].token, 0, false, S(5));
	ck_assert_str_eq(w->records[0], "b.p: /bin/mend ran");
}
END_TEST

/* ---- loading ----------------------------------------------------------------------------------------------------- */

START_TEST(test_reload_keeps)
{
	world_load_at(w, "bundle b { promise p { promiser x\nkeep df:/:free > 5B\ngrace 10s } promise q { promiser x\nkeep df:/:free > 7B } }", 0);
	put(w, "df", "/", "free", 9, 1);
	put(w, "df", "/", "free", 3, 2);
	ck_assert_int_eq(world_info(w, 1).assessment, KITH_BROKEN);
	/* Other blanks, another order, a comment: the same promise */
	world_load_at(w, "bundle b { # more\n promise q { promiser x\nkeep df:/:free > 8B }\n"
	                 "promise p {\n\tpromiser x\n\tkeep df:/:free  >  5B # why\n\tgrace 10s\n} }", 5);
	ck_assert_str_eq(world_info(w, 1).name, "b.p");
	ck_assert_int_eq(world_info(w, 1).since, S(1));
	ck_assert_str_eq(world_info(w, 1).place, "t.promise:4");
	ck_assert_int_eq(w->armed, S(12));
	/* q was changed: it is told as gone, and begins anew */
	ck_assert_uint_eq(w->n_transitions, 5);
	ck_assert_str_eq(w->transitions[3].because, "the promise was changed or taken out");
	ck_assert_int_eq(w->transitions[3].from, KITH_BROKEN);
	ck_assert_int_eq(world_info(w, 0).since, S(5));
	world_time(w, S(12));
	ck_assert_int_eq(world_info(w, 1).assessment, KITH_BROKEN);
	world_load_at(w, "", 20);
	ck_assert_uint_eq(promises_count(w->p), 0);
	put(w, "df", "/", "free", 9, 21);
}
END_TEST

START_TEST(test_reload_fails)
{
	struct faults faults = { 0 };

	world_keep(w, "x", "df:/:free > 5B");
	put(w, "df", "/", "free", 9, 1);
	ck_assert_int_eq(world_try(w, "bundle b { promise n { promiser x\nkeep df:/:fre > 5 }\npromise o { promiser x\nkep 1 } }", S(2),
	                           &faults), -EINVAL);
	ck_assert_uint_eq(faults.n_errors, 3);
	faults_free(&faults);
	ck_assert_uint_eq(promises_count(w->p), 1);
	is(w, "kept");
	put(w, "df", "/", "free", 1, 3);
	is(w, "broken");
}
END_TEST

static const struct {
	const char *only;
	bool applies;
} facts[] = {
	{ "tag \"web\"", true },
	{ "tag \"mail\"", false },
	{ "not tag \"mail\"", true },
	{ "host \"web*.example\"", true },
	{ "host \"web\"", false },
	{ "zone \"ams\"", true },
	{ "zone \"ams/r1\"", true },
	{ "zone \"am\"", false },
	{ "zone \"*/r1\"", true },
	{ "tag \"mail\" or zone \"ams\" and tag \"db\"", true },
	{ "(tag \"mail\" or zone \"ams\") and not tag \"db\"", false },
};

START_TEST(test_only_on)
{
	char text[512];

	snprintf(text, sizeof(text), "bundle b {\n\tonly on %s\n\tpromise p { promiser x\nkeep true } }", facts[_i].only);
	world_load_at(w, text, 0);
	ck_assert_uint_eq(promises_count(w->p), facts[_i].applies);
	snprintf(text, sizeof(text), "bundle b { promise p { promiser x\nonly on %s\nkeep true } }", facts[_i].only);
	world_load_at(w, text, 0);
	ck_assert_uint_eq(promises_count(w->p), facts[_i].applies);
}
END_TEST

START_TEST(test_facts_change)
{
	static const char text[] = "bundle b { only on tag \"web\"\npromise p { promiser x\nkeep true } }";
	struct promises_facts none = { "h", "", NULL, 0 };

	world_load_at(w, text, 0);
	ck_assert_uint_eq(promises_count(w->p), 1);
	promises_set_facts(w->p, &none);
	world_load_at(w, text, 1);
	ck_assert_uint_eq(promises_count(w->p), 0);
}
END_TEST

static void on_wanted(const char *instance, bool wanted, void *user)
{
	char *text = user;

	strcat(text, wanted ? "+" : "-");
	strcat(text, instance);
	strcat(text, " ");
}

START_TEST(test_wants)
{
	char family[] = "df", heard[256] = "";
	struct want_watch watch = { .family = family, .fn = on_wanted, .user = heard };

	model_watch_wants(w->m, &watch);
	world_keep(w, "df:*", "df:*:free > 1 and df:/x:free > 1 and any df:/v*:free > 2 and memory:available > 1");
	ck_assert_str_eq(heard, "+* +/x +/v* ");
	heard[0] = '\0';
	world_load_at(w, "bundle b { promise p { promiser x\nkeep df:/x:free > 1 } }", 1);
	ck_assert_str_eq(heard, "-* -/v* ");
	model_unwatch_wants(w->m, &watch);
}
END_TEST

/* ---- asking ------------------------------------------------------------------------------------------------------ */

START_TEST(test_info)
{
	struct promise_info info;

	world_keep(w, "service:nginx.service", "df:/:free > 1GiB\n\t\t\tand  true # x\n\t\tpromisee ops, db-1.example, \"the boss\"\n"
	           "\t\tseverity alert\n\t\ttell zone");
	info = world_info(w, 0);
	ck_assert_str_eq(info.promiser, "service:nginx.service");
	ck_assert_uint_eq(info.n_promisees, 3);
	ck_assert_str_eq(info.promisees[1], "db-1.example");
	ck_assert_str_eq(info.promisees[2], "the boss");
	ck_assert_str_eq(info.body, "df:/:free > 1GiB and true");
	ck_assert_str_eq(info.place, "t.promise:2");
	ck_assert_int_eq(info.severity, KITH_ALERT);
	ck_assert_str_eq(severity_name(info.severity), "alert");
}
END_TEST

START_TEST(test_explain)
{
	static const char *const parts[] = {
		"0 df:/:free_percent > 10 % margin 2 % and (all interface:*:state == \"up\" or df:/:free > 1 GiB)=false",
		"1 df:/:free_percent > 10 % margin 2 %=false",
		"2 df:/:free_percent=11 %",
		"1 all interface:*:state == \"up\" or df:/:free > 1 GiB=unknown (no sample yet of df:/:free)",
		"2 all interface:*:state == \"up\"=false",
		"3 interface:eth0:state == \"up\"=false",
		"4 interface:eth0:state=\"down\"",
		"3 interface:lo:state == \"up\"=true",
		"4 interface:lo:state=\"up\"",
		"2 df:/:free > 1 GiB=unknown (no sample yet of df:/:free)",
		"3 df:/:free=unknown (no sample yet of df:/:free)",
	};
	struct promise_explanation x;
	char line[512];

	world_keep(w, "x", "df:/:free_percent > 10% margin 2% and (all interface:*:state == \"up\" or df:/:free > 1GiB)\n\t\tgrace 10s\n"
	           "\t\ton broken run \"/bin/mend\" \"x\" at most 3 per 10m");
	put(w, "interface", "lo", "state", 0, 0);
	put(w, "interface", "eth0", "state", 1, 0);
	put(w, "df", "/", "free_percent", 4, 1);
	put(w, "df", "/", "free_percent", 11, 2);
	ck_assert_int_eq(promises_explain(w->p, 0, S(3), &x), 0);
	ck_assert_uint_eq(x.n_parts, KITH_COUNT(parts));
	for (size_t i = 0; i < x.n_parts; i++) {
		snprintf(line, sizeof(line), "%u %s=%s", x.parts[i].depth, x.parts[i].text, x.parts[i].value);
		ck_assert_str_eq(line, parts[i]);
	}
	ck_assert(x.parts[0].condition);
	ck_assert(!x.parts[2].condition);
	ck_assert_int_eq(x.parts[1].holds, KITH_BROKEN);
	ck_assert_str_eq(x.mend, "df:/:free_percent must rise above 12 % (it is 11 %)");
	ck_assert_str_eq(x.pending, "breaks in 8 s unless it holds again");
	ck_assert_str_eq(x.actions, "on broken run \"/bin/mend\" \"x\" at most 3 per 10 min timeout 30 s; not run yet");
	ck_assert_str_eq(x.depends, "");
	promise_explanation_free(&x);
	ck_assert_int_eq(promises_explain(w->p, 1, S(3), &x), -ENOENT);
}
END_TEST

/* An observer that ends the instance whose sample is being judged */
static void end_it(const struct kith_transition *t, void *user)
{
	struct world *v = user;
	struct instance *i = instance_find(v->df, "/", 1);

	(void)t;
	if (i && t->to == KITH_BROKEN)
		promises_run(v->p, S(100));
}

START_TEST(test_reentrant)
{
	struct model_observer o = { .user = w, .on_transition = end_it };

	model_observe(w->m, &o);
	world_keep(w, "df:*", "df:*:free_percent > 10%\n\t\tsettle 1s");
	put(w, "df", "/", "free_percent", 4, 1);
	put(w, "df", "/", "free_percent", 40, 2);
	is(w, "broken");
	model_unobserve(w->m, &o);
}
END_TEST

/* Several for one assessment: one after the other, in their order, while the promise still stands so */
START_TEST(test_several_actions)
{
	world_load_at(w,
	              "\xef\xbb\xbf" /* U+FEFF */
	              "bundle b { promise p { promiser df\nkeep df:/:free > 5B\non broken run \"/one\"\non kept run \"/well\"\n"
	              "on broken run \"/two\" as nobody\non broken run \"/three\" } }", 0);
	put(w, "df", "/", "free", 9, 0);
	ck_assert_str_eq(w->actions[0].argv[0], "/well");
	done(w, w->actions[0].token, 0, false, S(0));
	put(w, "df", "/", "free", 1, 1);
	ck_assert_uint_eq(w->n_actions, 2);
	ck_assert_str_eq(w->actions[1].argv[0], "/one");
	done(w, w->actions[1].token, 256, false, S(2)); /* whether it failed or not */
	ck_assert_uint_eq(w->n_actions, 3);
	ck_assert_str_eq(w->actions[2].argv[0], "/two");
	ck_assert_str_eq(w->actions[2].user, "nobody");
	put(w, "df", "/", "free", 9, 3);
	done(w, w->actions[2].token, 0, false, S(4));
	/* Kept meanwhile: the third of them has nothing to do any more. */
	ck_assert_uint_eq(w->n_actions, 4);
	ck_assert_str_eq(w->actions[3].argv[0], "/well");
	done(w, w->actions[3].token, 0, false, S(5));
	ck_assert_uint_eq(w->n_actions, 4);
	ck_assert(world_info(w, 0).repaired);
}
END_TEST

START_TEST(test_too_many_actions)
{
	struct faults faults = { 0 };
	struct buf b = BUF_INIT;

	buf_puts(&b, "bundle b { promise p { promiser df\nkeep df:/:free > 5B\n");
	for (int i = 0; i < 17; i++)
		buf_printf(&b, "on broken run \"/a%d\"\n", i);
	buf_puts(&b, "} }");
	ck_assert_int_eq(world_try(w, buf_text(&b), T0, &faults), -EINVAL);
	ck_assert_str_eq(faults.first->text, "a promise has at most 16 actions");
	ck_assert_uint_eq(faults.first->line, 19);
	faults_free(&faults);
	buf_free(&b);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("promises");
	TCase *t = tcase_create("life");
	const TTest *const tests[] = {
		test_action, test_action_that_never_ran, test_several_actions, test_too_many_actions, test_action_limit, test_action_limit_opens, test_action_one_at_a_time, test_action_again,
		test_action_outlives, test_reload_keeps, test_reload_fails, test_facts_change, test_wants, test_info,
		test_explain, test_reentrant,
	};

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_only_on, 0, KITH_COUNT(facts));
	for (size_t i = 0; i < KITH_COUNT(tests); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
