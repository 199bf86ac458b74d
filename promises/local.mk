libkith_a_SOURCES += promises/promises.h \
	promises/arena.c promises/arena.h \
	promises/assess.c \
	promises/binding.c \
	promises/condition.c \
	promises/engine.h \
	promises/evaluate.c \
	promises/explaining.c \
	promises/grammar.c promises/grammar.h \
	promises/mend.c \
	promises/promises.c \
	promises/syntax.h \
	promises/tokens.c promises/tokens.h \
	promises/typing.c promises/typing.h \
	promises/window.c promises/window.h \
	promises/wording.c

check_PROGRAMS += tests/unit/test_promises tests/unit/test_promises_bad
TESTS += tests/unit/test_promises tests/unit/test_promises_bad
tests_unit_test_promises_SOURCES = tests/unit/test_promises.c tests/unit/promise_help.h
tests_unit_test_promises_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_LDADD = $(TEST_LIBS)
tests_unit_test_promises_bad_SOURCES = tests/unit/test_promises_bad.c tests/unit/promise_help.h
tests_unit_test_promises_bad_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_bad_LDADD = $(TEST_LIBS)
