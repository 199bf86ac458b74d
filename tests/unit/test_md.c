/* Software RAID: /proc/mdstat taken apart, and what the plugin makes of its changes */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "md/mdstat.h"
#include "sources/device.h"

extern const struct kith_plugin kith_plugin;

#define HEAD "Personalities : [raid1] [raid6] [raid5] [raid4] [raid0] [linear]\n"
#define TAIL "unused devices: <none>\n"
#define MD0 "md0 : active raid1 sda1[0] sdb1[1]\n      104320 blocks super 1.2 [2/2] [UU]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\n"
#define MD0_BROKEN "md0 : active raid1 sda1[0] sdb1[1](F)\n      104320 blocks super 1.2 [2/1] [U_]\n\n"
#define MD0_REBUILT "md0 : active raid1 sdc1[2] sda1[0] sdb1[1](F)\n      104320 blocks super 1.2 [2/1] [U_]\n" \
                    "      [==>..................]  recovery = 12.6% (13145/104320) finish=1.5min speed=33440K/sec\n\n"
#define MD3 "md3 : active raid5 sdl1[9] sdk1[8] sdj1[7](F) sdi1[6]\n      1318680576 blocks level 5, 1024k chunk, algorithm 2 [4/3] [UU_U]\n" \
            "      [=====>...............]  check = 25.0% (1/4) finish=127.5min speed=33440K/sec\n\n"

static struct md_array got[16];
static unsigned n_got;

static int take(const struct md_array *a, void *user)
{
	(void)user;
	ck_assert_uint_lt(n_got, 16);
	got[n_got++] = *a;
	return 0;
}

static void parse(const char *text)
{
	n_got = 0;
	ck_assert_int_eq(mdstat_parse(text, take, NULL), 0);
}

START_TEST(arrays)
{
	parse(HEAD MD3 MD0 "md2 : active (auto-read-only) raid1 sda3[0] sdb3[1]\n      1000 blocks [2/2] [UU]\n      \tresync=PENDING\n\n"
	      "md127 : inactive sdc[0](S)\n      976762584 blocks super 1.2\n\n"
	      "md4 : active raid0 sdd1[0] sde1[1]\n      2048 blocks super 1.2 512k chunks\n\n"
	      "md5 : active raid6 sdf1[0] sdg1[1](S) sdh1[2](F)\n      2048 blocks super 1.2 level 6, 512k chunk, algorithm 2 [5/2] [U_U__]\n\n"
	      "md_d6 : active (read-only) raid10 a[0] b[1]\n      4 blocks super 1.2 2 near-copies [4/1] [U___]\n\n" TAIL);
	ck_assert_uint_eq(n_got, 7);
	ck_assert_str_eq(got[0].name, "md3");
	ck_assert_str_eq(got[0].level, "raid5");
	ck_assert(got[0].state == MD_DEGRADED && got[0].disks == 4 && got[0].working == 3 && got[0].faulty == 1 && got[0].members == 4);
	ck_assert(got[0].action == MD_CHECK && got[0].progress == 25 && got[0].left == 127.5 * 60 && got[0].speed == 33440 * 1024);
	ck_assert(got[0].size == 1318680576.0 * 1024);
	ck_assert(got[1].state == MD_ACTIVE && got[1].action == MD_IDLE && isnan(got[1].progress) && !got[1].read_only);
	ck_assert(got[2].read_only && got[2].action == MD_DELAYED && got[2].state == MD_ACTIVE);
	ck_assert(got[3].state == MD_INACTIVE && got[3].spare == 1 && !*got[3].level && got[3].size == 976762584.0 * 1024);
	ck_assert(got[4].state == MD_ACTIVE && got[4].disks == 0 && got[4].members == 2);
	ck_assert(got[5].state == MD_FAILED && got[5].spare == 1 && got[5].faulty == 1); /* raid6 does without two */
	ck_assert_str_eq(got[6].name, "md_d6");
	ck_assert(got[6].state == MD_DEGRADED && got[6].read_only); /* which are missing would have to be known */
}
END_TEST

START_TEST(odd_texts)
{
	static const char *const texts[] = { "", "\n", "md0", "md0 :", "md0 : ", "md0 : active", " : active raid1 a[0]\n", "md0 : sleeping raid1\n",
		"      104320 blocks [2/1]\n", "md0 : active raid1 a[0]\n      5 blocks [1/2] [U]\n", "md0 : active raid1 a[0]\n      5 blocks [/] [x/1] [99999999999/0]\n",
		"md0 : active raid1 a[0]\n      resync\n      recovery =\n      [ check = 5%\n" };
	static const unsigned many[] = { 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1 };
	char text[2000] = "md0 : active ";

	for (size_t i = 0; i < KITH_COUNT(texts); i++) {
		parse(texts[i]);
		ck_assert_msg(n_got == many[i], "%s: %u", texts[i], n_got);
		if (n_got)
			ck_assert(got[0].disks == 0 && got[0].state == MD_ACTIVE);
	}
	memset(text + 13, 'x', 1000);
	parse(text); /* no level is so long */
	ck_assert_uint_eq(n_got, 1);
	ck_assert_str_eq(got[0].level, "");
	text[3] = 'x';
	memset(text, 'm', 100);
	parse(text);
	ck_assert_uint_eq(n_got, 0);
}
END_TEST

START_TEST(cut_anywhere)
{
	const char *text = HEAD MD3 MD0_REBUILT TAIL;

	for (size_t n = 0; n <= strlen(text); n++) {
		char *part = strndup(text, n);

		parse(part);
		ck_assert_uint_le(n_got, 2);
		for (unsigned i = 0; i < n_got; i++)
			ck_assert_uint_le(got[i].working, got[i].disks);
		free(part);
	}
	ck_assert_uint_eq(n_got, 2);
}
END_TEST

/* ---- the plugin -------------------------------------------------------------------------------------------------- */

static char root[64];
static struct fake_host *f;

static void is(const char *text)
{
	ck_assert_int_eq(fake_write(root, "/proc/mdstat", text), 0);
}

static void start(const char *text)
{
	fake_tree_new(root);
	if (text)
		is(text);
	f = fake_host_new(&kith_plugin, root);
	ck_assert_int_eq(fake_host_start(f), 0);
}

static void end(void)
{
	fake_host_free(f);
	fake_tree_free(root);
}

static int pri_fd;

/* The plugin's own watch of the file: whichever descriptor it has */
static void changed(void)
{
	for (pri_fd = 0; pri_fd < 64; pri_fd++)
		if (fake_host_pri(f, pri_fd) != -ENOENT)
			return;
	ck_abort_msg("nobody watches");
}

START_TEST(a_disk_fails_and_is_replaced)
{
	start(HEAD MD0 TAIL);
	ck_assert_str_eq(fake_host_state(f, "md:md0:state"), "active");
	ck_assert(fake_host_value(f, "md:md0:working") == 2 && fake_host_value(f, "md:md0:size") == 104320 * 1024);
	ck_assert_uint_eq(f->n_records, 0);
	ck_assert_int_eq(fake_host_sample(f), -ENOENT); /* nothing is polled */
	is(HEAD MD0_BROKEN TAIL);
	changed();
	ck_assert_str_eq(fake_host_state(f, "md:md0:state"), "degraded");
	ck_assert_str_eq(fake_host_record(f, "degraded"), "3 md:md0 array md0 is degraded: 1 of 2 disks work disks=2 working=1 faulty=1 level=raid1");
	ck_assert_ptr_nonnull(fake_host_record(f, "has a disk that failed"));
	is(HEAD MD0_REBUILT TAIL);
	changed();
	ck_assert_str_eq(fake_host_state(f, "md:md0:action"), "recovery");
	ck_assert_double_eq_tol(fake_host_value(f, "md:md0:progress"), 12.6, 1e-9);
	ck_assert_ptr_nonnull(fake_host_record(f, "begins its recovery"));
	ck_assert_int_eq(fake_host_sample(f), 0); /* progress comes without a notice */
	is(HEAD MD0 TAIL);
	changed();
	ck_assert_str_eq(fake_host_state(f, "md:md0:state"), "active");
	ck_assert_ptr_nonnull(fake_host_record(f, "array md0 is active"));
	ck_assert_ptr_nonnull(fake_host_record(f, "is done with its recovery"));
	ck_assert_int_eq(fake_host_sample(f), -ENOENT);
	end();
}
END_TEST

START_TEST(arrays_come_and_go)
{
	start(HEAD MD0 TAIL);
	is(HEAD MD3 MD0 TAIL);
	changed();
	ck_assert_uint_eq(fake_host_instances(f, "md"), 2);
	ck_assert_ptr_nonnull(fake_host_record(f, "array md3 is degraded: 3 of 4"));
	is(HEAD MD0 TAIL);
	changed();
	ck_assert_uint_eq(fake_host_instances(f, "md"), 1);
	ck_assert_ptr_nonnull(fake_host_record(f, "array md3 is stopped"));
	is(HEAD TAIL);
	ck_assert_int_eq(fake_host_resync(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "md"), 0);
	end();
}
END_TEST

START_TEST(the_first_array_of_all)
{
	struct kith_device_event e = { .size = sizeof(e), .action = KITH_DEVICE_ADD, .name = "sda", .subsystem = "block" };

	start(NULL);
	ck_assert_ptr_nonnull(strstr(f->note, "no /proc/mdstat"));
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_DEVICE, &e), 0);
	ck_assert_ptr_nonnull(f->note);
	is(HEAD MD0 TAIL);
	e.name = "md0";
	ck_assert_int_eq(fake_host_source(f, KITH_SOURCE_DEVICE, &e), 0);
	ck_assert_ptr_null(f->note);
	ck_assert_str_eq(fake_host_state(f, "md:md0:state"), "active");
	is(HEAD MD0_BROKEN TAIL);
	changed();
	ck_assert_str_eq(fake_host_state(f, "md:md0:state"), "degraded");
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("md");
	TCase *tcase = tcase_create("md");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, arrays);
	tcase_add_test(tcase, odd_texts);
	tcase_add_test(tcase, cut_anywhere);
	tcase_add_test(tcase, a_disk_fails_and_is_replaced);
	tcase_add_test(tcase, arrays_come_and_go);
	tcase_add_test(tcase, the_first_array_of_all);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
