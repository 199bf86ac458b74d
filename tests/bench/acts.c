/* What is done to processes, files, mounts, listening sockets and the clock: see acts.h, and latency.c for the arguments. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/acts.h"

/* ---- exit ------------------------------------------------------------------------------------------------------- */

/* Nobody waits for the victim: a zombie is not gone, for those who poll. */
static int exit_start(struct actor *a)
{
	signal(SIGCHLD, SIG_IGN);
	return access(a->args[0], X_OK) < 0 ? -errno : 0;
}

static int exit_mend(struct actor *a)
{
	pid_t parent = getpid();

	a->victim = fork();
	if (a->victim < 0)
		return -errno;
	if (a->victim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			execl(a->args[0], a->args[0], "--victim", (char *)NULL);
		_exit(127);
	}
	return 0;
}

static int exit_harm(struct actor *a)
{
	a->acted = clock_mono();
	if (kill(a->victim, SIGKILL) < 0)
		return -errno;
	return 0;
}

/* ---- file ------------------------------------------------------------------------------------------------------- */

static int file_start(struct actor *a)
{
	return access(a->args[0], R_OK) < 0 || access(a->args[1], R_OK) < 0 ? -errno : 0;
}

/* Renames a copy, made beside the original: its folder is not the one that kithd watches. */
static int file_put(struct actor *a, const char *from)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out, r = 0;
	struct stat st;
	char copy[4096];

	if (in < 0)
		return -errno;
	if (fstat(in, &st) < 0 || snprintf(copy, sizeof(copy), "%s.copy", from) >= (int)sizeof(copy)) {
		close(in);
		return -EINVAL;
	}
	out = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0 || sendfile(out, in, NULL, (size_t)st.st_size) != st.st_size)
		r = -EIO;
	close(in);
	if (out >= 0)
		close(out);
	a->acted = clock_mono();
	if (r == 0 && rename(copy, a->args[2]) < 0)
		r = -errno;
	return r;
}

static int file_mend(struct actor *a)
{
	return file_put(a, a->args[0]);
}

static int file_harm(struct actor *a)
{
	return file_put(a, a->args[1]);
}

/* ---- write ------------------------------------------------------------------------------------------------------ */

static int write_start(struct actor *a)
{
	return access(a->args[0], W_OK) < 0 ? -errno : 0;
}

static int write_text(struct actor *a, const char *text)
{
	int fd, r = 0;

	a->acted = clock_mono();
	fd = open(a->args[0], O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int write_mend(struct actor *a)
{
	return write_text(a, a->args[1]);
}

static int write_harm(struct actor *a)
{
	return write_text(a, a->args[2]);
}

/* ---- mount ------------------------------------------------------------------------------------------------------ */

static int mount_mend(struct actor *a)
{
	return mount("kithbench", a->args[0], "tmpfs", 0, "size=64k") < 0 ? -errno : 0;
}

static int mount_harm(struct actor *a)
{
	a->acted = clock_mono();
	return umount(a->args[0]) < 0 ? -errno : 0;
}

/* ---- listen ----------------------------------------------------------------------------------------------------- */

static int listen_mend(struct actor *a)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(a->args[0])),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	a->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0 || setsockopt(a->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(a->fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(a->fd, 5) < 0)
		return -errno;
	return 0;
}

static int listen_harm(struct actor *a)
{
	a->acted = clock_mono();
	return close(a->fd) < 0 ? -errno : 0;
}

/* ---- clock ------------------------------------------------------------------------------------------------------ */

/* By so much that kithd calls it a step, and back before anybody is late by it */
static int clock_step(struct actor *a, int64_t by)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec + by;
	now = (struct timespec){ .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
	a->acted = clock_mono();
	return clock_settime(CLOCK_REALTIME, &now) < 0 ? -errno : 0;
}

/* It is forward by one step before each mending, and after the last harm: see end. A pause, so that the two are not one step of nothing. */
static int clock_start(struct actor *a)
{
	int r = clock_step(a, atoi(a->args[0]) * NS_PER_MS);

	usleep(500000);
	return r;
}

static int clock_harm(struct actor *a)
{
	return clock_step(a, atoi(a->args[0]) * NS_PER_MS);
}

static int clock_mend(struct actor *a)
{
	return clock_step(a, -atoi(a->args[0]) * NS_PER_MS);
}

const struct act acts[] = {
	{ "exit", 1, LISTEN_EXIT, exit_start, exit_mend, exit_harm, NULL },
	{ "file", 3, LISTEN_FILE, file_start, file_mend, file_harm, NULL },
	{ "write", 3, LISTEN_NOTHING, write_start, write_mend, write_harm, NULL },
	{ "mount", 1, LISTEN_NOTHING, NULL, mount_mend, mount_harm, NULL },
	{ "listen", 1, LISTEN_NOTHING, NULL, listen_mend, listen_harm, NULL },
	{ "clock", 1, LISTEN_NOTHING, clock_start, clock_mend, clock_harm, clock_mend },
};
const size_t n_acts = sizeof(acts) / sizeof(acts[0]);
