/*
 * The plugins that take numbers from /proc, as they are built, on recorded trees: tests/data/proc/README says
 * where these come from
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test_plugin_common.h"

#define KIB 1024.0

Suite *suite_disk(void);

static struct fake_host *start(const char *plugin, const char *root)
{
	struct fake_host *f = fake_host_new(plugin_load(plugin), root);

	ck_assert_int_eq(fake_host_start(f), 0);
	return f;
}

static struct fake_host *sampled(const char *plugin, const char *tree)
{
	struct fake_host *f = start(plugin, plugin_tree(tree));

	ck_assert_int_eq(fake_host_sample(f), 0);
	return f;
}

/*
 * ---- cpu
 * --------------------------------------------------------------------------------------------------------
 */

START_TEST(cpu_recorded)
{
	struct fake_host *f = sampled("cpu", "linux-6.18");

	ck_assert_int_eq(sysconf(_SC_CLK_TCK), 100);
	EXPECT(f, { "cpu:total:user", 78.44 }, { "cpu:total:nice", 0 }, { "cpu:total:system", 33.22 },
	       { "cpu:total:idle", 4378.35 }, { "cpu:total:iowait", 6.53 }, { "cpu:total:irq", 0 },
	       { "cpu:total:softirq", 0.55 },
	       { "cpu:total:steal", 0.1 }, { "cpu:total:guest", 0 }, { "cpu:total:guest_nice", 0 },
	       { "cpu:0:user", 14.48 }, { "cpu:0:softirq", 0.17 }, { "cpu:1:idle", 2159.81 }, { "cpu:1:steal", 0.07 },
	       { "cpu:total:busy_percent", NAN }, { "cpu:0:busy_percent", NAN });
	ck_assert_uint_eq(fake_host_instances(f, "cpu"), 3);
	fake_host_free(f);
}
END_TEST

START_TEST(cpu_hotplug)
{
	struct fake_host *f;
	char root[64];

	plugin_copy("hand-4.14", "/proc/stat", fake_tree_new(root));
	f = start("cpu", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "cpu"), 5);
	EXPECT(f, { "cpu:2:user", 10 }, { "cpu:3:guest_nice", 0.02 }, { "cpu:total:guest", 5 });

	plugin_copy("hand-4.14-later", "/proc/stat", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "cpu"), 4);
	ck_assert(!fake_host_has(f, "cpu", "2"));
	/* 0: user 250, system 100, steal 10 of these and idle 640; iowait went back by one, which is no time at all */
	EXPECT(f, { "cpu:0:busy_percent", 100.0 * 360 / 1000 }, { "cpu:1:busy_percent", 0 }, { "cpu:3:busy_percent", 100 },
	       { "cpu:0:iowait", 1 }, { "cpu:total:iowait", 3 }, { "cpu:total:busy_percent", 100.0 * 950 / 3900 });

	/* back again: a new instance, which knows no time before */
	plugin_copy("hand-4.14", "/proc/stat", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "cpu:2:user", 10 }, { "cpu:2:busy_percent", NAN });
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

START_TEST(cpu_reset)
{
	struct fake_host *f;
	char root[64];

	fake_write(fake_tree_new(root), "/proc/stat", "cpu  5000 0 0 90000 0 0 0 0 0 0\nintr 0\n");
	f = start("cpu", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	fake_write(root, "/proc/stat", "cpu  1 0 0 2 0 0 0 0 0 0\nintr 0\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "cpu:total:user", 0.01 }, { "cpu:total:idle", 0.02 }, { "cpu:total:busy_percent", NAN });
	fake_write(root, "/proc/stat", "cpu  2 0 0 5 0 0 0 0 0 0\nintr 0\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "cpu:total:busy_percent", 25 });
	ck_assert_int_eq(fake_host_sample(f), 0); /* no time has passed */
	ck_assert_uint_eq(fake_host_puts(f, "cpu:total:busy_percent"), 1);
	ck_assert_uint_eq(fake_host_puts(f, "cpu:total:user"), 4);
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

START_TEST(cpu_shapes)
{
	struct fake_host *f = sampled("cpu", "hand-2.6.18");
	char root[64];

	EXPECT(f, { "cpu:0:softirq", 0.03 }, { "cpu:0:steal", 0 }, { "cpu:0:guest", NAN }, { "cpu:0:guest_nice", NAN });
	fake_host_free(f);

	/* absurd numbers, a column more, a line that is no processor, one too short */
	fake_write(fake_tree_new(root), "/proc/stat",
	           "cpu  1 2 3 4 5 6 7 8 9 10 11 12\ncpu8191 1 0 0 0 0 0 0 0 0 0\ncpu8192 1 0 0 0 0 0 0 0 0 0\n"
	           "cpu18446744073709551617 1 0 0 0 0 0 0 0 0 0\ncpu-1 1 1 1 1\ncpux 1 1 1 1\nintr 5\n");
	f = start("cpu", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "cpu"), 2);
	EXPECT(f, { "cpu:total:guest_nice", 0.1 }, { "cpu:8191:user", 0.01 });
	fake_write(root, "/proc/stat", "cpu  1 2 3\nintr 5\n");
	ck_assert_int_lt(fake_host_sample(f), 0);
	fake_write(root, "/proc/stat", "intr 5\n");
	ck_assert_int_lt(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "cpu:total:user"), 1);
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

START_TEST(cpu_total_alone)
{
	struct fake_host *f = fake_host_new(plugin_load("cpu"), plugin_tree("hand-4.14"));

	fake_host_option(f, "per_cpu", "false");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "cpu"), 1);
	EXPECT(f, { "cpu:total:user", 40 });
	fake_host_free(f);
}
END_TEST

START_TEST(cpu_cut_off_ends_nothing)
{
	struct fake_host *f;
	char root[64];

	plugin_copy("hand-4.14", "/proc/stat", fake_tree_new(root));
	f = start("cpu", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	fake_write(root, "/proc/stat",
	           "cpu  4000 40 2000 90000 300 20 60 8 500 5\ncpu0 1000 10 500 22500 100 5 15 2 125 1\ncpu1 10");
	fake_host_sample(f);
	ck_assert_uint_eq(fake_host_instances(f, "cpu"), 5);
	EXPECT(f, { "cpu:1:user", 10 });
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

START_TEST(cpu_cap)
{
	struct fake_host *f = start("cpu", plugin_tree("hand-4.14"));

	fake_host_cap(f, "cpu", 3);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "cpu"), 3);
	EXPECT(f, { "cpu:total:user", 40 }, { "cpu:1:user", 10 });
	fake_host_free(f);
}
END_TEST

/*
 * ---- memory
 * -----------------------------------------------------------------------------------------------------
 */

START_TEST(memory_recorded)
{
	struct fake_host *f = sampled("memory", "linux-6.18");
	double used = KIB * (24684084 - 24399268 - 748 - 100924 - 73456 - 22732);

	EXPECT(f, { "memory:total", KIB * 24684084 }, { "memory:free", KIB * 24399268 },
	       { "memory:available", KIB * 24361952 }, { "memory:buffers", KIB * 748 },
	       { "memory:cached", KIB * 100924 }, { "memory:active", KIB * 63740 },
	       { "memory:inactive", KIB * 40420 }, { "memory:unevictable", KIB * 17008 }, { "memory:locked", KIB * 16048 },
	       { "memory:dirty", KIB * 184 }, { "memory:writeback", 0 }, { "memory:anonymous", KIB * 19516 },
	       { "memory:mapped", KIB * 10796 }, { "memory:shared", KIB * 8872 }, { "memory:slab_reclaimable", KIB * 73456 },
	       { "memory:slab_unreclaimable", KIB * 22732 }, { "memory:kernel_stack", KIB * 1432 },
	       { "memory:page_tables", KIB * 1816 }, { "memory:commit_limit", KIB * 12342040 },
	       { "memory:committed", KIB * 65184 }, { "memory:vmalloc_used", KIB * 14204 }, { "memory:per_cpu", KIB * 688 },
	       { "memory:anonymous_huge", 0 }, { "memory:hugepages_total", 0 }, { "memory:used", used },
	       { "memory:used_percent", 100 * used / (KIB * 24684084) },
	       { "memory:available_percent", 100 * (KIB * 24361952) / (KIB * 24684084) });
	fake_host_free(f);
}
END_TEST

#define USED_4_14 (KIB * (16326928 - 2000000 - 500000 - 6000000 - 600000 - 200000))
START_TEST(memory_shapes)
{
	struct fake_host *f;
	char root[64];

	plugin_copy("hand-4.14", "/proc/meminfo", fake_tree_new(root));
	f = start("memory", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "memory:hugepages_total", 512 * 2048 * KIB }, { "memory:hugepages_free", 500 * 2048 * KIB },
	       { "memory:hugepages_reserved", 7 * 2048 * KIB }, { "memory:anonymous_huge", KIB * 1024000 },
	       { "memory:free", KIB * 2000000 }, { "memory:used", USED_4_14 },
	       { "memory:per_cpu", NAN });
	/* all behind MemFree has moved by a character; Buffers and Cached have changed places */
	plugin_copy("hand-4.14-later", "/proc/meminfo", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "memory:free", KIB * 10000000 }, { "memory:committed", KIB * 12000000 }, { "memory:used", USED_4_14 });
	ck_assert_uint_eq(fake_host_puts(f, "memory:used"), 1); /* more was free than there is: nonsense is not put */
	fake_write(root, "/proc/meminfo",
	           "MemTotal: 100 kB\nCached: 20 kB\nMemFree: 10 kB\nSReclaimable: 5 kB\nBuffers: 1 kB\nSUnreclaim: 3 kB\n");
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "memory:used", KIB * 61 }, { "memory:cached", KIB * 20 }, { "memory:buffers", KIB });
	fake_write(root, "/proc/meminfo", "nothing\n");
	ck_assert_int_lt(fake_host_sample(f), 0);
	fake_host_free(f);
	fake_tree_free(root);

	f = sampled("memory", "hand-2.6.18");
	EXPECT(f, { "memory:total", KIB * 515000 }, { "memory:available", NAN }, { "memory:available_percent", NAN },
	       { "memory:shared", NAN }, { "memory:page_tables", KIB * 4000 }, { "memory:hugepages_total", 0 });
	fake_host_free(f);
}
END_TEST

/*
 * ---- load, uptime
 * -----------------------------------------------------------------------------------------------
 */

START_TEST(load_values)
{
	struct fake_host *f = sampled("load", "linux-6.18");
	char root[64];

	EXPECT(f, { "load:1m", 0.14 }, { "load:5m", 0.14 }, { "load:15m", 0.06 });
	fake_host_free(f);
	f = sampled("load", "hand-4.14");
	EXPECT(f, { "load:1m", 12.05 }, { "load:5m", 8.5 }, { "load:15m", 104.99 });
	fake_host_free(f);

	fake_write(fake_tree_new(root), "/proc/loadavg", "7 1.23456789012345 184467440737095516150.5 1/1 1\n");
	f = start("load", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_double_eq_tol(fake_host_value(f, "load:5m"), 1.23456789, 1e-8);
	EXPECT(f, { "load:1m", 7 });
	static const char *const bad[] = { "", "x", "1.0", "1.0 2.0 3.0", "1.0 2.0 3.", "1.0 -2.0 3.0 ", "1,0 2,0 3,0 " };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_write(root, "/proc/loadavg", bad[i]);
		ck_assert_msg(fake_host_sample(f) < 0, "\"%s\" was taken", bad[i]);
	}
	ck_assert_uint_eq(fake_host_puts(f, "load:1m"), 1);
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

START_TEST(uptime_value)
{
	struct fake_host *f = start("uptime", "");
	struct timespec before, after;
	double value;

	clock_gettime(CLOCK_BOOTTIME, &before);
	ck_assert_int_eq(fake_host_sample(f), 0);
	clock_gettime(CLOCK_BOOTTIME, &after);
	value = fake_host_value(f, "uptime:seconds");
	ck_assert(value >= (double)before.tv_sec + (double)before.tv_nsec / 1e9);
	ck_assert(value <= (double)after.tv_sec + (double)after.tv_nsec / 1e9);
	fake_host_free(f);
}
END_TEST

/*
 * ---- swap
 * -------------------------------------------------------------------------------------------------------
 */

START_TEST(swap_values)
{
	double page = (double)sysconf(_SC_PAGESIZE);
	struct fake_host *f;
	char root[64];

	fake_tree_new(root);
	plugin_copy("hand-4.14", "/proc/meminfo", root);
	plugin_copy("hand-4.14", "/proc/vmstat", root);
	f = start("swap", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "swap:total", KIB * 4000000 }, { "swap:free", KIB * 3000000 }, { "swap:used", KIB * 1000000 },
	       { "swap:used_percent", 25 }, { "swap:free_percent", 75 }, { "swap:cached", KIB * 12345 },
	       { "swap:in", page * 1200 }, { "swap:out", page * 3400 });

	/* swapoff: nothing is left to have a percentage of */
	plugin_copy("hand-4.14-later", "/proc/meminfo", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	plugin_copy("hand-4.14-later", "/proc/vmstat", root);
	ck_assert_int_eq(fake_host_sample(f), 0); /* read once */
	EXPECT(f, { "swap:total", 0 }, { "swap:used", 0 }, { "swap:free", 0 }, { "swap:cached", 0 },
	       { "swap:in", page * 1200 }, { "swap:out", page * 3400 });
	ck_assert_uint_eq(fake_host_puts(f, "swap:total"), 3);
	ck_assert_uint_eq(fake_host_puts(f, "swap:used_percent"), 1);
	ck_assert_uint_eq(fake_host_puts(f, "swap:in"), 3);
	fake_host_free(f);
	fake_tree_free(root);

	f = sampled("swap", "linux-6.18");
	EXPECT(f, { "swap:total", 0 }, { "swap:used_percent", NAN }, { "swap:free_percent", NAN }, { "swap:in", 0 },
	       { "swap:out", 0 }, { "swap:cached", 0 });
	fake_host_free(f);
}
END_TEST

START_TEST(swap_reads_io_rarely_unless_wanted)
{
	struct fake_host *f = fake_host_new(plugin_load("swap"), plugin_tree("hand-4.14"));

	ck_assert_int_eq(fake_host_start(f), 0);
	for (int i = 0; i < 12; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "swap:used"), 12);
	ck_assert_uint_eq(fake_host_puts(f, "swap:in"), 2);
	fake_host_want(f, 0, "", true);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "swap:in"), 7);
	fake_host_want(f, 0, "", false);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "swap:in"), 7);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "swap:in"), 8);

	fake_host_option(f, "io_every", "0");
	ck_assert_int_eq(fake_host_reconfigure(f), 0);
	for (int i = 0; i < 12; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_puts(f, "swap:used"), 12);
	ck_assert_uint_eq(fake_host_puts(f, "swap:in"), 0);
	fake_host_free(f);
}
END_TEST

/* Without another root the kernel is asked, which must say what its /proc/meminfo says */
START_TEST(swap_of_this_host)
{
	struct fake_host *f = start("swap", "");
	unsigned long total = 0;
	char line[256];
	FILE *meminfo;

	ck_assert_int_eq(fake_host_sample(f), 0);
	meminfo = fopen("/proc/meminfo", "r");
	ck_assert_ptr_nonnull(meminfo);
	while (fgets(line, sizeof(line), meminfo))
		if (sscanf(line, "SwapTotal: %lu kB", &total) == 1)
			break;
	fclose(meminfo);
	EXPECT(f, { "swap:total", KIB * (double)total });
	ck_assert_double_eq(fake_host_value(f, "swap:used") + fake_host_value(f, "swap:free"), KIB * (double)total);
	fake_host_free(f);
}
END_TEST

/*
 * ---- vmem
 * -------------------------------------------------------------------------------------------------------
 */

START_TEST(vmem_values)
{
	struct fake_host *f = sampled("vmem", "linux-6.18");
	char root[64];

	EXPECT(f, { "vmem:page_faults", 3669640 }, { "vmem:major_page_faults", 3132 }, { "vmem:paged_in", KIB * 4233281 },
	       { "vmem:paged_out", KIB * 183024 }, { "vmem:swapped_in", 0 }, { "vmem:oom_kills", 0 });
	ck_assert_uint_eq(fake_host_instances(f, "vmpage"), 0);
	fake_host_free(f);

	plugin_copy("hand-4.14", "/proc/vmstat", fake_tree_new(root));
	f = start("vmem", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "vmem:page_faults", 80000000 }, { "vmem:major_page_faults", 4000 }, { "vmem:paged_in", KIB * 5000000 },
	       { "vmem:paged_out", KIB * 7000000 }, { "vmem:swapped_in", 1200 }, { "vmem:swapped_out", 3400 },
	       { "vmem:reclaimed_kswapd", 50000 }, { "vmem:reclaimed_direct", 600 }, { "vmem:scanned_kswapd", 70000 },
	       { "vmem:scanned_direct", 800 }, { "vmem:oom_kills", 2 });
	plugin_copy("hand-4.14-later", "/proc/vmstat", root); /* keys have moved both ways */
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "vmem:page_faults", 123456789 }, { "vmem:paged_in", KIB * 5000001 }, { "vmem:oom_kills", 2 });
	fake_host_free(f);
	fake_tree_free(root);

	f = sampled("vmem", "hand-2.6.18");
	EXPECT(f, { "vmem:page_faults", 123 }, { "vmem:oom_kills", NAN }, { "vmem:reclaimed_kswapd", NAN });
	fake_host_free(f);
}
END_TEST

/* A key that is not there is looked for again, though seldom */
START_TEST(vmem_key_comes)
{
	struct fake_host *f;
	char root[64];

	plugin_copy("hand-2.6.18", "/proc/vmstat", fake_tree_new(root));
	f = start("vmem", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	plugin_copy("hand-4.14", "/proc/vmstat", root);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "vmem:oom_kills", 2 }, { "vmem:page_faults", 80000000 });
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

START_TEST(vmem_verbose)
{
	struct fake_host *f = fake_host_new(plugin_load("vmem"), NULL);
	char root[64];
	uint64_t made;

	fake_host_free(f);
	plugin_copy("hand-4.14", "/proc/vmstat", fake_tree_new(root));
	f = fake_host_new(plugin_load("vmem"), root);
	fake_host_option(f, "verbose", "true");
	ck_assert_int_eq(fake_host_start(f), 0);
	ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(fake_host_instances(f, "vmpage"), 7);
	ck_assert_uint_eq(fake_host_instances(f, "vmevent"), 24);
	EXPECT(f, { "vmpage:dirty:pages", 101 }, { "vmpage:free_pages:pages", 500000 },
	       { "vmpage:workingset_nodes:pages", 42 },
	       { "vmevent:vmscan_write:count", 77 }, { "vmevent:pgalloc_normal:count", 90000000 },
	       { "vmevent:numa_pte_updates:count", 0 });
	made = f->n_series_calls;
	plugin_copy("hand-4.14-later", "/proc/vmstat", root);
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "vmpage:dirty:pages", 9 }, { "vmevent:pgfault:count", 123456789 });
	/* another order, a line more: the old ones keep their series */
	fake_write(root, "/proc/vmstat", "pgfault 5\nnr_dirty 6\nnr_new 7\nodd\nlast 8\npgmajfault 9");
	ck_assert_int_eq(fake_host_sample(f), 0);
	EXPECT(f, { "vmevent:pgfault:count", 5 }, { "vmpage:dirty:pages", 6 }, { "vmpage:new:pages", 7 },
	       { "vmevent:last:count", 8 }, { "vmevent:pgmajfault:count", 4000 });
	ck_assert_uint_eq(f->n_series_calls, made + 2);
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

/*
 * ---- all
 * --------------------------------------------------------------------------------------------------------
 */

static const char *const names[] = { "cpu", "memory", "load", "disk", "df", "swap", "vmem", "uptime" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))

/* The descriptor is the only symbol that can be seen */
START_TEST(one_symbol)
{
	char command[256], line[512];
	unsigned n = 0;
	FILE *nm;

	snprintf(command, sizeof(command), "nm -D --defined-only ./plugins/%s.so 2>/dev/null", names[_i]);
	nm = popen(command, "r");
	ck_assert_ptr_nonnull(nm);
	while (fgets(line, sizeof(line), nm)) {
		char *name = strrchr(line, ' ');

		ck_assert_ptr_nonnull(name);
		if (strstr(name, "asan") || strstr(name, "ubsan") || strstr(name, "gcov") || strstr(name, "odr"))
			continue; /* the instrumentation's own */
		ck_assert_msg(strcmp(name, " kith_plugin\n") == 0, "%s shows%s", names[_i], name);
		n++;
	}
	ck_assert_msg(pclose(nm) == 0, "nm is needed: install binutils");
	ck_assert_uint_eq(n, 1);
}
END_TEST

/* Without its file a plugin says so, and leaves nothing behind */
START_TEST(missing_file)
{
	struct fake_host *f;
	char root[64];

	f = fake_host_new(plugin_load(names[_i]), fake_tree_new(root));
	if (strcmp(names[_i], "uptime") == 0) {
		ck_assert_int_eq(fake_host_start(f), 0); /* has none */
	} else {
		f->fail_source = -ENOENT; /* of df, whose file kithd reads */
		ck_assert_int_eq(fake_host_start(f), -ENOENT);
		ck_assert_ptr_nonnull(f->last_log);
		ck_assert_ptr_nonnull(strstr(f->last_log, strcmp(names[_i], "df") ? "cannot open /proc/" : "cannot read the mount table /proc/"));
		ck_assert(f->plugin->needs & KITH_NEEDS_PROCFS);
	}
	fake_host_free(f);
	fake_tree_free(root);
}
END_TEST

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Started and stopped again, over and over: no descriptor stays */
START_TEST(start_stop)
{
	const struct kith_plugin *plugin = plugin_load(names[_i]);
	unsigned before = open_files();

	for (int i = 0; i < 20; i++) {
		struct fake_host *f = fake_host_new(plugin, i % 2 ? plugin_tree("linux-6.18") : "");

		ck_assert_int_eq(fake_host_start(f), 0);
		ck_assert_int_eq(fake_host_sample(f), 0);
		ck_assert_int_eq(fake_host_sample(f), 0);
		ck_assert(f->n_puts > 0 || strcmp(names[_i], "df") == 0);
		fake_host_free(f);
	}
	ck_assert_uint_eq(open_files(), before);
}
END_TEST

/* On a steady host nothing is made after the first tick */
START_TEST(steady)
{
	struct fake_host *f = start(names[_i], strcmp(names[_i], "df") == 0 ? "" : plugin_tree("hand-4.14"));
	uint64_t made;

	ck_assert_int_eq(fake_host_sample(f), 0);
	made = f->n_series_calls;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(fake_host_sample(f), 0);
	ck_assert_uint_eq(f->n_series_calls, made);
	ck_assert_uint_eq(f->n_ends, 0);
	fake_host_free(f);
}
END_TEST

/* Its page names every metric and option */
START_TEST(documented)
{
	const struct kith_plugin *plugin = plugin_load(names[_i]);
	const char *srcdir = getenv("srcdir");
	char path[1024], word[80], *text = calloc(1, 1 << 16);
	FILE *page;

	snprintf(path, sizeof(path), "%s/plugins/%s/README", srcdir ? srcdir : ".", names[_i]);
	page = fopen(path, "r");
	ck_assert_msg(page != NULL, "%s is missing", path);
	ck_assert_uint_gt(fread(text, 1, (1 << 16) - 1, page), 0);
	fclose(page);
	for (uint32_t k = 0; k < plugin->n_families; k++)
		for (uint32_t m = 0; m < plugin->families[k].n_metrics; m++) {
			snprintf(word, sizeof(word), "\n  %s ", plugin->families[k].metrics[m].name);
			ck_assert_msg(strstr(text, word) != NULL, "%s does not tell of%s", path, word + 2);
		}
	for (uint32_t k = 0; k < plugin->n_options; k++) {
		snprintf(word, sizeof(word), "\n  %s ", plugin->options[k].name);
		ck_assert_msg(strstr(text, word) != NULL, "%s does not tell of%s", path, word + 2);
	}
	free(text);
}
END_TEST

static const struct {
	const char *plugin, *tree, *path;
} cuts[] = {
	{ "cpu", "linux-6.18", "/proc/stat" },       { "cpu", "hand-4.14", "/proc/stat" },
	{ "memory", "linux-6.18", "/proc/meminfo" }, { "memory", "hand-2.6.18", "/proc/meminfo" },
	{ "load", "hand-4.14", "/proc/loadavg" },    { "disk", "linux-6.18", "/proc/diskstats" },
	{ "disk", "hand-4.14", "/proc/diskstats" },  { "swap", "hand-4.14", "/proc/meminfo" },
	{ "swap", "hand-4.14", "/proc/vmstat" },     { "vmem", "hand-4.14", "/proc/vmstat" },
	{ "vmem", "linux-6.18", "/proc/vmstat" },
};

START_TEST(every_prefix)
{
	plugin_prefixes(cuts[_i].plugin, cuts[_i].tree, cuts[_i].path);
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Changes 1 to 8 bytes of a text, to digits, blanks, ends of lines and anything else */
static void mutate(char *text, size_t length, uint64_t *random)
{
	static const char likely[] = "0123456789  \n\n:-\t";

	for (uint64_t n = next_random(random) % 8 + 1; n > 0; n--) {
		uint64_t r = next_random(random);

		text[r % length] = r & 0x10000 ? likely[(r >> 20) % (sizeof(likely) - 1)] : (char)(r >> 24 | 1);
	}
}

/* Nonsense in, no matter what comes out; the sanitizers watch. The plugin stays up and takes the good text after. */
START_TEST(mutations)
{
	const char *path = cuts[_i].path, *tree = cuts[_i].tree;
	char *text = plugin_text(tree, path), *bad = strdup(text), root[64];
	uint64_t random = 0x9e3779b97f4a7c15 + (uint64_t)_i;
	size_t length = strlen(text);
	struct fake_host *f;

	fake_tree_new(root);
	plugin_copy(tree, "/proc/meminfo", root);
	plugin_copy(tree, "/proc/vmstat", root);
	plugin_copy(tree, path, root);
	f = fake_host_new(plugin_load(cuts[_i].plugin), root);
	if (strcmp(cuts[_i].plugin, "vmem") == 0)
		fake_host_option(f, "verbose", "true");
	ck_assert_int_eq(fake_host_start(f), 0);
	for (int i = 0; i < 300; i++) {
		memcpy(bad, text, length);
		mutate(bad, length, &random);
		ck_assert_int_eq(fake_write(root, path, bad), 0);
		fake_host_sample(f);
	}
	ck_assert_int_eq(fake_write(root, path, text), 0);
	for (int i = 0; i < 20; i++)
		fake_host_sample(f); /* a key that was missing is looked for again after 16 reads */
	ck_assert_int_eq(fake_host_sample(f), 0);
	fake_host_free(f);
	fake_tree_free(root);
	free(text);
	free(bad);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("plugins");
	TCase *t;

	t = tcase_create("cpu");
	tcase_add_test(t, cpu_recorded);
	tcase_add_test(t, cpu_hotplug);
	tcase_add_test(t, cpu_reset);
	tcase_add_test(t, cpu_shapes);
	tcase_add_test(t, cpu_total_alone);
	tcase_add_test(t, cpu_cut_off_ends_nothing);
	tcase_add_test(t, cpu_cap);
	suite_add_tcase(s, t);
	t = tcase_create("memory");
	tcase_add_test(t, memory_recorded);
	tcase_add_test(t, memory_shapes);
	suite_add_tcase(s, t);
	t = tcase_create("load, uptime");
	tcase_add_test(t, load_values);
	tcase_add_test(t, uptime_value);
	suite_add_tcase(s, t);
	t = tcase_create("swap");
	tcase_add_test(t, swap_values);
	tcase_add_test(t, swap_reads_io_rarely_unless_wanted);
	tcase_add_test(t, swap_of_this_host);
	suite_add_tcase(s, t);
	t = tcase_create("vmem");
	tcase_add_test(t, vmem_values);
	tcase_add_test(t, vmem_key_comes);
	tcase_add_test(t, vmem_verbose);
	suite_add_tcase(s, t);
	t = tcase_create("all");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, one_symbol, 0, N_NAMES);
	tcase_add_loop_test(t, missing_file, 0, N_NAMES);
	tcase_add_loop_test(t, start_stop, 0, N_NAMES);
	tcase_add_loop_test(t, steady, 0, N_NAMES);
	tcase_add_loop_test(t, documented, 0, N_NAMES);
	tcase_add_loop_test(t, mutations, 0, (int)(sizeof(cuts) / sizeof(cuts[0])));
	tcase_add_loop_test(t, every_prefix, 0, (int)(sizeof(cuts) / sizeof(cuts[0])));
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_add_suite(runner, suite_disk());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
