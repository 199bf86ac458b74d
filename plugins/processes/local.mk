# plugins/processes
plugin_PROGRAMS += plugins/processes.so
plugins_processes_so_SOURCES = $(PROCESSES_SOURCES)
plugins_processes_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_processes_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_processes_so_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_processes_so_LDADD =
PROCESSES_SOURCES = \
	plugins/processes/events.c \
	plugins/processes/names.c \
	plugins/processes/proc.c \
	plugins/processes/processes.c \
	plugins/processes/processes.h \
	plugins/processes/totals.c
EXTRA_DIST += plugins/processes/README
