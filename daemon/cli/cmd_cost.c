/* kith cost: one row a plugin and a promise; the promises of one glob are one row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* Not the default one, whose switch falls through in a way that clang warns of */
#define HASH_FUNCTION(key, length, hash) HASH_OAT(key, length, hash)
#include <uthash.h>

#include "base/units.h"
#include "cli/cli.h"

struct cost {
	UT_hash_handle hh;
	char *key; /* kind and name */
	const char *name;
	bool promise;
	uint64_t calls, cpu_ns, samples, failures;
	int64_t allocations;
};

struct costs {
	struct cost *all; /* in the order they came in */
	bool failed;
};

static struct cost *cost_of(struct costs *costs, const Control__Cost *from)
{
	struct buf key = BUF_INIT;
	struct cost *c;

	buf_printf(&key, "%s %s", from->kind, from->name);
	HASH_FIND_STR(costs->all, buf_text(&key), c);
	if (c) {
		buf_free(&key);
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (c)
		c->key = buf_take(&key);
	if (!c || !c->key) {
		free(c);
		buf_free(&key);
		costs->failed = true;
		return NULL;
	}
	c->name = c->key + strlen(from->kind) + 1;
	c->promise = !strcmp(from->kind, "promise");
	c->allocations = from->allocations < 0 ? -1 : 0;
	HASH_ADD_KEYPTR(hh, costs->all, c->key, strlen(c->key), c);
	return c;
}

static void on_cost(const Control__Answer *answer, void *user)
{
	const Control__Cost *from = answer->cost;
	struct cost *c;

	if (answer->is_case != CONTROL__ANSWER__IS_COST || !(c = cost_of(user, from)))
		return;
	c->calls += from->calls;
	c->cpu_ns += from->cpu_ns;
	c->samples += from->samples;
	c->failures += from->failures;
	if (c->allocations >= 0 && from->allocations >= 0)
		c->allocations += from->allocations;
}

static void print_json(struct cli *cli, const struct costs *costs)
{
	json_array_begin(&cli->out);
	for (const struct cost *c = costs->all; c; c = c->hh.next) {
		json_t *o = json_object();

		json_object_set_new(o, "name", json_text(c->name));
		json_object_set_new(o, "kind", json_string(c->promise ? "promise" : "plugin"));
		json_object_set_new(o, "calls", json_u64(c->calls));
		json_object_set_new(o, "cpu_ns", json_u64(c->cpu_ns));
		json_object_set_new(o, "samples", json_u64(c->samples));
		json_object_set_new(o, "failures", json_u64(c->failures));
		json_array_add_take(&cli->out, o);
	}
	json_array_end(&cli->out);
}

static int by_cpu(const struct cost *a, const struct cost *b)
{
	if (a->promise != b->promise)
		return a->promise ? 1 : -1;
	return a->cpu_ns == b->cpu_ns ? strcmp(a->name, b->name) : a->cpu_ns < b->cpu_ns ? 1 : -1;
}

static void print_table(struct cli *cli, struct costs *costs)
{
	static const char *const headers[] = { "KIND",     "NAME",      ">CALLS",       ">CPU", ">A CALL", ">SAMPLES",
		                               ">FAILURES", ">ALLOCATIONS", NULL };
	struct table *t = table_new(headers);
	char text[UNIT_TEXT_MAX];

	HASH_SORT(costs->all, by_cpu);
	for (const struct cost *c = costs->all; c; c = c->hh.next) {
		table_cell(t, OUT_DIM, "%s", c->promise ? "promise" : "plugin");
		table_cell(t, OUT_BOLD, "%s", c->name);
		table_cell(t, OUT_PLAIN, "%llu", (unsigned long long)c->calls);
		table_cell(t, OUT_PLAIN, "%s", unit_format((double)c->cpu_ns / 1e9, "s", text, sizeof(text)));
		table_cell(t, OUT_PLAIN, "%s",
		           c->calls ? unit_format((double)c->cpu_ns / 1e9 / (double)c->calls, "s", text, sizeof(text)) : "-");
		table_cell(t, OUT_PLAIN, "%llu", (unsigned long long)c->samples);
		table_cell(t, c->failures ? OUT_RED : OUT_PLAIN, "%llu", (unsigned long long)c->failures);
		if (c->allocations >= 0)
			table_cell(t, OUT_PLAIN, "%lld", (long long)c->allocations);
		else
			table_cell(t, OUT_PLAIN, "-");
	}
	table_print(t, &cli->out);
	table_free(t);
}

int cmd_cost(struct cli *cli)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__CostRequest ask_cost = CONTROL__COST_REQUEST__INIT;
	struct costs costs = { 0 };
	struct cost *c, *next;
	int status;

	request.ask_case = CONTROL__REQUEST__ASK_COST;
	request.cost = &ask_cost;
	status = ask(cli, &request, on_cost, &costs);
	if (costs.failed) {
		cli_fail("out of memory");
		status = CLI_UNREACHABLE;
	}
	if (cli->json)
		print_json(cli, &costs);
	else
		print_table(cli, &costs);
	HASH_ITER(hh, costs.all, c, next) {
		HASH_DEL(costs.all, c);
		free(c->key);
		free(c);
	}
	return status;
}
