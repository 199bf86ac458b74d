#include "source/process.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define FRAME_SIZE 256 /* a proc event's frame is 92 bytes */
#define BATCH 32
#define BATCHES 2 /* a callback: a storm must not starve the other watches */
#define SOCKET_BUFFER (4 << 20) /* some ten thousand events, at about 0.8 KiB of kernel memory each; taken only when needed */
#define ACKNOWLEDGE_TIME (1 * NS_PER_S)

struct process_sub {
	struct process_sub *next;
	struct process_source *source;
	struct process_listener listener;
	struct kith_process_filter filter; /* with copies; pids sorted */
	bool dead; /* unsubscribed during dispatch: freed after it */
};

/* Where recvmmsg puts a batch; there while the socket is */
struct ring {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_nl from[BATCH];
	_Alignas(8) unsigned char frames[BATCH][FRAME_SIZE];
};

struct process_source {
	struct loop *loop;
	struct process_sub *subs;
	struct loop_watch *watch, *timer;
	struct ring *ring;
	int fd;              /* -1: closed */
	uint64_t generation; /* of the socket */
	uint32_t sequence;   /* of our request: its acknowledgement carries the next one */
	int64_t offset;      /* wall clock - monotonic clock, of this batch */
	int silent;          /* 0, or why this host never delivers */
	bool alive;          /* acknowledged, or something has come */
	bool lost, dispatching;
	struct process_stats stats;
};

static const struct { uint32_t kernel, kith, least; } kinds[] = {
	{ PROC_EVENT_FORK, KITH_PROCESS_FORK, sizeof(struct fork_proc_event) },
	{ PROC_EVENT_EXEC, KITH_PROCESS_EXEC, sizeof(struct exec_proc_event) },
	{ PROC_EVENT_EXIT, KITH_PROCESS_EXIT, sizeof(struct exit_proc_event) },
	{ PROC_EVENT_COMM, KITH_PROCESS_NAME, sizeof(struct comm_proc_event) },
};

/* ---- taking datagrams apart ------------------------------------------------------------------------------------- */

typedef void (*frame_fn)(const struct cn_msg *cn, const struct proc_event *event, void *user);

/* What an event must at least bring, behind the cn_msg */
static size_t event_least(uint32_t what)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kernel == what)
			return offsetof(struct proc_event, event_data) + kinds[i].least;
	return what == PROC_EVENT_NONE ? offsetof(struct proc_event, event_data) + sizeof(uint32_t)
	                               : offsetof(struct proc_event, event_data);
}

static int frame_one(const unsigned char *at, size_t length, frame_fn fn, void *user)
{
	struct proc_event event = { 0 };
	struct cn_msg cn;

	if (length < NLMSG_HDRLEN + sizeof(cn))
		return -EBADMSG;
	memcpy(&cn, at + NLMSG_HDRLEN, sizeof(cn));
	at += NLMSG_HDRLEN + sizeof(cn);
	length -= NLMSG_HDRLEN + sizeof(cn);
	if (cn.len > length)
		return -EBADMSG;
	if (cn.id.idx != CN_IDX_PROC || cn.id.val != CN_VAL_PROC)
		return 0;
	/* Another kernel's structure may be longer or shorter than ours. It stands at an odd multiple of 4 and wants 8. */
	memcpy(&event, at, cn.len < sizeof(event) ? cn.len : sizeof(event));
	if (cn.len < sizeof(event.what) || cn.len < event_least(event.what))
		return -EBADMSG;
	fn(&cn, &event, user);
	return 0;
}

static int frames_parse(const void *datagram, size_t length, frame_fn fn, void *user)
{
	const unsigned char *at = datagram;
	struct nlmsghdr header;
	size_t step;
	int r;

	while (length > 0) {
		if (length < sizeof(header))
			return -EBADMSG;
		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length)
			return -EBADMSG;
		/* The connector sends its events as NLMSG_DONE */
		if (header.nlmsg_type == NLMSG_DONE) {
			r = frame_one(at, header.nlmsg_len, fn, user);
			if (r < 0)
				return r;
		}
		step = NLMSG_ALIGN((size_t)header.nlmsg_len);
		if (step > length)
			step = length;
		at += step;
		length -= step;
	}
	return 0;
}

/* False for what no subscriber can ask for. `name`: room for the new name. */
static bool event_translate(const struct proc_event *from, char name[17], struct kith_process_event *ret_event)
{
	struct kith_process_event e = { .size = sizeof(e), .time = (int64_t)from->timestamp_ns };
	int32_t pid = from->event_data.exec.process_pid, group = from->event_data.exec.process_tgid;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kernel == from->what)
			e.what = kinds[i].kith;
	if (e.what == KITH_PROCESS_FORK) {
		pid = from->event_data.fork.child_pid;
		group = from->event_data.fork.child_tgid;
		e.parent = from->event_data.fork.parent_tgid;
	} else if (e.what == KITH_PROCESS_EXIT) {
		e.parent = from->event_data.exit.parent_tgid;
		e.status = (int32_t)from->event_data.exit.exit_code;
	} else if (e.what == KITH_PROCESS_NAME) {
		memcpy(name, from->event_data.comm.comm, 16);
		name[16] = '\0';
		e.name = name;
	}
	if (!e.what || pid != group || pid <= 0)
		return false;
	e.pid = pid;
	*ret_event = e;
	return true;
}

struct parse {
	void (*event)(const struct kith_process_event *, void *);
	void *user;
};

static void parse_frame(const struct cn_msg *cn, const struct proc_event *event, void *user)
{
	struct parse *p = user;
	struct kith_process_event e;
	char name[17];

	(void)cn;
	if (event_translate(event, name, &e))
		p->event(&e, p->user);
}

int process_parse(const void *datagram, size_t length, void (*event)(const struct kith_process_event *, void *), void *user)
{
	struct parse p = { event, user };

	return frames_parse(datagram, length, parse_frame, &p);
}

/* ---- filters ---------------------------------------------------------------------------------------------------- */

static int pid_compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static void filter_free(struct kith_process_filter *f)
{
	free((void *)(uintptr_t)f->pids);
	for (uint32_t i = 0; i < f->n_names; i++)
		free((void *)(uintptr_t)f->names[i]);
	free((void *)(uintptr_t)f->names);
	*f = (struct kith_process_filter){ 0 };
}

static int filter_copy(const struct kith_process_filter *from, struct kith_process_filter *ret_copy)
{
	struct kith_process_filter copy = { .size = sizeof(copy), .all = from->all, .some = from->some };
	int32_t *pids = NULL;
	char **names = NULL;

	if (from->n_pids) {
		pids = malloc(from->n_pids * sizeof(*pids));
		if (!pids)
			return -ENOMEM;
		memcpy(pids, from->pids, from->n_pids * sizeof(*pids));
		qsort(pids, from->n_pids, sizeof(*pids), pid_compare);
		copy.pids = pids;
		copy.n_pids = from->n_pids;
	}
	if (from->n_names) {
		names = calloc(from->n_names, sizeof(*names));
		if (!names)
			goto fail;
		copy.names = (const char *const *)names;
		for (; copy.n_names < from->n_names; copy.n_names++) {
			/* The kernel keeps 15 bytes of a name */
			names[copy.n_names] = strndup(from->names[copy.n_names], 15);
			if (!names[copy.n_names])
				goto fail;
		}
	}
	*ret_copy = copy;
	return 0;

fail:
	filter_free(&copy);
	return -ENOMEM;
}

static bool filter_empty(const struct kith_process_filter *f)
{
	return !f->all && !(f->some && (f->n_pids || ((f->some & KITH_PROCESS_NAME) && f->n_names)));
}

/*
 * Does this subscriber want it? What another one asked for comes by here too, and what was queued under an earlier
 * filter.
 */
static bool filter_wants(const struct kith_process_filter *f, const struct kith_process_event *e)
{
	int32_t pid = e->what == KITH_PROCESS_FORK ? e->parent : e->pid;

	if (f->all & e->what)
		return true;
	if (!(f->some & e->what))
		return false;
	if (f->n_pids && bsearch(&pid, f->pids, f->n_pids, sizeof(pid), pid_compare))
		return true;
	for (uint32_t i = 0; e->name && i < f->n_names; i++)
		if (!strcmp(f->names[i], e->name))
			return true;
	return false;
}

/* ---- the socket ------------------------------------------------------------------------------------------------- */

static void subs_sweep(struct process_source *s)
{
	struct process_sub **at = &s->subs, *sub;

	while ((sub = *at)) {
		if (!sub->dead) {
			at = &sub->next;
			continue;
		}
		*at = sub->next;
		filter_free(&sub->filter);
		free(sub);
	}
}

static int request_send(struct process_source *s, enum proc_cn_mcast_op op)
{
	struct nlmsghdr header = { .nlmsg_type = NLMSG_DONE };
	struct cn_msg cn = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .ack = ++s->sequence, .len = sizeof(uint32_t) };
	uint32_t operation = op;
	unsigned char message[sizeof(header) + sizeof(cn) + sizeof(operation)];

	/*
	 * The short form, of the operation alone: the one with an event mask is dropped without a word by kernels before
	 * 6.6.
	 */
	header.nlmsg_len = sizeof(message);
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), &cn, sizeof(cn));
	memcpy(message + sizeof(header) + sizeof(cn), &operation, sizeof(operation));
	return send(s->fd, message, sizeof(message), 0) < 0 ? -errno : 0;
}

static void socket_close(struct process_source *s)
{
	if (s->fd < 0)
		return;
	/*
	 * Kernels before 6.6 count listeners by these requests alone, and go on making events for those that closed
	 * without a word.
	 */
	request_send(s, PROC_CN_MCAST_IGNORE);
	loop_remove(s->loop, s->watch);
	loop_remove(s->loop, s->timer);
	s->watch = s->timer = NULL;
	close(s->fd);
	s->fd = -1;
	s->generation++;
	s->lost = s->alive = false;
	if (!s->dispatching) {
		free(s->ring);
		s->ring = NULL;
	}
}

/* This host delivers nothing: everybody is told, once, and nobody can subscribe any more. */
static void source_silence(struct process_source *s, int error)
{
	bool outer = !s->dispatching;

	s->silent = error;
	socket_close(s);
	s->dispatching = true;
	for (struct process_sub *sub = s->subs; sub; sub = sub->next)
		if (!sub->dead && sub->listener.silent)
			sub->listener.silent(error, sub->listener.user);
	if (outer) {
		s->dispatching = false;
		subs_sweep(s);
	}
}

static void acknowledge_missing(void *user)
{
	struct process_source *s = user;

	if (s->alive)
		return;
	log_notice("process events: the kernel does not acknowledge (another pid or user namespace than the first)");
	source_silence(s, -EOPNOTSUPP);
}

static void deliver(const struct cn_msg *cn, const struct proc_event *event, void *user)
{
	struct process_source *s = user;
	struct kith_process_event e;
	char name[17];
	uint64_t generation = s->generation;

	if (event->what == PROC_EVENT_NONE) {
		/*
		 * Broadcast: it may answer another listener of this host, whose error says nothing about ours. The kernel
		 * counts our `ack`
		 * up; in `seq` it puts a count of its own.
		 */
		if (cn->ack != s->sequence + 1 || s->alive)
			return;
		if (event->event_data.ack.err) {
			log_notice("process events: refused: %s", strerror((int)event->event_data.ack.err));
			source_silence(s, -(int)event->event_data.ack.err);
			return;
		}
		s->alive = true;
		return;
	}
	s->alive = true;
	if (s->lost || !event_translate(event, name, &e))
		return;
	e.time += s->offset;
	s->stats.events++;
	for (struct process_sub *sub = s->subs; sub && s->generation == generation; sub = sub->next)
		if (!sub->dead && filter_wants(&sub->filter, &e))
			sub->listener.event(&e, sub->listener.user);
}

/* False when the socket is empty, or no longer the same */
static bool receive_batch(struct process_source *s)
{
	uint64_t generation = s->generation;
	struct ring *ring = s->ring;
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		ring->iov[i] = (struct iovec){ ring->frames[i], FRAME_SIZE };
		ring->messages[i].msg_hdr = (struct msghdr){ .msg_name = &ring->from[i], .msg_namelen = sizeof(ring->from[i]),
			                                     .msg_iov = &ring->iov[i], .msg_iovlen = 1 };
	}
	n = recvmmsg(s->fd, ring->messages, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno == ENOBUFS) {
		s->stats.overflows++;
		s->lost = s->alive = true;
		return true;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		log_err("process events: receiving failed: %s", strerror(errno));
		s->lost = true;
	}
	for (int i = 0; i < n && s->generation == generation; i++) {
		const struct msghdr *m = &ring->messages[i].msg_hdr;

		if (m->msg_namelen != sizeof(ring->from[i]) || ring->from[i].nl_pid != 0)
			continue;
		if ((m->msg_flags & MSG_TRUNC) || frames_parse(ring->frames[i], ring->messages[i].msg_len, deliver, s) < 0) {
			s->stats.malformed++;
			s->lost = true;
		}
	}
	/* Fewer than asked for: that was all. An error that cut it short makes the socket readable again. */
	return n == BATCH && s->generation == generation;
}

static void readable(int fd, unsigned events, void *user)
{
	struct process_source *s = user;
	uint64_t generation = s->generation;
	bool more = true;

	(void)fd;
	(void)events;
	s->offset = clock_offset();
	s->dispatching = true;
	for (int i = 0; i < BATCHES && more; i++)
		more = receive_batch(s);
	if (s->generation == generation && s->lost && !more) {
		s->lost = false;
		for (struct process_sub *sub = s->subs; sub; sub = sub->next)
			if (!sub->dead && sub->listener.lost)
				sub->listener.lost(sub->listener.user);
	}
	s->dispatching = false;
	subs_sweep(s);
	if (s->fd < 0) {
		free(s->ring);
		s->ring = NULL;
	}
}

static int program_attach(int fd, struct sock_filter *program, int n)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = program };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

static int socket_open(struct process_source *s, struct sock_filter *program, int n)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	int size = SOCKET_BUFFER, r;

	if (s->silent)
		return s->silent;
	if (!s->ring && !(s->ring = calloc(1, sizeof(*s->ring))))
		return -ENOMEM;
	s->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);
	if (s->fd < 0) {
		/* EPROTONOSUPPORT: a kernel without connectors */
		r = errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT ? -EOPNOTSUPP : -errno;
		goto fail_ring;
	}
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* The program first: between bind and it every event of the host would be queued. */
	r = program_attach(s->fd, program, n);
	if (r < 0)
		goto fail_close;
	if (bind(s->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		goto fail_close;
	}
	r = loop_fd(s->loop, s->fd, LOOP_READ, readable, s, &s->watch);
	if (r < 0)
		goto fail_close;
	r = loop_timer(s->loop, ACKNOWLEDGE_TIME, 0, ACKNOWLEDGE_TIME / 4, acknowledge_missing, s, &s->timer);
	if (r < 0)
		goto fail_watch;
	r = request_send(s, PROC_CN_MCAST_LISTEN);
	if (r < 0) {
		/* ECONNREFUSED: nobody listens in this network namespace; the connector lives in the first one */
		r = r == -ECONNREFUSED ? -EOPNOTSUPP : r;
		goto fail_timer;
	}
	s->alive = s->lost = false;
	return 0;

fail_timer:
	loop_remove(s->loop, s->timer);
fail_watch:
	loop_remove(s->loop, s->watch);
	s->watch = s->timer = NULL;
fail_close:
	close(s->fd);
	s->fd = -1;
fail_ring:
	if (!s->dispatching) {
		free(s->ring);
		s->ring = NULL;
	}
	return r;
}

/* Makes the socket and its program what all subscribers together ask for */
static int source_apply(struct process_source *s)
{
	struct sock_filter program[PROCESS_BPF_MAX];
	struct kith_process_filter *filters;
	size_t n = 0;
	int length, r;

	for (struct process_sub *sub = s->subs; sub; sub = sub->next)
		n += !sub->dead && !filter_empty(&sub->filter);
	if (n == 0) {
		socket_close(s);
		return 0;
	}
	filters = calloc(n, sizeof(*filters));
	if (!filters)
		return -ENOMEM;
	n = 0;
	for (struct process_sub *sub = s->subs; sub; sub = sub->next)
		if (!sub->dead && !filter_empty(&sub->filter))
			filters[n++] = sub->filter;
	length = process_filter_program(filters, n, program, PROCESS_BPF_MAX);
	free(filters);
	if (length < 0)
		return length;
	r = s->fd < 0 ? socket_open(s, program, length) : program_attach(s->fd, program, length);
	if (r == 0)
		s->stats.filters++;
	return r;
}

/* ---- subscribers ------------------------------------------------------------------------------------------------ */

int process_source_new(struct loop *l, struct process_source **ret_source)
{
	struct process_source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = l;
	s->fd = -1;
	/* Something that another listener's requests do not carry */
	s->sequence = (uint32_t)clock_mono() ^ ((uint32_t)getpid() << 16);
	*ret_source = s;
	return 0;
}

void process_source_free(struct process_source *s)
{
	if (!s)
		return;
	socket_close(s);
	for (struct process_sub *sub = s->subs; sub; sub = sub->next)
		sub->dead = true;
	subs_sweep(s);
	free(s);
}

int process_subscribe(struct process_source *s, const struct kith_process_filter *filter,
                      const struct process_listener *listener, struct process_sub **ret_sub)
{
	struct process_sub *sub, **end = &s->subs;
	int r;

	if (s->silent)
		return s->silent;
	sub = calloc(1, sizeof(*sub));
	if (!sub)
		return -ENOMEM;
	r = filter_copy(filter, &sub->filter);
	if (r < 0) {
		free(sub);
		return r;
	}
	sub->source = s;
	sub->listener = *listener;
	while (*end)
		end = &(*end)->next;
	*end = sub;
	r = source_apply(s);
	if (r < 0) {
		/* Never inside the list when dispatch looks: it is the last one and nobody was called in between */
		*end = NULL;
		filter_free(&sub->filter);
		free(sub);
		return r;
	}
	*ret_sub = sub;
	return 0;
}

int process_set_filter(struct process_source *s, struct process_sub *sub, const struct kith_process_filter *filter)
{
	struct kith_process_filter before = sub->filter;
	int r = filter_copy(filter, &sub->filter);

	if (r < 0)
		return r;
	r = source_apply(s);
	if (r < 0) {
		filter_free(&sub->filter);
		sub->filter = before;
		return r;
	}
	filter_free(&before);
	return 0;
}

void process_unsubscribe(struct process_source *s, struct process_sub *sub)
{
	int r;

	if (!sub)
		return;
	sub->dead = true;
	r = source_apply(s);
	if (r < 0) /* The old program lets more through than anybody asks for: harmless */
		log_debug("process events: the filter stays as it was: %s", strerror(-r));
	if (!s->dispatching)
		subs_sweep(s);
}

struct process_stats process_stats(const struct process_source *s)
{
	return s->stats;
}
