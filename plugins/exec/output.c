/* Text and lines of a program's output; the performance data is perf.c's. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exec/output.h"

/* The length of the character at `s`, or 0 when these bytes are no UTF-8 */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	static const struct { unsigned char first, last, low, high; size_t n; } kinds[] = {
		{ 0x00, 0x7f, 0, 0, 1 },          { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },    { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },    { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (*s < kinds[k].first || *s > kinds[k].last)
			continue;
		if (kinds[k].n > left || (kinds[k].n > 1 && (s[1] < kinds[k].low || s[1] > kinds[k].high)))
			return 0;
		for (size_t i = 2; i < kinds[k].n; i++)
			if (s[i] < 0x80 || s[i] > 0xbf)
				return 0;
		return kinds[k].n;
	}
	return 0;
}

/* The next character as it is to be written; how much of `s` it was. A control character is a blank. */
static size_t clean_one(const unsigned char *s, size_t left, char own[4], size_t *ret_put)
{
	size_t step = utf8_length(s, left);

	if (!step) {
		memcpy(own, "\xef\xbf\xbd", *ret_put = 3);
		return 1;
	}
	/* those of C1 (U+0080 to U+009F) too */
	if (*s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0)) {
		own[0] = ' ';
		*ret_put = 1;
	} else {
		memcpy(own, s, *ret_put = step);
	}
	return step;
}

size_t text_clean(const char *data, size_t length, char *text, size_t size)
{
	const unsigned char *s = (const unsigned char *)data, *end = s + length;
	bool line = false; /* a new one has begun, with nothing on it yet */
	size_t n = 0;

	while (s < end) {
		char own[4];
		size_t put, step = clean_one(s, (size_t)(end - s), own, &put), before = 0;
		bool blank = put == 1 && own[0] == ' ';

		line |= *s == '\n' && n > 0;
		s += step;
		if (blank && (n == 0 || line))
			continue;
		while (line && n > 0 && text[n - 1] == ' ')
			n--;
		before = line ? 3 : 0;
		if (n + before + put + 1 > size)
			break;
		memcpy(text + n, " / ", before);
		memcpy(text + n + before, own, put);
		n += before + put;
		line = false;
	}
	while (n > 0 && text[n - 1] == ' ')
		n--;
	if (size > 0)
		text[n] = '\0';
	return n;
}

/* What was gathered of the lines; both buffers are as long as the output */
struct lines {
	char *text, *perf;
	size_t n_text, n_perf;
};

/* The bars divide: text | data, then further text, and from the next bar on all is data. */
static void lines_split(const char *data, size_t length, struct lines *l)
{
	bool first = true, rest_is_perf = false;
	const char *end = data + length;

	while (data < end) {
		const char *stop = memchr(data, '\n', (size_t)(end - data)), *line_end = stop ? stop : end, *bar, *perf;

		bar = rest_is_perf ? data : memchr(data, '|', (size_t)(line_end - data));
		perf = rest_is_perf ? data : bar ? bar + 1 : line_end;
		if (!rest_is_perf) {
			size_t n = (size_t)((bar ? bar : line_end) - data);

			if (!first)
				l->text[l->n_text++] = '\n';
			memcpy(l->text + l->n_text, data, n);
			l->n_text += n;
		}
		if (perf < line_end) {
			memcpy(l->perf + l->n_perf, perf, (size_t)(line_end - perf));
			l->n_perf += (size_t)(line_end - perf);
			l->perf[l->n_perf++] = '\n';
		}
		if (bar && !first)
			rest_is_perf = true;
		first = false;
		data = stop ? stop + 1 : end;
	}
}

int output_parse(const char *data, size_t length, double kilo, struct output *ret_output)
{
	struct lines l = { .text = malloc(length + 2), .perf = malloc(length + 2) };
	struct output o = { .text = malloc(OUTPUT_TEXT_MAX), .all = malloc(OUTPUT_TEXT_MAX) };
	const char *stop;
	int r = -ENOMEM;

	if (!l.text || !l.perf || !o.text || !o.all)
		goto out;
	lines_split(data, length, &l);
	stop = memchr(l.text, '\n', l.n_text);
	text_clean(l.text, stop ? (size_t)(stop - l.text) : l.n_text, o.text, OUTPUT_TEXT_MAX);
	text_clean(l.text, l.n_text, o.all, OUTPUT_TEXT_MAX);
	r = perf_parse(l.perf, l.n_perf, kilo, &o);
out:
	free(l.text);
	free(l.perf);
	if (r < 0)
		output_free(&o);
	else
		*ret_output = o;
	return r;
}

void output_free(struct output *o)
{
	for (size_t i = 0; i < o->n_perfs; i++)
		free(o->perfs[i].label);
	free(o->perfs);
	free(o->text);
	free(o->all);
	*o = (struct output){ 0 };
}
