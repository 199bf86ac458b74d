/* What the kernel counts of all sockets: four small texts, kept open. */
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "socket/socket.h"

enum { SOCKSTAT, SOCKSTAT6, SNMP, NETSTAT, N_FILES };
static const char *const paths[N_FILES] = { "/proc/net/sockstat", "/proc/net/sockstat6", "/proc/net/snmp", "/proc/net/netstat" };

/* Where each metric comes from; two keys are added up */
struct from {
	int file;
	const char *line, *key;
};

#define GAUGE(n, u, text) { n, u, text, NULL, KITH_GAUGE, 0 }
#define COUNT(n, u, text) { n, u, text, NULL, KITH_COUNTER, 0 }

const struct kith_metric tcp_metrics[N_TCP] = {
	GAUGE("established", "connections", "connections that are open"),
	GAUGE("in_use", "sockets", "sockets that are bound or connected"),
	GAUGE("orphans", "sockets", "that no process holds any more"),
	GAUGE("time_wait", "sockets", "closed, and kept for packets that come late"),
	GAUGE("allocated", "sockets", "sockets of any state"),
	GAUGE("memory", "B", "memory of their buffers"),
	COUNT("opened_out", "connections", "begun from here"),
	COUNT("opened_in", "connections", "taken in"),
	COUNT("failed", "connections", "that did not come about"),
	COUNT("resets_received", "connections", "open ones that the other end reset"),
	COUNT("resets_sent", "segments", "resets sent"),
	COUNT("segments_received", "segments", "received"),
	COUNT("segments_sent", "segments", "sent"),
	COUNT("retransmits", "segments", "sent again"),
	COUNT("receive_errors", "segments", "received with an error"),
	COUNT("listen_overflows", "connections", "not taken in, as too many waited to be accepted"),
	COUNT("listen_drops", "connections", "not taken in, for that reason or another"),
	COUNT("timeouts", "timeouts", "retransmissions by timeout"),
	COUNT("memory_aborts", "connections", "reset for lack of memory"),
	COUNT("syn_cookies", "segments", "cookies sent, as too many were half open"),
};
static const struct from tcp_from[N_TCP] = {
	{ SNMP, "Tcp:", "CurrEstab" },         { SOCKSTAT, "TCP:", "inuse" },      { SOCKSTAT, "TCP:", "orphan" },
	{ SOCKSTAT, "TCP:", "tw" },            { SOCKSTAT, "TCP:", "alloc" },      { SOCKSTAT, "TCP:", "mem" },
	{ SNMP, "Tcp:", "ActiveOpens" },       { SNMP, "Tcp:", "PassiveOpens" },   { SNMP, "Tcp:", "AttemptFails" },
	{ SNMP, "Tcp:", "EstabResets" },       { SNMP, "Tcp:", "OutRsts" },        { SNMP, "Tcp:", "InSegs" },
	{ SNMP, "Tcp:", "OutSegs" },           { SNMP, "Tcp:", "RetransSegs" },    { SNMP, "Tcp:", "InErrs" },
	{ NETSTAT, "TcpExt:", "ListenOverflows" }, { NETSTAT, "TcpExt:", "ListenDrops" }, { NETSTAT, "TcpExt:", "TCPTimeouts" },
	{ NETSTAT, "TcpExt:", "TCPAbortOnMemory" }, { NETSTAT, "TcpExt:", "SyncookiesSent" },
};

const struct kith_metric udp_metrics[N_UDP] = {
	GAUGE("in_use", "sockets", "sockets that are bound"),
	GAUGE("memory", "B", "memory of their buffers"),
	COUNT("received", "datagrams", "received over IPv4"),
	COUNT("sent", "datagrams", "sent over IPv4"),
	COUNT("no_port", "datagrams", "received for a port that nobody listens on"),
	COUNT("receive_errors", "datagrams", "received and lost"),
	COUNT("buffer_errors", "datagrams", "lost as a socket's buffer was full"),
};
static const struct from udp_from[N_UDP] = {
	{ SOCKSTAT, "UDP:", "inuse" },    { SOCKSTAT, "UDP:", "mem" },  { SNMP, "Udp:", "InDatagrams" }, { SNMP, "Udp:", "OutDatagrams" },
	{ SNMP, "Udp:", "NoPorts" },      { SNMP, "Udp:", "InErrors" }, { SNMP, "Udp:", "RcvbufErrors" },
};
enum { TCP_IN_USE = 1, TCP_MEMORY = 5, UDP_IN_USE = 0, UDP_MEMORY = 1 };

/* Every file is read once, and what comes from it taken from that. */
static int take(struct socket_state *s, int file, double *tcp, double *udp)
{
	char *text;
	int r = s->fds[file] < 0 ? -ENOENT : s->h->read(s->h, s->fds[file], &text, NULL);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (file == SOCKSTAT6) {
		double more = sockstat_value(text, "TCP6:", "inuse");

		tcp[TCP_IN_USE] += isnan(more) ? 0 : more;
		more = sockstat_value(text, "UDP6:", "inuse");
		udp[UDP_IN_USE] += isnan(more) ? 0 : more;
		return 0;
	}
	for (int i = 0; i < N_TCP; i++)
		if (tcp_from[i].file == file)
			tcp[i] = (file == SOCKSTAT ? sockstat_value : snmp_value)(text, tcp_from[i].line, tcp_from[i].key);
	for (int i = 0; i < N_UDP; i++)
		if (udp_from[i].file == file)
			udp[i] = (file == SOCKSTAT ? sockstat_value : snmp_value)(text, udp_from[i].line, udp_from[i].key);
	return 0;
}

int counters_sample(struct socket_state *s)
{
	double tcp[N_TCP], udp[N_UDP], page = (double)sysconf(_SC_PAGESIZE);
	int r = 0;

	for (int i = 0; i < N_TCP; i++)
		tcp[i] = NAN;
	for (int i = 0; i < N_UDP; i++)
		udp[i] = NAN;
	for (int i = 0; i < N_FILES && r == 0; i++)
		r = take(s, i, tcp, udp);
	tcp[TCP_MEMORY] *= page;
	udp[UDP_MEMORY] *= page;
	if (r == 0)
		r = s->h->put_all(s->h, s->tcp, tcp, N_TCP);
	return r == 0 ? s->h->put_all(s->h, s->udp, udp, N_UDP) : r;
}

int counters_start(struct socket_state *s)
{
	int r = s->h->series(s->h, FAMILY_TCP, NULL, &s->tcp);

	if (r == 0)
		r = s->h->series(s->h, FAMILY_UDP, NULL, &s->udp);
	for (int i = 0; i < N_FILES; i++)
		s->fds[i] = s->h->open(s->h, paths[i]);
	/* The first alone is always there */
	return r < 0 ? r : s->fds[SOCKSTAT] < 0 ? s->fds[SOCKSTAT] : 0;
}

void counters_free(struct socket_state *s)
{
	for (int i = 0; i < N_FILES; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
}
