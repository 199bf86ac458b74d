/*
 * kith/sources/task.h: what a process used, told when it ends, for watch_source(KITH_SOURCE_TASK): the kernel's taskstats.
 *
 * One event for each thread that ends; that of a process's leader has its pid. There is no dump and no filter.
 * Costs a message of some 500 bytes for every thread of the host that ends: watch it only while somebody wants it.
 * -EPERM, -EOPNOTSUPP: no right (CAP_NET_ADMIN, the first pid and user namespace), or a kernel without CONFIG_TASKSTATS.
 * Format: the kernel's linux/taskstats.h and Documentation/accounting/taskstats.rst.
 */
#ifndef KITH_SOURCES_TASK_H
#define KITH_SOURCES_TASK_H

#include <stdint.h>

struct kith_task_event {
	uint32_t size;
	uint32_t uid;
	int32_t pid;     /* of the thread */
	int32_t process; /* whose it was; before Linux 5.19 the thread's own again */
	int32_t parent;
	int32_t status;  /* as of wait(2) */
	const char *name;      /* at most 15 bytes */
	int64_t time;          /* wall ns, of the event */
	int64_t lived;         /* ns */
	int64_t user, system;  /* CPU time, ns */
	int64_t cpu_delay, disk_delay, swap_delay; /* waited for these, ns; the last two 0 unless delay accounting is on (kernel.task_delayacct) */
	uint64_t read, written;      /* bytes, of disks */
	uint64_t resident_peak;      /* bytes */
};

#endif
