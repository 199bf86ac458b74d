# The daemon as a whole, started and looked at from outside. Its tests are in Python, of the standard library alone.
HOST_TESTS = \
	tests/host/test_actions.py \
	tests/host/test_bounds.py \
	tests/host/test_history.py tests/host/test_past.py \
	tests/host/test_language.py \
	tests/host/test_notices.py \
	tests/host/test_promised.py \
	tests/host/test_records.py \
	tests/host/test_refused.py \
	tests/host/test_reload.py \
	tests/host/test_start.py \
	tests/host/test_attention.py \
	tests/host/test_clock.py \
	tests/host/test_replay.py \
	tests/host/test_restart.py \
	tests/host/test_steady.py \
	tests/host/test_third_party.py \
	tests/host/test_valgrind.py
TESTS += $(HOST_TESTS)
EXTRA_DIST += $(HOST_TESTS) tests/lib/actiontest.py tests/lib/auditlog.py tests/lib/kithtest.py

# Plugins under test: built, never installed
check_PROGRAMS += tests/host/plugins/probe.so
tests_host_plugins_probe_so_SOURCES = tests/host/plugins/probe.c
tests_host_plugins_probe_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_host_plugins_probe_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_probe_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_probe_so_LDADD =
check_PROGRAMS += tests/host/plugins/probe2.so
tests_host_plugins_probe2_so_SOURCES = tests/host/plugins/probe.c
tests_host_plugins_probe2_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DPROBE_NAME='"probe2"'
tests_host_plugins_probe2_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_probe2_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_probe2_so_LDADD =
check_PROGRAMS += tests/host/plugins/level.so
tests_host_plugins_level_so_SOURCES = tests/host/plugins/probe.c
tests_host_plugins_level_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DPROBE_NAME='"level"' -DPROBE_LEVELS
tests_host_plugins_level_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_level_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_level_so_LDADD =
check_PROGRAMS += tests/host/plugins/clash.so
tests_host_plugins_clash_so_SOURCES = tests/host/plugins/probe.c
tests_host_plugins_clash_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DPROBE_NAME='"clash"' -DPROBE_FAMILY='"load"'
tests_host_plugins_clash_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_clash_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_clash_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_undefined.so
tests_host_plugins_odd_undefined_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_undefined_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_undefined"' -DODD_UNDEFINED
tests_host_plugins_odd_undefined_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_undefined_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_undefined_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_init_fails.so
tests_host_plugins_odd_init_fails_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_init_fails_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_init_fails"' -DODD_INIT_FAILS
tests_host_plugins_odd_init_fails_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_init_fails_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_init_fails_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_no_descriptor.so
tests_host_plugins_odd_no_descriptor_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_no_descriptor_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_no_descriptor"' -DODD_NO_DESCRIPTOR
tests_host_plugins_odd_no_descriptor_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_no_descriptor_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_no_descriptor_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_major.so
tests_host_plugins_odd_major_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_major_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_major"' -DODD_MAJOR=2
tests_host_plugins_odd_major_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_major_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_major_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_minor.so
tests_host_plugins_odd_minor_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_minor_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_minor"' -DODD_MINOR=99
tests_host_plugins_odd_minor_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_minor_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_minor_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_short.so
tests_host_plugins_odd_short_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_short_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_short"' -DODD_SIZE=64
tests_host_plugins_odd_short_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_short_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_short_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_name.so
tests_host_plugins_odd_name_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_name_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_host_plugins_odd_name_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_name_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_name_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_no_resync.so
tests_host_plugins_odd_no_resync_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_no_resync_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_no_resync"' -DODD_PROVIDES=KITH_PROVIDES_RESYNC
tests_host_plugins_odd_no_resync_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_no_resync_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_no_resync_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_needs.so
tests_host_plugins_odd_needs_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_needs_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_needs"' -DODD_NEEDS=KITH_NEEDS_CAP_SYS_PTRACE
tests_host_plugins_odd_needs_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_needs_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_needs_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_needs_unknown.so
tests_host_plugins_odd_needs_unknown_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_needs_unknown_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_needs_unknown"' -DODD_NEEDS='(1ull<<50)'
tests_host_plugins_odd_needs_unknown_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_needs_unknown_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_needs_unknown_so_LDADD =

# Feeds a record store until it is killed
check_PROGRAMS += tests/host/records_feed
tests_host_records_feed_SOURCES = tests/host/records_feed.c
tests_host_records_feed_LDADD = $(LIBKITH_LIBS)
