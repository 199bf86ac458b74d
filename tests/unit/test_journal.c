/* store/: samples packed and unpacked, the ring, segments on the disk */
#include "journal_fixture.h"

#define SAMPLES 200000u

static double moved(double value, uint32_t kind)
{
	switch (kind) {
	case KITH_STATE:
		return rnd(3);
	case KITH_COUNTER:
		return rnd(50) ? value + rnd(3) * rnd(1000) : rnd(2) ? 0 : 9007199254740992.0 + rnd(1000) * 2;
	default:
		break;
	}
	switch (rnd(12)) {
	case 0:
		return value + rnd(100) - 50;
	case 1:
		return (double)rnd(1000000) / 1000;
	case 2:
		return (double)rnd(1000000) / 7;
	case 3:
		return -(double)rnd(1 << 30) * 1024;
	case 4:
		return rnd(2) ? -0.0 : 1e300 / (1 + rnd(10));
	case 5:
		return 1e-300 * rnd(10);
	case 6:
		return (double)rnd(1 << 20) * 4096;
	default:
		return value;
	}
}

/* Whatever comes in whatever order, with instances that come and go and clocks that are set: it comes back bit by bit. */
START_TEST(there_and_back)
{
	struct instance *instances[40] = { 0 };
	struct heard *put_in = calloc(SAMPLES, sizeof(*put_in));
	struct log l;
	size_t n = 0;
	int64_t when = T0;

	random_state = (uint64_t)_i + 1;
	config.folder = NULL;
	config.chunk = 8192u << rnd(4);
	config.ring = 64 << 20;
	config.ring_age = INT64_MAX / 4;
	start();
	while (n < SAMPLES / 10) {
		when += rnd(20) ? (int64_t)rnd(1000) * NS_PER_MS : (int64_t)rnd(100000) * S - 40000 * S;
		at(when);
		owner.extra = rnd(5) == 0;
		for (unsigned k = 0; k < 40; k++) {
			char name[32];

			if (instances[k] && rnd(500) == 0) {
				instance_end(m, instances[k]);
				instances[k] = NULL;
			}
			if (!instances[k]) {
				snprintf(name, sizeof(name), "i%u", rnd(1u << 30));
				instances[k] = add(k % 2 ? levels : things, name);
			}
			for (uint32_t c = 0; c < instances[k]->family->n_metrics; c++) {
				struct series *s = &instances[k]->series[c];

				if (rnd(10) == 0)
					continue;
				put(instances[k], c, moved(s->value, s->kind));
				put_in[n] = (struct heard){ .metric = c, .value = s->value, .time = when, .extra = owner.extra };
				snprintf(put_in[n++].name, sizeof(put_in->name), "%s", instances[k]->name);
			}
		}
		journal_tick(j, when);
	}
	read_ring(&l);
	ck_assert_uint_eq(l.n, n);
	for (size_t i = 0; i < n; i++)
		same(&l.at[i], &put_in[i]);
	free(put_in);
	log_free(&l);
}
END_TEST

/* What a host's series are like: many that stay, some that count. Printed, and bounded. */
START_TEST(how_small)
{
	struct instance *instances[100];
	struct journal_counts c;

	config.folder = NULL;
	start();
	for (unsigned k = 0; k < 100; k++) {
		char name[32];

		snprintf(name, sizeof(name), "device%u", k);
		instances[k] = add(things, name);
	}
	for (int64_t t = 0; t < 360; t++) {
		at(T0 + t * 10 * S + rnd(1000000));
		for (unsigned k = 0; k < 100; k++) {
			put(instances[k], 0, (double)(1000000 + k + (k % 3 ? 0 : rnd(100000))) * 4096);
			put(instances[k], 1, instances[k]->series[1].value + (k % 2 ? 0 : rnd(100000)));
			put(instances[k], 2, rnd(100) == 0);
			put(instances[k], 3, k % 4 ? 50 : (double)rnd(10000) / 100);
		}
		journal_tick(j, now);
	}
	journal_counts(j, &c);
	printf("# %.2f bytes a sample\n", (double)c.bytes / (double)c.samples);
	ck_assert_uint_eq(c.samples, 360u * 400);
	ck_assert(c.bytes < c.samples * 3 / 2);
	ck_assert_uint_lt(c.ring, 1 << 20);
}
END_TEST

/* An hour of 1,000 series at 10 s within 1 MiB; more than that leaves by the other end. */
START_TEST(bounded)
{
	struct instance *instances[250];
	struct journal_counts c;

	config.folder = NULL;
	start();
	for (unsigned k = 0; k < 250; k++) {
		char name[32];

		snprintf(name, sizeof(name), "device%u", k);
		instances[k] = add(things, name);
	}
	for (int64_t t = 0; t < 3000; t++) {
		at(T0 + t * 10 * S);
		for (unsigned k = 0; k < 250; k++) {
			put(instances[k], 0, (double)rnd(1u << 30) / 7);
			put(instances[k], 1, instances[k]->series[1].value + rnd(100));
			put(instances[k], 2, 1);
			put(instances[k], 3, 50);
		}
		journal_tick(j, now);
		journal_counts(j, &c);
		ck_assert_uint_le(c.ring, (1 << 20) + (64 << 10));
	}
	ck_assert_uint_eq(c.samples, 3000u * 1000);
	ck_assert_uint_eq(c.dropped, 0); /* there was no disk to miss */
}
END_TEST

START_TEST(allocates_nothing)
{
	struct instance *i = add(things, "a");
	int64_t before;

	if (alloc_count() < 0)
		return;
	config.folder = NULL;
	config.chunk = 4096;
	start();
	i = add(things, "b");
	for (int k = 0; k < 100; k++) {
		at(T0 + k * S);
		before = alloc_count();
		for (uint32_t c = 0; c < 20; c++)
			model_put(m, &owner, i->id + (c % 4 == 2 ? 0 : c % 4), (double)rnd(1000) / 7, now); /* an assertion allocates */
		ck_assert_int_eq(alloc_count(), before);
		journal_tick(j, now);
	}
}
END_TEST


START_TEST(on_the_disk)
{
	struct journal_counts c;
	struct instance *i;
	struct log l;

	start();
	i = add(levels, "a");
	two_rounds(i, 0, 10);
	read_disk(&l); /* each tick's, though nothing is sealed */
	ck_assert_uint_eq(l.n, 20);
	ck_assert(l.at[19].value == 1009 && l.at[19].time == T0 + 9 * S);
	log_free(&l);
	journal_seal(j);
	two_rounds(i, 10, 10);
	journal_free(j);
	/* The ring is as it was, and goes on in another segment. */
	start();
	read_ring(&l);
	ck_assert_uint_eq(l.n, 40);
	log_free(&l);
	journal_counts(j, &c);
	ck_assert_uint_eq(c.restored, 40);
	ck_assert_uint_eq(c.unfolded, 2);
	i = add(levels, "b");
	two_rounds(i, 20, 10);
	read_disk(&l);
	ck_assert_uint_eq(l.n, 60);
	ck_assert_str_eq(l.at[59].name, "b");
	log_free(&l);
}
END_TEST

/* A segment that a power cut left nothing of but its head hides nothing that is before it. */
START_TEST(only_a_head)
{
	struct instance *i;
	struct log l;
	char path[128];

	start();
	i = add(levels, "a");
	two_rounds(i, 0, 10);
	journal_seal(j);
	two_rounds(i, 10, 10);
	journal_free(j);
	snprintf(path, sizeof(path), "%s/" SEGMENT_NAME, folder, 2ull);
	ck_assert_int_eq(truncate(path, SEGMENT_HEAD + 5), 0);
	start();
	i = add(levels, "b");
	two_rounds(i, 20, 10);
	journal_free(j);
	start();
	read_ring(&l);
	ck_assert_uint_eq(l.n, 40);
	log_free(&l);
}
END_TEST

/* Killed before the first byte of a segment: its number is the next one's, and none is left out. */
START_TEST(about_to_begin)
{
	struct instance *i;
	char path[128];
	struct stat st;

	start();
	i = add(levels, "a");
	two_rounds(i, 0, 10);
	journal_free(j);
	snprintf(path, sizeof(path), "%s/" SEGMENT_NAME, folder, 2ull);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	start();
	i = add(levels, "b");
	two_rounds(i, 10, 10);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_gt(st.st_size, SEGMENT_HEAD);
}
END_TEST

static void write_folded(const char *text, size_t length)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/folded", folder);
	f = fopen(path, "w");
	fwrite(text, 1, length, f);
	fclose(f);
}

START_TEST(folded)
{
	struct journal_counts c;
	struct instance *i;
	char text[FOLDED_SIZE], bad[FOLDED_SIZE];
	size_t length = folded_format(4, text);

	config.ring_age = 5 * S;
	start();
	i = add(levels, "a");
	for (int k = 0; k < 6; k++) {
		two_rounds(i, k * 10, 10);
		journal_seal(j);
		journal_tick(j, now);
	}
	two_rounds(i, 60, 10);
	journal_counts(j, &c);
	ck_assert_uint_eq(c.unfolded, 6);
	/* Whatever is turned in it or missing of it: nothing is removed for it. */
	for (size_t k = 0; k < length * 8; k++) {
		memcpy(bad, text, length);
		bad[k / 8] ^= (char)(1 << k % 8);
		write_folded(bad, k % 2 ? length : k / 8);
		journal_folded(j);
		journal_counts(j, &c);
		ck_assert_uint_eq(c.unfolded, 6);
	}
	write_folded(text, length);
	journal_folded(j);
	journal_counts(j, &c);
	ck_assert_uint_eq(c.unfolded, 2);
	ck_assert_uint_eq(c.dropped, 0);
	/* The one that was folded last stays, and those after it. */
	ck_assert_uint_eq(c.segments, 4);
}
END_TEST

/* Cut at any byte, any bit turned: what stood before is read, nothing that was not put, and nothing crashes */
START_TEST(damaged)
{
	struct instance *i;
	struct segment s;
	struct log whole, l;
	uint8_t *file;
	char path[128];
	size_t length;
	FILE *f;

	start();
	i = add(things, "a");
	for (int k = 0; k < 12; k++) {
		at(T0 + k * S);
		put(i, 0, (double)rnd(1000) / 7);
		put(i, 1, k * 1000);
		put(i, 2, k % 3);
		put(i, 3, 99.5);
		if (k % 3 == 2)
			journal_tick(j, now);
	}
	snprintf(path, sizeof(path), "%s/" SEGMENT_NAME, folder, 1ull);
	file = calloc(1, 1 << 16);
	f = fopen(path, "r");
	length = fread(file, 1, 1 << 16, f);
	fclose(f);
	read_disk(&whole);
	ck_assert_uint_eq(whole.n, 48);
	for (size_t cut = 0; cut <= length; cut++) {
		if (cut < SEGMENT_HEAD) {
			ck_assert_int_eq(segment_parse(file, cut, &s), -EBADMSG);
			continue;
		}
		ck_assert_int_eq(segment_parse(file, cut, &s), 0);
		l = (struct log){ 0 };
		unpack_chunk(&l, s.head.begin, s.data, s.length);
		ck_assert_uint_eq(l.n % 12, 0);
		ck_assert_uint_le(l.n, whole.n);
		for (size_t k = 0; k < l.n; k++)
			same(&l.at[k], &whole.at[k]);
		ck_assert_uint_eq(s.file_length + s.lost, cut);
		log_free(&l);
		segment_free(&s);
	}
	for (size_t bit = 0; bit < length * 8; bit++) {
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (segment_parse(file, length, &s) == 0) {
			l = (struct log){ 0 };
			unpack_chunk(&l, s.head.begin, s.data, s.length);
			ck_assert_uint_lt(l.n, whole.n);
			for (size_t k = 0; k < l.n; k++)
				same(&l.at[k], &whole.at[k]);
			log_free(&l);
			segment_free(&s);
		}
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	log_free(&whole);
	free(file);
}
END_TEST

/* Without its checksums, too: the unpacker by itself believes nothing */
START_TEST(nonsense)
{
	struct log l = { 0 };
	uint8_t *chunk;
	size_t length;

	config.folder = NULL;
	start();
	for (unsigned k = 0; k < 5; k++)
		two_rounds(add(things, k % 2 ? "a" : "b"), (int)k * 5, 5);
	ck_assert_int_eq(journal_snapshot(j, gather, &l), 0);
	chunk = l.ring + SEGMENT_HEAD + 8;
	length = l.length - SEGMENT_HEAD - 16;
	for (unsigned k = 0; k < 20000; k++) {
		struct log heard = { 0 };
		struct unpacker *u;
		uint8_t *bad = malloc(length);

		memcpy(bad, chunk, length);
		for (unsigned n = 1 + rnd(4); n--;)
			bad[rnd((uint32_t)length)] = (uint8_t)rnd(256);
		ck_assert_int_eq(unpacker_new(T0, &fns, &heard, &u), 0);
		ck_assert_int_ne(unpacker_feed(u, bad, rnd((uint32_t)length)), -ENOMEM);
		unpacker_free(u);
		log_free(&heard);
		free(bad);
	}
	log_free(&l);
}
END_TEST

static void all(TCase *tc)
{
	tcase_add_loop_test(tc, there_and_back, 0, 12);
	tcase_add_test(tc, how_small);
	tcase_add_test(tc, bounded);
	tcase_add_test(tc, allocates_nothing);
	tcase_add_test(tc, on_the_disk);
	tcase_add_test(tc, about_to_begin);
	tcase_add_test(tc, only_a_head);
	tcase_add_test(tc, folded);
	tcase_add_test(tc, damaged);
	tcase_add_test(tc, nonsense);
}

int main(void)
{
	return run("journal", all);
}
