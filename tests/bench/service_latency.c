/*
 * How long after the supervisor's own signal the transition of a promise is on the control socket. A process that only listens (to
 * systemd's signals on the system bus, with a fifo of s6, or to runit's replacing of supervise/status) takes CLOCK_MONOTONIC at each signal; this one takes it at the transition.
 *
 *   service_latency SOCKET PROMISE ROUNDS systemd UNIT
 *   service_latency SOCKET PROMISE ROUNDS s6 FOLDER
 *   service_latency SOCKET PROMISE ROUNDS runit FOLDER
 *
 * The promise says that the service is active, and is kept when it begins. One line a round: ns for breaking, ns for mending; below 0 when kithd
 * was sooner than the listener.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/client.h"

#define WAIT (10 * NS_PER_S)
#define WATCH_TRANSITIONS_ONLY 4

struct heard {
	int64_t at;
	char up; /* 1 active, 0 no longer */
};

static void heard_write(int to, bool up)
{
	struct heard h = { .at = clock_mono(), .up = up };

	if (write(to, &h, sizeof(h)) != sizeof(h))
		_exit(1);
}

/* ---- listeners: they do not return ------------------------------------------------------------------------------ */

static int on_signal(sd_bus_message *m, void *user, sd_bus_error *error)
{
	const char *interface, *key, *state;
	int *to = user;

	(void)error;
	if (sd_bus_message_read(m, "s", &interface) < 0 || sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return 0;
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		if (sd_bus_message_read(m, "s", &key) < 0)
			return 0;
		if (strcmp(key, "ActiveState") != 0)
			sd_bus_message_skip(m, "v");
		else if (sd_bus_message_read(m, "v", "s", &state) > 0)
			heard_write(*to, !strcmp(state, "active"));
		sd_bus_message_exit_container(m);
	}
	return 0;
}

static void listen_systemd(const char *unit, int to)
{
	sd_bus *bus = NULL;
	char *path = NULL, match[1024];

	if (sd_bus_open_system(&bus) < 0 || sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path) < 0)
		_exit(1);
	snprintf(match, sizeof(match), "type='signal',path='%s',member='PropertiesChanged',arg0='org.freedesktop.systemd1.Unit'", path);
	if (sd_bus_add_match(bus, NULL, match, on_signal, &to) < 0 ||
	    sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "Subscribe",
	                       NULL, NULL, "") < 0)
		_exit(1);
	heard_write(to, true);
	for (;;)
		if (sd_bus_process(bus, NULL) == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
			_exit(1);
}

static void listen_s6(const char *folder, int to)
{
	char path[4096];
	char byte;
	int fd;

	snprintf(path, sizeof(path), "%s/event/ftrig1:@4000000000000000%08x:bench0", folder, (unsigned)getpid());
	if (mkfifo(path, 0622) < 0 || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0 || fchmod(fd, 0622) < 0)
		_exit(1);
	heard_write(to, true);
	while (read(fd, &byte, 1) == 1)
		if (byte == 'u' || byte == 'd')
			heard_write(to, byte == 'u');
	_exit(1);
}

/* The state is the last byte of the status: 0 down, 1 up. */
static void listen_runit(const char *folder, int to)
{
	char path[4096], status[20], events[4096];
	int watch = inotify_init1(IN_CLOEXEC), fd;

	snprintf(path, sizeof(path), "%s/supervise", folder);
	if (watch < 0 || inotify_add_watch(watch, path, IN_MOVED_TO) < 0)
		_exit(1);
	snprintf(path, sizeof(path), "%s/supervise/status", folder);
	heard_write(to, true);
	while (read(watch, events, sizeof(events)) > 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, status, sizeof(status)) == sizeof(status))
			heard_write(to, status[19] == 1);
		close(fd);
	}
	_exit(1);
}

static pid_t listen_start(char **args, int *ret_from)
{
	struct heard first;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		if (!strcmp(args[0], "s6"))
			listen_s6(args[1], ends[1]);
		if (!strcmp(args[0], "runit"))
			listen_runit(args[1], ends[1]);
		listen_systemd(args[1], ends[1]);
	}
	close(ends[1]);
	*ret_from = ends[0];
	return pid > 0 && read(ends[0], &first, sizeof(first)) == sizeof(first) ? pid : -1;
}

/* ---- rounds ----------------------------------------------------------------------------------------------------- */

static int act(char **args, bool up)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (!strcmp(args[0], "s6"))
			execlp("s6-svc", "s6-svc", up ? "-u" : "-d", args[1], (char *)NULL);
		else if (!strcmp(args[0], "runit"))
			execlp("sv", "sv", up ? "up" : "down", args[1], (char *)NULL);
		else
			execlp("systemctl", "systemctl", up ? "start" : "stop", args[1], (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -ECHILD;
}

static int subscribe(struct client *client, char *promise)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__WatchRequest watch = CONTROL__WATCH_REQUEST__INIT;
	const Control__Answer *answer;
	int r;

	watch.patterns = &promise;
	watch.n_patterns = 1;
	watch.kinds = WATCH_TRANSITIONS_ONLY;
	request.ask_case = CONTROL__REQUEST__ASK_WATCH;
	request.watch = &watch;
	r = client_send(client, &request, clock_mono() + WAIT);
	return r < 0 ? r : client_next(client, clock_mono() + WAIT, &answer);
}

/*
 * The act runs in a process of its own, so that the transition is taken as it comes. Stopping has several signals before the last one: the
 * first that says that it is not active is the one.
 */
static int half(struct client *client, char **args, int from, bool up, int64_t *ret_took)
{
	Control__Assessment want = up ? CONTROL__ASSESSMENT__KEPT : CONTROL__ASSESSMENT__BROKEN;
	const Control__Answer *answer;
	struct pollfd p = { .fd = from, .events = POLLIN };
	int64_t at, signal_at = 0;
	struct heard h;
	pid_t actor = fork();
	int r;

	if (actor == 0)
		_exit(act(args, up) < 0);
	do {
		r = client_next(client, clock_mono() + WAIT, &answer);
		at = clock_mono();
	} while (r == 0 && !(answer->is_case == CONTROL__ANSWER__IS_TRANSITION && answer->transition->to == want));
	waitpid(actor, NULL, 0);
	usleep(20000);
	while (r == 0 && poll(&p, 1, 0) > 0 && read(from, &h, sizeof(h)) == sizeof(h))
		if (!signal_at && h.up == up)
			signal_at = h.at;
	if (r == 0 && !signal_at)
		r = -ENODATA;
	*ret_took = at - signal_at;
	return r;
}

int main(int argc, char **argv)
{
	struct client *client = NULL;
	int64_t broke = 0, mended = 0;
	int from = -1, r;
	pid_t listener;

	if (argc != 6 || (strcmp(argv[4], "s6") != 0 && strcmp(argv[4], "runit") != 0 && strcmp(argv[4], "systemd") != 0)) {
		fprintf(stderr, "usage: service_latency SOCKET PROMISE ROUNDS systemd|s6|runit UNIT|FOLDER\n");
		return 2;
	}
	listener = listen_start(argv + 4, &from);
	if (listener < 0) {
		fprintf(stderr, "service_latency: the listener does not start\n");
		return 1;
	}
	r = client_open(argv[1], clock_mono() + WAIT, &client);
	if (r == 0)
		r = subscribe(client, argv[2]);
	for (int i = 0; r == 0 && i < atoi(argv[3]); i++) {
		r = half(client, argv + 4, from, false, &broke);
		if (r == 0)
			r = half(client, argv + 4, from, true, &mended);
		if (r == 0)
			printf("%lld %lld\n", (long long)broke, (long long)mended);
	}
	if (r < 0)
		fprintf(stderr, "service_latency: %s\n", strerror(-r));
	kill(listener, SIGKILL);
	waitpid(listener, NULL, 0);
	client_close(client);
	return r < 0;
}
