#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_read(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t clock_mono(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

int64_t clock_offset(void)
{
	int64_t offset = 0, least = INT64_MAX;

	for (int tries = 0; tries < 5 && least > 2000; tries++) {
		int64_t before = clock_mono(), wall = clock_wall(), took = clock_mono() - before;

		if (took < least) {
			least = took;
			offset = wall - before - took / 2;
		}
	}
	return offset;
}

int64_t clock_thread_cpu(void)
{
	return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

char *clock_format(int64_t wall, char *text, size_t size)
{
	int64_t seconds = wall / NS_PER_S, rest = wall % NS_PER_S;
	struct tm tm;
	time_t t;

	if (rest < 0) {
		rest += NS_PER_S;
		seconds--;
	}
	t = (time_t)seconds;
	if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099) {
		snprintf(text, size, "invalid");
		return text;
	}
	snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	         tm.tm_min, tm.tm_sec, (int)(rest / NS_PER_MS));
	return text;
}
