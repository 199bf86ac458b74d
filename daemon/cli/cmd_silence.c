/* kith silence */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/command_options.h"
#include "cli/status.h"

struct silenced {
	struct cli *cli;
	bool removed;
};

json_t *silence_json(const Control__Silence *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", json_u64(s->id));
	json_object_set_new(o, "pattern", json_text(s->pattern));
	json_object_set_new(o, "promiser", *s->promiser ? json_text(s->promiser) : json_null());
	json_object_set_new(o, "from", json_time(s->from));
	json_object_set_new(o, "to", json_time(s->to));
	json_object_set_new(o, "every", s->every ? json_text(s->when) : json_null());
	json_object_set_new(o, "by", json_text(s->by));
	json_object_set_new(o, "because", json_text(s->because));
	json_object_set_new(o, "active", json_boolean(s->active));
	return o;
}

static void on_silence(const Control__Answer *answer, void *user)
{
	const struct silenced *silenced = user;
	const Control__Silence *s = answer->silence;

	if (answer->is_case != CONTROL__ANSWER__IS_SILENCE)
		return;
	if (silenced->cli->json) {
		json_line_take(silence_json(s));
		return;
	}
	printf("silence %u of ", s->id);
	out_text(s->pattern);
	if (*s->promiser) {
		printf(" of ");
		out_text(s->promiser);
	}
	if (silenced->removed) {
		printf(" is removed\n");
		return;
	}
	printf(" holds ");
	out_text(s->when);
	printf("; kith silence --remove %u ends it\n", s->id);
}

static int ask_silence(struct cli *cli, Control__SilenceRequest *silence)
{
	Control__Request request = CONTROL__REQUEST__INIT;
	struct silenced silenced = { cli, silence->remove != 0 };

	request.ask_case = CONTROL__REQUEST__ASK_SILENCE;
	request.silence = silence;
	return ask(cli, &request, on_silence, &silenced);
}

static int remove_silence(struct cli *cli)
{
	Control__SilenceRequest silence = CONTROL__SILENCE_REQUEST__INIT;
	uint64_t id = 0;

	if (cli->n_args || cli->n_given > 1 + (size_t)cli->json) {
		for (size_t i = 0; i < cli->n_given; i++)
			if (cli->given[i].id >= CLI_OPTION_OWN && cli->given[i].id != SILENCE_REMOVE) {
				cli_fail("--remove goes alone: kith silence --remove ID");
				return CLI_USAGE;
			}
		if (cli->n_args) {
			cli_fail("--remove wants a number alone, not \"%s\": kith silences lists them", cli->args[0]);
			return CLI_USAGE;
		}
	}
	if (cli_number(cli, SILENCE_REMOVE, &id) != CLI_YES)
		return CLI_USAGE;
	if (id > UINT32_MAX) {
		cli_fail("there is no silence %s: kith silences lists them", cli_value(cli, SILENCE_REMOVE));
		return CLI_NO;
	}
	silence.remove = (uint32_t)id;
	return ask_silence(cli, &silence);
}

/* "" is as good as nothing to the daemon, and it is not what was meant. */
static int take(const struct cli *cli, int id, const char *name, char **ret_text)
{
	const char *value = cli_value(cli, id);

	if (!value)
		return CLI_YES;
	if (!*value) {
		cli_fail("--%s is empty", name);
		return CLI_USAGE;
	}
	*ret_text = (char *)value;
	return CLI_YES;
}

int cmd_silence(struct cli *cli)
{
	Control__SilenceRequest silence = CONTROL__SILENCE_REQUEST__INIT;

	if (cli_has(cli, SILENCE_REMOVE))
		return remove_silence(cli);
	if (!cli->n_args) {
		cli_fail("of which promises? kith silence PATTERN --for 2h; '*' is all");
		return CLI_USAGE;
	}
	silence.pattern = cli->args[0];
	if (take(cli, SILENCE_PROMISER, "promiser", &silence.promiser) != CLI_YES || take(cli, SILENCE_FROM, "from", &silence.from) != CLI_YES ||
	    take(cli, SILENCE_TO, "to", &silence.to) != CLI_YES || take(cli, SILENCE_FOR, "for", &silence.length) != CLI_YES ||
	    take(cli, SILENCE_EVERY, "every", &silence.every) != CLI_YES || take(cli, SILENCE_BECAUSE, "because", &silence.because) != CLI_YES)
		return CLI_USAGE;
	return ask_silence(cli, &silence);
}
