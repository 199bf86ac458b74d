/* Takes a uevent apart: for device.c, tests and fuzzing. No I/O. */
#ifndef KITH_SOURCE_DEVICE_H
#define KITH_SOURCE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "sources/device.h"

#define DEVICE_FRAME_MAX 8192 /* the kernel's own are of 2 KiB at most, with the head */

/*
 * `frame`: `length` bytes as received, with room for two NUL behind them. *ret_event points into it; `missed` and `time` are left 0. False: it is no uevent.
 */
bool device_parse(char *frame, size_t length, struct kith_device_event *ret_event);

#endif
