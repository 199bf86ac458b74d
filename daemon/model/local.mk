libkith_a_SOURCES += daemon/model/model.c daemon/model/model.h
