/* Patterns of requests: series names, promise names and globs over both, with `@where` for this host. */
#ifndef KITH_CONTROL_PATTERN_H
#define KITH_CONTROL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/names.h"

#define PATTERNS_MAX 1024u /* of one request */

struct pattern {
	char *text;    /* as given, without `@where` */
	size_t length;
	bool series;   /* `name` is set: it may name series */
	bool matched;  /* has matched something; kept by the caller */
	struct name name; /* slices of `text` */
};
struct patterns {
	struct pattern *list; /* NULL: no pattern, all match */
	size_t n;
};

/*
 * `host`: this host's name. -EINVAL: no name; -EHOSTUNREACH: another host is asked for; -E2BIG: too many; -ENOMEM.
 * `why` says so in one line.
 */
int patterns_parse(struct patterns *p, char *const *texts, size_t n, const char *host, struct buf *why);
/* Of records: family:instance, in which an '@' that no host of this name follows is part of the instance */
int patterns_parse_subjects(struct patterns *p, char *const *texts, size_t n, const char *host, struct buf *why);
void patterns_free(struct patterns *p);

/* Any series of this family? For a quick no. */
bool patterns_family(const struct patterns *p, const char *family);
/* Marks every pattern that matches */
bool patterns_series(struct patterns *p, const char *family, const char *instance, const char *metric);
/*
 * By the promise's name (`room.disk`, `room.*`, or the bundle alone, `room`) or by its promiser; marks every pattern
 * that matches
 */
bool patterns_promise(struct patterns *p, const char *name, const char *promiser);
/* Of a record: `family:instance`, or one word */
bool patterns_subject(const struct patterns *p, const char *subject);

#endif
