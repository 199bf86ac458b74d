/* The server: its socket, who may connect, and what goes to all that watch. */
#include "control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/server.h"

#define CONTROL_BACKLOG 64
#define CONTROL_ACCEPTS 16 /* a round of the loop */
#define CONTROL_MODE 0660

/* ---- the socket ------------------------------------------------------------------------------------------------- */

static int address_of(const char *path, struct sockaddr_un *ret_address)
{
	size_t length = strlen(path);

	if (length >= sizeof(ret_address->sun_path)) {
		log_err("control: %s is too long for a socket (at most %zu bytes): choose a shorter --run-dir", path,
		        sizeof(ret_address->sun_path) - 1);
		return -ENAMETOOLONG;
	}
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, path, length);
	return 0;
}

/* Nobody listens on it any more: then it may go. */
static int socket_remove_stale(const char *path, const struct sockaddr_un *address)
{
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		log_err("control: %s is there and is no socket: remove it or choose another --run-dir", path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (r == 0 || r == -EAGAIN) {
		log_err("control: another kithd answers at %s: stop it, or choose another --run-dir", path);
		return -EADDRINUSE;
	}
	if (r != -ECONNREFUSED && r != -ENOENT) {
		log_err("control: cannot tell whether %s is in use: %s", path, strerror(-r));
		return r;
	}
	log_info("control: %s was left behind: it is replaced", path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int socket_bind(struct control *c, const struct sockaddr_un *address)
{
	struct stat st;
	int r;

	/* The mode of the socket's inode is the file's when it is bound, less the umask: never wider than it should be. */
	fchmod(c->fd, CONTROL_MODE);
	if (bind(c->fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno != EADDRINUSE)
			return -errno;
		r = socket_remove_stale(c->path, address);
		if (r < 0)
			return r;
		if (bind(c->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
			return -errno;
	}
	if (chmod(c->path, CONTROL_MODE) < 0 || lstat(c->path, &st) < 0)
		return -errno;
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	return listen(c->fd, CONTROL_BACKLOG) < 0 ? -errno : 0;
}

static void socket_remove(struct control *c)
{
	struct stat st;

	/* Another one's, if it was replaced meanwhile */
	if (c->ino && lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
		unlink(c->path);
}

/* ---- clients ---------------------------------------------------------------------------------------------------- */

static void refuse(struct control *c, int fd)
{
	Control__Fault fault = CONTROL__FAULT__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	char text[128];
	size_t sent;

	c->n_refused++;
	snprintf(text, sizeof(text), "kithd has %zu clients already, which is its limit: try again when one has gone",
	        c->n_peers);
	fault.code = CONTROL__CODE__BUSY;
	fault.text = text;
	answer.is_case = CONTROL__ANSWER__IS_FAULT;
	answer.fault = &fault;
	control_frame(c, &answer);
	socket_send(fd, c->frame, c->frame_size, &sent);
	close(fd);
	if (!c->full_told)
		log_info("control: clients are refused: %zu are connected", c->n_peers);
	c->full_told = true;
}

static void accept_cb(int fd, unsigned events, void *user)
{
	struct control *c = user;

	(void)events;
	for (int i = 0; i < CONTROL_ACCEPTS; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
				/* The caller waits in the backlog; the socket would wake the loop for it without end. */
				log_warning("control: cannot take a client: %s", strerror(errno));
				loop_fd_set(c->loop, c->watch, 0);
				loop_timer_set(c->loop, c->retry, CONTROL_ACCEPT_PAUSE);
			}
			return;
		}
		if (c->n_peers >= c->max_clients) {
			refuse(c, client);
			continue;
		}
		c->full_told = false;
		if (control_adopt(c, client) < 0)
			log_warning("control: a client was not taken: out of memory");
	}
}

static void retry_cb(void *user)
{
	struct control *c = user;

	loop_fd_set(c->loop, c->watch, LOOP_READ);
}

/* ---- to all that watch ------------------------------------------------------------------------------------------ */

static void on_instance(struct instance *instance, bool begins, void *user)
{
	struct control *c = user;

	if (c->framed && !begins)
		c->framed = NULL;
	for (struct peer *p = c->peers; p; p = p->next) {
		if (!begins)
			answer_leave_instance(p->answer, instance);
		else if (!p->doomed)
			watch_instance(p->subscription, instance);
	}
}

static void on_family(const struct family *family, bool begins, void *user)
{
	struct control *c = user;

	for (struct peer *p = c->peers; p && !begins; p = p->next)
		answer_leave_family(p->answer, family);
}

static void frame_record(struct control *c, const struct kith_record *record, uint64_t number)
{
	Control__Record message = CONTROL__RECORD__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Field fields[32], *list[32];

	for (uint32_t i = 0; i < record->n_fields && i < 32; i++) {
		control__field__init(&fields[i]);
		fields[i].key = (char *)record->fields[i].key;
		fields[i].value = (char *)record->fields[i].value;
		list[message.n_fields++] = &fields[i];
	}
	message.fields = list;
	message.time = record->time;
	message.priority = record->priority;
	message.subject = (char *)(record->subject ? record->subject : "");
	message.message = (char *)(record->message ? record->message : "");
	message.number = number;
	answer.is_case = CONTROL__ANSWER__IS_RECORD;
	answer.record = &message;
	control_frame(c, &answer);
}

static void on_record(const struct kith_record *record, uint64_t number, void *user)
{
	struct control *c = user;
	bool framed = false;

	for (struct peer *p = c->peers; p; p = p->next) {
		if (p->doomed || !watch_wants_record(p->subscription, record))
			continue;
		if (!framed)
			frame_record(c, record, number);
		framed = true;
		peer_say_frame(p, true);
	}
}

static void frame_transition(struct control *c, const struct kith_transition *transition)
{
	Control__Transition message = CONTROL__TRANSITION__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;

	message.time = transition->time;
	message.name = (char *)transition->name;
	message.promiser = (char *)transition->promiser;
	message.from = (Control__Assessment)transition->from;
	message.to = (Control__Assessment)transition->to;
	message.severity = transition->severity;
	message.because = (char *)(transition->because ? transition->because : "");
	message.repaired = (transition->flags & KITH_TRANSITION_REPAIRED) != 0;
	answer.is_case = CONTROL__ANSWER__IS_TRANSITION;
	answer.transition = &message;
	control_frame(c, &answer);
}

static void on_transition(const struct kith_transition *transition, void *user)
{
	struct control *c = user;
	bool framed = false;

	for (struct peer *p = c->peers; p; p = p->next) {
		if (p->doomed || !watch_wants_transition(p->subscription, transition))
			continue;
		if (!framed)
			frame_transition(c, transition);
		framed = true;
		peer_say_frame(p, true);
	}
}

/* ---- start and stop --------------------------------------------------------------------------------------------- */

static int control_listen(struct control *c, const char *path)
{
	struct sockaddr_un address;
	int r;

	r = address_of(path, &address);
	if (r < 0)
		return r;
	c->path = strdup(path);
	if (!c->path)
		return -ENOMEM;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	r = socket_bind(c, &address);
	if (r < 0)
		return r;
	r = loop_timer(c->loop, -1, 0, 0, retry_cb, c, &c->retry);
	if (r < 0)
		return r;
	return loop_fd(c->loop, c->fd, LOOP_READ, accept_cb, c, &c->watch);
}

int control_new(struct loop *l, struct model *m, struct promises *p, const struct control_daemon *d,
                const struct control_config *config, struct control **ret_control)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->loop = l;
	c->model = m;
	c->promises = p;
	c->daemon = *d;
	c->fd = -1;
	c->history = config->history;
	c->max_clients = config->max_clients ? config->max_clients : CONTROL_MAX_CLIENTS;
	c->max_queue = config->max_queue ? config->max_queue : CONTROL_MAX_QUEUE;
	c->observer = (struct model_observer){ .user = c, .on_family = on_family, .on_instance = on_instance,
		                               .on_record = on_record, .on_transition = on_transition };
	model_observe(m, &c->observer);
	c->frame = malloc(FRAME_HEADER + FRAME_ANSWER_MAX);
	r = c->frame ? 0 : -ENOMEM;
	if (r == 0 && config->path)
		r = control_listen(c, config->path);
	if (r < 0) {
		control_free(c);
		return r;
	}
	*ret_control = c;
	return 0;
}

void control_set_notices(struct control *c, struct notices *n)
{
	c->notices = n;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->peers) {
		struct peer *p = c->peers;

		if (p->subscription || p->answer || p->relay)
			peer_say_fault(p, CONTROL__CODE__STOPPING, "kithd is stopping");
		peer_free(p);
	}
	model_unobserve(c->model, &c->observer);
	loop_remove(c->loop, c->watch);
	loop_remove(c->loop, c->retry);
	if (c->path)
		socket_remove(c);
	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	free(c->frame);
	free(c);
}
