/*
 * vmem: what the kernel's memory management does, from /proc/vmstat. No other file that is read on the tick costs
 * the kernel as much to write: a few numbers are taken from it where they were the last time, and all of them only
 * when asked.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

/* Families, in the descriptor's order */
enum { VMEM, VMPAGE, VMEVENT };

/* In the file's order */
enum {
	PAGED_IN, PAGED_OUT, SWAPPED_IN, SWAPPED_OUT, PAGE_FAULTS, MAJOR_PAGE_FAULTS, RECLAIMED_KSWAPD, RECLAIMED_DIRECT,
	SCANNED_KSWAPD, SCANNED_DIRECT, OOM_KILLS, N_METRICS,
};

static const struct kith_key keys[N_METRICS] = {
	[PAGED_IN] = KITH_KEY("pgpgin "), /* KiB, whatever the name says */
	[PAGED_OUT] = KITH_KEY("pgpgout "),
	[SWAPPED_IN] = KITH_KEY("pswpin "),
	[SWAPPED_OUT] = KITH_KEY("pswpout "),
	[PAGE_FAULTS] = KITH_KEY("pgfault "),
	[MAJOR_PAGE_FAULTS] = KITH_KEY("pgmajfault "),
	[RECLAIMED_KSWAPD] = KITH_KEY("pgsteal_kswapd "),
	[RECLAIMED_DIRECT] = KITH_KEY("pgsteal_direct "),
	[SCANNED_KSWAPD] = KITH_KEY("pgscan_kswapd "),
	[SCANNED_DIRECT] = KITH_KEY("pgscan_direct "),
	[OOM_KILLS] = KITH_KEY("oom_kill "), /* since 4.13 */
};

#define COUNTER(unit, text) unit, text, NULL, KITH_COUNTER, 0
static const struct kith_metric metrics[N_METRICS] = {
	[PAGED_IN] = { "paged_in", COUNTER("B", "read from block devices") },
	[PAGED_OUT] = { "paged_out", COUNTER("B", "written to block devices") },
	[SWAPPED_IN] = { "swapped_in", COUNTER("pages", "brought back from swap") },
	[SWAPPED_OUT] = { "swapped_out", COUNTER("pages", "moved to swap") },
	[PAGE_FAULTS] = { "page_faults", COUNTER("faults", "page faults, the major ones included") },
	[MAJOR_PAGE_FAULTS] = { "major_page_faults", COUNTER("faults", "page faults that had to wait for a disk") },
	[RECLAIMED_KSWAPD] = { "reclaimed_kswapd", COUNTER("pages", "freed in the background because memory was short") },
	[RECLAIMED_DIRECT] = { "reclaimed_direct", COUNTER("pages", "freed by programs that had to wait for it") },
	[SCANNED_KSWAPD] = { "scanned_kswapd", COUNTER("pages", "looked at in the background for what to free") },
	[SCANNED_DIRECT] = { "scanned_direct", COUNTER("pages", "looked at by programs that had to wait for it") },
	[OOM_KILLS] = { "oom_kills", COUNTER("kills", "processes killed because memory was out") },
};

static const struct kith_metric page_metrics[] = {
	{ "pages", "pages", "pages that are so now", NULL, KITH_GAUGE, 0 },
};

static const struct kith_metric event_metrics[] = {
	{ "count", "events", "how often it happened", NULL, KITH_COUNTER, 0 },
};

static const struct kith_family families[] = {
	[VMEM] = { KITH_FAMILY_INIT, "vmem", "What the kernel's memory management does", NULL, metrics, N_METRICS, 0 },
	[VMPAGE] = { KITH_FAMILY_INIT, "vmpage", "Pages by what they are used for, as the kernel calls it (with verbose)",
	             "kind of page", page_metrics, KITH_COUNT(page_metrics), 0 },
	[VMEVENT] = { KITH_FAMILY_INIT, "vmevent", "Events of memory management, as the kernel calls them (with verbose)",
	              "event", event_metrics, KITH_COUNT(event_metrics), 0 },
};

static const struct kith_option options[] = {
	{ "verbose", "false", "every line of /proc/vmstat as a series of vmpage or vmevent", 0, 0, KITH_OPTION_BOOL, 0 },
};

/* A line of the file, by place */
struct line {
	kith_id id; /* KITH_ID_NONE: over the cap of instances, or no name that a series can have */
	uint32_t length;
	char *key; /* as in the file, with the blank behind it */
};

#define MAX_LINES 1024

struct state {
	const struct kith_host *h;
	int fd;
	bool verbose;
	kith_id id;
	uint32_t at[N_METRICS];
	struct line *lines;
	uint32_t n_lines;
};

/* Lines named nr_ say how many pages are something now, save these few, which only grow; all others count events. */
static bool is_gauge(const char *key, size_t length)
{
	static const struct kith_key counters[] = {
		KITH_KEY("nr_dirtied "), KITH_KEY("nr_written "), KITH_KEY("nr_vmscan_write "),
		KITH_KEY("nr_vmscan_immediate_reclaim "), KITH_KEY("nr_throttled_written "),
		KITH_KEY("nr_foll_pin_acquired "), KITH_KEY("nr_foll_pin_released "),
	};
	static const struct kith_key gauges[] = {
		KITH_KEY("workingset_nodes "), KITH_KEY("nr_"),
	};
	uint32_t i;

	for (i = 0; i < KITH_COUNT(counters); i++)
		if (length == counters[i].length && memcmp(key, counters[i].name, length) == 0)
			return false;
	for (i = 0; i < KITH_COUNT(gauges); i++)
		if (length >= gauges[i].length && memcmp(key, gauges[i].name, gauges[i].length) == 0)
			return true;
	return false;
}

/* Makes an entry, and a series, for a line whose key (with its blank) has not been seen before */
static int add_line(struct state *s, const char *key, size_t length)
{
	struct line *lines = realloc(s->lines, (s->n_lines + 1) * sizeof(*lines));
	bool gauge = is_gauge(key, length);
	struct line *l;
	char name[64];
	int r;

	if (!lines)
		return -ENOMEM;
	s->lines = lines;
	l = &lines[s->n_lines];
	*l = (struct line){ .length = (uint32_t)length, .key = malloc(length) };
	if (!l->key)
		return -ENOMEM;
	memcpy(l->key, key, length);
	s->n_lines++;
	if (length > sizeof(name))
		return 0;
	memcpy(name, key, length - 1);
	name[length - 1] = '\0';
	r = s->h->series(s->h, gauge ? VMPAGE : VMEVENT, name + (strncmp(name, "nr_", 3) == 0 ? 3 : 0), &l->id);
	return r == -ENOSPC || r == -EINVAL ? 0 : r; /* without a series, then */
}

/* The entry of a line's key; `place` is where it was the last time */
static struct line *find_line(struct state *s, uint32_t place, const char *key, size_t length)
{
	uint32_t i;

	if (place < s->n_lines && s->lines[place].length == length && memcmp(s->lines[place].key, key, length) == 0)
		return &s->lines[place];
	for (i = 0; i < s->n_lines; i++)
		if (s->lines[i].length == length && memcmp(s->lines[i].key, key, length) == 0)
			return &s->lines[i];
	return NULL;
}

/* Every line: `key number`. The last one counts only when its end is there. */
static int put_lines(struct state *s, const char *text, size_t length)
{
	const char *p = text, *end, *blank;
	uint32_t place = 0;
	uint64_t value;
	int r;

	for (; (end = memchr(p, '\n', length - (size_t)(p - text))); p = end + 1, place++) {
		struct line *l;

		blank = memchr(p, ' ', (size_t)(end - p));
		if (!blank)
			continue;
		l = find_line(s, place, p, (size_t)(blank + 1 - p));
		if (!l) {
			if (s->n_lines == MAX_LINES)
				continue;
			r = add_line(s, p, (size_t)(blank + 1 - p));
			if (r < 0)
				return r;
			l = &s->lines[s->n_lines - 1];
		}
		p = blank;
		if (l->id == KITH_ID_NONE || kith_scan_u64(&p, &value) != 0)
			continue;
		r = s->h->put(s->h, l->id, (double)value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int sample(void *user)
{
	struct state *s = user;
	double values[N_METRICS];
	size_t length;
	char *text;
	int r;

	r = s->h->read(s->h, s->fd, &text, &length);
	if (r < 0)
		return r;
	if (kith_scan_keys(text, length, keys, N_METRICS, s->at, values) == 0)
		return -EBADMSG;
	values[PAGED_IN] *= 1024;
	values[PAGED_OUT] *= 1024;
	r = s->h->put_all(s->h, s->id, values, N_METRICS);
	if (r < 0 || !s->verbose)
		return r;
	return put_lines(s, text, length);
}

static void fini(void *state)
{
	struct state *s = state;
	uint32_t i;

	close(s->fd);
	for (i = 0; i < s->n_lines; i++)
		free(s->lines[i].key);
	free(s->lines);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->verbose = h->option_bool(h, "verbose") != 0;
	s->fd = r = h->open(h, "/proc/vmstat");
	if (r < 0) {
		h->log(h, KITH_ERR, "cannot open /proc/vmstat: %s: mount proc there", strerror(-r));
		goto fail;
	}
	r = h->series(h, VMEM, NULL, &s->id);
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
	.name = "vmem",
	.version = "1",
	.help = "What the kernel's memory management does",
	.provides = KITH_PROVIDES_SAMPLES,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "/proc/vmstat on the tick",
	.costs = "40 us a tick",
};
