# Exporters, in a folder of their own: where all plugins of tests are loaded, they would hear it all
TESTS += tests/host/test_export.py
EXTRA_DIST += tests/host/test_export.py
check_PROGRAMS += tests/host/exporters/tap.so
tests_host_exporters_tap_so_SOURCES = tests/host/plugins/tap.c
tests_host_exporters_tap_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_host_exporters_tap_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_exporters_tap_so_LDFLAGS = $(SO_LINK)
tests_host_exporters_tap_so_LDADD =
# The same once more, newer: it takes the place of the first.
check_PROGRAMS += tests/host/exporters/tap-2.so
tests_host_exporters_tap_2_so_SOURCES = tests/host/plugins/tap.c
tests_host_exporters_tap_2_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DTAP_VERSION='"2"'
tests_host_exporters_tap_2_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_exporters_tap_2_so_LDFLAGS = $(SO_LINK)
tests_host_exporters_tap_2_so_LDADD =
check_PROGRAMS += tests/host/exporters/tap_quiet.so
tests_host_exporters_tap_quiet_so_SOURCES = tests/host/plugins/tap.c
tests_host_exporters_tap_quiet_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DTAP_NAME='"tap_quiet"' -DTAP_QUIET
tests_host_exporters_tap_quiet_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_exporters_tap_quiet_so_LDFLAGS = $(SO_LINK)
tests_host_exporters_tap_quiet_so_LDADD =
check_PROGRAMS += tests/host/exporters/tap_other.so
tests_host_exporters_tap_other_so_SOURCES = tests/host/plugins/tap.c
tests_host_exporters_tap_other_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DTAP_NAME='"tap_other"'
tests_host_exporters_tap_other_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_exporters_tap_other_so_LDFLAGS = $(SO_LINK)
tests_host_exporters_tap_other_so_LDADD =
