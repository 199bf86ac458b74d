/* Two mount tables and what is different between them: each mount is told once at most, and applied to the first the changes make the second. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/mount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(const uint8_t *data, size_t size, struct mount_table *t)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	return mount_table_parse_take(text, size, t) == 0;
}

static void count(const struct kith_mount_event *e, void *user)
{
	long *n = user;

	if (*e->point != '/' || !e->source || !e->options || !e->super_options || (e->what == KITH_MOUNT_CHANGED) != (e->old_options != NULL))
		abort();
	*n += e->what == KITH_MOUNT_ADDED ? 1 : e->what == KITH_MOUNT_REMOVED ? -1 : 0;
}

static void none(const struct kith_mount_event *e, void *user)
{
	(void)e;
	(void)user;
	fprintf(stderr, "fuzz_mount: a table differs from itself\n");
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mount_table a = { 0 }, b = { 0 };
	const uint8_t *middle = memchr(data, '\f', size);
	size_t first = middle ? (size_t)(middle - data) : size;
	long n = 0;

	(void)parse(data, first, &a);
	if (middle)
		(void)parse(middle + 1, size - first - 1, &b);
	mount_table_compare(&a, &b, count, &n);
	if (n != (long)b.n - (long)a.n)
		abort();
	mount_table_compare(&a, &a, none, NULL);
	mount_table_free(&a);
	mount_table_free(&b);
	return 0;
}
