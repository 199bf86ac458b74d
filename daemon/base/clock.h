/* Time, in ns. The only place that asks the kernel for it. */
#ifndef KITH_BASE_CLOCK_H
#define KITH_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

int64_t clock_wall(void);       /* CLOCK_REALTIME, since 1970 */
int64_t clock_mono(void);       /* CLOCK_MONOTONIC */
int64_t clock_offset(void);     /* the first minus the second, also when this thread is held up between the two */
int64_t clock_thread_cpu(void); /* CPU that this thread has used */

/* RFC 3339 in UTC with milliseconds: 2026-11-22T13:01:37.042Z. `size` at least CLOCK_TEXT_MAX. Returns `text`. */
#define CLOCK_TEXT_MAX 40
char *clock_format(int64_t wall, char *text, size_t size);

#endif
