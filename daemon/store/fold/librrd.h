/*
 * librrd, mapped when it is needed: it brings cairo and pango, and starting with them takes longer than most answers that need none of it. Its errors are
 * told as text, of the last call.
 */
#ifndef KITH_STORE_FOLD_LIBRRD_H
#define KITH_STORE_FOLD_LIBRRD_H

#include <rrd.h>
#include <rrd_client.h>

#include "base/buf.h"

struct librrd {
	void *handle; /* NULL: not mapped */
	__typeof__(rrd_create_r) *create_r;
	__typeof__(rrd_update_r) *update_r;
	__typeof__(rrd_tune) *tune;
	__typeof__(rrd_graph_v) *graph_v;
	__typeof__(rrd_info_free) *info_free;
	__typeof__(rrd_get_error) *get_error;
	__typeof__(rrd_clear_error) *clear_error;
	__typeof__(rrdc_connect) *cached_connect;
	__typeof__(rrdc_disconnect) *cached_disconnect;
	__typeof__(rrdc_update) *cached_update;
	__typeof__(rrdc_last) *cached_last;
	__typeof__(rrdc_flush) *cached_flush;
	__typeof__(rrdc_forget) *cached_forget;
};

/* 0 when it is mapped (again: nothing happens); -ENOENT, and *why says what is missing */
int librrd_load(struct librrd *l, struct buf *why);

#endif
