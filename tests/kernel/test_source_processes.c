/* The processes plugin on the real process events: counts of a name, exact through exec, fork, rename, exit, and after a storm */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/real_sources.h"

extern const struct kith_plugin kith_plugin;

#define NAME "kithtest"
#define LONG_NAME "kithtest-with-a-long-name"
#define COUNT "process:" NAME ":count"
#define LONG_COUNT "process:" LONG_NAME ":count"

static void wait_for(pid_t pid)
{
	int status;

	check(waitpid(pid, &status, 0) == pid);
}

/* Runs until killed */
static pid_t spawn_sleeper(const char *path)
{
	pid_t pid = fork();

	check(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(path, path, "1000", (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	wait_for(pid);
}

/* A child that calls itself `name` and runs fn, then sleeps until killed */
static pid_t spawn_named(const char *name, void (*fn)(void))
{
	pid_t pid = fork();

	check(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		if (fn)
			fn();
		for (;;)
			pause();
	}
	return pid;
}

static bool until(struct real *r, const char *name, double value)
{
	bool reached = real_until(r, name, value, 5 * NS_PER_S);

	if (!reached) {
		fprintf(stderr, "%s is %g, not %g\n", name, fake_host_value(r->f, name), value);
		if (system("grep -lx " NAME " /proc/[0-9]*/comm | xargs -rn1 dirname | while read p; do cat $p/stat; done >&2"))
			fprintf(stderr, "(no list)\n");
	}
	return reached;
}

static void fork_and_wait(int n)
{
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		check(pid >= 0);
		if (pid == 0)
			_exit(0);
		wait_for(pid);
	}
}

/* Nobody asks any more */
static void test_asleep(struct real *r, uint64_t filters)
{
	uint64_t iterations;

	real_run(r, 50 * NS_PER_MS);
	iterations = loop_iterations(r->loop);
	fork_and_wait(200);
	real_run(r, 50 * NS_PER_MS);
	check(loop_iterations(r->loop) - iterations <= 4); /* those of real_run itself */
	check(process_stats(r->process).filters <= filters);
	check_equal(fake_host_instances(r->f, "process"), 0);
}

static void test_life(struct real *r, const char *program, const char *long_program)
{
	pid_t a, b, c;

	a = spawn_sleeper(program); /* runs before it is asked for */
	usleep(50000);
	fake_host_want(r->f, 1, NAME, true);
	check(until(r, COUNT, 1));
	check(!r->f->note);
	b = spawn_sleeper(program);
	check(until(r, COUNT, 2));
	end(a);
	check(until(r, COUNT, 1));
	/* A zombie is none */
	kill(b, SIGKILL);
	check(until(r, COUNT, 0));
	wait_for(b);

	fake_host_want(r->f, 1, LONG_NAME, true);
	check(until(r, LONG_COUNT, 0));
	a = spawn_sleeper(long_program);
	check(until(r, LONG_COUNT, 1));
	check_equal(fake_host_value(r->f, COUNT), 0);
	fake_host_want(r->f, 1, LONG_NAME, false);
	check(!fake_host_has(r->f, "process", LONG_NAME));
	end(a);

	/* By its own choice of name, and back */
	c = spawn_named(NAME, NULL);
	check(until(r, COUNT, 1));
	end(c);
	check(until(r, COUNT, 0));
}

/* fork, the parent ends, fork, the parent ends: before anybody could have told the kernel about them */
static void double_fork(void)
{
	for (int i = 0; i < 2; i++) {
		if (fork() != 0)
			_exit(0);
		setsid();
		alarm(60);
	}
}

static pid_t remaining(const char *name)
{
	char path[300], comm[32];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	pid_t found = 0;

	check(dir);
	while ((entry = readdir(dir))) {
		FILE *f;

		if (*entry->d_name < '0' || *entry->d_name > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "r");
		if (f && fgets(comm, sizeof(comm), f) && !strncmp(comm, name, strlen(name)) && comm[strlen(name)] == '\n')
			found = (pid_t)atoi(entry->d_name);
		if (f)
			fclose(f);
	}
	closedir(dir);
	return found;
}

static void test_daemon(struct real *r)
{
	pid_t daemon;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	wait_for(spawn_named(NAME, double_fork));
	check(until(r, COUNT, 1));
	real_run(r, 100 * NS_PER_MS);
	check_equal(fake_host_value(r->f, COUNT), 1);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	daemon = remaining(NAME);
	check(daemon > 0);
	kill(daemon, SIGKILL);
	check(until(r, COUNT, 0));
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void *thread_sleep(void *arg)
{
	(void)arg;
	usleep(400000);
	_exit(0);
	return NULL;
}

static void leader_exits(void)
{
	pthread_t t;

	pthread_create(&t, NULL, thread_sleep, NULL);
	pthread_exit(NULL);
}

static void test_leader(struct real *r)
{
	pid_t pid = spawn_named(NAME, leader_exits);

	check(until(r, COUNT, 1));
	real_run(r, 150 * NS_PER_MS);
	check_equal(fake_host_value(r->f, COUNT), 1); /* a thread lives on */
	check(until(r, COUNT, 0));
	wait_for(pid);
}

static void test_many(struct real *r, const char *program)
{
	pid_t pids[100];
	uint64_t filters;

	for (int i = 0; i < 100; i++)
		pids[i] = spawn_sleeper(program);
	check(until(r, COUNT, 100));
	real_run(r, 100 * NS_PER_MS);
	filters = process_stats(r->process).filters;
	for (int i = 0; i < 60; i++)
		end(pids[i]);
	check(until(r, COUNT, 40));
	check_equal((double)process_stats(r->process).filters, (double)filters); /* all exits: nothing to tell the kernel */
	for (int i = 60; i < 100; i++)
		end(pids[i]);
	check(until(r, COUNT, 0));
	real_run(r, 100 * NS_PER_MS);
	check(process_stats(r->process).filters > filters);
}

struct storm {
	int total, left;
	bool slow;  /* fork instead of vfork */
	bool blind; /* nobody reads while it lasts: the socket overflows */
};

/* vfork: copying the page tables of a program with sanitizers 20,000 times would take minutes */
static __attribute__((noinline)) pid_t child_that_ends(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static pid_t child_that_stays(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static pid_t child_that_ends_slowly(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static void storm(const struct storm *s)
{
	int step = s->total / s->left;

	for (int i = 0; i < s->total; i++) {
		pid_t pid = i % step == 0 && i / step < s->left ? child_that_stays()
		            : s->slow                           ? child_that_ends_slowly()
		                                                : child_that_ends();

		check(pid > 0);
		if (i % 16 == 0)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	prctl(PR_SET_NAME, "kithstormdone");
}

static void test_storm(struct real *r, const struct storm *s)
{
	uint64_t overflows = process_stats(r->process).overflows;
	pid_t pid = fork();
	char path[64], comm[32] = "";

	check(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, NAME);
		storm(s);
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	while (strncmp(comm, "kithstormdone", 13)) {
		FILE *f = fopen(path, "r");

		check(f && fgets(comm, sizeof(comm), f));
		fclose(f);
		if (s->blind)
			usleep(20000);
		else
			real_run(r, 20 * NS_PER_MS);
	}
	/* The host is never quiet: other processes come and go */
	check(until(r, COUNT, s->left));
	real_run(r, 1200 * NS_PER_MS);
	check_equal(fake_host_value(r->f, COUNT), s->left);
	if (s->blind)
		check(process_stats(r->process).overflows > overflows);
	end(pid);
	check(until(r, COUNT, 0));
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void copy(const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof(command), "cp %s %s && chmod 755 %s", from, to, to);
	check(system(command) == 0);
}

int main(void)
{
	char dir[64], program[128], long_program[128];
	struct process_stats stats;
	struct real r;

	if (geteuid() != 0)
		skip("needs root");
	real_new(&r, &kith_plugin);
	real_start(&r);
	test_asleep(&r, 0);
	fake_host_want(r.f, 1, "kithtest-probe", true);
	real_run(&r, 1300 * NS_PER_MS);
	if (r.f->note)
		skip(r.f->note);
	fake_host_want(r.f, 1, "kithtest-probe", false);
	check(!fake_host_has(r.f, "process", "kithtest-probe"));
	fake_tree_new(dir);
	snprintf(program, sizeof(program), "%s/%s", dir, NAME);
	snprintf(long_program, sizeof(long_program), "%s/%s", dir, LONG_NAME);
	copy("/bin/sleep", program);
	copy("/bin/sleep", long_program);
	test_life(&r, program, long_program);
	test_daemon(&r);
	test_leader(&r);
	test_many(&r, program);
	test_storm(&r, &(struct storm){ 20000, 37, false, false });
	test_storm(&r, &(struct storm){ 20000, 37, false, true });
	test_storm(&r, &(struct storm){ 1500, 50, true, false });
	test_storm(&r, &(struct storm){ 1500, 100, true, false });
	stats = process_stats(r.process);
	printf("%llu events, %llu overflows, %llu filters, %u resyncs\n", (unsigned long long)stats.events,
	       (unsigned long long)stats.overflows, (unsigned long long)stats.filters, r.resyncs);
	check_equal((double)stats.malformed, 0);
	/* The last wish goes: nothing wakes us any more */
	fake_host_want(r.f, 1, NAME, false);
	test_asleep(&r, stats.filters);
	fake_tree_free(dir);
	real_free(&r);
	printf("ok\n");
	return 0;
}
