# plugins/exec
EXEC_SOURCES = \
	plugins/exec/check.c \
	plugins/exec/entry.c \
	plugins/exec/exec.c \
	plugins/exec/exec.h \
	plugins/exec/output.c \
	plugins/exec/output.h \
	plugins/exec/perf.c \
	plugins/exec/program.c \
	plugins/exec/putval.c \
	plugins/exec/putval.h \
	plugins/exec/result.c \
	plugins/exec/values.c \
	plugins/exec/values.h
plugin_PROGRAMS += plugins/exec.so
plugins_exec_so_SOURCES = $(EXEC_SOURCES)
plugins_exec_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_exec_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_exec_so_LDFLAGS = $(SO_LINK)
plugins_exec_so_LDADD =
EXTRA_DIST += plugins/exec/README

check_PROGRAMS += tests/unit/test_exec_perf
TESTS += tests/unit/test_exec_perf
tests_unit_test_exec_perf_SOURCES = tests/unit/test_exec_perf.c plugins/exec/output.c plugins/exec/output.h plugins/exec/perf.c
tests_unit_test_exec_perf_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_exec_perf_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_perfdata
tests_fuzz_fuzz_perfdata_SOURCES = tests/fuzz/fuzz_perfdata.c plugins/exec/output.c plugins/exec/output.h plugins/exec/perf.c
tests_fuzz_fuzz_perfdata_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"perfdata"'
tests_fuzz_fuzz_perfdata_LDADD = -lm
if FUZZER
tests_fuzz_fuzz_perfdata_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_perfdata_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_perfdata
endif
EXTRA_DIST += tests/fuzz/perfdata

dist_man_MANS += plugins/exec/kith-exec.7
TESTS += tests/host/test_exec.py
EXTRA_DIST += tests/host/test_exec.py

check_PROGRAMS += tests/unit/test_exec
TESTS += tests/unit/test_exec
tests_unit_test_exec_SOURCES = tests/unit/test_exec.c tests/unit/fake_spawn.c tests/unit/fake_spawn.h $(FAKE_HOST) \
	$(EXEC_SOURCES)
tests_unit_test_exec_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_exec_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/unit/test_exec_putval
TESTS += tests/unit/test_exec_putval
tests_unit_test_exec_putval_SOURCES = tests/unit/test_exec_putval.c plugins/exec/putval.c plugins/exec/putval.h
tests_unit_test_exec_putval_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_exec_putval_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_putval
tests_fuzz_fuzz_putval_SOURCES = tests/fuzz/fuzz_putval.c plugins/exec/putval.c plugins/exec/putval.h
tests_fuzz_fuzz_putval_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"putval"'
tests_fuzz_fuzz_putval_LDADD = -lm
if FUZZER
tests_fuzz_fuzz_putval_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_putval_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_putval
endif
EXTRA_DIST += tests/fuzz/putval

TESTS += tests/host/test_exec_collectd.py tests/peers/test_exec.py
EXTRA_DIST += tests/host/test_exec_collectd.py tests/peers/test_exec.py
