/* kith plugins */
#include <string.h>

#include "cli/cli.h"

struct plugins {
	struct cli *cli;
	struct table *table; /* NULL: JSON */
};

static enum out_color state_color(const char *state)
{
	if (!strcmp(state, "running"))
		return OUT_GREEN;
	return strcmp(state, "skipped") != 0 ? OUT_RED : OUT_YELLOW;
}

static void on_plugin(const Control__Answer *answer, void *user)
{
	struct plugins *p = user;
	const Control__Plugin *plugin = answer->plugin;
	json_t *o;

	if (answer->is_case != CONTROL__ANSWER__IS_PLUGIN)
		return;
	if (p->table) {
		table_cell(p->table, OUT_BOLD, "%s", plugin->name);
		table_cell(p->table, OUT_PLAIN, "%s", *plugin->version ? plugin->version : "-");
		table_cell(p->table, state_color(plugin->state), "%s", plugin->state);
		table_cell(p->table, OUT_PLAIN, "%u", plugin->series);
		table_cell(p->table, OUT_PLAIN, "%s", *plugin->reason ? plugin->reason : "-");
		return;
	}
	o = json_object();
	json_object_set_new(o, "name", json_text(plugin->name));
	json_object_set_new(o, "version", json_text(plugin->version));
	json_object_set_new(o, "state", json_text(plugin->state));
	json_object_set_new(o, "reason", json_text(plugin->reason));
	json_object_set_new(o, "series", json_u64(plugin->series));
	json_object_set_new(o, "file", json_text(plugin->file));
	json_array_add_take(&p->cli->out, o);
}

int cmd_plugins(struct cli *cli)
{
	static const char *const headers[] = { "PLUGIN", "VERSION", "STATE", ">SERIES", "REASON", NULL };
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__PluginsRequest ask_plugins = CONTROL__PLUGINS_REQUEST__INIT;
	struct plugins p = { .cli = cli };
	int status;

	request.ask_case = CONTROL__REQUEST__ASK_PLUGINS;
	request.plugins = &ask_plugins;
	if (cli->json)
		json_array_begin(&cli->out);
	else
		p.table = table_new(headers);
	status = ask(cli, &request, on_plugin, &p);
	if (cli->json)
		json_array_end(&cli->out);
	else
		table_print(p.table, &cli->out);
	table_free(p.table);
	return status;
}
