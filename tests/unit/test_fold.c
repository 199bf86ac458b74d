/* What kith-fold is made of: steps out of samples, names, archives, the undo file, what it keeps */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/archives.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/log.h"
#include "plugin.h"
#include "store/fold/export.h"
#include "store/fold/family.h"
#include "store/fold/resample.h"
#include "store/fold/state.h"
#include "store/fold/undo.h"

#define T0 (INT64_C(1750000000) * NS_PER_S)
#define STEPS 400
#define SAMPLES 300

/* ---- steps ---------------------------------------------------------------------------------------------------------- */

struct told {
	int64_t step;
	double value[STEPS];
	int64_t last;
};

static int tell(const struct resample_run *run, void *user)
{
	struct told *t = user;

	ck_assert_int_eq(run->first % t->step, 0);
	ck_assert_int_eq(run->last % t->step, 0);
	ck_assert_int_ge(run->last, run->first);
	ck_assert(run->least <= run->average + 1e-6 * fabs(run->average) && run->average <= run->most + 1e-6 * fabs(run->most));
	/* In order, and nothing twice */
	ck_assert_int_gt(run->first, t->last);
	t->last = run->last;
	for (int64_t at = run->first; at <= run->last; at += t->step)
		if ((at - T0) / t->step < STEPS)
			t->value[(at - T0) / t->step] = run->average;
	return 0;
}

struct sample {
	int64_t time;
	double value;
	bool ended; /* the instance ended at its time, after it */
};

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* (begin, end] by all samples, with nothing remembered */
static double naive_gauge(const struct sample *s, size_t n, uint32_t kind, int64_t hold, int64_t begin, int64_t end)
{
	double sum = 0, last = NAN;
	size_t inside = 0;
	const struct sample *before = NULL;

	for (size_t k = 0; k < n && s[k].time <= end; k++) {
		before = &s[k];
		if (s[k].time <= begin)
			continue;
		sum += s[k].value;
		last = s[k].value;
		inside++;
	}
	if (inside)
		return kind == KITH_STATE ? last : sum / (double)inside;
	return before && !before->ended && (hold == 0 || end - before->time <= hold) ? before->value : NAN;
}

static double naive_counter(const struct sample *s, size_t n, int64_t hold, int64_t begin, int64_t end)
{
	double sum = 0;
	int64_t known = 0;

	for (size_t k = 0; k < n; k++) {
		bool next = k + 1 < n;
		int64_t until = next ? s[k + 1].time : INT64_MAX, part;
		double increase = next ? (s[k + 1].value >= s[k].value ? s[k + 1].value - s[k].value : s[k + 1].value) : 0;

		if (s[k].ended || (hold && (!next || until - s[k].time > hold)))
			continue;
		part = most(0, least(end, until) - most(begin, s[k].time));
		known += part;
		if (hold)
			sum += until > s[k].time ? increase * (double)part / (double)(until - s[k].time) : until > begin && until <= end ? increase : 0;
		else if (next && until > begin && until <= end)
			sum += increase;
	}
	return known * 2 >= end - begin ? sum * NS_PER_S / (double)known : NAN;
}

static void compare(const struct told *t, const struct sample *s, size_t n, uint32_t kind, int64_t hold, unsigned seed)
{
	int64_t certain = s[n - 1].time - (hold ? hold : 0) - t->step;

	for (int k = 1; k < STEPS && T0 + k * t->step < certain; k++) {
		int64_t end = T0 + k * t->step, begin = end - t->step;
		double wanted = kind == KITH_COUNTER ? naive_counter(s, n, hold, begin, end) : naive_gauge(s, n, kind, hold, begin, end);

		ck_assert_msg((isnan(wanted) && isnan(t->value[k])) || fabs(wanted - t->value[k]) <= 1e-6 * (1 + fabs(wanted)),
		              "seed %u kind %u hold %lld step %d: %.9g, not %.9g", seed, kind, (long long)hold, k, t->value[k], wanted);
	}
}

static void one_random(unsigned seed)
{
	static const int64_t holds[] = { 0, 15 * NS_PER_S, 30 * NS_PER_S, 3 * NS_PER_S }, steps[] = { NS_PER_S, 10 * NS_PER_S, 7 * NS_PER_S };
	struct sample s[SAMPLES];
	struct told t = { 0 };
	struct resample r;
	unsigned state = seed;
	uint32_t kind = (uint32_t)rand_r(&state) % 3;
	int64_t hold = holds[rand_r(&state) % 4], time = T0 + rand_r(&state) % 5000 * NS_PER_MS;
	double count = 0;

	t.step = steps[rand_r(&state) % 3];
	for (int k = 0; k < STEPS; k++)
		t.value[k] = NAN;
	resample_begin(&r, kind, t.step, hold);
	for (size_t k = 0; k < SAMPLES; k++) {
		int what = rand_r(&state) % 20;

		time += what == 0 ? 0 : what == 1 ? 40 * NS_PER_S : what < 8 ? t.step : rand_r(&state) % 12000 * NS_PER_MS;
		if (what == 2)
			time = step_up(time, t.step); /* on the dot */
		count = what == 3 ? 1 : count + rand_r(&state) % 100;
		s[k] = (struct sample){ time, kind == KITH_COUNTER ? count : kind == KITH_STATE ? rand_r(&state) % 3 : rand_r(&state) % 1000 - 500, false };
		if (rand_r(&state) % 3 == 0)
			ck_assert_int_eq(resample_advance(&r, time, tell, &t), 0);
		ck_assert_int_eq(resample_put(&r, time, s[k].value, tell, &t), 0);
		if (rand_r(&state) % 30 == 0) {
			s[k].ended = true;
			ck_assert_int_eq(resample_end(&r, time, tell, &t), 0);
			time += 1;
		}
	}
	resample_rest(&r, time, tell, &t);
	compare(&t, s, SAMPLES, kind, hold, seed);
	ck_assert_uint_eq(r.backwards, 0);
}

START_TEST(steps_as_the_naive_reckoning)
{
	for (unsigned seed = 1; seed <= 300; seed++)
		one_random(seed);
}
END_TEST

START_TEST(backwards)
{
	struct told t = { .step = 10 * NS_PER_S };
	struct resample r;

	resample_begin(&r, KITH_GAUGE, t.step, 30 * NS_PER_S);
	for (int k = 0; k < 10; k++)
		resample_put(&r, T0 + (10 * k + 5) * NS_PER_S, k, tell, &t);
	resample_put(&r, T0 + 12 * NS_PER_S, 100, tell, &t);
	resample_put(&r, T0 + 22 * NS_PER_S, 100, tell, &t);
	ck_assert_uint_eq(r.backwards, 2);
	resample_put(&r, T0 + 105 * NS_PER_S, 7, tell, &t);
	resample_put(&r, T0 + 115 * NS_PER_S, 7, tell, &t);
	ck_assert(t.value[9] == 8 && t.value[10] == 9 && t.value[11] == 7);
	/* Nothing to be gained from times that are none */
	resample_put(&r, 0, 1, tell, &t);
	resample_put(&r, -5, 1, tell, &t);
	resample_put(&r, INT64_MAX, 1, tell, &t);
	resample_put(&r, T0 + 125 * NS_PER_S, NAN, tell, &t);
	ck_assert_int_eq(r.time, T0 + 115 * NS_PER_S);
	ck_assert_int_eq(resample_rest(&r, INT64_MAX, tell, &t), -EINVAL);
}
END_TEST

static int refuse(const struct resample_run *run, void *user)
{
	(void)run;
	(void)user;
	return -EPIPE;
}

START_TEST(who_refuses_ends_it)
{
	struct resample r;

	resample_begin(&r, KITH_GAUGE, NS_PER_S, 0);
	ck_assert_int_eq(resample_put(&r, T0 + 1, 1, refuse, NULL), 0);
	ck_assert_int_eq(resample_put(&r, T0 + 5 * NS_PER_S, 1, refuse, NULL), -EPIPE);
}
END_TEST

/* ---- names ---------------------------------------------------------------------------------------------------------------- */

START_TEST(names_there_and_back)
{
	unsigned state = 1;

	for (int round = 0; round < 3000; round++) {
		char name[256], file[RRD_NAME_SIZE], back[RRD_NAME_SIZE];
		int n = rand_r(&state) % 40;

		for (int k = 0; k < n; k++)
			name[k] = (char)(rand_r(&state) % 3 ? rand_r(&state) % 127 + 1 : rand_r(&state) % 255 + 1);
		name[n] = '\0';
		rrd_file_name(name, file);
		ck_assert(!strchr(file, '/') && *file != '.' && strlen(file) < RRD_NAME_SIZE);
		ck_assert_msg(rrd_file_instance(file, back, sizeof(back)), "%s", file);
		ck_assert_str_eq(back, name);
	}
}
END_TEST

START_TEST(names_that_are_none)
{
	static const char *const bad[] = { "", ".rrd", "%4.rrd", "%41.rrd", "a%2f.rrd", "a", "a.rrd.bad", "%00.rrd", ".a.rrd", "a b.rrd", "%-0123456789abcdef.rrd" };
	char back[RRD_NAME_SIZE], file[RRD_NAME_SIZE], other[RRD_NAME_SIZE], name[256];

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		ck_assert_msg(!rrd_file_instance(bad[k], back, sizeof(back)), "%s", bad[k]);
	memset(name, 'x', 255);
	name[255] = '\0';
	rrd_file_name(name, file);
	name[254] = 'y';
	rrd_file_name(name, other);
	ck_assert_str_ne(file, other);
	ck_assert(!rrd_file_instance(file, back, sizeof(back)));
}
END_TEST

START_TEST(sources)
{
	char name[RRD_SOURCE_SIZE];

	rrd_source_name("nineteen_characters", name);
	ck_assert_str_eq(name, "nineteen_characters");
	rrd_source_name("twenty_characters_ab", name);
	ck_assert_uint_eq(strlen(name), 19);
	ck_assert_int_eq(strncmp(name, "twenty_cha_", 11), 0);
}
END_TEST

/* ---- archives ---------------------------------------------------------------------------------------------------------------- */

START_TEST(archives)
{
	static const char *const bad[] = { "", "10s", "10s:", ":6h", "10s:6h,", "10x:6h", "15s:6h", "10s:6h,10s:1d", "10s:6h,5s:1d", "20s:6h,30s:1d", "1min:10s",
		                           "10s:90y,1h:100y1", "0s:1h", "10s:6h 1min:2d", "99999999999999999999s:1h", "10s:1000y" };
	struct archives a, d;
	struct buf why = BUF_INIT;

	ck_assert_int_eq(archives_parse(ARCHIVES_DEFAULT, 10 * NS_PER_S, &a, &why), 0);
	ck_assert_uint_eq(a.n, 4);
	ck_assert_uint_eq(a.list[0].rows, 2160);
	ck_assert_uint_eq(a.list[3].rows, 365 * 2 * 12);
	archives_default(10 * NS_PER_S, &d);
	for (size_t k = 0; k < 4; k++)
		ck_assert(a.list[k].row == d.list[k].row && a.list[k].rows == d.list[k].rows);
	archives_default(60 * NS_PER_S, &d);
	ck_assert_uint_eq(d.n, 3);
	ck_assert(d.list[0].row == 60 * NS_PER_S && d.list[0].rows == 2880);
	archives_default(7 * NS_PER_S, &d);
	for (size_t k = 0; k < d.n; k++)
		ck_assert(d.list[k].row % d.list[0].row == 0 && d.list[0].row == 7 * NS_PER_S);
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		buf_reset(&why);
		ck_assert_msg(archives_parse(bad[k], 10 * NS_PER_S, &a, &why) == -EINVAL && why.length, "%s", bad[k]);
	}
	buf_free(&why);
}
END_TEST

START_TEST(times)
{
	int64_t now = T0, t;

	ck_assert_int_eq(export_time("2h", now, &t), 0);
	ck_assert_int_eq(t, T0 - 7200 * NS_PER_S);
	ck_assert_int_eq(export_time("2025-06-15T15:06:40Z", now, &t), 0);
	ck_assert_int_eq(t, T0);
	ck_assert_int_eq(export_time("1750000000.5", now, &t), 0);
	ck_assert_int_eq(t, T0 + NS_PER_S / 2);
	ck_assert_int_eq(export_time("now", now, &t), 0);
	ck_assert_int_eq(t, now);
	ck_assert_int_eq(export_time("yesterday", now, &t), -EINVAL);
	ck_assert_int_eq(export_time("", now, &t), -EINVAL);
	ck_assert_int_eq(export_time("99y", now, &t), -EINVAL);
}
END_TEST

/* ---- undo ---------------------------------------------------------------------------------------------------------------------- */

struct entries {
	int n;
	char paths[4][64];
	size_t lengths[4];
};

static int entry(const char *path, const uint8_t *head, size_t length, void *user)
{
	struct entries *e = user;

	ck_assert_int_lt(e->n, 4);
	snprintf(e->paths[e->n], 64, "%s", path);
	e->lengths[e->n++] = length;
	for (size_t k = 0; k < length; k++)
		ck_assert_uint_eq(head[k], (uint8_t)(k * 3));
	return 0;
}

START_TEST(undo_file)
{
	char folder[] = "/tmp/kith-undo-XXXXXX", path[64];
	uint8_t head[500], data[4096];
	struct entries e = { 0 };
	struct undo u;
	size_t files;
	ssize_t n;
	int dir, fd;

	log_set_level((enum log_level)0);
	for (size_t k = 0; k < sizeof(head); k++)
		head[k] = (uint8_t)(k * 3);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(undo_begin(&u, dir), 0);
	ck_assert_int_eq(undo_add(&u, "df/a.rrd", head, 500), 0);
	ck_assert_int_eq(undo_add(&u, "df/b.rrd", head, 1), 0);
	ck_assert_int_eq(undo_add(&u, "", head, 1), -EINVAL);
	ck_assert(!undo_pending(dir));
	ck_assert_int_eq(undo_ready(&u), 0);
	ck_assert(undo_pending(dir));
	snprintf(path, sizeof(path), "%s/" UNDO_FILE, folder);
	fd = open(path, O_RDONLY);
	n = read(fd, data, sizeof(data));
	close(fd);
	ck_assert_int_eq(undo_parse(data, (size_t)n, entry, &e), 0);
	ck_assert_int_eq(e.n, 2);
	ck_assert_str_eq(e.paths[1], "df/b.rrd");
	ck_assert_uint_eq(e.lengths[0], 500);
	/* Cut off anywhere, or one bit another: nothing of it */
	for (ssize_t k = 0; k < n; k++)
		ck_assert_int_eq(undo_parse(data, (size_t)k, entry, &e), -EBADMSG);
	for (ssize_t k = 0; k < n; k++) {
		data[k] ^= 1;
		ck_assert_int_eq(undo_parse(data, (size_t)n, entry, &e), -EBADMSG);
		data[k] ^= 1;
	}
	/* Files that are not there, or others, are no reason to stop */
	ck_assert_int_eq(undo_restore(dir, &files), 1);
	ck_assert_uint_eq(files, 0);
	ck_assert_int_eq(undo_restore(dir, &files), 0);
	ck_assert_int_eq(undo_check(dir), 0);
	/* A damaged one goes, and nothing was taken back. */
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, data, (size_t)n - 1), n - 1);
	close(fd);
	ck_assert_int_eq(undo_check(dir), -EBADMSG);
	ck_assert(undo_pending(dir));
	ck_assert_int_eq(undo_restore(dir, &files), 0);
	ck_assert(!undo_pending(dir));
	ck_assert_int_eq(undo_begin(&u, dir), 0);
	undo_give_up(&u);
	ck_assert_int_eq(rmdir(folder), 0);
	close(dir);
}
END_TEST

/* ---- what is kept as text -------------------------------------------------------------------------------------------------------- */

START_TEST(family_text)
{
	char *states[] = { (char *)"do\twn", (char *)"u\\p", (char *)"", NULL };
	struct unpack_metric metrics[] = { { (char *)"a", (char *)"B", KITH_GAUGE, 0, 0, NULL },
		                           { (char *)"s", (char *)"1", KITH_STATE, KITH_METRIC_EVENT, 3, states } };
	struct unpack_family u = { .name = (char *)"df", .label = (char *)"mount point", .stale_after = 30, .n = 2, .metrics = metrics };
	struct fold_family *f, *again;
	struct family_file *file;
	struct buf b = BUF_INIT, c = BUF_INIT;
	char *text;

	ck_assert_int_eq(known_new("df", &f), 0);
	ck_assert_int_eq(known_learn(f, &u), 0);
	ck_assert(f->changed);
	ck_assert_int_eq(known_add_file(f, "a.rrd", "a\nb\x7f"), 0);
	known_format(f, &b);
	ck_assert_int_eq(known_new("df", &again), 0);
	text = strdup(b.data);
	ck_assert_int_eq(known_parse(text, again), 0);
	free(text);
	known_format(again, &c);
	ck_assert_str_eq(b.data, c.data);
	ck_assert(!again->changed);
	ck_assert_int_eq(known_learn(again, &u), 0);
	ck_assert(!again->changed);
	ck_assert_str_eq(again->metrics[1].states[0], "do\twn");
	HASH_FIND_STR(again->files, "a\nb\x7f", file);
	ck_assert_ptr_nonnull(file);
	metrics[0].unit = (char *)"s";
	ck_assert_int_eq(known_learn(again, &u), 0);
	ck_assert(again->changed && again->n == 2);
	metrics[0].name = (char *)"Bad Name";
	ck_assert_int_eq(known_learn(again, &u), -EINVAL);
	known_free(f);
	known_free(again);
	buf_free(&b);
	buf_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fold");
	TCase *t = tcase_create("fold");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 240);
	tcase_add_test(t, steps_as_the_naive_reckoning);
	tcase_add_test(t, backwards);
	tcase_add_test(t, who_refuses_ends_it);
	tcase_add_test(t, names_there_and_back);
	tcase_add_test(t, names_that_are_none);
	tcase_add_test(t, sources);
	tcase_add_test(t, archives);
	tcase_add_test(t, times);
	tcase_add_test(t, undo_file);
	tcase_add_test(t, family_text);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
