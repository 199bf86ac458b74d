# plugins/mount
MOUNT_SOURCES = plugins/mount/mount.c plugins/mount/tell.c plugins/mount/mount.h
plugin_PROGRAMS += plugins/mount.so
plugins_mount_so_SOURCES = $(MOUNT_SOURCES)
plugins_mount_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_mount_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_mount_so_LDFLAGS = $(SO_LINK)
plugins_mount_so_LDADD =
EXTRA_DIST += plugins/mount/README
kithsources_HEADERS += plugins/sources/mount.h plugins/sources/quota.h
dist_promises_DATA += promises/bundles/mounts.promise

check_PROGRAMS += tests/unit/test_mount
TESTS += tests/unit/test_mount
tests_unit_test_mount_SOURCES = tests/unit/test_mount.c $(MOUNT_SOURCES) $(FAKE_HOST)
tests_unit_test_mount_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_mount_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_mount tests/fuzz/fuzz_quota
tests_fuzz_fuzz_mount_SOURCES = tests/fuzz/fuzz_mount.c
tests_fuzz_fuzz_mount_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"mount"'
tests_fuzz_fuzz_mount_LDADD = $(LIBKITH_LIBS)
tests_fuzz_fuzz_quota_SOURCES = tests/fuzz/fuzz_quota.c
tests_fuzz_fuzz_quota_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"quota"'
tests_fuzz_fuzz_quota_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_mount_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_quota_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_mount_SOURCES += tests/fuzz/replay_main.c
tests_fuzz_fuzz_quota_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_mount tests/fuzz/fuzz_quota
endif
EXTRA_DIST += tests/fuzz/mount tests/fuzz/quota

TESTS += tests/kernel/test_mount.py
EXTRA_DIST += tests/kernel/test_mount.py
