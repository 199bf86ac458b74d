/*
 * collectd's plain text protocol, as programs of its exec plugin write it (collectd-exec(5), collectd-unixsock(5)), and types.db(5). Nothing here knows
 * of kithd: lines in, structures out.
 */
#ifndef KITH_EXEC_PUTVAL_H
#define KITH_EXEC_PUTVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUT_PART_MAX 127    /* bytes of one part of an identifier */
#define PUT_VALUES_MAX 64   /* data sources of a type */
#define PUT_LINE_MAX 8192   /* bytes of a line */
#define PUT_MESSAGE_MAX 1024
#define PUT_WHY_MAX 160

struct put_id {
	char host[PUT_PART_MAX + 1], plugin[PUT_PART_MAX + 1], plugin_instance[PUT_PART_MAX + 1], type[PUT_PART_MAX + 1],
	        type_instance[PUT_PART_MAX + 1];
};

struct put_values {
	int64_t time;                  /* ns since 1970; 0: now */
	double values[PUT_VALUES_MAX]; /* NaN: U */
	size_t n;
};

enum put_severity { PUT_FAILURE, PUT_WARNING, PUT_OKAY };

struct put_notification {
	struct put_id id; /* parts that were not given are "" */
	enum put_severity severity;
	int64_t time;     /* ns; 0: now */
	char message[PUT_MESSAGE_MAX];
};

struct put_reader {
	void *user;
	/* Once for each list of values of a line. `interval`: ns; 0: not given. Not 0: what is wrong stands in `why` (PUT_WHY_MAX). */
	int (*values)(const struct put_id *id, int64_t interval, const struct put_values *values, char *why, void *user);
	int (*notification)(const struct put_notification *n, char *why, void *user);
};

/* One line without its end. 0, also for an empty one and a comment; -EINVAL with what is wrong in `why` (PUT_WHY_MAX bytes). */
int put_line(const char *line, size_t length, const struct put_reader *reader, char *why);

/* ---- types ------------------------------------------------------------------------------------------------------ */

enum put_kind { PUT_GAUGE, PUT_COUNTER, PUT_DERIVE, PUT_ABSOLUTE };

struct put_source {
	char name[64]; /* [a-z0-9_]+ */
	enum put_kind kind;
};

struct put_type {
	char name[PUT_PART_MAX + 1];
	size_t n;
	struct put_source sources[PUT_VALUES_MAX];
};

/* The type `name` in a text of types.db's lines. -ENOENT; -EINVAL: its line is wrong */
int put_type_find(const char *text, const char *name, struct put_type *ret_type);
/* The common ones, in that form */
extern const char put_types[];

#endif
