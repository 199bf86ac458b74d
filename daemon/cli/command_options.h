/* Ids of the options that single commands have: between the table and the command's file. */
#ifndef KITH_CLI_COMMAND_OPTIONS_H
#define KITH_CLI_COMMAND_OPTIONS_H

enum cli_own_option {
	WATCH_FOR = 100, /* CLI_OPTION_OWN */
	WATCH_COUNT,
	WATCH_ONLY_SAMPLES,
	WATCH_ONLY_RECORDS,
	WATCH_ONLY_TRANSITIONS,
	TOP_FOR,
	TOP_COUNT,
	PROMISES_BROKEN,
	PROMISES_KEPT,
	PROMISES_UNKNOWN,
	PROMISES_RELIABILITY,
	CHECK_EXPLAIN,
};

#endif
