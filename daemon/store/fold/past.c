#include "store/fold/past.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin.h"
#include "store/fold/open.h"
#include "store/fold/past_impl.h"
#include "store/fold/state.h"

/* ---- series ------------------------------------------------------------------------------------------------------------ */

static void states_free(struct past_series *s)
{
	for (uint32_t k = 0; s->states && k < s->n_states; k++)
		free(s->states[k]);
	free(s->states);
	s->states = NULL;
	s->n_states = 0;
}

static void series_free(struct past_series *s)
{
	states_free(s);
	free(s->key);
	free(s->family);
	free(s->instance);
	free(s->metric);
	free(s->unit);
	free(s->file);
	free(s->points);
	free(s);
}

/* What it is may have changed: the newest counts. */
static int series_describe(struct past_series *s, const struct fold_metric *m)
{
	char *unit = strdup(m->unit);

	if (!unit)
		return -ENOMEM;
	free(s->unit);
	s->unit = unit;
	states_free(s);
	s->states = m->n_states ? calloc(m->n_states, sizeof(*s->states)) : NULL;
	if (m->n_states && !s->states)
		return -ENOMEM;
	for (; s->n_states < m->n_states; s->n_states++)
		if (!(s->states[s->n_states] = strdup(m->states[s->n_states])))
			return -ENOMEM;
	return 0;
}

static bool described(const struct past_series *s, const struct fold_metric *m)
{
	if (!s->unit || s->kind != m->kind || s->n_states != m->n_states || strcmp(s->unit, m->unit) != 0)
		return false;
	for (uint32_t k = 0; k < m->n_states; k++)
		if (strcmp(s->states[k], m->states[k]) != 0)
			return false;
	return true;
}

static void series_begin(const struct past *p, struct past_series *s)
{
	s->first = INT64_MAX;
	s->live = s->any = false;
	s->later = false;
	resample_begin(&s->resample, s->kind, p->config.step ? p->config.step : NS_PER_S, s->hold == RESAMPLE_FOREVER ? 0 : s->hold);
}

static int series_new(struct past *p, const char *key, const char *family, const char *instance, const char *metric, uint32_t kind,
                      struct past_series **ret_series)
{
	struct past_series *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->kind = kind;
	s->key = strdup(key);
	s->family = strdup(family);
	s->instance = strdup(instance);
	s->metric = strdup(metric);
	if (!s->key || !s->family || !s->instance || !s->metric) {
		series_free(s);
		return -ENOMEM;
	}
	series_begin(p, s);
	HASH_ADD_KEYPTR(hh, p->series, s->key, strlen(s->key), s);
	*ret_series = s;
	return 0;
}

int past_series_get(struct past *p, const char *family, const char *instance, const struct fold_metric *m, int64_t stale_after,
                    struct past_series **ret_series)
{
	struct past_series *s;
	char *key;
	int r = 0;

	if (asprintf(&key, "%s\t%s\t%s", family, instance, m->name) < 0)
		return -ENOMEM;
	HASH_FIND_STR(p->series, key, s);
	if (!s)
		r = series_new(p, key, family, instance, m->name, m->kind, &s);
	free(key);
	if (r < 0)
		return r;
	s->stale_after = stale_after;
	s->flags = m->flags;
	s->hold = m->flags & KITH_METRIC_EVENT || stale_after <= 0 ? RESAMPLE_FOREVER : stale_after;
	s->resample.hold = s->hold;
	if (!described(s, m)) {
		if (s->kind != m->kind) {
			s->kind = m->kind;
			s->live = false;
			s->resample.kind = m->kind;
			s->resample.live = false;
			s->resample.n = 0;
			s->resample.known = 0;
		}
		r = series_describe(s, m);
	}
	if (r == 0)
		*ret_series = s;
	return r;
}

/* There is too much of all of them at once: this one waits for its turn. */
static void series_defer(struct past *p, struct past_series *s)
{
	p->points -= s->n;
	free(s->points);
	s->points = NULL;
	s->n = s->room = 0;
	s->later = true;
}

int past_point_add(struct past *p, struct past_series *s, const struct past_point *point)
{
	if (s->later)
		return 0;
	if (p->points >= PAST_POINTS_MAX && s->n < p->points && !p->delivering) {
		series_defer(p, s);
		return 0;
	}
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct past_point *more = realloc(s->points, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->points = more;
		s->room = room;
	}
	s->points[s->n++] = *point;
	p->points++;
	return 0;
}

/* ---- what there is to read --------------------------------------------------------------------------------------------- */

static uint64_t get64(const uint8_t *at)
{
	uint64_t value = 0;

	for (unsigned k = 0; k < 8; k++)
		value |= (uint64_t)at[k] << 8 * k;
	return value;
}

static int chunk_add(struct past *p, const struct past_chunk *c)
{
	struct past_chunk *more = realloc(p->chunks, (p->n_chunks + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	p->chunks = more;
	p->chunks[p->n_chunks++] = *c;
	return 0;
}

/* One after the other, up to eight bytes of FF, or to the end */
static int ring_list(struct past *p)
{
	const uint8_t *at = p->config.ring, *end = at ? at + p->config.ring_length : NULL;
	int r = 0;

	while (r == 0 && at < end) {
		struct segment_head head;
		uint64_t length;

		if ((size_t)(end - at) >= 8 && get64(at) == UINT64_MAX)
			return 0;
		if ((size_t)(end - at) < SEGMENT_HEAD + 8 || segment_head_read(at, SEGMENT_HEAD, &head) < 0)
			return -EBADMSG;
		at += SEGMENT_HEAD;
		length = get64(at);
		at += 8;
		if (length > (size_t)(end - at) || length > SEGMENT_MAX)
			return -EBADMSG;
		r = chunk_add(p, &(struct past_chunk){ head.number, head.begin, at, (size_t)length });
		at += length;
	}
	return r;
}

/* Files, but for what the ring has */
static int files_list(struct past *p)
{
	uint64_t before = p->n_chunks ? p->chunks[0].number : UINT64_MAX;
	struct segment_file *files = NULL;
	size_t n = 0;
	int r = p->journal < 0 ? 0 : segment_list(p->journal, &files, &n);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t k = 0; r == 0 && k < n && files[k].number < before; k++) {
		char name[SEGMENT_NAME_SIZE];
		uint8_t bytes[SEGMENT_HEAD];
		struct segment_head head;
		int fd;

		segment_name(files[k].number, name);
		fd = openat(p->journal, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0)
			continue;
		if (read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes) && segment_head_read(bytes, sizeof(bytes), &head) == 0 &&
		    head.number == files[k].number)
			r = chunk_add(p, &(struct past_chunk){ head.number, head.begin, NULL, 0 });
		close(fd);
	}
	free(files);
	return r;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct past_chunk *)a)->number, y = ((const struct past_chunk *)b)->number;

	return x < y ? -1 : x > y;
}

/* What the last fold knew; a damaged one is as none. */
static int state_open(struct past *p)
{
	struct state_head head;
	char *copy;
	int r = state_read(p->rrd_path, &p->state_text, &p->state_length);

	if (r < 0) {
		p->state_text = NULL;
		return r == -ENOMEM ? r : 0;
	}
	copy = malloc(p->state_length + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, p->state_text, p->state_length + 1);
	r = state_parse(copy, p->state_length, NULL, NULL, &head);
	free(copy);
	if (r == 0) {
		p->state_number = head.number;
		p->state_end = head.end;
		return 0;
	}
	free(p->state_text);
	p->state_text = NULL;
	return r == -ENOMEM ? r : 0;
}

static int past_open(struct past *p)
{
	char *journal = NULL;
	int state = open(p->config.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (state < 0)
		return -errno;
	close(state);
	if (asprintf(&p->rrd_path, "%s/rrd", p->config.state) < 0)
		p->rrd_path = NULL;
	if (asprintf(&journal, "%s/journal", p->config.state) < 0)
		journal = NULL;
	if (!p->rrd_path || !journal) {
		free(journal);
		return -ENOMEM;
	}
	p->journal = open(journal, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->rrd = open(p->rrd_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(journal);
	if (p->rrd >= 0)
		p->lock = rrd_lock_open(p->rrd, false);
	r = ring_list(p);
	if (r == 0)
		r = files_list(p);
	if (r == 0 && p->n_chunks)
		qsort(p->chunks, p->n_chunks, sizeof(*p->chunks), by_number);
	return r == 0 ? state_open(p) : r;
}

static void past_close(struct past *p)
{
	struct past_series *s, *next;

	HASH_ITER(hh, p->series, s, next) {
		HASH_DEL(p->series, s);
		series_free(s);
	}
	if (p->journal >= 0)
		close(p->journal);
	if (p->rrd >= 0)
		close(p->rrd);
	if (p->lock >= 0)
		close(p->lock);
	free(p->chunks);
	free(p->rrd_path);
	free(p->state_text);
}

/* ---- round by round -------------------------------------------------------------------------------------------------------- */

static int by_key(const struct past_series *a, const struct past_series *b)
{
	return strcmp(a->key, b->key);
}

/* Rows have rates: as if it had counted up to its first sample with them, or from 0 where that has begun anew since */
static void rates_to_counts(struct past_series *s)
{
	size_t first = 0;
	double count = 0;

	while (first < s->n && s->points[first].step)
		first++;
	for (size_t k = 0; k < first; k++)
		if (!isnan(s->points[k].value))
			count += s->points[k].value * (double)s->points[k].step / (double)NS_PER_S;
	if (first < s->n && s->points[first].value > count)
		count = s->points[first].value;
	for (size_t k = first; k-- > 0;) {
		struct past_point *at = &s->points[k];
		double grown = at->value * (double)at->step / (double)NS_PER_S;

		if (isnan(at->value))
			continue;
		at->value = at->least = at->most = count;
		count -= grown;
	}
}

static int deliver(struct past *p, struct past_series *s)
{
	int r;

	p->delivering = true;
	r = past_rows(p, s);
	p->delivering = false;
	if (p->config.raw && s->kind == KITH_COUNTER)
		rates_to_counts(s);
	if (r == 0 && s->n)
		r = p->config.series(s, p->config.user);
	s->done = true;
	p->points -= s->n;
	free(s->points);
	s->points = NULL;
	s->n = s->room = 0;
	return r;
}

/* 1: some wait for their turn */
static int round_of(struct past *p)
{
	struct past_series *s, *next;
	int r = past_samples(p), later = 0;

	HASH_SORT(p->series, by_key);
	HASH_ITER(hh, p->series, s, next)
		if (r == 0 && !s->done && !s->later)
			r = deliver(p, s);
	HASH_ITER(hh, p->series, s, next)
		if (!s->done) {
			later = 1;
			series_begin(p, s);
		}
	return r ? r : later;
}

int past_run(const struct past_config *config)
{
	struct past p = { .config = *config, .journal = -1, .rrd = -1, .lock = -1, .said = clock_mono() };
	int r = past_open(&p);

	if (r == 0)
		r = past_rows_find(&p);
	if (r == 0)
		while ((r = round_of(&p)) == 1)
			;
	past_close(&p);
	return r;
}
