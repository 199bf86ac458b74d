# plugins/clock
plugin_PROGRAMS += plugins/clock.so
plugins_clock_so_SOURCES = plugins/clock/clock.c plugins/clock/clock.h plugins/clock/kernel.c
plugins_clock_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_clock_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_clock_so_LDFLAGS = $(SO_LINK)
plugins_clock_so_LDADD = -lm
EXTRA_DIST += plugins/clock/README
dist_promises_DATA += promises/bundles/clock.promise

check_PROGRAMS += tests/unit/test_clock
TESTS += tests/unit/test_clock
tests_unit_test_clock_SOURCES = tests/unit/test_clock.c plugins/clock/clock.c plugins/clock/clock.h $(FAKE_HOST)
tests_unit_test_clock_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_clock_LDADD = $(CHECK_LIBS) -lm

TESTS += tests/kernel/test_clock_set.py
EXTRA_DIST += tests/kernel/test_clock_set.py
