/* A host of plugins within the test: a real loop, model and sources; plugins are descriptors of the test itself, added as built in. */
#ifndef KITH_TESTS_HOST_FIXTURE_H
#define KITH_TESTS_HOST_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/host.h"
#include "host/spawn.h"
#include "source/file.h"
#include "source/netlink.h"
#include "source/process.h"

#define FIXTURE_DEADLINE (20 * NS_PER_S) /* only a test that fails waits for so long */

struct host_fixture {
	struct loop *loop;
	struct model *model;
	struct netlink_source *netlink;
	struct process_source *process;
	struct file_source *file;
	struct children children;
	struct conf *conf;
	struct host *host;
	char dir[64], state[80];
};

static inline struct conf *fixture_conf(struct host_fixture *f, const char *text)
{
	struct faults faults = { 0 };
	struct conf *conf = NULL;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/kith.conf", f->dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	ck_assert_int_eq(conf_load(path, true, &conf, &faults), 0);
	faults_free(&faults);
	return conf;
}

static inline void fixture_start(struct host_fixture *f, const char *conf)
{
	struct host_parts parts;

	*f = (struct host_fixture){ .dir = "/tmp/kith-unit-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	log_set_level(LOG_LEVEL_ERR);
	ck_assert_int_eq(loop_new(&f->loop), 0);
	ck_assert_int_eq(model_new(&f->model), 0);
	ck_assert_int_eq(netlink_source_new(f->loop, &f->netlink), 0);
	ck_assert_int_eq(process_source_new(f->loop, &f->process), 0);
	ck_assert_int_eq(file_source_new(f->loop, &f->file), 0);
	f->children.loop = f->loop;
	f->conf = fixture_conf(f, conf);
	snprintf(f->state, sizeof(f->state), "%s/state", f->dir);
	ck_assert_int_eq(mkdir(f->state, 0750), 0);
	parts = (struct host_parts){ .state = f->state, .loop = f->loop, .model = f->model, .netlink = f->netlink, .process = f->process,
		                     .file = f->file, .children = &f->children, .conf = f->conf };
	ck_assert_int_eq(host_new(&parts, &f->host), 0);
	ck_assert_int_eq(host_load_all(f->host, NULL, 0), 0);
}

static inline void fixture_end(struct host_fixture *f)
{
	char path[128];

	host_free(f->host);
	children_end(&f->children);
	file_source_free(f->file);
	process_source_free(f->process);
	netlink_source_free(f->netlink);
	model_free(f->model);
	loop_free(f->loop);
	conf_free(f->conf);
	snprintf(path, sizeof(path), "%s/kith.conf", f->dir);
	unlink(path);
	rmdir(f->state);
	rmdir(f->dir);
}

static inline void fixture_reload(struct host_fixture *f, const char *text)
{
	struct conf *old = f->conf;

	f->conf = fixture_conf(f, text);
	host_configure(f->host, f->conf);
	conf_free(old);
}

/* Runs the loop until `until` is true; fails at the deadline. */
#define fixture_until(f, until) \
	do { \
		int64_t end_ = clock_mono() + FIXTURE_DEADLINE; \
		while (!(until)) { \
			ck_assert_msg(clock_mono() < end_, "waited for: %s", #until); \
			loop_run_once((f)->loop, 10 * NS_PER_MS); \
		} \
	} while (0)

/* What runs within this much time; for what must not happen */
static inline void fixture_for(struct host_fixture *f, int64_t ns)
{
	int64_t end = clock_mono() + ns;

	while (clock_mono() < end)
		loop_run_once(f->loop, end - clock_mono());
}

static inline struct host_info fixture_info(struct host_fixture *f, const char *name)
{
	struct host_info info = { 0 };

	for (size_t i = 0; host_info(f->host, i, &info) == 0; i++)
		if (!strcmp(info.name, name))
			return info;
	ck_abort_msg("there is no plugin %s", name);
	return info;
}

static inline struct series *fixture_series(struct host_fixture *f, const char *text)
{
	struct name name;

	ck_assert_int_eq(name_split(text, strlen(text), &name), 0);
	return series_find(f->model, &name);
}

#endif
