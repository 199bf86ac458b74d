# plugins/service. systemd is heard through libsystemd, which this plugin alone is linked with; --without-libsystemd leaves it out.
SERVICE_SOURCES = \
	plugins/service/service.c \
	plugins/service/service.h \
	plugins/service/supervise.c \
	plugins/service/unit.c \
	plugins/service/words.c \
	plugins/service/words.h
if LIBSYSTEMD
SERVICE_SOURCES += \
	plugins/service/bus.c \
	plugins/service/properties.c \
	plugins/service/systemd.c \
	plugins/service/systemd.h
else
SERVICE_SOURCES += plugins/service/without_systemd.c
endif
EXTRA_DIST += plugins/service/README
plugin_PROGRAMS += plugins/service.so
plugins_service_so_SOURCES = $(SERVICE_SOURCES)
plugins_service_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_service_so_CFLAGS = $(PLUGIN_CFLAGS) $(LIBSYSTEMD_CFLAGS)
plugins_service_so_LDFLAGS = $(SO_LINK)
plugins_service_so_LDADD = $(LIBSYSTEMD_LIBS)

dist_promises_DATA += promises/bundles/services.promise

check_PROGRAMS += tests/unit/test_service_words
TESTS += tests/unit/test_service_words
tests_unit_test_service_words_SOURCES = tests/unit/test_service_words.c plugins/service/words.c plugins/service/words.h
tests_unit_test_service_words_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_service_words_LDADD = $(CHECK_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_service
tests_fuzz_fuzz_service_SOURCES = tests/fuzz/fuzz_service.c plugins/service/words.c plugins/service/words.h
tests_fuzz_fuzz_service_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"service"'
if FUZZER
tests_fuzz_fuzz_service_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_service_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_service
endif
EXTRA_DIST += tests/fuzz/service

TESTS += tests/host/test_service.py
EXTRA_DIST += tests/host/test_service.py

# For make bench-sources
EXTRA_DIST += tests/bench/service_latency.c
if LIBSYSTEMD
EXTRA_PROGRAMS += tests/bench/service_latency
BENCH_SOURCES_NEEDS = tests/bench/service_latency
CLEANFILES += tests/bench/service_latency
tests_bench_service_latency_SOURCES = tests/bench/service_latency.c
tests_bench_service_latency_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(LIBSYSTEMD_CFLAGS)
tests_bench_service_latency_LDADD = $(LIBKITHCLIENT_LIBS) $(LIBSYSTEMD_LIBS)
endif
