/* Plugin t, for the tests of the host: it declares two families and some options, and does as each test says. */
#ifndef KITH_TESTS_HOST_PLUGIN_H
#define KITH_TESTS_HOST_PLUGIN_H

#include <fcntl.h>
#include <string.h>

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

static inline int t_init(const struct kith_host *h, void **ret_state)
{
	t.h = h;
	t.inits++;
	*ret_state = &t;
	return t.init ? t.init() : 0;
}

static inline void t_fini(void *state)
{
	ck_assert_ptr_eq(state, &t);
	t.finis++;
}

static inline int t_resync(void *state)
{
	(void)state;
	t.resyncs++;
	return 0;
}

static inline int t_reconfigure(void *state)
{
	(void)state;
	t.reconfigures++;
	return 0;
}

static inline struct kith_plugin plugin_of(const char *name)
{
	return (struct kith_plugin){ KITH_PLUGIN_INIT, .name = name, .version = "1", .help = "", .families = families,
		                     .provides = KITH_PROVIDES_RESYNC, .n_families = 2, .option_size = sizeof(struct kith_option),
		                     .options = options, .n_options = KITH_COUNT(options), .init = t_init, .fini = t_fini,
		                     .resync = t_resync };
}

static struct host_fixture f;
static struct kith_plugin plugin;

static inline void start(const char *conf, int (*init)(void))
{
	memset(&t, 0, sizeof(t));
	t.init = init;
	plugin = plugin_of("t");
	fixture_start(&f, conf);
	ck_assert_int_eq(host_add_builtin(f.host, &plugin), 0);
}

static inline void end(void)
{
	fixture_end(&f);
}

static inline int count_call(void *user)
{
	(void)user;
	t.calls++;
	return t.result;
}

static inline void touch(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f.dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static inline void untouch(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f.dir, name);
	unlink(path);
}

/* What happens while the watch is paused is made up for by a resync. */

#endif
