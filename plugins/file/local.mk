# plugins/file
FILE_SOURCES = \
	plugins/file/file.c \
	plugins/file/file.h \
	plugins/file/glob.c \
	plugins/file/item.c \
	plugins/file/name.c \
	plugins/file/tree.c \
	plugins/file/work.c
plugin_PROGRAMS += plugins/file.so
plugins_file_so_SOURCES = $(FILE_SOURCES)
plugins_file_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_file_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_file_so_LDFLAGS = $(SO_LINK)
plugins_file_so_LDADD =
EXTRA_DIST += plugins/file/README
kithsources_HEADERS += plugins/sources/tree.h

check_PROGRAMS += tests/unit/test_file
TESTS += tests/unit/test_file
tests_unit_test_file_SOURCES = tests/unit/test_file.c $(FAKE_HOST) $(FILE_SOURCES)
tests_unit_test_file_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_file_LDADD = $(CHECK_LIBS) -ldl -lm

check_PROGRAMS += tests/fuzz/fuzz_file
tests_fuzz_fuzz_file_SOURCES = tests/fuzz/fuzz_file.c plugins/file/file.h plugins/file/name.c
tests_fuzz_fuzz_file_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"file"'
tests_fuzz_fuzz_file_LDADD =
if FUZZER
tests_fuzz_fuzz_file_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_file_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_file
endif
EXTRA_DIST += tests/fuzz/file

TESTS += tests/host/test_file.py
EXTRA_DIST += tests/host/test_file.py

# Whole trees: daemon/source/tree*.c and tree.c
check_PROGRAMS += tests/unit/test_tree tests/fuzz/fuzz_tree
TESTS += tests/unit/test_tree tests/kernel/test_tree.py
tests_unit_test_tree_SOURCES = tests/unit/test_tree.c $(FAKE_HOST) $(FILE_SOURCES)
tests_unit_test_tree_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_tree_LDADD = $(TEST_LIBS) -ldl -lm
tests_fuzz_fuzz_tree_SOURCES = tests/fuzz/fuzz_tree.c
tests_fuzz_fuzz_tree_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"tree"'
tests_fuzz_fuzz_tree_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_tree_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_tree_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_tree
endif
EXTRA_DIST += tests/fuzz/tree tests/kernel/test_tree.py
