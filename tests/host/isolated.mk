# Plugins in processes of their own
TESTS += tests/host/test_isolated.py
EXTRA_DIST += tests/host/test_isolated.py
check_PROGRAMS += tests/host/plugins/wild.so
tests_host_plugins_wild_so_SOURCES = tests/host/plugins/wild.c
tests_host_plugins_wild_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_host_plugins_wild_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_wild_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_wild_so_LDADD =
check_PROGRAMS += tests/host/plugins/odd_exporter.so
tests_host_plugins_odd_exporter_so_SOURCES = tests/host/plugins/odd.c
tests_host_plugins_odd_exporter_so_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DODD_NAME='"odd_exporter"' -DODD_PROVIDES=KITH_PROVIDES_EXPORTER
tests_host_plugins_odd_exporter_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_odd_exporter_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_odd_exporter_so_LDADD =
check_PROGRAMS += tests/unit/test_wire
TESTS += tests/unit/test_wire
tests_unit_test_wire_SOURCES = tests/unit/test_wire.c
tests_unit_test_wire_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_wire_LDADD = $(TEST_LIBS)
