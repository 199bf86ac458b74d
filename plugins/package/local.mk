# plugins/package
PACKAGE_SOURCES = \
	plugins/package/database.c \
	plugins/package/database.h \
	plugins/package/package.c \
	plugins/package/package.h \
	plugins/package/tell.c
plugin_PROGRAMS += plugins/package.so
plugins_package_so_SOURCES = $(PACKAGE_SOURCES)
plugins_package_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_package_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_package_so_LDFLAGS = $(SO_LINK)
plugins_package_so_LDADD =
EXTRA_DIST += plugins/package/README

check_PROGRAMS += tests/unit/test_package
TESTS += tests/unit/test_package
tests_unit_test_package_SOURCES = tests/unit/test_package.c $(FAKE_HOST) $(PACKAGE_SOURCES)
tests_unit_test_package_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_package_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_package
tests_fuzz_fuzz_package_SOURCES = tests/fuzz/fuzz_package.c plugins/package/database.c plugins/package/database.h
tests_fuzz_fuzz_package_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"package"'
tests_fuzz_fuzz_package_LDADD =
if FUZZER
tests_fuzz_fuzz_package_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_package_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_package
endif
EXTRA_DIST += tests/fuzz/package

TESTS += tests/host/test_package.py
EXTRA_DIST += tests/host/test_package.py
dist_promises_DATA += promises/bundles/packages.promise
