/* The checksum of all that the record store writes: XXH64 with seed 0, as its specification has it. */
#ifndef KITH_STORE_RECORDS_SUM_H
#define KITH_STORE_RECORDS_SUM_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t le64_at(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}
static inline uint32_t le32_at(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}
static inline void put_le64(uint8_t *at, uint64_t v)
{
	v = htole64(v);
	memcpy(at, &v, sizeof(v));
}
static inline void put_le32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

uint64_t records_sum(const uint8_t *data, size_t length);

#endif
