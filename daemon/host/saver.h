/*
 * Writes a small file as a whole, off the loop: a disk that takes its time does not hold up anything else. Beside it first, synced, then renamed: at
 * any time the file is the old one or the new one.
 */
#ifndef KITH_HOST_SAVER_H
#define KITH_HOST_SAVER_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/loop.h"

struct saver;
typedef void (*saver_fn)(int error, void *user); /* on the loop: 0 or -errno */

int saver_new(struct loop *loop, const char *path, saver_fn done, void *user, struct saver **ret_saver);
/* `text` is malloc'ed, and taken over also when it fails. -EBUSY: one is being written. `done` is called unless it fails here. */
int saver_write_take(struct saver *s, char *text_take, size_t length);
bool saver_busy(const struct saver *s);
/* Waits for the one that is being written; `done` is not called for it. */
void saver_wait(struct saver *s);
int saver_write_now(const struct saver *s, const char *text, size_t length); /* here and now; none is being written */
void saver_free(struct saver *s); /* waits; NULL is fine */

#endif
