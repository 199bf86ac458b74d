/* What clock.c and kernel.c share: the kernel's clocks, in one place, so that a test can have its own. */
#ifndef KITH_PLUGIN_CLOCK_H
#define KITH_PLUGIN_CLOCK_H

#include <stdint.h>
#include <sys/timex.h>

struct clocks {
	int64_t wall;  /* CLOCK_REALTIME, ns */
	int64_t boot;  /* CLOCK_BOOTTIME, ns: goes on while the machine sleeps */
	int64_t awake; /* CLOCK_MONOTONIC, ns: does not */
};

void kernel_clocks(struct clocks *ret_clocks);
/* What ntpd, chronyd and timesyncd tell the kernel; -errno. Changes nothing. */
int kernel_ntp(struct timex *ret_timex);
/* A descriptor that can be read when the wall clock was set, and not otherwise; -errno */
int kernel_set_watch(void);
/* It was read: 1 the clock was set, 0 nothing; -errno. It is armed again. */
int kernel_set_read(int fd);

#endif
