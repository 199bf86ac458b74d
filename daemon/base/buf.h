/* A growable, NUL-terminated text. Start from BUF_INIT; an out-of-memory is remembered in `failed` and later appends do nothing. */
#ifndef KITH_BASE_BUF_H
#define KITH_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL while empty */
	size_t length, size;
	bool failed;
};
#define BUF_INIT ((struct buf){ 0 })

void buf_free(struct buf *b); /* and back to BUF_INIT */
void buf_reset(struct buf *b); /* empty, keeps its memory */
void buf_append(struct buf *b, const void *data, size_t length);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
const char *buf_text(const struct buf *b); /* "" when empty; never NULL */
/* Hands the text (malloc) over and empties `b`; NULL when it had failed */
char *buf_take(struct buf *b);

/* All of a file, at most `max` bytes (-EFBIG), NUL-terminated, allocated with malloc */
int file_read_all(const char *path, size_t max, char **ret_text, size_t *ret_length);

/*
 * Takes the place of `path` at once, by way of the file `beside` in the same folder, which goes first, of whatever kind it is. Mode 0600. `sync`: what
 * is in it is on the disk then; the folder is the caller's.
 */
int file_replace(const char *path, const char *beside, const void *data, size_t length, bool sync);

/* The length of the UTF-8 sequence at `s`, of which `left` bytes are there; 0: it is none (overlong, a surrogate, beyond Unicode, cut) */
size_t utf8_length(const unsigned char *s, size_t left);
/* Appends bytes of unknown origin as text: '?' for each byte that is no UTF-8, blanks for control characters but the line's end */
void buf_clean(struct buf *b, const char *bytes, size_t length);
/* The same on one line, ends of lines too as blanks; "…" where it is cut at `max` bytes */
void buf_clean_line(struct buf *b, const char *bytes, size_t length, size_t max);
/* As a JSON string, with its quotes. The text is UTF-8. */
void buf_json(struct buf *b, const char *text);

#endif
