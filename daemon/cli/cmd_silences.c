/* kith silences: silences, acks, and how those who are told are reached */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/status.h"

struct silences {
	struct cli *cli;
	json_t *silences, *acks, *receivers; /* NULL: tables */
	struct table *silence_table, *ack_table, *receiver_table;
	size_t n_silences, n_acks, n_receivers;
};

static json_t *receiver_json(const Control__Receiver *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_text(r->name));
	json_object_set_new(o, "program", json_text(r->program));
	json_object_set_new(o, "delivered", json_time(r->delivered));
	json_object_set_new(o, "messages", json_u64(r->messages));
	json_object_set_new(o, "failed", json_u64(r->failed));
	json_object_set_new(o, "failing", json_u64(r->failing));
	json_object_set_new(o, "again", json_time(r->again));
	json_object_set_new(o, "why", json_text(r->why));
	json_object_set_new(o, "mended", json_u64(r->mended));
	json_object_set_new(o, "told", json_u64(r->told));
	return o;
}

static void silence_row(struct silences *s, const Control__Silence *silence)
{
	table_cell(s->silence_table, OUT_BOLD, "%u", silence->id);
	table_cell(s->silence_table, silence->active ? OUT_GREEN : OUT_DIM, "%s", silence->active ? "active" : "waiting");
	table_cell(s->silence_table, OUT_PLAIN, "%s%s%s", silence->pattern, *silence->promiser ? " of " : "", silence->promiser);
	table_cell(s->silence_table, OUT_PLAIN, "%s", silence->when);
	table_cell(s->silence_table, OUT_PLAIN, "%s", silence->by);
	table_cell(s->silence_table, OUT_PLAIN, "%s", *silence->because ? silence->because : "-");
	s->n_silences++;
}

static void ack_row(struct silences *s, const Control__Ack *a)
{
	char until[CLOCK_TEXT_MAX], ago[32];

	table_cell(s->ack_table, OUT_BOLD, "%s", a->name);
	table_cell(s->ack_table, OUT_PLAIN, "%s", a->promiser);
	table_cell(s->ack_table, OUT_DIM, "%s", ago_text(a->at, clock_wall(), ago, sizeof(ago)));
	table_cell(s->ack_table, OUT_PLAIN, "%s", a->until ? clock_format(a->until, until, sizeof(until)) : "kept");
	table_cell(s->ack_table, OUT_PLAIN, "%s", a->by);
	table_cell(s->ack_table, OUT_PLAIN, "%s", *a->because ? a->because : "-");
	s->n_acks++;
}

static void receiver_row(struct silences *s, const Control__Receiver *r)
{
	char ago[32];

	table_cell(s->receiver_table, OUT_BOLD, "%s", r->name);
	table_cell(s->receiver_table, r->failing ? OUT_RED : OUT_GREEN, "%s", r->failing ? "fails" : "good");
	table_cell(s->receiver_table, OUT_PLAIN, "%llu", (unsigned long long)r->messages);
	table_cell(s->receiver_table, OUT_DIM, "%s", ago_text(r->delivered, clock_wall(), ago, sizeof(ago)));
	table_cell(s->receiver_table, OUT_PLAIN, "%u", r->told);
	table_cell(s->receiver_table, OUT_PLAIN, "%llu", (unsigned long long)r->mended);
	table_cell(s->receiver_table, OUT_PLAIN, "%llu", (unsigned long long)r->failed);
	table_cell(s->receiver_table, OUT_PLAIN, "%s", *r->why ? r->why : "-");
	s->n_receivers++;
}

static void on_answer(const Control__Answer *answer, void *user)
{
	struct silences *s = user;

	if (answer->is_case == CONTROL__ANSWER__IS_SILENCE) {
		if (s->silences)
			json_array_append_new(s->silences, silence_json(answer->silence));
		else
			silence_row(s, answer->silence);
	} else if (answer->is_case == CONTROL__ANSWER__IS_ACK) {
		if (s->acks)
			json_array_append_new(s->acks, ack_json(answer->ack));
		else
			ack_row(s, answer->ack);
	} else if (answer->is_case == CONTROL__ANSWER__IS_RECEIVER) {
		if (s->receivers)
			json_array_append_new(s->receivers, receiver_json(answer->receiver));
		else
			receiver_row(s, answer->receiver);
	}
}

static void print_tables(struct silences *s)
{
	const struct out *o = &s->cli->out;

	table_print(s->silence_table, o);
	if (s->n_silences && (s->n_acks || s->n_receivers))
		putchar('\n');
	table_print(s->ack_table, o);
	if (s->n_acks && s->n_receivers)
		putchar('\n');
	table_print(s->receiver_table, o);
	if (o->terminal && !s->n_silences)
		printf("%sno silences%s\n", s->n_acks || s->n_receivers ? "\n" : "", s->n_receivers ? "" : "; nobody is told of anything: see notify in kith.conf(5)");
	table_free(s->silence_table);
	table_free(s->ack_table);
	table_free(s->receiver_table);
}

int cmd_silences(struct cli *cli)
{
	static const char *const silence_headers[] = { ">ID", "STATE", "PROMISES", "WHEN", "BY", "BECAUSE", NULL };
	static const char *const ack_headers[] = { "ACKNOWLEDGED", "PROMISER", ">SINCE", "UNTIL", "BY", "BECAUSE", NULL };
	static const char *const receiver_headers[] = { "RECEIVER", "STATE", ">MESSAGES", ">LAST", ">TOLD", ">MENDED", ">FAILED", "WHY", NULL };
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__SilencesRequest ask_silences = CONTROL__SILENCES_REQUEST__INIT;
	struct silences s = { .cli = cli };
	json_t *all = NULL;
	int status;

	request.ask_case = CONTROL__REQUEST__ASK_SILENCES;
	request.silences = &ask_silences;
	if (cli->json) {
		all = json_object();
		json_object_set_new(all, "silences", s.silences = json_array());
		json_object_set_new(all, "acknowledged", s.acks = json_array());
		json_object_set_new(all, "receivers", s.receivers = json_array());
	} else {
		s.silence_table = table_new(silence_headers);
		s.ack_table = table_new(ack_headers);
		s.receiver_table = table_new(receiver_headers);
	}
	status = ask(cli, &request, on_answer, &s);
	if (cli->json && status == CLI_YES)
		json_line_take(all);
	else if (cli->json)
		json_decref(all);
	else
		print_tables(&s);
	return status;
}
