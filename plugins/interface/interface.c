/*
 * Network interfaces, default routes, rules and neighbours: by rtnetlink's notifications; counters from /proc/net/dev on the tick. See the README beside.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "interface/interface.h"

static const char *const states[] = { "down", "up", NULL };
/* By IF_OPER_* */
static const char *const operstates[] = { "unknown", "not_present", "down", "lower_layer_down", "testing", "dormant", "up", NULL };

static const char *const duplexes[] = { "half", "full", "unknown", NULL };
static const char *const presence[] = { "absent", "present", NULL };
static const char *const reaches[] = { "unknown", "resolving", "reachable", "failed", NULL };                   /* enum reach */
static const char *const gateways[] = { "unknown", "resolving", "reachable", "failed", "none", NULL };          /* the same, and none */
static const char *const nuds[] = { "none", "incomplete", "reachable", "stale", "delay", "probe", "failed", "noarp", "permanent", NULL };

#define COUNTER(n, u, h) { .name = (n), .unit = (u), .help = (h), .kind = KITH_COUNTER }

static const struct kith_metric metrics[] = {
	[METRIC_STATE] = { "state", NULL, "whether it is enabled and its link works", states, KITH_STATE, KITH_METRIC_EVENT },
	[METRIC_OPERSTATE] = { "operstate", NULL, "operational state by RFC 2863, as the driver says it", operstates, KITH_STATE,
	                       KITH_METRIC_EVENT },
	[METRIC_CARRIER] = { "carrier", NULL, "1 with a carrier, 0 without", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[METRIC_CARRIER_CHANGES] = { "carrier_changes", "changes", "how often the carrier came and went", NULL, KITH_COUNTER, KITH_METRIC_EVENT },
	[METRIC_MTU] = { "mtu", "B", "largest packet", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[METRIC_SPEED] = { "speed", "Mbit/s", "what both ends agreed on; 0 while they have not", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[METRIC_DUPLEX] = { "duplex", NULL, "whether both ends may send at once", duplexes, KITH_STATE, KITH_METRIC_EVENT },
	[METRIC_ADDRESSES] = { "addresses", "addresses", "IPv4 and IPv6 addresses", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[METRIC_ADDRESSES_IPV4] = { "addresses_ipv4", "addresses", "IPv4 addresses", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[METRIC_ADDRESSES_IPV6] = { "addresses_ipv6", "addresses", "IPv6 addresses", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	COUNTER("rx_bytes", "B", "received"),
	COUNTER("rx_packets", "packets", "received"),
	COUNTER("rx_errors", "packets", "received with an error"),
	COUNTER("rx_dropped", "packets", "received and dropped for lack of room or of a taker"),
	COUNTER("rx_fifo_errors", "packets", "received and lost by an overrun"),
	COUNTER("rx_frame_errors", "packets", "received with a bad length, checksum or alignment"),
	COUNTER("rx_compressed", "packets", "received compressed"),
	COUNTER("multicast", "packets", "received by multicast"),
	COUNTER("tx_bytes", "B", "sent"),
	COUNTER("tx_packets", "packets", "sent"),
	COUNTER("tx_errors", "packets", "not sent for an error"),
	COUNTER("tx_dropped", "packets", "not sent, dropped before"),
	COUNTER("tx_fifo_errors", "packets", "not sent for an underrun"),
	COUNTER("collisions", "collisions", "collisions while sending"),
	COUNTER("tx_carrier_errors", "packets", "not sent for a lost carrier, a heartbeat or a window"),
	COUNTER("tx_compressed", "packets", "sent compressed"),
};
_Static_assert(KITH_COUNT(metrics) == METRIC_COUNTERS + N_COUNTERS, "the table and its indices differ");

static const struct kith_metric route_metrics[] = {
	[ROUTE_STATE] = { "state", NULL, "whether there is a default route", presence, KITH_STATE, KITH_METRIC_EVENT },
	[ROUTE_GATEWAY] = { "gateway", NULL, "whether the best one's gateway answers", gateways, KITH_STATE, KITH_METRIC_EVENT },
	[ROUTE_ROUTES] = { "routes", "routes", "default routes", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
	[ROUTE_METRIC] = { "metric", NULL, "the best one's metric", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
};

static const struct kith_metric rule_metrics[] = {
	{ "count", "rules", "rules that choose a routing table", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
};

static const struct kith_metric neighbour_metrics[] = {
	{ "state", NULL, "whether it answers, as far as the kernel knows", reaches, KITH_STATE, KITH_METRIC_EVENT },
	{ "nud", NULL, "the kernel's own state of it, of one that is named", nuds, KITH_STATE, KITH_METRIC_EVENT },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, .name = "interface", .help = "network interfaces", .instance = "interface", .metrics = metrics,
	  .n_metrics = KITH_COUNT(metrics) },
	[FAMILY_ROUTE] = { KITH_FAMILY_INIT, .name = "route", .help = "default routes", .instance = "destination", .metrics = route_metrics,
	                   .n_metrics = KITH_COUNT(route_metrics) },
	[FAMILY_RULE] = { KITH_FAMILY_INIT, .name = "rule", .help = "rules of policy routing", .instance = "protocol", .metrics = rule_metrics,
	                  .n_metrics = KITH_COUNT(rule_metrics) },
	[FAMILY_NEIGHBOUR] = { KITH_FAMILY_INIT, .name = "neighbour", .help = "gateways, and neighbours that somebody names",
	                       .instance = "interface/address", .metrics = neighbour_metrics, .n_metrics = KITH_COUNT(neighbour_metrics) },
};

static const struct kith_option options[] = {
	{ .name = "ignore", .help = "interfaces to leave out (globs)", .type = KITH_OPTION_LIST },
	{ .name = "only", .help = "no other interfaces than these (globs)", .type = KITH_OPTION_LIST },
};

static int on_link(const void *event, void *user)
{
	return event ? links_event(user, event) : 0;
}

static int on_address(const void *event, void *user)
{
	return event ? links_address(user, event) : 0;
}

static void read_options(struct interface *p)
{
	p->n_ignore = p->h->option_list(p->h, "ignore", &p->ignore);
	p->n_only = p->h->option_list(p->h, "only", &p->only);
}

static int watch(struct interface *p)
{
	const struct kith_host *h = p->h;
	int r;

	/* Before the first dump: what changes during it is heard after it */
	r = h->watch_source(h, KITH_SOURCE_LINK, NULL, on_link, p, NULL);
	if (r == 0)
		r = h->watch_source(h, KITH_SOURCE_ADDRESS, NULL, on_address, p, NULL);
	if (r == 0)
		r = routes_start(p);
	if (r == 0)
		r = rules_start(p);
	p->look_neighbours = (struct look){ .p = p, .fn = neighbours_look };
	if (r == 0)
		r = h->sample(h, counters_sample, p, NULL);
	return r;
}

static int interface_init(const struct kith_host *h, void **ret_state)
{
	struct interface *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->h = h;
	read_options(p);
	p->fd = h->open(h, "/proc/net/dev");
	if (p->fd < 0) {
		r = p->fd;
		goto fail_free;
	}
	r = watch(p);
	if (r < 0)
		goto fail_links;
	p->quiet = true;
	r = links_resync(p);
	/* These ask for links by name. */
	if (r == 0)
		r = neighbours_start(p);
	if (r == 0)
		r = speed_start(p);
	p->quiet = false;
	if (r < 0)
		goto fail_links;
	*ret_state = p;
	return 0;

fail_links:
	neighbours_free(p);
	speed_free(p);
	links_free(p);
	close(p->fd);
fail_free:
	free(p);
	return r;
}

static void interface_fini(void *state)
{
	struct interface *p = state;

	neighbours_free(p);
	speed_free(p);
	links_free(p);
	close(p->fd);
	free(p);
}

static int interface_resync(void *state)
{
	return links_resync(state);
}

static int interface_reconfigure(void *state)
{
	struct interface *p = state;

	read_options(p);
	links_reconsider(p);
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "interface",
	.version = "2",
	.help = "network interfaces, default routes, neighbours: by notification; counters",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_PROCFS | KITH_NEEDS_ROUTE_NETLINK,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = interface_init,
	.fini = interface_fini,
	.resync = interface_resync,
	.reconfigure = interface_reconfigure,
	.hears = "rtnetlink's groups for links, addresses, default routes, rules, gateways; ethtool's monitor group; /proc/net/dev on the tick",
	.costs = "40 us a tick with three links; 10 us for a notification; nothing for other routes and neighbours",
};
