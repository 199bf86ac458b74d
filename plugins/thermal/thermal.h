/* What the files of this plugin share */
#ifndef THERMAL_THERMAL_H
#define THERMAL_THERMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "plugin.h"
#include "sources/thermal.h"

#define TRIPS_MAX 32
#define NAME_SIZE 96
#define THINGS_MAX 512 /* zones, coolers, sensors: of each, so many are followed */
#define CPUS_MAX 1024

enum family { ZONES, COOLERS, SENSORS, FANS, THROTTLING };
enum { TEMPERATURE, TRIP };
enum { STATE, MAXIMUM };
enum { CORE, PACKAGE };
enum trip_type { NONE, ACTIVE, PASSIVE, HOT, CRITICAL };

struct trip {
	uint32_t number;
	enum trip_type type;
	int64_t temperature, hysteresis; /* thousandths of a degree */
	bool above;
};

/* A file with a number, of a zone, a cooler, a sensor or a fan */
struct thing {
	enum family family;
	uint32_t number;   /* of a zone or a cooler */
	kith_id id;
	int fd;
	double scale;
	char name[NAME_SIZE];
	struct trip trips[TRIPS_MAX];
	unsigned n_trips;
	int trip;          /* that was put; -1: none */
};

struct state {
	const struct kith_host *h;
	struct thing *things;
	unsigned n_things;
	int throttle[2][CPUS_MAX]; /* CORE and PACKAGE: descriptors */
	unsigned n_throttle[2];
	kith_id throttling;        /* KITH_ID_NONE: there are no counters */
	unsigned wanted;           /* names that somebody gave: without one nothing is read on the tick */
};

int things_find(struct state *s);
void things_free(struct state *s);
bool thing_read(const struct state *s, const struct thing *t, double *ret_value);
struct thing *thing_of(struct state *s, enum family family, uint32_t number);
/* `temperature` in thousandths; trips by it, with their hysteresis */
void zone_trips(struct thing *zone, int64_t temperature);
int zone_put(struct state *s, struct thing *zone);
const char *trip_type_name(enum trip_type type);

#endif
