/*
 * The reader of file system events, by its parts: who is told of what (tree.c), directories by their handles (tree_dir.c), which file systems are marked
 * and where the trees are on them (tree_place.c).
 */
#ifndef KITH_SOURCE_TREE_IMPL_H
#define KITH_SOURCE_TREE_IMPL_H

#include <limits.h>

#include "source/source.h"
#include "source/tree.h"
#include "sources/tree.h"

#define PLACES_MAX 64
#define DIRS 256     /* directories that are remembered */
#define ORPHANS 64
#define PROGRAMS 16

/* A file system that is marked */
struct tree_place {
	uint64_t fsid;
	char *dir; /* where it is mounted */
	int fd;    /* of it, within a batch alone: it would keep the file system from being unmounted; -1: none */
};

struct tree_sub {
	struct tree_sub *next;
	struct source_sub *sub;
	bool dead;    /* unsubscribed: freed after the batch */
	bool news;    /* to be told how it is */
	int status;   /* as in SETTLED */
	uint64_t dev, ino;
	char *real;   /* the path as the system has it, root and links resolved as far as it is there */
	char path[];  /* as subscribed */
};

/* Where a directory is: */
enum tree_where {
	TREE_OUTSIDE, /* where nobody asks */
	TREE_ABOVE,   /* a tree is somewhere below it */
	TREE_IN,      /* a tree, or below it */
	TREE_GONE,    /* its handle leads nowhere any more */
};

struct tree_dir {
	struct tree_key key; /* key.bytes 0: free */
	enum tree_where where;
	unsigned events; /* of no interest */
	char *path;      /* as the system has it; NULL outside */
};

/* What is counted of entries of a directory that is gone, until it is known where it was */
enum tree_kind { TREE_CREATED, TREE_CHANGED, TREE_ATTR, TREE_REMOVED, TREE_KINDS };
struct tree_orphan {
	struct tree_key key; /* key.bytes 0: free */
	int32_t pid;         /* the last one */
	uint32_t counts[TREE_KINDS][2]; /* of files, of directories */
};

struct tree_reader {
	struct source *source;
	struct loop *loop;
	struct loop_watch *watch, *timer, *mounts;
	int fd, mountinfo;
	uint64_t mask;
	int64_t last;      /* monotonic ns of the last batch */
	bool paused;       /* the descriptor is: the timer reads */
	bool lost;         /* to be told when all is read */
	bool settle_due;
	bool no_ignore;    /* the kernel cannot */
	unsigned ignored;  /* directories that the kernel leaves out */
	int32_t self;      /* whose doing is not told */
	struct tree_sub *subs;
	struct tree_place places[PLACES_MAX];
	unsigned n_places;
	struct tree_dir dirs[DIRS];
	struct tree_orphan orphans[ORPHANS];
	unsigned next_orphan;
	struct { int32_t pid; char name[16]; } programs[PROGRAMS];
	unsigned n_programs;
	char path[PATH_MAX + NAME_MAX + 2], old[PATH_MAX + NAME_MAX + 2], told[PATH_MAX + NAME_MAX + 2], told_old[PATH_MAX + NAME_MAX + 2];
	char frames[16384];
};

/* tree_place.c */
void tree_settle(struct tree_reader *t); /* each tree's `real` and `status`, and the marks */
void tree_places_drop(struct tree_reader *t);
int tree_place_fd(struct tree_reader *t, uint64_t fsid); /* -1: it is not one that is marked, or no longer there */
void tree_places_release(struct tree_reader *t);         /* the end of a batch */

/* tree_dir.c */
/* Where the directory is; *ret_path, of IN and ABOVE, is valid until the next call. */
enum tree_where tree_dir_find(struct tree_reader *t, const struct tree_key *key, const char **ret_path);
void tree_dirs_forget(struct tree_reader *t);
void tree_unignore(struct tree_reader *t); /* the kernel tells of all directories again */
enum tree_where tree_where_is(const struct tree_reader *t, const char *path);
struct tree_orphan *tree_orphan_find(struct tree_reader *t, const struct tree_key *key);
struct tree_orphan *tree_orphan_get(struct tree_reader *t, const struct tree_key *key); /* makes it; the oldest one has to go for it */

#endif
