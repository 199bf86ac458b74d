/* Services by their supervisors: systemd, s6, runit. See the README beside. */
#include "service/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define E KITH_METRIC_EVENT
static const struct kith_metric metrics[N_METRICS] = {
	[METRIC_STATE] = { "state", NULL, "what the supervisor says of it", state_words, KITH_STATE, E },
	[METRIC_SUBSTATE] = { "substate", NULL, "the same in the supervisor's own terms", substate_words, KITH_STATE, E },
	[METRIC_RESULT] = { "result", NULL, "how its last run ended", result_words, KITH_STATE, E },
	[METRIC_LOAD] = { "load", NULL, "whether its definition could be read, or is masked", load_words, KITH_STATE, E },
	[METRIC_ENABLED] = { "enabled", NULL, "whether it is started at boot", enabled_words, KITH_STATE, E },
	[METRIC_RESTARTS] = { "restarts", "restarts", "how often its supervisor has started it again", NULL, KITH_COUNTER, E },
	[METRIC_SINCE] = { "since", "s", "time of the last change of its state, since 1970", NULL, KITH_GAUGE, E },
	[METRIC_PID] = { "pid", NULL, "its main process; 0: none", NULL, KITH_GAUGE, E },
	[METRIC_EXIT_STATUS] = { "exit_status", NULL, "exit status of its main process when that last ended by itself, else 0", NULL,
	                         KITH_GAUGE, E },
	[METRIC_SIGNAL] = { "signal", NULL, "signal that last ended its main process; 0: none", NULL, KITH_GAUGE, E },
};

static const struct kith_family families[] = {
	{ KITH_FAMILY_INIT, .name = "service", .help = "services under a supervisor", .instance = "service", .metrics = metrics,
	  .n_metrics = N_METRICS },
};

static const struct kith_option options[] = {
	{ .name = "units", .fallback = "*.service", .help = "systemd's units to follow (globs)", .type = KITH_OPTION_LIST },
	{ .name = "ignore", .help = "units to leave out (globs)", .type = KITH_OPTION_LIST },
	{ .name = "bus", .help = "system: the system bus alone; private: systemd's own socket alone (root); unset: the second where there is no first",
	  .type = KITH_OPTION_STRING },
	{ .name = "s6", .fallback = "/run/service,/run/s6-rc/servicedirs", .help = "folders of s6's service folders", .type = KITH_OPTION_LIST },
	{ .name = "runit", .fallback = "/etc/service", .help = "folders of runit's service folders", .type = KITH_OPTION_LIST },
};

static bool has_systemd(const struct kith_host *h)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/run/systemd/system", h->root(h));
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int service_init(const struct kith_host *h, void **ret_state)
{
	struct service *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->h = h;
	s->n_globs = h->option_list(h, "units", &s->globs);
	s->n_ignore = h->option_list(h, "ignore", &s->ignore);
	s->quiet = true;
	r = supervise_start(s, "s6", S6);
	if (r == 0)
		r = supervise_start(s, "runit", RUNIT);
	if (r == 0 && has_systemd(h))
		r = systemd_start(s);
	else if (r == 0 && !s->scans) {
		h->note(h, "it needs a supervisor: neither systemd runs here, nor is there a folder of s6 or runit (options \"s6\", \"runit\")");
		r = -EOPNOTSUPP;
	}
	s->quiet = false;
	if (r == 0)
		r = h->watch_wanted(h, 0, unit_wanted, s, NULL);
	if (r < 0)
		goto fail;
	*ret_state = s;
	return 0;
fail:
	systemd_stop(s);
	supervise_stop(s);
	units_free(s);
	free(s);
	return r;
}

static void service_fini(void *state)
{
	struct service *s = state;

	systemd_stop(s);
	supervise_stop(s);
	units_free(s);
	free(s);
}

static int service_resync(void *state)
{
	systemd_resync(state);
	supervise_resync(state);
	return 0;
}

KITH_PLUGIN = {
	KITH_PLUGIN_INIT,
	.name = "service",
	.version = "1",
	.help = "services: state, restarts and results as systemd, s6 and runit announce them",
	.provides = KITH_PROVIDES_SAMPLES | KITH_PROVIDES_RECORDS | KITH_PROVIDES_RESYNC,
	.families = families,
	.n_families = KITH_COUNT(families),
	.option_size = sizeof(struct kith_option),
	.options = options,
	.n_options = KITH_COUNT(options),
	.init = service_init,
	.fini = service_fini,
	.resync = service_resync,
	.hears = "systemd's signals on D-Bus; s6's event fifos; inotify on runit's status files",
	.costs = "nothing until a service changes state; a dozen signals of 30 us each when one does; 1 MiB with 386 "
	         "services",
};
