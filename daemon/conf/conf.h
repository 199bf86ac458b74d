/*
 * The configuration: kith.conf and the *.conf of conf.d in libucl's syntax (UCL), read into a tree that remembers places, then
 * checked against a table of keys. All faults are gathered, each with file:line:column and a suggestion. libc and base only;
 * knows no plugin: their options are handed in.
 */
#ifndef KITH_CONF_H
#define KITH_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "plugin.h"

enum conf_type { CONF_NULL, CONF_BOOL, CONF_NUMBER, CONF_DURATION, CONF_SIZE, CONF_PERCENT, CONF_STRING, CONF_LIST, CONF_OBJECT };

struct conf_file {
	char *path;
	char *text;
	size_t length;
};

/* A node of the tree. A key given twice makes two nodes, in order. */
struct conf_node {
	struct conf_node *next, *children; /* children of lists (without key) and objects */
	char *key;                         /* NULL in a list and at the top */
	enum conf_type type;
	double number;                     /* bool 0/1, number, percent, duration in s, size in B */
	char *string;                      /* CONF_STRING; for all other scalars the text as written */
	const struct conf_file *file;
	size_t key_at, key_width, at, width; /* offsets in the file's text, for faults */
};

/* Parses one file into *ret_node (an object; conf_node_free). -EINVAL: faults. Fuzzed: any bytes are fine. */
int conf_parse(const struct conf_file *file, struct conf_node **ret_node, struct faults *faults);
void conf_node_free(struct conf_node *node);

/* Settings of one plugin or exporter: what kith.conf says, after defaults and checks against its descriptor's options */
struct conf_option {
	const struct kith_option *option;
	bool set;       /* said in the configuration */
	double number;  /* bool, number, duration (s), size (B); NaN when unset */
	char *string;   /* NULL when unset */
	char **list;    /* NULL-terminated */
	size_t n_list;
};
struct conf_plugin {
	struct conf_plugin *next;
	char *name;
	bool exporter;         /* an `exporter NAME { }` section */
	bool enabled;          /* enabled = false: not loaded */
	bool isolated;         /* in a child process */
	int64_t interval, steady_interval; /* ns; 0: the daemon's */
	double cpu_budget;     /* percent of one core; 0: the daemon's */
	uint32_t max_instances;
	struct conf_node *node; /* the section (owned by the conf); NULL: none */
};

/* A section notify NAME { }: whom promises are told to, and how */
struct conf_notify {
	struct conf_notify *next;
	char *name;
	char **run;                /* argv, NULL-terminated, not empty; run[0] is absolute */
	char **promises;           /* patterns, NULL-terminated; n_promises 0: all */
	size_t n_promises;
	char *user;                /* NULL: the daemon's own */
	enum kith_priority severity; /* and worse */
	int64_t wait, repeat, unknown, timeout; /* ns; repeat and unknown 0: never */
	bool kept;
	struct conf_node *node;    /* the section (owned by the conf) */
};

/* The section journal { }: samples in memory, on the disk and in RRD files */
struct conf_journal {
	bool enabled;
	size_t ring;               /* bytes */
	uint64_t max_size;         /* bytes */
	int64_t sync, fold, step, keep; /* ns; fold 0: never */
	char *archives;            /* those that kith-fold takes; NULL: what goes by default with the step */
	char *cached;              /* NULL: none */
	struct conf_node *node;    /* NULL: not mentioned */
};

struct conf {
	int64_t interval;          /* 10 s; 100 ms to 1 h */
	int64_t steady_interval;   /* 10 s; 100 ms to 1 h */
	enum { CONF_LOG_ERR = 3, CONF_LOG_WARNING, CONF_LOG_NOTICE, CONF_LOG_INFO, CONF_LOG_DEBUG } log_level;
	char **tags;               /* NULL-terminated */
	size_t n_tags;
	char *host;                /* host name; NULL: the kernel's */
	char *root;                /* "" by default; no slash at its end */
	char *socket_group;        /* group of the control socket; NULL: kithd's own */
	double attention_budget;   /* percent of one core for all rounds that attention adds, default 0.5; 0: none */
	double cpu_budget;         /* percent of one core a plugin may use, default 5 */
	uint32_t max_instances;    /* a family, default 16384 */
	uint32_t max_actions;      /* running at a time, default 8 */
	uint32_t max_action_starts; /* in a minute, default 60 */
	bool history;              /* of promises; read at the start alone */
	bool records;              /* whether records are kept */
	int64_t records_max_size, records_max_age; /* bytes; ns */
	struct conf_node *records_node; /* the section; NULL: none */
	struct conf_plugin *plugins;
	struct conf_notify *notifies;
	struct conf_journal journal;
	struct conf_node **trees;  /* the parsed files */
	size_t n_trees;
	struct conf_file *files;
	size_t n_files;
};

/*
 * Reads `path` (a missing file is not a fault unless `required`) and every *.conf of `path`'s sibling directory conf.d, in
 * the order of their names; later ones override. -EINVAL: faults; *ret_conf untouched.
 */
int conf_load(const char *path, bool required, struct conf **ret_conf, struct faults *faults);
/* The same, but gives what could be read even with faults (only -ENOMEM does not): for a check that goes on to find more */
int conf_load_faulty(const char *path, bool required, struct conf **ret_conf, struct faults *faults);
void conf_free(struct conf *c);
struct conf_plugin *conf_plugin_find(const struct conf *c, const char *name); /* NULL: not mentioned */

/*
 * Checks the section of one plugin against its options and gives their values, defaults filled in: an array of n_options
 * (conf_options_free). `section` may be NULL: defaults only. Unknown keys and wrong types are faults with place and suggestion.
 */
int conf_options(const struct conf_plugin *section, const struct kith_option *options, uint32_t n_options,
                 uint32_t option_size, struct conf_option **ret_values, struct faults *faults);
void conf_options_free(struct conf_option *values, uint32_t n);
/* The same section, as text: equal if and only if nothing changed */
bool conf_plugin_same(const struct conf_plugin *a, const struct conf_plugin *b);

#endif
