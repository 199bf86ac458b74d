# kith-fold: librrd is mapped by it when it is needed, and by nobody else
FOLD_SOURCES = \
	daemon/store/fold/answer.c daemon/store/fold/answer.h \
	daemon/store/fold/arguments.c daemon/store/fold/arguments.h \
	daemon/store/fold/export.c daemon/store/fold/export.h \
	daemon/store/fold/family.c daemon/store/fold/family.h \
	daemon/store/fold/fold.c daemon/store/fold/fold.h \
	daemon/store/fold/graph.c \
	daemon/store/fold/librrd.c daemon/store/fold/librrd.h \
	daemon/store/fold/lines.c daemon/store/fold/lines.h \
	daemon/store/fold/names.c daemon/store/fold/names.h \
	daemon/store/fold/open.c daemon/store/fold/open.h \
	daemon/store/fold/past.c daemon/store/fold/past.h daemon/store/fold/past_impl.h \
	daemon/store/fold/past_rows.c daemon/store/fold/past_samples.c \
	daemon/store/fold/remove.c \
	daemon/store/fold/resample.c daemon/store/fold/resample.h \
	daemon/store/fold/rrdfile.c daemon/store/fold/rrdfile.h \
	daemon/store/fold/samples.c \
	daemon/store/fold/state.c daemon/store/fold/state.h \
	daemon/store/fold/undo.c daemon/store/fold/undo.h \
	daemon/store/fold/verify.c daemon/store/fold/verify.h daemon/store/fold/verify_impl.h \
	daemon/store/fold/verify_family.c daemon/store/fold/verify_learn.c \
	daemon/store/fold/write.c
noinst_LIBRARIES += libkithfold.a
libkithfold_a_SOURCES = $(FOLD_SOURCES)
libkithfold_a_CPPFLAGS = $(AM_CPPFLAGS) $(RRD_CFLAGS) -DKITH_LIBRRD='"$(LIBRRD)"'
libkithfold_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
LIBKITHFOLD_LIBS = libkithfold.a libkith.a $(PROTOBUF_C_LIBS) -lm -ldl

sbin_PROGRAMS += kith-fold
dist_man_MANS += daemon/store/fold/kith-fold.8
kith_fold_SOURCES = daemon/store/fold/main.c
kith_fold_CPPFLAGS = $(AM_CPPFLAGS) $(RRD_CFLAGS)
kith_fold_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
kith_fold_LDADD = $(LIBKITHFOLD_LIBS)
dist_man_MANS += daemon/store/fold/kith-journal.5

check_PROGRAMS += tests/host/kith-segments
tests_host_kith_segments_SOURCES = tests/host/kith-segments.c
tests_host_kith_segments_LDADD = $(LIBKITH_LIBS)

FOLD_TESTS = tests/host/test_fold.py tests/host/test_fold_kill.py tests/host/test_fold_answer.py tests/host/test_fold_verify.py \
	tests/host/test_store_faults.py tests/host/test_store_kill.py
TESTS += $(FOLD_TESTS)
EXTRA_DIST += $(FOLD_TESTS) tests/lib/foldtest.py tests/lib/storetest.py tests/bench/bench_fold.py

check_PROGRAMS += tests/unit/test_fold
TESTS += tests/unit/test_fold
tests_unit_test_fold_SOURCES = tests/unit/test_fold.c
tests_unit_test_fold_CPPFLAGS = $(AM_CPPFLAGS) $(RRD_CFLAGS)
tests_unit_test_fold_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_fold_LDADD = $(LIBKITHFOLD_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_segment tests/fuzz/fuzz_fold
tests_fuzz_fuzz_segment_SOURCES = tests/fuzz/fuzz_segment.c
tests_fuzz_fuzz_segment_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"segment"'
tests_fuzz_fuzz_segment_LDADD = $(LIBKITH_LIBS)
tests_fuzz_fuzz_fold_SOURCES = tests/fuzz/fuzz_fold.c
tests_fuzz_fuzz_fold_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"fold"'
tests_fuzz_fuzz_fold_LDADD = $(LIBKITHFOLD_LIBS)
if FUZZER
tests_fuzz_fuzz_segment_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_fold_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_segment_SOURCES += tests/fuzz/replay_main.c
tests_fuzz_fuzz_fold_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_segment tests/fuzz/fuzz_fold
endif
EXTRA_DIST += tests/fuzz/segment tests/fuzz/fold
