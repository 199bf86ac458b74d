/* loop/: descriptors, priority, timers, children, signals, wakes, the tick; watches removed while they are dispatched */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"

#define DEADLINE (20 * NS_PER_S)

static struct loop *l;
static int calls, others;
static unsigned last_events;
static struct loop_watch *watch, *other;

static void setup(void)
{
	ck_assert_int_eq(loop_new(&l), 0);
	calls = others = 0;
	watch = other = NULL;
}

static void teardown(void)
{
	loop_free(l);
}

#define until(condition) \
	do { \
		int64_t end_ = clock_mono() + DEADLINE; \
		while (!(condition)) { \
			ck_assert_msg(clock_mono() < end_, "waited for: %s", #condition); \
			loop_run_once(l, 10 * NS_PER_MS); \
		} \
	} while (0)

static void settle(int64_t ns)
{
	int64_t end = clock_mono() + ns;

	while (clock_mono() < end)
		loop_run_once(l, end - clock_mono());
}

static void hear_fd(int fd, unsigned events, void *user)
{
	char c[16];

	(void)user;
	calls++;
	last_events = events;
	if (events & LOOP_READ)
		ck_assert_int_ge(read(fd, c, sizeof(c)), 0);
}

START_TEST(descriptors)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(loop_fd(l, -1, LOOP_READ, hear_fd, NULL, &watch), -EBADF);
	ck_assert_int_eq(loop_fd(l, ends[0], LOOP_READ, hear_fd, NULL, &watch), 0);
	settle(20 * NS_PER_MS);
	ck_assert_int_eq(calls, 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	until(calls == 1);
	ck_assert_uint_eq(last_events, LOOP_READ);
	loop_fd_set(l, watch, 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	settle(20 * NS_PER_MS);
	ck_assert_int_eq(calls, 1);
	loop_fd_set(l, watch, LOOP_READ | LOOP_WRITE);
	until(calls == 2);
	ck_assert_uint_eq(last_events, LOOP_READ | LOOP_WRITE);
	loop_fd_set(l, watch, LOOP_READ);
	loop_fd_set(l, watch, LOOP_READ);
	calls = 0;
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	until(calls == 1);
	loop_remove(l, watch);
	loop_remove(l, NULL);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	settle(20 * NS_PER_MS);
	ck_assert_int_eq(calls, 1);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* The same number for another descriptor, at once */
START_TEST(descriptors_are_reused)
{
	for (int i = 0; i < 20; i++) {
		int ends[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		ck_assert_int_eq(loop_fd(l, ends[0], LOOP_READ, hear_fd, NULL, &watch), 0);
		calls = 0;
		ck_assert_int_eq(write(ends[1], "x", 1), 1);
		until(calls == 1);
		/* Closed first, removed after, as a plugin's end does */
		close(ends[0]);
		close(ends[1]);
		loop_remove(l, watch);
	}
}
END_TEST

static void hear_priority(int fd, unsigned events, void *user)
{
	char c;

	(void)events;
	(void)user;
	calls++;
	ck_assert_int_eq(recv(fd, &c, 1, MSG_OOB), 1);
}

/* Plain data must not wake it: a regular file or a socket with data is always readable. */
START_TEST(priority)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 || send(ends[1], "", 0, 0) < 0)
		ck_abort_msg("no socket");
	ck_assert_int_eq(loop_pri(l, ends[0], hear_priority, NULL, &watch), 0);
	ck_assert_int_eq(write(ends[1], "plain", 5), 5);
	settle(30 * NS_PER_MS);
	ck_assert_int_eq(calls, 0);
	ck_assert_uint_lt(loop_iterations(l), 50);
	if (send(ends[1], "!", 1, MSG_OOB) == 1)
		until(calls == 1);
	ck_assert_int_lt(loop_pri(l, 9999, hear_priority, NULL, NULL), 0);
	loop_remove(l, watch);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static void count(void *user)
{
	++*(int *)user;
}

START_TEST(timers)
{
	int64_t begin = clock_mono();

	ck_assert_int_eq(loop_timer(l, 30 * NS_PER_MS, 0, 0, count, &calls, &watch), 0);
	until(calls == 1);
	ck_assert_int_ge(clock_mono() - begin, 29 * NS_PER_MS);
	settle(50 * NS_PER_MS);
	ck_assert_int_eq(calls, 1);
	loop_timer_set(l, watch, 0);
	until(calls == 2);
	loop_timer_set(l, watch, NS_PER_MS);
	loop_timer_set(l, watch, -1);
	settle(20 * NS_PER_MS);
	ck_assert_int_eq(calls, 2);
	ck_assert_int_eq(loop_timer(l, -1, 0, 0, count, &others, &other), 0);
	settle(20 * NS_PER_MS);
	ck_assert_int_eq(others, 0);
	loop_remove(l, other);
	ck_assert_int_eq(loop_timer(l, 0, 2 * NS_PER_MS, 0, count, &others, NULL), 0);
	until(others == 5);
}
END_TEST

/* Timers with slack meet: many of them cost few wake-ups. */
START_TEST(slack_is_shared)
{
	int64_t end = clock_mono() + DEADLINE;
	int wakeups = 0;

	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(loop_timer(l, (100 + i) * NS_PER_MS, 0, 256 * NS_PER_MS, count, &calls, NULL), 0);
	for (; calls < 50 && clock_mono() < end; wakeups++)
		loop_run_once(l, NS_PER_S);
	ck_assert_int_eq(calls, 50);
	/* One boundary or two of 256 ms; some ms early now and then */
	ck_assert_int_le(wakeups, 10);
}
END_TEST

static void remove_both(void *user)
{
	(void)user;
	calls++;
	loop_remove(l, watch);
	loop_remove(l, other);
	watch = other = NULL;
}

/* Two that are due in one batch, each of which removes the other: only the first is called. */
START_TEST(removed_by_another_of_the_batch)
{
	ck_assert_int_eq(loop_timer(l, NS_PER_MS, 0, 0, remove_both, NULL, &watch), 0);
	ck_assert_int_eq(loop_timer(l, NS_PER_MS, 0, 0, remove_both, NULL, &other), 0);
	usleep(5000);
	until(calls == 1);
	settle(20 * NS_PER_MS);
	ck_assert_int_eq(calls, 1);
}
END_TEST

static int child_status;
static void hear_child(pid_t pid, int status, void *user)
{
	(void)user;
	ck_assert_int_gt(pid, 0);
	calls++;
	child_status = status;
}

START_TEST(children)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	ck_assert_int_eq(loop_child(l, pid, hear_child, NULL, &watch), 0);
	until(calls == 1);
	ck_assert_int_eq(WEXITSTATUS(child_status), 7);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), -1);
	ck_assert_int_lt(loop_child(l, 0x3fffffff, hear_child, NULL, NULL), 0);
	/* Another process's children are not touched. */
	pid = fork();
	if (pid == 0)
		_exit(3);
	settle(30 * NS_PER_MS);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(signals)
{
	ck_assert_int_eq(loop_signal(l, SIGUSR1, count, &calls, &watch), 0);
	raise(SIGUSR1);
	until(calls == 1);
	loop_remove(l, watch);
}
END_TEST

static void *waker(void *user)
{
	for (int i = 0; i < 1000; i++)
		loop_wake(l, user);
	return NULL;
}

START_TEST(wakes)
{
	pthread_t thread;

	ck_assert_int_eq(loop_async(l, count, &calls, &watch), 0);
	settle(10 * NS_PER_MS);
	ck_assert_int_eq(calls, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, waker, watch), 0);
	until(calls > 0);
	pthread_join(thread, NULL);
	settle(10 * NS_PER_MS);
	ck_assert_int_le(calls, 1000);
	loop_remove(l, watch);
}
END_TEST

static int64_t tick_wanted, tick_jump;
static void hear_tick(int64_t at, int64_t jump, void *user)
{
	(void)user;
	calls++;
	ck_assert_int_eq(at, tick_wanted);
	tick_jump = jump;
}

START_TEST(the_tick)
{
	loop_tick(l, hear_tick, NULL);
	tick_wanted = clock_wall() + NS_PER_S * 100;
	loop_tick_at(l, tick_wanted);
	tick_wanted = clock_wall() + 20 * NS_PER_MS;
	loop_tick_at(l, tick_wanted);
	until(calls == 1);
	ck_assert_int_eq(tick_jump, 0);
	ck_assert_int_ge(loop_now(l), tick_wanted - 5 * NS_PER_MS);
	settle(30 * NS_PER_MS);
	ck_assert_int_eq(calls, 1);
	/* In the past: at once. The same time again after it has come: again. */
	tick_wanted = clock_wall() - NS_PER_S;
	loop_tick_at(l, tick_wanted);
	until(calls == 2);
	loop_tick_at(l, tick_wanted);
	until(calls == 3);
	tick_wanted = clock_wall() + 10 * NS_PER_MS;
	loop_tick_at(l, tick_wanted);
	loop_tick_at(l, 0);
	settle(30 * NS_PER_MS);
	ck_assert_int_eq(calls, 3);
}
END_TEST

static void stop(void *user)
{
	loop_stop(user);
}

START_TEST(runs_until_stopped)
{
	ck_assert_int_eq(loop_timer(l, NS_PER_MS, NS_PER_MS, 0, count, &calls, NULL), 0);
	ck_assert_int_eq(loop_timer(l, 20 * NS_PER_MS, 0, 0, stop, l, NULL), 0);
	loop_run(l);
	ck_assert_int_gt(calls, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tc = tcase_create("loop");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, descriptors);
	tcase_add_test(tc, descriptors_are_reused);
	tcase_add_test(tc, priority);
	tcase_add_test(tc, timers);
	tcase_add_test(tc, slack_is_shared);
	tcase_add_test(tc, removed_by_another_of_the_batch);
	tcase_add_test(tc, children);
	tcase_add_test(tc, signals);
	tcase_add_test(tc, wakes);
	tcase_add_test(tc, the_tick);
	tcase_add_test(tc, runs_until_stopped);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
