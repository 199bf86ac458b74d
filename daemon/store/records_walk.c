#include "store/records_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/records_sum.h"

#define WALK_CHUNK 65536 /* bytes that are searched at a time */
#define WALK_HEAD 4096

int records_pread(const struct records_io *io, int fd, void *data, size_t length, int64_t at)
{
	uint8_t *to = data;

	while (length) {
		ssize_t n = io->pread(fd, to, length, at, io->user);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		to += n;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

void blocks_map_free(struct blocks_map *map)
{
	free(map->entries);
	*map = (struct blocks_map){ 0 };
}

static int reserve(uint8_t **data, size_t *size, size_t need)
{
	uint8_t *grown;

	if (need <= *size)
		return 0;
	grown = realloc(*data, need);
	if (!grown)
		return -ENOMEM;
	*data = grown;
	*size = need;
	return 0;
}

int block_read(const struct records_io *io, int fd, const struct index_entry *e, uint8_t **data, size_t *size, struct block_head *ret_head)
{
	size_t length = (size_t)e->header_length + e->data_length;
	struct block_head h;
	int r;

	if (e->header_length > BLOCK_HEADER_MAX || e->data_length > BLOCK_DATA_MAX)
		return -EBADMSG;
	r = reserve(data, size, length);
	if (r == 0)
		r = records_pread(io, fd, *data, length, (int64_t)e->offset);
	if (r < 0)
		return r;
	if (!block_head_get(*data, length, &h) || h.header_length != e->header_length || h.data_length != e->data_length ||
	    records_sum(*data + h.header_length, h.data_length) != h.data_sum)
		return -EBADMSG;
	*ret_head = h;
	return 0;
}

/* ---- by the index ------------------------------------------------------------------------------------------------- */

static bool entry_good(const struct index_entry *e, uint64_t from, uint64_t end)
{
	return e->offset >= from && e->offset <= end && e->header_length >= BLOCK_HEAD && e->header_length <= BLOCK_HEADER_MAX &&
	       e->data_length <= BLOCK_DATA_MAX && (uint64_t)e->header_length + e->data_length <= end - e->offset;
}

/* 1: it is whole; 0: there is none; -errno */
static int map_indexed(const struct records_io *io, int fd, int64_t size, struct blocks_map *map)
{
	uint8_t tail[INDEX_TAIL], *entries;
	uint64_t offset, from = 0;
	uint32_t n, i = 0;
	int r;

	if (size < (int64_t)INDEX_TAIL)
		return 0;
	r = records_pread(io, fd, tail, sizeof(tail), size - (int64_t)INDEX_TAIL);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	if (!index_tail_get(tail, (uint64_t)size, &n, &offset))
		return 0;
	entries = malloc((size_t)size - offset);
	map->entries = calloc((size_t)n + 1, sizeof(*map->entries));
	if (!entries || !map->entries) {
		free(entries);
		return -ENOMEM;
	}
	r = records_pread(io, fd, entries, (size_t)((uint64_t)size - offset), (int64_t)offset);
	if (r == 0 && !index_check(entries, n))
		r = -EBADMSG;
	for (; r == 0 && i < n; i++) {
		struct index_entry *e = &map->entries[i];

		index_entry_get(entries + (size_t)i * INDEX_ENTRY, e);
		if (!entry_good(e, from, offset))
			break;
		from = e->offset + e->header_length + e->data_length;
	}
	free(entries);
	if (r < 0 || i < n || (!n && offset))
		return r < 0 && r != -EBADMSG ? r : 0;
	map->n = n;
	map->end = (int64_t)offset;
	map->indexed = true;
	return 1;
}

/* ---- by going along ----------------------------------------------------------------------------------------------- */

static int map_add(struct blocks_map *map, uint32_t *room, uint64_t offset, const struct block_head *h)
{
	if (map->n == *room) {
		uint32_t more = *room ? 2 * *room : 64;
		struct index_entry *entries = realloc(map->entries, more * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		map->entries = entries;
		*room = more;
	}
	map->entries[map->n++] = (struct index_entry){ .offset = offset, .sequence = h->sequence, .header_length = h->header_length,
		                                       .data_length = h->data_length, .from = h->from, .to = h->to,
		                                       .records = h->records, .priorities = h->priorities };
	return 0;
}

/* Where the next magic is at `at` or behind; -1: nowhere */
static int64_t seek_magic(const struct records_io *io, int fd, int64_t size, int64_t at, uint8_t *chunk)
{
	while (at + (int64_t)BLOCK_HEAD <= size) {
		size_t n = (size_t)(size - at < WALK_CHUNK ? size - at : WALK_CHUNK);
		const uint8_t *found;

		if (records_pread(io, fd, chunk, n, at) < 0)
			return -1;
		found = memmem(chunk, n, BLOCK_MAGIC, 8);
		if (found)
			return at + (found - chunk);
		at += (int64_t)n - 7;
		if (n < WALK_CHUNK)
			break;
	}
	return -1;
}

/* 1: there is a whole header of a block that ends within the file; 0: not; -errno */
static int walk_block(const struct records_io *io, int fd, int64_t size, int64_t at, uint8_t **data, size_t *room, struct block_head *ret_head)
{
	int r;

	if (size - at < (int64_t)BLOCK_HEAD)
		return 0;
	/* Most headers are not longer than this: one call for each. */
	r = records_pread(io, fd, *data, size - at < WALK_HEAD ? (size_t)(size - at) : WALK_HEAD, at);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	if (!block_peek(*data, BLOCK_HEAD, ret_head) || (int64_t)ret_head->header_length + ret_head->data_length > size - at)
		return 0;
	r = reserve(data, room, ret_head->header_length);
	if (r == 0 && ret_head->header_length > WALK_HEAD)
		r = records_pread(io, fd, *data, ret_head->header_length, at);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	return block_head_get(*data, ret_head->header_length, ret_head);
}

/* What is at the end and no block: half of one, or of an index, is not called damaged, as it may be in the making. */
static bool may_be_torn(const struct records_io *io, int fd, int64_t size, int64_t at)
{
	uint8_t head[BLOCK_HEAD] = { 0 };
	size_t n = (size_t)(size - at < (int64_t)BLOCK_HEAD ? size - at : (int64_t)BLOCK_HEAD);
	struct block_head h;

	if (records_pread(io, fd, head, n, at) < 0)
		return true;
	if (n < BLOCK_HEAD)
		return true;
	return block_peek(head, n, &h) && (int64_t)h.header_length + h.data_length > size - at;
}

static int map_walk(const struct records_io *io, int fd, int64_t size, struct blocks_map *map)
{
	size_t room = WALK_CHUNK;
	uint8_t *data = malloc(room);
	uint32_t entries = 0;
	int64_t at = 0;
	int r = data ? 0 : -ENOMEM;

	while (r == 0 && at < size) {
		struct block_head h;
		int64_t next;

		r = walk_block(io, fd, size, at, &data, &room, &h);
		if (r == 1) {
			r = map_add(map, &entries, (uint64_t)at, &h);
			at += (int64_t)h.header_length + h.data_length;
			map->end = at;
			continue;
		}
		if (r < 0)
			break;
		next = seek_magic(io, fd, size, at + 1, data);
		if (next < 0) {
			map->torn = may_be_torn(io, fd, size, at);
			map->damaged += !map->torn;
			break;
		}
		map->damaged++;
		at = next;
	}
	free(data);
	return r < 0 ? r : 0;
}

int blocks_map(const struct records_io *io, int fd, int64_t size, bool distrust, struct blocks_map *ret_map)
{
	struct blocks_map map = { 0 };
	int r = distrust ? 0 : map_indexed(io, fd, size, &map);

	if (r == 0) {
		blocks_map_free(&map);
		r = map_walk(io, fd, size, &map);
	}
	if (r < 0) {
		blocks_map_free(&map);
		return r;
	}
	*ret_map = map;
	return 0;
}

int blocks_map_index(const struct blocks_map *map, uint8_t **ret_index, size_t *ret_length)
{
	size_t length = (size_t)map->n * INDEX_ENTRY + INDEX_TAIL;
	uint8_t *index = malloc(length);

	if (!index)
		return -ENOMEM;
	for (uint32_t i = 0; i < map->n; i++)
		index_entry_put(index + (size_t)i * INDEX_ENTRY, &map->entries[i]);
	index_tail_put(index + (size_t)map->n * INDEX_ENTRY, index, map->n, (uint64_t)map->end);
	*ret_index = index;
	*ret_length = length;
	return 0;
}
