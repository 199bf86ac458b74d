/* JSON forms that more than one command shows */
#ifndef KITH_CLI_STATUS_H
#define KITH_CLI_STATUS_H

#include <jansson.h>

#include "control/control.pb-c.h"

json_t *status_json(const Control__Status *status);   /* cmd_status.c */
json_t *sample_json(const Control__Sample *sample);   /* cmd_get.c: as of get, without kind */
json_t *promise_json(const Control__Promise *promise); /* cmd_promises.c */

#endif
