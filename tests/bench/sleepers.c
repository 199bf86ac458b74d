/*
 * Idle processes, so that a host has as many as the bench wants: forks them, says "ready", and waits for its standard
 * input to end; then ends them. They end with it, however it ends.
 *
 *   sleepers COUNT
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void sleeper(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int count = argc == 2 ? atoi(argv[1]) : -1, started = 0;
	pid_t parent = getpid(), *pids;
	char c;

	if (count < 0 || count > 100000) {
		fprintf(stderr, "usage: sleepers COUNT\n");
		return 2;
	}
	pids = calloc((size_t)count + 1, sizeof(*pids));
	if (!pids)
		return 1;
	for (; started < count; started++) {
		pids[started] = fork();
		if (pids[started] == 0)
			sleeper(parent);
		if (pids[started] < 0) {
			fprintf(stderr, "sleepers: fork after %d: %s\n", started, strerror(errno));
			break;
		}
	}
	if (started == count)
		printf("ready\n");
	fflush(stdout);
	while (started == count && read(STDIN_FILENO, &c, 1) > 0)
		;
	for (int i = 0; i < started; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < started; i++)
		waitpid(pids[i], NULL, 0);
	free(pids);
	return started == count ? 0 : 1;
}
