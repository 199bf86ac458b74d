/*
 * The file plugin's own: the descriptor and the timer that events wait for (file.c), one path's life (item.c), patterns and the directories
 * that they need (glob.c), what takes long (work.c), whole trees (tree.c), names and digests as text (name.c).
 */
#ifndef KITH_FILE_FILE_H
#define KITH_FILE_FILE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uthash.h>

#include "plugin.h"

#define HASH_LIBRARY "libmd.so.0"
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define EVENTS (KITH_FILE_CHANGED | KITH_FILE_ADDED | KITH_FILE_REMOVED | KITH_FILE_ATTR)

enum { FAMILY_FILE, FAMILY_TREE };
enum file_metric { EXISTS, TYPE, SIZE, MODE, OWNER, GROUP, MODIFIED, LINKS, CHANGES, CONTENT, ENTRIES, NEWEST, N_METRICS };
enum file_type { TYPE_FILE, TYPE_DIRECTORY, TYPE_SYMLINK, TYPE_SOCKET, TYPE_FIFO, TYPE_BLOCK, TYPE_CHARACTER };
enum content { CONTENT_SAME, CONTENT_CHANGED, CONTENT_UNREADABLE };

/* ---- name.c ----------------------------------------------------------------------------------------------------- */

#define NAME_MAX_BYTES 255
#define DIGEST 32 /* bytes of a SHA-256 */
#define DIGEST_TEXT (2 * DIGEST + 1)

/*
 * A path as text: bytes that are no UTF-8, control characters and the backslash are written \ooo, as in /proc/mounts. -ENAMETOOLONG: `size` bytes with
 * the NUL are not enough, and as much as fits is there.
 */
int text_escape(const char *path, char *text, size_t size);
/* The same for the name of an instance */
int name_escape(const char *path, char name[NAME_MAX_BYTES + 1]);
/* The other way round; `path` has room for strlen(name) + 1. -EINVAL: \000, which no path can hold */
int name_unescape(const char *name, char *path);
void digest_text(const unsigned char digest[DIGEST], char text[DIGEST_TEXT]);
/* A line as sha256sum(1) writes it: 64 hexadecimal digits, two blanks or a blank and *, an absolute path. -EINVAL */
int digest_line(const char *line, unsigned char digest[DIGEST], const char **ret_path);

/* ---- item.c: one path ------------------------------------------------------------------------------------------- */

struct files;

/* What lstat and stat gave */
struct look {
	bool exists, link; /* link: the path itself is a symbolic link; the rest is of what it leads to */
	enum file_type type;
	unsigned mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	int64_t size, mtime, ctime; /* B, ns */
	uint64_t links, dev, ino;
};

struct item {
	UT_hash_handle hh;          /* of files.items, by path */
	struct files *f;
	kith_id id;                 /* KITH_ID_NONE: it is no instance, as it does not exist and nobody named it */
	struct kith_watch *watch;   /* of the path itself; NULL: the directory of its pattern is watched */
	bool watch_is_dir;          /* then its entries are */
	struct kith_watch *target_watch;
	char *target;               /* where a symbolic link leads; NULL: it is none */
	unsigned named;             /* how often an option or somebody names it */
	bool matched;               /* a pattern does */
	bool apart;                 /* and no directory that is watched for a pattern tells of it */
	bool seen;                  /* by the expansion that goes on */
	bool known;                 /* it was looked at */
	bool born;                  /* an event made it: that it is there is news */
	bool dirty;
	bool denied;                /* it could not be looked at */
	struct item *next_dirty;
	struct look last;
	double changes;
	double newest;              /* s, of a directory */
	/* its content */
	bool hash;                  /* it is asked for */
	bool hash_due, list_due, listed;
	bool hashed;                /* `digest` is of what it holds now */
	bool has_digest, has_right;
	struct look hashed_of;      /* what it was then */
	bool expected;              /* `right` was written by somebody, and is not what it was at the start */
	unsigned char digest[DIGEST], right[DIGEST];
	unsigned tries;             /* times in a row that it changed while it was read */
	char path[];
};

/* Who made it an item: it is named, or a pattern matches it. -ENOMEM, -ENOSPC (said) */
int item_get(struct files *f, const char *path, struct item **ret_item);
void item_free(struct item *i);
void item_dirty(struct item *i);
/* Looks at it and puts what it finds; may free it */
void item_look(struct item *i);
int item_watch(struct item *i);
/* 0, also when there is nothing; -errno: it cannot be told */
int look_at(const struct files *f, const char *path, bool follow, struct look *ret_look);
bool look_same(const struct look *a, const struct look *b); /* the same file with the same content */
/* An option names it, or somebody does, or no longer does */
int item_name(struct files *f, const char *path, bool named);

/* ---- glob.c: patterns ------------------------------------------------------------------------------------------- */

/* A directory that a pattern needs to hear of */
struct base {
	struct base *next;
	struct pattern *p;
	struct kith_watch *watch;
	bool is_dir;       /* it was one when the watch began */
	bool seen;
	const char *rest;  /* of the pattern, below it: begins with a component that has wildcards */
	char dir[];
};

struct pattern {
	struct pattern *next;
	struct files *f;
	struct base *bases;
	unsigned users;    /* the options and those who name it */
	char text[];
};

bool glob_is(const char *path);
int glob_name(struct files *f, const char *text, bool named);
void glob_expand(struct files *f);
void glob_free_all(struct files *f);

/* ---- work.c: what takes long, one at a time ----------------------------------------------------------------------- */

void work_pump(struct files *f);
void work_item_goes(struct item *i);
void work_fini(struct files *f);

/* ---- tree.c: all below a directory ---------------------------------------------------------------------------------- */

enum tree_metric { TREE_STATE, TREE_CREATED, TREE_CHANGED, TREE_REMOVED, TREE_RENAMED, TREE_ATTRIBUTES, TREE_LAST, TREE_LOST, TREE_N_METRICS };
enum tree_state { TREE_WATCHED, TREE_MISSING, TREE_REFUSED };
extern const struct kith_metric tree_metrics[TREE_N_METRICS];

struct trees;

/* An option names it, or somebody does, or no longer does. -ENOMEM */
int tree_name(struct files *f, const char *path, bool named);
const char *trees_trouble(const struct files *f, char text[400]); /* one that is not watched, and why; NULL: none */
void trees_fini(struct files *f);

/* ---- file.c ----------------------------------------------------------------------------------------------------- */

struct expectation {
	struct expectation *next;
	unsigned char digest[DIGEST];
	char path[];
};

struct job;

struct files {
	const struct kith_host *h;
	struct item *items;    /* uthash */
	struct pattern *patterns;
	struct item *dirty, **dirty_end;
	struct expectation *expectations;
	char **hashes;         /* patterns of what is hashed */
	size_t n_hashes;
	unsigned max;          /* items */
	bool full_said, keep, follow;
	bool quiet;            /* what is found now is no news */
	bool expand_due;
	bool remount_due;
	int64_t hash_max;      /* B */
	unsigned n_denied;
	char said[400];        /* the note; "": none */
	struct trees *trees;   /* NULL: nobody named one */
	struct kith_watch *timer;
	int64_t rested;        /* CLOCK_MONOTONIC ns from which the next look may be; by what the last one took */
	int64_t last_batch;    /* wall ns */
	int mountinfo;         /* descriptor; -1: none */
	bool mounts_tried;
	/* work.c */
	struct job *job;       /* that runs */
	struct kith_watch *work_timer;
	int64_t work_at;       /* wall ns: not before */
	void *library;         /* of SHA-256; NULL: not loaded */
	bool no_library;
	struct { void (*init)(void *); void (*update)(void *, const uint8_t *, size_t); void (*final)(uint8_t *, void *); } sha;
};

/* A batch of looks is due soon. */
void files_soon(struct files *f);
void files_record(struct files *f, enum kith_priority priority, const char *name, const char *message, const struct kith_field *fields,
                  uint32_t n_fields);
void files_say(struct files *f); /* what does not work, as the note */
/* The path on this system: below the root. `real` has PATH_MAX bytes; -ENAMETOOLONG */
int files_real(const struct files *f, const char *path, char *real);

#endif
