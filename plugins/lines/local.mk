# Lines of logs: shared by the plugins syslog and tail
LINES_SOURCES = \
	plugins/lines/clean.c \
	plugins/lines/entry.c \
	plugins/lines/entry.h \
	plugins/lines/limit.c \
	plugins/lines/limit.h \
	plugins/lines/line.c \
	plugins/lines/line.h \
	plugins/lines/rfc5424.c \
	plugins/lines/stamp.c

check_PROGRAMS += tests/unit/test_lines
TESTS += tests/unit/test_lines
tests_unit_test_lines_SOURCES = tests/unit/test_lines.c $(LINES_SOURCES)
tests_unit_test_lines_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_lines_LDADD = $(CHECK_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_line
tests_fuzz_fuzz_line_SOURCES = tests/fuzz/fuzz_line.c $(LINES_SOURCES)
tests_fuzz_fuzz_line_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"line"'
tests_fuzz_fuzz_line_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_line_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_line_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_line
endif
EXTRA_DIST += tests/fuzz/line
