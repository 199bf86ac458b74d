/*
 * The syslog plugin's own: options and counts (syslog.c), sockets (listen.c), datagrams (datagram.c), streams (stream.c) and their lines (frame.c).
 * What a line is stands in plugins/lines.
 */
#ifndef KITH_SYSLOG_SYSLOG_H
#define KITH_SYSLOG_SYSLOG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "lines/entry.h"
#include "lines/limit.h"
#include "lines/line.h"
#include "plugin.h"
#include "syslog/frame.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define CLIENTS_MAX 64
#define STREAM_BYTES (64 * 1024) /* of a stream, before others have their turn */
#define STREAM_BUFFER (FRAME_REST_MAX + STREAM_BYTES + 1)

enum { FAMILY_SYSLOG };
enum listener_metric { RECEIVED, DROPPED, MALFORMED, BYTES, LOST, CLIENTS, N_METRICS };
enum listener_kind { LISTENER_UNIX, LISTENER_UDP, LISTENER_TCP };

struct syslog;

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un path;
};

/* Which file it is; ino 0: none */
struct file_id {
	dev_t dev;
	ino_t ino;
};

struct listener {
	struct syslog *s;
	enum listener_kind kind;
	int fd;                   /* -1: it is not open, and is tried again */
	union address address;
	socklen_t address_length;
	struct kith_watch *watch;
	kith_id id;
	double counts[N_METRICS];
	struct file_id file;      /* of a Unix socket that was made here */
	int old_fd;               /* of a Unix socket that lost its path: who is connected to it is heard on. -1: none */
	struct file_id old_file;
	struct kith_watch *old_watch, *path_watch;
	unsigned hurry;           /* how often it was opened at once since `hurry_from`, mono ns */
	int64_t hurry_from;
	int error;                /* why it is not open; 0: it is */
	bool changed;             /* its counts, since they were put */
	char name[256];           /* unix:/dev/log, udp:127.0.0.1:514 */
};

/* One end of a TCP connection */
struct client {
	struct listener *listener; /* NULL: the place is free */
	int fd;
	struct kith_watch *watch;
	union address peer;
	int64_t heard;             /* mono ns */
	struct frame frame;
	char *rest;                /* FRAME_REST_MAX bytes, once they are needed */
	size_t rest_length;
};

struct batch; /* of datagram.c */

struct syslog {
	const struct kith_host *h;
	struct listener *listeners;
	size_t n_listeners;
	struct client clients[CLIENTS_MAX];
	unsigned n_clients;
	struct batch *batch;      /* NULL: there is no datagram socket */
	char *stream;             /* where streams are read into; NULL: there is none */
	struct limits *limits;
	struct line_clock clock;
	struct line line;
	struct entry entry;
	int64_t mono;             /* of this batch */
	int64_t published;        /* mono ns */
	int64_t idle;             /* ns after which a silent client is closed */
	struct kith_watch *publish_timer, *say_timer, *retry_timer, *idle_timer;
};

/* Whom a line is from. Texts of a source are made once, when it is new. */
struct origin {
	struct listener *listener;
	struct limit_source *source;
	bool has_pid;             /* of the Unix socket, with credentials */
	size_t whole;             /* bytes that it had before it was cut; 0: it was not, or nobody knows */
	bool cut;
};

/* syslog.c */
int64_t mono_now(void);
/* A batch begins: what time it is */
void batch_begins(struct syslog *s);
/* It ends: counts are put, drops are said, not too often. */
void batch_ends(struct syslog *s);
struct limit_source *source_of_process(struct syslog *s, pid_t pid, uid_t uid);
struct limit_source *source_of_address(struct syslog *s, const union address *from);
/* One line: counted, limited, taken apart, recorded. text[length] is written to. */
void line_arrives(struct syslog *s, const struct origin *o, char *text, size_t length);

/* listen.c */
/* The address of an option. -EINVAL: it is none */
int listener_parse(struct listener *l, enum listener_kind kind, const char *text);
int listener_open(struct listener *l); /* sets l->error */
void listener_close(struct listener *l);
void listener_drain(struct listener *l); /* takes the datagrams that wait */
/* Hears of its path, if it has one: `fn` with `l`. -errno: what happens to it will not be noticed */
int listener_watch_path(struct listener *l, kith_file_fn fn);
/* A Unix socket whose path is gone, or another's: it is open no longer, and its descriptor is the old one. */
bool listener_lost(struct listener *l);
const char *address_text(const union address *a, char text[INET6_ADDRSTRLEN]);

/* datagram.c */
int batch_new(struct batch **ret_batch);
int on_datagrams(int fd, uint32_t events, void *user);

/* stream.c */
int on_connection(int fd, uint32_t events, void *user);
void clients_close(struct syslog *s);

#endif
