#include "tests/bench/listen.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define WAIT_STEPS 100000 /* of 100 us */

/* Between the two processes. The listener stores the time only while `armed`, and then takes it back. */
struct shared {
	atomic_int armed;
	_Atomic int64_t pid;
	_Atomic int64_t at;
};

struct listener {
	struct shared *shared;
	enum listen_to to;
	int fd;
	pid_t child;
};

static int netlink_open(int protocol, unsigned groups)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int exit_open(void)
{
	/* nlmsghdr, cn_msg and the operation, one after the other without padding */
	struct {
		struct nlmsghdr header;
		char rest[sizeof(struct cn_msg) + sizeof(enum proc_cn_mcast_op)];
	} request = { .header = { .nlmsg_len = sizeof(request), .nlmsg_type = NLMSG_DONE } };
	struct cn_msg message = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = sizeof(enum proc_cn_mcast_op) };
	enum proc_cn_mcast_op listen = PROC_CN_MCAST_LISTEN;
	int fd = netlink_open(NETLINK_CONNECTOR, CN_IDX_PROC);

	if (fd < 0)
		return fd;
	memcpy(request.rest, &message, sizeof(message));
	memcpy(request.rest + sizeof(message), &listen, sizeof(listen));
	if (send(fd, &request, sizeof(request), 0) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int file_open(const char *folder)
{
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (inotify_add_watch(fd, folder, IN_MOVED_TO) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int is_exit_of(const char *datagram, ssize_t n, int64_t pid)
{
	const size_t at = sizeof(struct nlmsghdr) + sizeof(struct cn_msg);
	struct proc_event event = { 0 };

	if (n < (ssize_t)at)
		return 0;
	/* The event is aligned to 4 bytes there, not to 8. */
	memcpy(&event, datagram + at, (size_t)n - at < sizeof(event) ? (size_t)n - at : sizeof(event));
	return event.what == PROC_EVENT_EXIT && event.event_data.exit.process_pid == pid;
}

static void listener_run(struct listener *l)
{
	char datagram[16384];

	for (;;) {
		ssize_t n = read(l->fd, datagram, sizeof(datagram));
		int64_t now = clock_mono();

		if (n < 0 && errno != EINTR && errno != ENOBUFS)
			_exit(1);
		if (n <= 0 || (l->to == LISTEN_EXIT && !is_exit_of(datagram, n, atomic_load(&l->shared->pid))))
			continue;
		if (atomic_exchange(&l->shared->armed, 0))
			atomic_store(&l->shared->at, now);
	}
}

int listen_start(enum listen_to to, const char *folder, struct listener **ret_listener)
{
	struct listener *l = calloc(1, sizeof(*l));
	pid_t parent = getpid();
	int r;

	if (!l)
		return -ENOMEM;
	l->to = to;
	switch (to) {
	case LISTEN_LINK:
		l->fd = netlink_open(NETLINK_ROUTE, RTMGRP_LINK);
		break;
	case LISTEN_EXIT:
		l->fd = exit_open();
		break;
	case LISTEN_FILE:
		l->fd = file_open(folder);
		break;
	case LISTEN_NOTHING:
		l->fd = -EINVAL;
		break;
	}
	if (l->fd < 0) {
		r = l->fd;
		goto fail;
	}
	l->shared = mmap(NULL, sizeof(*l->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->shared == MAP_FAILED) {
		r = -errno;
		goto fail_fd;
	}
	l->child = fork();
	if (l->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			listener_run(l);
		_exit(1);
	}
	if (l->child < 0) {
		r = -errno;
		goto fail_shared;
	}
	close(l->fd);
	*ret_listener = l;
	return 0;
fail_shared:
	munmap(l->shared, sizeof(*l->shared));
fail_fd:
	close(l->fd);
fail:
	free(l);
	return r;
}

void listen_arm(struct listener *l, pid_t pid)
{
	atomic_store(&l->shared->at, 0);
	atomic_store(&l->shared->pid, pid);
	atomic_store(&l->shared->armed, 1);
}

int listen_wait(struct listener *l, int64_t *ret_at)
{
	for (int i = 0; i < WAIT_STEPS; i++) {
		int64_t at = atomic_load(&l->shared->at);

		if (at) {
			*ret_at = at;
			return 0;
		}
		usleep(100);
	}
	return -ETIMEDOUT;
}

void listen_stop(struct listener *l)
{
	if (!l)
		return;
	if (l->child > 0) {
		kill(l->child, SIGKILL);
		waitpid(l->child, NULL, 0);
	}
	munmap(l->shared, sizeof(*l->shared));
	free(l);
}
