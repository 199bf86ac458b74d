/* Takes the events of fanotify apart: for tree.c, tests and fuzzing. No I/O. Format: fanotify(7), linux/fanotify.h. */
#ifndef KITH_SOURCE_TREE_H
#define KITH_SOURCE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_HANDLE_MAX 128 /* bytes of a file handle: MAX_HANDLE_SZ */

/* A directory, or another file: the number of its file system and its handle there */
struct tree_key {
	uint64_t fsid;
	int32_t type;
	uint32_t bytes; /* of the handle; 0: there is none */
	unsigned char handle[TREE_HANDLE_MAX];
};

/* An entry: the directory and the name in it, which ends with NUL and points into the frame; "." is the directory itself */
struct tree_entry {
	struct tree_key dir;
	const char *name; /* NULL: the event has no such entry */
};

struct tree_frame {
	uint64_t mask; /* FAN_* */
	int32_t pid;
	struct tree_entry at, from; /* from: of FAN_RENAME */
	struct tree_key target;     /* the file itself */
};

/* The first event of `data`: how long it is. 0: there is none, or none that can be told from what comes after. */
size_t tree_parse(const void *data, size_t length, struct tree_frame *ret_frame);
bool tree_key_same(const struct tree_key *a, const struct tree_key *b);
/* `path` is `dir` or below it; neither has a slash at its end, save the root, which is "/" */
bool tree_within(const char *path, const char *dir);

#endif
