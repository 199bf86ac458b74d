/*
 * Frames of the control socket, the same for server and client: 4 bytes little-endian length, then a message of
 * control.proto.
 */
#ifndef KITH_CONTROL_FRAME_H
#define KITH_CONTROL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "control/control.pb-c.h"

#define FRAME_HEADER 4u
#define FRAME_REQUEST_MAX 65536u  /* bytes of a request; a longer one closes the connection */
#define FRAME_ANSWER_MAX 1048576u /* bytes of an answer; a longer one is replaced by a fault */

/* WatchRequest.kinds */
#define WATCH_SAMPLES 1u
#define WATCH_RECORDS 2u
#define WATCH_TRANSITIONS 4u
#define WATCH_ALL 7u

static inline void frame_put_length(uint8_t *at, size_t length)
{
	at[0] = (uint8_t)length;
	at[1] = (uint8_t)(length >> 8);
	at[2] = (uint8_t)(length >> 16);
	at[3] = (uint8_t)(length >> 24);
}

static inline size_t frame_length(const uint8_t *at)
{
	return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

/* To a file of one's own. False: it cannot be written, or there is no memory */
bool frame_write(FILE *to, const Control__Answer *answer);

#endif
