/* Mounts and quotas: the table and the messages taken apart, and what the plugin makes of them */
#include <check.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/quota.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "source/genl.h"
#include "source/mount.h"
#include "source/quota.h"

extern const struct kith_plugin kith_plugin;

#define ROOT "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
#define PROC "21 20 0:20 / /proc rw - proc proc rw\n"
#define DATA(options) "30 20 8:2 / /data " options " master:1 propagate_from:2 - ext4 /dev/sdb1 rw\n"

static int parse(const char *text, size_t length, struct mount_table *t)
{
	char *copy = malloc(length + 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return mount_table_parse_take(copy, length, t);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

START_TEST(a_table)
{
	static const char text[] = ROOT PROC DATA("ro,noatime")
	        "31 20 0:40 /part /with\\040blank\\134 rw - tmpfs  ro,size=1k\n"
	        "32 20 0:41 / /e rw - ext4 /dev/x rw,emergency_ro\n"
	        "20 1 9:9 / /twice rw - ext4 x rw\n";
	struct mount_table t;

	ck_assert_int_eq(parse(text, sizeof(text) - 1, &t), 0);
	ck_assert_uint_eq(t.n, 5);
	ck_assert_str_eq(t.mounts[0].point, "/");
	ck_assert_str_eq(t.mounts[0].source, "/dev/sda1");
	ck_assert_str_eq(t.mounts[0].options, "rw,relatime");
	ck_assert_str_eq(t.mounts[0].super_options, "rw,errors=remount-ro");
	ck_assert_uint_eq(t.mounts[0].flags, 0);
	ck_assert_uint_eq(t.mounts[0].parent, 1);
	ck_assert_uint_eq(t.mounts[2].flags, KITH_MOUNT_READ_ONLY);
	ck_assert_uint_eq(t.mounts[2].major, 8);
	ck_assert_str_eq(t.mounts[3].point, "/with blank\\");
	ck_assert_str_eq(t.mounts[3].source, "");
	ck_assert_str_eq(t.mounts[3].root, "/part");
	ck_assert_uint_eq(t.mounts[3].flags, KITH_MOUNT_SUPER_READ_ONLY);
	ck_assert_uint_eq(t.mounts[4].flags, KITH_MOUNT_SUPER_READ_ONLY);
	mount_table_free(&t);
}
END_TEST

/* Cut anywhere but between two lines it is no table; of a cut line nothing is believed */
START_TEST(cut_anywhere)
{
	static const char text[] = ROOT PROC DATA("rw");
	struct mount_table t;

	for (size_t n = 0; n < sizeof(text); n++) {
		bool lines = n && text[n - 1] == '\n';
		char part[sizeof(text) + 1];

		ck_assert_int_eq(parse(text, n, &t), lines ? 0 : -EBADMSG);
		if (lines)
			mount_table_free(&t);
		memcpy(part, text, n);
		part[n] = '\n';
		if (parse(part, n + 1, &t) < 0)
			continue;
		for (size_t i = 0; i < t.n; i++)
			ck_assert(t.mounts[i].point[0] == '/' && *t.mounts[i].type);
		mount_table_free(&t);
	}
}
END_TEST

static char told[1024];

static void note(const struct kith_mount_event *e, void *user)
{
	size_t n = strlen(told);

	(void)user;
	snprintf(told + n, sizeof(told) - n, "%s%c%s%s%s", n ? " " : "",
	         e->what == KITH_MOUNT_ADDED ? '+' : e->what == KITH_MOUNT_REMOVED ? '-' : '~', e->point, e->old_options ? " was " : "",
	         e->old_options ? e->old_options : "");
}

static const char *compare(const char *from, const char *to)
{
	struct mount_table a = { 0 }, b = { 0 };

	told[0] = '\0';
	ck_assert(!*from || parse(from, strlen(from), &a) == 0);
	ck_assert(!*to || parse(to, strlen(to), &b) == 0);
	mount_table_compare(&a, &b, note, NULL);
	mount_table_free(&a);
	mount_table_free(&b);
	return told;
}

START_TEST(differences)
{
	ck_assert_str_eq(compare("", ROOT PROC), "+/ +/proc");
	ck_assert_str_eq(compare(ROOT PROC, ""), "-/ -/proc");
	ck_assert_str_eq(compare(ROOT DATA("rw"), PROC ROOT DATA("ro")), "~/data was rw +/proc");
	ck_assert_str_eq(compare(ROOT DATA("rw"), DATA("rw") ROOT), "");
	/* A number that is used again */
	ck_assert_str_eq(compare(ROOT DATA("rw"), ROOT "30 20 0:9 / /x rw - tmpfs x rw\n"), "-/data +/x");
	ck_assert_str_eq(compare(ROOT "5 20 0:9 / /a rw - t x rw\n" DATA("rw"), ROOT "6 20 0:9 / /a rw - t x rw\n"), "-/a -/data +/a");
	ck_assert_str_eq(compare(ROOT, "20 2 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"), "~/ was rw,relatime");
}
END_TEST

/* ---- quotas ------------------------------------------------------------------------------------------------------ */

struct frame {
	unsigned char bytes[256];
	size_t length;
};

static void frame_put(struct frame *f, const void *data, size_t length)
{
	memcpy(f->bytes + f->length, data, length);
	f->length += (length + 3) & ~(size_t)3;
}

static void frame_attr(struct frame *f, uint16_t type, uint64_t value, size_t length)
{
	struct nlattr a = { (uint16_t)(sizeof(a) + length), type };
	uint32_t four = (uint32_t)value;

	frame_put(f, &a, sizeof(a));
	frame_put(f, length == 4 ? (const void *)&four : &value, length);
}

static struct frame quota_frame(uint32_t warning)
{
	struct frame f = { .length = 0 };
	struct nlmsghdr header = { .nlmsg_type = 27 };
	struct genlmsghdr genl = { .cmd = QUOTA_NL_C_WARNING, .version = 1 };

	frame_put(&f, &header, sizeof(header));
	frame_put(&f, &genl, sizeof(genl));
	frame_attr(&f, QUOTA_NL_A_QTYPE, 1, 4);
	frame_attr(&f, QUOTA_NL_A_EXCESS_ID, 1000, 8);
	frame_attr(&f, QUOTA_NL_A_WARNING, warning, 4);
	frame_attr(&f, QUOTA_NL_A_DEV_MAJOR, 8, 4);
	frame_attr(&f, QUOTA_NL_A_DEV_MINOR, 2, 4);
	frame_attr(&f, QUOTA_NL_A_CAUSED_ID, 1001, 8);
	header.nlmsg_len = (uint32_t)f.length;
	memcpy(f.bytes, &header, sizeof(header));
	return f;
}

START_TEST(quota_messages)
{
	struct frame f = quota_frame(QUOTA_NL_BHARDWARN);
	struct kith_quota_event e;

	ck_assert(quota_parse(f.bytes, f.length, &e));
	ck_assert(e.kind == KITH_QUOTA_GROUP && e.id == 1000 && e.warning == KITH_QUOTA_SPACE_HARD && e.major == 8 && e.minor == 2 && e.caused_by == 1001);
	for (size_t n = 0; n < f.length; n++) {
		unsigned char *part = malloc(n + 1);

		memcpy(part, f.bytes, n);
		/* Who caused it came later than the rest: a whole message without it is one. */
		ck_assert_msg(quota_parse(part, n, &e) == (n == f.length - 12), "%zu of %zu", n, f.length);
		free(part);
	}
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------- */

static struct fake_host *f;
static struct mount_table table;

static void pass(const struct kith_mount_event *e, void *user)
{
	struct kith_mount_event timed = *e;

	(void)user;
	timed.time = f->now;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_MOUNT, &timed), 0);
}

/* The table is this from now on; what is different is told, as the source does */
static void is_now(const char *text)
{
	struct kith_mount_event settled = { .size = sizeof(settled), .what = KITH_MOUNT_SETTLED };
	struct mount_table old = table;

	settled.time = f->now;
	ck_assert_int_eq(parse(text, strlen(text), &table), 0);
	fake_host_no_answers(f);
	for (size_t i = 0; i < table.n; i++)
		fake_host_source_answer(f, KITH_SOURCE_MOUNT, &table.mounts[i], sizeof(table.mounts[i]));
	if (f->started) {
		mount_table_compare(&old, &table, pass, NULL);
		ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_MOUNT, &settled), 0);
	}
	mount_table_free(&old);
}

static void start(const char *text)
{
	f = fake_host_new(&kith_plugin, "");
	is_now(text);
	ck_assert_int_eq(fake_host_start(f), 0);
}

static void stop(void)
{
	fake_host_free(f);
	mount_table_free(&table);
}

static bool is(const char *point, const char *metric, const char *state)
{
	char name[300];
	const char *now;

	snprintf(name, sizeof(name), "mount:%s:%s", point, metric);
	now = fake_host_state(f, name);
	return state ? now && !strcmp(now, state) : !now;
}

START_TEST(comes_and_goes)
{
	start(ROOT PROC);
	ck_assert_uint_eq(f->n_records, 0); /* what is there is no news */
	ck_assert(is("/", "state", "mounted") && is("/", "read_only", "rw") && is("/", "turned_read_only", "no"));
	is_now(ROOT PROC DATA("rw"));
	ck_assert(is("/data", "state", "mounted"));
	ck_assert_ptr_nonnull(fake_host_record(f, "6 mount:/data /data is mounted: ext4 /dev/sdb1 type=ext4 source=/dev/sdb1 device=8:2"));
	is_now(ROOT PROC);
	ck_assert(!fake_host_has(f, "mount", "/data"));
	ck_assert_ptr_nonnull(fake_host_record(f, "5 mount:/data /data is unmounted"));
	stop();
}
END_TEST

START_TEST(one_that_is_named)
{
	start(ROOT);
	fake_host_want(f, 0, "/data", true);
	ck_assert(is("/data", "state", "absent") && is("/data", "read_only", NULL));
	is_now(ROOT DATA("ro"));
	ck_assert(is("/data", "state", "mounted") && is("/data", "read_only", "ro") && is("/data", "turned_read_only", "no"));
	is_now(ROOT);
	ck_assert(is("/data", "state", "absent") && is("/data", "read_only", NULL));
	fake_host_want(f, 0, "/data", false);
	ck_assert(!fake_host_has(f, "mount", "/data"));
	fake_host_want(f, 0, "*", true);
	ck_assert_uint_eq(fake_host_instances(f, "mount"), 1);
	/* One that is left out by an option is not when it is named. */
	is_now(ROOT "40 20 0:9 / /run/netns/x rw - nsfs nsfs rw\n");
	ck_assert_uint_eq(fake_host_instances(f, "mount"), 1);
	fake_host_want(f, 0, "/run/netns/x", true);
	ck_assert(is("/run/netns/x", "state", "mounted"));
	stop();
}
END_TEST

START_TEST(turns_read_only)
{
	start(ROOT DATA("rw"));
	is_now(ROOT DATA("ro"));
	ck_assert(is("/data", "read_only", "ro") && is("/data", "turned_read_only", "yes"));
	ck_assert_ptr_nonnull(fake_host_record(f, "3 mount:/data /data has become read-only: ext4 /dev/sdb1, ro"));
	is_now(ROOT DATA("ro,noatime"));
	ck_assert(is("/data", "turned_read_only", "yes"));
	ck_assert_ptr_nonnull(fake_host_record(f, "5 mount:/data /data has other options"));
	is_now(ROOT DATA("rw"));
	ck_assert(is("/data", "read_only", "rw") && is("/data", "turned_read_only", "no"));
	ck_assert_ptr_nonnull(fake_host_record(f, "5 mount:/data /data can be written to again"));
	/* In two steps, as mount(8) does it: meant to be so */
	is_now(ROOT);
	is_now(ROOT DATA("rw"));
	is_now(ROOT DATA("ro"));
	ck_assert(is("/data", "read_only", "ro") && is("/data", "turned_read_only", "no"));
	ck_assert_ptr_nonnull(fake_host_record(f, "6 mount:/data /data is mounted read-only"));
	is_now(ROOT DATA("rw"));
	f->now += INT64_C(3000000000);
	is_now(ROOT DATA("ro"));
	ck_assert(is("/data", "turned_read_only", "yes"));
	stop();
}
END_TEST

/* A file system with several mounts, and one upon another */
START_TEST(several)
{
#define BOTH(super) "20 1 8:1 / / rw - ext4 /dev/sda1 " super "\n50 20 8:1 /srv /srv rw - ext4 /dev/sda1 " super "\n"
	uint64_t before;

	start(BOTH("rw"));
	before = f->n_records;
	is_now(BOTH("ro"));
	ck_assert_uint_eq(f->n_records, before + 1);
	ck_assert(is("/", "turned_read_only", "yes") && is("/srv", "turned_read_only", "yes"));
	is_now(BOTH("rw") "60 50 0:9 / /srv ro - tmpfs x rw\n");
	ck_assert(is("/srv", "read_only", "ro") && is("/srv", "turned_read_only", "no"));
	before = f->n_puts;
	is_now(BOTH("rw") "60 50 0:9 / /srv ro - tmpfs x rw\n" PROC);
	ck_assert_uint_eq(f->n_puts, before + 3); /* of the new one alone */
	is_now(BOTH("rw"));
	ck_assert(is("/srv", "read_only", "rw"));
	stop();
}
END_TEST

START_TEST(odd_names)
{
	char text[1024], name[400];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), ROOT "70 20 0:9 / /line\\012end rw - tmpfs x rw\n71 20 0:9 / /\xff\xc3\xa9 rw - tmpfs x rw\n72 20 0:9 / /%s rw - tmpfs x rw\n", name);
	start(ROOT);
	is_now(text);
	ck_assert(is("/line\\012end", "state", "mounted") && is("/\\377\xc3\xa9", "state", "mounted"));
	ck_assert_uint_eq(fake_host_instances(f, "mount"), 3);
	ck_assert_uint_eq(f->n_records, 3);
	fake_host_cap(f, "mount", 4);
	for (int i = 0; i < 8; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d 20 0:9 / /m%d rw - tmpfs x rw\n", 80 + i, i);
	is_now(text);
	ck_assert_uint_eq(fake_host_instances(f, "mount"), 4);
	stop();
}
END_TEST

START_TEST(quota_warnings)
{
	struct frame frame = quota_frame(QUOTA_NL_BHARDWARN);
	struct kith_quota_event e;

	start(ROOT DATA("rw"));
	ck_assert(quota_parse(frame.bytes, frame.length, &e));
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_QUOTA, &e), 0);
	ck_assert_ptr_nonnull(fake_host_record(f, "4 quota:/data group 1000 has as much space as it may: it is refused more on /data kind=group id=1000 caused_by=1001"));
	e.warning = QUOTA_NL_ISOFTWARN;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_QUOTA, &e), 0);
	ck_assert(fake_host_value(f, "quota:/data:hard") == 1 && fake_host_value(f, "quota:/data:soft") == 1);
	e.minor = 77;
	e.warning = 99;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_QUOTA, &e), 0);
	e.warning = QUOTA_NL_BHARDBELOW;
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_QUOTA, &e), 0);
	ck_assert(fake_host_value(f, "quota:8:77:below") == 1);
	ck_assert_uint_eq(f->n_records, 3);
	stop();
}
END_TEST

START_TEST(without_a_table)
{
	f = fake_host_new(&kith_plugin, "");
	f->fail_source = -ENOENT;
	ck_assert_int_eq(fake_host_start(f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(f->note);
	fake_host_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mount");
	TCase *t = tcase_create("mount");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_test(t, a_table);
	tcase_add_test(t, cut_anywhere);
	tcase_add_test(t, differences);
	tcase_add_test(t, quota_messages);
	tcase_add_test(t, comes_and_goes);
	tcase_add_test(t, one_that_is_named);
	tcase_add_test(t, turns_read_only);
	tcase_add_test(t, several);
	tcase_add_test(t, odd_names);
	tcase_add_test(t, quota_warnings);
	tcase_add_test(t, without_a_table);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
