plugin_PROGRAMS += plugins/memory.so
plugins_memory_so_SOURCES = plugins/memory/memory.c
plugins_memory_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_memory_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_memory_so_LDFLAGS = $(SO_LINK)
plugins_memory_so_LDADD =
EXTRA_DIST += plugins/memory/README
