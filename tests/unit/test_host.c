/* host/: the functions that plugins get, one by one. Watches are in test_host_watch.c. */
#include <sys/stat.h>
#include <check.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "host_plugin.h"

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

/* Lines of logs: no rate holds them, and only exporters that ask for them hear them. What the plugin says of flags does not count. */
START_TEST(logs)
{
	struct kith_plugin logger = { KITH_PLUGIN_INIT, .name = "logger", .provides = KITH_PROVIDES_LOGS, .init = second_init };
	struct kith_plugin deaf = { KITH_PLUGIN_INIT, .name = "deaf", .provides = KITH_PROVIDES_EXPORTER, .init = second_init, .on_record = e_record };
	struct kith_plugin keen = { KITH_PLUGIN_INIT, .name = "keen", .provides = KITH_PROVIDES_EXPORTER | KITH_PROVIDES_LOGS, .init = second_init,
		                    .on_record = e_record };
	struct kith_record r = { .size = sizeof(r), .priority = KITH_INFO, .message = "hello" }, claims = r, old = r;
	const struct kith_host *h;

	start("", NULL);
	ck_assert_int_eq(host_add_builtin(f.host, &logger), 0);
	h = second;
	ck_assert_int_eq(host_add_builtin(f.host, &deaf), 0);
	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(h->record(h, &r), 0);
	ck_assert_int_eq(t.records, 0);
	claims.flags = KITH_RECORD_LOG;
	ck_assert_int_eq(t.h->record(t.h, &claims), 0);
	ck_assert_int_eq(t.records, 1);
	ck_assert_int_eq(host_add_builtin(f.host, &keen), 0);
	old.size = offsetof(struct kith_record, flags); /* as before ABI 1.7 */
	ck_assert_int_eq(h->record(h, &old), 0);
	ck_assert_int_eq(t.records, 2);
	ck_assert_int_eq(t.h->record(t.h, &old), 0);
	ck_assert_int_eq(t.records, 4);
	end();
}
END_TEST

START_TEST(state_folders)
{
	char want[128];
	const char *path;
	struct stat st;

	start("", NULL);
	path = t.h->state_folder(t.h);
	ck_assert_ptr_nonnull(path);
	snprintf(want, sizeof(want), "%s/state/plugins/t", f.dir);
	ck_assert_str_eq(path, want);
	ck_assert(stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
	ck_assert_ptr_eq(t.h->state_folder(t.h), path);
	ck_assert_int_eq(rmdir(want), 0);
	*strrchr(want, '/') = '\0';
	ck_assert_int_eq(rmdir(want), 0);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *tc = tcase_create("table");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, declares);
	tcase_add_test(tc, puts_samples);
	tcase_add_test(tc, owns);
	tcase_add_test(tc, clashes);
	tcase_add_test(tc, caps_instances);
	tcase_add_test(tc, records);
	tcase_add_test(tc, reads_options);
	tcase_add_test(tc, works);
	tcase_add_test(tc, a_call_of_one_that_went_comes_back_to_nobody);
	tcase_add_test(tc, spawns);
	tcase_add_test(tc, opens_below_the_root);
	tcase_add_test(tc, reads_no_more_than_its_bound);
	tcase_add_test(tc, exports);
	tcase_add_test(tc, logs);
	tcase_add_test(tc, state_folders);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
