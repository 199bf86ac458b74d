/* The command line: options anywhere, also before the command and between the operands; `--` ends them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/when.h"

#define OPTIONS_MAX 32u /* of one command, with those of all */

const struct cli_option cli_common_options[] = {
	{ 's', "socket", "PATH", "the daemon's control socket", CLI_SOCKET },
	{ 'j', "json", NULL, "JSON instead of text", CLI_JSON },
	{ 0, "timeout", "T", "how long to wait for an answer (5s)", CLI_TIMEOUT },
	{ 0, "color", "WHEN", "auto, always or never", CLI_COLOR },
	{ 'v', "verbose", NULL, "say more, on standard error", CLI_VERBOSE },
	{ 'h', "help", NULL, "this help", CLI_HELP },
	{ 'V', "version", NULL, "the version", CLI_VERSION },
	{ 0, NULL, NULL, NULL, 0 },
};

static const struct cli_option *in_list(const struct cli_option *list, const char *name, size_t length, char letter)
{
	for (const struct cli_option *o = list; o && o->name; o++)
		if (name ? strlen(o->name) == length && !memcmp(o->name, name, length) : o->letter && o->letter == letter)
			return o;
	return NULL;
}

/* Before the command is known, its options are looked for in all commands: only to tell whether an argument follows. */
static const struct cli_option *option_find(const struct cli_command *command, const char *name, size_t length,
        char letter)
{
	const struct cli_option *o = in_list(cli_common_options, name, length, letter);

	if (o)
		return o;
	if (command)
		return in_list(command->options, name, length, letter);
	for (const struct cli_command *c = cli_commands; c->name && !o; c++)
		o = in_list(c->options, name, length, letter);
	return o;
}

static int option_unknown(const struct cli_command *command, const char *name, size_t length)
{
	const char *names[OPTIONS_MAX], *near;
	size_t n = 0;

	for (const struct cli_option *o = cli_common_options; o->name; o++)
		names[n++] = o->name;
	for (const struct cli_option *o = command ? command->options : NULL; o && o->name && n < OPTIONS_MAX; o++)
		names[n++] = o->name;
	near = suggest(name, length, names, n);
	if (near)
		cli_fail("unknown option --%.*s: did you mean --%s?", (int)length, name, near);
	else
		cli_fail("unknown option --%.*s: see kith help%s%s", (int)length, name, command ? " " : "",
		         command ? command->name : "");
	return CLI_USAGE;
}

struct parser {
	struct cli *cli;
	char **argv;
	int argc, at;
	bool record; /* keep what is found: not in the first pass, which only looks for the command */
};

static int option_take(struct parser *p, const struct cli_option *o, const char *attached, const char *shown)
{
	const char *value = NULL;

	if (o->argument) {
		value = attached ? attached : p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
		if (!value) {
			if (p->record)
				cli_fail("%s needs an argument: %s", shown, o->argument);
			return CLI_USAGE;
		}
	} else if (attached) {
		if (p->record)
			cli_fail("%s takes no argument", shown);
		return CLI_USAGE;
	}
	if (p->record)
		p->cli->given[p->cli->n_given++] = (struct cli_given){ o->id, value };
	return CLI_YES;
}

static int parse_long(struct parser *p, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);
	const struct cli_option *o = option_find(p->cli->command, text, length, 0);

	if (!o)
		return p->record ? option_unknown(p->cli->command, text, length) : CLI_YES;
	return option_take(p, o, equals ? equals + 1 : NULL, text - 2);
}

static int parse_letters(struct parser *p, const char *text)
{
	for (; *text; text++) {
		const struct cli_option *o = option_find(p->cli->command, NULL, 0, *text);
		char shown[3] = { '-', *text, 0 };
		int r;

		if (!o) {
			if (p->record)
				cli_fail("unknown option %s: see kith help", shown);
			return p->record ? CLI_USAGE : CLI_YES;
		}
		r = option_take(p, o, o->argument && text[1] ? text + 1 : NULL, shown);
		if (r != CLI_YES || o->argument)
			return r;
	}
	return CLI_YES;
}

/* Operands to `args`; in the first pass it stops at the first one. */
static int parse_pass(struct parser *p, char **args, unsigned *ret_n)
{
	bool options = true;
	unsigned n = 0;

	for (p->at = 1; p->at < p->argc; p->at++) {
		char *text = p->argv[p->at];
		int r = CLI_YES;

		if (options && !strcmp(text, "--")) {
			options = false;
		} else if (options && text[0] == '-' && text[1] == '-') {
			r = parse_long(p, text + 2);
		} else if (options && text[0] == '-' && text[1]) {
			r = parse_letters(p, text + 1);
		} else {
			args[n++] = text;
			if (!p->record)
				break;
		}
		if (r != CLI_YES)
			return r;
	}
	*ret_n = n;
	return CLI_YES;
}

static int command_find(struct cli *cli, const char *name)
{
	const char *names[OPTIONS_MAX], *near;
	size_t n = 0;

	cli->command = cli_find(name);
	if (cli->command)
		return CLI_YES;
	for (const struct cli_command *c = cli_commands; c->name && n < OPTIONS_MAX; c++)
		names[n++] = c->name;
	near = suggest(name, strlen(name), names, n);
	if (near)
		cli_fail("unknown command \"%s\": did you mean \"%s\"?", name, near);
	else
		cli_fail("unknown command \"%s\": kith help lists them", name);
	return CLI_USAGE;
}

static int operands_check(const struct cli *cli)
{
	const struct cli_command *c = cli->command;

	if (cli_has(cli, CLI_HELP) || cli_has(cli, CLI_VERSION))
		return CLI_YES;
	if (cli->n_args < c->min)
		cli_fail("%s needs more: kith %s %s", c->name, c->name, c->operands);
	else if (cli->n_args > c->max)
		cli_fail("%s does not take \"%s\": kith %s%s%s", c->name, cli->args[c->max], c->name, *c->operands ? " " : "",
		         c->operands);
	else
		return CLI_YES;
	return CLI_USAGE;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
	struct parser p = { .cli = cli, .argv = argv, .argc = argc };
	unsigned n = 0;
	int r;

	cli->args = calloc((size_t)argc + 1, sizeof(*cli->args));
	/* A word of letters may hold many options. */
	for (int i = 1; i < argc; i++)
		n += (unsigned)strlen(argv[i]) + 1;
	cli->given = calloc(n + 1, sizeof(*cli->given));
	if (!cli->args || !cli->given) {
		cli_fail("out of memory");
		return CLI_UNREACHABLE;
	}
	r = parse_pass(&p, cli->args, &n);
	if (r == CLI_YES && n)
		r = command_find(cli, cli->args[0]);
	else
		r = CLI_YES; /* the second pass says what is wrong */
	if (r != CLI_YES)
		return r;
	p.record = true;
	r = parse_pass(&p, cli->args, &n);
	if (r != CLI_YES)
		return r;
	if (!cli->command)
		return CLI_YES;
	cli->n_args = n - 1;
	memmove(cli->args, cli->args + 1, n * sizeof(*cli->args));
	return operands_check(cli);
}

bool cli_has(const struct cli *cli, int id)
{
	for (size_t i = 0; i < cli->n_given; i++)
		if (cli->given[i].id == id)
			return true;
	return false;
}

const char *cli_value(const struct cli *cli, int id)
{
	for (size_t i = cli->n_given; i > 0; i--)
		if (cli->given[i - 1].id == id)
			return cli->given[i - 1].value;
	return NULL;
}

int cli_duration(const struct cli *cli, int id, int64_t *ret_ns)
{
	const char *text = cli_value(cli, id), *unit = "";
	size_t used = 0;
	double value = 0;

	if (!text)
		return CLI_YES;
	if (unit_parse(text, strlen(text), &value, &unit, &used) < 0 || text[used] || (*unit && strcmp(unit, "s") != 0) ||
	    !(value > 0) || value > 366 * 86400.) {
		cli_fail("\"%s\" is no duration: say 500ms, 10s, 5m or 1h", text);
		return CLI_USAGE;
	}
	*ret_ns = (int64_t)(value * 1e9);
	return CLI_YES;
}

int cli_time(const struct cli *cli, int id, int64_t *ret_time)
{
	const char *text = cli_value(cli, id);

	if (!text || when_past(text, clock_wall(), ret_time) == 0)
		return CLI_YES;
	cli_fail("\"%s\" is no time: say 10m (ago), 18:00, 2026-12-24, \"2026-12-24 18:00\", RFC 3339 or seconds since 1970", text);
	return CLI_USAGE;
}

int cli_since(const struct cli *cli, int id, int64_t *ret_time)
{
	int status = cli_time(cli, id, ret_time);

	if (status == CLI_YES && cli_has(cli, id) && *ret_time > clock_wall()) {
		cli_fail("--since %s is in the future", cli_value(cli, id));
		return CLI_USAGE;
	}
	return status;
}

int cli_number(const struct cli *cli, int id, uint64_t *ret_number)
{
	const char *text = cli_value(cli, id);
	unsigned long long value;
	char *end;

	if (!text)
		return CLI_YES;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end || end == text || *text == '-' || errno || !value) {
		cli_fail("\"%s\" is no number from 1", text);
		return CLI_USAGE;
	}
	*ret_number = value;
	return CLI_YES;
}
