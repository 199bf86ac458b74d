/* store/: samples packed and unpacked, the ring, segments on the disk, and what becomes of them when the disk does not do its part */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/model.h"
#include "store/journal.h"
#include "store/pack.h"
#include "store/segment.h"

#define S NS_PER_S
#define T0 (1700000000 * NS_PER_S)
#define SAMPLES 200000u

static struct model *m;
static struct owner owner;
static struct family *levels, *things;
static struct journal *j;
static struct journal_config config;
static char folder[64];
static int64_t now;
static const char *const words[] = { "off", "on", "odd", NULL };
static uint64_t random_state;

static uint32_t rnd(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(random_state >> 33) % n;
}

static void at(int64_t time)
{
	now = time;
	model_set_now(m, now);
}

static void start(void)
{
	ck_assert_int_eq(journal_new(m, &config, &j), 0);
}

static struct family *family(const char *name, const struct kith_metric *metrics, uint32_t n)
{
	struct kith_family f = { KITH_FAMILY_INIT, .name = name, .instance = "thing", .metrics = metrics, .n_metrics = n };
	struct family *made;
	const char *why;

	ck_assert_int_eq(family_add(m, &owner, &f, 0, &made, &why), 0);
	return made;
}

static void setup(void)
{
	static const struct kith_metric metrics[] = {
		{ "gauge", "B", NULL, NULL, KITH_GAUGE, 0 },
		{ "counter", "packets", NULL, NULL, KITH_COUNTER, 0 },
		{ "state", NULL, NULL, words, KITH_STATE, KITH_METRIC_EVENT },
		{ "percent", "%", NULL, NULL, KITH_GAUGE, 0 },
	};

	strcpy(folder, "/tmp/kith-journal-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	owner = (struct owner){ .name = "test", .stale_after = 30 * S };
	ck_assert_int_eq(model_new(&m), 0);
	at(T0);
	config = (struct journal_config){ .folder = folder };
	levels = family("levels", metrics, 2);
	things = family("things", metrics, 4);
}

static void empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

static void teardown(void)
{
	journal_free(j);
	j = NULL;
	model_free(m);
	empty(folder);
	rmdir(folder);
}

static struct instance *add(struct family *f, const char *name)
{
	struct instance *i;

	ck_assert_int_eq(instance_add(m, f, name, &i), 0);
	return i;
}

static void put(const struct instance *i, uint32_t metric, double value)
{
	ck_assert_int_eq(model_put(m, &owner, i->id + metric, value, now), 0);
}

/* ---- what the ring says, decoded ------------------------------------------------------------------------------------ */

struct heard {
	char name[32];
	uint32_t metric;
	double value;
	int64_t time;
	bool extra;
};
struct log {
	struct heard *at;
	size_t n, size, ends, families;
	uint8_t *ring;
	size_t length;
	uint64_t bytes;
};

static int on_sample(const struct unpack_instance *i, uint32_t metric, double value, int64_t time, bool extra, void *user)
{
	struct log *l = user;

	if (l->n == l->size) {
		l->size = l->size ? l->size * 2 : 1024;
		l->at = realloc(l->at, l->size * sizeof(*l->at));
		ck_assert_ptr_nonnull(l->at);
	}
	l->at[l->n] = (struct heard){ .metric = metric, .value = value, .time = time, .extra = extra };
	snprintf(l->at[l->n++].name, sizeof(l->at->name), "%s", i->name);
	return 0;
}

static int on_end(const struct unpack_instance *i, int64_t time, void *user)
{
	(void)i;
	(void)time;
	((struct log *)user)->ends++;
	return 0;
}

static const struct unpack_fns fns = { .sample = on_sample, .end = on_end };

static int gather(const void *data, size_t length, void *user)
{
	struct log *l = user;

	l->ring = realloc(l->ring, l->length + length);
	ck_assert_ptr_nonnull(l->ring);
	memcpy(l->ring + l->length, data, length);
	l->length += length;
	return 0;
}

static void log_free(struct log *l)
{
	free(l->at);
	free(l->ring);
}

static void unpack_chunk(struct log *l, int64_t begin, const void *data, size_t length)
{
	struct unpacker *u;

	ck_assert_int_eq(unpacker_new(begin, &fns, l, &u), 0);
	ck_assert_int_eq(unpacker_feed(u, data, length), 0);
	unpacker_free(u);
}

static void read_ring(struct log *l)
{
	*l = (struct log){ 0 };
	ck_assert_int_eq(journal_snapshot(j, gather, l), 0);
	for (size_t p = 0; l->ring[p] != 0xff;) {
		int64_t begin;
		uint64_t length;

		memcpy(&begin, l->ring + p + 24, 8);
		memcpy(&length, l->ring + p + SEGMENT_HEAD, 8);
		p += SEGMENT_HEAD + 8;
		unpack_chunk(l, begin, l->ring + p, length);
		l->bytes += length;
		p += length;
	}
}

/* All that the disk has */
static void read_disk(struct log *l)
{
	struct segment_file *files;
	int fd = open(folder, O_RDONLY | O_DIRECTORY);
	size_t n;

	*l = (struct log){ 0 };
	ck_assert_int_eq(segment_list(fd, &files, &n), 0);
	for (size_t i = 0; i < n; i++) {
		struct segment s;

		if (!files[i].bytes)
			continue;
		ck_assert_int_eq(segment_read(fd, files[i].number, &s), 0);
		unpack_chunk(l, s.head.begin, s.data, s.length);
		segment_free(&s);
	}
	free(files);
	close(fd);
}

static void same(const struct heard *a, const struct heard *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_uint_eq(a->metric, b->metric);
	ck_assert_mem_eq(&a->value, &b->value, sizeof(double));
	ck_assert_int_eq(a->time, b->time);
	ck_assert_int_eq(a->extra, b->extra);
}

/* ---- tests ------------------------------------------------------------------------------------------------------------ */

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

static void two_rounds(struct instance *i, int from, int n)
{
	for (int k = from; k < from + n; k++) {
		at(T0 + k * S);
		put(i, 0, k);
		put(i, 1, 1000 + k);
		journal_tick(j, now);
	}
}

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

/* ---- a disk that fails -------------------------------------------------------------------------------------------------- */

struct disk {
	int error;         /* what writes fail with; 0: they do not */
	size_t part;       /* bytes that get through all the same */
	int truncate_error;
	unsigned writes;
};
static struct disk disk;

static ssize_t bad_writev(int fd, const struct iovec *iov, int n, void *user)
{
	struct disk *d = user;

	d->writes++;
	if (!d->error)
		return writev(fd, iov, n);
	if (d->part) {
		size_t part = d->part < iov[0].iov_len ? d->part : iov[0].iov_len;

		return write(fd, iov[0].iov_base, part);
	}
	errno = d->error;
	return -1;
}

static int bad_truncate(int fd, off_t length, void *user)
{
	struct disk *d = user;

	if (!d->truncate_error)
		return ftruncate(fd, length);
	errno = d->truncate_error;
	return -1;
}

static void start_bad(void)
{
	disk = (struct disk){ 0 };
	config.io = (struct journal_io){ .writev = bad_writev, .truncate = bad_truncate, .user = &disk };
	start();
}

/* Errors, parts of a write, parts that cannot be taken back: nothing is lost while memory holds it, nothing is doubled. */
START_TEST(fails_and_recovers)
{
	static const struct { int error; size_t part; int truncate_error; } cases[] = {
		{ EIO, 0, 0 }, { EROFS, 0, 0 }, { EIO, 5, 0 }, { EIO, 7, EIO }, { ENOSPC, 0, 0 }, { EINVAL, 1, EROFS },
	};
	struct journal_counts c;
	struct instance *i;
	struct log l;
	int n = 0;

	start_bad();
	i = add(levels, "a");
	two_rounds(i, n, 5);
	n += 5;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		disk.error = cases[k].error;
		disk.part = cases[k].part;
		disk.truncate_error = cases[k].truncate_error;
		two_rounds(i, n, 5);
		n += 5;
		ck_assert_ptr_nonnull(journal_off(j));
		disk = (struct disk){ 0 };
		two_rounds(i, n, 5);
		n += 5;
		ck_assert_ptr_null(journal_off(j));
		read_disk(&l);
		ck_assert_uint_eq(l.n, (size_t)n * 2);
		for (size_t x = 0; x < l.n; x += 2)
			ck_assert(l.at[x].value == (double)(x / 2));
		log_free(&l);
	}
	journal_counts(j, &c);
	ck_assert_uint_eq(c.dropped, 0);
	ck_assert_uint_gt(c.failures, 0);
}
END_TEST

static uint64_t n_records;
static char last_record[256];

static void on_record(const struct kith_record *r, uint64_t number, void *user)
{
	(void)number;
	(void)user;
	n_records++;
	snprintf(last_record, sizeof(last_record), "%s", r->message);
}

/* For longer than memory holds: the oldest are dropped, counted, and recorded when it goes on */
START_TEST(fails_for_long)
{
	struct model_observer o = { .on_record = on_record };
	struct journal_counts c;
	struct instance *i;
	struct log l;
	char word[32];

	n_records = 0;
	config.chunk = 4096;
	config.ring = 4 * 4096;
	model_observe(m, &o);
	start_bad();
	i = add(levels, "a");
	two_rounds(i, 0, 5);
	disk.error = EIO;
	two_rounds(i, 5, 5000);
	journal_counts(j, &c);
	ck_assert_uint_gt(c.dropped, 1000);
	ck_assert_uint_le(c.ring, 5 * 4096);
	disk = (struct disk){ 0 };
	two_rounds(i, 5005, 5);
	journal_counts(j, &c);
	read_disk(&l);
	/* Each sample is on the disk, or is one of those that were counted. */
	ck_assert_uint_eq(l.n + c.dropped, 5010 * 2);
	snprintf(word, sizeof(word), "%llu samples", (unsigned long long)c.dropped);
	ck_assert_uint_ge(n_records, 1);
	ck_assert_ptr_nonnull(strstr(last_record, "dropped"));
	log_free(&l);
	model_unobserve(m, &o);
}
END_TEST

/* The disk has no room for more than so much: the oldest segments make it */
START_TEST(full)
{
	struct model_observer o = { .on_record = on_record };
	struct journal_counts c;
	struct instance *i;
	struct log l;

	config.chunk = 4096;
	config.ring = 4 * 4096;
	config.disk = 6 * 4096;
	n_records = 0;
	model_observe(m, &o);
	start();
	i = add(things, "a");
	for (int k = 0; k < 3000; k++) {
		at(T0 + k * S);
		put(i, 0, (double)rnd(1u << 30) / 7);
		put(i, 1, k);
		journal_tick(j, now);
		journal_counts(j, &c);
		ck_assert_uint_le(c.disk, 7 * 4096);
	}
	read_disk(&l);
	ck_assert_uint_eq(l.n + c.dropped, 6000);
	/* Said in 3000 s, not for each segment */
	ck_assert_uint_ge(n_records, 1);
	ck_assert_uint_le(n_records, 6);
	model_unobserve(m, &o);
	ck_assert(l.at[l.n - 1].value == 2999);
	log_free(&l);
}
END_TEST

static int no_unlink(int dir, const char *name, void *user)
{
	(void)dir;
	(void)name;
	(void)user;
	errno = EROFS;
	return -1;
}

/* There is too much, and nothing can be removed: it is there still, so it is not counted as dropped. */
START_TEST(nothing_can_be_removed)
{
	struct journal_counts c;
	struct instance *i;
	struct log l;

	config.chunk = 4096;
	config.disk = 4 * 4096;
	config.io.unlink = no_unlink;
	start();
	i = add(levels, "a");
	for (int k = 0; k < 3000; k += 10) {
		two_rounds(i, k, 10);
		journal_seal(j);
	}
	journal_counts(j, &c);
	ck_assert_uint_gt(c.disk, 4 * 4096);
	ck_assert_uint_eq(c.dropped, 0);
	read_disk(&l);
	ck_assert_uint_ge(l.n, 6000 - 20);
	log_free(&l);
}
END_TEST

START_TEST(folder_goes_and_comes)
{
	struct instance *i;
	struct log l;
	char gone[80];

	config.chunk = 4096;
	start();
	i = add(levels, "a");
	two_rounds(i, 0, 10);
	empty(folder);
	rmdir(folder);
	for (int k = 10; k < 2000; k += 10)
		two_rounds(i, k, 10);
	ck_assert_ptr_null(journal_off(j));
	read_disk(&l);
	ck_assert_uint_gt(l.n, 100);
	ck_assert(l.at[l.n - 1].value == 2999);
	log_free(&l);
	/* One that cannot be had at the start is had later. */
	journal_free(j);
	snprintf(gone, sizeof(gone), "%s/not/here", folder);
	config.folder = gone;
	start();
	ck_assert_ptr_nonnull(journal_off(j));
	two_rounds(i, 2000, 3);
	ck_assert_ptr_nonnull(journal_off(j));
	journal_free(j);
	config.folder = folder;
	start();
}
END_TEST

START_TEST(clock_is_set)
{
	struct instance *i;
	struct log l;

	start();
	i = add(levels, "a");
	two_rounds(i, 0, 10);
	at(T0 - 3600 * S);
	model_jump(m, -3609 * S);
	journal_jump(j);
	two_rounds(i, -3600, 5);
	read_disk(&l);
	ck_assert_uint_eq(l.n, 30);
	ck_assert_int_eq(l.at[29].time, T0 - 3596 * S);
	log_free(&l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("journal");
	TCase *tc = tcase_create("journal");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
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
	tcase_add_test(tc, fails_and_recovers);
	tcase_add_test(tc, fails_for_long);
	tcase_add_test(tc, full);
	tcase_add_test(tc, nothing_can_be_removed);
	tcase_add_test(tc, folder_goes_and_comes);
	tcase_add_test(tc, clock_is_set);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
