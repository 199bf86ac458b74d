/* Built without libsystemd: s6 and runit alone */
#include <errno.h>
#include <stdio.h>

#include "service/service.h"

int systemd_start(struct service *s)
{
	snprintf(s->systemd_note, sizeof(s->systemd_note), "systemd is not heard: this kith was built without libsystemd");
	service_note(s);
	return s->scans ? 0 : -EOPNOTSUPP;
}

void systemd_stop(struct service *s)
{
	(void)s;
}

void systemd_resync(struct service *s)
{
	(void)s;
}

void systemd_wanted(struct service *s, struct unit *u)
{
	(void)s;
	(void)u;
}
