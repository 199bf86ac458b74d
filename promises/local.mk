libkith_a_SOURCES += promises/promises.h \
	promises/arena.c promises/arena.h \
	promises/assess.c \
	promises/attention.c \
	promises/binding.c \
	promises/calendar.c promises/calendar.h \
	promises/condition.c \
	promises/depends.c \
	promises/engine.h \
	promises/english.c \
	promises/evaluate.c \
	promises/explaining.c \
	promises/facts.c \
	promises/flapping.c \
	promises/duration.c \
	promises/grammar.c promises/grammar.h \
	promises/lets.c \
	promises/listen.c \
	promises/mend.c \
	promises/promises.c \
	promises/queue.c \
	promises/records.c \
	promises/regex.c promises/regex.h \
	promises/rules.c \
	promises/sense.c \
	promises/syntax.h \
	promises/tokens.c promises/tokens.h \
	promises/topics.c \
	promises/typing.c promises/typing.h \
	promises/window.c promises/window.h \
	promises/when.c \
	promises/wording.c

check_PROGRAMS += tests/unit/test_promises tests/unit/test_promises_bad
TESTS += tests/unit/test_promises tests/unit/test_promises_bad
tests_unit_test_promises_SOURCES = tests/unit/test_promises.c tests/unit/promise_help.h
tests_unit_test_promises_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_LDADD = $(TEST_LIBS)
tests_unit_test_promises_bad_SOURCES = tests/unit/test_promises_bad.c tests/unit/promise_help.h
tests_unit_test_promises_bad_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_bad_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_promises_language tests/unit/test_promises_functions tests/unit/test_promises_attention
TESTS += tests/unit/test_promises_language tests/unit/test_promises_functions tests/unit/test_promises_attention
tests_unit_test_promises_attention_SOURCES = tests/unit/test_promises_attention.c tests/unit/language_help.h \
	tests/unit/promise_help.h
tests_unit_test_promises_attention_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_attention_LDADD = $(TEST_LIBS)
tests_unit_test_promises_language_SOURCES = tests/unit/test_promises_language.c tests/unit/language_help.h \
	tests/unit/promise_help.h
tests_unit_test_promises_language_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_language_LDADD = $(TEST_LIBS)
tests_unit_test_promises_functions_SOURCES = tests/unit/test_promises_functions.c tests/unit/language_help.h \
	tests/unit/promise_help.h
tests_unit_test_promises_functions_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_functions_LDADD = $(TEST_LIBS)

dist_promises_DATA += promises/bundles/cost.promise promises/bundles/network.promise promises/bundles/room.promise
dist_promises_DATA += promises/bundles/groups.promise
dist_promises_DATA += promises/bundles/textfile.promise
dist_man_MANS += promises/kith-promise.5

# The linker counts the allocations of a sample's way.
check_PROGRAMS += tests/unit/test_promises_random
TESTS += tests/unit/test_promises_random
tests_unit_test_promises_random_SOURCES = tests/unit/test_promises_random.c tests/unit/promise_help.h
tests_unit_test_promises_random_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_random_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
tests_unit_test_promises_random_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_promise
tests_fuzz_fuzz_promise_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"promise"'
tests_fuzz_fuzz_promise_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_promise_SOURCES = tests/fuzz/fuzz_promise.c
tests_fuzz_fuzz_promise_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_promise_SOURCES = tests/fuzz/fuzz_promise.c tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_promise
endif
EXTRA_DIST += tests/fuzz/promise

# make tests/bench/bench_promises && tests/bench/bench_promises
EXTRA_PROGRAMS += tests/bench/bench_promises
tests_bench_bench_promises_SOURCES = tests/bench/bench_promises.c
tests_bench_bench_promises_LDADD = $(LIBKITH_LIBS)

check_PROGRAMS += tests/unit/test_promises_bundles
TESTS += tests/unit/test_promises_bundles
tests_unit_test_promises_bundles_SOURCES = tests/unit/test_promises_bundles.c tests/unit/promise_help.h
tests_unit_test_promises_bundles_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_promises_bundles_LDADD = $(TEST_LIBS)

# What a window's functions remember
libkith_a_SOURCES += promises/sketch.c promises/sketch.h promises/window_moments.c promises/window_moments.h \
	promises/window_sums.c promises/window_sums.h
check_PROGRAMS += tests/unit/test_windows
TESTS += tests/unit/test_windows
tests_unit_test_windows_SOURCES = tests/unit/test_windows.c tests/unit/naive_windows.h
tests_unit_test_windows_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_windows_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
tests_unit_test_windows_LDADD = $(TEST_LIBS)

# make tests/bench/bench_windows && tests/bench/bench_windows
EXTRA_PROGRAMS += tests/bench/bench_windows
tests_bench_bench_windows_SOURCES = tests/bench/bench_windows.c
tests_bench_bench_windows_LDADD = $(LIBKITH_LIBS)

# What a person is told
libkith_a_SOURCES += promises/notices.h promises/notices_impl.h promises/notices.c promises/notices_message.c promises/notices_quiet.c \
	promises/notices_route.c promises/notices_send.c promises/notices_state.c \
	promises/notices_words.c
check_PROGRAMS += tests/unit/test_notices
TESTS += tests/unit/test_notices
tests_unit_test_notices_SOURCES = tests/unit/test_notices.c tests/unit/notices_help.h tests/unit/promise_help.h
tests_unit_test_notices_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_notices_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_flapping
TESTS += tests/unit/test_flapping
tests_unit_test_flapping_SOURCES = tests/unit/test_flapping.c tests/unit/promise_help.h
tests_unit_test_flapping_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_flapping_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/test_notices_quiet tests/unit/test_notices_state
TESTS += tests/unit/test_notices_quiet tests/unit/test_notices_state
tests_unit_test_notices_quiet_SOURCES = tests/unit/test_notices_quiet.c tests/unit/notices_help.h tests/unit/promise_help.h
tests_unit_test_notices_quiet_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_notices_quiet_LDADD = $(TEST_LIBS)
tests_unit_test_notices_state_SOURCES = tests/unit/test_notices_state.c tests/unit/notices_help.h tests/unit/promise_help.h
tests_unit_test_notices_state_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_notices_state_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_notices
tests_fuzz_fuzz_notices_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"notices"'
tests_fuzz_fuzz_notices_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_notices_SOURCES = tests/fuzz/fuzz_notices.c
tests_fuzz_fuzz_notices_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_notices_SOURCES = tests/fuzz/fuzz_notices.c tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_notices
endif
EXTRA_DIST += tests/fuzz/notices

check_PROGRAMS += tests/unit/test_notices_random
TESTS += tests/unit/test_notices_random
tests_unit_test_notices_random_SOURCES = tests/unit/test_notices_random.c tests/unit/notices_help.h tests/unit/promise_help.h
tests_unit_test_notices_random_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_notices_random_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_notices_memory
TESTS += tests/unit/test_notices_memory
tests_unit_test_notices_memory_SOURCES = tests/unit/test_notices_memory.c tests/unit/notices_help.h tests/unit/promise_help.h
tests_unit_test_notices_memory_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_notices_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup
tests_unit_test_notices_memory_LDADD = $(TEST_LIBS)
