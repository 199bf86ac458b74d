/*
 * Puts records into a store as fast as it can, until it is killed or has put so many: records_feed STATE-DIR FIRST COUNT [BLOCK-SIZE [MAX-SIZE]].
 * After each write it says on standard output up to which number all are written. What a record of number i is, test_records.py says too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/records.h"

#define BASE (INT64_C(1790000000) * NS_PER_S)

static void put(struct model *m, unsigned long i)
{
	char subject[32], message[96], number[24];
	const struct kith_field fields[] = { { "n", number }, { "kind", i % 2 ? "odd" : "even" } };
	const struct kith_record record = { .size = sizeof(record), .priority = (uint32_t)(i % 8), .time = BASE + (int64_t)i * NS_PER_MS,
		                            .subject = subject, .message = message, .fields = fields, .n_fields = 2 };

	snprintf(subject, sizeof(subject), "f%lu:x%lu", i % 5, i % 13);
	snprintf(message, sizeof(message), "Message number_%lu of many, word%lu", i, i % 97);
	snprintf(number, sizeof(number), "%lu", i);
	model_record(m, &record);
}

int main(int argc, char **argv)
{
	struct records_config config = { 0 };
	struct records *r;
	struct model *m;
	unsigned long first, n;

	if (argc < 4)
		return 2;
	config.folder = argv[1];
	first = strtoul(argv[2], NULL, 10);
	n = strtoul(argv[3], NULL, 10);
	config.block_size = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	config.max_size = argc > 5 ? atoll(argv[5]) : 0;
	if (model_new(&m) < 0 || records_new(m, &config, &r) < 0)
		return 1;
	for (unsigned long i = first; i < first + n; i++) {
		model_set_now(m, BASE + (int64_t)i * NS_PER_MS);
		put(m, i);
		if (i % 50 == 49 && records_flush(r) == 0) {
			char text[32];
			int length = snprintf(text, sizeof(text), "%lu\n", i);

			if (write(STDOUT_FILENO, text, (size_t)length) < 0)
				return 1;
		}
		if (i % 5000 == 4999)
			records_tick(r, model_now(m));
	}
	records_flush(r);
	records_settle(r);
	records_free(r);
	model_free(m);
	return 0;
}
