/*
 * kith/sources/thermal.h: the kernel's news of temperatures, for watch_source(KITH_SOURCE_THERMAL), by generic netlink (family "thermal", groups "event" and, where
 * somebody asks for it, "sampling"). There is no dump: what is there stands in /sys/class/thermal. Format: Linux's include/uapi/linux/thermal.h.
 * -EOPNOTSUPP: this kernel, or this network namespace, does not have it.
 */
#ifndef KITH_SOURCES_THERMAL_H
#define KITH_SOURCES_THERMAL_H

#include <stdint.h>

#define KITH_THERMAL_SAMPLES 0x1u /* each temperature that the kernel reads, too: that can be many a second */

/* May be NULL */
struct kith_thermal_filter {
	uint32_t size;
	uint32_t flags; /* KITH_THERMAL_* */
};

/* As the kernel numbers its events, and SAMPLE */
enum kith_thermal_what {
	KITH_THERMAL_SAMPLE = 0,
	KITH_THERMAL_ZONE_ADDED = 1,
	KITH_THERMAL_ZONE_REMOVED = 2,
	KITH_THERMAL_ZONE_DISABLED = 3,
	KITH_THERMAL_ZONE_ENABLED = 4,
	KITH_THERMAL_TRIP_UP = 5,   /* a trip point was crossed */
	KITH_THERMAL_TRIP_DOWN = 6,
	KITH_THERMAL_TRIP_CHANGED = 7,
	KITH_THERMAL_TRIP_ADDED = 8,
	KITH_THERMAL_TRIP_REMOVED = 9,
	KITH_THERMAL_COOLER_ADDED = 10,
	KITH_THERMAL_COOLER_REMOVED = 11,
	KITH_THERMAL_COOLER_STATE = 12,
	KITH_THERMAL_GOVERNOR = 13,
	KITH_THERMAL_CPU_CAPABILITY = 14,
};

#define KITH_THERMAL_NONE UINT32_MAX
#define KITH_THERMAL_NO_TEMPERATURE INT32_MIN

struct kith_thermal_event {
	uint32_t size;
	uint32_t what;       /* enum kith_thermal_what */
	uint32_t zone, trip; /* numbers; KITH_THERMAL_NONE: not of this event */
	int32_t temperature; /* thousandths of a degree Celsius; KITH_THERMAL_NO_TEMPERATURE: not told */
	uint32_t cooler, state; /* as zone */
	uint32_t cpus;       /* of CPU_CAPABILITY: of how many */
	char name[32];       /* of a zone or cooler that came; bytes as the kernel has them */
	int64_t time;        /* wall ns */
};

#endif
