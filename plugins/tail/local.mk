# plugins/tail
TAIL_SOURCES = \
	plugins/tail/find.c \
	plugins/tail/follow.c \
	plugins/tail/place.c \
	plugins/tail/split.c \
	plugins/tail/split.h \
	plugins/tail/tail.c \
	plugins/tail/tail.h \
	$(LINES_SOURCES)
plugin_PROGRAMS += plugins/tail.so
plugins_tail_so_SOURCES = $(TAIL_SOURCES)
plugins_tail_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_tail_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_tail_so_LDFLAGS = $(SO_LINK)
plugins_tail_so_LDADD =
EXTRA_DIST += plugins/tail/README

check_PROGRAMS += tests/unit/test_tail
TESTS += tests/unit/test_tail
tests_unit_test_tail_SOURCES = tests/unit/test_tail.c $(FAKE_HOST) $(TAIL_SOURCES)
tests_unit_test_tail_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_tail_LDADD = $(CHECK_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_split
tests_fuzz_fuzz_split_SOURCES = tests/fuzz/fuzz_split.c plugins/tail/split.c plugins/tail/split.h plugins/lines/clean.c
tests_fuzz_fuzz_split_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"split"'
tests_fuzz_fuzz_split_LDADD =
if FUZZER
tests_fuzz_fuzz_split_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_split_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_split
endif
EXTRA_DIST += tests/fuzz/split

TESTS += tests/host/test_tail.py
EXTRA_DIST += tests/host/test_tail.py
