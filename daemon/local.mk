# libkith.a: all of the daemon but main.c; the tests and the fuzz targets use it too.
noinst_LIBRARIES += libkith.a
libkith_a_SOURCES =
nodist_libkith_a_SOURCES =
libkith_a_CPPFLAGS = $(AM_CPPFLAGS)
libkith_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(ZSTD_CFLAGS)
LIBKITH_LIBS = libkith.a $(PROTOBUF_C_LIBS) $(TRE_LIBS) $(ZSTD_LIBS) -lev -lm -ldl -lpthread

sbin_PROGRAMS += kithd
kithd_SOURCES = daemon/main.c daemon/daemon.h daemon/answer.c daemon/facts.c daemon/isolated.c daemon/kept.c daemon/notified.c daemon/options.c \
	daemon/promised.c daemon/reload.c daemon/replay.c \
	daemon/self.c daemon/start.c daemon/test.c
kithd_LDADD = $(LIBKITH_LIBS)
dist_man_MANS += daemon/kithd.8
