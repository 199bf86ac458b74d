/* Locks of rrd/: whoever updates RRD files holds rrd/.lock for himself, whoever reads them shares it. */
#ifndef KITH_STORE_FOLD_OPEN_H
#define KITH_STORE_FOLD_OPEN_H

#include <stdbool.h>

#define RRD_FOLD_LOCK ".fold.lock" /* the one who folds has it for himself */

/* A descriptor for flock(2). `make`: it is made when it is missing. -errno */
int rrd_lock_open(int folder, bool make);
/* Shares it; an update that was cut off is taken back before. Without a lock (-1) there is nobody who updates. */
void rrd_lock_read(int folder, int lock);
void rrd_unlock(int lock);

#endif
