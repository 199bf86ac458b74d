/*
 * The processes plugin's own: reading /proc (proc.c), the totals (totals.c), counts of named processes (names.c), what
 * process events do
 * to them (events.c), the descriptor (processes.c).
 */
#ifndef KITH_PROCESSES_H
#define KITH_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* uthash's default falls through its switch without saying so in a way that clang knows */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

#include "plugin.h"

enum { FAMILY_PROCESSES, FAMILY_PROCESS, FAMILY_SHORT };

enum short_metric { SHORT_COUNT, SHORT_CPU, SHORT_READ, SHORT_WRITTEN, SHORT_CPU_DELAY, SHORT_DISK_DELAY, N_SHORT };

enum process_metric {
	PROCESS_COUNT,
	PROCESS_RESTARTS,
	PROCESS_EXITS,
	PROCESS_FAILURES,
	PROCESS_LAST_STATUS,
	PROCESS_LAST_SIGNAL,
	PROCESS_CPU, /* from here: on the tick */
	PROCESS_MEMORY,
	PROCESS_THREADS,
	PROCESS_UPTIME,
	N_PROCESS,
};

enum totals_metric {
	TOTALS_TOTAL,
	TOTALS_RUNNING,
	TOTALS_BLOCKED,
	TOTALS_FORKS,
	TOTALS_SLEEPING, /* from here on: by the rare scan */
	TOTALS_IDLE,
	TOTALS_STOPPED,
	TOTALS_ZOMBIES,
	TOTALS_PAGING,
	N_TOTALS,
};

/* ---- proc.c: `dir` is a descriptor of /proc --------------------------------------------------------------------- */

#define COMM_MAX 15 /* what the kernel keeps of a name */

struct proc_stat {
	char state;
	long threads;
	/* 0 where the line ends before them */
	uint64_t cpu;   /* user and system, ticks */
	uint64_t start; /* ticks since the host's start */
	uint64_t pages; /* resident */
};

/* Calls `fn` with every pid. The number of them, or -errno; a negative answer of `fn` ends it and is returned. */
int proc_each(int dir, int (*fn)(int32_t pid, void *user), void *user);
/* Entries of /proc: numbers, and directories that are none, "." and ".." included. 0 or -errno. */
int proc_count(int dir, uint64_t *ret_pids, uint64_t *ret_others);
/* The name into `name`; its length, or -errno (-ENOENT, -ESRCH: the process is gone) */
int proc_name(int dir, int32_t pid, char *name, size_t size);
/* What follows the last slash of argv[0]; its length, or -errno. 0 for a kernel thread or a zombie. */
int proc_program(int dir, int32_t pid, char *name, size_t size);
int proc_stat_parse(const char *text, struct proc_stat *ret); /* 0 or -EBADMSG */
int proc_stat(int dir, int32_t pid, struct proc_stat *ret);
enum proc_life {
	PROC_GONE,     /* or a zombie of which no thread is left */
	PROC_HEADLESS, /* its leader has ended, threads live on */
	PROC_LIVES,
};
enum proc_life proc_life(int dir, int32_t pid, struct proc_stat *ret); /* ret may be NULL; untouched when there is no such process */

/* ---- totals.c --------------------------------------------------------------------------------------------------- */

struct totals {
	int stat;           /* /proc/stat */
	kith_id id;
	uint64_t fixed;     /* directories of /proc that are no processes, "." and ".." included */
	bool links;         /* the link count of /proc tells the number of processes */
	int64_t verified;   /* when that was looked at last, ns */
};

/* ---- names.c ---------------------------------------------------------------------------------------------------- */

#define NARROW_MAX 64  /* pids that the kernel's filter names one by one; beyond, it is asked for all exits */
#define NARROW_AGAIN 32 /* and for these again when so few are left */
#define BATCH_AFTER INT64_C(2000000)       /* ns from a change to the filter's update */
#define SCAN_SPACING INT64_C(1000000000)   /* ns between scans, however often events are lost */

#define RECENT_MAX 512
#define CLOCK_ERROR INT64_C(5000000) /* ns by which the time of an event, which the kernel has by another clock, may be wrong */
#define OPEN_MAX_STATS 128 /* /proc/PID/stat that are held open; of a name with more processes CPU and memory are left out */

struct usage {
	double cpu, memory, threads;
	int64_t oldest;
	uint32_t unread;
};

struct wanted {
	struct wanted *next;
	kith_id id;      /* KITH_ID_NONE: no room */
	bool by_promise, by_option;
	bool published;
	uint32_t count, put;
	bool has_run;
	uint64_t restarts, exits, failures;
	uint64_t untold, untold_failed, untold_killed; /* ends since `told` */
	int64_t told, gone_at; /* ns */
	double cpu_ended;      /* s, of those that have ended, as of their last reading */
	struct usage sum;      /* of this tick */
	size_t length;
	char name[];
};

struct tracked {
	UT_hash_handle hh;
	struct processes *p;
	struct wanted *wanted;
	struct kith_watch *watch; /* of pidfd */
	int pidfd;      /* -1; held while the leader has gone and threads live on, and where there are no process events */
	int stat;       /* -1; /proc/PID/stat once it was read on a tick */
	int32_t status; /* of wait(2) */
	bool has_status, ended;
	int64_t start;  /* ns; 0: unknown */
	double cpu;     /* s, of the last reading */
	int32_t pid;
	bool fresh;     /* the kernel's filter does not know it yet */
	bool seen;      /* in this scan */
};

#define SHORT_NAMES 32 /* of short-lived processes that are told apart in a summary */

struct short_lived {
	kith_id id;
	int64_t limit;   /* ns: who lives less is short-lived */
	double sums[N_SHORT], told[N_SHORT]; /* `told`: by the last summary */
	struct { char name[16]; uint64_t n; } names[SHORT_NAMES]; /* since then */
	uint64_t others;
	struct kith_watch *timer;
	char note[120];  /* why there are none */
};

struct processes {
	const struct kith_host *h;
	int dir; /* /proc */
	struct totals totals;
	struct short_lived short_lived;

	struct wanted *wanted;
	struct tracked *tracked; /* uthash by pid */
	uint32_t n_wanted, n_tracked, n_globs;
	uint32_t n_open;     /* /proc/PID/stat */
	uint32_t n_pidfds;
	struct kith_watch *events, *batch, *fallback, *summary;
	bool own_pids;       /* /proc has the pids of our own namespace */
	bool wide;           /* the filter asks for all exits */
	bool stale;          /* the filter is not what it should be */
	bool starting;       /* init: scanned once at its end */
	bool scan_wanted, scanning;
	int64_t scanned;     /* when, ns; 0: never */
	int64_t scan_due, batch_due; /* while scan_wanted, while there is `batch` */
	int64_t settled;     /* wall clock ns: of older events a scan or another filter may have kept their sequel away */
	/*
	 * Who has lately executed something or renamed itself, in a ring. What is read of a process is its name now, not
	 * at the time of the
	 * event; so a child of one of these is looked at itself.
	 */
	int32_t recent[RECENT_MAX];
	uint32_t recent_at;
	int64_t recent_lap;  /* when recent_at was 0 last */
	/*
	 * Whose ends scans have counted, in a ring. A scan may see a process live and then gone before the event of its
	 * fork is heard; it must
	 * not be counted again then.
	 */
	struct { int32_t pid; int64_t time; } overtaken[RECENT_MAX]; /* wall clock ns */
	uint32_t overtaken_at;
	int no_events;       /* 0, or why this host gives none */
	uint64_t scans, updates; /* for tests */
};

struct tracked *names_tracked(const struct processes *p, int32_t pid);
/* Counts the process for the name, or for none (NULL) */
int names_track(struct processes *p, int32_t pid, struct wanted *w);
/* Reads the process's name and counts it accordingly */
int names_classify(struct processes *p, int32_t pid);
/* The same, and whether it still lives */
int names_look(struct processes *p, int32_t pid);
/* All processes, soon: at once unless the last scan was less than SCAN_SPACING ago */
int names_scan(struct processes *p);
int names_scan_soon(struct processes *p);
int names_scan_later(struct processes *p); /* in SCAN_SPACING */
void names_settle(struct processes *p); /* up to now */
void names_recent_add(struct processes *p, int32_t pid);
bool names_recent(const struct processes *p, int32_t pid);
/* Has a scan counted the end of the process that was forked then (wall clock ns)? */
bool names_overtaken(const struct processes *p, int32_t pid, int64_t forked);
int names_batch_soon(struct processes *p, int64_t after);
int names_refused(struct processes *p, int error); /* no process events after all */
int names_start(struct processes *p); /* after the names of the options and the promises that stand */
int names_on_wanted(const char *instance, int wanted, void *user);
int names_add(struct processes *p, const char *name, bool by_option);
void names_free(struct processes *p);
void names_tell(struct processes *p); /* the note */

/* ---- events.c --------------------------------------------------------------------------------------------------- */

int events_start(struct processes *p); /* or what this host says */
void events_stop(struct processes *p);
/* Its leader has ended, or is about to: counts until the last thread has */
int events_hold(struct processes *p, struct tracked *t);
/* Gives the kernel the filter that fits now, then looks again at those that it did not know */
int events_update(struct processes *p);

/* ---- exits.c ---------------------------------------------------------------------------------------------------- */

int exits_ended(struct processes *p, struct wanted *w, const struct tracked *t);
/* A child of the name came and went before it could be looked at */
int exits_unseen(struct processes *p, struct wanted *w);
int exits_counted(struct processes *p, struct wanted *w);
int exits_put(struct processes *p, struct wanted *w);
int exits_sample(void *state);
int64_t exits_start_time(const struct processes *p, uint64_t ticks);

/* ---- short.c ---------------------------------------------------------------------------------------------------- */

int short_init(struct processes *p); /* hears what ends, when the option says so */

/* ---- totals.c --------------------------------------------------------------------------------------------------- */

int totals_init(struct processes *p);
int totals_sample(void *state);
int totals_scan(void *state);

#endif
