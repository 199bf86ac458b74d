/* The mount table as text, taken apart: for tests and fuzzing apart from the reader */
#ifndef KITH_SOURCE_MOUNT_H
#define KITH_SOURCE_MOUNT_H

#include <stddef.h>

#include "sources/mount.h"

#define MOUNT_TEXT_MAX (4u << 20) /* bytes of the table, some 30,000 mounts: what is behind that is not followed */

/* In the order of the text; the strings point into it */
struct mount_table {
	char *text;
	struct kith_mount_event *mounts;
	struct kith_mount_event **by_id; /* the same, in the order of their ids */
	size_t n;
};

/*
 * `text` ends with NUL at `length`; it is taken, also on failure. Lines that are cut off or make no sense are left out, and so is all but the first of one id.
 * -EBADMSG: the text does not end with a newline. -ENOMEM.
 */
int mount_table_parse_take(char *text, size_t length, struct mount_table *ret_table);
void mount_table_free(struct mount_table *t);
/*
 * What is different in `to`: what went, what changed, what came. A number that names something else than before is both. `fn` sees ADDED, REMOVED and
 * CHANGED, with all but the time.
 */
void mount_table_compare(const struct mount_table *from, const struct mount_table *to, void (*fn)(const struct kith_mount_event *e, void *user), void *user);

#endif
