/* The cgroup plugin on made events and files, and its source on a made tree with real inotify */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "fake_host.h"
#include "source/cgroup.h"

extern const struct kith_plugin kith_plugin;

#define SECOND INT64_C(1000000000)
#define MEMORY_EVENTS "low 0\nhigh 3\nmax 12\noom 1\noom_kill 5\noom_group_kill 0\n"

static struct fake_host *f;
static char root[64];

static void file(const char *group, const char *name, const char *text)
{
	char path[600];

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", group, name);
	ck_assert_int_eq(fake_write(root, path, text), 0);
}

static void setup(void)
{
	fake_tree_new(root);
	file("", "cgroup.controllers", "memory\n");
	f = fake_host_new(&kith_plugin, root);
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static struct kith_cgroup_event event(uint32_t what, const char *path)
{
	static char directories[8][600]; /* a test uses few at once */
	static unsigned next;
	char *directory = directories[next++ % 8];
	struct kith_cgroup_event e = { .size = sizeof(e), .what = what, .path = path, .directory = directory, .time = f->now };

	snprintf(directory, sizeof(directories[0]), "/sys/fs/cgroup%s", path);
	return e;
}

static void happen(const struct kith_cgroup_event *e)
{
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_CGROUP, e), 0);
}

static void grow(struct kith_cgroup_event *e, enum kith_cgroup_count count, uint64_t by)
{
	e->known |= 1u << count;
	e->changed |= 1u << count;
	e->counts[count] += by;
	e->grown[count] = by;
}

static void start(void)
{
	ck_assert_int_eq(fake_host_start(f), 0);
}

START_TEST(series_of_wanted_groups_alone)
{
	struct kith_cgroup_event e = event(KITH_CGROUP_ADDED, "/a.slice/b"), top = event(KITH_CGROUP_ADDED, "/a.slice");

	start();
	file("/a.slice/b", "memory.current", "4096\n");
	file("/a.slice/b", "memory.max", "max\n");
	file("/a.slice/b", "cpu.stat", "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n");
	file("/a.slice/b", "io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0 \n8:16 rbytes=10 wbytes=20 rios=30 wios=40\n");
	file("/a.slice/b", "memory.pressure", "some avg10=1.00 avg60=0 avg300=0 total=0\nfull avg10=0.50 avg60=0 avg300=0 total=0\n");
	happen(&e);
	happen(&top);
	ck_assert_uint_eq(fake_host_instances(f, "cgroup"), 1); /* the top level, by default */
	fake_host_source_answer(f, KITH_SOURCE_CGROUP, &e, sizeof(e));
	fake_host_source_answer(f, KITH_SOURCE_CGROUP, &top, sizeof(top));
	fake_host_want(f, 0, "/a.slice/*", true);
	ck_assert(fake_host_has(f, "cgroup", "/a.slice/b"));
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(fake_host_value(f, "cgroup:/a.slice/b:memory"), 4096);
	ck_assert(isnan(fake_host_value(f, "cgroup:/a.slice/b:memory_limit")));
	ck_assert_double_eq(fake_host_value(f, "cgroup:/a.slice/b:cpu"), 2.5);
	ck_assert_double_eq(fake_host_value(f, "cgroup:/a.slice/b:cpu_system"), 0.5);
	ck_assert_double_eq(fake_host_value(f, "cgroup:/a.slice/b:io_read"), 11);
	ck_assert_double_eq(fake_host_value(f, "cgroup:/a.slice/b:io_writes"), 44);
	ck_assert_double_eq(fake_host_value(f, "cgroup:/a.slice/b:memory_full_avg10"), 0.5);
	fake_host_want(f, 0, "/a.slice/*", false);
	ck_assert(!fake_host_has(f, "cgroup", "/a.slice/b"));
	ck_assert(fake_host_has(f, "cgroup", "/a.slice"));
	e = event(KITH_CGROUP_REMOVED, "/a.slice");
	happen(&e);
	ck_assert_uint_eq(fake_host_instances(f, "cgroup"), 0);
}
END_TEST

START_TEST(kills_and_hits)
{
	struct kith_cgroup_event e = event(KITH_CGROUP_CHANGED, "/x/y");

	start();
	grow(&e, KITH_CGROUP_OOM_KILL, 2);
	grow(&e, KITH_CGROUP_OWN_KILL, 2);
	happen(&e);
	ck_assert_ptr_nonnull(fake_host_record(f, "3 cgroup:/x/y out of memory: the kernel killed 2 processes of group /x/y"));
	/* Of a group below it: told by that one */
	e = event(KITH_CGROUP_CHANGED, "/x");
	grow(&e, KITH_CGROUP_OOM_KILL, 2);
	e.known |= 1u << KITH_CGROUP_OWN_KILL;
	happen(&e);
	ck_assert_uint_eq(f->n_records, 1);
	/* A limit that is hit all the time: once in 10 s */
	for (int i = 0; i < 100; i++) {
		e = event(KITH_CGROUP_CHANGED, "/x");
		grow(&e, KITH_CGROUP_MAX, 3);
		happen(&e);
		f->now += SECOND / 10;
	}
	ck_assert_uint_eq(f->n_records, 2);
	happen(&e);
	ck_assert_uint_eq(f->n_records, 3);
	ck_assert_ptr_nonnull(fake_host_record(f, "times=300"));
	/* More groups than are remembered: bounded, and still told */
	for (int i = 0; i < 1000; i++) {
		char path[40];

		snprintf(path, sizeof(path), "/many/%d", i);
		e = event(KITH_CGROUP_CHANGED, path);
		grow(&e, KITH_CGROUP_PIDS_MAX, 1);
		happen(&e);
	}
	ck_assert_uint_eq(f->n_records, 1003);
}
END_TEST

START_TEST(states_of_a_promised_group)
{
	struct kith_cgroup_event e = event(KITH_CGROUP_ADDED, "/x/y");

	fake_host_option(f, "stall", "100ms");
	fake_host_want(f, 0, "/x/y", true);
	start();
	grow(&e, KITH_CGROUP_POPULATED, 0);
	grow(&e, KITH_CGROUP_OOM_KILL, 4);
	happen(&e);
	ck_assert_ptr_nonnull(fake_host_record(f, "has appeared"));
	ck_assert_str_eq(fake_host_state(f, "cgroup:/x/y:populated"), "no");
	ck_assert_double_eq(fake_host_value(f, "cgroup:/x/y:oom_kills"), 4);
	ck_assert(!fake_host_record(f, "killed")); /* before we came */
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 1);
	e.what = KITH_CGROUP_CHANGED;
	e.changed = 0;
	memset(e.grown, 0, sizeof(e.grown));
	grow(&e, KITH_CGROUP_POPULATED, 1);
	happen(&e);
	ck_assert_str_eq(fake_host_state(f, "cgroup:/x/y:populated"), "yes");
	ck_assert_ptr_nonnull(fake_host_record(f, "has processes"));
	/* In two hierarchies: ends with the last */
	e.what = KITH_CGROUP_ADDED;
	e.tree = KITH_CGROUP_V1_MEMORY;
	happen(&e);
	e.what = KITH_CGROUP_REMOVED;
	happen(&e);
	ck_assert(fake_host_has(f, "cgroup", "/x/y"));
	e.tree = KITH_CGROUP_V2;
	happen(&e);
	ck_assert(!fake_host_has(f, "cgroup", "/x/y"));
	ck_assert_ptr_nonnull(fake_host_record(f, "has ended"));
	ck_assert_uint_eq(fake_host_sources(f, KITH_SOURCE_PRESSURE), 0);
}
END_TEST

START_TEST(bounded_and_said)
{
	struct kith_cgroup_event e;

	fake_host_option(f, "max_groups", "2");
	fake_host_option(f, "groups", "/*");
	start();
	for (int i = 0; i < 4; i++) {
		char path[40];

		snprintf(path, sizeof(path), "/g%d", i);
		file(path, "memory.current", "1\n");
		e = event(KITH_CGROUP_ADDED, path);
		happen(&e);
	}
	ck_assert_ptr_nonnull(strstr(f->note, "2 groups are heard but not read"));
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(isnan(fake_host_value(f, "cgroup:/g3:memory")));
	e = event(KITH_CGROUP_REMOVED, "/g3");
	happen(&e);
	e = event(KITH_CGROUP_REMOVED, "/g2");
	happen(&e);
	ck_assert_ptr_null(f->note);
	e = event(KITH_CGROUP_FULL, "there are more groups than are watched");
	happen(&e);
	ck_assert_ptr_nonnull(strstr(f->note, "more groups"));
	/* Lost events: what is not there any more ends */
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "cgroup"), 0);
}
END_TEST

START_TEST(names)
{
	static const struct { const char *path, *name; } table[] = {
		{ "/a b:c*d", "/a b:c*d" }, { "/\x01\x7f", "/\\x01\\x7f" }, { "/é", "/é" }, { "/\xff\xc3", "/\\xff\\xc3" },
		{ "/\xc0\x80\xed\xa0\x80", "/\\xc0\\x80\\xed\\xa0\\x80" }, { "/\xc2\x85", "/\\xc2\\x85" },
	};
	char name[INSTANCE_MAX + 1], path[600];

	for (size_t i = 0; i < KITH_COUNT(table); i++) {
		ck_assert(name_make(table[i].path, name));
		ck_assert_str_eq(name, table[i].name);
	}
	for (size_t n = 240; n < 300; n++) {
		memset(path, 'x', n);
		path[n] = '\0';
		ck_assert_int_eq(name_make(path, name), n <= INSTANCE_MAX);
		ck_assert_uint_le(strlen(name), INSTANCE_MAX);
	}
	ck_assert(pattern_match("/*", "/a", true) && !pattern_match("/*", "/a/b", true) && pattern_match("/*", "/a/b", false));
	ck_assert(pattern_match("/s/*.service", "/s/x.y.service", true) && !pattern_match("/s/?", "/s/", true));
}
END_TEST

START_TEST(cut_off)
{
	uint64_t counts[KITH_CGROUP_COUNTS];
	char text[sizeof(MEMORY_EVENTS)];

	for (size_t n = 0; n < sizeof(MEMORY_EVENTS); n++) {
		uint32_t known = 0;

		memset(counts, 0, sizeof(counts));
		memcpy(text, MEMORY_EVENTS, n);
		text[n] = '\0';
		cgroup_parse(WATCH_MEMORY, text, &known, counts);
		ck_assert(!(known & 1u << KITH_CGROUP_MAX) || counts[KITH_CGROUP_MAX] == 12);
		ck_assert_int_eq(!!(known & 1u << KITH_CGROUP_OOM_KILL), n >= strlen(MEMORY_EVENTS) - strlen("oom_group_kill 0\n"));
	}
}
END_TEST

/* ---- the source -------------------------------------------------------------------------------------------------- */

struct heard {
	unsigned added, removed, changed, files, full, lost;
	struct kith_cgroup_event last;
	char path[300];
};

static void hear(const void *event, void *user)
{
	const struct kith_cgroup_event *e = event;
	struct heard *h = user;

	h->added += e->what == KITH_CGROUP_ADDED;
	h->removed += e->what == KITH_CGROUP_REMOVED;
	h->changed += e->what == KITH_CGROUP_CHANGED;
	h->files += e->what == KITH_CGROUP_FILES;
	h->full += e->what == KITH_CGROUP_FULL;
	h->last = *e;
	snprintf(h->path, sizeof(h->path), "%s", e->path);
}

static void hear_lost(void *user)
{
	((struct heard *)user)->lost++;
}

static int count_one(const void *event, void *user)
{
	(void)event;
	++*(unsigned *)user;
	return 0;
}

START_TEST(a_tree)
{
	struct heard h = { 0 };
	struct source_listener listener = { &h, hear, hear_lost };
	struct source_env env = { .root = root };
	struct sources *all;
	struct source_sub *sub;
	unsigned n = 0;

	file("/one", "cgroup.events", "populated 0\nfrozen 0\n");
	file("/one/two/three", "memory.events", MEMORY_EVENTS);
	ck_assert_int_eq(loop_new(&env.loop), 0);
	ck_assert_int_eq(sources_new(&env, &all), 0);
	ck_assert_int_eq(source_subscribe(all, KITH_SOURCE_CGROUP, NULL, &listener, &sub), 0);
	ck_assert_int_eq(source_dump(all, KITH_SOURCE_CGROUP, NULL, count_one, &n), 0);
	ck_assert_uint_eq(n, 3);
	file("/one/two/three", "memory.events", "low 0\nhigh 3\nmax 12\noom 2\noom_kill 9\noom_group_kill 0\n");
	for (int i = 0; i < 50 && h.last.grown[KITH_CGROUP_OOM_KILL] != 9 - 5; i++)
		loop_run_once(env.loop, SECOND / 10);
	/* Written anew it was empty for a moment: what is not there has not changed */
	ck_assert_uint_eq(h.last.grown[KITH_CGROUP_OOM_KILL], 4);
	ck_assert_uint_eq(h.last.grown[KITH_CGROUP_MAX], 0);
	ck_assert_str_eq(h.path, "/one/two/three");
	/* With what is below it, made at once */
	file("/new/below", "pids.events", "max 1\n");
	for (int i = 0; i < 50 && h.added < 2; i++)
		loop_run_once(env.loop, SECOND / 10);
	ck_assert_uint_eq(h.added, 2);
	{
		char path[300];

		snprintf(path, sizeof(path), "%s/sys/fs/cgroup/new", root);
		fake_tree_free(path);
	}
	for (int i = 0; i < 50 && h.removed < 2; i++)
		loop_run_once(env.loop, SECOND / 10);
	ck_assert_uint_eq(h.removed, 2);
	ck_assert_uint_eq(h.lost + h.full, 0);
	source_unsubscribe(sub);
	sources_free(all);
	loop_free(env.loop);
}
END_TEST

START_TEST(more_than_are_watched)
{
	struct heard h = { 0 };
	struct source_listener listener = { &h, hear, hear_lost };
	struct source_env env = { .root = root };
	struct sources *all;
	struct source_sub *sub;
	unsigned n = 0;

	ck_assert_int_eq(loop_new(&env.loop), 0);
	ck_assert_int_eq(sources_new(&env, &all), 0);
	ck_assert_int_eq(source_subscribe(all, KITH_SOURCE_CGROUP, NULL, &listener, &sub), 0);
	for (int i = 0; i < CGROUP_NODES_MAX + 10; i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s/sys/fs/cgroup/%d", root, i);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	for (int i = 0; i < 100 && !h.full; i++)
		loop_run_once(env.loop, SECOND / 10);
	ck_assert_uint_eq(h.full, 1); /* once */
	ck_assert_int_eq(source_dump(all, KITH_SOURCE_CGROUP, NULL, count_one, &n), 0);
	ck_assert_uint_lt(n, CGROUP_NODES_MAX);
	/* With room again those that were passed over are found */
	for (int i = 0; i < CGROUP_NODES_MAX - 100; i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s/sys/fs/cgroup/%d", root, i);
		ck_assert_int_eq(rmdir(path), 0);
	}
	for (int i = 0; i < 100 && h.added - h.removed != 110; i++)
		loop_run_once(env.loop, SECOND / 10);
	ck_assert_uint_eq(h.added - h.removed, 110);
	source_unsubscribe(sub);
	sources_free(all);
	loop_free(env.loop);
}
END_TEST

START_TEST(none)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/sys", root);
	fake_tree_free(path);
	f->fail_source = -EOPNOTSUPP;
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f->note, "/sys/fs/cgroup"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup");
	TCase *c = tcase_create("cgroup");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, series_of_wanted_groups_alone);
	tcase_add_test(c, kills_and_hits);
	tcase_add_test(c, states_of_a_promised_group);
	tcase_add_test(c, bounded_and_said);
	tcase_add_test(c, names);
	tcase_add_test(c, cut_off);
	tcase_add_test(c, a_tree);
	tcase_add_test(c, more_than_are_watched);
	tcase_add_test(c, none);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
