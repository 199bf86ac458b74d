/*
 * The host of plugins: finds, checks, loads, accounts for and unloads them, and implements plugin.h for them.
 */
#ifndef KITH_HOST_H
#define KITH_HOST_H

#include "conf/conf.h"
#include "loop/loop.h"
#include "model/model.h"

struct host;
struct netlink_source;
struct process_source;
struct file_source;
struct children;

/* All are the caller's and outlive the host. */
struct host_parts {
	struct loop *loop;
	struct model *model;
	struct netlink_source *netlink;
	struct process_source *process;
	struct file_source *file;
	struct children *children;
	const struct conf *conf; /* replaced by host_configure */
	const char *config; /* its file, for the processes of isolated plugins; NULL: no plugin can be isolated */
	const char *state;  /* the folder of kithd's state, below which plugins get theirs; NULL: none */
	bool foreground;    /* they log to standard error, as kithd does */
	bool inside;        /* this is such a process: its plugin runs in here, whatever its section says */
	void *user;
	void (*on_tick)(int64_t now, void *user);  /* after all samplers of a tick; may be NULL */
	void (*on_jump)(int64_t jump, void *user); /* the wall clock was set; may be NULL */
};

enum host_state { HOST_RUNNING, HOST_SKIPPED, HOST_REFUSED, HOST_BACKED_OFF, HOST_STOPPED };

/* Strings belong to the host, valid until it is called again */
struct host_info {
	const char *name, *version, *file, *reason;
	enum host_state state;
	uint32_t series;
	uint64_t calls, cpu_ns, samples, failures;
	int64_t allocations; /* -1: not counted in this build */
};

int host_new(const struct host_parts *parts, struct host **ret_host);
void host_free(struct host *h); /* unloads all */

/* A plugin that is part of the daemon */
int host_add_builtin(struct host *h, const struct kith_plugin *descriptor);
/*
 * Loads every *.so of the folders, in the order of their names, and goes on watching the folders. A plugin that cannot be loaded is logged,
 * kept in the list with its reason, and no failure. Sampling starts.
 */
int host_load_all(struct host *h, const char *const *folders, size_t n);
/* Loads one plugin of `folder`, and watches nothing. Sampling starts. */
int host_load_one(struct host *h, const char *folder, const char *name);
/*
 * For `kithd -t`: loads the plugins' descriptors, declares their families and checks their sections, without starting any.
 */
int host_describe_all(struct host *h, const char *const *folders, size_t n, const struct kith_plugin *builtin,
                      struct faults *faults);
/* Checks the sections of a configuration against the plugins that are there. -EINVAL: faults */
int host_check_conf(struct host *h, const struct conf *conf, struct faults *faults);
/* Goes over to `conf`, which was checked; only plugins whose section changed notice. */
void host_configure(struct host *h, const struct conf *conf);

int host_info(struct host *h, size_t index, struct host_info *ret_info); /* -ENOENT past the end */
const char *host_state_name(enum host_state s);

#endif
