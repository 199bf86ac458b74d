/* Datagrams of Unix and UDP sockets, many with one call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "syslog/syslog.h"

#define AT_ONCE 32
#define ROUNDS 8 /* calls before others have their turn */

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct ucred))];
};

struct batch {
	struct mmsghdr messages[AT_ONCE];
	struct iovec parts[AT_ONCE];
	union address from[AT_ONCE];
	union control control[AT_ONCE];
	char data[AT_ONCE][LINE_MAX_BYTES + 8];
};

int batch_new(struct batch **ret_batch)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	for (int i = 0; i < AT_ONCE; i++)
		b->parts[i] = (struct iovec){ b->data[i], LINE_MAX_BYTES };
	*ret_batch = b;
	return 0;
}

/* The kernel writes the lengths of what it gave. */
static void batch_reset(struct batch *b, bool local)
{
	for (int i = 0; i < AT_ONCE; i++) {
		struct msghdr *m = &b->messages[i].msg_hdr;

		*m = (struct msghdr){ .msg_iov = &b->parts[i], .msg_iovlen = 1 };
		if (local) {
			m->msg_control = &b->control[i];
			m->msg_controllen = sizeof(b->control[i]);
		} else {
			m->msg_name = &b->from[i];
			m->msg_namelen = sizeof(b->from[i]);
		}
	}
}

static void take_credentials(struct syslog *s, struct msghdr *m, struct origin *o)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct ucred who = { .pid = 0, .uid = (uid_t)-1 };

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(who)))
		memcpy(&who, CMSG_DATA(c), sizeof(who));
	o->has_pid = who.pid > 0;
	o->source = source_of_process(s, who.pid, who.uid);
}

static void take_datagram(struct listener *l, unsigned i)
{
	struct batch *b = l->s->batch;
	struct mmsghdr *m = &b->messages[i];
	struct origin o = { .listener = l };
	size_t length = m->msg_len;

	/* With MSG_TRUNC it is the length that it had. */
	if (length > LINE_MAX_BYTES) {
		o.cut = true;
		o.whole = length;
		length = LINE_MAX_BYTES;
	}
	if (l->kind == LISTENER_UNIX)
		take_credentials(l->s, &m->msg_hdr, &o);
	else
		o.source = source_of_address(l->s, &b->from[i]);
	line_arrives(l->s, &o, b->data[i], length);
}

int on_datagrams(int fd, uint32_t events, void *user)
{
	struct listener *l = user;
	struct syslog *s = l->s;
	int n = AT_ONCE;

	(void)events;
	batch_begins(s);
	for (int round = 0; round < ROUNDS && n == AT_ONCE; round++) {
		batch_reset(s->batch, l->kind == LISTENER_UNIX);
		n = recvmmsg(fd, s->batch->messages, AT_ONCE, MSG_DONTWAIT | MSG_TRUNC, NULL);
		for (int i = 0; i < n; i++)
			take_datagram(l, (unsigned)i);
	}
	batch_ends(s);
	/* An error that a datagram caused (ICMP) is not one of this socket. */
	return n < 0 && (errno == EBADF || errno == ENOTSOCK || errno == EINVAL) ? -errno : 0;
}
