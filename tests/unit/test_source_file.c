#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "source/file.h"

#define ALL (KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED | KITH_FILE_ATTR)

static struct loop *loop;
static struct file_source *source;
static char dir[64];
static char heard[8192]; /* "+a *a -a ~a ": added, changed, removed, attributes */
static unsigned lost;

static void on_event(const struct kith_file_event *e, void *user)
{
	size_t n = strlen(heard);

	(void)user;
	snprintf(heard + n, sizeof(heard) - n, "%c%s ",
	         e->what == KITH_FILE_ADDED ? '+' : e->what == KITH_FILE_CHANGED ? '*' : e->what == KITH_FILE_REMOVED ? '-' : '~',
	         e->name);
}

static void on_lost(void *user)
{
	(void)user;
	lost++;
}

static const struct file_listener listener = { NULL, on_event, on_lost };

static const char *path(const char *name)
{
	static char text[4][256];
	static unsigned k;

	k = (k + 1) % 4;
	snprintf(text[k], sizeof(text[k]), "%s%s%s", dir, *name ? "/" : "", name);
	return text[k];
}

static void put(const char *name)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
}

static void settle(void)
{
	for (int i = 0; i < 4; i++)
		loop_run_once(loop, 5 * NS_PER_MS);
}

/* What was heard since the last time */
static void expect(const char *text)
{
	settle();
	ck_assert_str_eq(heard, text);
	*heard = '\0';
}

static struct file_sub *subscribe(const char *name, bool directory, uint32_t events)
{
	struct file_sub *sub = NULL;

	ck_assert_int_eq(file_subscribe(source, path(name), directory, events, &listener, &sub), 0);
	return sub;
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/kith-file-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(file_source_new(loop, &source), 0);
	*heard = '\0';
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(name);
}

static void teardown(void)
{
	file_source_free(source);
	loop_free(loop);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

START_TEST(directory)
{
	subscribe("", true, ALL & ~KITH_FILE_ATTR);
	put("a");
	expect("+a *a ");
	put("a");
	expect("*a ");
	ck_assert_int_eq(rename(path("a"), path("b")), 0);
	expect("-a +b *b ");
	ck_assert_int_eq(symlink("b", path("c")), 0);
	ck_assert_int_eq(link(path("b"), path("d")), 0);
	expect("+c *c +d *d ");
	ck_assert_int_eq(unlink(path("c")), 0);
	expect("-c ");
	ck_assert_int_eq(chmod(path("b"), 0600), 0);
	expect("");
}
END_TEST

START_TEST(whole_files_alone)
{
	int fd;

	subscribe("", true, KITH_FILE_CHANGED | KITH_FILE_REMOVED);
	fd = open(path("half"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	expect("");
	close(fd);
	expect("*half ");
	put("half.new");
	ck_assert_int_eq(rename(path("half.new"), path("half")), 0);
	expect("*half.new -half.new *half ");
}
END_TEST

START_TEST(file)
{
	struct file_sub *sub = subscribe("f", false, ALL);

	put("other");
	put("f");
	expect("+ * ");
	put("f.new");
	ck_assert_int_eq(rename(path("f.new"), path("f")), 0); /* replaced atomically: followed */
	expect("+ * ");
	ck_assert_int_eq(chmod(path("f"), 0600), 0);
	expect("~ ");
	ck_assert_int_eq(unlink(path("f")), 0);
	expect("- ");
	put("f");
	expect("+ * ");
	file_unsubscribe(source, sub);
	put("f");
	expect("");
}
END_TEST

START_TEST(missing)
{
	subscribe("x/y//z/", true, ALL & ~KITH_FILE_ATTR);
	put("unrelated");
	expect("");
	ck_assert_int_eq(mkdir(path("x"), 0755), 0);
	ck_assert_int_eq(mkdir(path("x/y"), 0755), 0);
	settle();
	ck_assert_int_eq(mkdir(path("x/y/z"), 0755), 0);
	put("x/y/z/1");
	settle();
	ck_assert_ptr_nonnull(strstr(heard, "*1 "));
	*heard = '\0';
	put("x/y/z/2");
	expect("+2 *2 ");
	/* Gone, and back all in one, with what is in it */
	ck_assert_int_eq(rename(path("x/y/z"), path("x/y/old")), 0);
	settle();
	ck_assert_str_eq(heard, "- ");
	*heard = '\0';
	put("x/y/old/3");
	expect("");
	ck_assert_int_eq(rename(path("x/y/old"), path("x/y/z")), 0);
	settle();
	ck_assert_ptr_nonnull(strstr(heard, "+3 *3 "));
	ck_assert_ptr_nonnull(strstr(heard, "+1 *1 "));
}
END_TEST

START_TEST(directory_replaced)
{
	ck_assert_int_eq(mkdir(path("d"), 0755), 0);
	subscribe("d", true, ALL & ~KITH_FILE_ATTR);
	put("d/1");
	expect("+1 *1 ");
	ck_assert_int_eq(unlink(path("d/1")), 0);
	ck_assert_int_eq(rmdir(path("d")), 0);
	ck_assert_int_eq(mkdir(path("d"), 0755), 0);
	put("d/2");
	settle();
	ck_assert_ptr_nonnull(strstr(heard, "-1 "));
	ck_assert_ptr_nonnull(strstr(heard, "+2 *2 "));
	*heard = '\0';
	put("d/3");
	expect("+3 *3 ");
}
END_TEST

START_TEST(shared_directory)
{
	struct file_sub *a = subscribe("", true, KITH_FILE_CHANGED), *b = subscribe("f", false, KITH_FILE_REMOVED);

	put("f");
	expect("*f ");
	ck_assert_int_eq(unlink(path("f")), 0);
	expect("- ");
	file_unsubscribe(source, a);
	put("f");
	ck_assert_int_eq(unlink(path("f")), 0);
	expect("- ");
	file_unsubscribe(source, b);
}
END_TEST

static struct file_sub *own, *neighbour;

static void on_event_leave(const struct kith_file_event *e, void *user)
{
	(void)e;
	(void)user;
	strcat(heard, "!");
	file_unsubscribe(source, own);
	file_unsubscribe(source, neighbour);
}

START_TEST(unsubscribed_within)
{
	const struct file_listener leave = { NULL, on_event_leave, NULL };

	ck_assert_int_eq(file_subscribe(source, dir, true, KITH_FILE_ADDED, &leave, &own), 0);
	neighbour = subscribe("", true, KITH_FILE_ADDED);
	put("a");
	put("b");
	expect("!");
	subscribe("", true, KITH_FILE_ADDED);
	put("c");
	expect("+c ");
}
END_TEST

START_TEST(overflow)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	unsigned max = 0;

	ck_assert(f && fscanf(f, "%u", &max) == 1);
	fclose(f);
	if (max > 100000)
		return;
	subscribe("", true, KITH_FILE_REMOVED);
	for (unsigned i = 0; i < max / 2 + 100; i++) {
		char a[32];

		snprintf(a, sizeof(a), "%u", i);
		ck_assert_int_eq(mknod(path(a), S_IFREG | 0600, 0), 0);
		ck_assert_int_eq(rename(path(a), path("t")), 0);
		ck_assert_int_eq(unlink(path("t")), 0);
	}
	for (int i = 0; i < 1000 && !lost; i++)
		loop_run_once(loop, 5 * NS_PER_MS);
	ck_assert_uint_eq(lost, 1);
	settle();
	*heard = '\0';
	put("after");
	ck_assert_int_eq(unlink(path("after")), 0);
	expect("-after ");
}
END_TEST

START_TEST(refused)
{
	struct file_sub *sub = (void *)&lost;

	ck_assert_int_eq(file_subscribe(source, "relative", true, ALL, &listener, &sub), -EINVAL);
	ck_assert_int_eq(file_subscribe(source, dir, true, 0, &listener, &sub), -EINVAL);
	ck_assert_int_eq(file_subscribe(source, "/", false, ALL, &listener, &sub), -EISDIR);
	ck_assert_ptr_eq(sub, &lost);
	ck_assert_int_eq(file_subscribe(source, "/", true, ALL, &listener, &sub), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("source file");
	TCase *c = tcase_create("events");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, directory);
	tcase_add_test(c, whole_files_alone);
	tcase_add_test(c, file);
	tcase_add_test(c, missing);
	tcase_add_test(c, directory_replaced);
	tcase_add_test(c, shared_directory);
	tcase_add_test(c, unsubscribed_within);
	tcase_add_test(c, overflow);
	tcase_add_test(c, refused);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
