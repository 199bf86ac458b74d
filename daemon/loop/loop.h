/*
 * The loop: the one user of libev. Descriptors, priority descriptors, timers, children, signals, the shared tick.
 *
 * A watch removed while its callback runs, or by another callback of the same batch, is never called again. Handles are owned by the
 * loop and freed by loop_remove; loop_free reports those left.
 */
#ifndef KITH_LOOP_H
#define KITH_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct loop_watch;

#define LOOP_READ 1u
#define LOOP_WRITE 2u

typedef void (*loop_fd_fn)(int fd, unsigned events, void *user);
typedef void (*loop_fn)(void *user);
typedef void (*loop_child_fn)(pid_t pid, int status, void *user);
/* `at`: what the tick was armed for; `jump`: by how many ns the wall clock was set since the last tick (a suspended machine too), 0 if not */
typedef void (*loop_tick_fn)(int64_t at, int64_t jump, void *user);

int loop_new(struct loop **ret_loop);
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l);
/* Runs what is ready, waits for at most `timeout` ns: for tests */
void loop_run_once(struct loop *l, int64_t timeout);

int loop_fd(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *user, struct loop_watch **ret_watch);
void loop_fd_set(struct loop *l, struct loop_watch *w, unsigned events); /* 0 pauses it */
/* An own epoll set of one: EPOLLPRI, edge-triggered. See the design, section 4. */
int loop_pri(struct loop *l, int fd, loop_fd_fn fn, void *user, struct loop_watch **ret_watch);
/* After `after` ns and, when `every` is not 0, every `every` ns. Each expiry is put off to a boundary that other timers share, by at most `slack`. */
int loop_timer(struct loop *l, int64_t after, int64_t every, int64_t slack, loop_fn fn, void *user,
               struct loop_watch **ret_watch);
void loop_timer_set(struct loop *l, struct loop_watch *w, int64_t after); /* again, once; negative: disarmed */
int loop_child(struct loop *l, pid_t pid, loop_child_fn fn, void *user, struct loop_watch **ret_watch);
int loop_signal(struct loop *l, int signo, loop_fn fn, void *user, struct loop_watch **ret_watch);
/* Called from other threads with loop_wake: `fn` runs on the loop soon after, once for any number of wakes */
int loop_async(struct loop *l, loop_fn fn, void *user, struct loop_watch **ret_watch);
void loop_wake(struct loop *l, struct loop_watch *w);
void loop_remove(struct loop *l, struct loop_watch *w); /* NULL is fine */

/*
 * The tick: one for the whole daemon, at a wall clock time. The callback arms it again with the time of the next one; the host shares it out
 * among its samplers.
 */
void loop_tick(struct loop *l, loop_tick_fn fn, void *user);
void loop_tick_at(struct loop *l, int64_t at); /* replaces the last; 0: none */

/* The wall clock, ns: read once per loop iteration */
int64_t loop_now(const struct loop *l);
uint64_t loop_iterations(const struct loop *l); /* how often the loop woke */

#endif
