#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "conntrack/conntrack.h"
#include "fake_host.h"
#include "frames.h"
#include "source/conntrack.h"

extern const struct kith_plugin kith_plugin;

static struct fake_host *f;
static char root[64];

static void table(const char *count, const char *max)
{
	ck_assert_int_eq(fake_write(root, "/proc/sys/net/netfilter/nf_conntrack_count", count), 0);
	ck_assert_int_eq(fake_write(root, "/proc/sys/net/netfilter/nf_conntrack_max", max), 0);
}

static void setup(void)
{
	fake_tree_new(root);
	table("10\n", "100\n");
	f = fake_host_new(&kith_plugin, root);
	fake_host_option(f, "on", "true");
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static struct kith_conntrack_event event(uint32_t what, uint8_t protocol, uint16_t port)
{
	return (struct kith_conntrack_event){ .size = sizeof(struct kith_conntrack_event), .what = what, .protocol = protocol, .port = port, .family = AF_INET,
		                              .known = KITH_CONNTRACK_HAS_COUNTS, .bytes = 100, .packets = 2, .reply_bytes = 50, .reply_packets = 1 };
}

static void say(uint32_t what, uint8_t protocol, uint16_t port)
{
	struct kith_conntrack_event e = event(what, protocol, port);

	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_CONNTRACK, &e), 0);
}

static void will_stats(uint64_t drop)
{
	struct kith_conntrack_stats s = { .size = sizeof(s), .processors = 2, .drop = drop, .early_drop = 1 };

	fake_host_no_answers(f);
	fake_host_source_answer(f, KITH_SOURCE_CONNTRACK_STATS, &s, sizeof(s));
}

START_TEST(off)
{
	fake_host_option(f, "on", NULL);
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f->note, "on = true"));
}
END_TEST

START_TEST(not_there)
{
	fake_tree_free(root);
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f->note, "nf_conntrack is not loaded"));
}
END_TEST

START_TEST(fill)
{
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_CONNTRACK), 0);
	will_stats(5);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "conntrack:entries"), 10);
	ck_assert_double_eq(fake_host_value(f, "conntrack:fill_percent"), 10);
	ck_assert_double_eq(fake_host_value(f, "conntrack:dropped"), 5);
	ck_assert_uint_eq(f->n_records, 0);
	will_stats(12);
	table("95\n", "100\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(f->n_records, 2);
	ck_assert_ptr_nonnull(fake_host_record(f, "4 conntrack the table of connections is nearly full: 95 of 100 event=nearly_full fill_percent=95.0"));
	ck_assert_ptr_nonnull(fake_host_record(f, "4 conntrack 7 packets were dropped"));
	table("85\n", "100\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(f->n_records, 2);
	table("20\n", "100\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_ptr_nonnull(fake_host_record(f, "5 conntrack the table of connections has room again"));
	/* No limit, no number */
	table("20\n", "0\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	table("", "x\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "conntrack:fill_percent"), 20);
}
END_TEST

START_TEST(flows)
{
	struct kith_conntrack_event e = event(KITH_CONNTRACK_NEW, IPPROTO_TCP, 443);
	const struct kith_conntrack_filter *filter;

	fake_host_option(f, "ports", "udp/53, nonsense");
	fake_host_source_answer(f, KITH_SOURCE_CONNTRACK, &e, sizeof(e));
	fake_host_want(f, FAMILY_FLOW, "tcp/443", true);
	fake_host_want(f, FAMILY_FLOW, "tcp", true);
	fake_host_want(f, FAMILY_FLOW, "tcp/*", true);
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "flow"), 3);
	ck_assert_ptr_nonnull(strstr(f->last_log, "nonsense"));
	filter = fake_host_filter(f, KITH_SOURCE_CONNTRACK, 0);
	ck_assert_uint_eq(filter->n_ports, 3);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp/443:open"), 1); /* tracked before */
	ck_assert_double_eq(fake_host_value(f, "flow:tcp/443:begun"), 0);
	/* The first at once, of both that it belongs to; what follows is put together */
	say(KITH_CONNTRACK_NEW, IPPROTO_TCP, 443);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp/443:begun"), 1);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp:begun"), 1);
	say(KITH_CONNTRACK_NEW, IPPROTO_TCP, 444);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp:begun"), 1);
	say(KITH_CONNTRACK_NEW, IPPROTO_UDP, 53);
	say(KITH_CONNTRACK_DESTROY, IPPROTO_UDP, 53);
	say(KITH_CONNTRACK_DESTROY, IPPROTO_UDP, 53); /* of one that was there before */
	ck_assert_int_eq(fake_host_advance(f, INT64_C(1000000000)), 0);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp/443:open"), 2);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp:open"), 3);
	ck_assert(isnan(fake_host_value(f, "flow:tcp:bytes")));
	ck_assert_double_eq(fake_host_value(f, "flow:udp/53:open"), 0);
	ck_assert_double_eq(fake_host_value(f, "flow:udp/53:ended"), 2);
	ck_assert_double_eq(fake_host_value(f, "flow:udp/53:bytes"), 300);
	ck_assert_double_eq(fake_host_value(f, "flow:udp/53:packets"), 6);
	/* Some were lost: what is open is exact */
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp:open"), 1);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp:ended"), 2);
	fake_host_source_answer(f, KITH_SOURCE_CONNTRACK, &e, sizeof(e));
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_double_eq(fake_host_value(f, "flow:tcp/443:open"), 2);
	fake_host_want(f, FAMILY_FLOW, "tcp/443", false);
	fake_host_want(f, FAMILY_FLOW, "tcp", false);
	ck_assert_uint_eq(fake_host_instances(f, "flow"), 1);
	for (int i = 1; i < 2 * FLOWS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "tcp/%d", i);
		fake_host_want(f, FAMILY_FLOW, name, true);
	}
	ck_assert_uint_eq(fake_host_instances(f, "flow"), FLOWS_MAX);
}
END_TEST

START_TEST(recorded)
{
	static const char *const names[] = { "conntrack_new", "conntrack_destroy", "conntrack_dump", "conntrack_stats" };
	struct kith_conntrack_stats s = { .size = sizeof(s) };
	struct kith_conntrack_event e;
	unsigned char data[8192];
	size_t n = frame_read("conntrack_new", data, sizeof(data));

	ck_assert_int_eq(conntrack_message(data, n, &e), 1);
	ck_assert(e.what == KITH_CONNTRACK_NEW && e.protocol == IPPROTO_UDP && e.port == 5300 && e.family == AF_INET && e.id);
	n = frame_read("conntrack_destroy", data, sizeof(data));
	ck_assert_int_eq(conntrack_message(data, n, &e), 1);
	ck_assert(e.what == KITH_CONNTRACK_DESTROY && e.port == 5300 && e.known == KITH_CONNTRACK_HAS_COUNTS && e.packets >= 1 && e.bytes >= 33);
	n = frame_read("conntrack_stats", data, sizeof(data));
	ck_assert(conntrack_message(data, n, &e) == 0 && conntrack_stats_message(data, n, &s) == 1 && s.processors == 1);
	for (size_t i = 0; i < KITH_COUNT(names); i++) {
		n = frame_read(names[i], data, sizeof(data));
		for (size_t cut = 0; cut < n; cut++) {
			unsigned char *copy = exactly(data, cut);

			ck_assert_int_le(conntrack_message(copy, cut, &e), 0);
			ck_assert_int_le(conntrack_stats_message(copy, cut, &s), 0);
			if (cut >= 4)
				memcpy(copy, &(uint32_t){ (uint32_t)cut }, 4);
			conntrack_message(copy, cut, &e);
			conntrack_stats_message(copy, cut, &s);
			free(copy);
		}
	}
}
END_TEST

/* ---- the kernel's filter, run here as the kernel runs it ----------------------------------------------------------- */

static uint32_t attribute_at(const unsigned char *m, size_t from, size_t to, uint32_t type)
{
	while (from + 4 <= to) {
		uint16_t header[2];

		memcpy(header, m + from, 4);
		if (header[0] < 4 || from + header[0] > to)
			return 0;
		if ((header[1] & 0x3fff) == type)
			return (uint32_t)from;
		from += NLMSG_ALIGN((size_t)header[0]);
	}
	return 0;
}

static bool passes(const struct sock_filter *program, int n, const unsigned char *m, size_t length)
{
	uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = { 0 };
	uint16_t nest;

	for (int i = 0; i < n; i++) {
		const struct sock_filter *s = &program[i];

		switch (s->code) {
		case BPF_RET | BPF_K:
			return s->k != 0;
		case BPF_LD | BPF_IMM:
			a = s->k;
			break;
		case BPF_LDX | BPF_IMM:
			x = s->k;
			break;
		case BPF_LD | BPF_MEM:
			a = memory[s->k];
			break;
		case BPF_LDX | BPF_MEM:
			x = memory[s->k];
			break;
		case BPF_ST:
			memory[s->k] = a;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_ALU | BPF_LSH | BPF_K:
			a <<= s->k;
			break;
		case BPF_ALU | BPF_OR | BPF_X:
			a |= x;
			break;
		case BPF_LD | BPF_B | BPF_IND:
			a = m[x + s->k];
			break;
		case BPF_LD | BPF_H | BPF_IND:
			a = (uint32_t)m[x + s->k] << 8 | m[x + s->k + 1];
			break;
		case BPF_LD | BPF_B | BPF_ABS:
			memcpy(&nest, m + a, 2);
			if (s->k == (uint32_t)SKF_AD_OFF + SKF_AD_NLATTR)
				a = attribute_at(m, a, length, x);
			else
				a = attribute_at(m, a + 4, a + nest, x);
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == s->k ? s->jt : s->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			i += a > s->k ? s->jt : s->jf;
			break;
		default:
			ck_abort_msg("code %x", s->code);
		}
	}
	ck_abort_msg("the program does not end");
	return false;
}

START_TEST(kernel_filter)
{
	struct kith_conntrack_port ports[CONNTRACK_PORTS + 1] = { { .protocol = IPPROTO_TCP, .port = 5300 }, { .protocol = IPPROTO_UDP, .port = 53 } };
	struct kith_conntrack_filter one = { .n_ports = 2, .ports = ports }, all = { 0 };
	const struct kith_conntrack_filter *list[] = { &one, &all };
	struct sock_filter program[CONNTRACK_PROGRAM];
	unsigned char data[8192];
	size_t length = frame_read("conntrack_new", data, sizeof(data));
	int n = conntrack_program(list, 1, program);

	ck_assert(!passes(program, n, data, length));
	ports[0].protocol = IPPROTO_UDP;
	n = conntrack_program(list, 1, program);
	ck_assert(passes(program, n, data, length));
	ports[0].port = 5301;
	n = conntrack_program(list, 1, program);
	ck_assert(!passes(program, n, data, length));
	ports[1].port = 0; /* all of UDP */
	n = conntrack_program(list, 1, program);
	ck_assert(passes(program, n, data, length));
	for (uint32_t i = 0; i <= CONNTRACK_PORTS; i++)
		ports[i] = (struct kith_conntrack_port){ .protocol = IPPROTO_UDP, .port = (uint16_t)(5300 - CONNTRACK_PORTS + 1 + i) };
	one.n_ports = CONNTRACK_PORTS;
	n = conntrack_program(list, 1, program);
	ck_assert(n > 0 && passes(program, n, data, length));
	one.n_ports--;
	n = conntrack_program(list, 1, program);
	ck_assert(!passes(program, n, data, length));
	one.n_ports = CONNTRACK_PORTS + 1;
	ck_assert_int_eq(conntrack_program(list, 1, program), 0);
	one.n_ports = 1;
	ck_assert_int_eq(conntrack_program(list, 2, program), 0); /* somebody wants all */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conntrack");
	TCase *c = tcase_create("conntrack");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, off);
	tcase_add_test(c, not_there);
	tcase_add_test(c, fill);
	tcase_add_test(c, flows);
	tcase_add_test(c, recorded);
	tcase_add_test(c, kernel_filter);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
