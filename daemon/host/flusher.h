/* Takes what was written to a file to the disk, off the loop: a disk that takes its time does not hold up anything else. */
#ifndef KITH_HOST_FLUSHER_H
#define KITH_HOST_FLUSHER_H

#include "loop/loop.h"

struct flusher;

int flusher_new(struct loop *loop, struct flusher **ret_flusher);
/* `fd` stays the caller's, who may close it at once. -EBUSY: the last one is not done; else -errno: not begun. What fails later is logged. */
int flusher_flush(struct flusher *f, int fd);
void flusher_free(struct flusher *f); /* waits; NULL is fine */

#endif
