/* From segments to rows: which series a sample is of, and what its steps come to */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/names.h"
#include "plugin.h"
#include "store/fold/fold.h"

struct telling {
	struct fold *fold;
	struct fold_instance *instance;
	uint32_t metric;
};

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

static size_t row_bytes(const struct fold_instance *i)
{
	return sizeof(*i->at) + i->family_size * sizeof(*i->values);
}

/* Room for one row more, at `index` */
static int row_insert(struct fold *f, struct fold_instance *i, size_t index, int64_t at)
{
	size_t width = i->family_size;

	if (i->n_rows == i->room) {
		size_t room = i->room ? i->room * 2 : 16;
		int64_t *times = realloc(i->at, room * sizeof(*times));
		double *values;

		if (!times)
			return -ENOMEM;
		i->at = times;
		values = realloc(i->values, room * width * sizeof(*values));
		if (!values)
			return -ENOMEM;
		i->values = values;
		i->room = room;
	}
	memmove(i->at + index + 1, i->at + index, (i->n_rows - index) * sizeof(*i->at));
	memmove(i->values + (index + 1) * width, i->values + index * width, (i->n_rows - index) * width * sizeof(*i->values));
	i->at[index] = at;
	for (size_t k = 0; k < width; k++)
		i->values[index * width + k] = NAN;
	i->n_rows++;
	f->held += row_bytes(i);
	return 0;
}

int fold_row(struct fold *f, struct fold_instance *i, int64_t at, uint32_t metric, double value)
{
	size_t index = i->n_rows;
	int r;

	if (i->failed)
		return 0;
	if (at <= i->written) {
		f->counts.skipped++;
		return 0;
	}
	/* Nearly always the last one, or the next */
	while (index && i->at[index - 1] > at)
		index--;
	if (index && i->at[index - 1] == at) {
		index--;
	} else {
		r = row_insert(f, i, index, at);
		if (r < 0)
			return r;
	}
	i->values[index * i->family_size + metric] = value;
	return 0;
}

static int tell(const struct resample_run *run, void *user)
{
	struct telling *t = user;
	int r = 0;

	for (int64_t at = run->first; r == 0 && at <= run->last; at += t->instance->step)
		r = fold_row(t->fold, t->instance, at, t->metric, run->average);
	return r;
}

int64_t fold_instance_whole(const struct fold_instance *i)
{
	int64_t whole = INT64_MAX;

	for (size_t k = 0; k < i->family_size; k++)
		if (i->series[k].next && i->series[k].next < whole)
			whole = i->series[k].next;
	return whole;
}

/* ---- families and instances ---------------------------------------------------------------------------------------- */

int fold_group(struct fold *f, const char *name, struct fold_group **ret_group)
{
	struct fold_group *g;
	int r;

	HASH_FIND_STR(f->groups, name, g);
	if (g) {
		*ret_group = g;
		return 0;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	r = known_read(f->folder, name, &g->family);
	if (r < 0 && r != -ENOMEM)
		r = known_new(name, &g->family);
	if (r < 0) {
		free(g);
		return r;
	}
	HASH_ADD_KEYPTR(hh, f->groups, g->family->name, strlen(g->family->name), g);
	*ret_group = g;
	return 0;
}

void fold_instance_free(struct fold *f, struct fold_instance *i)
{
	f->held -= i->n_rows * row_bytes(i);
	HASH_DEL(i->group->instances, i);
	free(i->name);
	free(i->series);
	free(i->map);
	free(i->at);
	free(i->values);
	free(i);
}

/* The family has metrics that this instance has no series for. Rows that wait get their columns. */
int fold_instance_grow(struct fold_instance *i)
{
	const struct fold_family *family = i->group->family;
	struct resample *series;
	double *values;

	if (i->family_size == family->n)
		return 0;
	values = malloc((i->room ? i->room : 1) * family->n * sizeof(*values));
	series = values ? realloc(i->series, family->n * sizeof(*series)) : NULL;
	if (!series) {
		free(values);
		return -ENOMEM;
	}
	for (size_t row = 0; row < i->n_rows; row++)
		for (size_t k = 0; k < family->n; k++)
			values[row * family->n + k] = k < i->family_size ? i->values[row * i->family_size + k] : NAN;
	free(i->values);
	i->values = values;
	i->series = series;
	for (size_t k = i->family_size; k < family->n; k++)
		resample_begin(&series[k], family->metrics[k].kind, i->step, known_hold(family, &family->metrics[k]));
	i->family_size = family->n;
	return 0;
}

static int instance_new(struct fold *f, struct fold_group *g, const char *name, struct fold_instance **ret_instance)
{
	struct fold_instance *i = calloc(1, sizeof(*i));
	int r;

	if (!i || !(i->name = strdup(name))) {
		free(i);
		return -ENOMEM;
	}
	i->group = g;
	rrd_file_name(name, i->file);
	HASH_ADD_KEYPTR(hh, g->instances, i->name, strlen(i->name), i);
	r = write_look(f, i);
	if (r == 0)
		r = fold_instance_grow(i);
	if (r < 0) {
		fold_instance_free(f, i);
		return r;
	}
	*ret_instance = i;
	return 0;
}

int fold_find(struct fold *f, const char *family, const char *instance, struct fold_instance **ret_instance)
{
	struct fold_group *g;
	struct fold_instance *i;
	int r;

	if (!name_part_valid(family) || strlen(instance) > NAME_INSTANCE_MAX)
		return -EINVAL;
	r = fold_group(f, family, &g);
	if (r < 0)
		return r;
	HASH_FIND_STR(g->instances, instance, i);
	if (i) {
		*ret_instance = i;
		return 0;
	}
	return instance_new(f, g, instance, ret_instance);
}

/* How its series are to be taken may have changed since the last segment. */
static void series_set(struct fold_instance *i)
{
	const struct fold_family *family = i->group->family;

	for (size_t k = 0; k < i->family_size; k++) {
		struct resample *s = &i->series[k];
		int64_t hold = known_hold(family, &family->metrics[k]), next = s->next;

		if (s->kind != family->metrics[k].kind) {
			resample_begin(s, family->metrics[k].kind, i->step, hold);
			s->next = next;
		}
		s->hold = hold > 0 ? hold : RESAMPLE_FOREVER;
	}
}

/* Of an export, what is asked for */
static bool left_out(const struct fold *f, const struct unpack_instance *u)
{
	bool any = false;

	if (!f->config.patterns)
		return false;
	for (uint32_t k = 0; k < u->family->n; k++)
		any |= patterns_series(f->config.patterns, u->family->name, u->name, u->family->metrics[k].name);
	return !any;
}

static int on_instance(struct unpack_instance *u, void *user)
{
	struct fold *f = user;
	struct fold_instance *i;
	struct fold_group *g;
	int16_t *map;
	int r;

	if (left_out(f, u))
		return 0;
	if (!name_part_valid(u->family->name) || strlen(u->name) > NAME_INSTANCE_MAX) {
		f->counts.odd++;
		return 0;
	}
	r = fold_group(f, u->family->name, &g);
	if (r == 0)
		r = known_learn(g->family, u->family);
	if (r == -EINVAL || r == -E2BIG) {
		f->counts.odd++;
		r = 0;
	}
	if (r == 0)
		r = fold_find(f, u->family->name, u->name, &i);
	if (r == 0)
		r = fold_instance_grow(i);
	if (r < 0)
		return r;
	series_set(i);
	map = realloc(i->map, u->family->n * sizeof(*map));
	if (!map)
		return -ENOMEM;
	i->map = map;
	i->n_map = u->family->n;
	for (uint32_t k = 0; k < i->n_map; k++)
		map[k] = (int16_t)known_metric(g->family, u->family->metrics[k].name);
	u->user = i;
	return 0;
}

/* ---- samples ------------------------------------------------------------------------------------------------------- */

static int on_sample(const struct unpack_instance *u, uint32_t metric, double value, int64_t time, bool extra, void *user)
{
	struct fold *f = user;
	struct fold_instance *i = u->user;
	struct telling t = { f, i, 0 };
	uint64_t backwards;
	int r;

	(void)extra;
	f->counts.samples++;
	if (metric >= i->n_map || i->map[metric] < 0)
		return 0;
	if (time > f->now + FOLD_FUTURE) {
		f->counts.future++;
		return 0;
	}
	t.metric = (uint32_t)i->map[metric];
	backwards = i->series[t.metric].backwards;
	r = resample_put(&i->series[t.metric], time, value, tell, &t);
	f->counts.backwards += i->series[t.metric].backwards - backwards;
	return r;
}

static int on_end(const struct unpack_instance *u, int64_t time, void *user)
{
	struct telling t = { user, u->user, 0 };
	int r = 0;

	for (; t.instance && r == 0 && t.metric < t.instance->family_size; t.metric++)
		r = resample_end(&t.instance->series[t.metric], time, tell, &t);
	return r;
}

static int for_all(struct fold *f, int (*fn)(struct resample *r, int64_t time, resample_fn *tell, void *user), int64_t time, int64_t shorter)
{
	struct fold_group *g, *next_g;
	struct fold_instance *i, *next_i;
	int r = 0;

	HASH_ITER(hh, f->groups, g, next_g)
		HASH_ITER(hh, g->instances, i, next_i) {
			struct telling t = { f, i, 0 };

			if (shorter && (!g->family->stale_after || g->family->stale_after >= shorter))
				continue;
			for (; r == 0 && t.metric < i->family_size; t.metric++)
				r = fn(&i->series[t.metric], time, tell, &t);
		}
	return r;
}

int fold_advance(struct fold *f, int64_t time)
{
	return for_all(f, resample_advance, time, 0);
}

int fold_gap(struct fold *f, int64_t from, int64_t to, bool always)
{
	if (!from || (!always && to <= from))
		return 0;
	return for_all(f, resample_end, from, always ? 0 : to - from);
}

static int on_start(int64_t time, void *user)
{
	struct fold *f = user;

	return fold_gap(f, f->end, time, true);
}

int fold_segment(struct fold *f, const struct segment *s)
{
	static const struct unpack_fns fns = { on_instance, on_sample, on_end, on_start };
	struct unpacker *u;
	int r;

	r = fold_gap(f, f->end, s->head.begin, f->number && s->head.number != f->number + 1);
	if (r == 0)
		r = unpacker_new(s->head.begin, &fns, f, &u);
	if (r < 0)
		return r;
	r = unpacker_feed(u, s->data, s->length);
	if (r == -EBADMSG) {
		log_warning("segment " SEGMENT_NAME " has what is no sample behind its first %llu; the rest of it is lost",
		            (unsigned long long)s->head.number, (unsigned long long)unpacker_samples(u));
		f->bad = true;
		r = 0;
	}
	if (unpacker_samples(u))
		f->end = unpacker_time(u);
	unpacker_free(u);
	f->number = s->head.number;
	f->counts.segments++;
	if (f->end > f->now + FOLD_FUTURE)
		f->end = f->now;
	return r == 0 && f->end ? fold_advance(f, f->end) : r;
}
