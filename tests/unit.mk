# Unit tests of base, loop, model and host
check_PROGRAMS += tests/unit/test_base tests/unit/test_loop tests/unit/test_model tests/unit/test_host
TESTS += tests/unit/test_base tests/unit/test_loop tests/unit/test_model tests/unit/test_host
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_base_LDADD = $(TEST_LIBS)
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c
tests_unit_test_loop_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_loop_LDADD = $(TEST_LIBS)
tests_unit_test_model_SOURCES = tests/unit/test_model.c
tests_unit_test_model_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_model_LDADD = $(TEST_LIBS)
tests_unit_test_host_SOURCES = tests/unit/test_host.c tests/unit/host_fixture.h
tests_unit_test_host_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_host_LDADD = $(TEST_LIBS)
