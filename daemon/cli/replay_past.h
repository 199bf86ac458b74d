/* The samples that kith replay needs, of all that kithd keeps: as frames of TrailFamily and Trail, which `kithd --replay` reads */
#ifndef KITH_CLI_REPLAY_PAST_H
#define KITH_CLI_REPLAY_PAST_H

#include <stdio.h>

#include "cli/cli.h"

/* Of whole families, from wall time `from` on. An exit status: CLI_NO when there are none */
int replay_past(struct cli *cli, char **families, size_t n, int64_t from, FILE *to);

#endif
