/* What the language says of other promises, hosts and times: some N, depends, let, only on, between */
#include "language_help.h"
#include "promises/engine.h"
#include <time.h>

/* ---- some ------------------------------------------------------------------------------------------------------- */

START_TEST(some_of_a_number)
{
	world_keep(w, "disks", "some 2 df:*:free > 10B");
	is(w, "unknown");
	put(w, "df", "/a", "free", 20, 1);
	put(w, "df", "/b", "free", 5, 1);
	is(w, "unknown");
	because(w, "the first of df:* has only just come");
	world_time(w, S(2));
	is(w, "broken");
	because(w, "1 of 2 hold, promised 2: df:*:free > 10 B");
	put(w, "df", "/c", "free", 20, 2);
	is(w, "kept");
	because(w, "2 of 3 hold, promised 2: df:*:free > 10 B");
	put(w, "df", "/a", "free", 1, 3);
	is(w, "broken");
	put(w, "df", "/b", "free", 11, 4);
	is(w, "kept");
}
END_TEST

START_TEST(some_of_a_share)
{
	world_keep(w, "disks", "some 50% df:*:free > 10B");
	put(w, "df", "/a", "free", 20, 0);
	is(w, "unknown");
	world_time(w, S(1));
	is(w, "kept");
	put(w, "df", "/b", "free", 5, 1);
	is(w, "kept"); /* one of two */
	put(w, "df", "/c", "free", 5, 1);
	is(w, "broken"); /* one of three, two are needed */
	because(w, "1 of 3 hold, promised 2: df:*:free > 10 B");
	instance_end(w->m, instance_find(w->df, "/c", 2));
	world_time(w, S(1));
	is(w, "kept");
}
END_TEST

/* What is unknown may still hold, or not. */
START_TEST(some_with_unknown_ones)
{
	world_keep(w, "disks", "some 2 df:*:free / df:*:total > 0.5");
	put(w, "df", "/a", "free", 9, 1);
	put(w, "df", "/a", "total", 10, 1);
	put(w, "df", "/b", "free", 9, 1);
	put(w, "df", "/b", "total", 0, 1); /* a division by zero */
	world_time(w, S(2));
	is(w, "unknown");
	put(w, "df", "/b", "total", 10, 2);
	is(w, "kept");
	put(w, "df", "/b", "total", 100, 2);
	is(w, "broken");
}
END_TEST

/* ---- rounds: several samples at one time -------------------------------------------------------------------------- */

/* A sample that others of its time may follow */
static void within(const char *instance, const char *metric, double value, double seconds)
{
	struct instance *i;

	model_set_now(w->m, S(seconds));
	i = world_instance(w, w->df, instance);
	ck_assert_int_eq(model_put(w->m, &w->owner, i->id + (kith_id)family_metric(w->df, metric, strlen(metric)), value, S(seconds)), 0);
}

START_TEST(round_as_a_whole)
{
	world_load_at(w, "bundle b {\n promise p { promiser x keep df:/a:free + df:/b:free > 90B }\n"
	                 " promise q { promiser x keep df:/a:free > 40B or df:/b:free > 40B grace 3s settle 3s }\n}", 0);
	within("/a", "free", 50, 1);
	within("/b", "free", 50, 1);
	world_time(w, S(1));
	is(w, "kept");
	w->n_transitions = 0;
	for (int i = 2; i < 6; i++) {
		within("/a", "free", i % 2 ? 90 : 10, i);
		within("/b", "free", i % 2 ? 10 : 90, i);
		world_time(w, S(i));
	}
	ck_assert_uint_eq(w->n_transitions, 0);
	within("/a", "free", 20, 6);
	within("/b", "free", 20, 6);
	world_time(w, S(6));
	is(w, "broken");
	ck_assert_uint_eq(w->n_transitions, 1);
	/* It seemed to hold for a moment: its grace goes on. */
	within("/a", "free", 50, 8);
	within("/a", "free", 20, 8);
	world_time(w, S(8));
	world_time(w, S(9));
	ck_assert_str_eq(stands("b.q", NULL), "broken");
	ck_assert_uint_eq(w->n_transitions, 2);
}
END_TEST

/* The first that comes is not judged alone; what the others cannot change is said at once. */
START_TEST(first_one_waits_for_others)
{
	world_load_at(w, "bundle b {\n promise any { promiser x keep any df:*:free > 10B }\n promise all { promiser x keep all df:*:free > 10B }\n"
	                 " promise some { promiser x keep some 2 df:*:free > 10B }\n promise none { promiser x keep none df:*:free > 10B }\n}", 0);
	put(w, "df", "/a", "free", 5, 1);
	ck_assert_str_eq(stands("b.any", NULL), "unknown");
	ck_assert_str_eq(stands("b.all", NULL), "broken");
	ck_assert_str_eq(stands("b.some", NULL), "unknown");
	ck_assert_str_eq(stands("b.none", NULL), "unknown");
	put(w, "df", "/b", "free", 20, 1.5);
	ck_assert_str_eq(stands("b.any", NULL), "kept");
	ck_assert_str_eq(stands("b.none", NULL), "broken");
	ck_assert_str_eq(stands("b.some", NULL), "unknown");
	put(w, "df", "/c", "free", 20, 1.75);
	ck_assert_str_eq(stands("b.some", NULL), "kept");
	ck_assert_uint_eq(transitions_of("b.any", KITH_BROKEN) + transitions_of("b.some", KITH_BROKEN), 0);
	world_time(w, S(2));
	/* All of them go; what comes then is a first one again, after a clock that is set too. */
	for (const char *name = "abc"; *name; name++)
		instance_end(w->m, instance_find(w->df, (char[]){ '/', *name, '\0' }, 2));
	world_time(w, S(2));
	ck_assert_str_eq(stands("b.any", NULL), "unknown");
	ck_assert_str_eq(why("b.any"), "nothing matches df:*");
	put(w, "df", "/a", "free", 5, 3);
	ck_assert_str_eq(stands("b.any", NULL), "unknown");
	model_set_now(w->m, S(3600));
	model_jump(w->m, S(3597) - S(0));
	promises_jump(w->p, S(3597) - S(0));
	world_time(w, S(3600.5));
	ck_assert_str_eq(stands("b.any", NULL), "unknown");
	world_time(w, S(3601));
	ck_assert_str_eq(stands("b.any", NULL), "broken");
}
END_TEST

/* What is there when promises are loaded is there as a whole. */
START_TEST(loaded_over_what_is_there)
{
	put(w, "df", "/a", "free", 5, 1);
	world_load_at(w, "bundle b { promise p { promiser x keep any df:*:free > 10B } }", 2);
	is(w, "broken");
	because(w, "none of 1 holds: df:*:free > 10 B");
}
END_TEST

/* ---- depends ---------------------------------------------------------------------------------------------------- */

#define UP "promise up {\n promiser net\n keep interface:eth0:state == \"up\"\n }\n"
#define FAST(more) "promise fast {\n promiser net\n keep memory:available > 10B\n" more " }\n"

START_TEST(depends_blocks)
{
	world_load_at(w, "bundle b {\n" FAST("depends up") UP "}", 0);
	put(w, "interface", "eth0", "state", 0, 1);
	put(w, "memory", "", "available", 5, 1);
	ck_assert_str_eq(stands("b.fast", NULL), "broken");
	put(w, "interface", "eth0", "state", 1, 2);
	ck_assert_str_eq(stands("b.up", NULL), "broken");
	ck_assert_str_eq(stands("b.fast", NULL), "unknown");
	ck_assert_str_eq(why("b.fast"), "depends on b.up, which is broken");
	ck_assert_str_eq(last(w)->because, "depends on b.up, which is broken");
	/* What its own condition says meanwhile is no matter. */
	put(w, "memory", "", "available", 50, 3);
	put(w, "memory", "", "available", 5, 4);
	ck_assert_str_eq(stands("b.fast", NULL), "unknown");
	ck_assert_uint_eq(transitions_of("b.fast", KITH_UNKNOWN), 1);
	put(w, "interface", "eth0", "state", 0, 5);
	ck_assert_str_eq(stands("b.fast", NULL), "broken");
	ck_assert_str_eq(why("b.fast"), "memory:available is 5 B, promised > 10 B");
}
END_TEST

START_TEST(depends_passes_on)
{
	struct promise_explanation x;

	world_load_at(w, "bundle b {\n" UP FAST("depends up")
	                 "promise site {\n promiser net\n keep df:/:free > 1B\n depends c.other, fast\n }\n}\n"
	                 "bundle c { promise other { promiser o keep df:/:total > 1B } }", 0);
	put(w, "df", "/", "free", 9, 1);
	put(w, "df", "/", "total", 9, 1);
	put(w, "memory", "", "available", 50, 1);
	put(w, "interface", "eth0", "state", 0, 1);
	ck_assert_str_eq(stands("b.site", NULL), "kept");
	put(w, "interface", "eth0", "state", 1, 2);
	ck_assert_str_eq(stands("b.fast", NULL), "unknown");
	ck_assert_str_eq(stands("b.site", NULL), "unknown");
	ck_assert_str_eq(why("b.site"), "depends on b.fast, that on b.up, which is broken");
	ck_assert_int_eq(promises_explain(w->p, 2, S(3), &x), 0);
	ck_assert_str_eq(x.depends, "c.other: kept\nb.fast: unknown");
	ck_assert_str_eq(x.mend, "b.fast must be kept: it depends on b.fast, that on b.up, which is broken");
	promise_explanation_free(&x);
	put(w, "interface", "eth0", "state", 0, 3);
	ck_assert_str_eq(stands("b.site", NULL), "kept");
	/* No data of it is no reason: it is broken alone that blocks. */
	instance_end(w->m, instance_find(w->interface, "eth0", 4));
	ck_assert_str_eq(stands("b.up", NULL), "unknown");
	ck_assert_str_eq(stands("b.site", NULL), "kept");
}
END_TEST

/* A sample that both hear of comes to one of them first. Whichever it is, none is said to be what it is no longer a moment later. */
START_TEST(depends_within_a_round)
{
	static const char *const orders[] = {
		"bundle b {\n promise a { promiser d keep df:/:free > 5B }\n promise z { promiser d keep df:/:free > 50B depends a } }",
		"bundle b {\n promise z { promiser d keep df:/:free > 50B depends a }\n promise a { promiser d keep df:/:free > 5B } }",
	};

	for (int i = 0; i < 4; i++) {
		double at = i * 10;

		/* Bound before there is a series, or after: that turns the order round. */
		if (i < 2)
			world_load_at(w, orders[i], at);
		put(w, "df", "/", "free", 90, at + 1);
		if (i >= 2)
			world_load_at(w, orders[i - 2], at + 1);
		ck_assert_str_eq(stands("b.z", NULL), "kept");
		w->n_transitions = 0;
		put(w, "df", "/", "free", 1, at + 2);
		ck_assert_uint_eq(transitions_of("b.z", KITH_BROKEN), 0);
		ck_assert_uint_eq(transitions_of("b.z", KITH_UNKNOWN), 1);
		put(w, "df", "/", "free", 90, at + 3);
		ck_assert_uint_eq(transitions_of("b.z", KITH_BROKEN), 0);
		put(w, "df", "/", "free", 1, at + 4);
		put(w, "df", "/", "free", 40, at + 5);
		ck_assert_uint_eq(transitions_of("b.z", KITH_KEPT), 1);
		ck_assert_uint_eq(transitions_of("b.z", KITH_BROKEN), 1);
		instance_end(w->m, instance_find(w->df, "/", 1));
		world_load_at(w, "", at + 6);
	}
}
END_TEST

START_TEST(depends_by_instance)
{
	world_load_at(w, "bundle b {\n promise there { promiser df:* keep df:*:total > 5B }\n"
	                 "promise room { promiser df:* keep df:*:free > 5B depends there }\n"
	                 "promise all { promiser x keep memory:available > 1B depends there }\n}", 0);
	put(w, "memory", "", "available", 50, 1);
	put(w, "df", "/a", "total", 9, 1);
	put(w, "df", "/a", "free", 9, 1);
	put(w, "df", "/b", "total", 1, 1);
	put(w, "df", "/b", "free", 1, 1);
	ck_assert_str_eq(stands("b.room", "df:/a"), "kept");
	ck_assert_str_eq(stands("b.room", "df:/b"), "unknown");
	ck_assert_str_eq(stands("b.all", NULL), "unknown");
	ck_assert_str_eq(why("b.all"), "depends on b.there (df:/b), which is broken");
	/* The one that blocked is gone: nothing points at it any more. */
	instance_end(w->m, instance_find(w->df, "/b", 2));
	world_time(w, S(1));
	ck_assert_str_eq(stands("b.all", NULL), "kept");
}
END_TEST

START_TEST(depends_and_grace)
{
	world_load_at(w, "bundle b {\n" UP FAST("depends up\n grace 10s") "}", 0);
	put(w, "interface", "eth0", "state", 0, 1);
	put(w, "memory", "", "available", 50, 1);
	put(w, "memory", "", "available", 5, 2);
	put(w, "interface", "eth0", "state", 1, 5);
	world_time(w, S(30));
	ck_assert_uint_eq(transitions_of("b.fast", KITH_BROKEN), 0);
	/* It has its whole grace again. */
	put(w, "interface", "eth0", "state", 0, 40);
	world_time(w, S(49));
	ck_assert_str_ne(stands("b.fast", NULL), "broken");
	world_time(w, S(50));
	ck_assert_str_eq(stands("b.fast", NULL), "broken");
}
END_TEST

/* A new set: what is the same goes on, and depends on what is there now. */
START_TEST(depends_over_a_reload)
{
	world_load_at(w, "bundle b {\n" UP FAST("depends up") "}", 0);
	put(w, "memory", "", "available", 5, 1);
	put(w, "interface", "eth0", "state", 1, 1);
	ck_assert_str_eq(stands("b.fast", NULL), "unknown");
	/* The same again, in another order and file place */
	world_load_at(w, "\n\nbundle b {\n" FAST("depends up") UP "}", 2);
	ck_assert_str_eq(stands("b.fast", NULL), "unknown");
	ck_assert_str_eq(why("b.fast"), "depends on b.up, which is broken");
	w->n_transitions = 0;
	/* What it depends on is another text now, and as broken as before: nobody hears of anything else. */
	world_load_at(w, "bundle b {\n" FAST("depends up") "promise up {\n promiser net\n keep interface:eth0:state != \"down\"\n }\n}", 3);
	ck_assert_str_eq(stands("b.up", NULL), "broken");
	ck_assert_str_eq(stands("b.fast", NULL), "unknown");
	ck_assert_uint_eq(transitions_of("b.fast", KITH_BROKEN), 0);
	put(w, "interface", "eth0", "state", 0, 4);
	ck_assert_str_eq(stands("b.fast", NULL), "broken");
	/* Elsewhere than here: it is no obstacle. */
	world_load_at(w, "bundle b {\n" FAST("depends up") "promise up {\n only on tag \"none\"\n promiser net\n"
	                 "keep interface:eth0:state == \"up\"\n }\n}", 5);
	put(w, "interface", "eth0", "state", 1, 6);
	ck_assert_str_eq(stands("b.up", NULL), "missing");
	ck_assert_str_eq(stands("b.fast", NULL), "broken");
}
END_TEST

START_TEST(depends_in_vain)
{
	char text[8192];
	size_t n;

	ck_assert(refused("bundle b {\n" UP FAST("depends upp") "}", "there is no promise \"b.upp\" to depend on",
	                  "did you mean \"b.up\"?"));
	ck_assert(refused("bundle b {\n" UP FAST("depends 5") "}", "expected a promise's name, found \"5\"", "depends network.up"));
	ck_assert(refused("bundle b {\n" FAST("depends fast") "}", "b.fast depends on itself", "take one of them out"));
	ck_assert(refused("bundle b {\n promise up { promiser x keep true depends fast }\n" FAST("depends up") "}",
	                  "b.up depends on itself: it depends on b.fast, that on b.up", "take one of them out"));
	n = (size_t)snprintf(text, sizeof(text), "bundle b {\n promise p0 { promiser x keep true }\n");
	for (int i = 1; i < 70; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "promise p%d { promiser x keep true depends p%d }\n", i, i - 1);
	snprintf(text + n, sizeof(text) - n, "}");
	ck_assert(refused(text, "promises depend on one another in a chain of more than 64", NULL));
	n = (size_t)snprintf(text, sizeof(text), "bundle b {\n");
	for (int i = 0; i < 69; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "promise p%d { promiser x keep true depends p%d }\n", i, i + 1);
	snprintf(text + n, sizeof(text) - n, "promise p69 { promiser x keep true }\n}");
	ck_assert(refused(text, "promises depend on one another in a chain of more than 64", NULL));
}
END_TEST

/* ---- let -------------------------------------------------------------------------------------------------------- */

START_TEST(let_stands_for_what_was_written)
{
	struct promise_explanation x;

	world_load_at(w, "bundle b {\n let limit = 10B\n let back = 30s\n let many = 3\n"
	                 "promise p {\n promiser df:*\n let low = df:*:free < limit margin 2B\n"
	                 "keep not low and df:*:total / many > limit\n settle back\n }\n"
	                 "promise q { promiser df:* keep avg(df:*:free, back) > limit }\n}", 0);
	put(w, "df", "/", "total", 60, 0);
	put(w, "df", "/", "free", 20, 0);
	ck_assert_str_eq(stands("b.p", NULL), "kept");
	ck_assert_str_eq(stands("b.q", NULL), "kept");
	put(w, "df", "/", "free", 9, 1);
	ck_assert_str_eq(stands("b.p", NULL), "broken");
	ck_assert_str_eq(why("b.p"), "df:/:free is 9 B, promised not < 10 B, above 12 B to be kept again");
	ck_assert_int_eq(promises_explain(w->p, 0, S(3), &x), 0);
	ck_assert_str_eq(x.parts[0].text, "not df:/:free < 10 B margin 2 B and df:/:total / 3 > 10 B");
	ck_assert_str_eq(world_info(w, 0).body, "not low and df:*:total / many > limit");
	promise_explanation_free(&x);
	put(w, "df", "/", "free", 11, 2);
	ck_assert_str_eq(stands("b.p", NULL), "broken"); /* margin */
	put(w, "df", "/", "free", 12, 3);
	world_time(w, S(32));
	ck_assert_str_eq(stands("b.p", NULL), "broken"); /* settle */
	world_time(w, S(33));
	ck_assert_str_eq(stands("b.p", NULL), "kept");
}
END_TEST

/* Another let is another promise, though its own text is the same; one that it does not use is not. */
START_TEST(let_is_part_of_the_promise)
{
	static const char text[] = "bundle b {\n let limit = %s\n let other = %s\n promise p { promiser x keep df:/:free > limit }\n"
	                           "promise q { promiser x keep df:/:total > other }\n}";
	char one[512];

	snprintf(one, sizeof(one), text, "10B", "1B");
	world_load_at(w, one, 0);
	put(w, "df", "/", "free", 20, 1);
	put(w, "df", "/", "total", 20, 1);
	ck_assert_int_eq(world_info(w, 0).since, S(1));
	snprintf(one, sizeof(one), text, "10B", "2B");
	world_load_at(w, one, 5);
	ck_assert_int_eq(world_info(w, 0).since, S(1));
	ck_assert_int_eq(world_info(w, 1).since, S(5));
	snprintf(one, sizeof(one), text, "30B", "2B");
	world_load_at(w, one, 6);
	ck_assert_str_eq(stands("b.p", NULL), "broken");
}
END_TEST

START_TEST(let_hides_and_is_told_when_unused)
{
	struct faults faults = { 0 };
	struct buf b = BUF_INIT;

	ck_assert_int_eq(world_try(w, "bundle b {\n let x = 5B\n let y = 1\n promise p {\n promiser d\n let x = 50B\n let z = 2\n"
	                              "keep df:/:free > x\n }\n}\nbundle c {\n promise p { promiser d keep true }\n}", T0, &faults), 0);
	for (struct fault *f = faults.first; f; f = f->next)
		fault_format(f, &b);
	ck_assert_str_eq(buf_text(&b), "t.promise:2:6: warning: \"x\" is not used\n     let x = 5B\n         ^ take it out, or use it in what follows\n"
	                               "t.promise:3:6: warning: \"y\" is not used\n     let y = 1\n         ^ take it out, or use it in what follows\n"
	                               "t.promise:7:6: warning: \"z\" is not used\n     let z = 2\n         ^ take it out, or use it in what follows\n");
	put(w, "df", "/", "free", 20, 1);
	is(w, "broken");
	buf_free(&b);
	faults_free(&faults);
}
END_TEST

START_TEST(let_refused)
{
#define LET(text) "bundle b {\n " text "\n promise p { promiser d keep df:/:free > limit } }"
	ck_assert(refused(LET("let limit 5B"), "expected \"=\", found \"5B\"", "let limit = 10%"));
	ck_assert(refused(LET("let keep = 5B"), "\"keep\" is a word of the language", "take another name"));
	ck_assert(refused(LET("let p95 = 5B"), "\"p95\" is a word of the language", "take another name"));
	ck_assert(refused(LET("let limit = 5B\n let limit = 6B"), "there is a let \"limit\" already", NULL));
	ck_assert(refused(LET("let limit = limit + 1B"), "unknown word \"limit\" in a condition", "a state is written in quotes: \"limit\""));
	ck_assert(refused(LET("let limits = 5B"), "unknown word \"limit\" in a condition", "did you mean \"limits\"?"));
	ck_assert(refused(LET("let limit = 5% "), "a size (B) cannot be compared with a percentage (%)", "did you mean \"df:/:free_percent\"?"));
	ck_assert(refused(LET("let limit = 5B 6B"), "expected an operator or the next line, found \"6B\"", NULL));
	ck_assert(refused("bundle b {\n promise p { promiser d keep true }\n let x = 5B\n}", "\"let\" stands before the bundle's promises", NULL));
}
END_TEST

/* What is wrong with a let is said once, however often it is used. */
START_TEST(let_faults_once)
{
	struct faults faults = { 0 };

	ck_assert_int_eq(world_try(w, "bundle b {\n let room = df:/:fre > 1B\n promise p { promiser d keep room and true }\n"
	                              "promise q { promiser d keep true and room }\n promise r { promiser d keep not (room and df:/:free > 5) }\n}",
	                           T0, &faults), -EINVAL);
	ck_assert_uint_eq(faults.n_errors, 1);
	ck_assert_uint_eq(faults.n_kept, 1);
	ck_assert_ptr_eq(faults.first, faults.last);
	ck_assert_uint_eq(faults.first->line, 2);
	faults_free(&faults);
}
END_TEST

/* A let of lets of lets grows: it is bounded as any condition is. */
START_TEST(let_grows)
{
	char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text), "bundle b {\n let a0 = df:/:free > 1B\n");

	for (int i = 1; i < 20; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "let a%d = a%d and a%d\n", i, i - 1, i - 1);
	snprintf(text + n, sizeof(text) - n, "promise p { promiser d keep a19 } }");
	ck_assert(refused(text, "this condition has more than 1000 parts", "split it into several promises"));
}
END_TEST

/* ---- only on ---------------------------------------------------------------------------------------------------- */

START_TEST(only_on_facts)
{
	in_force("tag \"web\"", true);
	in_force("tag \"eu-*\" and not tag \"db\"", true);
	in_force("host \"web*.example\"", true);
	in_force("zone \"ams\"", true);
	in_force("zone \"ams/r2\"", false);
	in_force("os == \"debian\" and os_version >= \"11\"", true);
	in_force("os != \"debian\"", false);
	in_force("os in [\"fedora\", \"debian\"]", true);
	in_force("os in [\"fedora\", \"rhel\"]", false);
	in_force("kernel > \"6.9\"", true); /* as versions, not as texts */
	in_force("\"6.11\" > kernel", true);
	in_force("cpus >= 8 and memory / cpus < 2.5GB", true);
	in_force("cpus in [1, 2, 4]", false);
	in_force("memory > 16GiB", false);
	in_force("virtual != \"none\" or cpus == 1", true);
	in_force("host == \"web1.example\"", true);
	in_force("(cpus > 4) == true", true);
	in_force("-cpus < -7", true);
	in_force("not (tag \"web\" or tag \"db\")", false);
	/* What is not known is like nothing, and unlike everything. */
	in_force("init == \"systemd\"", false);
	in_force("init != \"systemd\"", true);
	in_force("init < \"systemd\"", false);
	in_force("not init < \"systemd\"", true);
}
END_TEST

START_TEST(only_on_refused)
{
#define ONLY(text) "bundle b {\n promise p {\n only on " text "\n promiser d\n keep true\n }\n}"
	static const char facts[] = "expected a fact: host, zone, tag, os, os_version, kernel, arch, virtual, init, cpus or memory, found ";
	char text[256];

	snprintf(text, sizeof(text), "%s\"hots\"", facts);
	ck_assert(refused(ONLY("hots \"x\""), text, "did you mean \"host\"?"));
	ck_assert(refused(ONLY("cpus"), "a condition is needed here, this is a number", "compare it with something"));
	ck_assert(refused(ONLY("os > 5"), "a string is compared with a state alone", NULL));
	ck_assert(refused(ONLY("os in [\"debian\", 5]"), "a text cannot be compared with a number", NULL));
	ck_assert(refused(ONLY("memory > 5s"), "a size (B) cannot be compared with a duration (s)", "write a value such as 1GiB"));
	ck_assert(refused(ONLY("tag"), "expected a string, found \"promiser\"", "only on tag \"web\""));
	ck_assert(refused(ONLY("cpus > 4 margin 1"), "facts do not move: no margin", NULL));
	ck_assert(refused(ONLY("df:/:free > 5B"), "\"only on\" asks about facts of the host, not about series",
	                  "what a promise speaks of stands in its keep"));
	ck_assert(refused("bundle b {\n let low = df:/:free > 5B\n only on low\n promise p { promiser x keep low } }",
	                  "\"only on\" asks about facts of the host, not about series", "what a promise speaks of stands in its keep"));
	ck_assert(refused("bundle b {\n promise p { promiser x keep true }\n only on tag \"x\"\n }", "\"only\" stands before the bundle's promises",
	                  NULL));
}
END_TEST

/* ---- between ---------------------------------------------------------------------------------------------------- */

/* Friday, 2027-01-15, 08:00:00 UTC is T0. */
static void in_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

START_TEST(between_in_a_condition)
{
	in_zone("UTC");
	world_keep(w, "memory", "between 09:00 and 17:30 on mon..fri and memory:available > 5B");
	put(w, "memory", "", "available", 9, 0);
	is(w, "broken");
	because(w, "it is not between 09:00 and 17:30 on mon..fri");
	ck_assert_int_eq(w->armed, S(3600));
	world_time(w, S(3600));
	is(w, "kept");
	because(w, "it is between 09:00 and 17:30 on mon..fri; memory:available is 9 B, promised > 5 B");
	world_time(w, S(9.5 * 3600));
	is(w, "broken");
	/* Not on Saturday, not on Sunday */
	ck_assert_int_eq(w->armed, S(73 * 3600));
	world_time(w, S(72 * 3600 + 3599));
	is(w, "broken");
	world_time(w, S(73 * 3600));
	is(w, "kept");
}
END_TEST

START_TEST(between_as_a_statement)
{
	in_zone("UTC");
	world_load_at(w, "bundle b {\n promise p {\n promiser memory\n between 22:00 and 06:00 on fri, sun\n keep memory:available > 5B\n"
	                 "on broken run \"/x\"\n }\n}", 0);
	put(w, "memory", "", "available", 1, 0);
	is(w, "unknown");
	because(w, "not promised now, but between 22:00 and 06:00 on fri, sun");
	ck_assert_str_eq(world_info(w, 0).body, "memory:available > 5B");
	world_time(w, S(14 * 3600));
	is(w, "broken");
	because(w, "memory:available is 1 B, promised > 5 B");
	ck_assert_uint_eq(w->n_actions, 1);
	/* Into Saturday morning, then not before Sunday night */
	world_time(w, S(22 * 3600 - 1));
	is(w, "broken");
	world_time(w, S(22 * 3600));
	is(w, "unknown");
	world_time(w, S(61 * 3600));
	is(w, "unknown");
	world_time(w, S(62 * 3600));
	is(w, "broken");
}
END_TEST

START_TEST(between_and_summer_time)
{
	/* 2027-03-28 01:00 UTC: in Amsterdam 02:00 becomes 03:00. Until 02:30 means until 03:30, and 24 h later it is 02:30 again. */
	int64_t midnight = INT64_C(1806188400) * NS_PER_S, next; /* 2027-03-28 00:00 in Amsterdam */
	struct expr e = { .kind = EXPR_BETWEEN, .from = 3 * 3600 + 1800, .until = 5 * 3600, .days = 0x7f };

	in_zone("Europe/Amsterdam");
	ck_assert(!calendar_holds(&e, midnight, &next));
	ck_assert_int_eq(next - midnight, INT64_C(9000) * NS_PER_S); /* half past three is two hours and a half after midnight */
	ck_assert(calendar_holds(&e, next, &next));
	ck_assert_int_eq(next - midnight, INT64_C(14400) * NS_PER_S);
	ck_assert(!calendar_holds(&e, next, &next));
	ck_assert_int_eq(next - midnight, (int64_t)(23 * 3600 + 12600) * NS_PER_S);
	/* The hour that comes twice, 2027-10-31: 02:00 to 03:00 once, or both; never a moment that does not move on */
	e.from = 2 * 3600;
	e.until = 3 * 3600;
	for (int64_t now = INT64_C(1824933600) * NS_PER_S, end = now + 86400 * NS_PER_S; now < end; now = next) {
		calendar_holds(&e, now, &next);
		ck_assert_int_gt(next, now);
	}
	in_zone("UTC");
}
END_TEST

START_TEST(between_and_a_clock_that_is_set)
{
	in_zone("UTC");
	world_keep(w, "memory", "between 09:00 and 10:00");
	is(w, "broken");
	model_jump(w->m, 3600 * NS_PER_S);
	promises_jump(w->p, 3600 * NS_PER_S);
	is(w, "kept");
	ck_assert_int_eq(w->armed, S(7200));
	model_jump(w->m, -7200 * NS_PER_S);
	promises_jump(w->p, -7200 * NS_PER_S);
	is(w, "broken");
	ck_assert_int_eq(w->armed, S(3600));
}
END_TEST

START_TEST(between_refused)
{
	static const char hint[] = "between 08:00 and 20:00 on mon..fri";

	ck_assert(refused(KEEP("between 8 and 20"), "expected a time of day, found \"8\"", hint));
	ck_assert(refused(KEEP("between 08:60 and 20:00"), "expected a time of day, found \"08:60\"", hint));
	ck_assert(refused(KEEP("between 25:00 and 20:00"), "expected a time of day, found \"25:00\"", hint));
	ck_assert(refused(KEEP("between 08:00 and 24:01"), "expected a time of day, found \"24:01\"", hint));
	ck_assert(refused(KEEP("between 08:00:00:00 and 24:00"), "expected a time of day, found \"08:00:00:00\"", hint));
	ck_assert(refused(KEEP("between 08:00 to 20:00"), "expected \"and\", found \"to\"", hint));
	ck_assert(refused(KEEP("between 08:00 and 08:00"), "nothing is between these", "all day is between 00:00 and 24:00"));
	ck_assert(refused(KEEP("between 08:00 and 09:00 on mo..fri"), "expected a day: sun, mon, tue, wed, thu, fri or sat, found \"mo..fri\"",
	                  "on mon..fri, sun"));
	ck_assert(refused(KEEP("between 08:00 and 09:00 on mon,"), "expected a day: sun, mon, tue, wed, thu, fri or sat, found \"}\"",
	                  "on mon..fri, sun"));
	ck_assert(refused(KEEP("true\n between 08:00 and 09:00\n between 09:00 and 10:00"), "\"between\" is there already", NULL));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("promises language");
	TCase *t = tcase_create("language");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, some_of_a_number);
	tcase_add_test(t, some_of_a_share);
	tcase_add_test(t, some_with_unknown_ones);
	tcase_add_test(t, round_as_a_whole);
	tcase_add_test(t, first_one_waits_for_others);
	tcase_add_test(t, loaded_over_what_is_there);
	tcase_add_test(t, depends_blocks);
	tcase_add_test(t, depends_passes_on);
	tcase_add_test(t, depends_within_a_round);
	tcase_add_test(t, depends_by_instance);
	tcase_add_test(t, depends_and_grace);
	tcase_add_test(t, depends_over_a_reload);
	tcase_add_test(t, depends_in_vain);
	tcase_add_test(t, let_stands_for_what_was_written);
	tcase_add_test(t, let_is_part_of_the_promise);
	tcase_add_test(t, let_hides_and_is_told_when_unused);
	tcase_add_test(t, let_faults_once);
	tcase_add_test(t, let_refused);
	tcase_add_test(t, let_grows);
	tcase_add_test(t, only_on_facts);
	tcase_add_test(t, only_on_refused);
	tcase_add_test(t, between_in_a_condition);
	tcase_add_test(t, between_as_a_statement);
	tcase_add_test(t, between_and_summer_time);
	tcase_add_test(t, between_and_a_clock_that_is_set);
	tcase_add_test(t, between_refused);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
