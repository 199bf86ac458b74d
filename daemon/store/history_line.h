/*
 * The lines of the history of promises: what kith-history(5) describes. Words and numbers between tabs; texts escaped, so that any text is
 * one word of one line.
 */
#ifndef KITH_STORE_HISTORY_LINE_H
#define KITH_STORE_HISTORY_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "plugin.h"

#define HISTORY_LINE_MAX 8192u    /* bytes, with its end; a longer one cannot be read */
#define HISTORY_KEY_MAX 4096u     /* bytes of name and promiser, escaped */
#define HISTORY_BECAUSE_MAX 900u /* bytes of the reason, before it is escaped; a longer one is cut */

enum history_kind {
	HISTORY_TRANSITION, /* kept, broken, unknown */
	HISTORY_BEGIN,      /* kithd was started */
	HISTORY_END,        /* and stopped */
	HISTORY_JUMP,       /* the clock was set, or the machine slept */
	HISTORY_LOST,       /* transitions could not be written */
	HISTORY_SUM,        /* what several transitions of one promise came to */
	HISTORY_COMMENT,
};

/* What the transitions of one promise from `start` to the line's time came to; ns */
struct history_sum {
	int64_t start;
	int64_t kept, broken;  /* how long, from the first of them to the last */
	int64_t transitions, breaks, repairs;
	int64_t mends, mend_time; /* breaks that ended, and how long all of them lasted */
	int64_t longest;       /* break that ended */
	int64_t open;          /* how long the break lasted so far that has not ended; -1: none */
};

struct history_line {
	enum history_kind kind;
	int64_t time;          /* wall ns; of a sum: the last transition's */
	int64_t other;         /* begin: when kithd lived last, 0 not known; jump: by how much; lost: the first that was lost */
	int64_t count;         /* lost: how many */
	enum kith_assessment from, to; /* of a sum `to` alone */
	bool repaired;
	const char *key;       /* name, tab, promiser, both escaped: within the line */
	size_t key_length;
	const char *because;   /* escaped */
	size_t because_length;
	struct history_sum sum;
};

/* `length` without the line's end. -EINVAL: it is none of these; *ret_line untouched */
int history_line_parse(const char *text, size_t length, struct history_line *ret_line);

/* Appends `text` as one word: backslash, tab, line's end and control characters become \\ \t \n \xHH. At most `most` bytes of it are taken. */
void history_escape(struct buf *b, const char *text, size_t most);
void history_unescape(struct buf *b, const char *text, size_t length);
/* Name, tab, promiser: how lines name a promise. -E2BIG: too long for the history; then nothing was appended. */
int history_key(struct buf *b, const char *name, const char *promiser);

/* Appends the whole line of a transition at `time` (t's own is not looked at). -E2BIG as above */
int history_put_transition(struct buf *b, const struct kith_transition *t, int64_t time);
/* The same without a reason, of a promise whose key is at hand */
void history_put_line(struct buf *b, const char *key, size_t key_length, int64_t time, enum kith_assessment from, enum kith_assessment to,
                      bool repaired);
void history_put_sum(struct buf *b, const char *key, size_t key_length, const struct history_sum *sum, int64_t end,
                     enum kith_assessment to);

#endif
