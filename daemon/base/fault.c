#include "base/fault.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SOURCE_LINE_MAX 200

/* A byte of a UTF-8 character behind its first */
static bool is_inner(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/*
 * Bytes of the character at `c`, not beyond `end`, and its columns on a terminal: ideographs, syllables of Hangul and most pictures take two. What is no
 * UTF-8 is a character of its own, byte by byte.
 */
static size_t character(const char *c, const char *end, unsigned *ret_columns)
{
	unsigned char a = (unsigned char)*c;
	size_t n = a < 0xc0 ? 1 : a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
	unsigned code;

	*ret_columns = 1;
	for (size_t i = 1; i < n; i++)
		if (c + i >= end || !is_inner(c[i]))
			return 1;
	if (n < 3)
		return n;
	if (a == 0xed && (unsigned char)c[1] >= 0xa0)
		return 1; /* half of a pair of UTF-16 */
	code = (a & 15u) << 12 | ((unsigned char)c[1] & 63u) << 6 | ((unsigned char)c[2] & 63u);
	if (n == 4)
		*ret_columns += a == 0xf0 && (unsigned char)c[1] >= 0x9f;
	else
		*ret_columns += (code >= 0x1100 && code < 0x1160) || (code >= 0x2e80 && code < 0xa4d0) || (code >= 0xac00 && code < 0xd7a4) ||
		                (code >= 0xf900 && code < 0xfb00) || (code >= 0xff01 && code < 0xff61);
	return n;
}

/* Line and column of an offset, and the line's bounds. Columns count bytes, a tab is one. */
static void fault_place(struct fault *fault, const char *text, size_t length, size_t at, size_t width)
{
	size_t start, end;

	if (at > length)
		at = length;
	fault->line = 1;
	for (start = end = 0; end < at; end++)
		if (text[end] == '\n') {
			fault->line++;
			start = end + 1;
		}
	for (end = at; end < length && text[end] != '\n' && text[end] != '\r'; end++)
		;
	fault->column = (unsigned)(at - start) + 1;
	if (at + width > end)
		width = end > at ? end - at : 1;
	fault->width = width ? (unsigned)width : 1;
	/* Of a long line what is around the place, from a whole character on */
	if (end - start > SOURCE_LINE_MAX) {
		size_t line = start;

		if (at - start > SOURCE_LINE_MAX / 2)
			start = at - SOURCE_LINE_MAX / 2;
		while (start < at && is_inner(text[start]))
			start++;
		fault->skipped = (unsigned)(start - line);
		if (end - start > SOURCE_LINE_MAX) {
			for (end = start + SOURCE_LINE_MAX; end > at && is_inner(text[end]); end--)
				;
			fault->cut = true;
		}
	}
	fault->source = malloc(end - start + 1);
	if (!fault->source)
		return;
	/* A NUL in the line is one more character that cannot be shown. */
	for (size_t i = 0; i < end - start; i++)
		fault->source[i] = (unsigned char)text[start + i] < 0x20 && text[start + i] != '\t' ? '?' : text[start + i];
	fault->source[end - start] = '\0';
}

static void fault_free(struct fault *fault)
{
	free(fault->file);
	free(fault->text);
	free(fault->hint);
	free(fault->source);
	free(fault);
}

void fault_add(struct faults *f, bool warning, const char *file, const char *text, size_t length, size_t at, size_t width,
               const char *hint, const char *format, ...)
{
	struct buf b = BUF_INIT;
	struct fault *fault;
	va_list args;

	if (warning)
		f->n_warnings++;
	else
		f->n_errors++;
	if (f->n_kept >= FAULTS_MAX)
		return;
	fault = calloc(1, sizeof(*fault));
	if (!fault)
		return;
	va_start(args, format);
	buf_vprintf(&b, format, args);
	va_end(args);
	fault->text = buf_take(&b);
	fault->file = strdup(file);
	fault->hint = hint ? strdup(hint) : NULL;
	fault->warning = warning;
	fault->line = fault->column = fault->width = 1;
	if (text)
		fault_place(fault, text, length, at, width);
	if (!fault->text || !fault->file) {
		fault_free(fault);
		return;
	}
	if (f->last)
		f->last->next = fault;
	else
		f->first = fault;
	f->last = fault;
	f->n_kept++;
}

static bool fault_later(const struct fault *a, const struct fault *b)
{
	return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* Where `fault` goes in the list: behind all of its file that are not later; NULL: it is there already */
static struct fault **fault_place_in(struct fault **list, const struct fault *fault)
{
	struct fault **at = list;

	while (*at && strcmp((*at)->file, fault->file) != 0)
		at = &(*at)->next;
	for (; *at && !strcmp((*at)->file, fault->file) && !fault_later(*at, fault); at = &(*at)->next)
		if (!fault_later(fault, *at) && !strcmp((*at)->text, fault->text))
			return NULL;
	return at;
}

void faults_sort(struct faults *f)
{
	struct fault *list = NULL, *next;

	for (struct fault *fault = f->first; fault; fault = next) {
		struct fault **at = fault_place_in(&list, fault);

		next = fault->next;
		if (!at) {
			*(fault->warning ? &f->n_warnings : &f->n_errors) -= 1;
			f->n_kept--;
			fault_free(fault);
			continue;
		}
		fault->next = *at;
		*at = fault;
	}
	f->first = f->last = list;
	while (f->last && f->last->next)
		f->last = f->last->next;
}

void faults_free(struct faults *f)
{
	while (f->first) {
		struct fault *next = f->first->next;

		fault_free(f->first);
		f->first = next;
	}
	*f = (struct faults){ 0 };
}

void fault_format(const struct fault *fault, struct buf *b)
{
	const char *at, *end;
	unsigned columns;
	int tildes = 0;
	size_t n;

	buf_printf(b, "%s:%u:%u: %s%s\n", fault->file, fault->line, fault->column, fault->warning ? "warning: " : "", fault->text);
	if (!fault->source) {
		if (fault->hint)
			buf_printf(b, "    %s\n", fault->hint);
		return;
	}
	buf_printf(b, "    %s%s%s\n    %s", fault->skipped ? "…" : "", fault->source, fault->cut ? "…" : "", fault->skipped ? " " : "");
	/* The same tabs before the caret as before what it points at, and as many columns. */
	at = fault->source;
	for (end = at + fault->column - 1 - fault->skipped; at < end;) {
		bool tab = *at == '\t';

		at += character(at, end, &columns);
		buf_printf(b, "%*s", (int)columns, tab ? "\t" : "");
	}
	buf_putc(b, '^');
	n = strlen(at) < fault->width ? strlen(at) : fault->width;
	for (end = at + n; at < end; tildes += (int)columns)
		at += character(at, end, &columns);
	while (tildes-- > 1)
		buf_putc(b, '~');
	if (fault->hint)
		buf_printf(b, " %s", fault->hint);
	buf_putc(b, '\n');
}

void faults_log(const struct faults *f)
{
	for (const struct fault *fault = f->first; fault; fault = fault->next)
		log_line(fault->warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERR, "%s:%u:%u: %s%s%s", fault->file, fault->line,
		         fault->column, fault->text, fault->hint ? "; " : "", fault->hint ? fault->hint : "");
	if (f->n_errors + f->n_warnings > f->n_kept)
		log_warning("%u more faults are not shown", f->n_errors + f->n_warnings - f->n_kept);
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b, over a bounded length. */
#define SUGGEST_MAX 64
static size_t edits(const char *a, size_t n, const char *b, size_t m)
{
	size_t row[3][SUGGEST_MAX + 1];
	size_t *before = row[0], *last = row[1], *now = row[2];

	for (size_t j = 0; j <= m; j++)
		last[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = last[j - 1] + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

const char *suggest(const char *name, size_t length, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t least = SIZE_MAX;

	if (!length || length > SUGGEST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t m = strlen(names[i]), d, longer = m > length ? m : length;

		if (m > SUGGEST_MAX)
			continue;
		d = edits(name, length, names[i], m);
		/* A beginning of at least three letters is a good guess too: "free" for "free_percent". */
		if (length >= 3 && m > length && !strncmp(names[i], name, length) && d > longer / 3)
			d = longer / 3;
		if (d * 3 <= longer + 1 && d < least) {
			least = d;
			best = names[i];
		}
	}
	return best;
}
