/*
 * What is measured, as it is known from segments and kept beside the RRD files of a family (rrd/FAMILY/.family, kith-journal(5)): its metrics with their data
 * sources, and which file is which instance.
 */
#ifndef KITH_STORE_FOLD_FAMILY_H
#define KITH_STORE_FOLD_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/buf.h"
#include "store/fold/names.h"
#include "store/pack.h"

#define FAMILY_METRICS_MAX 256u    /* with those that are no longer measured */
#define FAMILY_FILE_MAX (64u << 20)

struct fold_metric {
	char *name, *unit;
	char source[RRD_SOURCE_SIZE];
	uint32_t kind, flags, n_states;
	char **states;             /* NULL without */
};

/* An instance that has an RRD file */
struct family_file {
	char *file, *instance;
	UT_hash_handle hh;         /* by instance */
};

struct fold_family {
	char *name, *label;
	int64_t stale_after;       /* ns; 0: never */
	struct fold_metric *metrics;
	uint32_t n;
	struct family_file *files;
	bool told;                 /* its file says which family it is of, or a segment did */
	bool changed;              /* what the disk has is another */
};

/* `name` is a valid one. -ENOMEM */
int known_new(const char *name, struct fold_family **ret_family);
void known_free(struct fold_family *f);
/* By its name; -1: none */
int known_metric(const struct fold_family *f, const char *name);
/* What a segment says of it: new metrics are added, of others all is taken over. -ENOMEM; -E2BIG: too many; -EINVAL: a bad name */
int known_learn(struct fold_family *f, const struct unpack_family *u);
/* A metric as another family has it. -ENOMEM and the like */
int known_take(struct fold_family *f, const struct fold_metric *m);
/* What it is called and how long values stand, as another has it. -ENOMEM */
int known_take_label(struct fold_family *f, const struct fold_family *from);
/* By its data source; NULL: none */
const struct fold_metric *known_source(const struct fold_family *f, const char *source);
/* A file of an instance; the same as before changes nothing. -ENOMEM */
int known_add_file(struct fold_family *f, const char *file, const char *instance);
void known_remove_file(struct fold_family *f, struct family_file *file);

/* What is no line of ours is left out. -ENOMEM. `text` is changed. */
int known_parse(char *text, struct fold_family *f);
void known_format(const struct fold_family *f, struct buf *b);
/* rrd/NAME/.family. -ENOENT: there is none */
int known_read(int rrd, const char *name, struct fold_family **ret_family);
/* At once, and only when it is another; the folder is there. `path` of rrd/ */
int known_write(const char *path, struct fold_family *f);

/* How long a value of that metric stands, ns; 0: until it changes */
static inline int64_t known_hold(const struct fold_family *f, const struct fold_metric *m)
{
	return m->flags & 1u /* KITH_METRIC_EVENT */ ? 0 : f->stale_after;
}

#endif
