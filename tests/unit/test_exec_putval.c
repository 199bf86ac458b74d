/* Lines of collectd's protocol, and its types */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/putval.h"

static char said[512];

static int on_values(const struct put_id *id, int64_t interval, const struct put_values *v, char *why, void *user)
{
	size_t n = strlen(said);

	(void)why;
	(void)user;
	n += (size_t)snprintf(said + n, sizeof(said) - n, "%s|%s|%s|%s|%s %.3f %.3f", id->host, id->plugin, id->plugin_instance, id->type,
	                      id->type_instance, (double)interval / 1e9, (double)v->time / 1e9);
	for (size_t k = 0; k < v->n; k++)
		n += (size_t)snprintf(said + n, sizeof(said) - n, isnan(v->values[k]) ? " U" : " %g", v->values[k]);
	snprintf(said + n, sizeof(said) - n, ";");
	return 0;
}

static int on_notification(const struct put_notification *n, char *why, void *user)
{
	(void)why;
	(void)user;
	snprintf(said, sizeof(said), "%d %.3f %s|%s|%s %.100s", (int)n->severity, (double)n->time / 1e9, n->id.host, n->id.plugin, n->id.type, n->message);
	return 0;
}

static const struct put_reader reader = { NULL, on_values, on_notification };

static int line(const char *text, char *why)
{
	*said = '\0';
	*why = '\0';
	return put_line(text, strlen(text), &reader, why);
}

START_TEST(good)
{
	static const struct { const char *line, *said; } t[] = {
		{ "PUTVAL h/p-i/t-ti interval=10 N:1:2", "h|p|i|t|ti 10.000 0.000 1 2;" },
		{ "putval h/p/t 1700000000.5:U", "h|p||t| 0.000 1700000000.500 U;" },
		{ "PUTVAL \"h/p 1-a b/t-x/y-z\" interval=0.5 N:1e3 N:nan", "h|p 1|a b|t|x/y-z 0.500 0.000 1000;h|p 1|a b|t|x/y-z 0.500 0.000 U;" },
		{ "PUTVAL h/p/t meta:k=\"v w\" N:-1.5\r", "h|p||t| 0.000 0.000 -1.5;" },
		{ "PUTVAL \"h/p/t-a\\\"b\" N:0", "h|p||t|a\"b 0.000 0.000 0;" },
		{ "PUTNOTIF severity=okay time=5 host=h plugin=p type=t message=\"two words\"", "2 5.000 h|p|t two words" },
		{ "PUTNOTIF message=x severity=FAILURE s:k=v", "0 0.000 || x" },
		{ "# a comment", "" }, { "", "" }, { "  \t", "" },
	};
	char why[PUT_WHY_MAX];

	for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		ck_assert_msg(line(t[k].line, why) == 0, "%s: %s", t[k].line, why);
		ck_assert_str_eq(said, t[k].said);
	}
}
END_TEST

START_TEST(bad)
{
	static const struct { const char *line, *why; } t[] = {
		{ "PUTVAL", "without an identifier" },           { "PUTVAL h/p N:1", "is no identifier" },
		{ "PUTVAL h/p/t", "without values" },            { "PUTVAL h/p/t N", "neither an option nor" },
		{ "PUTVAL h/p/t N:x", "\"x\" is no number" },    { "PUTVAL h/p/t N:0x10", "is no number" },
		{ "PUTVAL h/p/t x:1", "\"x\" is no time" },      { "PUTVAL h/p/t N:1e999", "is no number" },
		{ "PUTVAL \"h/p/t N:1", "not closed" },          { "PUTVAL h//t N:1", "the plugin is empty" },
		{ "PUTVAL /p/t N:1", "the host is empty" },      { "PUTVAL h/p/t interval=-1 N:1", "is no interval" },
		{ "PUTVAL h/p/t N:", "is no number" },           { "FLUSH", "is no command" },
		{ "PUTNOTIF message=x", "without severity" },    { "PUTNOTIF severity=okay", "without message" },
		{ "PUTNOTIF severity=bad message=x", "is no severity" }, { "PUTNOTIF colour=red", "has no \"colour\"" },
	};
	char why[PUT_WHY_MAX], longest[PUT_LINE_MAX + 2];

	for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		ck_assert_msg(line(t[k].line, why) == -EINVAL, "%s", t[k].line);
		ck_assert_msg(strstr(why, t[k].why) != NULL, "%s: %s", t[k].line, why);
	}
	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(put_line(longest, sizeof(longest), &reader, why), -EINVAL);
	ck_assert_int_eq(put_line("PUTVAL h/p/t N:1\0", 17, &reader, why), -EINVAL);
}
END_TEST

START_TEST(cut_off_anywhere)
{
	const char text[] = "PUTVAL \"h/p-i/t-ti\" interval=10 1700000000:1:U:3";
	char why[PUT_WHY_MAX];

	for (size_t n = 0; n <= strlen(text); n++) {
		int r;

		*said = *why = '\0';
		r = put_line(text, n, &reader, why);
		ck_assert(r == 0 ? *why == '\0' : *why != '\0');
	}
	ck_assert_str_eq(said, "h|p|i|t|ti 10.000 1700000000.000 1 U 3;");
}
END_TEST

START_TEST(types)
{
	static const char text[] = "# load none:GAUGE:0:1\nload\t\tshort:GAUGE:0:5000, mid-term:GAUGE:0:5000\nbad x\ntwice a:GAUGE:0:1 a:GAUGE:0:1\n"
	                           "absolute value:ABSOLUTE:0:U";
	struct put_type t;

	ck_assert_int_eq(put_type_find(text, "load", &t), 0);
	ck_assert_uint_eq(t.n, 2);
	ck_assert_str_eq(t.sources[1].name, "mid_term");
	ck_assert_int_eq(put_type_find(text, "absolute", &t), 0);
	ck_assert_int_eq(t.sources[0].kind, PUT_ABSOLUTE);
	ck_assert_int_eq(put_type_find(text, "lo", &t), -ENOENT);
	ck_assert_int_eq(put_type_find(text, "bad", &t), -EINVAL);
	ck_assert_int_eq(put_type_find(text, "twice", &t), -EINVAL);
	ck_assert_int_eq(put_type_find(put_types, "if_octets", &t), 0);
	ck_assert_uint_eq(t.n, 2);
	ck_assert_int_eq(put_type_find(put_types, "vs_processes", &t), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec putval");
	TCase *c = tcase_create("exec putval");
	SRunner *r;
	int failed;

	tcase_add_test(c, good);
	tcase_add_test(c, bad);
	tcase_add_test(c, cut_off_anywhere);
	tcase_add_test(c, types);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
