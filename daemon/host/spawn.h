/*
 * Children: programs that plugins and promises start. argv without a shell, own session, standard output and error to /dev/null or read and
 * bounded, killed with the whole group when their time is up.
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

/* What a child wrote; valid during the call */
struct child_output {
	const char *text[2];  /* of standard output and of standard error; not NUL-terminated */
	size_t length[2];
	bool cut;             /* there was more */
	int64_t took;         /* ns from the start to the end */
};
typedef void (*child_output_fn)(int status, bool timed_out, const struct child_output *output, void *user);
#define CHILD_OUTPUT_MAX (1u << 20) /* bytes that a child may write to one stream: then its end of the pipe is closed (SIGPIPE) */

/* What it writes, as it comes; `stream` is 1 or 2. May forget the child. */
typedef void (*child_data_fn)(int stream, const char *data, size_t length, void *user);

struct child_request {
	const char *const *argv;
	const char *const *env;  /* added to the daemon's; NULL: none */
	const char *user_name;   /* as whom, with its groups; NULL: the daemon's. That it cannot be is told on standard error, exit status 127 */
	const char *input;       /* for standard input, at most 60 KiB; NULL: /dev/null */
	size_t input_length;
	const int *files;        /* three, for standard input, output and error; -1: /dev/null. They stay the caller's. NULL: as said above and below */
	int nice;                /* how much less CPU it gets than the daemon */
	int64_t timeout;         /* ns; 0: 60 s; -1: none */
	child_fn done;           /* or, with what it wrote: */
	child_output_fn ended;
	size_t keep;             /* of `ended`: bytes that are kept of each stream, at most CHILD_OUTPUT_MAX; the rest is read and dropped */
	child_data_fn data;      /* with `ended`: nothing is kept, and nothing is bounded: neither what it writes nor its time */
	void *user;
};
/* -errno, also of the program itself: -ENOENT, -EACCES. ret_child is valid until `done` or `ended` was called or child_forget */
int child_start(struct children *all, const struct child_request *request, struct child **ret_child);
/* Kills it; nothing is called any more. */
void child_forget(struct child *c);
/* Kills all that is left; nothing is called. Nobody waits for their end: whoever adopts them does. */
void children_end(struct children *all);

#endif
