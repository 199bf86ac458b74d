/* What PUTVAL gives, as series: a family for each type, an instance for each identifier. Used by program.c. */
#ifndef KITH_EXEC_VALUES_H
#define KITH_EXEC_VALUES_H

#include "exec/putval.h"
#include "plugin.h"

struct values;

int values_new(const struct kith_host *h, const char *types_db, struct values **ret_values);
void values_free(struct values *v); /* its series end */
/* 0, or -errno with what is wrong in `why` (PUT_WHY_MAX). `interval`: ns. `owner`: whose series it is from now on */
int values_put(struct values *v, const void *owner, const struct put_id *id, int64_t interval, const struct put_values *put, char *why);
void values_forget(struct values *v, const void *owner); /* the owner's series end */
/* The name of an identifier's instance; `name` has 256 bytes. -ENAMETOOLONG */
int values_instance(const struct values *v, const struct put_id *id, char *name);
const char *values_host(const struct values *v);

#endif
