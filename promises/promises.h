/*
 * Promises: loads *.promise files, binds them to series, assesses them as samples come, and asks for actions.
 *
 * No I/O, no clock and no loop of its own: time comes as an argument or with the samples, deadlines and actions go out through the
 * driver. The same code runs in kithd, in `kith check` and in tests.
 */
#ifndef KITH_PROMISES_H
#define KITH_PROMISES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fault.h"
#include "model/model.h"

struct promises;
struct promise; /* one of them, from its first assessment to its end */

/* What the daemon does for the engine */
struct promise_action {
	const char *const *argv; /* NULL-terminated; argv[0] is an absolute path */
	const char *const *env;  /* NULL-terminated KITH_NAME=value: promise, promiser, from, to, severity, since, because, subject … */
	const char *json;        /* the document for standard input */
	size_t json_length;
	int64_t timeout;         /* ns */
	const char *user;        /* as whom; NULL: the daemon's own */
	const char *promise;     /* name, for records */
	uint64_t token;          /* handed back to promises_action_done */
};
struct promises_driver {
	void *user;
	/* The engine wants promises_run at wall time `at`, or not at all (0). Replaces the last wish. */
	void (*arm)(int64_t at, void *user);
	/* Starts an action; 0 or -errno (-EAGAIN: too many run already). All is copied or used before it returns. NULL: none is run. */
	int (*act)(const struct promise_action *action, void *user);
};

/* What `only on` asks about */
struct promises_facts {
	const char *host; /* host name */
	const char *zone; /* "" without */
	const char *const *tags;
	size_t n_tags;
	/* NULL or "": not known, which is like nothing and neither less nor more than anything */
	const char *os, *os_version; /* as os-release has them: "debian", "12" */
	const char *kernel, *arch;   /* as uname: "6.1.0-18-amd64", "x86_64" */
	const char *virtual;         /* "none", or what it runs in: "kvm", "lxc" … */
	const char *init;            /* the name of process 1: "systemd" */
	double cpus, memory;         /* memory in bytes; 0: not known */
};

/* A file's text; kept by the caller until promises_load returns */
struct promises_file {
	const char *path;
	const char *text;
	size_t length;
};

int promises_new(struct model *m, const struct promises_driver *driver, const struct promises_facts *facts,
                 struct promises **ret_promises);
void promises_free(struct promises *p);

/*
 * Replaces the running set by what these files say: all or nothing. A promise whose text is the same keeps its state, windows and
 * since. -EINVAL: `faults` says why, the old set goes on. -EBUSY: called from within a transition's observer. Warnings may be added on success. `now`: wall ns.
 */
int promises_load(struct promises *p, const struct promises_file *files, size_t n, int64_t now, struct faults *faults);
/* Checks without loading; same faults. The model gives families when it has them. */
int promises_check(struct promises *p, const struct promises_file *files, size_t n, struct faults *faults);
/* The same, and what each promise was understood to say, in plain English, appended to `text` */
int promises_describe(struct promises *p, const struct promises_file *files, size_t n, struct faults *faults, struct buf *text);
void promises_set_facts(struct promises *p, const struct promises_facts *facts); /* for the next load */

/* Deadlines (grace, settle, windows) that are due */
void promises_run(struct promises *p, int64_t now);
/* The wall clock was set by `jump` ns: deadlines and windows move along */
void promises_jump(struct promises *p, int64_t jump);
/* How an action went */
struct promise_result {
	int status;         /* of wait() */
	bool timed_out;
	const char *output; /* what it wrote, any bytes; NULL: nothing */
	size_t length;
};
void promises_action_done(struct promises *p, uint64_t token, const struct promise_result *result, int64_t now);
/* At most so many actions start in `per` ns, of all promises together; the others wait their turn. From 60 a minute */
int promises_limit_actions(struct promises *p, unsigned at_most, int64_t per);

#define FLAP_WINDOW INT64_C(600000000000) /* ns in which breaks are counted */

/* One promise as it stands; strings belong to the engine, valid until it is called again */
struct promise_info {
	const char *name;     /* bundle.promise */
	const char *promiser; /* with the instance, for one of a glob */
	const char *const *promisees;
	size_t n_promisees;
	enum kith_assessment assessment;
	int64_t since;        /* wall ns of the last transition, or of the load */
	enum kith_priority severity;
	const char *because;  /* one line: "df:/:free_percent is 4.2 %, promised > 10 %" */
	const char *body;     /* the condition, as written */
	const char *place;    /* file:line */
	bool repaired;        /* the last mending followed an action */
	unsigned flapping;    /* how often it broke in the last 10 min; 0: it does not flap */
	const char *const *tells; /* whom its `tell` names */
	size_t n_tells;
	struct promise *promise;
	/* what it costs */
	uint64_t evaluations, cpu_ns, transitions, actions, failures; /* cpu_ns: estimated: the first evaluations, then every 64th */
};
size_t promises_count(const struct promises *p);
int promises_get(const struct promises *p, size_t index, struct promise_info *ret_info); /* -ENOENT past the end */
/* The same of one, without `because` and `place`: cheap, and good within a listener's call */
void promise_look(const struct promise *pr, struct promise_info *ret_info);
const char *promise_because(struct promise *pr); /* valid until the engine is called again */
/* The broken promise, at the end of the chain, on account of which this one is unknown; NULL: it is not, or not for that */
struct promise *promise_root(const struct promise *pr);
/* Something of the listener's beside a promise; NULL at first */
void *promise_mark(const struct promise *pr);
void promise_set_mark(struct promise *pr, void *mark);
void promises_each(struct promises *p, void (*fn)(struct promise *pr, void *user), void *user);

/*
 * Hears of each promise: `changed` when it is assessed for the first time, on each transition, and when what keeps it unknown changes (perhaps twice
 * for one change); `ended` when it is taken out or its promiser ends. It may look, and must not call the engine otherwise.
 */
struct promises_listener {
	void *user;
	void (*changed)(struct promise *pr, int64_t time, void *user);
	void (*ended)(struct promise *pr, int64_t time, void *user);
};
void promises_listen(struct promises *p, const struct promises_listener *listener); /* NULL: nobody listens any more */
/* Tells of the families whose series promises name */
void promises_families(const struct promises *p, void (*tell)(const char *family, void *user), void *user);
/* The names that `tell` may have, for warnings at the next load; `zone` is always one. NULL: not known, none is warned of. Copied. */
int promises_set_receivers(struct promises *p, const char *const *names, size_t n);

const char *assessment_name(enum kith_assessment a); /* "unknown" "kept" "broken" */
const char *severity_name(enum kith_priority s);     /* emergency alert critical error warning notice info debug */

/* Why: each part of the condition with its value now */
struct promise_part {
	unsigned depth;      /* in the tree, 0 the whole */
	char *text;          /* the part as written, with its instance: "df:/:free_percent" */
	char *value;         /* as people read it: "4.2 %", "true", "unknown (no sample yet)" */
	enum kith_assessment holds; /* of conditions: kept, broken, unknown; of values: unknown when there is none */
	bool condition;      /* a truth value, not a number */
	char *series;        /* that it reads; NULL: none, or it is not there */
	char *away;          /* of a comparison by size: "3 % to spare", "2 % short"; NULL: of another part, or unknown */
	double distance, threshold; /* the same as numbers, distance never negative; where there is `away` */
};
struct promise_explanation {
	struct promise_part *parts;
	size_t n_parts;
	char *mend;          /* what would mend it, one or more lines; "" when kept */
	char *pending;       /* "breaks in 2 s unless …" while grace or settle run; "" otherwise */
	char *actions;       /* what is run when, and how it last went; "" without */
	char *depends;       /* "" without */
	char *attention;     /* how often what it names is sampled, and why: a line for each plugin */
};
int promises_explain(struct promises *p, size_t index, int64_t now, struct promise_explanation *ret_explanation);
void promise_explanation_free(struct promise_explanation *e);

#endif
