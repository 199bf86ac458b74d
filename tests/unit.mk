# Unit tests of base, loop, model and host
check_PROGRAMS += tests/unit/test_host
TESTS += tests/unit/test_host
tests_unit_test_host_SOURCES = tests/unit/test_host.c tests/unit/host_fixture.h
tests_unit_test_host_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_host_LDADD = $(TEST_LIBS)
