/* What promises mean: three values, time, instances */
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

/* ---- conditions -------------------------------------------------------------------------------------------------- */

START_TEST(test_comparison)
{
	world_keep(w, "df", "df:/:free_percent > 10%");
	is(w, "unknown");
	because(w, "no sample yet of df:/:free_percent");
	put(w, "df", "/", "free_percent", 42, 1);
	is(w, "kept");
	because(w, "df:/:free_percent is 42 %, promised > 10 %");
	put(w, "df", "/", "free_percent", 4.2, 2);
	is(w, "broken");
	ck_assert_uint_eq(w->n_transitions, 2);
	ck_assert_str_eq(last(w)->because, "df:/:free_percent is 4.2 %, promised > 10 %");
	ck_assert_str_eq(last(w)->name, "b.p");
	ck_assert_str_eq(last(w)->promiser, "df");
	ck_assert_int_eq(last(w)->from, KITH_KEPT);
	ck_assert_int_eq(last(w)->to, KITH_BROKEN);
	ck_assert_uint_eq(last(w)->severity, KITH_WARNING);
	ck_assert_int_eq(last(w)->time, S(2));
	ck_assert_int_eq(world_info(w, 0).since, S(2));
	put(w, "df", "/", "free_percent", 10, 3);
	is(w, "broken");
	put(w, "df", "/", "free_percent", 10.5, 4);
	is(w, "kept");
	ck_assert_uint_eq(world_info(w, 0).evaluations, 4);
}
END_TEST

static const struct {
	const char *keep;
	double free, percent;
	int state; /* of eth0; -1: no sample */
	const char *expect;
} conditions[] = {
	{ "df:/:free >= 1GiB and df:/:free_percent > 10%", 1073741824, 11, 0, "kept" },
	{ "df:/:free > 1GiB and df:/:free_percent > 10%", 1073741824, 11, 0, "broken" },
	{ "df:/:free > 1GiB or df:/:free_percent > 10%", 1073741824, 11, 0, "kept" },
	{ "not df:/:free > 1GiB", 1073741824, 11, 0, "kept" },
	{ "not (df:/:free > 1GiB or df:/:free_percent <= 10%)", 1, 11, 0, "kept" },
	{ "df:/:free + 24B == 1024B", 1000, 0, 0, "kept" },
	{ "df:/:free - 24 != 976B", 1000, 0, 0, "broken" },
	{ "df:/:free * 2 + 1 == 2001", 1000, 0, 0, "kept" },
	{ "2 * (df:/:free + 1) == 2002", 1000, 0, 0, "kept" },
	{ "df:/:free / df:/:free == 1", 1000, 0, 0, "kept" },
	{ "-df:/:free < -999", 1000, 0, 0, "kept" },
	{ "df:/:free / memory:available > 1", 1000, 0, 0, "unknown" },
	{ "df:/:free / 4 / 5 == 50", 1000, 0, 0, "kept" },
	{ "df:/:free - 1 - 2 == 997", 1000, 0, 0, "kept" },
	{ "interface:eth0:state == \"up\"", 0, 0, 0, "kept" },
	{ "interface:eth0:state == \"up\"", 0, 0, 1, "broken" },
	{ "interface:eth0:state == \"up\"", 0, 0, -1, "unknown" },
	{ "\"up\" != interface:eth0:state", 0, 0, 1, "kept" },
	{ "interface:eth0:state in [\"up\", \"dormant\"]", 0, 0, 2, "kept" },
	{ "interface:eth0:state in [\"up\", \"dormant\"]", 0, 0, 1, "broken" },
	{ "interface:eth0:state in [\"up\"]", 0, 0, -1, "unknown" },
	{ "df:/:free in [-1, 5, 7B]", 7, 0, 0, "kept" },
	{ "df:/:free in [-1, 5, 7B]", -1, 0, 0, "kept" },
	{ "df:/:free in [-1, 5, 7B]", 8, 0, 0, "broken" },
	/* Kleene: what is known decides where it can */
	{ "interface:eth0:state == \"up\" and df:/:free > 5", 1, 0, -1, "broken" },
	{ "interface:eth0:state == \"up\" and df:/:free > 5", 9, 0, -1, "unknown" },
	{ "interface:eth0:state == \"up\" or df:/:free > 5", 9, 0, -1, "kept" },
	{ "interface:eth0:state == \"up\" or df:/:free > 5", 1, 0, -1, "unknown" },
	{ "not interface:eth0:state == \"up\"", 0, 0, -1, "unknown" },
	{ "(df:/:free > 5) == (df:/:free_percent > 5)", 9, 9, 0, "kept" },
	{ "(df:/:free > 5) != true", 9, 9, 0, "broken" },
	{ "true", 0, 0, 0, "kept" },
	{ "false or 1 < 2", 0, 0, 0, "kept" },
	{ "df:\"/\":free > 5", 9, 0, 0, "kept" },
	{ "df:/:free > 5 # a comment\n\t\tand df:/:free < 10", 9, 0, 0, "kept" },
};

START_TEST(test_conditions)
{
	world_keep(w, "x", conditions[_i].keep);
	put(w, "df", "/", "free", conditions[_i].free, 1);
	put(w, "df", "/", "free_percent", conditions[_i].percent, 1);
	if (conditions[_i].state >= 0)
		put(w, "interface", "eth0", "state", conditions[_i].state, 1);
	is(w, conditions[_i].expect);
}
END_TEST

/* Values that are there already when the promise comes */
START_TEST(test_load_late)
{
	put(w, "df", "/", "free_percent", 5, 0);
	world_keep(w, "df", "df:/:free_percent > 10%");
	is(w, "broken");
	ck_assert_uint_eq(w->n_transitions, 1);
	ck_assert_int_eq(last(w)->from, KITH_UNKNOWN);
}
END_TEST

/* One series twice in a condition: no half of a sample is ever seen */
START_TEST(test_one_series_twice)
{
	world_keep(w, "df", "df:/:free < 5 or df:/:free >= 5 and df:/:free * 2 - df:/:free == df:/:free");
	for (int i = 0; i < 20; i++) {
		put(w, "df", "/", "free", i % 2 ? 9 : 1, i);
		is(w, "kept");
	}
	ck_assert_uint_eq(w->n_transitions, 1);
}
END_TEST

/* ---- margin, grace, settle --------------------------------------------------------------------------------------- */

START_TEST(test_margin)
{
	static const struct {
		double value;
		const char *expect;
	} steps[] = { { 11, "kept" }, { 10.1, "kept" }, { 10, "broken" }, { 11, "broken" }, { 12, "broken" },
		      { 12.1, "kept" }, { 10.5, "kept" }, { 9, "broken" } };

	world_keep(w, "df", "df:/:free_percent > 10% margin 2%");
	for (unsigned i = 0; i < KITH_COUNT(steps); i++) {
		put(w, "df", "/", "free_percent", steps[i].value, i);
		is(w, steps[i].expect);
	}
	because(w, "df:/:free_percent is 9 %, promised > 10 %, above 12 % to be kept again");
}
END_TEST

START_TEST(test_margin_below)
{
	static const struct {
		double value;
		const char *expect;
	} steps[] = { { 89, "kept" }, { 90, "broken" }, { 86, "broken" }, { 85, "broken" }, { 84.9, "kept" }, { 89, "kept" } };

	/* The same promise, said positively and negatively */
	world_load_at(w, "bundle b { promise p { promiser x\nkeep df:/:free_percent < 90% margin 5% }\n"
	                 "promise q { promiser x\nkeep not df:/:free_percent >= 90% margin 5% } }", 0);
	for (unsigned i = 0; i < KITH_COUNT(steps); i++) {
		put(w, "df", "/", "free_percent", steps[i].value, i);
		ck_assert_str_eq(assessment_name(world_info(w, 0).assessment), steps[i].expect);
		if (steps[i].value != 85) /* at the edge itself >= and < differ */
			ck_assert_str_eq(assessment_name(world_info(w, 1).assessment), steps[i].expect);
	}
}
END_TEST

START_TEST(test_grace)
{
	world_keep(w, "df", "df:/:free_percent > 10%\n\t\tgrace 10s");
	put(w, "df", "/", "free_percent", 42, 0);
	put(w, "df", "/", "free_percent", 4, 5);
	is(w, "kept");
	because(w, "df:/:free_percent is 4 %, promised > 10 %; broken when this lasts 10 s");
	ck_assert_int_eq(w->armed, S(15));
	put(w, "df", "/", "free_percent", 42, 14);
	is(w, "kept");
	ck_assert_int_eq(w->armed, 0);
	put(w, "df", "/", "free_percent", 3, 20);
	put(w, "df", "/", "free_percent", 2, 25);
	ck_assert_int_eq(w->armed, S(30)); /* from the first failure on */
	world_time(w, S(30));
	is(w, "broken");
	ck_assert_int_eq(last(w)->time, S(30));
	ck_assert_uint_eq(w->n_transitions, 2);
	ck_assert_int_eq(w->armed, 0);
}
END_TEST

/* The deadline goes before a sample of the same time or later, though the timer is late */
START_TEST(test_grace_late_timer)
{
	world_keep(w, "df", "df:/:free_percent > 10%\n\t\tgrace 10s");
	put(w, "df", "/", "free_percent", 42, 0);
	put(w, "df", "/", "free_percent", 4, 5);
	w->deaf = true; /* the timer never comes */
	put(w, "df", "/", "free_percent", 42, 15);
	ck_assert_uint_eq(w->n_transitions, 3);
	ck_assert_int_eq(w->transitions[1].to, KITH_BROKEN);
	ck_assert_int_eq(w->transitions[1].time, S(15));
	is(w, "kept");
}
END_TEST

START_TEST(test_settle)
{
	world_keep(w, "df", "df:/:free_percent > 10%\n\t\tsettle 10s");
	put(w, "df", "/", "free_percent", 42, 0);
	is(w, "kept"); /* settle is for what was broken */
	put(w, "df", "/", "free_percent", 4, 1);
	is(w, "broken");
	put(w, "df", "/", "free_percent", 42, 2);
	is(w, "broken");
	because(w, "df:/:free_percent is 42 %, promised > 10 %; kept again when this lasts 10 s");
	put(w, "df", "/", "free_percent", 4, 11);
	world_time(w, S(12));
	is(w, "broken");
	put(w, "df", "/", "free_percent", 42, 20);
	world_time(w, S(29.9));
	is(w, "broken");
	world_time(w, S(30));
	is(w, "kept");
	ck_assert_uint_eq(w->n_transitions, 3);
}
END_TEST

/* A gap does not spare it the settle time */
START_TEST(test_settle_over_gap)
{
	world_keep(w, "df", "df:/:free_percent > 10%\n\t\tsettle 10s");
	put(w, "df", "/", "free_percent", 4, 0);
	model_set_now(w->m, S(40));
	model_expire(w->m, &w->owner, S(40));
	is(w, "unknown");
	because(w, "no sample for 40 s of df:/:free_percent");
	put(w, "df", "/", "free_percent", 42, 50);
	is(w, "unknown");
	world_time(w, S(60));
	is(w, "kept");
}
END_TEST

START_TEST(test_jump)
{
	world_keep(w, "df", "df:/:free_percent > 10% and rate(interface:lo:rx_bytes) >= 0\n\t\tgrace 10s");
	put(w, "interface", "lo", "rx_bytes", 0, 0);
	put(w, "interface", "lo", "rx_bytes", 10, 1);
	put(w, "df", "/", "free_percent", 4, 5);
	ck_assert_int_eq(w->armed, S(15));
	promises_jump(w->p, -3600 * NS_PER_S);
	ck_assert_int_eq(w->armed, S(15 - 3600));
	world_time(w, S(14 - 3600));
	is(w, "unknown");
	world_time(w, S(15 - 3600));
	is(w, "broken");
}
END_TEST

/* ---- no data ----------------------------------------------------------------------------------------------------- */

START_TEST(test_stale)
{
	world_keep(w, "df", "df:/:free_percent > 10%");
	put(w, "df", "/", "free_percent", 42, 0);
	model_set_now(w->m, S(31));
	model_expire(w->m, &w->owner, S(31));
	is(w, "unknown");
	ck_assert_str_eq(last(w)->because, "no sample for 31 s of df:/:free_percent");
	ck_assert_int_eq(last(w)->time, S(31));
	put(w, "df", "/", "free_percent", 42, 32);
	is(w, "kept");
}
END_TEST

START_TEST(test_end_and_again)
{
	struct instance *i = world_instance(w, w->df, "/");

	world_keep(w, "df", "df:/:free_percent > 10%");
	put(w, "df", "/", "free_percent", 42, 0);
	instance_end(w->m, i);
	is(w, "unknown");
	ck_assert_str_eq(last(w)->because, "df:/:free_percent has ended");
	put(w, "df", "/", "free_percent", 42, 5);
	is(w, "kept");
}
END_TEST

START_TEST(test_family_comes_and_goes)
{
	static const struct kith_metric metrics[] = { { "requests", "requests", "r", NULL, KITH_COUNTER, 0 } };
	struct faults faults = { 0 };
	struct family *f;

	ck_assert_int_eq(world_try(w, "bundle b { promise p { promiser x\nkeep nginx:requests > 3 } }", T0, &faults), 0);
	ck_assert_uint_eq(faults.n_warnings, 1);
	ck_assert_str_eq(faults.first->text, "no plugin gives family \"nginx\"");
	faults_free(&faults);
	is(w, "unknown");
	because(w, "no plugin gives family nginx");
	f = world_family(w, "nginx", NULL, metrics, 1);
	because(w, "no sample yet of nginx:requests");
	put(w, "nginx", "", "requests", 5, 1);
	is(w, "kept");
	family_remove(w->m, f);
	is(w, "unknown");
	because(w, "no plugin gives family nginx");
	world_family(w, "nginx", NULL, metrics, 1);
	put(w, "nginx", "", "requests", 1, 2);
	is(w, "broken");
}
END_TEST

/* A family that comes with another unit: said, and unknown until it suits */
START_TEST(test_family_does_not_suit)
{
	static const struct kith_metric good[] = { { "used", "B", "r", NULL, KITH_GAUGE, 0 } };
	static const struct kith_metric bad[] = { { "used", "%", "r", NULL, KITH_GAUGE, 0 } };
	static const struct kith_metric other[] = { { "busy", "B", "r", NULL, KITH_GAUGE, 0 } };
	struct family *f;

	world_keep(w, "x", "cache:used < 1GiB or df:/:free > 5\n\t\tgrace 1s");
	put(w, "df", "/", "free", 9, 0);
	is(w, "kept");
	f = world_family(w, "cache", NULL, bad, 1);
	is(w, "unknown");
	because(w, "a percentage (%) cannot be compared with a size (B)");
	ck_assert_str_eq(w->records[0], "b.p: a percentage (%) cannot be compared with a size (B)");
	put(w, "df", "/", "free", 8, 1);
	is(w, "unknown");
	family_remove(w->m, f);
	f = world_family(w, "cache", NULL, other, 1);
	because(w, "family \"cache\" has no metric \"used\"");
	put(w, "cache", "", "busy", 8, 1);
	family_remove(w->m, f);
	world_family(w, "cache", NULL, good, 1);
	world_time(w, S(1)); /* the end of the round */
	is(w, "kept");
}
END_TEST

/* ---- quantifiers ------------------------------------------------------------------------------------------------- */

START_TEST(test_all)
{
	world_keep(w, "x", "all df:*:free_percent > 10%");
	is(w, "unknown");
	because(w, "nothing matches df:*");
	put(w, "df", "/", "free_percent", 42, 0);
	is(w, "unknown");
	because(w, "the first of df:* has only just come");
	world_time(w, S(1));
	is(w, "kept");
	because(w, "all of 1 hold: df:*:free_percent > 10 %");
	put(w, "df", "/home", "free_percent", 5, 1);
	is(w, "broken");
	because(w, "df:/home:free_percent is 5 %, promised > 10 %");
	instance_end(w->m, instance_find(w->df, "/home", 5));
	world_time(w, S(1));
	is(w, "kept");
	instance_end(w->m, instance_find(w->df, "/", 1));
	world_time(w, S(1));
	is(w, "unknown");
	ck_assert_uint_eq(w->n_transitions, 4);
}
END_TEST

/* A new instance counts from its first sample on: its coming alone changes nothing for a while */
START_TEST(test_all_joining)
{
	world_keep(w, "x", "all (df:*:free_percent > 10%)");
	put(w, "df", "/", "free_percent", 42, 0);
	world_time(w, S(1));
	world_instance(w, w->df, "/new");
	is(w, "kept");
	ck_assert_int_eq(w->armed, S(31));
	world_time(w, S(31));
	is(w, "unknown");
	because(w, "no sample yet of df:/new:free_percent");
	put(w, "df", "/new", "free_percent", 42, 32);
	is(w, "kept");
	ck_assert_int_eq(w->armed, 0);
}
END_TEST

START_TEST(test_any_none)
{
	world_load_at(w, "bundle b { promise p { promiser x\nkeep any(interface:eth*:state) == \"up\" }\n"
	                 "promise q { promiser x\nkeep none interface:eth*:state == \"up\" } }", 0);
	ck_assert_int_eq(world_info(w, 1).assessment, KITH_UNKNOWN);
	put(w, "interface", "lo", "state", 0, 0); /* another one */
	is(w, "unknown");
	put(w, "interface", "eth0", "state", 1, 1);
	world_time(w, S(2));
	is(w, "broken");
	because(w, "none of 1 holds: interface:eth*:state == \"up\"");
	ck_assert_int_eq(world_info(w, 1).assessment, KITH_KEPT);
	put(w, "interface", "eth1", "state", 0, 2);
	is(w, "kept");
	because(w, "interface:eth1:state is \"up\", promised \"up\"");
	ck_assert_int_eq(world_info(w, 1).assessment, KITH_BROKEN);
	ck_assert_str_eq(world_info(w, 1).because, "interface:eth1:state is \"up\", promised not \"up\"");
}
END_TEST

START_TEST(test_promiser_pattern)
{
	struct promise_info info;

	world_keep(w, "df:*", "df:*:free_percent > 10% and all interface:*:state == \"up\"");
	ck_assert_uint_eq(promises_count(w->p), 0);
	put(w, "interface", "lo", "state", 0, 0);
	put(w, "df", "/", "free_percent", 42, 1);
	put(w, "df", "/home", "free_percent", 2, 2);
	ck_assert_uint_eq(promises_count(w->p), 2);
	info = world_info(w, 0);
	ck_assert_str_eq(info.name, "b.p");
	ck_assert_str_eq(info.promiser, "df:/");
	ck_assert_int_eq(info.assessment, KITH_KEPT);
	info = world_info(w, 1);
	ck_assert_str_eq(info.name, "b.p");
	ck_assert_str_eq(info.promiser, "df:/home");
	ck_assert_int_eq(info.assessment, KITH_BROKEN);
	ck_assert_str_eq(info.because, "df:/home:free_percent is 2 %, promised > 10 %");
	instance_end(w->m, instance_find(w->df, "/", 1));
	ck_assert_uint_eq(promises_count(w->p), 1);
	ck_assert_str_eq(last(w)->promiser, "df:/");
	ck_assert_int_eq(last(w)->to, KITH_UNKNOWN);
	ck_assert_str_eq(last(w)->because, "df:/:free_percent has ended");
	ck_assert_str_eq(world_info(w, 0).promiser, "df:/home");
	ck_assert_int_eq(promises_get(w->p, 1, &info), -ENOENT);
}
END_TEST

/* ---- functions --------------------------------------------------------------------------------------------------- */

START_TEST(test_rate)
{
	world_keep(w, "x", "rate(interface:lo:rx_bytes) > 1kB/s");
	put(w, "interface", "lo", "rx_bytes", 1000, 0);
	is(w, "unknown");
	because(w, "rate() waits for the next sample of interface:lo:rx_bytes");
	put(w, "interface", "lo", "rx_bytes", 21000, 10);
	is(w, "kept");
	because(w, "rate(interface:lo:rx_bytes) is 1.95 KiB/s, promised > 1000 B/s");
	put(w, "interface", "lo", "rx_bytes", 500, 20); /* reset: 500 since */
	is(w, "broken");
	because(w, "rate(interface:lo:rx_bytes) is 50 B/s, promised > 1000 B/s");
}
END_TEST

START_TEST(test_windows)
{
	world_load_at(w, "bundle b {\n"
	                 "promise avg { promiser x\nkeep avg(df:/:free, 1m) == 25B }\n"
	                 "promise min { promiser x\nkeep min(df:/:free, 1m) == 10B }\n"
	                 "promise max { promiser x\nkeep max(df:/:free, 1m) == 40B }\n"
	                 "promise sum { promiser x\nkeep sum(df:/:free, 1m) == 100B }\n"
	                 "promise count { promiser x\nkeep count(df:/:free, 1m) == 4 }\n"
	                 "promise delta { promiser x\nkeep delta(df:/:free, 1m) == 30B }\n"
	                 "promise rate { promiser x\nkeep rate(df:/:free, 1m) == 1B/s }\n}", 0);
	for (int i = 1; i <= 4; i++)
		put(w, "df", "/", "free", i * 10, (i - 1) * 10);
	for (size_t i = 0; i < 7; i++)
		ck_assert_msg(world_info(w, i).assessment == KITH_KEPT, "%s: %s", world_info(w, i).name, world_info(w, i).because);
	put(w, "df", "/", "free", 10, 65); /* 10 and 20, of 0 and 10 s, … the first is out */
	ck_assert_str_eq(world_info(w, 4).because, "count(df:/:free, 60 s) is 4, promised == 4");
	put(w, "df", "/", "free", 10, 200);
	ck_assert_str_eq(world_info(w, 0).because, "avg(df:/:free, 60 s) is 10 B, promised == 25 B");
	ck_assert_str_eq(world_info(w, 2).because, "max(df:/:free, 60 s) is 10 B, promised == 40 B");
}
END_TEST

/* A window shorter than the interval holds the last sample */
START_TEST(test_window_short)
{
	world_keep(w, "x", "avg(df:/:free, 1s) == 7B and rate(df:/:free, 1s) == 0.5B/s");
	put(w, "df", "/", "free", 2, 0);
	put(w, "df", "/", "free", 7, 10);
	is(w, "kept");
}
END_TEST

/* Of what is put when it changes the value holds, and windows move on without a sample */
START_TEST(test_window_held)
{
	world_load_at(w, "bundle b { promise avg { promiser x\nkeep avg(svc:a:load, 64s) <= 5 }\n"
	                 "promise max { promiser x\nkeep max(svc:a:load, 64s) < 10 }\n"
	                 "promise restarts { promiser x\nkeep delta(svc:a:restarts, 64s) < 2 } }", 0);
	put(w, "svc", "a", "load", 0, 0);
	put(w, "svc", "a", "restarts", 0, 0);
	ck_assert_int_eq(world_info(w, 0).assessment, KITH_KEPT);
	ck_assert_int_eq(world_info(w, 2).assessment, KITH_KEPT);
	put(w, "svc", "a", "load", 10, 64);
	ck_assert_int_eq(world_info(w, 0).assessment, KITH_KEPT);
	ck_assert_int_eq(world_info(w, 1).assessment, KITH_BROKEN);
	for (int s = 65; s <= 95; s++)
		world_time(w, S(s));
	ck_assert_int_eq(world_info(w, 0).assessment, KITH_KEPT);
	for (int s = 96; s <= 100; s++)
		world_time(w, S(s));
	ck_assert_int_eq(world_info(w, 0).assessment, KITH_BROKEN); /* half of the time at 10 */
	put(w, "svc", "a", "load", 0, 101);
	for (int s = 102; s < 300; s++)
		world_time(w, S(s));
	ck_assert_int_eq(world_info(w, 0).assessment, KITH_KEPT);
	ck_assert_int_eq(world_info(w, 1).assessment, KITH_KEPT);
	ck_assert_int_eq(w->armed, 0); /* nothing moves any more: no timer */
	put(w, "svc", "a", "restarts", 1, 300);
	put(w, "svc", "a", "restarts", 2, 310);
	ck_assert_int_eq(world_info(w, 2).assessment, KITH_BROKEN);
	for (int s = 311; s < 400; s++)
		world_time(w, S(s));
	ck_assert_int_eq(world_info(w, 2).assessment, KITH_KEPT);
	ck_assert_int_eq(w->armed, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("promises");
	TCase *t = tcase_create("meaning");
	const TTest *const tests[] = {
		test_comparison, test_load_late, test_one_series_twice, test_margin, test_margin_below, test_grace,
		test_grace_late_timer, test_settle, test_settle_over_gap, test_jump, test_stale, test_end_and_again,
		test_family_comes_and_goes, test_family_does_not_suit, test_all, test_all_joining, test_any_none,
		test_promiser_pattern, test_rate, test_windows, test_window_short, test_window_held,
	};

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_conditions, 0, KITH_COUNT(conditions));
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
