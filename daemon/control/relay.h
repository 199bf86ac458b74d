/*
 * Answers that a program gives: it is handed the request as a frame on its standard input, and what it writes, frames too, is passed on to the
 * peer as far as the peer reads. When the peer goes the program is killed; when the program goes without an end the peer is told so.
 */
#ifndef KITH_CONTROL_RELAY_H
#define KITH_CONTROL_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/control.pb-c.h"

struct peer;
struct relay;

#define RELAY_MAX 4 /* programs at a time, of all peers */

/*
 * `mode`: its first argument; NULL: none. `more`: bytes for its standard input behind the request's frame; NULL: none. `timeout`: ns; 0: none, then the request is one that follows,
 * and ends with its caller's half of the connection. What fails is said to the peer, but for -ENOMEM.
 */
int relay_start(struct peer *p, const char *program, const char *mode, const Control__Request *request, const void *more, size_t length, int64_t timeout);
/* Passes on what there is, if the peer has room for it. Ends the relay (peer->relay is NULL then) after the last. */
void relay_pump(struct peer *p);
bool relay_follows(const struct relay *r);
void relay_free(struct relay *r); /* kills the program; NULL is fine */

#endif
