/* The table of commands. */
#include "cli/cli.h"
#include "cli/command_options.h"

#define MANY 100000u

static const struct cli_option get_options[] = {
	{ 0, "since", "TIME", "the past from then on: 10m, 18:00, a date", GET_SINCE },
	{ 0, "until", "TIME", "up to then", GET_UNTIL },
	{ 0, "step", "T", "one value for each so long, with least and most", GET_STEP },
	{ 0, "as", "FORM", "csv, json or table", GET_AS },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option graph_options[] = {
	{ 0, "since", "TIME", "from then on: 10m, 18:00, a date (1h)", GRAPH_SINCE },
	{ 0, "until", "TIME", "up to then", GRAPH_UNTIL },
	{ 'o', "output", "FILE", "a picture: FILE.png or FILE.svg", GRAPH_OUTPUT },
	{ 0, "width", "N", "columns, or pixels of a picture", GRAPH_WIDTH },
	{ 0, "height", "N", "lines, or pixels of a picture", GRAPH_HEIGHT },
	{ 0, "title", "TEXT", "above a picture", GRAPH_TITLE },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option explain_options[] = {
	{ 0, "since", "TIME", "what the values were from then on: 10m, 18:00, a date", EXPLAIN_SINCE },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option export_options[] = {
	{ 0, "since", "TIME", "csv: from then on, and not all that is known", EXPORT_SINCE },
	{ 0, "until", "TIME", "csv: up to then", EXPORT_UNTIL },
	{ 0, "step", "T", "csv: one value for each so long, with least and most", EXPORT_STEP },
	{ 0, "state-dir", "DIR", "where the past is kept, when it is not that of a running kithd", EXPORT_STATE },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option watch_options[] = {
	{ 0, "for", "T", "stop after this long", WATCH_FOR },
	{ 'n', "count", "N", "stop after this many lines", WATCH_COUNT },
	{ 0, "samples", NULL, "only samples (and what else is named)", WATCH_ONLY_SAMPLES },
	{ 0, "records", NULL, "only records", WATCH_ONLY_RECORDS },
	{ 0, "transitions", NULL, "only transitions of promises", WATCH_ONLY_TRANSITIONS },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option top_options[] = {
	{ 0, "for", "T", "stop after this long", TOP_FOR },
	{ 'n', "count", "N", "stop after this many pictures", TOP_COUNT },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option promises_options[] = {
	{ 0, "broken", NULL, "only those that are broken", PROMISES_BROKEN },
	{ 0, "kept", NULL, "only those that are kept", PROMISES_KEPT },
	{ 0, "unknown", NULL, "only those that are unknown", PROMISES_UNKNOWN },
	{ 0, "reliability", NULL, "how well each was kept over 1 h, 1 d and 30 d", PROMISES_RELIABILITY },
	{ 0, NULL, NULL, NULL, 0 },
};

static const struct cli_option check_options[] = {
	{ 0, "explain", NULL, "say in plain English what each promise means", CHECK_EXPLAIN },
	{ 0, NULL, NULL, NULL, 0 },
};

static const struct cli_option replay_options[] = {
	{ 0, "since", "DURATION", "tell of the last so long alone: 10m, 1d", REPLAY_SINCE },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option ack_options[] = {
	{ 0, "until", "TIME", "and no longer than this, even if it is still broken", ACK_UNTIL },
	{ 0, "because", "TEXT", "why, for whoever looks", ACK_BECAUSE },
	{ 0, "promiser", "PATTERN", "only those of this promiser", ACK_PROMISER },
	{ 0, "remove", NULL, "take it back", ACK_REMOVE },
	{ 0, NULL, NULL, NULL, 0 },
};
static const struct cli_option silence_options[] = {
	{ 0, "promiser", "PATTERN", "only those of this promiser", SILENCE_PROMISER },
	{ 0, "from", "TIME", "when it begins; now without", SILENCE_FROM },
	{ 0, "to", "TIME", "when it ends", SILENCE_TO },
	{ 0, "for", "T", "how long it lasts", SILENCE_FOR },
	{ 0, "every", "DAYS", "again on these: day, week, mon..fri, sat,sun", SILENCE_EVERY },
	{ 0, "because", "TEXT", "why, for whoever looks", SILENCE_BECAUSE },
	{ 0, "remove", "ID", "end the silence of this number", SILENCE_REMOVE },
	{ 0, NULL, NULL, NULL, 0 },
};

static const struct cli_option log_options[] = {
	{ 0, "since", "TIME", "from then on: 10m, 18:00, \"2026-12-24 18:00\"", LOG_SINCE },
	{ 0, "until", "TIME", "up to then", LOG_UNTIL },
	{ 'p', "priority", "NAME", "this and more urgent ones: error, warning, … or 0 to 7", LOG_PRIORITY },
	{ 'g', "grep", "REGEX", "those whose message matches", LOG_GREP },
	{ 0, "fields", "K=V[,K=V]", "those with all of these fields", LOG_FIELDS },
	{ 'n', "last", "N", "so many of the last (50, without --since)", LOG_LAST },
	{ 'f', "follow", NULL, "and what comes", LOG_FOLLOW },
	{ 0, "own", NULL, "kith's own records alone", LOG_OWN },
	{ 0, "system", NULL, "the system's journal alone", LOG_SYSTEM },
	{ 0, NULL, NULL, NULL, 0 },
};

const struct cli_command cli_commands[] = {
	{ "status", "", "What this host's kithd does, and what it costs", NULL, NULL, 0, 0, cmd_status },
	{ "get", "[PATTERN…]", "The values of series, now or in the past",
	  "A pattern is family:instance:metric, family:metric, family:instance or a family; '*' stands for anything\n"
	  "within a part. Without a pattern: everything. With --since, --until, --step or --as the past: every sample\n"
	  "where they are there, counters as rates. Exit status 1: nothing matched.",
	  get_options, 0, MANY, cmd_get },
	{ "graph", "PATTERN…", "The past of series, drawn",
	  "In the terminal, or with -o as a picture. TIME: 10m (ago), 18:00, 2026-12-24, RFC 3339. --json: the\n"
	  "values that would be drawn. Exit status 1: there is nothing to draw.",
	  graph_options, 1, MANY, cmd_graph },
	{ "export", "csv [PATTERN…] | rrd FOLDER [PATTERN…]", "The past of series, for other programs",
	  "csv: to standard output, all that is known, or what --since, --until and --step say (with a step: of the\n"
	  "last day). rrd: RRD files with all that is known, into a folder that is new or empty; for whoever may\n"
	  "read the state directory. Without a running kithd both read it. Exit status 1: nothing matched.",
	  export_options, 1, MANY, cmd_export },
	{ "watch", "[PATTERN…]", "Samples, records and transitions, as they come",
	  "A pattern names series as for get, or promises (room.*, room.disk). Several kinds may be asked for.\n"
	  "Exit status 1: ended without having shown anything.",
	  watch_options, 0, MANY, cmd_watch },
	{ "top", "[PATTERN…]", "A live picture of the host, its promises and kithd's cost",
	  "Not on a terminal: one picture as plain text. Keys: q ends.", top_options, 0, MANY, cmd_top },
	{ "promises", "[PATTERN…]", "What was promised, and whether it is kept",
	  "A pattern names promises (room.disk, room.*, room) or promisers (df:*). Exit status 1: one that is shown\n"
	  "is broken, or nothing matched.",
	  promises_options, 0, MANY, cmd_promises },
	{ "explain", "PROMISE [PROMISER]", "Why a promise is kept or broken, with the values now, and what would mend it",
	  "Of several promises of one name the worst is explained. Exit status 1: it is broken, or there is none.", explain_options, 1, 2,
	  cmd_explain },
	{ "log", "[PATTERN…]", "What was: records of plugins and promises, and the system's journal, in order of time",
	  "A pattern names subjects (kmsg:*, df:/, service:ssh.service) or promises (room.*). TIME: so long ago, a time of\n"
	  "day, a date, or RFC 3339. Exit status 1: nothing matched.",
	  log_options, 0, MANY, cmd_log },
	{ "plugins", "", "The plugins, and why one does not run", NULL, NULL, 0, 0, cmd_plugins },
	{ "cost", "", "What each plugin and each promise costs", NULL, NULL, 0, 0, cmd_cost },
	{ "check", "FILE…", "Checks promise files",
	  "By the running kithd, so that names and units are checked against what it measures; without one by\n"
	  "`kithd --check`. Exit status 1: there are faults.",
	  check_options, 1, MANY, cmd_check },
	{ "replay", "FILE…", "When promises would have broken",
	  "Holds promise files against the recent samples that kithd keeps of what its promises name. Nothing is run.\n"
	  "Exit status 1: one would have broken.",
	  replay_options, 1, MANY, cmd_replay },
	{ "ack", "PROMISE… [PROMISER]", "Somebody knows: tells nobody of it again until it is kept",
	  "PROMISE may be a pattern (room.*, room, df:*). TIME: 2h, 18:00, \"2026-12-24 18:00\" or RFC 3339.\n"
	  "Exit status 1: it is not broken, or there is none.",
	  ack_options, 1, MANY, cmd_ack },
	{ "silence", "[PATTERN]", "Tells nobody of these promises for a time, once or again and again",
	  "TIME: 2h, 18:00, \"2026-12-24 18:00\" or RFC 3339; with --every a time of day. One of --to, --for and\n"
	  "--every is needed. What is still broken when it ends is told then.",
	  silence_options, 0, 1, cmd_silence },
	{ "silences", "", "What is silenced and acknowledged, and how those who are told are reached", NULL, NULL, 0, 0, cmd_silences },
	{ "help", "[COMMAND]", "This help, or a command's", NULL, NULL, 0, 1, cmd_help },
	{ "version", "", "The version", NULL, NULL, 0, 0, cmd_version },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0, NULL },
};
