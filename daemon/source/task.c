/* What a task used, told by the kernel's taskstats when it ends: a generic netlink socket that asks for the exits of all processors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/taskstats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "source/kinds.h"
#include "source/task.h"

#define FRAME_SIZE 2048 /* a message is of some 500 bytes, two for the last thread of several */
#define BATCH 64        /* a callback: a storm must not starve the other watches */
#define SOCKET_BUFFER (4 << 20)
#define STATS_LEAST (offsetof(struct taskstats, write_bytes) + sizeof(uint64_t)) /* Linux 2.6.20 */

struct task_reader {
	struct source *source;
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	uint16_t family;
	bool busy, closed; /* closed while busy: freed when that ends */
	_Alignas(8) unsigned char frame[FRAME_SIZE];
};

/* ---- taking messages apart --------------------------------------------------------------------------------------- */

/* The attribute at *p, which moves on; false at the end, *ret_bad when it is cut off */
static bool attribute(const unsigned char **p, size_t *left, struct nlattr *ret, const unsigned char **ret_data, bool *ret_bad)
{
	size_t step;

	if (*left == 0)
		return false;
	*ret_bad = true;
	if (*left < sizeof(*ret))
		return false;
	memcpy(ret, *p, sizeof(*ret));
	if (ret->nla_len < sizeof(*ret) || ret->nla_len > *left)
		return false;
	*ret_bad = false;
	*ret_data = *p + NLA_HDRLEN;
	step = NLA_ALIGN((size_t)ret->nla_len);
	step = step < *left ? step : *left;
	*p += step;
	*left -= step;
	return true;
}

static int64_t us(uint64_t v)
{
	return v < INT64_MAX / 1000 ? (int64_t)v * 1000 : INT64_MAX;
}

static int64_t ns(uint64_t v)
{
	return v < INT64_MAX ? (int64_t)v : INT64_MAX;
}

static int stats_tell(const unsigned char *data, size_t length, task_fn fn, void *user)
{
	struct taskstats s = { 0 };
	struct kith_task_event e = { .size = sizeof(e), .time = clock_wall() };
	char name[17];

	if (length < STATS_LEAST)
		return -EBADMSG;
	/* Another kernel's structure may be longer or shorter than ours */
	memcpy(&s, data, length < sizeof(s) ? length : sizeof(s));
	memcpy(name, s.ac_comm, 16);
	name[16] = '\0';
	e.name = name;
	e.pid = (int32_t)s.ac_pid;
	e.process = (int32_t)(s.ac_tgid ? s.ac_tgid : s.ac_pid);
	e.parent = (int32_t)s.ac_ppid;
	e.status = (int32_t)s.ac_exitcode;
	e.uid = s.ac_uid;
	e.lived = us(s.ac_etime);
	e.user = us(s.ac_utime);
	e.system = us(s.ac_stime);
	e.cpu_delay = ns(s.cpu_delay_total);
	e.disk_delay = ns(s.blkio_delay_total);
	e.swap_delay = ns(s.swapin_delay_total);
	e.read = s.read_bytes;
	e.written = s.write_bytes;
	e.resident_peak = s.hiwater_rss * 1024;
	fn(&e, user);
	return 0;
}

static int message_parse(const unsigned char *p, size_t left, task_fn fn, void *user)
{
	const unsigned char *data, *inner;
	struct nlattr outer, a;
	bool bad = false;

	while (attribute(&p, &left, &outer, &data, &bad)) {
		size_t n = outer.nla_len - NLA_HDRLEN;
		int r;

		if ((outer.nla_type & NLA_TYPE_MASK) != TASKSTATS_TYPE_AGGR_PID)
			continue; /* of a group the kernel gives delays alone */
		while (attribute(&data, &n, &a, &inner, &bad)) {
			if ((a.nla_type & NLA_TYPE_MASK) != TASKSTATS_TYPE_STATS)
				continue;
			r = stats_tell(inner, a.nla_len - NLA_HDRLEN, fn, user);
			if (r < 0)
				return r;
		}
		if (bad)
			break;
	}
	return bad ? -EBADMSG : 0;
}

int task_parse(const void *datagram, size_t length, uint16_t family, task_fn fn, void *user)
{
	const unsigned char *at = datagram;
	struct nlmsghdr header;
	struct genlmsghdr generic;
	int r;

	while (length > 0) {
		size_t step;

		if (length < sizeof(header))
			return -EBADMSG;
		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length)
			return -EBADMSG;
		if (header.nlmsg_type == family && header.nlmsg_len >= NLMSG_HDRLEN + GENL_HDRLEN) {
			memcpy(&generic, at + NLMSG_HDRLEN, sizeof(generic));
			r = generic.cmd != TASKSTATS_CMD_NEW ? 0 : message_parse(at + NLMSG_HDRLEN + GENL_HDRLEN,
			                                                          header.nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, fn, user);
			if (r < 0)
				return r;
		}
		step = NLMSG_ALIGN((size_t)header.nlmsg_len);
		step = step < length ? step : length;
		at += step;
		length -= step;
	}
	return 0;
}

/* ---- the socket -------------------------------------------------------------------------------------------------- */

static int request(int fd, uint16_t type, uint8_t cmd, uint16_t attr, const char *text)
{
	struct nlmsghdr header = { .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK };
	struct genlmsghdr generic = { .cmd = cmd, .version = 1 };
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + strlen(text) + 1), .nla_type = attr };
	unsigned char message[512] = { 0 };

	header.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN((size_t)a.nla_len));
	if (header.nlmsg_len > sizeof(message))
		return -E2BIG;
	memcpy(message, &header, sizeof(header));
	memcpy(message + NLMSG_HDRLEN, &generic, sizeof(generic));
	memcpy(message + NLMSG_HDRLEN + GENL_HDRLEN, &a, sizeof(a));
	memcpy(message + NLMSG_HDRLEN + GENL_HDRLEN + NLA_HDRLEN, text, strlen(text) + 1);
	return send(fd, message, header.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* The kernel has answered by the time that send returns. The family's number where the answer has one; 0 or -errno of the acknowledgement. */
static int answer(struct task_reader *t, uint16_t *ret_family)
{
	for (;;) {
		ssize_t n = recv(t->fd, t->frame, FRAME_SIZE, MSG_DONTWAIT);
		const unsigned char *p = t->frame + NLMSG_HDRLEN + GENL_HDRLEN, *data;
		struct nlmsghdr header;
		struct nlattr a;
		bool bad = false;
		size_t left;
		int error;

		if (n < (ssize_t)(NLMSG_HDRLEN + sizeof(int)))
			return n < 0 ? -errno : -EBADMSG;
		memcpy(&header, t->frame, sizeof(header));
		if (header.nlmsg_len > (size_t)n)
			return -EBADMSG;
		if (header.nlmsg_type == NLMSG_ERROR) {
			memcpy(&error, t->frame + NLMSG_HDRLEN, sizeof(error));
			return error;
		}
		if (header.nlmsg_type != GENL_ID_CTRL || header.nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN)
			continue;
		left = header.nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN;
		while (attribute(&p, &left, &a, &data, &bad))
			if (ret_family && a.nla_type == CTRL_ATTR_FAMILY_ID && a.nla_len >= NLA_HDRLEN + sizeof(*ret_family))
				memcpy(ret_family, data, sizeof(*ret_family));
	}
}

static int cpus(const char *root, char *text, size_t size)
{
	char path[512];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/possible", root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static void tell(const struct kith_task_event *e, void *user)
{
	struct task_reader *t = user;

	if (!t->closed)
		source_tell(t->source, e);
}

static void reader_free(struct task_reader *t)
{
	loop_remove(t->loop, t->watch);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static void readable(int fd, unsigned events, void *user)
{
	struct task_reader *t = user;
	bool lost = false;

	(void)events;
	t->busy = true;
	for (int i = 0; i < BATCH && !t->closed; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(fd, t->frame, FRAME_SIZE, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &size);

		if (n < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (n < 0)
			break;
		if (size == sizeof(from) && from.nl_pid == 0)
			lost |= n > FRAME_SIZE || task_parse(t->frame, (size_t)n, t->family, tell, t) < 0;
	}
	if (lost && !t->closed)
		source_lost(t->source);
	t->busy = false;
	if (t->closed)
		reader_free(t);
}

static int task_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct task_reader *t = calloc(1, sizeof(*t));
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int size = SOCKET_BUFFER, r;
	char mask[256];

	if (!t)
		return -ENOMEM;
	t->source = s;
	t->loop = env->loop;
	t->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_GENERIC);
	r = t->fd < 0 ? -errno : 0;
	if (r == 0 && setsockopt(t->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (r == 0 && bind(t->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r == 0)
		r = cpus(env->root, mask, sizeof(mask));
	if (r == 0)
		r = request(t->fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME);
	if (r == 0)
		r = answer(t, &t->family);
	if (r == 0 && !t->family)
		r = -ENOENT;
	if (r == 0)
		r = request(t->fd, t->family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, mask);
	if (r == 0)
		r = answer(t, NULL);
	/* ENOENT: no such family. EINVAL: not the first pid or user namespace */
	if (r == -ENOENT || r == -EINVAL || r == -EPROTONOSUPPORT)
		r = -EOPNOTSUPP;
	if (r == 0)
		r = loop_fd(t->loop, t->fd, LOOP_READ, readable, t, &t->watch);
	if (r < 0) {
		reader_free(t);
		return r;
	}
	*ret_reader = t;
	return 0;
}

static void task_close(void *reader)
{
	struct task_reader *t = reader;

	t->closed = true;
	if (!t->busy)
		reader_free(t);
}

const struct source_kind source_task = {
	.id = KITH_SOURCE_TASK,
	.name = "task",
	.open = task_open,
	.close = task_close,
};
