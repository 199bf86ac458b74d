/*
 * swap: how much of it there is and how much is used, from sysinfo(2), which costs a tenth of reading /proc/meminfo;
 * and what goes in and out, from /proc/vmstat, which is dear: read rarely unless somebody names these series, and once
 * on a host that has no swap.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "plugin.h"

enum { TOTAL, USED, FREE, USED_PERCENT, FREE_PERCENT, CACHED, IN, OUT, N_METRICS };

#define BYTES(text) "B", text, NULL, KITH_GAUGE, 0
static const struct kith_metric metrics[N_METRICS] = {
	[TOTAL] = { "total", BYTES("all swap areas together") },
	[USED] = { "used", BYTES("the part of total that holds something") },
	[FREE] = { "free", BYTES("the part of total that holds nothing") },
	[USED_PERCENT] = { "used_percent", "%", "used in percent of total; none without swap", NULL, KITH_GAUGE, 0 },
	[FREE_PERCENT] = { "free_percent", "%", "free in percent of total; none without swap", NULL, KITH_GAUGE, 0 },
	[CACHED] = { "cached", BYTES("the part of used that is in memory as well") },
	[IN] = { "in", "B", "brought back from swap", NULL, KITH_COUNTER, 0 },
	[OUT] = { "out", "B", "moved to swap", NULL, KITH_COUNTER, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "swap", "Swap space and what goes in and out", NULL, metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "io_every", "6", "read cached, in and out on every so many ticks; on each one when somebody names them; 0: never", 0,
	  100000, KITH_OPTION_NUMBER, 0 },
};

enum { MEM_CACHED, MEM_TOTAL, MEM_FREE, N_MEMORY };
static const struct kith_key memory_keys[N_MEMORY] = {
	[MEM_CACHED] = KITH_KEY("SwapCached:"),
	[MEM_TOTAL] = KITH_KEY("SwapTotal:"),
	[MEM_FREE] = KITH_KEY("SwapFree:"),
};

static const struct kith_key io_keys[] = { KITH_KEY("pswpin "), KITH_KEY("pswpout ") };

struct state {
	const struct kith_host *h;
	int meminfo, vmstat;
	bool recorded; /* below another root: its files speak, not this kernel */
	uint32_t io_every, wait; /* ticks; 0: the next one */
	unsigned wanted;
	bool at_rest; /* no swap, and `last` was read since */
	double last[N_METRICS]; /* of which in and out are kept */
	double page_size;
	kith_id id;
	uint32_t memory_at[N_MEMORY], io_at[KITH_COUNT(io_keys)];
};

static int read_meminfo(struct state *s, double *v)
{
	double memory[N_MEMORY];
	size_t length;
	char *text;
	int r;

	r = s->h->read(s->h, s->meminfo, &text, &length);
	if (r < 0)
		return r;
	kith_scan_keys(text, length, memory_keys, N_MEMORY, s->memory_at, memory);
	v[CACHED] = 1024 * memory[MEM_CACHED];
	if (s->recorded) {
		v[TOTAL] = 1024 * memory[MEM_TOTAL];
		v[FREE] = 1024 * memory[MEM_FREE];
	}
	return isnan(v[TOTAL]) || isnan(v[FREE]) ? -EBADMSG : 0;
}

static int read_vmstat(struct state *s, double *v)
{
	double io[KITH_COUNT(io_keys)];
	size_t length;
	char *text;
	int r;

	r = s->h->read(s->h, s->vmstat, &text, &length);
	if (r < 0)
		return r;
	kith_scan_keys(text, length, io_keys, KITH_COUNT(io_keys), s->io_at, io);
	v[IN] = s->page_size * io[0];
	v[OUT] = s->page_size * io[1];
	return 0;
}

/* Whether this tick reads what is dear. */
static bool due(struct state *s)
{
	if (s->wanted == 0 && (s->wait > 0 || s->io_every == 0)) {
		s->wait -= s->wait > 0;
		return false;
	}
	s->wait = s->io_every > 0 ? s->io_every - 1 : 0;
	return true;
}

/* Nothing goes in or out where there is no swap: what went before it was taken away is read once and holds. */
static int values_at_rest(struct state *s, double *v)
{
	int r;

	v[CACHED] = 0;
	if (s->vmstat < 0 || (s->io_every == 0 && s->wanted == 0))
		return 0;
	if (!s->at_rest) {
		r = read_vmstat(s, s->last);
		if (r < 0)
			return r;
		s->at_rest = true;
	}
	v[IN] = s->last[IN];
	v[OUT] = s->last[OUT];
	return 0;
}

static int sample(void *user)
{
	struct state *s = user;
	double v[N_METRICS];
	struct sysinfo now;
	int i, r = 0;

	for (i = 0; i < N_METRICS; i++)
		v[i] = (double)NAN;
	if (s->recorded) {
		r = read_meminfo(s, v);
	} else if (sysinfo(&now) == 0) {
		v[TOTAL] = (double)now.totalswap * now.mem_unit;
		v[FREE] = (double)now.freeswap * now.mem_unit;
	} else {
		r = -errno;
	}
	if (r < 0)
		return r;
	v[USED] = v[FREE] <= v[TOTAL] ? v[TOTAL] - v[FREE] : 0;
	if (v[TOTAL] > 0) {
		s->at_rest = false;
		v[USED_PERCENT] = 100 * v[USED] / v[TOTAL];
		v[FREE_PERCENT] = 100 - v[USED_PERCENT];
		if (due(s)) {
			r = s->recorded ? 0 : read_meminfo(s, v);
			if (r == 0 && s->vmstat >= 0)
				r = read_vmstat(s, v);
		}
	} else {
		r = values_at_rest(s, v);
	}
	if (r < 0)
		return r;
	return s->h->put_all(s->h, s->id, v, N_METRICS);
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct state *s = user;

	(void)instance; /* the family has but one */
	if (wanted)
		s->wanted++;
	else if (s->wanted > 0)
		s->wanted--;
	return 0;
}

static void fini(void *state)
{
	struct state *s = state;

	close(s->meminfo);
	if (s->vmstat >= 0)
		close(s->vmstat);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->recorded = h->root(h)[0] != '\0';
	s->io_every = (uint32_t)h->option_number(h, "io_every");
	s->page_size = (double)sysconf(_SC_PAGESIZE);
	s->meminfo = r = h->open(h, "/proc/meminfo");
	if (r < 0) {
		h->log(h, KITH_ERR, "cannot open /proc/meminfo: %s: mount proc there", strerror(-r));
		goto fail;
	}
	s->vmstat = h->open(h, "/proc/vmstat"); /* -errno in a kernel without it: no in and out then */
	r = h->series(h, 0, NULL, &s->id);
	if (r < 0)
		goto fail_close;
	r = h->watch_wanted(h, 0, on_wanted, s, NULL);
	if (r < 0)
		goto fail_close;
	r = h->sample(h, sample, s, NULL);
	if (r < 0)
		goto fail_close;
	*ret_state = s;
	return 0;

fail_close:
	if (s->vmstat >= 0)
		close(s->vmstat);
	close(s->meminfo);
fail:
	free(s);
	return r;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "swap",
	.version = "1",
	.help = "Swap space and what goes in and out",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_LEVELS,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "sysinfo(2) on the tick",
	.costs = "7 us a tick",
};
