#include "cli/out.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/units.h"

#define TABLE_COLUMNS 12u

int out_init(struct out *o, const char *when)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	*o = (struct out){ .terminal = isatty(STDOUT_FILENO) };
	o->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (o->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		o->width = size.ws_col;
	if (!when || !strcmp(when, "auto"))
		o->color = o->terminal && !(none && *none) && !(term && !strcmp(term, "dumb"));
	else if (!strcmp(when, "always"))
		o->color = true;
	else if (strcmp(when, "never") != 0)
		return -EINVAL;
	return 0;
}

const char *out_on(const struct out *o, enum out_color color)
{
	static const char *const codes[] = { "", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[36m" };

	return o->color ? codes[color] : "";
}

const char *out_off(const struct out *o, enum out_color color)
{
	return o->color && color != OUT_PLAIN ? "\033[0m" : "";
}

int out_flush(struct out *o)
{
	struct pollfd reader = { .fd = STDOUT_FILENO };

	errno = 0;
	if (o->error || (fflush(stdout) == 0 && !ferror(stdout)))
		return o->error;
	/* stdio failed before and kept the reason to itself: a pipe without a reader tells. */
	if (!errno)
		errno = poll(&reader, 1, 0) > 0 && reader.revents & POLLERR ? EPIPE : EIO;
	return o->error = -errno;
}

bool out_gone(struct out *o)
{
	struct pollfd reader = { .fd = STDOUT_FILENO };

	if (poll(&reader, 1, 0) <= 0 || !(reader.revents & (POLLERR | POLLHUP)))
		return false;
	o->error = o->error ? o->error : -EPIPE;
	return true;
}

void out_clean(struct buf *b, const char *text)
{
	/* C1 control characters are two bytes in UTF-8: c2 80 to c2 9f. */
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			buf_putc(b, '?');
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c++, buf_putc(b, '?');
		else
			buf_putc(b, (char)*c);
	}
}

void out_text(const char *text)
{
	struct buf b = BUF_INIT;

	out_clean(&b, text);
	fputs(buf_text(&b), stdout);
	buf_free(&b);
}

size_t out_columns(const char *text, size_t length)
{
	mbstate_t state = { 0 };
	size_t columns = 0;

	while (length) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, length, &state);
		int width;

		if (n == (size_t)-1 || n == (size_t)-2) {
			memset(&state, 0, sizeof(state));
			n = 1;
			width = 1;
		} else {
			width = wcwidth(c);
			n = n ? n : 1;
		}
		columns += width > 0 ? (size_t)width : 0;
		text += n;
		length -= n;
	}
	return columns;
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

struct cell {
	size_t at, length, columns; /* in the table's text */
	enum out_color color;
};

struct table {
	const char *const *headers;
	unsigned n_columns;
	struct buf text;
	struct cell *cells;
	size_t n_cells, size;
	bool failed;
};

struct table *table_new(const char *const *headers)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->headers = headers;
	while (t->n_columns < TABLE_COLUMNS && headers[t->n_columns])
		t->n_columns++;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	buf_free(&t->text);
	free(t->cells);
	free(t);
}

static struct cell *cell_add(struct table *t, enum out_color color)
{
	if (t->n_cells == t->size) {
		size_t size = t->size ? t->size * 2 : 64;
		struct cell *cells = realloc(t->cells, size * sizeof(*cells));

		if (!cells) {
			t->failed = true;
			return NULL;
		}
		t->cells = cells;
		t->size = size;
	}
	t->cells[t->n_cells] = (struct cell){ .at = t->text.length, .color = color };
	return &t->cells[t->n_cells++];
}

void table_join(struct table *to, const struct table *from)
{
	if (!to || !from)
		return;
	for (size_t i = 0; i < from->n_cells; i++) {
		struct cell *cell = cell_add(to, from->cells[i].color);

		if (!cell)
			return;
		buf_append(&to->text, buf_text(&from->text) + from->cells[i].at, from->cells[i].length);
		cell->length = from->cells[i].length;
		cell->columns = from->cells[i].columns;
	}
}

void table_cell(struct table *t, enum out_color color, const char *format, ...)
{
	struct cell *cell = t ? cell_add(t, color) : NULL;
	struct buf b = BUF_INIT;
	va_list args;

	if (!cell)
		return;
	va_start(args, format);
	buf_vprintf(&b, format, args);
	va_end(args);
	out_clean(&t->text, buf_text(&b));
	cell->length = t->text.length - cell->at;
	cell->columns = out_columns(buf_text(&t->text) + cell->at, cell->length);
	buf_free(&b);
}

static void print_padded(const char *text, size_t length, size_t columns, size_t width, bool right, bool last,
                         const char *on, const char *off)
{
	int pad = width > columns ? (int)(width - columns) : 0;

	if (right)
		printf("%*s", pad, "");
	fputs(on, stdout);
	fwrite(text, 1, length, stdout);
	fputs(off, stdout);
	if (!right && !last)
		printf("%*s", pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

static void table_widths(const struct table *t, bool header, size_t widths[TABLE_COLUMNS])
{
	for (unsigned i = 0; i < t->n_columns; i++) {
		bool right = t->headers[i][0] == '>';

		widths[i] = header ? strlen(t->headers[i]) - right : 0;
	}
	for (size_t i = 0; i < t->n_cells; i++)
		if (t->cells[i].columns > widths[i % t->n_columns])
			widths[i % t->n_columns] = t->cells[i].columns;
}

void table_print(struct table *t, const struct out *o)
{
	size_t widths[TABLE_COLUMNS];

	if (!t || t->failed || t->text.failed) {
		fputs("kith: out of memory\n", stderr);
		return;
	}
	if (!t->n_cells)
		return;
	table_widths(t, o->terminal, widths);
	for (unsigned i = 0; i < t->n_columns && o->terminal; i++) {
		bool right = t->headers[i][0] == '>';
		const char *text = t->headers[i] + right;

		print_padded(text, strlen(text), strlen(text), widths[i], right, i + 1 == t->n_columns, out_on(o, OUT_BOLD),
		             out_off(o, OUT_BOLD));
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		const struct cell *cell = &t->cells[i];
		unsigned column = (unsigned)(i % t->n_columns);

		print_padded(t->text.data ? t->text.data + cell->at : "", cell->length, cell->columns, widths[column],
		             t->headers[column][0] == '>', column + 1 == t->n_columns, out_on(o, cell->color),
		             out_off(o, cell->color));
	}
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

const char *value_text(const Control__Sample *sample, char *text, size_t size)
{
	if (sample->value_case == CONTROL__SAMPLE__VALUE_STATE)
		return sample->state;
	if (sample->value_case != CONTROL__SAMPLE__VALUE_NUMBER)
		return "-";
	return unit_format(sample->number, sample->unit, text, size);
}

const char *assessment_text(Control__Assessment a)
{
	if (a == CONTROL__ASSESSMENT__KEPT)
		return "kept";
	return a == CONTROL__ASSESSMENT__BROKEN ? "broken" : "unknown";
}

enum out_color assessment_color(Control__Assessment a)
{
	if (a == CONTROL__ASSESSMENT__KEPT)
		return OUT_GREEN;
	return a == CONTROL__ASSESSMENT__BROKEN ? OUT_RED : OUT_YELLOW;
}

const char *priority_text(uint32_t priority)
{
	static const char *const names[] = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" };

	return names[priority < 8 ? priority : 7];
}

char *ago_text(int64_t since, int64_t now, char *text, size_t size)
{
	int64_t s = now > since ? (now - since) / NS_PER_S : 0;

	if (!since)
		snprintf(text, size, "-");
	else if (s < 120)
		snprintf(text, size, "%d s", (int)s);
	else if (s < 7200)
		snprintf(text, size, "%d min", (int)(s / 60));
	else if (s < 2 * 86400)
		snprintf(text, size, "%d h %d min", (int)(s / 3600), (int)(s / 60 % 60));
	else
		snprintf(text, size, "%lld d %d h", (long long)(s / 86400), (int)(s / 3600 % 24));
	return text;
}

char *clock_text(int64_t wall, char *text, size_t size)
{
	time_t seconds = (time_t)(wall / NS_PER_S);
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	snprintf(text, size, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall / NS_PER_MS % 1000));
	return text;
}
