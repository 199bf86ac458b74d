/* kith ack */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/status.h"

struct acked {
	struct cli *cli;
	bool removed;
};

json_t *ack_json(const Control__Ack *a)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_text(a->name));
	json_object_set_new(o, "promiser", json_text(a->promiser));
	json_object_set_new(o, "at", json_time(a->at));
	json_object_set_new(o, "until", json_time(a->until));
	json_object_set_new(o, "by", json_text(a->by));
	json_object_set_new(o, "because", json_text(a->because));
	return o;
}

static void on_ack(const Control__Answer *answer, void *user)
{
	const struct acked *acked = user;
	const Control__Ack *a = answer->ack;
	char until[CLOCK_TEXT_MAX];

	if (answer->is_case != CONTROL__ANSWER__IS_ACK)
		return;
	if (acked->cli->json && !a->more)
		json_array_add_take(&acked->cli->out, ack_json(a));
	if (acked->cli->json)
		return;
	if (a->more) {
		printf("and %u more\n", a->more);
		return;
	}
	out_text(a->name);
	printf(" of ");
	out_text(a->promiser);
	if (acked->removed)
		printf(" is no longer acknowledged\n");
	else
		printf(" is acknowledged until %s\n", a->until ? clock_format(a->until, until, sizeof(until)) : "it is kept");
}

/* As of explain: PROMISE PROMISER, where the second can be nothing else */
static bool second_is_promiser(const struct cli *cli)
{
	return cli->n_args == 2 && !cli_has(cli, ACK_PROMISER) && strchr(cli->args[1], ':') && !strchr(cli->args[0], ':');
}

int cmd_ack(struct cli *cli)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	Control__AckRequest ack = CONTROL__ACK_REQUEST__INIT;
	struct acked acked = { cli, cli_has(cli, ACK_REMOVE) };
	const char *value;
	int status;

	ack.patterns = cli->args;
	ack.n_patterns = cli->n_args;
	if (second_is_promiser(cli)) {
		ack.n_patterns = 1;
		ack.promiser = cli->args[1];
	}
	if ((value = cli_value(cli, ACK_PROMISER)))
		ack.promiser = (char *)value;
	if ((value = cli_value(cli, ACK_UNTIL)))
		ack.until = (char *)value;
	if ((value = cli_value(cli, ACK_BECAUSE)))
		ack.because = (char *)value;
	ack.remove = acked.removed;
	if (acked.removed && (*ack.until || *ack.because)) {
		cli_fail("--remove goes without --until and --because");
		return CLI_USAGE;
	}
	request.ask_case = CONTROL__REQUEST__ASK_ACK;
	request.ack = &ack;
	if (cli->json)
		json_array_begin(&cli->out);
	status = ask(cli, &request, on_ack, &acked);
	if (cli->json)
		json_array_end(&cli->out);
	return status;
}
