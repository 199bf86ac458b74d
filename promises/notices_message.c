/* Notices: the words of a message, as text and as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "promises/calendar.h"
#include "promises/engine.h"
#include "promises/notices_impl.h"

/* Bytes: all of it fits into what a child's standard input takes at once (60 KiB). Text may double in JSON. */
#define TEXT_MAX_BYTES (12 * 1024)
#define LIST_MAX_BYTES (24 * 1024)
#define SUBJECT_NAMES 120
#define BECAUSE_MAX 400
#define PROMISEES_LISTED 8
#define AFFECTED_LISTED 10

/* One promise of the message */
struct row {
	struct item *item;
	struct promise_info info;
	size_t affected;          /* promises that are unknown on account of this one */
	struct buf names;         /* of the first of them */
	struct buf names_json;
};

struct writing {
	struct notices *n;
	const struct receiver *r;
	struct row *rows;
	size_t n_rows, n_items;
	unsigned counts[N_NOTICES];
	enum notice_what what;    /* the most urgent */
	enum kith_priority severity;
	struct message m;
	struct buf list;
	size_t listed;
};

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static void put_clean(struct buf *b, const char *text, size_t max)
{
	buf_clean_line(b, text, strlen(text), max);
}

static void put_clean_json(struct buf *b, const char *text, size_t max)
{
	struct buf clean = BUF_INIT;

	put_clean(&clean, text, max);
	b->failed = b->failed || clean.failed;
	buf_json(b, buf_text(&clean));
	buf_free(&clean);
}

static const char *what_name(enum notice_what what)
{
	static const char *const names[] = { "nothing", "broken", "unknown", "repeat", "gone", "kept" };

	return names[what];
}

static const char *what_says(const struct item *item)
{
	switch (item->sending) {
	case NOTICE_BROKEN:
		return "broken";
	case NOTICE_UNKNOWN:
		return "unknown";
	case NOTICE_REPEAT:
		return item->told == NOTICE_UNKNOWN ? "still unknown" : "still broken";
	case NOTICE_GONE:
		return "no longer promised";
	case NOTICE_KEPT:
		return "kept again";
	case NOTICE_NOTHING:
	case N_NOTICES:
		break;
	}
	return "";
}

/* ---- who depends on them ----------------------------------------------------------------------------------------- */

static void affected_one(struct promise *pr, void *user)
{
	struct writing *w = user;
	struct promise *root = promise_root(pr);
	const struct incident *i = root ? promise_mark(root) : NULL;
	struct promise_info info;
	struct row *row;

	if (!i || !i->row)
		return;
	row = &w->rows[i->row - 1];
	if (row->affected++ >= AFFECTED_LISTED)
		return;
	promise_look(pr, &info);
	if (row->names.length) {
		buf_puts(&row->names, ", ");
		buf_putc(&row->names_json, ',');
	}
	put_clean(&row->names, info.name, 2 * NAME_PART_MAX + 1);
	if (strcmp(info.name, info.promiser) != 0) {
		buf_puts(&row->names, " (");
		put_clean(&row->names, info.promiser, NAME_MAX_LENGTH);
		buf_putc(&row->names, ')');
	}
	buf_puts(&row->names_json, "{\"name\":");
	put_clean_json(&row->names_json, info.name, 2 * NAME_PART_MAX + 1);
	buf_puts(&row->names_json, ",\"promiser\":");
	put_clean_json(&row->names_json, info.promiser, NAME_MAX_LENGTH);
	buf_putc(&row->names_json, '}');
}

/* ---- one promise ------------------------------------------------------------------------------------------------- */

/* Orphans are known by name alone. */
static void row_look(struct row *row)
{
	const struct incident *i = row->item->incident;

	if (i->promise)
		promise_look(i->promise, &row->info);
	else
		row->info = (struct promise_info){ .name = i->key, .promiser = i->promiser, .severity = i->severity, .assessment = KITH_UNKNOWN };
}

static const char *row_because(const struct row *row)
{
	const struct incident *i = row->item->incident;

	return i->promise ? promise_because(i->promise) : "it was changed or taken out, or what it is about has ended";
}

static void row_text(struct writing *w, const struct row *row, struct buf *b)
{
	const struct incident *i = row->item->incident;
	enum notice_what what = row->item->sending;

	buf_printf(b, "%s %s: ", what_says(row->item), severity_name(i->severity));
	put_clean(b, i->key, 2 * NAME_PART_MAX + 1);
	buf_puts(b, " of ");
	put_clean(b, i->promiser, NAME_MAX_LENGTH);
	buf_puts(b, "\n    ");
	put_clean(b, row_because(row), BECAUSE_MAX);
	buf_puts(b, what == NOTICE_KEPT || what == NOTICE_GONE ? "\n    was broken since " : "\n    since ");
	calendar_word_time(b, i->since);
	buf_puts(b, ", for ");
	word_duration(b, ((what == NOTICE_KEPT || what == NOTICE_GONE ? i->changed : w->n->now) - i->since) / NS_PER_S * NS_PER_S);
	buf_putc(b, '\n');
	for (size_t k = 0; k < row->info.n_promisees && k < PROMISEES_LISTED; k++) {
		buf_puts(b, k ? ", " : "    promised to ");
		put_clean(b, row->info.promisees[k], NAME_PART_MAX);
	}
	if (row->info.n_promisees)
		buf_puts(b, row->info.n_promisees > PROMISEES_LISTED ? " and others\n" : "\n");
	if (row->affected) {
		buf_printf(b, "    also affected: %zu promise%s: %s", row->affected, row->affected == 1 ? "" : "s", buf_text(&row->names));
		if (row->affected > AFFECTED_LISTED)
			buf_printf(b, " and %zu more", row->affected - AFFECTED_LISTED);
		buf_putc(b, '\n');
	}
	buf_putc(b, '\n');
}

static void row_json(const struct row *row, struct buf *b)
{
	const struct incident *i = row->item->incident;
	char time[CLOCK_TEXT_MAX];

	buf_puts(b, "{\"name\":");
	put_clean_json(b, i->key, 2 * NAME_PART_MAX + 1);
	buf_puts(b, ",\"promiser\":");
	put_clean_json(b, i->promiser, NAME_MAX_LENGTH);
	buf_puts(b, ",\"promisees\":[");
	for (size_t k = 0; k < row->info.n_promisees && k < PROMISEES_LISTED; k++) {
		if (k)
			buf_putc(b, ',');
		put_clean_json(b, row->info.promisees[k], NAME_PART_MAX);
	}
	buf_printf(b, "],\"what\":\"%s\",\"assessment\":", what_name(row->item->sending));
	buf_printf(b, i->promise ? "\"%s\"" : "null", assessment_name(row->info.assessment));
	buf_printf(b, ",\"severity\":\"%s\",\"since\":\"%s\",\"because\":", severity_name(i->severity),
	           clock_format(i->since, time, sizeof(time)));
	put_clean_json(b, row_because(row), BECAUSE_MAX);
	buf_printf(b, ",\"affected\":[%s],\"n_affected\":%zu}", buf_text(&row->names_json), row->affected);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int row_order(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
	const struct incident *i = x->incident, *k = y->incident;

	if (x->sending != y->sending)
		return x->sending < y->sending ? -1 : 1;
	if (i->severity != k->severity)
		return i->severity < k->severity ? -1 : 1;
	if (i->since != k->since)
		return i->since < k->since ? -1 : 1;
	return strcmp(i->key, k->key) ? strcmp(i->key, k->key) : strcmp(i->promiser, k->promiser);
}

static int rows_make(struct writing *w, struct item **items, size_t n)
{
	qsort(items, n, sizeof(struct item *), row_order);
	w->severity = KITH_DEBUG;
	w->n_items = n;
	w->what = items[0]->sending;
	for (size_t k = 0; k < n; k++) {
		w->counts[items[k]->sending]++;
		if (items[k]->incident->severity < w->severity)
			w->severity = items[k]->incident->severity;
	}
	w->rows = calloc(n < NOTICE_LISTED_MAX ? n : NOTICE_LISTED_MAX, sizeof(*w->rows));
	if (!w->rows)
		return -ENOMEM;
	for (; w->n_rows < n && w->n_rows < NOTICE_LISTED_MAX; w->n_rows++) {
		w->rows[w->n_rows].item = items[w->n_rows];
		row_look(&w->rows[w->n_rows]);
		items[w->n_rows]->incident->row = w->n_rows + 1;
	}
	promises_each(w->n->promises, affected_one, w);
	for (size_t k = 0; k < w->n_rows; k++)
		w->rows[k].item->incident->row = 0;
	return 0;
}

static void write_subject(struct writing *w)
{
	static const char *const words[] = { "", "broken", "unknown", "still broken", "no longer promised", "kept again" };
	struct buf *b = &w->m.subject;
	const char *between = "";
	struct buf names = BUF_INIT;

	put_clean(b, w->n->host, 255);
	buf_puts(b, ": ");
	if (w->n_items == 1) {
		const struct item *item = w->rows[0].item;

		put_clean(b, item->incident->key, 2 * NAME_PART_MAX + 1);
		buf_puts(b, " of ");
		put_clean(b, item->incident->promiser, SUBJECT_NAMES);
		buf_printf(b, " is %s (%s)", what_says(item), severity_name(item->incident->severity));
		return;
	}
	for (int k = NOTICE_BROKEN; k < N_NOTICES; k++) {
		if (!w->counts[k])
			continue;
		buf_printf(b, "%s%u %s", between, w->counts[k], words[k]);
		between = ", ";
	}
	buf_printf(b, " (%s): ", severity_name(w->severity));
	for (size_t k = 0; k < w->n_rows && names.length < SUBJECT_NAMES; k++) {
		buf_puts(&names, k ? ", " : "");
		buf_puts(&names, w->rows[k].item->incident->key);
		if (names.length >= SUBJECT_NAMES)
			buf_puts(&names, ", ");
	}
	put_clean(b, buf_text(&names), SUBJECT_NAMES);
	b->failed = b->failed || names.failed;
	buf_free(&names);
}

/* "9,950" */
static void put_count(struct buf *b, size_t count)
{
	char digits[32];
	int n = snprintf(digits, sizeof(digits), "%zu", count);

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf_putc(b, ',');
		buf_putc(b, digits[i]);
	}
}

/* As many rows as there is room for */
static void write_rows(struct writing *w)
{
	struct buf *text = &w->m.text;

	for (; w->listed < w->n_rows; w->listed++) {
		struct buf one = BUF_INIT, json = BUF_INIT;
		bool room;

		row_text(w, &w->rows[w->listed], &one);
		row_json(&w->rows[w->listed], &json);
		room = text->length + one.length <= TEXT_MAX_BYTES && w->list.length + json.length <= LIST_MAX_BYTES;
		text->failed = text->failed || one.failed || json.failed;
		if (room) {
			buf_puts(text, buf_text(&one));
			if (w->listed)
				buf_putc(&w->list, ',');
			buf_puts(&w->list, buf_text(&json));
		}
		buf_free(&one);
		buf_free(&json);
		if (!room)
			break;
	}
	if (w->n_items > w->listed) {
		buf_puts(text, "and ");
		put_count(text, w->n_items - w->listed);
		buf_puts(text, " more: kith promises lists all\n\n");
	}
	buf_puts(text, "kithd on ");
	put_clean(text, w->n->host, 255);
	buf_puts(text, "; kith explain says more, kith ack stops the repetition\n");
}

static void write_json(struct writing *w, const char *time)
{
	struct buf *b = &w->m.json;

	buf_puts(b, "{\"host\":");
	put_clean_json(b, w->n->host, 255);
	buf_printf(b, ",\"time\":\"%s\",\"receiver\":", time);
	put_clean_json(b, w->r->name, 255);
	buf_printf(b, ",\"what\":\"%s\",\"severity\":\"%s\",\"count\":%zu,\"subject\":", what_name(w->what), severity_name(w->severity), w->n_items);
	buf_json(b, buf_text(&w->m.subject));
	buf_puts(b, ",\"text\":");
	buf_json(b, buf_text(&w->m.text));
	buf_printf(b, ",\"promises\":[%s],\"more\":%zu}\n", buf_text(&w->list), w->n_items - w->listed);
}

static int write_env(struct writing *w, const char *time)
{
	char count[32];
	const char *const values[][2] = {
		{ "HOST", w->n->host }, { "TIME", time }, { "RECEIVER", w->r->name }, { "WHAT", what_name(w->what) },
		{ "SEVERITY", severity_name(w->severity) }, { "COUNT", count }, { "SUBJECT", buf_text(&w->m.subject) },
		{ "TEXT", buf_text(&w->m.text) },
	};

	snprintf(count, sizeof(count), "%zu", w->n_items);
	for (size_t k = 0; k < KITH_COUNT(values); k++) {
		struct buf b = BUF_INIT;

		buf_printf(&b, "KITH_%s=%s", values[k][0], values[k][1]);
		w->m.env[k] = buf_take(&b);
		if (!w->m.env[k])
			return -ENOMEM;
	}
	return 0;
}

void message_free(struct message *m)
{
	for (size_t k = 0; k < KITH_COUNT(m->env); k++)
		free(m->env[k]);
	buf_free(&m->subject);
	buf_free(&m->text);
	buf_free(&m->json);
}

int message_make(struct notices *n, const struct receiver *r, struct item **items, size_t n_items, struct message *ret_message)
{
	struct writing w = { .n = n, .r = r };
	char time[CLOCK_TEXT_MAX];
	int err = rows_make(&w, items, n_items);

	if (err == 0) {
		clock_format(n->now, time, sizeof(time));
		write_subject(&w);
		write_rows(&w);
		write_json(&w, time);
		err = w.m.subject.failed || w.m.text.failed || w.m.json.failed || w.list.failed ? -ENOMEM : write_env(&w, time);
	}
	for (size_t k = 0; k < w.n_rows; k++) {
		buf_free(&w.rows[k].names);
		buf_free(&w.rows[k].names_json);
	}
	free(w.rows);
	buf_free(&w.list);
	if (err < 0)
		message_free(&w.m);
	else
		*ret_message = w.m;
	return err;
}
