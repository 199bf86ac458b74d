/* Memory that is given back all at once: what a promise's text is read into. */
#ifndef KITH_PROMISES_ARENA_H
#define KITH_PROMISES_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;
	size_t used, size; /* of the newest chunk */
};

void *arena_take(struct arena *a, size_t size); /* zeroed; NULL: out of memory */
char *arena_text(struct arena *a, const char *text, size_t length); /* a NUL-terminated copy */
void arena_free(struct arena *a);

#endif
