/* A message of the family "thermal", taken apart: for tests and fuzzing apart from the reader */
#ifndef KITH_SOURCE_THERMAL_H
#define KITH_SOURCE_THERMAL_H

#include <stdbool.h>
#include <stddef.h>

#include "sources/thermal.h"

/* `message`: struct nlmsghdr first; `sample`: it came by the group "sampling". False: what it must have is missing. The time is left 0. */
bool thermal_parse(const void *message, size_t length, bool sample, struct kith_thermal_event *ret_event);

#endif
