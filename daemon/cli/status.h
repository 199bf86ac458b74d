/* JSON forms that more than one command shows */
#ifndef KITH_CLI_STATUS_H
#define KITH_CLI_STATUS_H

#include <jansson.h>

#include "control/control.pb-c.h"

json_t *status_json(const Control__Status *status);   /* cmd_status.c */
json_t *sample_json(const Control__Sample *sample);   /* cmd_get.c: as of get, without kind */
json_t *promise_json(const Control__Promise *promise); /* cmd_promises.c */
/* "flapping (7 times in 10 min): " before a reason; "" */
const char *flapping_text(const Control__Promise *promise, char *text, size_t size);

/* reliability.c */
struct table;
void reliability_row(struct table *t, const Control__Promise *promise);
json_t *reliability_json(const Control__Promise *promise);

json_t *ack_json(const Control__Ack *a);
json_t *silence_json(const Control__Silence *s);

#endif
