# daemon/source: kernel readers that plugins share
libkith_a_SOURCES += \
	daemon/source/attribute.c daemon/source/attribute.h \
	daemon/source/cgroup.c daemon/source/cgroup_files.c daemon/source/cgroup_v1.c daemon/source/cgroup.h \
	daemon/source/file.c daemon/source/file.h \
	daemon/source/device.c daemon/source/device.h \
	daemon/source/kinds.c daemon/source/kinds.h \
	daemon/source/kmsg.c daemon/source/kmsg.h \
	daemon/source/audit.c daemon/source/audit_parse.c daemon/source/audit.h \
	daemon/source/thermal.c daemon/source/thermal.h \
	daemon/source/genl.c daemon/source/genl.h \
	daemon/source/mount.c daemon/source/mount_table.c daemon/source/mount.h \
	daemon/source/quota.c daemon/source/quota.h \
	daemon/source/netlink.c daemon/source/netlink.h \
	daemon/source/pressure.c \
	daemon/source/rtnetlink.c daemon/source/rtnetlink_bpf.c daemon/source/rtnetlink_parse.c daemon/source/rtnetlink.h \
	daemon/source/ethtool.c \
	daemon/source/socket.c daemon/source/socket.h \
	daemon/source/conntrack.c daemon/source/conntrack.h \
	daemon/source/process.c daemon/source/process_bpf.c daemon/source/process.h \
	daemon/source/task.c daemon/source/task.h \
	daemon/source/tree.c daemon/source/tree_dir.c daemon/source/tree_impl.h daemon/source/tree_parse.c daemon/source/tree_place.c \
	daemon/source/tree.h \
	daemon/source/source.c daemon/source/source.h

check_PROGRAMS += tests/unit/test_source tests/unit/test_source_netlink tests/unit/test_source_process tests/unit/test_source_file
TESTS += tests/unit/test_source tests/unit/test_source_netlink tests/unit/test_source_process tests/unit/test_source_file
tests_unit_test_source_SOURCES = tests/unit/test_source.c
tests_unit_test_source_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_source_LDADD = $(TEST_LIBS)
tests_unit_test_source_netlink_SOURCES = tests/unit/test_source_netlink.c tests/unit/frames.h
tests_unit_test_source_netlink_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_source_netlink_LDADD = $(TEST_LIBS)
tests_unit_test_source_process_SOURCES = tests/unit/test_source_process.c tests/unit/frames.h
tests_unit_test_source_process_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_source_process_LDADD = $(TEST_LIBS)
tests_unit_test_source_file_SOURCES = tests/unit/test_source_file.c
tests_unit_test_source_file_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_source_file_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_netlink
tests_fuzz_fuzz_netlink_SOURCES = tests/fuzz/fuzz_netlink.c
tests_fuzz_fuzz_netlink_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"netlink"'
tests_fuzz_fuzz_netlink_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_netlink_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_netlink_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_netlink
endif
EXTRA_DIST += tests/fuzz/netlink tests/data/netlink
