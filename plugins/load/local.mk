plugin_PROGRAMS += plugins/load.so
plugins_load_so_SOURCES = plugins/load/load.c
plugins_load_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_load_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_load_so_LDFLAGS = $(SO_LINK)
plugins_load_so_LDADD =
EXTRA_DIST += plugins/load/README
