/*
 * kith/plugin.h: the one header between kithd and its plugins and exporters.
 *
 * A plugin is a shared object `NAME.so` whose only visible symbol is `kith_plugin`, a constant descriptor made by
 * KITH_PLUGIN(). kithd checks the descriptor, declares the plugin's families, then calls `init` with a table of functions
 * (struct kith_host). The table and all that it gives out belong to kithd; a plugin keeps the pointer until `fini`.
 *
 * Conventions
 *   - Functions return 0 or -errno. A parameter named ret_* is untouched on failure.
 *   - Times are nanoseconds: wall clock times since 1970 (CLOCK_REALTIME), durations as differences.
 *   - Everything runs on kithd's loop thread, one callback at a time, save the function given to `work`. A callback must not
 *     block; it must return within a few milliseconds. A callback that returns a negative errno counts as a failure:
 *     a plugin that keeps failing is backed off, one that uses more CPU than its budget is slowed and then stopped.
 *   - Strings passed in are copied by kithd unless it says otherwise; strings handed out belong to kithd.
 *   - Whatever a plugin registered (watches, families, series) is dropped by kithd when the plugin is unloaded; file
 *     descriptors and memory that the plugin made itself are its own to release in `fini`.
 *   - Both structures begin with `size` and grow only at their end: a plugin built against an older minor version runs on a
 *     newer kithd. Test `KITH_HAS(host, member)` before use of a member that came after ABI 1.0.
 *
 * Needs libc alone; C99 and C++11 clean.
 */
#ifndef KITH_PLUGIN_H
#define KITH_PLUGIN_H

#include <math.h> /* NAN */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KITH_ABI_MAJOR 1 /* another major: the plugin is refused */
#define KITH_ABI_MINOR 7 /* a newer minor than kithd's: the plugin is refused */

#define KITH_HAS(table, member) \
	((table)->size >= offsetof(struct kith_host, member) + sizeof((table)->member))

/* ---- what is measured ------------------------------------------------------------------------------------------- */

enum kith_kind {
	KITH_GAUGE = 0,   /* a value that goes up and down */
	KITH_COUNTER = 1, /* only grows, save for a reset to a lower value; exact up to 2^53 */
	KITH_STATE = 2,   /* one of a list of names: the value is the name's index, from 0 */
};

/* Metric flags */
#define KITH_METRIC_EVENT 0x1u /* put when it changes, not on the tick: its value holds until the next one, never stale */

/*
 * One metric of a family. `unit`: "B" bytes, "s" seconds, "%" percent (0 to 100), "Hz", "Cel" degrees Celsius, "1" a plain
 * number, any other word names what is counted ("packets", "processes"); "/s" after it makes a rate. NULL is "1".
 * `states`: for KITH_STATE, the names in order, NULL at the end; otherwise NULL.
 */
struct kith_metric {
	const char *name; /* [a-z0-9_]+, at most 63 characters */
	const char *unit;
	const char *help; /* one line, no full stop */
	const char *const *states;
	uint32_t kind; /* enum kith_kind */
	uint32_t flags;
};

/*
 * A family: a kind of thing measured. `instance` says what its instances are called ("device", "mount point"); NULL for a
 * family with a single, nameless instance (`memory:available`). At most KITH_METRICS_MAX metrics.
 */
#define KITH_METRICS_MAX 128
struct kith_family {
	uint32_t size;        /* sizeof(struct kith_family) */
	uint32_t metric_size; /* sizeof(struct kith_metric) */
	const char *name;     /* [a-z0-9_]+, at most 63 characters, unique on the host */
	const char *help;
	const char *instance;
	const struct kith_metric *metrics;
	uint32_t n_metrics;
	uint32_t flags; /* 0 */
};
#define KITH_FAMILY_INIT sizeof(struct kith_family), sizeof(struct kith_metric)

/*
 * A series is named by a kith_id. `series()` gives the id of an instance's first metric; the id of metric K (its index in
 * the family's table) is that id + K. An id is no longer valid once its instance has ended: use of it gives -ESTALE.
 */
typedef uint32_t kith_id;
#define KITH_ID_NONE ((kith_id)0)

/* ---- what happens ----------------------------------------------------------------------------------------------- */

/* As syslog's */
enum kith_priority {
	KITH_EMERG = 0,
	KITH_ALERT,
	KITH_CRIT,
	KITH_ERR,
	KITH_WARNING,
	KITH_NOTICE,
	KITH_INFO,
	KITH_DEBUG,
};

struct kith_field {
	const char *key; /* [a-z0-9_]+ */
	const char *value;
};

/*
 * A record: something that happened. All is copied. `flags` is kithd's, for those that hear the record (since ABI 1.7): what a plugin sets
 * there is not looked at.
 */
#define KITH_RECORD_LOG 0x1u /* a line of a log: of a plugin with KITH_PROVIDES_LOGS */
struct kith_record {
	uint32_t size;       /* sizeof(struct kith_record) */
	uint32_t priority;   /* enum kith_priority */
	int64_t time;        /* ns since 1970; 0 is now */
	const char *subject; /* `family:instance` or NULL: the plugin's name is used */
	const char *message; /* one line of UTF-8 */
	const struct kith_field *fields;
	uint32_t n_fields; /* at most 32 */
	uint32_t flags;    /* KITH_RECORD_* */
};

/* A promise's assessments, for exporters */
enum kith_assessment { KITH_UNKNOWN = 0, KITH_KEPT = 1, KITH_BROKEN = 2 };

#define KITH_TRANSITION_REPAIRED 0x1u /* kept again after an action was run for it */

struct kith_transition {
	uint32_t size; /* of the structure as this kithd has it: look at it before a member that came after ABI 1.0 is read */
	uint32_t from, to; /* enum kith_assessment */
	uint32_t severity; /* enum kith_priority */
	int64_t time;
	const char *name;     /* bundle.promise */
	const char *promiser; /* family:instance */
	const char *because;  /* one line */
	/* since ABI 1.2 */
	uint32_t flags;       /* KITH_TRANSITION_* */
};

struct kith_sample {
	uint32_t size;
	kith_id id;
	double value;
	int64_t time;
	const struct kith_family *family;
	const struct kith_metric *metric;
	const char *instance; /* "" for the nameless one */
};

/* ---- callbacks -------------------------------------------------------------------------------------------------- */

struct kith_host;
struct kith_watch; /* a registration; owned by kithd, valid until unwatch() or unload */

typedef int (*kith_fn)(void *user);
#define KITH_READ 0x1u
#define KITH_WRITE 0x2u
typedef int (*kith_fd_fn)(int fd, uint32_t events, void *user);
/* `message` is one complete netlink message (struct nlmsghdr first), its length checked; the kernel sent it */
typedef int (*kith_netlink_fn)(const void *message, size_t length, void *user);
/* In the worker thread: may block, must call nothing of the host table */
typedef int (*kith_work_fn)(void *user);
/* Back on the loop thread: `result` is what the work function returned, or for spawn the wait status (see wait(2)) */
typedef int (*kith_done_fn)(int result, void *user);

/*
 * A process event. Threads other than a group's leader are left out. `what` 0, once: this host turned out to give no process events
 * after all; `status` is why (an errno, positive) and the watch is dead.
 */
#define KITH_PROCESS_FORK 0x1u
#define KITH_PROCESS_EXEC 0x2u
#define KITH_PROCESS_EXIT 0x4u
#define KITH_PROCESS_NAME 0x8u /* it renamed itself */
struct kith_process_event {
	uint32_t size;
	uint32_t what;      /* one of KITH_PROCESS_* */
	int32_t pid;        /* of the child for a fork */
	int32_t parent;     /* of fork and exit, else 0 */
	int32_t status;     /* of an exit: the wait status, see wait(2) */
	const char *name;   /* new name of KITH_PROCESS_NAME (at most 15 bytes), else NULL */
	int64_t time;
};
typedef int (*kith_process_fn)(const struct kith_process_event *event, void *user);

/* Which process events to hear: the kernel drops the rest before anybody is woken. */
struct kith_process_filter {
	uint32_t size;
	uint32_t all;               /* of these events, all */
	uint32_t some;              /* of these events, those of `pids` (fork: parent) or, for NAME, with a name of `names` too */
	const int32_t *pids;        /* copied */
	uint32_t n_pids;
	const char *const *names;   /* copied */
	uint32_t n_names;
};

/* A file event; `name` is the entry's name when a directory is watched, else "" */
#define KITH_FILE_CHANGED 0x1u /* closed after writing */
#define KITH_FILE_ADDED 0x2u   /* created, or renamed in */
#define KITH_FILE_REMOVED 0x4u /* deleted, or renamed away */
#define KITH_FILE_ATTR 0x8u    /* owner, mode, times or links */
struct kith_file_event {
	uint32_t size;
	uint32_t what; /* one of KITH_FILE_* */
	const char *path;
	const char *name;
};
typedef int (*kith_file_fn)(const struct kith_file_event *event, void *user);

/* A program to run and to listen to, see spawn_capture; all is copied or used before it returns */
struct kith_program {
	uint32_t size;
	uint32_t flags;          /* 0 */
	const char *const *argv; /* no shell; argv[0] is absolute */
	const char *const *env;  /* NAME=VALUE, added to kithd's own environment; NULL: none */
	int64_t timeout;         /* ns, then it is killed with its process group; 0: 60 s */
	size_t keep;             /* bytes to keep of standard output, and as many of standard error; at most 1 MiB */
};

/* Its end. The texts are not NUL-terminated and valid during the call. */
#define KITH_ENDED_TIMEOUT 0x1u /* it was killed because its time was up */
#define KITH_ENDED_CUT 0x2u     /* it wrote more than was kept */
struct kith_ended {
	uint32_t size;
	uint32_t flags; /* KITH_ENDED_* */
	int32_t status; /* the wait status, see wait(2) */
	uint32_t reserved;
	const char *output, *error;
	size_t output_length, error_length;
	int64_t took;   /* ns from its start to its end */
};
typedef int (*kith_ended_fn)(const struct kith_ended *ended, void *user);

/*
 * A typed source: kithd speaks the kernel's protocol and hands over what it says as a structure. Each source has a header of its own, that says what
 * its filter and its events are. Numbers are never given again.
 */
enum kith_source {
	KITH_SOURCE_PRESSURE = 1, /* kith/sources/pressure.h */
	KITH_SOURCE_CGROUP = 2,   /* kith/sources/cgroup.h */
	KITH_SOURCE_TASK = 3,     /* kith/sources/task.h */
	KITH_SOURCE_KMSG = 10,    /* kith/sources/kmsg.h */
	KITH_SOURCE_DEVICE = 11,  /* kith/sources/device.h */
	KITH_SOURCE_MOUNT = 14,   /* kith/sources/mount.h */
	KITH_SOURCE_QUOTA = 15,   /* kith/sources/quota.h */
	KITH_SOURCE_AUDIT = 16,   /* kith/sources/audit.h */
	KITH_SOURCE_THERMAL = 17, /* kith/sources/thermal.h */
	KITH_SOURCE_LINK = 20,    /* kith/sources/rtnetlink.h; so are those up to 24 */
	KITH_SOURCE_ADDRESS = 21,
	KITH_SOURCE_ROUTE = 22,
	KITH_SOURCE_RULE = 23,
	KITH_SOURCE_NEIGHBOUR = 24,
	KITH_SOURCE_ETHTOOL = 25, /* kith/sources/ethtool.h */
	KITH_SOURCE_SOCKET = 26,  /* kith/sources/socket.h */
	KITH_SOURCE_CONNTRACK = 27, /* kith/sources/conntrack.h; so is the next */
	KITH_SOURCE_CONNTRACK_STATS = 28,
	KITH_SOURCE_TREE = 30,    /* kith/sources/tree.h */
};
/* `event`: the structure of the source's header, valid during the call. NULL: what was watched is gone, and no more is told. */
typedef int (*kith_source_fn)(const void *event, void *user);

/*
 * A program that runs on and is heard as it writes, see spawn_stream; all is copied or used before it returns. `data` is not NUL-terminated, cut
 * anywhere, and valid during the call; `stream` is 1 (standard output) or 2 (standard error).
 */
struct kith_stream {
	uint32_t size;
	uint32_t flags;          /* 0 */
	const char *const *argv; /* no shell; argv[0] is absolute */
	const char *const *env;  /* NAME=VALUE, added to kithd's own environment; NULL: none */
	const char *user;        /* as whom, with its groups; NULL: as kithd. Where that cannot be, it ends with 127 and says why on standard error */
};
typedef int (*kith_output_fn)(int stream, const char *data, size_t length, void *user);

/* Somebody (a promise, a reader) names a series of this family, or no longer does. `instance` may hold '*'. */
typedef int (*kith_wanted_fn)(const char *instance, int wanted, void *user);

/* ---- options ---------------------------------------------------------------------------------------------------- */

enum kith_option_type {
	KITH_OPTION_BOOL,     /* true, false */
	KITH_OPTION_NUMBER,   /* 3, 0.5, 10% is 10 */
	KITH_OPTION_DURATION, /* 10s, 500ms; given as seconds */
	KITH_OPTION_SIZE,     /* 10MiB; given as bytes */
	KITH_OPTION_STRING,
	KITH_OPTION_LIST, /* of strings */
};

/* `min` and `max`: inclusive range of numbers, durations (s) and sizes (B); both 0: any. */
struct kith_option {
	const char *name;
	const char *fallback; /* as written in kith.conf; of a list: comma-separated; NULL: unset */
	const char *help;
	double min, max;
	uint32_t type; /* enum kith_option_type */
	uint32_t flags; /* 0 */
};

/* ---- the host's functions --------------------------------------------------------------------------------------- */

struct kith_host {
	uint32_t size;
	uint16_t abi_major, abi_minor;
	void *self; /* kithd's own: leave alone */

	/*
	 * Declares a family beside those of the descriptor, which are declared already and numbered from 0 in their
	 * order. `family` is copied. -EEXIST: another plugin has the name. -EINVAL: a field is bad (logged).
	 */
	int (*declare)(const struct kith_host *h, const struct kith_family *family, uint32_t *ret_number);
	/*
	 * The id of an instance's first metric; makes the instance when it is new. `instance` is UTF-8 of at most 255
	 * bytes without control characters, "" or NULL for the nameless one. -ENOSPC: the family's cap of instances
	 * is reached (said once in the log and in `kith plugins`). Allocates; not for the hot path.
	 */
	int (*series)(const struct kith_host *h, uint32_t family, const char *instance, kith_id *ret_id);
	/* The instance that `id` belongs to is gone: its series end, promises on them turn unknown. */
	int (*end)(const struct kith_host *h, kith_id id);
	/*
	 * A sample at the time of this tick or event; put_at: at `time`, not older than the last one (-EINVAL).
	 * No allocation, no lock. -ESTALE: `id` has ended. -EDOM: the value is no finite number, or no state of a state metric.
	 */
	int (*put)(const struct kith_host *h, kith_id id, double value);
	int (*put_at)(const struct kith_host *h, kith_id id, double value, int64_t time);
	/* `n` values for the metrics from `id` on; a NaN leaves its metric out */
	int (*put_all)(const struct kith_host *h, kith_id id, const double *values, uint32_t n);
	/*
	 * Bounded: -ENOSPC when this plugin records faster than its rate limit; what was dropped is counted and said. Not so with
	 * KITH_PROVIDES_LOGS.
	 */
	int (*record)(const struct kith_host *h, const struct kith_record *record);

	/* Watches. ret_watch may be NULL where the plugin never unwatches. A watch may be dropped from within a callback. */
	int (*watch_fd)(const struct kith_host *h, int fd, uint32_t events, kith_fd_fn fn, void *user,
	                struct kith_watch **ret_watch);
	/* EPOLLPRI alone, edge-triggered as PSI, cgroup.events and mountinfo want it; `fd` stays the caller's */
	int (*watch_pri)(const struct kith_host *h, int fd, kith_fd_fn fn, void *user, struct kith_watch **ret_watch);
	/* First after `after` ns, then every `every` ns (0: once). It may come up to `slack` ns late, to share a wake-up. */
	int (*watch_timer)(const struct kith_host *h, int64_t after, int64_t every, int64_t slack, kith_fn fn,
	                   void *user, struct kith_watch **ret_watch);
	/* Called on the shared tick, at this plugin's interval; all samplers of a tick run back to back in one wake-up */
	int (*sample)(const struct kith_host *h, kith_fn fn, void *user, struct kith_watch **ret_watch);
	/* Multicast `group` (number, from 1) of a netlink protocol. After an overflow kithd calls the plugin's `resync`. */
	int (*watch_netlink)(const struct kith_host *h, int protocol, uint32_t group, kith_netlink_fn fn, void *user,
	                     struct kith_watch **ret_watch);
	/* Process events; -EPERM or -EOPNOTSUPP where this host does not give them. resync after an overflow. */
	int (*watch_process)(const struct kith_host *h, const struct kith_process_filter *filter, kith_process_fn fn,
	                     void *user, struct kith_watch **ret_watch);
	int (*set_process_filter)(const struct kith_host *h, struct kith_watch *watch,
	                          const struct kith_process_filter *filter);
	/* `events`: KITH_FILE_* of a file or of a directory's entries; follows atomic replacement. resync after an overflow. */
	int (*watch_file)(const struct kith_host *h, const char *path, uint32_t events, kith_file_fn fn, void *user,
	                  struct kith_watch **ret_watch);
	/* Which instances of `family` somebody names; called at once for those named now */
	int (*watch_wanted)(const struct kith_host *h, uint32_t family, kith_wanted_fn fn, void *user,
	                    struct kith_watch **ret_watch);
	void (*unwatch)(const struct kith_host *h, struct kith_watch *watch);

	/*
	 * A netlink dump: sends request `type` with `body` (what follows struct nlmsghdr) and calls `fn` for each answer
	 * before it returns. An interrupted dump is repeated by kithd: `fn` may see an object twice.
	 */
	int (*netlink_dump)(const struct kith_host *h, int protocol, uint16_t type, const void *body, size_t length,
	                    kith_netlink_fn fn, void *user);
	/*
	 * Runs `fn` in a worker thread and `done` on the loop thread after. For calls that can hang. -EAGAIN: the
	 * bound of workers is reached (16 in all, 8 a plugin): try on a later tick. `user` must live until `done`;
	 * when the plugin is unloaded first, `done` is not called and `user` is leaked knowingly: allocate it small.
	 */
	int (*work)(const struct kith_host *h, kith_work_fn fn, kith_done_fn done, void *user);
	/* Runs a program: argv without a shell, standard streams on /dev/null, killed with its group after `timeout` ns */
	int (*spawn)(const struct kith_host *h, const char *const argv[], int64_t timeout, kith_done_fn done, void *user);

	/* This host's files: `path` is absolute, below the root that kith.conf sets (default "/"). A descriptor or -errno. */
	int (*open)(const struct kith_host *h, const char *path);
	/* The root itself, without a slash at its end: "" by default */
	const char *(*root)(const struct kith_host *h);
	/*
	 * Reads all of `fd` from offset 0 with pread into a buffer that all plugins share, and ends it with NUL.
	 * Valid until the next call of read() or the end of the callback. At most 4 MiB (-EFBIG). ret_length may be NULL.
	 */
	int (*read)(const struct kith_host *h, int fd, char **ret_text, size_t *ret_length);

	/* Options of this plugin, by the names of its descriptor; an unknown name is a bug of the plugin and is logged */
	int (*option_bool)(const struct kith_host *h, const char *name);
	double (*option_number)(const struct kith_host *h, const char *name); /* also durations (s) and sizes (B); unset: NaN */
	const char *(*option_string)(const struct kith_host *h, const char *name); /* unset: NULL. Valid until reconfigure */
	/* The number of strings; the list and its strings are valid until reconfigure */
	size_t (*option_list)(const struct kith_host *h, const char *name, const char *const **ret_list);
	int64_t (*interval)(const struct kith_host *h); /* ns between this plugin's samples */
	int64_t (*now)(const struct kith_host *h);      /* wall clock ns of this tick or event: no system call */

	/* printf-like, one line, prefixed with the plugin's name; rate-limited */
	void (*log)(const struct kith_host *h, int priority, const char *format, ...)
#ifdef __GNUC__
	        __attribute__((format(printf, 3, 4)))
#endif
	        ;
	/* Says one line about how this plugin runs now ("no right to process events: scanning every 60 s"); NULL takes it back. */
	void (*note)(const struct kith_host *h, const char *text);

	/* ---- since ABI 1.1 ---- */

	/*
	 * Runs a program as spawn does, and gives `fn` what it wrote, once, when it has ended and its group with it. -ENOENT,
	 * -EACCES and the like: it cannot be run; `fn` is not called then. What it writes beyond `keep` is read and dropped; beyond
	 * 1 MiB its end of the pipe is closed (SIGPIPE). The watch is gone after `fn`; unwatch before that kills the program.
	 */
	int (*spawn_capture)(const struct kith_host *h, const struct kith_program *program, kith_ended_fn fn, void *user,
	                     struct kith_watch **ret_watch);

	/* ---- since ABI 1.3 ---- */

	/*
	 * Events of a typed source (enum kith_source). `filter`: the structure of the source's header, copied; NULL where that says so. After a loss
	 * kithd calls the plugin's `resync`. -EOPNOTSUPP: this kithd, or this kernel, does not have it.
	 */
	int (*watch_source)(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user,
	                    struct kith_watch **ret_watch);
	/* All that is there now, each as an event, before it returns. A negative errno of `fn` ends it and is returned. -ENOTSUP: no dump of this one */
	int (*dump_source)(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user);

	/* ---- since ABI 1.4 ---- */

	/*
	 * Runs a program without a limit of time: `output` is called with what it writes, `ended` once, without texts, when it has ended. It is in a
	 * session of its own, its standard input is /dev/null; its group is killed when it ends, by unwatch and when the plugin goes.
	 */
	int (*spawn_stream)(const struct kith_host *h, const struct kith_stream *program, kith_output_fn output, kith_ended_fn ended, void *user,
	                    struct kith_watch **ret_watch);

	/* ---- since ABI 1.6 ---- */

	/*
	 * Of a sampler of levels (KITH_PROVIDES_LEVELS), in its call: however they move, nothing that could be promised of them comes about within `ns`
	 * that this round does not show as near (4 % of a value, 1 % of its range). Unless somebody but plain promises hears of its series,
	 * the next call is that late: not earlier than the interval, nor later than steady_interval or twice the time of the last one.
	 */
	void (*look_again)(const struct kith_host *h, int64_t ns);

	/* ---- since ABI 1.7 ---- */

	/*
	 * A folder of this plugin's own for what is to survive a restart, made when it is asked for the first time (mode 0700): its path, valid
	 * until fini. NULL: it cannot be made, and errno says why. Not below root(): it is kithd's.
	 */
	const char *(*state_folder)(const struct kith_host *h);
};

/* ---- the plugin's descriptor ------------------------------------------------------------------------------------ */

/* provides */
#define KITH_PROVIDES_SAMPLES 0x1u
#define KITH_PROVIDES_RECORDS 0x2u
#define KITH_PROVIDES_EXPORTER 0x4u
#define KITH_PROVIDES_RESYNC 0x8u
/*
 * Its samplers read levels that mostly stay as they are (room on disks) and do nothing else: while none of its values
 * moves and nobody watches one, they are called less and less often, at least once in the configured steady_interval. See also
 * look_again.
 */
#define KITH_PROVIDES_LEVELS 0x10u
/*
 * Since ABI 1.7. Its records are lines of logs, many thousands a second perhaps: no rate limit of kithd's holds them, as the plugin limits
 * its own sources; one that uses more CPU than its budget is slowed and never stopped. Of exporters only those with this flag hear such records.
 */
#define KITH_PROVIDES_LOGS 0x20u

/* needs: what is not granted or not there skips the plugin, with the reason shown by `kith plugins` */
#define KITH_NEEDS_PROCFS 0x1u         /* <root>/proc is mounted */
#define KITH_NEEDS_SYSFS 0x2u          /* <root>/sys is mounted */
#define KITH_NEEDS_ROUTE_NETLINK 0x4u  /* NETLINK_ROUTE */
#define KITH_NEEDS_PROCESS_EVENTS 0x8u /* the proc connector delivers */
#define KITH_NEEDS_CGROUP2 0x10u
#define KITH_NEEDS_PSI 0x20u
#define KITH_NEEDS_CONNTRACK 0x40u
#define KITH_NEEDS_FANOTIFY 0x80u
#define KITH_NEEDS_AUDIT 0x100u
#define KITH_NEEDS_KMSG 0x200u
#define KITH_NEEDS_SYSTEMD 0x400u
/* capabilities, in the upper half */
#define KITH_NEEDS_CAP_NET_ADMIN (1ull << 32)
#define KITH_NEEDS_CAP_SYS_ADMIN (1ull << 33)
#define KITH_NEEDS_CAP_SYS_PTRACE (1ull << 34)
#define KITH_NEEDS_CAP_SYSLOG (1ull << 35)
#define KITH_NEEDS_CAP_SYS_RESOURCE (1ull << 36)
#define KITH_NEEDS_CAP_AUDIT_READ (1ull << 37)
#define KITH_NEEDS_CAP_DAC_READ_SEARCH (1ull << 38)
#define KITH_NEEDS_CAP_NET_RAW (1ull << 39)

struct kith_plugin {
	uint32_t size; /* sizeof(struct kith_plugin) */
	uint16_t abi_major, abi_minor;
	const char *name;    /* the file's name without .so: [a-z0-9_]+ */
	const char *version; /* free text */
	const char *help;    /* one line */
	uint64_t provides, needs;
	const struct kith_family *families;
	uint32_t n_families;
	uint32_t option_size; /* sizeof(struct kith_option) */
	const struct kith_option *options;
	uint32_t n_options;
	uint32_t reserved; /* 0 */

	/*
	 * Sets *ret_state (handed to all below). A failure leaves nothing behind: fini is not called. -EOPNOTSUPP: this host lacks what
	 * it takes, and the plugin is skipped; what it noted last is the reason.
	 */
	int (*init)(const struct kith_host *h, void **ret_state);
	/* May be NULL. Called once, after which no callback comes any more. */
	void (*fini)(void *state);
	/* Events were lost: dump and reconcile. Must be there with KITH_PROVIDES_RESYNC. */
	int (*resync)(void *state);
	/* The options changed. NULL: the plugin is stopped and started with the new ones. */
	int (*reconfigure)(void *state);

	/* Exporters (KITH_PROVIDES_EXPORTER): what they hear; any may be NULL. The structures are valid during the call. */
	int (*on_sample)(void *state, const struct kith_sample *sample);
	int (*on_record)(void *state, const struct kith_record *record);
	int (*on_transition)(void *state, const struct kith_transition *transition);

	/* since ABI 1.5: for kith-sources(7), which is made from the descriptors; a line each, without a full stop; may be NULL */
	const char *hears; /* by what it knows: "rtnetlink's link and address groups" */
	const char *costs; /* "40 us a tick"; "nothing on an idle host, 3 us a message" */
};

#ifdef __GNUC__
#define KITH_VISIBLE __attribute__((visibility("default")))
#else
#define KITH_VISIBLE
#endif
#ifdef __cplusplus
#define KITH_EXTERN extern "C"
#else
#define KITH_EXTERN extern
#endif

/*
 * Exports the descriptor: KITH_PLUGIN = { KITH_PLUGIN_INIT, .name = "mine", … };
 * Build with -fvisibility=hidden (pkg-config --cflags kith has it) so that it is the only visible symbol.
 */
#define KITH_PLUGIN KITH_EXTERN KITH_VISIBLE const struct kith_plugin kith_plugin; \
	KITH_VISIBLE const struct kith_plugin kith_plugin
#define KITH_PLUGIN_INIT sizeof(struct kith_plugin), KITH_ABI_MAJOR, KITH_ABI_MINOR
#define KITH_COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

/* ---- help for reading /proc ------------------------------------------------------------------------------------- */

/*
 * Skips blanks (space, tab) at *p, reads an unsigned decimal number and moves *p behind it. 0, or -EINVAL (as -22) with
 * *p at what is no digit. Numbers beyond 2^64 wrap, as the kernel's own counters do.
 */
static inline int kith_scan_u64(const char **p, uint64_t *ret_value)
{
	const char *s = *p;
	uint64_t v = 0;

	while (*s == ' ' || *s == '\t')
		s++;
	*p = s;
	if (*s < '0' || *s > '9')
		return -22;
	while (*s >= '0' && *s <= '9')
		v = v * 10 + (uint64_t)(*s++ - '0');
	*p = s;
	*ret_value = v;
	return 0;
}

/* The start of the next line, or of the end (NUL) */
static inline const char *kith_scan_line(const char *p)
{
	while (*p && *p != '\n')
		p++;
	return *p ? p + 1 : p;
}

/*
 * For files of `KEY number` lines (/proc/meminfo, /proc/vmstat, memory.stat): each key is looked for where it was the last
 * time, moved by as much as the one before it has moved, and searched for only when it is not there. Name the keys in
 * the file's order, with what ends them: KITH_KEY("MemTotal:"), KITH_KEY("pgfault ").
 */
struct kith_key {
	const char *name;
	uint32_t length;
};
#define KITH_KEY(name) { name, sizeof(name) - 1 }
#define KITH_KEY_ABSENT 0xfffffff0u /* in `at`, and above: not in this file; looked for again after 16 reads */

static inline int kith_key_is_at(const char *text, size_t length, size_t at, const struct kith_key *key)
{
	return at < length && key->length <= length - at && (at == 0 || text[at - 1] == '\n') &&
	       memcmp(text + at, key->name, key->length) == 0;
}

/* The offset of the line that begins with `key`, in [from, to); `from` begins a line. (size_t)-1: none */
static inline size_t kith_key_find(const char *text, size_t from, size_t to, const struct kith_key *key)
{
	while (from < to) {
		const char *end = (const char *)memchr(text + from, '\n', to - from);

		if (key->length <= to - from && memcmp(text + from, key->name, key->length) == 0)
			return from;
		if (!end)
			break;
		from = (size_t)(end - text) + 1;
	}
	return (size_t)-1;
}

/*
 * Sets values[i] to the number of keys[i], or to NaN where there is none or where the text is cut off within it. `at`:
 * `n` offsets that the caller keeps between calls, 0 at first. `text` ends with NUL, as read() gives it. Returns
 * how many numbers were found.
 */
static inline uint32_t kith_scan_keys(const char *text, size_t length, const struct kith_key *keys, uint32_t n,
                                      uint32_t *at, double *values)
{
	size_t from = 0;
	uint32_t i, found = 0, moved = 0;

	for (i = 0; i < n; i++) {
		size_t p = (uint32_t)(at[i] + moved);
		const char *s;
		uint64_t v;

		values[i] = (double)NAN;
		if (at[i] >= KITH_KEY_ABSENT) {
			at[i]++;
			continue;
		}
		if (!kith_key_is_at(text, length, p, &keys[i])) {
			p = kith_key_find(text, from, length, &keys[i]);
			if (p == (size_t)-1)
				p = kith_key_find(text, 0, from, &keys[i]);
			if (p == (size_t)-1) {
				at[i] = KITH_KEY_ABSENT;
				continue;
			}
		}
		moved = (uint32_t)p - at[i];
		at[i] = (uint32_t)p;
		from = p;
		s = text + p + keys[i].length;
		if (kith_scan_u64(&s, &v) == 0 && (*s == '\n' || *s == ' ')) {
			values[i] = (double)v;
			found++;
		}
	}
	return found;
}

#ifdef __cplusplus
}
#endif
#endif
