# plugins/audit
AUDIT_SOURCES = plugins/audit/audit.c plugins/audit/words.c plugins/audit/audit.h
plugin_PROGRAMS += plugins/audit.so
plugins_audit_so_SOURCES = $(AUDIT_SOURCES)
plugins_audit_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_audit_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_audit_so_LDFLAGS = $(SO_LINK)
plugins_audit_so_LDADD =
EXTRA_DIST += plugins/audit/README
kithsources_HEADERS += plugins/sources/audit.h

check_PROGRAMS += tests/unit/test_audit
TESTS += tests/unit/test_audit
tests_unit_test_audit_SOURCES = tests/unit/test_audit.c $(AUDIT_SOURCES) $(FAKE_HOST)
tests_unit_test_audit_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_audit_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_audit
tests_fuzz_fuzz_audit_SOURCES = tests/fuzz/fuzz_audit.c plugins/audit/words.c plugins/audit/audit.h
tests_fuzz_fuzz_audit_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"audit"'
tests_fuzz_fuzz_audit_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_audit_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_audit_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_audit
endif
EXTRA_DIST += tests/fuzz/audit

TESTS += tests/kernel/test_audit.py
EXTRA_DIST += tests/kernel/test_audit.py
