/* What the kernel says: records of /dev/kmsg taken apart, what they are about, and what the plugin makes of them */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "kmsg/recognise.h"
#include "source/kmsg.h"

extern const struct kith_plugin kith_plugin;

/* ---- one record -------------------------------------------------------------------------------------------------- */

static bool parse(const char *text, size_t length, struct kith_kmsg_event *e)
{
	static char record[KMSG_RECORD_MAX + 1];

	memcpy(record, text, length);
	return kmsg_parse(record, length, e);
}

START_TEST(a_record)
{
	const char *text = "4,1042,5140900,-,caller=T1;usb 1-1: \\xc3\\xa4 \\x1b[1m \\x5c over-current\\x09!  \n SUBSYSTEM=usb\n DEVICE=c189:0\n OTHER=x\n";
	struct kith_kmsg_event e;

	ck_assert(parse(text, strlen(text), &e));
	ck_assert_uint_eq(e.priority, KITH_WARNING);
	ck_assert_uint_eq(e.facility, 0);
	ck_assert_uint_eq(e.sequence, 1042);
	ck_assert_int_eq(e.time, 5140900000);
	ck_assert_str_eq(e.text, "usb 1-1: \xc3\xa4  [1m \\ over-current !");
	ck_assert_str_eq(e.subsystem, "usb");
	ck_assert_str_eq(e.device, "c189:0");
	text = "30,7,0,-;systemd[1]: \\xff\\xc3";
	ck_assert(parse(text, strlen(text), &e));
	ck_assert_uint_eq(e.facility, 3);
	ck_assert_uint_eq(e.priority, KITH_INFO);
	ck_assert_str_eq(e.text, "systemd[1]: ??");
	ck_assert_str_eq(e.device, "");
}
END_TEST

START_TEST(no_record)
{
	static const char *const bad[] = { "", ";", "6", "6,", "6,1,2", "6,1,2,-", "a,1,2,-;x", "6,b,2,-;x", "6,1,c,-;x", "6,1,,-;x", "-6,1,2,-;x",
		"6,1,99999999999999999999,-;x", "6,1,18446744073709551615,-;x", " 6,1,2,-;x" };
	struct kith_kmsg_event e = { .size = 1 };

	for (size_t i = 0; i < KITH_COUNT(bad); i++)
		ck_assert_msg(!parse(bad[i], strlen(bad[i]), &e), "%s", bad[i]);
	ck_assert_uint_eq(e.size, 1);
}
END_TEST

START_TEST(cut_anywhere)
{
	const char *text = "3,2041,99,c;Buffer I/O error on dev sda\\x5c1\n SUBSYSTEM=block\n DEVICE=b8:0\n";
	size_t least = (size_t)(strchr(text, ';') - text) + 1;
	struct kith_kmsg_event e;

	for (size_t n = 0; n <= strlen(text); n++) {
		ck_assert_msg(parse(text, n, &e) == (n >= least), "%zu", n);
		if (n >= least)
			ck_assert(strlen(e.text) <= n && strlen(e.subsystem) <= 5 && strlen(e.device) <= 4);
	}
}
END_TEST

/* ---- what it is about -------------------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	enum kmsg_kind kind;
	const char *fields; /* "key=value key=value" */
} lines[] = {
	{ "Out of memory: Killed process 3422 (web content) total-vm:2530016kB, anon-rss:810420kB, file-rss:0kB, shmem-rss:6192kB, UID:1000 pgtables:3048kB oom_score_adj:300",
	  KMSG_OOM, "process=web content pid=3422" },
	{ "Memory cgroup out of memory: Killed process 99 (a (b) c) total-vm:24kB, anon-rss:1kB", KMSG_OOM, "process=a (b) c pid=99" },
	{ "Out of memory (oom_kill_allocating_task): Killed process 7 (x), UID 0, total-vm:1kB", KMSG_OOM, "process=x pid=7" },
	{ "x: Killed process 7 (x) by hand", KMSG_NONE, "" },
	{ "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2", KMSG_IO_ERROR, "device=sda" },
	{ "blk_update_request: I/O error, dev nvme0n1, sector 0 op 0x1:(WRITE)", KMSG_IO_ERROR, "device=nvme0n1" },
	{ "print_req_error: critical medium error, dev sdc, sector 12", KMSG_IO_ERROR, "device=sdc" },
	{ "Buffer I/O error on dev dm-3, logical block 0, async page read", KMSG_IO_ERROR, "device=dm-3" },
	{ "nvme nvme0: I/O 22 QID 4 timeout, aborting", KMSG_IO_ERROR, "device=nvme0" },
	{ "nvme nvme0: pci function 0000:01:00.0", KMSG_NONE, "" },
	{ "EXT4-fs error (device sda1): ext4_lookup:1785: inode #2: comm ls: deleted inode referenced: 12", KMSG_FS_ERROR, "device=sda1" },
	{ "EXT4-fs (sda1): Remounting filesystem read-only", KMSG_FS_ERROR, "device=sda1" },
	{ "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: (null)", KMSG_NONE, "" },
	{ "EXT4-fs warning (device sda1): ext4_dirblock_csum_verify:405: x", KMSG_NONE, "" },
	{ "BTRFS error (device sdb: state EA): bdev /dev/sdb errs: wr 1", KMSG_FS_ERROR, "device=sdb" },
	{ "XFS (vda2): Corruption of in-memory data (0x8) detected at xfs_defer_finish_noroll", KMSG_FS_ERROR, "device=vda2" },
	{ "XFS (vda2): metadata I/O error in \"xfs_trans_read_buf_map\" at daddr 0x2 len 1 error 5", KMSG_IO_ERROR, "device=vda2" },
	{ "XFS (vda2): Ending clean mount", KMSG_NONE, "" },
	{ "Aborting journal on device sda1-8.", KMSG_FS_ERROR, "device=sda1-8." },
	{ "nginx[1234]: segfault at 0 ip 00005581 sp 00007ffc error 4 in nginx[5581+1000]", KMSG_SEGFAULT, "process=nginx pid=1234" },
	{ "a b]c[[12]: segfault at 10 ip 0 sp 0 error 4", KMSG_SEGFAULT, "process=a b]c[ pid=12" },
	{ "traps: prog[321] general protection fault ip:4004e7 sp:7ffd error:0 in prog[400000+1000]", KMSG_SEGFAULT, "process=prog pid=321" },
	{ "INFO: task jbd2/sda1-8:210 blocked for more than 120 seconds.", KMSG_HUNG_TASK, "process=jbd2/sda1-8 pid=210" },
	{ "INFO: task a:b c:77 blocked for more than 483 seconds.", KMSG_HUNG_TASK, "process=a:b c pid=77" },
	{ "INFO: task x: something else", KMSG_NONE, "" },
	{ "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [stress:812]", KMSG_LOCKUP, "" },
	{ "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", KMSG_LOCKUP, "" },
	{ "rcu: INFO: rcu_preempt self-detected stall on CPU", KMSG_LOCKUP, "" },
	{ "mce: [Hardware Error]: Machine check events logged", KMSG_MACHINE_CHECK, "" },
	{ "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0", KMSG_MACHINE_CHECK, "device=MC0" },
	{ "EDAC MC0: Giving out device to module skx_edac", KMSG_NONE, "" },
	{ "BUG: kernel NULL pointer dereference, address: 0000000000000008", KMSG_OOPS, "" },
	{ "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP", KMSG_OOPS, "" },
	{ "kernel BUG at mm/slub.c:4023!", KMSG_OOPS, "" },
	{ "Kernel panic - not syncing: sysrq triggered crash", KMSG_OOPS, "" },
	{ "WARNING: CPU: 0 PID: 12 at net/core/dev.c:3345 skb_warn_bad_offload+0xc1/0xd0", KMSG_WARNING, "" },
	{ "WARNING: net/core/dev.c:3345 at skb_warn_bad_offload+0xc1/0xd0, CPU#1: ip/12", KMSG_WARNING, "" },
	{ "WARNING: this is only a word", KMSG_NONE, "" },
	{ "CPU3: Core temperature above threshold, cpu clock throttled (total events = 1)", KMSG_THROTTLED, "" },
	{ "kworker/u8:1: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)", KMSG_ALLOCATION, "" },
	{ "nf_conntrack: nf_conntrack: table full, dropping packet", KMSG_TABLE_FULL, "" },
	{ "neighbour: arp_cache: neighbor table overflow!", KMSG_TABLE_FULL, "" },
	{ "VFS: file-max limit 9223 reached", KMSG_TABLE_FULL, "" },
	{ "cgroup: fork rejected by pids controller in /a/b", KMSG_TABLE_FULL, "" },
	{ "TCP: request_sock_TCP: Possible SYN flooding on port 8080. Sending cookies.  Check SNMP counters.", KMSG_SYN_FLOOD, "port=8080" },
	{ "TCP: request_sock_TCP: Possible SYN flooding on port [::]:8080. Sending cookies.", KMSG_SYN_FLOOD, "port=[::]:8080" },
	{ "TCP: Possible SYN flooding on port ", KMSG_SYN_FLOOD, "" },
	{ "TCP: Possible SYN flooding on port  Sending", KMSG_SYN_FLOOD, "" },
	{ "TCP: Possible SYN flooding on port . ", KMSG_SYN_FLOOD, "" },
	{ "TCP: Possible SYN flooding on port 80.", KMSG_SYN_FLOOD, "port=80" },
	{ "NETDEV WATCHDOG: eth0 (e1000e): transmit queue 0 timed out", KMSG_TRANSMIT_TIMEOUT, "device=eth0" },
	{ "nfs: server files.example not responding, still trying", KMSG_SERVER_SILENT, "server=files.example" },
	{ "nfs: server files.example OK", KMSG_NONE, "" },
	{ "CIFS: VFS: \\\\nas has not responded in 180 seconds. Reconnecting...", KMSG_SERVER_SILENT, "server=nas" },
	{ "eth0: renamed from veth1", KMSG_NONE, "" },
	{ "", KMSG_NONE, "" },
};

START_TEST(recognised)
{
	for (size_t i = 0; i < KITH_COUNT(lines); i++) {
		char text[600] = "";
		struct found f;

		kmsg_recognise(lines[i].text, &f);
		ck_assert_msg(f.kind == lines[i].kind, "%s: %d", lines[i].text, (int)f.kind);
		for (uint32_t k = 0; k < f.n; k++) {
			strcat(text, k ? " " : "");
			strcat(text, f.fields[k].key);
			strcat(text, "=");
			strcat(text, f.fields[k].value);
		}
		ck_assert_msg(!strcmp(text, lines[i].fields), "%s: %s", lines[i].text, text);
	}
}
END_TEST

/* Each line cut at each byte: nothing is read beyond its end (the sanitizers look), and each kind is met by some line. */
START_TEST(lines_cut_anywhere)
{
	bool met[KMSG_KINDS + 1] = { false };
	struct found f;

	for (size_t i = 0; i < KITH_COUNT(lines); i++)
		for (size_t n = 0; n <= strlen(lines[i].text); n++) {
			char *text = strndup(lines[i].text, n), group[FOUND_VALUE];

			kmsg_recognise(text, &f);
			met[f.kind] = true;
			ck_assert_uint_le(f.n, FOUND_FIELDS);
			ck_assert_int_eq(kmsg_oom_group(text, group), 0);
			free(text);
		}
	for (int k = 0; k <= KMSG_KINDS; k++)
		ck_assert_msg(met[k], "kind %d is tested by no line", k);
}
END_TEST

START_TEST(long_values_are_cut_between_characters)
{
	char text[800] = "I/O error, dev ";
	struct found f;

	for (int i = 0; i < 200; i++)
		strcat(text, "\xe6\xbc\xa2");
	kmsg_recognise(text, &f);
	ck_assert_uint_eq(f.n, 1);
	ck_assert_uint_eq(strlen(f.fields[0].value), FOUND_VALUE / 3 * 3);
}
END_TEST

#define OOM_LINE "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/b,task_memcg=/b/c,task=x,pid=1,pid=4711,uid=0"

START_TEST(the_group_of_an_oom_kill)
{
	char group[FOUND_VALUE] = "unchanged";

	ck_assert_int_eq(kmsg_oom_group("oom-kill:constraint=CONSTRAINT_NONE", group), 0);
	ck_assert_str_eq(group, "unchanged");
	ck_assert_int_eq(kmsg_oom_group(OOM_LINE, group), 4711);
	ck_assert_str_eq(group, "/b/c");
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------- */

static struct fake_host *f;

static void start(void)
{
	f = fake_host_new(&kith_plugin, "");
	ck_assert_int_eq(fake_host_start(f), 0);
}

static void say(uint32_t priority, const char *text)
{
	struct kith_kmsg_event e = { .size = sizeof(e), .priority = priority, .sequence = 17, .time = f->now, .text = text, .subsystem = "block",
		                     .device = "b8:0" };

	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_KMSG, &e), 0);
}

START_TEST(counts_and_records)
{
	start();
	ck_assert(fake_host_value(f, "kmsg:oom:count") == 0);
	say(KITH_INFO, OOM_LINE);
	ck_assert_uint_eq(f->n_records, 0);
	say(KITH_ERR, "Memory cgroup out of memory: Killed process 4711 (x,pid=1) total-vm:24kB");
	ck_assert(fake_host_value(f, "kmsg:oom:count") == 1);
	ck_assert_str_eq(fake_host_record(f, "Killed process"), "3 kmsg:oom Memory cgroup out of memory: Killed process 4711 (x,pid=1) total-vm:24kB "
	                 "process=x,pid=1 pid=4711 cgroup=/b/c subsystem=block kernel_device=b8:0 priority=error sequence=17");
	say(KITH_ERR, "Memory cgroup out of memory: Killed process 4711 (x) total-vm:24kB");
	ck_assert_ptr_null(strstr(fake_host_record(f, "Killed process"), "cgroup=")); /* of another kill */
	say(KITH_WARNING, "something odd");
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "odd"), "4 kmsg:messages something odd"));
	say(KITH_NOTICE, "something even");
	ck_assert_ptr_null(fake_host_record(f, "even"));
	say(KITH_INFO, "a[1]: segfault at 0 ip 0"); /* recognised: its record is more urgent than the message */
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "segfault"), "5 kmsg:segfault "));
	say(KITH_ALERT, "EXT4-fs error (device sda): x");
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "EXT4"), "1 kmsg:fs_error "));
	ck_assert(fake_host_value(f, "kmsg:messages:count") == 7 && fake_host_value(f, "kmsg:errors:count") == 3);
	ck_assert(fake_host_value(f, "kmsg:warnings:count") == 1 && fake_host_value(f, "kmsg:lost:count") == 0);
	fake_host_free(f);
}
END_TEST

START_TEST(what_was_overwritten)
{
	struct kith_kmsg_event e = { .size = sizeof(e), .priority = KITH_INFO, .sequence = 99, .lost = 12, .text = "x", .subsystem = "", .device = "" };

	start();
	e.time = f->now;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_KMSG, &e), 0);
	ck_assert(fake_host_value(f, "kmsg:lost:count") == 12 && fake_host_value(f, "kmsg:messages:count") == 1);
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "overwritten"), "4 kmsg:lost 12 messages of the kernel"));
	/* The kernel's clock may run behind: what it says then counts all the same. */
	e.time -= 5;
	e.lost = 0;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_KMSG, &e), 0);
	ck_assert(fake_host_value(f, "kmsg:messages:count") == 2);
	fake_host_free(f);
}
END_TEST

START_TEST(options)
{
	static const struct {
		const char *level;
		unsigned records; /* of one message of each priority */
	} table[] = { { "emergency", 1 }, { "error", 4 }, { "warning", 5 }, { "debug", 8 }, { "none", 0 } };

	for (size_t i = 0; i < KITH_COUNT(table); i++) {
		f = fake_host_new(&kith_plugin, "");
		fake_host_option(f, "level", table[i].level);
		ck_assert_int_eq(fake_host_start(f), 0);
		ck_assert_uint_eq(((const struct kith_kmsg_filter *)fake_host_filter(f, KITH_SOURCE_KMSG, 0))->flags, 0);
		for (uint32_t k = KITH_EMERG; k <= KITH_DEBUG; k++)
			say(k, "x");
		ck_assert_uint_eq(f->n_records, table[i].records);
		fake_host_free(f);
	}
	f = fake_host_new(&kith_plugin, "");
	fake_host_option(f, "level", "loud");
	ck_assert_int_eq(fake_host_start(f), -EINVAL);
	ck_assert_ptr_nonnull(strstr(f->note, "emergency, alert"));
	fake_host_free(f);
	f = fake_host_new(&kith_plugin, "");
	fake_host_option(f, "user", "true");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_uint_eq(((const struct kith_kmsg_filter *)fake_host_filter(f, KITH_SOURCE_KMSG, 0))->flags, KITH_KMSG_USER);
	fake_host_free(f);
	f = fake_host_new(&kith_plugin, "");
	f->fail_source = -EPERM;
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f->note, "CAP_SYSLOG"));
	fake_host_free(f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kmsg");
	TCase *tcase = tcase_create("kmsg");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, a_record);
	tcase_add_test(tcase, no_record);
	tcase_add_test(tcase, cut_anywhere);
	tcase_add_test(tcase, recognised);
	tcase_add_test(tcase, lines_cut_anywhere);
	tcase_add_test(tcase, long_values_are_cut_between_characters);
	tcase_add_test(tcase, the_group_of_an_oom_kill);
	tcase_add_test(tcase, counts_and_records);
	tcase_add_test(tcase, what_was_overwritten);
	tcase_add_test(tcase, options);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
