libkith_a_SOURCES += \
	daemon/conf/check.c \
	daemon/conf/conf.c daemon/conf/conf.h \
	daemon/conf/lex.c \
	daemon/conf/options.c \
	daemon/conf/parse.c daemon/conf/parse.h \
	daemon/conf/scalar.c
