/* A message of the family VFS_DQUOT, taken apart: for tests and fuzzing apart from the reader */
#ifndef KITH_SOURCE_QUOTA_H
#define KITH_SOURCE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

#include "sources/quota.h"

/* `message`: struct nlmsghdr first. False: it is no warning, or a part of it is missing. The time is left 0. */
bool quota_parse(const void *message, size_t length, struct kith_quota_event *ret_event);

#endif
