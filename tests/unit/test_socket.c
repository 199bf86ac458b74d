#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <math.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_host.h"
#include "frames.h"
#include "socket/socket.h"
#include "source/socket.h"

extern const struct kith_plugin kith_plugin;

static struct fake_host *f;
static char root[64];

static struct kith_socket_event listening(uint32_t protocol, uint16_t port, uint32_t inode)
{
	return (struct kith_socket_event){ .size = sizeof(struct kith_socket_event), .protocol = protocol, .state = protocol == KITH_SOCKET_TCP ? 10 : 7,
		                           .family = AF_INET, .local_port = port, .inode = inode, .rqueue = 2, .wqueue = 128 };
}

/* dump_source of the fake tells the same whatever is asked for: each look dumps twice, so that an answer counts twice unless its protocol is looked at */
static void will_listen(uint16_t port, uint32_t inode)
{
	struct kith_socket_event e = listening(KITH_SOCKET_TCP, port, inode);

	fake_host_source_answer(f, KITH_SOURCE_SOCKET, &e, sizeof(e));
}

static int dump_by_protocol(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user);
static int (*dump_all)(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user);

struct sifted { const struct kith_socket_filter *filter; kith_source_fn fn; void *user; };

static int sift(const void *event, void *user)
{
	const struct kith_socket_event *e = event;
	struct sifted *s = user;

	if (!(s->filter->protocols & e->protocol) || !(s->filter->states & 1u << e->state) || (s->filter->port && s->filter->port != e->local_port) ||
	    (s->filter->remote_port && s->filter->remote_port != e->remote_port))
		return 0;
	return s->fn(event, s->user);
}

static int dump_by_protocol(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user)
{
	struct sifted s = { filter, fn, user };

	return dump_all(h, source, filter, sift, &s);
}

static void setup(void)
{
	fake_tree_new(root);
	ck_assert_int_eq(fake_write(root, "/proc/net/sockstat", "sockets: used 9\nTCP: inuse 5 orphan 1 tw 2 alloc 7 mem 3\nUDP: inuse 4 mem 1\nUDPLITE: inuse 0\n"), 0);
	ck_assert_int_eq(fake_write(root, "/proc/net/sockstat6", "TCP6: inuse 2\nUDP6: inuse 1\n"), 0);
	ck_assert_int_eq(fake_write(root, "/proc/net/snmp", "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: RtoAlgorithm MaxConn ActiveOpens CurrEstab OutRsts\n"
	                                                    "Tcp: 1 -1 44 12 6\nUdp: InDatagrams NoPorts\nUdp: 10 3\n"), 0);
	ck_assert_int_eq(fake_write(root, "/proc/net/netstat", "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 8 9\n"), 0);
	f = fake_host_new(&kith_plugin, root);
	dump_all = f->host.dump_source;
	f->host.dump_source = dump_by_protocol;
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

START_TEST(ports)
{
	struct kith_socket_event udp = listening(KITH_SOCKET_UDP, 53, 3), client = listening(KITH_SOCKET_UDP, 40000, 4);

	will_listen(443, 1);
	will_listen(443, 2);
	fake_host_source_answer(f, KITH_SOURCE_SOCKET, &udp, sizeof(udp));
	fake_host_source_answer(f, KITH_SOURCE_SOCKET, &client, sizeof(client));
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(f->n_records, 0);
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443:state"), "listening");
	ck_assert_double_eq(fake_host_value(f, "listen:tcp/443:sockets"), 2);
	ck_assert_double_eq(fake_host_value(f, "listen:tcp/443:backlog"), 4);
	ck_assert_double_eq(fake_host_value(f, "listen:tcp/443:backlog_limit"), 256);
	ck_assert(fake_host_has(f, "listen", "udp/53") && !fake_host_has(f, "listen", "udp/40000"));
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_SOCKET), 0); /* nobody names any */
	fake_host_no_answers(f);
	will_listen(80, 9);
	for (int i = 0; i < RARELY; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(!fake_host_has(f, "listen", "tcp/443") && fake_host_has(f, "listen", "tcp/80"));
	ck_assert_ptr_nonnull(fake_host_record(f, "6 listen:tcp/443 port tcp/443 is no longer listened on event=closed port=443"));
	ck_assert_ptr_nonnull(fake_host_record(f, "6 listen:tcp/80 port tcp/80 is listened on event=opened"));
	/* A dump that fails changes nothing */
	f->fail_source = -EINTR;
	ck_assert_int_eq(fake_host_resync(f), 0);
	f->fail_source = 0;
	ck_assert(fake_host_has(f, "listen", "tcp/80"));
}
END_TEST

START_TEST(named)
{
	struct kith_socket_event gone = listening(KITH_SOCKET_TCP, 443, 1);
	const struct kith_socket_filter *filter;

	will_listen(443, 1);
	fake_host_want(f, FAMILY_LISTEN, "tcp/443", true);
	fake_host_want(f, FAMILY_LISTEN, "tcp/*", true);
	fake_host_want(f, FAMILY_LISTEN, "tcp/0443", true);
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_SOCKET), 1);
	filter = fake_host_filter(f, KITH_SOURCE_SOCKET, 0);
	ck_assert_uint_eq(filter->n_listeners, 1);
	ck_assert_uint_eq(filter->protocols, KITH_SOCKET_TCP);
	f->now += INT64_C(1000000000);
	fake_host_no_answers(f);
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_SOCKET, &gone), 0);
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443:state"), "absent");
	ck_assert_ptr_nonnull(fake_host_record(f, "5 listen:tcp/443 port tcp/443 is no longer listened on"));
	/* It comes back: seen soon, long before a tick */
	will_listen(443, 7);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(30000000)), 0);
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443:state"), "listening");
	/* It stays away: looked for some times, then no more */
	fake_host_no_answers(f);
	f->now += INT64_C(1000000000);
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_SOCKET, &gone), 0);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(60000000000)), 0);
	ck_assert_int_eq(fake_host_advance(f, INT64_C(60000000000)), -ENOENT);
	fake_host_want(f, FAMILY_LISTEN, "tcp/443", false);
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_SOCKET), 0);
	ck_assert(!fake_host_has(f, "listen", "tcp/443"));
}
END_TEST

static void settle(void)
{
	f->now += INT64_C(1000000000);
	ck_assert_int_eq(fake_host_resync(f), 0);
	fake_host_run_work(f);
}

START_TEST(owners)
{
	char path[128];

	ck_assert_int_eq(fake_write(root, "/proc/12/comm", "nginx\n"), 0);
	ck_assert_int_eq(fake_write(root, "/proc/13/comm", "nginx-other\n"), 0);
	ck_assert_int_eq(fake_write(root, "/proc/12/fd/.keep", ""), 0);
	ck_assert_int_eq(fake_write(root, "/proc/13/fd/.keep", ""), 0);
	will_listen(443, 4711);
	fake_host_want(f, FAMILY_LISTEN, "tcp/443/nginx", true);
	fake_host_want(f, FAMILY_LISTEN, "tcp/99/nginx", true);
	ck_assert_int_eq(fake_host_start(f), 0);
	settle();
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443/nginx:state"), "other");
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/99/nginx:state"), "absent");
	/* Another name's process has it */
	snprintf(path, sizeof(path), "%s/proc/13/fd/3", root);
	ck_assert_int_eq(symlink("socket:[4711]", path), 0);
	settle();
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443/nginx:state"), "other");
	snprintf(path, sizeof(path), "%s/proc/12/fd/3", root);
	ck_assert_int_eq(symlink("socket:[4711]", path), 0);
	settle();
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443/nginx:state"), "listening");
	/* As long as the sockets stay the same nobody is asked */
	settle();
	ck_assert_uint_eq(fake_host_waiting_work(f), 0);
	fake_host_no_answers(f);
	will_listen(443, 4712);
	settle();
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443/nginx:state"), "other");
	/* Nobody wants it any more while it is looked for */
	f->now += INT64_C(1000000000);
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_uint_eq(fake_host_waiting_work(f), 1);
	fake_host_want(f, FAMILY_LISTEN, "tcp/443/nginx", false);
	ck_assert_uint_eq(fake_host_run_work(f), 1);
	ck_assert(!fake_host_has(f, "listen", "tcp/443/nginx"));
	fake_host_want(f, FAMILY_LISTEN, "tcp/443/nginx", true);
	settle();
	ck_assert_str_eq(fake_host_state(f, "listen:tcp/443/nginx:state"), "other");
}
END_TEST

START_TEST(connections)
{
	struct kith_socket_event e = listening(KITH_SOCKET_TCP, 443, 5);

	fake_host_want(f, FAMILY_CONNECTION, "tcp/443", true);
	fake_host_want(f, FAMILY_CONNECTION, "tcp/to/5432", true);
	ck_assert_int_eq(fake_host_start(f), 0);
	e.remote_port = 40000;
	e.state = 1;
	fake_host_source_answer(f, KITH_SOURCE_SOCKET, &e, sizeof(e));
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "connection:tcp/443:open"), 1);
	ck_assert_double_eq(fake_host_value(f, "connection:tcp/to/5432:open"), 0);
	e.known = KITH_SOCKET_HAS_INFO;
	e.sent = 1000;
	e.received = 300;
	e.retransmits = 2;
	e.rtt = 1500;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_SOCKET, &e), 0);
	ck_assert_double_eq(fake_host_value(f, "connection:tcp/443:closed"), 3);
	ck_assert_double_eq(fake_host_value(f, "connection:tcp/443:sent"), 3000);
	ck_assert_double_eq(fake_host_value(f, "connection:tcp/443:received"), 900);
	ck_assert_double_eq(fake_host_value(f, "connection:tcp/443:retransmits"), 6);
	ck_assert_double_eq_tol(fake_host_value(f, "connection:tcp/443:rtt"), 0.0015, 1e-9);
	ck_assert_double_eq(fake_host_value(f, "connection:tcp/to/5432:closed"), 0);
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_ptr_nonnull(fake_host_record(f, "not counted whole"));
	fake_host_want(f, FAMILY_CONNECTION, "tcp/443", false);
	fake_host_want(f, FAMILY_CONNECTION, "tcp/to/5432", false);
	ck_assert_uint_eq(fake_host_instances(f, "connection"), 0);
}
END_TEST

START_TEST(counts)
{
	double page = (double)sysconf(_SC_PAGESIZE);

	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "tcp:established"), 12);
	ck_assert_double_eq(fake_host_value(f, "tcp:in_use"), 7);
	ck_assert_double_eq(fake_host_value(f, "tcp:orphans"), 1);
	ck_assert_double_eq(fake_host_value(f, "tcp:time_wait"), 2);
	ck_assert_double_eq(fake_host_value(f, "tcp:memory"), 3 * page);
	ck_assert_double_eq(fake_host_value(f, "tcp:opened_out"), 44);
	ck_assert_double_eq(fake_host_value(f, "tcp:resets_sent"), 6);
	ck_assert_double_eq(fake_host_value(f, "tcp:listen_overflows"), 8);
	ck_assert(isnan(fake_host_value(f, "tcp:timeouts"))); /* a kernel that does not have it */
	ck_assert_double_eq(fake_host_value(f, "udp:in_use"), 5);
	ck_assert_double_eq(fake_host_value(f, "udp:no_port"), 3);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "tcp:established"), 1);
	fake_host_want(f, FAMILY_UDP, "", true);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "tcp:established"), 2);
}
END_TEST

START_TEST(unsupported)
{
	f->fail_source = -ENOENT;
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f->note, "CONFIG_INET_DIAG"));
}
END_TEST

START_TEST(bounded)
{
	ck_assert_int_eq(fake_host_start(f), 0);
	for (unsigned i = 1; i < 2 * INSTANCES_MAX; i++) {
		char name[32];

		will_listen((uint16_t)i, i);
		snprintf(name, sizeof(name), "tcp/%u", i + 10000);
		fake_host_want(f, FAMILY_CONNECTION, name, true);
	}
	settle();
	ck_assert_uint_eq(fake_host_instances(f, "listen"), INSTANCES_MAX);
	ck_assert_uint_eq(fake_host_instances(f, "connection"), INSTANCES_MAX);
}
END_TEST

START_TEST(recorded)
{
	struct kith_socket_event e;
	unsigned char data[8192];
	size_t n = frame_read("socket_listen", data, sizeof(data));

	ck_assert_int_eq(socket_message(data, n, KITH_SOCKET_TCP, &e), 1);
	ck_assert(e.state == 10 && e.local_port == 8443 && !e.remote_port && e.wqueue == 5 && e.inode && e.local[0] == 127);
	n = frame_read("socket_closed", data, sizeof(data));
	ck_assert_int_eq(socket_message(data, n, KITH_SOCKET_TCP, &e), 1);
	ck_assert(e.known == KITH_SOCKET_HAS_INFO && (e.local_port == 8443 || e.remote_port == 8443));
	ck_assert(e.received == (e.local_port == 8443 ? 1001 : 301) && e.rtt > 0);
	n = frame_read("socket_listener_closed", data, sizeof(data));
	ck_assert(socket_message(data, n, KITH_SOCKET_TCP, &e) == 1 && e.local_port == 8443 && !e.remote_port);
	n = frame_read("socket_udp_closed", data, sizeof(data));
	ck_assert(socket_message(data, n, KITH_SOCKET_UDP, &e) == 1 && e.local_port == 53 && e.protocol == KITH_SOCKET_UDP);
	static const char *const names[] = { "socket_listen", "socket_closed", "socket_udp_closed" };
	for (size_t i = 0; i < KITH_COUNT(names); i++) {
		n = frame_read(names[i], data, sizeof(data));
		for (size_t cut = 0; cut < n; cut++) {
			unsigned char *copy = exactly(data, cut);

			ck_assert_int_le(socket_message(copy, cut, KITH_SOCKET_TCP, &e), 0);
			if (cut >= 4)
				memcpy(copy, &(uint32_t){ (uint32_t)cut }, 4);
			socket_message(copy, cut, KITH_SOCKET_TCP, &e);
			free(copy);
		}
	}
}
END_TEST

/* The kernel's filter, run here as the kernel runs it */
static bool passes(const struct sock_filter *program, int n, uint16_t local, uint16_t remote)
{
	uint32_t a = 0;

	for (int i = 0; i < n; i++) {
		if (BPF_CLASS(program[i].code) == BPF_RET)
			return program[i].k != 0;
		if (BPF_CLASS(program[i].code) == BPF_LD)
			a = program[i].k == 20 ? local : program[i].k == 22 ? remote : 0;
		else
			i += a == program[i].k ? program[i].jt : program[i].jf;
	}
	ck_abort_msg("the program does not end");
	return false;
}

START_TEST(kernel_filter)
{
	static const uint16_t listeners[] = { 80, 443 }, local[] = { 25 }, remote[] = { 5432 };
	struct kith_socket_filter one = { .listeners = listeners, .n_listeners = 2, .local = local, .n_local = 1 };
	struct kith_socket_filter two = { .remote = remote, .n_remote = 1 }, many = { .n_listeners = 150 };
	const struct kith_socket_filter *both[] = { &one, &two, &many };
	struct sock_filter program[SOCKET_PROGRAM];
	uint16_t list[SOCKET_PORTS];
	int n = socket_program(both, 2, program);

	ck_assert(passes(program, n, 80, 0) && passes(program, n, 443, 0) && passes(program, n, 25, 0));
	ck_assert(!passes(program, n, 80, 1000) && !passes(program, n, 5432, 0) && !passes(program, n, 81, 0));
	ck_assert(passes(program, n, 25, 1000) && passes(program, n, 1000, 5432) && !passes(program, n, 1000, 1001));
	n = socket_program(both, 0, program);
	ck_assert(!passes(program, n, 80, 0) && !passes(program, n, 80, 1));
	for (int i = 0; i < SOCKET_PORTS; i++)
		list[i] = (uint16_t)(1000 + i);
	many.listeners = list;
	n = socket_program(both, 3, program);
	ck_assert(passes(program, n, 1149, 0) && passes(program, n, 1000, 0) && !passes(program, n, 1150, 0) && passes(program, n, 25, 7));
	many.n_listeners = SOCKET_PORTS;
	ck_assert_int_eq(socket_program(both, 3, program), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("socket");
	TCase *c = tcase_create("socket");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, ports);
	tcase_add_test(c, named);
	tcase_add_test(c, owners);
	tcase_add_test(c, connections);
	tcase_add_test(c, counts);
	tcase_add_test(c, unsupported);
	tcase_add_test(c, bounded);
	tcase_add_test(c, recorded);
	tcase_add_test(c, kernel_filter);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
