/*
 * Standard output: tables for people, columns for pipes, JSON for programs; colours; and whether it could be written
 * at all.
 */
#ifndef KITH_CLI_OUT_H
#define KITH_CLI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "control/control.pb-c.h"

struct out {
	bool terminal, color, utf8;
	unsigned width; /* of the terminal; 0: none */
	bool begun;     /* an array has its first element */
	int error;      /* the first of writing, -errno */
};

enum out_color { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_RED, OUT_GREEN, OUT_YELLOW, OUT_CYAN };

/* `when`: auto, always, never; NULL is auto. -EINVAL: none of these. */
int out_init(struct out *o, const char *when);
const char *out_on(const struct out *o, enum out_color color); /* "" without colours */
const char *out_off(const struct out *o, enum out_color color);
/* Flushes. 0, -EPIPE: nobody reads any more, or another -errno; the first one stays */
int out_flush(struct out *o);
/* Has whoever reads it gone? Then out_flush says so from now on, also when there is nothing to flush. */
bool out_gone(struct out *o);

/* Text that a terminal cannot mistake for a command: control characters become '?'. */
void out_clean(struct buf *b, const char *text);
void out_text(const char *text); /* cleaned, to standard output */
size_t out_columns(const char *text, size_t length); /* how wide UTF-8 is shown: characters that combine count 0 */

/* ---- tables ---- */
struct table;
/* `headers`: shown on a terminal; one that starts with '>' is of numbers, aligned to the right. NULL-terminated. */
struct table *table_new(const char *const *headers);
void table_cell(struct table *t, enum out_color color, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts the rows of `from` behind those of `to`, which has the same columns */
void table_join(struct table *to, const struct table *from);
/* On a terminal with headers, and cut at its width; nothing when there are no rows */
void table_print(struct table *t, const struct out *o);
void table_free(struct table *t); /* NULL is fine */

/* ---- values ---- */
/* For people: "3.2 GiB", "up", "-" without a sample. `text` of UNIT_TEXT_MAX or more for numbers. */
const char *value_text(const Control__Sample *sample, char *text, size_t size);
const char *assessment_text(Control__Assessment a);
enum out_color assessment_color(Control__Assessment a);
const char *priority_text(uint32_t priority);
/* "3 min ago" as a duration: "3 min" */
char *ago_text(int64_t since, int64_t now, char *text, size_t size);
/* Local time of day: 13:01:37.042 */
char *clock_text(int64_t wall, char *text, size_t size);

/* ---- JSON ---- */
/* Several of one key: all of them, as an array */
json_t *json_fields(Control__Field *const *fields, size_t n);
json_t *json_text(const char *text);   /* broken UTF-8 becomes U+FFFD; NULL becomes null */
json_t *json_time(int64_t wall);       /* RFC 3339; null for 0 */
json_t *json_value(const Control__Sample *sample); /* number, string, or null */
json_t *json_double(double value);
json_t *json_u64(uint64_t value);
void json_line_take(json_t *object);   /* one line */
void json_array_begin(struct out *o);
void json_array_add_take(struct out *o, json_t *object);
void json_array_end(struct out *o);

#endif
