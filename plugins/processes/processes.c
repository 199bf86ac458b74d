/* Processes: totals on the tick, counts of named ones by process events. See the README beside. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "processes/processes.h"

#define GAUGE(n, h) { .name = (n), .unit = "processes", .help = (h), .kind = KITH_GAUGE }

static const struct kith_metric totals_metrics[] = {
	[TOTALS_TOTAL] = GAUGE("total", "all processes, zombies included"),
	[TOTALS_RUNNING] = { .name = "running", .unit = "threads", .help = "threads that run or could", .kind = KITH_GAUGE },
	[TOTALS_BLOCKED] = { .name = "blocked", .unit = "threads", .help = "threads that wait for a disk", .kind = KITH_GAUGE },
	[TOTALS_FORKS] = { .name = "forks", .unit = "forks", .help = "processes and threads made since the start", .kind = KITH_COUNTER },
	[TOTALS_SLEEPING] = GAUGE("sleeping", "sleeping processes (with the option scan)"),
	[TOTALS_IDLE] = GAUGE("idle", "idle kernel threads (with the option scan)"),
	[TOTALS_STOPPED] = GAUGE("stopped", "stopped or traced processes (with the option scan)"),
	[TOTALS_ZOMBIES] = GAUGE("zombies", "processes that ended and were not waited for (with the option scan)"),
	[TOTALS_PAGING] = GAUGE("paging", "processes that are being paged (with the option scan; old kernels)"),
};
_Static_assert(KITH_COUNT(totals_metrics) == N_TOTALS, "the table and its indices differ");

static const struct kith_metric process_metrics[] = {
	[PROCESS_COUNT] = { "count", "processes", "processes of this name, zombies left out", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[PROCESS_RESTARTS] = { "restarts", "restarts", "how often one ran again after none did", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[PROCESS_EXITS] = { "exits", "processes", "processes that have ended", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[PROCESS_FAILURES] = { "failures", "processes", "those that ended by a signal, or with another status than 0", NULL, KITH_COUNTER,
	                       KITH_METRIC_EVENT },
	[PROCESS_LAST_STATUS] = { "last_status", "1", "status of the one that ended last; 0 for one that a signal ended", NULL, KITH_GAUGE,
	                          KITH_METRIC_EVENT },
	[PROCESS_LAST_SIGNAL] = { "last_signal", "1", "signal that ended the one that ended last; 0: none", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[PROCESS_CPU] = { "cpu", "s", "CPU time of all of them, also those that have ended", NULL, KITH_COUNTER, 0 },
	[PROCESS_MEMORY] = { "memory", "B", "resident memory, shared pages counted for each", NULL, KITH_GAUGE, 0 },
	[PROCESS_THREADS] = { "threads", "threads", "their threads", NULL, KITH_GAUGE, 0 },
	[PROCESS_UPTIME] = { "uptime", "s", "how long the oldest of them has been running", NULL, KITH_GAUGE, 0 },
};
_Static_assert(KITH_COUNT(process_metrics) == N_PROCESS, "the table and its indices differ");

static const struct kith_metric short_metrics[] = {
	[SHORT_COUNT] = { "count", "processes", "processes that lived shortly", NULL, KITH_COUNTER, 0 },
	[SHORT_CPU] = { "cpu", "s", "their CPU time", NULL, KITH_COUNTER, 0 },
	[SHORT_READ] = { "read", "B", "what they read from disks", NULL, KITH_COUNTER, 0 },
	[SHORT_WRITTEN] = { "written", "B", "what they wrote to disks", NULL, KITH_COUNTER, 0 },
	[SHORT_CPU_DELAY] = { "cpu_delay", "s", "time that they waited for a processor", NULL, KITH_COUNTER, 0 },
	[SHORT_DISK_DELAY] = { "disk_delay", "s", "time that they waited for a disk (with kernel.task_delayacct)", NULL, KITH_COUNTER, 0 },
};
_Static_assert(KITH_COUNT(short_metrics) == N_SHORT, "the table and its indices differ");

static const struct kith_family families[] = {
	[FAMILY_PROCESSES] = { KITH_FAMILY_INIT, .name = "processes", .help = "processes of this host", .metrics = totals_metrics,
	                       .n_metrics = KITH_COUNT(totals_metrics) },
	[FAMILY_PROCESS] = { KITH_FAMILY_INIT, .name = "process", .help = "processes by name, of the names that are asked for",
	                     .instance = "name", .metrics = process_metrics, .n_metrics = KITH_COUNT(process_metrics) },
	[FAMILY_SHORT] = { KITH_FAMILY_INIT, .name = "short_lived", .help = "processes that came and went (with the option exit_statistics)",
	                   .metrics = short_metrics, .n_metrics = KITH_COUNT(short_metrics) },
};

static const struct kith_option options[] = {
	{ .name = "names", .help = "count the processes of these names, besides those that promises mention", .type = KITH_OPTION_LIST },
	{ .name = "scan", .help = "how often to look at the state of every process; unset: never", .min = 1, .max = 86400 * 7,
	  .type = KITH_OPTION_DURATION },
	{ .name = "scan_interval", .fallback = "60s", .help = "how often to look for named processes where there are no process events",
	  .min = 1, .max = 86400, .type = KITH_OPTION_DURATION },
	{ .name = "exit_statistics", .fallback = "false", .help = "what short-lived processes used, by the kernel's taskstats; wakes kithd for each task that ends",
	  .type = KITH_OPTION_BOOL },
	{ .name = "short", .fallback = "1s", .help = "a process that lives less is short-lived", .min = 0.001, .max = 3600,
	  .type = KITH_OPTION_DURATION },
};

static int add_names(struct processes *p)
{
	const char *const *names;
	size_t n = p->h->option_list(p->h, "names", &names);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = names_add(p, names[i], true);
	if (r == 0)
		r = p->h->watch_wanted(p->h, FAMILY_PROCESS, names_on_wanted, p, NULL);
	return r;
}

static bool own_pids(int proc)
{
	char text[24];
	ssize_t n = readlinkat(proc, "self", text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return atoi(text) == getpid();
}

static int processes_init(const struct kith_host *h, void **ret_state)
{
	struct processes *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->h = h;
	p->dir = h->open(h, "/proc");
	if (p->dir < 0) {
		r = p->dir;
		goto fail_free;
	}
	p->own_pids = own_pids(p->dir);
	r = totals_init(p);
	if (r < 0)
		goto fail_dir;
	r = h->sample(h, exits_sample, p, NULL);
	if (r < 0)
		goto fail_names;
	p->starting = true;
	r = short_init(p);
	if (r == 0)
		r = add_names(p);
	if (r == 0)
		r = names_start(p);
	if (r < 0)
		goto fail_names;
	*ret_state = p;
	return 0;

fail_names:
	names_free(p);
	close(p->totals.stat);
fail_dir:
	close(p->dir);
fail_free:
	free(p);
	return r;
}

static void processes_fini(void *state)
{
	struct processes *p = state;

	names_free(p);
	close(p->totals.stat);
	close(p->dir);
	free(p);
}

static int processes_resync(void *state)
{
	return names_scan(state);
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "processes",
	.version = "1",
	.help = "processes: totals, and counts of those that somebody asks for by name",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = processes_init,
	.fini = processes_fini,
	.resync = processes_resync,
	.hears = "process events (netlink connector), filtered in the kernel to the names that somebody names; "
	         "/proc/stat and the link count of /proc on the tick",
	.costs = "7 us a tick; nothing for processes that nobody names; 10 us for an event of one",
};
