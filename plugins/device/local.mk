# plugins/device
plugin_PROGRAMS += plugins/device.so
plugins_device_so_SOURCES = plugins/device/device.c
plugins_device_so_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_device_so_CFLAGS = $(PLUGIN_CFLAGS)
plugins_device_so_LDFLAGS = $(SO_LINK)
plugins_device_so_LDADD =
EXTRA_DIST += plugins/device/README
kithsources_HEADERS += plugins/sources/device.h

check_PROGRAMS += tests/unit/test_device
TESTS += tests/unit/test_device
tests_unit_test_device_SOURCES = tests/unit/test_device.c plugins/device/device.c $(FAKE_HOST)
tests_unit_test_device_CFLAGS = $(TEST_CFLAGS)
tests_unit_test_device_LDADD = $(TEST_LIBS) -lm

check_PROGRAMS += tests/fuzz/fuzz_device
tests_fuzz_fuzz_device_SOURCES = tests/fuzz/fuzz_device.c
tests_fuzz_fuzz_device_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"device"'
tests_fuzz_fuzz_device_LDADD = $(LIBKITH_LIBS)
if FUZZER
tests_fuzz_fuzz_device_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
tests_fuzz_fuzz_device_SOURCES += tests/fuzz/replay_main.c
TESTS += tests/fuzz/fuzz_device
endif
EXTRA_DIST += tests/fuzz/device

TESTS += tests/kernel/test_device.py
EXTRA_DIST += tests/kernel/test_device.py
