# plugins/thermal
THERMAL_SOURCES = plugins/thermal/thermal.c plugins/thermal/things.c plugins/thermal/thermal.h
plugin_PROGRAMS += plugins/thermal.so
plugins_thermal_so_SOURCES = $(THERMAL_SOURCES)
plugins_thermal_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_thermal_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_thermal_so_LDFLAGS = $(SO_LINK)
plugins_thermal_so_LDADD =
EXTRA_DIST += plugins/thermal/README
kithsources_HEADERS += plugins/sources/thermal.h
dist_promises_DATA += promises/bundles/thermal.promise

check_PROGRAMS += tests/unit/test_thermal
TESTS += tests/unit/test_thermal
tests_unit_test_thermal_SOURCES = tests/unit/test_thermal.c $(THERMAL_SOURCES) $(FAKE_HOST)
tests_unit_test_thermal_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_thermal_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_thermal
tests_fuzz_fuzz_thermal_SOURCES = tests/fuzz/fuzz_thermal.c
tests_fuzz_fuzz_thermal_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"thermal"'
tests_fuzz_fuzz_thermal_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_thermal_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_thermal_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_thermal
endif
EXTRA_DIST += tests/fuzz/thermal

TESTS += tests/kernel/test_thermal.py
EXTRA_DIST += tests/kernel/test_thermal.py
