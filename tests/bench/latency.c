/*
 * How long kithd takes to notice. Does something to the host again and again, and takes CLOCK_MONOTONIC before the
 * system call that does it, at the arrival of the transition on the control socket and, with a stamp socket, at the
 * first instruction of the action (stamp.c).
 *
 *   latency SOCKET PROMISE ROUNDS[:PAUSE] STAMP ACT
 *
 *   link NAME              the link NAME is set down
 *   route GATEWAY          the default route of IPv4 by GATEWAY is removed
 *   neighbour NAME ADDRESS what is known of the neighbour ADDRESS behind the link NAME becomes "failed"
 *   audit TEXT             TEXT is sent to the audit log as a login, in both halves of a round
 *   datagram PORT KEPT BROKEN  the text BROKEN is sent to the UDP port PORT of loopback, from a port of its own
 *   exit PROGRAM           PROGRAM, this program under another name, is killed
 *   file KEPT BROKEN TO    BROKEN's text replaces the file TO by a rename
 *   write PATH KEPT BROKEN the text BROKEN is written to the file PATH, and it is closed
 *   mount FOLDER           the file system at FOLDER is taken off
 *   listen PORT            the socket that listens on PORT of loopback is closed
 *   clock MS               the wall clock is set forward by MS ms; by as much back in the other half of a round
 *
 * STAMP is the path of a datagram socket to make, or "-". The promise is broken when it begins. One line a round: ns to
 * the transition, ns to the action, each "-" where there is none. With "-" for SOCKET no kithd is asked: the time is
 * that of a bare listener (listen.h), or, with a stamp socket, that of any program's action alone; an action that does
 * not come within 10 s leaves both at "-". PAUSE, in ms, and up to as much again, is then left to it in each half of a
 * round: it may poll, and tell of mending, too.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/client.h"
#include "tests/bench/acts.h"
#include "tests/bench/listen.h"

#define WAIT (10 * NS_PER_S)
#define WATCH_TRANSITIONS_ONLY 4
/* Between rounds kithd is to fall asleep: 5 ms, and up to 15 ms more, so that no round keeps step with a timer. */
#define PAUSE_MIN_US 5000
#define PAUSE_MORE_US 15000
#define MISSED_MAX 2 /* actions in a row: then it tells nothing at all */

struct latency {
	struct actor actor;
	struct client *client;     /* NULL: nobody is asked of a promise */
	struct listener *listener; /* NULL: nobody listens */
	char *promise;
	int stamp;  /* -1: none */
	int pause;  /* ms, 0: PAUSE_MIN_US */
	int missed; /* stamps in a row */
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
	/* Others run their actions as another user. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0777) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void stamp_drain(const struct latency *l)
{
	int64_t at;

	while (l->stamp >= 0 && recv(l->stamp, &at, sizeof(at), MSG_DONTWAIT) > 0)
		;
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

static void latency_pause(const struct latency *l)
{
	if (l->pause)
		usleep(1000 * (unsigned)(l->pause + rand() % l->pause));
	else
		usleep(PAUSE_MIN_US + (unsigned)rand() % PAUSE_MORE_US);
}

static void tell(const int64_t *at, int64_t acted, const char *after)
{
	if (*at)
		printf("%lld%s", (long long)(*at - acted), after);
	else
		printf("-%s", after);
}

/* The transition, or the listener's receipt, and the action, as far as they are to come; 0: it did not, or is not to. */
static int latency_wait(struct latency *l, int64_t *ret_at, int64_t *ret_began)
{
	int r = 0;

	if (l->client)
		r = transition_wait(l, CONTROL__ASSESSMENT__BROKEN, ret_at);
	else if (l->listener)
		r = listen_wait(l->listener, ret_at);
	if (r < 0 || l->stamp < 0)
		return r;
	r = stamp_wait(l, ret_began);
	if (r == -ETIMEDOUT && !l->client && ++l->missed < MISSED_MAX)
		return 0;
	if (r == 0)
		l->missed = 0;
	return r;
}

static int latency_round(struct latency *l, const struct act *act)
{
	struct actor *a = &l->actor;
	int64_t at = 0, began = 0;
	int r;

	r = act->mend(a);
	if (r == 0 && l->client)
		r = transition_wait(l, CONTROL__ASSESSMENT__KEPT, &at);
	if (r < 0)
		return r;
	latency_pause(l);
	stamp_drain(l);
	if (l->listener)
		listen_arm(l->listener, a->victim);
	at = 0;
	r = act->harm(a);
	if (r == 0)
		r = latency_wait(l, &at, &began);
	if (r < 0)
		return r;
	tell(&at, a->acted, " ");
	tell(&began, a->acted, "\n");
	if (a->victim > 0)
		waitpid(a->victim, NULL, 0);
	a->victim = 0;
	latency_pause(l);
	return r;
}

static int latency_open(struct latency *l, const struct act *act, const char *socket_path)
{
	bool asked = strcmp(socket_path, "-") != 0;
	int r;

	if (asked) {
		r = client_open(socket_path, clock_mono() + WAIT, &l->client);
		return r < 0 ? r : subscribe(l);
	}
	if (l->stamp >= 0)
		return 0;
	if (act->to == LISTEN_NOTHING)
		return -EOPNOTSUPP;
	char *folder = act->to == LISTEN_FILE ? strdup(l->actor.args[2]) : NULL;
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (slash)
		*slash = '\0';
	r = listen_start(act->to, folder, &l->listener);
	free(folder);
	return r;
}

static int latency_run(struct latency *l, const struct act *act, const char *socket_path, int rounds)
{
	int r = act->start ? act->start(&l->actor) : 0;
	bool started = r == 0;

	if (r == 0)
		r = latency_open(l, act, socket_path);
	for (int i = 0; r == 0 && i < rounds; i++) {
		r = latency_round(l, act);
		if (r < 0)
			fprintf(stderr, "latency: %s, round %d: %s\n", act->name, i + 1, strerror(-r));
		fflush(stdout);
	}
	if (started && act->end)
		act->end(&l->actor);
	if (l->actor.victim > 0)
		kill(l->actor.victim, SIGKILL);
	client_close(l->client);
	listen_stop(l->listener);
	return r;
}

static const struct act *act_find(const struct act *of, size_t n, int argc, char **argv)
{
	for (size_t i = 0; argc > 5 && i < n; i++)
		if (!strcmp(of[i].name, argv[5]) && argc == 6 + of[i].n_args)
			return &of[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct act *act = act_find(acts, n_acts, argc, argv);
	struct latency l = { .stamp = -1, .actor.fd = -1 };
	int rounds = 0, r;

	if (argc == 2 && !strcmp(argv[1], "--victim"))
		for (;;)
			pause();
	if (!act)
		act = act_find(acts_net, n_acts_net, argc, argv);
	if (!act || sscanf(argv[3], "%d:%d", &rounds, &l.pause) < 1 || rounds < 1 || l.pause < 0) {
		fprintf(stderr, "usage: latency SOCKET PROMISE ROUNDS[:PAUSE] STAMP ACT ARGUMENT...\n");
		return 2;
	}
	l.promise = argv[2];
	l.actor.args = argv + 6;
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
