/*
 * What lines of logs cost: ns to take one apart, by its form; ns a record of one on its way through kithd, with promises that count records or without; and
 * both together.
 *
 *   bench_syslog [--quick]
 *
 * Lines of words with tabs between them: "parse|record|both WHAT BYTES NS LINES_A_SECOND ALLOCATIONS": bytes of a line, ns of this thread's CPU time, the
 * median of rounds; allocations of one round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/host.h"
#include "host/spawn.h"
#include "lines/entry.h"
#include "lines/limit.h"
#include "model/model.h"
#include "promises/promises.h"

#define ROUNDS 15
#define NOW (INT64_C(1795827600) * NS_PER_S)
#define NEVER "keep count(records of \"log:nobody\" matching \"out of memory\", 1h) < 1000000000"

static const struct {
	const char *what, *text;
	uint32_t flags;
} forms[] = {
	{ "local, as the C library writes", "<30>Nov 28 00:59:58 sshd[4711]: Accepted publickey for ops from 192.0.2.17 port 51234 ssh2: ED25519", LINE_LOCAL },
	{ "RFC 3164 with a host", "<30>Nov 28 00:59:58 web1 sshd[4711]: Accepted publickey for ops from 192.0.2.17 port 51234 ssh2: ED25519", 0 },
	{ "rsyslog's file, ISO time", "2026-11-28T00:59:58.123456+01:00 web1 sshd[4711]: Accepted publickey for ops from 192.0.2.17 port 51234", 0 },
	{ "RFC 5424", "<30>1 2026-11-28T00:59:58.123456+01:00 web1 sshd 4711 - - Accepted publickey for ops from 192.0.2.17 port 51234", 0 },
	{ "RFC 5424 with structured data", "<165>1 2026-11-28T00:59:58.003Z web1 evntslog - ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"Application\" "
	  "eventID=\"1011\"][timeQuality tzKnown=\"1\" isSynced=\"1\"] An application event log entry", 0 },
	{ "no header", "Accepted publickey for ops from 192.0.2.17 port 51234 ssh2: ED25519 SHA256:abcdefghijklmnopqrstuvwxyz", 0 },
	{ "UTF-8", "<30>Nov 28 00:59:58 web1 app[1]: gr\xc3\xbc\xc3\x9f" "e aus k\xc3\xb6ln, \xe2\x82\xac 12, h\xc3\xb6her als \xc3\xbc" "blich gel\xc3\xa4ufig", 0 },
};

static const struct {
	const char *what, *statement;
	unsigned promises;
} listeners[] = {
	{ "no promise that counts records", NULL, 0 },
	{ "1 promise of another subject", NEVER, 1 },
	{ "10 promises of another subject", NEVER, 10 },
	{ "10 promises by a word of the text", "keep count(records matching \"out of memory\", 1h) < 1000000000", 10 },
	{ "10 promises by a pattern without a word", "keep count(records matching \"[oO][uU][tT] [oO]f\", 1h) < 1000000000", 10 },
	{ "10 promises by priority", "keep count(records at error, 1h) < 1000000000", 10 },
	{ "1 promise that counts each", "keep count(records of \"log:*\", 1h) < 1000000000000", 1 },
};

static uint64_t allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

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

void *__wrap_realloc(void *p, size_t size)
{
	allocations++;
	return __real_realloc(p, size);
}

/* ---- a host with one plugin ------------------------------------------------------------------------------------------ */

struct bench {
	struct loop *loop;
	struct model *model;
	struct children children;
	struct host *host;
	struct promises *promises;
	struct limits *limits;
	struct line_clock clock;
	struct line line;
	struct entry entry;
	const struct kith_host *h;
	unsigned per_round;
};

static struct bench *bench_of; /* for init alone */

static int bench_init(const struct kith_host *h, void **ret_state)
{
	bench_of->h = h;
	*ret_state = bench_of;
	return 0;
}

static const struct kith_plugin plugin = { KITH_PLUGIN_INIT, .name = "bench", .provides = KITH_PROVIDES_RECORDS | KITH_PROVIDES_LOGS,
	                                   .option_size = sizeof(struct kith_option), .init = bench_init };

static void die(const char *what)
{
	fprintf(stderr, "bench_syslog: %s\n", what);
	exit(1);
}

static void load_promises(struct bench *b, const char *statement, unsigned n)
{
	char *text = malloc(n * 400 + 100);
	struct promises_file file = { .path = "bench.promise", .text = text };
	struct promises_driver driver = { 0 };
	struct promises_facts facts = { .host = "bench" };
	struct faults faults = { 0 };
	size_t at;

	if (promises_new(b->model, &driver, &facts, &b->promises) < 0)
		die("no engine");
	at = (size_t)sprintf(text, "bundle bench {\n");
	for (unsigned i = 0; i < n; i++)
		at += (size_t)sprintf(text + at, "promise p%u { promiser host\n%s }\n", i, statement);
	strcpy(text + at, "}\n");
	file.length = strlen(text);
	if (promises_load(b->promises, &file, 1, NOW, &faults) < 0)
		die(faults.first ? faults.first->text : "the promises do not load");
	faults_free(&faults);
	free(text);
}

static void bench_begin(struct bench *b, const char *statement, unsigned n)
{
	struct host_parts parts;

	if (loop_new(&b->loop) < 0 || model_new(&b->model) < 0)
		die("no loop");
	b->children.loop = b->loop;
	bench_of = b;
	parts = (struct host_parts){ .loop = b->loop, .model = b->model, .children = &b->children };
	if (host_new(&parts, &b->host) < 0 || host_add_builtin(b->host, &plugin) < 0 || host_load_all(b->host, NULL, 0) < 0 || !b->h)
		die("no host");
	if (n)
		load_promises(b, statement, n);
	b->limits = limits_new(1024, 1e12, 1e12, NULL, NULL);
	b->clock = (struct line_clock){ .now = NOW };
	model_set_now(b->model, NOW);
	entry_init(&b->entry, 86400 * NS_PER_S);
}

static void bench_end(struct bench *b)
{
	promises_free(b->promises);
	host_free(b->host);
	model_free(b->model);
	loop_free(b->loop);
	limits_free(b->limits);
	b->promises = NULL;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------------ */

#define DO_PARSE 1u
#define DO_RECORD 2u

static void round_of(struct bench *b, const char *text, size_t length, uint32_t flags, unsigned what)
{
	static const struct limit_key key = { { 1, 4711, 0 } };
	char copy[1024];

	memcpy(copy, text, length);
	line_parse(copy, length, flags, &b->clock, &b->line);
	for (unsigned i = 0; i < b->per_round; i++) {
		if (what & DO_PARSE) {
			memcpy(copy, text, length);
			line_parse(copy, length, flags, &b->clock, &b->line);
		}
		if (!(what & DO_RECORD))
			continue;
		if (!limits_take(b->limits, limits_find(b->limits, &key, NOW), NOW))
			die("a line was one too many");
		entry_fill(&b->entry, &b->line, NOW, KITH_NOTICE, NULL);
		if (b->h->record(b->h, &b->entry.record) < 0)
			die("a record was refused");
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void row(struct bench *b, const char *group, const char *what, const char *text, uint32_t flags, unsigned parts)
{
	double rounds[ROUNDS];
	size_t length = strlen(text);
	uint64_t before = 0;

	round_of(b, text, length, flags, parts);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t from = clock_thread_cpu();

		before = allocations;
		round_of(b, text, length, flags, parts);
		rounds[i] = (double)(clock_thread_cpu() - from) / b->per_round;
	}
	before = allocations - before;
	qsort(rounds, ROUNDS, sizeof(*rounds), compare);
	printf("%s\t%s\t%zu\t%.0f\t%.0f\t%llu\n", group, what, length, rounds[ROUNDS / 2], 1e9 / rounds[ROUNDS / 2], (unsigned long long)before);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct bench b = { .per_round = argc > 1 && !strcmp(argv[1], "--quick") ? 20000 : 200000 };

	log_set_level(LOG_LEVEL_ERR);
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		row(&b, "parse", forms[i].what, forms[i].text, forms[i].flags, DO_PARSE);
	for (size_t i = 0; i < sizeof(listeners) / sizeof(*listeners); i++) {
		bench_begin(&b, listeners[i].statement, listeners[i].promises);
		row(&b, "record", listeners[i].what, forms[0].text, forms[0].flags, DO_RECORD);
		if (!i)
			row(&b, "both", forms[0].what, forms[0].text, forms[0].flags, DO_PARSE | DO_RECORD);
		bench_end(&b);
	}
	return 0;
}
