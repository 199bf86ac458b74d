/* What the host's own files share. See host.h for what they do. */
#ifndef KITH_HOST_IMPL_H
#define KITH_HOST_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "host/host.h"
#include "source/file.h"
#include "source/netlink.h"
#include "source/process.h"
#include "source/source.h"

struct plugin;

/* A plugin's code. Loaded from a snapshot of the file, so that nothing written to it later can reach what runs. */
struct library {
	void *handle;
	int fd; /* the snapshot; its number is part of the name that dlopen knows it by, so it stays open */
	unsigned references;
	const struct kith_plugin *descriptor;
};

/* 0, or -errno with one line about what is wrong in `why` */
int library_open(const char *path, struct library **ret_library, struct buf *why);
void library_hold(struct library *l);
void library_release(struct library *l);

/* Looks at the needs of a plugin; false with the first that is not granted in `why` */
bool needs_granted(uint64_t needs, const char *root, struct buf *why);

enum watch_what {
	WHAT_FD,
	WHAT_PRI,
	WHAT_TIMER,
	WHAT_SAMPLE,
	WHAT_NETLINK,
	WHAT_PROCESS,
	WHAT_FILE,
	WHAT_SOURCE,
	WHAT_WANTED,
	WHAT_PROGRAM, /* of spawn_capture and spawn_stream: gone once it was told of the end */
	WHAT_EXPORT, /* of export.c, for the account alone */
};

/* struct kith_watch of plugin.h */
struct kith_watch {
	struct plugin *plugin;
	struct kith_watch *next, **link; /* of the plugin */
	struct kith_watch *next_sample;
	enum watch_what what;
	unsigned calling;         /* callbacks of it that run: it is freed after the last */
	bool dead;
	bool missed;              /* something happened while it was paused */
	int fd;                   /* of WHAT_PRI */
	uint32_t events;
	union {
		struct loop_watch *loop;
		struct netlink_sub *netlink;
		struct process_sub *process;
		struct file_sub *file;
		struct source_sub *source;
		struct want_watch want;
		struct child *child; /* NULL: it has ended */
	} on;
	struct loop_watch *pause; /* runs while the watch is paused; NULL: it never was */
	unsigned failed;          /* times in a row */
	int64_t retry_at;         /* mono ns: not called before; 0: at once */
	union {
		kith_fn plain;
		kith_fd_fn fd;
		kith_netlink_fn netlink;
		kith_process_fn process;
		kith_file_fn file;
		kith_source_fn source;
		kith_wanted_fn wanted;
		kith_ended_fn ended;
	} fn;
	kith_output_fn output;    /* of spawn_stream */
	void *user;
};

/* How a plugin keeps within its bounds */
struct account {
	uint64_t calls, cpu_ns, failures;
	int64_t tick_took;          /* ns that its samplers took on this tick */
	int64_t round_cpu;          /* ns of CPU of a round, of late */
	int64_t allocations;
	int64_t window_start;       /* mono ns */
	uint64_t window_cpu;        /* ns in this window */
	unsigned strikes;           /* windows over budget, of late */
	int64_t last_strike;        /* mono ns */
	bool slowed;
	int64_t rest_due;           /* ns that it is to rest, not long enough yet */
	unsigned backing_off;       /* watches that keep failing */
	/* log and record buckets: tokens at the time */
	double log_tokens, record_tokens;
	int64_t log_at, record_at;
	uint64_t log_dropped, record_dropped;
	int64_t dropped_said;       /* mono ns */
};

struct plugin {
	struct plugin *next;
	struct host *host;
	char *name, *path;
	unsigned folder;        /* index of its folder; earlier ones win */
	bool builtin, seen;
	bool duplicate;         /* another folder's plugin holds its name */
	struct file_identity {
		dev_t dev;
		ino_t ino;
		off_t size;
		int64_t changed; /* ns */
	} identity;             /* of the file that was looked at last */
	enum host_state state;
	char *reason;           /* why it is not running, or runs badly; NULL none */
	char *note;             /* what the plugin says of itself; NULL none */
	struct library *library;
	struct kith_plugin d;   /* its descriptor, what it lacks filled with 0 */
	void *instance;         /* the plugin's own state */
	bool started;
	bool resync_due;
	int64_t resync_at;      /* mono ns: not before, so that one loss after the other keeps it within its CPU budget */
	struct kith_host table;
	struct owner owner;
	struct family **families;
	uint32_t n_families;
	uint32_t max_instances;
	struct kith_watch *watches, *samples;
	struct conf_option *options;
	struct conf_plugin *section; /* as of the start; owned by the host's conf */
	int64_t interval;       /* ns, as configured */
	int64_t steady_interval; /* ns: the longest between two samples while nothing moves and nobody watches */
	unsigned steady;        /* rounds in a row that moved nothing and that nobody watched */
	uint64_t moves;         /* of its owner, after its last round */
	int64_t asked, again;   /* ns: of look_again in the round that goes on; how long the next one has time, 0: the usual */
	int64_t near_interval;  /* ns: shorter than `interval`, while its series are near what is promised of them; 0: not */
	int64_t regular;        /* wall ns of the next sample that would be without that */
	int64_t due;            /* wall ns of its next sample; 0: samples nothing */
	double cpu_budget;      /* percent of one core */
	char *state_folder;     /* that it was given; NULL: it did not ask */
	char *capped;           /* which family is at its cap of instances; NULL none */
	struct account account;
	struct job *jobs;
	struct plugin_child *children;
	struct export *exports;
	struct isolate *isolate; /* it runs in a process of its own; NULL: not */
	bool waits;             /* for the end of its last process */
};

/* A call in a worker thread */
struct job {
	struct job *next, **link;   /* of the plugin */
	struct job *next_done;
	struct workers *workers;
	struct plugin *plugin;      /* NULL: unloaded meanwhile */
	struct library *library;    /* held until the call has come back */
	kith_work_fn fn;
	kith_done_fn done;
	void *user;
	int result;
};

struct plugin_child {
	struct plugin_child *next, **link;
	struct plugin *plugin;
	struct child *child;
	kith_done_fn done;
	void *user;
};

#define FOLDERS_MAX 16
struct host {
	struct host_parts parts;
	struct plugin *plugins;
	char *folders[FOLDERS_MAX];
	struct file_sub *folder_subs[FOLDERS_MAX];
	size_t n_folders;
	struct loop_watch *rescan;  /* short timer: folders changed */
	int64_t rescan_by;          /* mono ns: not later than this; 0: nothing changed */
	struct loop_watch *chores;  /* stops and resyncs that cannot run within a callback, resyncs that have to wait */
	bool chores_due, closing;
	struct faults *describe;    /* `kithd -t`: plugins are described, none is started */
	struct opened *opened;      /* files of plugins */
	struct sources *sources;
	uint64_t tick;              /* number of the tick, from 1 */
	bool in_tick;
	char *buffer;               /* of kith_host.read */
	size_t buffer_size;
	uint32_t most_series;       /* that there were since memory was last given back */
	struct workers *workers;
	struct isolate_child *isolated; /* processes, also those about to end */
	unsigned char *datagram;    /* of isolate.c */
	int64_t spent;              /* ns that exporters used so far, within calls of others */
	int64_t spent_allocations;
};

/* reading.c: open, root and read of plugin.h */
int reading_open(const struct kith_host *t, const char *path);
const char *reading_root(const struct kith_host *t);
int reading_read(const struct kith_host *t, int fd, char **ret_text, size_t *ret_length);
void reading_forget(struct plugin *p);

/* table.c: plugin.h's functions */
void table_init(struct plugin *p);
/* `log`: a line of a log, which no rate limit holds. -EINVAL, -ENOSPC */
int table_record(struct plugin *p, const struct kith_record *record, bool log);
void table_say_dropped(struct plugin *p); /* of its records; on each tick, so that the last of them are said too */

/* watch.c */
void watch_drop_all(struct plugin *p);
int watch_add_fd(const struct kith_host *t, int fd, uint32_t events, kith_fd_fn fn, void *user, struct kith_watch **ret_watch);
int watch_add_pri(const struct kith_host *t, int fd, kith_fd_fn fn, void *user, struct kith_watch **ret_watch);
int watch_add_timer(const struct kith_host *t, int64_t after, int64_t every, int64_t slack, kith_fn fn, void *user,
                    struct kith_watch **ret_watch);
int watch_add_sample(const struct kith_host *t, kith_fn fn, void *user, struct kith_watch **ret_watch);
int watch_add_netlink(const struct kith_host *t, int protocol, uint32_t group, kith_netlink_fn fn, void *user,
                      struct kith_watch **ret_watch);
int watch_add_process(const struct kith_host *t, const struct kith_process_filter *filter, kith_process_fn fn, void *user,
                      struct kith_watch **ret_watch);
int watch_set_process_filter(const struct kith_host *t, struct kith_watch *w, const struct kith_process_filter *filter);
int watch_add_file(const struct kith_host *t, const char *path, uint32_t events, kith_file_fn fn, void *user,
                   struct kith_watch **ret_watch);
int watch_add_source(const struct kith_host *t, uint32_t source, const void *filter, kith_source_fn fn, void *user,
                     struct kith_watch **ret_watch);
int watch_add_wanted(const struct kith_host *t, uint32_t family, kith_wanted_fn fn, void *user, struct kith_watch **ret_watch);
int watch_add_stream(const struct kith_host *t, const struct kith_stream *program, kith_output_fn output, kith_ended_fn ended, void *user,
                     struct kith_watch **ret_watch);
int watch_add_program(const struct kith_host *t, const struct kith_program *program, kith_ended_fn fn, void *user,
                      struct kith_watch **ret_watch);
void watch_remove(const struct kith_host *t, struct kith_watch *w);
/* Runs the plugin's samplers. *mono: the monotonic clock, before and after */
void watch_run_samples(struct plugin *p, int64_t *mono);
void watch_pause(struct kith_watch *w, int64_t ns);

/* account.c: every callback runs between enter and leave */
struct account_mark {
	int64_t cpu, allocations;
};
struct account_mark account_enter(void);
/* `result` is what the callback returned; decides on backing off, slowing and stopping. `w` may be NULL. */
void account_leave(struct plugin *p, struct kith_watch *w, struct account_mark mark, int64_t cpu, int result);
/* The watch goes: it no longer keeps its plugin backed off. */
void account_drop(struct plugin *p, struct kith_watch *w);
/*
 * On the tick, where a clock of CPU before and after each call would be a tenth of the round: `took` is by the monotonic clock, and account_tick gives
 * each plugin its part of the CPU that the whole tick used (both in ns).
 */
void account_sampled(struct plugin *p, struct kith_watch *w, int64_t allocations_before, int64_t took, int result);
void account_tick(struct host *h, int64_t cpu, int64_t took);
bool account_take_token(double *tokens, int64_t *at, double rate, double burst);
int64_t account_interval(const struct plugin *p); /* with slowing */

/* tick.c */
void tick_start(struct host *h);
void tick_plan(struct host *h);
int64_t tick_interval(const struct plugin *p); /* now, with slowing and attention */
void tick_attend(struct owner *owner, bool now, void *user);

/* work.c */
int work_start(struct plugin *p, kith_work_fn fn, kith_done_fn done, void *user);
void work_forget(struct plugin *p);
int work_init(struct host *h);
void work_fini(struct host *h); /* a worker that hangs is left behind */
int plugin_spawn(struct plugin *p, const char *const argv[], int64_t timeout, kith_done_fn done, void *user);
void plugin_spawn_forget(struct plugin *p);

/* plugin.c: one plugin's life */
struct plugin *plugin_new(struct host *h, const char *name, const char *path, unsigned folder);
void plugin_free(struct plugin *p);
void plugin_load(struct plugin *p);  /* opens the file, stops what runs, starts */
void plugin_start(struct plugin *p); /* with the library that is there */
void plugin_stop(struct plugin *p, enum host_state state);
void plugin_release(struct plugin *p);
void plugin_drop_library(struct plugin *p);
int plugin_open(struct plugin *p, struct library **ret_library, struct buf *why);
void plugin_settle(struct plugin *p);
int plugin_options(struct plugin *p, struct buf *why);
void plugin_configure(struct plugin *p, bool same);
void plugin_set_reason(struct plugin *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void plugin_clear_reason(struct plugin *p);
void plugin_say(struct plugin *p, enum kith_priority priority, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
int plugin_declare(struct plugin *p, const struct kith_family *f, uint32_t *ret_number);
void plugin_resync(struct plugin *p);
/* Declares its families, so that names can be checked, and starts nothing */
void plugin_describe(struct plugin *p, struct faults *faults);

/* isolate.c: a plugin in a process of its own */
bool isolate_wanted(const struct plugin *p);
void isolate_load(struct plugin *p); /* stops what runs, starts a process */
void isolate_stop(struct plugin *p);
/* isolate_child.c: false, or the plugin is loaded again when its last process has ended */
bool isolate_wait(struct plugin *p);
void isolate_end_all(struct host *h);
void isolate_reap_all(struct host *h); /* waits for all of them, not for long */

/* host.c: stops and resyncs that cannot run within a callback */
void host_chores_later(struct host *h);
void host_resync_later(struct plugin *p);

/* export.c: samples, records and transitions to exporters */
void export_start(struct plugin *p);
void export_stop(struct plugin *p);
/* Around a call whose time and allocations are taken: what exporters use within it is not the caller's. */
static inline void export_spent_before(const struct host *h, struct account_mark *mark)
{
	mark->cpu -= h->spent;
	mark->allocations -= h->spent_allocations;
}
static inline void export_spent_after(const struct host *h, struct account_mark *mark)
{
	mark->cpu += h->spent;
	mark->allocations += h->spent_allocations;
}

static inline struct plugin *table_plugin(const struct kith_host *t)
{
	return t->self;
}

#endif
