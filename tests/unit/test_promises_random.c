/*
 * The incremental evaluator beside a naive one that keeps every sample and computes all anew after each step: random
 * conditions over random streams with gaps, resets, duplicates, ends and stale series, records, and a clock that is set by hours and days.
 * KITH_SEED sets the seed, which is printed, KITH_STEPS how many steps each round has; KITH_FULL has as many as a million in all.
 * And: a sample through a promise allocates nothing.
 */
#include <math.h>
#include <time.h>

#include "promise_help.h"

/* ---- allocations: counted as the linker's --wrap sends them here ------------------------------------------------- */

static unsigned long n_allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_malloc(size_t size)
{
	n_allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	n_allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t size)
{
	n_allocations++;
	return __real_realloc(at, size);
}

/* ---- a naive model ----------------------------------------------------------------------------------------------- */

#define HISTORY 4096
#define ROUNDS 12
#ifdef __SANITIZE_ADDRESS__
#define STEPS 10000
#define STEPS_SHORT 2000
#else
#define STEPS 100000 /* 1.2 million in all */
#define STEPS_SHORT 20000
#endif
#define TICK (NS_PER_S / 8) /* all that happens does at multiples of it */
#define RECORDS 512
#define PROMISES 8
#define NODES 40

/* Three df instances with two metrics each, and a counter */
enum { FREE_A, FREE_B, FREE_C, PERCENT_A, PERCENT_B, PERCENT_C, RX, N_SERIES };
static const char *const series_names[] = { "df:a:free", "df:b:free", "df:c:free", "df:a:free_percent", "df:b:free_percent",
	                                    "df:c:free_percent", "interface:lo:rx_bytes" };

struct history {
	int64_t time[HISTORY];
	double value[HISTORY];
	unsigned n;
	bool stale;
};

enum naive_kind { N_SERIES_VALUE, N_FUNCTION, N_DIFFERENCE, N_COMPARE, N_AND, N_OR, N_NOT, N_ALL, N_ANY, N_NONE, N_SOME,
	          N_CHANGED, N_AGE, N_RECORDS, N_BETWEEN };
struct naive {
	enum naive_kind kind;
	int a, b;            /* nodes, or series */
	int function;        /* in `functions` */
	int window;          /* s; 0: none */
	int least;           /* of N_SOME; negative: percent */
	bool greater, latched, negated;
	double than, margin; /* margin 0: none */
	int from, until;     /* minutes of the day */
};
static const char *const functions[] = { "rate", "delta", "avg", "min", "max", "sum", "count", "stddev" };
#define N_FUNCTIONS 8

struct judged {
	struct naive nodes[NODES];
	int n, root;
	int grace, settle;
	int on;        /* the promise that it depends on; -1: none. Then it has neither grace nor settle: the order within a sample is no matter. */
	bool blocked;
	bool timed;    /* its body changes with time alone */
	int truth; /* of the body at the last step */
	enum kith_assessment assessment, definite;
	int64_t pending;
};

struct naive_world {
	struct history series[N_SERIES];
	struct judged promises[PROMISES];
	uint64_t seed;
	int64_t now, offset; /* time that passed, and what the clock is ahead of it */
	int64_t gather;      /* until then more file systems may come: the first one has */
	int64_t records[RECORDS];
	unsigned n_records;
};

static uint32_t pick(struct naive_world *n, uint32_t below)
{
	n->seed = n->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(n->seed >> 33) % below;
}

static double increase_of(const struct history *h, unsigned i, bool counter)
{
	double was;

	if (!i)
		return 0;
	was = h->value[i - 1];
	return counter && h->value[i] < was ? h->value[i] : h->value[i] - was;
}

static double naive_function(const struct naive_world *n, const struct naive *e)
{
	const struct history *h = &n->series[e->a];
	int64_t length = e->window * NS_PER_S, width = (length + 63) / 64, newest;
	double inc = 0, dt = 0, sum = 0, squares = 0, min = INFINITY, max = -INFINITY;
	unsigned count = 0, last = h->n;
	bool counter = e->a == RX;

	if (!h->n || h->stale)
		return NAN;
	if (!e->window) {
		/* Samples of one time are one. */
		while (last && h->time[last - 1] == h->time[h->n - 1])
			inc += increase_of(h, --last, counter);
		return last ? inc / ((double)(h->time[h->n - 1] - h->time[last - 1]) * 1e-9) : NAN;
	}
	newest = h->time[h->n - 1] / width;
	for (unsigned i = 0; i < h->n; i++) {
		if (h->time[i] / width <= newest - 64)
			continue;
		inc += increase_of(h, i, counter);
		dt += i ? (double)(h->time[i] - h->time[i - 1]) * 1e-9 : 0;
		sum += h->value[i];
		count++;
		min = fmin(min, h->value[i]);
		max = fmax(max, h->value[i]);
	}
	for (unsigned i = 0; i < h->n; i++)
		if (h->time[i] / width > newest - 64)
			squares += (h->value[i] - sum / count) * (h->value[i] - sum / count);
	switch (e->function) {
	case 7:
		return sqrt(squares / count);
	case 0:
		return dt > 0 ? inc / dt : NAN;
	case 1:
		return inc;
	case 2:
		return sum / count;
	case 3:
		return min;
	case 4:
		return max;
	case 5:
		return sum;
	}
	return count;
}

static double naive_number(const struct naive_world *n, const struct judged *j, int node)
{
	const struct naive *e = &j->nodes[node];

	if (e->kind == N_FUNCTION)
		return naive_function(n, e);
	if (e->kind == N_DIFFERENCE) {
		const struct history *a = &n->series[e->a], *b = &n->series[e->b];

		return a->n && b->n && !a->stale && !b->stale ? a->value[a->n - 1] - b->value[b->n - 1] : NAN;
	}
	return n->series[e->a].n && !n->series[e->a].stale ? n->series[e->a].value[n->series[e->a].n - 1] : NAN;
}

static int naive_compare(struct naive *e, double x)
{
	double than = e->than, shift = e->greater ? e->margin : -e->margin;
	bool holds;

	if (isnan(x))
		return KITH_UNKNOWN;
	if (e->margin > 0 && e->latched)
		than += e->negated ? -shift : shift;
	holds = e->greater ? x > than : x < than;
	e->latched = holds == e->negated;
	return holds ? KITH_KEPT : KITH_BROKEN;
}

static int naive_changed(const struct history *h, int window)
{
	if (!h->n || h->stale)
		return KITH_UNKNOWN;
	for (unsigned i = h->n; i-- > 1;)
		if (h->value[i] < h->value[i - 1] || h->value[i] > h->value[i - 1])
			return h->time[h->n - 1] - h->time[i] < window * NS_PER_S ? KITH_KEPT : KITH_BROKEN;
	return KITH_BROKEN;
}

static int naive_age(const struct naive_world *n, const struct naive *e)
{
	const struct history *h = &n->series[e->a];
	double age = h->n ? (double)(n->now - h->time[h->n - 1]) * 1e-9 : 0;

	return !h->n ? KITH_UNKNOWN : (e->greater ? age > e->than : age < e->than) ? KITH_KEPT : KITH_BROKEN;
}

static int naive_records(const struct naive_world *n, const struct naive *e)
{
	int64_t width = (e->window * NS_PER_S + 63) / 64;
	unsigned count = 0;

	for (unsigned i = 0; i < n->n_records && i < RECORDS; i++)
		count += n->records[i] / width > n->now / width - 64;
	return count < e->than ? KITH_KEPT : KITH_BROKEN;
}

static int naive_between(const struct naive_world *n, const struct naive *e)
{
	time_t seconds = (time_t)((n->now + n->offset) / NS_PER_S);
	struct tm tm;
	int minute;

	gmtime_r(&seconds, &tm);
	minute = tm.tm_hour * 60 + tm.tm_min;
	if (e->from < e->until ? minute >= e->from && minute < e->until : minute >= e->from || minute < e->until)
		return KITH_KEPT;
	return KITH_BROKEN;
}

static int flip(int truth)
{
	return truth == KITH_UNKNOWN ? truth : truth == KITH_KEPT ? KITH_BROKEN : KITH_KEPT;
}

static int naive_truth(const struct naive_world *n, struct judged *j, int node);

static int naive_quantifier(const struct naive_world *n, struct naive *e)
{
	unsigned counts[3] = { 0 }, all = 0;
	bool more = n->now < n->gather;
	int truth;

	for (int s = PERCENT_A; s <= PERCENT_C; s++) {
		const struct history *h = &n->series[s];

		/* Instances live as long as they have samples here. */
		if (!h->n)
			continue;
		all++;
		counts[h->stale ? KITH_UNKNOWN : h->value[h->n - 1] > e->than ? KITH_KEPT : KITH_BROKEN]++;
	}
	if (!all)
		return KITH_UNKNOWN;
	if (e->kind == N_SOME) {
		unsigned least = e->least > 0 ? (unsigned)e->least : (unsigned)(-e->least * (int)all + 99) / 100;

		if (more)
			return e->least > 0 && counts[KITH_KEPT] >= least ? KITH_KEPT : KITH_UNKNOWN;
		return counts[KITH_KEPT] >= least ? KITH_KEPT : counts[KITH_KEPT] + counts[KITH_UNKNOWN] < least ? KITH_BROKEN : KITH_UNKNOWN;
	}
	if (e->kind == N_ALL)
		return counts[KITH_BROKEN] ? KITH_BROKEN : counts[KITH_UNKNOWN] || more ? KITH_UNKNOWN : KITH_KEPT;
	truth = counts[KITH_KEPT] ? KITH_KEPT : counts[KITH_UNKNOWN] || more ? KITH_UNKNOWN : KITH_BROKEN;
	return e->kind == N_ANY ? truth : flip(truth);
}

static int naive_truth(const struct naive_world *n, struct judged *j, int node)
{
	struct naive *e = &j->nodes[node];
	int a, b;

	switch (e->kind) {
	case N_COMPARE:
		return naive_compare(e, naive_number(n, j, e->a));
	case N_NOT:
		return flip(naive_truth(n, j, e->a));
	case N_AND:
	case N_OR:
		a = naive_truth(n, j, e->a);
		b = naive_truth(n, j, e->b);
		if (e->kind == N_AND)
			return a == KITH_BROKEN || b == KITH_BROKEN ? KITH_BROKEN : a && b ? KITH_KEPT : KITH_UNKNOWN;
		return a == KITH_KEPT || b == KITH_KEPT ? KITH_KEPT : a && b ? KITH_BROKEN : KITH_UNKNOWN;
	case N_ALL:
	case N_ANY:
	case N_NONE:
	case N_SOME:
		return naive_quantifier(n, e);
	case N_CHANGED:
		return naive_changed(&n->series[e->a], e->window);
	case N_AGE:
		return naive_age(n, e);
	case N_RECORDS:
		return naive_records(n, e);
	case N_BETWEEN:
		return naive_between(n, e);
	case N_SERIES_VALUE:
	case N_FUNCTION:
	case N_DIFFERENCE:
		break;
	}
	return KITH_UNKNOWN;
}

static void naive_set(struct judged *j, enum kith_assessment to)
{
	j->assessment = to;
	if (to != KITH_UNKNOWN)
		j->definite = to;
}

static void naive_judge(struct judged *j, int truth, int64_t time)
{
	if (j->pending && j->pending <= time) {
		j->pending = 0;
		naive_set(j, (enum kith_assessment)j->truth);
	}
	if (truth == j->truth)
		return;
	j->truth = truth;
	j->pending = 0;
	if (truth == KITH_KEPT && j->assessment != KITH_KEPT && j->definite == KITH_BROKEN && j->settle)
		j->pending = time + j->settle * NS_PER_S;
	else if (truth == KITH_BROKEN && j->assessment != KITH_BROKEN && j->grace)
		j->pending = time + j->grace * NS_PER_S;
	else
		naive_set(j, (enum kith_assessment)truth);
}

/* ---- random conditions ------------------------------------------------------------------------------------------- */

static int random_number(struct naive_world *n, struct judged *j, struct buf *b)
{
	struct naive *e = &j->nodes[j->n];

	e->a = (int)pick(n, N_SERIES);
	switch (pick(n, 4)) {
	case 0:
		e->kind = N_SERIES_VALUE;
		buf_puts(b, series_names[e->a]);
		break;
	case 1:
		e->kind = N_DIFFERENCE;
		e->a = (int)pick(n, 3);
		e->b = (int)pick(n, 3);
		buf_printf(b, "(%s - %s)", series_names[e->a], series_names[e->b]);
		break;
	default:
		e->kind = N_FUNCTION;
		e->function = (int)pick(n, N_FUNCTIONS);
		e->window = e->function || pick(n, 2) ? (int)(1 << pick(n, 9)) : 0;
		buf_printf(b, "%s(%s", functions[e->function], series_names[e->a]);
		if (e->window)
			buf_printf(b, ", %ds", e->window);
		buf_putc(b, ')');
		break;
	}
	return j->n++;
}

/* What is true or not by itself */
static void random_question(struct naive_world *n, struct judged *j, struct naive *e, struct buf *b)
{
	e->a = (int)pick(n, N_SERIES);
	e->window = 1 << pick(n, 9);
	e->kind = N_CHANGED + pick(n, 4);
	j->timed |= e->kind != N_CHANGED;
	if (e->kind == N_CHANGED) {
		buf_printf(b, "changed(%s, %ds)", series_names[e->a], e->window);
	} else if (e->kind == N_AGE) {
		/* Between two ticks: at the very time it is neither the one nor the other. */
		e->greater = pick(n, 2);
		e->than = pick(n, 400) / 8.0 + 0.0625;
		buf_printf(b, "age(%s) %c %.4fs", series_names[e->a], e->greater ? '>' : '<', e->than);
	} else if (e->kind == N_RECORDS) {
		e->than = pick(n, 6) + 0.5;
		buf_printf(b, "count(records of \"t:*\" at warning matching \"^b.*m$\", %ds) < %.1f", e->window, e->than);
	} else {
		e->from = (int)pick(n, 1440);
		e->until = (e->from + 1 + (int)pick(n, 1400)) % 1440;
		if (e->until == e->from)
			e->until = (e->from + 1) % 1440;
		buf_printf(b, "between %02d:%02d and %02d:%02d", e->from / 60, e->from % 60, e->until / 60, e->until % 60);
	}
}

static int random_truth(struct naive_world *n, struct judged *j, struct buf *b, unsigned depth, bool negated)
{
	static const char *const words[] = { "all", "any", "none" };
	int me = j->n++;
	struct naive *e = &j->nodes[me];
	unsigned what = pick(n, depth ? 8 : 4);

	e->negated = negated;
	if (what < 4 && !pick(n, 5)) {
		random_question(n, j, e, b);
		return me;
	}
	if (what < 3) {
		e->kind = N_COMPARE;
		e->a = random_number(n, j, b);
		e->greater = pick(n, 2);
		e->than = pick(n, 200) - 20.0 + 0.3137;
		e->margin = pick(n, 3) ? 0 : pick(n, 30) + 1;
		buf_printf(b, " %c %.4f", e->greater ? '>' : '<', e->than < 0 ? 0.3137 : e->than);
		if (e->than < 0)
			e->than = 0.3137;
		if (e->margin > 0)
			buf_printf(b, " margin %.0f", e->margin);
	} else if (what == 3) {
		unsigned q = pick(n, 5);

		e->kind = q == 0 ? N_ALL : q == 1 ? N_ANY : q == 2 ? N_NONE : N_SOME;
		j->timed = true; /* the first instance, and a second later */
		e->than = pick(n, 100) + 0.5;
		e->least = q == 3 ? (int)pick(n, 3) + 1 : -((int)pick(n, 100) + 1);
		if (q < 3)
			buf_puts(b, words[q]);
		else
			buf_printf(b, q == 3 ? "some %d" : "some %d%%", q == 3 ? e->least : -e->least);
		buf_printf(b, " df:*:free_percent > %.1f", e->than);
	} else if (what < 6) {
		e->kind = what == 4 ? N_AND : N_OR;
		buf_putc(b, '(');
		e->a = random_truth(n, j, b, depth - 1, negated);
		buf_puts(b, what == 4 ? " and " : " or ");
		e->b = random_truth(n, j, b, depth - 1, negated);
		buf_putc(b, ')');
	} else {
		e->kind = N_NOT;
		buf_puts(b, "not (");
		e->a = random_truth(n, j, b, depth - 1, !negated);
		buf_putc(b, ')');
	}
	return me;
}

static void random_promises(struct naive_world *n, struct buf *b)
{
	buf_puts(b, "bundle r {\n");
	for (int i = 0; i < PROMISES; i++) {
		struct judged *j = &n->promises[i];

		*j = (struct judged){ 0 };
		j->grace = pick(n, 2) ? (int)pick(n, 30) : 0;
		j->settle = pick(n, 2) ? (int)pick(n, 30) : 0;
		j->on = i && !pick(n, 3) ? (int)pick(n, (uint32_t)i) : -1;
		if (j->on >= 0)
			j->grace = j->settle = 0;
		buf_printf(b, "promise p%d { promiser x\n", i);
		if (j->on >= 0)
			buf_printf(b, "depends p%d\n", j->on);
		buf_puts(b, "keep ");
		j->root = random_truth(n, j, b, 3, false);
		buf_printf(b, "\ngrace %ds\nsettle %ds }\n", j->grace, j->settle);
	}
	buf_puts(b, "}\n");
}

/* ---- random streams ---------------------------------------------------------------------------------------------- */

static void split_series(int s, char *family, char *instance, const char **ret_metric)
{
	sscanf(series_names[s], "%15[^:]:%15[^:]", family, instance);
	*ret_metric = strrchr(series_names[s], ':') + 1;
}

static void record_sample(struct naive_world *n, int s, double value, int64_t time)
{
	struct history *h = &n->series[s];

	if (s >= PERCENT_A && s <= PERCENT_C && !n->series[PERCENT_A].n && !n->series[PERCENT_B].n && !n->series[PERCENT_C].n)
		n->gather = time + NS_PER_S;
	if (h->n == HISTORY) {
		memmove(h->time, h->time + HISTORY / 2, HISTORY / 2 * sizeof(h->time[0]));
		memmove(h->value, h->value + HISTORY / 2, HISTORY / 2 * sizeof(h->value[0]));
		h->n = HISTORY / 2;
	}
	h->time[h->n] = time;
	h->value[h->n++] = value;
	h->stale = false;
}

static void step_sample(struct world *w, struct naive_world *n, int s, int64_t now)
{
	char family[16], instance[16];
	const char *metric;
	struct history *h = &n->series[s];
	double value = pick(n, 120);

	if (s == RX && h->n && pick(n, 10))
		value += h->value[h->n - 1];
	split_series(s, family, instance, &metric);
	record_sample(n, s, value, now);
	put(w, family, instance, metric, value, (double)(now + n->offset - T0) * 1e-9);
}

static void step_record(struct world *w, struct naive_world *n)
{
	static const char *const subjects[] = { "t:a", "t:b", "u:a" }, *const messages[] = { "boom", "bloom", "calm" };
	struct kith_record record = { .size = sizeof(record), .priority = KITH_ERR + pick(n, 4), .time = 1,
		                      .subject = subjects[pick(n, 3)], .message = messages[pick(n, 3)] };

	if (*record.subject == 't' && *record.message == 'b' && record.priority <= KITH_WARNING)
		n->records[n->n_records++ % RECORDS] = n->now;
	model_record(w->m, &record);
}

/* As the host does it. By a multiple of all buckets' width: a window that begins later has the same buckets. */
static void step_jump(struct world *w, struct naive_world *n)
{
	static const int64_t jumps[] = { 3600, -3600, 86400, -86400, 4, -400 };
	int64_t jump = jumps[pick(n, 6)] * NS_PER_S;

	n->offset += jump;
	model_set_now(w->m, n->now + n->offset);
	model_jump(w->m, jump);
	promises_jump(w->p, jump);
}

static void judge_all(struct naive_world *n, int64_t now)
{
	n->now = now;
	for (int i = 0; i < PROMISES; i++) {
		struct judged *j = &n->promises[i];

		/* What was due comes first, judged by what was so far. */
		naive_judge(j, j->truth, now);
		naive_judge(j, naive_truth(n, j, j->root), now);
		if (j->on >= 0) {
			const struct judged *on = &n->promises[j->on];

			j->blocked = on->assessment == KITH_BROKEN || (on->assessment == KITH_UNKNOWN && on->blocked);
			naive_set(j, j->blocked ? KITH_UNKNOWN : (enum kith_assessment)j->truth);
		}
	}
}

/* An instance ends with all its series; its free_percent keeps a sample as long as it lives (see naive_quantifier). */
static void step_end(struct world *w, struct naive_world *n, int k)
{
	static const char names[][2] = { "a", "b", "c" };
	struct instance *i = instance_find(w->df, names[k], 1);

	if (!i)
		return;
	n->series[FREE_A + k].n = n->series[PERCENT_A + k].n = 0;
	n->series[FREE_A + k].stale = n->series[PERCENT_A + k].stale = false;
	instance_end(w->m, i);
}

/*
 * Bodies that change with time alone are looked at all the way: at each tick, where deadlines are, and right before it, as what changes between two
 * ticks does so before those.
 */
static void time_passes(struct naive_world *n, int64_t from, int64_t to)
{
	for (int64_t tick = from + TICK; tick <= to; tick += TICK)
		for (int i = 0; i < PROMISES; i++) {
			struct judged *j = &n->promises[i];

			if (!j->timed || j->on >= 0)
				continue;
			n->now = tick - 1;
			naive_judge(j, naive_truth(n, j, j->root), n->now);
			n->now = tick;
			naive_judge(j, naive_truth(n, j, j->root), n->now);
		}
	n->now = to;
}

static void step(struct world *w, struct naive_world *n, int64_t *now)
{
	uint32_t what = pick(n, 1000);

	/* Now and then at the time of the step before */
	if (what % 16)
		time_passes(n, *now, *now + (int64_t)(1 + pick(n, what < 20 ? 400 : 24)) * TICK);
	*now = n->now;
	world_time(w, *now + n->offset);
	judge_all(n, *now);
	if (what >= 990) {
		step_end(w, n, (int)pick(n, 3));
	} else if (what >= 985) {
		step_jump(w, n);
	} else if (what >= 970) {
		step_record(w, n);
	} else if (what >= 950) {
		model_expire(w->m, &w->owner, *now + n->offset);
		for (int s = 0; s < N_SERIES; s++)
			if (n->series[s].n && *now - n->series[s].time[n->series[s].n - 1] > w->owner.stale_after)
				n->series[s].stale = true;
	} else {
		int s = (int)pick(n, N_SERIES);

		/* A new instance has its free_percent at once: joining is tested elsewhere. */
		if (s <= FREE_C && !n->series[s + 3].n)
			s += 3;
		step_sample(w, n, s, *now);
	}
	world_time(w, *now + n->offset); /* the end of the round */
	judge_all(n, *now);
}

static void compare_all(struct world *w, const struct naive_world *n, uint64_t seed, int steps, const char *text)
{
	for (int i = 0; i < PROMISES; i++) {
		struct promise_info info = world_info(w, (size_t)i);

		ck_assert_msg(info.assessment == n->promises[i].assessment, "seed %llu, step %d, p%d is %s (%s), should be %s (body %d)\n%s",
		              (unsigned long long)seed, steps, i, assessment_name(info.assessment), info.because,
		              assessment_name(n->promises[i].assessment), n->promises[i].truth, text);
	}
}

/* Chance makes conditions that can never hold, which are refused: then it tries again. */
static bool makes_sense(struct world *w, const char *text)
{
	struct promises_file file = { "t.promise", text, strlen(text) };
	struct faults faults = { 0 };
	int r = promises_check(w->p, &file, 1, &faults);

	for (struct fault *f = faults.first; f; f = f->next)
		ck_assert_msg(f->warning || strstr(f->text, "can never be kept"), "%s", f->text);
	faults_free(&faults);
	return r == 0;
}

START_TEST(test_random)
{
	const char *given = getenv("KITH_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	const char *long_one = getenv("KITH_STEPS");
	int steps = long_one ? atoi(long_one) : getenv("KITH_FULL") ? STEPS : STEPS_SHORT;
	struct naive_world *n = calloc(1, sizeof(*n));
	unsigned changes = 0;

	ck_assert_ptr_nonnull(n);
	printf("KITH_SEED=%llu round %d\n", (unsigned long long)seed, _i);
	n->seed = seed * 1000 + (uint64_t)_i;
	n->now = T0;
	setenv("TZ", "UTC", 1);
	{
		struct world *w = world_new();
		struct buf text = BUF_INIT;
		int64_t now = T0;

		do {
			buf_reset(&text);
			random_promises(n, &text);
		} while (!makes_sense(w, buf_text(&text)));
		world_load_at(w, buf_text(&text), 0);
		judge_all(n, now);
		for (int i = 0; i < steps; i++) {
			step(w, n, &now);
			compare_all(w, n, seed, i, buf_text(&text));
		}
		changes = w->n_transitions;
		buf_free(&text);
		world_free(w);
	}
	/* Not all of it was silence. */
	ck_assert_uint_gt(changes, 10);
	free(n);
}
END_TEST

/* ---- nothing allocated ------------------------------------------------------------------------------------------- */

START_TEST(test_no_allocation)
{
	struct world *w = world_new();
	kith_id df, lo;
	unsigned long before;

	world_load_at(w, "bundle b {\npromise p { promiser x\nkeep df:/:free_percent > 10% margin 2%\ngrace 3s\nsettle 4s }\n"
	                 "promise q { promiser x\nkeep all df:*:free > 1KiB and rate(interface:lo:rx_bytes, 1m) >= 0 }\n"
	                 "promise r { promiser df:*\nkeep avg(df:*:free, 1m) > 1 and min(df:*:free, 5m) > 1 and max(df:*:free, 1s) > 0 }\n}", 0);
	put(w, "df", "/", "free", 1e9, 0);
	put(w, "df", "/", "free_percent", 50, 0);
	put(w, "interface", "lo", "rx_bytes", 0, 0);
	df = instance_find(w->df, "/", 1)->id;
	lo = instance_find(w->interface, "lo", 2)->id;
	ck_assert_uint_gt(n_allocations, 0); /* counted at all */
	put(w, "interface", "lo", "rx_bytes", 0, 1);
	before = n_allocations;
	for (int i = 2; i < 20000; i++) {
		model_put(w->m, &w->owner, df, 1e9 + i, S(i));
		/* Fails and holds again within the grace: deadlines come and go */
		model_put(w->m, &w->owner, df + 1, i % 4 ? 50 : 5, S(i));
		model_put(w->m, &w->owner, lo + 1, i, S(i));
	}
	ck_assert_uint_eq(n_allocations, before);
	ck_assert_uint_gt(world_info(w, 0).evaluations, 19000);
	ck_assert_uint_gt(w->n_arms, 1000);
	world_free(w);
}
END_TEST

/* One sample touches the promises that name its series, whatever the number of others */
START_TEST(test_only_its_own)
{
	struct world *w = world_new();
	struct buf b = BUF_INIT;

	buf_puts(&b, "bundle b {\n");
	for (int i = 0; i < 2000; i++)
		buf_printf(&b, "promise p%d { promiser x\nkeep df:/%d:free > 1 }\n", i, i);
	buf_puts(&b, "}");
	world_load_at(w, buf_text(&b), 0);
	ck_assert_uint_eq(promises_count(w->p), 2000);
	put(w, "df", "/7", "free", 9, 1);
	put(w, "df", "/7", "free", 8, 2);
	for (size_t i = 0; i < 2000; i++)
		ck_assert_uint_eq(world_info(w, i).evaluations, i == 7 ? 2 : 0);
	buf_free(&b);
	world_free(w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("promises beside a naive evaluator");
	TCase *t = tcase_create("random");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_random, 0, ROUNDS);
	tcase_add_test(t, test_no_allocation);
	tcase_add_test(t, test_only_its_own);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
