# tests/bench: kithd beside a bare daemon and its peers. `make bench`, BENCH_ARGS="--quick"
BENCH_HELPERS = tests/bench/bare tests/bench/latency tests/bench/sleepers tests/bench/stamp
EXTRA_PROGRAMS += $(BENCH_HELPERS)
CLEANFILES += $(BENCH_HELPERS)
EXTRA_DIST += tests/bench/README tests/bench/bench.py tests/bench/cost.py tests/bench/kith.py tests/bench/latency.py \
	tests/bench/measure.py tests/bench/peers.py tests/bench/report.py

tests_bench_bare_SOURCES = tests/bench/bare.c
tests_bench_sleepers_SOURCES = tests/bench/sleepers.c
tests_bench_stamp_SOURCES = tests/bench/stamp.c
tests_bench_stamp_LDFLAGS = $(AM_LDFLAGS) -static
tests_bench_latency_SOURCES = tests/bench/latency.c tests/bench/listen.c tests/bench/listen.h
tests_bench_latency_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_bench_latency_LDADD = $(LIBKITHCLIENT_LIBS)

BENCH_ARGS =
if SANITIZERS
bench:
	@echo "make bench: sanitizers cost more than all that is measured: use a build without --enable-sanitizers" >&2; exit 1
else
bench: all $(BENCH_HELPERS)
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/bench.py --build . $(BENCH_ARGS)
endif
.PHONY: bench
