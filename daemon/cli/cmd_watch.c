/* kith watch: one line for each thing that happens, flushed at once. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/signals.h"
#include "cli/status.h"

struct watch {
	struct cli *cli;
	uint64_t count, shown;
	int64_t duration;
	int signals, stop; /* `stop`: those, or the reader's end */
};

/* kind comes first and time second; the rest is the thing's own. */
static json_t *line_json(const char *kind, int64_t time)
{
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(kind));
	json_object_set_new(o, "time", json_time(time));
	return o;
}

static json_t *record_json(const Control__Record *r)
{
	json_t *o = line_json("record", r->time);

	json_object_set_new(o, "priority", json_string(priority_text(r->priority)));
	json_object_set_new(o, "subject", json_text(r->subject));
	json_object_set_new(o, "message", json_text(r->message));
	json_object_set_new(o, "fields", json_fields(r->fields, r->n_fields));
	return o;
}

static json_t *transition_json(const Control__Transition *t)
{
	json_t *o = line_json("transition", t->time);

	json_object_set_new(o, "name", json_text(t->name));
	json_object_set_new(o, "promiser", json_text(t->promiser));
	json_object_set_new(o, "from", json_string(assessment_text(t->from)));
	json_object_set_new(o, "to", json_string(assessment_text(t->to)));
	json_object_set_new(o, "severity", json_string(priority_text(t->severity)));
	json_object_set_new(o, "because", json_text(t->because));
	if (t->repaired)
		json_object_set_new(o, "repaired", json_true());
	return o;
}

static json_t *sample_line_json(const Control__Sample *s)
{
	json_t *o = line_json("sample", s->time), *sample = sample_json(s);

	json_object_del(sample, "time");
	json_object_update(o, sample);
	json_decref(sample);
	return o;
}

static void print_time(const struct out *o, int64_t time)
{
	char clock[32];

	printf("%s%s%s  ", out_on(o, OUT_DIM), clock_text(time, clock, sizeof(clock)), out_off(o, OUT_DIM));
}

static void print_sample(const struct out *o, const Control__Sample *s)
{
	char text[UNIT_TEXT_MAX];

	print_time(o, s->time);
	out_text(s->name);
	printf("  %s", out_on(o, OUT_BOLD));
	out_text(value_text(s, text, sizeof(text)));
	printf("%s\n", out_off(o, OUT_BOLD));
}

static void print_record(const struct out *o, const Control__Record *r)
{
	enum out_color color = r->priority <= 3 ? OUT_RED : r->priority == 4 ? OUT_YELLOW : OUT_CYAN;

	print_time(o, r->time);
	printf("%s%s%s  ", out_on(o, color), priority_text(r->priority), out_off(o, color));
	out_text(r->subject);
	printf(": ");
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

static void print_transition(const struct out *o, const Control__Transition *t)
{
	enum out_color color = assessment_color(t->to);

	print_time(o, t->time);
	out_text(t->name);
	printf(" (");
	out_text(t->promiser);
	printf(")  %s -> %s%s%s", assessment_text(t->from), out_on(o, color), assessment_text(t->to), out_off(o, color));
	if (t->repaired)
		printf(" (repaired)");
	if (*t->because) {
		printf("  ");
		out_text(t->because);
	}
	putchar('\n');
}

/* False: an answer that is no line */
static bool show(struct watch *w, const Control__Answer *a)
{
	const struct out *o = &w->cli->out;
	bool json = w->cli->json;

	if (a->is_case == CONTROL__ANSWER__IS_SAMPLE) {
		if (json)
			json_line_take(sample_line_json(a->sample));
		else
			print_sample(o, a->sample);
	} else if (a->is_case == CONTROL__ANSWER__IS_RECORD) {
		if (json)
			json_line_take(record_json(a->record));
		else
			print_record(o, a->record);
	} else if (a->is_case == CONTROL__ANSWER__IS_TRANSITION) {
		if (json)
			json_line_take(transition_json(a->transition));
		else
			print_transition(o, a->transition);
	} else {
		return false;
	}
	return true;
}

/* Ended as it was meant to: was there anything? */
static int watch_ended(struct watch *w)
{
	out_gone(&w->cli->out);
	return w->shown ? CLI_YES : CLI_NO;
}

static int watch_loop(struct watch *w, struct client *client)
{
	int64_t end = CLIENT_FOREVER;
	const Control__Answer *answer;
	int r;

	/* Until it is subscribed, it is an answer that is waited for. */
	r = client_next(client, ask_deadline(w->cli), &answer);
	if (r == -EINTR)
		return watch_ended(w);
	if (r < 0)
		return ask_error(w->cli, r);
	if (answer->is_case == CONTROL__ANSWER__IS_FAULT)
		return ask_fault(answer->fault);
	if (w->cli->verbose && answer->is_case == CONTROL__ANSWER__IS_SUBSCRIBED)
		fprintf(stderr, "kith: watching, %u series match now\n", answer->subscribed->series);
	if (w->duration)
		end = clock_mono() + w->duration;
	for (;;) {
		r = client_next(client, end, &answer);
		if (r == -EINTR || r == -ETIMEDOUT)
			return watch_ended(w);
		if (r < 0)
			return ask_error(w->cli, r);
		if (answer->is_case == CONTROL__ANSWER__IS_FAULT)
			return ask_fault(answer->fault);
		if (!show(w, answer))
			continue;
		w->shown++;
		if (out_flush(&w->cli->out) < 0 || w->shown == w->count || clock_mono() >= end)
			return watch_ended(w);
	}
}

int cmd_watch(struct cli *cli)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__WatchRequest ask_watch = CONTROL__WATCH_REQUEST__INIT;
	struct watch w = { .cli = cli };
	struct client *client = NULL;
	int status, r;

	if (cli_number(cli, WATCH_COUNT, &w.count) != CLI_YES || cli_duration(cli, WATCH_FOR, &w.duration) != CLI_YES)
		return CLI_USAGE;
	ask_watch.patterns = cli->args;
	ask_watch.n_patterns = cli->n_args;
	ask_watch.kinds = (cli_has(cli, WATCH_ONLY_SAMPLES) ? WATCH_SAMPLES : 0) |
	                  (cli_has(cli, WATCH_ONLY_RECORDS) ? WATCH_RECORDS : 0) |
	                  (cli_has(cli, WATCH_ONLY_TRANSITIONS) ? WATCH_TRANSITIONS : 0);
	request.ask_case = CONTROL__REQUEST__ASK_WATCH;
	request.watch = &ask_watch;
	w.signals = signals_open(signals, 3);
	w.stop = signals_or_reader(w.signals);
	status = ask_open(cli, &client);
	if (status == CLI_YES) {
		client_interrupt(client, w.stop);
		r = client_send(client, &request, ask_deadline(cli));
		status = r < 0 && r != -EPIPE ? ask_error(cli, r) : watch_loop(&w, client);
	}
	client_close(client);
	if (w.stop >= 0)
		close(w.stop);
	if (w.signals >= 0)
		close(w.signals);
	return status;
}
