/* Small text files of words between tabs, a line each: .family and .state. Texts are escaped as in kith-history(5). */
#ifndef KITH_STORE_FOLD_LINES_H
#define KITH_STORE_FOLD_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void line_word(struct buf *b, const char *text);      /* a tab before it, unless it begins the line */
void line_number(struct buf *b, int64_t number);
void line_double(struct buf *b, double value);        /* exactly; "-" for NaN */

/* Words of a line, which is changed: NUL-terminated and as they were before they were escaped. At most `most`; the rest is left out. */
size_t line_split(char *line, char **ret_words, size_t most);
bool word_number(const char *word, int64_t *ret_number);
bool word_double(const char *word, double *ret_value);
/* The next line of a NUL-terminated text, which is changed; NULL: that was all */
char *line_next(char **at);

#endif
