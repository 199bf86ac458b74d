#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_host.h"
#include "processes/processes.h"

extern const struct kith_plugin kith_plugin;

#define SECOND INT64_C(1000000000)

static struct fake_host *f;
static char root[64];

static void process(int pid, const char *comm, char state, int threads, const char *program)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	snprintf(text, sizeof(text), "%s\n", comm);
	ck_assert_int_eq(fake_write(root, path, text), 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	snprintf(text, sizeof(text), "%d (%s) %c 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 %d 0 100 0 0\n", pid, comm, state, threads);
	ck_assert_int_eq(fake_write(root, path, text), 0);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	ck_assert_int_eq(fake_write(root, path, program), 0);
}

static void gone(int pid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/proc/%d", root, pid);
	fake_tree_free(path);
}

static void setup(void)
{
	fake_tree_new(root);
	ck_assert_int_eq(fake_write(root, "/proc/stat", "cpu  1 2 3\nintr 5 6\nctxt 7\nprocesses 4711\nprocs_running 3\nprocs_blocked 2\n"), 0);
	ck_assert_int_eq(fake_write(root, "/proc/sys/x", ""), 0);
	ck_assert_int_eq(fake_write(root, "/proc/tty/x", ""), 0);
	process(1, "init", 'S', 1, "/sbin/init");
	process(20, "sshd", 'S', 1, "sshd: listener");
	process(21, "sshd", 'S', 1, "sshd: someone");
	process(22, "sshd", 'Z', 1, "");
	process(30, "a) b (c", 'R', 1, "x");
	process(31, "name-of-sixteen", 'S', 4, "/usr/bin/name-of-sixteen-and-more");
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
}

static void event(uint32_t what, int pid, int parent)
{
	struct processes *p = f->state;

	/* As if it had happened after all that was done so far */
	p->settled = 0;
	ck_assert_int_eq(fake_host_process(f, what, pid, parent, 0, what == KITH_PROCESS_NAME ? "?" : NULL), 0);
}

static double count(const char *name)
{
	char text[300];

	snprintf(text, sizeof(text), "process:%s:count", name);
	return fake_host_value(f, text);
}

static void batch(void)
{
	ck_assert_int_eq(fake_host_advance(f, 5000000), 0);
}

static bool filter_has(int32_t pid)
{
	for (uint32_t i = 0; i < f->filter.n_pids; i++)
		if (f->filter.pids[i] == pid)
			return true;
	return false;
}

START_TEST(totals)
{
	start();
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "processes:total"), 6);
	ck_assert_double_eq(fake_host_value(f, "processes:running"), 3);
	ck_assert_double_eq(fake_host_value(f, "processes:blocked"), 2);
	ck_assert_double_eq(fake_host_value(f, "processes:forks"), 4711);
	ck_assert(isnan(fake_host_value(f, "processes:sleeping")));
	process(40, "new", 'S', 1, "");
	gone(22);
	gone(21);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "processes:total"), 5);
	/* A module's directory comes: noticed within a while */
	ck_assert_int_eq(fake_write(root, "/proc/asound/x", ""), 0);
	f->now += 601 * SECOND;
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "processes:total"), 5);
	ck_assert_int_eq(fake_write(root, "/proc/stat", "cpu 1\nprocesses 4712\n"), 0);
	ck_assert_int_eq(fake_host_sample(f), -EBADMSG);
	ck_assert_double_eq(fake_host_value(f, "processes:forks"), 4712);
}
END_TEST

/* The link count of the real /proc against its entries */
START_TEST(totals_real)
{
	uint64_t pids = 0, others, near = 0;

	fake_host_free(f);
	f = fake_host_new(&kith_plugin, "");
	start();
	for (int i = 0; i < 50 && !near; i++) {
		ck_assert_int_eq(fake_host_sample(f), 0);
		ck_assert_int_eq(proc_count(((struct processes *)f->state)->dir, &pids, &others), 0);
		near = fabs(fake_host_value(f, "processes:total") - (double)pids) <= 1;
	}
	ck_assert(near);
	ck_assert_uint_eq(f->n_filters, 0);
}
END_TEST

START_TEST(scan)
{
	fake_host_option(f, "scan", "30s");
	start();
	ck_assert_int_eq(fake_host_advance(f, SECOND), 0);
	ck_assert_double_eq(fake_host_value(f, "processes:sleeping"), 4);
	ck_assert_double_eq(fake_host_value(f, "processes:zombies"), 1);
	ck_assert_double_eq(fake_host_value(f, "processes:stopped"), 0);
	process(40, "t", 'T', 1, "");
	process(41, "i", 'I', 1, "");
	ck_assert_int_eq(fake_host_advance(f, 30 * SECOND), 0);
	ck_assert_double_eq(fake_host_value(f, "processes:stopped"), 1);
	ck_assert_double_eq(fake_host_value(f, "processes:idle"), 1);
	ck_assert_uint_eq(fake_host_puts(f, "processes:stopped"), 2);
}
END_TEST

START_TEST(stat_lines)
{
	static const struct { const char *text; int result; char state; long threads; } table[] = {
		{ "1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 2 3", 0, 'S', 1 },
		{ "1 (a) b) (c) R 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 12 0 2 3", 0, 'R', 12 },
		{ "", -EBADMSG, 0, 0 },
		{ "1 (init", -EBADMSG, 0, 0 },
		{ "1 (init)", -EBADMSG, 0, 0 },
		{ "1 (init) S", -EBADMSG, 0, 0 },
		{ "1 (init) S 0 1 1", -EBADMSG, 0, 0 },
	};

	for (size_t i = 0; i < KITH_COUNT(table); i++) {
		struct proc_stat stat = { 0 };

		ck_assert_msg(proc_stat_parse(table[i].text, &stat) == table[i].result, "row %zu", i);
		ck_assert_int_eq(stat.state, table[i].state);
		ck_assert_int_eq(stat.threads, table[i].threads);
	}
}
END_TEST

START_TEST(nobody_asks)
{
	start();
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_int_eq(fake_host_advance(f, 1000 * SECOND), -ENOENT); /* no timer */
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_EXEC, 1, 0, 0, NULL), -ENOENT); /* no watch */
	ck_assert_uint_eq(f->n_filters, 0);
	ck_assert_uint_eq(fake_host_instances(f, "process"), 0);
	ck_assert_uint_eq(((struct processes *)f->state)->scans, 0);
	ck_assert_ptr_null(f->note);
}
END_TEST

START_TEST(names_at_start)
{
	fake_host_option(f, "names", "sshd, cron");
	fake_host_want(f, FAMILY_PROCESS, "a) b (c", true);
	fake_host_want(f, FAMILY_PROCESS, "name-of-sixteen-and-more", true);
	fake_host_want(f, FAMILY_PROCESS, "name-of-sixteen-and-less", true);
	start();
	/* One scan for them all, before init is through; zombies are none */
	ck_assert_uint_eq(((struct processes *)f->state)->scans, 1);
	ck_assert_double_eq(count("sshd"), 2);
	ck_assert_double_eq(count("cron"), 0);
	ck_assert_double_eq(count("a) b (c"), 1);
	ck_assert_double_eq(count("name-of-sixteen-and-more"), 1);
	ck_assert_double_eq(count("name-of-sixteen-and-less"), 0);
	ck_assert_uint_eq(fake_host_puts(f, "process:sshd:count"), 1);
	ck_assert_uint_eq(f->filter.all, KITH_PROCESS_EXEC | KITH_PROCESS_FORK);
	ck_assert_uint_eq(f->filter.some, KITH_PROCESS_EXIT | KITH_PROCESS_NAME);
	ck_assert_uint_eq(f->filter.n_pids, 4);
	ck_assert(filter_has(20) && filter_has(21) && filter_has(30) && filter_has(31));
	ck_assert_uint_eq(f->filter.n_names, 5);
}
END_TEST

START_TEST(events)
{
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	start();
	/* exec into it */
	process(50, "sshd", 'S', 1, "");
	event(KITH_PROCESS_EXEC, 50, 0);
	ck_assert_double_eq(count("sshd"), 3);
	ck_assert(!filter_has(50));
	batch();
	ck_assert(filter_has(50));
	/* fork, then exec of something else */
	process(51, "sshd", 'S', 1, "");
	event(KITH_PROCESS_FORK, 51, 20);
	ck_assert_double_eq(count("sshd"), 4);
	process(51, "bash", 'S', 1, "");
	event(KITH_PROCESS_EXEC, 51, 0);
	ck_assert_double_eq(count("sshd"), 3);
	/* others do not matter */
	process(52, "bash", 'S', 1, "");
	event(KITH_PROCESS_FORK, 52, 1);
	event(KITH_PROCESS_EXEC, 52, 0);
	event(KITH_PROCESS_EXIT, 52, 1);
	ck_assert_double_eq(count("sshd"), 3);
	/* a new name of its own */
	process(50, "else", 'S', 1, "");
	event(KITH_PROCESS_NAME, 50, 0);
	ck_assert_double_eq(count("sshd"), 2);
	process(50, "sshd", 'S', 1, "");
	event(KITH_PROCESS_NAME, 50, 0);
	ck_assert_double_eq(count("sshd"), 3);
	/* exits: a zombie, and one that is gone */
	process(50, "sshd", 'Z', 1, "");
	event(KITH_PROCESS_EXIT, 50, 1);
	ck_assert_double_eq(count("sshd"), 2);
	gone(21);
	event(KITH_PROCESS_EXIT, 21, 1);
	ck_assert_double_eq(count("sshd"), 1);
	event(KITH_PROCESS_EXIT, 21, 1);
	ck_assert_double_eq(count("sshd"), 1);
}
END_TEST

/* It was gone before the kernel's filter knew it: no event tells */
START_TEST(gone_before_the_filter)
{
	uint64_t updates;

	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	start();
	updates = ((struct processes *)f->state)->updates;
	for (int pid = 50; pid < 60; pid++) {
		process(pid, "sshd", 'S', 1, "");
		event(KITH_PROCESS_FORK, pid, 20);
	}
	ck_assert_double_eq(count("sshd"), 12);
	gone(55);
	process(56, "sshd", 'Z', 1, "");
	process(57, "else", 'S', 1, "");
	batch();
	ck_assert_double_eq(count("sshd"), 9);
	ck_assert_uint_eq(((struct processes *)f->state)->updates, updates + 1); /* one for the burst */
}
END_TEST

/* A daemon whose first two processes were gone before anybody looked: its name was never seen on them */
START_TEST(double_fork)
{
	fake_host_want(f, FAMILY_PROCESS, "daemon", true);
	start();
	event(KITH_PROCESS_EXEC, 70, 0);
	event(KITH_PROCESS_FORK, 71, 70);
	process(72, "daemon", 'S', 1, "");
	event(KITH_PROCESS_FORK, 72, 71);
	ck_assert_double_eq(count("daemon"), 1);
}
END_TEST

/* Events that are older than a scan have been overtaken by it */
START_TEST(stale_events)
{
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	start();
	ck_assert_int_gt(((struct processes *)f->state)->settled, f->now - 1);
	/* The child of then is none any more, or was never seen: not counted because its parent is */
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_FORK, 99, 20, 0, NULL), 0);
	process(98, "bash", 'S', 1, "");
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_FORK, 98, 20, 0, NULL), 0);
	ck_assert_double_eq(count("sshd"), 2);
}
END_TEST

/* A scan counts the end of what it has seen itself; the fork's event comes after that */
START_TEST(overtaken_fork)
{
	struct processes *p;

	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	start();
	p = f->state;
	f->now += 2 * SECOND;
	process(60, "sshd", 'S', 1, "");
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_double_eq(count("sshd"), 3);
	f->now += 2 * SECOND;
	process(60, "sshd", 'Z', 1, "");
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_double_eq(count("sshd"), 2);
	ck_assert_uint_eq(p->wanted->exits, 1);
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_FORK, 60, 20, 0, NULL), 0);
	ck_assert_uint_eq(p->wanted->exits, 1);
	/* Another owner of the pid, since then: too short for a look, but counted */
	p->overtaken[0].time = 1;
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_FORK, 60, 20, 0, NULL), 0);
	ck_assert_uint_eq(p->wanted->exits, 2);
}
END_TEST

START_TEST(many)
{
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	start();
	for (int pid = 100; pid < 163; pid++) {
		process(pid, "sshd", 'S', 1, "");
		event(KITH_PROCESS_FORK, pid, 20);
	}
	batch();
	ck_assert_double_eq(count("sshd"), 65);
	ck_assert_uint_eq(f->filter.some, 0); /* too many to name: all */
	ck_assert_uint_eq(f->filter.n_pids, 0);
	ck_assert_uint_eq(f->filter.all, KITH_PROCESS_EXEC | KITH_PROCESS_FORK | KITH_PROCESS_EXIT | KITH_PROCESS_NAME);
	/* Forked before that, and gone before that: its exit was told to nobody */
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_FORK, 999, 20, 0, NULL), 0);
	ck_assert_double_eq(count("sshd"), 65);
	/* Forked since: counted without a look, its exit will be told */
	event(KITH_PROCESS_FORK, 998, 20);
	ck_assert_double_eq(count("sshd"), 66);
	event(KITH_PROCESS_EXIT, 998, 20);
	for (int pid = 100; pid < 132; pid++) {
		gone(pid);
		event(KITH_PROCESS_EXIT, pid, 20);
	}
	ck_assert_int_eq(fake_host_advance(f, SECOND), -ENOENT);
	ck_assert_double_eq(count("sshd"), 33);
	ck_assert_uint_eq(f->filter.some, 0); /* hysteresis */
	gone(132);
	event(KITH_PROCESS_EXIT, 132, 20);
	batch();
	ck_assert_uint_eq(f->filter.n_pids, 32);
	ck_assert_uint_eq(f->filter.some, KITH_PROCESS_EXIT | KITH_PROCESS_NAME);
}
END_TEST

START_TEST(resync)
{
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	start();
	f->now += 2 * SECOND;
	gone(20);
	process(60, "sshd", 'S', 1, "");
	process(61, "sshd", 'S', 1, "");
	process(21, "else", 'S', 1, "");
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_double_eq(count("sshd"), 2);
	ck_assert_uint_eq(fake_host_puts(f, "process:sshd:count"), 1); /* 2 before, 2 after: nothing in between is put */
	ck_assert(filter_has(60) && filter_has(61));
	/* Again at once: not before a second has passed, and then once */
	process(62, "sshd", 'S', 1, "");
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_uint_eq(((struct processes *)f->state)->scans, 2);
	ck_assert_int_eq(fake_host_advance(f, SECOND), 0);
	ck_assert_uint_eq(((struct processes *)f->state)->scans, 3);
	ck_assert_double_eq(count("sshd"), 3);
}
END_TEST

START_TEST(wishes_come_and_go)
{
	start();
	fake_host_want(f, FAMILY_PROCESS, "init", true);
	batch();
	ck_assert_double_eq(count("init"), 1);
	f->now += 5 * SECOND;
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	fake_host_want(f, FAMILY_PROCESS, "cron", true);
	ck_assert(isnan(count("sshd")));
	batch();
	ck_assert_double_eq(count("sshd"), 2);
	ck_assert_double_eq(count("cron"), 0);
	ck_assert_uint_eq(((struct processes *)f->state)->scans, 2);
	fake_host_want(f, FAMILY_PROCESS, "sshd", false);
	ck_assert(!fake_host_has(f, "process", "sshd"));
	batch();
	ck_assert(!filter_has(20));
	fake_host_want(f, FAMILY_PROCESS, "init", false);
	fake_host_want(f, FAMILY_PROCESS, "cron", false);
	ck_assert_uint_eq(fake_host_instances(f, "process"), 0);
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_EXEC, 1, 0, 0, NULL), -ENOENT);
	ck_assert_int_eq(fake_host_advance(f, 1000 * SECOND), -ENOENT);
	/* And again */
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	batch();
	ck_assert_double_eq(count("sshd"), 2);
}
END_TEST

START_TEST(globs)
{
	start();
	fake_host_want(f, FAMILY_PROCESS, "ssh*", true);
	ck_assert_ptr_nonnull(f->note);
	ck_assert_ptr_nonnull(strstr(f->note, "'*'"));
	ck_assert_uint_eq(fake_host_instances(f, "process"), 0);
	ck_assert_uint_eq(f->n_filters, 0);
	fake_host_want(f, FAMILY_PROCESS, "ssh*", false);
	ck_assert_ptr_null(f->note);
}
END_TEST

static void falls_back(void)
{
	ck_assert_ptr_nonnull(f->note);
	ck_assert_ptr_nonnull(strstr(f->note, "every 20 s"));
	ck_assert_double_eq(count("sshd"), 2);
	process(60, "sshd", 'S', 1, "");
	ck_assert_int_eq(fake_host_advance(f, 25 * SECOND), 0);
	ck_assert_double_eq(count("sshd"), 3);
	fake_host_want(f, FAMILY_PROCESS, "sshd", false);
	ck_assert_ptr_null(f->note);
	ck_assert_int_eq(fake_host_advance(f, 1000 * SECOND), -ENOENT);
}

START_TEST(not_allowed)
{
	fake_host_option(f, "scan_interval", "20s");
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	f->fail_process = -EPERM;
	start();
	falls_back();
}
END_TEST

START_TEST(silent)
{
	fake_host_option(f, "scan_interval", "20s");
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	start();
	ck_assert_ptr_null(f->note);
	ck_assert_int_eq(fake_host_process(f, 0, 0, 0, EOPNOTSUPP, NULL), 0);
	ck_assert_int_eq(fake_host_process(f, KITH_PROCESS_EXEC, 1, 0, 0, NULL), -ENOENT); /* let go */
	falls_back();
}
END_TEST

START_TEST(no_room)
{
	start();
	fake_host_cap(f, "process", 1);
	fake_host_want(f, FAMILY_PROCESS, "sshd", true);
	fake_host_want(f, FAMILY_PROCESS, "init", true);
	batch();
	ck_assert_double_eq(count("sshd"), 2);
	ck_assert_ptr_nonnull(strstr(f->last_log, "init"));
	fake_host_want(f, FAMILY_PROCESS, "init", false);
	fake_host_want(f, FAMILY_PROCESS, "sshd", false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("processes");
	TCase *c = tcase_create("processes");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, totals);
	tcase_add_test(c, totals_real);
	tcase_add_test(c, scan);
	tcase_add_test(c, stat_lines);
	tcase_add_test(c, nobody_asks);
	tcase_add_test(c, names_at_start);
	tcase_add_test(c, events);
	tcase_add_test(c, gone_before_the_filter);
	tcase_add_test(c, double_fork);
	tcase_add_test(c, stale_events);
	tcase_add_test(c, overtaken_fork);
	tcase_add_test(c, many);
	tcase_add_test(c, resync);
	tcase_add_test(c, wishes_come_and_go);
	tcase_add_test(c, globs);
	tcase_add_test(c, not_allowed);
	tcase_add_test(c, silent);
	tcase_add_test(c, no_room);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
