/* thermal: temperatures, what cools, what throttles; trip points by the kernel's news. See the README beside. */
#include "thermal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const trip_states[] = { "none", "active", "passive", "hot", "critical", NULL };

static const struct kith_metric zone_metrics[] = {
	[TEMPERATURE] = { "temperature", "Cel", "of the zone", NULL, KITH_GAUGE, 0 },
	[TRIP] = { "trip", "1", "the most urgent of the trip points that were passed", trip_states, KITH_STATE, KITH_METRIC_EVENT },
};
static const struct kith_metric cooler_metrics[] = {
	[STATE] = { "state", "1", "how much it cools", NULL, KITH_GAUGE, 0 },
	[MAXIMUM] = { "max_state", "1", "how much it can", NULL, KITH_GAUGE, KITH_METRIC_EVENT },
};
static const struct kith_metric sensor_metrics[] = { { "temperature", "Cel", "of the sensor", NULL, KITH_GAUGE, 0 } };
static const struct kith_metric fan_metrics[] = { { "speed", "rotations/min", "of the fan", NULL, KITH_GAUGE, 0 } };
static const struct kith_metric throttling_metrics[] = {
	[CORE] = { "core", "times", "that cores were slowed for their heat, all together", NULL, KITH_COUNTER, 0 },
	[PACKAGE] = { "package", "times", "that a processor was, the one that was most often", NULL, KITH_COUNTER, 0 },
};
static const struct kith_family families[] = {
	[ZONES] = { KITH_FAMILY_INIT, "thermal", "Thermal zones", "zone", zone_metrics, KITH_COUNT(zone_metrics), 0 },
	[COOLERS] = { KITH_FAMILY_INIT, "cooling", "Cooling devices", "device", cooler_metrics, KITH_COUNT(cooler_metrics), 0 },
	[SENSORS] = { KITH_FAMILY_INIT, "sensor", "Temperatures of hardware monitoring", "chip/sensor", sensor_metrics, KITH_COUNT(sensor_metrics), 0 },
	[FANS] = { KITH_FAMILY_INIT, "fan", "Fans of hardware monitoring", "chip/fan", fan_metrics, KITH_COUNT(fan_metrics), 0 },
	[THROTTLING] = { KITH_FAMILY_INIT, "throttling", "Processors that slow down for their heat", NULL, throttling_metrics, KITH_COUNT(throttling_metrics), 0 },
};

/* ---- events ------------------------------------------------------------------------------------------------------ */

static int tell(struct state *s, const struct kith_thermal_event *e, uint32_t priority, const char *name, const char *text, const struct trip *trip)
{
	char subject[sizeof("thermal:") + NAME_SIZE], temperature[24], type[16], at[24];
	struct kith_field fields[3];
	struct kith_record r = { .size = sizeof(r), .priority = priority, .time = e->time, .subject = subject, .message = text, .fields = fields };
	int done;

	snprintf(subject, sizeof(subject), "thermal%s%s", *name ? ":" : "", name);
	if (e->temperature != KITH_THERMAL_NO_TEMPERATURE) {
		snprintf(temperature, sizeof(temperature), "%.3f", e->temperature / 1e3);
		fields[r.n_fields++] = (struct kith_field){ "temperature", temperature };
	}
	if (trip) {
		snprintf(type, sizeof(type), "%s", trip_type_name(trip->type));
		snprintf(at, sizeof(at), "%.3f", (double)trip->temperature / 1e3);
		fields[r.n_fields++] = (struct kith_field){ "trip", type };
		fields[r.n_fields++] = (struct kith_field){ "trip_temperature", at };
	}
	done = s->h->record(s->h, &r);
	return done == -ENOSPC ? 0 : done;
}

static int on_trip(struct state *s, const struct kith_thermal_event *e)
{
	static const uint32_t priorities[] = { [NONE] = KITH_INFO, [ACTIVE] = KITH_INFO, [PASSIVE] = KITH_WARNING, [HOT] = KITH_ERR, [CRITICAL] = KITH_CRIT };
	struct thing *zone = thing_of(s, ZONES, e->zone);
	bool up = e->what == KITH_THERMAL_TRIP_UP;
	struct trip *trip = NULL;
	char text[256];
	int r, told;

	if (!zone)
		return 0;
	if (e->temperature != KITH_THERMAL_NO_TEMPERATURE) {
		zone_trips(zone, e->temperature);
		s->h->put(s->h, zone->id + TEMPERATURE, e->temperature / 1e3);
	}
	for (unsigned i = 0; i < zone->n_trips; i++)
		if (zone->trips[i].number == e->trip)
			trip = &zone->trips[i];
	if (!trip)
		return zone_put(s, zone);
	trip->above = up;
	snprintf(text, sizeof(text), "%s %s its %s trip point of %g Cel", zone->name, up ? "has passed" : "is below", trip_type_name(trip->type),
	         (double)trip->temperature / 1e3);
	r = zone_put(s, zone);
	told = tell(s, e, up ? priorities[trip->type] : trip->type >= PASSIVE ? KITH_NOTICE : KITH_INFO, zone->name, text, trip);
	return r < 0 ? r : told;
}

static int on_zone(struct state *s, const struct kith_thermal_event *e)
{
	static const char *const words[] = { [KITH_THERMAL_ZONE_ADDED] = "is there", [KITH_THERMAL_ZONE_REMOVED] = "is gone",
		                             [KITH_THERMAL_ZONE_DISABLED] = "is switched off", [KITH_THERMAL_ZONE_ENABLED] = "is switched on" };
	struct thing *zone = thing_of(s, ZONES, e->zone);
	char text[256], name[NAME_SIZE] = "";
	int r = 0, told;

	if (zone)
		snprintf(name, sizeof(name), "%s", zone->name);
	if (e->what == KITH_THERMAL_ZONE_ADDED || e->what == KITH_THERMAL_ZONE_REMOVED)
		r = things_find(s);
	zone = thing_of(s, ZONES, e->zone);
	if (!*name && zone)
		snprintf(name, sizeof(name), "%s", zone->name);
	if (!*name)
		snprintf(name, sizeof(name), "%u", e->zone);
	snprintf(text, sizeof(text), "thermal zone %s %s", name, words[e->what]);
	told = tell(s, e, e->what == KITH_THERMAL_ZONE_DISABLED ? KITH_NOTICE : KITH_INFO, name, text, NULL);
	return r < 0 ? r : told;
}

static int on_event(const void *event, void *user)
{
	const struct kith_thermal_event *e = event;
	struct state *s = user;
	struct thing *t;
	char text[64];

	if (!e)
		return 0;
	switch ((enum kith_thermal_what)e->what) {
	case KITH_THERMAL_TRIP_UP:
	case KITH_THERMAL_TRIP_DOWN:
		return on_trip(s, e);
	case KITH_THERMAL_ZONE_ADDED:
	case KITH_THERMAL_ZONE_REMOVED:
	case KITH_THERMAL_ZONE_DISABLED:
	case KITH_THERMAL_ZONE_ENABLED:
		return on_zone(s, e);
	case KITH_THERMAL_TRIP_CHANGED:
	case KITH_THERMAL_TRIP_ADDED:
	case KITH_THERMAL_TRIP_REMOVED:
		return things_find(s);
	case KITH_THERMAL_COOLER_ADDED:
	case KITH_THERMAL_COOLER_REMOVED:
		return thing_of(s, COOLERS, e->cooler) && e->what == KITH_THERMAL_COOLER_ADDED ? 0 : things_find(s);
	case KITH_THERMAL_COOLER_STATE:
		t = thing_of(s, COOLERS, e->cooler);
		return t ? s->h->put(s->h, t->id + STATE, e->state) : 0;
	case KITH_THERMAL_CPU_CAPABILITY:
		snprintf(text, sizeof(text), "the capability of %u processors has changed", e->cpus);
		return tell(s, e, KITH_INFO, "", text, NULL);
	case KITH_THERMAL_SAMPLE:
	case KITH_THERMAL_GOVERNOR:
		break;
	}
	return 0;
}

/* ---- the tick ---------------------------------------------------------------------------------------------------- */

static int sample(void *user)
{
	struct state *s = user;
	double values[2] = { 0, 0 }, v;
	int r = 0, one;

	if (!s->wanted)
		return 0;
	for (unsigned i = 0; i < s->n_things; i++) {
		struct thing *t = &s->things[i];

		if (!thing_read(s, t, &v)) /* a sensor that has nothing to say now */
			continue;
		one = s->h->put(s->h, t->id, v * t->scale);
		if (t->family == ZONES && one == 0) {
			zone_trips(t, (int64_t)v);
			one = zone_put(s, t);
		}
		if (one < 0)
			r = one;
	}
	if (s->throttling == KITH_ID_NONE)
		return r;
	for (int k = CORE; k <= PACKAGE; k++)
		for (unsigned i = 0; i < s->n_throttle[k]; i++) {
			const struct thing file = { .fd = s->throttle[k][i] };

			if (thing_read(s, &file, &v))
				values[k] = k == CORE ? values[k] + v : v > values[k] ? v : values[k];
		}
	one = s->h->put_all(s->h, s->throttling, values, 2);
	return one < 0 ? one : r;
}

static int on_wanted(const char *instance, int wanted, void *user)
{
	struct state *s = user;

	(void)instance;
	s->wanted += wanted ? 1 : s->wanted ? (unsigned)-1 : 0;
	return 0;
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static int resync(void *state)
{
	return things_find(state);
}

static void fini(void *state)
{
	struct state *s = state;

	things_free(s);
	free(s->things);
	free(s);
}

static int init(const struct kith_host *h, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	int r, events;

	if (!s)
		return -ENOMEM;
	s->h = h;
	events = h->watch_source(h, KITH_SOURCE_THERMAL, NULL, on_event, s, NULL);
	r = things_find(s);
	if (r == 0 && !s->n_things && s->throttling == KITH_ID_NONE) {
		h->note(h, events < 0 ? "this host has no thermal zones, no sensors and no throttle counters, and its kernel tells of none"
		                      : "there are no thermal zones, sensors or throttle counters: it begins when the kernel tells of the first zone");
		r = events < 0 ? -EOPNOTSUPP : 0;
	} else if (r == 0 && events < 0) {
		h->note(h, "the kernel tells of no trip points here: they are seen on the tick");
	}
	for (uint32_t i = ZONES; i <= THROTTLING && r == 0; i++)
		r = h->watch_wanted(h, i, on_wanted, s, NULL);
	if (r == 0)
		r = h->sample(h, sample, s, NULL);
	if (r < 0) {
		fini(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "thermal",
	.version = "1",
	.help = "Temperatures, what cools, what throttles",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.needs = KITH_NEEDS_SYSFS,
	.families = families,
	.n_families = KITH_COUNT(families),
	.init = init,
	.fini = fini,
	.resync = resync,
	.hears = "generic netlink, the family thermal; /sys/class/thermal, hwmon and throttle counters on the tick when somebody wants them",
	.costs = "nothing where nobody asks; 2 us a file and tick, some sensors of firmware more",
};
