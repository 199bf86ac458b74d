/* kith replay: the samples come from the daemon, `kithd --replay` holds the files against them, its findings are shown here. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/places.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/replay_past.h"

#define WARM_UP (24 * 3600 * NS_PER_S)

struct replay {
	struct cli *cli;
	FILE *past; /* frames for kithd --replay */
	/* what it found */
	int64_t from, to;
	uint64_t samples;
	uint32_t series, n_promises, n_broke, n_unknown;
	json_t *object, *promises, *transitions;
	struct table *table, *history;
};

/* ---- the samples ------------------------------------------------------------------------------------------------- */

/* A file in memory: kithd reads all of it before it says anything, and neither waits for the other. */
static FILE *memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "w+") : NULL;

	if (!f && fd >= 0)
		close(fd);
	if (!f)
		cli_fail("cannot keep what is read: %s", strerror(errno));
	return f;
}

/* ---- kithd --families, kithd --replay ---------------------------------------------------------------------------- */

static void run_kithd(const char *path, const struct cli *cli, const char *what, const char *argument, int in, int out)
{
	char **argv = calloc(cli->n_args + 5, sizeof(*argv));
	size_t n = 0;

	if (!argv)
		_exit(CLI_UNREACHABLE);
	argv[n++] = (char *)(uintptr_t)path;
	argv[n++] = (char *)(uintptr_t)what;
	if (argument)
		argv[n++] = (char *)(uintptr_t)argument;
	argv[n++] = (char *)"--";
	memcpy(argv + n, cli->args, cli->n_args * sizeof(*argv));
	if (in >= 0)
		dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execv(path, argv);
	fprintf(stderr, "kith: cannot run %s: %s\n", path, strerror(errno));
	_exit(CLI_UNREACHABLE);
}

/* With the files; it reads `in` (NULL: nothing) and writes `out` */
static int program_run(const struct replay *r, const char *what, const char *argument, FILE *in, FILE *out)
{
	char path[PATH_MAX];
	int status = 0;
	pid_t pid;

	if (places_program("kithd", path) < 0) {
		cli_fail("the program kithd was not found: is kith installed whole?");
		return CLI_UNREACHABLE;
	}
	if (in)
		lseek(fileno(in), 0, SEEK_SET);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_kithd(path, r->cli, what, argument, in ? fileno(in) : -1, fileno(out));
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
		cli_fail("%s did not come to its end", path);
		return CLI_UNREACHABLE;
	}
	/* It said why. */
	return WEXITSTATUS(status) ? CLI_USAGE : CLI_YES;
}

/* ---- the samples ------------------------------------------------------------------------------------------------- */

struct families {
	char **list;
	size_t n;
};

static void families_free(struct families *f)
{
	while (f->n)
		free(f->list[--f->n]);
	free(f->list);
}

/* Which ones the files name, a line each */
static int families_read(struct replay *r, struct families *f)
{
	FILE *found = memory_file("families");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int status = found ? program_run(r, "--families", NULL, NULL, found) : CLI_UNREACHABLE;

	if (status == CLI_YES)
		rewind(found);
	while (status == CLI_YES && (n = getline(&line, &size, found)) > 0) {
		char **more = realloc(f->list, (f->n + 1) * sizeof(*more));

		f->list = more ? more : f->list;
		line[n - (line[n - 1] == '\n')] = '\0';
		if (!more || !(f->list[f->n++] = strdup(line)))
			status = CLI_UNREACHABLE;
	}
	free(line);
	if (found)
		fclose(found);
	return status;
}

static int past_read(struct replay *r, int64_t from)
{
	struct families families = { 0 };
	int status = families_read(r, &families);

	r->cli->unmatched_fine = true;
	if (status == CLI_YES && families.n)
		status = replay_past(r->cli, families.list, families.n, from, r->past);
	families_free(&families);
	/* Without any samples there is something to say all the same: that nothing is known. */
	return status == CLI_NO ? CLI_YES : status;
}

/* ---- what it found ----------------------------------------------------------------------------------------------- */

static char *lasted(int64_t ns, char *text, size_t size)
{
	if (ns <= 0)
		snprintf(text, size, "-");
	else if (ns < 10 * NS_PER_S)
		snprintf(text, size, "%.3g s", (double)ns / 1e9);
	else
		ago_text(1, ns + 1, text, size);
	return text;
}

static void show_transition(struct replay *r, const Control__Transition *t)
{
	char clock[CLOCK_TEXT_MAX];

	/* That it is kept from the first sample on is no news. */
	if (t->from == CONTROL__ASSESSMENT__UNKNOWN && t->to == CONTROL__ASSESSMENT__KEPT && !r->cli->json)
		return;
	if (r->cli->json) {
		json_t *o = json_object();

		json_object_set_new(o, "time", json_time(t->time));
		json_object_set_new(o, "name", json_text(t->name));
		json_object_set_new(o, "promiser", json_text(t->promiser));
		json_object_set_new(o, "from", json_string(assessment_text(t->from)));
		json_object_set_new(o, "to", json_string(assessment_text(t->to)));
		json_object_set_new(o, "because", json_text(t->because));
		json_array_append_new(r->transitions, o);
		return;
	}
	table_cell(r->history, OUT_DIM, "%s", clock_format(t->time, clock, sizeof(clock)));
	table_cell(r->history, OUT_BOLD, "%s", t->name);
	table_cell(r->history, OUT_PLAIN, "%s", t->promiser);
	table_cell(r->history, assessment_color(t->to), "%s", assessment_text(t->to));
	table_cell(r->history, OUT_PLAIN, "%s", *t->because ? t->because : "-");
}

static void show_promise(struct replay *r, const Control__ReplayPromise *p)
{
	char broken[32], kept[32], unknown[32];

	r->n_promises++;
	r->n_broke += p->broke || p->broken;
	r->n_unknown += !p->kept && !p->broken;
	if (r->cli->json) {
		json_t *o = json_object();

		json_object_set_new(o, "name", json_text(p->promise->name));
		json_object_set_new(o, "promiser", json_text(p->promise->promiser));
		json_object_set_new(o, "assessment", json_string(assessment_text(p->promise->assessment)));
		json_object_set_new(o, "because", json_text(p->promise->because));
		json_object_set_new(o, "broke", json_u64(p->broke));
		json_object_set_new(o, "broken_seconds", json_double((double)p->broken / 1e9));
		json_object_set_new(o, "kept_seconds", json_double((double)p->kept / 1e9));
		json_object_set_new(o, "unknown_seconds", json_double((double)p->unknown / 1e9));
		json_array_append_new(r->promises, o);
		return;
	}
	table_cell(r->table, OUT_BOLD, "%s", p->promise->name);
	table_cell(r->table, OUT_PLAIN, "%s", p->promise->promiser);
	table_cell(r->table, p->broke ? OUT_RED : OUT_PLAIN, "%" PRIu32, p->broke);
	table_cell(r->table, OUT_PLAIN, "%s", lasted(p->broken, broken, sizeof(broken)));
	table_cell(r->table, OUT_PLAIN, "%s", lasted(p->kept, kept, sizeof(kept)));
	table_cell(r->table, OUT_PLAIN, "%s", lasted(p->unknown, unknown, sizeof(unknown)));
	table_cell(r->table, assessment_color(p->promise->assessment), "%s", assessment_text(p->promise->assessment));
	table_cell(r->table, OUT_PLAIN, "%s", *p->promise->because ? p->promise->because : "-");
}

static void show(struct replay *r, const Control__Answer *answer)
{
	if (answer->is_case == CONTROL__ANSWER__IS_REPLAY_SPAN) {
		r->from = answer->replay_span->from;
		r->to = answer->replay_span->to;
		r->series = answer->replay_span->series;
		r->samples = answer->replay_span->samples;
	} else if (answer->is_case == CONTROL__ANSWER__IS_TRANSITION) {
		show_transition(r, answer->transition);
	} else if (answer->is_case == CONTROL__ANSWER__IS_REPLAY_PROMISE && answer->replay_promise->promise) {
		show_promise(r, answer->replay_promise);
	}
}

/* Of our own making: a frame that cannot be read ends it. */
static int found_read(struct replay *r, FILE *found)
{
	uint8_t header[FRAME_HEADER];
	bool whole = false;

	rewind(found);
	while (!whole && fread(header, sizeof(header), 1, found) == 1) {
		size_t size = frame_length(header);
		uint8_t *packed = malloc(size ? size : 1);
		Control__Answer *answer = NULL;

		if (packed && (!size || fread(packed, size, 1, found) == 1))
			answer = control__answer__unpack(NULL, size, packed);
		free(packed);
		if (!answer)
			break;
		show(r, answer);
		whole = answer->is_case == CONTROL__ANSWER__IS_END;
		control__answer__free_unpacked(answer, NULL);
	}
	if (!whole)
		cli_fail("kithd --replay did not say all that it found");
	return whole ? CLI_YES : CLI_UNREACHABLE;
}

static void print(struct replay *r)
{
	char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], span[32];

	if (r->cli->json) {
		json_object_set_new(r->object, "from", json_time(r->from));
		json_object_set_new(r->object, "to", json_time(r->to));
		json_object_set_new(r->object, "series", json_u64(r->series));
		json_object_set_new(r->object, "samples", json_u64(r->samples));
		json_line_take(r->object);
		r->object = NULL;
		return;
	}
	table_print(r->history, &r->cli->out);
	table_print(r->table, &r->cli->out);
	printf("%" PRIu32 " promise%s against %" PRIu64 " samples of %" PRIu32 " series in %s, %s to %s: %" PRIu32 " would have broken\n",
	       r->n_promises, r->n_promises == 1 ? "" : "s", r->samples, r->series, lasted(r->to - r->from, span, sizeof(span)),
	       clock_format(r->from, from, sizeof(from)), clock_format(r->to, to, sizeof(to)), r->n_broke);
	if (r->n_unknown)
		printf("Nothing is known of %" PRIu32 ": what they name was not measured then, or is not measured here.\n", r->n_unknown);
}

int cmd_replay(struct cli *cli)
{
	static const char *const headers[] = { "PROMISE", "PROMISER", ">BROKE", ">BROKEN", ">KEPT", ">UNKNOWN", "NOW", "BECAUSE", NULL };
	static const char *const history_headers[] = { "TIME", "PROMISE", "PROMISER", "IS", "BECAUSE", NULL };
	struct replay r = { .cli = cli };
	int64_t since = 0, now = clock_wall();
	char from[32];
	FILE *found = NULL;
	int status = cli_duration(cli, REPLAY_SINCE, &since);

	if (status != CLI_YES)
		return status;
	snprintf(from, sizeof(from), "%" PRId64, since ? now - since : 0);
	r.past = memory_file("past");
	found = r.past ? memory_file("found") : NULL;
	/* Windows want to know what was before. */
	status = found ? past_read(&r, now - since - WARM_UP) : CLI_UNREACHABLE;
	r.object = json_object();
	json_object_set_new(r.object, "promises", r.promises = json_array());
	json_object_set_new(r.object, "transitions", r.transitions = json_array());
	r.table = table_new(headers);
	r.history = table_new(history_headers);
	if (status == CLI_YES)
		status = program_run(&r, "--replay", from, r.past, found);
	if (status == CLI_YES)
		status = found_read(&r, found);
	if (status == CLI_YES)
		print(&r);
	json_decref(r.object);
	table_free(r.table);
	table_free(r.history);
	if (r.past)
		fclose(r.past);
	if (found)
		fclose(found);
	return status == CLI_YES && r.n_broke ? CLI_NO : status;
}
