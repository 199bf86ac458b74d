/* The index at the end of a file of blocks */
#include <string.h>

#include "store/records_format.h"
#include "store/records_sum.h"

void index_entry_put(uint8_t at[INDEX_ENTRY], const struct index_entry *e)
{
	put_le64(at, e->offset);
	put_le64(at + 8, e->sequence);
	put_le64(at + 16, (uint64_t)e->from);
	put_le64(at + 24, (uint64_t)e->to);
	put_le32(at + 32, e->header_length);
	put_le32(at + 36, e->data_length);
	put_le32(at + 40, e->records);
	put_le32(at + 44, e->priorities);
}

void index_entry_get(const uint8_t at[INDEX_ENTRY], struct index_entry *ret_entry)
{
	*ret_entry = (struct index_entry){ .offset = le64_at(at), .sequence = le64_at(at + 8), .from = (int64_t)le64_at(at + 16),
		                           .to = (int64_t)le64_at(at + 24), .header_length = le32_at(at + 32),
		                           .data_length = le32_at(at + 36), .records = le32_at(at + 40), .priorities = at[44] };
}

void index_tail_put(uint8_t at[INDEX_TAIL], const uint8_t *entries, uint32_t n, uint64_t offset)
{
	put_le32(at, n);
	put_le32(at + 4, 0);
	put_le64(at + 8, offset);
	put_le64(at + 16, records_sum(entries, (size_t)n * INDEX_ENTRY + 16));
	memcpy(at + 24, INDEX_MAGIC, 8);
}

bool index_tail_get(const uint8_t at[INDEX_TAIL], uint64_t file_size, uint32_t *ret_n, uint64_t *ret_offset)
{
	uint32_t n = le32_at(at);
	uint64_t offset = le64_at(at + 8);

	if (memcmp(at + 24, INDEX_MAGIC, 8) != 0 || n > INDEX_MAX || offset > file_size ||
	    file_size - offset != (uint64_t)n * INDEX_ENTRY + INDEX_TAIL)
		return false;
	*ret_n = n;
	*ret_offset = offset;
	return true;
}

bool index_check(const uint8_t *entries, uint32_t n)
{
	size_t length = (size_t)n * INDEX_ENTRY;

	return records_sum(entries, length + 16) == le64_at(entries + length + 16);
}
