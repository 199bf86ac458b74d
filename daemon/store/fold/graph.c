/*
 * Pictures, by librrd. What it draws is in a temporary RRD file of the picture's own resolution, in a private folder: so that what is in memory and in
 * segments is in the picture too, and rows of one resolution are drawn from the beginning to the end.
 */
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
#include "store/fold/arguments.h"
#include "store/fold/librrd.h"

#define SERIES_MAX 16u
#define WIDTH 800u
#define HEIGHT 300u
#define PIXELS_MAX 8000u
#define CHUNK 32768u
#define ROWS_AT_ONCE 1000u

struct column {
	char *name, *unit;
	uint32_t kind;
	char **states;
	uint32_t n_states;
	double *values, *least, *most; /* a row each */
};

struct graph {
	struct answer *answer;
	struct librrd rrd;
	int64_t step, first; /* ns: the end of the first row */
	size_t rows;
	struct column columns[SERIES_MAX];
	size_t n, more;      /* more: series that there was no room for */
	char folder[512], path[540];
};

/* Told apart by those who see colours otherwise, too; dark on white */
static const char *const colours[SERIES_MAX] = { "0072B2", "D55E00", "009E73", "CC79A7", "E69F00", "56B4E9", "882255", "117733",
	                                         "332288", "999933", "AA4499", "44AA99", "661100", "6699CC", "888888", "000000" };

/* ---- what is drawn -------------------------------------------------------------------------------------------------------- */

static void column_free(struct column *c)
{
	for (uint32_t k = 0; k < c->n_states; k++)
		free(c->states[k]);
	free(c->states);
	free(c->name);
	free(c->unit);
	free(c->values);
	free(c->least);
	free(c->most);
}

static double *unknown(size_t n)
{
	double *values = malloc(n * sizeof(*values));

	for (size_t k = 0; values && k < n; k++)
		values[k] = NAN;
	return values;
}

static int column_copy(struct column *c, const struct past_series *s, size_t rows)
{
	if (asprintf(&c->name, *s->instance ? "%s:%s:%s" : "%s%s:%s", s->family, s->instance, s->metric) < 0)
		c->name = NULL;
	if (asprintf(&c->unit, s->kind == KITH_COUNTER ? "%s/s" : "%s", s->unit) < 0)
		c->unit = NULL;
	c->kind = s->kind;
	c->values = unknown(rows);
	c->least = unknown(rows);
	c->most = unknown(rows);
	c->states = s->n_states ? calloc(s->n_states, sizeof(*c->states)) : NULL;
	if (!c->name || !c->unit || !c->values || !c->least || !c->most || (s->n_states && !c->states))
		return -ENOMEM;
	for (; c->n_states < s->n_states; c->n_states++)
		if (!(c->states[c->n_states] = strdup(s->states[c->n_states])))
			return -ENOMEM;
	return 0;
}

static int take_series(const struct past_series *s, void *user)
{
	struct graph *g = user;
	struct column *c;
	int r;

	if (g->n == SERIES_MAX) {
		g->more++;
		return 0;
	}
	c = &g->columns[g->n++];
	r = column_copy(c, s, g->rows);
	for (size_t k = 0; r == 0 && k < s->n; k++) {
		int64_t row = (s->points[k].time - g->first) / g->step;

		if (row < 0 || (size_t)row >= g->rows)
			continue;
		c->values[row] = s->points[k].value;
		c->least[row] = s->points[k].least;
		c->most[row] = s->points[k].most;
	}
	return r;
}

/* ---- the temporary file ------------------------------------------------------------------------------------------------------- */

static int make_file(struct graph *g)
{
	static const char *const parts[] = { "v", "l", "m" };
	struct arguments a = { 0 };
	int r = 0;

	for (size_t k = 0; k < g->n; k++)
		for (size_t part = 0; part < 3; part++)
			argument(&a, "DS:%s%zu:GAUGE:%lld:U:U", parts[part], k, (long long)(2 * g->step / NS_PER_S));
	argument(&a, "RRA:AVERAGE:0.5:1:%zu", g->rows + 2);
	if (a.failed)
		r = -ENOMEM;
	else if (g->rrd.create_r(g->path, (unsigned long)(g->step / NS_PER_S), (time_t)((g->first - g->step) / NS_PER_S), (int)a.n,
	                         (const char **)a.list) != 0)
		r = -EIO;
	arguments_free(&a);
	return r;
}

static void put_values(struct buf *b, const struct graph *g, size_t row)
{
	for (size_t k = 0; k < g->n; k++)
		for (size_t part = 0; part < 3; part++) {
			const double *values = part == 0 ? g->columns[k].values : part == 1 ? g->columns[k].least : g->columns[k].most;

			if (isnan(values[row]))
				buf_puts(b, ":U");
			else
				buf_printf(b, ":%.17g", values[row]);
		}
}

static int fill_file(struct graph *g)
{
	struct arguments a = { 0 };
	struct buf b = BUF_INIT;
	int r = 0;

	for (size_t row = 0; r == 0 && row < g->rows; row++) {
		buf_reset(&b);
		buf_printf(&b, "%lld", (long long)((g->first + (int64_t)row * g->step) / NS_PER_S));
		put_values(&b, g, row);
		if (b.failed)
			r = -ENOMEM;
		else
			argument(&a, "%s", buf_text(&b));
		if (r == 0 && (a.n == ROWS_AT_ONCE || row + 1 == g->rows)) {
			r = a.failed ? -ENOMEM : g->rrd.update_r(g->path, NULL, (int)a.n, (const char **)a.list) != 0 ? -EIO : 0;
			arguments_free(&a);
		}
	}
	arguments_free(&a);
	buf_free(&b);
	return r;
}

/* ---- the picture -------------------------------------------------------------------------------------------------------------- */

/* A text of a legend: colons separate, and percent signs are formats */
static void legend(struct buf *b, const char *text, size_t width)
{
	size_t n = 0;

	for (; *text; text++, n++) {
		if (*text == ':' || *text == '\\')
			buf_putc(b, '\\');
		buf_putc(b, *text);
	}
	for (; n < width; n++)
		buf_putc(b, ' ');
}

static void draw_series(const struct graph *g, struct arguments *a, size_t k, size_t width)
{
	const struct column *c = &g->columns[k];
	struct buf name = BUF_INIT;
	const char *format = !strcmp(c->unit, "%") ? "%6.2lf" : "%6.2lf%s";

	legend(&name, c->name, width);
	argument(a, "DEF:v%zu=%s:v%zu:AVERAGE", k, g->path, k);
	argument(a, "DEF:l%zu=%s:l%zu:AVERAGE", k, g->path, k);
	argument(a, "DEF:m%zu=%s:m%zu:AVERAGE", k, g->path, k);
	argument(a, "VDEF:least%zu=l%zu,MINIMUM", k, k);
	argument(a, "VDEF:mean%zu=v%zu,AVERAGE", k, k);
	argument(a, "VDEF:most%zu=m%zu,MAXIMUM", k, k);
	argument(a, "VDEF:last%zu=v%zu,LAST", k, k);
	/* How far its values went within a pixel, where there is room to see it */
	if (g->n <= 2 && c->kind != KITH_STATE) {
		argument(a, "CDEF:d%zu=m%zu,l%zu,-", k, k, k);
		argument(a, "LINE0:l%zu", k);
		argument(a, "AREA:d%zu#%s30::STACK", k, colours[k]);
	}
	argument(a, "LINE1.5:v%zu#%s:%s", k, colours[k], buf_text(&name));
	argument(a, "GPRINT:least%zu:min %s", k, format);
	argument(a, "GPRINT:mean%zu:avg %s", k, format);
	argument(a, "GPRINT:most%zu:max %s", k, format);
	argument(a, "GPRINT:last%zu:last %s\\l", k, format);
	a->failed |= name.failed;
	buf_free(&name);
}

/* What the codes of a state mean */
static void draw_states(const struct graph *g, struct arguments *a)
{
	const struct column *c = &g->columns[0];
	struct buf text = BUF_INIT, plain = BUF_INIT;

	if (g->n != 1 || c->kind != KITH_STATE)
		return;
	for (uint32_t k = 0; k < c->n_states && k < 20; k++)
		buf_printf(&plain, "%s%u %s", k ? "   " : "", k, c->states[k]);
	legend(&text, buf_text(&plain), 0);
	argument(a, "COMMENT:%s\\l", buf_text(&text));
	a->failed |= text.failed || plain.failed;
	buf_free(&text);
	buf_free(&plain);
}

/* One unit, if all have the same */
static const char *unit_of(const struct graph *g)
{
	for (size_t k = 1; k < g->n; k++)
		if (strcmp(g->columns[k].unit, g->columns[0].unit) != 0)
			return "";
	return g->n && strcmp(g->columns[0].unit, "1") != 0 ? g->columns[0].unit : "";
}

static void draw_times(const struct graph *g, const Control__GraphRequest *q, struct arguments *a)
{
	char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX];
	struct buf text = BUF_INIT, plain = BUF_INIT;

	clock_format(q->from, from, sizeof(from));
	clock_format(g->first + (int64_t)(g->rows - 1) * g->step, to, sizeof(to));
	buf_printf(&plain, "%.19s to %.19s UTC, a value each %lld s", from, to, (long long)(g->step / NS_PER_S));
	if (g->more)
		buf_printf(&plain, "; %zu series more are not shown", g->more);
	legend(&text, buf_text(&plain), 0);
	argument(a, "COMMENT:%s\\r", buf_text(&text));
	a->failed |= text.failed || plain.failed;
	buf_free(&text);
	buf_free(&plain);
}

static void draw(const struct graph *g, const Control__GraphRequest *q, const char *format, struct arguments *a)
{
	size_t width = 0;
	const char *unit = unit_of(g);

	for (size_t k = 0; k < g->n; k++)
		width = strlen(g->columns[k].name) > width ? strlen(g->columns[k].name) : width;
	argument(a, "graphv");
	argument(a, "-");
	argument(a, "--imgformat=%s", format);
	argument(a, "--start=%lld", (long long)((g->first - g->step) / NS_PER_S));
	argument(a, "--end=%lld", (long long)((g->first + (int64_t)(g->rows - 1) * g->step) / NS_PER_S));
	argument(a, "--width=%u", q->width ? q->width : WIDTH);
	argument(a, "--height=%u", q->height ? q->height : HEIGHT);
	argument(a, "--step=%lld", (long long)(g->step / NS_PER_S));
	argument(a, "--color=BACK#FFFFFF");
	argument(a, "--color=SHADEA#FFFFFF");
	argument(a, "--color=SHADEB#FFFFFF");
	argument(a, "--color=FONT#222222");
	argument(a, "--color=AXIS#222222");
	argument(a, "--border=0");
	argument(a, "--disable-rrdtool-tag");
	argument(a, "--slope-mode");
	if (!strcmp(unit, "B"))
		argument(a, "--base=1024");
	if (q->title && *q->title)
		argument(a, "--title=%s", q->title);
	if (*unit)
		argument(a, "--vertical-label=%s", unit);
	for (size_t k = 0; k < g->n; k++)
		draw_series(g, a, k, width);
	draw_states(g, a);
	draw_times(g, q, a);
}

static int send_picture(struct answer *a, const uint8_t *data, size_t length)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < length; at += CHUNK) {
		Control__Chunk chunk = CONTROL__CHUNK__INIT;

		chunk.data.data = (uint8_t *)data + at;
		chunk.data.len = length - at < CHUNK ? length - at : CHUNK;
		r = answer_send(a, CONTROL__ANSWER__IS_CHUNK, &chunk.base);
	}
	return r;
}

static int picture(struct graph *g, const Control__GraphRequest *q, const char *format)
{
	struct arguments a = { 0 };
	rrd_info_t *info;
	int r = -EIO;

	draw(g, q, format, &a);
	if (a.failed) {
		arguments_free(&a);
		return -ENOMEM;
	}
	g->rrd.clear_error();
	info = g->rrd.graph_v((int)a.n, a.list);
	for (const rrd_info_t *i = info; i; i = i->next)
		if (!strcmp(i->key, "image") && i->type == RD_I_BLO)
			r = send_picture(g->answer, i->value.u_blo.ptr, i->value.u_blo.size);
	if (info)
		g->rrd.info_free(info);
	arguments_free(&a);
	return r;
}

static int draw_all(struct graph *g, const Control__GraphRequest *q, const char *format)
{
	const char *tmp = getenv("TMPDIR");
	int r;

	if ((size_t)snprintf(g->folder, sizeof(g->folder), "%s/kith-fold-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp") >= sizeof(g->folder))
		return -ENAMETOOLONG;
	if (!mkdtemp(g->folder))
		return -errno;
	snprintf(g->path, sizeof(g->path), "%s/graph.rrd", g->folder);
	g->rrd.clear_error();
	r = make_file(g);
	if (r == 0)
		r = fill_file(g);
	if (r == 0)
		r = picture(g, q, format);
	unlink(g->path);
	rmdir(g->folder);
	if (r == -EIO)
		r = answer_fault(g->answer, CONTROL__CODE__INTERNAL, g->rrd.get_error()) ?: 1;
	return r;
}

/* ---- what is asked -------------------------------------------------------------------------------------------------------------- */

static const char *format_of(const Control__GraphRequest *q)
{
	static const char *const formats[] = { "PNG", "SVG", "PDF", "EPS" };

	if (!q->format || !*q->format)
		return formats[0];
	for (size_t k = 0; k < sizeof(formats) / sizeof(formats[0]); k++)
		if (!strcmp(q->format, formats[k]))
			return formats[k];
	return NULL;
}

/* A row a pixel, of whole seconds */
static void resolution(struct graph *g, struct past_config *past, uint32_t width)
{
	int64_t length = past->to - past->from, step = length / width;

	g->step = step_up(step > NS_PER_S ? step : NS_PER_S, NS_PER_S);
	g->first = step_up(past->from + 1, g->step);
	past->to = step_up(past->to - g->step + 1, g->step);
	if (past->to < g->first)
		past->to = g->first;
	g->rows = (size_t)((past->to - g->first) / g->step + 1);
	past->step = g->step;
	past->from = g->first;
}

int graph_answer(struct answer *a, const Control__GraphRequest *q, struct past_config *past)
{
	struct graph *g;
	const char *format = format_of(q);
	struct buf why = BUF_INIT;
	int r;

	past->from = q->from;
	past->to = q->to ? q->to : clock_wall();
	if (!format || q->width > PIXELS_MAX || q->height > PIXELS_MAX)
		return answer_fault(a, CONTROL__CODE__USAGE, "a picture is PNG, SVG, PDF or EPS, and of at most 8000 pixels each way") ?: 1;
	if (past->from < 0 || past->to <= past->from || past->to > INT64_MAX / 4)
		return answer_fault(a, CONTROL__CODE__USAGE, "a picture's times are none") ?: 1;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->answer = a;
	resolution(g, past, q->width ? q->width : WIDTH);
	past->series = take_series;
	past->user = g;
	r = past_run(past);
	if (r == 0 && !g->n)
		r = answer_fault(a, CONTROL__CODE__NOT_FOUND, "nothing is known of these in that time") ?: 1;
	if (r == 0 && librrd_load(&g->rrd, &why) < 0)
		r = answer_fault(a, CONTROL__CODE__INTERNAL, buf_text(&why)) ?: 1;
	if (r == 0)
		r = draw_all(g, q, format);
	for (size_t k = 0; k < g->n; k++)
		column_free(&g->columns[k]);
	free(g);
	buf_free(&why);
	return r;
}
