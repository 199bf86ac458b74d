#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <math.h>

#include "fake_host.h"
#include "frames.h"
#include "interface/interface.h"
#include "source/rtnetlink.h"

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

/* What the source makes of a message goes to the plugin */
static int hear_link(const void *message, size_t length)
{
	struct kith_link_event e;
	int r = rtnetlink_link(message, length, &e);

	return r > 0 ? fake_host_source(f, KITH_SOURCE_LINK, &e) : r;
}

static int hear_address(const void *message, size_t length)
{
	struct kith_address_event e;
	int r = rtnetlink_address(message, length, &e);

	return r > 0 ? fake_host_source(f, KITH_SOURCE_ADDRESS, &e) : r;
}

static void say(uint16_t type, int index, const char *name, unsigned flags, uint8_t operstate)
{
	struct frame m = link_frame(type, index, name, flags, operstate);

	ck_assert_int_eq(hear_link(m.data, m.length), 0);
}

static void say_address(uint16_t type, int index, uint8_t last)
{
	struct frame m = address_frame(type, index, last);

	ck_assert_int_eq(hear_address(m.data, m.length), 0);
}

static void will_dump(int index, const char *name, unsigned flags, uint8_t operstate)
{
	struct frame m = link_frame(RTM_NEWLINK, index, name, flags, operstate);
	struct kith_link_event e;

	ck_assert_int_eq(rtnetlink_link(m.data, m.length, &e), 1);
	fake_host_source_answer(f, KITH_SOURCE_LINK, &e, sizeof(e));
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
	ck_assert_int_ge(group == RTNLGRP_LINK ? hear_link(message, length) : hear_address(message, length), 0);
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
			struct kith_address_event address;
			struct kith_link_event link;

			ck_assert_int_le(rtnetlink_link(copy, cut, &link), 0);
			ck_assert_int_le(rtnetlink_address(copy, cut, &address), 0);
			/* As if the kernel had sent no more: the header agrees, the attributes do not */
			if (cut >= sizeof(header)) {
				memcpy(copy, &(uint32_t){ (uint32_t)cut }, 4);
				rtnetlink_link(copy, cut, &link);
				rtnetlink_address(copy, cut, &address);
			}
			free(copy);
		}
	}
}
END_TEST

START_TEST(bad_messages)
{
	struct frame m = link_frame(RTM_NEWLINK, 7, "x", UP, IF_OPER_UP);
	struct kith_link_event link;

	ck_assert_int_eq(rtnetlink_link(m.data, m.length, &link), 1);
	ck_assert_str_eq(link.name, "x");
	m = link_frame(RTM_NEWLINK, -1, "x", UP, IF_OPER_UP);
	ck_assert_int_eq(rtnetlink_link(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWLINK, 7, "", UP, IF_OPER_UP);
	ck_assert_int_eq(rtnetlink_link(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWLINK, 7, "sixteen-letters-", UP, IF_OPER_UP);
	ck_assert_int_eq(rtnetlink_link(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWLINK, 7, NULL, UP, IF_OPER_UP);
	frame_attribute(&m, IFLA_MTU, "ab", 2);
	ck_assert_int_eq(rtnetlink_link(m.data, m.length, &link), -EBADMSG);
	m = link_frame(RTM_NEWROUTE, 7, "x", UP, IF_OPER_UP);
	ck_assert_int_eq(rtnetlink_link(m.data, m.length, &link), 0);
	start();
	m = link_frame(RTM_NEWLINK, 7, "", UP, IF_OPER_UP);
	ck_assert_int_eq(hear_link(m.data, m.length), -EBADMSG);
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
	struct kith_address_event address;

	ck_assert_int_eq(rtnetlink_address(a.data, a.length, &address), 1);
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
	fake_host_source_answer(f, KITH_SOURCE_ADDRESS, &address, sizeof(address));
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert(!fake_host_has(f, "interface", "gone"));
	ck_assert_str_eq(fake_host_state(f, "interface:kept:state"), "down");
	ck_assert_str_eq(fake_host_state(f, "interface:new:state"), "up");
	ck_assert_double_eq(fake_host_value(f, "interface:kept:addresses"), 1);
	ck_assert_ptr_nonnull(fake_host_record(f, "gone was removed"));
	/* A dump that is interrupted again and again: nothing is swept, and it is done again soon */
	f->fail_source = -EINTR;
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 3);
	f->fail_source = 0;
	fake_host_no_answers(f);
	will_dump(1, "lo", UP, IF_OPER_UNKNOWN);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(2000000000)), 0);
	ck_assert_uint_eq(fake_host_instances(f, "interface"), 1);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(9000000000)), -ENOENT); /* once */
	f->fail_source = -ENOMEM;
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
	f->fail_source = -EPROTONOSUPPORT;
	ck_assert_int_eq(fake_host_start(f), -EPROTONOSUPPORT);
	fake_host_free(f);
	f = fake_host_new(&kith_plugin, "/nonexistent");
	ck_assert_int_eq(fake_host_start(f), -ENOENT);
}
END_TEST

/* ---- routes, rules, neighbours, speeds ---------------------------------------------------------------------------- */

static struct kith_route_event route(uint8_t family, uint32_t metric, int index, uint8_t last)
{
	struct kith_route_event e = { .size = sizeof(e), .table = RT_TABLE_MAIN, .metric = metric, .family = family, .type = RTN_UNICAST, .n_hops = 1 };

	e.hops[0] = (struct kith_route_hop){ .index = index, .family = last ? family : 0 };
	if (family == AF_INET)
		memcpy(e.hops[0].gateway, (uint8_t[4]){ 192, 0, 2, last }, 4);
	else
		memcpy(e.hops[0].gateway, (uint8_t[16]){ 0xfe, 0x80, [15] = last }, 16);
	return e;
}

static void will_route(uint8_t family, uint32_t metric, int index, uint8_t last)
{
	struct kith_route_event e = route(family, metric, index, last);

	fake_host_source_answer(f, KITH_SOURCE_ROUTE, &e, sizeof(e));
}

/* Something has changed: the plugin looks */
static void routes_changed(void)
{
	struct kith_route_event e = route(AF_INET, 0, 2, 1);

	f->now += INT64_C(1000000000);
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_ROUTE, &e), 0);
}

static int say_neighbour(uint8_t last, uint16_t state, bool removed)
{
	struct kith_neighbour_event e = { .size = sizeof(e), .removed = removed, .index = 2, .state = state, .family = AF_INET };

	memcpy(e.address, (uint8_t[4]){ 192, 0, 2, last }, 4);
	return fake_host_source(f, KITH_SOURCE_NEIGHBOUR, &e);
}

static void answers_of(int n_routes)
{
	fake_host_no_answers(f);
	will_dump(1, "lo", UP, IF_OPER_UNKNOWN);
	will_dump(2, "eth0", UP, IF_OPER_UP);
	for (int i = 0; i < n_routes; i++)
		will_route(AF_INET, (uint32_t)(100 - i), 2, (uint8_t)(254 - i));
}

START_TEST(default_routes)
{
	answers_of(0);
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "route"), 0);
	answers_of(1);
	routes_changed();
	ck_assert_ptr_nonnull(fake_host_record(f, "5 route:default/ipv4 the default route of IPv4 is via 192.0.2.254 on eth0 event=appeared"));
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:state"), "present");
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:gateway"), "unknown");
	ck_assert_double_eq(fake_host_value(f, "route:default/ipv4:metric"), 100);
	answers_of(2);
	routes_changed();
	ck_assert_ptr_nonnull(fake_host_record(f, "is via 192.0.2.253 on eth0, was via 192.0.2.254 on eth0 event=changed"));
	ck_assert_uint_eq(fake_host_instances(f, "neighbour"), 2);
	will_route(AF_INET6, 1024, 2, 1);
	routes_changed();
	ck_assert_ptr_nonnull(fake_host_record(f, "route:default/ipv6 the default route of IPv6 is via fe80::1 on eth0"));
	/* A dump that tells some twice, routes that refuse, more than there is room for */
	answers_of(40);
	answers_of(40);
	struct kith_route_event refuses = route(AF_INET6, 1, 1, 0);
	refuses.type = RTN_UNREACHABLE;
	fake_host_source_answer(f, KITH_SOURCE_ROUTE, &refuses, sizeof(refuses));
	routes_changed();
	ck_assert_double_eq(fake_host_value(f, "route:default/ipv4:routes"), DEFAULTS_MAX);
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv6:state"), "absent");
	/* An interrupted dump changes nothing, and is done again */
	f->fail_source = -EINTR;
	routes_changed();
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:state"), "present");
	f->fail_source = 0;
	answers_of(0);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(1000000000)), 0);
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:state"), "absent");
	ck_assert_ptr_nonnull(fake_host_record(f, "4 route:default/ipv4 the default route of IPv4 is gone; it was via "));
	ck_assert_uint_eq(fake_host_instances(f, "neighbour"), 0);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_NEIGHBOUR), 0);
	/* A gateway's link goes: what the kernel does not say is looked for, twice */
	answers_of(1);
	routes_changed();
	answers_of(0);
	say(RTM_NEWLINK, 2, "eth0", 0, IF_OPER_DOWN);
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:state"), "present");
	ck_assert_int_eq(fake_host_advance(f, INT64_C(100000000)), 0);
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:state"), "absent");
	answers_of(1);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(1000000000)), 0);
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:state"), "present");
}
END_TEST

START_TEST(neighbours)
{
	const struct kith_neighbour_filter *filter;

	fake_host_want(f, FAMILY_NEIGHBOUR, "eth0/192.0.2.7", true);
	fake_host_want(f, FAMILY_NEIGHBOUR, "eth0/*", true);
	fake_host_want(f, FAMILY_NEIGHBOUR, "no address", true);
	fake_host_want(f, FAMILY_NEIGHBOUR, "an-interface-with-a-long-name/192.0.2.7", true);
	fake_host_want(f, FAMILY_NEIGHBOUR, "later0/2001:db8::1", true);
	answers_of(1);
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "neighbour"), 3);
	ck_assert_str_eq(fake_host_state(f, "neighbour:later0/2001:db8::1:state"), "unknown");
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_NEIGHBOUR), 2);
	/* fake_host_source tells every watch; only one of them has this address, and the kernel's filter is the source's affair */
	fake_host_want(f, FAMILY_NEIGHBOUR, "eth0/192.0.2.7", false);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_NEIGHBOUR), 1);
	ck_assert_int_eq(say_neighbour(254, NUD_REACHABLE, false), 0);
	ck_assert_str_eq(fake_host_state(f, "neighbour:eth0/192.0.2.254:state"), "reachable");
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:gateway"), "reachable");
	ck_assert(isnan(fake_host_value(f, "neighbour:eth0/192.0.2.254:nud")));
	filter = fake_host_filter(f, KITH_SOURCE_NEIGHBOUR, 0);
	ck_assert_uint_eq(filter->states, NUD_FAILED);
	ck_assert_int_eq(filter->index, 2);
	ck_assert_int_eq(say_neighbour(254, NUD_FAILED, false), 0);
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:gateway"), "failed");
	ck_assert_ptr_nonnull(fake_host_record(f, "4 neighbour:eth0/192.0.2.254 the gateway 192.0.2.254 on eth0 does not answer event=failed"));
	filter = fake_host_filter(f, KITH_SOURCE_NEIGHBOUR, 0);
	ck_assert_uint_ne(filter->states, NUD_FAILED);
	f->now += INT64_C(60000000000);
	ck_assert_int_eq(say_neighbour(254, 0, true), 0); /* the kernel forgets it */
	ck_assert_int_eq(say_neighbour(254, NUD_INCOMPLETE, false), 0);
	ck_assert_str_eq(fake_host_state(f, "route:default/ipv4:gateway"), "failed");
	ck_assert_int_eq(say_neighbour(254, NUD_STALE, false), 0);
	ck_assert_ptr_nonnull(fake_host_record(f, "answers again event=reachable"));
	/* Removed by hand: it is said to have failed, and goes at once */
	ck_assert_int_eq(say_neighbour(254, NUD_FAILED, false), 0);
	ck_assert_int_eq(say_neighbour(254, NUD_FAILED, true), 0);
	ck_assert_str_eq(fake_host_state(f, "neighbour:eth0/192.0.2.254:state"), "unknown");
	/* A link of that name comes, and goes */
	say(RTM_NEWLINK, 9, "later0", UP, IF_OPER_UP);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_NEIGHBOUR), 2);
	say(RTM_DELLINK, 9, "later0", 0, 0);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_NEIGHBOUR), 1);
	/* Many are named: bounded */
	for (int i = 0; i < 2 * NEIGHBOURS_MAX; i++) {
		char name[64];

		snprintf(name, sizeof(name), "eth0/10.0.%d.%d", i / 200, i % 200);
		fake_host_want(f, FAMILY_NEIGHBOUR, name, true);
	}
	ck_assert_uint_eq(fake_host_instances(f, "neighbour"), NEIGHBOURS_MAX);
}
END_TEST

START_TEST(rules)
{
	struct kith_rule_event e = { .size = sizeof(e), .priority = 32766, .table = 254, .family = AF_INET, .source_prefix = 8, .source = { 10 } };

	fake_host_source_answer(f, KITH_SOURCE_RULE, &e, sizeof(e));
	start();
	ck_assert_double_eq(fake_host_value(f, "rule:ipv4:count"), 1);
	ck_assert(isnan(fake_host_value(f, "rule:ipv6:count")));
	f->now += INT64_C(1000000000);
	fake_host_source_answer(f, KITH_SOURCE_RULE, &e, sizeof(e));
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_RULE, &e), 0);
	ck_assert_double_eq(fake_host_value(f, "rule:ipv4:count"), 2);
	ck_assert_ptr_nonnull(fake_host_record(f, "rule:ipv4 rule 32766 of IPv4 was added: from 10.0.0.0/8 table 254 event=added"));
}
END_TEST

START_TEST(storms)
{
	uint64_t before;

	start();
	say(RTM_NEWLINK, 2, "eth0", UP, IF_OPER_UP);
	before = f->n_records;
	for (unsigned i = 0; i < 200; i++)
		say_address(RTM_NEWADDR, 2, (uint8_t)i);
	ck_assert_uint_eq(f->n_records - before, TELL_MAX);
	say(RTM_NEWLINK, 2, "eth0", 0, IF_OPER_DOWN); /* of another kind: said */
	ck_assert_ptr_nonnull(fake_host_record(f, "eth0 is down"));
	ck_assert_int_eq(fake_host_advance(f, INT64_C(5000000000)), 0);
	ck_assert_ptr_nonnull(fake_host_record(f, "one by one: 160 addresses added event=storm address_added=160"));
	ck_assert_int_eq(fake_host_advance(f, INT64_C(9000000000)), -ENOENT);
	ck_assert_double_eq(fake_host_value(f, "interface:eth0:addresses_ipv4"), 200);
	say_address(RTM_DELADDR, 2, 7);
	ck_assert_ptr_nonnull(fake_host_record(f, "5 interface:eth0 eth0 no longer has the address 192.0.2.7/24 event=address_removed"));
}
END_TEST

START_TEST(settings)
{
	struct kith_ethtool_event e = { .size = sizeof(e), .known = 3, .index = 1, .speed = 1000, .duplex = 1 };

	start();
	ck_assert(isnan(fake_host_value(f, "interface:lo:speed")));
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_ETHTOOL, &e), 0);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:speed"), 1000);
	ck_assert_str_eq(fake_host_state(f, "interface:lo:duplex"), "full");
	e.speed = 100;
	e.duplex = 0;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_ETHTOOL, &e), 0);
	ck_assert_ptr_nonnull(fake_host_record(f, "4 interface:lo lo runs at 100 Mbit/s, was 1000 event=speed"));
	e.speed = UINT32_MAX;
	e.duplex = 255;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_ETHTOOL, &e), 0);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:speed"), 0);
	ck_assert_str_eq(fake_host_state(f, "interface:lo:duplex"), "unknown");
	/* Asked for when somebody names it: lo has none, which is no fault */
	ck_assert_uint_eq(fake_host_waiting_work(f), 0);
	fake_host_want(f, FAMILY_INTERFACE, "lo", true);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(1000000000)), 0);
	ck_assert_uint_eq(fake_host_run_work(f), 1);
	ck_assert_double_eq(fake_host_value(f, "interface:lo:speed"), 0);
	fake_host_want(f, FAMILY_INTERFACE, "lo", false);
}
END_TEST

/* ---- the kernel's filters, run here as the kernel runs them -------------------------------------------------------- */

static uint32_t load(const unsigned char *m, uint32_t at, unsigned size)
{
	uint32_t v = 0;

	while (size--)
		v = v << 8 | m[at++];
	return v;
}

static bool passes(const struct sock_filter *program, int n, const unsigned char *m, size_t length)
{
	uint32_t a = 0;

	for (int i = 0; i < n; i++) {
		const struct sock_filter *s = &program[i];
		unsigned size = BPF_SIZE(s->code) == BPF_W ? 4 : BPF_SIZE(s->code) == BPF_H ? 2 : 1;

		switch (BPF_CLASS(s->code)) {
		case BPF_RET:
			return s->k != 0;
		case BPF_LD:
			if (s->k + size > length)
				return false;
			a = load(m, s->k, size);
			break;
		case BPF_JMP:
			i += (BPF_OP(s->code) == BPF_JSET ? (a & s->k) != 0 : a == s->k) ? s->jt : s->jf;
			break;
		default:
			ck_abort();
		}
	}
	ck_abort_msg("the program does not end");
	return false;
}

static bool frame_passes(const struct sock_filter *program, int n, const char *name)
{
	unsigned char data[8192];

	return passes(program, n, data, frame_read(name, data, sizeof(data)));
}

START_TEST(kernel_filters)
{
	static struct sock_filter program[RTNETLINK_PROGRAM];
	const struct kith_neighbour_filter *list[400];
	struct kith_neighbour_filter filters[400] = { 0 };
	struct kith_neighbour_event e;
	unsigned char data[8192];
	size_t length;
	int n = rtnetlink_route_program(program, RTNETLINK_PROGRAM);

	ck_assert(frame_passes(program, n, "route_new_v4") && frame_passes(program, n, "route_gone_v4") && frame_passes(program, n, "route_multipath_v6"));
	length = frame_read("route_new_v4", data, sizeof(data));
	data[17] = 24; /* the length of its destination */
	ck_assert(!passes(program, n, data, length));
	for (int i = 0; i < 400; i++)
		list[i] = &filters[i];
	length = frame_read("neighbour_new_v4", data, sizeof(data));
	ck_assert_int_eq(rtnetlink_neighbour(data, length, &e), 1);
	for (int i = 0; i < 300; i++) {
		filters[i].index = e.index;
		filters[i].family = AF_INET;
		filters[i].address[3] = (uint8_t)i;
	}
	filters[299] = (struct kith_neighbour_filter){ .index = e.index, .family = AF_INET, .states = NUD_FAILED };
	memcpy(filters[299].address, e.address, 16);
	ck_assert_int_eq(rtnetlink_neighbour_program(list, 400, program, RTNETLINK_PROGRAM), -ENOSPC);
	n = rtnetlink_neighbour_program(list, 300, program, RTNETLINK_PROGRAM);
	ck_assert_int_gt(n, 0);
	ck_assert(!frame_passes(program, n, "neighbour_new_v4") && !frame_passes(program, n, "neighbour_new_v6"));
	ck_assert(frame_passes(program, n, "neighbour_gone_v4")); /* its end, whatever its state */
	filters[299].states = NUD_REACHABLE | NUD_FAILED;
	n = rtnetlink_neighbour_program(list, 300, program, RTNETLINK_PROGRAM);
	ck_assert(frame_passes(program, n, "neighbour_new_v4"));
	filters[299].index++;
	n = rtnetlink_neighbour_program(list, 300, program, RTNETLINK_PROGRAM);
	ck_assert(!frame_passes(program, n, "neighbour_new_v4") && !frame_passes(program, n, "neighbour_gone_v4"));
	length = frame_read("neighbour_new_v6", data, sizeof(data));
	ck_assert_int_eq(rtnetlink_neighbour(data, length, &e), 1);
	filters[0] = (struct kith_neighbour_filter){ .index = e.index, .family = AF_INET6 };
	memcpy(filters[0].address, e.address, 16);
	n = rtnetlink_neighbour_program(list, 300, program, RTNETLINK_PROGRAM);
	ck_assert(frame_passes(program, n, "neighbour_new_v6"));
}
END_TEST

START_TEST(recorded_others)
{
	struct kith_neighbour_event neighbour;
	struct kith_ethtool_event ethtool;
	struct kith_route_event r;
	struct kith_rule_event rule;
	unsigned char data[8192];
	size_t n = frame_read("route_new_v4", data, sizeof(data));

	ck_assert_int_eq(rtnetlink_route(data, n, &r), 1);
	ck_assert(!r.removed && r.family == AF_INET && r.prefix == 0 && r.table == RT_TABLE_MAIN && r.metric == 100 && r.n_hops == 1 && r.type == RTN_UNICAST);
	ck_assert(r.hops[0].family == AF_INET && r.hops[0].gateway[3] == 254 && r.hops[0].index > 0);
	n = frame_read("route_multipath", data, sizeof(data));
	ck_assert_int_eq(rtnetlink_route(data, n, &r), 1);
	ck_assert(r.n_hops == 2 && r.hops[1].gateway[3] == 253 && r.hops[1].index == r.hops[0].index);
	n = frame_read("route_multipath_v6", data, sizeof(data));
	ck_assert_int_eq(rtnetlink_route(data, n, &r), 1);
	ck_assert(r.n_hops == 2 && r.family == AF_INET6 && r.hops[0].gateway[0] == 0xfe && r.hops[0].gateway[15] == 2);
	n = frame_read("route_gone_v4", data, sizeof(data));
	ck_assert(rtnetlink_route(data, n, &r) == 1 && r.removed);
	n = frame_read("rule_new_v4", data, sizeof(data));
	ck_assert_int_eq(rtnetlink_rule(data, n, &rule), 1);
	ck_assert(!rule.removed && rule.priority == 1000 && rule.table == 77 && rule.mark == 7 && rule.source_prefix == 24 && rule.destination[0] == 198);
	ck_assert_str_eq(rule.input, "a0");
	ck_assert_str_eq(rule.output, "b0");
	n = frame_read("rule_new_v6", data, sizeof(data));
	ck_assert(rtnetlink_rule(data, n, &rule) == 1 && rule.family == AF_INET6 && rule.inverted == 1 && rule.source_prefix == 32);
	n = frame_read("neighbour_new_v6", data, sizeof(data));
	ck_assert(rtnetlink_neighbour(data, n, &neighbour) == 1 && neighbour.state == NUD_STALE && neighbour.address[15] == 9);
	n = frame_read("ethtool_modes", data, sizeof(data));
	ck_assert(ethtool_message(data, n, &ethtool) == 1 && ethtool.speed == 100 && ethtool.duplex == 1 && ethtool.known == 3);
}
END_TEST

START_TEST(truncated_others)
{
	static const char *const names[] = { "route_new_v4", "route_multipath", "route_multipath_v6", "rule_new_v4", "neighbour_new_v6", "ethtool_modes" };
	unsigned char data[8192];

	for (size_t i = 0; i < KITH_COUNT(names); i++) {
		size_t n = frame_read(names[i], data, sizeof(data));

		for (size_t cut = 0; cut < n; cut++) {
			unsigned char *copy = exactly(data, cut);
			struct kith_neighbour_event neighbour;
			struct kith_ethtool_event ethtool;
			struct kith_route_event r;
			struct kith_rule_event rule;

			for (int said = 0; said < 2; said++) {
				int any = (rtnetlink_route(copy, cut, &r) > 0) + (rtnetlink_rule(copy, cut, &rule) > 0) +
				          (rtnetlink_neighbour(copy, cut, &neighbour) > 0) + (ethtool_message(copy, cut, &ethtool) > 0);

				ck_assert(said || !any);
				/* As if the kernel had sent no more: the header agrees, the attributes do not */
				if (cut >= 4)
					memcpy(copy, &(uint32_t){ (uint32_t)cut }, 4);
			}
			free(copy);
		}
	}
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
	tcase_add_test(c, default_routes);
	tcase_add_test(c, neighbours);
	tcase_add_test(c, rules);
	tcase_add_test(c, storms);
	tcase_add_test(c, settings);
	tcase_add_test(c, kernel_filters);
	tcase_add_test(c, recorded_others);
	tcase_add_test(c, truncated_others);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
