plugin_PROGRAMS += plugins/vmem.so
plugins_vmem_so_SOURCES = plugins/vmem/vmem.c
plugins_vmem_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_vmem_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_vmem_so_LDFLAGS = $(SO_LINK)
plugins_vmem_so_LDADD =
EXTRA_DIST += plugins/vmem/README
