/* systemd, over the system bus or its private socket: bus.c is the connection, systemd.c what is said on it. */
#ifndef KITH_SERVICE_SYSTEMD_H
#define KITH_SERVICE_SYSTEMD_H

#include <systemd/sd-bus.h>

#include "service/service.h"

#define CALL_TIMEOUT UINT64_C(10000000) /* us; an answer that takes longer: the connection is made anew */
#define NAME "org.freedesktop.systemd1"
#define MANAGER NAME ".Manager"
#define MANAGER_PATH "/org/freedesktop/systemd1"

enum bus_state { BUS_DOWN, BUS_OPENING, BUS_UP /* all is known */ };

struct systemd {
	struct service *s;
	/* bus.c */
	sd_bus *bus;                /* NULL: BUS_DOWN */
	enum bus_state state;
	bool direct;                /* over the private socket */
	bool lost;                  /* to be closed once sd_bus_process has returned */
	bool hung;                  /* the system bus was, just now: the private socket is next */
	bool announced;             /* the watches for the sockets' return are set */
	char why[96];               /* why it was lost, or is not to be had */
	int fd;
	uint32_t events;            /* KITH_READ, KITH_WRITE: what fd_watch waits for */
	struct kith_watch *fd_watch, *timer, *deadline, *retry, *hold;
	struct kith_watch *sockets[2];
	int64_t backoff;            /* ns; 0: none yet */
	/* systemd.c */
	char owner[64];             /* systemd's unique name on the bus; "": it has none, or it is not known */
	bool reloading;
	bool listing, list_again;   /* ListUnits is out; it is to be repeated after */
	bool files, files_again;    /* the same for ListUnitFiles */
	bool asking;                /* about single new units */
	bool synced;                /* once since the connection was made */
	char (*fresh)[NAME_MAX_LENGTH + 1]; /* new units that nothing is known of yet */
	uint32_t n_fresh;
	bool trim;                  /* memory is to be given back once the details are there */
	uint32_t details_out;       /* Gets without an answer yet */
	bool details_left;
	uint64_t n_signals;
};

/* ---- bus.c ---- */
void bus_open(struct systemd *y);                       /* tries; goes on by itself when that fails */
void bus_close(struct systemd *y);                      /* and all watches */
void bus_lose(struct systemd *y, const char *why);      /* from within a callback of sd-bus too */
void bus_synced(struct systemd *y);
void bus_hold(struct systemd *y);                       /* without news within a second all instances end */
int bus_arm(struct systemd *y);                         /* after anything that may have queued or read messages */

/* ---- systemd.c ---- */
int systemd_opened(struct systemd *y);                  /* a new connection: says what it wants to hear */
int systemd_message(sd_bus_message *m, void *user, sd_bus_error *error);
void systemd_unknown(struct systemd *y);                /* nobody tells of its units now: their instances end */
int systemd_idle(struct systemd *y);                    /* nothing is left to be read: asks what is left to be asked */

/* ---- properties.c ---- */
struct property {
	const char *name;
	char type;
	enum metric metric;
};
enum { P_ACTIVE, P_SUB, P_SINCE, P_RESULT, P_MAIN, P_RESTARTS, P_CODE, P_STATUS, P_EXEC, N_PROPERTIES };
extern const struct property properties[N_PROPERTIES];

/* What was read of one unit: NAN is not there */
struct news {
	double v[N_PROPERTIES];
};
int property_read(sd_bus_message *m, unsigned property, double *ret_value); /* a variant */
int news_read(sd_bus_message *m, struct news *ret_news);                    /* a{sv} */
void exit_set(struct service *s, struct unit *u, double status); /* after u->code was set */
void news_apply(struct service *s, struct unit *u, const struct news *n);
/* PropertiesChanged of one that is not known, `u` or NULL: once it runs, what is told is kept, as it may be gone before we can ask */
int news_early(struct service *s, struct unit *u, const char *name, sd_bus_message *m);

#endif
