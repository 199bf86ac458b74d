/* The past of series, asked of kithd: as rows (kith get --since) or as a picture (kith graph) */
#ifndef KITH_CLI_HISTORY_H
#define KITH_CLI_HISTORY_H

#include "cli/cli.h"

/* A series that is told of; valid while the next ones are */
struct history_series {
	char *name, *unit;
	Control__Kind kind;
	char **states; /* n_states of them */
	size_t n_states;
	bool event;          /* these two of `raw`: put when it happens; after how many ns without a value it is stale, 0: never */
	int64_t stale_after;
};

struct history_point {
	int64_t time;       /* wall ns; of a step: its end */
	double value;       /* NaN: not known */
	double least, most; /* NaN: of a sample */
	bool extra;         /* of `raw`: attention added it */
	int64_t step;       /* ns that it stands for; 0: a sample */
};

struct history_ask {
	char **patterns;
	size_t n_patterns;
	int64_t from, to;   /* wall ns; to 0: now */
	int64_t step;       /* ns; 0: every sample */
	bool raw;           /* counters as they are, not as rates; no step */
	/* Both in the order of time, one series after the other. May be NULL */
	void (*series)(const struct history_series *s, void *user);
	void (*point)(const struct history_series *s, const struct history_point *p, void *user);
	void *user;
};

/* An exit status; a pattern that matches nothing is said. On a terminal long work shows how far it is. */
int history_ask(struct cli *cli, const struct history_ask *ask);

/* What is known, as CSV on standard output: time,name,value or, with a step, time,name,value,min,max */
int history_csv(struct cli *cli, struct history_ask *ask);

/* The same as kith get --since … --json gives it */
int history_json(struct cli *cli, struct history_ask *ask);

/* The options of these ids: from when to when. Wall ns, each untouched when not given; *ret_to 0: now. An exit status */
int history_span(struct cli *cli, int since, int until, int64_t *ret_from, int64_t *ret_to);

/* kith get --since … */
int history_get(struct cli *cli);

#endif
