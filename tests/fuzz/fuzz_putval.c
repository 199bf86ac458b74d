/* Lines of collectd's protocol and of types.db, whatever they are: what comes out is bounded, and what is wrong is said. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/putval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_putval: %s\n", what);
	abort();
}

static void check_id(const struct put_id *id)
{
	check(strlen(id->host) <= PUT_PART_MAX && strlen(id->plugin) <= PUT_PART_MAX && strlen(id->type) <= PUT_PART_MAX &&
	              strlen(id->plugin_instance) <= PUT_PART_MAX && strlen(id->type_instance) <= PUT_PART_MAX, "a long part");
}

static int on_values(const struct put_id *id, int64_t interval, const struct put_values *v, char *why, void *user)
{
	(void)user;
	(void)why;
	check_id(id);
	check(*id->host && *id->plugin && *id->type, "an empty part");
	check(interval >= 0 && v->time >= 0 && v->n > 0 && v->n <= PUT_VALUES_MAX, "a number out of range");
	for (size_t k = 0; k < v->n; k++)
		check(!isinf(v->values[k]), "an infinite value");
	return 0;
}

static int on_notification(const struct put_notification *n, char *why, void *user)
{
	(void)user;
	(void)why;
	check_id(&n->id);
	check(*n->message && strlen(n->message) < PUT_MESSAGE_MAX && n->time >= 0, "a bad notification");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct put_reader reader = { NULL, on_values, on_notification };
	const char *at = (const char *)data, *end = at + size;
	struct put_type *type = malloc(sizeof(*type));
	char *text = malloc(size + 1);

	check(text && type, "no memory");
	memcpy(text, data, size);
	text[size] = '\0';
	for (const char *name = "a\0load\0if_octets\0"; *name; name += strlen(name) + 1)
		if (put_type_find(text, name, type) == 0)
			check(type->n > 0 && type->n <= PUT_VALUES_MAX && !strcmp(type->name, name), "a bad type");
	free(text);
	free(type);
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		char why[PUT_WHY_MAX] = "";

		if (put_line(at, (size_t)((stop ? stop : end) - at), &reader, why) < 0)
			check(*why && memchr(why, '\0', sizeof(why)), "nothing said");
		at = stop ? stop + 1 : end;
	}
	return 0;
}
