/* The recent samples of what promises name: kept, bounded, gone with their series */
#include "language_help.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/trail.h"

static struct trails *trails;

static void begin(size_t bytes)
{
	setup();
	ck_assert_int_eq(trails_new(w->m, bytes, &trails), 0);
}

static void end(void)
{
	promises_free(w->p);
	w->p = NULL;
	ck_assert_uint_eq(trails_count(trails), 0);
	trails_free(trails);
	teardown();
}

static struct series *series(const char *instance, unsigned metric)
{
	return &world_instance(w, w->df, instance)->series[metric];
}

START_TEST(named_series_alone)
{
	begin(1 << 20);
	put(w, "df", "/", "free_percent", 50, 0);
	put(w, "df", "/", "free", 50, 0);
	world_keep(w, "d", "df:/:free_percent > 10%");
	ck_assert_uint_eq(trails_count(trails), 1);
	ck_assert_uint_eq(trail_length(series("/", 0)), 0);
	ck_assert_uint_eq(trail_length(series("/", 1)), 1); /* what stood there */
	put(w, "df", "/", "free", 60, 1);
	put(w, "df", "/", "free_percent", 60, 1);
	w->owner.extra = true;
	put(w, "df", "/", "free_percent", 70, 1.5);
	w->owner.extra = false;
	ck_assert_uint_eq(trail_length(series("/", 1)), 3);
	ck_assert(trail_at(series("/", 1), 0).value == 50 && trail_at(series("/", 1), 2).value == 70);
	ck_assert_int_eq(trail_at(series("/", 1), 1).time, S(1));
	ck_assert(!trail_at(series("/", 1), 1).extra && trail_at(series("/", 1), 2).extra);
	trails_jump(trails, 3600 * NS_PER_S);
	ck_assert_int_eq(trail_at(series("/", 1), 0).time, S(3600));
	ck_assert_int_eq(trail_at(series("/", 1), 2).time, S(3601.5));
	ck_assert(trail_at(series("/", 1), 2).extra);
	end();
}
END_TEST

START_TEST(the_last_ones)
{
	begin(1 << 20);
	world_keep(w, "d", "df:/:free_percent > 10%");
	for (int i = 0; i < 3 * TRAIL_LENGTH + 17; i++) {
		size_t n = i < TRAIL_LENGTH ? (size_t)i + 1 : TRAIL_LENGTH;

		put(w, "df", "/", "free_percent", i, i);
		ck_assert_uint_eq(trail_length(series("/", 1)), n);
		ck_assert(trail_at(series("/", 1), n - 1).value == i);
		ck_assert(trail_at(series("/", 1), 0).value == (double)i + 1 - (double)n);
		ck_assert_int_eq(trail_at(series("/", 1), n / 2).time, S(i + 1 - (int)n + (int)(n / 2)));
	}
	end();
}
END_TEST

/* Several names for one series keep one trail, until the last of them goes; a series takes its own along. */
START_TEST(come_and_go)
{
	begin(1 << 20);
	world_load_at(w, "bundle b {\n promise p { promiser df:* keep df:*:free_percent > 10% }\n"
	                 " promise q { promiser d keep df:/:free_percent > 20% and df:/:free > 1B }\n"
	                 " promise r { promiser d keep all df:*:free_percent > 5% } }", 0);
	put(w, "df", "/", "free_percent", 50, 0);
	put(w, "df", "/b", "free_percent", 50, 0);
	ck_assert_uint_eq(trails_count(trails), 3);
	world_load_at(w, "bundle b { promise p { promiser df:* keep df:*:free_percent > 10% } }", 1);
	ck_assert_uint_eq(trails_count(trails), 2);
	ck_assert_uint_eq(trail_length(series("/", 1)), 1); /* the same one */
	instance_end(w->m, world_instance(w, w->df, "/b"));
	ck_assert_uint_eq(trails_count(trails), 1);
	world_load_at(w, "", 2);
	ck_assert_uint_eq(trails_count(trails), 0);
	ck_assert_uint_eq(trail_length(series("/", 1)), 0);
	put(w, "df", "/", "free_percent", 50, 3);
	end();
}
END_TEST

START_TEST(bounded)
{
	char name[16];

	begin(100000); /* 17 of them */
	world_keep(w, "df:*", "df:*:free_percent > 10%");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "/%d", i);
		put(w, "df", name, "free_percent", 50, i);
	}
	ck_assert_uint_eq(trails_count(trails), 17);
	ck_assert_uint_eq(trails_refused(trails), 83);
	ck_assert_uint_eq(trail_length(series("/0", 1)), 1);
	ck_assert_uint_eq(trail_length(series("/99", 1)), 0);
	/* Whoever had none takes nobody's away. */
	world_load_at(w, "bundle b { promise p { promiser df:* keep df:*:free_percent > 11% } }", 200);
	ck_assert_uint_eq(trails_count(trails), 17);
	for (int i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "/%d", i);
		instance_end(w->m, world_instance(w, w->df, name));
	}
	put(w, "df", "/new", "free_percent", 50, 300);
	ck_assert_uint_eq(trail_length(series("/new", 1)), 1);
	end();
}
END_TEST

/* A window begins with the samples that are there; of those that attention added, only where they count for nothing. */
START_TEST(windows_begin_with_what_is_known)
{
	begin(1 << 20);
	world_keep(w, "d", "df:/:free_percent > 1%");
	for (int i = 0; i < 20; i++) {
		put(w, "df", "/", "free_percent", i == 3 ? 5 : 50, i);
		w->owner.extra = true;
		put(w, "df", "/", "free_percent", 40, i + 0.5);
		w->owner.extra = false;
	}
	world_load_at(w, "bundle b {\n promise keep { promiser d keep df:/:free_percent > 1% }\n"
	                 " promise low { promiser d keep min(df:/:free_percent, 30s) > 10% }\n"
	                 " promise late { promiser d keep min(df:/:free_percent, 10s) > 10% }\n"
	                 " promise mean { promiser d keep avg(df:/:free_percent, 60s) > 45% }\n"
	                 " promise many { promiser d keep count(df:/:free_percent, 60s) > 21 }\n"
	                 " promise other { promiser d keep min(df:/:free, 30s) > 1B }\n}", 20);
	ck_assert_str_eq(stands("b.low", NULL), "broken");
	ck_assert_str_eq(stands("b.late", NULL), "kept");
	ck_assert_str_eq(stands("b.mean", NULL), "kept");
	ck_assert_str_eq(stands("b.many", NULL), "broken"); /* 20, and what stands there: 21 */
	ck_assert_str_eq(stands("b.other", NULL), "unknown");
	end();
}
END_TEST

/* ---- from one kithd to the next ---------------------------------------------------------------------------------- */

static char path[64], *said;

/* As at the start: nothing is known but what the file says, `seconds` after the beginning */
static void again(size_t bytes, double seconds)
{
	begin(bytes);
	world_time(w, S(seconds));
	free(said);
	said = NULL;
	ck_assert_int_eq(trails_load(trails, path, S(seconds), &said), 0);
}

static void saved(void)
{
	snprintf(path, sizeof(path), "/tmp/kith-trails-%d", (int)getpid());
	begin(1 << 20);
	world_load_at(w, "bundle b {\n promise p { promiser d keep df:/:free_percent > 1% }\n"
	                 " promise q { promiser d keep interface:eth0:state == \"up\" }\n}", 0);
	for (int i = 0; i <= 100; i++)
		put(w, "df", "/", "free_percent", i == 90 ? 5 : 50, i);
	put(w, "interface", "eth0", "state", 1, 40);
	ck_assert_int_eq(trails_save(trails, path, S(100)), 0);
	end();
}

static void unsaved(void)
{
	unlink(path);
	free(said);
	said = NULL;
}

#define AFTER "bundle b {\n promise low { promiser d keep min(df:/:free_percent, 1m) > 10% }\n" \
              " promise state { promiser d keep interface:eth0:state == \"up\" }\n}"

START_TEST(through_a_file)
{
	saved();
	again(1 << 20, 110);
	ck_assert_ptr_null(said);
	world_load_at(w, AFTER, 110);
	ck_assert_str_eq(stands("b.low", NULL), "unknown"); /* nothing of now is known yet */
	put(w, "df", "/", "free_percent", 50, 111);
	ck_assert_str_eq(stands("b.low", NULL), "broken");
	ck_assert_uint_eq(trail_length(series("/", 1)), 102);
	ck_assert_int_eq(trail_at(series("/", 1), 0).time, S(0));
	ck_assert(trail_at(series("/", 1), 90).value == 5 && trail_at(series("/", 1), 101).value == 50);
	for (int i = 112; i < 152; i++)
		put(w, "df", "/", "free_percent", 50, i);
	ck_assert_str_eq(stands("b.low", NULL), "kept"); /* at 90 it was 5 */
	end();

	/* Nobody looked for longer than half of the window: it begins anew. */
	again(1 << 20, 140);
	world_load_at(w, AFTER, 140);
	put(w, "df", "/", "free_percent", 50, 141);
	ck_assert_str_eq(stands("b.low", NULL), "kept");
	end();

	/* What is not named by then is forgotten. */
	again(1 << 20, 110);
	trails_forget(trails);
	world_load_at(w, AFTER, 110);
	put(w, "df", "/", "free_percent", 50, 111);
	ck_assert_str_eq(stands("b.low", NULL), "kept");
	end();

	/* The clock is set while they wait. */
	again(1 << 20, 110);
	trails_jump(trails, 3600 * NS_PER_S);
	world_load_at(w, AFTER, 3710);
	put(w, "df", "/", "free_percent", 50, 3711);
	ck_assert_str_eq(stands("b.low", NULL), "broken");
	end();
	unsaved();
}
END_TEST

/* A file of ours of which any part is missing, or any byte is another one, is of no use, and does no harm. */
START_TEST(a_damaged_file)
{
	char *text, *bad;
	size_t length;

	saved();
	ck_assert_int_eq(file_read_all(path, 1 << 20, &text, &length), 0);
	bad = malloc(length);
	begin(1 << 20);
	for (size_t i = 0; i < 2 * length; i++) {
		memcpy(bad, text, length);
		if (i >= length)
			bad[i - length] = (char)(bad[i - length] ^ (1 << i % 8));
		ck_assert_int_eq(file_replace(path, "/tmp/kith-trails-beside", bad, i < length ? i : length, false), 0);
		ck_assert_int_eq(trails_load(trails, path, S(110), &said), 0);
		ck_assert_msg(said != NULL, "at %zu of %zu", i, length);
		free(said);
		said = NULL;
	}
	world_load_at(w, AFTER, 110);
	put(w, "df", "/", "free_percent", 50, 111);
	ck_assert_str_eq(stands("b.low", NULL), "kept");
	ck_assert_uint_eq(trail_length(series("/", 1)), 1);
	end();
	free(bad);
	free(text);
	unsaved();
}
END_TEST

START_TEST(a_file_of_another_time)
{
	saved();
	again(1 << 20, 99);
	ck_assert_ptr_nonnull(strstr(said, "written in what is the future now"));
	end();
	again(1 << 20, 100 + 25 * 3600);
	ck_assert_ptr_nonnull(strstr(said, "more than a day old"));
	end();
	unlink(path);
	again(1 << 20, 110);
	ck_assert_ptr_null(said);
	end();
	ck_assert_int_eq(mkdir(path, 0700), 0);
	again(1 << 20, 110);
	ck_assert_ptr_nonnull(strstr(said, "windows of promises begin with what the journal has"));
	ck_assert_int_lt(trails_save(trails, path, S(120)), 0);
	end();
	rmdir(path);
	unsaved();
}
END_TEST

/* Who is there takes the place of who only waits, one by one. */
START_TEST(bounded_with_those_that_wait)
{
	char name[16];

	saved();
	again(12000, 110); /* 2 of them */
	world_keep(w, "df:*", "df:*:free_percent > 10%");
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "/%d", i);
		put(w, "df", name, "free_percent", 50, 111);
	}
	ck_assert_uint_eq(trails_count(trails), 2);
	ck_assert_uint_eq(trails_refused(trails), 1);
	end();
	unsaved();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trails");
	TCase *t = tcase_create("trails");
	SRunner *runner;
	int failed;

	/* Each cut and each bit of a file, under sanitizers, on a machine that does other things too */
	tcase_set_timeout(t, 60);
	tcase_add_test(t, named_series_alone);
	tcase_add_test(t, the_last_ones);
	tcase_add_test(t, come_and_go);
	tcase_add_test(t, bounded);
	tcase_add_test(t, windows_begin_with_what_is_known);
	tcase_add_test(t, through_a_file);
	tcase_add_test(t, a_damaged_file);
	tcase_add_test(t, a_file_of_another_time);
	tcase_add_test(t, bounded_with_those_that_wait);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
