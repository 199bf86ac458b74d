/* Takes a record of /dev/kmsg apart: for kmsg.c, tests and fuzzing. No I/O. */
#ifndef KITH_SOURCE_KMSG_H
#define KITH_SOURCE_KMSG_H

#include <stdbool.h>
#include <stddef.h>

#include "sources/kmsg.h"

#define KMSG_RECORD_MAX 8192 /* what one read of /dev/kmsg takes at most */

/*
 * `record`: `length` bytes as read, which are changed, and need room for a NUL behind them. *ret_event points into it; its time is that of the record, ns
 * since the start of the machine. False: it is none.
 */
bool kmsg_parse(char *record, size_t length, struct kith_kmsg_event *ret_event);

#endif
