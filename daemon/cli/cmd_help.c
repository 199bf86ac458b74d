/* kith help, kith version */
#include <stdio.h>

#include "cli/cli.h"
#include "config.h"

int cmd_help(struct cli *cli)
{
	const struct cli_command *c;

	if (!cli->n_args) {
		cli_help_all();
		return CLI_YES;
	}
	c = cli_find(cli->args[0]);
	if (!c) {
		cli_fail("there is no command \"%s\": kith help lists them", cli->args[0]);
		return CLI_USAGE;
	}
	cli_help_command(c);
	return CLI_YES;
}

int cmd_version(struct cli *cli)
{
	if (cli_has(cli, CLI_JSON))
		json_line_take(json_pack("{s:s}", "version", PACKAGE_VERSION));
	else
		printf("kith %s\n", PACKAGE_VERSION);
	return CLI_YES;
}
