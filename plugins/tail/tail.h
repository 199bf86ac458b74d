/*
 * The tail plugin's own: options, timers, counts (tail.c), which files there are (find.c), one file's life (follow.c), its lines (split.c), where they
 * were read to (place.c). What a line is stands in plugins/lines.
 *
 * A name is a path that an option names or matches; a file is what was found there: one that was renamed away is read to its end under the same name,
 * before the one that took its place.
 */
#ifndef KITH_TAIL_TAIL_H
#define KITH_TAIL_TAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "lines/entry.h"
#include "lines/line.h"
#include "plugin.h"
#include "tail/split.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define READ_BYTES (256 * 1024) /* of a file, before others have their turn */
#define HEAD_BYTES 64           /* by which a file is known again */
#define NAMES_MAX 1024
#define FOLDERS_MAX 1024

enum { FAMILY_TAIL };
enum tail_metric { LINES, BYTES, DROPPED, LAG, ROTATED, TRUNCATED, N_METRICS };

struct tail;

struct name {
	struct name *next;
	struct tail *t;
	kith_id id;              /* KITH_ID_NONE: there are too many */
	double counts[N_METRICS];
	double lag;              /* B, as it is added up */
	bool changed;            /* its counts, since they were put */
	bool literal;            /* an option names it: its series stay */
	bool seen;               /* by the scan that goes on */
	bool syslog, guess;
	uint32_t priority;
	struct rules rules;
	double tokens;           /* lines that it may bring now */
	int64_t tokens_at;       /* mono ns */
	const char *base;        /* of its path */
	char path[];
};

struct head {
	uint32_t length; /* bytes, HEAD_BYTES at most */
	uint64_t sum;
};

struct file {
	struct file *next;
	struct name *name;
	struct file *before;     /* is read to its end first; NULL: nothing is in the way */
	int fd, wd;              /* wd -1: not watched */
	dev_t dev;
	ino_t ino;
	int64_t offset;          /* all before it is recorded */
	int64_t size;            /* at the last look */
	int64_t saved, save_next; /* offsets: in the file of places, and to be written there next */
	struct head head;
	struct split split;
	bool dirty;              /* there may be more to read */
	bool rotated;            /* its name leads elsewhere, or nowhere */
	bool ended;              /* it was read to its end since it was rotated */
	bool matched;            /* another name that is asked for leads to it, too */
	int64_t grown;           /* mono ns: it had new bytes then */
	int64_t due;             /* mono ns of the next look at it that no event asks for; 0: none */
	bool waits;              /* what is left is no whole record yet */
};

/* A directory that is watched for names that come and go */
struct folder {
	struct folder *next;
	struct tail *t;
	struct kith_watch *watch;
	bool is_dir, seen;
	char path[];
};

/* A file as it was when kithd ended */
struct place {
	struct place *next;
	ino_t ino;
	int64_t offset;
	struct head head;
	bool taken;
	char path[];
};

struct tail {
	const struct kith_host *h;
	struct name *names;
	struct file *files;
	struct folder *folders;
	struct place *places;
	char **known;            /* patterns that the last run had, too */
	size_t n_names, n_folders, n_known;
	bool first;              /* the first scan goes on */
	int notify;              /* inotify */
	struct kith_watch *notify_watch, *timer, *publish_timer, *save_timer;
	bool rescan;
	int64_t delay, mono, published;
	double rate, burst;
	int64_t max_lag, wait, linger;
	struct line_clock clock;
	struct line line;
	struct entry entry;
	char *buffer;            /* READ_BYTES + 1 */
	char joined[LINE_MAX_BYTES + 8];
};

/* tail.c */
int64_t mono_now(void);
void tail_soon(struct tail *t, int64_t delay); /* a look, `delay` ns from now, or sooner */
void tail_save_soon(struct tail *t);
int name_new(struct tail *t, const char *path, bool literal, struct name **ret_name);
void name_free(struct name *n); /* its series end */

/* find.c: all that the options name or match */
void find_all(struct tail *t);
void find_free(struct tail *t);
struct file *file_find(struct tail *t, dev_t dev, ino_t ino);

/* follow.c */
/* `start`: from its beginning; else from its end. `place`: from there, may be NULL. Takes `fd`. */
int file_new(struct name *n, int fd, const struct stat *st, bool start, const struct place *place, struct file **ret_file);
void file_free(struct file *f);
bool head_read(int fd, int64_t size, struct head *ret_head);
bool head_same(int fd, const struct head *head);
/* Reads some of it. How long until the next look: 0: there is more; LOOK_NEVER: when an event says so */
#define LOOK_NEVER INT64_MAX
int64_t file_read(struct file *f);
/* Its name leads elsewhere, or nowhere, from now on. */
void file_rotate(struct file *f);
/* It was, and nothing was written to it for long */
bool file_is_over(const struct file *f);
/* It is read on under this name. */
void file_rename(struct file *f, struct name *n);

/* place.c */
int places_load(struct tail *t);
int places_save(struct tail *t, bool all); /* all: as they are now; else as they were at the last call */
void places_free(struct tail *t);
struct place *place_find(struct tail *t, ino_t ino, int fd, int64_t size);

#endif
