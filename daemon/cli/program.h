/* The programs kithd and kith-fold, for what kith has them do apart from the daemon */
#ifndef KITH_CLI_PROGRAM_H
#define KITH_CLI_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

/* Beside kith (a build folder), in the sbin next to its bin, or where it was to be installed. False: not found */
bool program_find(const char *name, char path[PATH_MAX]);

#endif
