/* Reads promise files into rules. Knows the grammar alone; typing.h says whether it makes sense. */
#ifndef KITH_PROMISES_GRAMMAR_H
#define KITH_PROMISES_GRAMMAR_H

#include "base/buf.h"
#include "promises/promises.h"
#include "promises/syntax.h"
#include "promises/tokens.h"

/* All rules of all files, in their order */
struct rules {
	struct rule *first, *last;
};

struct parser {
	struct tokens tokens;
	struct token token;   /* the next one */
	size_t end;           /* behind the last one that was taken */
	struct arena arena;   /* of what stands outside of promises */
	struct rule *rule;    /* inside a promise */
	struct buf normal;    /* the rule's tokens so far */
	const char *bundle;
	struct expr *only;    /* of the bundle; NULL: everywhere */
	struct let *lets, *rule_lets; /* of the bundle; of the promise */
	struct regex *regexes; /* outside of promises */
	bool facts;           /* a condition over facts is read */
	struct rules *rules;
	const struct promises_file *file;
	size_t line_at;       /* newlines are counted up to here */
	unsigned line;        /* from 0 */
	unsigned depth, nodes;
	bool end_told;        /* that the file ends too early: once */
	bool failed;          /* out of memory */
};

/* Appends a file's rules to *rules, those that have faults too. -ENOMEM; faults are in `faults`. */
int grammar_read(const struct promises_file *file, struct rules *rules, struct faults *faults);
void rules_free(struct rules *rules);
void rule_free(struct rule *rule);

/* Shared by the two halves of the grammar */
void parser_next(struct parser *p);
bool parser_at_word(const struct parser *p, const char *word);
bool parser_take_word(struct parser *p, const char *word);
bool parser_at_mark(const struct parser *p, unsigned mark);
bool parser_take_mark(struct parser *p, unsigned mark);
/*
 * Says what was expected instead of the token; silent when the token itself was at fault. NULL, so that it can be
 * returned.
 */
void *parser_expected(struct parser *p, const char *what, const char *hint);
void parser_fault(struct parser *p, size_t at, size_t width, const char *hint, const char *format, ...)
        __attribute__((format(printf, 5, 6)));
void *parser_take(struct parser *p, size_t size); /* in the rule's arena, or in the parser's */
const char *parser_text(struct parser *p, const char *text, size_t length);
/* A word that a later version has: says so, true */
bool parser_not_yet(struct parser *p);
/* A duration, ns. False: told. */
bool parser_duration(struct parser *p, const char *of, int64_t *ret_ns);
struct expr *parse_condition(struct parser *p);
struct expr *expr_new(struct parser *p, enum expr_kind kind, size_t at); /* NULL: told, or out of memory */
bool expr_append(struct parser *p, struct expr *e, struct expr *item);   /* false: `item` is NULL, or out of memory */
struct expr *expr_clone(struct parser *p, const struct expr *e);         /* into the rule's memory; NULL for NULL */
/* The source from `at` on, blanks and comments as one blank */
const char *parser_written(struct parser *p, size_t at, size_t end);

/* lets.c: `let NAME = …`. A let is used by what follows it in its bundle or promise. */
struct let;
bool lets_parse(struct parser *p, struct let **lets);   /* `let` is taken. False: told */
void lets_close(struct parser *p, struct let **lets);   /* the end of their block: those that nobody used are told */
struct expr *lets_use(struct parser *p);                /* the token names one: a copy of what it stands for; or NULL, nothing told */
bool lets_number(struct parser *p, struct token *ret_number); /* the token names one that is a literal: as if that stood here */
const char *lets_suggest(const struct parser *p);       /* one that the token may have meant; or NULL */

/* calendar.c: at `between`; NULL: told */
struct expr *calendar_parse(struct parser *p);

/* facts.c: `only on …` */
bool facts_parse(struct parser *p, struct expr **only); /* `only` is taken; narrows what is in *only. False: told */
struct expr *facts_both(struct parser *p, struct expr *a, struct expr *b);
struct expr *facts_word(struct parser *p);              /* a fact, or a question after one; NULL: told */

#endif
