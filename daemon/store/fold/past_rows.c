/* Rows of RRD files, for the time before samples are known */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/names.h"
#include "plugin.h"
#include "store/fold/open.h"
#include "store/fold/past_impl.h"
#include "store/fold/rrdfile.h"

#define ARCHIVES 64u

/* ---- which there are ----------------------------------------------------------------------------------------------- */

static int find_in(struct past *p, const struct fold_family *f)
{
	struct family_file *file, *next;
	int r = 0;

	HASH_ITER(hh, f->files, file, next)
		for (uint32_t k = 0; r == 0 && k < f->n; k++) {
			struct past_series *s;

			if (!patterns_series(p->config.patterns, f->name, file->instance, f->metrics[k].name))
				continue;
			r = past_series_get(p, f->name, file->instance, &f->metrics[k], f->stale_after, &s);
			if (r == 0 && !s->file && !(s->file = strdup(file->file)))
				r = -ENOMEM;
		}
	return r;
}

int past_rows_find(struct past *p)
{
	int fd = p->rrd < 0 ? -1 : openat(p->rrd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct fold_family *f;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (r == 0 && (e = readdir(d))) {
		if (!name_part_valid(e->d_name) || !patterns_family(p->config.patterns, e->d_name))
			continue;
		r = known_read(p->rrd, e->d_name, &f);
		if (r == 0) {
			r = find_in(p, f);
			known_free(f);
		} else if (r != -ENOMEM) {
			r = 0;
		}
	}
	closedir(d);
	return r;
}

/* ---- rows as steps ---------------------------------------------------------------------------------------------------- */

struct gather {
	struct past *past;
	struct past_series *series;
	int64_t before;      /* steps that end at it or later are of samples */
	int64_t next;        /* the step that is gathered; 0: none */
	double sum, least, most;
	int64_t known;
	int64_t told;        /* the end of the last point that is known; 0: none */
};

/* What ends a time that is known is told once. */
static int tell(struct gather *g, int64_t time, int64_t step, double value, double least, double most)
{
	const struct past_point gap = { g->told + step, NAN, NAN, NAN, step, PAST_RRD, false };
	struct past_point p = { time, value, least, most, step, PAST_RRD, false };
	int r = 0;

	if (!isfinite(value))
		return 0;
	if (g->told && time - step > g->told)
		r = past_point_add(g->past, g->series, &gap);
	g->told = time;
	return r ? r : past_point_add(g->past, g->series, &p);
}

static int step_done(struct gather *g)
{
	int64_t step = g->past->config.step, at = g->next, length = step;
	double value = g->series->kind == KITH_STATE ? g->sum : g->sum / (double)g->known;
	int r = 0;

	/* The last one, as far as it goes */
	if (at > g->past->until && at - step < g->past->until) {
		length = g->past->until - (at - step);
		at = g->past->until;
	}
	if (g->next && g->known && g->known >= length - g->known && at >= g->past->config.from && at <= g->past->config.to)
		r = tell(g, at, step, value, g->least, g->most);
	g->known = 0;
	g->sum = 0;
	return r;
}

/* A row, or what of it is in one step */
static int put_part(struct gather *g, int64_t from, int64_t to, double value, double least, double most)
{
	int64_t at = step_up(to, g->past->config.step);
	int r = 0;

	if (at != g->next) {
		r = step_done(g);
		g->next = at;
	}
	g->least = g->known ? fmin(g->least, least) : least;
	g->most = g->known ? fmax(g->most, most) : most;
	g->sum = g->series->kind == KITH_STATE ? value : g->sum + value * (double)(to - from);
	g->known += to - from;
	return r;
}

static int put_row(struct gather *g, int64_t end, int64_t row, double value, double least, double most)
{
	int64_t step = g->past->config.step, from = end - row;
	int r = 0;

	if (!isfinite(value))
		return 0;
	least = isfinite(least) ? least : value;
	most = isfinite(most) ? most : value;
	/* One that ends as the time begins is of what was before. */
	if (!step)
		return end > g->past->config.from && end <= g->past->config.to ? tell(g, end, row, value, least, most) : 0;
	while (r == 0 && from < end) {
		int64_t to = step_up(from + 1, step);

		to = to < end ? to : end;
		if (step_up(to, step) < g->before)
			r = put_part(g, from, to, value, least, most);
		from = to;
	}
	return r;
}

/* ---- the archives of a file, from the coarsest to the finest --------------------------------------------------------- */

struct wanted {
	struct rrd_archive a;
	int average, least, most; /* indices; -1: none */
};

static size_t archives_of(const struct rrd_file *f, bool state, struct wanted *list)
{
	size_t n = 0;

	for (unsigned i = 0; i < f->n_archives && n < ARCHIVES; i++) {
		struct rrd_archive a;
		size_t k;

		rrd_file_archive(f, i, &a);
		if (a.function == RRD_OTHER)
			continue;
		for (k = 0; k < n && list[k].a.row != a.row; k++)
			;
		if (k == n)
			list[n++] = (struct wanted){ a, -1, -1, -1 };
		if (list[k].a.rows > a.rows)
			list[k].a.rows = a.rows;
		/* Of a state the last one; where there is none, its rows are of one step each. */
		if (a.function == RRD_LAST && state)
			list[k].average = (int)i;
		else if (a.function == RRD_AVERAGE && !(state && list[k].average >= 0))
			list[k].average = (int)i;
		else if (a.function == RRD_LEAST)
			list[k].least = (int)i;
		else if (a.function == RRD_MOST)
			list[k].most = (int)i;
	}
	return n;
}

static int by_row(const void *a, const void *b)
{
	int64_t x = ((const struct wanted *)a)->a.row, y = ((const struct wanted *)b)->a.row;

	return x < y ? -1 : x > y;
}

/* Rows that end within (from, to] */
static int read_archive(struct gather *g, const struct rrd_file *f, const struct wanted *w, unsigned source, int64_t from, int64_t to)
{
	int64_t row = w->a.row, first = step_up(from + 1, row), last = step_up(to - row + 1, row), oldest = w->a.newest - (int64_t)(w->a.rows - 1) * row;
	const int archives[3] = { w->average, w->least, w->most };
	double *values;
	size_t n;
	int r = 0;

	first = first > oldest ? first : oldest;
	last = last < w->a.newest ? last : w->a.newest;
	if (first > last || w->average < 0)
		return 0;
	n = (size_t)((last - first) / row + 1);
	values = malloc(3 * n * sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (size_t k = 0; r == 0 && k < 3; k++)
		r = rrd_file_read(f, (unsigned)(archives[k] >= 0 ? archives[k] : w->average), source, first, last, values + k * n);
	for (size_t k = 0; r == 0 && k < n; k++)
		r = put_row(g, first + (int64_t)k * row, row, values[k], values[n + k], values[2 * n + k]);
	free(values);
	return r;
}

static int read_file(struct gather *g, const struct rrd_file *f, unsigned source, int64_t until)
{
	int64_t step = g->past->config.step, from = g->past->config.from, edges[ARCHIVES + 1];
	struct wanted list[ARCHIVES];
	size_t n = archives_of(f, g->series->kind == KITH_STATE, list);
	int r = 0;

	qsort(list, n, sizeof(*list), by_row);
	/* Each archive for what the finer ones do not reach back to; what of a step or row lies before `from` belongs to it */
	edges[0] = until;
	for (size_t k = 0; k < n; k++) {
		int64_t reach = list[k].a.newest - (int64_t)list[k].a.rows * list[k].a.row;

		if (k + 1 < n)
			reach = step_up(reach, list[k + 1].a.row);
		edges[k + 1] = reach < edges[k] ? reach : edges[k];
	}
	for (size_t k = n; r == 0 && k-- > 0;) {
		int64_t begin = from - step;

		r = read_archive(g, f, &list[k], source, edges[k + 1] > begin ? edges[k + 1] : begin, edges[k]);
	}
	return r == 0 && step ? step_done(g) : r;
}

/* Both know of a step: rows of its begin, samples of its end. */
static void join_step(const struct past_series *s, struct past_point *row, const struct past_point *sample)
{
	if (!row->step || !isfinite(row->value) || !isfinite(sample->value))
		return;
	row->least = fmin(row->least, sample->least);
	row->most = fmax(row->most, sample->most);
	if (s->kind == KITH_STATE)
		row->value = sample->value;
}

/* Its points of samples wait meanwhile, and come behind. */
static int join(struct past *p, struct past_series *s, struct past_point *samples, size_t n)
{
	size_t rows = s->n;
	int r = 0;

	for (size_t k = 0; r == 0 && k < n; k++) {
		if (!rows || samples[k].time > s->points[rows - 1].time)
			r = past_point_add(p, s, &samples[k]);
		else if (samples[k].time == s->points[rows - 1].time)
			join_step(s, &s->points[rows - 1], &samples[k]);
	}
	return r;
}

int past_rows(struct past *p, struct past_series *s)
{
	struct gather g = { .past = p, .series = s };
	struct past_point *samples = s->points;
	char path[64 + RRD_NAME_SIZE], name[RRD_SOURCE_SIZE];
	size_t n = s->n;
	struct rrd_file f;
	bool gauge;
	int source, r;

	if (!s->file || p->rrd < 0 || s->first <= p->config.from)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", s->family, s->file);
	rrd_lock_read(p->rrd, p->lock);
	r = rrd_file_open(p->rrd, path, &f);
	if (r < 0) {
		rrd_unlock(p->lock);
		return r == -ENOMEM ? r : 0;
	}
	rrd_source_name(s->metric, name);
	source = rrd_file_source(&f, name, &gauge);
	if (source >= 0) {
		int64_t step = p->config.step, until = s->first < p->config.to ? s->first : p->config.to;

		/* Steps that begin after the first sample are of samples. */
		g.before = !step || s->first == INT64_MAX ? INT64_MAX : step_up(s->first, step) + step;
		if (step && s->first < p->config.to)
			until = step_up(s->first, step);
		s->points = NULL;
		s->n = s->room = 0;
		r = read_file(&g, &f, (unsigned)source, until);
		if (r == 0)
			r = join(p, s, samples, n);
		free(samples);
		p->points -= n;
	}
	rrd_file_close(&f);
	rrd_unlock(p->lock);
	return r;
}
