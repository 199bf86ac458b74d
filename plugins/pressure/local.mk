plugin_PROGRAMS += plugins/pressure.so
plugins_pressure_so_SOURCES = plugins/pressure/pressure.c
plugins_pressure_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_pressure_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_pressure_so_LDFLAGS = $(SO_LINK)
plugins_pressure_so_LDADD =
EXTRA_DIST += plugins/pressure/README
kithsources_HEADERS += plugins/sources/pressure.h

check_PROGRAMS += tests/unit/test_pressure
TESTS += tests/unit/test_pressure
tests_unit_test_pressure_SOURCES = tests/unit/test_pressure.c plugins/pressure/pressure.c $(FAKE_HOST)
tests_unit_test_pressure_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_pressure_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_pressure
tests_fuzz_fuzz_pressure_SOURCES = tests/fuzz/fuzz_pressure.c
tests_fuzz_fuzz_pressure_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"pressure"'
tests_fuzz_fuzz_pressure_LDADD = -lm
if FUZZER
tests_fuzz_fuzz_pressure_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_pressure_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_pressure
endif
EXTRA_DIST += tests/fuzz/pressure

TESTS += tests/kernel/test_pressure.py
EXTRA_DIST += tests/kernel/test_pressure.py
dist_promises_DATA += promises/bundles/pressure.promise
