/*
 * The control server: answers the CLI over a Unix stream socket, 0660. Frames: 4 bytes little-endian length, then a protobuf message
 * of control.proto. Every reader has a bounded queue; one that does not keep up is cut off. Garbage closes that connection only.
 */
#ifndef KITH_CONTROL_H
#define KITH_CONTROL_H

#include "loop/loop.h"
#include "model/model.h"
#include "promises/promises.h"
#include "store/history.h"
#include "store/journal.h"

struct control;

/* A plugin as the host sees it; strings valid during the call */
struct control_plugin {
	const char *name, *version;
	const char *state;  /* running skipped refused backed-off stopped */
	const char *reason; /* "" when there is nothing to say */
	const char *file;
	uint32_t series;
	uint64_t calls, cpu_ns, samples, failures;
	int64_t allocations; /* -1: not counted in this build */
};

struct control_status {
	const char *version, *host;
	int64_t started;          /* wall ns */
	int64_t interval;         /* ns */
	double cpu_percent;       /* of one core, since the start */
	uint64_t rss, anonymous;  /* bytes */
	uint64_t wakeups;         /* since the start */
	struct journal *journal;  /* NULL: none */
	uint64_t records_kept, records_dropped; /* of the record store */
	int64_t records_size;     /* bytes of its files */
	const char *state_dir;
};

/* A program of kith's that answers a request: kith-log, kith-fold */
struct control_run {
	const char *program;   /* its name; the daemon knows where it is */
	const char *mode;      /* its first argument; NULL: none */
	int input, output;     /* its standard input and output; they stay the caller's */
	int64_t timeout;       /* ns; 0: none */
	void (*ended)(int status, bool timed_out, void *user); /* as waitpid has it; not called after `stop` */
	void *user;
};

/* What the daemon tells the server; asked on the loop thread */
struct control_daemon {
	void *user;
	int (*plugin)(size_t index, struct control_plugin *ret_plugin, void *user); /* -ENOENT past the end */
	void (*status)(struct control_status *ret_status, void *user);
	/* Starts it, with less CPU than the daemon has. -ENOENT: it is not installed; other -errno. *ret_process is valid until `ended` or `stop`. */
	int (*run)(const struct control_run *run, void **ret_process, void *user);
	void (*stop)(void *process, void *user); /* kills it, and its group */
};

struct control_config {
	const char *path;     /* of the socket */
	size_t max_clients;   /* default 64 */
	size_t max_queue;     /* bytes a client, default 1 MiB */
	struct history *history; /* of promises; NULL: none. Outlives the server */
};

int control_new(struct loop *l, struct model *m, struct promises *p, const struct control_daemon *d,
                const struct control_config *config, struct control **ret_control);
struct notices;
void control_set_notices(struct control *c, struct notices *n); /* for ack, silence and what promises say of them; the caller's, outlives `c` */
void control_free(struct control *c); /* closes all connections, removes the socket */

#endif
