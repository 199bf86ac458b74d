/*
 * Version 1's memory controller announces by eventfd. Of memory.oom_control: before the kernel kills somebody, so the count of kills is read again
 * a little later, a few times. Of a threshold: when usage crosses it, in either direction.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "source/cgroup.h"

#define AGAIN_FIRST (2 * NS_PER_MS)
#define AGAIN_TIMES 9             /* doubled each time: for about a second */
#define NO_LIMIT (UINT64_C(1) << 60) /* what the kernel writes for none is a bit less than 2^63 */

struct channel {
	int fd; /* -1: none */
	struct loop_watch *watch;
};

struct cgroup_v1 {
	struct cgroup_node *node;
	struct channel oom, near;
	struct loop_watch *timer;
	int64_t after;
	unsigned left;
	uint64_t threshold, kills;
};

static void channel_close(struct loop *l, struct channel *ch)
{
	loop_remove(l, ch->watch);
	ch->watch = NULL;
	if (ch->fd >= 0)
		close(ch->fd);
	ch->fd = -1;
}

/* An eventfd that the kernel counts up for `file`, with `argument` behind the two descriptors */
static int channel_open(struct cgroup_node *node, const char *file, const char *argument, loop_fd_fn fn, struct channel *ret)
{
	struct cgroup_reader *c = node->reader;
	struct channel ch = { .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	int of, control = -1, r = 0;
	char text[80];

	if (ch.fd < 0)
		return -errno;
	of = open(cgroup_path(c, node, file), O_RDONLY | O_CLOEXEC);
	if (of >= 0)
		control = open(cgroup_path(c, node, "cgroup.event_control"), O_WRONLY | O_CLOEXEC);
	if (of < 0 || control < 0)
		r = -errno;
	if (r == 0) {
		int n = snprintf(text, sizeof(text), "%d %d%s", ch.fd, of, argument);

		r = write(control, text, (size_t)n) < 0 ? -errno : 0;
	}
	/* The kernel keeps what it needs of them */
	if (of >= 0)
		close(of);
	if (control >= 0)
		close(control);
	if (r == 0)
		r = loop_fd(c->loop, ch.fd, LOOP_READ, fn, node->v1, &ch.watch);
	if (r < 0) {
		close(ch.fd);
		return r;
	}
	*ret = ch;
	return 0;
}

/* False: the group is gone, which ends every eventfd with one last event */
static bool channel_drain(const struct cgroup_v1 *v, int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return false;
	return access(cgroup_path(v->node->reader, v->node, "memory.oom_control"), F_OK) == 0;
}

static void timer_stop(struct cgroup_v1 *v)
{
	loop_remove(v->node->reader->loop, v->timer);
	v->timer = NULL;
	v->left = 0;
}

static void look(void *user)
{
	struct cgroup_v1 *v = user;
	struct cgroup_node *node = v->node;
	uint64_t counts[KITH_CGROUP_COUNTS], kills = 0;
	char text[256];
	bool under = false;

	loop_remove(node->reader->loop, v->timer);
	v->timer = NULL;
	if (cgroup_read(node->reader, node, "memory.oom_control", text, sizeof(text)) < 0 || !cgroup_parse_oom_control(text, &kills, &under))
		return;
	if (kills == v->kills && v->left > 0) {
		v->left--;
		v->after *= 2;
		loop_timer(node->reader->loop, v->after, 0, 0, look, v, &v->timer);
		return;
	}
	v->left = 0;
	v->kills = kills;
	memcpy(counts, node->counts, sizeof(counts));
	counts[KITH_CGROUP_OOM_KILL] = kills;
	cgroup_update(node, node->known | 1u << KITH_CGROUP_OOM_KILL, counts);
}

static void on_oom(int fd, unsigned events, void *user)
{
	struct cgroup_v1 *v = user;
	struct cgroup_node *node = v->node;
	uint64_t counts[KITH_CGROUP_COUNTS];

	(void)events;
	if (!channel_drain(v, fd)) {
		channel_close(node->reader->loop, &v->oom);
		return;
	}
	if (!v->timer) {
		v->after = AGAIN_FIRST;
		loop_timer(node->reader->loop, v->after, 0, 0, look, v, &v->timer);
	}
	v->left = AGAIN_TIMES;
	memcpy(counts, node->counts, sizeof(counts));
	counts[KITH_CGROUP_OOM]++;
	cgroup_update(node, node->known | 1u << KITH_CGROUP_OOM, counts);
}

static void on_near(int fd, unsigned events, void *user)
{
	struct cgroup_v1 *v = user;
	struct cgroup_node *node = v->node;
	uint64_t counts[KITH_CGROUP_COUNTS], usage;
	const char *p;
	char text[64];

	(void)events;
	if (!channel_drain(v, fd)) {
		channel_close(node->reader->loop, &v->near);
		return;
	}
	p = text;
	if (cgroup_read(node->reader, node, "memory.usage_in_bytes", text, sizeof(text)) < 0 || kith_scan_u64(&p, &usage) < 0 ||
	    usage < v->threshold)
		return;
	memcpy(counts, node->counts, sizeof(counts));
	counts[KITH_CGROUP_NEAR]++;
	cgroup_update(node, node->known | 1u << KITH_CGROUP_NEAR, counts);
}

void cgroup_v1_limit(struct cgroup_node *node)
{
	struct cgroup_v1 *v = node->v1;
	const char *p;
	char text[64];
	uint64_t limit;

	if (!v)
		return;
	p = text;
	if (cgroup_read(node->reader, node, "memory.limit_in_bytes", text, sizeof(text)) < 0 || kith_scan_u64(&p, &limit) < 0)
		return;
	if (v->near.fd >= 0 && v->threshold == limit / 10 * 9)
		return;
	channel_close(node->reader->loop, &v->near);
	v->threshold = limit / 10 * 9;
	if (limit == 0 || limit >= NO_LIMIT)
		return;
	snprintf(text, sizeof(text), " %" PRIu64, v->threshold);
	if (channel_open(node, "memory.usage_in_bytes", text, on_near, &v->near) == 0)
		node->known |= 1u << KITH_CGROUP_NEAR;
}

int cgroup_v1_watch(struct cgroup_node *node)
{
	struct cgroup_reader *c = node->reader;
	struct cgroup_v1 *v;
	char text[256];
	bool under;
	int r;

	if (node->v1)
		return 0;
	if (c->n_v1 >= CGROUP_V1_MAX)
		return -ENOSPC;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	*v = (struct cgroup_v1){ .node = node, .oom = { .fd = -1 }, .near = { .fd = -1 } };
	node->v1 = v;
	c->n_v1++;
	r = channel_open(node, "memory.oom_control", "", on_oom, &v->oom);
	if (r < 0) {
		cgroup_v1_unwatch(node);
		return r;
	}
	node->known |= 1u << KITH_CGROUP_OOM;
	/* Linux 4.13 and later count the kills */
	if (cgroup_read(c, node, "memory.oom_control", text, sizeof(text)) >= 0 && cgroup_parse_oom_control(text, &v->kills, &under)) {
		node->known |= 1u << KITH_CGROUP_OOM_KILL;
		node->counts[KITH_CGROUP_OOM_KILL] = v->kills;
	}
	cgroup_v1_limit(node);
	return 0;
}

void cgroup_v1_unwatch(struct cgroup_node *node)
{
	struct cgroup_v1 *v = node->v1;

	if (!v)
		return;
	timer_stop(v);
	channel_close(node->reader->loop, &v->oom);
	channel_close(node->reader->loop, &v->near);
	node->reader->n_v1--;
	node->v1 = NULL;
	free(v);
}
