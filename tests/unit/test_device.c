/* Devices: uevents taken apart, and what the plugin makes of them */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "source/device.h"

extern const struct kith_plugin kith_plugin;

#define UEVENT "add@/devices/x/block/sdb\0ACTION=add\0DEVPATH=/devices/x/block/sdb\0SUBSYSTEM=block\0MAJOR=8\0DEVNAME=sdb\0DEVTYPE=disk\0SEQNUM=4711"

static bool parse(const char *text, size_t length, struct kith_device_event *e)
{
	static char frame[DEVICE_FRAME_MAX + 2];

	memset(frame, 'x', sizeof(frame));
	memcpy(frame, text, length);
	return device_parse(frame, length, e);
}

#define PARSE(text, e) parse(text, sizeof(text) - 1, e)

START_TEST(a_uevent)
{
	struct kith_device_event e;

	ck_assert(PARSE(UEVENT "\0", &e));
	ck_assert_uint_eq(e.action, KITH_DEVICE_ADD);
	ck_assert_uint_eq(e.sequence, 4711);
	ck_assert_str_eq(e.path, "/devices/x/block/sdb");
	ck_assert_str_eq(e.name, "sdb");
	ck_assert_str_eq(e.subsystem, "block");
	ck_assert_str_eq(e.type, "disk");
	ck_assert_str_eq(e.node, "sdb");
	ck_assert_str_eq(e.driver, "");
	ck_assert_str_eq(kith_device_property(&e, "MAJOR"), "8");
	ck_assert_ptr_null(kith_device_property(&e, "MAJO"));
	ck_assert_ptr_null(kith_device_property(&e, "MINOR"));
	ck_assert(PARSE("ping@/devices/y\0ACTION=ping\0DEVPATH=/devices/y\0SEQNUM=1", &e));
	ck_assert_uint_eq(e.action, KITH_DEVICE_OTHER);
	ck_assert_str_eq(e.subsystem, "");
}
END_TEST

START_TEST(cut_anywhere)
{
	struct kith_device_event e;
	bool whole;

	for (size_t n = 0; n <= sizeof(UEVENT); n++) {
		whole = n > sizeof(UEVENT) - 1 - 4; /* with a digit of its number at least */
		ck_assert_msg(parse(UEVENT, n, &e) == whole, "%zu of %zu", n, sizeof(UEVENT));
	}
	ck_assert(!PARSE("libudev\0\xfe\xed\xca\xfe", &e));
	ck_assert(!PARSE("add@x\0ACTION=add\0DEVPATH=x\0SEQNUM=1", &e)); /* no path of /sys */
	ck_assert(!PARSE("add@/x\0ACTION=add\0DEVPATH=/x\0SEQNUM=-1", &e));
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------- */

static struct fake_host *f;

static void start(void)
{
	f = fake_host_new(&kith_plugin, "");
	ck_assert_int_eq(fake_host_start(f), 0);
}

static struct kith_device_event event(uint32_t action, const char *subsystem, const char *name)
{
	static char paths[8][128];
	static unsigned n;
	char *path = paths[n++ % 8];

	snprintf(path, sizeof(paths[0]), "/devices/x/%s/%s", subsystem, name);
	return (struct kith_device_event){ .size = sizeof(struct kith_device_event), .action = action, .sequence = n, .time = f->now, .path = path,
		                           .name = strrchr(path, '/') + 1, .subsystem = subsystem, .type = "", .driver = "", .node = "", .properties = "\0" };
}

static void happens(uint32_t action, const char *subsystem, const char *name)
{
	struct kith_device_event e = event(action, subsystem, name);

	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_DEVICE, &e), 0);
}

/* What a dump finds from now on */
static struct kith_device_event there[4];

static void is_there(const char *const *names)
{
	fake_host_no_answers(f);
	for (size_t i = 0; names[i]; i++) {
		there[i] = event(KITH_DEVICE_ADD, "block", names[i]);
		fake_host_source_answer(f, KITH_SOURCE_DEVICE, &there[i], sizeof(there[i]));
	}
}

static bool state_is(const char *instance, const char *state)
{
	char name[300];
	const char *is;

	snprintf(name, sizeof(name), "device:%s:state", instance);
	is = fake_host_state(f, name);
	return is && !strcmp(is, state);
}

START_TEST(one_that_is_named)
{
	start();
	happens(KITH_DEVICE_ADD, "block", "sda");
	ck_assert_uint_eq(fake_host_instances(f, "device"), 0); /* nobody asks */
	is_there((const char *const[]){ "sda", NULL });
	fake_host_want(f, 0, "block/sda", true);
	fake_host_want(f, 0, "block/sdb", true);
	ck_assert(state_is("block/sda", "present") && state_is("block/sdb", "absent"));
	happens(KITH_DEVICE_ADD, "block", "sdb");
	happens(KITH_DEVICE_CHANGE, "block", "sdb");
	ck_assert(state_is("block/sdb", "present") && fake_host_value(f, "device:block/sdb:changes") == 2);
	happens(KITH_DEVICE_ADD, "block", "sdc");
	happens(KITH_DEVICE_ADD, "usb", "sdb");
	ck_assert_uint_eq(fake_host_instances(f, "device"), 2);
	happens(KITH_DEVICE_OFFLINE, "block", "sdb");
	ck_assert(state_is("block/sdb", "offline"));
	happens(KITH_DEVICE_CHANGE, "block", "sdb");
	ck_assert(state_is("block/sdb", "offline"));
	happens(KITH_DEVICE_ONLINE, "block", "sdb");
	ck_assert(state_is("block/sdb", "present"));
	happens(KITH_DEVICE_REMOVE, "block", "sdb");
	ck_assert(state_is("block/sdb", "absent"));
	fake_host_want(f, 0, "block/sdb", false);
	ck_assert(!fake_host_has(f, "device", "block/sdb") && state_is("block/sda", "present"));
	ck_assert(fake_host_value(f, "uevents:events") == 9);
	fake_host_free(f);
}
END_TEST

START_TEST(patterns)
{
	start();
	is_there((const char *const[]){ "sda", "sdb", NULL });
	fake_host_want(f, 0, "block/sd*", true);
	ck_assert_uint_eq(fake_host_instances(f, "device"), 2);
	happens(KITH_DEVICE_ADD, "block", "sdc");
	happens(KITH_DEVICE_ADD, "block", "vda");
	ck_assert_uint_eq(fake_host_instances(f, "device"), 3);
	happens(KITH_DEVICE_REMOVE, "block", "sda"); /* nobody names it itself: it ends */
	ck_assert(!fake_host_has(f, "device", "block/sda") && state_is("block/sdc", "present"));
	fake_host_want(f, 0, "block/sdb", true);
	happens(KITH_DEVICE_REMOVE, "block", "sdb");
	ck_assert(state_is("block/sdb", "absent"));
	fake_host_want(f, 0, "block/sd*", false);
	ck_assert_uint_eq(fake_host_instances(f, "device"), 1);
	fake_host_want(f, 0, "*", true); /* those of all subsystems that records are made of */
	ck_assert(fake_host_has(f, "device", "block/sda"));
	happens(KITH_DEVICE_ADD, "tty", "ttyUSB0");
	ck_assert(state_is("tty/ttyUSB0", "present"));
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert(state_is("tty/ttyUSB0", "present")); /* it was not looked for */
	fake_host_free(f);
}
END_TEST

START_TEST(renamed)
{
	struct kith_device_event e;

	start();
	is_there((const char *const[]){ NULL });
	fake_host_want(f, 0, "net/eth0", true);
	fake_host_want(f, 0, "net/lan", true);
	happens(KITH_DEVICE_ADD, "net", "eth0");
	e = event(KITH_DEVICE_MOVE, "net", "lan");
	e.properties = "DEVPATH_OLD=/devices/x/net/eth0\0";
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_DEVICE, &e), 0);
	ck_assert(state_is("net/eth0", "absent") && state_is("net/lan", "present"));
	fake_host_free(f);
}
END_TEST

START_TEST(losses_and_gaps)
{
	struct kith_device_event e;

	start();
	is_there((const char *const[]){ "sda", NULL });
	fake_host_want(f, 0, "block/sda", true);
	fake_host_want(f, 0, "block/sdb", true);
	fake_host_want(f, 0, "block/x*", true);
	happens(KITH_DEVICE_ADD, "block", "xa");
	is_there((const char *const[]){ "sdb", "xb", NULL });
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert(state_is("block/sda", "absent") && state_is("block/sdb", "present"));
	ck_assert(!fake_host_has(f, "device", "block/xa") && state_is("block/xb", "present"));
	is_there((const char *const[]){ "sda", NULL });
	e = event(KITH_DEVICE_ADD, "net", "veth0");
	e.missed = 5;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_DEVICE, &e), 0);
	ck_assert(fake_host_value(f, "uevents:missed") == 15);
	ck_assert(state_is("block/sdb", "present"));
	ck_assert_int_eq(fake_host_advance(f, INT64_C(1000000000)), 0); /* one look for the three */
	ck_assert(state_is("block/sdb", "absent") && state_is("block/sda", "present"));
	ck_assert_int_eq(fake_host_advance(f, INT64_C(1000000000)), -ENOENT);
	fake_host_free(f);
}
END_TEST

START_TEST(records)
{
	struct kith_device_event e;

	f = fake_host_new(&kith_plugin, "");
	fake_host_option(f, "records", "block, us*");
	fake_host_option(f, "changes", "drm");
	ck_assert_int_eq(fake_host_start(f), 0);
	e = event(KITH_DEVICE_ADD, "block", "sdb");
	e.node = "sdb";
	e.type = "disk";
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_DEVICE, &e), 0);
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "sdb"), "6 device:block/sdb block sdb is there: /dev/sdb type=disk node=sdb path=/devices/x/block/sdb sequence="));
	happens(KITH_DEVICE_REMOVE, "block", "sdb");
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "gone"), "5 device:block/sdb block sdb is gone "));
	e = event(KITH_DEVICE_ADD, "usb", "1-1:1.0");
	e.type = "usb_interface";
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_DEVICE, &e), 0);
	happens(KITH_DEVICE_CHANGE, "block", "sdb");
	happens(KITH_DEVICE_BIND, "usb", "1-1");
	happens(KITH_DEVICE_ADD, "drm", "card0");
	happens(KITH_DEVICE_ADD, "net", "eth0");
	happens(KITH_DEVICE_ADD, "usbmisc", "a");
	ck_assert_uint_eq(f->n_records, 3);
	happens(KITH_DEVICE_CHANGE, "drm", "card0");
	ck_assert_ptr_nonnull(strstr(fake_host_record(f, "card0"), "6 device:drm/card0 drm card0 changed "));
	happens(KITH_DEVICE_OTHER, "block", "sdb");
	ck_assert_uint_eq(f->n_records, 4);
	fake_host_free(f);
}
END_TEST

START_TEST(odd_names)
{
	char name[400];

	start();
	is_there((const char *const[]){ NULL });
	fake_host_want(f, 0, "block/*", true);
	memset(name, 'n', sizeof(name));
	name[100] = '\0';
	happens(KITH_DEVICE_ADD, "block", "a b!c[1]");
	happens(KITH_DEVICE_ADD, "block", "");
	happens(KITH_DEVICE_ADD, "", "x");
	happens(KITH_DEVICE_ADD, "block", name);
	ck_assert_uint_eq(fake_host_instances(f, "device"), 2);
	fake_host_cap(f, "device", 2);
	happens(KITH_DEVICE_ADD, "block", "one-more");
	ck_assert_uint_eq(fake_host_instances(f, "device"), 2);
	happens(KITH_DEVICE_REMOVE, "block", "a b!c[1]");
	ck_assert_uint_eq(fake_host_instances(f, "device"), 1);
	fake_host_free(f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *tcase = tcase_create("device");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, a_uevent);
	tcase_add_test(tcase, cut_anywhere);
	tcase_add_test(tcase, one_that_is_named);
	tcase_add_test(tcase, patterns);
	tcase_add_test(tcase, renamed);
	tcase_add_test(tcase, losses_and_gaps);
	tcase_add_test(tcase, records);
	tcase_add_test(tcase, odd_names);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
