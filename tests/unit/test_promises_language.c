/* What the language says beyond a single comparison: some N, depends */
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

/* The assessment of the first promise of this name, and promiser unless NULL */
static const char *stands(const char *name, const char *promiser)
{
	struct promise_info info;

	for (size_t i = 0; promises_get(w->p, i, &info) == 0; i++)
		if (!strcmp(info.name, name) && (!promiser || !strcmp(info.promiser, promiser)))
			return assessment_name(info.assessment);
	return "missing";
}

static const char *why(const char *name)
{
	struct promise_info info;

	for (size_t i = 0; promises_get(w->p, i, &info) == 0; i++)
		if (!strcmp(info.name, name))
			return info.because;
	return "missing";
}

static unsigned transitions_of(const char *name, enum kith_assessment to)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_transitions && i < HEARD_MAX; i++)
		n += !strcmp(w->transitions[i].name, name) && w->transitions[i].to == to;
	return n;
}

static bool refused(const char *text, const char *fault, const char *hint)
{
	struct faults faults = { 0 };
	bool is = world_try(w, text, T0, &faults) == -EINVAL && faults.first && !strcmp(faults.first->text, fault) &&
	          (hint ? faults.first->hint && !strcmp(faults.first->hint, hint) : !faults.first->hint);

	if (!is && faults.first)
		fprintf(stderr, "%s (%s)\n", faults.first->text, faults.first->hint ? faults.first->hint : "");
	faults_free(&faults);
	return is;
}

/* ---- some ------------------------------------------------------------------------------------------------------- */

START_TEST(some_of_a_number)
{
	world_keep(w, "disks", "some 2 df:*:free > 10B");
	is(w, "unknown");
	put(w, "df", "/a", "free", 20, 1);
	put(w, "df", "/b", "free", 5, 1);
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
	put(w, "df", "/a", "free", 20, 1);
	is(w, "kept");
	put(w, "df", "/b", "free", 5, 1);
	is(w, "kept"); /* one of two */
	put(w, "df", "/c", "free", 5, 1);
	is(w, "broken"); /* one of three, two are needed */
	because(w, "1 of 3 hold, promised 2: df:*:free > 10 B");
	instance_end(w->m, instance_find(w->df, "/c", 2));
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
	is(w, "unknown");
	put(w, "df", "/b", "total", 10, 2);
	is(w, "kept");
	put(w, "df", "/b", "total", 100, 2);
	is(w, "broken");
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
	tcase_add_test(t, depends_blocks);
	tcase_add_test(t, depends_passes_on);
	tcase_add_test(t, depends_by_instance);
	tcase_add_test(t, depends_and_grace);
	tcase_add_test(t, depends_over_a_reload);
	tcase_add_test(t, depends_in_vain);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
