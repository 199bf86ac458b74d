# Plugins in processes of their own
TESTS += tests/host/test_isolated.py
EXTRA_DIST += tests/host/test_isolated.py
check_PROGRAMS += tests/host/plugins/wild.so
tests_host_plugins_wild_so_SOURCES = tests/host/plugins/wild.c
tests_host_plugins_wild_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_host_plugins_wild_so_CFLAGS = $(PLUGIN_CFLAGS)
tests_host_plugins_wild_so_LDFLAGS = $(SO_LINK)
tests_host_plugins_wild_so_LDADD =
