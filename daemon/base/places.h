/* Where kith's programs and folders are, for all of its programs */
#ifndef KITH_BASE_PLACES_H
#define KITH_BASE_PLACES_H

#include <limits.h>

/*
 * A program of kith's: beside this one (a build folder), in the sbin next to its bin, or where it was to be installed. 0, or -errno of the last place, of
 * which *path is.
 */
int places_program(const char *name, char path[PATH_MAX]);

/* What kithd keeps over a restart when it is not told where: root's, or the user's own. Allocated; NULL: no memory */
char *places_state(void);

#endif
