/* cgroup: control groups: what the kernel announces of all of them, usage and pressure of those that are wanted. See the README beside. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/cgroup.h"
#include "sources/pressure.h"

#define SLOW_ROUNDS 8 /* limits and peaks are read each so many ticks */
#define WINDOW INT64_C(2000000000) /* ns, of stalls: what the kernel takes from everybody */

static const char *const no_yes[] = { "no", "yes", NULL };
#define EVENT KITH_METRIC_EVENT
#define HITS(n, text) { n, "hits", text, NULL, KITH_COUNTER, EVENT }
#define GAUGE(n, unit, text) { n, unit, text, NULL, KITH_GAUGE, 0 }
#define COUNTER(n, unit, text) { n, unit, text, NULL, KITH_COUNTER, 0 }
static const struct kith_metric metrics[] = {
	[POPULATED] = { "populated", "1", "a process is in it or below it", no_yes, KITH_STATE, EVENT },
	[FROZEN] = { "frozen", "1", "its processes are frozen", no_yes, KITH_STATE, EVENT },
	[OOM_KILLS] = { "oom_kills", "processes", "processes that the kernel killed for lack of memory", NULL, KITH_COUNTER, EVENT },
	[OOM] = HITS("oom", "out of memory, whether somebody was killed or not"),
	[OOM_GROUP] = HITS("oom_group_kills", "killed as a whole for lack of memory"),
	[LOW_HITS] = HITS("memory_low", "memory was taken away although it had less than memory.low"),
	[HIGH_HITS] = HITS("memory_high", "slowed at memory.high"),
	[MAX_HITS] = HITS("memory_max", "held at memory.max"),
	[PIDS_HITS] = HITS("pids_max", "refused a process at pids.max"),
	[NEAR_HITS] = HITS("memory_near", "came to 90 % of its memory limit (version 1)"),
	[STALLS] = { "stalls", "stalls", "tasks waited for memory for long (with the option stall)", NULL, KITH_COUNTER, EVENT },
	[MEMORY] = GAUGE("memory", "B", "memory in use, page cache included"),
	[MEMORY_PEAK] = GAUGE("memory_peak", "B", "the most memory it ever used"),
	[MEMORY_LIMIT] = GAUGE("memory_limit", "B", "memory.max; absent where there is no limit"),
	[SWAP] = GAUGE("swap", "B", "swap in use"),
	[PIDS] = GAUGE("pids", "tasks", "processes and threads"),
	[PIDS_LIMIT] = GAUGE("pids_limit", "tasks", "pids.max; absent where there is no limit"),
	[CPU_USAGE] = COUNTER("cpu", "s", "CPU time"),
	[CPU_USER] = COUNTER("cpu_user", "s", "CPU time in user mode"),
	[CPU_SYSTEM] = COUNTER("cpu_system", "s", "CPU time in the kernel"),
	[CPU_PERIODS] = COUNTER("cpu_periods", "periods", "periods of cpu.max"),
	[CPU_THROTTLED_PERIODS] = COUNTER("cpu_throttled_periods", "periods", "periods in which it was throttled"),
	[CPU_THROTTLED] = COUNTER("cpu_throttled", "s", "time for which it was throttled"),
	[IO_READ] = COUNTER("io_read", "B", "read from disks"),
	[IO_WRITTEN] = COUNTER("io_written", "B", "written to disks"),
	[IO_READS] = COUNTER("io_reads", "operations", "reads from disks"),
	[IO_WRITES] = COUNTER("io_writes", "operations", "writes to disks"),
	[MEMORY_SOME] = GAUGE("memory_some_avg10", "%", "part of the last 10 s that some task waited for memory"),
	[MEMORY_FULL] = GAUGE("memory_full_avg10", "%", "part of the last 10 s that all tasks waited for memory"),
	[CPU_SOME] = GAUGE("cpu_some_avg10", "%", "part of the last 10 s that some task waited for a processor"),
	[CPU_FULL] = GAUGE("cpu_full_avg10", "%", "part of the last 10 s that all tasks waited for a processor"),
	[IO_SOME] = GAUGE("io_some_avg10", "%", "part of the last 10 s that some task waited for a disk"),
	[IO_FULL] = GAUGE("io_full_avg10", "%", "part of the last 10 s that all tasks waited for a disk"),
};
_Static_assert(KITH_COUNT(metrics) == N_METRICS, "the table and its indices differ");

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "cgroup", "Control groups", "group", metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ .name = "groups", .fallback = "/*", .help = "series for these groups, besides those that promises name: paths, in which * stops at a slash",
	  .type = KITH_OPTION_LIST },
	{ .name = "max_groups", .fallback = "64", .help = "the files of at most so many groups are held open and read", .min = 0, .max = 4096,
	  .type = KITH_OPTION_NUMBER },
	{ .name = "records", .fallback = "false", .help = "a record for each group with series that appears, ends, is empty or not; else of promised ones",
	  .type = KITH_OPTION_BOOL },
	{ .name = "stall", .help = "stalls for memory of so much within 2 s are heard of groups that promises name; unset: of none", .min = 0.001,
	  .max = 2, .type = KITH_OPTION_DURATION },
};

static const enum metric metric_of[KITH_CGROUP_COUNTS] = {
	[KITH_CGROUP_POPULATED] = POPULATED, [KITH_CGROUP_FROZEN] = FROZEN, [KITH_CGROUP_LOW] = LOW_HITS, [KITH_CGROUP_HIGH] = HIGH_HITS,
	[KITH_CGROUP_MAX] = MAX_HITS, [KITH_CGROUP_OOM] = OOM, [KITH_CGROUP_OOM_KILL] = OOM_KILLS, [KITH_CGROUP_OOM_GROUP] = OOM_GROUP,
	[KITH_CGROUP_PIDS_MAX] = PIDS_HITS, [KITH_CGROUP_NEAR] = NEAR_HITS, [KITH_CGROUP_OWN_HIGH] = N_METRICS,
	[KITH_CGROUP_OWN_MAX] = N_METRICS, [KITH_CGROUP_OWN_KILL] = N_METRICS,
};

static int on_event(const void *event, void *user);

static void tell_note(struct cgroups *c)
{
	char text[300] = "";

	if (c->full)
		snprintf(text, sizeof(text), "%s; what happens in further ones goes unseen", c->full);
	else if (c->unread)
		snprintf(text, sizeof(text), "%u groups are heard but not read: max_groups is %u", c->unread, c->max_reading);
	c->h->note(c->h, *text ? text : NULL);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static const struct wish *wish_for(const struct cgroups *c, const char *name, bool *ret_promised)
{
	const struct wish *found = NULL;

	*ret_promised = false;
	for (const struct wish *w = c->wishes; w; w = w->next) {
		if (w->promised && pattern_match(w->pattern, name, false))
			*ret_promised = true;
		else if (!w->option || !pattern_match(w->pattern, name, true))
			continue;
		found = w;
	}
	return found;
}

static int on_stall(const void *event, void *user)
{
	struct group *g = user;

	if (!event) {
		g->c->h->unwatch(g->c->h, g->trigger);
		g->trigger = NULL;
		return 0;
	}
	g->stalls++;
	return g->c->h->put(g->c->h, g->id + STALLS, (double)g->stalls);
}

static void trigger_start(struct group *g)
{
	struct cgroups *c = g->c;
	char path[4400];
	struct kith_pressure_filter filter = { .size = sizeof(filter), .path = path, .window = WINDOW };

	if (g->trigger || !(c->stall > 0) || !g->promised || !g->directories[KITH_CGROUP_V2] ||
	    snprintf(path, sizeof(path), "%s/memory.pressure", g->directories[KITH_CGROUP_V2]) >= (int)sizeof(path))
		return;
	filter.stall = (int64_t)(c->stall * 1e9);
	if (c->h->watch_source(c->h, KITH_SOURCE_PRESSURE, &filter, on_stall, g, &g->trigger) == 0)
		c->h->put(c->h, g->id + STALLS, (double)g->stalls);
}

static void group_open(struct group *g)
{
	struct cgroups *c = g->c;

	if (!g->files.open && c->n_reading >= c->max_reading) {
		c->unread += !g->unread;
		g->unread = true;
		tell_note(c);
		return;
	}
	c->unread -= g->unread;
	g->unread = false;
	c->n_reading += !g->files.open;
	for (unsigned i = 0; i < KITH_CGROUP_TREES; i++)
		if (g->directories[i])
			files_open(&g->files, c->h, i, g->directories[i], g->promised);
	trigger_start(g);
}

static void group_free(struct group *g)
{
	struct cgroups *c = g->c;

	if (g->trigger)
		c->h->unwatch(c->h, g->trigger);
	c->n_reading -= g->files.open;
	c->unread -= g->unread;
	files_close(&g->files);
	for (unsigned i = 0; i < KITH_CGROUP_TREES; i++)
		free(g->directories[i]);
	HASH_DEL(c->groups, g);
	free(g);
}

static int group_end(struct group *g)
{
	struct cgroups *c = g->c;
	int r = c->h->end(c->h, g->id);

	group_free(g);
	if (!c->full)
		tell_note(c);
	return r;
}

static int group_put(struct group *g, const struct kith_cgroup_event *e, uint32_t which)
{
	int r = 0;

	for (unsigned i = 0; i < KITH_CGROUP_COUNTS && r == 0; i++)
		if ((which & 1u << i) && metric_of[i] != N_METRICS)
			r = g->c->h->put(g->c->h, g->id + metric_of[i], (double)e->counts[i]);
	g->known |= which;
	if (e->tree == KITH_CGROUP_V1_PIDS && which & 1u << KITH_CGROUP_PIDS_MAX)
		g->refused = (double)e->counts[KITH_CGROUP_PIDS_MAX];
	return r;
}

static struct group *group_find(struct cgroups *c, const char *name)
{
	struct group *g;

	HASH_FIND_STR(c->groups, name, g);
	return g;
}

static int group_add(struct cgroups *c, const char *name, const struct kith_cgroup_event *e, bool promised)
{
	struct group *g = group_find(c, name);
	bool news = !g;
	int r;

	if (e->tree >= KITH_CGROUP_TREES)
		return 0;
	if (!g) {
		g = calloc(1, sizeof(*g) + strlen(name) + 1);
		if (!g)
			return -ENOMEM;
		g->c = c;
		g->refused = NAN;
		files_init(&g->files);
		strcpy(g->name, name);
		r = c->h->series(c->h, 0, name, &g->id);
		if (r < 0) {
			free(g);
			return r == -ENOSPC ? 0 : r; /* the host has said so */
		}
		HASH_ADD_STR(c->groups, name, g);
	}
	g->seen = true;
	g->promised |= promised;
	g->trees |= 1u << e->tree;
	if (!g->directories[e->tree])
		g->directories[e->tree] = strdup(e->directory);
	group_open(g);
	r = group_put(g, e, e->known);
	if (r == 0 && news && !c->dumping && (c->tell_groups || g->promised))
		r = tell_group(c, name, "has appeared");
	return r;
}

static int group_removed(struct cgroups *c, const char *name, const struct kith_cgroup_event *e)
{
	struct group *g = group_find(c, name);
	int r = 0;

	if (!g)
		return 0;
	g->trees &= ~(1u << e->tree);
	free(g->directories[e->tree]);
	g->directories[e->tree] = NULL;
	if (g->trees)
		return 0;
	if (c->tell_groups || g->promised)
		r = tell_group(c, name, "has ended");
	return group_end(g) < 0 ? -EIO : r;
}

static int full(struct cgroups *c, const char *why)
{
	free(c->full);
	c->full = why ? strdup(why) : NULL;
	tell_note(c);
	return 0;
}

static int on_event(const void *event, void *user)
{
	const struct kith_cgroup_event *e = event;
	struct cgroups *c = user;
	char name[INSTANCE_MAX + 1];
	struct group *g;
	bool whole, promised;
	int r = 0;

	if (!e)
		return full(c, "control groups are not heard any more");
	if (e->what == KITH_CGROUP_FULL)
		return full(c, e->path);
	whole = name_make(e->path, name);
	/* Of one that has no name only records are told */
	g = whole ? group_find(c, name) : NULL;
	switch (e->what) {
	case KITH_CGROUP_ADDED:
		return whole && wish_for(c, name, &promised) ? group_add(c, name, e, promised) : 0;
	case KITH_CGROUP_REMOVED:
		return whole ? group_removed(c, name, e) : 0;
	case KITH_CGROUP_FILES:
		if (g && g->files.open)
			group_open(g);
		return g ? group_put(g, e, e->known & ~g->known) : 0;
	case KITH_CGROUP_CHANGED:
		if (g)
			r = group_put(g, e, e->changed);
		return r < 0 ? r : tell_event(c, name, e, g && (c->tell_groups || g->promised));
	}
	return 0;
}

/* All that is there, against what is wished for now */
static int reconcile(struct cgroups *c)
{
	struct group *g, *next;
	int r;

	c->dumping = true;
	HASH_ITER(hh, c->groups, g, next) {
		g->seen = false;
		g->promised = false;
	}
	r = c->h->dump_source(c->h, KITH_SOURCE_CGROUP, NULL, on_event, c);
	HASH_ITER(hh, c->groups, g, next)
		if (r >= 0 && !g->seen)
			group_end(g);
	c->dumping = false;
	return r;
}

/* ---- wishes ------------------------------------------------------------------------------------------------------ */

static int wish_add(struct cgroups *c, const char *pattern, bool option)
{
	struct wish **at = &c->wishes, *w;

	while (*at && ((*at)->option != option || strcmp((*at)->pattern, pattern)))
		at = &(*at)->next;
	if (!*at) {
		w = calloc(1, sizeof(*w) + strlen(pattern) + 1);
		if (!w)
			return -ENOMEM;
		strcpy(w->pattern, pattern);
		*at = w;
	}
	(*at)->option = option;
	(*at)->promised += !option;
	return 0;
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct cgroups *c = user;
	struct wish **at = &c->wishes, *w;
	int r = 0;

	if (wanted) {
		r = wish_add(c, instance, false);
	} else {
		while (*at && ((*at)->option || strcmp((*at)->pattern, instance)))
			at = &(*at)->next;
		w = *at;
		if (w && --w->promised == 0) {
			*at = w->next;
			free(w);
		}
	}
	/* Promises come and go together, by files: once for all of them */
	if (r == 0 && !c->dumping)
		r = reconcile(c);
	return r;
}

/* ---- the tick ---------------------------------------------------------------------------------------------------- */

/* What was refused of version 1's processes since the last tick */
static int refused(struct group *g, double total)
{
	struct kith_cgroup_event e = { .size = sizeof(e), .what = KITH_CGROUP_CHANGED, .tree = KITH_CGROUP_V1_PIDS,
		                       .known = 1u << KITH_CGROUP_PIDS_MAX, .changed = 1u << KITH_CGROUP_PIDS_MAX };
	double before = g->refused;
	int r;

	if (isnan(total) || total == before)
		return 0;
	g->refused = total;
	e.counts[KITH_CGROUP_PIDS_MAX] = (uint64_t)total;
	e.grown[KITH_CGROUP_PIDS_MAX] = (uint64_t)(isnan(before) || total < before ? 0 : total - before);
	r = group_put(g, &e, e.changed);
	return r < 0 ? r : tell_event(g->c, g->name, &e, false);
}

static int sample(void *user)
{
	struct cgroups *c = user;
	bool slow = c->rounds++ % SLOW_ROUNDS == 0;
	double values[N_VALUES];
	int result = 0;

	for (struct group *g = c->groups; g; g = g->hh.next) {
		int r;

		if (!g->files.open)
			continue;
		r = files_read(&g->files, c->h, slow, values);
		if (r == 0)
			r = c->h->put_all(c->h, g->id + FIRST_SAMPLED, values, N_SAMPLED);
		if (r == 0)
			r = refused(g, values[V1_REFUSED]);
		if (r < 0)
			result = r;
	}
	return result;
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static void fini(void *state)
{
	struct cgroups *c = state;
	struct group *g, *next;
	struct wish *w;

	HASH_ITER(hh, c->groups, g, next) {
		g->trigger = NULL; /* kithd's own to drop */
		group_free(g);
	}
	while ((w = c->wishes)) {
		c->wishes = w->next;
		free(w);
	}
	tell_free(c);
	free(c->full);
	free(c);
}

static int start(struct cgroups *c)
{
	const char *const *list;
	size_t n = c->h->option_list(c->h, "groups", &list);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = wish_add(c, list[i], true);
	if (r < 0)
		return r;
	r = c->h->watch_source(c->h, KITH_SOURCE_CGROUP, NULL, on_event, c, NULL);
	if (r == -EOPNOTSUPP)
		c->h->note(c->h, "no control groups are mounted below /sys/fs/cgroup");
	else if (r == -EMFILE)
		c->h->note(c->h, "fs.inotify.max_user_instances is reached: raise it");
	if (r < 0)
		return r == -EMFILE ? -EOPNOTSUPP : r;
	/* The wishes that stand are told one by one: looked at once, below */
	c->dumping = true;
	r = c->h->watch_wanted(c->h, 0, on_wanted, c, NULL);
	c->dumping = false;
	if (r == 0)
		r = reconcile(c);
	return r < 0 ? r : c->h->sample(c->h, sample, c, NULL);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct cgroups *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->h = h;
	c->max_reading = (unsigned)h->option_number(h, "max_groups");
	c->tell_groups = h->option_bool(h, "records");
	c->stall = h->option_number(h, "stall");
	r = start(c);
	if (r < 0) {
		fini(c);
		return r;
	}
	*ret_state = c;
	return 0;
}

static int resync(void *state)
{
	return reconcile(state);
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "cgroup",
	.version = "1",
	.help = "Control groups: out of memory, limits, usage, pressure",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.resync = resync,
	.hears = "inotify on the folders of control groups and on cgroup.events, memory.events, pids.events; eventfds "
	         "of the v1 memory controller; the files of groups that are read on the tick",
	.costs = "nothing on an idle host; 50 us for a group that comes and goes; 5 to 8 preads of 1 to 5 us a tick "
	         "for each group that is read",
};
