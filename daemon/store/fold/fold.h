/*
 * kith-fold: takes the samples of sealed segments into RRD files, each once, whatever is killed when.
 *
 *   What was folded up to which segment stands in journal/folded; what is known of each series at its end, in rrd/.state: both appear by rename, the state
 *   first. A file's last update says which steps it has; those are left out. So folding again is harmless, and a fold that was cut off is made again from the
 *   state before it. Between them stands the undo file (undo.h).
 *
 *   One process at a time folds (rrd/.fold.lock). Who updates files or reads them holds rrd/.lock meanwhile.
 */
#ifndef KITH_STORE_FOLD_FOLD_H
#define KITH_STORE_FOLD_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/archives.h"
#include "control/pattern.h"
#include "store/fold/family.h"
#include "store/fold/librrd.h"
#include "store/fold/resample.h"
#include "store/segment.h"

#define FOLD_HELD_MAX (6u << 20)   /* bytes of rows that wait for being written */
#define FOLD_FUTURE (86400 * INT64_C(1000000000)) /* ns ahead of the clock that a time may be */
#define FOLD_BATCH 64u             /* files that one undo file is of */

struct fold_config {
	const char *state;   /* STATE_DIR */
	int64_t step;        /* ns, of whole seconds: of new files */
	struct archives archives;
	int64_t keep;        /* ns: files that nothing came for are removed */
	const char *cached;  /* rrdcached's address; NULL: none */
	const char *rrd;     /* where the RRD files are; NULL: STATE_DIR/rrd. Of an export, another */
	struct patterns *patterns; /* instances that match alone; NULL: all */
	bool export_only;    /* journal/folded stays, files are not removed, and what is not sealed is taken too */
};

struct fold_instance {
	struct fold_group *group;
	char *name;
	char file[RRD_NAME_SIZE];
	uint64_t family_size; /* length of `series`: the family's metrics when it was looked at last */
	struct resample *series;
	int16_t *map;        /* of the segment's metrics: the family's */
	uint32_t n_map;
	int64_t step;        /* ns: of its file */
	int64_t written;     /* wall ns: the file's last update; 0: none, or there is no file */
	bool exists, failed, telling;
	/* Rows that wait, by time: at[i], and for each series values[i * family_size + series] */
	int64_t *at;
	double *values;
	size_t n_rows, room;
	UT_hash_handle hh;   /* by name */
};

struct fold_group {
	struct fold_family *family;
	struct fold_instance *instances;
	bool folder;         /* it is there */
	UT_hash_handle hh;   /* by the family's name */
};

struct fold_counts {
	uint64_t segments, samples, rows, updates, created;
	uint64_t skipped;    /* rows that the files had */
	uint64_t backwards;  /* samples of steps that had been told before */
	uint64_t future;     /* samples ahead of the clock */
	uint64_t odd;        /* families and metrics whose names are none */
	uint64_t removed, aside;
};

struct fold {
	struct fold_config config;
	struct librrd rrd;
	char *rrd_path, *state_path, *journal_path; /* state_path: STATE_DIR/rrd, where the state lies */
	int journal, folder; /* descriptors: of journal/ and of rrd/ */
	int lock, update_lock;
	struct fold_group *groups;
	size_t held;         /* bytes of rows */
	int64_t now;         /* wall ns of the start */
	/* What is being read */
	uint64_t number;     /* of the last segment that is taken in */
	uint64_t told;       /* what journal/folded had at the start; 0: nothing, or it is damaged */
	int64_t end;         /* wall ns of its last sample; 0: none yet */
	bool failed;         /* something could not be written for want of the disk: `folded` stays */
	bool bad;            /* something else is not as it should be: the exit status says so */
	bool connected;
	struct fold_counts counts;
};

/* fold.c. 0: all was folded; 1: not all, or a file was bad, and it was said. -errno: it was not begun */
int fold_run(const struct fold_config *config);

/* journal/folded. 1: *ret_number is what it says; 0: there is none; -EBADMSG: it is damaged; -EACCES and the like */
int folded_read(int journal, uint64_t *ret_number);
int folded_write(const char *journal_path, int journal, uint64_t number);
#define SEGMENT_ASIDE ".bad" /* behind the name of one that was set aside */
/*
 * Two segments that are there, with others between them that are not, behind the last one that was folded? Then *ret_first to *ret_last are missing.
 * kithd may go on meanwhile.
 */
bool segments_missing(int journal, uint64_t before, uint64_t after, uint64_t folded, uint64_t *ret_first, uint64_t *ret_last);

/* samples.c: segments to rows */
int fold_segment(struct fold *f, const struct segment *s);
/* Nothing before `time` is to come */
int fold_advance(struct fold *f, int64_t time);
/* What was known is not known to be so any more: kithd did not run from `from` to `to`. `always`: even where values would stand so long */
int fold_gap(struct fold *f, int64_t from, int64_t to, bool always);
int fold_find(struct fold *f, const char *family, const char *instance, struct fold_instance **ret_instance);
int fold_group(struct fold *f, const char *name, struct fold_group **ret_group);
/* Series for all metrics of its family. -ENOMEM */
int fold_instance_grow(struct fold_instance *i);
int fold_row(struct fold *f, struct fold_instance *i, int64_t at, uint32_t metric, double value);
/* Up to which time its rows are whole: those before it */
int64_t fold_instance_whole(const struct fold_instance *i);
void fold_instance_free(struct fold *f, struct fold_instance *i);

/* write.c: rows to files */
int write_all_rows(struct fold *f);
/* Its file is looked at, and moved aside when it is damaged */
int write_look(struct fold *f, struct fold_instance *i);
int write_connect(struct fold *f);
/* An update that was cut off is taken back. */
int write_restore(struct fold *f);
void write_remove_old(struct fold *f);

/* state.c: rrd/.state */
int state_save(struct fold *f);
/* 0: taken over, f->number and f->end are set; -ENOENT: there is none, or none that is of use */
int state_load(struct fold *f);

#endif
