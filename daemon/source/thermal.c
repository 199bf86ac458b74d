/* Temperatures, by generic netlink */
#include "source/thermal.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/thermal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "source/genl.h"
#include "source/kinds.h"

struct thermal_reader {
	struct source *source;
	struct netlink_source *netlink;
	struct netlink_sub *events, *samples; /* samples: while `n_samples` subscribers want them */
	uint16_t family;
	unsigned n_samples;
};

static uint32_t count_cpus(const struct genl_attr *list)
{
	const unsigned char *at = list->data;
	size_t left = list->length;
	struct genl_attr a;
	uint32_t n = 0;

	while (genl_next(&at, &left, &a))
		n += a.type == THERMAL_GENL_ATTR_CPU_CAPABILITY_ID;
	return n;
}

static bool is_whole(const struct kith_thermal_event *e)
{
	switch ((enum kith_thermal_what)e->what) {
	case KITH_THERMAL_SAMPLE:
		return e->zone != KITH_THERMAL_NONE && e->temperature != KITH_THERMAL_NO_TEMPERATURE;
	case KITH_THERMAL_ZONE_ADDED:
	case KITH_THERMAL_ZONE_REMOVED:
	case KITH_THERMAL_ZONE_DISABLED:
	case KITH_THERMAL_ZONE_ENABLED:
	case KITH_THERMAL_GOVERNOR:
		return e->zone != KITH_THERMAL_NONE;
	case KITH_THERMAL_TRIP_UP:
	case KITH_THERMAL_TRIP_DOWN:
	case KITH_THERMAL_TRIP_CHANGED:
	case KITH_THERMAL_TRIP_ADDED:
	case KITH_THERMAL_TRIP_REMOVED:
		return e->zone != KITH_THERMAL_NONE && e->trip != KITH_THERMAL_NONE;
	case KITH_THERMAL_COOLER_ADDED:
	case KITH_THERMAL_COOLER_REMOVED:
		return e->cooler != KITH_THERMAL_NONE;
	case KITH_THERMAL_COOLER_STATE:
		return e->cooler != KITH_THERMAL_NONE && e->state != KITH_THERMAL_NONE;
	case KITH_THERMAL_CPU_CAPABILITY:
		return e->cpus > 0;
	}
	return false;
}

bool thermal_parse(const void *message, size_t length, bool sample, struct kith_thermal_event *ret_event)
{
	struct kith_thermal_event e = { .size = sizeof(e), .zone = KITH_THERMAL_NONE, .trip = KITH_THERMAL_NONE, .cooler = KITH_THERMAL_NONE,
		                        .state = KITH_THERMAL_NONE, .temperature = KITH_THERMAL_NO_TEMPERATURE };
	struct genl_message m;
	struct genl_attr a;
	uint64_t value;

	if (!genl_parse(message, length, &m) || (sample && m.command != THERMAL_GENL_SAMPLING_TEMP) || (!sample && !m.command))
		return false;
	e.what = sample ? KITH_THERMAL_SAMPLE : m.command;
	while (genl_next(&m.attrs, &m.length, &a)) {
		if (a.type == THERMAL_GENL_ATTR_CPU_CAPABILITY)
			e.cpus = count_cpus(&a);
		else if (a.type == THERMAL_GENL_ATTR_TZ_NAME || a.type == THERMAL_GENL_ATTR_CDEV_NAME)
			genl_text(&a, e.name, sizeof(e.name));
		if (a.length != sizeof(uint32_t) || !genl_number(&a, &value))
			continue;
		if (a.type == THERMAL_GENL_ATTR_TZ_ID)
			e.zone = (uint32_t)value;
		else if (a.type == THERMAL_GENL_ATTR_TZ_TRIP_ID)
			e.trip = (uint32_t)value;
		else if (a.type == THERMAL_GENL_ATTR_TZ_TEMP)
			e.temperature = (int32_t)(uint32_t)value;
		else if (a.type == THERMAL_GENL_ATTR_CDEV_ID)
			e.cooler = (uint32_t)value;
		else if (a.type == THERMAL_GENL_ATTR_CDEV_CUR_STATE)
			e.state = (uint32_t)value;
	}
	if (m.length || !is_whole(&e))
		return false;
	*ret_event = e;
	return true;
}

static void on_message(const void *message, size_t length, struct thermal_reader *t, bool sample)
{
	struct kith_thermal_event e;
	struct genl_message m;

	if (!genl_parse(message, length, &m) || m.family != t->family || !thermal_parse(message, length, sample, &e))
		return;
	e.time = clock_wall();
	source_tell(t->source, &e);
}

static void on_event(const void *message, size_t length, void *user)
{
	on_message(message, length, user, false);
}

static void on_sample(const void *message, size_t length, void *user)
{
	on_message(message, length, user, true);
}

static void on_lost(void *user)
{
	struct thermal_reader *t = user;

	source_lost(t->source);
}

static int join(struct thermal_reader *t, const char *group, void (*fn)(const void *, size_t, void *), struct netlink_sub **ret_sub)
{
	struct netlink_listener listener = { t, fn, on_lost, true };
	uint32_t number;
	int r = genl_group(t->netlink, THERMAL_GENL_FAMILY_NAME, group, &t->family, &number);

	return r < 0 ? r : netlink_subscribe(t->netlink, NETLINK_GENERIC, number, &listener, ret_sub);
}

static int thermal_open(struct source *s, const struct source_env *env, void **ret_reader)
{
	struct thermal_reader *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->source = s;
	t->netlink = env->netlink;
	r = join(t, THERMAL_GENL_EVENT_GROUP_NAME, on_event, &t->events);
	if (r < 0) {
		free(t);
		return r;
	}
	*ret_reader = t;
	return 0;
}

static void thermal_close(void *reader)
{
	struct thermal_reader *t = reader;

	netlink_unsubscribe(t->netlink, t->events);
	netlink_unsubscribe(t->netlink, t->samples);
	free(t);
}

/* A subscriber's own is the reader where it wants samples, else NULL. */
static int thermal_add(void *reader, struct source_sub *sub, const void *filter, void **ret_own)
{
	const struct kith_thermal_filter *f = filter;
	struct thermal_reader *t = reader;
	int r = 0;

	(void)sub;
	if (!f || !(f->flags & KITH_THERMAL_SAMPLES))
		return 0;
	if (!t->samples)
		r = join(t, THERMAL_GENL_SAMPLING_GROUP_NAME, on_sample, &t->samples);
	if (r < 0)
		return r;
	t->n_samples++;
	*ret_own = t;
	return 0;
}

static void thermal_remove(void *reader, void *own)
{
	struct thermal_reader *t = reader;

	if (!own || --t->n_samples)
		return;
	netlink_unsubscribe(t->netlink, t->samples);
	t->samples = NULL;
}

static bool thermal_accepts(const void *own, const void *event)
{
	return own || ((const struct kith_thermal_event *)event)->what != KITH_THERMAL_SAMPLE;
}

const struct source_kind source_thermal = {
	.id = KITH_SOURCE_THERMAL,
	.name = "thermal",
	.filter_size = sizeof(struct kith_thermal_filter),
	.open = thermal_open,
	.close = thermal_close,
	.add = thermal_add,
	.remove = thermal_remove,
	.accepts = thermal_accepts,
};
