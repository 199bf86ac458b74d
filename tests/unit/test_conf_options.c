/* conf/: options of plugins, and what a reload compares */
#include <math.h>

#include "conf_help.h"

/* ---- options ---------------------------------------------------------------------------------------------------- */

/* Larger entries than those of today: a newer plugin's */
struct wide_option {
	struct kith_option o;
	char more[24];
};
static const struct wide_option options[] = {
	{ { .name = "flag", .fallback = "true", .type = KITH_OPTION_BOOL }, "" },
	{ { .name = "number", .fallback = "10%", .type = KITH_OPTION_NUMBER, .max = 50 }, "" },
	{ { .name = "duration", .fallback = "5m", .type = KITH_OPTION_DURATION, .min = 1, .max = 86400 }, "" },
	{ { .name = "size", .fallback = "64KiB", .type = KITH_OPTION_SIZE, .min = 1024, .max = 1048576 }, "" },
	{ { .name = "string", .fallback = "some text, 5", .type = KITH_OPTION_STRING }, "" },
	{ { .name = "list", .fallback = "a, b c ,,d", .type = KITH_OPTION_LIST }, "" },
	{ { .name = "unset", .type = KITH_OPTION_NUMBER }, "" },
	{ { .name = "none", .type = KITH_OPTION_STRING }, "" },
	{ { .name = "empty", .type = KITH_OPTION_LIST }, "" },
};

static struct conf_option *get_options(const char *text)
{
	struct faults faults = { 0 };
	struct conf_option *v = NULL;
	struct conf *c = load_text(text);
	int r = conf_options(conf_plugin_find(c, "x"), &options[0].o, N(options), sizeof(options[0]), &v, &faults);
	char *found = all_faults(&faults);

	ck_assert_str_eq(found, "");
	ck_assert_int_eq(r, 0);
	free(found);
	conf_free(c); /* the values are their own */
	return v;
}

START_TEST(test_option_defaults)
{
	struct conf_option *v = get_options(_i ? "plugin x { flag = null; size = null; list = null; interval = 1s }" : "");

	for (size_t i = 0; i < N(options); i++) {
		ck_assert(!v[i].set);
		ck_assert_ptr_eq(v[i].option, &options[i].o);
	}
	ck_assert_double_eq(v[0].number, 1);
	ck_assert_double_eq(v[1].number, 10);
	ck_assert_double_eq(v[2].number, 300);
	ck_assert_double_eq(v[3].number, 65536);
	ck_assert_str_eq(v[4].string, "some text, 5");
	ck_assert_uint_eq(v[5].n_list, 3);
	ck_assert_str_eq(v[5].list[0], "a");
	ck_assert_str_eq(v[5].list[1], "b c");
	ck_assert_str_eq(v[5].list[2], "d");
	ck_assert_ptr_null(v[5].list[3]);
	ck_assert(isnan(v[6].number) && !v[7].string && v[8].n_list == 0 && v[8].list && !v[8].list[0]);
	conf_options_free(v, N(options));
}
END_TEST

START_TEST(test_option_values)
{
	struct conf_option *v = get_options("plugin x { flag = off; number = 20; duration = 90; size = 2k; string = ''\n"
	                                    "list = one; list = [two, \"\"]; unset = -1.5; none = \"5\"; empty = [] }");

	for (size_t i = 0; i < N(options); i++)
		ck_assert(v[i].set);
	ck_assert_double_eq(v[0].number, 0);
	ck_assert_double_eq(v[1].number, 20);
	ck_assert_double_eq(v[2].number, 90);
	ck_assert_double_eq(v[3].number, 2000);
	ck_assert_str_eq(v[4].string, "");
	ck_assert_uint_eq(v[5].n_list, 3);
	ck_assert_str_eq(v[5].list[0], "one");
	ck_assert_str_eq(v[5].list[1], "two");
	ck_assert_str_eq(v[5].list[2], "");
	ck_assert_ptr_null(v[5].list[3]);
	ck_assert_double_eq(v[6].number, -1.5);
	ck_assert_str_eq(v[7].string, "5");
	ck_assert_uint_eq(v[8].n_list, 0);
	ck_assert_ptr_null(v[8].list[0]);
	conf_options_free(v, N(options));
}
END_TEST

START_TEST(test_option_long_list)
{
	struct buf b = BUF_INIT;
	struct conf_option *v;

	buf_puts(&b, "plugin x { list = [");
	for (int i = 0; i < 1 << _i; i++)
		buf_printf(&b, "item%d\n", i);
	buf_puts(&b, "] }");
	v = get_options(buf_text(&b));
	ck_assert_uint_eq(v[5].n_list, 1u << _i);
	for (size_t i = 0; i < v[5].n_list; i++)
		ck_assert_int_eq(atoi(v[5].list[i] + 4), (int)i);
	ck_assert_ptr_null(v[5].list[v[5].n_list]);
	conf_options_free(v, N(options));
	buf_free(&b);
}
END_TEST

static void options_fail(const char *text, const struct kith_option *table, uint32_t n, uint32_t size, const char *expected)
{
	struct faults faults = { 0 };
	struct conf_option *v = (void *)1;
	struct conf *c = load_text(text);
	int r = conf_options(conf_plugin_find(c, "x"), table, n, size, &v, &faults);
	char *found = all_faults(&faults);

	ck_assert_str_eq(found, expected);
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_ptr_eq(v, (void *)1);
	free(found);
	conf_free(c);
}

START_TEST(test_option_faults)
{
	static const struct kith_option wrong[] = {
		{ .name = "a", .fallback = "5 apples", .type = KITH_OPTION_NUMBER },
		{ .name = "b", .fallback = "5s", .type = KITH_OPTION_DURATION, .min = 10, .max = 20 },
	};

	options_fail("plugin x {\n"
	             "    flog = true\n"
	             "    number = 51\n"
	             "    duration = 1ms\n"
	             "    size = 2MiB\n"
	             "    string = [a]\n"
	             "    list = [a, 1]\n"
	             "    string = b\n"
	             "    enbled = no\n"
	             "}\n",
	             &options[0].o, N(options), sizeof(options[0]),
	             "kith.conf:3:14: number is 51: the most is 50\n        number = 51\n"
	             "                 ^~ write a value from 0 to 50\n"
	             "kith.conf:4:16: duration is 1ms: the least is 1s\n        duration = 1ms\n"
	             "                   ^~~ write a value from 1s to 1d\n"
	             "kith.conf:5:12: size is 2MiB: the most is 1MiB\n        size = 2MiB\n"
	             "               ^~~~ write a value from 1KiB to 1MiB\n"
	             "kith.conf:6:14: string wants a string, found a list\n        string = [a]\n"
	             "                 ^~~\n"
	             "kith.conf:8:5: string is given twice\n        string = b\n"
	             "        ^~~~~~ the first is in line 6: keep one\n"
	             "kith.conf:7:16: list wants a list of strings, found the number 1\n        list = [a, 1]\n"
	             "                   ^ put quotes around it if it is a text\n"
	             "kith.conf:2:5: unknown key \"flog\" of plugin x\n        flog = true\n"
	             "        ^~~~ did you mean \"flag\"?\n"
	             "kith.conf:9:5: unknown key \"enbled\" of plugin x\n        enbled = no\n"
	             "        ^~~~~~ did you mean \"enabled\"?\n");
	options_fail("exporter x { zzzzzz = 1 }", NULL, 0, 0,
	             "kith.conf:1:14: unknown key \"zzzzzz\" of exporter x\n    exporter x { zzzzzz = 1 }\n"
	             "                 ^~~~~~ known here: enabled, isolated, interval, steady_interval, cpu_budget, max_instances\n");
	options_fail("plugin x {}", wrong, N(wrong), sizeof(wrong[0]),
	             "plugin x, its own default of a:1:1: a wants a number, found the string \"5 apples\"\n    5 apples\n    ^~~~~~~~\n"
	             "plugin x, its own default of b:1:1: b is 5s: the least is 10s\n    5s\n    ^~ write a value from 10s to 20s\n");
}
END_TEST

START_TEST(test_option_minutes)
{
	struct faults faults = { 0 };
	struct conf_option *v;
	struct conf *c = load_text("plugin x { duration = 10m }");
	char *text;

	ck_assert_int_eq(conf_options(conf_plugin_find(c, "x"), &options[0].o, N(options), sizeof(options[0]), &v, &faults), 0);
	ck_assert_double_eq(v[2].number, 600);
	ck_assert_uint_eq(faults.n_warnings, 1);
	text = all_faults(&faults);
	ck_assert_str_eq(text, "kith.conf:1:23: warning: duration: 10m is taken as minutes here; elsewhere m is a million\n"
	                       "    plugin x { duration = 10m }\n                          ^~~ write 10min\n");
	free(text);
	conf_options_free(v, N(options));
	conf_free(c);
}
END_TEST

/* ---- what a reload compares ------------------------------------------------------------------------------------- */

static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{ "", "", true },
	{ "", "plugin x {}", true },
	{ "", "plugin x { enabled = yes }", true },
	{ "", "plugin x { enabled = no }", false },
	{ "", "plugin x { a = 1 }", false },
	{ "plugin x { a = 1; b = \"t\" }", "plugin \"x\" {\n  # moved\n  b: t,\n  a: 0x1\n}", true },
	{ "plugin x { a = 60s; s = 1KiB }", "plugin x { a = 1min; s = 1024b }", true },
	{ "plugin x { a = 1s }", "plugin x { a = 2s }", false },
	{ "plugin x { a = 1 }", "plugin x { a = \"1\" }", false },
	{ "plugin x { a = 5m }", "plugin x { a = 5000000 }", false },
	{ "plugin x { a = [1, 2] }", "plugin x { a [1\n2] }", true },
	{ "plugin x { a = [1, 2] }", "plugin x { a = [2, 1] }", false },
	{ "plugin x { a = [1, 2] }", "plugin x { a = [1] }", false },
	{ "plugin x { a = p; a = q }", "plugin x { a = q; a = p }", false },
	{ "plugin x { a = p; b = 1; a = q }", "plugin x { a = p; a = q; b = 1 }", true },
	{ "plugin x { a { b = 1; c = 2 } }", "plugin x { a { c = 2; b = 1 } }", true },
	{ "plugin x { a { b = 1 } }", "plugin x { a { b = 1; c = 2 } }", false },
	{ "plugin x { interval = 1s }", "plugin x { interval = 1000ms }", true },
	{ "plugin x { interval = 1s }", "plugin x { interval = 2s }", false },
	{ "plugin x { isolated = yes }", "plugin x { }", false },
	{ "plugin x { cpu_budget = 1% }", "plugin x { cpu_budget = 1 }", true },
	{ "plugin x { max_instances = 1 }", "plugin x { max_instances = 2 }", false },
	{ "plugin x {}", "exporter x {}", false },
	{ "plugin x { a = null }", "plugin x { a = null }", true },
};

START_TEST(test_same)
{
	struct conf *a = load_text(pairs[_i].a), *b = load_text(pairs[_i].b);

	ck_assert_int_eq(conf_plugin_same(conf_plugin_find(a, "x"), conf_plugin_find(b, "x")), pairs[_i].same);
	ck_assert_int_eq(conf_plugin_same(conf_plugin_find(b, "x"), conf_plugin_find(a, "x")), pairs[_i].same);
	ck_assert(conf_plugin_same(conf_plugin_find(a, "x"), conf_plugin_find(a, "x")));
	conf_free(a);
	conf_free(b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *opts = tcase_create("options");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(opts, setup, teardown);
	tcase_add_loop_test(opts, test_option_defaults, 0, 2);
	tcase_add_test(opts, test_option_values);
	tcase_add_loop_test(opts, test_option_long_list, 0, 8);
	tcase_add_test(opts, test_option_faults);
	tcase_add_test(opts, test_option_minutes);
	tcase_add_loop_test(opts, test_same, 0, N(pairs));
	suite_add_tcase(s, opts);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
