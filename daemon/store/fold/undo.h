/*
 * The undo file (rrd/.undo): the heads of RRD files as they were before they are updated in place. It is on the disk before the first of them is touched, and
 * goes when all of them are on the disk. Where there is one, an update was cut off: what it holds is put back, and the update is made again; the rows that
 * it had written are written again with the same values.
 *
 *   8 bytes "kithund\n"; for each file 4 bytes length of the path, 4 of the head, the path relative to rrd/, the head; 8 bytes of 0; 4 bytes CRC-32C of all
 *   before. Little-endian.
 */
#ifndef KITH_STORE_FOLD_UNDO_H
#define KITH_STORE_FOLD_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNDO_FILE ".undo"
#define UNDO_NEW ".undo.new"
#define UNDO_PATH_MAX 512u
#define UNDO_HEAD_MAX (4u << 20)
#define UNDO_MAX (256u << 20)

struct undo {
	int folder;    /* of rrd/ */
	int fd;        /* of UNDO_NEW */
	uint32_t crc;
	size_t files;
};

/* -ENOSPC and the like. After a failure nothing is left on the disk. */
int undo_begin(struct undo *u, int folder);
int undo_add(struct undo *u, const char *path, const uint8_t *head, size_t length);
/* It is on the disk, and valid: the files may be changed from now on. */
int undo_ready(struct undo *u);
void undo_give_up(struct undo *u);
/* The files are on the disk. */
int undo_done(int folder);

/* What a valid undo file holds, one after the other. -EBADMSG: it is damaged; then nothing was told. Not 0 from `fn` ends it. */
typedef int undo_fn(const char *path, const uint8_t *head, size_t length, void *user);
int undo_parse(const uint8_t *data, size_t length, undo_fn *fn, void *user);
/*
 * Puts back what there is. 0: nothing to do; 1: *ret_files were put back. A damaged undo file is removed and said, and is 0: the files are as they are.
 * -EIO and the like: it is still to do.
 */
int undo_restore(int folder, size_t *ret_files);
/* -EBADMSG: there is one, and it is damaged. 0: there is none, or it is good. Changes nothing */
int undo_check(int folder);
/* Is there one? */
bool undo_pending(int folder);
/* An update has begun and not ended, whether it has changed files or not */
bool undo_begun(int folder);

#endif
