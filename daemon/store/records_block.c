/* Blocks as they are read */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/records_format.h"
#include "store/records_sum.h"

/* A number of seven bits a byte, the lowest first. Returns behind it; NULL: it does not end before `end` */
static const uint8_t *get_number(const uint8_t *at, const uint8_t *end, uint64_t *ret_number)
{
	uint64_t n = 0;

	for (unsigned shift = 0; at && at < end && shift < 64; shift += 7) {
		n |= (uint64_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80)) {
			*ret_number = n;
			return at;
		}
	}
	return NULL;
}

/* 0, -1, 1, -2 … as 0, 1, 2, 3 … */
static uint64_t unfold(uint64_t n)
{
	return n >> 1 ^ (0 - (n & 1));
}

/* ---- header ------------------------------------------------------------------------------------------------------- */

bool block_peek(const uint8_t *at, size_t left, struct block_head *ret_head)
{
	struct block_head h;

	if (left < BLOCK_HEAD || memcmp(at, BLOCK_MAGIC, 8) != 0)
		return false;
	h = (struct block_head){ .header_length = le32_at(at + 16), .data_length = le32_at(at + 20), .data_sum = le64_at(at + 24),
		                 .sequence = le64_at(at + 32), .from = (int64_t)le64_at(at + 40), .to = (int64_t)le64_at(at + 48),
		                 .number = le64_at(at + 56), .records = le32_at(at + 64), .meta = le32_at(at + 68), .text = le32_at(at + 72),
		                 .fields = le32_at(at + 76), .n_names = le32_at(at + 80), .names_length = le32_at(at + 84),
		                 .filter_length = le32_at(at + 88), .priorities = at[92], .probes = at[93] };
	if (h.header_length > BLOCK_HEADER_MAX || h.data_length > BLOCK_DATA_MAX || h.records > BLOCK_RECORDS_MAX ||
	    h.names_length > BLOCK_HEADER_MAX || h.filter_length > BLOCK_HEADER_MAX ||
	    h.header_length != BLOCK_HEAD + h.names_length + h.filter_length || block_raw(&h) > BLOCK_RAW_MAX)
		return false;
	*ret_head = h;
	return true;
}

bool block_head_get(const uint8_t *at, size_t left, struct block_head *ret_head)
{
	struct block_head h;

	if (!block_peek(at, left, &h) || left < h.header_length || records_sum(at + 16, h.header_length - 16) != le64_at(at + 8))
		return false;
	h.names = at + BLOCK_HEAD;
	h.filter = h.names + h.names_length;
	*ret_head = h;
	return true;
}

bool block_name(const struct block_head *h, size_t *at, struct block_name *ret_name)
{
	const uint8_t *p = h->names + *at, *end = h->names + h->names_length;
	uint64_t subjects, promises, length;

	p = get_number(p, end, &subjects);
	p = get_number(p, end, &promises);
	p = get_number(p, end, &length);
	if (!p || length > (size_t)(end - p) || subjects > BLOCK_RECORDS_MAX || promises > BLOCK_RECORDS_MAX)
		return false;
	*ret_name = (struct block_name){ (const char *)p, length, (uint32_t)subjects, (uint32_t)promises };
	*at = (size_t)(p + length - h->names);
	return true;
}

/* ---- data --------------------------------------------------------------------------------------------------------- */

struct block_dctx {
	ZSTD_DCtx *zstd;
};

int block_dctx_new(struct block_dctx **ret_dctx)
{
	struct block_dctx *d = calloc(1, sizeof(*d));

	if (d)
		d->zstd = ZSTD_createDCtx();
	if (!d || !d->zstd) {
		free(d);
		return -ENOMEM;
	}
	*ret_dctx = d;
	return 0;
}

void block_dctx_free(struct block_dctx *d)
{
	if (!d)
		return;
	ZSTD_freeDCtx(d->zstd);
	free(d);
}

int block_unpack(struct block_dctx *d, const struct block_head *h, const uint8_t *data, uint8_t *raw)
{
	size_t n;

	if (records_sum(data, h->data_length) != h->data_sum)
		return -EBADMSG;
	n = ZSTD_decompressDCtx(d->zstd, raw, block_raw(h), data, h->data_length);
	return ZSTD_isError(n) || n != block_raw(h) ? -EBADMSG : 0;
}

void block_begin(struct block_cursor *c, const struct block_head *h, const uint8_t *raw)
{
	const char *text = (const char *)raw + h->meta, *fields = text + h->text;

	*c = (struct block_cursor){ .head = h, .meta = raw, .meta_end = raw + h->meta, .text = text, .text_end = fields, .fields = fields,
		                    .fields_end = fields + h->fields, .time = h->from, .number = h->number, .left = h->records };
}

/* Behind n texts; NULL: there are not so many */
static const char *skip_texts(const char *at, const char *end, unsigned n)
{
	for (; n; n--) {
		const char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

		if (!nul)
			return NULL;
		at = nul + 1;
	}
	return at;
}

bool block_next(struct block_cursor *c, struct record_row *ret_row)
{
	uint64_t time, number, name = 0;
	const uint8_t *p = c->meta;
	const char *text, *fields;
	struct record_row row;

	if (!c->left)
		return false;
	p = get_number(p, c->meta_end, &time);
	p = get_number(p, c->meta_end, &number);
	if (!p || c->meta_end - p < 2)
		return false;
	row = (struct record_row){ .priority = p[0] & 7, .flags = p[0] >> 3, .n_fields = p[1] };
	p = get_number(p + 2, c->meta_end, &name);
	text = skip_texts(c->text, c->text_end, 1);
	fields = row.n_fields <= ROW_N_FIELDS_MAX ? skip_texts(c->fields, c->fields_end, 2u * row.n_fields) : NULL;
	if (!p || !text || !fields || name >= c->head->n_names)
		return false;
	/* Wrapping: the sum was right, and what is added is anybody's. */
	row.time = c->time = (int64_t)((uint64_t)c->time + unfold(time));
	row.number = c->number = c->number + unfold(number);
	row.message = c->text;
	row.fields = c->fields;
	row.end = fields;
	c->name = (uint32_t)name;
	c->meta = p;
	c->text = text;
	c->fields = fields;
	c->left--;
	*ret_row = row;
	return true;
}

/* ---- filter ------------------------------------------------------------------------------------------------------- */

uint64_t word_hash(const char *word, size_t length)
{
	uint64_t h = WORD_SEED;

	for (size_t i = 0; i < length; i++)
		h = (h ^ word_byte((uint8_t)word[i])) * WORD_PRIME;
	return word_mix(h);
}

/* Bit of the probe `i` in a filter of `bits` */
static inline size_t filter_bit(uint64_t hash, unsigned i, size_t bits)
{
	uint32_t at = (uint32_t)hash + i * ((uint32_t)(hash >> 32) | 1);

	return (size_t)((uint64_t)at * bits >> 32);
}

void filter_put(uint8_t *filter, size_t length, unsigned probes, uint64_t hash)
{
	for (unsigned i = 0; i < probes; i++) {
		size_t bit = filter_bit(hash, i, length * 8);

		filter[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

bool filter_has(const struct block_head *h, uint64_t hash)
{
	for (unsigned i = 0; i < h->probes && h->filter_length; i++) {
		size_t bit = filter_bit(hash, i, (size_t)h->filter_length * 8);

		if (!(h->filter[bit / 8] & 1u << bit % 8))
			return false;
	}
	return true;
}
