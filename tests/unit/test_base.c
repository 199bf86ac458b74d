/* base/: texts, files, names, units, faults, clock */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/names.h"
#include "base/units.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* ---- buf ---------------------------------------------------------------------------------------------------------- */

/* What comes from elsewhere as text, on one line, and as JSON */
START_TEST(cleaned)
{
	static const char odd[] = "a\n\x1b[m\xff\xc3\xa4\x7f\"\\";
	struct buf b = BUF_INIT;

	buf_clean(&b, odd, sizeof(odd) - 1);
	ck_assert_str_eq(buf_text(&b), "a\n [m?\xc3\xa4 \"\\");
	buf_reset(&b);
	buf_clean_line(&b, odd, sizeof(odd) - 1, 100);
	ck_assert_str_eq(buf_text(&b), "a  [m?\xc3\xa4 \"\\");
	buf_reset(&b);
	buf_clean_line(&b, odd, sizeof(odd) - 1, 7); /* not within a character */
	ck_assert_str_eq(buf_text(&b), "a  [m?…");
	buf_reset(&b);
	buf_clean_line(&b, odd, 0, 0);
	ck_assert_str_eq(buf_text(&b), "");
	buf_json(&b, "a\n\t\x7f\"\\\xc3\xa4");
	ck_assert_str_eq(buf_text(&b), "\"a\\n\\u0009\\u007f\\\"\\\\\xc3\xa4\"");
	buf_free(&b);
}
END_TEST

START_TEST(buf_grows)
{
	struct buf b = BUF_INIT;
	char *text;

	ck_assert_str_eq(buf_text(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%03d", i);
	ck_assert_uint_eq(b.length, 3000);
	ck_assert_uint_eq(strlen(b.data), 3000);
	ck_assert_mem_eq(b.data + 2997, "999", 3);
	buf_reset(&b);
	ck_assert_str_eq(buf_text(&b), "");
	buf_append(&b, "a\0b", 3);
	buf_putc(&b, 'c');
	ck_assert_uint_eq(b.length, 4);
	ck_assert_mem_eq(b.data, "a\0bc", 5);
	text = buf_take(&b);
	ck_assert_mem_eq(text, "a\0bc", 5);
	free(text);
	text = buf_take(&b);
	ck_assert_str_eq(text, "");
	free(text);
	buf_free(&b);
}
END_TEST

/* A text that just fills its memory, and one more */
START_TEST(buf_ends_with_nul)
{
	for (size_t n = 0; n < 300; n++) {
		struct buf b = BUF_INIT;

		for (size_t i = 0; i < n; i++)
			buf_putc(&b, 'x');
		ck_assert_uint_eq(strlen(buf_text(&b)), n);
		buf_printf(&b, "%s", "y");
		ck_assert_uint_eq(strlen(buf_text(&b)), n + 1);
		buf_free(&b);
	}
}
END_TEST

START_TEST(buf_remembers_a_failure)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "text");
	b.failed = true;
	buf_puts(&b, "more");
	ck_assert_str_eq(buf_text(&b), "text");
	ck_assert_ptr_null(buf_take(&b));
	ck_assert(!b.failed && !b.data);
}
END_TEST

START_TEST(files_are_read_whole)
{
	char path[] = "/tmp/kith-unit-XXXXXX", *text = NULL, chunk[5000];
	size_t length = 77;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(file_read_all(path, 10, &text, &length), 0);
	ck_assert_uint_eq(length, 0);
	ck_assert_str_eq(text, "");
	free(text);
	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(write(fd, chunk, sizeof(chunk)), sizeof(chunk));
	ck_assert_int_eq(file_read_all(path, 40000, &text, &length), 0);
	ck_assert_uint_eq(length, 40000);
	ck_assert_uint_eq(strlen(text), 40000);
	free(text);
	text = NULL;
	length = 77;
	ck_assert_int_eq(file_read_all(path, 39999, &text, &length), -EFBIG);
	unlink(path);
	ck_assert_int_eq(file_read_all(path, 10, &text, &length), -ENOENT);
	ck_assert_int_eq(file_read_all("/tmp", 10, &text, &length), -EISDIR);
	/* A FIFO without writer must not hang. */
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(file_read_all(path, 10, &text, &length), 0);
	free(text);
	unlink(path);
	close(fd);
}
END_TEST

/* ---- names -------------------------------------------------------------------------------------------------------- */

static const struct split {
	const char *text, *family, *instance, *metric, *where; /* family NULL: refused */
} splits[] = {
	{ "load", "load", NULL, NULL, NULL },
	{ "load:1m", "load", NULL, "1m", NULL },
	{ "cpu:0:user", "cpu", "0", "user", NULL },
	{ "file:/etc/a:b:sha256", "file", "/etc/a:b", "sha256", NULL },
	{ "service:getty@tty1.service:state", "service", "getty@tty1.service", "state", NULL },
	{ "memory:available@web1", "memory", NULL, "available", "web1" },
	{ "cpu:total:busy@ams/*", "cpu", "total", "busy", "ams/*" },
	{ "load@web1", "load", NULL, NULL, "web1" },
	{ "*:*:*", "*", "*", "*", NULL },
	{ "df::x", NULL, NULL, NULL, NULL },
	{ "", NULL, NULL, NULL, NULL },
	{ ":", NULL, NULL, NULL, NULL },
	{ "a:", NULL, NULL, NULL, NULL },
	{ ":a", NULL, NULL, NULL, NULL },
	{ "a@", NULL, NULL, NULL, NULL },
	{ "@a", NULL, NULL, NULL, NULL },
	{ "a\nb", NULL, NULL, NULL, NULL },
	{ "a:b\x7f:c", NULL, NULL, NULL, NULL },
};

static void check_slice(const char *text, struct slice s, const char *want)
{
	if (!want) {
		ck_assert_msg(!s.at, "%s has \"%.*s\"", text, (int)s.length, s.at);
		return;
	}
	ck_assert_msg(s.at && s.length == strlen(want) && !memcmp(s.at, want, s.length), "%s: not %s", text, want);
}

START_TEST(names_are_split)
{
	const struct split *s = &splits[_i];
	struct name name;
	int r = name_split(s->text, strlen(s->text), &name);

	ck_assert_msg(r == (s->family ? 0 : -EINVAL), "%s: %d", s->text, r);
	if (!s->family)
		return;
	check_slice(s->text, name.family, s->family);
	check_slice(s->text, name.instance, s->instance);
	check_slice(s->text, name.metric, s->metric);
	check_slice(s->text, name.where, s->where);
}
END_TEST

START_TEST(names_are_bounded)
{
	char text[NAME_MAX_LENGTH + 2];
	struct name name;

	memset(text, 'a', sizeof(text));
	text[NAME_PART_MAX] = text[NAME_PART_MAX + 1 + NAME_INSTANCE_MAX] = ':';
	ck_assert_int_eq(name_split(text, NAME_MAX_LENGTH, &name), 0);
	ck_assert_uint_eq(name.instance.length, NAME_INSTANCE_MAX);
	ck_assert_int_eq(name_split(text, NAME_MAX_LENGTH + 1, &name), -EINVAL);
	ck_assert_int_eq(name_split(text, NAME_PART_MAX, &name), 0);
	text[NAME_PART_MAX] = 'a';
	ck_assert_int_eq(name_split(text, NAME_PART_MAX + 1, &name), -EINVAL);
}
END_TEST

static const struct glob {
	const char *pattern, *text;
	bool matches;
} globs[] = {
	{ "", "", true },          { "", "a", false },         { "*", "", true },           { "*", "anything", true },
	{ "a", "a", true },        { "a", "b", false },        { "a*", "abc", true },       { "*c", "abc", true },
	{ "a*c", "abc", true },    { "a*c", "abcd", false },   { "a?c", "abc", true },      { "a?c", "ac", false },
	{ "?", "", false },        { "**", "x", true },        { "*a*b*", "xaxbx", true },  { "*a*b*", "xbxax", false },
	{ "*aab", "aaaab", true }, { "a*b*c", "abbbcc", true }, { "[a]", "a", false },      { "\\*", "*", false },
};

START_TEST(globs_match)
{
	const struct glob *g = &globs[_i];

	ck_assert_msg(glob_match(g->pattern, strlen(g->pattern), g->text) == g->matches, "%s on %s", g->pattern, g->text);
}
END_TEST

/* A pattern of many stars on a text that almost matches: quick, or this test runs out of its time */
START_TEST(globs_do_not_explode)
{
	char pattern[200], text[256];

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 2 ? 'a' : '*';
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pattern[sizeof(pattern) - 1] = 'b';
	ck_assert(!glob_match(pattern, sizeof(pattern), text));
}
END_TEST

static const struct matching {
	const char *pattern, *family, *instance, *metric;
	bool matches;
} matchings[] = {
	{ "load", "load", "", "1m", true },
	{ "load", "cpu", "", "1m", false },
	{ "load:1m", "load", "", "1m", true },
	{ "load:5m", "load", "", "1m", false },
	{ "cpu:0", "cpu", "0", "user", true },
	{ "cpu:user", "cpu", "0", "user", false },
	{ "cpu:*", "cpu", "0", "user", true },
	{ "cpu:*:user", "cpu", "0", "user", true },
	{ "cpu:*:user", "cpu", "0", "idle", false },
	{ "load:*:1m", "load", "", "1m", true },
	{ "*:*:1m", "load", "", "1m", true },
	{ "df:/var/*:free", "df", "/var/lib:x", "free", true },
	{ "df:/var/*:free", "df", "/home", "free", false },
};

START_TEST(names_match)
{
	const struct matching *m = &matchings[_i];
	struct name name;

	ck_assert_int_eq(name_split(m->pattern, strlen(m->pattern), &name), 0);
	ck_assert_msg(name_match(&name, m->family, m->instance, m->metric) == m->matches, "%s on %s:%s:%s", m->pattern, m->family,
	              m->instance, m->metric);
}
END_TEST

START_TEST(parts_are_valid)
{
	char longest[NAME_PART_MAX + 2];

	memset(longest, 'a', sizeof(longest));
	longest[NAME_PART_MAX + 1] = '\0';
	ck_assert(!name_part_valid(longest));
	longest[NAME_PART_MAX] = '\0';
	ck_assert(name_part_valid(longest));
	ck_assert(name_part_valid("rx_bytes2"));
	ck_assert(!name_part_valid(""));
	ck_assert(!name_part_valid("Rx"));
	ck_assert(!name_part_valid("a-b"));
	ck_assert(!name_part_valid("a b"));
}
END_TEST

/* ---- units -------------------------------------------------------------------------------------------------------- */

static const struct literal {
	const char *text;
	double value;
	const char *unit; /* NULL: refused */
	size_t used;
} literals[] = {
	{ "10", 10, "", 2 },         { "10%", 10, "%", 3 },        { "-2.5", -2.5, "", 4 },       { "1.5h", 5400, "s", 4 },
	{ "2GiB", 0x1p31, "B", 4 },  { "3kB", 3000, "B", 3 },      { "250ms", .25, "s", 5 },      { "1e3", 1000, "", 3 },
	{ "3/s", 3, "/s", 3 },       { "3B/s", 3, "B/s", 4 },      { "5%/s", 5, "%/s", 4 },       { "3 MiB", 3, "", 1 },
	{ "3/x", 3, "", 1 },         { "3/second", 3, "", 1 },     { "2d", 172800, "s", 2 },      { "1w", 604800, "s", 2 },
	{ "7min", 420, "s", 4 },     { "10)", 10, "", 2 },         { "1e", 0, NULL, 0 },          { "", 0, NULL, 0 },
	{ "x", 0, NULL, 0 },         { "3parsecs", 0, NULL, 0 },   { ".5", .5, "", 2 },           { "1e999", 0, NULL, 0 },
	{ "-", 0, NULL, 0 },         { "3kb", 0, NULL, 0 },
};

START_TEST(literals_are_read)
{
	const struct literal *l = &literals[_i];
	const char *unit = "untouched";
	double value = -77;
	size_t used = 99;
	int r = unit_parse(l->text, strlen(l->text), &value, &unit, &used);

	if (!l->unit) {
		ck_assert_msg(r == -EINVAL, "%s: %d", l->text, r);
		ck_assert_double_eq(value, -77);
		ck_assert_str_eq(unit, "untouched");
		ck_assert_uint_eq(used, 99);
		return;
	}
	ck_assert_msg(r == 0, "%s: %d", l->text, r);
	ck_assert_double_eq_tol(value, l->value, fabs(l->value) * 1e-12);
	ck_assert_str_eq(unit, l->unit);
	ck_assert_uint_eq(used, l->used);
}
END_TEST

/* The text may end anywhere, without a NUL behind it. */
START_TEST(literals_end_where_they_end)
{
	static const char text[] = "1.5e+3GiB/s";

	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n ? n : 1);
		const char *unit;
		double value;
		size_t used = 0;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, text, n);
		if (unit_parse(copy, n, &value, &unit, &used) == 0)
			ck_assert_uint_le(used, n);
		free(copy);
	}
}
END_TEST

START_TEST(units_fit)
{
	static const struct {
		const char *a, *b;
		bool fits;
	} pairs[] = {
		{ "B", "B", true },   { "B", "", true },          { "", "s", true },   { "1", "%", true },
		{ "B", "s", false },  { "B/s", "B", false },      { "/s", "packets/s", true }, { "/s", "B/s", false },
		{ "/s", "%/s", false }, { "packets", "bytes", false }, { "1/s", "packets/s", true },
	};

	for (size_t i = 0; i < N(pairs); i++) {
		ck_assert_msg(unit_fits(pairs[i].a, pairs[i].b) == pairs[i].fits, "%s %s", pairs[i].a, pairs[i].b);
		ck_assert_msg(unit_fits(pairs[i].b, pairs[i].a) == pairs[i].fits, "%s %s", pairs[i].b, pairs[i].a);
	}
}
END_TEST

static const struct shown {
	double value;
	const char *unit, *text;
} showns[] = {
	{ 0, "B", "0 B" },            { 1023, "B", "1023 B" },      { 3435973837., "B", "3.20 GiB" }, { 2048, "B/s", "2.00 KiB/s" },
	{ 12.5, "%", "12.5 %" },      { 3.14159, "%", "3.14 %" },   { .25, "s", "250 ms" },           { 90, "s", "90 s" },
	{ 7200, "s", "2.0 h" },       { 259200, "s", "3.0 d" },     { 1234, "1", "1.23k" },           { 12, "packets", "12 packets" },
	{ 9999e12, "1", "9999.0T" },  { 1e300, "1", "1e+300" },     { 5.5e24, "1", "5.5e+24" },      { -1e300, "B", "-1e+300 B" },
	{ 1e300, "B/s", "1e+300 B/s" }, { 1e300, "%", "1e+300 %" }, { 864e297, "s/s", "1e+295 d/s" }, { 1e300, "packets", "1e+300 packets" },
	{ -5, "1", "-5" },            { NAN, "B", "-" },            { 0, "s", "0 s" },
};

START_TEST(values_are_shown)
{
	const struct shown *s = &showns[_i];
	char text[UNIT_TEXT_MAX];

	ck_assert_str_eq(unit_format(s->value, s->unit, text, sizeof(text)), s->text);
}
END_TEST

START_TEST(large_values_stay_within_their_text)
{
	char text[UNIT_TEXT_MAX + 1];

	text[UNIT_TEXT_MAX] = '#';
	unit_format(-1.7e308, "a_unit_with_a_name_that_is_much_longer_than_any", text, UNIT_TEXT_MAX);
	ck_assert_uint_lt(strlen(text), UNIT_TEXT_MAX);
	ck_assert_int_eq(text[UNIT_TEXT_MAX], '#');
}
END_TEST

/* ---- faults ------------------------------------------------------------------------------------------------------- */

static char *formatted(const struct fault *fault)
{
	struct buf b = BUF_INIT;

	fault_format(fault, &b);
	return buf_take(&b);
}

START_TEST(faults_show_their_place)
{
	static const char text[] = "first\n\tsecond wrong here\r\nthird";
	struct faults f = { 0 };
	char *shown;

	fault_add(&f, false, "a.conf", text, strlen(text), 14, 5, "mend it", "%s is wrong", "this");
	shown = formatted(f.first);
	ck_assert_str_eq(shown, "a.conf:2:9: this is wrong\n    \tsecond wrong here\n    \t       ^~~~~ mend it\n");
	free(shown);
	/* Behind the end, and wider than the line */
	fault_add(&f, true, "a.conf", text, strlen(text), 999, 50, NULL, "cut off");
	shown = formatted(f.last);
	ck_assert_str_eq(shown, "a.conf:3:6: warning: cut off\n    third\n         ^\n");
	free(shown);
	fault_add(&f, false, "a.conf", NULL, 0, 0, 0, "do something", "no place");
	shown = formatted(f.last);
	ck_assert_str_eq(shown, "a.conf:1:1: no place\n    do something\n");
	free(shown);
	ck_assert_uint_eq(f.n_errors, 2);
	ck_assert_uint_eq(f.n_warnings, 1);
	faults_free(&f);
	ck_assert_ptr_null(f.first);
}
END_TEST

/* The caret stands under what it points at, whatever is before it: what takes several bytes, or two columns, and of a long line a part. */
START_TEST(carets_stand_in_their_column)
{
	static const char text[] = "\"b\xc3\xbc" "cher \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80\" wrong\xc3\xa4 x";
	struct faults f = { 0 };
	char line[2000], *shown, *caret;

	fault_add(&f, false, "a", text, strlen(text), (size_t)(strstr(text, "wrong") - text), 7, NULL, "no");
	shown = formatted(f.last);
	caret = strstr(shown, "\n    ") + 5;
	caret = strchr(caret, '\n') + 1;
	ck_assert_str_eq(caret, "                     ^~~~~~\n"); /* 4, and "bücher 日本 😀" and a blank */
	free(shown);
	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line + 1000, "BAD", 3);
	fault_add(&f, false, "a", line, strlen(line), 1000, 3, "so", "long");
	shown = formatted(f.last);
	ck_assert(!strncmp(shown, "a:1:1001: long\n    …aaa", strlen("a:1:1001: long\n    …aaa")));
	ck_assert_uint_lt(strlen(shown), 400);
	caret = strstr(shown, "^~~ so\n");
	ck_assert_ptr_nonnull(caret);
	/* "…" has two bytes more than columns. */
	ck_assert_int_eq(strstr(shown, "BAD") - 2 - (strchr(shown, '\n') + 1), caret - (strstr(shown, "…\n") + strlen("…\n")));
	free(shown);
	faults_free(&f);
}
END_TEST

START_TEST(faults_are_bounded)
{
	struct faults f = { 0 };

	for (int i = 0; i < 3 * FAULTS_MAX; i++)
		fault_add(&f, false, "a", NULL, 0, 0, 0, NULL, "%d", i);
	ck_assert_uint_eq(f.n_errors, 3 * FAULTS_MAX);
	ck_assert_uint_eq(f.n_kept, FAULTS_MAX);
	faults_free(&f);
}
END_TEST

/* Any place in any text: nothing outside of it is read. */
START_TEST(faults_stay_within_the_text)
{
	static const char text[] = "\n\n\ta\0b\r\n\x01xyz";
	size_t n = sizeof(text) - 1;

	for (size_t length = 0; length <= n; length++)
		for (size_t at = 0; at <= n + 1; at++)
			for (size_t width = 0; width < 4; width++) {
				char *copy = malloc(length ? length : 1), *shown;
				struct faults f = { 0 };

				memcpy(copy, text, length);
				fault_add(&f, false, "a", copy, length, at, width, NULL, "x");
				free(copy);
				shown = formatted(f.first);
				ck_assert_ptr_nonnull(strchr(shown, '^'));
				free(shown);
				faults_free(&f);
			}
}
END_TEST

START_TEST(suggestions_are_near)
{
	static const char *const names[] = { "interval", "enabled", "cpu_budget", "free_percent", "df" };
	static const struct {
		const char *written, *meant;
	} pairs[] = {
		{ "intervall", "interval" }, { "intreval", "interval" }, { "Interval", "interval" }, { "enabeld", "enabled" },
		{ "cpubudget", "cpu_budget" }, { "free", "free_percent" }, { "fd", "df" }, { "zzz", NULL }, { "", NULL },
		{ "a_name_that_is_longer_than_what_is_compared_at_all_and_then_some_more", NULL },
	};

	for (size_t i = 0; i < N(pairs); i++) {
		const char *found = suggest(pairs[i].written, strlen(pairs[i].written), names, N(names));

		ck_assert_msg(found == pairs[i].meant || (found && pairs[i].meant && !strcmp(found, pairs[i].meant)), "%s: %s",
		              pairs[i].written, found ? found : "none");
	}
}
END_TEST

/* ---- clock, allocations ------------------------------------------------------------------------------------------- */

START_TEST(times_are_shown)
{
	char text[CLOCK_TEXT_MAX];

	ck_assert_str_eq(clock_format(0, text, sizeof(text)), "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(clock_format(INT64_C(1795352497042999999), text, sizeof(text)), "2026-11-22T13:01:37.042Z");
	ck_assert_str_eq(clock_format(-1, text, sizeof(text)), "1969-12-31T23:59:59.999Z");
	ck_assert_uint_lt(strlen(clock_format(INT64_MIN, text, sizeof(text))), CLOCK_TEXT_MAX);
	ck_assert_uint_lt(strlen(clock_format(INT64_MAX, text, sizeof(text))), CLOCK_TEXT_MAX);
}
END_TEST

START_TEST(allocations_are_counted)
{
	int64_t before = alloc_count(), after;
	void *volatile a = malloc(10), *volatile b = calloc(2, 10);

	a = realloc(a, 1000);
	free(a);
	free(b);
	after = alloc_count();
	ck_assert_int_eq(after, before < 0 ? -1 : before + 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base");
	TCase *tc = tcase_create("base");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, cleaned);
	tcase_add_test(tc, buf_grows);
	tcase_add_test(tc, buf_ends_with_nul);
	tcase_add_test(tc, buf_remembers_a_failure);
	tcase_add_test(tc, files_are_read_whole);
	tcase_add_loop_test(tc, names_are_split, 0, N(splits));
	tcase_add_test(tc, names_are_bounded);
	tcase_add_loop_test(tc, globs_match, 0, N(globs));
	tcase_add_test(tc, globs_do_not_explode);
	tcase_add_loop_test(tc, names_match, 0, N(matchings));
	tcase_add_test(tc, parts_are_valid);
	tcase_add_loop_test(tc, literals_are_read, 0, N(literals));
	tcase_add_test(tc, literals_end_where_they_end);
	tcase_add_test(tc, units_fit);
	tcase_add_loop_test(tc, values_are_shown, 0, N(showns));
	tcase_add_test(tc, large_values_stay_within_their_text);
	tcase_add_test(tc, faults_show_their_place);
	tcase_add_test(tc, carets_stand_in_their_column);
	tcase_add_test(tc, faults_are_bounded);
	tcase_add_test(tc, faults_stay_within_the_text);
	tcase_add_test(tc, suggestions_are_near);
	tcase_add_test(tc, times_are_shown);
	tcase_add_test(tc, allocations_are_counted);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
