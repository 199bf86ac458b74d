/*
 * The exec plugin's own: entries of the configuration (entry.c), one check's life (check.c), what its runs gave (result.c), the
 * descriptor (exec.c). output.c and perf.c read what programs write.
 */
#ifndef KITH_EXEC_EXEC_H
#define KITH_EXEC_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec/output.h"
#include "plugin.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

enum { FAMILY_CHECK, FAMILY_PERF, FAMILY_PROGRAM = FAMILY_PERF + N_PERF_FAMILIES }; /* perf_family K is family FAMILY_PERF + K */
enum program_metric { PROGRAM_STATE, PROGRAM_STARTS, PROGRAM_EXIT_CODE, PROGRAM_LINES, PROGRAM_FAULTS, PROGRAM_DROPPED, N_PROGRAM };
enum program_state { PROGRAM_WAITING, PROGRAM_RUNNING };
enum check_metric { CHECK_STATE, CHECK_DURATION, CHECK_EXIT_CODE, CHECK_RUNS, CHECK_TIMEOUTS, CHECK_FAILURES, CHECK_SKIPPED, N_CHECK };
enum check_state { STATE_OK, STATE_WARNING, STATE_CRITICAL, STATE_UNKNOWN, N_STATES };
enum perf_metric { VALUE, LEVEL, WARN, WARN_LOW, CRIT, CRIT_LOW, MIN, MAX, N_PERF };
extern const char *const check_state_names[];

/* ---- entry.c: one string of `checks` ---------------------------------------------------------------------------- */

#define ENTRY_NAME_MAX 63
#define ENTRY_WORDS_MAX 256
#define ENTRY_EVERY_MIN (100 * NS_PER_MS)
#define ENTRY_EVERY_MAX (INT64_C(7) * 86400 * NS_PER_S)

struct entry {
	char *source;       /* as written */
	char *buffer;       /* what all words point into */
	const char *name;
	const char *user;   /* NULL: kithd's */
	int64_t every;      /* ns; 0: never by itself */
	int64_t timeout;    /* ns */
	const char **words; /* paths, then subjects, then argv and NULL */
	const char **watch, **record, **argv;
	size_t n_watch, n_record;
};

/* 0, -ENOMEM, or -EINVAL with what is wrong in `why`. `name` (of ENTRY_NAME_MAX + 1) is set as soon as it is known, else "". */
int entry_parse(const char *source, int64_t every, int64_t timeout, struct entry **ret_entry, char *name, char *why, size_t why_size);
void entry_free(struct entry *e);
bool entry_same(const struct entry *a, const struct entry *b);

/* ---- check.c ---------------------------------------------------------------------------------------------------- */

struct check;
struct exec;

/* A value that the check's performance data gives, from the first run that gave it */
struct perf_series {
	struct perf_series *next;
	kith_id id;
	enum perf_family family;
	unsigned absent; /* runs in a row without it */
	char label[];
};

/* A file that a check waits for */
struct trigger {
	struct check *check;
	struct kith_watch *watch;
};

struct check {
	struct exec *x;
	struct entry *e;
	kith_id id;
	struct kith_watch *first, *timer, *later, *running, *stuck;
	struct trigger *triggers; /* e->n_watch */
	struct check *next_queued;
	bool queued;
	bool again;          /* an event came while it ran */
	bool counted;        /* it takes one of the places to run in */
	int state;           /* enum check_state; -1: not known yet */
	int64_t event_at;    /* wall ns: when an event started it last */
	uint64_t counts[N_CHECK];
	struct perf_series *perfs;
	char why[PERF_WHY_MAX]; /* what was wrong with the last performance data */
	bool seen;           /* by the reading of the configuration that goes on */
};

struct exec {
	const struct kith_host *h;
	struct check **checks; /* in the order of the configuration */
	size_t n_checks;
	struct check *queue;
	unsigned running, at_once;
	double kilo;
	struct programs *programs; /* NULL: none was ever configured */
	char *trigger;         /* a folder; NULL: none */
	struct kith_watch *trigger_watch;
};

/* Takes the entry. The first run is `after` ns from now. */
int check_new(struct exec *x, struct entry *e_take, int64_t after, struct check **ret_check);
void check_free(struct check *c); /* what runs is killed, its series end */
void check_event(struct check *c); /* run it now */
void check_pump(struct exec *x);  /* start what waits, while there is room */

/* ---- program.c: programs that run on and write collectd's protocol ------------------------------------------------ */

/* Those of the option `collectd`; what stays as it is runs on. `bad` is told of each entry that is wrong. 0 or -ENOMEM */
int programs_configure(struct exec *x, void (*bad)(const char *source, const char *why, void *user), void *user);
void programs_free(struct exec *x);
size_t programs_count(const struct exec *x);

/* ---- result.c --------------------------------------------------------------------------------------------------- */

void result_ended(struct check *c, const struct kith_ended *ended);
void result_failed(struct check *c, int error); /* it could not be run */
void result_stuck(struct check *c);             /* it does not end even when killed */
void result_skipped(struct check *c);
void result_forget(struct check *c, bool end); /* its values */

#endif
