/* The daemon as a whole: what main.c and the files beside it share. Every module's context hangs here and is passed down from here. */
#ifndef KITH_DAEMON_H
#define KITH_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "control/control.h"
#include "host/host.h"
#include "host/spawn.h"
#include "loop/loop.h"
#include "model/model.h"
#include "promises/notices.h"
#include "promises/promises.h"
#include "source/file.h"
#include "source/netlink.h"
#include "source/process.h"
#include "store/history.h"
#include "store/journal.h"
#include "store/records.h"
#include "store/trail.h"

#define OPTION_DIRS_MAX 15
#define OPTION_OWNED_MAX (4 * OPTION_DIRS_MAX + 32)

/* The command line, with the defaults of this user filled in; strings until options_free */
struct options {
	bool foreground, test, version, help;
	bool config_given;
	const char *isolated; /* the plugin that this process is for; NULL: none */
	const char *config, *state_dir, *run_dir;
	const char *plugin_dirs[OPTION_DIRS_MAX + 1];
	size_t n_plugin_dirs;
	const char *promise_dirs[OPTION_DIRS_MAX + 1];
	size_t n_promise_dirs;
	const char *const *check_files; /* --check FILE…: the rest of the command line */
	size_t n_check_files;
	bool explain; /* of --check: what they were understood to say */
	bool replay, families;
	int64_t replay_from; /* wall ns: what is told of --replay */
	char *owned[OPTION_OWNED_MAX]; /* those of the strings that are not the command line's */
	size_t n_owned;
};

/* Strings are owned but for `virtual`; NULL: not known */
struct host_facts {
	bool read;
	char *os, *os_version, *kernel, *arch, *init;
	const char *virtual;
	double cpus, memory; /* memory in bytes */
};

struct daemon {
	struct options options;
	struct conf *conf;
	int lock;           /* of the run directory; -1 none */
	int ready;          /* pipe to the process that waits for the start; -1 none */
	int64_t started;    /* wall ns */
	char *socket;
	struct loop *loop;
	struct model *model;
	struct trails *trails;
	struct loop_watch *forget; /* of trails that wait */
	bool running;              /* it started whole: what it knows is worth keeping */
	struct netlink_source *netlink;
	struct process_source *process;
	struct file_source *file;
	struct children children;
	struct promises *promises;
	struct history *history; /* NULL: switched off */
	struct records *records; /* NULL: switched off */
	struct loop_watch *flush_soon; /* of records that came between two ticks */
	struct host *host;
	struct control *control;
	struct loop_watch *signals[3];
	/* promised.c */
	bool promises_loaded; /* once at least */
	struct host_facts facts;
	struct loop_watch *promise_timer, *promise_reload;
	struct file_sub *promise_subs[OPTION_DIRS_MAX];
	struct model_observer observer;
	struct action *actions; /* that run */
	unsigned n_actions;
	/* notified.c */
	struct notices *notices;
	struct loop_watch *notice_timer;
	struct delivery *deliveries; /* that run */
	struct saver *notice_saver;
	struct loop_watch *notice_save;
	bool notices_dirty, notices_unsaved; /* the last try failed */
	bool notices_asked; /* what is dirty is to be written at once */
	int64_t notices_saved; /* mono ns of the last try; 0: none */
	/* kept.c */
	struct journal *journal;
	struct flusher *flusher;
	struct child *fold;        /* that runs; NULL: none */
	struct loop_watch *fold_timer;
	bool fold_told;            /* that it cannot be run */
	/* reload.c */
	struct loop_watch *conf_reload;
	struct file_sub *conf_subs[2];
};

/* options.c: 0, or -EINVAL with a line on standard error */
int options_parse(int argc, char **argv, struct options *ret_options);
void options_free(struct options *o);
void options_usage(void);

/* start.c: directories, the lock of the run directory, going into the background, readiness */
int start_directories(struct daemon *d);
int start_lock(struct daemon *d);
int start_background(struct daemon *d); /* 0 in the daemon; the parent does not return */
void start_ready(struct daemon *d);     /* tells the waiting parent and the supervisor (sd_notify) */
void start_notify(const char *state);
void start_unlock(struct daemon *d);

/* promised.c: the promise engine's driver: files, deadlines, actions */
int promised_start(struct daemon *d);
void promised_log(struct daemon *d); /* from now on transitions are logged */
void promised_stop(struct daemon *d);
int promised_read(const struct options *o, struct promises_file **ret_files, size_t *ret_n);
void promised_free_files(struct promises_file *files, size_t n);
void promised_load(struct daemon *d);
void promised_facts(struct daemon *d, const struct conf *conf, struct promises_facts *ret_facts);

/* notified.c: what people are told */
int notified_start(struct daemon *d);
void notified_stop(struct daemon *d);
int notified_configure(struct daemon *d, const struct conf *conf);
int notified_names(struct promises *p, const struct conf *conf);

/* kept.c: the journal of samples, and its folding into RRD files */
int kept_start(struct daemon *d);
void kept_stop(struct daemon *d);
void kept_configure(struct daemon *d, const struct conf *before); /* d->conf is another one now */

/* facts.c: what promises may ask about the host */
void host_facts_read(struct host_facts *f, const struct conf *conf);
void host_facts_free(struct host_facts *f);

/* reload.c: the configuration, now and when it changes */
int reload_first(struct daemon *d);
int reload_start(struct daemon *d);
void reload_stop(struct daemon *d);

/* The record store as `conf` wants it, which may be none. -ENOMEM */
int reload_records(struct daemon *d, const struct conf *conf);

/* answer.c: what the control server asks the daemon */
void answer_daemon(struct daemon *d, struct control_daemon *ret_daemon);
const char *answer_host_name(const struct conf *conf); /* static buffer of the process's host name, or what kith.conf says */

/* test.c: kithd -t and kithd --check: exit status */
int test_run(struct daemon *d);
/* The files that the command line names. Those that cannot be read are faults. -ENOMEM */
int test_read_named(const struct options *o, struct promises_file **ret_files, size_t *ret_n, struct faults *faults);
void test_print_faults(const struct faults *faults); /* on standard error */

/* replay.c: kithd --replay: exit status */
int replay_run(struct daemon *d);
/* kithd --families, likewise */
int replay_families(struct daemon *d);

/* isolated.c: the process of one isolated plugin: exit status */
int isolated_run(struct daemon *d);

/* self.c: the daemon's own cost, as a plugin */
extern const struct kith_plugin self_plugin;

#endif
