/*
 * What promises cost: ns a sample on its way through them (how many name it, how many others are loaded, each part of a
 * condition, each function with a short and a long window), what they take of memory, how long they take to load.
 *
 *   bench_promises [--quick]
 *
 * Lines of words with tabs between them: "sample GROUP WHAT MEDIAN MIN MAX ALLOCATIONS", ns of this thread's CPU time
 * over rounds; "load WHAT PROMISES BYTES CHECK LOAD AGAIN DROP", bytes a promise that malloc gave, ms. All rows take turns, in
 * another order each time, so that a busy moment of the host hits no row more than the others.
 */
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/model.h"
#include "promises/promises.h"

#define ROUNDS_MAX 15
#define MANY 10000
#define ROUND_NS 4e6      /* so long is a round of a row */
#define WARM 4000         /* samples before it, more than the longest window has */
#define VALUES 4096       /* drawn beforehand */
#define LOADS 3

enum { FREE, READ, STATE, N_METRICS };

static const char *const states[] = { "rw", "ro", NULL };
static const struct kith_metric metrics[N_METRICS] = {
	[FREE] = { "free", "B", "a gauge", NULL, KITH_GAUGE, 0 },
	[READ] = { "read", "B", "a counter", NULL, KITH_COUNTER, 0 },
	[STATE] = { "state", "1", "a state", states, KITH_STATE, 0 },
};

struct world {
	struct model *m;
	struct owner owner;
	struct promises *p;
	struct family *df;
	kith_id id; /* of df:/ */
	int64_t time;
};

struct row {
	const char *group, *what;
	const char *says;   /* the statements of each promise that names the series */
	unsigned on, others; /* promises about the series; about others, each with one of its own */
	unsigned metric;
	bool spread;        /* instead: `on` series, put in turn, and a promise for each where there is `says` */
	bool records;       /* what comes are records */
	/* of the run */
	struct world w;
	kith_id *ids;
	double rounds[ROUNDS_MAX];
	unsigned samples, n_rounds;
	uint64_t allocations;
};

#define UNUSED { 0 }, NULL, { 0 }, 0, 0, 0
#define OF(group, what, metric, says) { group, what, says, 1, 9, metric, false, false, UNUSED }
#define CONDITION(what, says) OF("condition", what, FREE, says)
#define NUMBER(what, on, others, says) { "number", what, says, on, others, FREE, false, false, UNUSED }
#define SPREAD(what, says) { "spread", what, says, MANY, 0, FREE, true, false, UNUSED }
#define RECORD(what, says) { "record", what, says, 1, 9, FREE, false, true, UNUSED }
/* With a window of a minute and of an hour; at most `than` */
#define FUNCTION(name, than)                                                    \
	OF("1m", name, FREE, "keep " name "(df:/:free, 1m) < " than),           \
	OF("1h", name, FREE, "keep " name "(df:/:free, 1h) < " than)

static struct row rows[] = {
	NUMBER("none", 0, 0, ""),
	NUMBER("1, 10 loaded", 1, 9, "keep df:/:free > 10B"),
	NUMBER("10, 10 loaded", 10, 0, "keep df:/:free > 10B"),
	NUMBER("100, 100 loaded", 100, 0, "keep df:/:free > 10B"),
	NUMBER("1, 10000 loaded", 1, MANY - 1, "keep df:/:free > 10B"),
	SPREAD("10000 series in turn, no promise", NULL),
	SPREAD("10000 series in turn, a promise each", "keep df:/i%u:free > 10B"),

	OF("condition", "none, a state", STATE, "keep df:/other:state == \"rw\""),
	CONDITION("x > c", "keep df:/:free > 10B"),
	CONDITION("x > c margin m", "keep df:/:free > 10B margin 2B"),
	CONDITION("x > c grace settle", "keep df:/:free > 10B\ngrace 3s\nsettle 10s"),
	CONDITION("x > c, broken or kept again each time", "keep df:/:free > 1050B"),
	CONDITION("x > c grace, fails every second time", "keep df:/:free > 1050B\ngrace 3s"),
	CONDITION("x > c, close to it (attention)", "keep df:/:free > 990B"),
	CONDITION("x > c depends", "keep df:/:free > 10B\ndepends o0"),
	CONDITION("x > c between", "keep df:/:free > 10B\nbetween 00:00 and 24:00 on mon..sun"),
	CONDITION("x > c and between", "keep df:/:free > 10B and between 00:00 and 23:59:59"),
	CONDITION("let l = x > c", "let l = df:/:free > 10B\nkeep l"),
	CONDITION("x > c and x < d", "keep df:/:free > 10B and df:/:free < 1GiB"),
	CONDITION("x / 2 + y > c", "keep df:/:free / 2 + df:/:read > 10B"),
	CONDITION("all x > c, 11 instances", "keep all df:*:free > 10B"),
	CONDITION("some 50% (x > c), 11 instances", "keep some 50% (df:*:free > 10B)"),
	OF("condition", "s == \"rw\"", STATE, "keep df:/:state == \"rw\" or df:/other:free > 1B"),
	OF("condition", "s in [..]", STATE, "keep df:/:state in [\"rw\"] or df:/other:free > 1B"),
	OF("condition", "s matches \"^rw\"", STATE, "keep df:/:state matches \"^rw\" or df:/other:free > 1B"),

	OF("two", "rate", READ, "keep rate(df:/:read) < 1TiB/s"),
	OF("two", "age", FREE, "keep age(df:/:free) < 1h"),
	OF("1m", "rate", READ, "keep rate(df:/:read, 1m) < 1TiB/s"),
	OF("1h", "rate", READ, "keep rate(df:/:read, 1h) < 1TiB/s"),
	FUNCTION("delta", "1TiB"),
	FUNCTION("avg", "1TiB"),
	FUNCTION("min", "1TiB"),
	FUNCTION("max", "1TiB"),
	FUNCTION("sum", "1TiB"),
	FUNCTION("count", "1000000"),
	FUNCTION("stddev", "1TiB"),
	FUNCTION("p50", "1TiB"),
	FUNCTION("p90", "1TiB"),
	FUNCTION("p95", "1TiB"),
	FUNCTION("p99", "1TiB"),
	FUNCTION("p999", "1TiB"),
	OF("1m", "forecast", FREE, "keep forecast(df:/:free, 4m, 1m) < 1TiB"),
	OF("1h", "forecast", FREE, "keep forecast(df:/:free, 4h, 1h) < 1TiB"),
	OF("1m", "changed", STATE, "keep changed(df:/:state, 1m) or df:/other:free > 1B"),
	OF("1h", "changed", STATE, "keep changed(df:/:state, 1h) or df:/other:free > 1B"),
	OF("1m", "count(records), samples", FREE, "keep df:/:free > 10B and count(records at error, 1m) < 5"),
	OF("1h", "count(records), samples", FREE, "keep df:/:free > 10B and count(records at error, 1h) < 5"),

	RECORD("none", "keep df:/:free > 10B"),
	RECORD("count(records, 1m)", "keep count(records, 1m) < 1000000"),
	RECORD("count(records, 1h)", "keep count(records, 1h) < 1000000"),
	RECORD("count(records of \"kmsg:*\", 1m)", "keep count(records of \"kmsg:*\", 1m) < 1000000"),
	RECORD("count(records matching \"I/O error\", 1m)", "keep count(records matching \"I/O error\", 1m) < 1000000"),
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static double noise[VALUES];
static uint64_t allocations; /* the linker sends those of malloc's functions by here */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	allocations++;
	return __real_realloc(old, size);
}

static void die(const char *what)
{
	fprintf(stderr, "bench_promises: %s\n", what);
	exit(1);
}

static kith_id instance(struct world *w, const char *name)
{
	struct instance *i = NULL;

	if (instance_add(w->m, w->df, name, &i) < 0)
		die("an instance is refused");
	return i->id;
}

static void world_open(struct world *w)
{
	struct kith_family f = { KITH_FAMILY_INIT, "df", "d", "mount point", metrics, N_METRICS, 0 };
	const char *why;

	*w = (struct world){ .owner = { .name = "bench" }, .time = INT64_C(1700000000) * NS_PER_S };
	if (model_new(&w->m) < 0 || family_add(w->m, &w->owner, &f, 2 * MANY, &w->df, &why) < 0 ||
	    promises_new(w->m, NULL, NULL, &w->p) < 0)
		die("no model");
	w->id = instance(w, "/");
	if (model_put(w->m, &w->owner, instance(w, "/other") + FREE, 1000, w->time) < 0)
		die("a sample is refused");
}

static void world_close(struct world *w)
{
	promises_free(w->p);
	model_free(w->m);
}

static void load(struct world *w, const struct buf *text)
{
	struct promises_file file = { .path = "bench", .text = buf_text(text), .length = text->length };
	struct faults faults = { 0 };

	if (promises_load(w->p, &file, 1, w->time, &faults) < 0)
		die(faults.first ? faults.first->text : "promises do not load");
	faults_free(&faults);
}

/* ---- a sample's way */

static void others_add(struct row *r, struct buf *text)
{
	char name[32];

	for (unsigned i = 0; i < r->others; i++) {
		kith_id id;

		snprintf(name, sizeof(name), "/o%u", i);
		id = instance(&r->w, name);
		if (model_put(r->w.m, &r->w.owner, id + FREE, 1000000, r->w.time) < 0)
			die("a sample is refused");
		buf_printf(text, "promise o%u { promiser x\nkeep df:/o%u:free > %uB }\n", i, i, i + 1);
	}
}

static void row_open(struct row *r)
{
	struct buf text = BUF_INIT;
	char name[32];

	world_open(&r->w);
	if (r->spread) {
		r->ids = calloc(MANY, sizeof(r->ids[0]));
		if (!r->ids)
			die("no memory");
	}
	buf_puts(&text, "bundle b {\n");
	others_add(r, &text);
	for (unsigned i = 0; i < r->on; i++) {
		if (r->spread) {
			snprintf(name, sizeof(name), "/i%u", i);
			r->ids[i] = instance(&r->w, name);
			if (r->says)
				buf_printf(&text, "promise p%u { promiser x\nkeep df:/i%u:free > 10B }\n", i, i);
		} else {
			buf_printf(&text, "promise p%u { promiser x\n%s }\n", i, r->says);
		}
	}
	buf_puts(&text, "}\n");
	load(&r->w, &text);
	buf_free(&text);
}

static void put_records(struct row *r, unsigned n)
{
	struct kith_record record = { .size = sizeof(record), .priority = KITH_ERR, .subject = "kmsg:vda",
		                      .message = "blk_update_request: I/O error, dev vda, sector 12345" };

	for (unsigned i = 0; i < n; i++) {
		r->w.time += NS_PER_S;
		record.time = r->w.time;
		model_set_now(r->w.m, r->w.time);
		model_record(r->w.m, &record);
	}
}

static void put_in_turn(struct row *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (i % MANY == 0)
			r->w.time += NS_PER_S;
		if (model_put(r->w.m, &r->w.owner, r->ids[i % MANY] + FREE, noise[i % VALUES], r->w.time) < 0)
			die("a sample is refused");
	}
}

static void put(struct row *r, unsigned n)
{
	static double counter; /* goes up in all of them */

	for (unsigned i = 0; i < n; i++) {
		double value = r->metric == STATE ? i % 2 : noise[i % VALUES];

		r->w.time += NS_PER_S;
		if (r->metric == READ)
			value = counter += value;
		if (model_put(r->w.m, &r->w.owner, r->w.id + r->metric, value, r->w.time) < 0)
			die("a sample is refused");
	}
}

static double round_of(struct row *r, unsigned n)
{
	uint64_t before_allocations = allocations;
	int64_t before = clock_thread_cpu();

	if (r->records)
		put_records(r, n);
	else if (r->spread)
		put_in_turn(r, n);
	else
		put(r, n);
	before = clock_thread_cpu() - before;
	r->allocations += allocations - before_allocations;
	return (double)before / n;
}

/* Windows full, code and data where they are used; and how many samples a round has */
static void row_warm(struct row *r)
{
	double ns;

	round_of(r, r->spread ? 2 * MANY : WARM);
	ns = round_of(r, r->spread ? MANY : WARM / 4);
	r->samples = ns * 200000 < ROUND_NS ? 200000 : (unsigned)(ROUND_NS / ns);
	if (r->samples < 200)
		r->samples = 200;
	if (r->spread)
		r->samples = MANY;
	r->allocations = 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void shuffle(size_t *order, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)rand() % i, other = order[i - 1];

		order[i - 1] = order[k];
		order[k] = other;
	}
}

static void measure_rows(unsigned rounds)
{
	size_t order[N_ROWS];

	for (size_t i = 0; i < N_ROWS; i++) {
		order[i] = i;
		row_open(&rows[i]);
		row_warm(&rows[i]);
	}
	for (unsigned round = 0; round < rounds; round++) {
		shuffle(order, N_ROWS);
		for (size_t i = 0; i < N_ROWS; i++) {
			struct row *r = &rows[order[i]];

			round_of(r, r->samples / 8 + 1); /* into the caches, as far as it goes */
			r->rounds[r->n_rounds++] = round_of(r, r->samples);
		}
	}
	for (size_t i = 0; i < N_ROWS; i++) {
		struct row *r = &rows[i];

		qsort(r->rounds, rounds, sizeof(r->rounds[0]), by_value);
		printf("sample\t%s\t%s\t%.1f\t%.1f\t%.1f\t%llu\n", r->group, r->what, r->rounds[rounds / 2], r->rounds[0],
		       r->rounds[rounds - 1], (unsigned long long)r->allocations);
		free(r->ids);
		world_close(&r->w);
	}
}

/* ---- memory and loading: each in a process of its own, so that nothing is left of the one before */

static const struct load {
	const char *what;
	const char *says; /* %u: which */
	bool glob;        /* one promise, that many instances */
	bool absent;      /* the series are not there */
} loads[] = {
	{ "x > c", "keep df:/i%u:free > 10B", false, false },
	{ "x > c, series not there", "keep df:/i%u:free > 10B", false, true },
	{ "x > c margin grace settle", "keep df:/i%u:free > 10B margin 2B\ngrace 3s\nsettle 10s", false, false },
	{ "avg(x, 5m) > c", "keep avg(df:/i%u:free, 5m) > 10B", false, false },
	{ "max(x, 5m) < c", "keep max(df:/i%u:free, 5m) < 1TiB", false, false },
	{ "p95(x, 5m) < c", "keep p95(df:/i%u:free, 5m) < 1TiB", false, false },
	{ "forecast(x, 4h) > c", "keep forecast(df:/i%u:free, 4h) > -1TiB", false, false },
	{ "x > c with an action, depends", "keep df:/i%u:free > 10B\ndepends first\n"
	  "on broken run \"/usr/bin/true\" \"again\" at most 3 per 10m timeout 30s", false, false },
	{ "one with a pattern, 10000 instances", "promiser df:*\nkeep df:*:free > 10B", true, false },
};
#define N_LOADS (sizeof(loads) / sizeof(loads[0]))

static void write_set(struct buf *text, const struct load *l)
{
	buf_puts(text, "bundle b {\npromise first { promiser x\nkeep df:/:free > 10B }\n");
	for (unsigned i = 0; i < (l->glob ? 1 : MANY); i++) {
		buf_printf(text, "promise p%u {\n%s", i, l->glob ? "" : "promiser x\n");
		/* The one %u of it */
		for (const char *c = l->says; *c; c++) {
			if (c[0] == '%' && c[1] == 'u') {
				buf_printf(text, "%u", i);
				c++;
			} else {
				buf_putc(text, *c);
			}
		}
		buf_puts(text, "\n}\n");
	}
	buf_puts(text, "}\n");
}

static double given(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)m.uordblks + (double)m.hblkhd;
}

static double ms_since(int64_t before)
{
	return (double)(clock_thread_cpu() - before) / 1e6;
}

struct figures {
	double bytes, check, load, again, drop;
};

/* Samples so that the windows have what they have in use: a minute of them */
static void fill(struct world *w, const kith_id *ids)
{
	for (int round = 0; round < 60; round++) {
		w->time += NS_PER_S;
		for (unsigned i = 0; i < MANY; i++)
			if (model_put(w->m, &w->owner, ids[i] + FREE, noise[(i + (unsigned)round) % VALUES], w->time) < 0)
				die("a sample is refused");
	}
}

static struct figures load_once(const struct load *l)
{
	struct faults faults = { 0 };
	struct promises_file file = { .path = "bench" };
	struct buf text = BUF_INIT;
	struct figures found;
	struct world w;
	kith_id *ids = calloc(MANY, sizeof(ids[0]));
	double before_bytes;
	int64_t before;
	char name[32];

	if (!ids)
		die("no memory");
	world_open(&w);
	for (unsigned i = 0; i < MANY && !l->absent; i++) {
		snprintf(name, sizeof(name), "/i%u", i);
		ids[i] = instance(&w, name);
	}
	if (!l->absent)
		fill(&w, ids);
	write_set(&text, l);
	file.text = buf_text(&text);
	file.length = text.length;
	before = clock_thread_cpu();
	if (promises_check(w.p, &file, 1, &faults) < 0)
		die(faults.first ? faults.first->text : "promises do not check");
	found.check = ms_since(before);
	faults_free(&faults);
	before_bytes = given();
	before = clock_thread_cpu();
	load(&w, &text);
	found.load = ms_since(before);
	if (!l->absent)
		fill(&w, ids);
	found.bytes = (given() - before_bytes) / MANY;
	before = clock_thread_cpu();
	load(&w, &text);
	found.again = ms_since(before);
	if (promises_count(w.p) < MANY)
		die("promises are missing");
	buf_reset(&text);
	before = clock_thread_cpu();
	load(&w, &text);
	found.drop = ms_since(before);
	buf_free(&text);
	free(ids);
	world_close(&w);
	return found;
}

static void load_child(const struct load *l, struct figures *ret_found)
{
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) < 0)
		die("no pipe");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct figures found = load_once(l);

		_exit(write(ends[1], &found, sizeof(found)) != sizeof(found));
	}
	close(ends[1]);
	if (pid < 0 || read(ends[0], ret_found, sizeof(*ret_found)) != sizeof(*ret_found) ||
	    waitpid(pid, &status, 0) != pid)
		die("a set does not load");
	close(ends[0]);
}

static double median(const struct figures *found, size_t member)
{
	double values[LOADS];

	for (int i = 0; i < LOADS; i++)
		memcpy(&values[i], (const char *)&found[i] + member, sizeof(values[i]));
	qsort(values, LOADS, sizeof(values[0]), by_value);
	return values[LOADS / 2];
}

static void measure_loads(void)
{
	static const size_t members[] = { offsetof(struct figures, check), offsetof(struct figures, load),
		                          offsetof(struct figures, again), offsetof(struct figures, drop) };
	static struct figures found[N_LOADS][LOADS];
	size_t order[N_LOADS];

	for (size_t i = 0; i < N_LOADS; i++)
		order[i] = i;
	for (int round = 0; round < LOADS; round++) {
		shuffle(order, N_LOADS);
		for (size_t i = 0; i < N_LOADS; i++)
			load_child(&loads[order[i]], &found[order[i]][round]);
	}
	for (size_t i = 0; i < N_LOADS; i++) {
		printf("load\t%s\t%d\t%.0f", loads[i].what, MANY, median(found[i], offsetof(struct figures, bytes)));
		for (size_t k = 0; k < sizeof(members) / sizeof(members[0]); k++)
			printf("\t%.1f", median(found[i], members[k]));
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	bool quick = argc == 2 && !strcmp(argv[1], "--quick");

	if (argc > 1 && !quick) {
		fprintf(stderr, "usage: bench_promises [--quick]\n");
		return 2;
	}
	srand((unsigned)clock_mono());
	for (int i = 0; i < VALUES; i++)
		noise[i] = 1000 + rand() % 1000 / 10.0;
	measure_loads();
	measure_rows(quick ? 5 : ROUNDS_MAX);
	return 0;
}
