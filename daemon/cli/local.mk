# daemon/cli: kith
bin_PROGRAMS += kith
kith_SOURCES = \
	daemon/cli/ask.c \
	daemon/cli/cli.c daemon/cli/cli.h \
	daemon/cli/cmd_ack.c \
	daemon/cli/cmd_check.c \
	daemon/cli/cmd_cost.c \
	daemon/cli/cmd_explain.c \
	daemon/cli/cmd_export.c \
	daemon/cli/cmd_get.c \
	daemon/cli/cmd_graph.c \
	daemon/cli/cmd_help.c \
	daemon/cli/cmd_log.c \
	daemon/cli/cmd_plugins.c \
	daemon/cli/cmd_promises.c \
	daemon/cli/cmd_replay.c \
	daemon/cli/cmd_silence.c \
	daemon/cli/cmd_silences.c \
	daemon/cli/cmd_status.c \
	daemon/cli/cmd_top.c \
	daemon/cli/cmd_watch.c \
	daemon/cli/command_options.h \
	daemon/cli/commands.c \
	daemon/cli/history.c daemon/cli/history.h \
	daemon/cli/json.c \
	daemon/cli/options.c \
	daemon/cli/reliability.c \
	daemon/cli/replay_past.c daemon/cli/replay_past.h \
	daemon/cli/out.c daemon/cli/out.h \
	daemon/cli/past.c daemon/cli/past.h \
	daemon/cli/signals.c daemon/cli/signals.h \
	daemon/cli/status.h \
	daemon/cli/when.c daemon/cli/when.h \
	daemon/cli/top.h daemon/cli/top_data.c daemon/cli/top_draw.c
kith_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)
kith_LDADD = $(LIBKITHCLIENT_LIBS) $(JANSSON_LIBS)

dist_man_MANS += daemon/cli/kith.1

# Under the names that the shells look for
bashcompletiondir = $(datadir)/bash-completion/completions
bashcompletion_DATA = daemon/cli/completions/kith
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = daemon/cli/_kith
EXTRA_DIST += daemon/cli/completion.bash
CLEANFILES += daemon/cli/completions/kith
daemon/cli/completions/kith: $(srcdir)/daemon/cli/completion.bash
	$(AM_V_GEN)$(MKDIR_P) daemon/cli/completions && cp $(srcdir)/daemon/cli/completion.bash $@

check_PROGRAMS += tests/unit/test_cli
TESTS += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c tests/unit/control_fixture.h
tests_unit_test_cli_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_cli_LDADD = $(TEST_LIBS) $(JANSSON_LIBS)
