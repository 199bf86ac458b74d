libkith_a_SOURCES += daemon/model/model.c daemon/model/model.h daemon/model/impl.h daemon/model/tell.c
