/*
 * Notices: what survives a restart, as lines of text:
 *
 *   CRC <tab> KIND <tab> FIELD <tab> …
 *
 * CRC is the CRC-32 of what follows its tab, in eight hex digits, so that every line stands for itself: one that was damaged takes no other with it. In
 * fields a tab, an end of line and a backslash are \t, \n and \\. Fields that are added come last; kinds that are not known are passed over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "promises/calendar.h"
#include "promises/notices_impl.h"

#define FIELDS_MAX 16
#define LINE_MAX_BYTES 8192

static uint32_t crc32_of(const char *data, size_t length)
{
	static const uint32_t half[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		                           0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t crc = ~0u;

	for (size_t i = 0; i < length; i++) {
		crc ^= (unsigned char)data[i];
		crc = crc >> 4 ^ half[crc & 15];
		crc = crc >> 4 ^ half[crc & 15];
	}
	return ~crc;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct writer {
	struct buf *out, line;
	unsigned lines;
};

static void put_text(struct writer *w, const char *text)
{
	buf_putc(&w->line, '\t');
	for (; *text; text++) {
		if (*text == '\t')
			buf_puts(&w->line, "\\t");
		else if (*text == '\n')
			buf_puts(&w->line, "\\n");
		else if (*text == '\\')
			buf_puts(&w->line, "\\\\");
		else
			buf_putc(&w->line, *text);
	}
}

static void put_number(struct writer *w, int64_t number)
{
	buf_printf(&w->line, "\t%" PRId64, number);
}

static void put_line(struct writer *w)
{
	buf_printf(w->out, "%08" PRIx32 "\t%s\n", crc32_of(buf_text(&w->line), w->line.length), buf_text(&w->line));
	w->out->failed = w->out->failed || w->line.failed;
	buf_reset(&w->line);
	w->lines++;
}

static void put_silence(struct writer *w, const struct notice_silence *s)
{
	buf_puts(&w->line, "silence");
	put_number(w, s->id);
	put_number(w, s->made);
	put_number(w, s->from);
	put_number(w, s->to);
	put_number(w, s->every);
	put_number(w, s->days);
	put_number(w, s->day_from);
	put_number(w, s->day_until);
	put_text(w, s->pattern);
	put_text(w, s->promiser);
	put_text(w, s->by);
	put_text(w, s->because);
	put_line(w);
}

static void put_incident(struct writer *w, const struct notices *n, const struct incident *i)
{
	bool open = i->state == INCIDENT_BROKEN || i->state == INCIDENT_UNKNOWN;
	bool quiet = i->ack || incident_silenced(n, i);

	if (i->ack) {
		buf_puts(&w->line, "ack");
		put_text(w, i->key);
		put_text(w, i->promiser);
		put_number(w, i->ack->at);
		put_number(w, i->ack->until);
		put_text(w, i->ack->by);
		put_text(w, i->ack->because);
		put_line(w);
	}
	for (const struct item *item = i->items; item; item = item->next) {
		if (item->told == NOTICE_NOTHING)
			continue;
		buf_puts(&w->line, "told");
		put_text(w, i->key);
		put_text(w, i->promiser);
		put_text(w, item->receiver->name);
		put_text(w, item->told == NOTICE_BROKEN ? "broken" : "unknown");
		put_number(w, item->told_at);
		put_number(w, i->since);
		put_number(w, i->severity);
		put_number(w, item->quieted || (open && quiet));
		put_line(w);
	}
}

int notices_save(const struct notices *n, struct buf *text)
{
	struct writer w = { .out = text };

	buf_puts(&w.line, "kith-notices");
	put_number(&w, 1);
	put_line(&w);
	buf_puts(&w.line, "next");
	put_number(&w, n->next_id ? n->next_id : 1);
	put_line(&w);
	for (size_t i = 0; i < n->n_silences; i++)
		put_silence(&w, &n->silences[i].is);
	for (const struct incident *i = n->incidents; i; i = i->hh.next)
		put_incident(&w, n, i);
	/* So that one that was cut off behind a line is known to be */
	buf_puts(&w.line, "end");
	put_number(&w, w.lines);
	put_line(&w);
	buf_free(&w.line);
	return text->failed ? -ENOMEM : 0;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct line {
	char text[LINE_MAX_BYTES];
	char *fields[FIELDS_MAX]; /* [0] is the kind */
	unsigned n;
};

/* Splits and unescapes; false: it is none */
static bool line_read(const char *at, size_t length, struct line *line)
{
	char crc[9] = { 0 }, *to = line->text, *end;
	const char *from;

	if (length < 10 || length >= LINE_MAX_BYTES || at[8] != '\t' || memchr(at, '\0', length))
		return false;
	memcpy(crc, at, 8);
	if (strspn(crc, "0123456789abcdef") != 8 || strtoul(crc, &end, 16) != crc32_of(at + 9, length - 9))
		return false;
	line->n = 0;
	line->fields[line->n++] = to;
	for (from = at + 9; from < at + length; from++) {
		if (*from == '\t') {
			*to++ = '\0';
			if (line->n == FIELDS_MAX)
				return true; /* a later version's */
			line->fields[line->n++] = to;
		} else if (*from == '\\' && from + 1 < at + length) {
			from++;
			*to++ = *from == 't' ? '\t' : *from == 'n' ? '\n' : *from;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return true;
}

static bool number_read(const struct line *l, unsigned field, int64_t least, int64_t most, int64_t *ret_number)
{
	const char *text = l->fields[field];
	char *end;
	long long value;

	if (!*text || strspn(text, "-0123456789") != strlen(text))
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end || value < least || value > most)
		return false;
	*ret_number = value;
	return true;
}

/* A time that a calendar may reckon with, up to the year 2200 */
#define TIME_MOST (INT64_C(7258118400) * NS_PER_S)

static bool name_good(const char *text)
{
	return *text && strlen(text) <= 2 * NAME_MAX_LENGTH;
}

static int read_silence(struct notices *n, const struct line *l)
{
	struct notice_silence s = { 0 };
	int64_t id, every, days, from, until;

	if (l->n < 13 || !number_read(l, 1, 1, UINT32_MAX, &id) || !number_read(l, 2, 0, TIME_MOST, &s.made) ||
	    !number_read(l, 3, 0, TIME_MOST, &s.from) || !number_read(l, 4, 0, TIME_MOST, &s.to) || !number_read(l, 5, 0, 1, &every) ||
	    !number_read(l, 6, 0, CALENDAR_ALL_DAYS, &days) || !number_read(l, 7, 0, CALENDAR_DAY - 1, &from) ||
	    !number_read(l, 8, 0, CALENDAR_DAY, &until) || !name_good(l->fields[9]) || strlen(l->fields[10]) > 2 * NAME_MAX_LENGTH)
		return -EINVAL;
	if (every ? !days : s.from >= s.to)
		return -EINVAL;
	for (size_t i = 0; i < n->n_silences; i++)
		if (n->silences[i].is.id == id)
			return -EINVAL;
	s.id = (uint32_t)id;
	s.every = every;
	s.days = (unsigned)days;
	s.day_from = (int)from;
	s.day_until = (int)until;
	s.pattern = l->fields[9];
	s.promiser = l->fields[10];
	s.by = l->fields[11];
	s.because = l->fields[12];
	if (s.id >= n->next_id && s.id < UINT32_MAX)
		n->next_id = s.id + 1;
	return silence_add(n, &s);
}

/* One that is not there (yet): given up after a while */
static struct incident *read_incident(struct notices *n, const struct line *l)
{
	struct incident *i = incident_new(n, l->fields[1], l->fields[2]);

	if (i && !i->promise)
		i->changed = n->now + NOTICE_RETURN;
	return i;
}

static int read_ack(struct notices *n, const struct line *l)
{
	struct notice_ack a = { 0 };
	struct incident *i;
	int err;

	if (l->n < 7 || !name_good(l->fields[1]) || !name_good(l->fields[2]) || !number_read(l, 3, 0, TIME_MOST, &a.at) ||
	    !number_read(l, 4, 0, TIME_MOST, &a.until))
		return -EINVAL;
	a.by = l->fields[5];
	a.because = l->fields[6];
	i = read_incident(n, l);
	if (!i)
		return -ENOMEM;
	err = i->ack ? -EINVAL : ack_set(n, i, &a);
	incident_settle(n, i);
	return err;
}

static struct receiver *receiver_find(const struct notices *n, const char *name)
{
	for (size_t k = 0; k < n->n_receivers; k++)
		if (!strcmp(n->receivers[k]->name, name))
			return n->receivers[k];
	return NULL;
}

static int read_told(struct notices *n, const struct line *l)
{
	struct receiver *r = l->n > 3 ? receiver_find(n, l->fields[3]) : NULL;
	int64_t told_at, since, severity, quieted;
	bool broken = l->n > 4 && !strcmp(l->fields[4], "broken");
	struct incident *i;
	struct item *item;

	if (l->n < 9 || !name_good(l->fields[1]) || !name_good(l->fields[2]) || (!broken && strcmp(l->fields[4], "unknown") != 0) ||
	    !number_read(l, 5, 0, TIME_MOST, &told_at) || !number_read(l, 6, 0, TIME_MOST, &since) ||
	    !number_read(l, 7, 0, KITH_DEBUG, &severity) || !number_read(l, 8, 0, 1, &quieted))
		return -EINVAL;
	if (!r)
		return 0; /* no longer a receiver */
	i = read_incident(n, l);
	for (item = i ? i->items : NULL; item; item = item->next)
		if (item->receiver == r)
			return -EINVAL;
	item = i ? item_new(r, i) : NULL;
	if (!item) {
		if (i)
			incident_settle(n, i);
		return -ENOMEM;
	}
	/* The clock may have been set meanwhile: nothing was told in the future. */
	item->told_at = told_at < n->now ? told_at : n->now;
	item_told(item, broken ? NOTICE_BROKEN : NOTICE_UNKNOWN);
	item->quieted = quieted;
	i->broken = i->broken || broken;
	i->since = since < n->now ? since : n->now;
	i->severity = (enum kith_priority)severity;
	return 0;
}

static int read_line(struct notices *n, const struct line *l, bool *end)
{
	int64_t id;

	if (!strcmp(l->fields[0], "silence"))
		return read_silence(n, l);
	if (!strcmp(l->fields[0], "ack"))
		return read_ack(n, l);
	if (!strcmp(l->fields[0], "told"))
		return read_told(n, l);
	if (!strcmp(l->fields[0], "end"))
		*end = true;
	if (strcmp(l->fields[0], "next") != 0)
		return 0;
	if (l->n < 2 || !number_read(l, 1, 1, UINT32_MAX, &id))
		return -EINVAL;
	if (id > n->next_id)
		n->next_id = (uint32_t)id;
	return 0;
}

int notices_load(struct notices *n, const char *text, size_t length, int64_t now, size_t *ret_bad)
{
	struct line *line = malloc(sizeof(*line));
	size_t bad = 0;
	bool end = false;
	void (*changed)(bool asked, void *user) = n->driver.changed;
	int err = 0;

	if (!line)
		return -ENOMEM;
	n->driver.changed = NULL; /* it is what was written */
	if (now > n->now)
		n->now = now;
	while (length && err != -ENOMEM) {
		const char *stop = memchr(text, '\n', length);
		size_t n_line = stop ? (size_t)(stop - text) : length;

		err = stop && line_read(text, n_line, line) ? read_line(n, line, &end) : -EINVAL;
		bad += err < 0;
		n_line += stop != NULL;
		text += n_line;
		length -= n_line;
	}
	free(line);
	n->driver.changed = changed;
	quiet_update(n);
	notices_look(n);
	notices_arm(n);
	if (err == -ENOMEM)
		return err;
	*ret_bad = bad + !end;
	return 0;
}
