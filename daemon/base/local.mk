libkith_a_SOURCES += \
	daemon/base/alloc.c daemon/base/alloc.h \
	daemon/base/archives.c daemon/base/archives.h \
	daemon/base/buf.c daemon/base/buf.h \
	daemon/base/clock.c daemon/base/clock.h \
	daemon/base/crc.c daemon/base/crc.h \
	daemon/base/fault.c daemon/base/fault.h \
	daemon/base/log.c daemon/base/log.h \
	daemon/base/names.c daemon/base/names.h \
	daemon/base/places.c daemon/base/places.h \
	daemon/base/units.c daemon/base/units.h
