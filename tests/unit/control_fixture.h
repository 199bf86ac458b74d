/*
 * For tests of the control server: a real loop, model and server, and an engine of promises whose state the test sets.
 * Defines the few
 * functions of promises.h that the server calls; to be included by one file of a program.
 */
#ifndef CONTROL_FIXTURE_H
#define CONTROL_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/server.h"

/* Not every program uses every helper. */
#pragma GCC diagnostic ignored "-Wunused-function"

/* ---- the engine ------------------------------------------------------------------------------------------------- */

#define FAKE_MAX 64
struct promises {
	struct promise_info list[FAKE_MAX];
	size_t n;
	size_t n_parts; /* of an explanation */
};

size_t promises_count(const struct promises *p)
{
	return p->n;
}

int promises_get(const struct promises *p, size_t index, struct promise_info *ret_info)
{
	if (index >= p->n)
		return -ENOENT;
	*ret_info = p->list[index];
	return 0;
}

int promises_explain(struct promises *p, size_t index, int64_t now, struct promise_explanation *ret_explanation)
{
	struct promise_explanation e = { .n_parts = p->n_parts };

	(void)now;
	if (index >= p->n)
		return -ENOENT;
	e.parts = calloc(e.n_parts + 1, sizeof(*e.parts));
	for (size_t i = 0; i < e.n_parts; i++) {
		e.parts[i] = (struct promise_part){ .depth = i ? 1 : 0, .holds = KITH_BROKEN, .condition = i == 0 };
		if (asprintf(&e.parts[i].text, "part%zu", i) < 0 || asprintf(&e.parts[i].value, "%zu %%", i) < 0)
			abort();
	}
	e.mend = strdup("free some room\nor promise less");
	e.pending = strdup("");
	e.actions = strdup("runs /bin/true");
	e.depends = strdup("");
	*ret_explanation = e;
	return 0;
}

void promise_explanation_free(struct promise_explanation *e)
{
	for (size_t i = 0; i < e->n_parts; i++) {
		free(e->parts[i].text);
		free(e->parts[i].value);
	}
	free(e->parts);
	free(e->mend);
	free(e->pending);
	free(e->actions);
	free(e->depends);
}

/* Faulty: every "bad" in the text; a warning: every "odd" */
int promises_check(struct promises *p, const struct promises_file *files, size_t n, struct faults *faults)
{
	(void)p;
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at + 3 <= files[i].length; at++) {
			if (!memcmp(files[i].text + at, "bad", 3))
				fault_add(faults, false, files[i].path, files[i].text, files[i].length, at, 3, "say \"good\"",
				          "unknown word \"bad\"");
			if (!memcmp(files[i].text + at, "odd", 3))
				fault_add(faults, true, files[i].path, files[i].text, files[i].length, at, 3, NULL, "an odd word");
		}
	return faults->n_errors ? -EINVAL : 0;
}

static void fake_promise(struct promises *p, const char *name, const char *promiser, enum kith_assessment a)
{
	static const char *const promisees[] = { "ops", "db1" };

	p->list[p->n++] = (struct promise_info){ .name = name, .promiser = promiser, .promisees = promisees, .n_promisees = 2,
		                                 .assessment = a, .since = 1700000000 * NS_PER_S, .severity = KITH_CRIT,
		                                 .because = "it is so", .body = "a:b > 3", .place = "x.promise:3",
		                                 .evaluations = 10, .cpu_ns = 1000, .failures = 1 };
}

/* ---- the daemon ------------------------------------------------------------------------------------------------- */

struct fixture {
	struct loop *loop;
	struct model *model;
	struct control *control;
	struct promises promises;
	struct owner owner;
	struct family *ticks, *events; /* ticks: gauge and counter, events: a state that is put when it changes */
	char folder[64], path[96];
};

static int fixture_plugin(size_t index, struct control_plugin *ret_plugin, void *user)
{
	static const struct control_plugin plugins[] = {
		{ .name = "cpu", .version = "1.0", .state = "running", .reason = "", .file = "/lib/cpu.so", .series = 9, .calls = 100,
		  .cpu_ns = 250000, .samples = 900, .failures = 0, .allocations = 0 },
		{ .name = "service", .version = "1.0", .state = "skipped", .reason = "needs systemd", .file = "/lib/service.so",
		  .allocations = -1 },
	};

	(void)user;
	if (index >= 2)
		return -ENOENT;
	*ret_plugin = plugins[index];
	return 0;
}

static void fixture_status(struct control_status *ret_status, void *user)
{
	(void)user;
	*ret_status = (struct control_status){ .version = "9.9", .host = "Web1", .started = 1700000000 * NS_PER_S,
		                               .interval = 10 * NS_PER_S, .cpu_percent = 0.25, .rss = 4194304,
		                               .anonymous = 1048576, .wakeups = 42 };
}

static const char *const fixture_states[] = { "down", "up", NULL };
static const struct kith_metric fixture_tick_metrics[] = {
	{ "level", "B", "a level", NULL, KITH_GAUGE, 0 },
	{ "total", "packets", "a count", NULL, KITH_COUNTER, 0 },
};
static const struct kith_metric fixture_event_metrics[] = {
	{ "state", NULL, "up or down", fixture_states, KITH_STATE, KITH_METRIC_EVENT },
};
static const struct kith_family fixture_ticks = { KITH_FAMILY_INIT, "tick", "on the tick", "thing",
	fixture_tick_metrics, 2, 0 };
static const struct kith_family fixture_events = { KITH_FAMILY_INIT, "event", "on events", "thing",
	fixture_event_metrics, 1, 0 };

static int fixture_server(struct fixture *f, const char *path, size_t max_clients, size_t max_queue)
{
	const struct control_daemon daemon = { .user = f, .plugin = fixture_plugin, .status = fixture_status };
	const struct control_config config = { .path = path, .max_clients = max_clients, .max_queue = max_queue };

	return control_new(f->loop, f->model, &f->promises, &daemon, &config, &f->control);
}

/* Without a server; 0 or -errno */
static int fixture_open(struct fixture *f)
{
	const char *why;
	int r;

	*f = (struct fixture){ .owner = { .name = "test" } };
	strcpy(f->folder, "/tmp/kith-test-XXXXXX");
	if (!mkdtemp(f->folder))
		return -errno;
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->folder);
	r = loop_new(&f->loop);
	if (r == 0)
		r = model_new(&f->model);
	if (r == 0)
		r = family_add(f->model, &f->owner, &fixture_ticks, 100000, &f->ticks, &why);
	if (r == 0)
		r = family_add(f->model, &f->owner, &fixture_events, 0, &f->events, &why);
	if (r == 0)
		model_set_now(f->model, 1700000100 * NS_PER_S);
	return r;
}

static void fixture_close(struct fixture *f)
{
	control_free(f->control);
	model_free(f->model);
	loop_free(f->loop);
	unlink(f->path);
	rmdir(f->folder);
}

#endif
