/* What is done by netlink, and with datagrams: see acts.h, and latency.c for the arguments. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/acts.h"

#define AUDIT_USER_LOGIN 1112 /* linux/audit.h has it only where libaudit is */

struct request {
	struct nlmsghdr header;
	char body[512];
};

/* ---- netlink ---------------------------------------------------------------------------------------------------- */

static int netlink_open(struct actor *a, int protocol)
{
	a->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	return a->fd < 0 ? -errno : 0;
}

static void request_init(struct request *q, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	*q = (struct request){ .header = { .nlmsg_len = (uint32_t)NLMSG_SPACE(n), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags } };
	memcpy(q->body, body, n);
}

static void request_add(struct request *q, uint16_t type, const void *value, size_t n)
{
	struct rtattr a = { .rta_len = (uint16_t)RTA_LENGTH(n), .rta_type = type };
	char *at = (char *)q + q->header.nlmsg_len;

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), value, n);
	q->header.nlmsg_len += (uint32_t)RTA_SPACE(n);
}

/* 0 or -errno, as the kernel answers */
static int request_do(struct actor *a, struct request *q)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} answer;
	const struct nlmsgerr *error = NLMSG_DATA(&answer.header);

	a->acted = clock_mono();
	if (send(a->fd, q, q->header.nlmsg_len, 0) < 0)
		return -errno;
	if (recv(a->fd, &answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(*error)))
		return -EPROTO;
	return answer.header.nlmsg_type == NLMSG_ERROR ? error->error : -EPROTO;
}

/* ---- link ------------------------------------------------------------------------------------------------------- */

static int link_start(struct actor *a)
{
	a->ifindex = (int)if_nametoindex(a->args[0]);
	return a->ifindex ? netlink_open(a, NETLINK_ROUTE) : -errno;
}

static int link_set(struct actor *a, unsigned flags)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = a->ifindex, .ifi_change = IFF_UP, .ifi_flags = flags };
	struct request q;

	request_init(&q, RTM_SETLINK, 0, &info, sizeof(info));
	return request_do(a, &q);
}

static int link_mend(struct actor *a)
{
	return link_set(a, IFF_UP);
}

static int link_harm(struct actor *a)
{
	return link_set(a, 0);
}

/* ---- route ------------------------------------------------------------------------------------------------------ */

static int route_start(struct actor *a)
{
	return netlink_open(a, NETLINK_ROUTE);
}

static int route_set(struct actor *a, uint16_t type, uint16_t flags)
{
	struct rtmsg route = { .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST };
	struct in_addr gateway;
	struct request q;

	if (inet_pton(AF_INET, a->args[0], &gateway) != 1)
		return -EINVAL;
	request_init(&q, type, flags, &route, sizeof(route));
	request_add(&q, RTA_GATEWAY, &gateway, sizeof(gateway));
	return request_do(a, &q);
}

static int route_mend(struct actor *a)
{
	return route_set(a, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
}

static int route_harm(struct actor *a)
{
	return route_set(a, RTM_DELROUTE, 0);
}

/* ---- neighbour -------------------------------------------------------------------------------------------------- */

static int neighbour_set(struct actor *a, uint16_t state)
{
	static const uint8_t hardware[6] = { 2, 0, 0, 0, 0, 1 };
	struct ndmsg neighbour = { .ndm_family = AF_INET, .ndm_ifindex = a->ifindex, .ndm_state = state, .ndm_type = RTN_UNICAST };
	struct in_addr address;
	struct request q;

	if (inet_pton(AF_INET, a->args[1], &address) != 1)
		return -EINVAL;
	request_init(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour, sizeof(neighbour));
	request_add(&q, NDA_DST, &address, sizeof(address));
	if (state != NUD_FAILED)
		request_add(&q, NDA_LLADDR, hardware, sizeof(hardware));
	return request_do(a, &q);
}

static int neighbour_mend(struct actor *a)
{
	return neighbour_set(a, NUD_REACHABLE);
}

static int neighbour_harm(struct actor *a)
{
	return neighbour_set(a, NUD_FAILED);
}

/* ---- audit ------------------------------------------------------------------------------------------------------ */

static int audit_start(struct actor *a)
{
	return netlink_open(a, NETLINK_AUDIT);
}

static int audit_say(struct actor *a)
{
	struct request q;

	if (strlen(a->args[0]) >= sizeof(q.body))
		return -EMSGSIZE;
	request_init(&q, AUDIT_USER_LOGIN, 0, a->args[0], strlen(a->args[0]) + 1);
	return request_do(a, &q);
}

/* ---- datagrams -------------------------------------------------------------------------------------------------- */

/* From a port of its own each time, one after the other: the kernel still tracks those of half a minute ago. */
static int datagram_socket(void)
{
	static uint16_t port;
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!port)
		port = (uint16_t)(10000 + getpid() % 40 * 1000);
	for (int tries = 0; tries < 100; tries++) {
		from.sin_port = htons(port++);
		if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0)
			return fd;
	}
	close(fd);
	return -EADDRINUSE;
}

static int datagram_send(struct actor *a, const char *text)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(a->args[0])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = datagram_socket(), r = 0;

	if (fd < 0)
		return fd;
	a->acted = clock_mono();
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int datagram_mend(struct actor *a)
{
	return datagram_send(a, a->args[1]);
}

static int datagram_harm(struct actor *a)
{
	return datagram_send(a, a->args[2]);
}

const struct act acts_net[] = {
	{ "link", 1, LISTEN_LINK, link_start, link_mend, link_harm, NULL },
	{ "route", 1, LISTEN_NOTHING, route_start, route_mend, route_harm, NULL },
	{ "neighbour", 2, LISTEN_NOTHING, link_start, neighbour_mend, neighbour_harm, NULL },
	{ "audit", 1, LISTEN_NOTHING, audit_start, audit_say, audit_say, NULL },
	{ "datagram", 3, LISTEN_NOTHING, NULL, datagram_mend, datagram_harm, NULL },
};
const size_t n_acts_net = sizeof(acts_net) / sizeof(acts_net[0]);
