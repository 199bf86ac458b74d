/* Temperatures: the kernel's messages taken apart, and what the plugin makes of them and of recorded trees */
#include <check.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/thermal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "source/thermal.h"

extern const struct kith_plugin kith_plugin;

/* ---- messages ---------------------------------------------------------------------------------------------------- */

struct frame {
	unsigned char bytes[256];
	size_t length;
};

static struct frame frame_new(uint8_t command)
{
	struct frame f = { .length = NLMSG_HDRLEN + GENL_HDRLEN };
	struct genlmsghdr genl = { .cmd = command, .version = 1 };

	memcpy(f.bytes + NLMSG_HDRLEN, &genl, sizeof(genl));
	return f;
}

static void attr(struct frame *f, uint16_t type, const void *data, size_t length)
{
	struct nlattr a = { (uint16_t)(sizeof(a) + length), type };

	memcpy(f->bytes + f->length, &a, sizeof(a));
	memcpy(f->bytes + f->length + sizeof(a), data, length);
	f->length += NLA_ALIGN(sizeof(a) + length);
}

static void attr_u32(struct frame *f, uint16_t type, uint32_t value)
{
	attr(f, type, &value, sizeof(value));
}

/* Cut anywhere it is no message, save where what is missing need not be there: `optional` bytes at its end */
static void cut(const struct frame *f, bool sample, size_t optional)
{
	struct kith_thermal_event e;

	ck_assert(thermal_parse(f->bytes, f->length, sample, &e));
	for (size_t n = 0; n < f->length; n++) {
		unsigned char *part = malloc(n + 1);

		memcpy(part, f->bytes, n);
		ck_assert_msg(thermal_parse(part, n, sample, &e) == (optional && n == f->length - optional), "%zu of %zu", n, f->length);
		free(part);
	}
}

START_TEST(messages)
{
	struct frame f = frame_new(THERMAL_GENL_EVENT_TZ_TRIP_UP), cpus = { .length = 0 };
	struct kith_thermal_event e;

	attr_u32(&f, THERMAL_GENL_ATTR_TZ_ID, 3);
	attr_u32(&f, THERMAL_GENL_ATTR_TZ_TRIP_ID, 1);
	attr_u32(&f, THERMAL_GENL_ATTR_TZ_TEMP, (uint32_t)-5000);
	ck_assert(thermal_parse(f.bytes, f.length, false, &e));
	ck_assert(e.what == KITH_THERMAL_TRIP_UP && e.zone == 3 && e.trip == 1 && e.temperature == -5000 && e.cooler == KITH_THERMAL_NONE);
	cut(&f, false, 8);
	f = frame_new(THERMAL_GENL_SAMPLING_TEMP);
	attr_u32(&f, THERMAL_GENL_ATTR_TZ_ID, 3);
	attr_u32(&f, THERMAL_GENL_ATTR_TZ_TEMP, 42000);
	ck_assert(thermal_parse(f.bytes, f.length, true, &e) && e.what == KITH_THERMAL_SAMPLE && e.temperature == 42000);
	ck_assert(!thermal_parse(f.bytes, f.length, false, &e));
	cut(&f, true, 0);
	f = frame_new(THERMAL_GENL_EVENT_CDEV_STATE_UPDATE);
	attr_u32(&f, THERMAL_GENL_ATTR_CDEV_ID, 2);
	attr_u32(&f, THERMAL_GENL_ATTR_CDEV_CUR_STATE, 7);
	cut(&f, false, 0);
	f = frame_new(THERMAL_GENL_EVENT_TZ_CREATE);
	attr_u32(&f, THERMAL_GENL_ATTR_TZ_ID, 3);
	attr(&f, THERMAL_GENL_ATTR_TZ_NAME, "a name of more than thirty-two bytes", 36);
	ck_assert(thermal_parse(f.bytes, f.length, false, &e));
	ck_assert_str_eq(e.name, "a name of more than thirty-two ");
	cut(&f, false, 40);
	attr_u32(&cpus, THERMAL_GENL_ATTR_CPU_CAPABILITY_ID, 0);
	attr_u32(&cpus, THERMAL_GENL_ATTR_CPU_CAPABILITY_PERFORMANCE, 9);
	attr_u32(&cpus, THERMAL_GENL_ATTR_CPU_CAPABILITY_ID, 1);
	f = frame_new(THERMAL_GENL_EVENT_CPU_CAPABILITY_CHANGE);
	attr(&f, THERMAL_GENL_ATTR_CPU_CAPABILITY | NLA_F_NESTED, cpus.bytes, cpus.length);
	ck_assert(thermal_parse(f.bytes, f.length, false, &e) && e.cpus == 2);
	cut(&f, false, 0);
	f = frame_new(99);
	ck_assert(!thermal_parse(f.bytes, f.length, false, &e));
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------- */

#define CLASS "/sys/class/thermal/"
static struct fake_host *f;
static char root[64];

static void file(const char *path, const char *text)
{
	ck_assert_int_eq(fake_write(root, path, text), 0);
}

static void tree(void)
{
	file(CLASS "thermal_zone0/type", "acpitz\n");
	file(CLASS "thermal_zone0/temp", "27800\n");
	file(CLASS "thermal_zone1/type", "x86_pkg_temp\n");
	file(CLASS "thermal_zone1/temp", "50000\n");
	file(CLASS "thermal_zone1/trip_point_0_type", "passive\n");
	file(CLASS "thermal_zone1/trip_point_0_temp", "80000\n");
	file(CLASS "thermal_zone1/trip_point_0_hyst", "5000\n");
	file(CLASS "thermal_zone1/trip_point_1_type", "critical\n");
	file(CLASS "thermal_zone1/trip_point_1_temp", "100000\n");
	file(CLASS "thermal_zone1/trip_point_2_type", "passive\n");
	file(CLASS "thermal_zone1/trip_point_2_temp", "-274000\n"); /* switched off */
	file(CLASS "thermal_zone10/type", "acpitz\n");
	file(CLASS "thermal_zone10/temp", "not now\n");
	file(CLASS "cooling_device0/type", "Processor\n");
	file(CLASS "cooling_device0/cur_state", "0\n");
	file(CLASS "cooling_device0/max_state", "10\n");
	file("/sys/class/hwmon/hwmon0/name", "coretemp\n");
	file("/sys/class/hwmon/hwmon0/temp2_input", "45000\n");
	file("/sys/class/hwmon/hwmon0/temp2_label", "Core \xff\n");
	file("/sys/class/hwmon/hwmon0/temp3_input", "-1000\n");
	file("/sys/class/hwmon/hwmon0/fan1_input", "1200\n");
	file("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n");
	file("/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "5\n");
	file("/sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "4\n");
	file("/sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count", "5\n");
}

static void setup(void)
{
	fake_tree_new(root);
	f = fake_host_new(&kith_plugin, root);
}

static void teardown(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static void expect(const char *name, double value)
{
	double is = fake_host_value(f, name);

	ck_assert_msg(!(is < value) && !(is > value) && is == is, "%s is %g, not %g", name, is, value);
}

START_TEST(a_recorded_tree)
{
	tree();
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_ptr_null(f->note);
	ck_assert_str_eq(fake_host_state(f, "thermal:x86_pkg_temp:trip"), "none");
	expect("cooling:Processor:max_state", 10);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(fake_host_puts(f, "thermal:acpitz:temperature") == 0); /* nobody wants it */
	fake_host_want(f, 0, "*", true);
	ck_assert_int_eq(fake_host_sample(f), 0);
	expect("thermal:acpitz:temperature", 27.8);
	expect("thermal:x86_pkg_temp:temperature", 50);
	ck_assert(fake_host_has(f, "thermal", "acpitz-1") && fake_host_puts(f, "thermal:acpitz-1:temperature") == 0);
	expect("cooling:Processor:state", 0);
	expect("sensor:coretemp/Core _:temperature", 45);
	expect("sensor:coretemp/temp3:temperature", -1);
	expect("fan:coretemp/fan1:speed", 1200);
	expect("throttling:core", 7);
	expect("throttling:package", 5);
	/* Read on the tick, with hysteresis */
	file(CLASS "thermal_zone1/temp", "81000\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_str_eq(fake_host_state(f, "thermal:x86_pkg_temp:trip"), "passive");
	file(CLASS "thermal_zone1/temp", "76000\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_str_eq(fake_host_state(f, "thermal:x86_pkg_temp:trip"), "passive");
	file(CLASS "thermal_zone1/temp", "74000\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_str_eq(fake_host_state(f, "thermal:x86_pkg_temp:trip"), "none");
	fake_host_want(f, 0, "*", false);
	file(CLASS "thermal_zone0/temp", "1000\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	expect("thermal:acpitz:temperature", 27.8);
}
END_TEST

static void happens(struct kith_thermal_event e)
{
	e.size = sizeof(e);
	e.time = f->now;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_THERMAL, &e), 0);
}

START_TEST(trips)
{
	tree();
	ck_assert_int_eq(fake_host_start(f), 0);
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_TRIP_UP, .zone = 1, .trip = 1, .temperature = 101000 });
	ck_assert_str_eq(fake_host_state(f, "thermal:x86_pkg_temp:trip"), "critical");
	ck_assert_ptr_nonnull(fake_host_record(f, "2 thermal:x86_pkg_temp x86_pkg_temp has passed its critical trip point of 100 Cel temperature=101.000 trip=critical "
	                                          "trip_temperature=100.000"));
	expect("thermal:x86_pkg_temp:temperature", 101);
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_TRIP_DOWN, .zone = 1, .trip = 1, .temperature = 99000 });
	ck_assert_str_eq(fake_host_state(f, "thermal:x86_pkg_temp:trip"), "passive");
	ck_assert_ptr_nonnull(fake_host_record(f, "5 thermal:x86_pkg_temp x86_pkg_temp is below its critical trip point"));
	/* Older kernels tell no temperature */
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_TRIP_DOWN, .zone = 1, .trip = 0, .temperature = KITH_THERMAL_NO_TEMPERATURE });
	ck_assert_str_eq(fake_host_state(f, "thermal:x86_pkg_temp:trip"), "none");
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_TRIP_UP, .zone = 77, .trip = 1, .temperature = 101000 });
	ck_assert_uint_eq(f->n_records, 3);
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_COOLER_STATE, .cooler = 0, .state = 4 });
	expect("cooling:Processor:state", 4);
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_CPU_CAPABILITY, .cpus = 8, .temperature = KITH_THERMAL_NO_TEMPERATURE });
	ck_assert_ptr_nonnull(fake_host_record(f, "6 thermal the capability of 8 processors has changed"));
}
END_TEST

START_TEST(comes_and_goes)
{
	file("/sys/class/.keep", "");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_ptr_nonnull(f->note);
	tree();
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_ZONE_ADDED, .zone = 1, .temperature = KITH_THERMAL_NO_TEMPERATURE });
	ck_assert(fake_host_has(f, "thermal", "x86_pkg_temp"));
	ck_assert_ptr_nonnull(fake_host_record(f, "6 thermal:x86_pkg_temp thermal zone x86_pkg_temp is there"));
	file(CLASS "thermal_zone1/type", "");
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_ZONE_REMOVED, .zone = 1, .temperature = KITH_THERMAL_NO_TEMPERATURE });
	ck_assert(!fake_host_has(f, "thermal", "x86_pkg_temp") && fake_host_has(f, "thermal", "acpitz"));
	ck_assert_ptr_nonnull(fake_host_record(f, "6 thermal:x86_pkg_temp thermal zone x86_pkg_temp is gone"));
	ck_assert_int_eq(fake_host_resync(f), 0);
	happens((struct kith_thermal_event){ .what = KITH_THERMAL_ZONE_DISABLED, .zone = 0, .temperature = KITH_THERMAL_NO_TEMPERATURE });
	ck_assert_ptr_nonnull(fake_host_record(f, "5 thermal:acpitz thermal zone acpitz is switched off"));
}
END_TEST

START_TEST(nothing_here)
{
	file("/sys/class/.keep", "");
	f->fail_source = -EOPNOTSUPP;
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(f->note);
	/* Without the kernel's news what is there is still read */
	tree();
	ck_assert_int_eq(fake_host_start(f), 0);
	fake_host_want(f, 0, "*", true);
	ck_assert_int_eq(fake_host_sample(f), 0);
	expect("thermal:acpitz:temperature", 27.8);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("thermal");
	TCase *t = tcase_create("thermal");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, messages);
	tcase_add_test(t, a_recorded_tree);
	tcase_add_test(t, trips);
	tcase_add_test(t, comes_and_goes);
	tcase_add_test(t, nothing_here);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
