/* Regular expressions: POSIX extended ones, matched in time linear in the text (TRE), of bounded size. */
#ifndef KITH_PROMISES_REGEX_H
#define KITH_PROMISES_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#define REGEX_LENGTH_MAX 512
#define REGEX_NEEDLE_MAX 31
#define REGEX_PARTS_MAX 2000 /* characters to match, with what repetitions multiply */

struct regex {
	struct regex *next; /* of whoever owns it */
	void *compiled;
	char needle[REGEX_NEEDLE_MAX + 1]; /* must be in any text that matches; "": nothing that is known */
};

/* NULL: `why` says what is wrong with the pattern (at least 128 bytes), or is "" without memory */
struct regex *regex_new(const char *pattern, char *why, size_t size);
void regex_free_all(struct regex *first);
bool regex_matches(const struct regex *r, const char *text); /* anywhere in the text */

#endif
