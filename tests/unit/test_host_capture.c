/* host/: programs that a plugin runs and listens to. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "host_plugin.h"

/* What the last one gave */
static struct {
	unsigned n;
	uint32_t flags;
	int status;
	char *output, *error;
	size_t output_length, error_length;
	int64_t took;
	bool unwatch;
	int result;
} got;

static int on_ended(const struct kith_ended *e, void *user)
{
	ck_assert_ptr_eq(user, &got);
	ck_assert_uint_eq(e->size, sizeof(*e));
	free(got.output);
	free(got.error);
	got.n++;
	got.flags = e->flags;
	got.status = e->status;
	got.took = e->took;
	got.output = strndup(e->output_length ? e->output : "", e->output_length);
	got.error = strndup(e->error_length ? e->error : "", e->error_length);
	got.output_length = e->output_length;
	got.error_length = e->error_length;
	if (got.unwatch)
		t.h->unwatch(t.h, t.watch);
	return got.result;
}

static int shell(const char *script, size_t keep, int64_t timeout)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL }, *env[] = { "GREETING=hello", NULL };
	struct kith_program p = { .size = sizeof(p), .argv = argv, .env = env, .timeout = timeout, .keep = keep };

	return t.h->spawn_capture(t.h, &p, on_ended, &got, &t.watch);
}

static void run(const char *script, size_t keep)
{
	unsigned n = got.n;

	ck_assert_int_eq(shell(script, keep, 60 * NS_PER_S), 0);
	fixture_until(&f, got.n > n);
}

static void finish(void)
{
	end();
	free(got.output);
	free(got.error);
	memset(&got, 0, sizeof(got));
}

static bool gone(pid_t pid)
{
	char path[64], text[256] = "", *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return true;
	if (!fgets(text, sizeof(text), file))
		*text = '\0';
	fclose(file);
	at = strrchr(text, ')');
	return !at || at[2] == 'Z' || at[2] == 'X';
}

static unsigned n_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

START_TEST(both_streams)
{
	unsigned fds;

	/* What this test was started with is none of the host's. */
	for (int fd = 3; fd < 256; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	start("", NULL);
	fds = n_fds();
	run("read x; echo \"$GREETING, $?\"; echo wrong >&2; exit 7", 1024);
	ck_assert_str_eq(got.output, "hello, 1\n"); /* nothing to read */
	ck_assert_str_eq(got.error, "wrong\n");
	ck_assert(WIFEXITED(got.status) && WEXITSTATUS(got.status) == 7);
	ck_assert_uint_eq(got.flags, 0);
	ck_assert_int_gt(got.took, 0);
	run(":", 1024);
	ck_assert_uint_eq(got.output_length + got.error_length, 0);
	run("kill -TERM $$", 1024);
	ck_assert(WIFSIGNALED(got.status) && WTERMSIG(got.status) == SIGTERM);
	/* of all descriptors only the three, and ls's own */
	run("ls /proc/self/fd | wc -l", 64);
	ck_assert_str_eq(got.output, "4\n");
	ck_assert_uint_eq(n_fds(), fds);
	finish();
}
END_TEST

START_TEST(bounds)
{
	start("", NULL);
	run("head -c 300000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero | tr '\\0' y >&2; exit 3", 1000);
	ck_assert_uint_eq(got.output_length, 1000);
	ck_assert_uint_eq(got.error_length, 1000);
	ck_assert_int_eq(got.output[999], 'x');
	ck_assert_int_eq(got.error[999], 'y');
	ck_assert_uint_eq(got.flags, KITH_ENDED_CUT);
	ck_assert(WIFEXITED(got.status) && WEXITSTATUS(got.status) == 3);
	run("head -c 1000 /dev/zero | tr '\\0' x", 1000);
	ck_assert_uint_eq(got.output_length, 1000);
	ck_assert_uint_eq(got.flags, 0);
	run("echo a", 0);
	ck_assert_uint_eq(got.output_length, 0);
	ck_assert_uint_eq(got.flags, KITH_ENDED_CUT);
	/* no more is kept than 1 MiB, whatever is asked for */
	run("exec yes", SIZE_MAX);
	ck_assert_uint_eq(got.output_length, 1u << 20);
	ck_assert_uint_eq(got.flags, KITH_ENDED_CUT);
	ck_assert(WIFSIGNALED(got.status) && WTERMSIG(got.status) == SIGPIPE);
	finish();
}
END_TEST

START_TEST(time_is_up)
{
	pid_t grandchild;

	start("", NULL);
	ck_assert_int_eq(shell("sleep 1000 & echo $!; wait", 64, 300 * NS_PER_MS), 0);
	fixture_until(&f, got.n == 1);
	ck_assert_uint_eq(got.flags, KITH_ENDED_TIMEOUT);
	ck_assert(WIFSIGNALED(got.status) && WTERMSIG(got.status) == SIGKILL);
	grandchild = (pid_t)atoi(got.output);
	ck_assert_int_gt(grandchild, 0);
	fixture_until(&f, gone(grandchild));
	/* who left the group and holds the pipe is not waited for */
	run("setsid sleep 1000 & echo $!; exit 0", 64);
	grandchild = (pid_t)atoi(got.output);
	ck_assert_int_gt(grandchild, 0);
	kill(grandchild, SIGKILL);
	finish();
}
END_TEST

START_TEST(unwatched)
{
	char path[128], text[32] = "", script[512];
	FILE *file;
	pid_t pid;

	start("", NULL);
	snprintf(path, sizeof(path), "%s/pid", f.dir);
	snprintf(script, sizeof(script), "echo $$ > %s.new; mv %s.new %s; yes | head -c 100000; exec sleep 1000", path, path, path);
	ck_assert_int_eq(shell(script, 64, 0), 0);
	fixture_until(&f, access(path, F_OK) == 0);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	pid = (pid_t)atoi(text);
	ck_assert(!gone(pid));
	t.h->unwatch(t.h, t.watch);
	fixture_until(&f, gone(pid));
	fixture_for(&f, 20 * NS_PER_MS);
	ck_assert_uint_eq(got.n, 0);
	unlink(path);
	/* in its own callback, where it is gone anyway; a failure is counted */
	got.unwatch = true;
	got.result = -EIO;
	run("echo a", 64);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_uint_eq(fixture_info(&f, "t").failures, 1);
	/* and with the plugin: end() would report what is left */
	got.unwatch = false;
	ck_assert_int_eq(shell("exec sleep 1000", 64, 0), 0);
	finish();
}
END_TEST

START_TEST(refused)
{
	const char *relative[] = { "sh", NULL }, *none[] = { "/nonexistent", NULL }, *folder[] = { "/tmp", NULL }, *empty[] = { NULL };
	struct kith_program p = { .size = sizeof(p), .argv = relative, .keep = 64 };
	unsigned fds;

	start("", NULL);
	fds = n_fds();
	ck_assert_int_eq(t.h->spawn_capture(t.h, &p, on_ended, &got, NULL), -EINVAL);
	p.argv = empty;
	ck_assert_int_eq(t.h->spawn_capture(t.h, &p, on_ended, &got, NULL), -EINVAL);
	p.argv = none;
	ck_assert_int_eq(t.h->spawn_capture(t.h, &p, on_ended, &got, NULL), -ENOENT);
	p.argv = folder;
	ck_assert_int_eq(t.h->spawn_capture(t.h, &p, on_ended, &got, NULL), -EACCES);
	p.flags = 1;
	ck_assert_int_eq(t.h->spawn_capture(t.h, &p, on_ended, &got, NULL), -EINVAL);
	p.flags = 0;
	p.size = 8;
	ck_assert_int_eq(t.h->spawn_capture(t.h, &p, on_ended, &got, NULL), -EINVAL);
	ck_assert_uint_eq(n_fds(), fds);
	ck_assert_uint_eq(got.n, 0);
	finish();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("host: capture");
	TCase *tc = tcase_create("capture");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, both_streams);
	tcase_add_test(tc, bounds);
	tcase_add_test(tc, time_is_up);
	tcase_add_test(tc, unwatched);
	tcase_add_test(tc, refused);
	suite_add_tcase(s, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
