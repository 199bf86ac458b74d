/*
 * The df plugin as it is built: statfs(2) is this program's own, which answers for the paths of the test's table and
 * asks the kernel for others. Mount tables: recorded ones (tests/data/proc/README), and in the last case a real one
 * in a namespace.
 */
#define _FILE_OFFSET_BITS 64 /* as the plugin: they must mean the same statfs */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "loop/loop.h"
#include "source/source.h"
#include "sources/mount.h"
#include "test_plugin_common.h"

#define TREE "linux-6.18-mounts"
#define TABLE "/proc/self/mountinfo"

/*
 * ---- statfs
 * -----------------------------------------------------------------------------------------------------
 */

/* The answer for paths that end with `path`; the first that fits counts */
struct answer {
	const char *path;
	int error;
	struct statfs values;
};
static struct answer answers[8];
static unsigned n_answers;
static unsigned n_statfs; /* calls */

__attribute__((visibility("default"))) int statfs(const char *path, struct statfs *ret)
{
	size_t length = strlen(path);

	n_statfs++;
	for (unsigned i = 0; i < n_answers; i++) {
		size_t n = strlen(answers[i].path);

		if (n > length || strcmp(path + length - n, answers[i].path) != 0)
			continue;
		*ret = answers[i].values;
		errno = answers[i].error;
		return answers[i].error ? -1 : 0;
	}
	return (int)syscall(SYS_statfs, path, ret);
}

static struct statfs *answer(const char *path, uint64_t blocks, uint64_t bfree, uint64_t bavail, uint64_t files,
                             uint64_t ffree)
{
	struct statfs *a = NULL;

	for (unsigned i = 0; i < n_answers && !a; i++)
		if (strcmp(answers[i].path, path) == 0)
			a = &answers[i].values;
	if (!a) {
		ck_assert_uint_lt(n_answers, sizeof(answers) / sizeof(answers[0]));
		answers[n_answers].path = path;
		a = &answers[n_answers++].values;
	}
	*a = (struct statfs){ .f_type = 0xef53, .f_bsize = 8192, .f_frsize = 4096, .f_blocks = blocks, .f_bfree = bfree,
	                      .f_bavail = bavail, .f_files = files, .f_ffree = ffree };
	return a;
}

/*
 * ---- a host whose mount table the test writes
 * --------------------------------------------------------------------
 */

static char root[64];
static struct fake_host *f;
static const struct kith_host *original; /* functions that are wrapped */
static struct kith_host copy;
static unsigned n_reads;

/* The source of the mount table is the real one, over the test's file; that it cannot be waited for is kept from the plugin. */
static struct loop *loop;
static struct sources *sources;
static struct source_sub *sub;
static bool unwatchable, news_failed;
static kith_source_fn source_fn;
static void *source_user;

static void hear(const void *event, void *user)
{
	struct kith_mount_event e = *(const struct kith_mount_event *)event;

	(void)user;
	if (!unwatchable)
		e.flags &= ~KITH_MOUNT_UNWATCHED;
	if (source_fn(&e, source_user) < 0)
		news_failed = true;
}

static void hear_lost(void *user)
{
	(void)user;
}

static void sources_open(const char *below)
{
	struct source_env env = { .root = below };

	if (!loop)
		ck_assert_int_eq(loop_new(&loop), 0);
	env.loop = loop;
	ck_assert_int_eq(sources_new(&env, &sources), 0);
}

static void sources_close(void)
{
	sources_free(sources);
	sources = NULL;
	sub = NULL;
}

static int wrap_watch_source(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user, struct kith_watch **ret)
{
	const struct source_listener listener = { NULL, hear, hear_lost };

	(void)h;
	(void)ret;
	source_fn = fn;
	source_user = user;
	if (sub)
		source_unsubscribe(sub);
	return source_subscribe(sources, source, filter, &listener, &sub);
}

struct dumping {
	kith_source_fn fn;
	void *user;
};

static int dump_one(const void *event, void *user)
{
	struct kith_mount_event e = *(const struct kith_mount_event *)event;
	const struct dumping *d = user;

	if (!unwatchable)
		e.flags &= ~KITH_MOUNT_UNWATCHED;
	return d->fn(&e, d->user);
}

static int wrap_dump_source(const struct kith_host *h, uint32_t source, const void *filter, kith_source_fn fn, void *user)
{
	struct dumping d = { fn, user };

	(void)h;
	n_reads++;
	return source_dump(sources, source, filter, dump_one, &d);
}

static int ignore(const void *event, void *user)
{
	(void)event;
	(void)user;
	return 0;
}

/* The kernel says that the table has changed */
static int news(void)
{
	const struct kith_mount_filter again = { sizeof(again), KITH_MOUNT_AGAIN };
	int r;

	news_failed = false;
	r = source_dump(sources, KITH_SOURCE_MOUNT, &again, ignore, NULL);
	return r < 0 ? r : news_failed ? -EIO : 0;
}

/* As kithd: no control characters */
static int wrap_series(const struct kith_host *h, uint32_t family, const char *instance, kith_id *ret_id)
{
	for (const char *s = instance; *s; s++)
		if ((unsigned char)*s < 0x20)
			return -EINVAL;
	return original->series(h, family, instance, ret_id);
}

/* Two workers, whatever the fake host has */
static int wrap_work(const struct kith_host *h, kith_work_fn fn, kith_done_fn done, void *user)
{
	return fake_host_waiting_work(f) < 2 ? original->work(h, fn, done, user) : -EAGAIN;
}

static void setup(void)
{
	fake_tree_new(root);
	n_answers = n_statfs = n_reads = 0;
	unwatchable = false;
	memset(answers, 0, sizeof(answers));
	f = fake_host_new(plugin_load("df"), root);
	copy = f->host;
	original = &copy;
	sources_open(root);
	f->host.watch_source = wrap_watch_source;
	f->host.dump_source = wrap_dump_source;
	f->host.series = wrap_series;
	f->host.work = wrap_work;
}

static void teardown(void)
{
	fake_host_free(f);
	sources_close();
	loop_free(loop);
	loop = NULL;
	fake_tree_free(root);
}

static void table(const char *text)
{
	ck_assert_int_eq(fake_write(root, TABLE, text), 0);
}

static void start(void)
{
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
}

static void make_points(void)
{
	static const char *const points[] = { "/sys/fs/cgroup", "/dev/shm", "/mnt/rec/data", "/mnt/rec/with blank",
		"/mnt/rec/hidden/below", "/mnt/rec/bind", "/mnt/rec/over/merged", "/mnt/rec/ro", "/proc" };

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		char path[256];

		snprintf(path, sizeof(path), "%s/.keep", points[i]);
		ck_assert_int_eq(fake_write(root, path, ""), 0);
	}
}

/*
 * ---- values
 * -----------------------------------------------------------------------------------------------------
 */

#define ONE "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"

START_TEST(values)
{
	struct statfs *a;

	table(ONE);
	answer("/", 1000, 400, 350, 200, 50);
	start();
	EXPECT(f, { "df:/:total", 1000 * 4096.0 }, { "df:/:used", 600 * 4096.0 }, { "df:/:free", 350 * 4096.0 },
	       { "df:/:reserved", 50 * 4096.0 }, { "df:/:used_percent", 60 }, { "df:/:free_percent", 35 },
	       { "df:/:reserved_percent", 5 }, { "df:/:inodes_total", 200 }, { "df:/:inodes_used", 150 },
	       { "df:/:inodes_free", 50 }, { "df:/:inodes_used_percent", 75 }, { "df:/:inodes_free_percent", 25 });
	ck_assert_str_eq(fake_host_state(f, "df:/:state"), "rw");

	answer("/", 1000, 40, (uint64_t)-10, 200, 50)->f_flags = ST_RDONLY; /* only root's share is left */
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "df:/:free", 0 }, { "df:/:reserved", 40 * 4096.0 }, { "df:/:used", 960 * 4096.0 });
	ck_assert_str_eq(fake_host_state(f, "df:/:state"), "ro");

	a = answer("/", UINT64_C(1) << 50, UINT64_C(1) << 51, UINT64_C(1) << 51, 10, 20); /* more free than there is */
	a->f_frsize = 0;
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "df:/:total", 0x1p63 }, { "df:/:used", 0 }, { "df:/:free", 0x1p63 }, { "df:/:reserved", 0 },
	       { "df:/:free_percent", 100 }, { "df:/:inodes_used", 0 });
}
END_TEST

/* Until when nothing can become near what is promised: as fast as it may be filled, or was */
START_TEST(time_to_look_again)
{
	fake_host_option(f, "fill_rate", "4096");
	table(ONE);
	answer("/", 100000, 50000, 50000, 0, 0);
	start();
	ck_assert_int_eq(f->look_again, INT64_C(1000) * 1000000000); /* 1 % of all, a block a second */
	answer("/", 100000, 10000, 10000, 0, 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	/* 4 % of what is free, at twice the 4,000 blocks a second that were seen */
	ck_assert_int_eq(f->look_again, INT64_C(50000000));
	answer("/", 100000, 0, 0, 0, 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_int_eq(f->look_again, 0);
	answer("/", 100000, 0, 0, 0, 0)->f_flags = ST_RDONLY;
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_int_eq(f->look_again, INT64_C(3600) * 1000000000);
	/* The most urgent counts; and inodes do */
	table(ONE "21 20 0:9 / /t rw - tmpfs t rw\n");
	answer("/t", 1000, 1000, 1000, 2000000, 1000000);
	n_answers = 2;
	answers[1] = answers[0];
	answers[0] = (struct answer){ .path = "/t" };
	answer("/t", 100000, 100000, 100000, 200, 100);
	ck_assert_int_eq(news(), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_int_eq(f->look_again, 62500000); /* 2 inodes, 1 KiB each */
	answer("/t", 100000, 100000, 100000, 0, 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_int_eq(f->look_again, INT64_C(125) * 1000000000);
}
END_TEST

START_TEST(no_inodes_no_blocks)
{
	table(ONE "21 20 0:50 / /empty rw - btrfs x rw\n");
	answer("/empty", 0, 0, 0, 0, 0);
	answer("/", 1000, 400, 400, 0, 0);
	start();
	EXPECT(f, { "df:/:free_percent", 40 }, { "df:/:inodes_total", NAN }, { "df:/:inodes_free_percent", NAN });
	ck_assert_uint_eq(fake_host_instances(f, "df"), 1);
	fake_host_option(f, "all", "true");
	ck_assert_int_eq(fake_host_reconfigure(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "df:/empty:total", 0 }, { "df:/empty:free_percent", NAN });
}
END_TEST

START_TEST(failing_statfs)
{
	table(ONE "21 20 8:2 / /secret rw - ext4 /dev/sda2 rw\n");
	answer("/secret", 0, 0, 0, 0, 0);
	answers[0].error = EACCES;
	answer("/", 10, 5, 5, 0, 0);
	start();
	ck_assert_uint_eq(fake_host_instances(f, "df"), 1);
	EXPECT(f, { "df:/:used_percent", 50 });
	answers[0].error = 0;
	answer("/secret", 10, 5, 4, 0, 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "df:/secret:free_percent", 40 });
}
END_TEST

/*
 * ---- the mount table
 * --------------------------------------------------------------------------------------------
 */

START_TEST(recorded_table)
{
	make_points();
	plugin_copy(TREE, TABLE, root);
	start();
	static const char *const there[] = { "/", "/sys/fs/cgroup", "/dev/shm", "/mnt/rec", "/mnt/rec/data",
		"/mnt/rec/with blank", "/mnt/rec/hidden", "/mnt/rec/over/merged" };
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		ck_assert_msg(fake_host_has(f, "df", there[i]), "%s is missing", there[i]);
	ck_assert_uint_eq(fake_host_instances(f, "df"), 8);
	n_reads = 0;
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(n_reads, 0); /* nobody said that it changed */

	plugin_copy("linux-6.18-unmounted", TABLE, root);
	ck_assert_int_eq(news(), 0);
	ck_assert_uint_eq(n_reads, 1);
	ck_assert(!fake_host_has(f, "df", "/mnt/rec/data"));
	ck_assert(!fake_host_has(f, "df", "/mnt/rec/hidden"));
	ck_assert_uint_eq(f->n_ends, 2);
	/* nothing hides it any more: it is there at once, and the others are not asked again */
	ck_assert_uint_eq(fake_host_puts(f, "df:/mnt/rec/hidden/below:total"), 1);
	ck_assert_uint_eq(fake_host_puts(f, "df:/:total"), 6);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "df"), 7);

	plugin_copy(TREE, TABLE, root);
	ck_assert_int_eq(news(), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(fake_host_has(f, "df", "/mnt/rec/data"));
	ck_assert_uint_eq(fake_host_instances(f, "df"), 8);
	ck_assert_uint_eq(fake_host_puts(f, "df:/:total"), 8);
}
END_TEST

START_TEST(all_mounts)
{
	make_points();
	plugin_copy(TREE, TABLE, root);
	fake_host_option(f, "all", "true");
	fake_host_option(f, "ignore", "/sys*, /dev*");
	fake_host_option(f, "ignore_types", "overlay,ram*");
	start();
	ck_assert(fake_host_has(f, "df", "/mnt/rec/bind"));
	ck_assert(fake_host_has(f, "df", "/proc"));
	ck_assert(!fake_host_has(f, "df", "/mnt/rec/over/merged"));
	ck_assert(!fake_host_has(f, "df", "/mnt/rec/ro"));
	ck_assert(!fake_host_has(f, "df", "/mnt/rec/hidden/below"));
	ck_assert_uint_eq(fake_host_instances(f, "df"), 7);
}
END_TEST

START_TEST(images_are_ignored)
{
	table(ONE "21 20 7:0 / /snap/core rw - ext4 /dev/loop0 rw\n22 20 7:1 / /image ro - squashfs /dev/loop1 ro\n"
	      "23 20 0:60 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n"
	      "24 20 8:9 / /var/lib/docker rw - ext4 /dev/sdb rw\n");
	answer("/", 10, 5, 5, 0, 0);
	answer("r", 10, 5, 5, 0, 0);
	start();
	ck_assert_uint_eq(fake_host_instances(f, "df"), 2);
	ck_assert(fake_host_has(f, "df", "/var/lib/docker"));
}
END_TEST

/* A file that cannot tell of changes is read on each tick */
START_TEST(unwatched)
{
	make_points();
	plugin_copy(TREE, TABLE, root);
	unwatchable = true;
	start();
	ck_assert_ptr_nonnull(f->note);
	ck_assert(fake_host_has(f, "df", "/mnt/rec/data"));
	plugin_copy("linux-6.18-unmounted", TABLE, root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(!fake_host_has(f, "df", "/mnt/rec/data"));
}
END_TEST

/* A table that is cut off changes nothing but fails, and is read again */
START_TEST(every_prefix)
{
	char *text = plugin_text(TREE, TABLE), *part = strdup(text);

	make_points();
	plugin_copy(TREE, TABLE, root);
	start();
	for (size_t length = strlen(text); length-- > 0;) {
		bool lines = length > 0 && text[length - 1] == '\n';

		if (lines)
			continue;
		part[length] = '\0';
		table(part);
		ck_assert_int_lt(news(), 0);
		ck_assert_uint_eq(fake_host_instances(f, "df"), 8);
	}
	ck_assert_uint_eq(f->n_ends, 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "df:/:total"), 2);
	table(text);
	ck_assert_int_eq(news(), 0);
	free(text);
	free(part);
}
END_TEST

START_TEST(odd_lines)
{
	/*
	 * ids that do not fit, no separator, no type, a relative point, its own parent; \134 is a backslash; a byte
	 * missing at the end
	 */
	table("1 1 0:2 / / rw - rootfs rootfs rw\n" ONE "x 20 8:2 / /a rw - ext4 d rw\n30 20 8:3 / /b rw\n"
	      "31 20 8:4 / /c rw -\n"
	      "32 20 8:5 / d rw - ext4 d rw\n33 20 99999999999:6 / /e rw - ext4 d rw\n\n34 20 8 / /f rw - ext4 d rw\n"
	      "35 20 8:7 / /g\\134h\\04 rw a:1 b c:2 - ext4 d rw\n36 20 8:8 / /new\\012line rw - ext4 d rw\n");
	answer("/g\\h\\04", 10, 5, 5, 0, 0);
	answer("/new\nline", 10, 5, 5, 0, 0);
	answer("/", 10, 5, 5, 0, 0);
	start();
	ck_assert_uint_eq(fake_host_instances(f, "df"), 3);
	ck_assert(fake_host_has(f, "df", "/g\\h\\04"));
	ck_assert(fake_host_has(f, "df", "/new\\012line"));
	EXPECT(f, { "df:/:used_percent", 50 }); /* upon the rootfs */
}
END_TEST

START_TEST(cap_and_long_names)
{
	char text[2048], name[400];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), ONE "21 20 8:2 / /%s rw - ext4 d rw\n"
	         "22 20 8:3 / /z1 rw - ext4 d rw\n23 20 8:4 / /z2 rw - ext4 d rw\n",
	         name);
	table(text);
	answer("/", 10, 5, 5, 0, 0);
	answer("x", 10, 5, 5, 0, 0);
	answer("/z1", 10, 5, 5, 0, 0);
	answer("/z2", 10, 5, 5, 0, 0);
	ck_assert_int_eq(fake_host_start(f), 0);
	fake_host_cap(f, "df", 2);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(f->n_logs, 1); /* of the long name, once */
	ck_assert_uint_eq(fake_host_instances(f, "df"), 2);
	ck_assert(fake_host_has(f, "df", "/z1"));
}
END_TEST

/*
 * Unmounted, and the tick is there before the news: the path leads to the file system below, whose numbers must not
 * be put. Once the table has been read and still has it, a new identity is believed.
 */
START_TEST(other_file_system_below)
{
	table(ONE "21 20 8:2 / /data rw - ext4 /dev/sda2 rw\n");
	answer("/data", 100, 50, 50, 0, 0)->f_fsid.__val[0] = 7;
	answer("/", 10, 9, 9, 0, 0);
	start();
	EXPECT(f, { "df:/data:used", 50 * 4096.0 });
	answer("/data", 10, 9, 9, 0, 0);
	table(ONE);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "df:/data:used", 50 * 4096.0 });
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert(!fake_host_has(f, "df", "/data"));

	table(ONE "21 20 8:2 / /data rw - ext4 /dev/sda2 rw\n");
	answer("/data", 100, 50, 50, 0, 0)->f_fsid.__val[0] = 7;
	news();
	ck_assert_int_eq(fake_host_sample(f), 0);
	answer("/data", 100, 40, 40, 0, 0)->f_fsid.__val[0] = 8;
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "df:/data:used", 50 * 4096.0 });
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "df:/data:used", 60 * 4096.0 });
}
END_TEST

/* Another device at the same mount point is another instance, though of the same name */
START_TEST(replaced)
{
	table(ONE "21 20 8:2 / /data rw - ext4 /dev/sda2 rw\n");
	answer("/data", 100, 50, 50, 0, 0);
	answer("/", 10, 9, 9, 0, 0);
	start();
	table(ONE "22 20 8:3 / /data rw - ext4 /dev/sda3 rw\n");
	answer("/data", 1000, 1, 1, 0, 0)->f_fsid.__val[0] = 3;
	ck_assert_int_eq(news(), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(f->n_ends, 1);
	ck_assert_uint_eq(fake_host_puts(f, "df:/data:used"), 2);
	EXPECT(f, { "df:/data:used", 999 * 4096.0 });
}
END_TEST

/*
 * ---- file systems that may hang
 * ---------------------------------------------------------------------------------
 */

#define REMOTE \
	ONE "21 20 0:50 / /nfs rw - nfs4 host:/x rw\n22 20 0:51 / /ssh rw - fuse.sshfs host: rw\n" \
	    "23 21 8:9 / /nfs/disk rw - ext4 d rw\n" \
	    "24 20 0:52 / /auto rw - autofs systemd-1 rw\n25 24 8:10 / /auto/usb rw - ext4 d rw\n"

static void remote(void)
{
	table(REMOTE);
	answer("/nfs", 100, 50, 50, 0, 0);
	answer("/ssh", 100, 40, 40, 0, 0);
	answer("/nfs/disk", 100, 30, 30, 0, 0);
	answer("/auto/usb", 100, 20, 20, 0, 0);
	answer("/auto", 1, 0, 0, 0, 0); /* must not be asked: it would be mounted */
	answer("/", 10, 9, 9, 0, 0);
	start();
}

START_TEST(remote_through_workers)
{
	unsigned calls;

	remote();
	ck_assert_uint_eq(n_statfs, 1); /* of the root alone */
	ck_assert_uint_eq(fake_host_instances(f, "df"), 1);
	ck_assert_uint_eq(fake_host_waiting_work(f), 2);
	/* one that is done makes room for the next */
	while (fake_host_waiting_work(f) > 0)
		fake_host_run_work(f);
	EXPECT(f, { "df:/nfs:used_percent", 50 }, { "df:/ssh:used_percent", 60 }, { "df:/nfs/disk:used_percent", 70 },
	       { "df:/auto/usb:used_percent", 80 });
	ck_assert_uint_eq(fake_host_instances(f, "df"), 5);
	calls = n_statfs;
	ck_assert_uint_eq(calls, 5);
	ck_assert_int_eq(fake_host_sample(f), 0);
	while (fake_host_waiting_work(f) > 0)
		fake_host_run_work(f);
	ck_assert_uint_eq(n_statfs, calls + 5);
	ck_assert_uint_eq(fake_host_puts(f, "df:/nfs/disk:used"), 2);
}
END_TEST

START_TEST(hung)
{
	remote();
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "df:/:total"), 11); /* goes on */
	ck_assert_uint_eq(fake_host_puts(f, "df:/nfs:total"), 0);
	ck_assert_uint_eq(fake_host_waiting_work(f), 2); /* one call each, not one a tick */
	ck_assert_uint_eq(f->n_records, 2);
	ck_assert_ptr_nonnull(fake_host_record(f, "df:/nfs file system does not answer"));
	ck_assert_str_eq(f->note, "2 file systems do not answer: /nfs, …");
	while (fake_host_waiting_work(f) > 0)
		fake_host_run_work(f);
	ck_assert_ptr_nonnull(fake_host_record(f, "df:/ssh file system answers again"));
	ck_assert_ptr_null(f->note);
	ck_assert_uint_eq(fake_host_puts(f, "df:/nfs:total"), 1);
	ck_assert_uint_eq(fake_host_puts(f, "df:/nfs/disk:total"), 1);
	ck_assert_uint_eq(f->n_records, 4);
}
END_TEST

/* Its call is still out when a file system is unmounted: nothing is put, nothing leaks */
START_TEST(unmounted_while_hung)
{
	remote();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_ptr_nonnull(f->note);
	table(ONE);
	ck_assert_int_eq(news(), 0);
	ck_assert_ptr_null(f->note);
	fake_host_run_work(f);
	ck_assert_uint_eq(fake_host_instances(f, "df"), 1);
	ck_assert_uint_eq(fake_host_waiting_work(f), 0);
}
END_TEST

START_TEST(no_worker_free)
{
	remote();
	while (fake_host_waiting_work(f) > 0)
		fake_host_run_work(f);
	f->fail_work = -EAGAIN;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	f->fail_work = 0;
	ck_assert_int_eq(fake_host_sample(f), 0);
	while (fake_host_waiting_work(f) > 0)
		fake_host_run_work(f);
	ck_assert_uint_eq(fake_host_puts(f, "df:/nfs:total"), 2);
	ck_assert_uint_eq(fake_host_puts(f, "df:/auto/usb:total"), 2);
	f->fail_work = -ENOMEM;
	ck_assert_int_eq(fake_host_sample(f), -ENOMEM);
}
END_TEST

static kith_work_fn taken_fn;
static void *taken_user;

static int take_work(const struct kith_host *h, kith_work_fn fn, kith_done_fn done, void *user)
{
	(void)h;
	(void)done;
	if (taken_user)
		return -EAGAIN;
	taken_fn = fn;
	taken_user = user;
	return 0;
}

/* The plugin is gone before its worker comes back: what the worker has is its own */
START_TEST(stopped_while_hung)
{
	taken_user = NULL;
	f->host.work = take_work;
	remote();
	ck_assert_ptr_nonnull(taken_user);
	fake_host_stop(f);
	ck_assert_int_eq(taken_fn(taken_user), 0);
	free(taken_user); /* kithd leaks it knowingly */
}
END_TEST

/*
 * ---- a real mount table
 * ------------------------------------------------------------------------------------------
 */

static bool enter_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static double series(const char *point, const char *metric)
{
	char name[256];

	snprintf(name, sizeof(name), "df:%s:%s", point, metric);
	return fake_host_value(f, name);
}

START_TEST(this_kernel)
{
	char path[128], *zeros = calloc(1, 256 << 10);
	int fd;

	if (!enter_namespace() || mount("kith", root, "tmpfs", 0, "size=1M,nr_inodes=64") < 0) {
		fprintf(stderr, "test_plugin_df: skipped with a real mount: %s\n", strerror(errno));
		free(zeros);
		return;
	}
	fake_host_free(f);
	sources_close();
	sources_open("");
	f = fake_host_new(plugin_load("df"), "");
	f->host.watch_source = wrap_watch_source;
	f->host.dump_source = wrap_dump_source;
	fake_host_option(f, "ignore", NULL);
	start();
	ck_assert_double_eq(series(root, "total"), 1 << 20);
	ck_assert_double_eq(series(root, "free"), 1 << 20);
	ck_assert_double_eq(series(root, "inodes_total"), 64);
	ck_assert_double_eq(series(root, "inodes_used"), 1);
	snprintf(path, sizeof(path), "%s/file", root);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, zeros, 256 << 10), 256 << 10);
	close(fd);
	free(zeros);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(series(root, "used"), 256 << 10);
	ck_assert_double_eq(series(root, "free_percent"), 75);
	ck_assert_double_eq(series(root, "inodes_used"), 2);

	ck_assert_int_eq(mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq(series(root, "state"), 1);

	ck_assert_int_eq(umount(root), 0); /* the plugin does not hold it */
	for (int i = 0; i < 1000 && fake_host_has(f, "df", root); i++)
		loop_run_once(loop, 20000000);
	ck_assert(!fake_host_has(f, "df", root));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("plugin df");
	TCase *t = tcase_create("df");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, values);
	tcase_add_test(t, time_to_look_again);
	tcase_add_test(t, no_inodes_no_blocks);
	tcase_add_test(t, failing_statfs);
	tcase_add_test(t, recorded_table);
	tcase_add_test(t, all_mounts);
	tcase_add_test(t, images_are_ignored);
	tcase_add_test(t, unwatched);
	tcase_add_test(t, every_prefix);
	tcase_add_test(t, odd_lines);
	tcase_add_test(t, cap_and_long_names);
	tcase_add_test(t, other_file_system_below);
	tcase_add_test(t, replaced);
	tcase_add_test(t, remote_through_workers);
	tcase_add_test(t, hung);
	tcase_add_test(t, unmounted_while_hung);
	tcase_add_test(t, no_worker_free);
	tcase_add_test(t, stopped_while_hung);
	tcase_add_test(t, this_kernel);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
