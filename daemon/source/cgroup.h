/*
 * Control groups: cgroup.c keeps the tree of groups by inotify, cgroup_files.c reads their files (no I/O in the parsers), cgroup_v1.c has the eventfds
 * of version 1.
 */
#ifndef KITH_SOURCE_CGROUP_H
#define KITH_SOURCE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

#include "base/buf.h"
#include "source/source.h"
#include "sources/cgroup.h"

#define CGROUP_NODES_MAX 4096 /* groups, at about 1 KiB here and some 5 KiB of the kernel's for the watches */
#define CGROUP_V1_MAX 256     /* groups of version 1 whose memory is heard: two descriptors each */

enum cgroup_watch_kind {
	WATCH_DIR,
	WATCH_EVENTS,  /* cgroup.events */
	WATCH_MEMORY,  /* memory.events; of version 1 memory.limit_in_bytes */
	WATCH_PIDS,    /* pids.events */
	WATCH_CONTROL, /* cgroup.subtree_control; of groups that have others below */
	N_WATCHES,
	READ_LOCAL = N_WATCHES, /* memory.events.local: read with memory.events, which changes whenever it does */
};

struct cgroup_node;

struct cgroup_watch {
	UT_hash_handle hh; /* by wd */
	struct cgroup_node *node;
	int wd;            /* 0: none */
	uint8_t kind;
};

struct cgroup_v1; /* cgroup_v1.c */

struct cgroup_node {
	UT_hash_handle hh; /* of its tree, by path */
	struct cgroup_reader *reader;
	struct cgroup_node *pending; /* whose folders have not been looked at yet */
	uint8_t tree;
	bool seen;         /* in this resync */
	struct cgroup_watch watches[N_WATCHES];
	struct cgroup_v1 *v1;
	uint32_t known;
	uint64_t counts[KITH_CGROUP_COUNTS];
	char path[];       /* "" is the root of the tree */
};

struct cgroup_tree {
	char *at;          /* below the host's root; NULL: this host has none */
	struct cgroup_node *nodes;
};

struct cgroup_reader {
	struct source *source;
	struct loop *loop;
	struct loop_watch *watch;
	int fd;            /* inotify */
	struct cgroup_tree trees[KITH_CGROUP_TREES];
	struct cgroup_watch *watches;
	struct cgroup_node *pending;
	struct buf path, folder;
	uint32_t n_nodes, n_v1, max_nodes, skipped;
	bool told_full;
	bool lost, rescan; /* once the queue is empty */
	bool busy, closed; /* closed while busy: freed when that ends */
	char *buffer;      /* of inotify events */
};

/* ---- cgroup_files.c ---------------------------------------------------------------------------------------------- */

/* Sets what the text has and its bits in *known; what is cut off, or no number, is left out */
void cgroup_parse(enum cgroup_watch_kind kind, const char *text, uint32_t *known, uint64_t *counts);
/* "oom_kill" and "under_oom" of version 1's memory.oom_control; false: not there */
bool cgroup_parse_oom_control(const char *text, uint64_t *ret_kills, bool *ret_under);
/* The path of a node's file in reader->path, with the host's root; valid until the next call */
const char *cgroup_path(struct cgroup_reader *c, const struct cgroup_node *node, const char *file);
/* Reads a file of the node, at most size - 1 bytes, ended with NUL: its length or -errno */
int cgroup_read(struct cgroup_reader *c, const struct cgroup_node *node, const char *file, char *text, size_t size);
const char *cgroup_file_name(const struct cgroup_node *node, enum cgroup_watch_kind kind); /* NULL: such a node has none */

/* ---- cgroup_v1.c ------------------------------------------------------------------------------------------------- */

int cgroup_v1_watch(struct cgroup_node *node); /* 0, or why its memory is not heard */
void cgroup_v1_unwatch(struct cgroup_node *node);
void cgroup_v1_limit(struct cgroup_node *node); /* its limit was set: the threshold anew */

/* ---- cgroup.c ---------------------------------------------------------------------------------------------------- */

/* The node's counts are `counts` now (bits `known`): tells what has changed. The node may be gone afterwards. */
void cgroup_update(struct cgroup_node *node, uint32_t known, const uint64_t *counts);

#endif
