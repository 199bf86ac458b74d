libkith_a_SOURCES += \
	daemon/conf/check.c \
	daemon/conf/conf.c daemon/conf/conf.h \
	daemon/conf/lex.c \
	daemon/conf/notify.c \
	daemon/conf/options.c \
	daemon/conf/parse.c daemon/conf/records.c daemon/conf/parse.h \
	daemon/conf/scalar.c \
	daemon/conf/section.c \
	daemon/conf/store.c

dist_man_MANS += daemon/conf/kith.conf.5
confexampledir = $(pkgdatadir)
dist_confexample_DATA = daemon/conf/kith.conf.example

systemdsystemunit_DATA = daemon/kithd.service
EXTRA_DIST += daemon/kithd.service.in
CLEANFILES += daemon/kithd.service
daemon/kithd.service: $(srcdir)/daemon/kithd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) daemon && \
		sed -e 's,@sbindir[@],$(sbindir),g' $(srcdir)/daemon/kithd.service.in > $@.tmp && mv $@.tmp $@

check_PROGRAMS += tests/unit/test_conf
TESTS += tests/unit/test_conf
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c tests/unit/conf_examples.h
tests_unit_test_conf_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_conf_LDADD = $(TEST_LIBS)

# With --enable-fuzzer a program for libFuzzer, else one that replays the seeds
check_PROGRAMS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c
tests_fuzz_fuzz_conf_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"conf"'
tests_fuzz_fuzz_conf_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_conf_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_conf_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_conf
endif
EXTRA_DIST += \
	tests/fuzz/conf/bom.conf \
	tests/fuzz/conf/booleans.conf \
	tests/fuzz/conf/comments.conf \
	tests/fuzz/conf/control.conf \
	tests/fuzz/conf/crlf.conf \
	tests/fuzz/conf/deep.conf \
	tests/fuzz/conf/design.conf \
	tests/fuzz/conf/duplicates.conf \
	tests/fuzz/conf/heredoc.conf \
	tests/fuzz/conf/heredoc_open.conf \
	tests/fuzz/conf/json.conf \
	tests/fuzz/conf/macro.conf \
	tests/fuzz/conf/missing.conf \
	tests/fuzz/conf/nested.conf \
	tests/fuzz/conf/nul.conf \
	tests/fuzz/conf/numbers.conf \
	tests/fuzz/conf/options.conf \
	tests/fuzz/conf/options_bad.conf \
	tests/fuzz/conf/overflow.conf \
	tests/fuzz/conf/separators.conf \
	tests/fuzz/conf/strings.conf \
	tests/fuzz/conf/unclosed.conf \
	tests/fuzz/conf/utf8.conf \
	tests/fuzz/conf/utf8_bad.conf
