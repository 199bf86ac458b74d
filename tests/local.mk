# Unit tests (check). Each is a program of its own: tests/unit/test_NAME.c
TEST_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(PROTOBUF_C_CFLAGS)
TEST_LIBS = $(LIBKITH_LIBS) $(CHECK_LIBS)
include tests/unit.mk
include tests/host/local.mk
include tests/host/isolated.mk
include tests/host/export.mk
include tests/systemd/local.mk
include tests/edges/local.mk
include tests/peers/local.mk
