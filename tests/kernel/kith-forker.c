/*
 * Makes a storm of processes that carry this program's own name: kith-forker STORM STAY [START]
 *
 * STORM children are forked, each of which executes this program again and ends; then STAY children that execute it and stay. "done" is
 * printed then. With START, all of it begins when a line comes. All end with this one, which ends when its standard input does.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE 8 /* children of the storm that live at a time */

static void die(const char *what)
{
	fprintf(stderr, "kith-forker: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void child_start(const char *self, const char *what)
{
	pid_t pid = vfork();

	if (pid < 0)
		die("vfork");
	if (pid == 0) {
		execl(self, self, what, (char *)NULL);
		_exit(127);
	}
}

static void child_wait(void)
{
	int status;

	if (wait(&status) < 0)
		die("wait");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "kith-forker: a child ended with %#x\n", (unsigned)status);
		exit(1);
	}
}

static void storm(const char *self, long n)
{
	long running = 0;

	for (; n > 0; n--) {
		if (running == AT_ONCE)
			child_wait();
		else
			running++;
		child_start(self, "end");
	}
	for (; running > 0; running--)
		child_wait();
}

/* Until the parent is gone */
static int stay(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() != 1)
		pause();
	return 0;
}

int main(int argc, char **argv)
{
	char line[16];

	if (argc == 2)
		return strcmp(argv[1], "stay") == 0 ? stay() : 0;
	if (argc < 3) {
		fprintf(stderr, "kith-forker STORM STAY [START]\n");
		return 2;
	}
	if (argc > 3 && !fgets(line, sizeof(line), stdin))
		return 0;
	storm(argv[0], atol(argv[1]));
	for (long n = atol(argv[2]); n > 0; n--)
		child_start(argv[0], "stay");
	printf("done\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
