/* What kithd itself costs, as a family like any other. */
#include <config.h>

#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

enum { SELF_CPU_PERCENT, SELF_CPU, SELF_RSS, SELF_ANONYMOUS, SELF_WAKEUPS, SELF_PREEMPTIONS, SELF_FAULTS, SELF_N };

static const struct kith_metric self_metrics[SELF_N] = {
	{ "cpu_percent", "%", "CPU used since the last sample, of one core", NULL, KITH_GAUGE, 0 },
	{ "cpu", "s", "CPU used since the start", NULL, KITH_COUNTER, 0 },
	{ "rss", "B", "memory resident, with what is shared with others", NULL, KITH_GAUGE, 0 },
	{ "anonymous", "B", "memory of its own: resident without files and shared memory", NULL, KITH_GAUGE, 0 },
	{ "wakeups", "wakeups", "times that it slept and was woken", NULL, KITH_COUNTER, 0 },
	{ "preemptions", "switches", "times that it was made to wait for a processor", NULL, KITH_COUNTER, 0 },
	{ "page_faults", "faults", "page faults, minor and major", NULL, KITH_COUNTER, 0 },
};

static const struct kith_family self_families[] = {
	{ KITH_FAMILY_INIT, "kith", "what kithd itself costs", NULL, self_metrics, SELF_N, 0 },
};

struct self {
	const struct kith_host *host;
	kith_id id;
	int statm;
	double page;   /* its size */
	double cpu;
	int64_t mono;
	unsigned rounds; /* 0 in init, 1 in the first round */
};

/* User and system together are exact; the kernel estimates only how they share it. */
static double self_cpu(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static int self_sample(void *user)
{
	struct self *s = user;
	double v[SELF_N];
	uint64_t size, resident, shared;
	int64_t mono = clock_mono();
	struct rusage usage;
	const char *p;
	size_t length;
	char *text;
	int r;

	r = s->host->read(s->host, s->statm, &text, &length);
	if (r < 0)
		return r;
	p = text;
	if (kith_scan_u64(&p, &size) < 0 || kith_scan_u64(&p, &resident) < 0 || kith_scan_u64(&p, &shared) < 0)
		return -EINVAL;
	getrusage(RUSAGE_SELF, &usage);
	v[SELF_CPU] = self_cpu(&usage);
	/* What the start costs is no rate: the first round, right after it, only says from when on to count. */
	v[SELF_CPU_PERCENT] = s->rounds > 1 && mono > s->mono ? (v[SELF_CPU] - s->cpu) * 1e11 / (double)(mono - s->mono) : NAN;
	s->rounds++;
	v[SELF_RSS] = (double)resident * s->page;
	v[SELF_ANONYMOUS] = (double)(resident - shared) * s->page;
	v[SELF_WAKEUPS] = (double)usage.ru_nvcsw;
	v[SELF_PREEMPTIONS] = (double)usage.ru_nivcsw;
	v[SELF_FAULTS] = (double)(usage.ru_minflt + usage.ru_majflt);
	s->cpu = v[SELF_CPU];
	s->mono = mono;
	return s->host->put_all(s->host, s->id, v, SELF_N);
}

static void self_fini(void *state)
{
	struct self *s = state;

	close(s->statm);
	free(s);
}

static int self_init(const struct kith_host *h, void **ret_state)
{
	struct self *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->host = h;
	s->page = (double)sysconf(_SC_PAGESIZE);
	/* Its own /proc, whatever root the plugins look below */
	s->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (s->statm < 0) {
		free(s);
		return -ENOENT;
	}
	r = h->series(h, 0, NULL, &s->id);
	if (r == 0)
		r = h->sample(h, self_sample, s, NULL);
	if (r < 0) {
		self_fini(s);
		return r;
	}
	*ret_state = s;
	/* The first figures at once; a failure here shows again on the tick. */
	self_sample(s);
	return 0;
}

const struct kith_plugin self_plugin = {
	KITH_PLUGIN_INIT,
	.name = "kith",
	.version = PACKAGE_VERSION,
	.help = "what kithd itself costs",
	.provides = KITH_PROVIDES_SAMPLES,
	.families = self_families,
	.n_families = KITH_COUNT(self_families),
	.option_size = sizeof(struct kith_option),
	.init = self_init,
	.fini = self_fini,
};
