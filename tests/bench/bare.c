/*
 * The bare daemon: what a host monitor cannot do without. Once an interval, aligned to the wall clock, it reads the six
 * files with pread from descriptors that stay open, to their end, and looks at nothing. `make bench` measures kithd
 * against it.
 *
 *   bare SECONDS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FILES 6
#define BUFFER_SIZE (256u << 10)

static const char *const paths[FILES] = {
	"/proc/stat", "/proc/meminfo", "/proc/loadavg", "/proc/diskstats", "/proc/net/dev", "/proc/vmstat",
};

static int bare_round(const int fds[FILES], char *buffer)
{
	for (int i = 0; i < FILES; i++) {
		size_t length = 0;
		ssize_t n;

		/* A short read is not the end: the kernel hands out whole records, a page at a time. */
		do {
			n = pread(fds[i], buffer + length, BUFFER_SIZE - length, (off_t)length);
			if (n < 0)
				return -errno;
			length += (size_t)n;
		} while (n > 0 && length < BUFFER_SIZE);
	}
	return 0;
}

static int bare_timer(time_t interval)
{
	struct itimerspec when = { .it_interval.tv_sec = interval };
	struct timespec now;
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	clock_gettime(CLOCK_REALTIME, &now);
	when.it_value.tv_sec = (now.tv_sec / interval + 1) * interval;
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : fd;
}

static int bare_run(int timer, const int fds[FILES], char *buffer)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC), r = 0;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) < 0)
		return -errno;
	while (r == 0) {
		uint64_t expired;

		if (epoll_wait(epoll, &event, 1, -1) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (read(timer, &expired, sizeof(expired)) < 0)
			continue;
		r = bare_round(fds, buffer);
	}
	return r;
}

int main(int argc, char **argv)
{
	int interval = argc == 2 ? atoi(argv[1]) : 0;
	char *buffer = malloc(BUFFER_SIZE);
	int fds[FILES], timer, r;

	if (interval < 1) {
		fprintf(stderr, "usage: bare SECONDS\n");
		return 2;
	}
	for (int i = 0; i < FILES; i++) {
		fds[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0) {
			fprintf(stderr, "bare: %s: %s\n", paths[i], strerror(errno));
			return 1;
		}
	}
	timer = bare_timer(interval);
	r = !buffer ? -ENOMEM : timer < 0 ? timer : bare_run(timer, fds, buffer);
	fprintf(stderr, "bare: %s\n", strerror(-r));
	return 1;
}
