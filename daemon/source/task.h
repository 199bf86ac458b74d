/* For tests and fuzzing, no I/O: takes a datagram of taskstats apart */
#ifndef KITH_SOURCE_TASK_H
#define KITH_SOURCE_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "sources/task.h"

typedef void (*task_fn)(const struct kith_task_event *event, void *user);
/* -EBADMSG: cut off, or shorter than what it must bring; what came before that is told. `family`: the number of TASKSTATS. */
int task_parse(const void *datagram, size_t length, uint16_t family, task_fn fn, void *user);

#endif
