# plugins/textfile
TEXTFILE_SOURCES = \
	plugins/textfile/prom.c \
	plugins/textfile/prom.h \
	plugins/textfile/series.c \
	plugins/textfile/textfile.c \
	plugins/textfile/textfile.h
plugin_PROGRAMS += plugins/textfile.so
plugins_textfile_so_SOURCES = $(TEXTFILE_SOURCES)
plugins_textfile_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_textfile_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_textfile_so_LDFLAGS = $(SO_LINK)
plugins_textfile_so_LDADD =
EXTRA_DIST += plugins/textfile/README

check_PROGRAMS += tests/unit/test_textfile
TESTS += tests/unit/test_textfile
tests_unit_test_textfile_SOURCES = tests/unit/test_textfile.c $(FAKE_HOST) $(TEXTFILE_SOURCES)
tests_unit_test_textfile_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_textfile_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_prom
tests_fuzz_fuzz_prom_SOURCES = tests/fuzz/fuzz_prom.c plugins/textfile/prom.c plugins/textfile/prom.h
tests_fuzz_fuzz_prom_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"prom"'
tests_fuzz_fuzz_prom_LDADD =
if FUZZER
tests_fuzz_fuzz_prom_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_prom_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_prom
endif
EXTRA_DIST += tests/fuzz/prom

TESTS += tests/host/test_textfile.py
EXTRA_DIST += tests/host/test_textfile.py
