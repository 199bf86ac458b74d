/* A buffer of fanotify's events, whatever it holds: each is within it, and so are the names in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct tree_entry *e, const char *from, const char *to)
{
	bool is_own = e->name && (e->name < from || e->name >= to);

	if (!e->name)
		return;
	if ((is_own && strcmp(e->name, ".")) || (!is_own && !memchr(e->name, '\0', (size_t)(to - e->name))) || strchr(e->name, '/') || !e->dir.bytes ||
	    e->dir.bytes > TREE_HANDLE_MAX || !tree_key_same(&e->dir, &e->dir)) {
		fprintf(stderr, "fuzz_tree: what was taken is not what is there\n");
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	struct tree_frame f;
	size_t at = 0, n;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	while ((n = tree_parse(copy + at, size - at, &f))) {
		check_entry(&f.at, copy + at, copy + at + n);
		check_entry(&f.from, copy + at, copy + at + n);
		at += n;
		if (at > size)
			abort();
	}
	free(copy);
	return 0;
}
