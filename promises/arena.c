#include "promises/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 2048

struct arena_chunk {
	struct arena_chunk *next;
	alignas(max_align_t) char data[];
};

void *arena_take(struct arena *a, size_t size)
{
	size_t rounded = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	void *at;

	if (rounded < size)
		return NULL;
	if (!a->chunks || a->size - a->used < rounded) {
		size_t fresh = rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE;
		struct arena_chunk *c = calloc(1, sizeof(*c) + fresh);

		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
		a->used = 0;
		a->size = fresh;
	}
	at = a->chunks->data + a->used;
	a->used += rounded;
	return at;
}

char *arena_text(struct arena *a, const char *text, size_t length)
{
	char *copy = arena_take(a, length + 1);

	if (copy && length)
		memcpy(copy, text, length);
	return copy;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	*a = (struct arena){ 0 };
}
