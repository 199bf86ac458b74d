/* What comes by netlink: datagrams of rtnetlink and of the proc connector, the messages in them, as the sources and the interface plugin read them */
#include <stdlib.h>

#include "interface/interface.h"
#include "source/netlink.h"
#include "source/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(const void *message, size_t length, void *user)
{
	struct address_message address;
	struct link_message link;

	(void)user;
	if (link_message_parse(message, length, &link) > 0 && (link.index <= 0 || (link.has_name && !*link.name)))
		abort();
	if (address_message_parse(message, length, &address) > 0 && address.index <= 0)
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
