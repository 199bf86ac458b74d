/* The tail plugin: what makes a record of lines, and the life of files, on real ones without kithd. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_host.h"
#include "tail/split.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

extern const struct kith_plugin kith_plugin;

/* ---- records of lines -------------------------------------------------------------------------------------------------- */

static const struct {
	const char *rule, *data, *records; /* %L: 9000 times x */
	bool final;
} pieces[] = {
	{ "", "a\nb\n", "[a][b]", false },
	{ "", "a\nb", "[a]", false },
	{ "", "a\nb", "[a][b]", true },
	{ "", "\n\na\n", "[][][a]", false },
	{ "", "%L\na\n", "[xxxxxx~][a]", false },
	{ "indent", "a\n b\n\tc\nd\n", "[a\\n b\\n\tc]", false },
	{ "indent", "a\n b\n\tc\nd\n", "[a\\n b\\n\tc][d]", true },
	{ "indent", " b\na\nc\n", "[ b][a]", false },
	{ "indent", "a\n b", "", false },
	{ "indent", "a\n b", "[a\\n b]", true },
	{ "indent", "a\n%L\n b\nc\nd\n", "[a][xxxxxx~][c]", false },
	{ "indent", "a\n %L\n b\nc\nd\n", "[a\\n xx~][c]", false },
	{ "^[0-9]{4}-", "2026-1 a\nx\n y\n2026-2 b\n", "[2026-1 a\\nx\\n y]", false },
	{ "^[0-9]{4}-", "x\ny\n2026-2 b\n2026-3", "[x\\ny]", false },
	{ "^[0-9]{4}-", "x\ny\n2026-2 b\n2026-3\n", "[x\\ny][2026-2 b]", false },
	{ "^(ERROR|INFO) ", "ERROR a\r\n  at b\r\nINFO c\r\n", "[ERROR a\\n  at b\r]", false },
	{ "", "", "", true },
};

static size_t expand(const char *from, char *to)
{
	char *at = to;

	for (; *from; from++)
		if (from[0] == '%' && from[1] == 'L') {
			memset(at, 'x', 9000);
			at += 9000;
			from++;
		} else {
			*at++ = *from;
		}
	return (size_t)(at - to);
}

static void hear(char *heard, const char *data, const struct piece *p)
{
	char joined[LINE_MAX_BYTES + 8];
	bool cut = p->cut;
	size_t n = split_join(data, p->length, joined, &cut);

	sprintf(heard + strlen(heard), "[%.*s%s]", n > 40 ? 6 : (int)n, joined, cut ? "~" : "");
}

START_TEST(records_of_lines)
{
	for (size_t i = 0; i < KITH_COUNT(pieces); i++) {
		char data[20000], heard[2000] = "", why[128];
		size_t n = expand(pieces[i].data, data), at = 0;
		struct split s = { 0 };
		struct rules r;
		struct piece p;

		ck_assert_int_eq(rules_new(&r, pieces[i].rule, why, sizeof(why)), 0);
		while (split_next(&s, &r, data + at, n - at, false, pieces[i].final, &p)) {
			if (!p.none)
				hear(heard, data + at, &p);
			at += p.used;
		}
		rules_free(&r);
		ck_assert_msg(!strcmp(heard, pieces[i].records), "%s | %.60s: %s", pieces[i].rule, pieces[i].data, heard);
	}
}
END_TEST

/* It goes on a record that was cut, and is longer than what is read at once: it is passed over in parts. */
START_TEST(longer_than_the_buffer)
{
	char first[] = " xxxxxxxxxxxx", rest[] = "xxx\na\nb\n", why[128];
	struct split s = { .skip_on = true };
	struct rules r;
	struct piece p;

	ck_assert_int_eq(rules_new(&r, "indent", why, sizeof(why)), 0);
	ck_assert(!split_next(&s, &r, first, sizeof(first) - 1, false, false, &p)); /* its end may come */
	ck_assert(split_next(&s, &r, first, sizeof(first) - 1, true, false, &p));
	ck_assert(p.none && p.used == sizeof(first) - 1);
	ck_assert(split_next(&s, &r, rest, sizeof(rest) - 1, false, false, &p));
	ck_assert(p.none && p.used == 4);
	ck_assert(split_next(&s, &r, rest + 4, sizeof(rest) - 5, false, false, &p));
	ck_assert(!p.none && p.length == 1 && p.used == 2);
	rules_free(&r);
}
END_TEST

START_TEST(bad_patterns)
{
	static const char *const bad[] = { "(", "[", "(a)\\1", "a{65}", "a{1}b{1}c{1}d{1}e{1}", "*{1000}" };

	for (size_t i = 0; i < KITH_COUNT(bad); i++) {
		struct rules r;
		char why[128] = "";

		ck_assert_msg(rules_new(&r, bad[i], why, sizeof(why)) == -EINVAL, "%s", bad[i]);
		ck_assert_msg(*why, "%s", bad[i]);
	}
}
END_TEST

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

static struct fake_host *f;
static char tree[64], path[128], state[128];

static void options(void)
{
	f = fake_host_new(&kith_plugin, "");
	f->state_dir = strdup(state);
	fake_host_option(f, "files", path);
	fake_host_option(f, "wait", "20ms");
}

static void begin(void)
{
	fake_tree_new(tree);
	snprintf(path, sizeof(path), "%s/app.log", tree);
	snprintf(state, sizeof(state), "%s/state", tree);
	ck_assert_int_eq(mkdir(state, 0700), 0);
	options();
}

static void end(void)
{
	fake_host_free(f);
	fake_tree_free(tree);
}

static void append(const char *to, const char *text)
{
	int fd = open(to, O_WRONLY | O_APPEND | O_CREAT, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Events of whatever descriptor it has, and time for what they cause */
static void look(void)
{
	for (int k = 0; k < 4; k++) {
		for (int fd = 3; fd < 64; fd++)
			fake_host_fd(f, fd, KITH_READ);
		fake_host_advance(f, 600 * NS_PER_MS);
	}
}

static void folder_event(const char *name, uint32_t what)
{
	ck_assert_int_eq(fake_host_file(f, tree, name, what), 0);
	look();
}

/* All records from number `from` on, by their messages */
static const char *heard(uint64_t from)
{
	static char text[4000];

	*text = '\0';
	for (uint64_t k = from; k < f->n_records; k++) {
		const char *r = f->records[k % FAKE_RECORDS_MAX], *message = strchr(strchr(r, ' ') + 1, ' ') + 1;
		const char *field = strstr(message, " file=");

		sprintf(text + strlen(text), "[%.*s]", (int)(field ? field - message : (ptrdiff_t)strlen(message)), message);
	}
	return text;
}

static double count(const char *metric)
{
	char name[300];

	snprintf(name, sizeof(name), "tail:%s:%s", path, metric);
	return fake_host_value(f, name);
}

START_TEST(what_is_appended)
{
	char want[200];

	begin();
	append(path, "old\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	ck_assert_uint_eq(f->n_records, 0);
	append(path, "one\ntwo\nhal");
	look();
	ck_assert_str_eq(heard(0), "[one][two]");
	snprintf(want, sizeof(want), "6 log:app.log one file=%s", path);
	ck_assert_str_eq(fake_host_record(f, "one"), want);
	append(path, "f\n");
	look();
	ck_assert_str_eq(heard(2), "[half]");
	look();
	ck_assert(count("lines") == 3 && count("bytes") == 13 && count("lag") == 0 && count("dropped") == 0);
	end();
}
END_TEST

START_TEST(from_its_start)
{
	begin();
	fake_host_option(f, "from", "start");
	append(path, "old\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	ck_assert_str_eq(heard(0), "[old]");
	end();
}
END_TEST

START_TEST(renamed_and_created)
{
	char old[200];

	begin();
	ck_assert_int_eq(fake_host_start(f), 0);
	append(path, "a1\na2\n");
	folder_event("app.log", KITH_FILE_ADDED);
	ck_assert_str_eq(heard(0), "[a1][a2]");
	/* What is in it still, and what is written to it after it was renamed, comes before what took its place. */
	append(path, "a3\n");
	snprintf(old, sizeof(old), "%s.1", path);
	ck_assert_int_eq(rename(path, old), 0);
	append(path, "b1\n");
	append(old, "a4\n");
	folder_event("app.log", KITH_FILE_ADDED);
	ck_assert_str_eq(heard(2), "[a3][a4][b1]");
	append(old, "a5\n");
	append(path, "b2\n");
	look();
	ck_assert_ptr_nonnull(fake_host_record(f, "a5"));
	ck_assert_ptr_nonnull(fake_host_record(f, "b2"));
	ck_assert_uint_eq(f->n_records, 7);
	ck_assert(count("rotated") == 1);
	/* renamed away before another one is there */
	ck_assert_int_eq(rename(path, old), 0);
	folder_event("app.log", KITH_FILE_REMOVED);
	append(old, "b3\n");
	append(path, "c1\n");
	folder_event("app.log", KITH_FILE_ADDED);
	ck_assert_str_eq(heard(7), "[b3][c1]");
	end();
}
END_TEST

START_TEST(truncated_and_written_anew)
{
	begin();
	append(path, "old line that is long enough\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	ck_assert_int_eq(truncate(path, 0), 0);
	append(path, "new\n");
	look();
	ck_assert_str_eq(heard(0), "[new]");
	/* as long as it was, but it begins with something else */
	ck_assert_int_eq(truncate(path, 0), 0);
	append(path, "other\nlines\n");
	look();
	ck_assert_str_eq(heard(1), "[other][lines]");
	ck_assert(count("truncated") == 2);
	end();
}
END_TEST

static void again(void)
{
	fake_host_free(f);
	options();
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
}

START_TEST(over_a_restart)
{
	char old[200];

	begin();
	append(path, "old\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	append(path, "one\nha");
	look();
	ck_assert_str_eq(heard(0), "[one]");
	fake_host_stop(f);
	append(path, "lf\ntwo\n");
	again();
	ck_assert_str_eq(heard(0), "[half][two]");
	/* rotated meanwhile */
	fake_host_stop(f);
	append(path, "three\n");
	snprintf(old, sizeof(old), "%s.1", path);
	ck_assert_int_eq(rename(path, old), 0);
	append(path, "four\n");
	again();
	ck_assert_str_eq(heard(0), "[three][four]");
	/* and nothing there yet */
	fake_host_stop(f);
	append(path, "five\n");
	ck_assert_int_eq(rename(path, old), 0);
	again();
	ck_assert_str_eq(heard(0), "[five]");
	/* new since then */
	fake_host_stop(f);
	append(path, "six\n");
	again();
	ck_assert_str_eq(heard(0), "[six]");
	/* gone for good: said, and the new one is read from its start */
	fake_host_stop(f);
	unlink(path);
	append(old, "x");
	append(path, "seven\n");
	again();
	ck_assert_ptr_nonnull(fake_host_record(f, "seven"));
	/* nothing new */
	again();
	ck_assert_uint_eq(f->n_records, 0);
	end();
}
END_TEST

START_TEST(a_broken_file_of_places)
{
	static const char *const texts[] = { "", "nonsense", "kith tail 1\nfile x\n", "kith tail 1\nfile 1 2 3 4 nopath\n", "kith tail 1\nwhat\n",
		                             "kith tail 1\nfile 1 -5 3 4 /x\n", "kith tail 1\nfile 1 5 300 4 /x\n" };

	begin();
	append(path, "old\n");
	for (size_t i = 0; i < KITH_COUNT(texts); i++) {
		ck_assert_int_eq(fake_write(state, "/places", texts[i]), 0);
		ck_assert_int_eq(fake_host_start(f), 0);
		look();
		ck_assert_uint_eq(f->n_records, 0);
		fake_host_stop(f);
	}
	end();
}
END_TEST

START_TEST(lines_that_belong_together)
{
	begin();
	fake_host_option(f, "multiline", "indent");
	append(path, "old\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	append(path, "Error\n  at x\n  at y\n");
	look();
	append(path, "next\n");
	look();
	usleep(40000); /* its own clock is the real one */
	look();
	ck_assert_str_eq(heard(0), "[Error\\n  at x\\n  at y][next]");
	end();
}
END_TEST

START_TEST(forms_and_priorities)
{
	begin();
	fake_host_option(f, "format", "syslog");
	fake_host_option(f, "guess", "true");
	append(path, "x\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	append(path, "Nov 14 22:13:00 web1 sshd[9]: error: no\n<11>app: an INFO\nWARNING it is\nterror\nit [crit] is\n");
	look();
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "error: no"), "3 log:sshd error: no host=web1 pid=9 file="));
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "an INFO"), "3 log:app an INFO facility=user"));
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "WARNING it is"), "4 log:app.log WARNING"));
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "terror"), "6 log:app.log terror"));
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "it [crit] is"), "2 log:app.log"));
	end();
}
END_TEST

/* Beyond the rate lines wait in the file; only what is far behind is dropped. */
START_TEST(rates)
{
	uint64_t before;

	begin();
	fake_host_option(f, "rate", "1");
	fake_host_option(f, "burst", "10");
	append(path, "");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	for (int i = 0; i < 30; i++)
		append(path, "line\n");
	look();
	ck_assert_uint_ge(f->n_records, 10);
	ck_assert_uint_le(f->n_records, 12);
	look();
	ck_assert(count("dropped") == 0 && count("lag") >= 80);
	fake_host_stop(f);
	before = f->n_records;
	fake_host_option(f, "max_lag", "50");
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	for (int i = 0; i < 30; i++)
		append(path, "line\n");
	look();
	look();
	ck_assert(count("dropped") > 0 && count("lines") == count("dropped") + (double)(f->n_records - before));
	end();
}
END_TEST

START_TEST(patterns_of_names)
{
	char pattern[200], one[200];

	begin();
	snprintf(pattern, sizeof(pattern), "%s/*/x-*.log", tree);
	fake_host_option(f, "files", pattern);
	ck_assert_int_eq(fake_host_start(f), 0);
	look();
	snprintf(one, sizeof(one), "%s/d", tree);
	ck_assert_int_eq(mkdir(one, 0755), 0);
	snprintf(one, sizeof(one), "%s/d/x-1.log", tree);
	append(one, "first\n");
	folder_event("d", KITH_FILE_ADDED);
	ck_assert_str_eq(heard(0), "[first]");
	ck_assert(fake_host_has(f, "tail", one));
	end();
}
END_TEST

START_TEST(bad_options)
{
	static const struct {
		const char *option, *value, *note;
	} table[] = {
		{ "files", "var/log/x", "files: \"var/log/x\": no absolute path" },
		{ "files", "/var/log/", "files: \"/var/log/\"" },
		{ "format", "json", "format: \"json\": plain or syslog" },
		{ "format", "/x", "format: \"/x\": a value stands behind" },
		{ "priority", "loud", "priority: \"loud\": emergency" },
		{ "multiline", "(", "multiline: \"(\": " },
		{ "from", "middle", "from: \"middle\"" },
	};

	f = fake_host_new(&kith_plugin, "");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_int_eq(fake_host_resync(f), 0);
	fake_host_free(f);
	for (size_t i = 0; i < KITH_COUNT(table); i++) {
		f = fake_host_new(&kith_plugin, "");
		fake_host_option(f, "files", "/nowhere/x");
		fake_host_option(f, table[i].option, table[i].value);
		ck_assert_msg(fake_host_start(f) == -EINVAL, "%s", table[i].value);
		ck_assert_msg(f->note && !strncmp(f->note, table[i].note, strlen(table[i].note)), "%s", f->note);
		fake_host_free(f);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tail");
	TCase *tcase = tcase_create("tail");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, records_of_lines);
	tcase_add_test(tcase, longer_than_the_buffer);
	tcase_add_test(tcase, bad_patterns);
	tcase_add_test(tcase, what_is_appended);
	tcase_add_test(tcase, from_its_start);
	tcase_add_test(tcase, renamed_and_created);
	tcase_add_test(tcase, truncated_and_written_anew);
	tcase_add_test(tcase, over_a_restart);
	tcase_add_test(tcase, a_broken_file_of_places);
	tcase_add_test(tcase, lines_that_belong_together);
	tcase_add_test(tcase, forms_and_priorities);
	tcase_add_test(tcase, rates);
	tcase_add_test(tcase, patterns_of_names);
	tcase_add_test(tcase, bad_options);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
