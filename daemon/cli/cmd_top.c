/* kith top: the terminal, and when what is asked for. Two connections: one watches, one asks. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/signals.h"
#include "cli/status.h"
#include "cli/top.h"

#define TOP_EVERY NS_PER_S
#define TOP_PROMISES_EVERY (10 * NS_PER_S) /* beside each transition: reloads make none */
#define TOP_HEIGHT 24u

struct screen {
	struct top data;
	struct cli *cli;
	struct client *watch, *ask;
	int signals;
	bool full;             /* a terminal, to be restored */
	bool entered;          /* the terminal shows the picture now */
	bool keys;             /* standard input is one as well */
	struct termios before; /* valid with `keys` */
	unsigned width, height;
	int64_t next, promises_at, end;
	uint64_t drawn, count;
	bool quit;
};

/* ---- the terminal ----------------------------------------------------------------------------------------------- */

static void screen_write(struct screen *s, const char *text, size_t length)
{
	fwrite(text, 1, length, stdout);
	out_flush(&s->cli->out);
}

static void screen_size(struct screen *s)
{
	struct winsize size;

	s->width = 80;
	s->height = TOP_HEIGHT;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
		s->width = size.ws_col;
		s->height = size.ws_row;
	}
}

static void screen_enter(struct screen *s)
{
	static const char enter[] = "\033[?1049h\033[?25l\033[2J";
	struct termios raw;

	if (!s->full)
		return;
	screen_size(s);
	s->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &s->before) == 0;
	if (s->keys) {
		raw = s->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	screen_write(s, enter, sizeof(enter) - 1);
	s->entered = true;
}

static void screen_leave(struct screen *s)
{
	static const char leave[] = "\033[0m\033[?25h\033[?1049l";

	if (!s->entered)
		return;
	s->entered = false;
	screen_write(s, leave, sizeof(leave) - 1);
	if (s->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
}

/* Each line is cleared behind its text, the rest of the screen after the last: nothing flickers. */
static void screen_draw(struct screen *s)
{
	struct buf text = BUF_INIT, out = BUF_INIT;

	top_draw(&s->data, &s->cli->out, s->full ? s->width : s->cli->out.width, s->full ? s->height : 0, clock_wall(), &text);
	if (s->full) {
		size_t length = text.length && text.data[text.length - 1] == '\n' ? text.length - 1 : text.length;

		buf_puts(&out, "\033[H");
		for (size_t i = 0; i < length; i++) {
			if (text.data[i] == '\n')
				buf_puts(&out, "\033[K\r");
			buf_putc(&out, text.data[i]);
		}
		buf_puts(&out, "\033[K\033[J");
	} else {
		buf_append(&out, buf_text(&text), text.length);
	}
	screen_write(s, buf_text(&out), out.length);
	buf_free(&text);
	buf_free(&out);
}

/* What went wrong is said when the terminal is itself again: it would be lost with the picture. */
static int screen_error(struct screen *s, int error)
{
	screen_leave(s);
	return ask_error(s->cli, error);
}

static int screen_fault(struct screen *s, const Control__Fault *fault)
{
	screen_leave(s);
	return ask_fault(fault);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void on_item(const Control__Answer *a, void *user)
{
	struct screen *s = user;

	if (a->is_case == CONTROL__ANSWER__IS_STATUS)
		top_status(&s->data, a->status);
	else if (a->is_case == CONTROL__ANSWER__IS_SAMPLE)
		top_sample(&s->data, a->sample);
	else if (a->is_case == CONTROL__ANSWER__IS_PROMISE)
		top_promise(&s->data, a->promise);
	else if (a->is_case == CONTROL__ANSWER__IS_TRANSITION)
		s->data.promises_stale = true;
}

/* ask_on() without its word on patterns that match nothing: a host may well have no swap */
static int quiet_ask(struct screen *s, const Control__Request *request)
{
	int64_t deadline = ask_deadline(s->cli);
	const Control__Answer *a;
	int r = client_send(s->ask, request, deadline);

	if (r < 0 && r != -EPIPE)
		return screen_error(s, r);
	for (;;) {
		r = client_next(s->ask, deadline, &a);
		if (r < 0)
			return screen_error(s, r);
		if (a->is_case == CONTROL__ANSWER__IS_FAULT)
			return screen_fault(s, a->fault);
		if (a->is_case == CONTROL__ANSWER__IS_END)
			return CLI_YES;
		on_item(a, s);
	}
}

static int ask_status(struct screen *s)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__StatusRequest status = CONTROL__STATUS_REQUEST__INIT;

	request.ask_case = CONTROL__REQUEST__ASK_STATUS;
	request.status = &status;
	return quiet_ask(s, &request);
}

static int ask_promises(struct screen *s)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__PromisesRequest promises = CONTROL__PROMISES_REQUEST__INIT;
	int status;

	request.ask_case = CONTROL__REQUEST__ASK_PROMISES;
	request.promises = &promises;
	top_promises_begin(&s->data);
	status = quiet_ask(s, &request);
	top_promises_end(&s->data);
	s->promises_at = clock_mono() + TOP_PROMISES_EVERY;
	return status;
}

static int ask_series(struct screen *s)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__GetRequest get = CONTROL__GET_REQUEST__INIT;

	get.patterns = (char **)s->data.patterns;
	get.n_patterns = s->data.n_patterns;
	request.ask_case = CONTROL__REQUEST__ASK_GET;
	request.get = &get;
	return quiet_ask(s, &request);
}

static int start_watch(struct screen *s)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__WatchRequest watch = CONTROL__WATCH_REQUEST__INIT;
	char **patterns = calloc(s->data.n_patterns + 1, sizeof(*patterns));
	const Control__Answer *a;
	int r;

	if (!patterns) {
		cli_fail("out of memory");
		return CLI_UNREACHABLE;
	}
	/* With the transitions of all promises beside the series that are shown */
	memcpy(patterns, s->data.patterns, s->data.n_patterns * sizeof(*patterns));
	patterns[s->data.n_patterns] = (char *)"*.*";
	watch.patterns = patterns;
	watch.n_patterns = s->data.n_patterns ? s->data.n_patterns + 1 : 0;
	watch.kinds = WATCH_SAMPLES | WATCH_TRANSITIONS;
	request.ask_case = CONTROL__REQUEST__ASK_WATCH;
	request.watch = &watch;
	r = client_send(s->watch, &request, ask_deadline(s->cli));
	free(patterns);
	if (r == 0 || r == -EPIPE)
		r = client_next(s->watch, ask_deadline(s->cli), &a);
	if (r < 0)
		return screen_error(s, r);
	return a->is_case == CONTROL__ANSWER__IS_FAULT ? screen_fault(s, a->fault) : CLI_YES;
}

/* Subscribed before it asks: no sample falls between the two. */
static int screen_open(struct screen *s)
{
	int status = ask_open(s->cli, &s->ask);

	if (status == CLI_YES)
		status = ask_series(s);
	/* None of what is usual is measured here: then all that is. */
	if (status == CLI_YES && !s->data.series && !s->cli->n_args)
		s->data.n_patterns = 0;
	if (status == CLI_YES)
		status = ask_open(s->cli, &s->watch);
	if (status == CLI_YES)
		status = start_watch(s);
	if (status == CLI_YES)
		status = ask_series(s);
	return status;
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static json_t *screen_json(struct screen *s)
{
	json_t *o = json_object(), *series = json_array(), *promises = json_array();

	top_sort(&s->data);
	for (const struct top_series *one = s->data.series; one; one = one->hh.next)
		json_array_append_new(series, json_pack("{s:o,s:o,s:o,s:o}", "name", json_text(one->name), "value",
		                                        one->kind == CONTROL__KIND__STATE ? json_text(one->state) :
		                                        one->time ? json_double(one->raw) : json_null(),
		                                        "rate", one->kind == CONTROL__KIND__COUNTER && one->known ?
		                                        json_double(one->value) : json_null(),
		                                        "unit", json_text(one->unit)));
	for (unsigned i = 0; i < s->data.n_promises; i++) {
		const struct top_promise *p = &s->data.promises[i];

		json_array_append_new(promises, json_pack("{s:o,s:o,s:s,s:o,s:o}", "name", json_text(p->name), "promiser",
		                                          json_text(p->promiser), "assessment", assessment_text(p->assessment),
		                                          "since", json_time(p->since), "because", json_text(p->because)));
	}
	json_object_set_new(o, "status", status_json(&s->data.status));
	json_object_set_new(o, "promises", promises);
	json_object_set_new(o, "series", series);
	return o;
}

static int screen_refresh(struct screen *s)
{
	int status = ask_status(s);

	if (status == CLI_YES && (s->data.promises_stale || clock_mono() >= s->promises_at))
		status = ask_promises(s);
	if (status != CLI_YES)
		return status;
	if (s->cli->json)
		json_line_take(screen_json(s));
	else
		screen_draw(s);
	if (out_flush(&s->cli->out) < 0 || ++s->drawn == s->count)
		s->quit = true;
	s->next = clock_mono() + TOP_EVERY;
	return CLI_YES;
}

static void screen_suspend(struct screen *s)
{
	screen_leave(s);
	raise(SIGSTOP);
	screen_enter(s);
	s->next = 0;
}

static void screen_signals(struct screen *s)
{
	int signal;

	while ((signal = signals_next(s->signals)) != 0) {
		if (signal == SIGWINCH) {
			screen_size(s);
			s->next = 0;
		} else if (signal == SIGTSTP) {
			screen_suspend(s);
		} else {
			s->quit = true;
		}
	}
}

static void screen_keys(struct screen *s)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	for (ssize_t i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q')
			s->quit = true;
	if (n <= 0)
		s->keys = false; /* the terminal has gone */
}

/* All that came, without waiting */
static int screen_drain(struct screen *s)
{
	const Control__Answer *a;
	int r;

	while ((r = client_next(s->watch, 0, &a)) == 0) {
		if (a->is_case == CONTROL__ANSWER__IS_FAULT)
			return screen_fault(s, a->fault);
		on_item(a, s);
		if (clock_mono() >= s->next)
			return CLI_YES;
	}
	return r == -ETIMEDOUT ? CLI_YES : screen_error(s, r);
}

static int screen_wait(struct screen *s)
{
	struct pollfd fds[3] = { { .fd = client_fd(s->watch), .events = POLLIN },
		                 { .fd = s->signals, .events = POLLIN },
		                 { .fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN } };
	int64_t until = s->next < s->end ? s->next : s->end, left = until - clock_mono();

	if (poll(fds, 3, left > 0 ? (int)((left + NS_PER_MS - 1) / NS_PER_MS) : 0) < 0)
		return CLI_YES;
	if (fds[1].revents)
		screen_signals(s);
	if (fds[2].revents)
		screen_keys(s);
	return fds[0].revents ? screen_drain(s) : CLI_YES;
}

static int screen_loop(struct screen *s)
{
	int status = CLI_YES;

	while (status == CLI_YES && !s->quit) {
		if (clock_mono() >= s->next)
			status = screen_refresh(s);
		if (clock_mono() >= s->end)
			s->quit = true;
		if (status == CLI_YES && !s->quit)
			status = screen_wait(s);
	}
	return status;
}

int cmd_top(struct cli *cli)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP };
	struct screen s = { .cli = cli, .end = CLIENT_FOREVER };
	int64_t duration = 0;
	int status;

	if (cli_number(cli, TOP_COUNT, &s.count) != CLI_YES || cli_duration(cli, TOP_FOR, &duration) != CLI_YES)
		return CLI_USAGE;
	s.full = cli->out.terminal && !cli->json;
	if (!s.full && !s.count && !duration)
		s.count = 1;
	if (duration)
		s.end = clock_mono() + duration;
	if (cli->n_args)
		top_init(&s.data, (const char *const *)cli->args, cli->n_args);
	else
		top_init(&s.data, top_default_patterns, top_n_default_patterns);
	s.signals = signals_open(signals, CLI_N(signals));
	status = screen_open(&s);
	if (status == CLI_YES) {
		screen_enter(&s);
		status = screen_loop(&s);
		screen_leave(&s);
	}
	client_close(s.watch);
	client_close(s.ask);
	top_free(&s.data);
	if (s.signals >= 0)
		close(s.signals);
	return status;
}
