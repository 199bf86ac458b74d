# plugins/interface
plugin_PROGRAMS += plugins/interface.so
plugins_interface_so_SOURCES = $(INTERFACE_SOURCES)
plugins_interface_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_interface_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_interface_so_LDFLAGS = $(SO_LINK)
plugins_interface_so_LDADD =
INTERFACE_SOURCES = \
	plugins/interface/counters.c \
	plugins/interface/interface.c \
	plugins/interface/interface.h \
	plugins/interface/links.c \
	plugins/interface/neighbours.c \
	plugins/interface/routes.c \
	plugins/interface/speed.c \
	plugins/interface/tell.c
kithsources_HEADERS += plugins/sources/rtnetlink.h plugins/sources/ethtool.h
EXTRA_DIST += plugins/interface/README

check_PROGRAMS += tests/kernel/test_source_interface
TESTS += tests/kernel/test_source_interface
tests_kernel_test_source_interface_SOURCES = tests/kernel/test_source_interface.c tests/kernel/real_sources.c \
	tests/kernel/real_sources.h $(FAKE_HOST) $(INTERFACE_SOURCES)
tests_kernel_test_source_interface_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_kernel_test_source_interface_LDADD = $(LIBKITH_LIBS)

check_PROGRAMS += tests/unit/test_interface
TESTS += tests/unit/test_interface
tests_unit_test_interface_SOURCES = tests/unit/test_interface.c tests/unit/frames.h $(FAKE_HOST) \
	$(INTERFACE_SOURCES)
tests_unit_test_interface_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_interface_LDADD = $(TEST_LIBS)
