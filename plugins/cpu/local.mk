plugin_PROGRAMS += plugins/cpu.so
plugins_cpu_so_SOURCES = plugins/cpu/cpu.c
plugins_cpu_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_cpu_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_cpu_so_LDFLAGS = $(SO_LINK)
plugins_cpu_so_LDADD =
EXTRA_DIST += plugins/cpu/README
