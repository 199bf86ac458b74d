# tests/bench: kithd beside a bare daemon and its peers. `make bench`, `make bench-promises`, BENCH_ARGS="--quick"
BENCH_HELPERS = tests/bench/bare tests/bench/latency tests/bench/sleepers tests/bench/stamp
# And those that are built elsewhere
BENCH_NEEDS = $(BENCH_HELPERS) tests/bench/bench_promises tests/host/plugins/level.so
EXTRA_PROGRAMS += $(BENCH_HELPERS)
CLEANFILES += $(BENCH_HELPERS)
EXTRA_DIST += tests/bench/README tests/bench/bench.py tests/bench/cost.py tests/bench/detection.py \
	tests/bench/holders.py tests/bench/kith.py tests/bench/latency.py tests/bench/measure.py tests/bench/peers.py \
	tests/bench/promises.py tests/bench/report.py tests/bench/report_promises.py tests/bench/source_idle.py \
	tests/bench/source_net.py tests/bench/source_peers.py tests/bench/source_rows.py tests/bench/source_service.py \
	tests/bench/sources.py tests/bench/tables.py tests/bench/logs.py tests/bench/history.py

tests_bench_bare_SOURCES = tests/bench/bare.c
tests_bench_sleepers_SOURCES = tests/bench/sleepers.c
tests_bench_stamp_SOURCES = tests/bench/stamp.c
tests_bench_stamp_LDFLAGS = $(AM_LDFLAGS) -static
tests_bench_latency_SOURCES = tests/bench/acts.c tests/bench/acts.h tests/bench/acts_net.c tests/bench/latency.c \
	tests/bench/listen.c tests/bench/listen.h
tests_bench_latency_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_bench_latency_LDADD = $(LIBKITHCLIENT_LIBS)

# Its sources stand in promises/local.mk. The linker counts the allocations of a sample's way.
tests_bench_bench_promises_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

BENCH_ARGS =
if SANITIZERS
bench bench-promises bench-sources bench-logs bench-history:
	@echo "make $@: sanitizers cost more than all that is measured: use a build without --enable-sanitizers" >&2; exit 1
else
RUN_BENCH = PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/bench.py --build .
# One after the other: `all` is a make of its own, and two of them would both write the libraries.
bench: all
	$(MAKE) $(AM_MAKEFLAGS) $(BENCH_NEEDS)
	$(RUN_BENCH) $(BENCH_ARGS)
bench-promises: all
	$(MAKE) $(AM_MAKEFLAGS) $(BENCH_NEEDS)
	$(RUN_BENCH) --promises-only $(BENCH_ARGS)
bench-sources: all
	$(MAKE) $(AM_MAKEFLAGS) $(BENCH_NEEDS) $(BENCH_SOURCES_NEEDS)
	$(RUN_BENCH) --sources-only $(BENCH_ARGS)
bench-logs: all
	$(MAKE) $(AM_MAKEFLAGS) tests/bench/bench_syslog
	tests/bench/bench_syslog
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/logs.py --build .
# Among mounts of its own: others' would come and go as series.
bench-history: all
	PYTHONDONTWRITEBYTECODE=1 unshare -m --propagation private /usr/bin/python3 $(srcdir)/tests/bench/history.py --build . $(BENCH_ARGS)
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/logs.py --build .
endif
.PHONY: bench bench-promises bench-sources bench-logs bench-history

# The record store: `make bench-records`, RECORDS_ARGS="--mib 8" for a short run
EXTRA_PROGRAMS += tests/bench/bench_records
CLEANFILES += tests/bench/bench_records
tests_bench_bench_records_SOURCES = tests/bench/bench_records.c
tests_bench_bench_records_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_bench_bench_records_LDADD = $(LIBKITH_LIBS)
RECORDS_ARGS =
bench-records: all
	$(MAKE) $(AM_MAKEFLAGS) tests/bench/bench_records
	./tests/bench/bench_records $(RECORDS_ARGS) ./kith-log
.PHONY: bench-records
