/* What the control server asks of the daemon: plugins and their cost, the state of the whole. */
#include <config.h>

#include "daemon.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/places.h"

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
		                    .state_dir = d->options.state_dir, .interval = d->conf->interval };
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
	if (d->records) {
		struct records_counts c;

		records_counts(d->records, &c);
		s.records_kept = c.kept;
		s.records_dropped = c.dropped;
		s.records_size = c.size;
	}
	*ret_status = s;
}

/* ---- programs that answer -------------------------------------------------------------------------------------------- */

#define ANSWER_NICE 10

struct answer_process {
	struct child *child;
	void (*ended)(int status, bool timed_out, void *user);
	void *user;
};

static void answer_ended(int status, bool timed_out, void *user)
{
	struct answer_process p = *(struct answer_process *)user;

	free(user);
	p.ended(status, timed_out, p.user);
}

static int answer_run(const struct control_run *run, void **ret_process, void *user)
{
	struct daemon *d = user;
	const int files[3] = { run->input, run->output, -1 };
	char path[PATH_MAX];
	const char *const log_argv[] = { path, "--state-dir", d->options.state_dir, "--host", answer_host_name(d->conf), NULL };
	const char *const mode_argv[] = { path, run->mode, "--state-dir", d->options.state_dir, NULL };
	struct child_request request = { .argv = run->mode ? mode_argv : log_argv, .files = files, .nice = ANSWER_NICE, .timeout = run->timeout ? run->timeout : -1,
		                         .done = answer_ended };
	struct answer_process *p;
	int r;

	r = places_program(run->program, path);
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->ended = run->ended;
	p->user = run->user;
	request.user = p;
	/* It finds all that was up to now. */
	if (d->records)
		records_flush(d->records);
	r = child_start(&d->children, &request, &p->child);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret_process = p;
	return 0;
}

static void answer_stop(void *process, void *user)
{
	struct answer_process *p = process;

	(void)user;
	child_forget(p->child);
	free(p);
}

void answer_daemon(struct daemon *d, struct control_daemon *ret_daemon)
{
	*ret_daemon = (struct control_daemon){ d, answer_plugin, answer_status, answer_run, answer_stop };
}
