/* The interface plugin on the real netlink source, in a network namespace of its own */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/real_sources.h"

#define PAIRS 2500 /* 5,000 links */

/* Runs `ip -batch` over `script`, in a child that writes while this process does not read its events */
static void ip(const char *script)
{
	FILE *p = popen("ip -batch - 2>&1", "w");

	check(p);
	fputs(script, p);
	check(pclose(p) == 0);
}

extern const struct kith_plugin kith_plugin;

static double value(struct real *r, const char *name)
{
	return fake_host_value(r->f, name);
}

static void test_life(struct real *r)
{
	const char *state;

	check(fake_host_has(r->f, "interface", "lo"));
	check(!strcmp(fake_host_state(r->f, "interface:lo:state"), "down"));
	ip("link set lo up\n");
	check(real_until(r, "interface:lo:state", 1, NS_PER_S));
	check_equal(fake_host_puts(r->f, "interface:lo:state"), 2);
	check(real_until(r, "interface:lo:addresses", 2, NS_PER_S)); /* 127.0.0.1 and ::1 */

	ip("link add a0 type veth peer name b0\n");
	check(real_until(r, "interface:b0:state", 0, NS_PER_S));
	ip("link set a0 up\nlink set b0 up\n");
	check(real_until(r, "interface:a0:state", 1, NS_PER_S));
	check(real_until(r, "interface:a0:carrier", 1, NS_PER_S));
	/* The other end goes down: this one loses its carrier */
	ip("link set b0 down\n");
	check(real_until(r, "interface:a0:state", 0, 2 * NS_PER_S));
	check(fake_host_record(r->f, "interface:a0 a0 is down event=down"));
	state = fake_host_state(r->f, "interface:a0:operstate");
	check(state && !strcmp(state, "lower_layer_down"));
	ip("link set a0 mtu 1400\naddr add 192.0.2.1/24 dev a0\naddr add 2001:db8::1/64 dev a0 nodad\n");
	check(real_until(r, "interface:a0:mtu", 1400, NS_PER_S));
	real_settle(r, 200 * NS_PER_MS);
	ip("addr del 192.0.2.1/24 dev a0\naddr add 192.0.2.2/24 dev a0\naddr change 192.0.2.2/24 dev a0 valid_lft 100 preferred_lft 100\n");
	real_settle(r, 200 * NS_PER_MS);
	check(value(r, "interface:a0:addresses") >= 2);
}

static void test_same_breath(struct real *r)
{
	check_equal(fake_host_instances(r->f, "interface"), 3); /* lo, a0, b0 */
	/* All of it is queued before any of it is read */
	ip("link set a0 down\nlink set a0 name c0\nlink add a0 type veth peer name d0\nlink set a0 name e0\nlink set c0 name a0\n"
	   "link set a0 up\nlink set a0 down\nlink del e0\n");
	real_settle(r, 200 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 3);
	check(fake_host_has(r->f, "interface", "a0"));
	check(!fake_host_has(r->f, "interface", "c0"));
	check(!fake_host_has(r->f, "interface", "e0"));
	check_equal(value(r, "interface:a0:state"), 0);
	check(fake_host_record(r->f, "interface:c0 a0 is now called c0 event=renamed"));
	check(fake_host_record(r->f, "interface:e0 e0 was removed event=removed"));

	/* Up, down, renamed and deleted in one breath, with the name taken by another one */
	ip("link add x0 type veth peer name y0\nlink set x0 up\nlink set y0 up\nlink set x0 down\nlink set x0 name z0\nlink del z0\n"
	   "link add x0 type veth peer name y0\n");
	real_settle(r, 200 * NS_PER_MS);
	check(fake_host_has(r->f, "interface", "x0") && fake_host_has(r->f, "interface", "y0"));
	check(!fake_host_has(r->f, "interface", "z0"));
	check_equal(value(r, "interface:x0:state"), 0);
	check_equal(value(r, "interface:x0:mtu"), 1500);
	ip("link property add dev x0 altname another-name\nlink del x0\n");
	real_settle(r, 200 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 3);
}

static void test_namespace(struct real *r)
{
	ip("link add m0 type veth peer name n0\nlink set n0 netns 1\n");
	real_settle(r, 200 * NS_PER_MS);
	check(fake_host_has(r->f, "interface", "m0"));
	check(!fake_host_has(r->f, "interface", "n0"));
	ip("link del m0\n");
	real_settle(r, 200 * NS_PER_MS);
	check(!fake_host_has(r->f, "interface", "m0"));
	check_equal(fake_host_instances(r->f, "interface"), 3);
}

/* A datagram to oneself: what loopback sends it receives */
static void send_over_loopback(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	check(fd >= 0);
	check_equal(sendto(fd, "kith", 4, 0, (struct sockaddr *)&to, sizeof(to)), 4);
	close(fd);
}

static void test_counters(struct real *r)
{
	ip("link set lo up\nlink set a0 up\nlink set b0 up\n");
	real_settle(r, 200 * NS_PER_MS);
	send_over_loopback();
	check_equal(fake_host_sample(r->f), 0);
	check(value(r, "interface:lo:rx_bytes") > 0);
	check(value(r, "interface:a0:tx_packets") > 0); /* IPv6 says hello */
	check_equal(value(r, "interface:lo:rx_bytes"), value(r, "interface:lo:tx_bytes"));
}

/* What the kernel lists now against what the plugin holds */
static void check_exact(struct real *r)
{
	FILE *p = popen("ip -o link", "r");
	unsigned n = 0;
	char line[1024], name[64];

	check(p);
	while (fgets(line, sizeof(line), p)) {
		check(sscanf(line, "%*d: %63[^:@]", name) == 1);
		check(fake_host_has(r->f, "interface", name));
		snprintf(line + 512, 512, "interface:%s:state", name);
		check(!isnan(value(r, line + 512)));
		n++;
	}
	check(pclose(p) == 0);
	check_equal(fake_host_instances(r->f, "interface"), n);
}

static void pairs_script(FILE *out, int first, int n)
{
	for (int i = first; i < first + n; i++)
		fprintf(out, "link add s%d group 7 type veth peer name t%d group 7\n", i, i);
}

/* 5,000 links while nobody reads: more than the socket holds */
static void test_storm(struct real *r)
{
	unsigned before = r->resyncs;
	FILE *p = popen("ip -batch - 2>&1", "w");
	struct netlink_stats stats;

	check(p);
	pairs_script(p, 0, PAIRS);
	check(pclose(p) == 0);
	real_settle(r, 300 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 3 + 2 * PAIRS);
	check_exact(r);
	stats = netlink_stats(r->netlink);
	check(stats.overflows > 0);
	check(r->resyncs > before);
	check_equal((double)stats.malformed, 0);
	check_equal(fake_host_sample(r->f), 0);
	check_equal(fake_host_sample(r->f), 0);
	check_equal(fake_host_puts(r->f, "interface:t2499:rx_bytes"), 2);

	/* Half of them change their names, all of them go, some come back, with the same names */
	p = popen("ip -batch - 2>&1", "w");
	check(p);
	for (int i = 0; i < 500; i++)
		fprintf(p, "link set s%d name u%d\n", i, i);
	check(pclose(p) == 0);
	ip("link del group 7\n");
	p = popen("ip -batch - 2>&1", "w");
	check(p);
	pairs_script(p, 0, 20);
	check(pclose(p) == 0);
	real_settle(r, 300 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 3 + 40);
	check_exact(r);
	ip("link del group 7\n");
	real_settle(r, 300 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 3);
	check_exact(r);
	stats = netlink_stats(r->netlink);
	printf("storm: %llu messages heard, %llu overflows, %u resyncs\n", (unsigned long long)stats.messages,
	       (unsigned long long)stats.overflows, r->resyncs);
}

/* More links than instances: they wait and take their turn */
static void test_cap(struct real *r)
{
	fake_host_cap(r->f, "interface", 5);
	ip("link add p0 type veth peer name p1\nlink add p2 type veth peer name p3\n");
	real_settle(r, 200 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 5);
	ip("link del p0\n");
	real_settle(r, 200 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 5);
	check(fake_host_has(r->f, "interface", "p2") && fake_host_has(r->f, "interface", "p3"));
	check(!isnan(value(r, "interface:p2:state")) && !isnan(value(r, "interface:p3:state")));
	ip("link del p2\n");
	real_settle(r, 200 * NS_PER_MS);
	check_equal(fake_host_instances(r->f, "interface"), 3);
	fake_host_cap(r->f, "interface", 0);
}

int main(void)
{
	struct real r;

	if (geteuid() != 0)
		skip("needs root");
	if (unshare(CLONE_NEWNET) < 0)
		skip("needs a network namespace");
	if (system("ip -V >/dev/null 2>&1") != 0)
		skip("needs ip (iproute2)");
	if (system("ip link add v0 type veth peer name v1 && ip link del v0") != 0)
		skip("needs veth links");
	real_new(&r, &kith_plugin);
	real_start(&r);
	check_equal((double)r.f->n_records, 0);
	test_life(&r);
	test_same_breath(&r);
	test_namespace(&r);
	test_counters(&r);
	test_storm(&r);
	test_cap(&r);
	real_free(&r);
	printf("ok\n");
	return 0;
}
