/* What the control server asks of the daemon: plugins and their cost, the state of the whole. */
#include <config.h>

#include "daemon.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

const char *answer_host_name(const struct conf *conf)
{
	static char name[256];

	if (conf && conf->host)
		return conf->host;
	if (gethostname(name, sizeof(name) - 1) < 0)
		strcpy(name, "localhost");
	return name;
}

static int answer_plugin(size_t index, struct control_plugin *ret_plugin, void *user)
{
	struct daemon *d = user;
	struct host_info info;
	int r = host_info(d->host, index, &info);

	if (r < 0)
		return r;
	*ret_plugin = (struct control_plugin){
		.name = info.name,
		.version = info.version,
		.state = host_state_name(info.state),
		.reason = info.reason,
		.file = info.file,
		.series = info.series,
		.calls = info.calls,
		.cpu_ns = info.cpu_ns,
		.samples = info.samples,
		.failures = info.failures,
		.allocations = info.allocations,
	};
	return 0;
}

static void answer_status(struct control_status *ret_status, void *user)
{
	struct daemon *d = user;
	struct control_status s = { .version = PACKAGE_VERSION, .host = answer_host_name(d->conf), .started = d->started, .journal = d->journal,
		                    .interval = d->conf->interval };
	int64_t up = loop_now(d->loop) - d->started;
	struct rusage usage;
	struct timespec cpu;
	unsigned long size, resident, shared;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%lu %lu %lu", &size, &resident, &shared) == 3) {
		s.rss = resident * (uint64_t)sysconf(_SC_PAGESIZE);
		s.anonymous = (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
	}
	if (f)
		fclose(f);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	if (up > 0)
		s.cpu_percent = ((double)cpu.tv_sec * 1e9 + (double)cpu.tv_nsec) * 100 / (double)up;
	getrusage(RUSAGE_SELF, &usage);
	s.wakeups = (uint64_t)usage.ru_nvcsw;
	*ret_status = s;
}

void answer_daemon(struct daemon *d, struct control_daemon *ret_daemon)
{
	*ret_daemon = (struct control_daemon){ d, answer_plugin, answer_status };
}
