# plugins/socket
SOCKET_SOURCES = plugins/socket/connection.c plugins/socket/counters.c plugins/socket/listen.c plugins/socket/name.c plugins/socket/owner.c \
	plugins/socket/socket.c plugins/socket/socket.h
plugin_PROGRAMS += plugins/socket.so
plugins_socket_so_SOURCES = $(SOCKET_SOURCES)
plugins_socket_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_socket_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_socket_so_LDFLAGS = $(SO_LINK)
plugins_socket_so_LDADD =
EXTRA_DIST += plugins/socket/README
kithsources_HEADERS += plugins/sources/socket.h

check_PROGRAMS += tests/unit/test_socket
TESTS += tests/unit/test_socket
tests_unit_test_socket_SOURCES = tests/unit/test_socket.c $(SOCKET_SOURCES) $(FAKE_HOST)
tests_unit_test_socket_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_socket_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_socket
tests_fuzz_fuzz_socket_SOURCES = tests/fuzz/fuzz_socket.c plugins/socket/name.c plugins/socket/socket.h
tests_fuzz_fuzz_socket_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"socket"'
tests_fuzz_fuzz_socket_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_socket_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_socket_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_socket
endif
EXTRA_DIST += tests/fuzz/socket

TESTS += tests/kernel/test_socket.py
EXTRA_DIST += tests/kernel/test_socket.py
