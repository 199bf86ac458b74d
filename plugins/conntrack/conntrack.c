/* conntrack: how full the kernel's table of connections is, what it drops, and what is tracked of some ports. See the README beside. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conntrack/conntrack.h"

#define CALM_BELOW 0.9 /* of what is nearly full: no longer */

#define COUNT(n, u, text) { n, u, text, NULL, KITH_COUNTER, 0 }
#define EVENT(n, u, text, kind) { n, u, text, NULL, kind, KITH_METRIC_EVENT }

static const struct kith_metric table_metrics[N_TABLE] = {
	[TABLE_ENTRIES] = { "entries", "entries", "connections that are tracked", NULL, KITH_GAUGE, 0 },
	[TABLE_LIMIT] = { "limit", "entries", "as many as may be", NULL, KITH_GAUGE, 0 },
	[TABLE_FILL] = { "fill_percent", "%", "part of the table that is in use", NULL, KITH_GAUGE, 0 },
	[TABLE_DROPPED] = COUNT("dropped", "packets", "dropped as the table was full, or something else failed"),
	[TABLE_EARLY] = COUNT("early_dropped", "entries", "given up before their time to make room"),
	[TABLE_INSERT_FAILED] = COUNT("insert_failed", "packets", "dropped as another one was quicker"),
	[TABLE_INVALID] = COUNT("invalid", "packets", "that belong to no connection"),
	[TABLE_ERRORS] = COUNT("errors", "packets", "with an error"),
};

static const struct kith_metric flow_metrics[N_FLOW] = {
	[FLOW_OPEN] = EVENT("open", "connections", "connections that are tracked", KITH_GAUGE),
	[FLOW_BEGUN] = EVENT("begun", "connections", "that began since it is counted", KITH_COUNTER),
	[FLOW_ENDED] = EVENT("ended", "connections", "that ended since it is counted", KITH_COUNTER),
	[FLOW_BYTES] = EVENT("bytes", "B", "both ways, of those that ended", KITH_COUNTER),
	[FLOW_PACKETS] = EVENT("packets", "packets", "both ways, of those that ended", KITH_COUNTER),
};

static const struct kith_family families[] = {
	[FAMILY_CONNTRACK] = { KITH_FAMILY_INIT, .name = "conntrack", .help = "the kernel's table of connections", .metrics = table_metrics, .n_metrics = N_TABLE },
	[FAMILY_FLOW] = { KITH_FAMILY_INIT, .name = "flow", .help = "tracked connections of ports that somebody names", .instance = "port",
	                  .metrics = flow_metrics, .n_metrics = N_FLOW },
};

static const struct kith_option options[] = {
	{ .name = "on", .fallback = "false", .help = "whether it is to run", .type = KITH_OPTION_BOOL },
	{ .name = "ports", .help = "ports to count although nobody names them: tcp/443, udp/53, icmp", .type = KITH_OPTION_LIST },
	{ .name = "full", .fallback = "90", .help = "from so many percent on the table is nearly full", .min = 1, .max = 100, .type = KITH_OPTION_NUMBER },
};

/* ---- the table ---------------------------------------------------------------------------------------------------- */

static double number(struct conntrack *p, int fd)
{
	const char *s;
	uint64_t v;
	char *text;

	if (p->h->read(p->h, fd, &text, NULL) < 0)
		return NAN;
	s = text;
	return kith_scan_u64(&s, &v) == 0 ? (double)v : NAN;
}

static void say(struct conntrack *p, enum kith_priority priority, const char *event, const char *text, double fill)
{
	char percent[16];
	struct kith_field fields[] = { { "event", event }, { "fill_percent", percent } };
	struct kith_record r = { .size = sizeof(r), .priority = (uint32_t)priority, .subject = "conntrack", .message = text, .fields = fields,
		                 .n_fields = KITH_COUNT(fields) };

	snprintf(percent, sizeof(percent), "%.1f", fill);
	p->h->record(p->h, &r);
}

static void tell_fill(struct conntrack *p, double entries, double limit, double fill)
{
	char text[120];

	if (!p->full && fill >= p->percent) {
		snprintf(text, sizeof(text), "the table of connections is nearly full: %.0f of %.0f", entries, limit);
		say(p, KITH_WARNING, "nearly_full", text, fill);
		p->full = true;
	} else if (p->full && fill < p->percent * CALM_BELOW) {
		snprintf(text, sizeof(text), "the table of connections has room again: %.0f of %.0f", entries, limit);
		say(p, KITH_NOTICE, "room", text, fill);
		p->full = false;
	}
}

static void tell_drops(struct conntrack *p, double dropped, double fill)
{
	char text[160];

	if (dropped > p->dropped) {
		snprintf(text, sizeof(text), "%.0f packets were dropped, or connections given up early, as they could not be tracked", dropped - p->dropped);
		say(p, KITH_WARNING, "dropped", text, fill);
	}
	p->dropped = dropped;
}

static int on_stats(const void *event, void *user)
{
	const struct kith_conntrack_stats *s = event;
	double *values = user;

	values[TABLE_DROPPED] = (double)s->drop;
	values[TABLE_EARLY] = (double)s->early_drop;
	values[TABLE_INSERT_FAILED] = (double)s->insert_failed;
	values[TABLE_INVALID] = (double)s->invalid;
	values[TABLE_ERRORS] = (double)s->error;
	return 0;
}

static int sample(void *user)
{
	struct conntrack *p = user;
	double values[N_TABLE];
	kith_id id;
	int r;

	for (int i = 0; i < N_TABLE; i++)
		values[i] = NAN;
	values[TABLE_ENTRIES] = number(p, p->count);
	values[TABLE_LIMIT] = number(p, p->limit);
	/* A limit of 0 is none. */
	if (values[TABLE_LIMIT] > 0)
		values[TABLE_FILL] = values[TABLE_ENTRIES] * 100 / values[TABLE_LIMIT];
	r = p->h->dump_source(p->h, KITH_SOURCE_CONNTRACK_STATS, NULL, on_stats, values);
	if (!isnan(values[TABLE_FILL]))
		tell_fill(p, values[TABLE_ENTRIES], values[TABLE_LIMIT], values[TABLE_FILL]);
	if (!isnan(values[TABLE_DROPPED]))
		tell_drops(p, values[TABLE_DROPPED] + values[TABLE_EARLY], values[TABLE_FILL]);
	if (r == 0 || r == -EINTR || r == -ETIMEDOUT)
		r = p->h->series(p->h, FAMILY_CONNTRACK, NULL, &id);
	return r == 0 ? p->h->put_all(p->h, id, values, N_TABLE) : r;
}

/* ---- its life ----------------------------------------------------------------------------------------------------- */

static void conntrack_fini(void *state)
{
	struct conntrack *p = state;

	flows_free(p);
	if (p->count >= 0)
		close(p->count);
	if (p->limit >= 0)
		close(p->limit);
	free(p);
}

static int conntrack_init(const struct kith_host *h, void **ret_state)
{
	struct conntrack *p;
	int r;

	if (!h->option_bool(h, "on")) {
		h->note(h, "it is off: plugin conntrack { on = true } in kith.conf switches it on");
		return -EOPNOTSUPP;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct conntrack){ .h = h, .dropped = NAN, .percent = h->option_number(h, "full") };
	p->count = h->open(h, "/proc/sys/net/netfilter/nf_conntrack_count");
	p->limit = h->open(h, "/proc/sys/net/netfilter/nf_conntrack_max");
	if (p->count < 0 || p->limit < 0) {
		h->note(h, "this kernel tracks no connections: nf_conntrack is not loaded, as no rule of a firewall asks for it");
		r = -EOPNOTSUPP;
	} else {
		r = flows_start(p);
	}
	if (r == -EPROTONOSUPPORT || r == -EINVAL) {
		h->note(h, "this kernel does not tell of connections: nf_conntrack_netlink is not there");
		r = -EOPNOTSUPP;
	}
	if (r == 0)
		r = h->sample(h, sample, p, NULL);
	if (r < 0) {
		conntrack_fini(p);
		return r;
	}
	*ret_state = p;
	return 0;
}

static int conntrack_resync(void *state)
{
	return flows_look(state);
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "conntrack",
	.version = "1",
	.help = "tracked connections: how full the table is, what it drops, counts by port",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_CAP_NET_ADMIN,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = conntrack_init,
	.fini = conntrack_fini,
	.resync = conntrack_resync,
	.hears = "ctnetlink's groups of connections that begin and end, of ports that are named; two files and its statistics on the tick",
	.costs = "40 us a tick; 2 us for a connection of a port that is named, nothing for others",
};
