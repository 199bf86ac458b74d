libkith_a_SOURCES += promises/promises.h \
	promises/arena.c promises/arena.h \
	promises/assess.c \
	promises/binding.c \
	promises/condition.c \
	promises/engine.h \
	promises/evaluate.c \
	promises/explaining.c \
	promises/grammar.c promises/grammar.h \
	promises/mend.c \
	promises/promises.c \
	promises/syntax.h \
	promises/tokens.c promises/tokens.h \
	promises/typing.c promises/typing.h \
	promises/window.c promises/window.h \
	promises/wording.c
