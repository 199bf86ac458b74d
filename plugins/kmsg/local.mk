# plugins/kmsg
KMSG_SOURCES = plugins/kmsg/kmsg.c plugins/kmsg/recognise.c plugins/kmsg/recognise.h
plugin_PROGRAMS += plugins/kmsg.so
plugins_kmsg_so_SOURCES = $(KMSG_SOURCES)
plugins_kmsg_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_kmsg_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_kmsg_so_LDFLAGS = $(SO_LINK)
plugins_kmsg_so_LDADD =
EXTRA_DIST += plugins/kmsg/README
kithsources_HEADERS += plugins/sources/kmsg.h
dist_promises_DATA += promises/bundles/kernel.promise

check_PROGRAMS += tests/unit/test_kmsg
TESTS += tests/unit/test_kmsg
tests_unit_test_kmsg_SOURCES = tests/unit/test_kmsg.c $(KMSG_SOURCES) $(FAKE_HOST)
tests_unit_test_kmsg_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_kmsg_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_kmsg
tests_fuzz_fuzz_kmsg_SOURCES = tests/fuzz/fuzz_kmsg.c plugins/kmsg/recognise.c plugins/kmsg/recognise.h
tests_fuzz_fuzz_kmsg_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"kmsg"'
tests_fuzz_fuzz_kmsg_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_kmsg_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_kmsg_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_kmsg
endif
EXTRA_DIST += tests/fuzz/kmsg

TESTS += tests/kernel/test_kmsg.py
EXTRA_DIST += tests/kernel/test_kmsg.py
