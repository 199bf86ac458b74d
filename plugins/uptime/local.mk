plugin_PROGRAMS += plugins/uptime.so
plugins_uptime_so_SOURCES = plugins/uptime/uptime.c
plugins_uptime_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_uptime_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_uptime_so_LDFLAGS = $(SO_LINK)
plugins_uptime_so_LDADD =
EXTRA_DIST += plugins/uptime/README
