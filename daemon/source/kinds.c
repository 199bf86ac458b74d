#include "source/kinds.h"

static const struct source_kind *const kinds[] = {
	&source_audit,
	&source_device,
	&source_kmsg,
	&source_mount,
	&source_thermal,
	&source_pressure,
	&source_quota,
	&source_cgroup,
	&source_task,
	&source_link,
	&source_address,
	&source_route,
	&source_rule,
	&source_neighbour,
	&source_ethtool,
	&source_tree,
	&source_socket,
	&source_conntrack,
	&source_conntrack_stats,
};

const struct source_kind *source_kind_find(uint32_t id)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i]->id == id)
			return kinds[i];
	return NULL;
}
