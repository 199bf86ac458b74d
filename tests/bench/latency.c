/*
 * How long kithd takes to notice. Does something to the host again and again, and takes CLOCK_MONOTONIC before the
 * system call that does it, at the arrival of the transition on the control socket and, with a stamp socket, at the
 * first instruction of the action (stamp.c).
 *
 *   latency SOCKET PROMISE ROUNDS STAMP link NAME            the link NAME is set down
 *   latency SOCKET PROMISE ROUNDS STAMP exit PROGRAM         PROGRAM, this program under another name, is killed
 *   latency SOCKET PROMISE ROUNDS STAMP file KEPT BROKEN TO  BROKEN's text replaces the file of promises TO by a rename
 *   latency SOCKET PROMISE ROUNDS STAMP write PATH KEPT BROKEN  the text BROKEN is written to the file PATH, and it is closed
 *   latency SOCKET PROMISE ROUNDS STAMP mount FOLDER         the file system at FOLDER is taken off
 *   latency SOCKET PROMISE ROUNDS STAMP listen PORT          the socket that listens on PORT of loopback is closed
 *
 * STAMP is the path of a datagram socket to make, or "-". The promise is broken when it begins. One line a round: ns to
 * the transition, ns to the action or "-". With "-" for SOCKET no kithd is asked: the time is that of a bare listener
 * (listen.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/client.h"
#include "tests/bench/listen.h"

#define WAIT (10 * NS_PER_S)
#define WATCH_TRANSITIONS_ONLY 4
/* Between rounds kithd is to fall asleep: 5 ms, and up to 15 ms more, so that no round keeps step with a timer. */
#define PAUSE_MIN_US 5000
#define PAUSE_MORE_US 15000

struct latency {
	struct client *client;     /* NULL: the listener */
	struct listener *listener;
	char *promise;
	int stamp; /* -1: none */
	char **args;
	int netlink;
	int listening;
	int ifindex;
	pid_t victim;
	int64_t acted; /* CLOCK_MONOTONIC before the last act */
};

struct act {
	const char *name;
	int n_args;
	enum listen_to to;
	int (*start)(struct latency *l);
	int (*mend)(struct latency *l);
	int (*harm)(struct latency *l); /* sets l->acted */
};

/* ---- link ------------------------------------------------------------------------------------------------------- */

static int link_start(struct latency *l)
{
	l->ifindex = (int)if_nametoindex(l->args[0]);
	l->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return !l->ifindex || l->netlink < 0 ? -errno : 0;
}

static int link_set(struct latency *l, bool up)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
		            .nlmsg_type = RTM_SETLINK,
		            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_family = AF_UNSPEC,
		          .ifi_index = l->ifindex,
		          .ifi_change = IFF_UP,
		          .ifi_flags = up ? IFF_UP : 0 },
	};
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} answer;
	const struct nlmsgerr *error = NLMSG_DATA(&answer.header);

	l->acted = clock_mono();
	if (send(l->netlink, &request, sizeof(request), 0) < 0)
		return -errno;
	if (recv(l->netlink, &answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(*error)))
		return -EPROTO;
	return answer.header.nlmsg_type == NLMSG_ERROR ? error->error : -EPROTO;
}

static int link_mend(struct latency *l)
{
	return link_set(l, true);
}

static int link_harm(struct latency *l)
{
	return link_set(l, false);
}

/* ---- exit ------------------------------------------------------------------------------------------------------- */

static int exit_start(struct latency *l)
{
	return access(l->args[0], X_OK) < 0 ? -errno : 0;
}

static int exit_mend(struct latency *l)
{
	pid_t parent = getpid();

	l->victim = fork();
	if (l->victim < 0)
		return -errno;
	if (l->victim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			execl(l->args[0], l->args[0], "--victim", (char *)NULL);
		_exit(127);
	}
	return 0;
}

static int exit_harm(struct latency *l)
{
	l->acted = clock_mono();
	if (kill(l->victim, SIGKILL) < 0)
		return -errno;
	return 0;
}

/* ---- file ------------------------------------------------------------------------------------------------------- */

static int file_start(struct latency *l)
{
	return access(l->args[0], R_OK) < 0 || access(l->args[1], R_OK) < 0 ? -errno : 0;
}

/* Renames a copy, made beside the original: its folder is not the one that kithd watches. */
static int file_put(struct latency *l, const char *from)
{
	char text[4096], copy[4096];
	int fd = open(from, O_RDONLY | O_CLOEXEC), r = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n < 0 || snprintf(copy, sizeof(copy), "%s.copy", from) >= (int)sizeof(copy))
		return -EINVAL;
	fd = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) != n)
		r = -EIO;
	close(fd);
	l->acted = clock_mono();
	if (r == 0 && rename(copy, l->args[2]) < 0)
		r = -errno;
	return r;
}

static int file_mend(struct latency *l)
{
	return file_put(l, l->args[0]);
}

static int file_harm(struct latency *l)
{
	return file_put(l, l->args[1]);
}

/* ---- write ------------------------------------------------------------------------------------------------------ */

static int write_start(struct latency *l)
{
	return access(l->args[0], W_OK) < 0 ? -errno : 0;
}

static int write_text(struct latency *l, const char *text)
{
	int fd, r = 0;

	l->acted = clock_mono();
	fd = open(l->args[0], O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int write_mend(struct latency *l)
{
	return write_text(l, l->args[1]);
}

static int write_harm(struct latency *l)
{
	return write_text(l, l->args[2]);
}

/* ---- mount ------------------------------------------------------------------------------------------------------ */

static int mount_mend(struct latency *l)
{
	return mount("kithbench", l->args[0], "tmpfs", 0, "size=64k") < 0 ? -errno : 0;
}

static int mount_harm(struct latency *l)
{
	l->acted = clock_mono();
	return umount(l->args[0]) < 0 ? -errno : 0;
}

/* ---- listen ----------------------------------------------------------------------------------------------------- */

static int listen_mend(struct latency *l)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(l->args[0])),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	l->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->listening < 0 || setsockopt(l->listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(l->listening, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(l->listening, 5) < 0)
		return -errno;
	return 0;
}

static int listen_harm(struct latency *l)
{
	l->acted = clock_mono();
	return close(l->listening) < 0 ? -errno : 0;
}

static int no_start(struct latency *l)
{
	(void)l;
	return 0;
}

static const struct act acts[] = {
	{ "link", 1, LISTEN_LINK, link_start, link_mend, link_harm },
	{ "exit", 1, LISTEN_EXIT, exit_start, exit_mend, exit_harm },
	{ "file", 3, LISTEN_FILE, file_start, file_mend, file_harm },
	/* These have no listener to be compared with: -, for SOCKET, is refused. */
	{ "write", 3, LISTEN_NOTHING, write_start, write_mend, write_harm },
	{ "mount", 1, LISTEN_NOTHING, no_start, mount_mend, mount_harm },
	{ "listen", 1, LISTEN_NOTHING, no_start, listen_mend, listen_harm },
};

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static int stamp_open(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int stamp_wait(const struct latency *l, int64_t *ret_at)
{
	struct pollfd fd = { .fd = l->stamp, .events = POLLIN };
	int64_t at;

	if (poll(&fd, 1, (int)(WAIT / NS_PER_MS)) <= 0)
		return -ETIMEDOUT;
	if (recv(l->stamp, &at, sizeof(at), 0) != sizeof(at))
		return -EPROTO;
	*ret_at = at;
	return 0;
}

static int subscribe(struct latency *l)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__WatchRequest watch = CONTROL__WATCH_REQUEST__INIT;
	const Control__Answer *answer;
	int64_t deadline = clock_mono() + WAIT;
	int r;

	watch.patterns = &l->promise;
	watch.n_patterns = 1;
	watch.kinds = WATCH_TRANSITIONS_ONLY;
	request.ask_case = CONTROL__REQUEST__ASK_WATCH;
	request.watch = &watch;
	r = client_send(l->client, &request, deadline);
	if (r == 0)
		r = client_next(l->client, deadline, &answer);
	if (r == 0 && answer->is_case == CONTROL__ANSWER__IS_FAULT) {
		fprintf(stderr, "latency: kithd: %s\n", answer->fault->text);
		r = -EINVAL;
	}
	return r;
}

static int transition_wait(struct latency *l, Control__Assessment to, int64_t *ret_at)
{
	int64_t deadline = clock_mono() + WAIT;
	const Control__Answer *answer;

	for (;;) {
		int r = client_next(l->client, deadline, &answer);
		int64_t now = clock_mono();

		if (r < 0)
			return r;
		if (answer->is_case == CONTROL__ANSWER__IS_TRANSITION && answer->transition->to == to) {
			*ret_at = now;
			return 0;
		}
	}
}

static int latency_round(struct latency *l, const struct act *act)
{
	int64_t at, began = 0;
	int r;

	r = act->mend(l);
	if (r == 0 && l->client)
		r = transition_wait(l, CONTROL__ASSESSMENT__KEPT, &at);
	if (r < 0)
		return r;
	usleep(PAUSE_MIN_US + (unsigned)rand() % PAUSE_MORE_US);
	if (l->listener)
		listen_arm(l->listener, l->victim);
	r = act->harm(l);
	if (r == 0)
		r = l->client ? transition_wait(l, CONTROL__ASSESSMENT__BROKEN, &at) : listen_wait(l->listener, &at);
	if (r < 0)
		return r;
	if (l->stamp >= 0)
		r = stamp_wait(l, &began);
	if (r == 0 && l->stamp >= 0)
		printf("%lld %lld\n", (long long)(at - l->acted), (long long)(began - l->acted));
	else if (r == 0)
		printf("%lld -\n", (long long)(at - l->acted));
	if (l->victim > 0)
		waitpid(l->victim, NULL, 0);
	l->victim = 0;
	usleep(PAUSE_MIN_US + (unsigned)rand() % PAUSE_MORE_US);
	return r;
}

static int latency_open(struct latency *l, const struct act *act, const char *socket_path)
{
	int r;

	if (!strcmp(socket_path, "-") && act->to == LISTEN_NOTHING)
		return -EOPNOTSUPP;
	if (!strcmp(socket_path, "-")) {
		char *folder = act->to == LISTEN_FILE ? strdup(l->args[2]) : NULL;
		char *slash = folder ? strrchr(folder, '/') : NULL;

		if (slash)
			*slash = '\0';
		r = listen_start(act->to, folder, &l->listener);
		free(folder);
		return r;
	}
	r = client_open(socket_path, clock_mono() + WAIT, &l->client);
	return r < 0 ? r : subscribe(l);
}

static int latency_run(struct latency *l, const struct act *act, const char *socket_path, int rounds)
{
	int r = latency_open(l, act, socket_path);

	if (r == 0)
		r = act->start(l);
	for (int i = 0; r == 0 && i < rounds; i++) {
		r = latency_round(l, act);
		if (r < 0)
			fprintf(stderr, "latency: %s, round %d: %s\n", act->name, i + 1, strerror(-r));
		fflush(stdout);
	}
	if (l->victim > 0)
		kill(l->victim, SIGKILL);
	client_close(l->client);
	listen_stop(l->listener);
	return r;
}

static const struct act *act_find(int argc, char **argv)
{
	for (size_t i = 0; argc > 5 && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(acts[i].name, argv[5]) && argc == 6 + acts[i].n_args)
			return &acts[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct act *act = act_find(argc, argv);
	struct latency l = { .stamp = -1, .netlink = -1 };
	int rounds = argc > 3 ? atoi(argv[3]) : 0, r;

	if (argc == 2 && !strcmp(argv[1], "--victim"))
		for (;;)
			pause();
	if (!act || rounds < 1) {
		fprintf(stderr, "usage: latency SOCKET PROMISE ROUNDS STAMP "
		                "link NAME | exit PROGRAM | file KEPT BROKEN TO | write PATH KEPT BROKEN | mount FOLDER | listen PORT\n");
		return 2;
	}
	l.promise = argv[2];
	l.args = argv + 6;
	if (strcmp(argv[4], "-") != 0) {
		l.stamp = stamp_open(argv[4]);
		if (l.stamp < 0) {
			fprintf(stderr, "latency: %s: %s\n", argv[4], strerror(-l.stamp));
			return 1;
		}
	}
	r = latency_run(&l, act, argv[1], rounds);
	if (r < 0)
		fprintf(stderr, "latency: %s\n", strerror(-r));
	return r < 0;
}
