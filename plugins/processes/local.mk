# plugins/processes
plugin_PROGRAMS += plugins/processes.so
plugins_processes_so_SOURCES = $(PROCESSES_SOURCES)
plugins_processes_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_processes_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_processes_so_LDFLAGS = $(SO_LINK)
plugins_processes_so_LDADD =
PROCESSES_SOURCES = \
	plugins/processes/events.c \
	plugins/processes/exits.c \
	plugins/processes/names.c \
	plugins/processes/proc.c \
	plugins/processes/processes.c \
	plugins/processes/processes.h \
	plugins/processes/short.c \
	plugins/processes/totals.c
EXTRA_DIST += plugins/processes/README
kithsources_HEADERS += plugins/sources/task.h

check_PROGRAMS += tests/fuzz/fuzz_taskstats
tests_fuzz_fuzz_taskstats_SOURCES = tests/fuzz/fuzz_taskstats.c
tests_fuzz_fuzz_taskstats_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"taskstats"'
tests_fuzz_fuzz_taskstats_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_taskstats_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_taskstats_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_taskstats
endif
EXTRA_DIST += tests/fuzz/taskstats

check_PROGRAMS += tests/kernel/test_source_processes
TESTS += tests/kernel/test_source_processes
tests_kernel_test_source_processes_SOURCES = tests/kernel/test_source_processes.c tests/kernel/real_sources.c \
	tests/kernel/real_sources.h $(FAKE_HOST) $(PROCESSES_SOURCES)
tests_kernel_test_source_processes_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_kernel_test_source_processes_LDADD = $(LIBKITH_LIBS)

check_PROGRAMS += tests/unit/test_processes
TESTS += tests/unit/test_processes
tests_unit_test_processes_SOURCES = tests/unit/test_processes.c $(FAKE_HOST) $(PROCESSES_SOURCES)
tests_unit_test_processes_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_processes_LDADD = $(CHECK_LIBS) -lm

TESTS += tests/kernel/test_processes.py
EXTRA_DIST += tests/kernel/test_processes.py
