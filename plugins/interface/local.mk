# plugins/interface
plugin_PROGRAMS += plugins/interface.so
plugins_interface_so_SOURCES = $(INTERFACE_SOURCES)
plugins_interface_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_interface_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_interface_so_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_interface_so_LDADD =
INTERFACE_SOURCES = \
	plugins/interface/counters.c \
	plugins/interface/interface.c \
	plugins/interface/interface.h \
	plugins/interface/links.c \
	plugins/interface/message.c
EXTRA_DIST += plugins/interface/README
