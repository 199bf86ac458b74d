/* The socket plugin's own: listening ports (listen.c), who listens (owner.c), connections by port (connection.c), counts of the host (counters.c) */
#ifndef KITH_SOCKET_PLUGIN_H
#define KITH_SOCKET_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* uthash's default falls through its switch without saying so in a way that clang knows */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

#include "plugin.h"
#include "sources/socket.h"

#define INSTANCES_MAX 1024 /* ports of each family, wanted ones included */
#define RARELY 6           /* every so many ticks what nobody names is looked at */
#define NAME_MAX_ 64

enum { FAMILY_LISTEN, FAMILY_CONNECTION, FAMILY_TCP, FAMILY_UDP };

/* ---- name.c: no state, no I/O -------------------------------------------------------------------------------------- */

struct port_name {
	uint32_t protocol;       /* KITH_SOCKET_TCP or _UDP */
	uint16_t port;
	bool remote;             /* tcp/to/5432 */
	char process[NAME_MAX_]; /* tcp/443/nginx; "": whoever */
};

/* "tcp/443", "udp/53/named", "tcp/to/5432": false: no such name. Exactly one way to write each: 443, not 0443. */
bool port_name_parse(const char *text, struct port_name *ret);
const char *port_protocol(uint32_t protocol);
/* "TCP:" "inuse" of sockstat; NaN: there is none */
double sockstat_value(const char *text, const char *line, const char *key);
/* Of snmp and netstat: a line of names and a line of numbers that both begin with `line` */
double snmp_value(const char *text, const char *line, const char *key);

/* ---- listen.c ------------------------------------------------------------------------------------------------------ */

#define INODES_MAX 16 /* of one port: their owners are looked for among these */

enum listening { LISTEN_ABSENT, LISTEN_YES, LISTEN_OTHER, LISTEN_UNKNOWN };
enum { LISTEN_STATE, LISTEN_BACKLOG, LISTEN_BACKLOG_LIMIT, LISTEN_SOCKETS, N_LISTEN };

/* A port that is listened on, or that somebody names */
struct listener {
	UT_hash_handle hh;
	uint32_t key; /* protocol << 16 | port */
	kith_id id;   /* KITH_ID_NONE: there is no room */
	unsigned wanted;
	uint32_t sockets, backlog, limit, before; /* as dumped; `before`: sockets then */
	uint32_t n_inodes, inodes[INODES_MAX];
	uint64_t all, all_before; /* of all inodes: the sum */
	double put[N_LISTEN];
};

/* A process that somebody wants to listen on a port */
struct question;
struct holder {
	struct holder *next;
	struct socket_state *s;
	struct port_name name;
	kith_id id;
	unsigned wanted;
	struct question *question; /* that a worker is at */
	bool again;
	int pidfd;               /* of the process that was found, -1: none; `ended` waits for its end */
	struct kith_watch *ended;
	uint64_t looked; /* the sum of inodes that it was looked for with; 0: none */
	enum listening is, put;
	bool told;
};

/* ---- connection.c -------------------------------------------------------------------------------------------------- */

enum { CONNECTION_OPEN, CONNECTION_CLOSED, CONNECTION_SENT, CONNECTION_RECEIVED, CONNECTION_RETRANSMITS, CONNECTION_RTT, N_CONNECTION };

struct connection {
	struct connection *next;
	struct port_name name;
	kith_id id;
	unsigned wanted;
	double open, closed, sent, received, retransmits;
};

struct socket_state {
	const struct kith_host *h;
	struct listener *listeners;
	uint32_t n_listeners;
	struct holder *holders;
	uint32_t n_holders, n_connections;
	struct connection *connections;
	unsigned any_listen, any_connection, any_counts; /* how many want something of the family */
	unsigned ticks;
	uint16_t low, high;                       /* ports that the kernel gives to clients */
	bool quiet, full;                         /* `full`: said that there are too many ports */
	struct kith_watch *watch;                 /* sockets that close */
	struct kith_watch *timer;                 /* to look again */
	unsigned tries;                           /* looks that follow one another */
	int64_t looked;                           /* wall ns */
	int fds[4];
	kith_id tcp, udp;
};

int listen_start(struct socket_state *s);
int listen_look(struct socket_state *s);
int listen_look_soon(struct socket_state *s);
void listen_free(struct socket_state *s);
bool listen_is(const struct socket_state *s, uint32_t protocol, uint16_t port);
int connection_start(struct socket_state *s);
int connection_sample(struct socket_state *s);
void connection_closed(struct socket_state *s, const struct kith_socket_event *e);
void connection_free(struct socket_state *s);
/* The watch's filter is made anew: what is named has changed */
int ports_watch(struct socket_state *s);

/* ---- owner.c ------------------------------------------------------------------------------------------------------- */

/* Does a process of this name hold one of these sockets? In a worker. */
int owner_look(struct holder *x, const struct listener *l);
void owner_forget(struct holder *x); /* the plugin goes */
void owner_release(struct holder *x); /* it is not to be told any more that the process that was found has ended */
int holder_put(struct holder *x);

/* ---- counters.c ---------------------------------------------------------------------------------------------------- */

int counters_start(struct socket_state *s);
int counters_sample(struct socket_state *s);
void counters_free(struct socket_state *s);

extern const struct kith_metric tcp_metrics[], udp_metrics[];
#define N_TCP 20
#define N_UDP 7

#endif
