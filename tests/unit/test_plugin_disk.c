/* The disk plugin: values, devices that come and go, what is ignored */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test_plugin_common.h"

Suite *suite_disk(void);

static struct fake_host *start(const char *root)
{
	struct fake_host *f = fake_host_new(plugin_load("disk"), root);

	ck_assert_int_eq(fake_host_start(f), 0);
	return f;
}

START_TEST(recorded)
{
	struct fake_host *f = start(plugin_tree("linux-6.18"));

	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "disk:vda:read_ops", 60170 }, { "disk:vda:read_merged", 11060 },
	       { "disk:vda:read_bytes", 8466562 * 512.0 }, { "disk:vda:read_time", 47.54 },
	       { "disk:vda:write_ops", 7836 }, { "disk:vda:write_merged", 8481 },
	       { "disk:vda:write_bytes", 366048 * 512.0 }, { "disk:vda:write_time", 1.879 }, { "disk:vda:in_flight", 0 },
	       { "disk:vda:io_time", 8.784 }, { "disk:vda:weighted_io_time", 49.868 }, { "disk:vda:discard_ops", 5505 },
	       { "disk:vda:discard_merged", 50 }, { "disk:vda:discard_bytes", 199928 * 512.0 },
	       { "disk:vda:discard_time", 0.406 }, { "disk:vda:flush_ops", 986 }, { "disk:vda:flush_time", 0.041 },
	       { "disk:zram0:read_ops", 0 });
	ck_assert_uint_eq(fake_host_instances(f, "disk"), 2); /* no loop devices */
	fake_host_free(f);
}
END_TEST

START_TEST(older_kernels)
{
	struct fake_host *f = start(plugin_tree("hand-4.14"));

	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "disk:sda:in_flight", 3 }, { "disk:sda1:read_bytes", 70000 * 512.0 }, { "disk:sr0:read_ops", 0 },
	       { "disk:dm-0:weighted_io_time", 0.55 }, { "disk:sda:discard_ops", NAN }, { "disk:sda:flush_time", NAN });
	ck_assert_uint_eq(fake_host_instances(f, "disk"), 5);
	fake_host_free(f);

	f = start(plugin_tree("hand-2.6.18"));
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "disk:sda:read_ops", 1000 }, { "disk:sda1:read_ops", NAN }); /* its 4 columns are something else */
	fake_host_free(f);
}
END_TEST

START_TEST(come_and_go)
{
	struct fake_host *f;
	char root[64];

	plugin_copy("hand-4.14", "/proc/diskstats", fake_tree_new(root));
	f = start(root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	plugin_copy("hand-4.14-later", "/proc/diskstats", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(!fake_host_has(f, "disk", "sdb"));
	EXPECT(f, { "disk:nvme0n1:read_ops", 7 }, { "disk:sda:read_ops", 1100 }, { "disk:sda:in_flight", 0 },
	       { "disk:dm-0:read_ops", 500 });
	ck_assert_uint_eq(f->n_ends, 1);
	ck_assert_uint_eq(fake_host_puts(f, "disk:sda:read_ops"), 2);
	plugin_copy("hand-4.14", "/proc/diskstats", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(!fake_host_has(f, "disk", "nvme0n1"));
	EXPECT(f, { "disk:sdb:read_ops", 100 });
	ck_assert_uint_eq(fake_host_puts(f, "disk:sdb:read_ops"), 1);
	ck_assert_uint_eq(fake_host_instances(f, "disk"), 5);
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

/*
 * The name of a device that went is taken by another one on the same tick: the old series end before the new ones
 * begin
 */
START_TEST(name_taken_over)
{
	struct fake_host *f;
	char root[64];

	fake_write(fake_tree_new(root), "/proc/diskstats",
	           "   8       0 sda 9 0 0 0 0 0 0 0 0 0 0\n"
	           "   8      16 sdb 5 0 0 0 0 0 0 0 0 0 0\n");
	f = start(root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	fake_write(root, "/proc/diskstats", "   8      32 sda 1 0 0 0 0 0 0 0 0 0 0\n"
	           "   8      16 sdb 6 0 0 0 0 0 0 0 0 0 0\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "disk:sda:read_ops", 1 }, { "disk:sdb:read_ops", 6 });
	ck_assert_uint_eq(fake_host_puts(f, "disk:sda:read_ops"), 1);
	ck_assert_uint_eq(fake_host_puts(f, "disk:sdb:read_ops"), 2);
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

START_TEST(ignored)
{
	struct fake_host *f = fake_host_new(plugin_load("disk"), plugin_tree("hand-4.14"));

	fake_host_option(f, "ignore", "sd*, dm-?");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "disk"), 3);
	EXPECT(f, { "disk:loop0:read_ops", 5 }, { "disk:ram0:read_ops", 0 }, { "disk:sda:read_ops", NAN });
	fake_host_option(f, "ignore", NULL);
	ck_assert_int_eq(fake_host_reconfigure(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "disk"), 7);
	fake_host_free(f);
}
END_TEST

START_TEST(odd_lines)
{
	struct fake_host *f;
	char root[64];

	fake_write(fake_tree_new(root), "/proc/diskstats",
	           "\n   8 x sdx 1 1 1 1 1 1 1 1 1 1 1\n   8       0 sda 9 0 0 0 0 0 0 0 0 0 0 1 2 3 4 5 6 7 8 9\n"
	           "   8       1 a_name_that_is_longer_than_any_the_kernel_gives_to_a_device_of_its 1 1 1 1 1 1 1 1 1 1 1\n"
	           "   8       2 sdb 1 2 3 four 5 6 7 8 9 10 11\n   8       3\n   8       0 sda 8 0 0 0 0 0 0 0 0 0 0\n"
	           "   8       4 sdc 1 2 3 4 5 6 7 8 9 10 11\n");
	f = start(root);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(fake_host_sample(f), 0);
		EXPECT(f, { "disk:sda:read_ops", 9 }, { "disk:sda:discard_ops", 1 }, { "disk:sda:flush_time", 0.006 },
		       { "disk:sdb:read_ops", NAN }, { "disk:sdc:weighted_io_time", 0.011 });
		ck_assert_uint_eq(fake_host_instances(f, "disk"), 3);
	}
	ck_assert_uint_eq(f->n_ends, 0);
	/* no devices at all is an answer, no text too */
	fake_write(root, "/proc/diskstats", "   8       0 sda 9 0 0 0 0 0 0 0 0 0 0\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "disk"), 1);
	fake_write(root, "/proc/diskstats", "");
	ck_assert_int_eq(fake_host_sample(f), 0);
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

/* A text cut off within a line ends no device, and a device known before stays where it is */
START_TEST(cut_off)
{
	char *text = plugin_text("hand-4.14", "/proc/diskstats"), root[64];
	struct fake_host *f;

	plugin_copy("hand-4.14", "/proc/diskstats", fake_tree_new(root));
	f = start(root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	for (size_t length = strlen(text) - 1; length > 0; length--) {
		if (text[length - 1] == '\n')
			continue;
		text[length] = '\0';
		fake_write(root, "/proc/diskstats", text);
		ck_assert_int_eq(fake_host_sample(f), 0);
		ck_assert_uint_eq(fake_host_instances(f, "disk"), 5);
	}
	plugin_copy("hand-4.14", "/proc/diskstats", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(f->n_ends, 0);
	EXPECT(f, { "disk:dm-0:read_ops", 500 });
	fake_host_free(f);
	fake_tree_free(root);
	free(text);
}
END_TEST

START_TEST(cap)
{
	struct fake_host *f = start(plugin_tree("hand-4.14"));

	fake_host_cap(f, "disk", 2);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "disk"), 2);
	ck_assert_uint_eq(f->n_series_calls, 5); /* asked once each */
	fake_host_free(f);
}
END_TEST

Suite *suite_disk(void)
{
	Suite *s = suite_create("plugin disk");
	TCase *t = tcase_create("disk");

	tcase_add_test(t, recorded);
	tcase_add_test(t, older_kernels);
	tcase_add_test(t, come_and_go);
	tcase_add_test(t, name_taken_over);
	tcase_add_test(t, ignored);
	tcase_add_test(t, odd_lines);
	tcase_add_test(t, cut_off);
	tcase_add_test(t, cap);
	suite_add_tcase(s, t);
	return s;
}
