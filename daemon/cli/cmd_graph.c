/* kith graph: the past of series, drawn in dots of braille, or as a picture by librrd (in kith-fold, never here) */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/history.h"
#include "cli/when.h"

#define SERIES_MAX 12u     /* that are drawn */
#define LABEL 11u          /* columns of the values at the left */
#define COLUMNS_MIN 20u    /* that are asked for */
#define SCREEN_MIN 20u     /* columns of a terminal, with the values */
#define SCREEN_DEFAULT 80u
#define COLUMNS_MAX 500u
#define LINES_DEFAULT 12u
#define LINES_MAX 200u
#define DOTS_X 2u          /* of a character */
#define DOTS_Y 4u

struct column {
	double least, most, value; /* NaN: nothing is known */
};

struct curve {
	char *name, *unit;
	char **states;
	size_t n_states;
	struct column *columns;
	double least, most, sum, last;
	uint64_t n;
};

struct graph {
	struct cli *cli;
	int64_t from, to;
	unsigned screen;        /* columns of the terminal, or of what stands for it */
	unsigned width, height; /* dots */
	struct curve curves[SERIES_MAX];
	size_t n;
	uint64_t more;          /* series that are not drawn */
	bool failed;
};

/* ---- gathering ---------------------------------------------------------------------------------------------------------- */

static void on_series(const struct history_series *s, void *user)
{
	struct graph *g = user;
	struct curve *c;

	if (g->n == SERIES_MAX) {
		g->more++;
		return;
	}
	c = &g->curves[g->n++];
	*c = (struct curve){ .least = NAN, .most = NAN, .last = NAN };
	c->name = strdup(s->name);
	c->unit = strdup(s->unit);
	c->columns = calloc(g->width, sizeof(*c->columns));
	if (s->kind == CONTROL__KIND__STATE)
		c->states = calloc(s->n_states + 1, sizeof(*c->states));
	while (c->states && c->n_states < s->n_states && (c->states[c->n_states] = strdup(s->states[c->n_states])))
		c->n_states++;
	g->failed |= !c->name || !c->unit || !c->columns;
	for (unsigned i = 0; c->columns && i < g->width; i++)
		c->columns[i] = (struct column){ NAN, NAN, NAN };
}

static void on_point(const struct history_series *s, const struct history_point *p, void *user)
{
	struct graph *g = user;
	struct curve *c = g->n ? &g->curves[g->n - 1] : NULL;
	/* A step stands at its end; a dot's own time is its middle. */
	double at = (double)(p->time - g->from) / (double)(g->to - g->from) * g->width - 0.5;
	struct column *column;

	(void)s;
	if (g->more || g->failed || !c || isnan(p->value) || !(at > -1 && at < g->width))
		return;
	column = &c->columns[at < 0 ? 0 : (unsigned)at];
	column->value = p->value;
	column->least = fmin(column->least, isnan(p->least) ? p->value : p->least);
	column->most = fmax(column->most, isnan(p->most) ? p->value : p->most);
	c->least = fmin(c->least, column->least);
	c->most = fmax(c->most, column->most);
	c->sum += p->value;
	c->last = p->value;
	c->n++;
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------- */

struct canvas {
	unsigned columns, lines;
	uint8_t *dots;  /* of each character, as in Unicode's block 2800 */
	uint8_t *color; /* of the curve that was drawn last */
};

static void dot(struct canvas *c, unsigned x, unsigned y, uint8_t color)
{
	static const uint8_t bits[DOTS_Y][DOTS_X] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };
	size_t at = (size_t)(y / DOTS_Y) * c->columns + x / DOTS_X;

	c->dots[at] |= bits[y % DOTS_Y][x % DOTS_X];
	c->color[at] = color;
}

static unsigned row(double value, double low, double high, unsigned height)
{
	double share = high > low ? (value - low) / (high - low) : 0.5;

	return (unsigned)lround((1 - fmin(fmax(share, 0), 1)) * (height - 1));
}

/* From the value before to this one, and from the least to the most of this column */
static void draw(struct canvas *canvas, const struct curve *c, unsigned width, unsigned height, double low, double high, uint8_t color)
{
	double before = NAN;

	for (unsigned x = 0; x < width; x++) {
		const struct column *k = &c->columns[x];
		unsigned top, bottom;

		if (isnan(k->value))
			continue;
		top = row(isnan(before) ? k->most : fmax(k->most, before), low, high, height);
		bottom = row(isnan(before) ? k->least : fmin(k->least, before), low, high, height);
		for (unsigned y = top; y <= bottom; y++)
			dot(canvas, x, y, color);
		before = k->value;
	}
}

/* Values that are the same all along stand in the middle, and the scale says so by round numbers around them. */
static void bounds(const struct graph *g, double *ret_low, double *ret_high)
{
	double low = NAN, high = NAN;

	for (size_t i = 0; i < g->n; i++) {
		low = fmin(low, g->curves[i].least);
		high = fmax(high, g->curves[i].most);
	}
	if (!(high > low)) {
		double around = low != 0 ? fabs(low) / 10 : 1;

		low -= around;
		high += around;
	}
	/* Where nought is near it is part of the picture. */
	if (low > 0 && low < (high - low) / 2)
		low = 0;
	*ret_low = low;
	*ret_high = high;
}

static void print_label(const struct graph *g, double value)
{
	const struct curve *c = &g->curves[0];
	char text[UNIT_TEXT_MAX];
	bool one_unit = true;

	for (size_t i = 1; i < g->n; i++)
		one_unit = one_unit && !strcmp(g->curves[i].unit, c->unit);
	if (g->n == 1 && c->states && value >= 0 && value < (double)c->n_states && fabs(value - rint(value)) < 1e-9)
		snprintf(text, sizeof(text), "%s", c->states[(size_t)value]);
	else if (g->n == 1 && c->states)
		*text = '\0';
	else
		unit_format(value, one_unit ? c->unit : "1", text, sizeof(text));
	printf("%*.*s ", (int)LABEL - 1, (int)LABEL - 1, text);
}

static void put_braille(uint8_t dots)
{
	unsigned code = 0x2800u + dots;

	printf("%c%c%c", (int)(0xe0 | code >> 12), (int)(0x80 | (code >> 6 & 0x3f)), (int)(0x80 | (code & 0x3f)));
}

static const enum out_color colors[] = { OUT_CYAN, OUT_YELLOW, OUT_GREEN, OUT_RED, OUT_BOLD, OUT_DIM };
#define N_COLORS (sizeof(colors) / sizeof(colors[0]))

static void print_line(const struct graph *g, const struct canvas *c, unsigned line)
{
	const struct out *o = &g->cli->out;

	for (unsigned x = 0; x < c->columns; x++) {
		uint8_t dots = c->dots[line * c->columns + x];
		enum out_color color = colors[c->color[line * c->columns + x] % N_COLORS];

		if (!dots) {
			putchar(' ');
			continue;
		}
		fputs(out_on(o, color), stdout);
		if (o->utf8)
			put_braille(dots);
		else
			putchar(dots & 0x1b ? dots & 0xe4 ? ':' : '\'' : '.');
		fputs(out_off(o, color), stdout);
	}
	putchar('\n');
}

static void print_frame_line(const struct out *o, unsigned columns)
{
	printf("%*s%s", (int)LABEL, "", o->utf8 ? "└" : "+");
	for (unsigned x = 1; x < columns; x++)
		fputs(o->utf8 ? (x % 20 ? "─" : "┴") : x % 20 ? "-" : "+", stdout);
	putchar('\n');
}

static void time_label(const struct graph *g, unsigned column, unsigned columns, char *text, size_t size)
{
	int64_t at = g->from + (int64_t)((double)(g->to - g->from) * column / columns), span = g->to - g->from;
	time_t seconds = (time_t)(at / NS_PER_S);
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(text, size, span < 600 * NS_PER_S ? "%H:%M:%S" : span < 2 * 86400 * NS_PER_S ? "%H:%M" : span < 60 * 86400 * NS_PER_S ? "%m-%d %H:%M" : "%Y-%m-%d",
	         &tm);
}

static void print_times(const struct graph *g, unsigned columns)
{
	unsigned at = 0;
	char text[32];

	printf("%*s", (int)LABEL, "");
	for (unsigned x = 0; x < columns; x += 20) {
		time_label(g, x, columns, text, sizeof(text));
		if (x + strlen(text) > columns)
			break;
		at += (unsigned)printf("%*s%s", (int)(x - at), "", text);
	}
	putchar('\n');
}

/* On a narrow screen where they do not fit beside the name, on a line each */
static void print_values(const struct graph *g, const struct curve *c)
{
	const struct { const char *what; double value; } values[] = {
		{ "min", c->least }, { "avg", c->sum / (double)c->n }, { "max", c->most }, { "last", c->last },
	};
	char texts[CLI_N(values)][UNIT_TEXT_MAX];
	size_t columns = 2 + out_columns(c->name, strlen(c->name));

	for (size_t i = 0; i < CLI_N(values); i++) {
		unit_format(values[i].value, c->unit, texts[i], sizeof(texts[i]));
		columns += 3 + strlen(values[i].what) + out_columns(texts[i], strlen(texts[i]));
	}
	for (size_t i = 0; i < CLI_N(values); i++)
		printf("%s%s %s", g->screen < SCREEN_DEFAULT && columns >= g->screen ? "\n  " : "  ", values[i].what, texts[i]);
	putchar('\n');
}

static void print_legend(const struct graph *g)
{
	const struct out *o = &g->cli->out;

	for (size_t i = 0; i < g->n; i++) {
		const struct curve *c = &g->curves[i];

		printf("%s%s%s ", out_on(o, colors[i % N_COLORS]), o->utf8 ? "⣿" : "#", out_off(o, colors[i % N_COLORS]));
		out_text(c->name);
		if (!c->n) {
			puts("  nothing is known");
			continue;
		}
		if (c->states) {
			printf("  last %s\n", c->last >= 0 && c->last < (double)c->n_states ? c->states[(size_t)c->last] : "?");
			continue;
		}
		print_values(g, c);
	}
	if (g->more)
		printf("and %llu more that are not drawn: ask for fewer\n", (unsigned long long)g->more);
}

static int picture(struct graph *g)
{
	struct canvas c = { .columns = g->width / DOTS_X, .lines = g->height / DOTS_Y };
	double low, high;

	c.dots = calloc((size_t)c.columns * c.lines, 1);
	c.color = calloc((size_t)c.columns * c.lines, 1);
	if (!c.dots || !c.color) {
		free(c.dots);
		free(c.color);
		return -ENOMEM;
	}
	bounds(g, &low, &high);
	for (size_t i = 0; i < g->n; i++)
		draw(&c, &g->curves[i], g->width, g->height, low, high, (uint8_t)i);
	for (unsigned y = 0; y < c.lines; y++) {
		/* The top, the middle and the bottom of the scale */
		if (y == 0 || y == c.lines - 1 || y == c.lines / 2)
			print_label(g, high - (high - low) * y / (c.lines - 1));
		else
			printf("%*s", (int)LABEL, "");
		print_line(g, &c, y);
	}
	print_frame_line(&g->cli->out, c.columns);
	print_times(g, c.columns);
	print_legend(g);
	free(c.dots);
	free(c.color);
	return 0;
}

/* Of the terminal, or in a pipe as COLUMNS says */
static unsigned screen_columns(const struct out *o)
{
	const char *text = getenv("COLUMNS");
	unsigned long columns = text && !o->width ? strtoul(text, NULL, 10) : o->width;

	return !columns ? SCREEN_DEFAULT : columns > COLUMNS_MAX ? COLUMNS_MAX : (unsigned)columns;
}

/* Dots. `width`, `height`: characters; 0: as many as there is room for. An exit status */
static int dimensions(struct graph *g, uint64_t width, uint64_t height)
{
	g->screen = screen_columns(&g->cli->out);
	if (!width && g->screen < SCREEN_MIN) {
		cli_fail("a graph wants %u columns, and here are %u: make room, or say --width", SCREEN_MIN, g->screen);
		return CLI_USAGE;
	}
	/* The last column stays free: some terminals begin a new line behind it. */
	if (!width)
		width = g->screen - LABEL - 1;
	else if (width < COLUMNS_MIN || width > COLUMNS_MAX)
		width = width < COLUMNS_MIN ? COLUMNS_MIN : COLUMNS_MAX;
	if (height < 3 || height > LINES_MAX)
		height = height ? height < 3 ? 3 : LINES_MAX : LINES_DEFAULT;
	g->width = (unsigned)width * DOTS_X;
	g->height = (unsigned)height * DOTS_Y;
	return CLI_YES;
}

static int in_terminal(struct cli *cli, struct graph *g, uint64_t width, uint64_t height)
{
	struct history_ask ask = { .patterns = cli->args, .n_patterns = cli->n_args, .from = g->from, .to = g->to,
		                   .series = on_series, .point = on_point, .user = g };
	int status = dimensions(g, width, height);

	if (status != CLI_YES)
		return status;
	ask.step = (g->to - g->from) / g->width;
	ask.step = ask.step < NS_PER_S ? 0 : ask.step;
	if (cli->json)
		return history_json(cli, &ask);
	status = history_ask(cli, &ask);
	if (status == CLI_YES && (g->failed || picture(g) < 0)) {
		cli_fail("out of memory");
		status = CLI_UNREACHABLE;
	}
	for (size_t i = 0; i < g->n; i++) {
		struct curve *c = &g->curves[i];

		for (size_t k = 0; k < c->n_states; k++)
			free(c->states[k]);
		free(c->states);
		free(c->columns);
		free(c->name);
		free(c->unit);
	}
	return status;
}

/* ---- a picture in a file --------------------------------------------------------------------------------------------------- */

struct file {
	FILE *to;
	uint64_t bytes;
	int error; /* the first of writing: stdio does not keep it */
};

static void on_chunk(const Control__Answer *answer, void *user)
{
	struct file *f = user;

	if (answer->is_case != CONTROL__ANSWER__IS_CHUNK)
		return;
	errno = 0;
	if (fwrite(answer->chunk->data.data, 1, answer->chunk->data.len, f->to) < answer->chunk->data.len && !f->error)
		f->error = errno ? -errno : -EIO;
	f->bytes += answer->chunk->data.len;
}

static const char *format_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && !strcasecmp(dot, ".png"))
		return "PNG";
	return dot && !strcasecmp(dot, ".svg") ? "SVG" : NULL;
}

/* "-" is standard output, as PNG */
static int in_file(struct cli *cli, const struct graph *g, const char *path, uint64_t width, uint64_t height)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__GraphRequest graph = CONTROL__GRAPH_REQUEST__INIT;
	bool out = !strcmp(path, "-");
	const char *format = out ? "PNG" : format_of(path), *title = cli_value(cli, GRAPH_TITLE);
	struct file f = { 0 };
	int status;

	if (!format) {
		cli_fail("-o %s: its name is to end with .png or .svg", path);
		return CLI_USAGE;
	}
	if (cli->json) {
		cli_fail("-o makes a picture, which is no JSON: leave out one of -o and --json");
		return CLI_USAGE;
	}
	f.to = out ? stdout : fopen(path, "we");
	if (!f.to) {
		cli_fail("%s: %s", path, strerror(errno));
		return CLI_USAGE;
	}
	graph.patterns = cli->args;
	graph.n_patterns = cli->n_args;
	graph.from = g->from;
	graph.to = g->to;
	graph.format = (char *)(uintptr_t)format;
	graph.width = (uint32_t)width;
	graph.height = (uint32_t)height;
	graph.title = (char *)(uintptr_t)(title ? title : "");
	request.ask_case = CONTROL__REQUEST__ASK_GRAPH;
	request.graph = &graph;
	status = ask_long(cli, &request, on_chunk, &f);
	if (out)
		cli->out.error = f.error;
	else if (fclose(f.to) != 0 && !f.error)
		f.error = -errno;
	if (!out && f.error && status == CLI_YES) {
		cli_fail("%s: %s", path, strerror(-f.error));
		status = CLI_USAGE;
	}
	if (!out && !f.bytes)
		unlink(path);
	return status == CLI_YES && !f.bytes ? CLI_NO : status;
}

/* From when to when is drawn; what comes stays empty, but that there is no end is no reason to draw all of it */
static int span(struct cli *cli, int64_t *ret_from, int64_t *ret_to)
{
	int64_t now = clock_wall();
	int status;

	*ret_to = now;
	status = cli_time(cli, GRAPH_UNTIL, ret_to);
	*ret_to = *ret_to == WHEN_LAST ? now : *ret_to;
	*ret_from = *ret_to - 3600 * NS_PER_S;
	if (status == CLI_YES)
		status = cli_since(cli, GRAPH_SINCE, ret_from);
	if (status == CLI_YES && *ret_to <= *ret_from) {
		cli_fail("--until is not after --since");
		return CLI_USAGE;
	}
	return status;
}

int cmd_graph(struct cli *cli)
{
	struct graph g = { .cli = cli };
	uint64_t width = 0, height = 0;
	int status = span(cli, &g.from, &g.to);

	if (status == CLI_YES)
		status = cli_number(cli, GRAPH_WIDTH, &width);
	if (status == CLI_YES)
		status = cli_number(cli, GRAPH_HEIGHT, &height);
	if (status != CLI_YES)
		return status;
	if (width > 10000 || height > 10000) {
		cli_fail("that is too large a picture");
		return CLI_USAGE;
	}
	if (cli_has(cli, GRAPH_OUTPUT))
		return in_file(cli, &g, cli_value(cli, GRAPH_OUTPUT), width, height);
	return in_terminal(cli, &g, width, height);
}
