#include <config.h>

#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/places.h"

static const struct option options_long[] = {
	{ "foreground", no_argument, NULL, 'f' },
	{ "config", required_argument, NULL, 'c' },
	{ "state-dir", required_argument, NULL, 'S' },
	{ "run-dir", required_argument, NULL, 'R' },
	{ "plugin-dir", required_argument, NULL, 'P' },
	{ "promise-dir", required_argument, NULL, 'M' },
	{ "test", no_argument, NULL, 't' },
	{ "check", no_argument, NULL, 'C' },
	{ "explain", no_argument, NULL, 'X' }, /* with --check */
	{ "replay", required_argument, NULL, 'Y' }, /* of kith replay */
	{ "families", no_argument, NULL, 'F' }, /* too */
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ "isolated", required_argument, NULL, 'I' }, /* by kithd itself alone: not in the help */
	{ NULL, 0, NULL, 0 },
};

void options_usage(void)
{
	printf("Usage: kithd [OPTION]…\n"
	       "Watches this host: loads plugins, holds promises, answers kith(1). See kithd(8).\n\n"
	       "  -f, --foreground        stay in the foreground, log to standard error\n"
	       "  -c, --config FILE       configuration; conf.d beside it is read too\n"
	       "                          (%s/kith.conf)\n"
	       "      --state-dir DIR     what is kept over a restart\n"
	       "      --run-dir DIR       control socket and lock\n"
	       "      --plugin-dir DIR    where plugins are; may be given again\n"
	       "      --promise-dir DIR   where promises are; may be given again\n"
	       "  -t, --test              check configuration and promises, then exit: 0 good, 1 not\n"
	       "      --check FILE…       check these files of promises, then exit: 0 good, 1 not\n"
	       "      --explain           with --check: and say in plain English what they mean\n"
	       "      --replay TIME FILE… hold them against samples of the past: for kith replay\n"
	       "      --families FILE…    the families of series that they name, a line each: for kith replay\n"
	       "  -V, --version           print the version\n"
	       "  -h, --help              print this\n",
	       KITH_SYSCONFDIR);
}

static int options_add(const char **dirs, size_t *n, const char *dir, const char *what)
{
	if (*n >= OPTION_DIRS_MAX) {
		fprintf(stderr, "kithd: more than %d %s folders\n", OPTION_DIRS_MAX, what);
		return -EINVAL;
	}
	dirs[(*n)++] = dir;
	return 0;
}

/* Until options_free; memory that is short at the very start ends it. */
static const char *own(struct options *o, char *text)
{
	if (o->n_owned >= OPTION_OWNED_MAX || !text) {
		fprintf(stderr, "kithd: no memory\n");
		exit(1);
	}
	o->owned[o->n_owned++] = text;
	return text;
}

static const char *join(struct options *o, const char *a, const char *b)
{
	char *text = NULL;

	return own(o, asprintf(&text, "%s%s", a, b) < 0 ? NULL : text);
}

void options_free(struct options *o)
{
	while (o->n_owned)
		free(o->owned[--o->n_owned]);
}

/* Beside the program, for a daemon that runs from where it was built */
static const char *beside_program(struct options *o, const char *folder)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *found;
	char *slash;

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	found = join(o, path, folder);
	return access(found, R_OK) == 0 ? found : NULL;
}

static const char *user_run_dir(struct options *o)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char fallback[64];

	if (base && *base == '/')
		return join(o, base, "/kith");
	snprintf(fallback, sizeof(fallback), "/tmp/kith-%u", (unsigned)geteuid());
	return join(o, fallback, "");
}

static void options_defaults(struct options *o)
{
	if (!o->run_dir)
		o->run_dir = geteuid() == 0 ? "/run/kith" : user_run_dir(o);
	if (!o->state_dir)
		o->state_dir = own(o, places_state());
	if (!o->config)
		o->config = KITH_SYSCONFDIR "/kith.conf";
	if (!o->n_plugin_dirs) {
		const char *built = beside_program(o, "/plugins");

		o->plugin_dirs[o->n_plugin_dirs++] = access(KITH_PLUGINDIR, R_OK) == 0 || !built ? KITH_PLUGINDIR : built;
	}
	if (!o->n_promise_dirs) {
		const char *built = beside_program(o, "/promises/bundles");

		o->promise_dirs[o->n_promise_dirs++] =
		        access(KITH_DATADIR "/promises", R_OK) == 0 || !built ? KITH_DATADIR "/promises" : built;
		o->promise_dirs[o->n_promise_dirs++] = KITH_SYSCONFDIR "/promises.d";
	}
}

static const char *absolute(struct options *o, const char *path, const char *folder)
{
	return *path == '/' ? path : join(o, join(o, folder, "/"), path);
}

/* In the background kithd works from /, and only absolute paths can be watched. */
static void options_absolute(struct options *o)
{
	char folder[PATH_MAX];

	if (!getcwd(folder, sizeof(folder)))
		return;
	o->config = absolute(o, o->config, folder);
	o->state_dir = absolute(o, o->state_dir, folder);
	o->run_dir = absolute(o, o->run_dir, folder);
	for (size_t i = 0; i < o->n_plugin_dirs; i++)
		o->plugin_dirs[i] = absolute(o, o->plugin_dirs[i], folder);
	for (size_t i = 0; i < o->n_promise_dirs; i++)
		o->promise_dirs[i] = absolute(o, o->promise_dirs[i], folder);
}

static int options_time(const char *text, int64_t *ret_ns)
{
	char *end;

	errno = 0;
	*ret_ns = strtoll(text, &end, 10);
	if (!errno && end != text && !*end && *ret_ns >= 0)
		return 0;
	fprintf(stderr, "kithd: --replay wants a time in ns since 1970, not \"%s\"\n", text);
	return -EINVAL;
}

/* What getopt_long found; 0, or -EINVAL once it was said */
static int options_take(struct options *o, int c, bool *check)
{
	switch (c) {
	case 'f':
		o->foreground = true;
		return 0;
	case 'c':
		o->config = optarg;
		o->config_given = true;
		return 0;
	case 'S':
		o->state_dir = optarg;
		return 0;
	case 'R':
		o->run_dir = optarg;
		return 0;
	case 'P':
		return options_add(o->plugin_dirs, &o->n_plugin_dirs, optarg, "plugin");
	case 'M':
		return options_add(o->promise_dirs, &o->n_promise_dirs, optarg, "promise");
	case 't':
		o->test = true;
		return 0;
	case 'C':
		*check = true;
		return 0;
	case 'X':
		o->explain = true;
		return 0;
	case 'F':
		o->families = true;
		*check = true;
		return 0;
	case 'Y':
		o->replay = true;
		*check = true;
		return options_time(optarg, &o->replay_from);
	case 'I':
		o->isolated = optarg;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	default: /* '?': getopt_long said it */
		return -EINVAL;
	}
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options o = { 0 };
	bool check = false;
	int c, r = 0;

	while (!r && (c = getopt_long(argc, argv, "fc:tVh", options_long, NULL)) != -1)
		r = options_take(&o, c, &check);
	if (!r && (check ? optind == argc : optind != argc)) {
		fprintf(stderr, check ? "kithd: --check and --replay want files\n" : "kithd: \"%s\" is not understood\n", argv[optind]);
		r = -EINVAL;
	}
	if (!r && o.explain && !check) {
		fprintf(stderr, "kithd: --explain goes with --check\n");
		r = -EINVAL;
	}
	if (r < 0) {
		fprintf(stderr, "Try 'kithd --help'.\n");
		return r;
	}
	o.check_files = (const char *const *)argv + optind;
	o.n_check_files = (size_t)(argc - optind);
	options_defaults(&o);
	/* Faults are told by the names that were given. */
	if (!o.test && !check)
		options_absolute(&o);
	*ret_options = o;
	return 0;
}
