/* The textfile plugin on real files, its events fired by hand. */
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
#include "textfile/textfile.h"

extern const struct kith_plugin kith_plugin;

#define FOLDER "/var/lib/kith/textfile"

static struct fake_host *f;
static char root[64];

static void setup(void)
{
	fake_tree_new(root);
	f = fake_host_new(&kith_plugin, root);
	f->now = INT64_C(1700000000) * NS_PER_S;
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static const char *path_of(const char *name)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s" FOLDER "%s%s", root, *name ? "/" : "", name);
	return text;
}

static void write_file(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	ck_assert_int_eq(fake_write(root, path, text), 0);
}

static void told(const char *name, uint32_t what)
{
	ck_assert_int_eq(fake_host_file(f, path_of(""), name, what), 0);
	fake_host_advance(f, NS_PER_S);
}

static void replace(const char *name, const char *text)
{
	write_file(name, text);
	told(name, KITH_FILE_CHANGED);
}

START_TEST(values_units_kinds)
{
	write_file("a.prom", "# HELP node_md_disks Disks\n# TYPE node_md_disks gauge\nnode_md_disks{state=\"active\",device=\"md0\"} 4\n"
	           "backup_size_bytes 1e3\nbackup_runs_total{job=\"a/b\"} 7\nload 3\nx_seconds{q=\"1\"} NaN\n"
	           "# TYPE h_seconds histogram\nh_seconds_bucket{le=\"+Inf\"} 3\nh_seconds_sum 2.5\nh_seconds_count 3\n");
	write_file("not.txt", "a_b 1\n");
	write_file(".hidden.prom", "a_c 1\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_double_eq(fake_host_value(f, "node_md_disks:md0/active:value"), 4);
	ck_assert_double_eq(fake_host_value(f, "backup_size_bytes:value"), 1000);
	ck_assert_double_eq(fake_host_value(f, "backup_runs_total:a/b:value"), 7);
	ck_assert_double_eq(fake_host_value(f, "textfile_load:value"), 3);
	ck_assert(isnan(fake_host_value(f, "x_seconds:1:value")));
	ck_assert_str_eq(fake_host_state(f, "textfile:a.prom:state"), "ok");
	ck_assert_double_eq(fake_host_value(f, "textfile:a.prom:series"), 8);
	ck_assert_uint_eq(fake_host_instances(f, "textfile"), 1);
	ck_assert_int_eq((int)f->n_records, 0);
	ck_assert_ptr_null(f->note);
}
END_TEST

START_TEST(series_end_with_their_line_and_their_file)
{
	ck_assert_int_eq(fake_host_start(f), 0);
	write_file("a.prom", "a_a{x=\"1\"} 1\na_a{x=\"2\"} 2\n");
	/* The folder has appeared. */
	ck_assert_int_eq(fake_host_file(f, path_of(""), "", KITH_FILE_ADDED), 0);
	fake_host_advance(f, NS_PER_S);
	ck_assert_double_eq(fake_host_value(f, "a_a:2:value"), 2);
	replace("a.prom", "a_a{x=\"1\"} 5\n");
	ck_assert(!fake_host_has(f, "a_a", "2"));
	ck_assert_double_eq(fake_host_value(f, "a_a:1:value"), 5);
	unlink(path_of("a.prom"));
	told("a.prom", KITH_FILE_REMOVED);
	ck_assert(!fake_host_has(f, "a_a", "1"));
	ck_assert_uint_eq(fake_host_instances(f, "textfile"), 0);
}
END_TEST

START_TEST(faults_have_their_place)
{
	static const struct { const char *line, *at; } t[] = {
		{ "a_b{x=\"1\" 2\n", "a.prom:2:11: between labels" },   { "a_b{x=\"1\n", "a.prom:2:9: the label's value is not closed" },
		{ "1a 2\n", "a.prom:2:1: a metric's name" },            { "a_b one\n", "a.prom:2:5: this is no number" },
		{ "a_b 0x10\n", "a.prom:2:5: this is no number" },      { "a_b 1 2 3\n", "a.prom:2:9: nothing may stand" },
		{ "a_b{x=\"\\q\"} 1\n", "a.prom:2:8: behind a backslash" }, { "a_b{x=\"\xff\"} 1\n", "a.prom:2:8: this is no UTF-8" },
		{ "a_b{x=\"1\",x=\"2\"} 1\n", "this label is there twice" }, { "# TYPE a_b thing\n", "a.prom:2:12: there is no such type" },
		{ "good_one{x=\"1\"} 2\n", "a.prom:2:1: good_one was seen without labels" },
		{ "good_one 2\n", "a.prom:2:1: good_one: is in this file twice" },
	};

	write_file("a.prom", "good_one 1\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		char text[256];

		snprintf(text, sizeof(text), "good_one %zu\n%sgood_two %zu\n", k, t[k].line, k);
		replace("a.prom", text);
		ck_assert_msg(f->note && strstr(f->note, t[k].at), "%s: %s", t[k].line, f->note);
		ck_assert_ptr_nonnull(fake_host_record(f, t[k].at));
		ck_assert_str_eq(fake_host_state(f, "textfile:a.prom:state"), "error");
		ck_assert_double_eq(fake_host_value(f, "good_one:value"), (double)k);
		ck_assert_double_eq(fake_host_value(f, "good_two:value"), (double)k);
	}
	replace("a.prom", "good_one 1\n");
	ck_assert_str_eq(fake_host_state(f, "textfile:a.prom:state"), "ok");
	ck_assert_ptr_null(f->note);
	ck_assert_ptr_nonnull(fake_host_record(f, "can be read again"));
}
END_TEST

START_TEST(of_two_files_the_first_has_a_series)
{
	write_file("a.prom", "a_a 1\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	replace("b.prom", "a_a 2\n");
	ck_assert_double_eq(fake_host_value(f, "a_a:value"), 1);
	ck_assert(f->note && strstr(f->note, "b.prom:1:1: a_a: is in the file a.prom already"));
}
END_TEST

START_TEST(too_old)
{
	struct timespec times[2] = { { 1700000000 - 50, 0 }, { 1700000000 - 50, 0 } };

	fake_host_option(f, "max_age", "60");
	write_file("a.prom", "a_a 1\n");
	ck_assert_int_eq(utimensat(AT_FDCWD, path_of("a.prom"), times, 0), 0);
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_double_eq(fake_host_value(f, "a_a:value"), 1);
	fake_host_advance(f, 30 * NS_PER_S);
	ck_assert(!fake_host_has(f, "a_a", ""));
	ck_assert_str_eq(fake_host_state(f, "textfile:a.prom:state"), "stale");
	ck_assert_ptr_nonnull(fake_host_record(f, "not written for longer than max_age"));
	times[1].tv_sec = 1700000025;
	write_file("a.prom", "a_a 3\n");
	ck_assert_int_eq(utimensat(AT_FDCWD, path_of("a.prom"), times, 0), 0);
	told("a.prom", KITH_FILE_CHANGED);
	ck_assert_double_eq(fake_host_value(f, "a_a:value"), 3);
	ck_assert_str_eq(fake_host_state(f, "textfile:a.prom:state"), "ok");
}
END_TEST

START_TEST(bounded)
{
	fake_host_option(f, "max_series", "2");
	fake_host_option(f, "max_metrics", "2");
	write_file("a.prom", "a_a{x=\"1\"} 1\na_a{x=\"2\"} 2\na_a{x=\"3\"} 3\n");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "a_a"), 2);
	ck_assert(strstr(f->note, "a.prom:3:1: more than 2 values"));
	replace("a.prom", "a_a{x=\"1\"} 1\n");
	replace("a.prom", "a_a{x=\"1\"} 1\nb_b 2\nc_c 3\n");
	ck_assert(strstr(f->note, "a.prom:3:1: more than 2 different metrics"));
}
END_TEST

/* Cut off anywhere nothing is worse than a line that cannot be used. */
START_TEST(cut_off_anywhere)
{
	static const char text[] = "# HELP a_a Help\n# TYPE a_a counter\na_a{x=\"one\",y=\"t\\\"wo\"} 1e3 1700000000000\nb_b -Inf\nb_c{le=\"+Inf\"} 4\n";
	char part[sizeof(text)];

	write_file("a.prom", "");
	ck_assert_int_eq(fake_host_start(f), 0);
	for (size_t n = 0; n < sizeof(text); n++) {
		memcpy(part, text, n);
		part[n] = '\0';
		replace("a.prom", part);
		ck_assert_ptr_nonnull(fake_host_state(f, "textfile:a.prom:state"));
	}
	ck_assert_str_eq(fake_host_state(f, "textfile:a.prom:state"), "ok");
	ck_assert_double_eq(fake_host_value(f, "a_a:one/t\"wo:value"), 1000);
}
END_TEST

START_TEST(what_is_no_file)
{
	write_file("a.prom", "a_a 1\n");
	ck_assert_int_eq(mkfifo(path_of("fifo.prom"), 0600), 0);
	ck_assert_int_eq(mkdir(path_of("folder.prom"), 0700), 0);
	ck_assert_int_eq(symlink("/nowhere", path_of("dangling.prom")), 0);
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_double_eq(fake_host_value(f, "a_a:value"), 1);
	ck_assert_str_eq(fake_host_state(f, "textfile:fifo.prom:state"), "error");
	ck_assert_str_eq(fake_host_state(f, "textfile:folder.prom:state"), "error");
	ck_assert(!fake_host_has(f, "textfile", "dangling.prom"));
	write_file("b.prom", "b_b 1\n");
	ck_assert_int_eq(fake_host_resync(f), 0);
	fake_host_advance(f, NS_PER_S);
	ck_assert_double_eq(fake_host_value(f, "b_b:value"), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("textfile");
	TCase *c = tcase_create("textfile");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, values_units_kinds);
	tcase_add_test(c, series_end_with_their_line_and_their_file);
	tcase_add_test(c, faults_have_their_place);
	tcase_add_test(c, of_two_files_the_first_has_a_series);
	tcase_add_test(c, too_old);
	tcase_add_test(c, bounded);
	tcase_add_test(c, cut_off_anywhere);
	tcase_add_test(c, what_is_no_file);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
