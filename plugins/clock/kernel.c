#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "clock/clock.h"

#define NEVER INT64_C(0x7fffffff0) /* s: far beyond any clock; it is only there to be cancelled */

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void kernel_clocks(struct clocks *ret_clocks)
{
	ret_clocks->wall = clock_ns(CLOCK_REALTIME);
	ret_clocks->boot = clock_ns(CLOCK_BOOTTIME);
	ret_clocks->awake = clock_ns(CLOCK_MONOTONIC);
}

int kernel_ntp(struct timex *ret_timex)
{
	*ret_timex = (struct timex){ .modes = 0 };
	return adjtimex(ret_timex) < 0 ? -errno : 0;
}

static int arm(int fd)
{
	struct itimerspec when = { .it_value = { .tv_sec = NEVER } };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL) < 0 ? -errno : 0;
}

int kernel_set_watch(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = arm(fd);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int kernel_set_read(int fd)
{
	uint64_t times;
	int set = read(fd, &times, sizeof(times)) < 0 && errno == ECANCELED, r;

	r = set ? arm(fd) : 0;
	return r < 0 ? r : set;
}
