/* exec: runs programs that follow the Nagios plugin conventions. See kith-exec(7). */
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "exec/exec.h"

#define SPREAD (10 * NS_PER_S)  /* the first runs are spread over this time, or over the interval where it is shorter */
#define FIRST (100 * NS_PER_MS) /* the very first */
#define CHECKS_MAX 4096

#define E KITH_METRIC_EVENT /* a result holds until the next one */
static const struct kith_metric check_metrics[N_CHECK] = {
	[CHECK_STATE] = { "state", NULL, "what the check says", check_state_names, KITH_STATE, E },
	[CHECK_DURATION] = { "duration", "s", "how long its last run took", NULL, KITH_GAUGE, E },
	[CHECK_EXIT_CODE] = { "exit_code", NULL, "exit status of the last run that ended by itself", NULL, KITH_GAUGE, E },
	[CHECK_RUNS] = { "runs", "runs", "how often it was run", NULL, KITH_COUNTER, E },
	[CHECK_TIMEOUTS] = { "timeouts", "runs", "runs that were killed because their time was up", NULL, KITH_COUNTER, E },
	[CHECK_FAILURES] = { "failures", "runs", "runs that could not be started, ended by a signal or with a status beyond 3", NULL,
	                     KITH_COUNTER, E },
	[CHECK_SKIPPED] = { "skipped", "runs", "runs that were left out because the last one was not over", NULL, KITH_COUNTER, E },
};

static const char *const program_states[] = { [PROGRAM_WAITING] = "waiting", [PROGRAM_RUNNING] = "running", NULL };
static const struct kith_metric program_metrics[N_PROGRAM] = {
	[PROGRAM_STATE] = { "state", NULL, "whether it runs, or waits to be started again", program_states, KITH_STATE, E },
	[PROGRAM_STARTS] = { "starts", "starts", "how often it was started", NULL, KITH_COUNTER, E },
	[PROGRAM_EXIT_CODE] = { "exit_code", NULL, "its last exit status", NULL, KITH_GAUGE, E },
	[PROGRAM_LINES] = { "lines", "lines", "lines that it has written", NULL, KITH_COUNTER, E },
	[PROGRAM_FAULTS] = { "faults", "lines", "lines that could not be used", NULL, KITH_COUNTER, E },
	[PROGRAM_DROPPED] = { "dropped", "lines", "lines that came faster than they may", NULL, KITH_COUNTER, E },
};

static const char *const levels[] = { [PERF_OK] = "ok", [PERF_WARNING] = "warning", [PERF_CRITICAL] = "critical", NULL };
#define PERF_METRICS(name, unit, kind) \
	static const struct kith_metric name[N_PERF] = { \
		[VALUE] = { "value", unit, "the value", NULL, kind, E }, \
		[LEVEL] = { "level", NULL, "the value by the thresholds given with it", levels, KITH_STATE, E }, \
		[WARN] = { "warn", unit, "upper end of the warning range", NULL, KITH_GAUGE, E }, \
		[WARN_LOW] = { "warn_low", unit, "lower end of the warning range", NULL, KITH_GAUGE, E }, \
		[CRIT] = { "crit", unit, "upper end of the critical range", NULL, KITH_GAUGE, E }, \
		[CRIT_LOW] = { "crit_low", unit, "lower end of the critical range", NULL, KITH_GAUGE, E }, \
		[MIN] = { "min", unit, "the least that it can be", NULL, KITH_GAUGE, E }, \
		[MAX] = { "max", unit, "the most that it can be", NULL, KITH_GAUGE, E }, \
	}
PERF_METRICS(number_metrics, "1", KITH_GAUGE);
PERF_METRICS(seconds_metrics, "s", KITH_GAUGE);
PERF_METRICS(bytes_metrics, "B", KITH_GAUGE);
PERF_METRICS(percent_metrics, "%", KITH_GAUGE);
PERF_METRICS(count_metrics, "1", KITH_COUNTER);

#define PERF_FAMILY(name, help, metrics) { KITH_FAMILY_INIT, name, help, "check/label", metrics, N_PERF, 0 }
static const struct kith_family families[] = {
	[FAMILY_CHECK] = { KITH_FAMILY_INIT, "check", "programs that follow the Nagios plugin conventions", "check", check_metrics,
	                   N_CHECK, 0 },
	[FAMILY_PERF + PERF_NUMBER] = PERF_FAMILY("perf", "performance data of checks: plain numbers", number_metrics),
	[FAMILY_PERF + PERF_SECONDS] = PERF_FAMILY("perf_seconds", "performance data of checks: times", seconds_metrics),
	[FAMILY_PERF + PERF_BYTES] = PERF_FAMILY("perf_bytes", "performance data of checks: sizes", bytes_metrics),
	[FAMILY_PERF + PERF_PERCENT] = PERF_FAMILY("perf_percent", "performance data of checks: percent", percent_metrics),
	[FAMILY_PERF + PERF_COUNT] = PERF_FAMILY("perf_count", "performance data of checks: counters", count_metrics),
	[FAMILY_PROGRAM] = { KITH_FAMILY_INIT, "program", "programs that write collectd's protocol", "program", program_metrics, N_PROGRAM, 0 },
};

static const struct kith_option options[] = {
	{ "checks", NULL, "what to run: NAME [every=1m] [timeout=10s] [watch=PATH] [record=SUBJECT] PROGRAM [ARGUMENT]...", 0, 0,
	  KITH_OPTION_LIST, 0 },
	{ "every", "60s", "how often a check is run that does not say it", 0.1, 604800, KITH_OPTION_DURATION, 0 },
	{ "timeout", "10s", "how long a check may take that does not say it", 0.1, 3600, KITH_OPTION_DURATION, 0 },
	{ "at_once", "4", "how many run at a time", 1, 64, KITH_OPTION_NUMBER, 0 },
	{ "trigger", NULL, "a folder: writing to the file NAME in it runs the check NAME at once", 0, 0, KITH_OPTION_STRING, 0 },
	{ "collectd", NULL, "NAME [user=WHO] [every=TIME] PROGRAM ARGUMENTS: programs that run on and write PUTVAL and PUTNOTIF, one a string", 0, 0,
	  KITH_OPTION_LIST, 0 },
	{ "types_db", "/usr/share/collectd/types.db", "collectd's types; the common ones are known without it", 0, 0, KITH_OPTION_STRING, 0 },
	{ "kilobyte", "1000", "bytes that a KB of performance data has, 1000 or 1024", 1000, 1024, KITH_OPTION_NUMBER, 0 },
};

static struct check *find(const struct exec *x, const char *name)
{
	for (size_t i = 0; i < x->n_checks; i++)
		if (!strcmp(x->checks[i]->e->name, name))
			return x->checks[i];
	return NULL;
}

/* ---- the trigger folder ----------------------------------------------------------------------------------------- */

static int on_trigger(const struct kith_file_event *event, void *user)
{
	struct exec *x = user;
	struct check *c = *event->name ? find(x, event->name) : NULL;

	if (c)
		check_event(c);
	else if (*event->name)
		x->h->log(x->h, KITH_NOTICE, "%s/%s was written, but there is no such check", x->trigger, event->name);
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static int set_trigger(struct exec *x)
{
	const char *path = x->h->option_string(x->h, "trigger");
	int r;

	if (same_text(path, x->trigger))
		return 0;
	if (x->trigger_watch)
		x->h->unwatch(x->h, x->trigger_watch);
	x->trigger_watch = NULL;
	free(x->trigger);
	x->trigger = path ? strdup(path) : NULL;
	if (!path)
		return 0;
	if (!x->trigger)
		return -ENOMEM;
	if (*path != '/') {
		x->h->note(x->h, "trigger is no absolute path");
		return -EINVAL;
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		x->h->log(x->h, KITH_WARNING, "the folder %s cannot be made: %s", path, strerror(errno));
	r = x->h->watch_file(x->h, path, KITH_FILE_CHANGED, on_trigger, x, &x->trigger_watch);
	return r;
}

/* ---- the configuration ------------------------------------------------------------------------------------------ */

/* What comes of the list: new ones, and those that stay as they are */
struct reading {
	struct exec *x;
	struct check **checks;
	size_t n, n_new, n_bad;
	char first_bad[400];
};

static void bad(struct reading *g, const char *source, const char *why)
{
	g->x->h->log(g->x->h, KITH_ERR, "checks: \"%.100s\": %s", source, why);
	if (!g->n_bad++)
		snprintf(g->first_bad, sizeof(g->first_bad), "\"%.60s\": %.250s", source, why);
}

static int read_one(struct reading *g, const char *source, int64_t every, int64_t timeout)
{
	char name[ENTRY_NAME_MAX + 1], why[256];
	struct entry *e = NULL;
	struct check *c;
	int r = entry_parse(source, every, timeout, &e, name, why, sizeof(why));

	if (r == -ENOMEM)
		return r;
	if (r == 0 && e->user) {
		snprintf(why, sizeof(why), "user= is for programs of `collectd`; a check runs as kithd");
		entry_free(e);
		r = -EINVAL;
	}
	c = *name ? find(g->x, name) : NULL;
	for (size_t i = 0; r == 0 && i < g->n; i++)
		if (!strcmp(g->checks[i]->e->name, name)) {
			bad(g, source, "another check has this name already");
			entry_free(e);
			return 0;
		}
	if (r < 0) {
		bad(g, source, why);
		/* What runs under this name goes on. */
		if (c && !c->seen) {
			c->seen = true;
			g->checks[g->n++] = c;
		}
		return 0;
	}
	if (c && entry_same(c->e, e)) {
		c->seen = true;
		g->checks[g->n++] = c;
		entry_free(e);
		return 0;
	}
	/* Its series end before those of the new one begin: they have the same name. */
	if (c) {
		for (size_t i = 0; i < g->x->n_checks; i++)
			if (g->x->checks[i] == c)
				memmove(&g->x->checks[i], &g->x->checks[i + 1], (--g->x->n_checks - i) * sizeof(struct check *));
		check_free(c);
	}
	r = check_new(g->x, e, FIRST + (int64_t)(g->n_new % 64) * (every < SPREAD ? every : SPREAD) / 64, &g->checks[g->n]);
	if (r < 0) {
		bad(g, source, strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	g->checks[g->n]->seen = true;
	g->n++;
	g->n_new++;
	return 0;
}

static void bad_program(const char *source, const char *why, void *user)
{
	bad(user, source, why);
}

static void tell(struct reading *g)
{
	char text[512];

	if (g->n_bad)
		snprintf(text, sizeof(text), "%zu of %zu checks cannot be run as written: %s", g->n_bad, g->n_bad + g->n, g->first_bad);
	else
		snprintf(text, sizeof(text), "no check is configured");
	g->x->h->note(g->x->h, g->n_bad || (!g->n && !programs_count(g->x)) ? text : NULL);
}

static int configure(void *state)
{
	struct exec *x = state;
	const struct kith_host *h = x->h;
	const char *const *list = NULL;
	size_t n = h->option_list(h, "checks", &list);
	struct reading g = { .x = x };
	int64_t every = (int64_t)(h->option_number(h, "every") * (double)NS_PER_S);
	int64_t timeout = (int64_t)(h->option_number(h, "timeout") * (double)NS_PER_S);
	int r;

	x->at_once = (unsigned)h->option_number(h, "at_once");
	x->kilo = h->option_number(h, "kilobyte") > 1000 ? 1024 : 1000;
	r = set_trigger(x);
	if (r < 0)
		return r;
	if (n > CHECKS_MAX) {
		h->log(h, KITH_ERR, "checks: more than %d; the rest is left out", CHECKS_MAX);
		n = CHECKS_MAX;
	}
	g.checks = calloc(n + 1, sizeof(struct check *));
	if (!g.checks)
		return -ENOMEM;
	for (size_t i = 0; i < x->n_checks; i++)
		x->checks[i]->seen = false;
	for (size_t i = 0; i < n && r == 0; i++)
		r = read_one(&g, list[i], every, timeout);
	/* Also after a failure: what is in neither list would be lost. */
	for (size_t i = 0; i < x->n_checks; i++)
		if (!x->checks[i]->seen)
			check_free(x->checks[i]);
	free(x->checks);
	x->checks = g.checks;
	x->n_checks = g.n;
	if (r == 0)
		r = programs_configure(x, bad_program, &g);
	tell(&g);
	check_pump(x);
	return r;
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

static void exec_fini(void *state)
{
	struct exec *x = state;

	for (size_t i = 0; i < x->n_checks; i++)
		check_free(x->checks[i]);
	free(x->checks);
	programs_free(x);
	free(x->trigger);
	free(x);
}

static int exec_init(const struct kith_host *h, void **ret_state)
{
	struct exec *x;
	int r;

	if (!KITH_HAS(h, spawn_capture)) {
		h->note(h, "this kithd is too old: it cannot run a program and read what it writes; update it");
		return -ENOSYS;
	}
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->h = h;
	r = configure(x);
	if (r < 0)
		exec_fini(x);
	else
		*ret_state = x;
	return r;
}

/* A record may be what a check waits for; its own are not, or it would run for ever. */
static int exec_on_record(void *state, const struct kith_record *record)
{
	struct exec *x = state;

	for (size_t i = 0; i < x->n_checks; i++) {
		struct check *c = x->checks[i];

		for (size_t k = 0; k < c->e->n_record; k++) {
			if (fnmatch(c->e->record[k], record->subject, 0) != 0 ||
			    (!strncmp(record->subject, "check:", 6) && !strcmp(record->subject + 6, c->e->name)))
				continue;
			check_event(c);
			break;
		}
	}
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "exec",
	.version = "1",
	.help = "exec: checks by programs that follow the Nagios plugin conventions",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_EXPORTER,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = exec_init,
	.fini = exec_fini,
	.reconfigure = configure,
	.on_record = exec_on_record,
	.hears = "programs that it runs at an interval, on an event or on demand; those of collectd's protocol as "
	         "they write",
	.costs = "a process each time",
};
