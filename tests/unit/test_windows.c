/*
 * The window functions beside a naive evaluator that keeps every sample and computes all anew: random streams with
 * gaps, duplicates of one time, clock steps, resets, constant stretches, huge and tiny and negative values, of series
 * that are sampled and of series that hold. KITH_SEED sets the seed, which is printed. And: exact examples, and that
 * nothing is allocated.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "naive_windows.h"

#define SECOND INT64_C(1000000000)

#if defined(__SANITIZE_ADDRESS__)
#define STEPS 12000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEPS 12000
#endif
#endif
#ifndef STEPS
#define STEPS 150000 /* of each function: three millions in all */
#endif
#define STREAM 3000 /* steps of one window */

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

#define NEVER INT64_MIN /* 0 is a time of the clock that nobody sets */

/* Exactly when it falls, of what falls at a time that is known; else the next bucket, or never */
static void check_next(struct naive *m, int64_t next)
{
	if (!m->spec.held || !m->n) {
		ck_assert_int_eq(next, NEVER);
	} else if (m->spec.op == OP_CHANGED) {
		bool now = m->changed && m->now - m->change < m->spec.length;

		ck_assert_int_eq(next, now ? m->change + m->spec.length : NEVER);
	} else if (m->spec.op == OP_RECORDS) {
		for (int i = 0; i < m->n; i++)
			if (m->s[i].from >= naive_begin(m) && m->s[i].value > 0) {
				ck_assert_int_eq(next, (floor_to(m->s[i].from, m->width) + 64) * m->width);
				return;
			}
		ck_assert_int_eq(next, NEVER);
	} else if (next != NEVER) {
		ck_assert_int_eq(next, (floor_to(m->now, m->width) + 1) * m->width);
	} else { /* nothing but the last value is in the window, and it stays */
		ck_assert_int_lt(m->s[m->n - 1].from, naive_begin(m));
	}
}

/* ---- random streams ---------------------------------------------------------------------------------------------- */

static uint32_t pick(struct naive *m, uint32_t below)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(m->seed >> 33) % below;
}

static double unit(struct naive *m)
{
	return (pick(m, 1u << 30) + 0.5) / (1u << 30);
}

enum shape { CONSTANT, SMALL, NOISE, NARROW, WIDE, NEGATIVE, MIXED, HUGE_ONES, TINY, N_SHAPES };

static double draw(struct naive *m, enum shape shape, double last)
{
	switch (shape) {
	case CONSTANT:
		return last;
	case SMALL:
		return (double)pick(m, 20) - 5;
	case NOISE:
		return 1e15 + (double)pick(m, 9) - 4;
	case NARROW:
		return exp(unit(m) * 5);
	case WIDE:
		return exp((unit(m) - 0.5) * 60);
	case NEGATIVE:
		return -exp(unit(m) * 8);
	case MIXED:
		return pick(m, 9) ? (unit(m) - 0.5) * 1e4 : 0;
	case HUGE_ONES:
		return 1e100 * (unit(m) - 0.3);
	case TINY:
		return 1e-100 * (unit(m) - 0.3);
	case N_SHAPES:
		break;
	}
	return 0;
}

struct stream {
	struct window *w;
	enum shape shape;
	double last;
	int64_t clock, jumps; /* ns; what the clock has been set by */
	int64_t scale;        /* of the time between two samples */
};

static double next_value(struct naive *m, struct stream *s)
{
	if (!pick(m, 200))
		s->shape = (enum shape)pick(m, N_SHAPES);
	if (m->spec.op == OP_RECORDS)
		return pick(m, 4) ? 1 : pick(m, 8) / 4.0;
	if (m->spec.counter) {
		s->last = pick(m, 60) ? s->last + (pick(m, 3) ? pick(m, 100) : 0) : pick(m, 5);
		return s->last;
	}
	if (pick(m, 4) || m->spec.op != OP_CHANGED)
		s->last = draw(m, s->shape, s->last);
	return s->last;
}

static int64_t next_time(struct naive *m, struct stream *s)
{
	uint32_t kind = pick(m, 400);

	if (kind < 30)
		return 0;
	if (kind < 31)
		return m->spec.length * (1 + pick(m, 4)) + pick(m, 1000);
	if (kind < 34)
		return m->width * (1 + pick(m, 4)) - (s->clock % m->width + m->width) % m->width; /* a bucket's edge */
	return (int64_t)(unit(m) * 2 * (double)s->scale);
}

static void stream_step(struct naive *m, struct stream *s)
{
	s->clock += next_time(m, s);
	if (!pick(m, 300)) {
		int64_t jump = (int64_t)((unit(m) - 0.5) * 7200e9);

		s->jumps += jump;
		window_jump(s->w, jump);
	}
	if (m->spec.held && !pick(m, 4)) {
		window_advance(s->w, s->clock + s->jumps);
		naive_advance(m, s->clock);
	} else {
		/* Now and then of a clock that was set back and nobody said so */
		int64_t time = pick(m, 50) ? s->clock : s->clock - (int64_t)pick(m, 1u << 30);
		double value = next_value(m, s);

		window_put(s->w, value, time + s->jumps);
		naive_put(m, value, time);
	}
}

static void stream_check(struct naive *m, struct stream *s, int step)
{
	double got = window_value(s->w);
	struct answer a = naive_value(m, got);
	int64_t next = window_next(s->w);

	if (isnan(a.low) ? !isnan(got) : !(got >= a.low && got <= a.high))
		ck_abort_msg("function %d, held %d, length %lld, step %d: %.17g is not within %.17g … %.17g",
		             (int)m->spec.op, m->spec.held, (long long)m->spec.length, step, got, a.low, a.high);
	check_next(m, next ? next - s->jumps : NEVER);
}

static void stream_run(struct naive *m, const struct window_spec *spec)
{
	static const int per_window[] = { 3, 20, 200, 2000 };
	int density = per_window[pick(m, 4)], every = density > 100 ? density / 40 : 1;
	struct stream s = { .shape = (enum shape)pick(m, N_SHAPES), .last = 7, .clock = INT64_C(1700000000) * SECOND };
	unsigned long before;

	s.scale = spec->length / density + 1;
	naive_open(m, spec);
	s.w = window_new(spec);
	ck_assert_ptr_nonnull(s.w);
	if (!pick(m, 4)) { /* buckets with negative numbers */
		s.jumps = s.clock;
		window_jump(s.w, s.jumps);
		s.clock = -5 * spec->length;
	}
	stream_check(m, &s, -1);
	before = n_allocations;
	for (int i = 0; i < STREAM; i++) {
		stream_step(m, &s);
		if (!pick(m, (uint32_t)every)) {
			unsigned long during = n_allocations;

			stream_check(m, &s, i); /* the naive one sorts */
			before += n_allocations - during;
		}
	}
	ck_assert_uint_eq(n_allocations, before);
	window_free(s.w);
}

static const struct { enum expr_op op; bool held, counter; } cases[] = {
	{ OP_RATE, false, true }, { OP_RATE, true, false }, { OP_DELTA, false, true }, { OP_AVG, false, false },
	{ OP_AVG, true, false }, { OP_MIN, false, false }, { OP_MAX, true, false }, { OP_SUM, false, false },
	{ OP_COUNT, true, false }, { OP_STDDEV, false, false }, { OP_STDDEV, true, false }, { OP_PERCENTILE, false, false },
	{ OP_PERCENTILE, true, false }, { OP_FORECAST, false, false }, { OP_FORECAST, true, false },
	{ OP_FORECAST, false, true }, { OP_FORECAST, true, true }, { OP_CHANGED, false, false }, { OP_CHANGED, true, false },
	{ OP_RECORDS, true, false },
};
#define N_CASES (int)(sizeof(cases) / sizeof(cases[0]))

static struct naive model;

START_TEST(test_random)
{
	static const int64_t lengths[] = { SECOND / 1000, SECOND, 60 * SECOND, 300 * SECOND, 3600 * SECOND,
		                           30 * 86400 * SECOND };
	static const double shares[] = { 0.5, 0.9, 0.95, 0.99, 0.999, 0.001 };
	const char *seed = getenv("KITH_SEED");

	model.seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("KITH_SEED=%llu function %d %s\n", (unsigned long long)model.seed, (int)cases[_i].op,
	       cases[_i].held ? "held" : "");
	fflush(stdout);
	model.seed += (uint64_t)_i << 40;
	for (int round = 0; round < STEPS / STREAM; round++) {
		struct window_spec spec = { .op = cases[_i].op, .held = cases[_i].held, .counter = cases[_i].counter };

		spec.length = lengths[pick(&model, 6)] + (pick(&model, 2) ? pick(&model, 100000) : 0);
		spec.share = shares[pick(&model, 6)];
		spec.horizon = (int64_t)(unit(&model) * 4 * (double)spec.length);
		stream_run(&model, &spec);
	}
	if (cases[_i].op == OP_PERCENTILE)
		printf("worst error where 1 %% is promised: %.4f %%\n", model.worst * 100);
}
END_TEST

/* ---- examples ---------------------------------------------------------------------------------------------------- */

#define S(n) ((int64_t)(n) * SECOND)

static struct window *make(enum expr_op op, int64_t length, bool held)
{
	struct window_spec spec = { .op = op, .length = length, .held = held, .share = 0.5, .horizon = S(100) };
	struct window *w = window_new(&spec);

	ck_assert_ptr_nonnull(w);
	return w;
}

static struct window *make_share(double share, bool held)
{
	struct window_spec spec = { .op = OP_PERCENTILE, .length = S(1600), .held = held, .share = share };
	struct window *w = window_new(&spec);

	ck_assert_ptr_nonnull(w);
	return w;
}

static void near(double got, double want, double error)
{
	if (!(fabs(got - want) <= error))
		ck_abort_msg("%.17g is not %.17g", got, want);
}

START_TEST(test_stddev)
{
	static const double values[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
	struct window *w = make(OP_STDDEV, S(640), false);

	ck_assert(isnan(window_value(w)));
	window_put(w, 3, S(0));
	ck_assert(window_value(w) == 0);
	for (int i = 0; i < 8; i++)
		window_put(w, values[i], S(2000 + i));
	near(window_value(w), 2, 1e-12);
	/* A spike leaves nothing behind. */
	window_put(w, 1e120, S(2010));
	ck_assert(window_value(w) > 1e119);
	for (int i = 0; i < 799; i++) /* of which the last 630 are in the window */
		window_put(w, i % 2 ? 1e15 + 1 : 1e15 - 1, S(2011 + i));
	near(window_value(w), 1, 1e-12);
	/* Beyond the range: infinite, and well again afterwards */
	window_put(w, 1e308, S(3000));
	window_put(w, -1e308, S(3000));
	window_put(w, 1e308, S(3001));
	ck_assert(isinf(window_value(w)));
	for (int i = 0; i < 1000; i++)
		window_put(w, 0.1, S(3002 + i));
	ck_assert(window_value(w) == 0);
	window_free(w);

	w = make(OP_STDDEV, S(640), true);
	window_put(w, 0, S(0));
	ck_assert(window_value(w) == 0);
	window_put(w, 10, S(30));
	ck_assert(window_value(w) == 0); /* for no time yet */
	window_advance(w, S(40));
	near(window_value(w), sqrt(0.75 * 0.25) * 10, 1e-12);
	window_advance(w, S(10000));
	ck_assert(window_value(w) == 0);
	ck_assert_int_eq(window_next(w), 0);
	window_free(w);
}
END_TEST

START_TEST(test_percentile)
{
	struct window *w = make_share(0.5, false), *high = make_share(0.99, false), *last = make_share(0.999, false);

	ck_assert(isnan(window_value(w)));
	for (int i = 1; i <= 100; i++) {
		window_put(w, i, S(i));
		window_put(high, i, S(i));
		window_put(last, i, S(i));
	}
	near(window_value(w), 50, 0.5);
	near(window_value(high), 99, 0.99);
	ck_assert(window_value(last) == 100); /* the rank of the greatest: exact */
	/* All of them left */
	window_put(w, 0, S(5000));
	ck_assert(window_value(w) == 0);
	window_put(w, -8, S(5001));
	ck_assert(window_value(w) == -8); /* the lower of two */
	window_put(w, 0.25, S(5002));
	ck_assert(window_value(w) == 0);
	for (int i = 0; i < 50; i++)
		window_put(w, 123.456, S(8000 + i));
	ck_assert(window_value(w) == 123.456);
	window_free(w);
	window_free(high);
	window_free(last);

	w = make_share(0.55, false); /* 0.55 * 100 is more than 55 in binary */
	for (int i = 0; i < 100; i++)
		window_put(w, i < 55 ? 1 : 100, S(i));
	ck_assert(window_value(w) == 1);
	window_free(w);
}
END_TEST

START_TEST(test_percentile_held)
{
	struct window *w = make_share(0.9, true);

	window_put(w, 5, S(0));
	ck_assert(window_value(w) == 5);
	window_put(w, 50, S(91));
	window_put(w, 5000, S(91)); /* 50 held for no time */
	window_advance(w, S(101));
	near(window_value(w), 5, 0.05);
	window_advance(w, S(102));
	near(window_value(w), 5000, 50);
	ck_assert_int_eq(window_next(w), S(200));
	window_advance(w, S(5000));
	ck_assert(window_value(w) == 5000);
	ck_assert_int_eq(window_next(w), 0);
	window_free(w);
}
END_TEST

/* A range of 20 decades makes the bins wide; once it has left, the error is 1 % again at once. */
START_TEST(test_percentile_recovers)
{
	struct window *w = make_share(0.5, false);

	for (int i = 0; i < 1000; i++)
		window_put(w, pow(10, i % 400 / 20.0), S(i) / 10);
	for (int i = 100; i < 1599; i++)
		window_put(w, i % 3 ? 53 : 100, S(i));
	ck_assert(fabs(window_value(w) - 53) > 2); /* else the wide range shows nothing */
	window_put(w, 53, S(1600)); /* its bucket, 0 … 99, has left */
	near(window_value(w), 53, 0.53);
	window_free(w);
}
END_TEST

START_TEST(test_forecast)
{
	struct window *w = make(OP_FORECAST, S(640), false);

	for (int i = 0; i <= 31; i++) {
		window_put(w, 3.0 * i, S(1000 + 10 * i));
		ck_assert(isnan(window_value(w)));
	}
	window_put(w, 96, S(1320)); /* half of the window */
	near(window_value(w), 96 + 30, 1e-9);
	for (int i = 0; i < 1000; i++)
		window_put(w, 0.1, S(1330 + 10 * i));
	ck_assert(window_value(w) == 0.1);
	window_free(w);

	w = make(OP_FORECAST, S(640), false);
	window_put(w, 1, S(0));
	window_put(w, 2, S(600));
	ck_assert(isnan(window_value(w))); /* two samples are no line */
	window_put(w, 3, S(1200));
	ck_assert(isnan(window_value(w))); /* the first has left */
	window_free(w);

	w = make(OP_FORECAST, S(640), true);
	window_put(w, 42, S(0));
	window_advance(w, S(319));
	ck_assert(isnan(window_value(w)));
	ck_assert_int_eq(window_next(w), S(320));
	window_advance(w, S(320));
	ck_assert(window_value(w) == 42);
	/* 0 for a time and 1 for as long: a line of slope 1.5 a window through the middle */
	window_put(w, 0, S(10000));
	window_advance(w, S(11000));
	window_put(w, 1, S(11000));
	window_advance(w, S(11320) - 1);
	near(window_value(w), 0.5 + 1.5 / 640 * (320 + 100), 0.03);
	window_free(w);
}
END_TEST

START_TEST(test_forecast_reset)
{
	struct window_spec spec = { .op = OP_FORECAST, .length = S(640), .horizon = S(100), .counter = true };
	struct window *w = window_new(&spec);

	for (int i = 0; i < 100; i++)
		window_put(w, 1000 + i, S(10 * i));
	near(window_value(w), 1109, 1e-6);
	window_put(w, 0, S(1000));
	ck_assert(isnan(window_value(w)));
	for (int i = 1; i <= 32; i++)
		window_put(w, 2 * i, S(1000 + 10 * i));
	near(window_value(w), 84, 1e-6);
	window_free(w);
}
END_TEST

START_TEST(test_changed)
{
	struct window *w = make(OP_CHANGED, S(60), true);

	ck_assert(isnan(window_value(w)));
	window_put(w, 1, S(0));
	ck_assert(window_value(w) == 0);
	ck_assert_int_eq(window_next(w), 0);
	window_put(w, 1, S(5));
	ck_assert(window_value(w) == 0);
	window_put(w, 2, S(10));
	ck_assert(window_value(w) == 1);
	ck_assert_int_eq(window_next(w), S(70));
	window_jump(w, S(3600));
	ck_assert_int_eq(window_next(w), S(3670));
	window_advance(w, S(3670) - 1);
	ck_assert(window_value(w) == 1);
	window_advance(w, S(3670));
	ck_assert(window_value(w) == 0);
	ck_assert_int_eq(window_next(w), 0);
	window_free(w);

	w = make(OP_CHANGED, S(60), false);
	window_put(w, 1, S(0));
	window_put(w, 2, S(1));
	window_put(w, 2, S(60));
	ck_assert(window_value(w) == 1);
	window_put(w, 2, S(61));
	ck_assert(window_value(w) == 0);
	ck_assert_int_eq(window_next(w), 0);
	window_free(w);
}
END_TEST

START_TEST(test_records)
{
	struct window *w = make(OP_RECORDS, S(64), false);

	ck_assert(window_value(w) == 0);
	ck_assert_int_eq(window_next(w), 0);
	window_advance(w, S(5));
	window_put(w, 1, S(10));
	window_put(w, 3, S(12));
	ck_assert(window_value(w) == 4);
	ck_assert_int_eq(window_next(w), S(74));
	window_advance(w, S(74) - 1);
	ck_assert(window_value(w) == 4);
	window_advance(w, S(74));
	ck_assert(window_value(w) == 3);
	ck_assert_int_eq(window_next(w), S(76));
	window_advance(w, S(76));
	ck_assert(window_value(w) == 0);
	ck_assert_int_eq(window_next(w), 0);
	window_put(w, 0.1, S(1000));
	window_put(w, 0.2, S(1001));
	window_advance(w, S(2000));
	ck_assert(window_value(w) == 0);
	window_free(w);
}
END_TEST

/* What left the window leaves no rounding error behind in the older functions either. */
START_TEST(test_no_residue)
{
	static const enum expr_op ops[] = { OP_AVG, OP_SUM, OP_DELTA, OP_RATE };
	static const double want[] = { 0.5, 32, 0, 0 };

	for (int k = 0; k < 4; k++) {
		struct window *w = make(ops[k], S(64), false);

		window_put(w, 1e18, S(1));
		for (int i = 2; i < 70; i++)
			window_put(w, 0.5, S(i));
		ck_assert(window_value(w) == want[k]);
		window_free(w);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("windows");
	TCase *t = tcase_create("windows");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, test_stddev);
	tcase_add_test(t, test_percentile);
	tcase_add_test(t, test_percentile_held);
	tcase_add_test(t, test_percentile_recovers);
	tcase_add_test(t, test_forecast);
	tcase_add_test(t, test_forecast_reset);
	tcase_add_test(t, test_changed);
	tcase_add_test(t, test_records);
	tcase_add_test(t, test_no_residue);
	tcase_add_loop_test(t, test_random, 0, N_CASES);
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
