#include <check.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <math.h>

#include "fake_host.h"
#include "frames.h"
#include "interface/interface.h"

extern const struct kith_plugin kith_plugin;

#define HEADINGS "Inter-| Receive | Transmit\n face |bytes | bytes\n"

static struct fake_host *f;
static char root[64];

/* ---- making messages ---------------------------------------------------------------------------------------------- */

struct frame {
	size_t length;
	_Alignas(4) unsigned char data[512];
};

static void frame_append(struct frame *m, const void *data, size_t n)
{
	memcpy(m->data + m->length, data, n);
	m->length = NLMSG_ALIGN(m->length + n);
	memcpy(m->data, &(uint32_t){ (uint32_t)m->length }, 4);
}

static void frame_attribute(struct frame *m, uint16_t type, const void *data, size_t n)
{
	struct rtattr header = { .rta_len = (uint16_t)(sizeof(header) + n), .rta_type = type };

	frame_append(m, &header, sizeof(header));
	frame_append(m, data, n);
}

static struct frame link_frame(uint16_t type, int index, const char *name, unsigned flags, uint8_t operstate)
{
	struct nlmsghdr header = { .nlmsg_type = type };
	struct ifinfomsg body = { .ifi_index = index, .ifi_flags = flags };
	struct frame m = { 0 };

	frame_append(&m, &header, sizeof(header));
	frame_append(&m, &body, sizeof(body));
	if (name)
		frame_attribute(&m, IFLA_IFNAME, name, strlen(name) + 1);
	frame_attribute(&m, IFLA_OPERSTATE, &operstate, 1);
	frame_attribute(&m, IFLA_MTU, &(uint32_t){ 1500 }, 4);
	return m;
}

static struct frame address_frame(uint16_t type, int index, uint8_t last)
{
	struct nlmsghdr header = { .nlmsg_type = type };
	struct ifaddrmsg body = { .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = (unsigned)index };
	struct frame m = { 0 };

	frame_append(&m, &header, sizeof(header));
	frame_append(&m, &body, sizeof(body));
	frame_attribute(&m, IFA_LOCAL, (uint8_t[4]){ 192, 0, 2, last }, 4);
	return m;
}

#define UP (IFF_UP | IFF_LOWER_UP)

static void say(uint16_t type, int index, const char *name, unsigned flags, uint8_t operstate)
{
	struct frame m = link_frame(type, index, name, flags, operstate);

	ck_assert_int_eq(fake_host_netlink(f, NETLINK_ROUTE, RTNLGRP_LINK, m.data, m.length), 0);
}

static void say_address(uint16_t type, int index, uint8_t last)
{
	struct frame m = address_frame(type, index, last);

	ck_assert_int_eq(fake_host_netlink(f, NETLINK_ROUTE, RTNLGRP_IPV4_IFADDR, m.data, m.length), 0);
}

static void will_dump(int index, const char *name, unsigned flags, uint8_t operstate)
{
	struct frame m = link_frame(RTM_NEWLINK, index, name, flags, operstate);

	fake_host_answer(f, NETLINK_ROUTE, RTM_GETLINK, m.data, m.length);
}

static void setup(void)
{
	fake_tree_new(root);
	ck_assert_int_eq(fake_write(root, "/proc/net/dev", HEADINGS), 0);
	f = fake_host_new(&kith_plugin, root);
}

static void start(void)
{
	will_dump(1, "lo", UP, IF_OPER_UNKNOWN);
	ck_assert_int_eq(fake_host_start(f), 0);
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

/* Every message of a recorded file, to the group */
static void replay_one(const void *message, size_t length, uint32_t group)
{
	ck_assert_int_ge(fake_host_netlink(f, NETLINK_ROUTE, group, message, length), 0);
}

static void replay(const char *name, uint32_t group)
{
	_Alignas(4) unsigned char data[8192];
	size_t n = frame_read(name, data, sizeof(data));

	for (size_t at = 0; at < n;) {
		struct nlmsghdr header;

		memcpy(&header, data + at, sizeof(header));
		replay_one(data + at, header.nlmsg_len, group);
		at += NLMSG_ALIGN(header.nlmsg_len);
	}
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

START_TEST(recorded)
{
	double value;

	ck_assert_int_eq(fake_host_start(f), 0);
	replay("link_new_veth_pair", RTNLGRP_LINK);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 2);
	ck_assert_str_eq(fake_host_state(f, "interface:veth0:state"), "down");
	ck_assert_ptr_nonnull(fake_host_record(f, "6 interface:veth0 veth0 appeared, down event=appeared ifindex="));
	/* Whoever waits for the state hears it first */
	ck_assert_str_eq(fake_host_trace(f, 0, &value), "interface:veth1:state");
	replay("link_up", RTNLGRP_LINK);
	ck_assert_str_eq(fake_host_state(f, "interface:veth0:state"), "up");
	ck_assert_ptr_nonnull(fake_host_record(f, "5 interface:veth0 veth0 is up event=up"));
	ck_assert_double_eq(fake_host_value(f, "interface:veth0:carrier"), 1);
	ck_assert_double_eq(fake_host_value(f, "interface:veth0:mtu"), 1500);
	replay("link_lost_carrier", RTNLGRP_LINK);
	ck_assert_str_eq(fake_host_state(f, "interface:veth0:state"), "down");
	ck_assert_str_eq(fake_host_state(f, "interface:veth0:operstate"), "lower_layer_down");
	ck_assert_double_eq(fake_host_value(f, "interface:veth0:carrier"), 0);
	replay("link_altname", RTNLGRP_LINK);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 2);
	replay("link_renamed", RTNLGRP_LINK);
	ck_assert(!fake_host_has(f, "interface", "veth0"));
	ck_assert_str_eq(fake_host_state(f, "interface:wan0:state"), "down");
	replay("address_new_v4", RTNLGRP_IPV4_IFADDR);
	replay("address_new_v4", RTNLGRP_IPV4_IFADDR);
	replay("address_new_v6", RTNLGRP_IPV6_IFADDR);
	ck_assert_double_eq(fake_host_value(f, "interface:wan0:addresses"), 2);
	replay("link_bridge_port", RTNLGRP_LINK);
	replay("link_bridge_port_left", RTNLGRP_LINK);
	ck_assert(fake_host_has(f, "interface", "wan0"));
	replay("address_gone_v4", RTNLGRP_IPV4_IFADDR);
	ck_assert_double_eq(fake_host_value(f, "interface:wan0:addresses"), 1);
	replay("link_deleted", RTNLGRP_LINK);
	ck_assert(!fake_host_has(f, "interface", "wan0") && !fake_host_has(f, "interface", "veth1"));
	ck_assert_uint_eq(f->n_ends, 3);
}
END_TEST

/* No message cut short is taken for a whole one, none is read beyond its end */
START_TEST(truncated)
{
	static const char *const names[] = { "link_up", "link_renamed", "link_bridge_port", "address_new_v4", "address_new_v6" };
	unsigned char data[8192];

	for (size_t i = 0; i < KITH_COUNT(names); i++) {
		size_t n = frame_read(names[i], data, sizeof(data));
		struct nlmsghdr header;

		memcpy(&header, data, sizeof(header));
		n = header.nlmsg_len;
		for (size_t cut = 0; cut < n; cut++) {
			unsigned char *copy = exactly(data, cut);
			struct address_message address;
			struct link_message link;

			ck_assert_int_le(link_message_parse(copy, cut, &link), 0);
			ck_assert_int_le(address_message_parse(copy, cut, &address), 0);
			/* As if the kernel had sent no more: the header agrees, the attributes do not */
			if (cut >= sizeof(header)) {
				memcpy(copy, &(uint32_t){ (uint32_t)cut }, 4);
				link_message_parse(copy, cut, &link);
				address_message_parse(copy, cut, &address);
			}
			free(copy);
		}
	}
}
END_TEST

START_TEST(bad_messages)
{
	struct frame m = link_frame(RTM_NEWLINK, 7, "x", UP, IF_OPER_UP);
	struct link_message link;

	ck_assert_int_eq(link_message_parse(m.data, m.length, &link), 1);
	ck_assert_str_eq(link.name, "x");
	m = link_frame(RTM_NEWLINK, -1, "x", UP, IF_OPER_UP);
	ck_assert_int_eq(link_message_parse(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWLINK, 7, "", UP, IF_OPER_UP);
	ck_assert_int_eq(link_message_parse(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWLINK, 7, "sixteen-letters-", UP, IF_OPER_UP);
	ck_assert_int_eq(link_message_parse(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWLINK, 7, NULL, UP, IF_OPER_UP);
	frame_attribute(&m, IFLA_MTU, "ab", 2);
	ck_assert_int_eq(link_message_parse(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWROUTE, 7, "x", UP, IF_OPER_UP);
	ck_assert_int_eq(link_message_parse(m.data, m.length, &link), 0);
	start();
	m = link_frame(RTM_NEWLINK, 7, "", UP, IF_OPER_UP);
	ck_assert_int_eq(fake_host_netlink(f, NETLINK_ROUTE, RTNLGRP_LINK, m.data, m.length), -EBADMSG);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 1);
}
END_TEST

START_TEST(states)
{
	static const struct { unsigned flags; uint8_t operstate; const char *state; } table[] = {
		{ 0, IF_OPER_DOWN, "down" },          { IFF_UP, IF_OPER_DOWN, "down" },    { UP, IF_OPER_UP, "up" },
		{ UP, IF_OPER_UNKNOWN, "up" },        { IFF_UP, IF_OPER_UNKNOWN, "down" }, { IFF_LOWER_UP, IF_OPER_UP, "down" },
		{ UP, IF_OPER_DORMANT, "down" },      { UP, IF_OPER_TESTING, "down" },     { UP, 200, "down" },
		{ UP, IF_OPER_LOWERLAYERDOWN, "down" },
	};

	start();
	ck_assert_uint_eq(f->n_records, 0); /* what is there at the start has not happened */
	for (size_t i = 0; i < KITH_COUNT(table); i++) {
		say(RTM_NEWLINK, 2, "e", table[i].flags, table[i].operstate);
		ck_assert_msg(!strcmp(fake_host_state(f, "interface:e:state"), table[i].state), "row %zu", i);
	}
	/* The same said again puts nothing */
	uint64_t puts = f->n_puts;
	say(RTM_NEWLINK, 2, "e", UP, IF_OPER_LOWERLAYERDOWN);
	ck_assert_uint_eq(f->n_puts, puts);
}
END_TEST

/* The name changes hands in one breath, in whatever order it is heard of */
START_TEST(names_change_hands)
{
	start();
	say(RTM_NEWLINK, 5, "a", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 6, "b", 0, IF_OPER_DOWN);
	say(RTM_NEWLINK, 5, "tmp", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 6, "a", 0, IF_OPER_DOWN);
	say(RTM_NEWLINK, 5, "b", UP, IF_OPER_UP);
	ck_assert_str_eq(fake_host_state(f, "interface:a:state"), "down");
	ck_assert_str_eq(fake_host_state(f, "interface:b:state"), "up");
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 3);
	/* A dump tells of 6 as "b" before it tells of 5 as "a" */
	fake_host_no_answers(f);
	will_dump(1, "lo", UP, IF_OPER_UNKNOWN);
	will_dump(6, "b", 0, IF_OPER_DOWN);
	will_dump(5, "a", UP, IF_OPER_UP);
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_str_eq(fake_host_state(f, "interface:a:state"), "up");
	ck_assert_str_eq(fake_host_state(f, "interface:b:state"), "down");
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 3);
	/* Deleted and taken at once by a new one */
	say(RTM_DELLINK, 5, "a", 0, IF_OPER_DOWN);
	say(RTM_NEWLINK, 9, "a", 0, IF_OPER_DOWN);
	ck_assert_str_eq(fake_host_state(f, "interface:a:state"), "down");
	say(RTM_DELLINK, 77, "never-heard-of", 0, 0);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 3);
}
END_TEST

START_TEST(resync)
{
	struct frame a = address_frame(RTM_NEWADDR, 3, 1);

	start();
	say(RTM_NEWLINK, 2, "gone", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 3, "kept", UP, IF_OPER_UP);
	say_address(RTM_NEWADDR, 3, 1);
	say_address(RTM_NEWADDR, 3, 2);
	fake_host_no_answers(f);
	will_dump(1, "lo", UP, IF_OPER_UNKNOWN);
	will_dump(3, "kept", 0, IF_OPER_DOWN);
	will_dump(3, "kept", 0, IF_OPER_DOWN); /* twice, as an interrupted dump may */
	will_dump(4, "new", UP, IF_OPER_UP);
	fake_host_answer(f, NETLINK_ROUTE, RTM_GETADDR, a.data, a.length);
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert(!fake_host_has(f, "interface", "gone"));
	ck_assert_str_eq(fake_host_state(f, "interface:kept:state"), "down");
	ck_assert_str_eq(fake_host_state(f, "interface:new:state"), "up");
	ck_assert_double_eq(fake_host_value(f, "interface:kept:addresses"), 1);
	ck_assert_ptr_nonnull(fake_host_record(f, "gone was removed"));
	/* A dump that is interrupted again and again: nothing is swept, and it is done again soon */
	f->fail_netlink = -EINTR;
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 3);
	f->fail_netlink = 0;
	fake_host_no_answers(f);
	will_dump(1, "lo", UP, IF_OPER_UNKNOWN);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(2000000000)), 0);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 1);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(9000000000)), -ENOENT); /* once */
	f->fail_netlink = -ENOMEM;
	ck_assert_int_eq(fake_host_resync(f), -ENOMEM);
}
END_TEST

/* Addresses come by another socket: before their link, and after it has gone */
START_TEST(addresses)
{
	start();
	say_address(RTM_NEWADDR, 8, 1);
	say_address(RTM_NEWADDR, 8, 2);
	say_address(RTM_NEWADDR, 8, 2);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 1);
	say(RTM_NEWLINK, 8, "late", UP, IF_OPER_UP);
	ck_assert_double_eq(fake_host_value(f, "interface:late:addresses"), 2);
	say_address(RTM_DELADDR, 8, 9);
	say_address(RTM_DELADDR, 8, 1);
	ck_assert_double_eq(fake_host_value(f, "interface:late:addresses"), 1);
	say(RTM_DELLINK, 8, "late", 0, 0);
	say_address(RTM_NEWADDR, 8, 3);
	say_address(RTM_DELADDR, 8, 2);
	say_address(RTM_DELADDR, 8, 3);
	say(RTM_NEWLINK, 8, "late", UP, IF_OPER_UP);
	ck_assert_double_eq(fake_host_value(f, "interface:late:addresses"), 0);
}
END_TEST

START_TEST(cap)
{
	start();
	fake_host_cap(f, "interface", 2);
	say(RTM_NEWLINK, 2, "a", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 3, "b", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 4, "c", 0, IF_OPER_DOWN);
	ck_assert(!fake_host_has(f, "interface", "b"));
	say(RTM_NEWLINK, 3, "b", 0, IF_OPER_DOWN); /* it changes while it waits */
	say(RTM_DELLINK, 2, "a", 0, 0);
	ck_assert_str_eq(fake_host_state(f, "interface:b:state"), "down");
	ck_assert(!fake_host_has(f, "interface", "c"));
	say(RTM_DELLINK, 4, "c", 0, 0); /* goes while it waits */
	say(RTM_DELLINK, 3, "b", 0, 0);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 1);
	say(RTM_NEWLINK, 5, "d", UP, IF_OPER_UP);
	ck_assert(fake_host_has(f, "interface", "d"));
}
END_TEST

START_TEST(ignored)
{
	fake_host_option(f, "ignore", "veth*, docker?");
	start();
	say(RTM_NEWLINK, 2, "veth12", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 3, "docker0", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 4, "docker10", UP, IF_OPER_UP);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 2);
	ck_assert(fake_host_has(f, "interface", "docker10"));
	ck_assert_ptr_null(fake_host_record(f, "veth12"));
	say(RTM_NEWLINK, 2, "lan0", UP, IF_OPER_UP); /* out of the pattern, and into it */
	ck_assert_str_eq(fake_host_state(f, "interface:lan0:state"), "up");
	say(RTM_NEWLINK, 4, "veth1", UP, IF_OPER_UP);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 2);
	fake_host_option(f, "ignore", NULL);
	fake_host_option(f, "only", "d*");
	ck_assert_int_eq(fake_host_reconfigure(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 1);
	ck_assert_str_eq(fake_host_state(f, "interface:docker0:state"), "up");
}
END_TEST

static void dev(const char *lines)
{
	char text[2048];

	snprintf(text, sizeof(text), HEADINGS "%s", lines);
	ck_assert_int_eq(fake_write(root, "/proc/net/dev", text), 0);
}

START_TEST(counters)
{
	start();
	say(RTM_NEWLINK, 2, "eth0", UP, IF_OPER_UP);
	say(RTM_NEWLINK, 3, "e", UP, IF_OPER_UP);
	dev("    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  eth0:101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116\n"
	    "     e: 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nunknown: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:rx_bytes"), 1);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:multicast"), 8);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:tx_bytes"), 9);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:collisions"), 14);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:tx_compressed"), 16);
	ck_assert_double_eq(fake_host_value(f, "interface:eth0:rx_packets"), 102);
	ck_assert_double_eq(fake_host_value(f, "interface:eth0:tx_dropped"), 112);
	ck_assert_double_ge(fake_host_value(f, "interface:e:rx_bytes"), 1.8e19);
	/* Another order, one gone, one of a name that begins like another's */
	dev("     e: 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n    lo: 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "interface:e:rx_bytes"), 7);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:rx_bytes"), 5);
	ck_assert_uint_eq(fake_host_puts(f, "interface:eth0:rx_bytes"), 1);
	/* One that stood in a line goes: its line is no longer its */
	say(RTM_DELLINK, 3, "e", 0, 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	say(RTM_NEWLINK, 4, "e", UP, IF_OPER_UP);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "interface:e:rx_bytes"), 7);
	/* What cannot be read is a failure, and the others are read all the same */
	dev("    lo: 6 0 0\n     e: 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
	ck_assert_int_eq(fake_host_sample(f), -EBADMSG);
	ck_assert_double_eq(fake_host_value(f, "interface:e:rx_bytes"), 8);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:rx_bytes"), 5);
	dev("a name that is much too long: 1\nno colon\n:\n");
	ck_assert_int_eq(fake_host_sample(f), -EBADMSG);
	dev("");
	ck_assert_int_eq(fake_host_sample(f), 0);
}
END_TEST

START_TEST(no_start)
{
	f->fail_netlink = -EPROTONOSUPPORT;
	ck_assert_int_eq(fake_host_start(f), -EPROTONOSUPPORT);
	fake_host_free(f);
	f = fake_host_new(&kith_plugin, "/nonexistent");
	ck_assert_int_eq(fake_host_start(f), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("interface");
	TCase *c = tcase_create("interface");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, recorded);
	tcase_add_test(c, truncated);
	tcase_add_test(c, bad_messages);
	tcase_add_test(c, states);
	tcase_add_test(c, names_change_hands);
	tcase_add_test(c, resync);
	tcase_add_test(c, addresses);
	tcase_add_test(c, cap);
	tcase_add_test(c, ignored);
	tcase_add_test(c, counters);
	tcase_add_test(c, no_start);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
