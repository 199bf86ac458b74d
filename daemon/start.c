#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* Makes a directory and those above it. */
static int make_directory(const char *path, mode_t mode)
{
	char copy[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	strcpy(copy, path);
	for (char *c = copy + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*c = '/';
	}
	if (mkdir(copy, mode) < 0 && errno != EEXIST)
		return -errno;
	if (stat(copy, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* Below /tmp somebody else may have been first. */
	return st.st_uid == geteuid() || geteuid() == 0 ? 0 : -EPERM;
}

int start_directories(struct daemon *d)
{
	int r = make_directory(d->options.run_dir, 0755);

	if (r < 0) {
		log_err("run directory %s: %s; choose another with --run-dir", d->options.run_dir, strerror(-r));
		return r;
	}
	r = make_directory(d->options.state_dir, 0750);
	if (r < 0)
		log_err("state directory %s: %s; choose another with --state-dir", d->options.state_dir, strerror(-r));
	return r;
}

int start_lock(struct daemon *d)
{
	char path[PATH_MAX], pid[16];
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/kithd.lock", d->options.run_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (d->lock < 0) {
		log_err("%s: %s", path, strerror(errno));
		return -errno;
	}
	if (flock(d->lock, LOCK_EX | LOCK_NB) < 0) {
		n = read(d->lock, pid, sizeof(pid) - 1);
		pid[n > 0 ? n : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		log_err("another kithd (pid %s) runs on %s: stop it, or give this one its own --run-dir", *pid ? pid : "unknown",
		        d->options.run_dir);
		close(d->lock);
		d->lock = -1;
		return -EADDRINUSE;
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(d->lock, 0) < 0 || pwrite(d->lock, pid, (size_t)n, 0) < 0)
		log_warning("%s: %s", path, strerror(errno));
	return 0;
}

void start_unlock(struct daemon *d)
{
	if (d->lock < 0)
		return;
	if (ftruncate(d->lock, 0) < 0)
		log_debug("lock: %s", strerror(errno));
	close(d->lock);
	d->lock = -1;
}

/* The parent waits until the daemon works, and exits as it fared. */
int start_background(struct daemon *d)
{
	int ends[2], null, status = 1;
	char ok;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		close(ends[1]);
		if (read(ends[0], &ok, 1) == 1)
			_exit(0);
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status))
			_exit(WEXITSTATUS(status));
		_exit(1);
	}
	close(ends[0]);
	d->ready = ends[1];
	setsid();
	if (chdir("/") < 0)
		return -errno;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
	return 0;
}

/* sd_notify's protocol: a datagram to the socket that the supervisor named */
void start_notify(const char *state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	socklen_t length;
	int fd;

	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(to.sun_path))
		return;
	strcpy(to.sun_path, path);
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, length) < 0)
		log_warning("the supervisor's socket %s: %s", path, strerror(errno));
	close(fd);
}

void start_ready(struct daemon *d)
{
	int null;

	start_notify("READY=1\nSTATUS=Running");
	if (d->ready < 0)
		return;
	if (write(d->ready, "1", 1) != 1)
		log_debug("nobody waits for the start");
	close(d->ready);
	d->ready = -1;
	/* From here on the log goes to syslog: standard error belongs to the shell that started this, which may wait for its end. */
	log_to_syslog();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, STDERR_FILENO);
	close(null);
}
