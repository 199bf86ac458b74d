# plugins/exec
EXEC_SOURCES = \
	plugins/exec/check.c \
	plugins/exec/entry.c \
	plugins/exec/exec.c \
	plugins/exec/exec.h \
	plugins/exec/output.c \
	plugins/exec/output.h \
	plugins/exec/perf.c \
	plugins/exec/result.c
plugin_PROGRAMS += plugins/exec.so
plugins_exec_so_SOURCES = $(EXEC_SOURCES)
plugins_exec_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_exec_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_exec_so_LDFLAGS = $(SO_LINK)
plugins_exec_so_LDADD =
EXTRA_DIST += plugins/exec/README
