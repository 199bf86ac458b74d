/*
 * Process events from the kernel's proc connector. The socket is open only while somebody asks, and a classic BPF program, made from what all
 * subscribers ask for, lets nothing else through. The fall-back (no right, or another pid namespace: the kernel never acknowledges) is told.
 */
#ifndef KITH_SOURCE_PROCESS_H
#define KITH_SOURCE_PROCESS_H

#include <linux/filter.h>

#include "loop/loop.h"
#include "plugin.h"

struct process_source;
struct process_sub;

struct process_listener {
	void *user;
	void (*event)(const struct kith_process_event *event, void *user);
	void (*lost)(void *user);              /* overflow: scan */
	void (*silent)(int error, void *user); /* -EOPNOTSUPP: subscribed, but this host delivers nothing (no acknowledgement within 1 s) */
};
struct process_stats { uint64_t events, overflows, malformed, filters; };

int process_source_new(struct loop *l, struct process_source **ret_source);
void process_source_free(struct process_source *s);
/* -EPERM, -EOPNOTSUPP, … when the socket cannot be had */
int process_subscribe(struct process_source *s, const struct kith_process_filter *filter,
                      const struct process_listener *listener, struct process_sub **ret_sub);
int process_set_filter(struct process_source *s, struct process_sub *sub, const struct kith_process_filter *filter);
void process_unsubscribe(struct process_source *s, struct process_sub *sub);
struct process_stats process_stats(const struct process_source *s);

/* For tests and fuzzing, no I/O: takes a datagram apart; makes the BPF program (at most PROCESS_BPF_MAX instructions; more pids than fit: all). */
#define PROCESS_BPF_MAX 400
int process_parse(const void *datagram, size_t length, void (*event)(const struct kith_process_event *, void *), void *user);
int process_filter_program(const struct kith_process_filter *filters, size_t n, struct sock_filter *program, size_t size);

#endif
