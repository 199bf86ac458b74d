/* Warnings of disk quotas, by generic netlink */
#include "source/quota.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/quota.h>
#include <stdlib.h>

#include "base/clock.h"
#include "source/genl.h"
#include "source/kinds.h"

struct quota_reader {
	struct source *source;
	struct netlink_source *netlink;
	struct netlink_sub *sub;
	uint16_t family;
};

bool quota_parse(const void *message, size_t length, struct kith_quota_event *ret_event)
{
	struct kith_quota_event e = { .size = sizeof(e) };
	uint64_t values[QUOTA_NL_A_CAUSED_ID + 1] = { 0 };
	struct genl_message m;
	struct genl_attr a;
	unsigned seen = 0;

	if (!genl_parse(message, length, &m) || m.command != QUOTA_NL_C_WARNING)
		return false;
	while (genl_next(&m.attrs, &m.length, &a))
		if (a.type <= QUOTA_NL_A_CAUSED_ID && genl_number(&a, &values[a.type]))
			seen |= 1u << a.type;
	if (m.length || (seen | 1u << QUOTA_NL_A_CAUSED_ID) != (2u << QUOTA_NL_A_CAUSED_ID) - 2)
		return false;
	e.kind = values[QUOTA_NL_A_QTYPE] < KITH_QUOTA_OTHER ? (uint32_t)values[QUOTA_NL_A_QTYPE] : KITH_QUOTA_OTHER;
	e.warning = (uint32_t)values[QUOTA_NL_A_WARNING];
	e.major = (uint32_t)values[QUOTA_NL_A_DEV_MAJOR];
	e.minor = (uint32_t)values[QUOTA_NL_A_DEV_MINOR];
	e.id = values[QUOTA_NL_A_EXCESS_ID];
	e.caused_by = values[QUOTA_NL_A_CAUSED_ID];
	*ret_event = e;
	return true;
}

static void on_message(const void *message, size_t length, void *user)
{
	struct quota_reader *q = user;
	struct kith_quota_event e;
	struct genl_message m;

	if (!genl_parse(message, length, &m) || m.family != q->family || !quota_parse(message, length, &e))
		return;
	e.time = clock_wall();
	source_tell(q->source, &e);
}

static void on_lost(void *user)
{
	struct quota_reader *q = user;

	source_lost(q->source);
}

static int quota_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct quota_reader *q = calloc(1, sizeof(*q));
	struct netlink_listener listener = { q, on_message, on_lost, true };
	uint32_t group;
	int r;

	if (!q)
		return -ENOMEM;
	q->source = s;
	q->netlink = env->netlink;
	r = genl_group(env->netlink, "VFS_DQUOT", "events", &q->family, &group);
	if (r == 0)
		r = netlink_subscribe(env->netlink, NETLINK_GENERIC, group, &listener, &q->sub);
	if (r < 0) {
		free(q);
		return r;
	}
	*ret_reader = q;
	return 0;
}

static void quota_close(void *reader)
{
	struct quota_reader *q = reader;

	netlink_unsubscribe(q->netlink, q->sub);
	free(q);
}

const struct source_kind source_quota = {
	.id = KITH_SOURCE_QUOTA,
	.name = "quota",
	.open = quota_open,
	.close = quota_close,
};
