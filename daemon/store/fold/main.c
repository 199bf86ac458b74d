/* kith-fold: samples of the journal into RRD files, and answers about the past. See kith-fold(8). */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/places.h"
#include "store/fold/answer.h"
#include "store/fold/export.h"
#include "store/fold/fold.h"
#include "store/fold/verify.h"

#define NICE 19
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

enum mode { MODE_FOLD, MODE_ANSWER, MODE_VERIFY, MODE_EXPORT };

struct options {
	struct fold_config fold;
	enum mode mode;
	bool repair;
	const char *format, *to, *since, *until;
	bool step_given;
	const char *archives;
};

static const struct option long_options[] = {
	{ "state-dir", required_argument, NULL, 'S' },
	{ "step", required_argument, NULL, 's' },
	{ "archives", required_argument, NULL, 'a' },
	{ "keep", required_argument, NULL, 'k' },
	{ "cached", required_argument, NULL, 'c' },
	{ "answer", no_argument, NULL, 'A' },
	{ "verify", no_argument, NULL, 'E' },
	{ "repair", no_argument, NULL, 'R' },
	{ "export", required_argument, NULL, 'X' },
	{ "to", required_argument, NULL, 'T' },
	{ "since", required_argument, NULL, 'f' },
	{ "until", required_argument, NULL, 'u' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void usage(void)
{
	puts("Usage: kith-fold [--state-dir DIR] [OPTION]…\n"
	     "Folds sealed segments of the journal into RRD files. See kith-fold(8).\n\n"
	     "      --state-dir DIR      kithd's (" KITH_STATEDIR ")\n"
	     "      --step TIME          of new files (10s)\n"
	     "      --archives LIST      of new files (" ARCHIVES_DEFAULT ")\n"
	     "      --keep TIME          files that nothing came for are removed after that (30d)\n"
	     "      --cached ADDRESS     rrdcached: unix:/PATH or HOST:PORT\n"
	     "      --answer             a request of the past on standard input: for kithd\n"
	     "      --verify             check segments, RRD files and records; --repair: and put right what can be\n"
	     "      --export csv         samples and rows on standard output: [--since TIME] [--until TIME] [--step TIME] [PATTERN…]\n"
	     "      --export rrd --to DIR  RRD files with all that is known: [PATTERN…]\n"
	     "  -v, --verbose            say what was done\n"
	     "  -V, --version            print the version\n"
	     "  -h, --help               print this");
}

/* What runs beside it matters more. */
static void step_back(void)
{
	setpriority(PRIO_PROCESS, 0, NICE);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static int take_time(const char *what, const char *text, int64_t *ret_ns)
{
	if (duration_parse(text, strlen(text), ret_ns) == 0)
		return 0;
	fprintf(stderr, "kith-fold: %s: \"%s\" is no time in whole seconds, such as 10s, 1min, 2h, 30d\n", what, text);
	return -EINVAL;
}

static int option(struct options *o, int c)
{
	switch (c) {
	case 'S':
		o->fold.state = optarg;
		return 0;
	case 's':
		o->step_given = true;
		return take_time("--step", optarg, &o->fold.step);
	case 'a':
		o->archives = optarg;
		return 0;
	case 'k':
		return take_time("--keep", optarg, &o->fold.keep);
	case 'c':
		o->fold.cached = optarg;
		return 0;
	case 'A':
		o->mode = MODE_ANSWER;
		return 0;
	case 'E':
		o->mode = MODE_VERIFY;
		return 0;
	case 'R':
		o->repair = true;
		return 0;
	case 'X':
		o->mode = MODE_EXPORT;
		o->format = optarg;
		return 0;
	case 'T':
		o->to = optarg;
		return 0;
	case 'f':
		o->since = optarg;
		return 0;
	case 'u':
		o->until = optarg;
		return 0;
	case 'v':
		log_set_level(LOG_LEVEL_INFO);
		return 0;
	case 'V':
		puts("kith-fold " PACKAGE_VERSION);
		exit(0);
	case 'h':
		usage();
		exit(0);
	default:
		fprintf(stderr, "Try kith-fold --help.\n");
		return -EINVAL;
	}
}

static int finish(struct options *o)
{
	struct buf why = BUF_INIT;
	int r = 0;

	archives_default(o->fold.step, &o->fold.archives);
	if (o->archives)
		r = archives_parse(o->archives, o->fold.step, &o->fold.archives, &why);
	if (r < 0)
		fprintf(stderr, "kith-fold: --archives: %s\n", buf_text(&why));
	buf_free(&why);
	return r;
}

static int export(const struct options *o, char **patterns, int n)
{
	struct export e = { .state = o->fold.state, .patterns = patterns, .n = (size_t)n, .to = clock_wall() };

	if (!strcmp(o->format, "rrd") && o->to && !o->since && !o->until)
		return export_rrd(&e, &o->fold, o->to);
	if (strcmp(o->format, "csv") != 0 || o->to) {
		fprintf(stderr, "kith-fold: --export csv, or --export rrd --to DIR\n");
		return 2;
	}
	if ((o->since && export_time(o->since, e.to, &e.from) < 0) || (o->until && export_time(o->until, e.to, &e.to) < 0) || e.from > e.to) {
		fprintf(stderr, "kith-fold: --since and --until are times such as 2h (ago), 2026-11-28T12:00:00Z, 1795867200\n");
		return 2;
	}
	e.step = o->step_given ? o->fold.step : 0;
	return export_csv(&e);
}

/* The record store, by the program that knows it. 0: all is well, or there is none */
static int verify_records(const struct options *o)
{
	char path[PATH_MAX], *records = NULL;
	int status = 0;
	pid_t pid;

	if (asprintf(&records, "%s/records", o->fold.state) < 0)
		return 1;
	if (access(records, F_OK) < 0) {
		free(records);
		return 0;
	}
	free(records);
	places_program("kith-log", path);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl(path, path, "--state-dir", o->fold.state, "--verify", o->repair ? (char *)NULL : "--look", (char *)NULL);
		fprintf(stderr, "kith-fold: %s: %s\n", path, strerror(errno));
		_exit(1);
	}
	return pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int main(int argc, char **argv)
{
	struct options o = { .fold = { .state = KITH_STATEDIR, .step = 10 * NS_PER_S, .keep = 30 * 86400 * NS_PER_S } };
	int c;

	log_set_level(LOG_LEVEL_NOTICE);
	while ((c = getopt_long(argc, argv, "vVh", long_options, NULL)) >= 0)
		if (option(&o, c) < 0)
			return 2;
	if (optind < argc && o.mode != MODE_EXPORT) {
		fprintf(stderr, "kith-fold: \"%s\" is one argument too many\n", argv[optind]);
		return 2;
	}
	if (finish(&o) < 0)
		return 2;
	/* Whoever reads may go away. */
	signal(SIGPIPE, SIG_IGN);
	if (o.mode == MODE_ANSWER)
		return answer_run(o.fold.state, o.fold.cached, STDIN_FILENO, STDOUT_FILENO) == 0 ? 0 : 1;
	step_back();
	if (o.mode == MODE_VERIFY)
		return (verify_run(o.fold.state, o.repair) != 0) | verify_records(&o);
	if (o.mode == MODE_EXPORT)
		return export(&o, argv + optind, argc - optind);
	return fold_run(&o.fold) == 0 ? 0 : 1;
}
