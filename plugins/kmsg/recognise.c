/*
 * The words are those of the kernel's printk calls, of 4.19 to 6.18: mm/oom_kill.c, block/blk-core.c, fs/buffer.c, fs/ext4/super.c, fs/btrfs/messages.c, fs/xfs,
 * arch/x86/mm/fault.c, arch/x86/kernel/traps.c, kernel/hung_task.c, kernel/watchdog.c, kernel/rcu/tree_stall.h, kernel/panic.c, net/netfilter/nf_conntrack_core.c,
 * net/core/neighbour.c, net/ipv4/tcp_input.c, net/sched/sch_generic.c, net/sunrpc/clnt.c.
 */
#include "kmsg/recognise.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

const struct kmsg_kind_info kmsg_kinds[KMSG_KINDS] = {
	[KMSG_OOM] = { "oom", KITH_ERR },
	[KMSG_IO_ERROR] = { "io_error", KITH_ERR },
	[KMSG_FS_ERROR] = { "fs_error", KITH_ERR },
	[KMSG_SEGFAULT] = { "segfault", KITH_NOTICE },
	[KMSG_HUNG_TASK] = { "hung_task", KITH_ERR },
	[KMSG_LOCKUP] = { "lockup", KITH_CRIT },
	[KMSG_MACHINE_CHECK] = { "machine_check", KITH_ERR },
	[KMSG_OOPS] = { "oops", KITH_CRIT },
	[KMSG_WARNING] = { "warning", KITH_WARNING },
	[KMSG_THROTTLED] = { "throttled", KITH_WARNING },
	[KMSG_ALLOCATION] = { "allocation_failure", KITH_WARNING },
	[KMSG_TABLE_FULL] = { "table_full", KITH_ERR },
	[KMSG_SYN_FLOOD] = { "syn_flood", KITH_WARNING },
	[KMSG_TRANSMIT_TIMEOUT] = { "transmit_timeout", KITH_ERR },
	[KMSG_SERVER_SILENT] = { "server_silent", KITH_WARNING },
};

/* Where the name behind the words is: a device, a process, an interface */
enum where {
	NOTHING,
	DEVICE,         /* up to a blank, comma or colon */
	DEVICE_IN,      /* in parentheses: "(device sda1)", "(sda1)"; up to that, a colon or a blank */
	PROCESS_COLON,  /* "name:123 " */
	PROCESS_BEFORE, /* "name[123]" before the words */
	PROCESS_BEHIND, /* "name[123]" behind them */
	PROCESS_KILLED, /* "123 (name)" */
	PORT,
};

static const struct pattern {
	const char *words;
	bool first; /* they begin the text */
	enum kmsg_kind kind;
	enum where where;
} patterns[] = {
	{ "Killed process ", false, KMSG_OOM, PROCESS_KILLED },
	{ "I/O error, dev ", false, KMSG_IO_ERROR, DEVICE },
	{ "Buffer I/O error on device ", false, KMSG_IO_ERROR, DEVICE },
	{ "Buffer I/O error on dev ", false, KMSG_IO_ERROR, DEVICE },
	{ "critical medium error, dev ", false, KMSG_IO_ERROR, DEVICE },
	{ "critical target error, dev ", false, KMSG_IO_ERROR, DEVICE },
	{ "critical space allocation error, dev ", false, KMSG_IO_ERROR, DEVICE },
	{ "protection error, dev ", false, KMSG_IO_ERROR, DEVICE },
	{ "timeout error, dev ", false, KMSG_IO_ERROR, DEVICE },
	{ "nvme ", true, KMSG_NONE, DEVICE }, /* only with "timeout": see nvme_timeout */
	{ "EXT4-fs error (device ", true, KMSG_FS_ERROR, DEVICE_IN },
	{ "EXT4-fs (", true, KMSG_NONE, DEVICE_IN }, /* only with "Remounting": see remounted */
	{ "EXT3-fs error (device ", true, KMSG_FS_ERROR, DEVICE_IN },
	{ "EXT2-fs error (device ", true, KMSG_FS_ERROR, DEVICE_IN },
	{ "BTRFS error (device ", true, KMSG_FS_ERROR, DEVICE_IN },
	{ "BTRFS critical (device ", true, KMSG_FS_ERROR, DEVICE_IN },
	{ "BTRFS: error (device ", true, KMSG_FS_ERROR, DEVICE_IN },
	{ "BTRFS: Transaction aborted (", true, KMSG_FS_ERROR, NOTHING },
	{ "XFS (", true, KMSG_NONE, DEVICE_IN }, /* see xfs_error */
	{ "FAT-fs (", true, KMSG_NONE, DEVICE_IN },
	{ "F2FS-fs (", true, KMSG_NONE, DEVICE_IN },
	{ "Aborting journal on device ", true, KMSG_FS_ERROR, DEVICE },
	{ "SQUASHFS error: ", true, KMSG_FS_ERROR, NOTHING },
	{ "]: segfault at ", false, KMSG_SEGFAULT, PROCESS_BEFORE },
	{ "traps: ", true, KMSG_SEGFAULT, PROCESS_BEHIND },
	{ "INFO: task ", true, KMSG_HUNG_TASK, PROCESS_COLON },
	{ "soft lockup - CPU#", false, KMSG_LOCKUP, NOTHING },
	{ "hard LOCKUP on cpu ", false, KMSG_LOCKUP, NOTHING },
	{ "self-detected stall on CPU", false, KMSG_LOCKUP, NOTHING },
	{ "detected stalls on CPUs/tasks", false, KMSG_LOCKUP, NOTHING },
	{ "detected expedited stalls on CPUs/tasks", false, KMSG_LOCKUP, NOTHING },
	{ "[Hardware Error]: ", false, KMSG_MACHINE_CHECK, NOTHING },
	{ "Machine check events logged", false, KMSG_MACHINE_CHECK, NOTHING },
	{ "EDAC ", true, KMSG_NONE, DEVICE }, /* see edac_error */
	{ "BUG: unable to handle ", true, KMSG_OOPS, NOTHING },
	{ "BUG: kernel NULL pointer dereference", true, KMSG_OOPS, NOTHING },
	{ "Unable to handle kernel ", true, KMSG_OOPS, NOTHING },
	{ "kernel BUG at ", true, KMSG_OOPS, NOTHING },
	{ "general protection fault", true, KMSG_OOPS, NOTHING },
	{ "Kernel panic - not syncing", true, KMSG_OOPS, NOTHING },
	{ "BUG: KASAN: ", true, KMSG_OOPS, NOTHING },
	{ "BUG: scheduling while atomic", true, KMSG_OOPS, NOTHING },
	{ "WARNING: ", true, KMSG_NONE, NOTHING },
	{ "cpu clock throttled", false, KMSG_THROTTLED, NOTHING },
	{ ": page allocation failure: order:", false, KMSG_ALLOCATION, NOTHING },
	{ "nf_conntrack: table full, dropping packet", false, KMSG_TABLE_FULL, NOTHING },
	{ "neighbor table overflow", false, KMSG_TABLE_FULL, NOTHING },
	{ "VFS: file-max limit ", true, KMSG_TABLE_FULL, NOTHING },
	{ "cgroup: fork rejected by pids controller in ", true, KMSG_TABLE_FULL, NOTHING },
	{ "Possible SYN flooding on port ", false, KMSG_SYN_FLOOD, PORT },
	{ "NETDEV WATCHDOG: ", true, KMSG_TRANSMIT_TIMEOUT, DEVICE },
	{ "nfs: server ", true, KMSG_NONE, DEVICE }, /* see server_silent */
	{ "CIFS: VFS: \\\\", true, KMSG_NONE, DEVICE },
};

/* Those whose first words alone do not tell: kind by what follows */
static enum kmsg_kind by_rest(const char *rest)
{
	static const struct {
		const char *first, *words;
		enum kmsg_kind kind;
	} rests[] = {
		{ "nvme ", "timeout", KMSG_IO_ERROR },
		{ "nvme ", "controller is down", KMSG_IO_ERROR },
		{ "EXT4-fs (", "Remounting filesystem read-only", KMSG_FS_ERROR },
		{ "XFS (", "Corruption", KMSG_FS_ERROR },
		{ "XFS (", "corruption", KMSG_FS_ERROR },
		{ "XFS (", "metadata I/O error", KMSG_IO_ERROR },
		{ "XFS (", "log I/O error", KMSG_IO_ERROR },
		{ "XFS (", "Shutting down filesystem", KMSG_FS_ERROR },
		{ "XFS (", "shut down", KMSG_FS_ERROR },
		{ "FAT-fs (", "error", KMSG_FS_ERROR },
		{ "FAT-fs (", "Filesystem has been set read-only", KMSG_FS_ERROR },
		{ "F2FS-fs (", "inconsistent", KMSG_FS_ERROR },
		{ "EDAC ", " CE ", KMSG_MACHINE_CHECK },
		{ "EDAC ", " UE ", KMSG_MACHINE_CHECK },
		{ "WARNING: ", "CPU: ", KMSG_WARNING },
		{ "WARNING: ", " CPU#", KMSG_WARNING },
		{ "nfs: server ", "not responding", KMSG_SERVER_SILENT },
		{ "CIFS: VFS: \\\\", "has not responded", KMSG_SERVER_SILENT },
	};

	for (size_t i = 0; i < KITH_COUNT(rests); i++)
		if (!strncmp(rest, rests[i].first, strlen(rests[i].first)) && strstr(rest + strlen(rests[i].first), rests[i].words))
			return rests[i].kind;
	return KMSG_NONE;
}

static void field(struct found *f, const char *key, const char *value, size_t length)
{
	if (!length || f->n == FOUND_FIELDS)
		return;
	if (length >= FOUND_VALUE)
		length = FOUND_VALUE - 1;
	/* Not within a character */
	while (length && ((unsigned char)value[length] & 0xc0) == 0x80)
		length--;
	f->fields[f->n].key = key;
	memcpy(f->fields[f->n].value, value, length);
	f->fields[f->n++].value[length] = '\0';
}

static size_t digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* "name:123" at `s`, where the name may hold colons and blanks */
static void process_colon(struct found *f, const char *s)
{
	const char *end = strstr(s, " blocked for more than "), *colon = end;

	while (colon && colon > s && *colon != ':')
		colon--;
	if (!end || colon == s)
		return;
	field(f, "process", s, (size_t)(colon - s));
	field(f, "pid", colon + 1, digits(colon + 1));
}

/* "name[123]": from `s` to the '[' before `bracket`, or to the last one in front of "] " where that is NULL */
static void process_bracket(struct found *f, const char *s, const char *bracket)
{
	const char *open = bracket;

	if (!bracket)
		bracket = open = strstr(s, "] ");
	while (open && open > s && *open != '[')
		open--;
	if (!open || *open != '[')
		return;
	field(f, "process", s, (size_t)(open - s));
	field(f, "pid", open + 1, digits(open + 1));
}

/* "123 (name), UID …" or "123 (name) total-vm:…": the name may hold parentheses */
static void process_killed(struct found *f, const char *s)
{
	size_t pid = digits(s);
	const char *end = strstr(s, ") total-vm:"), *other = strstr(s, "), ");

	if (!end || (other && other < end))
		end = other;
	if (end && !strncmp(s + pid, " (", 2))
		field(f, "process", s + pid + 2, (size_t)(end - s) - pid - 2);
	field(f, "pid", s, pid);
}

static void behind(struct found *f, const struct pattern *p, const char *text, const char *at)
{
	const char *rest = at + strlen(p->words);
	size_t port;

	switch (p->where) {
	case NOTHING:
		return;
	case DEVICE:
		field(f, f->kind == KMSG_SERVER_SILENT ? "server" : "device", rest, strcspn(rest, " ,:()"));
		return;
	case DEVICE_IN:
		field(f, "device", rest, strcspn(rest, "):, "));
		return;
	case PROCESS_COLON:
		process_colon(f, rest);
		return;
	case PROCESS_BEFORE:
		process_bracket(f, text, at);
		return;
	case PROCESS_BEHIND:
		process_bracket(f, rest, NULL);
		return;
	case PROCESS_KILLED:
		process_killed(f, rest);
		return;
	case PORT:
		/* "80.", or since 5.18 an address and the port: "[::]:80." */
		port = strcspn(rest, " ");
		field(f, "port", rest, port && rest[port - 1] == '.' ? port - 1 : port);
		return;
	}
}

void kmsg_recognise(const char *text, struct found *ret_found)
{
	*ret_found = (struct found){ .kind = KMSG_NONE };
	for (size_t i = 0; i < KITH_COUNT(patterns); i++) {
		const struct pattern *p = &patterns[i];
		const char *at = p->first ? (strncmp(text, p->words, strlen(p->words)) ? NULL : text) : strstr(text, p->words);

		if (!at)
			continue;
		ret_found->kind = p->kind == KMSG_NONE ? by_rest(at) : p->kind;
		/* "Killed process" alone may be anybody's words. */
		if (ret_found->kind == KMSG_NONE || (p->kind == KMSG_OOM && !strstr(text, "emory")))
			continue;
		if (p->where == PROCESS_COLON && !strstr(at, " blocked for more than ")) {
			ret_found->kind = KMSG_NONE;
			continue;
		}
		behind(ret_found, p, text, at);
		return;
	}
	ret_found->kind = KMSG_NONE;
}

int32_t kmsg_oom_group(const char *text, char group[FOUND_VALUE])
{
	const char *memcg, *task, *pid = NULL;
	size_t length;

	if (strncmp(text, "oom-kill:", 9) != 0 || !(memcg = strstr(text, ",task_memcg=")) || !(task = strstr(memcg, ",task=")))
		return 0;
	/* The task's name may hold anything: its number is behind the last ",pid=". */
	for (const char *at = task; (at = strstr(at, ",pid=")); at++)
		pid = at + 5;
	if (!pid || digits(pid) == 0 || digits(pid) > 9)
		return 0;
	memcg += 12;
	length = (size_t)(task - memcg);
	if (length >= FOUND_VALUE)
		length = FOUND_VALUE - 1;
	memcpy(group, memcg, length);
	group[length] = '\0';
	return (int32_t)strtol(pid, NULL, 10);
}
