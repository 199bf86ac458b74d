/*
 * Children: programs that plugins and promises start. argv without a shell, own session, standard output and error to /dev/null, killed with
 * the whole group when their time is up.
 */
#ifndef KITH_HOST_SPAWN_H
#define KITH_HOST_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

struct child;
/* Those that run. Start from { .loop = loop }; the owner calls children_end before the loop goes. */
struct children {
	struct loop *loop;
	struct child *first;
};
typedef void (*child_fn)(int status, bool timed_out, void *user);

struct child_request {
	const char *const *argv;
	const char *const *env;  /* added to the daemon's; NULL: none */
	const char *input;       /* for standard input, at most 60 KiB; NULL: /dev/null */
	size_t input_length;
	int64_t timeout;         /* ns; 0: 60 s */
	child_fn done;
	void *user;
};
/* ret_child is valid until `done` was called or child_forget */
int child_start(struct children *all, const struct child_request *request, struct child **ret_child);
/* Kills it; `done` is not called any more. */
void child_forget(struct child *c);
/* Kills all that is left; no `done` is called. Nobody waits for their end: whoever adopts them does. */
void children_end(struct children *all);

#endif
