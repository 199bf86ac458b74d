/* Sockets: who listens on which port, what connections came to, what the kernel counts of them. See the README beside. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "socket/socket.h"

static const char *const states[] = { "absent", "listening", "other", "unknown", NULL }; /* enum listening */

static const struct kith_metric listen_metrics[N_LISTEN] = {
	[LISTEN_STATE] = { "state", NULL, "whether somebody, or the process that is named, listens on it", states, KITH_STATE, KITH_METRIC_EVENT },
	[LISTEN_BACKLOG] = { "backlog", "connections", "that wait to be accepted", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[LISTEN_BACKLOG_LIMIT] = { "backlog_limit", "connections", "that may wait", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[LISTEN_SOCKETS] = { "sockets", "sockets", "that listen on it", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
};

static const struct kith_metric connection_metrics[N_CONNECTION] = {
	[CONNECTION_OPEN] = { "open", "connections", "connections that are open", NULL, KITH_GAUGE, 0 },
	[CONNECTION_CLOSED] = { "closed", "connections", "connections that closed since somebody named the port", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[CONNECTION_SENT] = { "sent", "B", "bytes that those had sent and the other end had taken", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[CONNECTION_RECEIVED] = { "received", "B", "bytes that those had received", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[CONNECTION_RETRANSMITS] = { "retransmits", "segments", "segments that those had to send again", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[CONNECTION_RTT] = { "rtt", "s", "round trip of the last one that closed, smoothed", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
};

static const struct kith_family families[] = {
	[FAMILY_LISTEN] = { KITH_FAMILY_INIT, .name = "listen", .help = "listening ports", .instance = "port", .metrics = listen_metrics, .n_metrics = N_LISTEN },
	[FAMILY_CONNECTION] = { KITH_FAMILY_INIT, .name = "connection", .help = "connections of ports that somebody names", .instance = "port",
	                        .metrics = connection_metrics, .n_metrics = N_CONNECTION },
	[FAMILY_TCP] = { KITH_FAMILY_INIT, .name = "tcp", .help = "TCP on the whole", .metrics = tcp_metrics, .n_metrics = N_TCP },
	[FAMILY_UDP] = { KITH_FAMILY_INIT, .name = "udp", .help = "UDP on the whole", .metrics = udp_metrics, .n_metrics = N_UDP },
};

static int on_counts_wanted(const char *instance, int wanted, void *user)
{
	struct socket_state *s = user;

	(void)instance;
	s->any_counts += wanted ? 1 : -1u;
	return 0;
}

/* What nobody names is looked at on one tick of several. */
static int sample(void *user)
{
	struct socket_state *s = user;
	bool all = s->ticks++ % RARELY == 0;
	int r = 0, one;

	if (all || s->any_counts)
		r = counters_sample(s);
	one = all || s->any_listen ? listen_look(s) : 0;
	if (r == 0)
		r = one;
	one = s->any_connection ? connection_sample(s) : 0;
	return r == 0 ? one : r;
}

static void socket_fini(void *state)
{
	struct socket_state *s = state;

	listen_free(s);
	connection_free(s);
	counters_free(s);
	free(s);
}

static int socket_init(const struct kith_host *h, void **ret_state)
{
	struct socket_state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->quiet = true;
	r = counters_start(s);
	if (r == 0)
		r = listen_start(s);
	if (r == -EPROTONOSUPPORT || r == -ENOENT || r == -EOPNOTSUPP) {
		h->note(h, "this kernel does not tell of its sockets: CONFIG_INET_DIAG and CONFIG_INET_UDP_DIAG");
		r = -EOPNOTSUPP;
	}
	if (r == 0)
		r = connection_start(s);
	if (r == 0)
		r = h->watch_wanted(h, FAMILY_TCP, on_counts_wanted, s, NULL);
	if (r == 0)
		r = h->watch_wanted(h, FAMILY_UDP, on_counts_wanted, s, NULL);
	if (r == 0)
		r = h->sample(h, sample, s, NULL);
	if (r < 0) {
		socket_fini(s);
		return r;
	}
	s->quiet = false;
	*ret_state = s;
	return 0;
}

static int socket_resync(void *state)
{
	struct socket_state *s = state;
	struct kith_record r = { .size = sizeof(r), .priority = KITH_WARNING, .subject = "connection",
		                 .message = "connections closed faster than they could be heard of: what they came to is not counted whole" };

	if (s->connections)
		s->h->record(s->h, &r);
	return listen_look(s);
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "socket",
	.version = "1",
	.help = "listening ports, connections, what TCP and UDP count",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_PROCFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.init = socket_init,
	.fini = socket_fini,
	.resync = socket_resync,
	.hears = "sock_diag's groups of sockets that close, of ports that are named; dumps of listening sockets; four files below /proc/net",
	.costs = "0.2 ms every sixth tick, on each when somebody names a port or a count; 5 us for a socket that closes",
};
