# plugins/conntrack
CONNTRACK_SOURCES = plugins/conntrack/conntrack.c plugins/conntrack/flow.c plugins/conntrack/conntrack.h
plugin_PROGRAMS += plugins/conntrack.so
plugins_conntrack_so_SOURCES = $(CONNTRACK_SOURCES)
plugins_conntrack_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_conntrack_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_conntrack_so_LDFLAGS = $(SO_LINK)
plugins_conntrack_so_LDADD =
EXTRA_DIST += plugins/conntrack/README
kithsources_HEADERS += plugins/sources/conntrack.h

check_PROGRAMS += tests/unit/test_conntrack
TESTS += tests/unit/test_conntrack
tests_unit_test_conntrack_SOURCES = tests/unit/test_conntrack.c $(CONNTRACK_SOURCES) $(FAKE_HOST)
tests_unit_test_conntrack_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_conntrack_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_conntrack
tests_fuzz_fuzz_conntrack_SOURCES = tests/fuzz/fuzz_conntrack.c plugins/conntrack/flow.c plugins/conntrack/conntrack.h
tests_fuzz_fuzz_conntrack_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"conntrack"'
tests_fuzz_fuzz_conntrack_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_conntrack_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_conntrack_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_conntrack
endif
EXTRA_DIST += tests/fuzz/conntrack

TESTS += tests/kernel/test_conntrack.py
EXTRA_DIST += tests/kernel/test_conntrack.py
