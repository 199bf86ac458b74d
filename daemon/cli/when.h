/* Times of the past, as people write them */
#ifndef KITH_CLI_WHEN_H
#define KITH_CLI_WHEN_H

#include <stdint.h>

/*
 * So long ago (10m), a time of day (18:00, the last one), a day (2026-12-24, today, yesterday), a day and a time, in local time or, with Z or
 * +01:00 behind it, in that one (RFC 3339). Wall ns. -EINVAL: none of these
 */
int when_past(const char *text, int64_t now, int64_t *ret_time);

#endif
