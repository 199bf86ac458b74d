/*
 * Services, as their supervisors tell of them. unit.c holds one entry a service, puts its values and writes its records; systemd.c and bus.c
 * hear systemd, supervise.c s6 and runit; status.c and words.c take apart what these say.
 */
#ifndef KITH_SERVICE_H
#define KITH_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "plugin.h"
#include "service/words.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

#define UNITS_MAX 16384 /* that are remembered, those that somebody names and that are not there among them */
#define NAME_MAX_LENGTH 255

enum metric {
	METRIC_STATE,
	METRIC_SUBSTATE,
	METRIC_RESULT,
	METRIC_LOAD,
	METRIC_ENABLED,
	METRIC_RESTARTS,
	METRIC_SINCE,
	METRIC_PID,
	METRIC_EXIT_STATUS,
	METRIC_SIGNAL,
	N_METRICS,
};

enum supervisor { SYSTEMD, S6, RUNIT, N_SUPERVISORS };

struct unit {
	UT_hash_handle hh;
	kith_id id;              /* KITH_ID_NONE: no instance now */
	enum supervisor supervisor;
	uint32_t n_wanted;       /* how many name it without a glob */
	bool known;              /* the supervisor has told of it: it is to have an instance */
	bool file;               /* systemd: it has a unit file of its own */
	bool failed_new;         /* systemd: it had failed when it was first seen, and that is not told yet */
	bool file_asked;         /* whether it has one is asked now */
	bool seen;               /* in the list that is being read */
	int code;                /* systemd: ExecMainCode, a CLD_*; 0: no process of it has ended yet */
	bool details;            /* systemd: result, restarts and the like are to be asked for */
	double values[N_METRICS]; /* NAN: not known */
	double said_restarts, said_sub, said_state; /* when the last record was made */
	uint32_t exec_pid, said_exec_pid, restart_pid; /* systemd: the process of the last run; when that was told; when a restart was counted */
	bool restarting;         /* a restart was counted, and it does not run yet */
	char name[];
};

struct systemd;
struct scan;

struct service {
	const struct kith_host *h;
	struct unit *units;
	struct systemd *systemd; /* NULL: not here */
	struct scan *scans;      /* the folders of s6 and runit */
	bool quiet;              /* no records: this was so already */
	bool systemd_quiet;      /* the same of systemd's units */
	bool told_units;
	uint32_t n_waiting;      /* known, but without room for an instance */
	uint32_t fifos, fifos_max;
	const char *const *globs, *const *ignore;
	size_t n_globs, n_ignore;
	char systemd_note[200], scan_note[200];
};

/* ---- unit.c ---- */
struct unit *unit_find(const struct service *s, const char *name, size_t length);
/* Found, or made. NULL: no memory, or UNITS_MAX */
struct unit *unit_get(struct service *s, const char *name, enum supervisor supervisor);
/* Gives it an instance with all that is known, when it has none */
void unit_begin(struct service *s, struct unit *u);
/* Takes the instance away; what is known stays */
void unit_end(struct service *s, struct unit *u);
/* It is gone for good: without a name that is wanted the entry goes too */
void unit_drop(struct service *s, struct unit *u);
void unit_set(struct service *s, struct unit *u, enum metric metric, double value);
/* After all of a change was set: what happened becomes records */
void unit_tell(struct service *s, struct unit *u);
/* It ran and was unloaded before the supervisor could be asked for it; its entry goes, when nobody names it */
void unit_passed(struct service *s, struct unit *u);
void unit_record(struct service *s, const struct unit *u, enum kith_priority priority, const char *event, const char *message);
int unit_wanted(const char *instance, int wanted, void *user);
bool unit_followed(const struct service *s, const char *name); /* by the globs */
void units_free(struct service *s);
void service_note(struct service *s);

/* ---- systemd.c: ret_ is NULL where this host has no systemd ---- */
int systemd_start(struct service *s);
void systemd_stop(struct service *s);
void systemd_resync(struct service *s);
void systemd_wanted(struct service *s, struct unit *u); /* somebody names it, and it is not known */

/* ---- supervise.c ---- */
int supervise_start(struct service *s, const char *option, enum supervisor kind);
void supervise_stop(struct service *s);
void supervise_resync(struct service *s);

#endif
