/* kith explain */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/past.h"
#include "cli/status.h"

#define PARTS_ASKED 200 /* series whose recent samples are shown */

/* Kept until the recent samples of what it reads are here */
struct part {
	char *text, *value, *series, *away;
	unsigned depth;
	bool condition;
	Control__Assessment holds;
	double distance, threshold;
};

struct explain {
	struct cli *cli;
	json_t *object, *parts, *transitions;
	struct table *history;
	struct part *rows;
	size_t n_rows;
	bool failed;      /* out of memory */
	struct buf after; /* what comes below the tree, as text */
	unsigned changes;  /* in the history */
	bool broken;
	int64_t since; /* wall ns: of --since */
};

static void section(struct buf *b, const char *title, const char *text)
{
	bool start = true;

	if (!*text)
		return;
	buf_printf(b, "%s:\n", title);
	for (const char *c = text; *c; c++) {
		if (start)
			buf_puts(b, "    ");
		buf_putc(b, *c == '\n' || (unsigned char)*c >= 0x20 ? *c : '?');
		start = *c == '\n';
	}
	if (!start)
		buf_putc(b, '\n');
}

static void print_field(const struct out *o, const char *label, const char *text)
{
	printf("%s%-10s%s ", out_on(o, OUT_DIM), label, out_off(o, OUT_DIM));
	out_text(text);
	putchar('\n');
}

static void print_head(const struct explain *x, const Control__Explanation *e)
{
	const Control__Promise *p = e->promise;
	const struct out *o = &x->cli->out;
	enum out_color color = assessment_color(p->assessment);
	char ago[32], clock[CLOCK_TEXT_MAX];
	struct buf promisees = BUF_INIT;

	out_text(p->name);
	printf(" (");
	out_text(p->promiser);
	printf(") is %s%s%s for %s, since %s%s\n", out_on(o, color), assessment_text(p->assessment), out_off(o, color),
	       ago_text(p->since, clock_wall(), ago, sizeof(ago)), clock_format(p->since, clock, sizeof(clock)),
	       p->repaired ? ", after an action" : "");
	if (p->flapping) {
		char text[96];

		snprintf(text, sizeof(text), "broke %u times in the last %lld min: settle, grace or a margin would calm it", p->flapping,
		         (long long)(p->flap_window / (60 * NS_PER_S)));
		print_field(o, "flapping", text);
	}
	if (*p->because)
		print_field(o, "because", p->because);
	for (size_t i = 0; i < p->n_promisees; i++)
		buf_printf(&promisees, "%s%s", i ? ", " : "", p->promisees[i]);
	if (promisees.length)
		print_field(o, "to", buf_text(&promisees));
	buf_free(&promisees);
	print_field(o, "severity", priority_text(p->severity));
	print_field(o, "keep", p->body);
	print_field(o, "written", p->place);
	putchar('\n');
}

static void explain_text(struct explain *x, const Control__Explanation *e)
{
	print_head(x, e);
	section(&x->after, "Soon", e->pending);
	section(&x->after, "What would mend it", e->mend);
	section(&x->after, "Depends", e->depends);
	section(&x->after, "Actions", e->actions);
	section(&x->after, "Quiet", e->quiet);
	section(&x->after, "Attention", e->attention);
	section(&x->after, "No history", e->no_history);
	if (e->others)
		buf_printf(&x->after, "%u more of this name: kith promises %s, kith explain %s PROMISER\n", e->others,
		           e->promise->name, e->promise->name);
}

static void explain_json(struct explain *x, const Control__Explanation *e)
{
	x->object = promise_json(e->promise);
	json_object_set_new(x->object, "body", json_text(e->promise->body));
	json_object_set_new(x->object, "place", json_text(e->promise->place));
	json_object_set_new(x->object, "repaired", json_boolean(e->promise->repaired));
	json_object_set_new(x->object, "pending", json_text(e->pending));
	json_object_set_new(x->object, "mend", json_text(e->mend));
	json_object_set_new(x->object, "depends", json_text(e->depends));
	json_object_set_new(x->object, "actions", json_text(e->actions));
	json_object_set_new(x->object, "quiet", json_text(e->quiet));
	json_object_set_new(x->object, "attention", json_text(e->attention));
	json_object_set_new(x->object, "others", json_u64(e->others));
	json_object_set_new(x->object, "flaps", json_u64(e->promise->flapping));
	json_object_set_new(x->object, "parts", x->parts = json_array());
	json_object_set_new(x->object, "transitions", x->transitions = json_array());
}

static void part_keep(struct explain *x, const Control__Part *p)
{
	struct part *rows = realloc(x->rows, (x->n_rows + 1) * sizeof(*rows)), *row;

	if (!rows) {
		x->failed = true;
		return;
	}
	x->rows = rows;
	row = &rows[x->n_rows++];
	*row = (struct part){ .text = strdup(p->text), .value = strdup(p->value), .series = strdup(p->series), .away = strdup(p->away),
		              .depth = p->depth < 40 ? p->depth : 40, .condition = p->condition, .holds = p->holds,
		              .distance = p->distance, .threshold = p->threshold };
	if (!row->text || !row->value || !row->series || !row->away)
		x->failed = true;
}

static void parts_free(struct explain *x)
{
	for (size_t i = 0; i < x->n_rows; i++) {
		free(x->rows[i].text);
		free(x->rows[i].value);
		free(x->rows[i].series);
		free(x->rows[i].away);
	}
	free(x->rows);
}

/* What the series did lately, which is asked for on the same connection, or since that time. Without it there is enough to show. */
static struct past *parts_past(struct explain *x, struct client *client)
{
	char *names[PARTS_ASKED];
	struct past *past = NULL;
	size_t n = 0;

	for (size_t i = 0; i < x->n_rows && n < PARTS_ASKED; i++) {
		bool known = !*x->rows[i].series;

		for (size_t k = 0; k < n && !known; k++)
			known = !strcmp(names[k], x->rows[i].series);
		if (!known)
			names[n++] = x->rows[i].series;
	}
	if (past_new(names, n, &past) < 0)
		return NULL;
	if (cli_has(x->cli, EXPLAIN_SINCE))
		past_ask_since(past, x->cli, x->since);
	else
		past_ask(past, x->cli, client);
	return past;
}

static void parts_text(const struct explain *x, const struct past *past)
{
	static const char *const headers[] = { "  PART", "NOW", "", "LATELY", NULL };
	struct table *table = table_new(headers);

	for (size_t i = 0; i < x->n_rows; i++) {
		const struct part *p = &x->rows[i];
		struct buf lately = BUF_INIT;

		past_words(past, p->series, &x->cli->out, &lately);
		table_cell(table, OUT_PLAIN, "  %*s%s", (int)(p->depth * 2), "", p->text);
		table_cell(table, p->condition ? assessment_color(p->holds) : OUT_BOLD, "%s", p->value);
		table_cell(table, OUT_DIM, "%s", p->away);
		table_cell(table, OUT_CYAN, "%s", buf_text(&lately));
		buf_free(&lately);
	}
	table_print(table, &x->cli->out);
	table_free(table);
}

static void parts_json(const struct explain *x, const struct past *past)
{
	for (size_t i = 0; i < x->n_rows; i++) {
		const struct part *p = &x->rows[i];
		json_t *o = json_object();

		json_object_set_new(o, "depth", json_u64(p->depth));
		json_object_set_new(o, "text", json_text(p->text));
		json_object_set_new(o, "value", json_text(p->value));
		json_object_set_new(o, "holds", p->condition ? json_string(assessment_text(p->holds)) : json_null());
		json_object_set_new(o, "threshold", *p->away ? json_double(p->threshold) : json_null());
		json_object_set_new(o, "distance", *p->away ? json_double(p->distance) : json_null());
		json_object_set_new(o, "series", *p->series ? json_text(p->series) : json_null());
		json_object_set_new(o, "samples", past_json(past, p->series));
		json_array_append_new(x->parts, o);
	}
}

static void change_text(struct explain *x, const Control__Change *c)
{
	char clock[CLOCK_TEXT_MAX], lasted[32];
	int64_t ns = c->lasted > 0 ? c->lasted : 0;

	table_cell(x->history, OUT_DIM, "    %s", clock_format(c->time, clock, sizeof(clock)));
	table_cell(x->history, assessment_color(c->to), "%s -> %s%s", assessment_text(c->from), assessment_text(c->to),
	           c->repaired ? ", repaired" : "");
	if (ns < 10 * NS_PER_S)
		table_cell(x->history, OUT_PLAIN, "for %.3g s", (double)ns / 1e9);
	else
		table_cell(x->history, OUT_PLAIN, "for %s", ago_text(1, ns + 1, lasted, sizeof(lasted)));
	table_cell(x->history, OUT_PLAIN, "%s", *c->because ? c->because : "-");
}

static void change_json(struct explain *x, const Control__Change *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "time", json_time(c->time));
	json_object_set_new(o, "from", json_string(assessment_text(c->from)));
	json_object_set_new(o, "to", json_string(assessment_text(c->to)));
	json_object_set_new(o, "because", json_text(c->because));
	json_object_set_new(o, "repaired", json_boolean(c->repaired));
	json_object_set_new(o, "seconds", json_double((double)c->lasted / 1e9));
	json_array_append_new(x->transitions, o);
}

static void on_answer(const Control__Answer *answer, void *user)
{
	struct explain *x = user;

	if (answer->is_case == CONTROL__ANSWER__IS_EXPLANATION && answer->explanation->promise && !x->object) {
		x->broken = answer->explanation->promise->assessment == CONTROL__ASSESSMENT__BROKEN;
		if (x->cli->json)
			explain_json(x, answer->explanation);
		else
			explain_text(x, answer->explanation);
	} else if (answer->is_case == CONTROL__ANSWER__IS_PART) {
		part_keep(x, answer->part);
	} else if (answer->is_case == CONTROL__ANSWER__IS_CHANGE) {
		if (!x->cli->json)
			change_text(x, answer->change);
		else if (x->transitions)
			change_json(x, answer->change);
		x->changes++;
	}
}

static void explain_show(struct explain *x, const struct past *past)
{
	if (x->failed) {
		cli_fail("out of memory");
		json_decref(x->object);
	} else if (x->cli->json) {
		parts_json(x, past);
		json_line_take(x->object);
	} else {
		parts_text(x, past);
		if (x->after.length)
			printf("\n%s", buf_text(&x->after));
		if (x->changes)
			printf("History:\n");
		table_print(x->history, &x->cli->out);
	}
}

int cmd_explain(struct cli *cli)
{
	static const char *const history_headers[] = { "    TIME", "CHANGE", "LASTED", "BECAUSE", NULL };
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__ExplainRequest ask_explain = CONTROL__EXPLAIN_REQUEST__INIT;
	struct explain x = { .cli = cli };
	struct client *client;
	struct past *past = NULL;
	int status = cli_since(cli, EXPLAIN_SINCE, &x.since);

	if (status == CLI_YES)
		status = ask_open(cli, &client);
	if (status != CLI_YES)
		return status;
	ask_explain.name = cli->args[0];
	if (cli->n_args > 1)
		ask_explain.promiser = cli->args[1];
	request.ask_case = CONTROL__REQUEST__ASK_EXPLAIN;
	request.explain = &ask_explain;
	x.history = cli->json ? NULL : table_new(history_headers);
	status = ask_on(cli, client, &request, on_answer, &x);
	if (status == CLI_YES) {
		past = parts_past(&x, client);
		explain_show(&x, past);
	} else {
		json_decref(x.object);
	}
	client_close(client);
	past_free(past);
	parts_free(&x);
	table_free(x.history);
	buf_free(&x.after);
	if (status == CLI_YES && x.failed)
		return CLI_UNREACHABLE;
	return status == CLI_YES && x.broken ? CLI_NO : status;
}
