/*
 * The caller's side of the control socket: blocking, with deadlines. Needs no loop. For kith itself and for tests.
 *
 * A deadline is a time of clock_mono(); CLIENT_FOREVER waits without end.
 */
#ifndef KITH_CONTROL_CLIENT_H
#define KITH_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/control.pb-c.h"
#include "control/frame.h"

#define CLIENT_FOREVER INT64_MAX

struct client;

/* -ENOENT, -ECONNREFUSED: nobody listens; -EACCES; -ETIMEDOUT; -ENAMETOOLONG; others of connect(2) */
int client_open(const char *path, int64_t deadline, struct client **ret_client);
void client_close(struct client *c); /* NULL is fine */

/*
 * -EMSGSIZE: larger than 64 KiB; -ETIMEDOUT; -EPIPE: kithd closed (what it said before can still be read); -EINTR,
 * see below
 */
int client_send(struct client *c, const Control__Request *request, int64_t deadline);

/*
 * The next answer, valid until the next call. -ETIMEDOUT; -ECONNRESET: kithd closed the connection; -EPROTO: it spoke
 * something else;
 * -EINTR: the descriptor set with client_interrupt became readable.
 */
int client_next(struct client *c, int64_t deadline, const Control__Answer **ret_answer);
/* Waiting ends when `fd` is readable; -1: none */
void client_interrupt(struct client *c, int fd);
/* To poll by oneself. Call client_next with a deadline of 0 until -ETIMEDOUT when it is readable. */
int client_fd(const struct client *c);

#endif
