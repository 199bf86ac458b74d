/* The past as RRD files have it: of the time before segments and the ring */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin.h"
#include "store/fold/answer.h"
#include "store/fold/family.h"
#include "store/fold/librrd.h"

struct reading {
	struct past *past;
	struct librrd rrd;
	int folder;
	char *path;
};

/* One consolidation of a file. -errno when there is none of that kind. `values` is librrd's. */
struct fetched {
	time_t start, end;
	unsigned long step, n_sources;
	char **sources;
	rrd_value_t *values;
};

static int fetch(struct reading *r, const char *path, const char *cf, int64_t until, struct fetched *f)
{
	f->start = (time_t)(r->past->from / NS_PER_S);
	f->end = (time_t)(until / NS_PER_S);
	f->step = r->past->step > NS_PER_S ? (unsigned long)(r->past->step / NS_PER_S) : 1;
	r->rrd.clear_error();
	return r->rrd.fetch_r(path, cf, &f->start, &f->end, &f->step, &f->n_sources, &f->sources, &f->values) == 0 ? 0 : -ENOENT;
}

static void fetched_free(struct reading *r, struct fetched *f)
{
	for (unsigned long i = 0; i < f->n_sources; i++)
		r->rrd.freemem(f->sources[i]);
	r->rrd.freemem(f->sources);
	r->rrd.freemem(f->values);
}

/* The value of a data source at the row that ends at `time`; NaN: there is none */
static double value_at(const struct fetched *f, const char *source, int64_t time)
{
	for (unsigned long i = 0; i < f->n_sources; i++)
		if (!strcmp(f->sources[i], source)) {
			int64_t row = (time - (int64_t)f->start) / (int64_t)f->step - 1;

			return row < 0 || time > (int64_t)f->end ? NAN : f->values[(size_t)row * f->n_sources + i];
		}
	return NAN;
}

static int take_metric(struct reading *r, const struct fold_metric *m, struct past_series *s, const struct fetched *average,
                       const struct fetched *least, const struct fetched *most)
{
	int64_t until = s->n ? s->points[0].time : r->past->to;
	int x = 0;

	for (int64_t at = (int64_t)average->start + (int64_t)average->step; x == 0 && at <= (int64_t)average->end; at += (int64_t)average->step) {
		struct past_point point = { .time = at * NS_PER_S, .value = value_at(average, m->source, at), .least = NAN, .most = NAN };

		if (isnan(point.value) || point.time > until || point.time < r->past->from)
			continue;
		if (m->kind == KITH_STATE)
			point.value = rint(point.value);
		if (least)
			point.least = value_at(least, m->source, at);
		if (most)
			point.most = value_at(most, m->source, at);
		x = past_add(&s->old, &s->n_old, &s->old_size, &point);
	}
	return x;
}

/* Which consolidation tells of it: the last code of a state, the average of others */
static int read_kind(struct reading *r, const struct fold_family *f, const char *instance, const char *path, bool states)
{
	struct fetched average, least, most;
	int x = fetch(r, path, states ? "LAST" : "AVERAGE", r->past->to, &average), has_least, has_most;

	if (x < 0)
		return 0; /* a file of another shape */
	has_least = states ? -ENOENT : fetch(r, path, "MIN", r->past->to, &least);
	has_most = states ? -ENOENT : fetch(r, path, "MAX", r->past->to, &most);
	/* Of an archive of another step they are not those of these rows. */
	for (uint32_t k = 0; x == 0 && k < f->n; k++) {
		const struct fold_metric *m = &f->metrics[k];
		struct past_series *s;

		if ((m->kind == KITH_STATE) != states || !patterns_series(&r->past->patterns, f->name, instance, m->name))
			continue;
		s = past_series_get(r->past, f->name, instance, m->name, m->unit, m->kind, m->states, known_hold(f, m));
		x = !s ? -ENOMEM : take_metric(r, m, s, &average, has_least == 0 && least.step == average.step ? &least : NULL,
		                               has_most == 0 && most.step == average.step ? &most : NULL);
	}
	fetched_free(r, &average);
	if (has_least == 0)
		fetched_free(r, &least);
	if (has_most == 0)
		fetched_free(r, &most);
	return x;
}

static int read_instance(struct reading *r, const struct fold_family *f, const struct family_file *file)
{
	bool states = false, others = false;
	char *path;
	int x = 0;

	for (uint32_t k = 0; k < f->n; k++) {
		if (!patterns_series(&r->past->patterns, f->name, file->instance, f->metrics[k].name))
			continue;
		states |= f->metrics[k].kind == KITH_STATE;
		others |= f->metrics[k].kind != KITH_STATE;
	}
	if (!states && !others)
		return 0;
	if (asprintf(&path, "%s/%s/%s", r->path, f->name, file->file) < 0)
		return -ENOMEM;
	if (others)
		x = read_kind(r, f, file->instance, path, false);
	if (x == 0 && states)
		x = read_kind(r, f, file->instance, path, true);
	free(path);
	return x;
}

static int read_family(struct reading *r, const char *name)
{
	struct buf why = BUF_INIT;
	struct fold_family *f;
	int x;

	if (*name == '.' || !patterns_family(&r->past->patterns, name))
		return 0;
	x = known_read(r->folder, name, &f);
	if (x < 0)
		return x == -ENOMEM ? x : 0;
	x = librrd_load(&r->rrd, &why);
	buf_free(&why);
	for (const struct family_file *file = f->files; x == 0 && file; file = file->hh.next)
		x = read_instance(r, f, file);
	known_free(f);
	return x == -ENOENT ? 0 : x;
}

/* The time before samples is asked for: of one series at least, or of those that have none */
int past_read_rrd(struct past *p)
{
	struct reading r = { .past = p, .folder = -1 };
	DIR *d = NULL;
	struct dirent *e;
	int x = 0;

	if (asprintf(&r.path, "%s/rrd", p->state) < 0)
		return -ENOMEM;
	r.folder = open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = r.folder < 0 ? NULL : opendir(r.path);
	while (d && x == 0 && (e = readdir(d)))
		x = read_family(&r, e->d_name);
	if (d)
		closedir(d);
	if (r.folder >= 0)
		close(r.folder);
	free(r.path);
	return x;
}
