/* kith promises */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/status.h"

struct promises_view {
	struct cli *cli;
	/* Broken, unknown, kept: people want the worst first; NULL: JSON, in the order of the files */
	struct table *tables[3];
	bool reliability;
	bool any;   /* a filter was given */
	bool show[3]; /* by Control__Assessment */
	size_t matched, broken;
};

json_t *promise_json(const Control__Promise *p)
{
	json_t *o = json_object(), *promisees = json_array();

	for (size_t i = 0; i < p->n_promisees; i++)
		json_array_append_new(promisees, json_text(p->promisees[i]));
	json_object_set_new(o, "name", json_text(p->name));
	json_object_set_new(o, "promiser", json_text(p->promiser));
	json_object_set_new(o, "promisees", promisees);
	json_object_set_new(o, "assessment", json_string(assessment_text(p->assessment)));
	json_object_set_new(o, "since", json_time(p->since));
	json_object_set_new(o, "severity", json_string(priority_text(p->severity)));
	json_object_set_new(o, "because", json_text(p->because));
	json_object_set_new(o, "flapping", json_boolean(p->flapping));
	json_object_set_new(o, "acknowledged", json_boolean(p->acknowledged));
	json_object_set_new(o, "silenced", json_boolean(p->silenced));
	return o;
}

const char *flapping_text(const Control__Promise *p, char *text, size_t size)
{
	*text = '\0';
	if (p->flapping)
		snprintf(text, size, "flapping (%u times in %lld min): ", p->flapping, (long long)(p->flap_window / (60 * NS_PER_S)));
	return text;
}

static unsigned assessment_index(Control__Assessment a)
{
	return a == CONTROL__ASSESSMENT__BROKEN ? 0 : a == CONTROL__ASSESSMENT__UNKNOWN ? 1 : 2;
}

static void add_row(struct table *t, const Control__Promise *p)
{
	char ago[32], flapping[64];

	table_cell(t, assessment_color(p->assessment), "%s", assessment_text(p->assessment));
	table_cell(t, OUT_BOLD, "%s", p->name);
	table_cell(t, OUT_PLAIN, "%s", p->promiser);
	table_cell(t, OUT_DIM, "%s", ago_text(p->since, clock_wall(), ago, sizeof(ago)));
	table_cell(t, OUT_PLAIN, "%s", priority_text(p->severity));
	table_cell(t, p->flapping ? OUT_YELLOW : OUT_PLAIN, "%s%s%s%s", p->acknowledged ? "acknowledged: " : "", p->silenced ? "silenced: " : "",
	           flapping_text(p, flapping, sizeof(flapping)), *p->because ? p->because : "-");
}

static void on_promise(const Control__Answer *answer, void *user)
{
	struct promises_view *v = user;
	const Control__Promise *p = answer->promise;
	unsigned index;

	if (answer->is_case != CONTROL__ANSWER__IS_PROMISE)
		return;
	v->matched++;
	index = assessment_index(p->assessment);
	if (v->any && !v->show[index])
		return;
	v->broken += index == 0;
	if (v->cli->json) {
		json_t *o = promise_json(p);

		if (v->reliability)
			json_object_set_new(o, "reliability", reliability_json(p));
		json_array_add_take(&v->cli->out, o);
	} else if (v->reliability) {
		reliability_row(v->tables[index], p);
	} else {
		add_row(v->tables[index], p);
	}
}

/* One table of three: their columns are to be aligned with one another. */
static void print_tables(struct promises_view *v)
{
	table_join(v->tables[0], v->tables[1]);
	table_join(v->tables[0], v->tables[2]);
	table_print(v->tables[0], &v->cli->out);
	for (int i = 0; i < 3; i++)
		table_free(v->tables[i]);
}

int cmd_promises(struct cli *cli)
{
	static const char *const headers[] = { "STATE", "PROMISE", "PROMISER", ">SINCE", "SEVERITY", "BECAUSE", NULL };
	static const char *const reliability_headers[] = { "STATE", "PROMISE", "PROMISER", ">1 H", ">1 D", ">30 D", ">BREAKS", ">REPAIRS",
		                                           ">LONGEST", ">TO MEND", "NOTE", NULL };
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__PromisesRequest ask_promises = CONTROL__PROMISES_REQUEST__INIT;
	struct promises_view v = { .cli = cli };
	int status;

	v.show[0] = cli_has(cli, PROMISES_BROKEN);
	v.show[1] = cli_has(cli, PROMISES_UNKNOWN);
	v.show[2] = cli_has(cli, PROMISES_KEPT);
	v.any = v.show[0] || v.show[1] || v.show[2];
	v.reliability = cli_has(cli, PROMISES_RELIABILITY);
	ask_promises.reliability = v.reliability;
	ask_promises.patterns = cli->args;
	ask_promises.n_patterns = cli->n_args;
	request.ask_case = CONTROL__REQUEST__ASK_PROMISES;
	request.promises = &ask_promises;
	if (cli->json)
		json_array_begin(&cli->out);
	for (int i = 0; i < 3 && !cli->json; i++)
		v.tables[i] = table_new(v.reliability ? reliability_headers : headers);
	status = ask(cli, &request, on_promise, &v);
	if (cli->json)
		json_array_end(&cli->out);
	else
		print_tables(&v);
	if (status != CLI_YES)
		return status;
	return v.broken || (cli->n_args && !v.matched) ? CLI_NO : CLI_YES;
}
