/* What stands in /sys: zones, cooling devices, sensors, counters */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "thermal.h"

static const char *const trip_types[] = { [NONE] = "none", [ACTIVE] = "active", [PASSIVE] = "passive", [HOT] = "hot", [CRITICAL] = "critical" };

const char *trip_type_name(enum trip_type type)
{
	return trip_types[type];
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* "-5000\n"; false: it is no number, and nothing else */
static bool number_of(const char *text, double *ret_value)
{
	char *end;
	double v;

	if (*text != '-' && (*text < '0' || *text > '9'))
		return false;
	v = (double)strtoll(text, &end, 10);
	if (end == text || (*end && *end != '\n'))
		return false;
	*ret_value = v;
	return true;
}

static bool read_number(const struct state *s, int fd, double *ret_value)
{
	char *text;

	return fd >= 0 && s->h->read(s->h, fd, &text, NULL) == 0 && number_of(text, ret_value);
}

bool thing_read(const struct state *s, const struct thing *t, double *ret_value)
{
	return read_number(s, t->fd, ret_value);
}

/* The one line of a file, as printable ASCII. False: there is none */
static bool file_text(const struct state *s, const char *path, char *text, size_t size)
{
	int fd = s->h->open(s->h, path);
	char *found;
	size_t n = 0;

	if (fd < 0)
		return false;
	if (s->h->read(s->h, fd, &found, NULL) == 0)
		for (; found[n] && found[n] != '\n' && n + 1 < size; n++)
			text[n] = found[n] >= 0x20 && found[n] < 0x7f ? found[n] : '_';
	text[n] = '\0';
	close(fd);
	return n > 0;
}

static bool file_number(const struct state *s, const char *path, double *ret_value)
{
	char text[32];

	return file_text(s, path, text, sizeof(text)) && number_of(text, ret_value);
}

static DIR *folder(const struct state *s, const char *path)
{
	int fd = s->h->open(s->h, path);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/* "thermal_zone12": 12. False: the name is another */
static bool numbered(const char *name, const char *prefix, const char *suffix, uint32_t *ret_number)
{
	size_t n = strlen(prefix);
	const char *p = name + n;
	uint64_t v;

	if (strncmp(name, prefix, n) || kith_scan_u64(&p, &v) < 0 || strcmp(p, suffix) || v >= UINT32_MAX || name[n] == ' ')
		return false;
	*ret_number = (uint32_t)v;
	return true;
}

/* ---- things ------------------------------------------------------------------------------------------------------ */

struct thing *thing_of(struct state *s, enum family family, uint32_t number)
{
	for (unsigned i = 0; i < s->n_things; i++)
		if (s->things[i].family == family && s->things[i].number == number)
			return &s->things[i];
	return NULL;
}

static bool name_taken(const struct state *s, enum family family, const char *name)
{
	for (unsigned i = 0; i < s->n_things; i++)
		if (s->things[i].family == family && !strcmp(s->things[i].name, name))
			return true;
	return false;
}

/* The next name that is free: "acpitz", "acpitz-1", … 0: there it is; NULL: there are too many, or its file cannot be opened */
static struct thing *thing_new(struct state *s, enum family family, uint32_t number, const char *name, const char *path, double scale)
{
	struct thing *t = &s->things[s->n_things];
	unsigned k = 1;

	if (s->n_things == THINGS_MAX)
		return NULL;
	*t = (struct thing){ .family = family, .number = number, .scale = scale, .trip = -1 };
	snprintf(t->name, sizeof(t->name), "%.80s", name);
	while (name_taken(s, family, t->name))
		snprintf(t->name, sizeof(t->name), "%.80s-%u", name, k++);
	t->fd = s->h->open(s->h, path);
	if (t->fd < 0)
		return NULL;
	if (s->h->series(s->h, family, t->name, &t->id) < 0) {
		close(t->fd);
		return NULL;
	}
	s->n_things++;
	return t;
}

static void find_trips(const struct state *s, struct thing *t)
{
	char path[128], type[16];

	for (uint32_t i = 0; t->n_trips < TRIPS_MAX; i++) {
		struct trip *trip = &t->trips[t->n_trips];
		double value = 0;

		snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%u/trip_point_%u_type", t->number, i);
		if (!file_text(s, path, type, sizeof(type)))
			return;
		*trip = (struct trip){ .number = i };
		for (int k = ACTIVE; k <= CRITICAL; k++)
			if (!strcmp(type, trip_types[k]))
				trip->type = (enum trip_type)k;
		snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%u/trip_point_%u_temp", t->number, i);
		if (!file_number(s, path, &value) || trip->type == NONE)
			continue;
		trip->temperature = (int64_t)value;
		snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%u/trip_point_%u_hyst", t->number, i);
		trip->hysteresis = file_number(s, path, &value) && value > 0 ? (int64_t)value : 0;
		t->n_trips++;
	}
}

void zone_trips(struct thing *zone, int64_t temperature)
{
	for (unsigned i = 0; i < zone->n_trips; i++) {
		struct trip *t = &zone->trips[i];

		/* One that is switched off stands below any temperature. */
		t->above = t->temperature > -273150 && temperature >= t->temperature - (t->above ? t->hysteresis : 0);
	}
}

int zone_put(struct state *s, struct thing *zone)
{
	int now = NONE;

	for (unsigned i = 0; i < zone->n_trips; i++)
		if (zone->trips[i].above && (int)zone->trips[i].type > now)
			now = zone->trips[i].type;
	if (now == zone->trip)
		return 0;
	zone->trip = now;
	return s->h->put(s->h, zone->id + TRIP, now);
}

static void find_zone(struct state *s, uint32_t number)
{
	char path[128], name[80];
	struct thing *t;
	double value;

	snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%u/type", number);
	if (!file_text(s, path, name, sizeof(name)))
		return;
	snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%u/temp", number);
	t = thing_new(s, ZONES, number, name, path, 1e-3);
	if (!t)
		return;
	find_trips(s, t);
	if (thing_read(s, t, &value))
		zone_trips(t, (int64_t)value);
	zone_put(s, t);
}

static void find_cooler(struct state *s, uint32_t number)
{
	char path[128], name[80];
	struct thing *t;
	double value;

	snprintf(path, sizeof(path), "/sys/class/thermal/cooling_device%u/type", number);
	if (!file_text(s, path, name, sizeof(name)))
		return;
	snprintf(path, sizeof(path), "/sys/class/thermal/cooling_device%u/cur_state", number);
	t = thing_new(s, COOLERS, number, name, path, 1);
	snprintf(path, sizeof(path), "/sys/class/thermal/cooling_device%u/max_state", number);
	if (t && file_number(s, path, &value))
		s->h->put(s->h, t->id + MAXIMUM, value);
}

/* hwmon: temp1_input with the name in temp1_label, of a chip with the name in name */
static void find_sensors(struct state *s, const char *hwmon)
{
	char path[600], chip[40], label[40], name[96];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/hwmon/%.200s/name", hwmon);
	if (!file_text(s, path, chip, sizeof(chip)))
		snprintf(chip, sizeof(chip), "%.30s", hwmon);
	snprintf(path, sizeof(path), "/sys/class/hwmon/%.200s", hwmon);
	dir = folder(s, path);
	while (dir && (e = readdir(dir))) {
		uint32_t number;
		bool fan = numbered(e->d_name, "fan", "_input", &number);

		if (!fan && !numbered(e->d_name, "temp", "_input", &number))
			continue;
		snprintf(path, sizeof(path), "/sys/class/hwmon/%.200s/%s%u_label", hwmon, fan ? "fan" : "temp", number);
		if (!file_text(s, path, label, sizeof(label)))
			snprintf(label, sizeof(label), "%s%u", fan ? "fan" : "temp", number);
		snprintf(name, sizeof(name), "%s/%s", chip, label);
		snprintf(path, sizeof(path), "/sys/class/hwmon/%.200s/%s", hwmon, e->d_name);
		thing_new(s, fan ? FANS : SENSORS, KITH_THERMAL_NONE, name, path, fan ? 1 : 1e-3);
	}
	if (dir)
		closedir(dir);
}

static void find_counters(struct state *s)
{
	static const char *const names[] = { [CORE] = "core_throttle_count", [PACKAGE] = "package_throttle_count" };
	DIR *dir = folder(s, "/sys/devices/system/cpu");
	struct dirent *e;
	uint32_t number;
	char path[128];

	while (dir && (e = readdir(dir))) {
		if (!numbered(e->d_name, "cpu", "", &number))
			continue;
		for (int k = CORE; k <= PACKAGE; k++) {
			snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/thermal_throttle/%s", number, names[k]);
			if (s->n_throttle[k] < CPUS_MAX && (s->throttle[k][s->n_throttle[k]] = s->h->open(s->h, path)) >= 0)
				s->n_throttle[k]++;
		}
	}
	if (dir)
		closedir(dir);
	if ((s->n_throttle[CORE] || s->n_throttle[PACKAGE]) && s->h->series(s->h, THROTTLING, NULL, &s->throttling) < 0)
		s->throttling = KITH_ID_NONE;
}

void things_free(struct state *s)
{
	for (unsigned i = 0; i < s->n_things; i++)
		close(s->things[i].fd);
	for (int k = CORE; k <= PACKAGE; k++)
		for (unsigned i = 0; i < s->n_throttle[k]; i++)
			close(s->throttle[k][i]);
	s->n_things = s->n_throttle[CORE] = s->n_throttle[PACKAGE] = 0;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* In the order of their numbers: names that several have then stay with the same one */
static void find_numbered(struct state *s, const char *prefix, void (*find)(struct state *s, uint32_t number))
{
	DIR *dir = folder(s, "/sys/class/thermal");
	uint32_t numbers[THINGS_MAX];
	struct dirent *e;
	size_t n = 0;

	while (dir && n < THINGS_MAX && (e = readdir(dir)))
		if (numbered(e->d_name, prefix, "", &numbers[n]))
			n++;
	if (dir)
		closedir(dir);
	qsort(numbers, n, sizeof(numbers[0]), by_number);
	for (size_t i = 0; i < n; i++)
		find(s, numbers[i]);
}

/* All anew; the series of what is gone end. */
int things_find(struct state *s)
{
	struct thing *old = s->things;
	unsigned n_old = s->n_things;
	struct dirent *e;
	DIR *dir;

	s->things = calloc(THINGS_MAX, sizeof(*s->things));
	if (!s->things) {
		s->things = old;
		return -ENOMEM;
	}
	things_free(&(struct state){ .things = old, .n_things = n_old });
	s->n_things = 0;
	for (int k = CORE; k <= PACKAGE; k++)
		while (s->n_throttle[k])
			close(s->throttle[k][--s->n_throttle[k]]);
	find_numbered(s, "thermal_zone", find_zone);
	find_numbered(s, "cooling_device", find_cooler);
	dir = folder(s, "/sys/class/hwmon");
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			find_sensors(s, e->d_name);
	if (dir)
		closedir(dir);
	find_counters(s);
	for (unsigned i = 0; i < n_old; i++)
		if (!name_taken(s, old[i].family, old[i].name))
			s->h->end(s->h, old[i].id);
	free(old);
	if (s->n_things < THINGS_MAX) {
		struct thing *less = realloc(s->things, (s->n_things + 1) * sizeof(*less));

		s->things = less ? less : s->things;
	}
	return 0;
}
