/*
 * What the two ends of a link agreed on. The kernel tells nobody but who asks, and who asks waits for its configuration lock, for seconds perhaps: so it
 * is asked in a worker, after a link came up, of hardware and of what somebody names. That somebody changed the settings is announced.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interface/interface.h"

#define ASK_AFTER (INT64_C(1000000000) / 10)
#define BATCH 64
#define DUPLEX_WORD(d) ((uint8_t)((d) <= 1 ? (d) : 2)) /* half, full, unknown */

/* When the plugin goes meanwhile nobody takes the answers: whoever of the two comes second frees it. */
struct batch {
	atomic_bool left;
	struct interface *p;
	unsigned n;
	struct {
		int32_t index;
		char name[IFNAMSIZ];
		double speed; /* NaN: it has none */
		uint8_t duplex;
	} links[BATCH];
};

static double known_speed(uint32_t speed)
{
	return speed == UINT32_MAX || speed == UINT16_MAX ? 0 : (double)speed;
}

static int ask_all(void *user)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct batch *b = user;

	for (unsigned i = 0; i < b->n; i++) {
		struct ethtool_cmd command = { .cmd = ETHTOOL_GSET };
		struct ifreq request = { .ifr_data = (char *)&command };

		memcpy(request.ifr_name, b->links[i].name, IFNAMSIZ);
		b->links[i].speed = NAN;
		if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0)
			continue;
		b->links[i].speed = known_speed((uint32_t)command.speed_hi << 16 | command.speed);
		b->links[i].duplex = DUPLEX_WORD(command.duplex);
	}
	if (fd >= 0)
		close(fd);
	if (atomic_exchange(&b->left, true))
		free(b);
	return 0;
}

static int ask_soon(struct interface *p);

static int answered(int result, void *user)
{
	struct batch *b = user;
	struct interface *p = b->p;
	int r = 0;

	(void)result;
	p->asking = NULL;
	for (unsigned i = 0; i < b->n; i++) {
		struct link *l = link_indexed(p, b->links[i].index);

		if (l && !strcmp(l->name, b->links[i].name))
			r = link_speed(p, l, b->links[i].speed, b->links[i].duplex);
	}
	free(b);
	for (struct link *l = p->by_index; l; l = l->by_index.next)
		if (l->ask)
			return ask_soon(p);
	return r;
}

static int on_ask(void *user)
{
	struct interface *p = user;
	struct batch *b;
	int r;

	p->h->unwatch(p->h, p->ask_timer);
	p->ask_timer = NULL;
	if (p->asking)
		return 0; /* who answers asks on */
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->p = p;
	for (struct link *l = p->by_index; l && b->n < BATCH; l = l->by_index.next) {
		if (!l->ask)
			continue;
		l->ask = false;
		if (!*l->name)
			continue;
		b->links[b->n].index = l->index;
		memcpy(b->links[b->n++].name, l->name, IFNAMSIZ);
	}
	r = b->n ? p->h->work(p->h, ask_all, answered, b) : -ENOENT;
	if (r == 0) {
		p->asking = b;
		return 0;
	}
	for (unsigned i = 0; i < b->n; i++) {
		struct link *l = link_indexed(p, b->links[i].index);

		if (l)
			l->ask = true;
	}
	free(b);
	return r == -EAGAIN ? ask_soon(p) : r == -ENOENT ? 0 : r;
}

static int ask_soon(struct interface *p)
{
	return p->ask_timer ? 0 : p->h->watch_timer(p->h, ASK_AFTER, 0, ASK_AFTER, on_ask, p, &p->ask_timer);
}

static bool is_named(const struct interface *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_named; i++)
		if (!strcmp(p->named[i], name))
			return true;
	return false;
}

void speed_ask(struct interface *p, struct link *l)
{
	if (l->ask || (!l->physical && !is_named(p, l->name)))
		return;
	l->ask = true;
	if (!p->asking)
		ask_soon(p);
}

/* ---- who names them, who changes them ------------------------------------------------------------------------------ */

static int named_add(struct interface *p, const char *name)
{
	char **grown;
	uint32_t size;

	if (p->n_named == p->size_named) {
		size = p->size_named ? p->size_named * 2 : 4;
		grown = realloc(p->named, size * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		p->named = grown;
		p->size_named = size;
	}
	p->named[p->n_named] = strdup(name);
	if (!p->named[p->n_named])
		return -ENOMEM;
	p->n_named++;
	return 0;
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct interface *p = user;
	struct link *l;
	int r;

	/* A pattern may mean thousands: of these, hardware alone */
	if (strchr(instance, '*'))
		return 0;
	if (wanted) {
		r = named_add(p, instance);
		l = link_named(p, instance, strlen(instance));
		if (r == 0 && l)
			speed_ask(p, l);
		return r;
	}
	for (uint32_t i = 0; i < p->n_named; i++)
		if (!strcmp(p->named[i], instance)) {
			free(p->named[i]);
			p->named[i] = p->named[--p->n_named];
			break;
		}
	return 0;
}

static int on_changed(const void *event, void *user)
{
	const struct kith_ethtool_event *e = event;
	struct interface *p = user;
	struct link *l = e ? link_indexed(p, e->index) : NULL;

	if (!l || !(e->known & KITH_ETHTOOL_HAS_SPEED))
		return 0;
	return link_speed(p, l, known_speed(e->speed), e->known & KITH_ETHTOOL_HAS_DUPLEX ? DUPLEX_WORD(e->duplex) : l->duplex);
}

int speed_start(struct interface *p)
{
	int r = p->h->watch_source(p->h, KITH_SOURCE_ETHTOOL, NULL, on_changed, p, NULL);

	/* A kernel before 5.6, or built without it: links that come up are asked all the same. */
	if (r < 0)
		p->h->log(p->h, KITH_INFO, "changes of a link's settings are not heard of: %s", strerror(-r));
	return p->h->watch_wanted(p->h, FAMILY_INTERFACE, on_wanted, p, NULL);
}

void speed_free(struct interface *p)
{
	if (p->asking && atomic_exchange(&p->asking->left, true))
		free(p->asking);
	while (p->n_named)
		free(p->named[--p->n_named]);
	free(p->named);
}
