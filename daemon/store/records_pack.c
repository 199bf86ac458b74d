/* Blocks as they are made: the rows of an open file in three columns, its names, the filter of its words */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/records_format.h"
#include "store/records_sum.h"

#define WORD_SLOTS 32768u           /* a power of two */
#define WORDS_MAX (WORD_SLOTS / 2)  /* with more the block has no filter */
#define FILTER_BITS 10u             /* a word: one of a hundred blocks is looked at in vain */
#define FILTER_BITS_MIN 4u          /* with less it says hardly anything */
#define FILTER_SHARE 10u            /* and no more than this part of the data */

struct name {
	const char *at;
	size_t length;
	uint64_t hash;
	uint32_t subjects, promises;
};

struct packer {
	ZSTD_CCtx *zstd;
	uint8_t *columns;   /* room for three of `size` bytes */
	uint8_t *out;
	size_t size, out_size;
	size_t meta, text, fields;
	struct name *names;
	uint32_t *slots;    /* of names by hash, index + 1; a power of two, twice as many as names at the least */
	uint32_t n_names, names_size, n_slots, last;
	size_t names_length;
	uint64_t *words;    /* a set: 0 is free */
	uint32_t n_words;
	struct block_head head;
	int64_t time;
	uint64_t number;
};

int packer_new(struct packer **ret_packer)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (p) {
		p->zstd = ZSTD_createCCtx();
		p->words = malloc(WORD_SLOTS * sizeof(*p->words));
	}
	if (!p || !p->zstd || !p->words) {
		packer_free(p);
		return -ENOMEM;
	}
	*ret_packer = p;
	return 0;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->zstd);
	free(p->columns);
	free(p->out);
	free(p->names);
	free(p->slots);
	free(p->words);
	free(p);
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static int names_grow(struct packer *p)
{
	uint32_t size = p->names_size ? 2 * p->names_size : 256, n_slots = 2 * size;
	struct name *names = realloc(p->names, size * sizeof(*names));
	uint32_t *slots;

	if (!names)
		return -ENOMEM;
	p->names = names;
	slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(p->slots);
	p->slots = slots;
	p->names_size = size;
	p->n_slots = n_slots;
	for (uint32_t i = 0; i < p->n_names; i++) {
		uint32_t at = (uint32_t)p->names[i].hash & (n_slots - 1);

		while (slots[at])
			at = (at + 1) & (n_slots - 1);
		slots[at] = i + 1;
	}
	return 0;
}

static bool name_is(const struct name *n, const char *text, size_t length)
{
	return n->length == length && !memcmp(n->at, text, length);
}

/* The number of the name, which is added if it is new. -ENOMEM */
static int64_t name_number(struct packer *p, const char *text)
{
	size_t length = strlen(text);
	uint64_t hash;
	uint32_t at;

	/* Records of the same subject come one after the other. */
	if (p->last < p->n_names && name_is(&p->names[p->last], text, length))
		return p->last;
	if (p->n_names == p->names_size && names_grow(p) < 0)
		return -ENOMEM;
	hash = records_sum((const uint8_t *)text, length);
	for (at = (uint32_t)hash & (p->n_slots - 1); p->slots[at]; at = (at + 1) & (p->n_slots - 1))
		if (p->names[p->slots[at] - 1].hash == hash && name_is(&p->names[p->slots[at] - 1], text, length))
			return p->slots[at] - 1;
	p->names[p->n_names] = (struct name){ .at = text, .length = length, .hash = hash };
	p->slots[at] = ++p->n_names;
	p->names_length += length + 12;
	return p->n_names - 1;
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

static void word_add(struct packer *p, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & (WORD_SLOTS - 1);

	while (p->words[at] && p->words[at] != hash)
		at = (at + 1) & (WORD_SLOTS - 1);
	p->n_words += !p->words[at];
	p->words[at] = hash;
}

/* Of texts, each with its NUL */
static void words_add(struct packer *p, const uint8_t *at, size_t length)
{
	uint64_t h = WORD_SEED;
	bool within = false;

	for (const uint8_t *end = at + length; at < end && p->n_words < WORDS_MAX; at++) {
		uint8_t c = word_byte(*at);

		if (c)
			h = (h ^ c) * WORD_PRIME;
		else if (within)
			word_add(p, word_mix(h));
		if (!c)
			h = WORD_SEED;
		within = c != 0;
	}
}

static void filter_make(struct packer *p, size_t data_length)
{
	size_t length = (size_t)p->n_words * FILTER_BITS / 8 + 1, most = data_length / FILTER_SHARE;
	unsigned bits;

	if (length > most)
		length = most;
	bits = p->n_words ? (unsigned)(length * 8 / p->n_words) : 0;
	if (p->n_words >= WORDS_MAX || bits < FILTER_BITS_MIN)
		return;
	p->head.filter_length = (uint32_t)length;
	p->head.probes = (uint8_t)(bits * 7 / 10); /* ln 2 */
}

/* ---- columns ------------------------------------------------------------------------------------------------------ */

static uint8_t *put_number(uint8_t *at, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		*at++ = (uint8_t)(n | 0x80);
	*at++ = (uint8_t)n;
	return at;
}

/* A difference, small ones either way as small numbers */
static uint64_t fold(uint64_t n)
{
	return n << 1 ^ (0 - (n >> 63));
}

static int row_add(struct packer *p, const struct record_row *row)
{
	size_t message = (size_t)(row->fields - row->message), fields = (size_t)(row->end - row->fields);
	const char *at = row->fields, *key, *value;
	int64_t name = name_number(p, row->subject), promise;
	uint8_t *meta = p->columns + p->meta;

	if (name < 0)
		return -ENOMEM;
	p->last = (uint32_t)name;
	p->names[name].subjects++;
	while ((row->flags & ROW_TRANSITION) && (key = row_field(row, &at, &value))) {
		if (strcmp(key, "promise") != 0)
			continue;
		promise = name_number(p, value);
		if (promise < 0)
			return -ENOMEM;
		p->names[promise].promises++;
	}
	if (!p->head.records++) {
		p->head.from = p->head.to = p->time = row->time;
		p->head.number = p->number = row->number;
	}
	p->head.from = row->time < p->head.from ? row->time : p->head.from;
	p->head.to = row->time > p->head.to ? row->time : p->head.to;
	p->head.priorities |= (uint8_t)(1u << row->priority);
	meta = put_number(meta, fold((uint64_t)row->time - (uint64_t)p->time));
	meta = put_number(meta, fold(row->number - p->number));
	*meta++ = (uint8_t)(row->priority | row->flags << 3);
	*meta++ = row->n_fields;
	p->meta = (size_t)(put_number(meta, (uint64_t)name) - p->columns);
	memcpy(p->columns + p->size + p->text, row->message, message);
	memcpy(p->columns + 2 * p->size + p->fields, row->fields, fields);
	p->text += message;
	p->fields += fields;
	p->time = row->time;
	p->number = row->number;
	return 0;
}

/* The first time counts from the least one, which is known at the end only: its number is written again. */
static void first_time(struct packer *p, int64_t first)
{
	uint8_t number[10];
	size_t length = (size_t)(put_number(number, fold((uint64_t)first - (uint64_t)p->head.from)) - number);

	/* It was 0, of one byte. */
	memmove(p->columns + length, p->columns + 1, p->meta - 1);
	memcpy(p->columns, number, length);
	p->meta += length - 1;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static int packer_reserve(struct packer *p, size_t length)
{
	/* A row takes less in its columns than it is long; and the first time may grow. */
	size_t size = length + 64;

	if (size > p->size) {
		free(p->columns);
		p->size = 0;
		p->columns = malloc(3 * size);
		if (!p->columns)
			return -ENOMEM;
		p->size = size;
	}
	p->meta = p->text = p->fields = 0;
	p->n_names = p->last = 0;
	p->names_length = 0;
	if (p->n_slots)
		memset(p->slots, 0, p->n_slots * sizeof(*p->slots));
	memset(p->words, 0, WORD_SLOTS * sizeof(*p->words));
	p->n_words = 0;
	p->head = (struct block_head){ 0 };
	return 0;
}

static void put_names(struct packer *p)
{
	uint8_t *begin = p->out + BLOCK_HEAD, *at = begin;

	for (uint32_t i = 0; i < p->n_names; i++) {
		at = put_number(at, p->names[i].subjects);
		at = put_number(at, p->names[i].promises);
		at = put_number(at, p->names[i].length);
		at = mempcpy(at, p->names[i].at, p->names[i].length);
	}
	p->head.n_names = p->n_names;
	p->head.names_length = (uint32_t)(at - begin);
}

static void put_head(struct packer *p)
{
	const struct block_head *h = &p->head;
	const uint32_t words[] = { h->records, h->meta, h->text, h->fields, h->n_names, h->names_length, h->filter_length };
	uint8_t *at = p->out;

	memcpy(at, BLOCK_MAGIC, 8);
	put_le32(at + 16, h->header_length);
	put_le32(at + 20, h->data_length);
	put_le64(at + 24, h->data_sum);
	put_le64(at + 32, h->sequence);
	put_le64(at + 40, (uint64_t)h->from);
	put_le64(at + 48, (uint64_t)h->to);
	put_le64(at + 56, h->number);
	for (unsigned i = 0; i < 7; i++)
		put_le32(at + 64 + (size_t)4 * i, words[i]);
	at[92] = h->priorities;
	at[93] = h->probes;
	at[94] = at[95] = 0;
	put_le64(at + 8, records_sum(at + 16, h->header_length - 16));
}

/* Names, filter, data and at last the head: the columns are one behind the other in p->columns */
static int packer_finish(struct packer *p, int level, size_t *ret_length)
{
	size_t raw = p->meta + p->text + p->fields, bound = ZSTD_compressBound(raw), n;
	size_t size = BLOCK_HEAD + p->names_length + 2 * bound + 16;
	uint8_t *data;

	if (size > p->out_size) {
		free(p->out);
		p->out_size = 0;
		p->out = malloc(size);
		if (!p->out)
			return -ENOMEM;
		p->out_size = size;
	}
	put_names(p);
	data = p->out + BLOCK_HEAD + p->head.names_length;
	/* Behind the room that the filter may take; it moves up to it then. */
	n = ZSTD_compressCCtx(p->zstd, data + bound, bound, p->columns, raw, level);
	if (ZSTD_isError(n))
		return -ENOMEM;
	p->head.meta = (uint32_t)p->meta;
	p->head.text = (uint32_t)p->text;
	p->head.fields = (uint32_t)p->fields;
	p->head.data_length = (uint32_t)n;
	filter_make(p, n);
	memset(data, 0, p->head.filter_length);
	for (uint32_t i = 0; i < WORD_SLOTS && p->head.filter_length; i++)
		if (p->words[i])
			filter_put(data, p->head.filter_length, p->head.probes, p->words[i]);
	memmove(data + p->head.filter_length, data + bound, n);
	p->head.data_sum = records_sum(data + p->head.filter_length, n);
	p->head.header_length = BLOCK_HEAD + p->head.names_length + p->head.filter_length;
	put_head(p);
	*ret_length = p->head.header_length + n;
	return 0;
}

int packer_pack(struct packer *p, const uint8_t *open, size_t length, int level, const uint8_t **ret_block, size_t *ret_length,
                unsigned *ret_damaged)
{
	struct open_cursor c;
	struct record_row row;
	uint64_t sequence;
	int64_t first = 0;
	int r = packer_reserve(p, length);

	if (r < 0)
		return r;
	if (!open_begin(&c, open, length, &sequence))
		return -EBADMSG;
	while (p->head.records < BLOCK_RECORDS_MAX && open_next(&c, &row)) {
		first = p->head.records ? first : row.time;
		r = row_add(p, &row);
		if (r < 0)
			return r;
	}
	p->head.sequence = sequence;
	*ret_damaged = c.damaged;
	*ret_length = 0;
	if (!p->head.records)
		return 0;
	words_add(p, p->columns + p->size, p->text);
	words_add(p, p->columns + 2 * p->size, p->fields);
	first_time(p, first);
	memmove(p->columns + p->meta, p->columns + p->size, p->text);
	memmove(p->columns + p->meta + p->text, p->columns + 2 * p->size, p->fields);
	r = packer_finish(p, level, ret_length);
	*ret_block = p->out;
	return r;
}
