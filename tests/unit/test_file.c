/* The file plugin on real files, its events fired by hand. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_host.h"
#include "file/file.h"

extern const struct kith_plugin kith_plugin;

static struct fake_host *f;
static char root[64];

static void setup(void)
{
	fake_tree_new(root);
	ck_assert_int_eq(fake_write(root, "/etc/a.conf", "one"), 0);
	ck_assert_int_eq(fake_write(root, "/etc/b.conf", "four"), 0);
	ck_assert_int_eq(fake_write(root, "/srv/www/index", "x"), 0);
	f = fake_host_new(&kith_plugin, root);
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static void start(void)
{
	ck_assert_int_eq(fake_host_start(f), 0);
	fake_host_advance(f, 50 * NS_PER_MS);
}

static const char *real(const char *path)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s%s", root, path);
	return text;
}

/* An event, then the time that it is waited with */
static void event(const char *path, const char *name, uint32_t what)
{
	ck_assert_int_eq(fake_host_file(f, real(path), name, what), 0);
	fake_host_advance(f, NS_PER_S);
}

START_TEST(names)
{
	static const struct { const char *path, *name; } t[] = {
		{ "/etc/passwd", "/etc/passwd" }, { "/a\nb\\", "/a\\012b\\134" }, { "/\xc3\xa4", "/\xc3\xa4" },
		{ "/\xc2\x85", "/\\302\\205" },   { "/\xed\xa0\x80", "/\\355\\240\\200" }, { "/\xf0\x9f\x98\x80", "/\xf0\x9f\x98\x80" },
		{ "/\xff", "/\\377" },            { "/\xe2\x82", "/\\342\\202" },
	};
	char name[NAME_MAX_BYTES + 1], back[NAME_MAX_BYTES + 1], longest[400];

	for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		ck_assert_int_eq(name_escape(t[k].path, name), 0);
		ck_assert_str_eq(name, t[k].name);
		ck_assert_int_eq(name_unescape(name, back), 0);
		ck_assert_str_eq(back, t[k].path);
	}
	ck_assert_int_eq(name_unescape("/a\\000", back), -EINVAL);
	ck_assert_int_eq(name_unescape("/a\\400\\9", back), 0);
	ck_assert_str_eq(back, "/a\\400\\9");
	memset(longest, 'x', sizeof(longest));
	longest[255] = '\0';
	ck_assert_int_eq(name_escape(longest, name), 0);
	longest[254] = '\n';
	ck_assert_int_eq(name_escape(longest, name), -ENAMETOOLONG);
}
END_TEST

START_TEST(digests)
{
	char line[160] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  /etc/motd", text[DIGEST_TEXT];
	unsigned char d[DIGEST];
	const char *path;

	ck_assert_int_eq(digest_line(line, d, &path), 0);
	ck_assert_str_eq(path, "/etc/motd");
	digest_text(d, text);
	ck_assert_int_eq(strncmp(text, line, 64), 0);
	for (size_t n = strlen(line) - 9; n-- > 0;) {
		line[n] = '\0';
		ck_assert_int_eq(digest_line(line, d, &path), -EINVAL);
	}
	ck_assert_int_eq(digest_line("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855 */x", d, &path), 0);
	ck_assert_int_eq(digest_line("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  x", d, &path), -EINVAL);
}
END_TEST

START_TEST(nothing_is_looked_at_without_an_event)
{
	fake_host_option(f, "paths", "/etc/a.conf");
	start();
	ck_assert_double_eq(fake_host_value(f, "file:/etc/a.conf:size"), 3);
	ck_assert_str_eq(fake_host_state(f, "file:/etc/a.conf:exists"), "yes");
	ck_assert_int_eq((int)f->n_records, 0);
	ck_assert_int_eq(fake_write(root, "/etc/a.conf", "longer"), 0);
	fake_host_advance(f, 3600 * NS_PER_S);
	ck_assert_double_eq(fake_host_value(f, "file:/etc/a.conf:size"), 3);
	event("/etc/a.conf", "", KITH_FILE_CHANGED);
	ck_assert_double_eq(fake_host_value(f, "file:/etc/a.conf:size"), 6);
	ck_assert_double_eq(fake_host_value(f, "file:/etc/a.conf:changes"), 1);
	ck_assert_ptr_nonnull(fake_host_record(f, "its content changed"));
	ck_assert_ptr_nonnull(fake_host_record(f, "size_before=3"));
	/* No timer is left behind. */
	ck_assert_int_eq(fake_host_advance(f, 3600 * NS_PER_S), -ENOENT);
}
END_TEST

/* A look at many files, and much later an event of one: it does not wait as long as if it had come right behind */
START_TEST(one_by_itself_is_not_late)
{
	char path[40];

	for (int k = 0; k < 500; k++) {
		snprintf(path, sizeof(path), "/srv/many/%d", k);
		ck_assert_int_eq(fake_write(root, path, "one"), 0);
	}
	fake_host_option(f, "paths", "/srv/many/*, /etc/a.conf");
	start();
	fake_host_advance(f, NS_PER_S);
	usleep(600000); /* longer than it ever rests after a look */
	ck_assert_int_eq(fake_write(root, "/etc/a.conf", "longer"), 0);
	ck_assert_int_eq(fake_host_file(f, real("/etc/a.conf"), "", KITH_FILE_CHANGED), 0);
	fake_host_advance(f, NS_PER_MS);
	ck_assert_double_eq(fake_host_value(f, "file:/etc/a.conf:size"), 6);
}
END_TEST

START_TEST(many_events_are_one_look)
{
	uint64_t puts;

	fake_host_option(f, "paths", "/etc/a.conf");
	start();
	puts = fake_host_puts(f, "file:/etc/a.conf:size");
	for (int k = 0; k < 1000; k++)
		fake_host_file(f, real("/etc/a.conf"), "", KITH_FILE_CHANGED);
	fake_host_advance(f, NS_PER_S);
	ck_assert_uint_eq(fake_host_puts(f, "file:/etc/a.conf:size"), puts + 1);
	/* Nothing had changed. */
	ck_assert_int_eq((int)f->n_records, 0);
}
END_TEST

START_TEST(patterns)
{
	fake_host_option(f, "paths", "/etc/*.conf");
	start();
	ck_assert_uint_eq(fake_host_instances(f, "file"), 2);
	ck_assert_int_eq(fake_write(root, "/etc/c.conf", ""), 0);
	ck_assert_int_eq(fake_write(root, "/etc/c.txt", ""), 0);
	event("/etc", "c.conf", KITH_FILE_ADDED);
	event("/etc", "c.txt", KITH_FILE_ADDED);
	ck_assert_uint_eq(fake_host_instances(f, "file"), 3);
	ck_assert_ptr_nonnull(fake_host_record(f, "/etc/c.conf: it was created"));
	unlink(real("/etc/a.conf"));
	event("/etc", "a.conf", KITH_FILE_REMOVED);
	ck_assert(!fake_host_has(f, "file", "/etc/a.conf"));
	ck_assert_ptr_nonnull(fake_host_record(f, "/etc/a.conf: it was removed"));
}
END_TEST

START_TEST(wanted_names_come_and_go)
{
	start();
	fake_host_want(f, FAMILY_FILE, "/etc/a.conf", true);
	fake_host_want(f, FAMILY_FILE, "/etc/[b]*", true);
	fake_host_want(f, FAMILY_FILE, "*", true);
	fake_host_want(f, FAMILY_FILE, "/none", true);
	fake_host_advance(f, NS_PER_S);
	ck_assert_uint_eq(fake_host_instances(f, "file"), 3);
	ck_assert_str_eq(fake_host_state(f, "file:/none:exists"), "no");
	ck_assert(isnan(fake_host_value(f, "file:/none:size")));
	fake_host_want(f, FAMILY_FILE, "/etc/a.conf", false);
	fake_host_want(f, FAMILY_FILE, "/etc/[b]*", false);
	fake_host_want(f, FAMILY_FILE, "/none", false);
	fake_host_advance(f, NS_PER_S);
	ck_assert_uint_eq(fake_host_instances(f, "file"), 0);
	ck_assert_int_eq((int)f->n_records, 0);
	ck_assert_int_eq(fake_host_file(f, real("/etc/a.conf"), "", KITH_FILE_CHANGED), -ENOENT);
}
END_TEST

START_TEST(after_a_loss_all_is_looked_at)
{
	fake_host_option(f, "paths", "/etc/*.conf,/srv/www");
	start();
	while (fake_host_run_work(f))
		fake_host_advance(f, NS_PER_S);
	ck_assert_double_eq(fake_host_value(f, "file:/srv/www:entries"), 1);
	ck_assert_int_eq(fake_write(root, "/etc/b.conf", "seven77"), 0);
	ck_assert_int_eq(fake_write(root, "/etc/new.conf", ""), 0);
	ck_assert_int_eq(fake_write(root, "/srv/www/two", ""), 0);
	unlink(real("/etc/a.conf"));
	ck_assert_int_eq(fake_host_resync(f), 0);
	fake_host_advance(f, NS_PER_S);
	while (fake_host_run_work(f))
		fake_host_advance(f, NS_PER_S);
	ck_assert_double_eq(fake_host_value(f, "file:/etc/b.conf:size"), 7);
	ck_assert(fake_host_has(f, "file", "/etc/new.conf"));
	ck_assert(!fake_host_has(f, "file", "/etc/a.conf"));
	ck_assert_double_eq(fake_host_value(f, "file:/srv/www:entries"), 2);
	ck_assert_ptr_nonnull(fake_host_record(f, "file events were lost"));
}
END_TEST

START_TEST(content)
{
	fake_host_option(f, "paths", "/etc/*.conf");
	fake_host_option(f, "sha256", "/etc/a*");
	start();
	ck_assert_uint_eq(fake_host_run_work(f), 1);
	ck_assert_str_eq(fake_host_state(f, "file:/etc/a.conf:content"), "same");
	ck_assert_ptr_null(fake_host_state(f, "file:/etc/b.conf:content"));
	ck_assert_int_eq(fake_write(root, "/etc/a.conf", "other"), 0);
	event("/etc", "a.conf", KITH_FILE_CHANGED);
	ck_assert_uint_eq(fake_host_run_work(f), 1);
	ck_assert_str_eq(fake_host_state(f, "file:/etc/a.conf:content"), "changed");
	/* of "one" and of "other" */
	ck_assert_ptr_nonnull(fake_host_record(f, "before=7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"));
	ck_assert_ptr_nonnull(fake_host_record(f, "sha256=d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"));
	/* No worker is free: later */
	f->fail_work = -EAGAIN;
	ck_assert_int_eq(fake_write(root, "/etc/a.conf", "one"), 0);
	event("/etc", "a.conf", KITH_FILE_CHANGED);
	f->fail_work = 0;
	fake_host_advance(f, 10 * NS_PER_S);
	ck_assert_uint_eq(fake_host_run_work(f), 1);
	ck_assert_str_eq(fake_host_state(f, "file:/etc/a.conf:content"), "same");
	unlink(real("/etc/a.conf"));
	event("/etc", "a.conf", KITH_FILE_CHANGED);
	ck_assert_uint_eq(fake_host_run_work(f), 0);
}
END_TEST

START_TEST(bounded)
{
	fake_host_option(f, "paths", "/etc/*");
	fake_host_option(f, "max", "1");
	start();
	ck_assert_uint_eq(fake_host_instances(f, "file"), 1);
	ck_assert_ptr_nonnull(strstr(f->last_log, "more than 1 files"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("file");
	TCase *c = tcase_create("file");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, names);
	tcase_add_test(c, digests);
	tcase_add_test(c, nothing_is_looked_at_without_an_event);
	tcase_add_test(c, one_by_itself_is_not_late);
	tcase_add_test(c, many_events_are_one_look);
	tcase_add_test(c, patterns);
	tcase_add_test(c, wanted_names_come_and_go);
	tcase_add_test(c, after_a_loss_all_is_looked_at);
	tcase_add_test(c, content);
	tcase_add_test(c, bounded);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
