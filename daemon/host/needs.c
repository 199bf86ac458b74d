#include "host/impl.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has_path(const char *root, const char *path, int mode, struct buf *why)
{
	struct buf full = BUF_INIT;
	bool granted;

	buf_printf(&full, "%s%s", root, path);
	granted = access(buf_text(&full), mode) == 0;
	if (!granted)
		buf_printf(why, "it needs %s: %s", buf_text(&full), strerror(errno));
	buf_free(&full);
	return granted;
}

static bool has_netlink(int protocol, const char *what, struct buf *why)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0) {
		buf_printf(why, "it needs %s: %s", what, strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

static bool has_capability(int number, const char *name, struct buf *why)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) == 0 && data[number / 32].effective >> (number % 32) & 1)
		return true;
	buf_printf(why, "it needs %s: run kithd as root, or grant it in the unit's CapabilityBoundingSet", name);
	return false;
}

static bool path_granted(uint64_t need, const char *root, struct buf *why)
{
	static const struct {
		uint64_t need;
		const char *path;
		int mode;
	} paths[] = {
		{ KITH_NEEDS_PROCFS, "/proc/stat", R_OK },
		{ KITH_NEEDS_SYSFS, "/sys/class", R_OK },
		{ KITH_NEEDS_PSI, "/proc/pressure/cpu", R_OK },
		{ KITH_NEEDS_KMSG, "/dev/kmsg", R_OK },
		{ KITH_NEEDS_SYSTEMD, "/run/systemd/system", R_OK },
		{ KITH_NEEDS_CONNTRACK, "/proc/sys/net/netfilter/nf_conntrack_count", R_OK },
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (paths[i].need == need)
			return has_path(root, paths[i].path, paths[i].mode, why);
	/* Unified hierarchy, or the unified part of a mixed one */
	if (need == KITH_NEEDS_CGROUP2) {
		struct buf none = BUF_INIT;
		bool granted = has_path(root, "/sys/fs/cgroup/cgroup.controllers", R_OK, &none) ||
		               has_path(root, "/sys/fs/cgroup/unified/cgroup.controllers", R_OK, why);

		buf_free(&none);
		return granted;
	}
	return true;
}

bool needs_granted(uint64_t needs, const char *root, struct buf *why)
{
	static const struct {
		uint64_t need;
		int number;
		const char *name;
	} capabilities[] = {
		{ KITH_NEEDS_CAP_NET_ADMIN, CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ KITH_NEEDS_CAP_SYS_ADMIN, CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
		{ KITH_NEEDS_FANOTIFY, CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
		{ KITH_NEEDS_CAP_SYS_PTRACE, CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
		{ KITH_NEEDS_CAP_SYSLOG, CAP_SYSLOG, "CAP_SYSLOG" },
		{ KITH_NEEDS_CAP_SYS_RESOURCE, CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE" },
		{ KITH_NEEDS_CAP_AUDIT_READ, CAP_AUDIT_READ, "CAP_AUDIT_READ" },
		{ KITH_NEEDS_AUDIT, CAP_AUDIT_READ, "CAP_AUDIT_READ" },
		{ KITH_NEEDS_CAP_DAC_READ_SEARCH, CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH" },
		{ KITH_NEEDS_CAP_NET_RAW, CAP_NET_RAW, "CAP_NET_RAW" },
	};
	uint64_t known = KITH_NEEDS_ROUTE_NETLINK | KITH_NEEDS_PROCESS_EVENTS;

	for (uint64_t bit = 1; bit && bit <= KITH_NEEDS_SYSTEMD; bit <<= 1) {
		known |= bit;
		if ((needs & bit) && !path_granted(bit, root, why))
			return false;
	}
	if ((needs & KITH_NEEDS_ROUTE_NETLINK) && !has_netlink(NETLINK_ROUTE, "rtnetlink", why))
		return false;
	if ((needs & KITH_NEEDS_PROCESS_EVENTS) && !has_netlink(NETLINK_CONNECTOR, "the kernel's process events", why))
		return false;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		known |= capabilities[i].need;
		if ((needs & capabilities[i].need) && !has_capability(capabilities[i].number, capabilities[i].name, why))
			return false;
	}
	if (needs & ~known) {
		buf_printf(why, "it needs something that this kithd does not know of (0x%llx); update kithd",
		           (unsigned long long)(needs & ~known));
		return false;
	}
	return true;
}
