/*
 * The cgroup plugin's own: which groups are wanted and what is heard of them (cgroup.c), reading a group's files on the tick (files.c, its parsers without
 * I/O), records of what happened (tell.c).
 */
#ifndef KITH_CGROUP_PLUGIN_H
#define KITH_CGROUP_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

#include "plugin.h"
#include "sources/cgroup.h"

#define INSTANCE_MAX 255 /* bytes of an instance's name */

enum metric {
	POPULATED, /* from here: by events */
	FROZEN,
	OOM_KILLS,
	OOM,
	OOM_GROUP,
	LOW_HITS,
	HIGH_HITS,
	MAX_HITS,
	PIDS_HITS,
	NEAR_HITS,
	STALLS,
	MEMORY, /* from here: on the tick */
	MEMORY_PEAK,
	MEMORY_LIMIT,
	SWAP,
	PIDS,
	PIDS_LIMIT,
	CPU_USAGE,
	CPU_USER,
	CPU_SYSTEM,
	CPU_PERIODS,
	CPU_THROTTLED_PERIODS,
	CPU_THROTTLED,
	IO_READ,
	IO_WRITTEN,
	IO_READS,
	IO_WRITES,
	MEMORY_SOME,
	MEMORY_FULL,
	CPU_SOME,
	CPU_FULL,
	IO_SOME,
	IO_FULL,
	N_METRICS,
};
#define FIRST_SAMPLED MEMORY
#define N_SAMPLED (N_METRICS - FIRST_SAMPLED)
#define V1_REFUSED N_SAMPLED /* behind them: pids.events of version 1, which Linux 6.11 and later do not announce */
#define N_VALUES (N_SAMPLED + 1)

/* ---- files.c ----------------------------------------------------------------------------------------------------- */

#define N_FILES 17
#define N_CPU_KEYS 6

struct files {
	int fd[N_FILES];          /* -1: not open */
	uint32_t at[N_CPU_KEYS];  /* of kith_scan_keys */
	bool open;
};

void files_init(struct files *f);
/* Opens what there is in `directory` (below the host's root) of this hierarchy; `pressure`: those of pressure too */
void files_open(struct files *f, const struct kith_host *h, enum kith_cgroup_tree tree, const char *directory, bool pressure);
void files_close(struct files *f);
/* Into values[N_VALUES], NaN for what there is not. `slow`: those too that hardly ever change. 0, or the first error. */
int files_read(struct files *f, const struct kith_host *h, bool slow, double *values);
/* For tests and fuzzing: values of the index of `enum metric` less FIRST_SAMPLED */
bool files_parse_number(const char *text, double *ret_value); /* "max" and version 1's no limit: false */
int files_parse_cpu(const char *text, size_t length, uint32_t *at, double *values); /* how many of them were there */
int files_parse_io(const char *text, double *values); /* sums of all devices; how many lines */

/* ---- cgroup.c ---------------------------------------------------------------------------------------------------- */

struct wish {
	struct wish *next;
	unsigned promised; /* by how many */
	bool option;
	char pattern[];
};

struct group {
	UT_hash_handle hh;
	struct cgroups *c;
	kith_id id;
	uint32_t trees;   /* bits: in which hierarchies it is */
	uint32_t known;   /* counts that were put */
	bool promised;    /* else by option */
	bool seen;
	bool unread;      /* there are max_groups already */
	struct files files;
	char *directories[KITH_CGROUP_TREES];
	struct kith_watch *trigger; /* of memory.pressure */
	uint64_t stalls;
	double refused;   /* the last V1_REFUSED; NaN: none yet */
	char name[];
};

#define N_HITS 64
struct hit {
	char *name;      /* group and limit */
	int64_t told;
	uint64_t since;  /* hits that were not told */
};

struct cgroups {
	const struct kith_host *h;
	struct wish *wishes;
	struct group *groups;
	unsigned n_reading, max_reading, unread; /* groups whose files are open, that may be, that should be */
	unsigned rounds;
	bool tell_groups;
	bool dumping;
	double stall;
	char *full;      /* what the source says; NULL: nothing */
	struct hit hits[N_HITS];
	unsigned next_hit;
};

/* ---- tell.c ------------------------------------------------------------------------------------------------------ */

/* A path as an instance's name: UTF-8 without control characters, others as \xNN. Cut with "..." at INSTANCE_MAX: false then. */
bool name_make(const char *path, char name[INSTANCE_MAX + 1]);
/* '*' for any number of characters, '?' for one; `slash`: these do not match '/' */
bool pattern_match(const char *pattern, const char *text, bool slash);
int tell_event(struct cgroups *c, const char *name, const struct kith_cgroup_event *e, bool group);
int tell_group(struct cgroups *c, const char *name, const char *what);
void tell_free(struct cgroups *c);

#endif
