/* clock: the wall clock: when it is set, when the machine slept, and how well it is kept. See the README beside. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock/clock.h"
#include "plugin.h"

#define SLEPT_LEAST INT64_C(1000000) /* ns: two clocks that are read one after the other differ by less */

enum { STEPS, STEP, SLEPT, SYNCHRONISED, LEAP, OFFSET, FREQUENCY, ESTIMATED, MAXIMUM, TAI, N_METRICS };
enum { NO, YES };
static const char *const yes_no[] = { "no", "yes", NULL };
static const char *const leaps[] = { "none", "insert", "delete", NULL };

static const struct kith_metric metrics[N_METRICS] = {
	[STEPS] = { "steps", "steps", "how often it was set, since kithd started", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[STEP] = { "step", "s", "by how much it was set the last time", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[SLEPT] = { "slept", "s", "time that the machine was suspended, since kithd started", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[SYNCHRONISED] = { "synchronised", "1", "whether a time service keeps it", yes_no, KITH_STATE, 0 },
	[LEAP] = { "leap", "1", "a leap second that is announced for the end of this UTC day", leaps, KITH_STATE, 0 },
	[OFFSET] = { "offset", "s", "what the kernel still corrects", NULL, KITH_GAUGE, 0 },
	[FREQUENCY] = { "frequency", "1", "how much the clock's speed is corrected, in millionths", NULL, KITH_GAUGE, 0 },
	[ESTIMATED] = { "estimated_error", "s", "as the time service estimates it", NULL, KITH_GAUGE, 0 },
	[MAXIMUM] = { "maximum_error", "s", "it is not further off than this; grows while no service keeps it", NULL, KITH_GAUGE, 0 },
	[TAI] = { "tai_offset", "s", "TAI less UTC, where a service told the kernel", NULL, KITH_GAUGE, 0 },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, "clock", "The wall clock", NULL, metrics, N_METRICS, 0 },
};

static const struct kith_option options[] = {
	{ .name = "step", .fallback = "10ms", .help = "set by so much it is a step, and recorded; by less it is a correction", .min = 1e-6, .max = 3600,
	  .type = KITH_OPTION_DURATION },
};

struct state {
	const struct kith_host *h;
	int fd;
	kith_id id;
	int64_t ahead, asleep; /* wall - boot, boot - awake, ns, when they were looked at last */
	double least;          /* ns */
	double steps, slept;
	int synchronised, leap; /* -1: not known yet */
};

/* ---- what happens ------------------------------------------------------------------------------------------------ */

static int tell(struct state *s, uint32_t priority, const char *text, const char *key, double value)
{
	char number[32];
	struct kith_field field = { key, number };
	struct kith_record record = { .size = sizeof(record), .priority = priority, .subject = "clock", .message = text, .fields = &field,
		                      .n_fields = key ? 1 : 0 };
	int r;

	snprintf(number, sizeof(number), "%.9g", value);
	r = s->h->record(s->h, &record);
	return r == -ENOSPC ? 0 : r;
}

/* 90061.5 s as "1 d 1 h 1 min 1.5 s": a step by a time zone is seen as one. */
static void in_words(double seconds, char *text, size_t size)
{
	double days = floor(seconds / 86400), hours = floor(fmod(seconds, 86400) / 3600), minutes = floor(fmod(seconds, 3600) / 60);
	int n = 0;

	if (days > 0)
		n += snprintf(text + n, size - (size_t)n, "%.0f d ", days);
	if (days > 0 || hours > 0)
		n += snprintf(text + n, size - (size_t)n, "%.0f h ", hours);
	if (days > 0 || hours > 0 || minutes > 0)
		n += snprintf(text + n, size - (size_t)n, "%.0f min ", minutes);
	snprintf(text + n, size - (size_t)n, "%.3f s", fmod(seconds, 60));
}

static int stepped(struct state *s, int64_t by)
{
	char words[80], text[120];
	int r;

	in_words(fabs((double)by) / 1e9, words, sizeof(words));
	snprintf(text, sizeof(text), "the clock was set %s by %s", by < 0 ? "back" : "forward", words);
	r = tell(s, KITH_WARNING, text, "step", (double)by / 1e9);
	s->h->put(s->h, s->id + STEP, (double)by / 1e9);
	s->h->put(s->h, s->id + STEPS, ++s->steps);
	return r;
}

static int awoke(struct state *s, int64_t slept)
{
	char words[80], text[120];
	int r;

	in_words((double)slept / 1e9, words, sizeof(words));
	snprintf(text, sizeof(text), "the machine slept for %s", words);
	r = tell(s, KITH_NOTICE, text, "slept", (double)slept / 1e9);
	s->slept += (double)slept / 1e9;
	s->h->put(s->h, s->id + SLEPT, s->slept);
	return r;
}

/* On the tick too: what the clock is corrected by meanwhile is no step. */
static int look(struct state *s, bool was_set)
{
	struct clocks c;
	int64_t step, slept;
	int r = 0;

	kernel_clocks(&c);
	step = c.wall - c.boot - s->ahead;
	slept = c.boot - c.awake - s->asleep;
	s->ahead = c.wall - c.boot;
	if (slept > SLEPT_LEAST || slept < 0) {
		s->asleep = c.boot - c.awake;
		if (slept > 0)
			r = awoke(s, slept);
	}
	if (was_set && fabs((double)step) >= s->least) {
		int told = stepped(s, step);

		r = r < 0 ? r : told;
	}
	return r;
}

static int on_set(int fd, uint32_t events, void *user)
{
	struct state *s = user;
	int r = kernel_set_read(fd);

	(void)events;
	return r > 0 ? look(s, true) : r;
}

/* ---- how well it is kept ----------------------------------------------------------------------------------------- */

static int keep_told(struct state *s, int synchronised, int leap)
{
	int r = 0;

	if (s->synchronised >= 0 && s->synchronised != synchronised)
		r = tell(s, synchronised ? KITH_INFO : KITH_WARNING, synchronised ? "a time service keeps the clock" : "no time service keeps the clock any more",
		         NULL, 0);
	if (s->leap >= 0 && s->leap != leap && (leap == TIME_INS || leap == TIME_DEL) && r == 0)
		r = tell(s, KITH_NOTICE, leap == TIME_INS ? "a leap second will be inserted at the end of this UTC day" : "a second will be left out at the end of this UTC day",
		         NULL, 0);
	s->synchronised = synchronised;
	s->leap = leap;
	return r;
}

static int sample(void *user)
{
	struct state *s = user;
	double values[N_METRICS], unit;
	struct timex t;
	int state, r;

	/* kithd samples at once when the clock was set: that may come before on_set. */
	r = kernel_set_read(s->fd);
	r = r < 0 ? r : look(s, r > 0);
	for (int i = 0; i < N_METRICS; i++)
		values[i] = NAN;
	state = kernel_ntp(&t);
	if (state == -EPERM || state == -ENOSYS) { /* a sandbox's filter of system calls */
		s->h->note(s->h, "how well the clock is kept is not known: adjtimex is forbidden here");
		return r;
	}
	if (state < 0)
		return state;
	unit = t.status & STA_NANO ? 1e9 : 1e6;
	/* What is announced; whether it happens just now is over before anybody looks. */
	values[SYNCHRONISED] = t.status & STA_UNSYNC ? NO : YES;
	values[LEAP] = t.status & STA_INS ? TIME_INS : t.status & STA_DEL ? TIME_DEL : TIME_OK;
	values[OFFSET] = (double)t.offset / unit;
	values[FREQUENCY] = (double)t.freq / 65536;
	values[ESTIMATED] = (double)t.esterror / 1e6;
	values[MAXIMUM] = (double)t.maxerror / 1e6;
	if (t.tai)
		values[TAI] = t.tai;
	state = s->h->put_all(s->h, s->id, values, N_METRICS);
	if (state == 0)
		state = keep_told(s, (int)values[SYNCHRONISED], (int)values[LEAP]);
	return r < 0 ? r : state;
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static void fini(void *state)
{
	struct state *s = state;

	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	struct clocks c;
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct state){ .h = h, .least = h->option_number(h, "step") * 1e9, .synchronised = -1, .leap = -1 };
	kernel_clocks(&c);
	s->ahead = c.wall - c.boot;
	s->asleep = c.boot - c.awake;
	r = s->fd = kernel_set_watch();
	if (r >= 0)
		r = h->series(h, 0, NULL, &s->id);
	if (r == 0)
		r = h->put(h, s->id + STEPS, 0);
	if (r == 0)
		r = h->put(h, s->id + SLEPT, 0);
	if (r == 0)
		r = h->watch_fd(h, s->fd, KITH_READ, on_set, s, NULL);
	if (r == 0)
		r = h->sample(h, sample, s, NULL);
	if (r < 0) {
		fini(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "clock",
	.version = "1",
	.help = "The wall clock: when it is set, and how well it is kept",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = init,
	.fini = fini,
	.hears = "a timer that the kernel cancels when the clock is set; adjtimex(2) on the tick",
	.costs = "10 us a tick",
};
