/* What a promise's text becomes: the tree of its condition and what stands around it. All lives in the rule's arena. */
#ifndef KITH_PROMISES_SYNTAX_H
#define KITH_PROMISES_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"
#include "promises/arena.h"

struct promises_file;

#define CONDITION_NODES_MAX 1000 /* bounds the recursion over a condition */
#define CONDITION_DEPTH_MAX 100  /* of parentheses */
#define ACTION_ARGS_MAX 64
#define ACTIONS_MAX 16           /* of one promise */
#define ACTION_RUNS_MAX 1000     /* N of `at most N per T` */
#define PROMISEES_MAX 64
#define DEPENDS_MAX 64           /* one promise's; and how long a chain of them may be */
#define SOME_MAX 1000000         /* N of `some N` */
#define WINDOW_MAX (INT64_C(366) * 86400 * 1000000000) /* ns: also of grace, settle, timeout */
#define WINDOW_MIN INT64_C(1000000)
/* The window of a forecast is a quarter of how far it looks ahead, within these */
#define FORECAST_LEAST (INT64_C(60) * 1000000000)
#define FORECAST_MOST (INT64_C(86400) * 1000000000)
#define UNIT_LENGTH 32

enum expr_kind {
	EXPR_NUMBER,
	EXPR_STRING,
	EXPR_BOOL,
	EXPR_NAME,
	EXPR_CALL,       /* items[0] is the name */
	EXPR_ARITH,      /* two items */
	EXPR_MINUS,      /* one item */
	EXPR_COMPARE,    /* two items */
	EXPR_IN,         /* items[0] in items[1…] */
	EXPR_AND,        /* two items or more */
	EXPR_OR,
	EXPR_NOT,
	EXPR_QUANTIFIER, /* items[0] */
	EXPR_MATCHES,    /* items[0] and the pattern in `text` */
	EXPR_RECORDS,    /* count(records …) */
	EXPR_BETWEEN,    /* a time of day and days of the week */
	EXPR_WHILE,      /* items[1] while items[0], a time, holds; unknown otherwise */
	EXPR_FACT,       /* of `only on` alone: its value, or whether it is like `text` */
};

enum expr_op {
	OP_NONE,
	OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_DIVIDE,
	OP_EQUAL, OP_UNEQUAL, OP_LESS, OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL,
	OP_ALL, OP_ANY, OP_NONE_OF, OP_SOME,
	OP_RATE, OP_DELTA, OP_AVG, OP_MIN, OP_MAX, OP_SUM, OP_COUNT,
	OP_STDDEV, OP_PERCENTILE, OP_FORECAST, OP_CHANGED, OP_AGE, OP_RECORDS,
};

enum fact {
	FACT_HOST, FACT_ZONE, FACT_TAG, /* these three also before a string: tag "web" */
	FACT_OS, FACT_OS_VERSION, FACT_KERNEL, FACT_ARCH, FACT_VIRTUAL, FACT_INIT,
	FACT_CPUS, FACT_MEMORY,
	N_FACTS,
};

enum expr_type {
	TYPE_ANY, /* of a family that is not there */
	TYPE_NUMBER,
	TYPE_STATE,
	TYPE_STRING,
	TYPE_TRUTH,
};

/* Which instance a name speaks of */
enum name_scope {
	SCOPE_ITSELF,     /* the one that it names */
	SCOPE_PROMISER,   /* that of a promiser with a pattern */
	SCOPE_QUANTIFIER, /* each one in turn */
};

struct expr {
	enum expr_kind kind;
	enum expr_op op;
	size_t at, width; /* in the file's text */
	struct expr **items;
	unsigned n_items;
	bool constant;    /* names no series */
	bool negated;     /* under an odd number of `not` and `none`: margin works the other way round */

	enum fact fact;   /* of EXPR_FACT; `asks`: whether it is like `text`, a pattern */
	bool asks;
	double number;    /* number, truth (0, 1); of a string compared with a state: its index */
	char unit[UNIT_LENGTH]; /* of the result: set by the check, of literals by the grammar */
	enum expr_type type;
	const char *text; /* of a string */
	double margin;    /* NaN: none */
	const char *margin_unit;
	size_t margin_at, margin_width;
	int64_t window;   /* ns; 0: none */
	int64_t horizon;  /* ns, of forecast */
	double share;     /* of a percentile, 0.999 for p999; of OP_SOME with %, 0.3 for 30% */
	unsigned least;   /* of OP_SOME without: so many */

	/* matches, records */
	const struct regex *regex;    /* the rule's; NULL: any text */
	const char *subject;          /* pattern of records' subjects; NULL: all */
	unsigned priority;            /* enum kith_priority: at least as urgent */

	/* between: seconds since midnight, `until` <= `from`: over midnight; bit 0 of days is Sunday */
	int from, until;
	unsigned days;

	/* a name; a quantifier's pattern */
	const char *family, *instance, *metric; /* instance "" for the nameless one */
	bool pattern, three; /* three parts */
	enum name_scope scope;
	/* of a name, once its family is there */
	uint32_t metric_kind, metric_flags;
	int metric_index;    /* -1: unknown */
};

struct action {
	struct action *next;
	enum kith_assessment when;
	const char *const *argv;
	unsigned n_args;
	unsigned at_most; /* 0: no limit */
	int64_t per;      /* ns */
	int64_t timeout;  /* ns */
	const char *user; /* NULL: the daemon's */
};

/* `depends other`: while that is broken, this one is unknown. Lives in the arena of the rule that has it. */
struct dependency {
	struct dependency *next;  /* of the rule */
	const char *name;         /* bundle.promise */
	size_t at, width;
	struct rule *rule;        /* that has it */
	struct rule *on;          /* as of the load; NULL: that is not there */
	struct dependency *next_dependent; /* of those on `on` */
};

/* Where a word of `tell` stands in the file */
struct tell_place {
	size_t at, width;
};

/* One promise as written: a promise for each of its promiser's instances, or one */
struct rule {
	struct arena arena;
	const char *name; /* bundle.promise */
	const char *text; /* its tokens with a blank between: the same text is the same promise */
	char *path;       /* malloc: replaced by a reload that finds the same text */
	unsigned line;
	const struct promises_file *file; /* while it is read */
	size_t name_at, name_width;
	const char *promiser;         /* as written */
	const char *family, *instance; /* of the promiser; family NULL unless it is a pattern */
	size_t promiser_at, promiser_width;
	const char *const *promisees;
	unsigned n_promisees;
	const char *const *tells;
	const struct tell_place *tell_places; /* of each */
	unsigned n_tells;
	struct expr *only; /* over facts; NULL: everywhere */
	struct dependency *depends, *dependents;
	uint8_t visit;     /* of a walk along `depends` */
	unsigned chain;    /* how long the longest one below it is */
	struct expr *body; /* with `between` around it, where the promise has that */
	struct expr *between; /* NULL: at all times */
	const char *body_text;
	int64_t grace, settle; /* ns */
	enum kith_priority severity;
	struct action *actions;
	struct regex *regexes;
	unsigned n_nodes;
	char *fault; /* malloc: the body does not suit a family that came later; NULL */
	struct rule *next;
	struct rule *twin; /* the one of the same text that goes on in its place; then this one is freed */
	struct live_rule *live; /* set while it is in force */
};

const char *facts_name(enum fact fact);
void facts_type(struct expr *e);

#endif
