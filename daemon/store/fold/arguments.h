/* Arguments of librrd's functions, which take them as programs do */
#ifndef KITH_STORE_FOLD_ARGUMENTS_H
#define KITH_STORE_FOLD_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

struct arguments {
	char **list; /* NULL at its end */
	size_t n, room;
	bool failed; /* there was no memory */
};

void argument(struct arguments *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arguments_free(struct arguments *a);

#endif
