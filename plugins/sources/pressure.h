/*
 * kith/sources/pressure.h: stalls by the kernel's pressure stall information, for watch_source(KITH_SOURCE_PRESSURE).
 *
 * A watch tells each time that tasks were stalled for `stall` within `window`, at most once a window. There is no dump: averages and totals are the
 * text of the file itself. Format: the kernel's Documentation/accounting/psi.rst.
 */
#ifndef KITH_SOURCES_PRESSURE_H
#define KITH_SOURCES_PRESSURE_H

#include <stdint.h>

#define KITH_PRESSURE_FULL 0x1u /* all tasks stalled at once, not some of them */

/*
 * `path`: a pressure file below the host's root: "/proc/pressure/memory", or "/sys/fs/cgroup/GROUP/memory.pressure". `window`: 500 ms to 10 s; without
 * CAP_SYS_RESOURCE a multiple of 2 s, as the kernel wants it. `stall`: more than 0, at most the window; the kernel takes whole microseconds.
 * -EOPNOTSUPP: this kernel has no pressure stall information, or it was switched off (psi=0). -ENOENT: no such file. -EINVAL: the
 * kernel refuses these times. -EACCES or -EPERM: no right to set a trigger.
 */
struct kith_pressure_filter {
	uint32_t size;
	uint32_t flags; /* KITH_PRESSURE_* */
	const char *path;
	int64_t stall, window; /* ns */
};

/* Told with NULL for the event: the file is gone (its group was removed), this watch tells nothing more. */
struct kith_pressure_event {
	uint32_t size;
	uint32_t flags;   /* as the filter's */
	const char *path; /* as the filter's */
	int64_t time;     /* wall ns */
};

#endif
