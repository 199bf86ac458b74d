/* kith log: what was, from the record store and the system's journal, and with --follow what comes. */
#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/signals.h"

#define LAST_DEFAULT 50
#define FLUSH_EVERY 256       /* lines of the past */
#define HELD_MAX 10000u       /* own records that come while the past is shown */
#define LATE (5 * NS_PER_S)
#define OWN 1u                /* LogRequest.sources */
#define SYSTEM 2u

struct log {
	struct cli *cli;
	Control__LogRequest ask;
	char **fields;            /* ask.fields, owned */
	regex_t regex;            /* for what is watched */
	bool has_regex;
	uint64_t shown;
	/* --follow */
	struct client *past, *watch;
	bool following;           /* the past is over */
	int64_t since;            /* wall ns: own records from then on may come twice, */
	uint64_t *seen;           /* so that these were shown: by hash */
	size_t n_seen;
	Control__Record **held;   /* that wait for the past to be over; the last may be cut off */
	size_t n_held;
};

/* ---- what is asked for --------------------------------------------------------------------------------------------- */

static int take_priority(struct log *l)
{
	static const char *const short_names[] = { "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug" };
	const char *text = cli_value(l->cli, LOG_PRIORITY);

	if (!text)
		return CLI_YES;
	for (uint32_t i = 0; i < 8; i++)
		if (!strcmp(text, priority_text(i)) || !strcmp(text, short_names[i]) || (text[0] == (char)('0' + i) && !text[1])) {
			l->ask.priority = i + 1;
			return CLI_YES;
		}
	cli_fail("\"%s\" is no priority: emergency, alert, critical, error, warning, notice, info or debug", text);
	return CLI_USAGE;
}

/* Up to the comma that ends it; one before what is no KEY=, or behind a backslash, belongs to the value. */
static size_t field_length(const char *text)
{
	size_t length = 0;

	for (;; length++) {
		const char *next;

		length += strcspn(text + length, ",");
		next = text + length + 1;
		if (!text[length] || ((!length || text[length - 1] != '\\') && memchr(next, '=', strcspn(next, ","))))
			return length;
	}
}

/* "a=1,b=2" */
static int add_fields(struct log *l, const char *text)
{
	while (*text) {
		size_t length = field_length(text), n = 0;
		char **more, *field;

		if (!memchr(text, '=', length) || *text == '=') {
			cli_fail("\"%s\" is no field: KEY=VALUE", text);
			return CLI_USAGE;
		}
		more = realloc(l->fields, (l->ask.n_fields + 1) * sizeof(*l->fields));
		field = malloc(length + 1);
		l->fields = more ? more : l->fields;
		if (!more || !field) {
			free(field);
			cli_fail("out of memory");
			return CLI_UNREACHABLE;
		}
		for (size_t k = 0; k < length; k++)
			if (text[k] != '\\' || text[k + 1] != ',')
				field[n++] = text[k];
		field[n] = '\0';
		l->fields[l->ask.n_fields++] = field;
		text += length + (text[length] == ',');
	}
	return CLI_YES;
}

static int take_grep(struct log *l)
{
	const char *text = cli_value(l->cli, LOG_GREP);

	if (!text)
		return CLI_YES;
	l->ask.grep = (char *)(uintptr_t)text;
	/* kithd says what is wrong with it; this one is for what is watched. */
	l->has_regex = regcomp(&l->regex, text, REG_EXTENDED | REG_NOSUB) == 0;
	return CLI_YES;
}

static int take_options(struct log *l)
{
	struct cli *cli = l->cli;
	uint64_t last = 0;
	int status;

	l->ask.patterns = cli->args;
	l->ask.n_patterns = cli->n_args;
	if ((status = cli_time(l->cli, LOG_SINCE, &l->ask.from)) != CLI_YES || (status = cli_time(l->cli, LOG_UNTIL, &l->ask.to)) != CLI_YES ||
	    (status = take_priority(l)) != CLI_YES || (status = take_grep(l)) != CLI_YES ||
	    (status = cli_number(cli, LOG_LAST, &last)) != CLI_YES)
		return status;
	for (size_t i = 0; i < cli->n_given && status == CLI_YES; i++)
		if (cli->given[i].id == LOG_FIELDS)
			status = add_fields(l, cli->given[i].value);
	l->ask.fields = l->fields;
	if (!last && !cli_has(cli, LOG_SINCE))
		last = LAST_DEFAULT;
	l->ask.last = last > UINT32_MAX ? UINT32_MAX : (uint32_t)last;
	l->ask.follow = cli_has(cli, LOG_FOLLOW);
	l->ask.sources = (cli_has(cli, LOG_OWN) ? OWN : 0) | (cli_has(cli, LOG_SYSTEM) ? SYSTEM : 0);
	if (l->ask.sources == (OWN | SYSTEM)) {
		cli_fail("--own and --system exclude one another: without them both are shown");
		status = CLI_USAGE;
	}
	if (l->ask.follow && cli_has(cli, LOG_UNTIL)) {
		cli_fail("--follow has no end: leave out --until");
		status = CLI_USAGE;
	}
	return status;
}

/* ---- what is shown ------------------------------------------------------------------------------------------------- */

static void show_json(const Control__Record *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "time", json_time(r->time));
	json_object_set_new(o, "priority", json_string(priority_text(r->priority)));
	json_object_set_new(o, "subject", json_text(r->subject));
	json_object_set_new(o, "message", json_text(r->message));
	json_object_set_new(o, "fields", json_fields(r->fields, r->n_fields));
	json_object_set_new(o, "source", json_text(*r->source ? r->source : "kith"));
	json_line_take(o);
}

static void show_text(const struct out *o, const Control__Record *r)
{
	enum out_color color = r->priority <= 3 ? OUT_RED : r->priority == 4 ? OUT_YELLOW : r->priority == 5 ? OUT_CYAN : OUT_PLAIN;
	time_t seconds = (time_t)(r->time / NS_PER_S);
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), o->terminal ? "%b %d %H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s%s.%03d%s  %s%-9s%s  %s", out_on(o, OUT_DIM), when, (int)(r->time % NS_PER_S / NS_PER_MS), out_off(o, OUT_DIM),
	       out_on(o, color), priority_text(r->priority), out_off(o, color), out_on(o, OUT_BOLD));
	out_text(r->subject);
	printf("%s  ", out_off(o, OUT_BOLD));
	out_text(r->message);
	for (size_t i = 0; i < r->n_fields; i++) {
		printf("  %s", out_on(o, OUT_DIM));
		out_text(r->fields[i]->key);
		putchar('=');
		out_text(r->fields[i]->value);
		fputs(out_off(o, OUT_DIM), stdout);
	}
	putchar('\n');
}

/* False: nobody reads any more */
static bool show(struct log *l, const Control__Record *r)
{
	if (l->cli->json)
		show_json(r);
	else
		show_text(&l->cli->out, r);
	l->shown++;
	return (!l->following && l->shown % FLUSH_EVERY) || out_flush(&l->cli->out) == 0;
}

/* ---- own records that come ------------------------------------------------------------------------------------------ */

static uint64_t record_hash(const Control__Record *r)
{
	const char *texts[] = { r->subject, r->message };
	uint64_t h = (uint64_t)r->time * UINT64_C(0x9E3779B185EBCA87);

	for (int i = 0; i < 2; i++)
		for (const char *c = texts[i]; *c; c++)
			h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	return h;
}

/* One of the past that may come again */
static void remember(struct log *l, const Control__Record *r)
{
	uint64_t *seen;

	if (!l->watch || r->time < l->since || l->n_seen >= HELD_MAX)
		return;
	seen = l->n_seen % 256 ? l->seen : realloc(l->seen, (l->n_seen + 256) * sizeof(*seen));
	if (!seen)
		return;
	l->seen = seen;
	seen[l->n_seen++] = record_hash(r);
}

static bool was_seen(const struct log *l, const Control__Record *r)
{
	uint64_t hash = record_hash(r);

	for (size_t i = 0; i < l->n_seen; i++)
		if (l->seen[i] == hash)
			return true;
	return false;
}

static bool watched_fits(const struct log *l, const Control__Record *r)
{
	if ((l->ask.priority && r->priority >= l->ask.priority) || r->time < l->ask.from ||
	    (l->has_regex && regexec(&l->regex, r->message, 0, NULL, 0) != 0))
		return false;
	for (size_t i = 0; i < l->ask.n_fields; i++) {
		size_t key = strcspn(l->fields[i], "="), k = 0;

		while (k < r->n_fields && (strncmp(r->fields[k]->key, l->fields[i], key) != 0 || r->fields[k]->key[key] ||
		                           strcmp(r->fields[k]->value, l->fields[i] + key + 1) != 0))
			k++;
		if (k == r->n_fields)
			return false;
	}
	return true;
}

/* A record of its own, for later; NULL without memory */
static Control__Record *record_copy(const Control__Record *r)
{
	size_t length = control__record__get_packed_size(r);
	uint8_t *packed = malloc(length + 1);
	Control__Record *copy = NULL;

	if (packed) {
		control__record__pack(r, packed);
		copy = control__record__unpack(NULL, length, packed);
	}
	free(packed);
	return copy;
}

static bool watched(struct log *l, const Control__Record *r)
{
	Control__Record **held;

	if (!watched_fits(l, r) || was_seen(l, r))
		return true;
	if (l->following)
		return show(l, r);
	held = l->n_held < HELD_MAX ? realloc(l->held, (l->n_held + 1) * sizeof(*held)) : NULL;
	if (!held)
		return true;
	l->held = held;
	held[l->n_held] = record_copy(r);
	l->n_held += held[l->n_held] != NULL;
	return true;
}

/* As the record store keeps it */
static bool watched_transition(struct log *l, const Control__Transition *t)
{
	Control__Record r = CONTROL__RECORD__INIT;
	Control__Field fields[4], *list[4];
	const char *const texts[4][2] = { { "promise", t->name }, { "from", assessment_text(t->from) }, { "to", assessment_text(t->to) },
		                          { "repaired", "true" } };
	struct buf message = BUF_INIT;
	bool good;

	for (int i = 0; i < 4; i++) {
		control__field__init(&fields[i]);
		fields[i].key = (char *)(uintptr_t)texts[i][0];
		fields[i].value = (char *)(uintptr_t)texts[i][1];
		list[i] = &fields[i];
	}
	buf_printf(&message, "%s is %s%s%s", t->name, assessment_text(t->to), *t->because ? ": " : "", t->because);
	r.fields = list;
	r.n_fields = t->repaired ? 4 : 3;
	r.time = t->time;
	r.priority = t->to == CONTROL__ASSESSMENT__BROKEN ? t->severity : 5;
	r.subject = t->promiser;
	r.message = (char *)(uintptr_t)buf_text(&message);
	good = watched(l, &r);
	buf_free(&message);
	return good;
}

/* ---- the answers ---------------------------------------------------------------------------------------------------- */

/* -EPIPE: nobody reads any more; 1: that was all; 2: a fault was said; 0: go on */
static int on_answer(struct log *l, const Control__Answer *a, int *status)
{
	bool good = true;

	if (a->is_case == CONTROL__ANSWER__IS_FAULT) {
		*status = ask_fault(a->fault);
		return 2;
	}
	if (a->is_case == CONTROL__ANSWER__IS_END)
		return 1;
	if (a->is_case == CONTROL__ANSWER__IS_RECORD) {
		remember(l, a->record);
		good = show(l, a->record);
	} else if (a->is_case == CONTROL__ANSWER__IS_PROGRESS && !strcmp(a->progress->what, "following")) {
		l->following = true;
		for (size_t i = 0; i < l->n_held && good; i++)
			good = was_seen(l, l->held[i]) || show(l, l->held[i]);
		good = good && out_flush(&l->cli->out) == 0;
	} else if (a->is_case == CONTROL__ANSWER__IS_PROGRESS && *a->progress->what) {
		/* That there is no journal is no news to who did not ask for it alone. */
		if (l->cli->verbose || l->ask.sources == SYSTEM || strncmp(a->progress->what, "the system's journal", 20) != 0)
			cli_fail("%s", a->progress->what);
	}
	return good ? 0 : -EPIPE;
}

static int on_watched(struct log *l, const Control__Answer *a, int *status)
{
	bool good = true;

	if (a->is_case == CONTROL__ANSWER__IS_FAULT) {
		*status = ask_fault(a->fault);
		return 2;
	}
	if (a->is_case == CONTROL__ANSWER__IS_RECORD)
		good = watched(l, a->record);
	else if (a->is_case == CONTROL__ANSWER__IS_TRANSITION)
		good = watched_transition(l, a->transition);
	return good ? 0 : -EPIPE;
}

/* All that has come on one connection; 0: go on */
static int drain(struct log *l, struct client *c, int (*fn)(struct log *, const Control__Answer *, int *), int *status)
{
	const Control__Answer *answer;
	int r;

	while ((r = client_next(c, 0, &answer)) == 0) {
		r = fn(l, answer, status);
		if (r)
			return r;
	}
	if (r == -ETIMEDOUT)
		return 0;
	if (r != -EINTR)
		*status = ask_error(l->cli, r);
	return r == -EINTR ? 1 : 2;
}

static int found(const struct log *l)
{
	return l->shown ? CLI_YES : CLI_NO;
}

/* Until the end of what is asked for, or a signal */
static int log_loop(struct log *l, int stop)
{
	int status = CLI_YES, r = 0;

	while (r == 0) {
		struct pollfd fds[3] = { { .fd = client_fd(l->past), .events = POLLIN }, { .fd = stop, .events = POLLIN },
			                 { .fd = l->watch ? client_fd(l->watch) : -1, .events = POLLIN } };
		int n = poll(fds, 3, l->following ? -1 : (int)(l->cli->timeout / NS_PER_MS) + 1);

		if (n < 0 && errno != EINTR)
			return ask_error(l->cli, -errno);
		if (n == 0)
			return ask_error(l->cli, -ETIMEDOUT);
		if (fds[1].revents) {
			out_gone(&l->cli->out);
			return found(l);
		}
		if (l->watch && fds[2].revents)
			r = drain(l, l->watch, on_watched, &status);
		if (r == 0 && fds[0].revents)
			r = drain(l, l->past, on_answer, &status);
	}
	return r == 2 ? status : found(l);
}

static int watch_begin(struct log *l)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__WatchRequest ask_watch = CONTROL__WATCH_REQUEST__INIT;
	const Control__Answer *answer;
	int status = ask_open(l->cli, &l->watch), r;

	if (status != CLI_YES)
		return status;
	ask_watch.patterns = l->ask.patterns;
	ask_watch.n_patterns = l->ask.n_patterns;
	ask_watch.kinds = WATCH_RECORDS | WATCH_TRANSITIONS;
	request.ask_case = CONTROL__REQUEST__ASK_WATCH;
	request.watch = &ask_watch;
	l->since = clock_wall() - LATE;
	r = client_send(l->watch, &request, ask_deadline(l->cli));
	if (r == 0)
		r = client_next(l->watch, ask_deadline(l->cli), &answer);
	if (r < 0)
		return ask_error(l->cli, r);
	return answer->is_case == CONTROL__ANSWER__IS_FAULT ? ask_fault(answer->fault) : CLI_YES;
}

int cmd_log(struct cli *cli)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
	Control__Request request = CONTROL__REQUEST__INIT;
	struct log l = { .cli = cli, .ask = CONTROL__LOG_REQUEST__INIT };
	int signals = -1, stop = -1, status = take_options(&l), r;

	if (status == CLI_YES && l.ask.follow) {
		signals = signals_open(stops, 3);
		stop = signals_or_reader(signals);
		/* Before the past is asked for: nothing falls in between. */
		if (l.ask.sources != SYSTEM)
			status = watch_begin(&l);
	}
	if (status == CLI_YES)
		status = ask_open(cli, &l.past);
	if (status == CLI_YES) {
		request.ask_case = CONTROL__REQUEST__ASK_LOG;
		request.log = &l.ask;
		r = client_send(l.past, &request, ask_deadline(cli));
		status = r < 0 && r != -EPIPE ? ask_error(cli, r) : log_loop(&l, stop);
	}
	client_close(l.past);
	client_close(l.watch);
	if (stop >= 0)
		close(stop);
	if (signals >= 0)
		close(signals);
	if (l.has_regex)
		regfree(&l.regex);
	for (size_t i = 0; i < l.ask.n_fields; i++)
		free(l.fields[i]);
	for (size_t i = 0; i < l.n_held; i++)
		control__record__free_unpacked(l.held[i], NULL);
	free(l.fields);
	free(l.held);
	free(l.seen);
	return status;
}
