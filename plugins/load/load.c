/* load: the load averages, from /proc/loadavg */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

enum { LOAD_1M, LOAD_5M, LOAD_15M, N_METRICS };

#define GAUGE(text) "1", text, NULL, KITH_GAUGE, 0
static const struct kith_metric metrics[N_METRICS] = {
	[LOAD_1M] = { "1m", GAUGE("tasks running or waiting for a processor or a disk, averaged over a minute") },
	[LOAD_5M] = { "5m", GAUGE("the same over 5 minutes") },
	[LOAD_15M] = { "15m", GAUGE("the same over 15 minutes") },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "load", "How many tasks want a processor or a disk", NULL, metrics, N_METRICS, 0 },
};

struct state {
	const struct kith_host *h;
	int fd;
	kith_id id;
};

/*
 * A number such as 12.34, which a blank must follow: a cut-off number would be a wrong one. No locale, as strtod
 * has.
 */
static int scan_decimal(const char **p, double *ret_value)
{
	uint64_t whole, part = 0, scale = 1;
	const char *s = *p;

	if (kith_scan_u64(&s, &whole) != 0)
		return -EBADMSG;
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++) {
			if (scale > 100000000)
				continue; /* further digits do not matter */
			part = part * 10 + (uint64_t)(*s - '0');
			scale *= 10;
		}
	}
	if (*s != ' ')
		return -EBADMSG;
	*p = s;
	/* one division, so that 12.34 is what a compiler makes of "12.34" */
	*ret_value = whole <= UINT32_MAX ? (double)(whole * scale + part) / (double)scale : (double)whole;
	return 0;
}

static int sample(void *user)
{
	struct state *s = user;
	double values[N_METRICS];
	const char *p;
	size_t length;
	char *text;
	int i, r;

	r = s->h->read(s->h, s->fd, &text, &length);
	if (r < 0)
		return r;
	p = text;
	for (i = 0; i < N_METRICS; i++) {
		r = scan_decimal(&p, &values[i]);
		if (r < 0)
			return r;
	}
	return s->h->put_all(s->h, s->id, values, N_METRICS);
}

static void fini(void *state)
{
	struct state *s = state;

	close(s->fd);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->fd = r = h->open(h, "/proc/loadavg");
	if (r < 0) {
		h->log(h, KITH_ERR, "cannot open /proc/loadavg: %s: mount proc there", strerror(-r));
		goto fail;
	}
	r = h->series(h, 0, NULL, &s->id);
	if (r < 0)
		goto fail_close;
	r = h->sample(h, sample, s, NULL);
	if (r < 0)
		goto fail_close;
	*ret_state = s;
	return 0;

fail_close:
	close(s->fd);
fail:
	free(s);
	return r;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "load",
	.version = "1",
	.help = "The load averages",
	.provides = KITH_PROVIDES_SAMPLES,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.init = init,
	.fini = fini,
	.hears = "/proc/loadavg on the tick",
	.costs = "6 us a tick",
};
