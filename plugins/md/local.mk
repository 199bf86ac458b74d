# plugins/md
plugin_PROGRAMS += plugins/md.so
plugins_md_so_SOURCES = plugins/md/md.c plugins/md/mdstat.c plugins/md/mdstat.h
plugins_md_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_md_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_md_so_LDFLAGS = $(SO_LINK)
plugins_md_so_LDADD =
EXTRA_DIST += plugins/md/README
dist_promises_DATA += promises/bundles/raid.promise

check_PROGRAMS += tests/unit/test_md
TESTS += tests/unit/test_md
tests_unit_test_md_SOURCES = tests/unit/test_md.c plugins/md/md.c plugins/md/mdstat.c plugins/md/mdstat.h $(FAKE_HOST)
tests_unit_test_md_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_md_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_md
tests_fuzz_fuzz_md_SOURCES = tests/fuzz/fuzz_md.c plugins/md/mdstat.c plugins/md/mdstat.h
tests_fuzz_fuzz_md_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"md"'
tests_fuzz_fuzz_md_LDADD = -lm
if FUZZER
tests_fuzz_fuzz_md_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_md_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_md
endif
EXTRA_DIST += tests/fuzz/md
