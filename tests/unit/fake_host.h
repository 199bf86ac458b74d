/*
 * A struct kith_host without kithd: real files below a root of the test's choice, everything else fired by hand. One plugin at a
 * time: link the plugin's source into the test and hand its `kith_plugin` over. Misuse by the plugin (an unknown option, an id out of
 * range) ends the test with a line.
 *
 *   struct fake_host *f = fake_host_new(&kith_plugin, "/path/of/a/recorded/tree");
 *   fake_host_option(f, "ignore", "docker*, veth*");
 *   fake_host_start(f);                              // 0 or what init returned
 *   fake_host_sample(f);                             // a tick
 *   fake_host_value(f, "memory:available");          // NaN when never put, or ended
 *   fake_host_free(f);                               // stops it too
 *
 * A test may replace any function of f->host before fake_host_start, to put a real source behind it.
 */
#ifndef KITH_TESTS_FAKE_HOST_H
#define KITH_TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

#define FAKE_INSTANCE_METRICS 128 /* ids of an instance */
#define FAKE_TRACE_MAX 256
#define FAKE_RECORDS_MAX 64

struct fake_family {
	const struct kith_family *family; /* of the descriptor: the plugin's own; declared later: a copy */
	struct kith_family *own;          /* that copy */
	uint32_t n_instances;             /* that live */
	uint32_t max_instances;           /* 0: no cap */
};

struct fake_instance {
	char *name; /* "" for the nameless one */
	uint32_t family;
	bool ended;
	uint64_t puts[FAKE_INSTANCE_METRICS];
	double values[FAKE_INSTANCE_METRICS];
	int64_t times[FAKE_INSTANCE_METRICS];
};

struct fake_put {
	kith_id id;
	double value;
};

struct fake_watch; /* behind struct kith_watch */
struct fake_work;
struct fake_answer;
struct fake_want;
struct fake_option;

struct fake_host {
	struct kith_host host; /* &f->host is what the plugin sees */
	const struct kith_plugin *plugin;
	void *state;
	bool started;
	char *root;
	char *state_dir;  /* of state_folder(): a test's own, freed with the host; NULL: there is none */
	int64_t now;      /* wall ns; starts at 1,700,000,000 s */
	int64_t interval; /* ns; starts at 10 s */

	struct fake_family *families;
	uint32_t n_families;
	struct fake_instance **instances; /* id / FAKE_INSTANCE_METRICS - 1; never reused: an id that ended stays ended */
	uint32_t n_instances, size_instances;

	uint64_t n_puts, n_series_calls, n_ends;
	struct fake_put trace[FAKE_TRACE_MAX]; /* the last puts: number K is at K % FAKE_TRACE_MAX */

	uint64_t n_records;
	char *records[FAKE_RECORDS_MAX]; /* "priority subject message key=value …"; number K is at K % FAKE_RECORDS_MAX */

	char *note; /* NULL: none */
	int64_t look_again; /* what the plugin said last */
	uint64_t n_notes, n_logs;
	char *last_log;

	/* What the plugin asked of the kernel last; for watch_process that fails set fail_process to -errno first */
	struct kith_process_filter filter; /* with copies */
	uint64_t n_filters;
	int fail_process, fail_netlink, fail_work, fail_source;
	void *watch_data; /* of a test that replaces functions */

	struct fake_watch *watches;
	struct fake_work *works;
	struct fake_answer *answers;
	struct fake_want *wants;
	struct fake_option *options;
	char *text; /* of read() */
	size_t text_size;
};

struct fake_host *fake_host_new(const struct kith_plugin *plugin, const char *root); /* never NULL; root "" or NULL: the real one */
void fake_host_free(struct fake_host *f);
int fake_host_start(struct fake_host *f);
void fake_host_stop(struct fake_host *f); /* fini, drops all watches, ends all instances */

/* As written in kith.conf ("10s", "true", "3MiB"); a list comma-separated. NULL: unset. Before start, or before fake_host_reconfigure. */
void fake_host_option(struct fake_host *f, const char *name, const char *text);
int fake_host_reconfigure(struct fake_host *f); /* stops and starts when the plugin has no reconfigure */

/* What was put. `name` is family:metric or family:instance:metric. */
double fake_host_value(const struct fake_host *f, const char *name); /* NaN: no such series, none put, or ended */
const char *fake_host_state(const struct fake_host *f, const char *name); /* the state's name; NULL as NaN above */
uint64_t fake_host_puts(const struct fake_host *f, const char *name); /* how often; of the instance that lives */
bool fake_host_has(const struct fake_host *f, const char *family, const char *instance);
uint32_t fake_host_instances(const struct fake_host *f, const char *family);
void fake_host_cap(struct fake_host *f, const char *family, uint32_t max); /* instances beyond: -ENOSPC */
const char *fake_host_record(const struct fake_host *f, const char *needle); /* the last record that holds it, or NULL */
/* "family:instance:metric" of put number `k` (of the last FAKE_TRACE_MAX), in a static buffer */
const char *fake_host_trace(const struct fake_host *f, uint64_t k, double *ret_value);

/* Firing. They return what the first failing callback returned, else 0; -ENOENT where nobody was called. */
int fake_host_sample(struct fake_host *f);               /* moves `now` by the interval, then every sampler */
int fake_host_advance(struct fake_host *f, int64_t ns);  /* moves `now`, with every timer that falls due on the way, in order */
int fake_host_netlink(struct fake_host *f, int protocol, uint32_t group, const void *message, size_t length);
int fake_host_process(struct fake_host *f, uint32_t what, int32_t pid, int32_t parent, int32_t status, const char *name);
int fake_host_file(struct fake_host *f, const char *path, const char *name, uint32_t what);
int fake_host_source(struct fake_host *f, uint32_t source, const void *event); /* to all watches of it; NULL: gone */
int fake_host_fd(struct fake_host *f, int fd, uint32_t events);
int fake_host_pri(struct fake_host *f, int fd);
int fake_host_resync(struct fake_host *f);
/* Wants are remembered, and told to a watch_wanted that comes later. Counted as kithd does. */
void fake_host_want(struct fake_host *f, uint32_t family, const char *instance, bool wanted);
/* Runs what work() and spawn() took: all that wait now, each with its done (spawn: status 0, nothing is run). The number run. */
unsigned fake_host_run_work(struct fake_host *f);
unsigned fake_host_waiting_work(const struct fake_host *f);

/* What netlink_dump of (protocol, type) answers: messages are added one by one; fake_host_no_answers forgets them */
void fake_host_answer(struct fake_host *f, int protocol, uint16_t type, const void *message, size_t length);
/* The same of dump_source; what the event points to is the caller's */
void fake_host_source_answer(struct fake_host *f, uint32_t source, const void *event, size_t length);
unsigned fake_host_sources(const struct fake_host *f, uint32_t source); /* how many watches of it there are */
/* Its filter, as flat as it was given (what it points to is the plugin's); NULL: none, or no such watch */
const void *fake_host_filter(const struct fake_host *f, uint32_t source, unsigned index);
void fake_host_no_answers(struct fake_host *f);

/* Helpers for trees: mkdir -p of the parents, then the file with this text. 0 or -errno. */
int fake_write(const char *root, const char *path, const char *text);
/* Removes a tree that fake_tree_new made */
char *fake_tree_new(char path[64]); /* a fresh directory below $TMPDIR or /tmp; returns `path` */
void fake_tree_free(const char *path);

#endif
