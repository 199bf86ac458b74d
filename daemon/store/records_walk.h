/* The blocks of one file: by its index, or by going from one to the next where there is no whole index */
#ifndef KITH_STORE_RECORDS_WALK_H
#define KITH_STORE_RECORDS_WALK_H

#include "store/records.h"
#include "store/records_format.h"

struct blocks_map {
	struct index_entry *entries; /* in order */
	uint32_t n;
	int64_t end;       /* of the last whole block */
	bool indexed;      /* the file ends with an index that is whole: nothing is added to it */
	unsigned damaged;  /* stretches that are no block, but for one at the end that may still be written */
	bool torn;         /* there is such a one */
};

/* -errno of reading; -ENOMEM. `distrust`: the index is not used. Free with blocks_map_free. */
int blocks_map(const struct records_io *io, int fd, int64_t size, bool distrust, struct blocks_map *ret_map);
void blocks_map_free(struct blocks_map *map);
/* Reads the block whole into *data, which is made larger when it is needed (*size). -EBADMSG: damaged; -errno */
int block_read(const struct records_io *io, int fd, const struct index_entry *e, uint8_t **data, size_t *size, struct block_head *ret_head);
/* Reads that much at that place or fails: -EBADMSG for a file that is shorter */
int records_pread(const struct records_io *io, int fd, void *data, size_t length, int64_t at);
/* The index of it, to be appended at map->end; to be freed. -ENOMEM */
int blocks_map_index(const struct blocks_map *map, uint8_t **ret_index, size_t *ret_length);

#endif
