plugin_PROGRAMS += plugins/disk.so
plugins_disk_so_SOURCES = plugins/disk/disk.c
plugins_disk_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_disk_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_disk_so_LDFLAGS = $(SO_LINK)
plugins_disk_so_LDADD =
EXTRA_DIST += plugins/disk/README
