#include <check.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "frames.h"
#include "source/netlink.h"

struct heard {
	unsigned n, bytes, lost;
	uint16_t types[64];
};

static void on_message(const void *message, size_t length, void *user)
{
	struct nlmsghdr header;
	struct heard *h = user;

	ck_assert_uint_ge(length, sizeof(header));
	memcpy(&header, message, sizeof(header));
	ck_assert_uint_eq(header.nlmsg_len, length);
	h->types[h->n++ % 64] = header.nlmsg_type;
	h->bytes += (unsigned)length;
}

static void on_lost(void *user)
{
	((struct heard *)user)->lost++;
}

START_TEST(parse_recorded)
{
	static const struct { const char *name; unsigned n; uint16_t type; } frames[] = {
		{ "link_new_veth_pair", 2, RTM_NEWLINK },  { "link_up", 1, RTM_NEWLINK },
		{ "link_lost_carrier", 2, RTM_NEWLINK },   { "link_renamed", 1, RTM_NEWLINK },
		{ "link_bridge_port_left", 1, RTM_DELLINK }, { "link_deleted", 2, RTM_DELLINK },
		{ "address_new_v4", 1, RTM_NEWADDR },      { "address_new_v6", 1, RTM_NEWADDR },
		{ "address_gone_v4", 1, RTM_DELADDR },
	};
	unsigned char data[8192];

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		size_t n = frame_read(frames[i].name, data, sizeof(data));
		struct heard h = { 0 };

		ck_assert_int_eq(netlink_parse(data, n, on_message, &h), 0);
		ck_assert_msg(h.n >= frames[i].n, "%s: %u messages", frames[i].name, h.n);
		ck_assert_uint_eq(h.types[h.n - 1], frames[i].type);
		ck_assert_uint_le(h.bytes, n);
	}
}
END_TEST

START_TEST(parse_truncated)
{
	static const char *const names[] = { "link_new_veth_pair", "link_deleted", "address_new_v4", "address_new_v6" };
	unsigned char data[8192];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = frame_read(names[i], data, sizeof(data));
		struct heard whole = { 0 };

		netlink_parse(data, n, on_message, &whole);
		for (size_t cut = 0; cut < n; cut++) {
			void *copy = exactly(data, cut);
			struct heard h = { 0 };
			int r = netlink_parse(copy, cut, on_message, &h);

			free(copy);
			ck_assert_uint_le(h.bytes, cut);
			if (r == 0)
				ck_assert(h.bytes + 3 >= cut); /* exactly between two messages */
			else
				ck_assert_int_eq(r, -EBADMSG);
			ck_assert(h.n < whole.n || (n - cut < 4 && r == 0));
		}
	}
}
END_TEST

START_TEST(parse_bad)
{
	static const struct { uint32_t length, present; int result; unsigned heard; } table[] = {
		{ 16, 16, 0, 1 },         { 16, 0, 0, 0 },          { 16, 1, -EBADMSG, 0 },  { 16, 15, -EBADMSG, 0 },
		{ 15, 16, -EBADMSG, 0 },  { 0, 16, -EBADMSG, 0 },   { 17, 16, -EBADMSG, 0 }, { 0xffffffff, 16, -EBADMSG, 0 },
		{ 17, 17, 0, 1 },         { 17, 20, 0, 1 },         { 16, 19, -EBADMSG, 1 }, { 0xfffffff0, 64, -EBADMSG, 0 },
		{ 0x80000000, 64, -EBADMSG, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		unsigned char data[64] = { 0 };
		struct nlmsghdr header = { .nlmsg_len = table[i].length, .nlmsg_type = RTM_NEWLINK };
		struct heard h = { 0 };
		void *copy;

		memcpy(data, &header, sizeof(header));
		copy = exactly(data, table[i].present);
		ck_assert_msg(netlink_parse(copy, table[i].present, on_message, &h) == table[i].result, "row %zu", i);
		ck_assert_uint_eq(h.n, table[i].heard);
		free(copy);
	}
}
END_TEST

START_TEST(parse_control)
{
	struct nlmsghdr messages[3] = { { .nlmsg_len = 16, .nlmsg_type = NLMSG_NOOP },
		                        { .nlmsg_len = 16, .nlmsg_type = NLMSG_DONE },
		                        { .nlmsg_len = 16, .nlmsg_type = RTM_DELLINK } };
	struct heard h = { 0 };

	ck_assert_int_eq(netlink_parse(messages, sizeof(messages), on_message, &h), 0);
	ck_assert_uint_eq(h.n, 1);
	ck_assert_uint_eq(h.types[0], RTM_DELLINK);
}
END_TEST

/* ---- on sockets --------------------------------------------------------------------------------------------------- */

static struct loop *loop;
static struct netlink_source *source;

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(netlink_source_new(loop, &source), 0);
}

static void teardown(void)
{
	netlink_source_free(source);
	loop_free(loop);
}

/* Another process may send to a group too: whoever is not the kernel is not heard */
START_TEST(foreign)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct nlmsghdr header = { .nlmsg_len = sizeof(header), .nlmsg_type = RTM_NEWLINK };
	struct heard h = { 0 };
	struct netlink_listener listener = { &h, on_message, on_lost, false };
	struct netlink_sub *sub;
	int fd;

	ck_assert_int_eq(netlink_subscribe(source, NETLINK_USERSOCK, 1, &listener, &sub), 0);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	ck_assert_int_ge(fd, 0);
	/* It goes to the group and to the kernel, which has no socket there: refused, and delivered to the group all the same */
	ck_assert(sendto(fd, &header, sizeof(header), 0, (struct sockaddr *)&to, sizeof(to)) > 0 || errno == ECONNREFUSED);
	loop_run_once(loop, NS_PER_S);
	ck_assert_uint_eq(netlink_stats(source).foreign, 1);
	ck_assert_uint_eq(netlink_stats(source).messages, 0);
	ck_assert_uint_eq(h.n, 0);
	ck_assert_uint_eq(h.lost, 0);
	close(fd);
	netlink_unsubscribe(source, sub);
}
END_TEST

static int count(const void *message, size_t length, void *user)
{
	on_message(message, length, user);
	return 0;
}

static int refuse(const void *message, size_t length, void *user)
{
	on_message(message, length, user);
	return -ECANCELED;
}

START_TEST(dump)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
	struct heard h = { 0 };

	ck_assert_int_eq(netlink_dump(source, NETLINK_ROUTE, RTM_GETLINK, &body, sizeof(body), count, &h), 0);
	ck_assert_uint_ge(h.n, 1);
	ck_assert_uint_eq(h.types[0], RTM_NEWLINK);
	h = (struct heard){ 0 };
	ck_assert_int_eq(netlink_dump(source, NETLINK_ROUTE, RTM_GETLINK, &body, sizeof(body), refuse, &h), -ECANCELED);
	ck_assert_uint_eq(h.n, 1);
	h = (struct heard){ 0 };
	ck_assert_int_eq(netlink_dump(source, NETLINK_ROUTE, 5000, &body, sizeof(body), count, &h), -EOPNOTSUPP);
	ck_assert_uint_eq(h.n, 0);
}
END_TEST

START_TEST(subscriptions)
{
	struct heard h = { 0 };
	struct netlink_listener listener = { &h, on_message, on_lost, false };
	struct netlink_sub *a, *b, *c = (void *)&h;

	ck_assert_int_eq(netlink_subscribe(source, NETLINK_ROUTE, RTNLGRP_LINK, &listener, &a), 0);
	ck_assert_int_eq(netlink_subscribe(source, NETLINK_ROUTE, RTNLGRP_LINK, &listener, &b), 0);
	ck_assert_int_eq(netlink_subscribe(source, NETLINK_ROUTE, 0, &listener, &c), -EINVAL);
	ck_assert_int_lt(netlink_subscribe(source, 31, 1, &listener, &c), 0);
	ck_assert_int_lt(netlink_subscribe(source, NETLINK_ROUTE, 100000, &listener, &c), 0);
	ck_assert_ptr_eq(c, &h); /* untouched on failure */
	netlink_unsubscribe(source, a);
	netlink_unsubscribe(source, NULL);
	/* b is left to netlink_source_free */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("source netlink");
	TCase *parse = tcase_create("parse"), *sockets = tcase_create("sockets");
	SRunner *runner;
	int failed;

	tcase_add_test(parse, parse_recorded);
	tcase_add_test(parse, parse_truncated);
	tcase_add_test(parse, parse_bad);
	tcase_add_test(parse, parse_control);
	tcase_add_checked_fixture(sockets, setup, teardown);
	tcase_add_test(sockets, foreign);
	tcase_add_test(sockets, dump);
	tcase_add_test(sockets, subscriptions);
	suite_add_tcase(s, parse);
	suite_add_tcase(s, sockets);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
