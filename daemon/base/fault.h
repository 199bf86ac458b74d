/*
 * Faults in what a person wrote (configuration, promises): gathered, all of a file at once, and shown with their place:
 *
 *   /etc/kith/kith.conf:3:5: unknown key "intervall"
 *     intervall = 10s
 *     ^~~~~~~~~ did you mean "interval"?
 */
#ifndef KITH_BASE_FAULT_H
#define KITH_BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct fault {
	struct fault *next;
	char *file;
	unsigned line, column, width; /* from 1; width of what is underlined, at least 1 */
	bool warning;                 /* shown, but the file still loads */
	char *text;                   /* what is wrong, one line */
	char *hint;                   /* what to do; NULL without */
	char *source;                 /* the line itself, of a long one the part around the place; NULL without */
	unsigned skipped;             /* bytes of the line before it */
	bool cut;                     /* there is more of the line behind it */
};

struct faults {
	struct fault *first, *last;
	unsigned n_errors, n_warnings; /* all that were added */
	unsigned n_kept;               /* at most FAULTS_MAX are kept */
};
#define FAULTS_MAX 200

/* `text`: all of the file, to cut the line out of (may be NULL); `at`: offset in it. `hint` may be NULL. */
void fault_add(struct faults *f, bool warning, const char *file, const char *text, size_t length, size_t at, size_t width,
               const char *hint, const char *format, ...) __attribute__((format(printf, 9, 10)));
void faults_free(struct faults *f);
void fault_format(const struct fault *fault, struct buf *b); /* the three lines above */
/* Each fault to the log, as errors or warnings */
void faults_log(const struct faults *f);

/* The one of `n` names that is nearest to `name` (at most a third of it wrong); NULL when none is near */
const char *suggest(const char *name, size_t length, const char *const *names, size_t n);

/* Those of one file in the order of their places, the same once; files in the order in which they first had one */
void faults_sort(struct faults *faults);

#endif
