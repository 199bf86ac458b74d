# plugins
dist_man_MANS += plugins/kith-plugin.7

# A host for one plugin, without kithd
FAKE_HOST = tests/unit/fake_host.c tests/unit/fake_host.h tests/unit/fake_host_own.h tests/unit/fake_table.c tests/unit/fake_watch.c

include plugins/clock/local.mk
include plugins/cpu/local.mk
include plugins/interface/local.mk
include plugins/socket/local.mk
include plugins/conntrack/local.mk
include plugins/processes/local.mk
include plugins/md/local.mk
include plugins/memory/local.mk
include plugins/kmsg/local.mk
include plugins/load/local.mk
include plugins/device/local.mk
include plugins/disk/local.mk
include plugins/df/local.mk
include plugins/mount/local.mk
include plugins/audit/local.mk
include plugins/thermal/local.mk
include plugins/swap/local.mk
include plugins/vmem/local.mk
include plugins/uptime/local.mk
include plugins/pressure/local.mk
include plugins/cgroup/local.mk
include plugins/exec/local.mk
include plugins/file/local.mk
include plugins/textfile/local.mk
include plugins/lines/local.mk
include plugins/syslog/local.mk
include plugins/tail/local.mk
include plugins/service/local.mk
include plugins/package/local.mk
include plugins/template/local.mk

# Benchmark of the plugins that sample: `make bench-plugins`
EXTRA_PROGRAMS += tests/bench/bench_plugins
tests_bench_bench_plugins_SOURCES = tests/bench/bench_plugins.c $(FAKE_HOST)
tests_bench_bench_plugins_LDADD = -ldl
CLEANFILES += tests/bench/bench_plugins
bench-plugins: tests/bench/bench_plugins $(plugin_PROGRAMS)
	tests/bench/bench_plugins
.PHONY: bench-plugins

EXTRA_DIST += tests/data/proc
check_PROGRAMS += tests/unit/test_plugins tests/unit/test_plugin_df
TESTS += tests/unit/test_plugins tests/unit/test_plugin_df
tests_unit_test_plugins_SOURCES = tests/unit/test_plugins.c tests/unit/test_plugin_disk.c tests/unit/test_plugin_common.c \
	tests/unit/test_plugin_common.h $(FAKE_HOST)
tests_unit_test_plugins_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_plugins_LDADD = $(CHECK_LIBS) -ldl
tests_unit_test_plugin_df_SOURCES = tests/unit/test_plugin_df.c tests/unit/test_plugin_common.c tests/unit/test_plugin_common.h \
	$(FAKE_HOST)
tests_unit_test_plugin_df_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_plugin_df_LDFLAGS = $(AM_LDFLAGS) -rdynamic # its statfs is the plugin's too
tests_unit_test_plugin_df_LDADD = $(TEST_LIBS) -ldl

# kith-sources(7): what the descriptors say
noinst_PROGRAMS += kith-describe
kith_describe_SOURCES = daemon/host/describe.c
kith_describe_CPPFLAGS = $(AM_CPPFLAGS)
kith_describe_LDADD = -ldl
nodist_man_MANS = plugins/kith-sources.7
plugins/kith-sources.7: kith-describe$(EXEEXT) $(plugin_PROGRAMS)
	$(AM_V_GEN)./kith-describe$(EXEEXT) $(plugin_PROGRAMS:%=./%) >$@.new && mv $@.new $@
CLEANFILES += plugins/kith-sources.7 plugins/kith-sources.7.new
