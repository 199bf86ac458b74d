# daemon/control: the server (in libkith.a) and the client library that kith is built on
CONTROL_GENERATED = daemon/control/control.pb-c.c daemon/control/control.pb-c.h
BUILT_SOURCES += $(CONTROL_GENERATED)
CLEANFILES += $(CONTROL_GENERATED)
EXTRA_DIST += daemon/control/control.proto

daemon/control/control.pb-c.c: $(srcdir)/daemon/control/control.proto
	$(AM_V_GEN)$(MKDIR_P) daemon/control && \
		$(PROTOC_C) --proto_path=$(srcdir)/daemon/control --c_out=daemon/control $(srcdir)/daemon/control/control.proto
daemon/control/control.pb-c.h: daemon/control/control.pb-c.c
	$(AM_V_at)test -f $@ || { rm -f daemon/control/control.pb-c.c; $(MAKE) $(AM_MAKEFLAGS) daemon/control/control.pb-c.c; }

libkith_a_SOURCES += \
	daemon/control/answer.c \
	daemon/control/control.c daemon/control/control.h \
	daemon/control/frame.c daemon/control/frame.h \
	daemon/control/pattern.c daemon/control/pattern.h \
	daemon/control/peer.c \
	daemon/control/queue.c daemon/control/queue.h \
	daemon/control/relay.c daemon/control/relay.h \
	daemon/control/trail.c \
	daemon/control/quiet.c \
	daemon/control/request.c \
	daemon/control/server.h \
	daemon/control/watch.c
nodist_libkith_a_SOURCES += $(CONTROL_GENERATED)

# No libev, no model: what kith may use.
noinst_LIBRARIES += libkithclient.a
libkithclient_a_SOURCES = \
	daemon/base/buf.c daemon/base/clock.c daemon/base/fault.c daemon/base/log.c daemon/base/names.c daemon/base/places.c \
	daemon/base/units.c daemon/control/client.c daemon/control/client.h daemon/control/frame.c
nodist_libkithclient_a_SOURCES = $(CONTROL_GENERATED)
libkithclient_a_CPPFLAGS = $(AM_CPPFLAGS)
libkithclient_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
LIBKITHCLIENT_LIBS = libkithclient.a $(PROTOBUF_C_LIBS) -lm

check_PROGRAMS += tests/unit/test_control tests/unit/test_control_watch
TESTS += tests/unit/test_control tests/unit/test_control_watch
tests_unit_test_control_SOURCES = tests/unit/test_control.c tests/unit/control_fixture.h tests/unit/control_raw.h
tests_unit_test_control_watch_SOURCES = tests/unit/test_control_watch.c tests/unit/control_fixture.h tests/unit/control_raw.h
tests_unit_test_control_watch_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_control_watch_LDADD = $(TEST_LIBS)
tests_unit_test_control_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_control_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_control_parts
TESTS += tests/unit/test_control_parts
tests_unit_test_control_parts_SOURCES = tests/unit/test_control_parts.c
tests_unit_test_control_parts_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_control_parts_LDADD = $(TEST_LIBS) libkithclient.a $(PROTOBUF_C_LIBS)

# With --enable-fuzzer a program for libFuzzer, else one that replays the seeds
check_PROGRAMS += tests/fuzz/fuzz_control
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c
tests_fuzz_fuzz_control_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests -DFUZZ_NAME='"control"'
tests_fuzz_fuzz_control_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_fuzz_fuzz_control_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_control_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_control_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_control
endif
EXTRA_DIST += \
	tests/fuzz/control/check \
	tests/fuzz/control/check_nul \
	tests/fuzz/control/control_characters \
	tests/fuzz/control/cost \
	tests/fuzz/control/empty_request \
	tests/fuzz/control/explain \
	tests/fuzz/control/get_all \
	tests/fuzz/control/get_some \
	tests/fuzz/control/get_where \
	tests/fuzz/control/half \
	tests/fuzz/control/http \
	tests/fuzz/control/many_patterns \
	tests/fuzz/control/nested_length \
	tests/fuzz/control/no_message \
	tests/fuzz/control/not_utf8 \
	tests/fuzz/control/plugins \
	tests/fuzz/control/promises \
	tests/fuzz/control/promises_reliability \
	tests/fuzz/control/several \
	tests/fuzz/control/status \
	tests/fuzz/control/too_long \
	tests/fuzz/control/unknown_request \
	tests/fuzz/control/watch_all \
	tests/fuzz/control/watch_kinds \
	tests/fuzz/control/watch_sample \
	tests/fuzz/control/watch_then_ask
