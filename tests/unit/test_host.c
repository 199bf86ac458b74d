/* host/: the functions that plugins get, one by one, and what happens to those that misbehave */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "host_fixture.h"

static const char *const door_states[] = { "open", "shut", NULL };
static const struct kith_metric metrics[] = {
	{ "value", "B", "", NULL, KITH_GAUGE, 0 },
	{ "count", "1", "", NULL, KITH_COUNTER, 0 },
	{ "door", NULL, "", door_states, KITH_STATE, KITH_METRIC_EVENT },
};
static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "t", "", "thing", metrics, 3, 0 },
	{ KITH_FAMILY_INIT, "single", "", NULL, metrics, 1, 0 },
};
static const struct kith_option options[] = {
	{ "number", "5", "", 0, 10, KITH_OPTION_NUMBER, 0 },
	{ "unset", NULL, "", 0, 0, KITH_OPTION_NUMBER, 0 },
	{ "yes", "true", "", 0, 0, KITH_OPTION_BOOL, 0 },
	{ "text", NULL, "", 0, 0, KITH_OPTION_STRING, 0 },
	{ "list", "a, b", "", 0, 0, KITH_OPTION_LIST, 0 },
	{ "time", "90s", "", 0, 0, KITH_OPTION_DURATION, 0 },
	{ "size", "2KiB", "", 0, 0, KITH_OPTION_SIZE, 0 },
};

/* The plugin under test: what its functions do and saw. Zero at the start of each test. */
static struct {
	const struct kith_host *h;
	int (*init)(void);
	int inits, finis, calls, resyncs, others, result, wanted;
	int reconfigures, done, status;
	uint32_t events;
	char name[64];
	struct kith_watch *watch, *other;
	kith_id id;
	int fds[2];
	int exported, records, transitions;
	double last;
	bool inside;
} t;

static int t_init(const struct kith_host *h, void **ret_state)
{
	t.h = h;
	t.inits++;
	*ret_state = &t;
	return t.init ? t.init() : 0;
}

static void t_fini(void *state)
{
	ck_assert_ptr_eq(state, &t);
	t.finis++;
}

static int t_resync(void *state)
{
	(void)state;
	t.resyncs++;
	return 0;
}

static int t_reconfigure(void *state)
{
	(void)state;
	t.reconfigures++;
	return 0;
}

static struct kith_plugin plugin_of(const char *name)
{
	return (struct kith_plugin){ KITH_PLUGIN_INIT, .name = name, .version = "1", .help = "", .families = families,
		                     .provides = KITH_PROVIDES_RESYNC, .n_families = 2, .option_size = sizeof(struct kith_option),
		                     .options = options, .n_options = KITH_COUNT(options), .init = t_init, .fini = t_fini,
		                     .resync = t_resync };
}

static struct host_fixture f;
static struct kith_plugin plugin;

static void start(const char *conf, int (*init)(void))
{
	memset(&t, 0, sizeof(t));
	t.init = init;
	plugin = plugin_of("t");
	fixture_start(&f, conf);
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
}

static void end(void)
{
	fixture_end(&f);
}

static int count_call(void *user)
{
	(void)user;
	t.calls++;
	return t.result;
}

/* ---- families, series, samples ---------------------------------------------------------------------------------- */

START_TEST(declares)
{
	struct kith_family good = { KITH_FAMILY_INIT, "late", "", NULL, metrics, 1, 0 }, bad = good;
	uint32_t number = 99;
	kith_id id;

	start("", NULL);
	log_set_level((enum log_level)0); /* faults are expected */
	ck_assert_int_eq(t.h->declare(t.h, &good, &number), 0);
	ck_assert_uint_eq(number, 2);
	ck_assert_int_eq(t.h->declare(t.h, &good, &number), -EEXIST);
	bad.name = "No Name";
	ck_assert_int_eq(t.h->declare(t.h, &bad, &number), -EINVAL);
	bad = good;
	bad.name = "empty";
	bad.n_metrics = 0;
	ck_assert_int_eq(t.h->declare(t.h, &bad, &number), -EINVAL);
	ck_assert_uint_eq(number, 2);
	ck_assert_int_eq(t.h->series(t.h, 2, NULL, &id), 0);
	ck_assert_int_eq(t.h->put(t.h, id, 3), 0);
	ck_assert_double_eq(fixture_series(&f, "late:value")->value, 3);
	end();
}
END_TEST

START_TEST(puts_samples)
{
	double values[3] = { 1, NAN, 0 };
	kith_id id = 77, again;

	start("", NULL);
	ck_assert_int_eq(t.h->series(t.h, 9, "x", &id), -EINVAL);
	ck_assert_int_eq(t.h->series(t.h, 0, "a\nb", &id), -EINVAL);
	ck_assert_int_eq(t.h->series(t.h, 1, "x", &id), -EINVAL);
	ck_assert_uint_eq(id, 77);
	ck_assert_int_eq(t.h->series(t.h, 0, "/a:b", &id), 0);
	ck_assert_int_eq(t.h->series(t.h, 0, "/a:b", &again), 0);
	ck_assert_uint_eq(id, again);
	ck_assert_int_eq(t.h->put(t.h, id, NAN), -EDOM);
	ck_assert_int_eq(t.h->put(t.h, id, INFINITY), -EDOM);
	ck_assert_int_eq(t.h->put(t.h, id + 2, 2), -EDOM);
	ck_assert_int_eq(t.h->put(t.h, id + 2, 0.5), -EDOM);
	ck_assert_int_eq(t.h->put(t.h, id + 2, -1), -EDOM);
	ck_assert_int_eq(t.h->put(t.h, id + 3, 1), -ESTALE);
	ck_assert_int_eq(t.h->put(t.h, KITH_ID_NONE, 1), -ESTALE);
	ck_assert_int_eq(t.h->put_all(t.h, id, values, 3), 0);
	ck_assert_int_eq(fixture_series(&f, "t:/a:b:count")->time, 0);
	ck_assert_double_eq(fixture_series(&f, "t:/a:b:value")->value, 1);
	ck_assert_int_eq(t.h->put_at(t.h, id, 2, t.h->now(t.h) + 5), 0);
	ck_assert_int_eq(t.h->put_at(t.h, id, 3, t.h->now(t.h) - 5), -EINVAL);
	ck_assert_uint_eq(fixture_info(&f, "t").series, 3);
	ck_assert_int_eq(t.h->end(t.h, id + 1), 0);
	ck_assert_int_eq(t.h->put(t.h, id, 1), -ESTALE);
	ck_assert_int_eq(t.h->end(t.h, id), -ESTALE);
	ck_assert_uint_eq(fixture_info(&f, "t").series, 0);
	end();
}
END_TEST

/* Two plugins: the one cannot touch what is the other's */
static const struct kith_host *second;
static int second_init(const struct kith_host *h, void **ret_state)
{
	second = h;
	*ret_state = NULL;
	return 0;
}

START_TEST(owns)
{
	static const struct kith_family own[] = { { KITH_FAMILY_INIT, "own", "", NULL, metrics, 1, 0 } };
	struct kith_plugin other = { KITH_PLUGIN_INIT, .name = "other", .families = own, .n_families = 1, .init = second_init };
	kith_id id, theirs;

	start("", NULL);
	ck_assert_int_eq(host_add_builtin(f.host, &other), 0);
	ck_assert_int_eq(second->series(second, 0, NULL, &theirs), 0);
	ck_assert_int_eq(t.h->series(t.h, 0, "x", &id), 0);
	ck_assert_int_eq(t.h->put(t.h, theirs, 1), -EPERM);
	ck_assert_int_eq(t.h->end(t.h, theirs), -EPERM);
	ck_assert_int_eq(second->put(second, id, 1), -EPERM);
	end();
}
END_TEST

START_TEST(clashes)
{
	struct kith_plugin other = { KITH_PLUGIN_INIT, .name = "other", .families = families, .n_families = 2, .init = second_init };

	start("", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(host_add_builtin(f.host, &other), 0);
	ck_assert_int_eq(fixture_info(&f, "other").state, HOST_REFUSED);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "other").reason, "family t is another plugin's"));
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_ptr_nonnull(family_find(f.model, "t", 1));
	end();
}
END_TEST

START_TEST(caps_instances)
{
	kith_id id;

	start("plugin t { max_instances = 2 }", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(t.h->series(t.h, 0, "a", &id), 0);
	ck_assert_int_eq(t.h->series(t.h, 0, "b", &id), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(t.h->series(t.h, 0, "c", &id), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "2 instances"));
	ck_assert_int_eq(t.h->end(t.h, id), 0);
	ck_assert_int_eq(t.h->series(t.h, 0, "c", &id), 0);
	end();
}
END_TEST

/* ---- records ------------------------------------------------------------------------------------------------------ */

static void hear_record(const struct kith_record *record, uint64_t number, void *user)
{
	(void)number;
	(void)user;
	t.records++;
	snprintf(t.name, sizeof(t.name), "%s", record->subject);
	ck_assert_int_ne(record->time, 0);
}

START_TEST(records)
{
	struct model_observer observer = { .on_record = hear_record };
	struct kith_field fields[2] = { { "key", "value" }, { "none", NULL } };
	struct kith_record r = { .size = sizeof(r), .priority = KITH_INFO, .message = "hello", .fields = fields, .n_fields = 1 };
	struct kith_record bad = r;
	int accepted = 0, i;

	start("", NULL);
	model_observe(f.model, &observer);
	ck_assert_int_eq(t.h->record(t.h, &r), 0);
	ck_assert_int_eq(t.records, 1);
	ck_assert_str_eq(t.name, "t");
	bad.message = NULL;
	ck_assert_int_eq(t.h->record(t.h, &bad), -EINVAL);
	bad = r;
	bad.priority = 8;
	ck_assert_int_eq(t.h->record(t.h, &bad), -EINVAL);
	bad = r;
	bad.n_fields = 2;
	ck_assert_int_eq(t.h->record(t.h, &bad), -EINVAL);
	bad.n_fields = 33;
	ck_assert_int_eq(t.h->record(t.h, &bad), -EINVAL);
	bad = r;
	bad.size = 8;
	ck_assert_int_eq(t.h->record(t.h, &bad), -EINVAL);
	log_set_level((enum log_level)0);
	for (i = 0; i < 10000; i++)
		accepted += t.h->record(t.h, &r) == 0;
	ck_assert_int_ge(accepted, 1900);
	ck_assert_int_lt(accepted, 5000);
	model_unobserve(f.model, &observer);
	end();
}
END_TEST

/* ---- options ------------------------------------------------------------------------------------------------------ */

START_TEST(reads_options)
{
	const char *const *list = NULL;

	start("interval = 2s\nplugin t { number = 7; text = hello; time = 2min }", NULL);
	ck_assert_double_eq(t.h->option_number(t.h, "number"), 7);
	ck_assert(isnan(t.h->option_number(t.h, "unset")));
	ck_assert_int_eq(t.h->option_bool(t.h, "yes"), 1);
	ck_assert_str_eq(t.h->option_string(t.h, "text"), "hello");
	ck_assert_double_eq(t.h->option_number(t.h, "time"), 120);
	ck_assert_double_eq(t.h->option_number(t.h, "size"), 2048);
	ck_assert_uint_eq(t.h->option_list(t.h, "list", &list), 2);
	ck_assert_str_eq(list[1], "b");
	ck_assert_int_eq(t.h->interval(t.h), 2 * NS_PER_S);
	log_set_level((enum log_level)0);
	ck_assert_ptr_null(t.h->option_string(t.h, "nonsense"));
	end();
}
END_TEST

START_TEST(refuses_wrong_options)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	fixture_reload(&f, "plugin t {\n  number = 11\n}\n");
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_REFUSED);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "kith.conf:2:12"));
	ck_assert_int_eq(t.finis, 1);
	ck_assert_ptr_null(family_find(f.model, "t", 1));
	fixture_reload(&f, "");
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_int_eq(t.inits, 2);
	end();
}
END_TEST

START_TEST(reconfigures)
{
	memset(&t, 0, sizeof(t));
	plugin = plugin_of("t");
	plugin.reconfigure = t_reconfigure;
	fixture_start(&f, "plugin t { number = 1 }");
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
	fixture_reload(&f, "plugin  t  { number = 1 } # the same");
	ck_assert_int_eq(t.reconfigures, 0);
	fixture_reload(&f, "plugin t { number = 2 }");
	ck_assert_int_eq(t.reconfigures, 1);
	ck_assert_int_eq(t.inits, 1);
	ck_assert_double_eq(t.h->option_number(t.h, "number"), 2);
	fixture_reload(&f, "interval = 3s\nplugin t { number = 2 }");
	ck_assert_int_eq(t.reconfigures, 2);
	fixture_reload(&f, "plugin t { enabled = no; number = 2 }");
	ck_assert_int_eq(t.finis, 1);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_SKIPPED);
	end();
	ck_assert_int_eq(t.finis, 1);
}
END_TEST

/* ---- watches ------------------------------------------------------------------------------------------------------ */

static int samples(void)
{
	return t.h->sample(t.h, count_call, NULL, &t.watch);
}

START_TEST(samples_on_the_tick)
{
	start("interval = 100ms", samples);
	fixture_until(&f, t.calls == 1);
	fixture_until(&f, t.calls == 4);
	ck_assert_uint_eq(fixture_info(&f, "t").calls, 5); /* and init */
	t.h->unwatch(t.h, t.watch);
	fixture_for(&f, 250 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 4);
	end();
	ck_assert_int_eq(t.finis, 1);
}
END_TEST

static int hear_fd(int fd, uint32_t events, void *user)
{
	char c;

	(void)user;
	ck_assert_int_eq(fd, t.fds[0]);
	t.events = events;
	t.calls++;
	if (t.result == 0)
		ck_assert_int_eq(read(fd, &c, 1), 1);
	return t.result;
}

START_TEST(watches_descriptors)
{
	start("", NULL);
	ck_assert_int_eq(pipe(t.fds), 0);
	ck_assert_int_eq(t.h->watch_fd(t.h, -1, KITH_READ, hear_fd, NULL, &t.watch), -EBADF);
	ck_assert_int_eq(t.h->watch_fd(t.h, t.fds[0], KITH_READ, hear_fd, NULL, &t.watch), 0);
	ck_assert_int_eq(write(t.fds[1], "ab", 2), 2);
	fixture_until(&f, t.calls == 2);
	ck_assert_uint_eq(t.events, KITH_READ);
	t.h->unwatch(t.h, t.watch);
	ck_assert_int_eq(write(t.fds[1], "c", 1), 1);
	fixture_for(&f, 50 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 2);
	close(t.fds[0]);
	close(t.fds[1]);
	end();
}
END_TEST

/* A descriptor whose callback fails stays readable: without a pause it would spin. */
START_TEST(backs_off_a_descriptor)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	t.result = -EIO;
	ck_assert_int_eq(pipe(t.fds), 0);
	ck_assert_int_eq(t.h->watch_fd(t.h, t.fds[0], KITH_READ, hear_fd, NULL, &t.watch), 0);
	ck_assert_int_eq(write(t.fds[1], "a", 1), 1);
	fixture_until(&f, fixture_info(&f, "t").state == HOST_BACKED_OFF);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "Input/output error"));
	fixture_for(&f, 200 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 3);
	t.result = 0;
	fixture_until(&f, t.calls == 4);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_uint_eq(fixture_info(&f, "t").failures, 3);
	close(t.fds[0]);
	close(t.fds[1]);
	end();
}
END_TEST

START_TEST(watches_timers)
{
	start("", NULL);
	ck_assert_int_eq(t.h->watch_timer(t.h, NS_PER_MS, 0, 0, count_call, NULL, NULL), 0);
	fixture_until(&f, t.calls == 1);
	fixture_for(&f, 30 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	ck_assert_int_eq(t.h->watch_timer(t.h, 0, 5 * NS_PER_MS, NS_PER_MS, count_call, NULL, &t.watch), 0);
	fixture_until(&f, t.calls == 4);
	end();
}
END_TEST

static int unwatch_itself(void *user)
{
	(void)user;
	t.calls++;
	t.h->unwatch(t.h, t.watch);
	t.h->unwatch(t.h, t.other);
	return 0;
}

START_TEST(unwatches_within_a_callback)
{
	start("interval = 100ms", NULL);
	ck_assert_int_eq(t.h->sample(t.h, unwatch_itself, NULL, &t.watch), 0);
	ck_assert_int_eq(t.h->sample(t.h, count_call, NULL, &t.other), 0);
	fixture_until(&f, t.calls == 1);
	fixture_for(&f, 250 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	end();
}
END_TEST

static int unwatch_outer(const char *instance, int wanted, void *user)
{
	(void)instance;
	(void)user;
	t.wanted += wanted;
	t.h->unwatch(t.h, t.watch);
	return 0;
}

static int nest(void *user)
{
	(void)user;
	t.calls++;
	return t.h->watch_wanted(t.h, 0, unwatch_outer, NULL, NULL);
}

/* The watch whose callback runs is dropped by a callback within it. */
START_TEST(unwatches_the_outer_callback)
{
	start("interval = 100ms", NULL);
	ck_assert_int_eq(model_want(f.model, "t", "x"), 0);
	ck_assert_int_eq(t.h->sample(t.h, nest, NULL, &t.watch), 0);
	fixture_until(&f, t.calls == 1);
	ck_assert_int_eq(t.wanted, 1);
	fixture_for(&f, 150 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	end();
}
END_TEST

static int hear_wanted(const char *instance, int wanted, void *user)
{
	(void)user;
	snprintf(t.name, sizeof(t.name), "%s", instance);
	t.wanted += wanted ? 1 : -1;
	return t.result;
}

static int watch_wanted_in_init(void)
{
	return t.h->watch_wanted(t.h, 0, hear_wanted, NULL, NULL);
}

START_TEST(is_told_what_is_wanted)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(t.h->watch_wanted(t.h, 7, hear_wanted, NULL, NULL), -EINVAL);
	ck_assert_int_eq(model_want(f.model, "t", "early"), 0);
	/* Stopped and started with the want standing: told within init */
	t.init = watch_wanted_in_init;
	fixture_reload(&f, "plugin t { number = 1 }");
	ck_assert_int_eq(t.inits, 2);
	ck_assert_int_eq(t.wanted, 1);
	ck_assert_str_eq(t.name, "early");
	ck_assert_int_eq(model_want(f.model, "t", "late*"), 0);
	ck_assert_str_eq(t.name, "late*");
	model_unwant(f.model, "t", "late*");
	ck_assert_int_eq(t.wanted, 1);
	/* Never passed over, even when it fails */
	t.result = -EIO;
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(model_want(f.model, "t", "more"), 0);
		ck_assert_int_eq(t.wanted, 2);
		model_unwant(f.model, "t", "more");
		ck_assert_int_eq(t.wanted, 1);
	}
	end();
}
END_TEST

START_TEST(a_dropped_watch_keeps_nobody_backed_off)
{
	start("interval = 100ms", samples);
	log_set_level((enum log_level)0);
	t.result = -EIO;
	fixture_until(&f, fixture_info(&f, "t").state == HOST_BACKED_OFF);
	t.h->unwatch(t.h, t.watch);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_str_eq(fixture_info(&f, "t").reason, "");
	end();
}
END_TEST

static int hear_file(const struct kith_file_event *event, void *user)
{
	(void)user;
	t.calls++;
	t.events |= event->what;
	snprintf(t.name, sizeof(t.name), "%s", event->name);
	return t.result;
}

static void touch(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f.dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void untouch(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f.dir, name);
	unlink(path);
}

/* What happens while the watch is paused is made up for by a resync. */
START_TEST(resyncs_after_a_pause)
{
	start("", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(t.h->watch_file(t.h, "relative", KITH_FILE_CHANGED, hear_file, NULL, NULL), -EINVAL);
	ck_assert_int_eq(t.h->watch_file(t.h, f.dir, KITH_FILE_CHANGED, hear_file, NULL, &t.watch), 0);
	touch("a");
	fixture_until(&f, t.calls == 1);
	ck_assert_str_eq(t.name, "a");
	t.result = -EIO;
	for (int i = 0; i < 2; i++) {
		int calls = t.calls;

		touch("a");
		fixture_until(&f, t.calls > calls);
	}
	touch("a");
	fixture_until(&f, fixture_info(&f, "t").state == HOST_BACKED_OFF);
	t.result = 0;
	t.calls = 0;
	touch("b");
	fixture_for(&f, 100 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 0);
	ck_assert_int_eq(t.resyncs, 0);
	fixture_until(&f, t.resyncs == 1);
	touch("b");
	fixture_until(&f, t.calls >= 1);
	untouch("a");
	untouch("b");
	end();
}
END_TEST

/* ---- work, programs, files ---------------------------------------------------------------------------------------- */

static int slow_work(void *user)
{
	char c;

	(void)user;
	/* until the test writes */
	return (int)read(t.fds[0], &c, 1);
}

static int hear_done(int result, void *user)
{
	(void)user;
	t.done++;
	t.status = result;
	return 0;
}

START_TEST(works)
{
	int started = 0;

	start("", NULL);
	ck_assert_int_eq(pipe(t.fds), 0);
	while (t.h->work(t.h, slow_work, hear_done, NULL) == 0)
		started++;
	ck_assert_int_eq(started, 8);
	ck_assert_int_eq(t.h->work(t.h, slow_work, hear_done, NULL), -EAGAIN);
	ck_assert_int_eq(write(t.fds[1], "12345678", 8), 8);
	fixture_until(&f, t.done == 8);
	ck_assert_int_eq(t.status, 1);
	ck_assert_int_eq(t.h->work(t.h, slow_work, hear_done, NULL), 0);
	/* The host ends while one hangs; it comes back to nobody. */
	end();
	ck_assert_int_eq(t.done, 8);
	ck_assert_int_eq(write(t.fds[1], "9", 1), 1);
}
END_TEST

START_TEST(a_call_of_one_that_went_comes_back_to_nobody)
{
	start("", NULL);
	ck_assert_int_eq(pipe(t.fds), 0);
	ck_assert_int_eq(t.h->work(t.h, slow_work, hear_done, NULL), 0);
	fixture_reload(&f, "plugin t { number = 1 }");
	ck_assert_int_eq(t.finis, 1);
	ck_assert_int_eq(t.h->work(t.h, slow_work, hear_done, NULL), 0);
	ck_assert_int_eq(write(t.fds[1], "12", 2), 2);
	fixture_until(&f, t.done == 1);
	fixture_for(&f, 50 * NS_PER_MS);
	ck_assert_int_eq(t.done, 1);
	end();
}
END_TEST

START_TEST(spawns)
{
	static const char *const yes[] = { "/bin/sh", "-c", "exit 3", NULL }, *const late[] = { "/bin/sleep", "100", NULL },
	                  *const relative[] = { "sh", NULL }, *const none[] = { "/nonexistent", NULL };

	start("", NULL);
	ck_assert_int_eq(t.h->spawn(t.h, relative, NS_PER_S, hear_done, NULL), -EINVAL);
	ck_assert_int_eq(t.h->spawn(t.h, none, NS_PER_S, hear_done, NULL), -ENOENT);
	ck_assert_int_eq(t.h->spawn(t.h, yes, 10 * NS_PER_S, hear_done, NULL), 0);
	fixture_until(&f, t.done == 1);
	ck_assert_int_eq(WEXITSTATUS(t.status), 3);
	ck_assert_int_eq(t.h->spawn(t.h, late, 20 * NS_PER_MS, hear_done, NULL), 0);
	fixture_until(&f, t.done == 2);
	ck_assert(WIFSIGNALED(t.status) && WTERMSIG(t.status) == SIGKILL);
	/* Killed with the plugin, told to nobody */
	ck_assert_int_eq(t.h->spawn(t.h, late, 0, hear_done, NULL), 0);
	end();
	ck_assert_int_eq(t.done, 2);
}
END_TEST

START_TEST(opens_below_the_root)
{
	char conf[256], *text;
	size_t length = 0;
	int fd;

	memset(&t, 0, sizeof(t));
	plugin = plugin_of("t");
	fixture_start(&f, "");
	snprintf(conf, sizeof(conf), "root = \"%s\"", f.dir);
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
	fixture_reload(&f, conf);
	ck_assert_str_eq(t.h->root(t.h), f.dir);
	ck_assert_int_eq(t.h->open(t.h, "/nothing"), -ENOENT);
	ck_assert_int_eq(t.h->open(t.h, "kith.conf"), -EINVAL);
	fd = t.h->open(t.h, "/kith.conf");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(t.h->read(t.h, fd, &text, &length), 0);
	ck_assert_str_eq(text, conf);
	ck_assert_uint_eq(length, strlen(conf));
	ck_assert_int_eq(t.h->read(t.h, fd, &text, NULL), 0);
	close(fd);
	ck_assert_int_eq(t.h->read(t.h, fd, &text, &length), -EBADF);
	end();
}
END_TEST

START_TEST(reads_no_more_than_its_bound)
{
	char zeros[65536] = { 0 }, *text = NULL;
	size_t length = 0;
	int fd;

	start("", NULL);
	fd = open(f.dir, O_TMPFILE | O_RDWR, 0600);
	if (fd < 0) {
		touch("large");
		fd = open("/dev/zero", O_RDONLY);
	}
	for (int i = 0; i < 65; i++)
		if (write(fd, zeros, sizeof(zeros)) < 0)
			break;
	ck_assert_int_eq(t.h->read(t.h, fd, &text, &length), -EFBIG);
	ck_assert_ptr_null(text);
	close(fd);
	untouch("large");
	end();
}
END_TEST

/* ---- starting and stopping ---------------------------------------------------------------------------------------- */

static int fail_after_much(void)
{
	kith_id id;

	ck_assert_int_eq(t.h->series(t.h, 0, "x", &id), 0);
	ck_assert_int_eq(t.h->sample(t.h, count_call, NULL, NULL), 0);
	ck_assert_int_eq(t.h->watch_timer(t.h, 0, NS_PER_MS, 0, count_call, NULL, NULL), 0);
	t.h->note(t.h, "no coffee");
	return -ENODEV;
}

START_TEST(a_start_that_fails_leaves_nothing)
{
	memset(&t, 0, sizeof(t));
	t.init = fail_after_much;
	plugin = plugin_of("t");
	fixture_start(&f, "interval = 100ms");
	log_set_level((enum log_level)0);
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_REFUSED);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "no coffee"));
	ck_assert_ptr_null(family_find(f.model, "t", 1));
	fixture_for(&f, 50 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 0);
	end();
	ck_assert_int_eq(t.finis, 0);
}
END_TEST

START_TEST(needs_are_looked_at)
{
	memset(&t, 0, sizeof(t));
	plugin = plugin_of("t");
	plugin.needs = 1ull << 60;
	fixture_start(&f, "");
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_SKIPPED);
	ck_assert_int_eq(t.inits, 0);
	end();
}
END_TEST

static int burn(void *user)
{
	int64_t until = clock_thread_cpu() + 8 * NS_PER_MS;

	(void)user;
	t.calls++;
	while (clock_thread_cpu() < until)
		;
	return 0;
}

/* 0.01 % of a core are 6 ms in a calm window, half a millisecond in one after a strike. */
START_TEST(over_its_budget_it_is_slowed)
{
	start("interval = 100ms\nplugin t { cpu_budget = 0.01% }", NULL);
	log_set_level((enum log_level)0);
	ck_assert_int_eq(t.h->sample(t.h, burn, NULL, NULL), 0);
	fixture_until(&f, t.calls == 1);
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_BACKED_OFF);
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "slowed"));
	fixture_for(&f, 500 * NS_PER_MS);
	ck_assert_int_eq(t.calls, 1);
	end();
}
END_TEST

START_TEST(over_its_budget_thrice_it_is_stopped)
{
	start("interval = 100ms\nplugin t { cpu_budget = 0.01% }", NULL);
	log_set_level((enum log_level)0);
	/* Watches of their own: a pause of one is none of the other's. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(t.h->watch_timer(t.h, 0, 0, 0, burn, NULL, NULL), 0);
	fixture_until(&f, fixture_info(&f, "t").state == HOST_STOPPED);
	fixture_until(&f, t.finis == 1);
	ck_assert_ptr_null(family_find(f.model, "t", 1));
	ck_assert_ptr_nonnull(strstr(fixture_info(&f, "t").reason, "cpu_budget"));
	/* It starts again when its section changes. */
	fixture_reload(&f, "plugin t { cpu_budget = 50% }");
	ck_assert_int_eq(fixture_info(&f, "t").state, HOST_RUNNING);
	ck_assert_int_eq(t.inits, 2);
	end();
}
END_TEST

/* ---- exporters ---------------------------------------------------------------------------------------------------- */

static int e_sample(void *state, const struct kith_sample *sample)
{
	struct kith_record r = { .size = sizeof(r), .priority = KITH_INFO, .message = "exported" };

	(void)state;
	ck_assert(!t.inside);
	t.exported++;
	t.last = sample->value;
	snprintf(t.name, sizeof(t.name), "%s:%s:%s %s", sample->family->name, sample->instance, sample->metric->name,
	         sample->metric->unit);
	/* What it causes itself is not told to it. */
	t.inside = true;
	second->record(second, &r);
	t.inside = false;
	return 0;
}

static int e_record(void *state, const struct kith_record *record)
{
	(void)state;
	(void)record;
	ck_assert(!t.inside);
	t.records++;
	return 0;
}

static int e_transition(void *state, const struct kith_transition *transition)
{
	(void)state;
	(void)transition;
	t.transitions++;
	return 0;
}

START_TEST(exports)
{
	struct kith_plugin exporter = { KITH_PLUGIN_INIT, .name = "out", .provides = KITH_PROVIDES_EXPORTER, .init = second_init,
		                        .on_sample = e_sample, .on_record = e_record, .on_transition = e_transition };
	struct kith_transition transition = { .size = sizeof(transition), .from = KITH_KEPT, .to = KITH_BROKEN, .name = "a.b",
		                              .promiser = "t:x", .because = "" };
	struct kith_record r = { .size = sizeof(r), .priority = KITH_INFO, .message = "hello" };
	kith_id id, later;

	start("", NULL);
	ck_assert_int_eq(t.h->series(t.h, 0, "x", &id), 0);
	ck_assert_int_eq(host_add_builtin(f.host, &exporter), 0);
	ck_assert_int_eq(t.h->put(t.h, id, 4), 0);
	ck_assert_str_eq(t.name, "t:x:value B");
	ck_assert_int_eq(t.h->series(t.h, 0, "y", &later), 0);
	ck_assert_int_eq(t.h->put(t.h, later + 1, 5), 0);
	ck_assert_int_eq(t.exported, 2);
	ck_assert_double_eq(t.last, 5);
	ck_assert_int_eq(t.h->end(t.h, id), 0);
	ck_assert_int_eq(t.h->record(t.h, &r), 0);
	ck_assert_int_eq(t.records, 1);
	model_transition(f.model, &transition);
	ck_assert_int_eq(t.transitions, 1);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *tc = tcase_create("table"), *life = tcase_create("life");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_set_timeout(life, 60);
	tcase_add_test(tc, declares);
	tcase_add_test(tc, puts_samples);
	tcase_add_test(tc, owns);
	tcase_add_test(tc, clashes);
	tcase_add_test(tc, caps_instances);
	tcase_add_test(tc, records);
	tcase_add_test(tc, reads_options);
	tcase_add_test(tc, samples_on_the_tick);
	tcase_add_test(tc, watches_descriptors);
	tcase_add_test(tc, backs_off_a_descriptor);
	tcase_add_test(tc, watches_timers);
	tcase_add_test(tc, unwatches_within_a_callback);
	tcase_add_test(tc, unwatches_the_outer_callback);
	tcase_add_test(tc, is_told_what_is_wanted);
	tcase_add_test(tc, a_dropped_watch_keeps_nobody_backed_off);
	tcase_add_test(tc, resyncs_after_a_pause);
	tcase_add_test(tc, works);
	tcase_add_test(tc, a_call_of_one_that_went_comes_back_to_nobody);
	tcase_add_test(tc, spawns);
	tcase_add_test(tc, opens_below_the_root);
	tcase_add_test(tc, reads_no_more_than_its_bound);
	tcase_add_test(tc, exports);
	suite_add_tcase(suite, tc);
	tcase_add_test(life, refuses_wrong_options);
	tcase_add_test(life, reconfigures);
	tcase_add_test(life, a_start_that_fails_leaves_nothing);
	tcase_add_test(life, needs_are_looked_at);
	tcase_add_test(life, over_its_budget_it_is_slowed);
	tcase_add_test(life, over_its_budget_thrice_it_is_stopped);
	suite_add_tcase(suite, life);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
