#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(const int *signals, unsigned n)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (unsigned i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int signals_or_reader(int signals)
{
	struct epoll_event signal = { .events = EPOLLIN }, reader = { .events = 0 }; /* EPOLLERR and EPOLLHUP are told unasked */
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (signals >= 0)
		epoll_ctl(fd, EPOLL_CTL_ADD, signals, &signal);
	/* A file has no reader, and cannot be added. */
	epoll_ctl(fd, EPOLL_CTL_ADD, STDOUT_FILENO, &reader);
	return fd;
}

int signals_next(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}
