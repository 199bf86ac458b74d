/*
 * Any bytes as what the record store reads: as an open file, as a file of blocks, as a block whose sums are made right, so that what is behind
 * them is reached, and as the index of a file. Nothing leads out of the data, and a block that is made of what could be read says the same.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/records_format.h"
#include "store/records_impl.h"
#include "store/records_sum.h"
#include "store/records_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t look(const struct record_row *row)
{
	const char *at = row->fields, *key, *value;
	uint64_t sum = (uint64_t)row->time ^ row->priority ^ strlen(row->message) << 8;

	while ((key = row_field(row, &at, &value)))
		sum = sum * 31 + strlen(key) + strlen(value);
	if (at != row->end)
		abort();
	return sum;
}

static uint64_t block(const uint8_t *data, size_t size, uint32_t *ret_n)
{
	struct block_dctx *d;
	struct block_head h;
	struct block_name name;
	struct block_cursor c;
	struct record_row row;
	uint64_t sum = 0;
	size_t at = 0;
	uint8_t *raw;

	*ret_n = 0;
	if (!block_head_get(data, size, &h) || h.data_length > size - h.header_length || block_raw(&h) > 1u << 20)
		return 0;
	for (uint32_t i = 0; i < h.n_names && block_name(&h, &at, &name); i++)
		if (name.at + name.length > (const char *)data + h.header_length)
			abort();
	filter_has(&h, word_hash("word", 4));
	raw = malloc(block_raw(&h) + 1);
	if (!raw || block_dctx_new(&d) < 0)
		abort();
	if (block_unpack(d, &h, data + h.header_length, raw) == 0) {
		block_begin(&c, &h, raw);
		for (; block_next(&c, &row); (*ret_n)++)
			sum = sum * 33 + look(&row);
	}
	block_dctx_free(d);
	free(raw);
	return sum;
}

/* The sums are made right, the data is what a frame of stored bytes of zstd makes of the rest. */
static void block_with_sums(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	uint32_t header, length, n;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (size >= BLOCK_HEAD) {
		memcpy(copy, BLOCK_MAGIC, 8);
		header = le32_at(copy + 16) % (uint32_t)(size + 1);
		length = (uint32_t)size - header;
		if (header >= BLOCK_HEAD) {
			put_le32(copy + 16, header);
			put_le32(copy + 20, length);
			put_le32(copy + 88, le32_at(copy + 88) % (header - BLOCK_HEAD + 1));
			put_le32(copy + 84, header - BLOCK_HEAD - le32_at(copy + 88));
			put_le64(copy + 24, records_sum(copy + header, length));
			put_le64(copy + 8, records_sum(copy + 16, header - 16));
			block(copy, size, &n);
		}
	}
	free(copy);
}

/* Frames' sums, too; and what was read is packed, and read again */
static void open_file(const uint8_t *data, size_t size)
{
	struct open_cursor c;
	struct record_row row;
	uint64_t sequence, sum = 0, again;
	uint8_t *copy = malloc(size + OPEN_HEAD + FRAME_HEAD + 1);
	struct packer *p;
	const uint8_t *made;
	size_t length;
	unsigned damaged;
	uint32_t n = 0, n_again;

	if (!copy || packer_new(&p) < 0)
		abort();
	if (open_begin(&c, data, size, &sequence))
		while (open_next(&c, &row))
			look(&row);
	open_head_put(copy, 1);
	memcpy(copy + OPEN_HEAD + FRAME_HEAD, data, size);
	frame_head_put(copy + OPEN_HEAD, size);
	size += OPEN_HEAD + FRAME_HEAD;
	open_begin(&c, copy, size, &sequence);
	for (; open_next(&c, &row); n++)
		sum = sum * 33 + look(&row);
	if (packer_pack(p, copy, size, 1, &made, &length, &damaged) < 0)
		abort();
	if (length) {
		again = block(made, length, &n_again);
		if (n != n_again || again != sum)
			abort();
	} else if (n) {
		abort();
	}
	packer_free(p);
	free(copy);
}

static void blocks_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct blocks_map map;
	uint8_t *block_data = NULL;
	size_t room = 0;
	struct block_head h;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	for (int distrust = 0; distrust < 2; distrust++) {
		if (blocks_map(&records_system_io, fd, (int64_t)size, distrust, &map) < 0)
			abort();
		for (uint32_t i = 0; i < map.n; i++)
			block_read(&records_system_io, fd, &map.entries[i], &block_data, &room, &h);
		if (map.end > (int64_t)size)
			abort();
		blocks_map_free(&map);
	}
	free(block_data);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 65536)
		return 0;
	open_file(data, size);
	block_with_sums(data, size);
	blocks_file(data, size);
	return 0;
}
