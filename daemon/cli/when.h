/* Times of the past, as people write them */
#ifndef KITH_CLI_WHEN_H
#define KITH_CLI_WHEN_H

#include <stdint.h>

#define WHEN_LAST (INT64_MAX / 4) /* kithd takes none that is later (2043) */

/*
 * So long ago (10m), a time of day (18:00, the last one), a day (2026-12-24, today, yesterday), a day and a time, in local time or, with Z or
 * +01:00 behind it, in that one (RFC 3339), or a number of ten digits or more (seconds since 1970). Wall ns; what is later than WHEN_LAST is
 * that: there is no end. -EINVAL: none of these
 */
int when_past(const char *text, int64_t now, int64_t *ret_time);

#endif
