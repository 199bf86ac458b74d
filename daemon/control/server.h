/*
 * Inside of the control server: the server, its connections (peers), what a peer is being answered (struct answer) and
 * what it
 * watches (struct subscription).
 *
 * A peer is freed in its own descriptor's callback alone. Anybody else who finds it broken dooms it: the socket is
 * shut down, and that
 * wakes the callback. So no peer vanishes while a sample or record is on its way to all of them.
 */
#ifndef KITH_CONTROL_SERVER_H
#define KITH_CONTROL_SERVER_H

#include <sys/stat.h>

#include "control/control.h"
#include "control/control.pb-c.h"
#include "control/frame.h"
#include "control/pattern.h"
#include "control/queue.h"
#include "promises/notices.h"

#define CONTROL_MAX_CLIENTS 64u
#define CONTROL_MAX_QUEUE (1024u * 1024)
#define CONTROL_AHEAD 65536u       /* bytes of a long answer that are made before the reader took them */
#define CONTROL_GATHER 16384u      /* bytes of samples that wait for the end of the loop's round */
#define CONTROL_WORK 8192u         /* comparisons and items of one answer in one round of the loop */
#define CONTROL_ACCEPT_PAUSE NS_PER_S /* after the process ran out of descriptors */

struct answer;
struct relay;
struct subscription;

struct peer {
	struct control *control;
	struct peer *prev, *next;
	int fd;
	struct loop_watch *watch;
	bool doomed;   /* shut down; to be freed by its callback */
	bool ended;    /* it sends no more */
	bool closing;  /* to be closed once the queue is empty */
	bool blocked;  /* the socket was full at the last try */
	struct queue out;
	uint8_t *in;   /* NULL unless part of a request is here */
	size_t in_length, in_size;
	struct answer *answer;             /* NULL: none is being given */
	struct relay *relay;               /* NULL: no program answers */
	struct subscription *subscription; /* NULL: does not watch */
};

struct control {
	struct loop *loop;
	struct model *model;
	struct promises *promises; /* NULL: none */
	struct notices *notices;   /* NULL: none */
	struct history *history;   /* NULL: none */
	struct control_daemon daemon;
	size_t max_clients, max_queue;
	char *path; /* NULL: does not listen (tests) */
	dev_t dev;  /* the socket file is ours while these are its */
	ino_t ino;
	int fd;
	struct loop_watch *watch, *retry;
	struct peer *peers;
	size_t n_peers, n_relays;
	struct model_observer observer;
	uint64_t n_cut_off, n_refused, n_garbage;
	bool full_told; /* since a client was taken last */
	/* The frame made last. A sample's is used again for the next peer that watches it. */
	const struct series *framed;
	double framed_value;
	int64_t framed_time;
	size_t frame_size;
	uint8_t *frame; /* FRAME_HEADER + FRAME_ANSWER_MAX bytes, most of them never touched */
};

/* peer.c. control_adopt takes `fd`, a connected stream socket, over also when it fails. */
int control_adopt(struct control *c, int fd_take);
void peer_free(struct peer *p);
void peer_doom(struct peer *p);
/*
 * Queues an answer. `now`: sends it at once, otherwise at the end of the loop's round. A peer whose queue is full is
 * cut off.
 */
void peer_say(struct peer *p, const Control__Answer *answer, bool now);
void peer_say_end(struct peer *p, const Control__End *end);
void peer_say_fault(struct peer *p, Control__Code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Sends the frame that is in control->frame */
void peer_say_frame(struct peer *p, bool now);
/* Makes control->frame of it */
void control_frame(struct control *c, const Control__Answer *answer);

/* request.c */
void request_handle(struct peer *p, const Control__Request *request);

/* answer.c: answers that come by the piece */
int answer_get(struct peer *p, char **patterns, size_t n);
int answer_promises(struct peer *p, const Control__PromisesRequest *request);
int answer_trail(struct peer *p, char **patterns, size_t n);
int answer_plugins(struct peer *p);
int answer_cost(struct peer *p);
int answer_explain(struct peer *p, const Control__ExplainRequest *request);
int answer_check(struct peer *p, const Control__CheckRequest *request);
/* One more piece; false: that was the last, and the answer is freed. *work counts down by what it took. */
bool answer_step(struct peer *p, unsigned *work);
void answer_free(struct answer *a); /* NULL is fine */
/* Moves off what is about to be freed */
void answer_leave_instance(struct answer *a, const struct instance *instance);
void answer_leave_family(struct answer *a, const struct family *family);
void sample_fill(Control__Sample *sample, const struct series *s, char name[NAME_MAX_LENGTH + 1]);

/* trail.c: the recent samples of one series, and its family before the first of them. *told: the family that was said last */
void trail_say(struct peer *p, const struct series *s, const struct family **told);
int answer_silences(struct peer *p);

/* quiet.c */
int quiet_ack(struct peer *p, const Control__AckRequest *request);
int quiet_silence(struct peer *p, const Control__SilenceRequest *request);
bool quiet_step(struct peer *p, unsigned *phase, size_t *index); /* one silence, ack or receiver; false: that was all */
void quiet_fill(const struct control *c, Control__Promise *promise, const struct promise_info *info);

void peer_wait(struct peer *p);  /* what it waits for now is another */
void peer_flush(struct peer *p); /* sends as much as the socket takes */
/* Queues a whole frame that somebody else made */
void peer_say_bytes(struct peer *p, const uint8_t *frame, size_t length);

/* watch.c */
int watch_start(struct peer *p, const Control__WatchRequest *request);
void watch_stop(struct subscription *s); /* NULL is fine */
void watch_instance(struct subscription *s, struct instance *instance); /* a new one */
bool watch_wants_record(const struct subscription *s, const struct kith_record *record);
bool watch_wants_transition(struct subscription *s, const struct kith_transition *transition);

/* Says why a request's patterns were refused, by the error of patterns_parse */
void peer_say_refused(struct peer *p, int error, const struct buf *why);
/* This host's name, as the daemon tells it */
const char *control_host(struct control *c);

#endif
