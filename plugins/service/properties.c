/* The properties of units, as systemd gives them: one by one, and in PropertiesChanged */
#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "service/systemd.h"

const struct property properties[N_PROPERTIES] = {
	[P_ACTIVE] = { "ActiveState", 's', METRIC_STATE },
	[P_SUB] = { "SubState", 's', METRIC_SUBSTATE },
	[P_SINCE] = { "StateChangeTimestamp", 't', METRIC_SINCE },
	[P_RESULT] = { "Result", 's', METRIC_RESULT },
	[P_MAIN] = { "MainPID", 'u', METRIC_PID },
	[P_RESTARTS] = { "NRestarts", 'u', METRIC_RESTARTS },
	[P_CODE] = { "ExecMainCode", 'i', METRIC_SIGNAL },
	[P_STATUS] = { "ExecMainStatus", 'i', METRIC_EXIT_STATUS },
	[P_EXEC] = { "ExecMainPID", 'u', N_METRICS },
};
static const char *const *words_of(unsigned p)
{
	return p == P_ACTIVE ? state_words : p == P_SUB ? substate_words : result_words;
}

int property_read(sd_bus_message *m, unsigned p, double *ret_value)
{
	char contents[2] = { properties[p].type, '\0' };
	const char *text = NULL;
	uint64_t t = 0;
	uint32_t u = 0;
	int32_t i = 0;
	int r = sd_bus_message_enter_container(m, 'v', contents);

	if (r < 0)
		return r;
	switch (properties[p].type) {
	case 's':
		r = sd_bus_message_read_basic(m, 's', &text);
		if (r > 0 && *text)
			*ret_value = word_index(words_of(p), text);
		break;
	case 't':
		r = sd_bus_message_read_basic(m, 't', &t);
		if (t)
			*ret_value = (double)t / 1e6;
		break;
	case 'u':
		r = sd_bus_message_read_basic(m, 'u', &u);
		*ret_value = u;
		break;
	default:
		r = sd_bus_message_read_basic(m, 'i', &i);
		*ret_value = i;
		break;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* ExecMainCode and ExecMainStatus make two of ours: the exit status, or the signal. A code of 0: no run has ended yet. */
void exit_set(struct service *s, struct unit *u, double status)
{
	if (isnan(status) || u->code == 0)
		return;
	unit_set(s, u, METRIC_SIGNAL, u->code == CLD_EXITED ? 0 : status);
	unit_set(s, u, METRIC_EXIT_STATUS, u->code == CLD_EXITED ? status : 0);
}

void news_apply(struct service *s, struct unit *u, const struct news *n)
{
	static const uint8_t plain[] = { P_SUB, P_SINCE, P_RESULT, P_MAIN, P_RESTARTS };

	unit_set(s, u, METRIC_STATE, n->v[P_ACTIVE]);
	for (size_t i = 0; i < sizeof(plain); i++)
		unit_set(s, u, properties[plain[i]].metric, n->v[plain[i]]);
	if (!isnan(n->v[P_CODE]))
		u->code = (int)n->v[P_CODE];
	if (!isnan(n->v[P_EXEC]))
		u->exec_pid = (uint32_t)n->v[P_EXEC];
	exit_set(s, u, n->v[P_STATUS]);
}

int news_read(sd_bus_message *m, struct news *ret_news)
{
	struct news n;
	const char *key;
	unsigned p;
	int r;

	for (p = 0; p < N_PROPERTIES; p++)
		n.v[p] = NAN;
	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read_basic(m, 's', &key);
		for (p = 0; r >= 0 && p < N_PROPERTIES && strcmp(key, properties[p].name) != 0; p++)
			;
		if (r >= 0)
			r = p < N_PROPERTIES ? property_read(m, p, &n.v[p]) : sd_bus_message_skip(m, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r < 0)
		return r;
	*ret_news = n;
	return 0;
}

int news_early(struct service *s, struct unit *u, const char *name, sd_bus_message *m)
{
	const char *interface;
	struct news n;
	int r = sd_bus_message_read(m, "s", &interface);

	if (r < 0 || strcmp(interface, NAME ".Service") != 0)
		return r;
	r = news_read(m, &n);
	if (r < 0 || !(n.v[P_EXEC] > 0)) /* it may be loaded without being started */
		return r;
	u = u ? u : unit_get(s, name, SYSTEMD);
	if (u)
		news_apply(s, u, &n);
	return 0;
}
