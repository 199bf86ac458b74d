/*
 * What a window costs: ns a sample (put and value) of each function over 5 minutes, sampled each second, every 10 s and,
 * with values over 9 decades, 10 times a second; and what each takes of memory: what malloc gave, and what 300 samples
 * have touched of it (resident pages over many windows). Medians of rounds; CPU time of this thread.
 */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "promises/window.h"

#define ROUNDS 9
#define SAMPLES 200000
#define VALUES 4096 /* drawn beforehand */
#define WINDOWS 2000
#define LENGTH (300 * NS_PER_S)

static const struct {
	const char *name;
	enum expr_op op;
	bool held;
	double share;
} functions[] = {
	{ "rate", OP_RATE, false, 0 },         { "delta", OP_DELTA, false, 0 },
	{ "avg", OP_AVG, false, 0 },           { "avg, held", OP_AVG, true, 0 },
	{ "min", OP_MIN, false, 0 },           { "max", OP_MAX, false, 0 },
	{ "sum", OP_SUM, false, 0 },           { "count", OP_COUNT, false, 0 },
	{ "stddev", OP_STDDEV, false, 0 },     { "stddev, held", OP_STDDEV, true, 0 },
	{ "p50", OP_PERCENTILE, false, 0.5 },  { "p99", OP_PERCENTILE, false, 0.99 },
	{ "p99, held", OP_PERCENTILE, true, 0.99 },
	{ "forecast", OP_FORECAST, false, 0 }, { "forecast, held", OP_FORECAST, true, 0 },
	{ "changed", OP_CHANGED, false, 0 },   { "records", OP_RECORDS, true, 0 },
};
#define N_FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

static struct window *make(size_t k)
{
	struct window_spec spec = { .op = functions[k].op, .length = LENGTH, .share = functions[k].share,
		                    .horizon = LENGTH, .held = functions[k].held };
	struct window *w = window_new(&spec);

	if (!w) {
		fprintf(stderr, "bench_windows: no memory\n");
		exit(1);
	}
	return w;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double per_sample(size_t k, const double *values, int64_t every, double *sink)
{
	struct window *w = make(k);
	double rounds[ROUNDS];
	int64_t time = INT64_C(1700000000) * NS_PER_S;

	for (int r = 0; r < ROUNDS; r++) {
		int64_t before = clock_thread_cpu();

		for (int i = 0; i < SAMPLES; i++) {
			time += every;
			window_put(w, values[i % VALUES], time);
			*sink += window_value(w);
		}
		rounds[r] = (double)(clock_thread_cpu() - before) / SAMPLES;
	}
	window_free(w);
	qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
	return rounds[ROUNDS / 2];
}

static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (!f || fscanf(f, "%*u %lu", &pages) != 1)
		fprintf(stderr, "bench_windows: /proc/self/statm cannot be read\n");
	if (f)
		fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory(size_t k, const double *values, double *ret_given, double *ret_touched)
{
	static struct window *windows[WINDOWS];
	size_t given = mallinfo2().uordblks, touched;

	malloc_trim(0);
	touched = resident();
	for (int i = 0; i < WINDOWS; i++) {
		windows[i] = make(k);
		for (int j = 0; j < 300; j++)
			window_put(windows[i], values[(i + j) % VALUES], (1000 + j) * NS_PER_S);
	}
	*ret_given = (double)(mallinfo2().uordblks - given) / WINDOWS;
	*ret_touched = (double)(resident() - touched) / WINDOWS;
	for (int i = 0; i < WINDOWS; i++)
		window_free(windows[i]);
}

int main(void)
{
	static double noise[VALUES], wide[VALUES];
	double sink = 0;

	srand(1);
	for (int i = 0; i < VALUES; i++) {
		noise[i] = 50 + 50 * sin(i * 0.01) + rand() % 1000 / 100.0;
		wide[i] = exp(rand() % 20000 / 1000.0);
	}
	printf("%-16s %10s %10s %12s %10s %10s\n", "5m window", "1s: ns", "10s: ns", "wide, 0.1s", "bytes", "touched");
	for (size_t k = 0; k < N_FUNCTIONS; k++) {
		double given, touched;

		memory(k, noise, &given, &touched);
		printf("%-16s %10.1f %10.1f %13.1f %10.0f %10.0f\n", functions[k].name, per_sample(k, noise, NS_PER_S, &sink),
		       per_sample(k, noise, 10 * NS_PER_S, &sink), per_sample(k, wide, NS_PER_S / 10, &sink), given, touched);
	}
	return isinf(sink); /* the values are wanted */
}
