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
tests_unit_test_host_SOURCES = tests/unit/test_host.c tests/unit/host_fixture.h tests/unit/host_plugin.h
tests_unit_test_host_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_host_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_host_watch
TESTS += tests/unit/test_host_watch
tests_unit_test_host_watch_SOURCES = tests/unit/test_host_watch.c tests/unit/host_fixture.h tests/unit/host_plugin.h
tests_unit_test_host_watch_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_host_watch_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_promises_life
TESTS += tests/unit/test_promises_life
tests_unit_test_promises_life_SOURCES = tests/unit/test_promises_life.c tests/unit/promise_help.h
tests_unit_test_promises_life_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_life_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_conf_options
TESTS += tests/unit/test_conf_options
tests_unit_test_conf_options_SOURCES = tests/unit/test_conf_options.c tests/unit/conf_help.h
tests_unit_test_conf_options_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_conf_options_LDADD = $(TEST_LIBS)
