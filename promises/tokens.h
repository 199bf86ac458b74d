/* The promise language's words: splits a file's text into tokens, one at a time. */
#ifndef KITH_PROMISES_TOKENS_H
#define KITH_PROMISES_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "promises/arena.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,   /* keep, ops, db-1.example */
	TOKEN_NAME,   /* df:/:free_percent; begins with a family and a colon */
	TOKEN_NUMBER, /* 10%, 2GiB, 3/s */
	TOKEN_STRING,
	TOKEN_MARK,   /* ( ) [ ] { } , < <= > >= == != = + - * / */
	TOKEN_FAULT,  /* told already */
};

/* Two characters in one number: the second is 0 for most marks. */
#define MARK2(a, b) ((unsigned)(unsigned char)(a) | (unsigned)(unsigned char)(b) << 8)

struct token {
	enum token_kind kind;
	size_t at, length;  /* in the file's text */
	const char *text;   /* words, names and strings: decoded, in the arena, NUL-terminated */
	size_t text_length;
	unsigned mark;
	double number;
	const char *unit;   /* static */
	bool quoted;        /* a name with a quoted instance: no pattern in it */
	bool first;         /* of its line */
};

struct tokens {
	const char *path, *text;
	size_t length, at;
	struct arena *arena; /* where decoded texts go; may change between tokens */
	struct faults *faults;
	bool failed;         /* out of memory */
};

void tokens_next(struct tokens *t, struct token *ret_token);

#endif
