plugin_PROGRAMS += plugins/cgroup.so
CGROUP_SOURCES = plugins/cgroup/cgroup.c plugins/cgroup/cgroup.h plugins/cgroup/files.c plugins/cgroup/tell.c
plugins_cgroup_so_SOURCES = $(CGROUP_SOURCES)
plugins_cgroup_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_cgroup_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_cgroup_so_LDFLAGS = $(SO_LINK)
plugins_cgroup_so_LDADD =
EXTRA_DIST += plugins/cgroup/README
kithsources_HEADERS += plugins/sources/cgroup.h

check_PROGRAMS += tests/unit/test_cgroup
TESTS += tests/unit/test_cgroup
tests_unit_test_cgroup_SOURCES = tests/unit/test_cgroup.c $(CGROUP_SOURCES) $(FAKE_HOST)
tests_unit_test_cgroup_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_cgroup_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_cgroup
tests_fuzz_fuzz_cgroup_SOURCES = tests/fuzz/fuzz_cgroup.c plugins/cgroup/cgroup.h plugins/cgroup/files.c plugins/cgroup/tell.c
tests_fuzz_fuzz_cgroup_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"cgroup"'
tests_fuzz_fuzz_cgroup_LDADD = $(LIBKITH_LIBS) -lm
if FUZZER
tests_fuzz_fuzz_cgroup_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_cgroup_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_cgroup
endif
EXTRA_DIST += tests/fuzz/cgroup

TESTS += tests/kernel/test_cgroup.py
EXTRA_DIST += tests/kernel/test_cgroup.py
