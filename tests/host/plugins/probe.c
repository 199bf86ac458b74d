/*
 * A plugin whose options say how it behaves: it samples, fails, burns CPU, hangs in a worker, makes instances, floods records. For
 * the tests of the daemon; PROBE_NAME and PROBE_FAMILY make several of it, PROBE_LEVELS one that has nothing but levels.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin.h"

#ifndef PROBE_NAME
#define PROBE_NAME "probe"
#endif
#ifndef PROBE_FAMILY
#define PROBE_FAMILY PROBE_NAME
#endif
#ifndef PROBE_VERSION
#define PROBE_VERSION "1"
#endif

enum { METRIC_VALUE, METRIC_ROUNDS, N_METRICS };

static const struct kith_metric metrics[N_METRICS] = {
	[METRIC_VALUE] = { "value", "1", "what the option value says", NULL, KITH_GAUGE, 0 },
	[METRIC_ROUNDS] = { "rounds", "rounds", "samples so far", NULL, KITH_COUNTER, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, PROBE_FAMILY, "A plugin under test", "number", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "value", "1", "the gauge's value", 0, 1000, KITH_OPTION_NUMBER, 0 },
	{ "from", NULL, "a file that holds the gauge's value instead", 0, 0, KITH_OPTION_STRING, 0 },
	{ "fail_while", NULL, "a sample fails while this file exists", 0, 0, KITH_OPTION_STRING, 0 },
	{ "burn", NULL, "CPU that a sample uses", 0, 10, KITH_OPTION_DURATION, 0 },
	{ "hang", NULL, "a FIFO that each sample opens in a worker: it hangs until somebody writes", 0, 0, KITH_OPTION_STRING, 0 },
	{ "instances", "1", "how many instances it wants", 0, 100000, KITH_OPTION_NUMBER, 0 },
	{ "records", "0", "records with each sample", 0, 100000, KITH_OPTION_NUMBER, 0 },
	{ "greeting", NULL, "said in the log at the start", 0, 0, KITH_OPTION_STRING, 0 },
};

/* Of one call in a worker: neither it nor its path may be freed while the call runs. */
struct call {
	struct probe *probe;
	char path[256];
};

struct probe {
	const struct kith_host *h;
	kith_id id;
	double value, burn, rounds;
	const char *fail_while, *from;
	unsigned records;
	struct call *call; /* NULL: none hangs */
	const char *hang;
};

static void burn_cpu(double seconds)
{
	struct timespec t;
	double start, now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	start = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	} while (now - start < seconds);
}

static int hang_work(void *user)
{
	struct call *call = user;
	int fd = open(call->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* What is no number leaves the value as it was: the file may be written just now. */
static void read_value(struct probe *p)
{
	char text[32] = "", *end;
	int fd = open(p->from, O_RDONLY | O_CLOEXEC);
	double value;

	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0) {
		value = strtod(text, &end);
		if (end != text)
			p->value = value;
	}
	close(fd);
}

static int probe_put(struct probe *p)
{
	if (p->from)
		read_value(p);
#ifndef PROBE_LEVELS
	p->rounds++;
	p->h->put(p->h, p->id + METRIC_ROUNDS, p->rounds);
#endif
	return p->h->put(p->h, p->id + METRIC_VALUE, p->value);
}

static int hang_done(int result, void *user)
{
	struct call *call = user;
	struct probe *p = call->probe;

	p->call = NULL;
	free(call);
	return result < 0 ? result : probe_put(p);
}

static int hang_start(struct probe *p)
{
	struct call *call;
	int r;

	if (p->call)
		return 0;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->probe = p;
	snprintf(call->path, sizeof(call->path), "%s", p->hang);
	r = p->h->work(p->h, hang_work, hang_done, call);
	if (r < 0)
		free(call);
	else
		p->call = call;
	return r == -EAGAIN ? 0 : r;
}

static void flood(struct probe *p)
{
	struct kith_record record = { .size = sizeof(record), .priority = KITH_INFO, .message = "one of many" };

	for (unsigned i = 0; i < p->records; i++)
		p->h->record(p->h, &record);
}

static int probe_sample(void *user)
{
	struct probe *p = user;

	if (p->fail_while && access(p->fail_while, F_OK) == 0)
		return -EIO;
	if (p->burn > 0)
		burn_cpu(p->burn);
	flood(p);
	return p->hang ? hang_start(p) : probe_put(p);
}

static void probe_options(struct probe *p)
{
	p->value = p->h->option_number(p->h, "value");
	p->from = p->h->option_string(p->h, "from");
	p->fail_while = p->h->option_string(p->h, "fail_while");
	p->burn = p->h->option_number(p->h, "burn");
	p->hang = p->h->option_string(p->h, "hang");
	p->records = (unsigned)p->h->option_number(p->h, "records");
}

static int probe_instances(struct probe *p)
{
	unsigned n = (unsigned)p->h->option_number(p->h, "instances");
	char name[16];
	kith_id id;
	int r;

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u", i);
		r = p->h->series(p->h, 0, name, &id);
		if (r == -ENOSPC)
			continue;
		if (r < 0)
			return r;
		if (i == 0)
			p->id = id;
		else
			p->h->put(p->h, id + METRIC_VALUE, i);
	}
	return 0;
}

static int probe_init(const struct kith_host *h, void **ret_state)
{
	struct probe *p = calloc(1, sizeof(*p));
	const char *greeting = h->option_string(h, "greeting");
	int r;

	if (!p)
		return -ENOMEM;
	p->h = h;
	probe_options(p);
	if (greeting)
		h->log(h, KITH_NOTICE, "%s", greeting);
	r = probe_instances(p);
	if (r == 0)
		r = h->sample(h, probe_sample, p, NULL);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret_state = p;
	return 0;
}

static void probe_fini(void *state)
{
	free(state);
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = PROBE_NAME,
	.version = PROBE_VERSION,
	.help = "A plugin under test",
#ifdef PROBE_LEVELS
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_LEVELS,
#else
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS,
#endif
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = probe_init,
	.fini = probe_fini,
};
