/* kith-fold --answer: one request on standard input, and the ring behind it; frames of control.proto on standard output */
#ifndef KITH_STORE_FOLD_ANSWER_H
#define KITH_STORE_FOLD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/control.pb-c.h"
#include "store/fold/past.h"

struct answer {
	const char *state;      /* STATE_DIR */
	int out;                /* descriptor of the answers */
	uint8_t *frame;         /* of the last one */
	size_t frame_size;
	uint32_t spans;
	bool raw;               /* as past_config.raw */
	const char *cached;     /* NULL: none */
};

/* 0: answered, with a fault too; -EPIPE: nobody reads any more; -errno */
int answer_run(const char *state, const char *cached, int in, int out);

/* -EPIPE and the like */
int answer_send(struct answer *a, Control__Answer__IsCase is, ProtobufCMessage *message);
int answer_fault(struct answer *a, Control__Code code, const char *text);
/* graph.c. As past_run's functions return; the pattern's marks are the caller's */
int graph_answer(struct answer *a, const Control__GraphRequest *q, struct past_config *past);

#endif
