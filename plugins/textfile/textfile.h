/* The textfile plugin's own: the folder and its files (textfile.c), what a file's samples become (series.c), the format (prom.c). */
#ifndef KITH_TEXTFILE_TEXTFILE_H
#define KITH_TEXTFILE_TEXTFILE_H

#include <uthash.h>

#include "plugin.h"
#include "textfile/prom.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define WHY_MAX 400

enum { FAMILY_TEXTFILE };
enum file_metric { STATE, MODIFIED, SERIES, FAULTS, N_METRICS };
enum file_state { STATE_OK, STATE_ERROR, STATE_STALE };

struct textfile;

/* A metric's name that was declared as a family; it stays until the plugin goes */
struct metric {
	UT_hash_handle hh;
	uint32_t family;
	bool labelled;
	char family_name[64];
	char name[];
};

/* One value */
struct series {
	UT_hash_handle hh;
	struct file *file;
	kith_id id;
	uint64_t round;    /* the last reading of its file that had it */
	char key[];        /* family:instance */
};

struct file {
	UT_hash_handle hh;
	struct textfile *t;
	kith_id id;
	bool dirty;
	bool refused;       /* a value of it is another file's, or had no room */
	struct file *next_dirty;
	uint64_t round;
	unsigned n_series, n_faults;
	int state;          /* enum file_state; -1: none yet */
	int64_t modified;   /* ns since 1970 */
	char first[WHY_MAX]; /* the first fault of the last reading, and of the one before */
	char said[WHY_MAX];
	char name[];
};

struct textfile {
	const struct kith_host *h;
	char *directory;
	struct file *files;     /* uthash */
	struct metric *metrics; /* uthash */
	struct series *series;  /* uthash */
	struct file *dirty, **dirty_end;
	unsigned max_series, max_families;
	int64_t max_age;        /* ns; 0: none */
	int64_t rested; /* CLOCK_MONOTONIC ns from which the next batch may be; by what the last one took */
	bool rescan;
	bool is_dir;            /* the folder was there when its watch began */
	struct kith_watch *folder, *timer, *age_timer;
};

/* textfile.c: values ended. Files whose values are refused, save `f`, are read again soon. */
void files_retry(struct textfile *t, const struct file *f);

/* series.c */
void series_read(struct file *f, const char *text, size_t length);
void series_end_all(struct file *f);
void series_free(struct textfile *t);

#endif
