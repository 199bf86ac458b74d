plugin_PROGRAMS += plugins/df.so
plugins_df_so_SOURCES = plugins/df/df.c plugins/df/mounts.c plugins/df/mounts.h
plugins_df_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_df_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_df_so_LDFLAGS = $(SO_LINK)
plugins_df_so_LDADD =
EXTRA_DIST += plugins/df/README
