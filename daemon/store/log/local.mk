# kith-log: answers what is asked of records of the past
sbin_PROGRAMS += kith-log
kith_log_SOURCES = daemon/store/log/main.c daemon/store/log/journal.c daemon/store/log/log.h daemon/store/log/own.c daemon/store/log/query.c \
	daemon/store/log/scan.c daemon/store/log/verify.c
kith_log_CPPFLAGS = $(AM_CPPFLAGS)
kith_log_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
kith_log_LDADD = $(LIBKITH_LIBS)
if LIBSYSTEMD
kith_log_CPPFLAGS += -DKITH_JOURNAL=1
kith_log_CFLAGS += $(LIBSYSTEMD_CFLAGS)
kith_log_LDADD += $(LIBSYSTEMD_LIBS)
endif
