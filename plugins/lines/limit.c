#include "lines/limit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NS_PER_S 1e9

struct limits {
	double rate, burst;
	limit_say_fn say;
	void *user;
	unsigned size, used, mask;
	uint64_t seed;                        /* so that nobody can choose addresses that meet in one chain */
	struct limit_source *newest, *oldest, *dropped;
	struct limit_source others;
	struct limit_source **hash;
	struct limit_source sources[];
};

struct limits *limits_new(unsigned sources, double rate, double burst, limit_say_fn say, void *user)
{
	struct limits *l = calloc(1, sizeof(*l) + sources * sizeof(l->sources[0]));
	unsigned size = 16;

	while (size < sources)
		size *= 2;
	if (l)
		l->hash = calloc(size, sizeof(struct limit_source *));
	if (!l || !l->hash) {
		free(l);
		return NULL;
	}
	l->size = sources;
	l->mask = size - 1;
	l->rate = rate;
	l->burst = burst < 1 ? 1 : burst;
	l->say = say;
	l->user = user;
	l->others.shared = true;
	l->others.tokens = l->burst;
	if (getrandom(&l->seed, sizeof(l->seed), GRND_NONBLOCK) != sizeof(l->seed))
		l->seed = (uint64_t)(uintptr_t)l;
	return l;
}

void limits_free(struct limits *l)
{
	if (l)
		free(l->hash);
	free(l);
}

static unsigned hash_of(const struct limits *l, const struct limit_key *key)
{
	uint64_t h = l->seed;

	for (int i = 0; i < 3; i++) {
		h = (h ^ key->part[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return (unsigned)h & l->mask;
}

/* ---- the list by use --------------------------------------------------------------------------------------------- */

static void use_unlink(struct limits *l, struct limit_source *s)
{
	if (s->newer)
		s->newer->older = s->older;
	else
		l->newest = s->older;
	if (s->older)
		s->older->newer = s->newer;
	else
		l->oldest = s->newer;
}

static void use_first(struct limits *l, struct limit_source *s)
{
	s->newer = NULL;
	s->older = l->newest;
	if (s->older)
		s->older->newer = s;
	else
		l->oldest = s;
	l->newest = s;
}

/* ---- what was dropped -------------------------------------------------------------------------------------------- */

static void say_one(struct limits *l, struct limit_source *s)
{
	if (s->dropped && l->say)
		l->say(s, l->user);
	s->dropped = 0;
}

bool limits_dropped(const struct limits *l)
{
	return l->dropped != NULL;
}

void limits_say(struct limits *l)
{
	while (l->dropped) {
		struct limit_source *s = l->dropped;

		l->dropped = s->next_dropped;
		s->listed = false;
		say_one(l, s);
	}
}

static void dropped_unlink(struct limits *l, struct limit_source *s)
{
	struct limit_source **at = &l->dropped;

	if (!s->listed)
		return;
	while (*at != s)
		at = &(*at)->next_dropped;
	*at = s->next_dropped;
	s->listed = false;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static void hash_unlink(struct limits *l, struct limit_source *s)
{
	struct limit_source **at = &l->hash[hash_of(l, &s->key)];

	while (*at != s)
		at = &(*at)->next_hash;
	*at = s->next_hash;
}

/* A place for a new one; NULL: all are in use */
static struct limit_source *take_place(struct limits *l, int64_t mono)
{
	struct limit_source *s = l->oldest;

	if (l->used < l->size)
		return &l->sources[l->used++];
	if (!s || mono - s->at < LIMIT_IN_USE)
		return NULL;
	dropped_unlink(l, s);
	say_one(l, s);
	hash_unlink(l, s);
	use_unlink(l, s);
	return s;
}

struct limit_source *limits_find(struct limits *l, const struct limit_key *key, int64_t mono)
{
	struct limit_source *s = l->newest;
	unsigned h;

	if (s && !memcmp(&s->key, key, sizeof(*key)))
		return s;
	h = hash_of(l, key);
	for (s = l->hash[h]; s; s = s->next_hash)
		if (!memcmp(&s->key, key, sizeof(*key))) {
			use_unlink(l, s);
			use_first(l, s);
			return s;
		}
	s = take_place(l, mono);
	if (!s)
		return &l->others;
	*s = (struct limit_source){ .key = *key, .tokens = l->burst, .at = mono };
	s->next_hash = l->hash[h];
	l->hash[h] = s;
	use_first(l, s);
	return s;
}

bool limits_take(struct limits *l, struct limit_source *s, int64_t mono)
{
	if (mono > s->at) {
		s->tokens += (double)(mono - s->at) / NS_PER_S * l->rate;
		if (s->tokens > l->burst)
			s->tokens = l->burst;
		s->at = mono;
	}
	if (s->tokens >= 1) {
		s->tokens -= 1;
		return true;
	}
	s->dropped++;
	if (!s->listed) {
		s->listed = true;
		s->next_dropped = l->dropped;
		l->dropped = s;
	}
	return false;
}
