libkith_a_SOURCES += daemon/store/history.c daemon/store/history.h daemon/store/history_impl.h \
	daemon/store/history_line.c daemon/store/history_line.h \
	daemon/store/history_read.c \
	daemon/store/compact.c \
	daemon/store/reliability.c daemon/store/reliability.h \
	daemon/store/journal.c daemon/store/journal_disk.c daemon/store/journal.h daemon/store/journal_impl.h \
	daemon/store/pack.c daemon/store/unpack.c daemon/store/pack.h daemon/store/pack_scale.h \
	daemon/store/segment.c daemon/store/segment.h \
	daemon/store/records.c daemon/store/records.h daemon/store/records_impl.h daemon/store/records_format.h \
	daemon/store/records_block.c daemon/store/records_folder.c daemon/store/records_index.c daemon/store/records_pack.c \
	daemon/store/records_row.c daemon/store/records_sum.c daemon/store/records_sum.h \
	daemon/store/records_walk.c daemon/store/records_walk.h daemon/store/records_worker.c \
	daemon/store/trail.c daemon/store/trail_file.c daemon/store/trail_ring.c daemon/store/trail.h daemon/store/trail_impl.h

dist_man_MANS += daemon/store/kith-history.5

check_PROGRAMS += tests/unit/test_history
TESTS += tests/unit/test_history
tests_unit_test_history_SOURCES = tests/unit/test_history.c tests/unit/history_help.h
tests_unit_test_history_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_history_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_history_compact
TESTS += tests/unit/test_history_compact
tests_unit_test_history_compact_SOURCES = tests/unit/test_history_compact.c tests/unit/history_help.h
tests_unit_test_history_compact_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_history_compact_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_trail
TESTS += tests/unit/test_trail
tests_unit_test_trail_SOURCES = tests/unit/test_trail.c tests/unit/language_help.h tests/unit/promise_help.h
tests_unit_test_trail_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_trail_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_history
tests_fuzz_fuzz_history_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"history"'
tests_fuzz_fuzz_history_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_history_SOURCES = tests/fuzz/fuzz_history.c
tests_fuzz_fuzz_history_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_history_SOURCES = tests/fuzz/fuzz_history.c tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_history
endif
EXTRA_DIST += tests/fuzz/history

check_PROGRAMS += tests/unit/test_journal tests/unit/test_journal_disk
TESTS += tests/unit/test_journal tests/unit/test_journal_disk
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c tests/unit/journal_fixture.h
tests_unit_test_journal_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_journal_LDADD = $(TEST_LIBS)
tests_unit_test_journal_disk_SOURCES = tests/unit/test_journal_disk.c tests/unit/journal_fixture.h
tests_unit_test_journal_disk_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_journal_disk_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_records
TESTS += tests/unit/test_records
tests_unit_test_records_SOURCES = tests/unit/test_records.c tests/unit/records_help.h
tests_unit_test_records_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_records_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_records
tests_fuzz_fuzz_records_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"records"'
tests_fuzz_fuzz_records_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_records_SOURCES = tests/fuzz/fuzz_records.c
tests_fuzz_fuzz_records_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_records_SOURCES = tests/fuzz/fuzz_records.c tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_records
endif
EXTRA_DIST += tests/fuzz/records
dist_man_MANS += daemon/store/kith-records.5 daemon/store/log/kith-log.8
