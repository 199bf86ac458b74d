/*
 * A bare listener: a process that waits for one kind of notification of the kernel and takes the time when it has
 * received it. What kithd's latency is measured against: neither can be woken sooner than the kernel does it.
 */
#ifndef KITH_BENCH_LISTEN_H
#define KITH_BENCH_LISTEN_H

#include <stdint.h>
#include <sys/types.h>

enum listen_to {
	LISTEN_LINK, /* RTNLGRP_LINK */
	LISTEN_EXIT, /* process events; only in the first network namespace */
	LISTEN_FILE, /* a rename into a folder */
	LISTEN_NOTHING,
};

struct listener;

/* `folder` for LISTEN_FILE alone. 0 or -errno */
int listen_start(enum listen_to to, const char *folder, struct listener **ret_listener);
/* The next notification counts; of exits that of `pid` */
void listen_arm(struct listener *l, pid_t pid);
/* CLOCK_MONOTONIC of its receipt; -ETIMEDOUT after 10 s */
int listen_wait(struct listener *l, int64_t *ret_at);
void listen_stop(struct listener *l); /* NULL is fine */

#endif
