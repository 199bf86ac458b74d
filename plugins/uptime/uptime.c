/* uptime: how long the host has been up. The clock says it: no file is read. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "plugin.h"

static const struct kith_metric metrics[] = {
	{ "seconds", "s", "time since the host was started, sleep included", NULL, KITH_GAUGE, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "uptime", "How long the host has been up", NULL, metrics, KITH_COUNT(metrics), 0 },
};

struct state {
	const struct kith_host *h;
	kith_id id;
};

static int sample(void *user)
{
	struct state *s = user;
	struct timespec t;

	if (clock_gettime(CLOCK_BOOTTIME, &t) < 0)
		return -errno;
	return s->h->put(s->h, s->id, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
}

static void fini(void *state)
{
	free(state);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	r = h->series(h, 0, NULL, &s->id);
	if (r < 0)
		goto fail;
	r = h->sample(h, sample, s, NULL);
	if (r < 0)
		goto fail;
	*ret_state = s;
	return 0;

fail:
	free(s);
	return r;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "uptime",
	.version = "1",
	.help = "How long the host has been up",
	.provides = KITH_PROVIDES_SAMPLES,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.init = init,
	.fini = fini,
	.hears = "the clock on the tick",
	.costs = "2 us a tick",
};
