/*
 * cpu: what the processors spend their time on, from /proc/stat, all together ("total") and each. The cpu lines come
 * first in that file: nothing behind them is looked at.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

/* The columns of a cpu line, in the kernel's order; older kernels have fewer of them. */
enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, GUEST, GUEST_NICE, N_COLUMNS };
enum { BUSY_PERCENT = N_COLUMNS, N_METRICS };

#define MAX_CPUS 8192 /* the largest NR_CPUS that Linux can be built with */
/*
 * The kernel's idle and iowait columns step back by a little now and then (the time of a sleeping CPU is an
 * estimate). A step back of less than this is no reset: the value holds. Seconds.
 */
#define STEP_BACK 10

struct cpu {
	kith_id id; /* KITH_ID_NONE: not there */
	uint32_t round; /* when it was seen last */
	bool known; /* `last` holds the round before */
	uint64_t last[N_COLUMNS]; /* ticks of 1/hz s */
};

struct state {
	const struct kith_host *h;
	int fd;
	bool per_cpu;
	uint64_t hz; /* of the columns: USER_HZ */
	uint32_t round;
	struct cpu total;
	struct cpu *cpus; /* by number */
	uint32_t n_cpus;
};

static const struct kith_metric metrics[N_METRICS] = {
	[USER] = { "user", "s", "time in programs, that of guests included", NULL, KITH_COUNTER, 0 },
	[NICE] = { "nice", "s", "time in programs of lowered priority, that of guests included", NULL, KITH_COUNTER, 0 },
	[SYSTEM] = { "system", "s", "time in the kernel", NULL, KITH_COUNTER, 0 },
	[IDLE] = { "idle", "s", "time with nothing to do", NULL, KITH_COUNTER, 0 },
	[IOWAIT] = { "iowait", "s", "idle time while a task waited for a disk", NULL, KITH_COUNTER, 0 },
	[IRQ] = { "irq", "s", "time in interrupt handlers", NULL, KITH_COUNTER, 0 },
	[SOFTIRQ] = { "softirq", "s", "time in soft interrupts", NULL, KITH_COUNTER, 0 },
	[STEAL] = { "steal", "s", "time that the hypervisor gave to others", NULL, KITH_COUNTER, 0 },
	[GUEST] = { "guest", "s", "time in virtual machines, a part of user", NULL, KITH_COUNTER, 0 },
	[GUEST_NICE] = { "guest_nice", "s", "time in virtual machines of lowered priority, a part of nice", NULL,
	                 KITH_COUNTER, 0 },
	[BUSY_PERCENT] = { "busy_percent", "%", "share of the time since the last tick that was neither idle nor iowait",
	                   NULL, KITH_GAUGE, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "cpu", "What the processors spend their time on", "processor number, or total", metrics,
	  N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ "per_cpu", "true", "series for each processor; false: for all together only", 0, 0, KITH_OPTION_BOOL, 0 },
};

/* Reads the columns from `p` on, keeps them in `c` and makes the metrics' values of them */
static int read_columns(const struct state *s, struct cpu *c, const char *p, double *values)
{
	uint64_t busy = 0, all = 0;
	bool reset = !c->known;
	uint32_t i, n;

	for (n = 0; n < N_COLUMNS; n++) {
		uint64_t now, was = c->last[n];

		if (kith_scan_u64(&p, &now) != 0)
			break;
		if (now < was && c->known) {
			if (was - now < STEP_BACK * s->hz)
				now = was;
			else
				reset = true;
		}
		if (n <= STEAL) { /* the guest columns are within user and nice */
			all += now - was;
			busy += n == IDLE || n == IOWAIT ? 0 : now - was;
		}
		c->last[n] = now;
		values[n] = (double)now / (double)s->hz;
	}
	if (n <= IDLE)
		return -EBADMSG;
	for (i = n; i < N_METRICS; i++)
		values[i] = (double)NAN;
	if (!reset && all > 0)
		values[BUSY_PERCENT] = 100.0 * (double)busy / (double)all;
	c->known = true;
	return 0;
}

static int put_cpu(struct state *s, struct cpu *c, const char *name, const char *columns)
{
	double values[N_METRICS];
	int r;

	c->round = s->round;
	if (c->id == KITH_ID_NONE) {
		c->known = false;
		memset(c->last, 0, sizeof(c->last));
		r = s->h->series(s->h, 0, name, &c->id);
		if (r < 0)
			return r == -ENOSPC ? 0 : r; /* over the cap of instances: kithd has said so */
	}
	r = read_columns(s, c, columns, values);
	return r < 0 ? r : s->h->put_all(s->h, c->id, values, N_METRICS);
}

/* The CPU of a line whose number begins at *p; *p moves behind the number. NULL: no such number can be */
static struct cpu *find_cpu(struct state *s, const char **p, char *name)
{
	uint32_t number = 0, n = 0;

	while (**p >= '0' && **p <= '9' && n < 5) {
		number = number * 10 + (uint32_t)(**p - '0');
		name[n++] = *(*p)++;
	}
	name[n] = '\0';
	if (n == 0 || **p != ' ' || number >= MAX_CPUS)
		return NULL;
	if (number >= s->n_cpus) {
		uint32_t wanted = number + 8;
		struct cpu *cpus = realloc(s->cpus, wanted * sizeof(*cpus));

		if (!cpus)
			return NULL;
		memset(cpus + s->n_cpus, 0, (wanted - s->n_cpus) * sizeof(*cpus));
		s->cpus = cpus;
		s->n_cpus = wanted;
	}
	return &s->cpus[number];
}

/* Ends the CPUs that this round has not seen: taken offline */
static void end_gone(struct state *s)
{
	uint32_t i;

	for (i = 0; i < s->n_cpus; i++) {
		struct cpu *c = &s->cpus[i];

		if (c->id == KITH_ID_NONE || c->round == s->round)
			continue;
		s->h->end(s->h, c->id);
		c->id = KITH_ID_NONE;
	}
}

static int sample(void *user)
{
	struct state *s = user;
	const char *p, *end;
	size_t length;
	char *text;
	int r;

	r = s->h->read(s->h, s->fd, &text, &length);
	if (r < 0)
		return r;
	s->round++;
	if (length < 4 || memcmp(text, "cpu ", 4) != 0)
		return -EBADMSG;
	/* A line counts when its end is there: a cut-off number would be a wrong one. */
	for (p = text; strncmp(p, "cpu", 3) == 0; p = end + 1) {
		struct cpu *c = &s->total;
		char name[8] = "total";

		end = memchr(p, '\n', length - (size_t)(p - text));
		if (!end)
			return p == text ? -EBADMSG : 0;
		p += 3;
		if (*p != ' ')
			c = find_cpu(s, &p, name);
		r = c ? put_cpu(s, c, name, p) : 0;
		if (r < 0)
			return r;
		if (!s->per_cpu)
			return 0;
	}
	if (*p) /* something else follows: these were all */
		end_gone(s);
	return 0;
}

static void fini(void *state)
{
	struct state *s = state;

	close(s->fd);
	free(s->cpus);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	long hz = sysconf(_SC_CLK_TCK);
	struct state *s;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->h = h;
	s->hz = hz > 0 ? (uint64_t)hz : 100;
	s->per_cpu = h->option_bool(h, "per_cpu") != 0;
	s->fd = r = h->open(h, "/proc/stat");
	if (r < 0) {
		h->log(h, KITH_ERR, "cannot open /proc/stat: %s: mount proc there", strerror(-r));
		goto fail;
	}
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
	.name = "cpu",
	.version = "1",
	.help = "What the processors spend their time on",
	.provides = KITH_PROVIDES_SAMPLES,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "/proc/stat on the tick",
	.costs = "35 us a tick with two processors, shared with processes",
};
