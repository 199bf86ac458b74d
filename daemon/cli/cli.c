/* kith(1): reads the command line, runs the command, looks whether its output was written. */
#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define TIMEOUT_DEFAULT (5 * NS_PER_S)

void cli_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("kith: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

const struct cli_command *cli_find(const char *name)
{
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static void help_options(const struct cli_option *options)
{
	for (const struct cli_option *o = options; o && o->name; o++) {
		char text[64];

		snprintf(text, sizeof(text), "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
		if (o->letter)
			printf("  -%c, %-18s %s\n", o->letter, text, o->help);
		else
			printf("      %-18s %s\n", text, o->help);
	}
}

void cli_help_command(const struct cli_command *c)
{
	printf("kith %s%s%s%s\n\n%s.\n", c->name, c->options ? " [OPTION…]" : "", *c->operands ? " " : "",
	        c->operands, c->summary);
	if (c->help)
		printf("%s\n", c->help);
	if (c->options) {
		printf("\nOptions:\n");
		help_options(c->options);
	}
	printf("\nOptions of every command:\n");
	help_options(cli_common_options);
}

void cli_help_all(void)
{
	printf("kith [OPTION…] COMMAND …\n\nAsks kithd, the monitor of this host.\n\nCommands:\n");
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		char text[64];

		snprintf(text, sizeof(text), "%s%s%s", c->name, *c->operands ? " " : "", c->operands);
		printf("  %-28s %s\n", text, c->summary);
	}
	printf("\nOptions of every command:\n");
	help_options(cli_common_options);
	printf("\nExit status: 0 yes; 1 no (broken, nothing matched); 2 usage; 3 kithd cannot be reached.\n"
	       "More: kith help COMMAND, man kith\n");
}

static int settle_options(struct cli *cli)
{
	cli->json = cli_has(cli, CLI_JSON);
	cli->verbose = cli_has(cli, CLI_VERBOSE);
	cli->timeout = TIMEOUT_DEFAULT;
	if (cli_duration(cli, CLI_TIMEOUT, &cli->timeout) != CLI_YES)
		return CLI_USAGE;
	if (out_init(&cli->out, cli_value(cli, CLI_COLOR)) < 0) {
		cli_fail("--color is auto, always or never, not \"%s\"", cli_value(cli, CLI_COLOR));
		return CLI_USAGE;
	}
	return CLI_YES;
}

static int run(struct cli *cli)
{
	if (cli_has(cli, CLI_VERSION))
		return cmd_version(cli);
	if (!cli->command) {
		if (cli_has(cli, CLI_HELP)) {
			cli_help_all();
			return CLI_YES;
		}
		cli_fail("say what you want: kith status, or kith help");
		return CLI_USAGE;
	}
	if (cli_has(cli, CLI_HELP)) {
		cli_help_command(cli->command);
		return CLI_YES;
	}
	return cli->command->run(cli);
}

int cli_end(struct cli *cli, int status)
{
	int r = out_flush(&cli->out);

	if (r == 0)
		return status;
	if (r != -EPIPE)
		cli_fail("cannot write: %s", strerror(-r));
	return status == CLI_YES ? CLI_NO : status;
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	int status;

	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C"); /* numbers are read and written with a point */
	/* A reader that has gone is told of by EPIPE. */
	signal(SIGPIPE, SIG_IGN);
	status = cli_parse(&cli, argc, argv);
	if (status == CLI_YES)
		status = settle_options(&cli);
	if (status == CLI_YES)
		status = run(&cli);
	status = cli_end(&cli, status);
	free(cli.given);
	free(cli.args);
	return status;
}
