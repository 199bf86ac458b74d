/* One block or open file: what fits, as frames */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/log/log.h"
#include "store/records_impl.h"
#include "store/records_walk.h"

/* ---- chunks -------------------------------------------------------------------------------------------------------- */

void chunk_free(struct chunk *c)
{
	free(c->frames);
	free(c->found);
	*c = (struct chunk){ 0 };
}

static bool chunk_reserve(struct chunk *c, size_t more)
{
	if (c->length + more > c->size) {
		size_t size = 2 * (c->length + more) + 4096;
		uint8_t *frames = realloc(c->frames, size);

		if (!frames)
			return false;
		c->frames = frames;
		c->size = size;
	}
	if (c->n == c->n_size) {
		size_t n_size = 2 * c->n + 64;
		struct found *found = realloc(c->found, n_size * sizeof(*found));

		if (!found)
			return false;
		c->found = found;
		c->n_size = n_size;
	}
	return true;
}

void chunk_add(struct chunk *c, const struct record_row *row, const char *subject, const char *source)
{
	Control__Record message = CONTROL__RECORD__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__Field fields[ROW_N_FIELDS_MAX], *list[ROW_N_FIELDS_MAX];
	const char *at = row->fields, *key, *value;
	size_t length;

	while (message.n_fields < ROW_N_FIELDS_MAX && (key = row_field(row, &at, &value))) {
		Control__Field *f = &fields[message.n_fields];

		control__field__init(f);
		f->key = (char *)(uintptr_t)key;
		f->value = (char *)(uintptr_t)value;
		list[message.n_fields++] = f;
	}
	message.fields = list;
	message.time = row->time;
	message.priority = row->priority;
	message.subject = (char *)(uintptr_t)subject;
	message.message = (char *)(uintptr_t)row->message;
	message.number = row->number;
	message.source = (char *)(uintptr_t)source;
	answer.is_case = CONTROL__ANSWER__IS_RECORD;
	answer.record = &message;
	length = control__answer__get_packed_size(&answer);
	if (length > FRAME_ANSWER_MAX)
		return;
	if (!chunk_reserve(c, FRAME_HEADER + length)) {
		c->failed = true;
		return;
	}
	frame_put_length(c->frames + c->length, length);
	control__answer__pack(&answer, c->frames + c->length + FRAME_HEADER);
	c->found[c->n++] = (struct found){ .time = row->time, .at = c->length, .length = FRAME_HEADER + length };
	c->length += FRAME_HEADER + length;
}

/* ---- the scanner --------------------------------------------------------------------------------------------------- */

int scanner_open(struct scanner *s, const struct query *q, int dir)
{
	*s = (struct scanner){ .query = q, .dir = dir, .fd = -1 };
	return block_dctx_new(&s->dctx);
}

void scanner_close(struct scanner *s)
{
	block_dctx_free(s->dctx);
	if (s->fd >= 0)
		close(s->fd);
	free(s->data);
	free(s->raw);
	free(s->names);
	free(s->name_at);
	free(s->name_text);
	*s = (struct scanner){ .fd = -1 };
}

static int room_for(void **data, size_t *size, size_t need)
{
	void *grown;

	if (need <= *size)
		return 0;
	grown = realloc(*data, need);
	if (!grown)
		return -ENOMEM;
	*data = grown;
	*size = need;
	return 0;
}

static const char *promise_of(const struct record_row *row)
{
	const char *at = row->fields, *key, *value;

	while ((row->flags & ROW_TRANSITION) && (key = row_field(row, &at, &value)))
		if (!strcmp(key, "promise"))
			return value;
	return NULL;
}

static bool row_fits(const struct query *q, const struct record_row *row)
{
	return row->priority <= q->priority && row->time >= q->from && row->time <= q->to && query_fields(q, row) &&
	       query_message(q, row->message);
}

/* ---- an open file -------------------------------------------------------------------------------------------------- */

static int scan_open(struct scanner *s, const struct unit *u, struct chunk *chunk, uint64_t *count)
{
	struct open_cursor c;
	struct record_row row;
	uint64_t sequence;
	int r;

	r = room_for((void **)&s->data, &s->data_size, (size_t)u->size + 1);
	if (r == 0)
		r = records_pread(&records_system_io, u->fd, s->data, (size_t)u->size, 0);
	if (r < 0)
		return r;
	if (!open_begin(&c, s->data, (size_t)u->size, &sequence))
		return u->size < (int64_t)OPEN_HEAD ? 0 : -EBADMSG;
	while (open_next(&c, &row)) {
		if (!row_fits(s->query, &row) || !query_subject(s->query, row.subject, promise_of(&row)))
			continue;
		(*count)++;
		if (chunk)
			chunk_add(chunk, &row, row.subject, "kith");
	}
	/* What is torn at its end is being written just now. */
	s->damaged += c.damaged - (c.damaged && c.whole < c.length);
	return 0;
}

/* ---- a block ------------------------------------------------------------------------------------------------------- */

/* Which names fit. False: none, so that there is nothing in the block. -ENOMEM, -EBADMSG */
static int names_fit(struct scanner *s, const struct block_head *h)
{
	size_t at = 0, n = 0;
	char *text;
	bool any = false;
	int r;

	if (h->n_names > h->names_length)
		return -EBADMSG;
	if (h->n_names > s->names_size) {
		free(s->names);
		free(s->name_at);
		s->names_size = 0;
		s->names = malloc(h->n_names * sizeof(*s->names));
		s->name_at = malloc(h->n_names * sizeof(*s->name_at));
		if (!s->names || !s->name_at)
			return -ENOMEM;
		s->names_size = h->n_names;
	}
	r = room_for((void **)&s->name_text, &s->name_text_size, (size_t)h->names_length + h->n_names + 1);
	if (r < 0)
		return r;
	text = s->name_text;
	for (struct block_name name; n < h->n_names; n++) {
		if (!block_name(h, &at, &name))
			return -EBADMSG;
		s->name_at[n] = text;
		text = mempcpy(text, name.at, name.length);
		*text++ = '\0';
		s->names[n] = query_subject(s->query, s->name_at[n], NULL);
		any |= s->names[n] && name.subjects;
		/* Of a promise: its transitions fit, whatever their subjects */
		any |= name.promises && query_subject(s->query, "", s->name_at[n]);
	}
	return any;
}

static bool block_row_fits(const struct scanner *s, const struct record_row *row, uint32_t name)
{
	const char *promise;

	if (!s->names[name]) {
		promise = promise_of(row);
		if (!promise || !query_subject(s->query, s->name_at[name], promise))
			return false;
	}
	return row_fits(s->query, row);
}

/* Where each literal comes next in the messages */
struct hits {
	const struct query *query;
	const char *end, *next[QUERY_LITERALS];
	bool looked;
};

/* The nearest at `at` or behind; `end`: none */
static const char *hits_next(struct hits *h, const char *at)
{
	const char *nearest = h->end;

	for (size_t i = 0; i < h->query->n_literals; i++) {
		const struct literal *l = &h->query->literals[i];

		if (!h->looked || h->next[i] < at)
			h->next[i] = query_find(l, at, h->end);
		nearest = h->next[i] < nearest ? h->next[i] : nearest;
	}
	h->looked = true;
	return nearest;
}

static int scan_rows(struct scanner *s, const struct block_head *h, struct chunk *chunk, uint64_t *count)
{
	struct hits hits = { .query = s->query };
	bool literals = s->query->n_literals > 0;
	struct block_cursor c;
	struct record_row row;

	block_begin(&c, h, s->raw);
	hits.end = c.text_end;
	/* Records before the next place where a literal is are not looked at; behind the last there is nothing. */
	while (!literals || hits_next(&hits, c.text) < hits.end) {
		if (!block_next(&c, &row))
			return c.left ? -EBADMSG : 0;
		if ((literals && hits_next(&hits, row.message) >= c.text) || !block_row_fits(s, &row, c.name))
			continue;
		(*count)++;
		if (chunk)
			chunk_add(chunk, &row, s->name_at[c.name], "kith");
	}
	return 0;
}

static int block_file(struct scanner *s, uint64_t number)
{
	char name[FILE_NAME_MAX];

	if (s->fd >= 0 && s->file == number)
		return 0;
	if (s->fd >= 0)
		close(s->fd);
	records_file_name(name, number, false);
	s->fd = records_system_io.open(s->dir, name, O_RDONLY, NULL);
	s->file = number;
	return s->fd < 0 ? -errno : 0;
}

static int scan_block(struct scanner *s, const struct unit *u, struct chunk *chunk, uint64_t *count)
{
	const struct index_entry *e = &u->entry;
	struct block_head h;
	int r = block_file(s, u->file);

	if (r == 0)
		r = room_for((void **)&s->data, &s->data_size, (size_t)e->header_length + e->data_length);
	if (r == 0)
		r = records_pread(&records_system_io, s->fd, s->data, e->header_length, (int64_t)e->offset);
	if (r < 0)
		return r;
	if (!block_head_get(s->data, e->header_length, &h) || h.header_length != e->header_length || h.data_length != e->data_length)
		return -EBADMSG;
	if (!query_block(s->query, &h))
		return 0;
	r = names_fit(s, &h);
	if (r <= 0)
		return r;
	r = room_for((void **)&s->raw, &s->raw_size, block_raw(&h) + 1);
	if (r == 0)
		r = records_pread(&records_system_io, s->fd, s->data + h.header_length, h.data_length, (int64_t)e->offset + h.header_length);
	if (r == 0)
		r = block_unpack(s->dctx, &h, s->data + h.header_length, s->raw);
	return r < 0 ? r : scan_rows(s, &h, chunk, count);
}

int scanner_scan(struct scanner *s, const struct unit *u, struct chunk *chunk, uint64_t *ret_count)
{
	uint64_t count = 0;
	int r = u->open ? scan_open(s, u, chunk, &count) : scan_block(s, u, chunk, &count);

	/* The cap took it away meanwhile, or it cannot be read: the others can. */
	if (r == -ENOENT) {
		s->gone++;
		r = 0;
	} else if (r == -EBADMSG || r == -EIO) {
		s->damaged++;
		r = 0;
	}
	if (r == 0 && chunk && chunk->failed)
		r = -ENOMEM;
	*ret_count = count;
	return r;
}
