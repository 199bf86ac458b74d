/* TCP: connections and their lines. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "syslog/syslog.h"

#define ACCEPTS 16                    /* connections before others have their turn */
#define KEEPALIVE 60                  /* s: a peer that is gone without a word is noticed */
#define ROOM_AFTER (60 * NS_PER_S)    /* a client silent for so long makes room for a new one */
#define IDLE_EVERY (60 * NS_PER_S)

struct reading {
	struct syslog *s;
	struct origin origin;
};

static void client_close(struct client *c)
{
	struct syslog *s = c->listener->s;

	if (c->watch)
		s->h->unwatch(s->h, c->watch);
	close(c->fd);
	free(c->rest);
	c->listener->counts[CLIENTS]--;
	c->listener->changed = true;
	*c = (struct client){ .fd = -1 };
	s->n_clients--;
}

static void on_line(char *text, size_t length, bool cut, size_t whole, void *user)
{
	struct reading *r = user;

	r->origin.cut = cut;
	r->origin.whole = cut ? whole : 0;
	line_arrives(r->s, &r->origin, text, length);
}

static struct reading reading_of(struct client *c)
{
	struct syslog *s = c->listener->s;

	return (struct reading){ .s = s, .origin = { .listener = c->listener, .source = source_of_address(s, &c->peer) } };
}

/* What is no whole line yet waits for the rest of it. 0, or -ENOMEM */
static int keep_rest(struct client *c, const char *data, size_t length)
{
	if (length && !c->rest)
		c->rest = malloc(FRAME_REST_MAX);
	if (length && !c->rest)
		return -ENOMEM;
	if (length)
		memcpy(c->rest, data, length);
	c->rest_length = length;
	return 0;
}

static void client_ends(struct client *c)
{
	struct syslog *s = c->listener->s;
	struct reading r = reading_of(c);

	if (c->rest_length) {
		memcpy(s->stream, c->rest, c->rest_length);
		frame_end(&c->frame, s->stream, c->rest_length, on_line, &r);
	}
	client_close(c);
}

static int on_stream(int fd, uint32_t events, void *user)
{
	struct client *c = user;
	struct syslog *s = c->listener->s;
	struct reading r;
	size_t done, length;
	ssize_t n;

	(void)events;
	batch_begins(s);
	if (c->rest_length)
		memcpy(s->stream, c->rest, c->rest_length);
	n = recv(fd, s->stream + c->rest_length, STREAM_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	c->heard = s->mono;
	if (n <= 0) {
		client_ends(c);
		batch_ends(s);
		return 0;
	}
	r = reading_of(c);
	length = c->rest_length + (size_t)n;
	done = frame_parse(&c->frame, s->stream, length, on_line, &r);
	if (keep_rest(c, s->stream + done, length - done) < 0)
		client_close(c);
	batch_ends(s);
	return 0;
}

/* ---- their number and their silence ---------------------------------------------------------------------------------- */

static int on_idle(void *user)
{
	struct syslog *s = user;
	int64_t mono = mono_now();

	s->idle_timer = NULL;
	batch_begins(s);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].listener && mono - s->clients[i].heard >= s->idle)
			client_ends(&s->clients[i]);
	batch_ends(s);
	if (s->n_clients)
		s->h->watch_timer(s->h, IDLE_EVERY, 0, IDLE_EVERY, on_idle, s, &s->idle_timer);
	return 0;
}

/* A free place, or that of who was silent longest; NULL: all are in use */
static struct client *find_place(struct syslog *s)
{
	struct client *oldest = &s->clients[0];

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (!s->clients[i].listener)
			return &s->clients[i];
		if (s->clients[i].heard < oldest->heard)
			oldest = &s->clients[i];
	}
	if (s->mono - oldest->heard < ROOM_AFTER)
		return NULL;
	client_ends(oldest);
	return oldest;
}

static void client_begins(struct listener *l, int fd, const union address *peer)
{
	static const int on = 1, idle = KEEPALIVE;
	struct syslog *s = l->s;
	struct client *c = find_place(s);

	if (!c) {
		s->h->log(s->h, KITH_WARNING, "%s: %d connections, the most that there may be: another one is refused", l->name, CLIENTS_MAX);
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	*c = (struct client){ .listener = l, .fd = fd, .peer = *peer, .heard = s->mono };
	s->n_clients++;
	l->counts[CLIENTS]++;
	l->changed = true;
	if (s->h->watch_fd(s->h, fd, KITH_READ, on_stream, c, &c->watch) < 0)
		client_close(c);
	else if (!s->idle_timer)
		s->h->watch_timer(s->h, IDLE_EVERY, 0, IDLE_EVERY, on_idle, s, &s->idle_timer);
}

int on_connection(int fd, uint32_t events, void *user)
{
	struct listener *l = user;
	int r = 0;

	(void)events;
	batch_begins(l->s);
	for (int i = 0; i < ACCEPTS && r == 0; i++) {
		union address peer;
		socklen_t length = sizeof(peer);
		int one = accept4(fd, &peer.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (one < 0)
			r = -errno;
		else
			client_begins(l, one, &peer);
	}
	batch_ends(l->s);
	/* Without descriptors or memory it would be called at once again: kithd backs it off. */
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS ? r : 0;
}

void clients_close(struct syslog *s)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].listener)
			client_ends(&s->clients[i]);
}
