/* The recent samples of series, as kithd keeps them for promises: asked for by name, drawn as a line of characters, or as JSON. */
#ifndef KITH_CLI_PAST_H
#define KITH_CLI_PAST_H

#include "cli/cli.h"

struct past; /* NULL: nothing is known of any */

/* -ENOMEM. `names`: of series; copied */
int past_new(char *const *names, size_t n, struct past **ret_past);
void past_free(struct past *p); /* NULL is fine */
/* Asks for all that is kept of them from wall time `from` on. An exit status */
int past_ask_since(struct past *p, struct cli *cli, int64_t from);
/* Asks for the recent samples of all of them. A kithd that does not know this request: nothing is known, nothing is said. */
void past_ask(struct past *p, struct cli *cli, struct client *client);

/* "▁▂▃▅▇ 3.1 % to 9.8 % in 58 min", or "2 changes in 58 min" of a state; nothing is added when there is nothing to show */
void past_words(const struct past *p, const char *name, const struct out *o, struct buf *b);
json_t *past_json(const struct past *p, const char *name); /* [{time, value}], null without */

/* One character for a share from 0 to 1 of the line's height */
const char *spark(const struct out *o, double share);

#endif
