/* Notices: who is told of what. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "promises/notices_impl.h"

bool notice_match_promiser(const char *pattern, const char *promiser)
{
	size_t n = strlen(pattern);

	/* All of it, or the family alone */
	return glob_match(pattern, n, promiser) || (strcspn(promiser, ":") == n && !memcmp(pattern, promiser, n));
}

bool notice_match(const char *pattern, const char *name, const char *promiser)
{
	size_t n = strlen(pattern);
	const char *dot = strchr(name, '.');

	if (notice_match_promiser(pattern, promiser))
		return true;
	if (memchr(pattern, ':', n))
		return false;
	return glob_match(pattern, n, name) || (dot && (size_t)(dot - name) == n && !memcmp(pattern, name, n));
}

static void texts_free(char **texts)
{
	for (char **t = texts; t && *t; t++)
		free(*t);
	free(texts);
}

static char **texts_copy(const char *const *from, size_t n)
{
	char **texts = calloc(n + 1, sizeof(*texts));

	for (size_t i = 0; texts && i < n; i++) {
		texts[i] = strdup(from[i]);
		if (!texts[i]) {
			texts_free(texts);
			return NULL;
		}
	}
	return texts;
}

void receiver_free(struct receiver *r)
{
	if (!r)
		return;
	while (r->items)
		item_free(r->items);
	free(r->name);
	free(r->user);
	texts_free(r->argv);
	texts_free(r->patterns);
	free(r->why);
	free(r);
}

static struct receiver *receiver_make(const struct notice_receiver *from)
{
	struct receiver *r = calloc(1, sizeof(*r));
	size_t n = 0;

	if (!r)
		return NULL;
	while (from->argv[n])
		n++;
	r->name = strdup(from->name);
	r->user = from->user ? strdup(from->user) : NULL;
	r->argv = texts_copy(from->argv, n);
	r->patterns = texts_copy(from->patterns, from->n_patterns);
	r->n_patterns = from->n_patterns;
	r->severity = from->severity;
	r->wait = from->wait > NOTICE_WAIT_MIN ? from->wait : NOTICE_WAIT_MIN;
	r->repeat = from->repeat;
	r->unknown = from->unknown;
	r->timeout = from->timeout;
	r->kept = from->kept;
	if (r->name && r->argv && r->patterns && (r->user || !from->user))
		return r;
	receiver_free(r);
	return NULL;
}

int receivers_make(const struct notice_receiver *from, size_t n, struct receiver ***ret_receivers)
{
	struct receiver **made;

	if (n > NOTICE_RECEIVERS_MAX)
		return -EINVAL;
	made = calloc(n + 1, sizeof(struct receiver *));
	if (!made)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		made[i] = receiver_make(&from[i]);
		if (!made[i]) {
			while (i)
				receiver_free(made[--i]);
			free(made);
			return -ENOMEM;
		}
	}
	*ret_receivers = made;
	return 0;
}

/* The zone is nobody on this host: a promise that names it alone is told as if it named nobody. */
bool receiver_wants(const struct receiver *r, const struct promise_info *info)
{
	bool named = false;

	for (size_t i = 0; i < info->n_tells; i++) {
		if (!strcmp(info->tells[i], r->name))
			return true;
		named = named || strcmp(info->tells[i], "zone") != 0;
	}
	if (named || info->severity > r->severity)
		return false;
	for (size_t i = 0; i < r->n_patterns; i++)
		if (notice_match(r->patterns[i], info->name, info->promiser))
			return true;
	return !r->n_patterns;
}

static bool has_item(const struct incident *i, const struct receiver *r)
{
	for (const struct item *item = i->items; item; item = item->next)
		if (item->receiver == r)
			return true;
	return false;
}

int route(struct notices *n, struct incident *i, const struct promise_info *info)
{
	for (size_t k = 0; k < n->n_receivers; k++) {
		struct receiver *r = n->receivers[k];

		if ((i->broken || r->unknown) && receiver_wants(r, info) && !has_item(i, r) && !item_new(r, i))
			return -ENOMEM;
	}
	return 0;
}
