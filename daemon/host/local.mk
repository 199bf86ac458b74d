libkith_a_SOURCES += \
	daemon/host/account.c \
	daemon/host/export.c \
	daemon/host/flusher.c daemon/host/flusher.h \
	daemon/host/host.c daemon/host/host.h \
	daemon/host/impl.h \
	daemon/host/isolate.c daemon/host/isolate.h \
	daemon/host/isolate_child.c \
	daemon/host/library.c \
	daemon/host/needs.c \
	daemon/host/plugin.c \
	daemon/host/reading.c \
	daemon/host/saver.c daemon/host/saver.h \
	daemon/host/spawn.c daemon/host/spawn.h \
	daemon/host/table.c \
	daemon/host/tick.c \
	daemon/host/watch.c \
	daemon/host/wire.c daemon/host/wire.h \
	daemon/host/work.c

# reading.c: the reads that it takes are counted
check_PROGRAMS += tests/unit/test_reading
TESTS += tests/unit/test_reading
tests_unit_test_reading_SOURCES = tests/unit/test_reading.c tests/unit/host_fixture.h
tests_unit_test_reading_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_reading_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pread
tests_unit_test_reading_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_host_capture
TESTS += tests/unit/test_host_capture
tests_unit_test_host_capture_SOURCES = tests/unit/test_host_capture.c tests/unit/host_plugin.h tests/unit/host_fixture.h
tests_unit_test_host_capture_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_host_capture_LDADD = $(TEST_LIBS)
