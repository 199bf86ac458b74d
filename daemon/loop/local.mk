libkith_a_SOURCES += daemon/loop/loop.c daemon/loop/loop.h
