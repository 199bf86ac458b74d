/* What comes by netlink: datagrams of rtnetlink and of the proc connector, the messages in them, as the sources read them */
#include <stdlib.h>
#include <string.h>

#include "source/netlink.h"
#include "source/process.h"
#include "source/rtnetlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(const void *message, size_t length, void *user)
{
	struct kith_address_event address;
	struct kith_ethtool_event ethtool;
	struct kith_neighbour_event neighbour;
	struct kith_route_event route;
	struct kith_rule_event rule;
	struct kith_link_event link;

	(void)user;
	if (rtnetlink_link(message, length, &link) > 0 && (link.index <= 0 || ((link.known & KITH_LINK_HAS_NAME) && !*link.name) ||
	                                                   memchr(link.name, 0, sizeof(link.name)) == NULL || link.carrier > 1))
		abort();
	if (rtnetlink_address(message, length, &address) > 0 && address.index <= 0)
		abort();
	if (rtnetlink_route(message, length, &route) > 0 && route.n_hops > KITH_ROUTE_HOPS)
		abort();
	if (rtnetlink_rule(message, length, &rule) > 0 && (rule.source_prefix > 128 || !memchr(rule.input, 0, sizeof(rule.input))))
		abort();
	if (rtnetlink_neighbour(message, length, &neighbour) > 0 && neighbour.index <= 0)
		abort();
	if (ethtool_message(message, length, &ethtool) > 0 && ethtool.index <= 0)
		abort();
}

static void on_process(const struct kith_process_event *event, void *user)
{
	(void)user;
	if (event->pid <= 0 || !event->what || (event->name && event->what != KITH_PROCESS_NAME))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	netlink_parse(data, size, on_message, NULL);
	process_parse(data, size, on_process, NULL);
	/* A message as it stands, whatever its own length says */
	on_message(data, size, NULL);
	return 0;
}
