#include "host/impl.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

/*
 * CPU is counted in windows; a plugin may use its budget's share of one, at any time in it. The long one lets it through a storm of events (5,000
 * links are half a second of CPU), which is when it is needed; the short one holds after the first strike.
 */
#define WINDOW_CALM (60 * NS_PER_S)
#define WINDOW_STRUCK (5 * NS_PER_S)
#define STRIKES_STOP 3               /* windows over budget, the first of which slows */
#define STRIKES_FORGET (60 * NS_PER_S) /* without one, all is as it was */
#define SLOWED_FACTOR 4
#define REST_LEAST (50 * NS_PER_MS) /* shorter ones are gathered: a rest for each event of a storm costs more than the event */
#define REST_SHARE 125              /* percent of what the budget asks for: some calls cannot be put off */
#define FAILED_BACK_OFF 3            /* failures in a row before a watch is left alone for a while */
#define BACK_OFF_FIRST NS_PER_S
#define BACK_OFF_MAX (600 * NS_PER_S)

struct account_mark account_enter(void)
{
	return (struct account_mark){ clock_thread_cpu(), alloc_count() };
}

static void account_strike(struct plugin *p, int64_t mono)
{
	struct account *a = &p->account;
	/* A call that was long may have begun before the window. */
	int64_t took = mono - a->window_start > (int64_t)a->window_cpu ? mono - a->window_start : (int64_t)a->window_cpu;
	double percent = (double)a->window_cpu * 100 / (double)(took > NS_PER_MS ? took : NS_PER_MS);

	a->strikes++;
	a->last_strike = mono;
	a->window_start = mono;
	a->window_cpu = 0;
	/* Whoever logs would lose its way to log: what is slowed keeps within its budget, too. */
	if ((p->d.provides & KITH_PROVIDES_LOGS) && a->strikes >= STRIKES_STOP)
		a->strikes = STRIKES_STOP - 1;
	if (a->strikes >= STRIKES_STOP) {
		plugin_set_reason(p, "stopped: %.1f %% CPU again and again, its budget is %.1f %%; raise cpu_budget or mend it", percent,
		                  p->cpu_budget);
		p->state = HOST_STOPPED; /* before it is said: who hears it may call back */
		plugin_say(p, KITH_ERR, "%s", p->reason);
		host_chores_later(p->host);
		return;
	}
	a->slowed = true;
	p->state = HOST_BACKED_OFF;
	plugin_set_reason(p, "slowed: %.1f %% CPU, its budget is %.1f %%", percent, p->cpu_budget);
	plugin_say(p, KITH_WARNING, "%s", p->reason);
}

static void account_budget(struct plugin *p, struct kith_watch *w, uint64_t used)
{
	struct account *a = &p->account;
	int64_t mono = clock_mono(), window = a->strikes ? WINDOW_STRUCK : WINDOW_CALM;
	double allowed = p->cpu_budget / 100 * (double)window;

	if (mono - a->window_start >= window) {
		a->window_start = mono;
		a->window_cpu = 0;
		if (a->strikes && mono - a->last_strike >= STRIKES_FORGET) {
			a->strikes = 0;
			a->slowed = false;
			if (!a->backing_off) {
				p->state = HOST_RUNNING;
				plugin_clear_reason(p);
			}
			plugin_say(p, KITH_NOTICE, "is within its CPU budget again");
		}
	}
	a->window_cpu += used;
	if ((double)a->window_cpu > allowed)
		account_strike(p, mono);
	/* Slowed: a rest in proportion to what its calls used, which keeps it within the budget. */
	if (!a->slowed || p->state == HOST_STOPPED)
		return;
	a->rest_due += (int64_t)((double)used * REST_SHARE / p->cpu_budget);
	if (w && a->rest_due >= REST_LEAST) {
		watch_pause(w, a->rest_due);
		a->rest_due = 0;
	}
}

static void account_failure(struct plugin *p, struct kith_watch *w, int result)
{
	int64_t rest = BACK_OFF_FIRST, interval = p->interval;

	p->account.failures++;
	if (++w->failed < FAILED_BACK_OFF)
		return;
	if (w->what == WHAT_SAMPLE && interval > rest)
		rest = interval;
	for (unsigned i = FAILED_BACK_OFF; i < w->failed && rest < BACK_OFF_MAX; i++)
		rest *= 2;
	if (rest > BACK_OFF_MAX)
		rest = BACK_OFF_MAX;
	if (w->failed == FAILED_BACK_OFF) {
		p->account.backing_off++;
		plugin_set_reason(p, "fails: %s; it is tried again less and less often, at least every %d s", strerror(-result),
		                  (int)(BACK_OFF_MAX / NS_PER_S));
		plugin_say(p, KITH_WARNING, "%s", p->reason);
		p->state = HOST_BACKED_OFF;
	}
	watch_pause(w, rest);
}

void account_drop(struct plugin *p, struct kith_watch *w)
{
	if (w->failed >= FAILED_BACK_OFF && !--p->account.backing_off && !p->account.slowed && p->state == HOST_BACKED_OFF) {
		p->state = HOST_RUNNING;
		plugin_clear_reason(p);
	}
	w->failed = 0;
}

static void account_success(struct plugin *p, struct kith_watch *w)
{
	bool again = w->failed >= FAILED_BACK_OFF;

	account_drop(p, w);
	w->retry_at = 0;
	if (again)
		plugin_say(p, KITH_NOTICE, "works again");
}

/* All but the CPU: what came of the call */
static void account_outcome(struct plugin *p, struct kith_watch *w, int64_t allocations_before, int result)
{
	p->account.calls++;
	if (allocations_before >= 0)
		p->account.allocations += alloc_count() - allocations_before;
	if (p->state == HOST_STOPPED)
		return;
	if (w && result < 0)
		account_failure(p, w, result);
	else if (w && w->failed)
		account_success(p, w);
	else if (result < 0)
		p->account.failures++;
}

void account_leave(struct plugin *p, struct kith_watch *w, struct account_mark mark, int64_t cpu, int result)
{
	uint64_t used = cpu > mark.cpu ? (uint64_t)(cpu - mark.cpu) : 0;

	if (w && w->dead)
		w = NULL;
	p->account.cpu_ns += used;
	account_outcome(p, w, mark.allocations, result);
	if (p->state != HOST_STOPPED)
		account_budget(p, w, used);
}

void account_sampled(struct plugin *p, struct kith_watch *w, int64_t allocations_before, int64_t took, int result)
{
	p->account.tick_took += took > 0 ? took : 0;
	account_outcome(p, w->dead ? NULL : w, allocations_before, result);
}

void account_tick(struct host *h, int64_t cpu, int64_t took)
{
	/* Where it was made to wait, the time that its calls took was not all CPU. */
	double share = took > cpu && took > 0 ? (double)cpu / (double)took : 1;

	for (struct plugin *p = h->plugins; p; p = p->next) {
		uint64_t used = (uint64_t)((double)p->account.tick_took * share);

		if (!p->account.tick_took)
			continue;
		p->account.tick_took = 0;
		p->account.round_cpu += ((int64_t)used - p->account.round_cpu) / 4;
		p->account.cpu_ns += used;
		if (p->state != HOST_STOPPED)
			account_budget(p, p->samples, used);
	}
}

bool account_take_token(double *tokens, int64_t *at, double rate, double burst)
{
	int64_t now = clock_mono();

	if (!*at)
		*tokens = burst;
	else
		*tokens += (double)(now - *at) / (double)NS_PER_S * rate;
	*at = now;
	if (*tokens > burst)
		*tokens = burst;
	if (*tokens < 1)
		return false;
	*tokens -= 1;
	return true;
}

int64_t account_interval(const struct plugin *p)
{
	return p->account.slowed ? p->interval * SLOWED_FACTOR : p->interval;
}
