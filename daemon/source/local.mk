# daemon/source: kernel readers that plugins share
libkith_a_SOURCES += \
	daemon/source/file.c daemon/source/file.h \
	daemon/source/netlink.c daemon/source/netlink.h \
	daemon/source/process.c daemon/source/process_bpf.c daemon/source/process.h
