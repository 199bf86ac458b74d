/*
 * kith: one table of commands (commands.c), one file each (cmd_NAME.c). What they share is here: options, asking the
 * daemon, output.
 * Links base, the control client and jansson; nothing else of the daemon's.
 */
#ifndef KITH_CLI_H
#define KITH_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/out.h"
#include "control/client.h"

/* Exit statuses, the same for every command */
enum cli_status {
	CLI_YES = 0,
	CLI_NO = 1,          /* broken, or nothing matched */
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3, /* the daemon or a neighbour */
};

struct cli_option {
	char letter;          /* 0: none */
	const char *name;     /* NULL ends the list */
	const char *argument; /* what to call it in the help; NULL: takes none */
	const char *help;
	int id;
};

struct cli_given {
	int id;
	const char *value; /* NULL: takes none */
};

struct cli;
struct cli_command {
	const char *name, *operands, *summary, *help; /* help: more than the summary, several lines; may be NULL */
	const struct cli_option *options;             /* NULL: none of its own */
	unsigned min, max;                            /* operands */
	int (*run)(struct cli *cli);                  /* gives an exit status */
};
extern const struct cli_command cli_commands[]; /* ends with name NULL */

/* Options of every command have ids below this, those of one command start here */
#define CLI_OPTION_OWN 100
enum cli_common { CLI_SOCKET = 1, CLI_JSON, CLI_TIMEOUT, CLI_COLOR, CLI_VERBOSE, CLI_HELP, CLI_VERSION };
extern const struct cli_option cli_common_options[];

struct cli {
	const struct cli_command *command;
	struct cli_given *given;
	size_t n_given;
	char **args; /* the operands */
	unsigned n_args;
	bool json, verbose;
	bool unmatched_fine; /* a pattern that matches nothing is not said */
	int64_t timeout; /* ns */
	struct out out;
};

/* cli.c */
const struct cli_command *cli_find(const char *name);
void cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2))); /* "kith: …" on standard error */
void cli_help_command(const struct cli_command *command);
void cli_help_all(void);
/* Writes what is left to be written, and says what could not be. The exit status, with that in it */
int cli_end(struct cli *cli, int status);

/* options.c. CLI_USAGE: said why. Sets command, given, args. */
int cli_parse(struct cli *cli, int argc, char **argv);
bool cli_has(const struct cli *cli, int id);
const char *cli_value(const struct cli *cli, int id); /* the last one given; NULL: not given */
/* A duration in ns, of at most a year; a bare number is seconds. Untouched when not given. */
int cli_duration(const struct cli *cli, int id, int64_t *ret_ns);
/* A time, wall ns: 10m (ago), 18:00, a date, RFC 3339. Untouched when not given. */
int cli_time(const struct cli *cli, int id, int64_t *ret_time);
int cli_since(const struct cli *cli, int id, int64_t *ret_time); /* the same, and not in the future */
int cli_number(const struct cli *cli, int id, uint64_t *ret_number); /* from 1 */

/* ask.c */
/* Connects. CLI_YES, or CLI_UNREACHABLE and said what to do. */
int ask_open(struct cli *cli, struct client **ret_client);
int ask_open_quietly(struct cli *cli, struct client **ret_client, struct buf *why);
int64_t ask_deadline(const struct cli *cli);
/* An answer's `fault`, or an errno of the client: said on standard error, and the exit status for it */
int ask_fault(const Control__Fault *fault);
int ask_error(struct cli *cli, int error);
typedef void (*ask_fn)(const Control__Answer *answer, void *user);
/* Sends, gives every item to `fn`, says which patterns matched nothing. CLI_YES when the answer was whole. */
int ask_on(struct cli *cli, struct client *client, const Control__Request *request, ask_fn fn, void *user);
int ask(struct cli *cli, const Control__Request *request, ask_fn fn, void *user);
/* The same, where the time to wait is from one item to the next: for what may take long */
int ask_long(struct cli *cli, const Control__Request *request, ask_fn fn, void *user);

/* The commands */
int cmd_status(struct cli *cli);
int cmd_get(struct cli *cli);
int cmd_graph(struct cli *cli);
int cmd_export(struct cli *cli);
int cmd_watch(struct cli *cli);
int cmd_top(struct cli *cli);
int cmd_promises(struct cli *cli);
int cmd_explain(struct cli *cli);
int cmd_log(struct cli *cli);
int cmd_replay(struct cli *cli);
int cmd_plugins(struct cli *cli);
int cmd_cost(struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_ack(struct cli *cli);
int cmd_silence(struct cli *cli);
int cmd_silences(struct cli *cli);
int cmd_help(struct cli *cli);
int cmd_version(struct cli *cli);

#define CLI_N(array) (sizeof(array) / sizeof((array)[0]))

#endif
