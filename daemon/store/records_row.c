/* Rows and frames of open files */
#include "store/records_format.h"

#include <string.h>

#include "store/records_sum.h"

/* ---- rows --------------------------------------------------------------------------------------------------------- */

/* A text with its NUL, cut between UTF-8 characters at `most` bytes. Returns behind its NUL. */
static uint8_t *put_text(uint8_t *at, const char *text, size_t most)
{
	uint8_t *end = memccpy(at, text, '\0', most), *last;

	if (end)
		return end;
	end = last = at + most;
	/* A character that is not whole goes, too: back to where it begins, which is at most three bytes before. */
	for (int i = 0; i < 3 && last > at && ((unsigned char)text[last - at] & 0xc0) == 0x80; i++)
		last--;
	if (((unsigned char)text[last - at] & 0xc0) != 0x80)
		end = last;
	*end = '\0';
	return end + 1;
}

/* Keys and values as far as there is room; what does not fit whole is left out. */
static uint8_t *put_fields(uint8_t *at, const struct kith_record *record, uint8_t *ret_n)
{
	const uint8_t *end = at + ROW_FIELDS_MAX;
	uint8_t n = 0;

	for (uint32_t i = 0; i < record->n_fields && n < ROW_N_FIELDS_MAX; i++) {
		uint8_t *value = memccpy(at, record->fields[i].key, '\0', (size_t)(end - at)), *next;

		next = value && value < end ? memccpy(value, record->fields[i].value, '\0', (size_t)(end - value)) : NULL;
		if (!next)
			continue;
		at = next;
		n++;
	}
	*ret_n = n;
	return at;
}

size_t row_put(uint8_t *at, const struct kith_record *record, uint64_t number, unsigned flags)
{
	uint8_t *end = at + ROW_HEAD;

	end = put_text(end, record->subject ? record->subject : "", ROW_SUBJECT_MAX);
	end = put_text(end, record->message ? record->message : "", ROW_MESSAGE_MAX);
	end = put_fields(end, record, &at[5]);
	put_le32(at, (uint32_t)(end - at));
	at[4] = (uint8_t)(record->priority <= KITH_DEBUG ? record->priority : KITH_DEBUG);
	at[6] = (uint8_t)flags;
	at[7] = 0;
	put_le64(at + 8, (uint64_t)record->time);
	put_le64(at + 16, number);
	return (size_t)(end - at);
}

/* Behind the NUL of the text at `at`; NULL: there is none before `end` */
static const char *text_end(const char *at, const char *end)
{
	const char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

	return nul ? nul + 1 : NULL;
}

size_t row_get(const uint8_t *at, size_t left, struct record_row *ret_row)
{
	const char *text, *end;
	struct record_row row;
	size_t size;

	if (left < ROW_MIN)
		return 0;
	size = le32_at(at);
	if (size < ROW_MIN || size > left || size > ROW_MAX || at[4] > KITH_DEBUG || at[5] > ROW_N_FIELDS_MAX)
		return 0;
	end = (const char *)at + size;
	row = (struct record_row){ .time = (int64_t)le64_at(at + 8), .number = le64_at(at + 16), .priority = at[4], .n_fields = at[5],
		                   .flags = at[6], .subject = (const char *)at + ROW_HEAD };
	text = row.message = text_end(row.subject, end);
	if (text)
		text = row.fields = text_end(text, end);
	for (unsigned i = 0; i < 2u * row.n_fields && text; i++)
		text = text_end(text, end);
	if (text != end)
		return 0;
	row.end = end;
	*ret_row = row;
	return size;
}

const char *row_field(const struct record_row *row, const char **at, const char **ret_value)
{
	const char *key = *at;

	if (key >= row->end)
		return NULL;
	*ret_value = key + strlen(key) + 1;
	*at = *ret_value + strlen(*ret_value) + 1;
	return key;
}

/* ---- frames ------------------------------------------------------------------------------------------------------- */

void open_head_put(uint8_t *at, uint64_t sequence)
{
	memcpy(at, OPEN_MAGIC, 8);
	put_le64(at + 8, sequence);
}

bool open_head_get(const uint8_t *at, size_t left, uint64_t *ret_sequence)
{
	if (left < OPEN_HEAD || memcmp(at, OPEN_MAGIC, 8) != 0)
		return false;
	*ret_sequence = le64_at(at + 8);
	return true;
}

void frame_head_put(uint8_t *at, size_t length)
{
	put_le32(at, FRAME_MAGIC);
	put_le32(at + 4, (uint32_t)length);
	put_le64(at + 8, records_sum(at + FRAME_HEAD, length));
}

size_t frame_get(const uint8_t *at, size_t left, size_t *ret_length)
{
	size_t length;

	if (left < FRAME_HEAD || le32_at(at) != FRAME_MAGIC)
		return 0;
	length = le32_at(at + 4);
	if (length > FRAME_MAX || length > left - FRAME_HEAD || records_sum(at + FRAME_HEAD, length) != le64_at(at + 8))
		return 0;
	*ret_length = length;
	return FRAME_HEAD + length;
}

/* To the next whole frame; what is in between is a damaged stretch. False: there is none */
static bool frame_seek(struct open_cursor *c)
{
	static const uint8_t magic[4] = { 'K', 'R', 'F', '1' };
	size_t size = 0, at = c->at;

	while (at < c->length && !(size = frame_get(c->data + at, c->length - at, &c->rows_length))) {
		const uint8_t *next = memmem(c->data + at + 1, c->length - at - 1, magic, sizeof(magic));

		at = next ? (size_t)(next - c->data) : c->length;
	}
	c->damaged += at != c->at;
	c->at = at;
	if (!size)
		return false;
	c->rows = c->data + at + FRAME_HEAD;
	c->at = c->whole = at + size;
	return true;
}

bool open_begin(struct open_cursor *c, const uint8_t *data, size_t length, uint64_t *ret_sequence)
{
	*c = (struct open_cursor){ .data = data, .length = length, .at = OPEN_HEAD, .whole = OPEN_HEAD };
	return open_head_get(data, length, ret_sequence);
}

bool open_next(struct open_cursor *c, struct record_row *ret_row)
{
	for (;;) {
		size_t size = c->rows_length ? row_get(c->rows, c->rows_length, ret_row) : 0;

		if (size) {
			c->rows += size;
			c->rows_length -= size;
			return true;
		}
		/* Its sum was right, and yet it is no row: the rest of the frame cannot be read. */
		c->damaged += c->rows_length != 0;
		c->rows_length = 0;
		if (!frame_seek(c))
			return false;
	}
}
