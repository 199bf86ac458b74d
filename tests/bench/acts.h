/*
 * What latency.c does to the host: each act has a well and an ill side, and takes the time before the system call that
 * changes the one into the other.
 */
#ifndef KITH_BENCH_ACTS_H
#define KITH_BENCH_ACTS_H

#include <stdint.h>
#include <sys/types.h>

#include "tests/bench/listen.h"

struct actor {
	char **args;
	int fd;        /* a socket of the act's; -1: none */
	int ifindex;
	pid_t victim;  /* 0: none */
	int64_t acted; /* CLOCK_MONOTONIC before the last change, ns */
};

struct act {
	const char *name;
	int n_args;
	enum listen_to to; /* what a bare listener would wait for */
	int (*start)(struct actor *a); /* 0 or -errno, as the others; may be NULL */
	int (*mend)(struct actor *a);
	int (*harm)(struct actor *a); /* sets a->acted */
	int (*end)(struct actor *a);  /* may be NULL */
};

/* acts.c: of processes, files, mounts, listening sockets, the clock */
extern const struct act acts[];
extern const size_t n_acts;
/* acts_net.c: by netlink, and with datagrams */
extern const struct act acts_net[];
extern const size_t n_acts_net;

#endif
