/*
 * kith/sources/device.h: devices that come, go and change, for watch_source(KITH_SOURCE_DEVICE), by the kernel's uevents; dump_source gives those of one
 * subsystem that are there. Format: Documentation/admin-guide/… of sysfs, and lib/kobject_uevent.c.
 *
 * The kernel numbers its uevents throughout the machine. Those of network devices in other network namespaces are not heard here and leave a gap; any other
 * gap is a loss. `missed` says how many numbers were passed over right before an event: whoever must not miss anything looks then. An overflow of
 * the socket is always a loss: resync.
 */
#ifndef KITH_SOURCES_DEVICE_H
#define KITH_SOURCES_DEVICE_H

#include <stdint.h>

enum kith_device_action {
	KITH_DEVICE_ADD = 0, /* of a dump: it is there */
	KITH_DEVICE_REMOVE,
	KITH_DEVICE_CHANGE,
	KITH_DEVICE_MOVE, /* another name or place: see OLD */
	KITH_DEVICE_ONLINE,
	KITH_DEVICE_OFFLINE,
	KITH_DEVICE_BIND, /* to a driver */
	KITH_DEVICE_UNBIND,
	KITH_DEVICE_OTHER, /* that this kithd does not know */
};

/* May be NULL, not for a dump: all devices */
struct kith_device_filter {
	uint32_t size;
	uint32_t flags;        /* 0 */
	const char *subsystem; /* "block"; NULL: all */
};

struct kith_device_event {
	uint32_t size;
	uint32_t action;        /* enum kith_device_action */
	uint64_t sequence;      /* 0 of a dump */
	uint64_t missed;
	int64_t time;           /* wall ns */
	const char *path;       /* below /sys: "/devices/pci0000:00/…/block/sda" */
	const char *name;       /* the last part of it: "sda" */
	const char *subsystem;  /* "" where the kernel says none */
	const char *type;       /* "disk", "usb_device"; "" none */
	const char *driver;     /* "" none */
	const char *node;       /* "sda" of /dev/sda, "bus/usb/001/004"; "" none */
	const char *properties; /* all of them: KEY=VALUE, each ended by NUL, an empty one at the end; bytes as the kernel gave them */
};

/* A property's value, or NULL */
static inline const char *kith_device_property(const struct kith_device_event *e, const char *key)
{
	const char *p = e->properties;

	while (*p) {
		const char *k = key;

		while (*k && *p == *k) {
			p++;
			k++;
		}
		if (!*k && *p == '=')
			return p + 1;
		while (*p)
			p++;
		p++;
	}
	return 0;
}

#endif
