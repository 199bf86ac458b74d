#include "source/netlink.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"

/*
 * rtnetlink's notifications stay under a page or two, save those of devices with many virtual functions: MSG_TRUNC
 * tells, and is treated as a loss
 */
#define RECEIVE_SIZE (32u << 10)
#define RECEIVE_BATCH 64 /* datagrams a callback: a storm must not starve the other watches */
#define SOCKET_BUFFER (1 << 20)
#define DUMP_TRIES 5
#define DUMP_TIMEOUT_S 2
#define DUMP_SIZE_MAX (1u << 20)

struct netlink_sub {
	struct netlink_sub *next;
	struct group *group;
	struct netlink_listener listener;
	bool dead; /* unsubscribed during dispatch: freed after it */
};

/* One socket: a multicast group of a protocol */
struct group {
	struct group *next;
	struct netlink_source *source;
	struct netlink_sub *subs;
	struct loop_watch *watch;
	int fd, protocol;
	uint32_t number;
	bool own;      /* one subscriber's */
	bool lost;     /* to be told when the socket is empty */
	bool events;   /* somebody wants what comes after a loss */
	bool dispatching;
};

struct netlink_source {
	struct loop *loop;
	struct group *groups;
	void *buffer; /* RECEIVE_SIZE, from the first subscription on */
	void *spare;  /* RECEIVE_SIZE, of the last dump: those on the tick allocate nothing */
	struct netlink_stats stats;
	uint32_t sequence;
	bool told_foreign; /* logged once */
};

int netlink_source_new(struct loop *l, struct netlink_source **ret_source)
{
	struct netlink_source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = l;
	*ret_source = s;
	return 0;
}

static void group_free(struct group *g)
{
	struct group **link = &g->source->groups;
	struct netlink_sub *sub;

	while (*link != g)
		link = &(*link)->next;
	*link = g->next;
	while ((sub = g->subs)) {
		g->subs = sub->next;
		free(sub);
	}
	loop_remove(g->source->loop, g->watch);
	close(g->fd);
	free(g);
}

void netlink_source_free(struct netlink_source *s)
{
	if (!s)
		return;
	while (s->groups)
		group_free(s->groups);
	free(s->buffer);
	free(s->spare);
	free(s);
}

/* ---- taking datagrams apart ------------------------------------------------------------------------------------- */

/*
 * The next message of a datagram: 1 with *ret_at and *ret_header set and the cursor moved behind it, 0 at the end,
 * -EBADMSG. The header is
 * copied: nothing says that a datagram in a fuzzer's hands is aligned.
 */
static int message_next(const unsigned char **cursor, size_t *left, struct nlmsghdr *ret_header, const void **ret_at)
{
	struct nlmsghdr header;
	size_t step;

	if (*left == 0)
		return 0;
	if (*left < sizeof(header))
		return -EBADMSG;
	memcpy(&header, *cursor, sizeof(header));
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > *left)
		return -EBADMSG;
	*ret_header = header;
	*ret_at = *cursor;
	/* The padding of the last message may be missing */
	step = NLMSG_ALIGN((size_t)header.nlmsg_len);
	if (step > *left)
		step = *left;
	*cursor += step;
	*left -= step;
	return 1;
}

int netlink_parse(const void *datagram, size_t length, void (*message)(const void *, size_t, void *), void *user)
{
	const unsigned char *cursor = datagram;
	struct nlmsghdr header;
	const void *at;
	int r;

	while ((r = message_next(&cursor, &length, &header, &at)) > 0) {
		/* Control messages (NOOP, ERROR, DONE, OVERRUN) notify of nothing */
		if (header.nlmsg_type >= NLMSG_MIN_TYPE)
			message(at, header.nlmsg_len, user);
	}
	return r;
}

/*
 * One datagram into `buffer`. Its length, 0 when it is to be passed over (foreign sender), -EMSGSIZE when it was cut,
 * else -errno.
 * An empty datagram cannot be told from a foreign one and carries nothing either.
 */
static ssize_t datagram_receive(struct netlink_source *s, int fd, void *buffer, size_t size, int flags)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { buffer, size };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = recvmsg(fd, &msg, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (msg.msg_namelen != sizeof(from) || from.nl_family != AF_NETLINK || from.nl_pid != 0) {
		s->stats.foreign++;
		if (!s->told_foreign)
			log_warning("netlink: a message of port %u, which is not the kernel, was ignored (said once)", from.nl_pid);
		s->told_foreign = true;
		return 0;
	}
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return n;
}

/* ---- notifications ---------------------------------------------------------------------------------------------- */

static void group_deliver(const void *message, size_t length, void *user)
{
	struct group *g = user;

	g->source->stats.messages++;
	for (struct netlink_sub *sub = g->subs; sub; sub = sub->next)
		if (!sub->dead && (!g->lost || sub->listener.events))
			sub->listener.message(message, length, sub->listener.user);
}

static void group_tell_lost(struct group *g)
{
	g->lost = false;
	for (struct netlink_sub *sub = g->subs; sub; sub = sub->next)
		if (!sub->dead && sub->listener.lost)
			sub->listener.lost(sub->listener.user);
}

static void group_sweep(struct group *g)
{
	struct netlink_sub **at = &g->subs, *sub;

	while ((sub = *at)) {
		if (!sub->dead) {
			at = &sub->next;
			continue;
		}
		*at = sub->next;
		free(sub);
	}
	if (!g->subs)
		group_free(g);
}

/* False when the socket is empty */
static bool group_receive_one(struct group *g)
{
	struct netlink_source *s = g->source;
	ssize_t n = datagram_receive(s, g->fd, s->buffer, RECEIVE_SIZE, MSG_DONTWAIT | MSG_TRUNC);

	if (n == -EAGAIN)
		return false;
	if (n == -ENOBUFS) {
		s->stats.overflows++;
		g->lost = true;
	} else if (n == -EMSGSIZE) {
		s->stats.truncated++;
		g->lost = true;
	} else if (n < 0) {
		log_err("netlink: receiving from protocol %d group %u failed: %s", g->protocol, g->number, strerror((int)-n));
		g->lost = true;
		return false;
	} else if (n > 0 && (!g->lost || g->events) && netlink_parse(s->buffer, (size_t)n, group_deliver, g) < 0) {
		/* With a loss ahead those of states will dump: what comes before that is not worth the work. */
		s->stats.malformed++;
		g->lost = true;
	}
	return true;
}

static void group_readable(int fd, unsigned events, void *user)
{
	struct group *g = user;
	bool more = true;

	(void)fd;
	(void)events;
	g->dispatching = true;
	for (int i = 0; i < RECEIVE_BATCH && more; i++)
		more = group_receive_one(g);
	if (g->lost && !more)
		group_tell_lost(g);
	g->dispatching = false;
	group_sweep(g);
}

/*
 * Large, so that a storm fits; forced beyond net.core.rmem_max where that is allowed. The kernel takes the memory only
 * when needed.
 */
static void socket_enlarge(int fd)
{
	int size = SOCKET_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int socket_open(int protocol)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int group_new(struct netlink_source *s, int protocol, uint32_t number, struct group **ret_group)
{
	struct group *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	*g = (struct group){ .source = s, .protocol = protocol, .number = number };
	g->fd = socket_open(protocol);
	if (g->fd < 0) {
		r = g->fd;
		goto fail_free;
	}
	socket_enlarge(g->fd);
	if (setsockopt(g->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &number, sizeof(number)) < 0) {
		r = -errno;
		goto fail_close;
	}
	r = loop_fd(s->loop, g->fd, LOOP_READ, group_readable, g, &g->watch);
	if (r < 0)
		goto fail_close;
	g->next = s->groups;
	s->groups = g;
	*ret_group = g;
	return 0;

fail_close:
	close(g->fd);
fail_free:
	free(g);
	return r;
}

static int subscribe(struct netlink_source *s, int protocol, uint32_t group, bool own, const struct netlink_listener *listener,
                     struct netlink_sub **ret_sub)
{
	struct netlink_sub *sub, **end;
	struct group *g = s->groups;
	int r;

	if (group == 0 || protocol < 0)
		return -EINVAL;
	if (!s->buffer && !(s->buffer = malloc(RECEIVE_SIZE)))
		return -ENOMEM;
	sub = calloc(1, sizeof(*sub));
	if (!sub)
		return -ENOMEM;
	while (g && (own || g->own || g->protocol != protocol || g->number != group))
		g = g->next;
	if (!g) {
		r = group_new(s, protocol, group, &g);
		if (r < 0) {
			free(sub);
			return r;
		}
		g->own = own;
	}
	sub->group = g;
	sub->listener = *listener;
	g->events = g->events || listener->events;
	for (end = &g->subs; *end;)
		end = &(*end)->next;
	*end = sub;
	*ret_sub = sub;
	return 0;
}

int netlink_subscribe(struct netlink_source *s, int protocol, uint32_t group, const struct netlink_listener *listener,
                      struct netlink_sub **ret_sub)
{
	return subscribe(s, protocol, group, false, listener, ret_sub);
}

int netlink_subscribe_own(struct netlink_source *s, int protocol, uint32_t group, const struct netlink_listener *listener,
                          struct netlink_sub **ret_sub)
{
	return subscribe(s, protocol, group, true, listener, ret_sub);
}

int netlink_filter(struct netlink_sub *sub, const struct sock_filter *program, size_t n)
{
	struct sock_fprog p = { .len = (unsigned short)n, .filter = (struct sock_filter *)(uintptr_t)program };
	int none = 0, r;

	if (!sub->group->own || n > BPF_MAXINSNS)
		return -EINVAL;
	r = n ? setsockopt(sub->group->fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p))
	      : setsockopt(sub->group->fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
	return r < 0 && (n || errno != ENOENT) ? -errno : 0;
}

void netlink_unsubscribe(struct netlink_source *s, struct netlink_sub *sub)
{
	(void)s;
	if (!sub)
		return;
	sub->dead = true;
	if (!sub->group->dispatching)
		group_sweep(sub->group);
}

struct netlink_stats netlink_stats(const struct netlink_source *s)
{
	return s->stats;
}

/* ---- dumps ------------------------------------------------------------------------------------------------------ */

struct dump {
	struct netlink_source *source;
	int fd;
	uint32_t sequence;
	unsigned char *buffer;
	size_t size;
	bool interrupted, strict;
	int (*fn)(const void *message, size_t length, void *user);
	void *user;
};

static int dump_send(const struct dump *d, uint16_t type, const void *body, size_t length)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct nlmsghdr header = {
		.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + length),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.nlmsg_seq = d->sequence,
	};
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)body, length } };
	struct msghdr msg = { .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = iov, .msg_iovlen = 2 };

	return sendmsg(d->fd, &msg, 0) < 0 ? -errno : 0;
}

/* The error that a DONE or ERROR message carries: 0 or -errno */
static int dump_error(const void *message, size_t length)
{
	int32_t error = 0;

	if (length >= NLMSG_HDRLEN + sizeof(error))
		memcpy(&error, (const unsigned char *)message + NLMSG_HDRLEN, sizeof(error));
	return error < 0 ? error : 0;
}

/* 1: the dump is complete, 0: there is more, else -errno */
static int dump_datagram(struct dump *d, size_t length)
{
	const unsigned char *cursor = d->buffer;
	struct nlmsghdr header;
	const void *at;
	int r;

	while ((r = message_next(&cursor, &length, &header, &at)) > 0) {
		if (header.nlmsg_seq != d->sequence)
			continue;
		if (header.nlmsg_flags & NLM_F_DUMP_INTR)
			d->interrupted = true;
		if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
			r = dump_error(at, header.nlmsg_len);
			return r < 0 ? r : 1;
		}
		if (header.nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		r = d->fn(at, header.nlmsg_len, d->user);
		if (r < 0)
			return r;
	}
	return r;
}

/*
 * One try on a socket of its own: an aborted dump leaves nothing behind for the next. 0, or -EMSGSIZE when the buffer
 * was too small.
 */
static int dump_try(struct dump *d, int protocol, uint16_t type, const void *body, size_t length)
{
	struct timeval timeout = { .tv_sec = DUMP_TIMEOUT_S };
	ssize_t n;
	int r, yes = 1;

	d->fd = socket_open(protocol);
	if (d->fd < 0)
		return d->fd;
	socket_enlarge(d->fd);
	d->sequence = ++d->source->sequence;
	d->interrupted = false;
	if (d->strict)
		setsockopt(d->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	if (setsockopt(d->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		r = -errno;
	else
		r = dump_send(d, type, body, length);
	while (r == 0) {
		n = datagram_receive(d->source, d->fd, d->buffer, d->size, MSG_TRUNC);
		if (n == -EAGAIN)
			r = -ETIMEDOUT;
		else
			r = n < 0 ? (int)n : dump_datagram(d, (size_t)n);
	}
	close(d->fd);
	return r < 0 ? r : 0;
}

static int dump(struct dump *d, int protocol, uint16_t type, const void *body, size_t length)
{
	int r, tries = 0;

	d->size = RECEIVE_SIZE;
	/* One dump may lead to another. */
	d->buffer = d->source->spare;
	d->source->spare = NULL;
	do {
		if (!d->buffer && !(d->buffer = malloc(d->size)))
			return -ENOMEM;
		r = dump_try(d, protocol, type, body, length);
		if (r == -EMSGSIZE && d->size < DUMP_SIZE_MAX) {
			/* Not a try: it grows 5 times at most */
			d->source->stats.truncated++;
			free(d->buffer);
			d->buffer = NULL;
			d->size *= 2;
			d->interrupted = true;
		} else {
			tries++;
		}
	} while ((r == 0 || r == -EMSGSIZE) && d->interrupted && tries < DUMP_TRIES);
	if (d->size == RECEIVE_SIZE && !d->source->spare)
		d->source->spare = d->buffer;
	else
		free(d->buffer);
	return r == 0 && d->interrupted ? -EINTR : r;
}

int netlink_dump(struct netlink_source *s, int protocol, uint16_t type, const void *body, size_t length,
                 int (*fn)(const void *message, size_t length, void *user), void *user)
{
	struct dump d = { .source = s, .fn = fn, .user = user };

	return dump(&d, protocol, type, body, length);
}

int netlink_dump_strict(struct netlink_source *s, int protocol, uint16_t type, const void *body, size_t length,
                        int (*fn)(const void *message, size_t length, void *user), void *user)
{
	struct dump d = { .source = s, .strict = true, .fn = fn, .user = user };

	return dump(&d, protocol, type, body, length);
}
