#include "service/systemd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUS_SOCKET "/run/dbus/system_bus_socket"
#define PRIVATE_SOCKET "/run/systemd/private"
#define OPEN_WITHIN (5 * NS_PER_S)
#define HOLD NS_PER_S /* a bus or a systemd that is back by then was never away */
#define BACKOFF_MIN (50 * NS_PER_MS)
#define BACKOFF_MAX (60 * NS_PER_S)
#define MESSAGES_MAX 128 /* in one go: others are to have their turn */

static int on_ready(int fd, uint32_t events, void *user);
static int on_timer(void *user);
static int on_retry(void *user);

static void unwatch(struct systemd *y, struct kith_watch **w)
{
	if (*w)
		y->s->h->unwatch(y->s->h, *w);
	*w = NULL;
}

static void bus_note(struct systemd *y)
{
	char *text = y->s->systemd_note;
	size_t size = sizeof(y->s->systemd_note);

	if (y->state != BUS_DOWN && *y->why)
		snprintf(text, size, "systemd: over " PRIVATE_SOCKET " (%s)", y->why);
	else if (y->state != BUS_DOWN)
		snprintf(text, size, "systemd: over %s", y->direct ? PRIVATE_SOCKET : "the system bus");
	else
		snprintf(text, size, "systemd: not connected: %s; its services are unknown until it is back", y->why);
	service_note(y->s);
}

/* ---- what sd-bus waits for -------------------------------------------------------------------------------------- */

static int64_t mono_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int bus_arm(struct systemd *y)
{
	const struct kith_host *h = y->s->h;
	uint64_t until = UINT64_MAX;
	uint32_t events;
	int64_t after;
	int want, fd, r;

	if (!y->bus)
		return 0;
	fd = sd_bus_get_fd(y->bus);
	want = sd_bus_get_events(y->bus);
	if (fd < 0 || want < 0) {
		bus_lose(y, strerror(fd < 0 ? -fd : -want));
		return 0;
	}
	events = (want & 1 /* POLLIN */ ? KITH_READ : 0) | (want & 4 /* POLLOUT */ ? KITH_WRITE : 0);
	if (!events)
		events = KITH_READ;
	if (!y->fd_watch || y->fd != fd || y->events != events) {
		unwatch(y, &y->fd_watch);
		r = h->watch_fd(h, fd, events, on_ready, y, &y->fd_watch);
		if (r < 0)
			return r;
		y->fd = fd;
		y->events = events;
	}
	unwatch(y, &y->timer);
	r = sd_bus_get_timeout(y->bus, &until);
	if (r < 0 || until == UINT64_MAX)
		return 0;
	after = until > (uint64_t)INT64_MAX / 1000 ? INT64_MAX : (int64_t)until * 1000 - mono_now();
	return h->watch_timer(h, after > 0 ? after : 0, 0, 0, on_timer, y, &y->timer);
}

/* ---- down and up again ------------------------------------------------------------------------------------------ */

static void bus_shut(struct systemd *y)
{
	unwatch(y, &y->fd_watch);
	unwatch(y, &y->timer);
	unwatch(y, &y->deadline);
	if (y->bus) {
		sd_bus_close(y->bus);
		y->bus = sd_bus_unref(y->bus);
	}
	y->state = BUS_DOWN;
	y->lost = false;
}

static int on_held(void *user)
{
	struct systemd *y = user;

	unwatch(y, &y->hold);
	systemd_unknown(y);
	return 0;
}

void bus_hold(struct systemd *y)
{
	if (!y->hold && y->s->h->watch_timer(y->s->h, HOLD, 0, 0, on_held, y, &y->hold) < 0)
		systemd_unknown(y);
}

static int on_socket(const struct kith_file_event *event, void *user)
{
	struct systemd *y = user;

	(void)event;
	if (y->bus)
		return 0;
	y->backoff = 0;
	bus_open(y);
	return 0;
}

/*
 * Only while there is no connection: nothing of these folders wakes anybody otherwise. `later`: the socket is there, but gave no
 * connection; that takes a timer.
 */
static void bus_await(struct systemd *y, bool later)
{
	static const char *const paths[] = { BUS_SOCKET, PRIVATE_SOCKET };
	const struct kith_host *h = y->s->h;
	char path[4096];

	if (!y->announced)
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "%s%s", h->root(h), paths[i]);
			if (h->watch_file(h, path, KITH_FILE_ADDED, on_socket, y, &y->sockets[i]) < 0)
				y->sockets[i] = NULL;
		}
	y->announced = true;
	if (y->retry || !later)
		return;
	y->backoff = y->backoff ? y->backoff * 2 : BACKOFF_MIN;
	if (y->backoff > BACKOFF_MAX)
		y->backoff = BACKOFF_MAX;
	if (h->watch_timer(h, y->backoff, 0, y->backoff / 8, on_retry, y, &y->retry) < 0)
		y->retry = NULL;
}

static int on_retry(void *user)
{
	struct systemd *y = user;

	unwatch(y, &y->retry);
	if (!y->bus)
		bus_open(y);
	return 0;
}

static void bus_lost(struct systemd *y)
{
	bool was_up = y->state == BUS_UP;

	bus_shut(y);
	if (was_up)
		y->s->h->log(y->s->h, KITH_NOTICE, "systemd: the connection is gone: %s", y->why);
	bus_hold(y);
	bus_await(y, !was_up);
	bus_note(y);
	if (was_up)
		bus_open(y); /* the other end may be there again already, or the private socket is */
}

void bus_lose(struct systemd *y, const char *why)
{
	snprintf(y->why, sizeof(y->why), "%s", why);
	y->lost = true;
	/* Handled on the next turn of the loop at the latest, outside of sd-bus */
	if (!y->timer && y->s->h->watch_timer(y->s->h, 0, 0, 0, on_timer, y, &y->timer) < 0)
		y->timer = NULL;
}

/* Connected, but not a word in time: a bus that hangs. The next try goes elsewhere, where there is an elsewhere. */
static int on_deadline(void *user)
{
	struct systemd *y = user;

	unwatch(y, &y->deadline);
	if (y->state != BUS_OPENING)
		return 0;
	snprintf(y->why, sizeof(y->why), "%s does not answer", y->direct ? "systemd" : "the system bus");
	y->hung = !y->direct;
	bus_lost(y);
	return 0;
}

static int bus_turn(struct systemd *y)
{
	int r = 1;

	for (int i = 0; i < MESSAGES_MAX && r > 0 && !y->lost; i++)
		r = sd_bus_process(y->bus, NULL);
	if (r == 0 && !y->lost)
		r = systemd_idle(y);
	if (r < 0 && !y->lost)
		bus_lose(y, r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE ? "it was closed by the other end" : strerror(-r));
	if (y->lost) {
		bus_lost(y);
		return 0;
	}
	return bus_arm(y);
}

static int on_ready(int fd, uint32_t events, void *user)
{
	struct systemd *y = user;

	(void)fd;
	(void)events;
	return y->bus ? bus_turn(y) : 0;
}

static int on_timer(void *user)
{
	struct systemd *y = user;

	unwatch(y, &y->timer);
	return y->bus ? bus_turn(y) : 0;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static int bus_start(struct systemd *y, bool direct)
{
	const struct kith_host *h = y->s->h;
	char address[4096];
	sd_bus *bus = NULL;
	int r;

	snprintf(address, sizeof(address), "unix:path=%s%s", h->root(h), direct ? PRIVATE_SOCKET : BUS_SOCKET);
	r = sd_bus_new(&bus);
	if (r < 0)
		return r;
	r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, !direct);
	if (r >= 0 && direct)
		r = sd_bus_set_trusted(bus, true);
	if (r >= 0)
		r = sd_bus_negotiate_fds(bus, false);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, CALL_TIMEOUT);
	if (r >= 0)
		r = sd_bus_add_filter(bus, NULL, systemd_message, y);
	if (r >= 0)
		r = sd_bus_start(bus); /* does not wait */
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	y->bus = bus;
	y->direct = direct;
	y->state = BUS_OPENING;
	y->lost = false;
	r = systemd_opened(y);
	if (r < 0)
		bus_shut(y);
	return r;
}

void bus_open(struct systemd *y)
{
	const struct kith_host *h = y->s->h;
	const char *choice = h->option_string(h, "bus");
	bool system = !choice || strcmp(choice, "private") != 0;
	bool direct = (!choice || strcmp(choice, "system") != 0) && geteuid() == 0;
	bool later = y->hung;
	int r = -ENOENT;

	if (system && !y->hung) {
		r = bus_start(y, false);
		snprintf(y->why, sizeof(y->why), "%s%s", r < 0 ? "no system bus: " : "", r < 0 ? strerror(-r) : "");
		later = r < 0 && r != -ENOENT;
	}
	if (r < 0 && direct) {
		r = bus_start(y, true);
		if (!system)
			snprintf(y->why, sizeof(y->why), "%s%s", r < 0 ? PRIVATE_SOCKET ": " : "", r < 0 ? strerror(-r) : "");
		later = later || (r < 0 && r != -ENOENT);
	} else if (!system && !direct) {
		snprintf(y->why, sizeof(y->why), PRIVATE_SOCKET " is for root alone");
	}
	y->hung = false;
	if (r >= 0)
		r = bus_arm(y);
	if (r >= 0)
		r = h->watch_timer(h, OPEN_WITHIN, 0, 0, on_deadline, y, &y->deadline);
	if (r >= 0)
		return;
	bus_shut(y);
	bus_await(y, later);
	bus_note(y);
}

void bus_synced(struct systemd *y)
{
	unwatch(y, &y->deadline);
	unwatch(y, &y->hold);
	unwatch(y, &y->retry);
	unwatch(y, &y->sockets[0]);
	unwatch(y, &y->sockets[1]);
	y->announced = false;
	y->backoff = 0;
	if (y->state == BUS_UP)
		return;
	y->state = BUS_UP;
	bus_note(y);
}

void bus_close(struct systemd *y)
{
	bus_shut(y);
	unwatch(y, &y->hold);
	unwatch(y, &y->retry);
	unwatch(y, &y->sockets[0]);
	unwatch(y, &y->sockets[1]);
}
