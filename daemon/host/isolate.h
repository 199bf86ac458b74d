/* Isolated plugins, on kithd's side: isolate.c is the plugin's proxy, isolate_child.c its processes. */
#ifndef KITH_HOST_ISOLATE_H
#define KITH_HOST_ISOLATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "host/impl.h"

struct isolate;

/* One process: from its start until it was waited for. On the list of the host. */
struct isolate_child {
	struct isolate_child *next, **link;
	struct host *host;
	struct isolate *isolate; /* NULL: let go, it is about to end */
	pid_t pid;
	struct loop_watch *exit, *kill;
	char name[];             /* of the plugin */
};

/* Starts kithd again, for this plugin alone. *ret_fd: this end of the socket, the caller's */
int isolate_child_start(struct isolate *i, struct plugin *p, struct isolate_child **ret_child, int *ret_fd);
/* SIGTERM now and SIGKILL a little later; its end is told all the same, unless it was let go. */
void isolate_child_end(struct isolate_child *c);
void isolate_child_let_go(struct isolate_child *c);
void isolate_child_kill(struct isolate_child *c);

/* isolate.c: called by isolate_child.c. `status` as of wait(2) */
void isolate_ended(struct isolate *i, int status);

#endif
