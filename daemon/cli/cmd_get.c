/* kith get */
#include <stdio.h>

#include "base/units.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/history.h"
#include "cli/status.h"

struct get {
	struct cli *cli;
	struct table *table; /* NULL: JSON */
	size_t n;
};

json_t *sample_json(const Control__Sample *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_text(s->name));
	json_object_set_new(o, "value", json_value(s));
	json_object_set_new(o, "unit", json_text(s->unit));
	json_object_set_new(o, "time", json_time(s->time));
	return o;
}

static void on_sample(const Control__Answer *answer, void *user)
{
	struct get *get = user;
	const Control__Sample *s = answer->sample;
	char text[UNIT_TEXT_MAX], clock[32];

	if (answer->is_case != CONTROL__ANSWER__IS_SAMPLE)
		return;
	get->n++;
	if (!get->table) {
		json_t *o = sample_json(s);

		if (s->stale)
			json_object_set_new(o, "stale", json_true());
		json_array_add_take(&get->cli->out, o);
		return;
	}
	table_cell(get->table, OUT_PLAIN, "%s", s->name);
	table_cell(get->table, s->stale ? OUT_YELLOW : OUT_BOLD, "%s", value_text(s, text, sizeof(text)));
	table_cell(get->table, OUT_DIM, "%s%s", s->time ? clock_text(s->time, clock, sizeof(clock)) : "-",
	           s->stale ? " stale" : "");
}

int cmd_get(struct cli *cli)
{
	static const char *const headers[] = { "SERIES", ">VALUE", "TIME", NULL };
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__GetRequest ask_get = CONTROL__GET_REQUEST__INIT;
	struct get get = { .cli = cli };
	int status;

	if (cli_has(cli, GET_SINCE) || cli_has(cli, GET_UNTIL) || cli_has(cli, GET_STEP) || cli_has(cli, GET_AS))
		return history_get(cli);
	ask_get.patterns = cli->args;
	ask_get.n_patterns = cli->n_args;
	request.ask_case = CONTROL__REQUEST__ASK_GET;
	request.get = &ask_get;
	if (cli->json)
		json_array_begin(&cli->out);
	else
		get.table = table_new(headers);
	status = ask(cli, &request, on_sample, &get);
	if (cli->json)
		json_array_end(&cli->out);
	else
		table_print(get.table, &cli->out);
	table_free(get.table);
	return status == CLI_YES && !get.n ? CLI_NO : status;
}
