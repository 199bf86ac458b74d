#include "store/records_sum.h"

#define PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME_3 UINT64_C(0x165667B19E3779F9)
#define PRIME_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME_5 UINT64_C(0x27D4EB2F165667C5)
#define STRIPE 32u

static inline uint64_t turn(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static inline uint64_t mix(uint64_t lane, uint64_t word)
{
	return turn(lane + word * PRIME_2, 31) * PRIME_1;
}

/* Four lanes over whole stripes, joined */
static uint64_t sum_stripes(const uint8_t *data, size_t length)
{
	uint64_t lanes[4] = { PRIME_1 + PRIME_2, PRIME_2, 0, 0 - PRIME_1 }, sum;

	for (; length >= STRIPE; length -= STRIPE, data += STRIPE)
		for (unsigned i = 0; i < 4; i++)
			lanes[i] = mix(lanes[i], le64_at(data + (size_t)8 * i));
	sum = turn(lanes[0], 1) + turn(lanes[1], 7) + turn(lanes[2], 12) + turn(lanes[3], 18);
	for (unsigned i = 0; i < 4; i++)
		sum = (sum ^ mix(0, lanes[i])) * PRIME_1 + PRIME_4;
	return sum;
}

uint64_t records_sum(const uint8_t *data, size_t length)
{
	uint64_t sum = length >= STRIPE ? sum_stripes(data, length) : PRIME_5;

	sum += length;
	data += length - length % STRIPE;
	length %= STRIPE;
	for (; length >= 8; length -= 8, data += 8)
		sum = turn(sum ^ mix(0, le64_at(data)), 27) * PRIME_1 + PRIME_4;
	if (length >= 4) {
		sum = turn(sum ^ le32_at(data) * PRIME_1, 23) * PRIME_2 + PRIME_3;
		length -= 4;
		data += 4;
	}
	for (; length; length--, data++)
		sum = turn(sum ^ *data * PRIME_5, 11) * PRIME_1;
	sum = (sum ^ sum >> 33) * PRIME_2;
	sum = (sum ^ sum >> 29) * PRIME_3;
	return sum ^ sum >> 32;
}
