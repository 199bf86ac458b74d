# plugins/syslog
SYSLOG_SOURCES = \
	plugins/syslog/datagram.c \
	plugins/syslog/frame.c \
	plugins/syslog/frame.h \
	plugins/syslog/listen.c \
	plugins/syslog/stream.c \
	plugins/syslog/syslog.c \
	plugins/syslog/syslog.h \
	$(LINES_SOURCES)
plugin_PROGRAMS += plugins/syslog.so
plugins_syslog_so_SOURCES = $(SYSLOG_SOURCES)
plugins_syslog_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_syslog_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_syslog_so_LDFLAGS = $(SO_LINK)
plugins_syslog_so_LDADD =
EXTRA_DIST += plugins/syslog/README
dist_promises_DATA += promises/bundles/logs.promise

check_PROGRAMS += tests/unit/test_syslog
TESTS += tests/unit/test_syslog
tests_unit_test_syslog_SOURCES = tests/unit/test_syslog.c $(FAKE_HOST) $(SYSLOG_SOURCES)
tests_unit_test_syslog_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_syslog_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_frame
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c plugins/syslog/frame.c plugins/syslog/frame.h
tests_fuzz_fuzz_frame_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"frame"'
tests_fuzz_fuzz_frame_LDADD =
if FUZZER
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_frame_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_frame
endif
EXTRA_DIST += tests/fuzz/frame

TESTS += tests/host/test_syslog.py
EXTRA_DIST += tests/host/test_syslog.py

# make bench-logs
EXTRA_PROGRAMS += tests/bench/bench_syslog
tests_bench_bench_syslog_SOURCES = tests/bench/bench_syslog.c $(LINES_SOURCES)
tests_bench_bench_syslog_LDADD = $(LIBKITH_LIBS)
tests_bench_bench_syslog_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
CLEANFILES += tests/bench/bench_syslog
