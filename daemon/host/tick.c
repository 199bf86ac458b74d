#include "host/impl.h"

#include <malloc.h>

#include "base/clock.h"

#define TRIM_AFTER 16384 /* series that have ended, some 64 bytes each and what belongs to them */

#define STEADY_ROUNDS 10   /* after so many alike the interval begins to grow: twice as long with each more */
#define NEAR_INTERVAL (100 * NS_PER_MS)
#define WAKE_UP (30 * NS_PER_US) /* CPU of a round beside what its samplers take */

int64_t tick_interval(const struct plugin *p)
{
	int64_t interval = account_interval(p);

	if (p->near_interval)
		return p->near_interval;

	for (unsigned i = STEADY_ROUNDS; i < p->steady && interval < p->steady_interval; i++)
		interval = interval * 2 < p->steady_interval ? interval * 2 : p->steady_interval;
	return p->again > interval ? p->again : interval;
}

/* 100 ms, 200 ms, 500 ms, 1 s …: rounds of several plugins fall together */
static int64_t near_step(int64_t step)
{
	int64_t ten = NEAR_INTERVAL;

	while (ten * 10 <= step)
		ten *= 10;
	return step / ten == 2 ? ten * 5 : step * 2;
}

/*
 * After a round: how soon the next one is to be, as promises on its series stand close to where they change; 0: as usual. All such rounds together
 * keep within attention_budget.
 */
static int64_t near_interval(const struct plugin *p)
{
	double budget = p->host->parts.conf ? p->host->parts.conf->attention_budget : 0.5, all = 1;
	int64_t wish = p->owner.n_near ? NEAR_INTERVAL : p->owner.soon, step = NEAR_INTERVAL;
	int64_t least;

	if (!wish || budget <= 0 || p->account.slowed || p->host->parts.inside)
		return 0;
	for (const struct plugin *other = p->host->plugins; other; other = other->next)
		all += other != p && other->near_interval;
	least = (int64_t)((double)(p->account.round_cpu + WAKE_UP) * all * 100 / budget);
	while (step < least || near_step(step) <= wish)
		step = near_step(step);
	return step < p->interval ? step : 0;
}

/* After a round: how long the next one has time by what the plugin itself says of its levels. 0: no longer than usual */
static int64_t tick_again(const struct plugin *p)
{
	int64_t again = p->asked, last = 2 * tick_interval(p);

	if (!(p->d.provides & KITH_PROVIDES_LEVELS) || p->host->parts.inside || p->owner.n_hasty || p->owner.n_near)
		return 0;
	if (p->owner.soon && p->owner.soon < again)
		again = p->owner.soon;
	if (again > last)
		again = last;
	if (again > p->steady_interval)
		again = p->steady_interval;
	return again > p->interval ? again : 0;
}

/* After a round: who samples levels that do not move, and that nobody watches, does so less and less often. */
static void tick_settle(struct plugin *p)
{
	bool moved = p->moves != p->owner.moves;

	p->moves = p->owner.moves;
	p->again = tick_again(p);
	p->asked = 0;
	p->near_interval = near_interval(p);
	p->owner.soon = 0;
	if (!(p->d.provides & KITH_PROVIDES_LEVELS) || p->host->parts.inside || moved || p->owner.n_watched)
		p->steady = 0;
	else if (tick_interval(p) < p->steady_interval)
		p->steady++;
	p->owner.slow = p->steady > STEADY_ROUNDS || p->again;
	p->owner.stale_after = 3 * (p->owner.slow ? tick_interval(p) : p->interval);
}

/* The wall clock boundary after `now` at which the plugin samples next */
static int64_t tick_next(const struct plugin *p, int64_t now)
{
	int64_t interval = tick_interval(p);

	return (now / interval + 1) * interval;
}

static bool tick_samples(const struct plugin *p)
{
	return p->started && p->samples && p->state != HOST_STOPPED;
}

/* Arms the one tick for the earliest plugin. Those of one boundary share its wake-up. */
void tick_plan(struct host *h)
{
	int64_t now = clock_wall(), first = 0;

	for (struct plugin *p = h->plugins; p; p = p->next) {
		p->owner.usual = p->interval;
		p->owner.interval = tick_samples(p) ? tick_interval(p) : p->isolate ? p->interval : 0;
		if (!tick_samples(p)) {
			p->due = 0;
			continue;
		}
		/* Just started: at once. Or the clock was set back */
		if (!p->due)
			p->due = now;
		else if (p->due > now + 2 * tick_interval(p))
			p->due = tick_next(p, now);
		if (!first || p->due < first)
			first = p->due;
	}
	loop_tick_at(h->parts.loop, first);
}

/* After a storm of instances: glibc keeps the pages that were freed in the middle of the heap until it is asked for them. */
static void tick_trim(struct host *h)
{
	uint32_t series = 0;

	for (const struct plugin *p = h->plugins; p; p = p->next)
		series += p->owner.n_series;
	if (h->most_series < series)
		h->most_series = series;
	if (h->most_series - series < TRIM_AFTER)
		return;
	h->most_series = series;
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

static void tick_cb(int64_t at, int64_t jump, void *user)
{
	struct host *h = user;
	int64_t now = loop_now(h->parts.loop), cpu = clock_thread_cpu(), begin = clock_mono(), mono = begin, until;

	/* A few ms early by rounding is not a round missed. */
	until = at > now ? at : now;
	model_set_now(h->parts.model, now);
	h->tick++;
	h->in_tick = true;
	if (jump) {
		model_jump(h->parts.model, jump);
		if (h->parts.on_jump)
			h->parts.on_jump(jump, h->parts.user);
	}
	for (struct plugin *p = h->plugins; p; p = p->next) {
		if (tick_samples(p) && (jump || p->due <= until)) {
			p->owner.extra = !jump && until < p->regular;
			watch_run_samples(p, &mono);
			if (!p->owner.extra)
				p->regular = (until / p->interval + 1) * p->interval;
			p->owner.extra = false;
			tick_settle(p);
			p->due = tick_next(p, until);
		}
		model_expire(h->parts.model, &p->owner, now);
		table_say_dropped(p);
	}
	h->in_tick = false;
	account_tick(h, clock_thread_cpu() - cpu, clock_mono() - begin);
	if (h->parts.on_tick)
		h->parts.on_tick(now, h->parts.user);
	tick_trim(h);
	tick_plan(h);
}

/* Not within a tick: the round of the plugin that somebody looks at, ahead of its time */
static void tick_now(struct plugin *p)
{
	struct host *h = p->host;
	int64_t now = loop_now(h->parts.loop), cpu = clock_thread_cpu(), begin = clock_mono(), mono = begin;

	model_set_now(h->parts.model, now);
	h->tick++;
	h->in_tick = true;
	watch_run_samples(p, &mono);
	h->in_tick = false;
	tick_settle(p);
	p->due = tick_next(p, now);
	account_tick(h, clock_thread_cpu() - cpu, clock_mono() - begin);
}

/* The old samples stand until the next one: how soon they are stale changes after that. */
void tick_attend(struct owner *owner, bool now, void *user)
{
	struct plugin *p = user;
	struct host *h = p->host;

	owner->slow = false;
	p->steady = 0;
	p->again = 0;
	p->due = 0;
	if (!tick_samples(p) || h->in_tick)
		return;
	if (now)
		tick_now(p);
	tick_plan(h);
}

void tick_start(struct host *h)
{
	loop_tick(h->parts.loop, tick_cb, h);
	tick_plan(h);
}
