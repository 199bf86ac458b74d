/* A model with a journal, and what is read of it: for test_journal.c and test_journal_disk.c */
#ifndef KITH_TEST_JOURNAL_FIXTURE_H
#define KITH_TEST_JOURNAL_FIXTURE_H

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
#define SHARED static __attribute__((unused)) /* one of the two may have no use for it */

static struct model *m;
static struct owner owner;
static struct family *levels, *things;
static struct journal *j;
static struct journal_config config;
static char folder[64];
static int64_t now;
static const char *const words[] = { "off", "on", "odd", NULL };
static uint64_t random_state;

SHARED uint32_t rnd(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(random_state >> 33) % n;
}

SHARED void at(int64_t time)
{
	now = time;
	model_set_now(m, now);
}

SHARED void start(void)
{
	ck_assert_int_eq(journal_new(m, &config, &j), 0);
}

SHARED struct family *family(const char *name, const struct kith_metric *metrics, uint32_t n)
{
	struct kith_family f = { KITH_FAMILY_INIT, .name = name, .instance = "thing", .metrics = metrics, .n_metrics = n };
	struct family *made;
	const char *why;

	ck_assert_int_eq(family_add(m, &owner, &f, 0, &made, &why), 0);
	return made;
}

SHARED void setup(void)
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

SHARED void empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

SHARED void teardown(void)
{
	journal_free(j);
	j = NULL;
	model_free(m);
	empty(folder);
	rmdir(folder);
}

SHARED struct instance *add(struct family *f, const char *name)
{
	struct instance *i;

	ck_assert_int_eq(instance_add(m, f, name, &i), 0);
	return i;
}

SHARED void put(const struct instance *i, uint32_t metric, double value)
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

SHARED int on_sample(const struct unpack_instance *i, uint32_t metric, double value, int64_t time, bool extra, void *user)
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

SHARED int on_end(const struct unpack_instance *i, int64_t time, void *user)
{
	(void)i;
	(void)time;
	((struct log *)user)->ends++;
	return 0;
}

static const struct unpack_fns fns = { .sample = on_sample, .end = on_end };

SHARED int gather(const void *data, size_t length, void *user)
{
	struct log *l = user;

	l->ring = realloc(l->ring, l->length + length);
	ck_assert_ptr_nonnull(l->ring);
	memcpy(l->ring + l->length, data, length);
	l->length += length;
	return 0;
}

SHARED void log_free(struct log *l)
{
	free(l->at);
	free(l->ring);
}

SHARED void unpack_chunk(struct log *l, int64_t begin, const void *data, size_t length)
{
	struct unpacker *u;

	ck_assert_int_eq(unpacker_new(begin, &fns, l, &u), 0);
	ck_assert_int_eq(unpacker_feed(u, data, length), 0);
	unpacker_free(u);
}

SHARED void read_ring(struct log *l)
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
SHARED void read_disk(struct log *l)
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

SHARED void same(const struct heard *a, const struct heard *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_uint_eq(a->metric, b->metric);
	ck_assert_mem_eq(&a->value, &b->value, sizeof(double));
	ck_assert_int_eq(a->time, b->time);
	ck_assert_int_eq(a->extra, b->extra);
}

SHARED void two_rounds(struct instance *i, int from, int n)
{
	for (int k = from; k < from + n; k++) {
		at(T0 + k * S);
		put(i, 0, k);
		put(i, 1, 1000 + k);
		journal_tick(j, now);
	}
}

/* Runs the tests of the suite that `add_tests` adds */
static int run(const char *name, void (*add_tests)(TCase *tc))
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create("journal");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_tests(tc);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
