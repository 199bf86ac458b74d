/* The program kithd, for what kith has it do apart from the daemon */
#ifndef KITH_CLI_PROGRAM_H
#define KITH_CLI_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

/* Beside kith (a build folder), in the sbin next to its bin, or where it was to be installed. False: not found */
bool program_kithd(char path[PATH_MAX]);

#endif
