#include "store/history_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = { [KITH_UNKNOWN] = "unknown", [KITH_KEPT] = "kept", [KITH_BROKEN] = "broken" };

/* ---- out -------------------------------------------------------------------------------------------------------- */

void history_escape(struct buf *b, const char *text, size_t most)
{
	size_t length = strnlen(text, most), begin = 0;

	/* Cut between characters, not within one */
	if (text[length])
		while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c != '\\' && c != 0x7f)
			continue;
		buf_append(b, text + begin, i - begin);
		begin = i + 1;
		if (c == '\\')
			buf_puts(b, "\\\\");
		else if (c == '\t')
			buf_puts(b, "\\t");
		else if (c == '\n')
			buf_puts(b, "\\n");
		else
			buf_printf(b, "\\x%02x", c);
	}
	buf_append(b, text + begin, length - begin);
	if (text[length])
		buf_puts(b, "\xe2\x80\xa6");
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void history_unescape(struct buf *b, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i], next = i + 1 < length ? text[i + 1] : '\0';

		if (c != '\\' || !next) {
			buf_putc(b, c);
		} else if (next == 'x' && i + 3 < length && hex(text[i + 2]) >= 0 && hex(text[i + 3]) >= 0) {
			int value = hex(text[i + 2]) * 16 + hex(text[i + 3]);

			buf_putc(b, value ? (char)value : '?');
			i += 3;
		} else {
			buf_putc(b, next == 't' ? '\t' : next == 'n' ? '\n' : next);
			i++;
		}
	}
}

int history_key(struct buf *b, const char *name, const char *promiser)
{
	size_t before = b->length;

	if (strnlen(name, HISTORY_KEY_MAX) + strnlen(promiser, HISTORY_KEY_MAX) < HISTORY_KEY_MAX) {
		history_escape(b, name, SIZE_MAX);
		buf_putc(b, '\t');
		history_escape(b, promiser, SIZE_MAX);
		if (b->failed || b->length - before <= HISTORY_KEY_MAX)
			return 0;
		b->length = before;
		b->data[before] = '\0';
	}
	return -E2BIG;
}

int history_put_transition(struct buf *b, const struct kith_transition *t, int64_t time)
{
	size_t before = b->length;
	const char *flags = "-";
	int r;

	if (t->size >= offsetof(struct kith_transition, flags) + sizeof(t->flags) && (t->flags & KITH_TRANSITION_REPAIRED))
		flags = "repaired";
	buf_printf(b, "%s\t%lld\t%s\t%s\t", words[t->to <= KITH_BROKEN ? t->to : KITH_UNKNOWN], (long long)time,
	           words[t->from <= KITH_BROKEN ? t->from : KITH_UNKNOWN], flags);
	r = history_key(b, t->name, t->promiser);
	if (r < 0) {
		if (!b->failed) {
			b->length = before;
			b->data[before] = '\0';
		}
		return r;
	}
	buf_putc(b, '\t');
	history_escape(b, t->because ? t->because : "", HISTORY_BECAUSE_MAX);
	buf_putc(b, '\n');
	return 0;
}

void history_put_line(struct buf *b, const char *key, size_t key_length, int64_t time, enum kith_assessment from, enum kith_assessment to,
                      bool repaired)
{
	buf_printf(b, "%s\t%lld\t%s\t%s\t", words[to], (long long)time, words[from], repaired ? "repaired" : "-");
	buf_append(b, key, key_length);
	buf_puts(b, "\t\n");
}

void history_put_sum(struct buf *b, const char *key, size_t key_length, const struct history_sum *s, int64_t end,
                     enum kith_assessment to)
{
	buf_printf(b, "sum\t%lld\t%s\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld\t", (long long)end, words[to],
	           (long long)s->start, (long long)s->kept, (long long)s->broken, (long long)s->transitions, (long long)s->breaks,
	           (long long)s->repairs, (long long)s->mends, (long long)s->mend_time, (long long)s->longest, (long long)s->open);
	buf_append(b, key, key_length);
	buf_putc(b, '\n');
}

/* ---- in --------------------------------------------------------------------------------------------------------- */

struct words {
	const char *at, *end;
	bool last; /* the word taken last was the line's last */
};

/* The next word; NULL past the last */
static const char *word_next(struct words *w, size_t *ret_length)
{
	const char *at = w->at, *tab;

	if (w->last)
		return NULL;
	tab = memchr(at, '\t', (size_t)(w->end - at));
	w->last = !tab;
	*ret_length = (size_t)((tab ? tab : w->end) - at);
	w->at = tab ? tab + 1 : w->end;
	return at;
}

static bool word_is(const char *at, size_t length, const char *word)
{
	return strlen(word) == length && !memcmp(at, word, length);
}

/* Decimal, at most 2^62 in size: so that sums and differences of two fit */
static bool number_next(struct words *w, bool negative, int64_t *ret_number)
{
	size_t length, i = 0;
	const char *at = word_next(w, &length);
	int64_t value = 0;
	bool minus;

	if (!at || !length)
		return false;
	minus = at[0] == '-';
	i = minus;
	if (i == length || length - i > 19 || (minus && !negative))
		return false;
	for (; i < length; i++) {
		if (at[i] < '0' || at[i] > '9' || value > (INT64_C(1) << 62) / 10)
			return false;
		value = value * 10 + (at[i] - '0');
	}
	if (value > INT64_C(1) << 62)
		return false;
	*ret_number = minus ? -value : value;
	return true;
}

static bool assessment_is(const char *at, size_t length, enum kith_assessment *ret_assessment)
{
	for (unsigned a = 0; a < KITH_COUNT(words); a++)
		if (word_is(at, length, words[a])) {
			*ret_assessment = (enum kith_assessment)a;
			return true;
		}
	return false;
}

static bool assessment_next(struct words *w, enum kith_assessment *ret_assessment)
{
	size_t length;
	const char *at = word_next(w, &length);

	return at && assessment_is(at, length, ret_assessment);
}

static bool key_next(struct words *w, struct history_line *line)
{
	size_t length, more;
	const char *name = word_next(w, &length), *promiser = name ? word_next(w, &more) : NULL;

	if (!promiser || !length)
		return false;
	line->key = name;
	line->key_length = length + 1 + more;
	return line->key_length <= HISTORY_KEY_MAX;
}

static bool parse_transition(struct words *w, struct history_line *line)
{
	const char *flags;
	size_t length;

	line->kind = HISTORY_TRANSITION;
	if (!number_next(w, false, &line->time) || !assessment_next(w, &line->from))
		return false;
	flags = word_next(w, &length);
	if (!flags || !key_next(w, line))
		return false;
	line->repaired = word_is(flags, length, "repaired");
	line->because = word_next(w, &line->because_length);
	return line->because && w->last;
}

static bool parse_sum(struct words *w, struct history_line *line)
{
	struct history_sum *s = &line->sum;
	int64_t *const numbers[] = { &s->start, &s->kept, &s->broken, &s->transitions, &s->breaks, &s->repairs, &s->mends, &s->mend_time,
		                     &s->longest };

	line->kind = HISTORY_SUM;
	if (!number_next(w, false, &line->time) || !assessment_next(w, &line->to))
		return false;
	for (size_t i = 0; i < KITH_COUNT(numbers); i++)
		if (!number_next(w, false, numbers[i]))
			return false;
	if (!number_next(w, true, &s->open) || !key_next(w, line) || !w->last)
		return false;
	/* The parts are within the whole; what only looks like a sum must not make a year of an hour. */
	return s->start <= line->time && s->kept <= line->time - s->start && s->broken <= line->time - s->start - s->kept &&
	       s->transitions < INT32_MAX && s->breaks <= s->transitions && s->repairs <= s->transitions && s->mends <= s->transitions &&
	       s->mend_time <= line->time && s->longest <= line->time && s->open >= -1 && s->open <= line->time;
}

static bool parse_words(struct words *w, struct history_line *line)
{
	size_t length;
	const char *kind = word_next(w, &length);

	if (*kind == '#') {
		line->kind = HISTORY_COMMENT;
		return true;
	}
	if (assessment_is(kind, length, &line->to))
		return parse_transition(w, line);
	if (word_is(kind, length, "sum"))
		return parse_sum(w, line);
	if (word_is(kind, length, "begin")) {
		line->kind = HISTORY_BEGIN;
		return number_next(w, false, &line->time) && number_next(w, false, &line->other) && w->last;
	}
	if (word_is(kind, length, "end")) {
		line->kind = HISTORY_END;
		return number_next(w, false, &line->time) && w->last;
	}
	if (word_is(kind, length, "jump")) {
		line->kind = HISTORY_JUMP;
		return number_next(w, false, &line->time) && number_next(w, true, &line->other) && w->last;
	}
	if (word_is(kind, length, "lost")) {
		line->kind = HISTORY_LOST;
		return number_next(w, false, &line->time) && number_next(w, false, &line->other) && number_next(w, false, &line->count) &&
		       w->last;
	}
	return false;
}

int history_line_parse(const char *text, size_t length, struct history_line *ret_line)
{
	struct words w = { .at = text, .end = text + length };
	struct history_line line = { .kind = HISTORY_COMMENT };

	if (!length || length >= HISTORY_LINE_MAX || memchr(text, '\0', length) || !parse_words(&w, &line))
		return -EINVAL;
	*ret_line = line;
	return 0;
}
