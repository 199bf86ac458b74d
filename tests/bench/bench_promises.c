/*
 * What a sample costs on its way through promises: ns a sample with 0, 1, 10 and 100 promises on its series, and
 * through one promise with 10 and 10,000 loaded. Medians of rounds; CPU time of this thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "promises/promises.h"

#define ROUNDS 11
#define SAMPLES 200000

static const struct kith_metric metrics[] = { { "free", "B", "f", NULL, KITH_GAUGE, 0 } };

struct bench {
	struct model *m;
	struct owner owner;
	struct promises *p;
	struct family *df;
	kith_id id;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_promises: %s\n", what);
	exit(1);
}

static void bench_open(struct bench *b)
{
	struct kith_family f = { KITH_FAMILY_INIT, "df", "d", "mount point", metrics, 1, 0 };
	struct instance *i = NULL;
	const char *why;

	*b = (struct bench){ .owner = { .name = "bench" } };
	if (model_new(&b->m) < 0 || family_add(b->m, &b->owner, &f, 0, &b->df, &why) < 0 ||
	    promises_new(b->m, NULL, NULL, &b->p) < 0 || instance_add(b->m, b->df, "/", &i) < 0)
		die("no model");
	b->id = i->id;
}

static void bench_close(struct bench *b)
{
	promises_free(b->p);
	model_free(b->m);
}

/* `on` promises about the series, `others` about series that never come */
static double load(struct bench *b, unsigned on, unsigned others, const char *keep)
{
	struct promises_file file = { .path = "bench" };
	struct faults faults = { 0 };
	struct buf text = BUF_INIT;
	int64_t before;

	buf_puts(&text, "bundle b {\n");
	for (unsigned i = 0; i < on; i++)
		buf_printf(&text, "promise p%u { promiser x\nkeep %s }\n", i, keep);
	for (unsigned i = 0; i < others; i++)
		buf_printf(&text, "promise o%u { promiser x\nkeep df:/o%u:free > %uB }\n", i, i, i);
	buf_puts(&text, "}\n");
	file.text = buf_text(&text);
	file.length = text.length;
	before = clock_thread_cpu();
	if (promises_load(b->p, &file, 1, NS_PER_S, &faults) < 0)
		die("promises do not load");
	before = clock_thread_cpu() - before;
	buf_free(&text);
	faults_free(&faults);
	return (double)before / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double per_sample(struct bench *b)
{
	double rounds[ROUNDS];
	int64_t time = 2 * NS_PER_S;

	for (int r = 0; r < ROUNDS; r++) {
		int64_t before = clock_thread_cpu();

		for (int i = 0; i < SAMPLES; i++) {
			time += NS_PER_S;
			if (model_put(b->m, &b->owner, b->id, 1000 + i % 100, time) < 0)
				die("a sample is refused");
		}
		rounds[r] = (double)(clock_thread_cpu() - before) / SAMPLES;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
	return rounds[ROUNDS / 2];
}

static void measure(const char *what, unsigned on, unsigned others, const char *keep, double bare)
{
	struct bench b;
	double ns, ms;

	bench_open(&b);
	ms = load(&b, on, others, keep);
	ns = per_sample(&b);
	printf("%-34s %4u on it %6u others  %7.1f ns a sample", what, on, others, ns);
	if (on)
		printf("  %6.1f a promise", (ns - bare) / on);
	printf("  (loaded in %.1f ms)\n", ms);
	bench_close(&b);
}

int main(void)
{
	struct bench b;
	double bare;

	bench_open(&b);
	bare = per_sample(&b);
	bench_close(&b);
	measure("none", 0, 0, "", bare);
	measure("x > c", 1, 9, "df:/:free > 10B", bare);
	measure("x > c", 10, 0, "df:/:free > 10B", bare);
	measure("x > c", 100, 0, "df:/:free > 10B", bare);
	measure("x > c", 1, 9999, "df:/:free > 10B", bare);
	measure("x > c margin m and x < d", 1, 9, "df:/:free > 10B margin 2B and df:/:free < 1GiB", bare);
	measure("rate(x) >= 0", 1, 9, "rate(df:/:free) < 1GiB/s", bare);
	measure("avg(x, 1m) > c", 1, 9, "avg(df:/:free, 1m) > 10B", bare);
	measure("max(x, 10m) < c", 1, 9, "max(df:/:free, 10m) < 1GiB", bare);
	measure("all x > c", 1, 9, "all df:*:free > 10B", bare);
	return 0;
}
