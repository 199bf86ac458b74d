/* kith top's picture, as text */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/past.h"
#include "cli/top.h"

#define NAME_WIDTH 34u
#define VALUE_WIDTH 18u

struct canvas {
	struct buf *b;
	const struct out *o;
	unsigned width, height, lines, column;
};

/* Text of one colour, cut at the right edge */
static void put(struct canvas *c, enum out_color color, const char *text)
{
	struct buf clean = BUF_INIT;
	size_t length, columns;

	out_clean(&clean, text);
	length = clean.length;
	columns = out_columns(buf_text(&clean), length);
	while (c->width && c->column + columns > c->width && length) {
		/* one character less, all of its bytes */
		do
			length--;
		while (length && ((unsigned char)clean.data[length] & 0xc0) == 0x80);
		columns = out_columns(buf_text(&clean), length);
	}
	buf_puts(c->b, out_on(c->o, color));
	buf_append(c->b, buf_text(&clean), length);
	buf_puts(c->b, out_off(c->o, color));
	c->column += (unsigned)columns;
	buf_free(&clean);
}

static void put_format(struct canvas *c, enum out_color color, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void put_format(struct canvas *c, enum out_color color, const char *format, ...)
{
	struct buf text = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	put(c, color, buf_text(&text));
	buf_free(&text);
}

static void put_to(struct canvas *c, unsigned column)
{
	while (c->column < column && (!c->width || c->column < c->width)) {
		buf_putc(c->b, ' ');
		c->column++;
	}
}

static bool line_left(const struct canvas *c)
{
	return !c->height || c->lines < c->height;
}

static void end_line(struct canvas *c)
{
	buf_putc(c->b, '\n');
	c->column = 0;
	c->lines++;
}

/* ---- the parts -------------------------------------------------------------------------------------------------- */

static void draw_head(struct canvas *c, const struct top *t, int64_t now)
{
	const Control__Status *s = &t->status;
	char a[UNIT_TEXT_MAX], every[UNIT_TEXT_MAX], clock[32];

	put_format(c, OUT_BOLD, "%s", s->host ? s->host : "-");
	put_format(c, OUT_PLAIN, "  %.8s  up %s, every %s", clock_text(now, clock, sizeof(clock)),
	           ago_text(s->started, s->now, a, sizeof(a)), unit_format((double)s->interval / 1e9, "s", every,
	        sizeof(every)));
	put_format(c, OUT_DIM, "  %llu series, %llu plugins", (unsigned long long)s->series,
	        (unsigned long long)s->plugins_running);
	end_line(c);
	put(c, OUT_DIM, "kithd itself: ");
	put_format(c, OUT_PLAIN, "%.3f %% of a core, RSS %s", s->cpu_percent, unit_format((double)s->rss, "B", a, sizeof(a)));
	put_format(c, OUT_PLAIN, ", anonymous %s", unit_format((double)s->anonymous, "B", a, sizeof(a)));
	if (t->last_status_time && t->status_time > t->last_status_time && s->wakeups >= t->last_wakeups)
		put_format(c, OUT_PLAIN, ", %.1f wake-ups/s",
		           (double)(s->wakeups - t->last_wakeups) / ((double)(t->status_time - t->last_status_time) / 1e9));
	else
		put_format(c, OUT_PLAIN, ", %llu wake-ups", (unsigned long long)s->wakeups);
	end_line(c);
}

static void draw_promise(struct canvas *c, const struct top_promise *p, int64_t now)
{
	char ago[32];

	put_format(c, assessment_color(p->assessment), "%-8s", assessment_text(p->assessment));
	put_format(c, OUT_BOLD, " %s", p->name ? p->name : "");
	put_format(c, OUT_PLAIN, " (%s)", p->promiser ? p->promiser : "");
	put_format(c, OUT_DIM, " %s", ago_text(p->since, now, ago, sizeof(ago)));
	if (p->because && *p->because && p->assessment != CONTROL__ASSESSMENT__KEPT)
		put_format(c, OUT_PLAIN, "  %s", p->because);
	end_line(c);
}

static void draw_promises(struct canvas *c, const struct top *t, int64_t now, unsigned room)
{
	unsigned shown = t->n_promises;

	end_line(c);
	put(c, OUT_BOLD, "Promises  ");
	put_format(c, t->counts[CONTROL__ASSESSMENT__BROKEN] ? OUT_RED : OUT_PLAIN, "%u broken",
	           t->counts[CONTROL__ASSESSMENT__BROKEN]);
	put_format(c, t->counts[CONTROL__ASSESSMENT__UNKNOWN] ? OUT_YELLOW : OUT_PLAIN, ", %u unknown",
	           t->counts[CONTROL__ASSESSMENT__UNKNOWN]);
	put_format(c, OUT_PLAIN, ", %u kept", t->counts[CONTROL__ASSESSMENT__KEPT]);
	end_line(c);
	if (room && shown > room)
		shown = room;
	for (unsigned i = 0; i < shown && line_left(c); i++)
		draw_promise(c, &t->promises[i], now);
}

static void draw_spark(struct canvas *c, const struct top_series *s)
{
	unsigned room = c->width > c->column ? c->width - c->column : 0, n = s->n < room ? s->n : room;
	double low = INFINITY, high = -INFINITY;

	if (n < 2)
		return;
	for (unsigned i = 0; i < n; i++) {
		double v = s->history[(s->next + TOP_HISTORY - n + i) % TOP_HISTORY];

		low = fmin(low, v);
		high = fmax(high, v);
	}
	/* A percentage has its own scale, the rest rise from 0. */
	low = fmin(low, 0);
	high = !strcmp(s->unit, "%") ? fmax(high, 100) : high;
	for (unsigned i = 0; i < n; i++) {
		double v = s->history[(s->next + TOP_HISTORY - n + i) % TOP_HISTORY];

		put(c, OUT_CYAN, spark(c->o, high > low ? (v - low) / (high - low) : 0));
	}
}

static void series_text(const struct top_series *s, char *text, size_t size)
{
	char unit[80], number[UNIT_TEXT_MAX];

	if (s->kind == CONTROL__KIND__STATE) {
		snprintf(text, size, "%s", s->state ? s->state : "-");
	} else if (s->kind == CONTROL__KIND__COUNTER && s->known) {
		snprintf(unit, sizeof(unit), "%s/s", !strcmp(s->unit, "1") ? "" : s->unit);
		unit_format(s->value, unit, text, size);
	} else if (s->kind == CONTROL__KIND__COUNTER && s->time) {
		snprintf(text, size, "%s total", unit_format(s->raw, s->unit, number, sizeof(number)));
	} else if (s->known) {
		unit_format(s->value, s->unit, text, size);
	} else {
		snprintf(text, size, "-");
	}
}

static void draw_series(struct canvas *c, const struct top_series *s, unsigned names)
{
	char text[96];
	size_t columns;

	put(c, OUT_PLAIN, s->name);
	series_text(s, text, sizeof(text));
	columns = out_columns(text, strlen(text));
	put_to(c, names + (columns < VALUE_WIDTH ? VALUE_WIDTH - (unsigned)columns : 1));
	put(c, s->stale ? OUT_YELLOW : OUT_BOLD, text);
	if (c->width && s->n > 1) {
		put_to(c, names + VALUE_WIDTH + 2);
		draw_spark(c, s);
	}
	end_line(c);
}

void top_draw(struct top *t, const struct out *o, unsigned width, unsigned height, int64_t now, struct buf *b)
{
	struct canvas c = { .b = b, .o = o, .width = width, .height = height };
	unsigned n = HASH_COUNT(t->series), names = NAME_WIDTH, room = 0;

	draw_head(&c, t, now);
	/* The promises get what the series leave, but a third at the least. */
	if (height > 6) {
		room = height - 6 > n ? height - 6 - n : 0;
		room = room < (height - 6) / 3 ? (height - 6) / 3 : room;
		room = room ? room : 1;
	}
	if (line_left(&c))
		draw_promises(&c, t, now, room);
	if (!line_left(&c))
		return;
	end_line(&c);
	top_sort(t);
	for (const struct top_series *s = t->series; s; s = s->hh.next)
		if (out_columns(s->name, strlen(s->name)) + 1 > names && (!width || names < width / 2))
			names = (unsigned)out_columns(s->name, strlen(s->name)) + 1;
	if (width && names > width / 2 && names > NAME_WIDTH)
		names = width / 2 > NAME_WIDTH ? width / 2 : NAME_WIDTH;
	for (const struct top_series *s = t->series; s && line_left(&c); s = s->hh.next)
		draw_series(&c, s, names);
}
