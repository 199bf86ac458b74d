/*
 * What kithd and the child process of an isolated plugin say to each other: datagrams of a SOCK_SEQPACKET socket, each of them whole messages
 * one after another. Both ends are one program, so numbers are the machine's own. Texts carry their length and their NUL.
 *
 * The child is not believed: whoever reads checks every length, and a reader that met a bad one says so to the end (`bad`).
 */
#ifndef KITH_HOST_WIRE_H
#define KITH_HOST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "plugin.h"

#define WIRE_FD 3                   /* the child's end of the socket */
#define WIRE_MAGIC 0x6b697468u
#define WIRE_VERSION 2u
#define WIRE_DATAGRAM_MAX (60u * 1024) /* bytes; one message is no longer than that */
#define WIRE_FAMILIES_MAX 256u      /* that one isolated plugin may declare */

enum wire_type {
	/* from the child; BEGIN and what follows name an instance by the id that it has in the child */
	WIRE_HELLO = 1, /* u32 magic, u32 version */
	WIRE_FAMILY,    /* u32 number from 0 on, a family */
	WIRE_BEGIN,     /* u32 family's number, u32 id of the first metric, text instance */
	WIRE_END,       /* u32 id */
	WIRE_SAMPLES,   /* any number of: u32 id of the first metric, u32 metric, f64 value, i64 time */
	WIRE_RECORD,    /* a record */
	WIRE_STATE,     /* u32 enum host_state, text version, text reason */
	WIRE_COST,      /* u64 calls, u64 CPU ns, u64 failures, i64 allocations, u64 samples and records dropped */
	WIRE_ALIVE,     /* nothing */
	/* to the child */
	WIRE_WANT,      /* u32 family's number, u32 wanted, text instance */
	WIRE_SETTLE,    /* u64 ns between two signs of life, at most */
};

#define WIRE_SAMPLE_SIZE 24u

/* Writing: into a buf that holds the datagram. Between begin and end only put functions. */
size_t wire_begin(struct buf *b, enum wire_type type); /* returns what wire_end wants */
void wire_end(struct buf *b, size_t at);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_f64(struct buf *b, double v);
void wire_put_text(struct buf *b, const char *text, size_t max); /* cut off at `max` bytes, within no UTF-8 character; NULL is "" */
void wire_put_record(struct buf *b, const struct kith_record *record);

/* Reading */
struct wire_in {
	const unsigned char *at;
	size_t left;
	bool bad; /* something was missing or wrong; what is read from then on is 0 and "" */
};
/* The next message of a datagram: false at its end, or when `in` is bad. `ret_message` is set to the message's own bytes. */
bool wire_next(struct wire_in *in, uint32_t *ret_type, struct wire_in *ret_message);
uint32_t wire_u32(struct wire_in *in);
uint64_t wire_u64(struct wire_in *in);
double wire_f64(struct wire_in *in);
const char *wire_text(struct wire_in *in); /* points into the datagram */

/* A family as it was read: all of it points into the datagram and into itself */
struct wire_family {
	struct kith_family family;
	struct kith_metric metrics[KITH_METRICS_MAX];
	const char **states; /* all of them; NULL at the end of each metric's */
};
struct metric;
struct family;
void wire_put_family(struct buf *b, const struct family *f);
/* -EBADMSG, -ENOMEM; wire_family_free after */
int wire_family(struct wire_in *in, struct wire_family *ret_family);
void wire_family_free(struct wire_family *f);

#define WIRE_FIELDS_MAX 32
struct wire_record {
	struct kith_record record;
	struct kith_field fields[WIRE_FIELDS_MAX];
};
void wire_record(struct wire_in *in, struct wire_record *ret_record); /* wrong: in->bad */

#endif
