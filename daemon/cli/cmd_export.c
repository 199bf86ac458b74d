/* kith export: the past as CSV, by the running kithd or, without one, by kith-fold; as RRD files by kith-fold, which reads the state directory. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/places.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/history.h"

#define OPTIONS_MAX 16
#define DAY (24 * 3600 * NS_PER_S)
#define UNIX_FIRST (100000000 * NS_PER_S) /* kith-fold takes less for a time ago; there was no kith in 1973 */

struct export {
	struct cli *cli;
	char *state;             /* where the past is; allocated */
	int64_t from, to, step;  /* as in struct history_ask */
	struct client *client;   /* NULL: no kithd runs, or it is not to be asked */
};

static void on_status(const Control__Answer *answer, void *user)
{
	struct export *e = user;

	if (answer->is_case == CONTROL__ANSWER__IS_STATUS && !e->state && *answer->status->state_dir)
		e->state = strdup(answer->status->state_dir);
}

/* kithd's own word for where it keeps things, or the option, or the usual place */
static int find_state(struct export *e)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__StatusRequest status = CONTROL__STATUS_REQUEST__INIT;
	const char *given = cli_value(e->cli, EXPORT_STATE);
	struct buf why = BUF_INIT;
	int r = CLI_YES;

	if (given) {
		e->state = strdup(given);
		return e->state ? CLI_YES : CLI_UNREACHABLE;
	}
	request.ask_case = CONTROL__REQUEST__ASK_STATUS;
	request.status = &status;
	if (ask_open_quietly(e->cli, &e->client, &why) == CLI_YES)
		r = ask_on(e->cli, e->client, &request, on_status, e);
	else if (cli_has(e->cli, CLI_SOCKET))
		r = CLI_UNREACHABLE; /* that one was meant */
	if (r == CLI_UNREACHABLE && why.length)
		cli_fail("%s", buf_text(&why));
	buf_free(&why);
	if (r == CLI_YES && !e->state)
		e->state = places_state();
	return r == CLI_YES && !e->state ? CLI_UNREACHABLE : r;
}

static const char *time_option(int64_t wall, char *text, size_t size)
{
	wall = wall < UNIX_FIRST ? UNIX_FIRST : wall;
	snprintf(text, size, "%" PRId64 ".%03d", wall / NS_PER_S, (int)(wall % NS_PER_S / NS_PER_MS));
	return text;
}

/* In place of this process. `to`: NULL for CSV */
static int run_fold(struct export *e, const char *to, char **patterns, size_t n)
{
	const char **argv = calloc(n + OPTIONS_MAX, sizeof(*argv));
	char path[PATH_MAX], from[32], until[32], step[32];
	size_t at = 0;

	if (!argv)
		return CLI_UNREACHABLE;
	if (places_program("kith-fold", path) < 0) {
		cli_fail("the program kith-fold was not found: is kith installed whole?");
		free(argv);
		return CLI_UNREACHABLE;
	}
	argv[at++] = path;
	argv[at++] = "--state-dir";
	argv[at++] = e->state;
	argv[at++] = "--export";
	argv[at++] = to ? "rrd" : "csv";
	if (to) {
		argv[at++] = "--to";
		argv[at++] = to;
	}
	if (e->from) {
		argv[at++] = "--since";
		argv[at++] = time_option(e->from, from, sizeof(from));
	}
	if (e->to) {
		argv[at++] = "--until";
		argv[at++] = time_option(e->to, until, sizeof(until));
	}
	if (e->step) {
		snprintf(step, sizeof(step), "%" PRId64 "s", (e->step + NS_PER_S - 1) / NS_PER_S);
		argv[at++] = "--step";
		argv[at++] = step;
	}
	argv[at++] = "--";
	for (size_t k = 0; k < n; k++)
		argv[at++] = patterns[k];
	fflush(stdout);
	execv(path, (char **)(uintptr_t)argv);
	cli_fail("cannot run %s: %s", path, strerror(errno));
	free(argv);
	return CLI_UNREACHABLE;
}

static int export_csv(struct export *e)
{
	struct history_ask ask = { .patterns = e->cli->args + 1, .n_patterns = e->cli->n_args - 1, .from = e->from, .to = e->to, .step = e->step };

	return e->client ? history_csv(e->cli, &ask) : run_fold(e, NULL, ask.patterns, ask.n_patterns);
}

static int export_rrd(struct export *e)
{
	return run_fold(e, e->cli->args[1], e->cli->args + 2, e->cli->n_args - 2);
}

static int operands(const struct export *e, bool csv)
{
	if (!csv && strcmp(e->cli->args[0], "rrd") != 0) {
		cli_fail("export %s: say csv or rrd", e->cli->args[0]);
		return CLI_USAGE;
	}
	if (!csv && (e->from || e->to || e->step)) {
		cli_fail("RRD files hold all that is known: --since, --until and --step are for csv");
		return CLI_USAGE;
	}
	if (!csv && e->cli->n_args < 2) {
		cli_fail("export rrd: into which folder?");
		return CLI_USAGE;
	}
	return CLI_YES;
}

static int options(struct export *e)
{
	int status = history_span(e->cli, EXPORT_SINCE, EXPORT_UNTIL, &e->from, &e->to);

	if (status == CLI_YES)
		status = cli_duration(e->cli, EXPORT_STEP, &e->step);
	if (status != CLI_YES)
		return status;
	/* A step for each of all those that may be known would be too many. */
	if (e->step && !cli_has(e->cli, EXPORT_SINCE))
		e->from = (e->to ? e->to : clock_wall()) - DAY;
	if (e->cli->json) {
		cli_fail("export writes CSV or RRD files; for JSON: kith get --since 1d --json");
		return CLI_USAGE;
	}
	return CLI_YES;
}

int cmd_export(struct cli *cli)
{
	struct export e = { .cli = cli };
	bool csv = !strcmp(cli->args[0], "csv");
	int status = options(&e);

	if (status == CLI_YES)
		status = operands(&e, csv);
	if (status == CLI_YES)
		status = find_state(&e);
	if (status == CLI_YES)
		status = csv ? export_csv(&e) : export_rrd(&e);
	client_close(e.client);
	free(e.state);
	return status;
}
