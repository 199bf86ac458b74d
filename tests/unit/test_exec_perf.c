/* What programs write, as the exec plugin reads it: text, further text, performance data; good and odd. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/output.h"

static const char *const family_names[] = { "1", "s", "B", "%", "c" };
static const char *const level_names[] = { "ok", "warning", "critical" };

static void put_number(char *text, size_t size, double v)
{
	size_t n = strlen(text);

	if (!isnan(v))
		snprintf(text + n, size - n, "%.12g", v);
}

/* label=value family;warn_low:warn;crit_low:crit;min;max;level, all of them, with a blank between */
static void show(const struct output *o, char *text, size_t size)
{
	*text = '\0';
	for (size_t i = 0; i < o->n_perfs; i++) {
		const struct perf *p = &o->perfs[i];
		const double fields[] = { p->warn_low, p->warn, p->crit_low, p->crit, p->min, p->max };
		const char *const before[] = { ";", ":", ";", ":", ";", ";" };
		size_t n = strlen(text);

		snprintf(text + n, size - n, "%s%s=", i ? " " : "", p->label);
		put_number(text, size, p->value);
		strncat(text, family_names[p->family], size - strlen(text) - 1);
		for (size_t k = 0; k < 6; k++) {
			strncat(text, before[k], size - strlen(text) - 1);
			put_number(text, size, fields[k]);
		}
		strncat(text, ";", size - strlen(text) - 1);
		if (!isnan(p->level))
			strncat(text, level_names[(int)p->level], size - strlen(text) - 1);
	}
}

#define NONE ";:;:;;;"
static const struct perf_case {
	const char *input, *perfs;
	unsigned bad;
	const char *why; /* part of it; NULL: none */
} cases[] = {
	/* the plain grammar */
	{ "", "", 0, NULL },
	{ "   \t ", "", 0, NULL },
	{ "a=1", "a=11" NONE, 0, NULL },
	{ "a=1 b=2", "a=11" NONE " b=21" NONE, 0, NULL },
	{ "\ta=1\t\tb=2\n\r\n", "a=11" NONE " b=21" NONE, 0, NULL },
	{ "load1=0.010;5.000;10.000;0;", "load1=0.011;:5;:10;0;;ok", 0, NULL },
	{ "/=2643MB;5948;5958;0;5968", "/=2643000000B;:5948000000;:5958000000;0;5968000000;ok", 0, NULL },
	{ "procs=90;;;0;", "procs=901;:;:;0;;", 0, NULL },
	{ "a=1;2;3;4;5", "a=11;:2;:3;4;5;ok", 0, NULL },
	{ "a=1;2", "a=11;:2;:;;;ok", 0, NULL },
	{ "a=1;;3", "a=11;:;:3;;;ok", 0, NULL },
	{ "a=1;;;;5", "a=11;:;:;;5;", 0, NULL },
	{ "a=1;", "a=11" NONE, 0, NULL },
	{ "a=1;;;;", "a=11" NONE, 0, NULL },
	{ "a=1;;;;;", "a=11" NONE, 0, NULL },
	/* labels */
	{ "'a b'=1", "a b=11" NONE, 0, NULL },
	{ "'a=b'=1", "a=b=11" NONE, 0, NULL },
	{ "'it''s'=1", "it's=11" NONE, 0, NULL },
	{ "''''=1", "'=11" NONE, 0, NULL },
	{ "'a;b'=1;2;3", "a;b=11;:2;:3;;;ok", 0, NULL },
	{ "a'b=1", "a'b=11" NONE, 0, NULL },
	{ "/var/lib=1%", "/var/lib=1%" NONE, 0, NULL },
	{ "C:\\ %=1", "%=11" NONE, 1, "no = after its label" },
	{ "gr\xc3\xb6\xc3\x9f" "e=1", "gr\xc3\xb6\xc3\x9f" "e=11" NONE, 0, NULL },
	{ "b\xff" "d=1", "b\xef\xbf\xbd" "d=11" NONE, 0, NULL },
	{ "'a\tb'=1", "a b=11" NONE, 0, NULL },
	{ "=1 b=2", "b=21" NONE, 1, "its label is empty" },
	{ "''=1 b=2", "b=21" NONE, 1, "its label is empty" },
	{ "'  '=1 b=2", "b=21" NONE, 1, "its label is empty" },
	{ "'a=1 b=2", "b=21" NONE, 1, "quote of its label is not closed" },
	{ "'a b=1 c=2", "b=11" NONE " c=21" NONE, 1, "quote of its label is not closed" },
	{ "'a\nb'=1 c=2", "b'=11" NONE " c=21" NONE, 1, "not closed" },
	{ "'a' b=1", "b=11" NONE, 1, "no = after its label" },
	{ "'a'b=1 c=2", "c=21" NONE, 1, "no = after its label" },
	{ "a=1 a=2", "a=11" NONE, 1, "there twice" },
	{ "word b=2", "b=21" NONE, 1, "\"word\": no = after its label" },
	{ "c=3 | d=4", "c=31" NONE " d=41" NONE, 1, "\"|\": no = after its label" },
	{ "a = 1", "", 3, "\"a\": no = after" },
	/* values */
	{ "a=U b=2", "a=1" NONE " b=21" NONE, 0, NULL },
	{ "a=U;1;2", "a=1" NONE, 0, NULL },
	{ "a=-1.5", "a=-1.51" NONE, 0, NULL },
	{ "a=+3", "a=31" NONE, 0, NULL },
	{ "a=.5", "a=0.51" NONE, 0, NULL },
	{ "a=5.", "a=51" NONE, 0, NULL },
	{ "a=1,5;2,5;3,5", "a=1.51;:2.5;:3.5;;;ok", 0, NULL },
	{ "a=1e3", "a=10001" NONE, 0, NULL },
	{ "a=1.5E-3s", "a=0.0015s" NONE, 0, NULL },
	{ "a=2EB", "a=2e+18B" NONE, 0, NULL },
	{ "a=1e", "a=11" NONE, 0, NULL },
	{ "a= b=2", "b=21" NONE, 1, "it has no value" },
	{ "a=;1;2 b=2", "b=21" NONE, 1, "it has no value" },
	{ "a=abc b=2", "b=21" NONE, 1, "its value is no number" },
	{ "a=nan b=inf c=-inf", "", 3, "\"a=nan\": its value is no number" },
	{ "a=1e999 b=2", "b=21" NONE, 1, "its value is no number" },
	{ "a=1e308EB b=2", "b=21" NONE, 1, "too large" },
	{ "a=- b=. c=, d=2", "d=21" NONE, 3, "no number" },
	{ "a=1,234,567 b=2", "b=21" NONE, 1, "no number with a unit" },
	{ "a=1.2.3 b=2", "b=21" NONE, 1, "no number with a unit" },
	{ "a=--1 b=2", "b=21" NONE, 1, "no number" },
	{ "a=0x10 b=2", "b=21" NONE, 1, "no number with a unit" },
	{ "a=1=2 b=2", "b=21" NONE, 1, "no number with a unit" },
	{ "a=00000000000000000000000000000000000000000000000000000000000000000000000000001 b=2", "b=21" NONE, 1, "no number" },
	/* units */
	{ "a=5ms b=5us c=5ns d=5sec", "a=0.005s" NONE " b=5e-06s" NONE " c=5e-09s" NONE " d=5s" NONE, 0, NULL },
	{ "a=5\xc2\xb5s b=5\xce\xbcs", "a=5e-06s" NONE " b=5e-06s" NONE, 0, NULL },
	{ "a=2min b=1h c=1d", "a=120s" NONE " b=3600s" NONE " c=86400s" NONE, 0, NULL },
	{ "a=1B b=1KB c=1kB d=1MB e=1GB f=1TB", "a=1B" NONE " b=1000B" NONE " c=1000B" NONE " d=1000000B" NONE " e=1000000000B" NONE
	  " f=1e+12B" NONE, 0, NULL },
	{ "a=1KiB b=1MiB c=1GiB d=1TiB", "a=1024B" NONE " b=1048576B" NONE " c=1073741824B" NONE " d=1.09951162778e+12B" NONE, 0, NULL },
	{ "a=42% b=17c", "a=42%" NONE " b=17c" NONE, 0, NULL },
	{ "a=42rpm b=5ops/s", "a=421" NONE " b=51" NONE, 0, NULL },
	{ "a=42averyverylongunit b=2", "b=21" NONE, 1, "unit" },
	/* ranges */
	{ "a=1;10:20;5:", "a=11;10:20;5:;;;critical", 0, NULL },
	{ "a=15;10:20;5:", "a=151;10:20;5:;;;ok", 0, NULL },
	{ "a=15;@10:20;@30", "a=151;10:20;:30;;;critical", 0, NULL },
	{ "a=25;@10:20;@30:40", "a=251;10:20;30:40;;;ok", 0, NULL },
	{ "a=4;~:5;~:10", "a=41;:5;:10;;;ok", 0, NULL },
	{ "a=-4;5;~:10", "a=-41;:5;:10;;;warning", 0, NULL },
	{ "a=6;~:5", "a=61;:5;:;;;warning", 0, NULL },
	{ "a=6;:5", "a=61;:5;:;;;warning", 0, NULL },
	{ "a=-1;0:", "a=-11;0:;:;;;warning", 0, NULL },
	{ "a=1;-5:-1", "a=11;-5:-1;:;;;warning", 0, NULL },
	{ "a=1;20:10;5", "a=11;:;:5;;;ok", 1, "warning threshold is no range" },
	{ "a=1;x;5;y;9", "a=11;:;:5;;9;ok", 2, "warning threshold is no range" },
	{ "a=1;@;5", "a=11;:;:5;;;ok", 1, "no range" },
	{ "a=1;1:2:3", "a=11" NONE, 1, "no range" },
	{ "a=1;~;5", "a=11;:;:5;;;ok", 1, "no range" },
	{ "a=1;~5:6", "a=11" NONE, 1, "no range" },
	{ "a=1;U;U;U;U", "a=11" NONE, 2, "no range" },
	{ "a=95%;90%;95%;0%;100%", "a=95%;:90;:95;0;100;warning", 0, NULL },
	{ "a=1GB;500MB;2GB", "a=1000000000B;:500000000;:2000000000;;;warning", 0, NULL },
	{ "a=500ms;1s;2000", "a=0.5s;:1;:2;;;ok", 0, NULL },
	{ "a=1s;5MB", "a=1s" NONE, 1, "no range" },
	{ "a=1;2;3;4;5;6 b=2", "a=11;:2;:3;4;5;ok b=21" NONE, 1, "more than a value and four fields" },
	{ "a=1;2;3;4;5;b=2", "a=11;:2;:3;4;5;ok", 1, "more than" },
	{ "a=1;1e999", "a=11" NONE, 1, "no range" },
	/* all of it broken, and one that is good */
	{ ";;;; ' = == ''' \x01\x02 'x good=1s", "good=1s" NONE, 4, NULL },
};

START_TEST(test_perf_case)
{
	const struct perf_case *c = &cases[_i];
	struct output o = { 0 };
	char text[2048];
	char *exact = malloc(strlen(c->input) ? strlen(c->input) : 1);

	/* Of exactly its size, so that the sanitizer sees a read behind it */
	memcpy(exact, c->input, strlen(c->input));
	ck_assert_int_eq(perf_parse(exact, strlen(c->input), 1000, &o), 0);
	free(exact);
	show(&o, text, sizeof(text));
	ck_assert_msg(!strcmp(text, c->perfs), "\"%s\":\n  got      %s\n  expected %s", c->input, text, c->perfs);
	ck_assert_msg(o.bad == c->bad, "\"%s\": %u bad, not %u: %s", c->input, o.bad, c->bad, o.why);
	ck_assert_msg(!c->why || strstr(o.why, c->why), "\"%s\": says %s, not %s", c->input, o.why, c->why ? c->why : "");
	ck_assert_int_eq(o.bad > 0, *o.why != '\0');
	output_free(&o);
}
END_TEST

START_TEST(test_kilobyte)
{
	struct output o = { 0 };
	char text[512];

	ck_assert_int_eq(perf_parse("a=2MB;1KB;3", 11, 1024, &o), 0);
	show(&o, text, sizeof(text));
	ck_assert_str_eq(text, "a=2097152B;:1024;:3145728;;;warning");
	output_free(&o);
}
END_TEST

START_TEST(test_bounds)
{
	struct output o = { 0 };
	char text[PERF_MAX * 16], label[2048];
	size_t n = 0;

	for (int i = 0; i < PERF_MAX + 5; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "x%d=%d ", i, i);
	ck_assert_int_eq(perf_parse(text, n, 1000, &o), 0);
	ck_assert_uint_eq(o.n_perfs, PERF_MAX);
	ck_assert_uint_eq(o.bad, 5);
	ck_assert_ptr_nonnull(strstr(o.why, "more than 256 values"));
	output_free(&o);
	for (size_t length = PERF_LABEL_MAX - 2; length < sizeof(label) - 8; length += length < PERF_LABEL_MAX + 12 ? 1 : 97) {
		memset(label, 'l', length);
		strcpy(label + length, "=1 b=2");
		ck_assert_int_eq(perf_parse(label, strlen(label), 1000, &o), 0);
		ck_assert_uint_eq(o.n_perfs, length <= PERF_LABEL_MAX ? 2 : 1);
		ck_assert_uint_eq(o.bad, length > PERF_LABEL_MAX);
		ck_assert_str_eq(o.perfs[o.n_perfs - 1].label, "b");
		output_free(&o);
	}
}
END_TEST

static const struct output_case {
	const char *input, *text, *all, *perfs;
} outputs[] = {
	{ "", "", "", "" },
	{ "OK", "OK", "OK", "" },
	{ "OK\n", "OK", "OK", "" },
	{ "\n", "", "", "" },
	{ "OK - fine | a=1\n", "OK - fine", "OK - fine", "a=11" NONE },
	{ "OK|a=1 b=2", "OK", "OK", "a=11" NONE " b=21" NONE },
	{ "|a=1", "", "", "a=11" NONE },
	{ "|", "", "", "" },
	{ "OK | a=1\nmore\nand more\n", "OK", "OK / more / and more", "a=11" NONE },
	{ "OK | a=1\nmore\nlast | b=2\nc=3\nd=4", "OK", "OK / more / last", "a=11" NONE " b=21" NONE " c=31" NONE " d=41" NONE },
	{ "OK\nmore | b=2\nc=3", "OK", "OK / more", "b=21" NONE " c=31" NONE },
	{ "OK | a=1\n|b=2", "OK", "OK", "a=11" NONE " b=21" NONE },
	{ "OK\r\nmore\r\n", "OK", "OK / more", "" },
	{ "OK\n\n \n more\n\n", "OK", "OK / more", "" },
	{ "a\x1b[31mred\x07 b", "a [31mred  b", "a [31mred  b", "" },
	{ "  \t OK  ", "OK", "OK", "" },
	{ "\xff\xfe" "A\xc3", "\xef\xbf\xbd\xef\xbf\xbd" "A\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd" "A\xef\xbf\xbd", "" },
	{ "\xed\xa0\x80 \xf4\x90\x80\x80 \xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
	  "\xef\xbf\xbd\xef\xbf\xbd", NULL, "" },
	{ "\xe2\x82\xac \xf0\x9f\x98\x80 \xc2\x85x", "\xe2\x82\xac \xf0\x9f\x98\x80  x", NULL, "" },
};

START_TEST(test_output_case)
{
	const struct output_case *c = &outputs[_i];
	struct output o;
	char text[512];

	ck_assert_int_eq(output_parse(c->input, strlen(c->input), 1000, &o), 0);
	ck_assert_str_eq(o.text, c->text);
	ck_assert_str_eq(o.all, c->all ? c->all : c->text);
	show(&o, text, sizeof(text));
	ck_assert_str_eq(text, c->perfs);
	ck_assert_uint_eq(o.bad, 0);
	output_free(&o);
}
END_TEST

/* NUL bytes, and more text than is kept: cut off between characters; the performance data behind it is read all the same. */
START_TEST(test_output_long)
{
	size_t n = 0, size = 60000;
	char *data = malloc(size + 16);
	struct output o;

	data[n++] = '\0';
	while (n < size) {
		memcpy(data + n, "\xe2\x82\xac", 3);
		n += 3;
	}
	memcpy(data + n, "|a=1", 4);
	ck_assert_int_eq(output_parse(data, n + 4, 1000, &o), 0);
	ck_assert_uint_le(strlen(o.text), OUTPUT_TEXT_MAX - 1);
	ck_assert_uint_ge(strlen(o.text), OUTPUT_TEXT_MAX - 4);
	ck_assert_uint_eq(strlen(o.text) % 3, 0);
	ck_assert_uint_eq(o.n_perfs, 1);
	output_free(&o);
	free(data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec: output");
	TCase *t = tcase_create("output");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, test_perf_case, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, test_kilobyte);
	tcase_add_test(t, test_bounds);
	tcase_add_loop_test(t, test_output_case, 0, sizeof(outputs) / sizeof(outputs[0]));
	tcase_add_test(t, test_output_long);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
