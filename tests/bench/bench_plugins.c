/*
 * What a round of each plugin that samples costs, beside a bare pread of the files that it reads: CPU time of this
 * process, the median of some runs. The host table is a fake one that does next to nothing, so that the difference
 * is the plugin's own.
 *
 *   bench_plugins [ROUNDS]
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fake_host.h"

#define RUNS 9

static char text[4 << 20];
static uint64_t n_values;
static double sink; /* keeps the values from being optimised away */

struct files {
	const char *plugin;
	const char *paths[3];
};

static const struct files plugins[] = {
	{ "cpu", { "/proc/stat" } },       { "memory", { "/proc/meminfo" } }, { "load", { "/proc/loadavg" } },
	{ "disk", { "/proc/diskstats" } }, { "vmem", { "/proc/vmstat" } },    { "df", { NULL } },
	{ "swap", { NULL } },              { "uptime", { NULL } },
};

static int bare_put(const struct kith_host *h, kith_id id, double value)
{
	(void)h;
	(void)id;
	sink += value;
	n_values++;
	return 0;
}

static int bare_put_all(const struct kith_host *h, kith_id id, const double *values, uint32_t n)
{
	(void)h;
	(void)id;
	for (uint32_t i = 0; i < n; i++) {
		if (isnan(values[i]))
			continue;
		sink += values[i];
		n_values++;
	}
	return 0;
}

static int bare_read(const struct kith_host *h, int fd, char **ret_text, size_t *ret_length)
{
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	(void)h;
	if (n < 0)
		return -1;
	text[n] = '\0';
	*ret_text = text;
	*ret_length = (size_t)n;
	return 0;
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double bare_round(const struct files *files, int rounds)
{
	double runs[RUNS];
	int fds[3], n = 0;

	while (n < 3 && files->paths[n]) {
		fds[n] = open(files->paths[n], O_RDONLY | O_CLOEXEC);
		n++;
	}
	for (int k = 0; k < RUNS; k++) {
		double start = cpu_ns();

		for (int i = 0; i < rounds; i++)
			for (int f = 0; f < n; f++)
				if (pread(fds[f], text, sizeof(text) - 1, 0) < 0)
					return (double)NAN;
		runs[k] = (cpu_ns() - start) / rounds;
	}
	while (n > 0)
		close(fds[--n]);
	qsort(runs, RUNS, sizeof(runs[0]), by_value);
	return runs[RUNS / 2];
}

static double plugin_round(const char *name, int rounds, uint64_t *ret_values)
{
	const struct kith_plugin *plugin;
	char path[256];
	struct fake_host *f;
	double runs[RUNS];
	void *library;

	snprintf(path, sizeof(path), "./plugins/%s.so", name);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "bench_plugins: %s: run it in the folder of the build\n", dlerror());
		exit(1);
	}
	plugin = dlsym(library, "kith_plugin");
	if (!plugin) {
		fprintf(stderr, "bench_plugins: %s: no kith_plugin: %s\n", path, dlerror());
		exit(1);
	}
	f = fake_host_new(plugin, "");
	f->host.put = bare_put;
	f->host.put_all = bare_put_all;
	f->host.read = bare_read;
	if (fake_host_start(f) < 0) {
		fprintf(stderr, "bench_plugins: %s does not start: %s\n", name, f->last_log ? f->last_log : "");
		exit(1);
	}
	fake_host_sample(f);
	n_values = 0;
	fake_host_sample(f);
	*ret_values = n_values;
	for (int k = 0; k < RUNS; k++) {
		double start = cpu_ns();

		for (int i = 0; i < rounds; i++)
			fake_host_sample(f);
		runs[k] = (cpu_ns() - start) / rounds;
	}
	fake_host_free(f);
	qsort(runs, RUNS, sizeof(runs[0]), by_value);
	return runs[RUNS / 2];
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1000;
	double bare_sum = 0, plugin_sum = 0;
	uint64_t values_sum = 0;

	if (rounds < 1) {
		fprintf(stderr, "bench_plugins: the number of rounds must be 1 or more\n");
		return 2;
	}
	printf("%-10s %10s %10s %10s %8s %10s\n", "plugin", "pread ns", "plugin ns", "own ns", "values", "ns/value");
	for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]); i++) {
		uint64_t values;
		double bare = bare_round(&plugins[i], rounds);
		double whole = plugin_round(plugins[i].plugin, rounds, &values);

		printf("%-10s %10.0f %10.0f %10.0f %8llu %10.0f\n", plugins[i].plugin, bare, whole, whole - bare,
		       (unsigned long long)values, values ? whole / (double)values : 0);
		bare_sum += bare;
		plugin_sum += whole;
		values_sum += values;
	}
	printf("%-10s %10.0f %10.0f %10.0f %8llu %10.0f\n", "all", bare_sum, plugin_sum, plugin_sum - bare_sum,
	       (unsigned long long)values_sum, values_sum ? plugin_sum / (double)values_sum : 0);
	return sink < 0;
}
