#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "sources/pressure.h"

#define NO_LIMIT 1e18 /* version 1 writes a bit less than 2^63 where there is none */

enum form { NUMBER, CPU, IO, PRESSURE, REFUSED };

static const struct file {
	enum kith_cgroup_tree tree;
	const char *name;
	enum form form;
	enum metric metric; /* the first */
	bool slow;
} files[] = {
	{ KITH_CGROUP_V2, "memory.current", NUMBER, MEMORY, false },
	{ KITH_CGROUP_V2, "memory.peak", NUMBER, MEMORY_PEAK, true },
	{ KITH_CGROUP_V2, "memory.max", NUMBER, MEMORY_LIMIT, true },
	{ KITH_CGROUP_V2, "memory.swap.current", NUMBER, SWAP, false },
	{ KITH_CGROUP_V2, "pids.current", NUMBER, PIDS, false },
	{ KITH_CGROUP_V2, "pids.max", NUMBER, PIDS_LIMIT, true },
	{ KITH_CGROUP_V2, "cpu.stat", CPU, CPU_USAGE, false },
	{ KITH_CGROUP_V2, "io.stat", IO, IO_READ, false },
	{ KITH_CGROUP_V2, "memory.pressure", PRESSURE, MEMORY_SOME, false },
	{ KITH_CGROUP_V2, "cpu.pressure", PRESSURE, CPU_SOME, false },
	{ KITH_CGROUP_V2, "io.pressure", PRESSURE, IO_SOME, false },
	{ KITH_CGROUP_V1_MEMORY, "memory.usage_in_bytes", NUMBER, MEMORY, false },
	{ KITH_CGROUP_V1_MEMORY, "memory.max_usage_in_bytes", NUMBER, MEMORY_PEAK, true },
	{ KITH_CGROUP_V1_MEMORY, "memory.limit_in_bytes", NUMBER, MEMORY_LIMIT, true },
	{ KITH_CGROUP_V1_PIDS, "pids.current", NUMBER, PIDS, false },
	{ KITH_CGROUP_V1_PIDS, "pids.max", NUMBER, PIDS_LIMIT, true },
	{ KITH_CGROUP_V1_PIDS, "pids.events", REFUSED, PIDS, false },
};
_Static_assert(KITH_COUNT(files) == N_FILES, "the table and its size differ");

static const struct kith_key cpu_keys[N_CPU_KEYS] = { KITH_KEY("usage_usec "), KITH_KEY("user_usec "), KITH_KEY("system_usec "),
	                                              KITH_KEY("nr_periods "), KITH_KEY("nr_throttled "), KITH_KEY("throttled_usec ") };

bool files_parse_number(const char *text, double *ret_value)
{
	uint64_t v;

	if (kith_scan_u64(&text, &v) < 0 || *text != '\n' || (double)v >= NO_LIMIT)
		return false;
	*ret_value = (double)v;
	return true;
}

int files_parse_cpu(const char *text, size_t length, uint32_t *at, double *values)
{
	double v[N_CPU_KEYS];
	uint32_t n = kith_scan_keys(text, length, cpu_keys, N_CPU_KEYS, at, v);

	for (int i = 0; i < N_CPU_KEYS; i++) {
		bool count = i == CPU_PERIODS - CPU_USAGE || i == CPU_THROTTLED_PERIODS - CPU_USAGE;

		values[CPU_USAGE - FIRST_SAMPLED + i] = count ? v[i] : v[i] / 1e6;
	}
	return (int)n;
}

int files_parse_io(const char *text, double *values)
{
	static const char *const keys[] = { "rbytes=", "wbytes=", "rios=", "wios=" };
	double *sums = values + (IO_READ - FIRST_SAMPLED);
	int lines = 0;

	for (; *text; text = kith_scan_line(text)) {
		const char *s = text + strcspn(text, " \n");
		uint64_t v;

		if (!strchr(text, '\n'))
			break; /* cut off */
		for (; *s == ' '; s += strcspn(s, " \n")) {
			s++;
			for (int i = 0; i < 4; i++) {
				const char *number = s + strlen(keys[i]);

				if (!strncmp(s, keys[i], strlen(keys[i])) && kith_scan_u64(&number, &v) == 0 && (*number == ' ' || *number == '\n'))
					sums[i] = (isnan(sums[i]) ? 0 : sums[i]) + (double)v;
			}
		}
		lines++;
	}
	/* A group that has done nothing yet has an empty file */
	for (int i = 0; i < 4 && !lines; i++)
		sums[i] = 0;
	return lines;
}

void files_init(struct files *f)
{
	*f = (struct files){ 0 };
	for (size_t i = 0; i < N_FILES; i++)
		f->fd[i] = -1;
}

void files_open(struct files *f, const struct kith_host *h, enum kith_cgroup_tree tree, const char *directory, bool pressure)
{
	char path[4400];

	f->open = true;
	for (size_t i = 0; i < N_FILES; i++) {
		if (f->fd[i] >= 0 || files[i].tree != tree || (files[i].form == PRESSURE && !pressure))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", directory, files[i].name) >= (int)sizeof(path))
			continue;
		f->fd[i] = h->open(h, path);
		if (f->fd[i] < 0)
			f->fd[i] = -1;
	}
}

void files_close(struct files *f)
{
	for (size_t i = 0; i < N_FILES; i++)
		if (f->fd[i] >= 0)
			close(f->fd[i]);
	files_init(f);
}

static void pressure_values(const char *text, double *values)
{
	double v[KITH_PRESSURE_VALUES];

	kith_pressure_parse(text, v);
	values[0] = v[KITH_PRESSURE_SOME_AVG10];
	values[1] = v[KITH_PRESSURE_FULL_AVG10];
}

int files_read(struct files *f, const struct kith_host *h, bool slow, double *values)
{
	int result = 0;

	for (int i = 0; i < N_VALUES; i++)
		values[i] = NAN;
	for (size_t i = 0; i < N_FILES; i++) {
		double *value = values + ((int)files[i].metric - FIRST_SAMPLED);
		size_t length;
		char *text;
		int r;

		if (f->fd[i] < 0 || (files[i].slow && !slow))
			continue;
		r = h->read(h, f->fd[i], &text, &length);
		if (r < 0) {
			/* ENODEV: the group, or its controller, is gone. EOPNOTSUPP: cgroup.pressure was switched off */
			close(f->fd[i]);
			f->fd[i] = -1;
			if (r != -ENODEV && r != -EOPNOTSUPP && result == 0)
				result = r;
			continue;
		}
		switch (files[i].form) {
		case NUMBER:
			files_parse_number(text, value);
			break;
		case CPU:
			files_parse_cpu(text, length, f->at, values);
			break;
		case IO:
			files_parse_io(text, values);
			break;
		case PRESSURE:
			pressure_values(text, value);
			break;
		case REFUSED:
			if (!strncmp(text, "max ", 4))
				files_parse_number(text + 4, &values[V1_REFUSED]);
			break;
		}
	}
	return result;
}
