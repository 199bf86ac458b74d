/* kith check: by the running kithd, which knows what is measured; without one, by `kithd --check`. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/places.h"
#include "cli/cli.h"
#include "cli/command_options.h"

#define CHECK_FILE_MAX (1024u * 1024)

struct check {
	struct cli *cli;
	uint32_t errors;
};

static void fault_json(struct cli *cli, const char *file, uint32_t line, uint32_t column, bool warning,
                       const char *message, const char *hint)
{
	json_t *o = json_object();

	json_object_set_new(o, "file", json_text(file));
	json_object_set_new(o, "line", json_u64(line));
	json_object_set_new(o, "column", json_u64(column));
	json_object_set_new(o, "severity", json_string(warning ? "warning" : "error"));
	json_object_set_new(o, "message", json_text(message));
	json_object_set_new(o, "hint", hint && *hint ? json_text(hint) : json_null());
	json_array_add_take(&cli->out, o);
}

/* Of several lines: what a terminal could take for a command is cleaned, but for the tabs, which a caret below stands under. */
static void print_lines(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n\t");
		char *part = strndup(text, n);

		if (part)
			out_text(part);
		free(part);
		putchar(text[n] == '\t' ? '\t' : '\n');
		text += n + (text[n] != '\0');
	}
}

static void on_fault(const Control__Answer *answer, void *user)
{
	struct check *check = user;
	const Control__CheckFault *f = answer->check_fault;

	if (answer->is_case != CONTROL__ANSWER__IS_CHECK_FAULT)
		return;
	check->errors += !f->warning;
	if (check->cli->json)
		fault_json(check->cli, f->file, f->line, f->column, f->warning, f->text, f->hint);
	else
		print_lines(f->shown);
}

/* ---- the daemon ------------------------------------------------------------------------------------------------- */

struct files {
	Control__File *files;
	Control__File **list;
	size_t n;
};

static void files_free(struct files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->files[i].text.data);
	free(f->files);
	free(f->list);
}

static int files_read(struct cli *cli, struct files *f)
{
	f->files = calloc(cli->n_args, sizeof(*f->files));
	f->list = calloc(cli->n_args, sizeof(*f->list));
	if (!f->files || !f->list) {
		cli_fail("out of memory");
		return CLI_UNREACHABLE;
	}
	for (; f->n < cli->n_args; f->n++) {
		Control__File *one = &f->files[f->n];
		char *text = NULL;
		size_t length = 0;
		int r = file_read_all(cli->args[f->n], CHECK_FILE_MAX, &text, &length);

		if (r < 0) {
			cli_fail("cannot read %s: %s", cli->args[f->n], strerror(-r));
			return CLI_USAGE;
		}
		control__file__init(one);
		one->path = cli->args[f->n];
		one->text.data = (uint8_t *)text;
		one->text.len = length;
		f->list[f->n] = one;
	}
	return CLI_YES;
}

/* -1: not by the daemon: none there, or it is too much for one request */
static int check_by_daemon(struct cli *cli, const struct files *files, struct check *check)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__CheckRequest ask_check = CONTROL__CHECK_REQUEST__INIT;
	struct client *client = NULL;
	struct buf why = BUF_INIT;
	int status = -1;

	ask_check.files = files->list;
	ask_check.n_files = files->n;
	request.ask_case = CONTROL__REQUEST__ASK_CHECK;
	request.check = &ask_check;
	if (control__request__get_packed_size(&request) <= FRAME_REQUEST_MAX &&
	    ask_open_quietly(cli, &client, &why) == CLI_YES)
		status = ask_on(cli, client, &request, on_fault, check);
	else if (cli->verbose)
		fprintf(stderr, "kith: checked without the daemon%s%s\n", why.length ? ": " : "", buf_text(&why));
	client_close(client);
	buf_free(&why);
	return status == CLI_YES && check->errors ? CLI_NO : status;
}

/* ---- without it ------------------------------------------------------------------------------------------------- */

static void run_kithd(const char *path, struct cli *cli, int output)
{
	char **argv = calloc(cli->n_args + 5, sizeof(*argv));
	size_t n = 0;

	if (!argv)
		_exit(CLI_UNREACHABLE);
	argv[n++] = (char *)path;
	argv[n++] = (char *)"--check";
	if (cli_has(cli, CHECK_EXPLAIN))
		argv[n++] = (char *)"--explain";
	argv[n++] = (char *)"--";
	memcpy(argv + n, cli->args, cli->n_args * sizeof(*argv));
	if (output >= 0) {
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
	}
	execv(path, argv);
	fprintf(stderr, "kith: cannot run %s: %s\n", path, strerror(errno));
	_exit(CLI_UNREACHABLE);
}

/* {name, means}: the one that is complete is printed; `line`: the next one begins with its name, NULL: there is none */
static void meaning_begin(struct cli *cli, struct buf *meaning, const char *line)
{
	const char *text = buf_text(meaning);

	if (meaning->length) {
		char *name = strndup(text, strcspn(text, " "));
		json_t *o = json_object();

		text += strcspn(text, "\n");
		json_object_set_new(o, "name", json_text(name ? name : ""));
		json_object_set_new(o, "means", json_text(*text ? text + 1 : ""));
		json_array_add_take(&cli->out, o);
		free(name);
	}
	buf_reset(meaning);
	if (line)
		buf_puts(meaning, line);
}

/* `file:line:column: text` of kithd's output; other lines (the source, the caret) are not of use to a program. */
static void lines_to_json(struct cli *cli, FILE *in)
{
	struct buf meaning = BUF_INIT;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, in)) > 0) {
		if (*line == ' ' && meaning.length)
			buf_puts(&meaning, line);
		for (char *c = line; *line != ' ' && (c = strchr(c, ':')); c++) {
			unsigned row, column;
			int used = 0;

			if (sscanf(c, ":%u:%u: %n", &row, &column, &used) != 2 || !used) {
				/* NAME (FILE:LINE): what follows says what it means */
				if (cli_has(cli, CHECK_EXPLAIN) && sscanf(c, ":%u)%n", &row, &used) == 1 && c[used] == '\n')
					meaning_begin(cli, &meaning, line);
				continue;
			}
			line[n - 1] = line[n - 1] == '\n' ? '\0' : line[n - 1];
			*c = '\0';
			meaning_begin(cli, &meaning, NULL);
			fault_json(cli, line, row, column, !strncmp(c + used, "warning", 7), c + used, NULL);
			break;
		}
	}
	meaning_begin(cli, &meaning, NULL);
	buf_free(&meaning);
	free(line);
}

static int check_by_program(struct cli *cli)
{
	char path[PATH_MAX];
	int ends[2] = { -1, -1 }, status = 0;
	pid_t pid;

	if (places_program("kithd", path) < 0) {
		cli_fail("kithd does not answer, and its program was not found either: is kith installed whole?");
		return CLI_UNREACHABLE;
	}
	if (cli->json && pipe(ends) < 0) {
		cli_fail("cannot make a pipe: %s", strerror(errno));
		return CLI_UNREACHABLE;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_kithd(path, cli, ends[1]);
	if (ends[1] >= 0)
		close(ends[1]);
	if (ends[0] >= 0) {
		FILE *in = fdopen(ends[0], "r");

		if (in) {
			lines_to_json(cli, in);
			fclose(in);
		}
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
		cli_fail("%s did not come to its end", path);
		return CLI_UNREACHABLE;
	}
	return WEXITSTATUS(status);
}

int cmd_check(struct cli *cli)
{
	struct check check = { .cli = cli };
	struct files files = { 0 };
	int status = files_read(cli, &files);

	if (status == CLI_YES) {
		if (cli->json)
			json_array_begin(&cli->out);
		/* Without the daemon what there is to say needs no request of its own, however long it is. */
		status = cli_has(cli, CHECK_EXPLAIN) ? -1 : check_by_daemon(cli, &files, &check);
		if (status < 0)
			status = check_by_program(cli);
		if (cli->json)
			json_array_end(&cli->out);
	}
	files_free(&files);
	return status;
}
