plugin_PROGRAMS += plugins/swap.so
plugins_swap_so_SOURCES = plugins/swap/swap.c
plugins_swap_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_swap_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_swap_so_LDFLAGS = $(SO_LINK)
plugins_swap_so_LDADD =
EXTRA_DIST += plugins/swap/README
