/* Requests: what is short is answered here, the rest is begun here. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "control/relay.h"
#include "control/server.h"

#define RELAY_TIMEOUT (60 * NS_PER_S)

const char *control_host(struct control *c)
{
	struct control_status status = { 0 };

	if (c->daemon.status)
		c->daemon.status(&status, c->daemon.user);
	return status.host ? status.host : "localhost";
}

static void count_series(const struct control *c, Control__Status *status)
{
	for (const struct family *f = family_first(c->model); f; f = family_next(f)) {
		status->families++;
		status->series += (uint64_t)f->n_instances * f->n_metrics;
	}
	status->records = model_n_records(c->model);
}

static void count_promises(const struct control *c, Control__Status *status)
{
	struct promise_info info;

	if (!c->promises)
		return;
	for (size_t i = 0; promises_get(c->promises, i, &info) == 0; i++) {
		switch (info.assessment) {
		case KITH_UNKNOWN:
			status->unknown++;
			break;
		case KITH_KEPT:
			status->kept++;
			break;
		case KITH_BROKEN:
			status->broken++;
			break;
		}
	}
}

static void count_plugins(const struct control *c, Control__Status *status)
{
	struct control_plugin plugin;

	if (!c->daemon.plugin)
		return;
	for (size_t i = 0; c->daemon.plugin(i, &plugin, c->daemon.user) == 0; i++) {
		if (!strcmp(plugin.state, "running"))
			status->plugins_running++;
		else
			status->plugins_other++;
	}
}

static void count_journal(const struct journal *j, Control__Journal *journal)
{
	struct journal_counts c;

	journal_counts(j, &c);
	journal->samples = c.samples;
	journal->bytes = c.bytes;
	journal->ring = c.ring;
	journal->disk = c.disk;
	journal->segments = c.segments;
	journal->unfolded = c.unfolded;
	journal->dropped = c.dropped + c.refused;
	journal->written = c.written;
	journal->appends = c.appends;
	journal->on = journal_writes(j);
	journal->off = (char *)(journal_off(j) ? journal_off(j) : "");
}

static void say_status(struct peer *p)
{
	struct control *c = p->control;
	struct control_status facts = { 0 };
	Control__Status status = CONTROL__STATUS__INIT;
	Control__Answer answer = CONTROL__ANSWER__INIT;
	Control__End end = CONTROL__END__INIT;
	Control__Journal journal = CONTROL__JOURNAL__INIT;

	count_series(c, &status);
	count_promises(c, &status);
	count_plugins(c, &status);
	if (c->daemon.status)
		c->daemon.status(&facts, c->daemon.user);
	if (facts.journal) {
		count_journal(facts.journal, &journal);
		status.journal = &journal;
	}
	status.version = (char *)(facts.version ? facts.version : "");
	status.host = (char *)(facts.host ? facts.host : "");
	status.started = facts.started;
	status.interval = facts.interval;
	status.cpu_percent = facts.cpu_percent;
	status.rss = facts.rss;
	status.anonymous = facts.anonymous;
	status.wakeups = facts.wakeups;
	status.records_kept = facts.records_kept;
	status.records_dropped = facts.records_dropped;
	status.records_size = facts.records_size;
	status.state_dir = (char *)(facts.state_dir ? facts.state_dir : "");
	status.clients = c->n_peers;
	status.clients_cut_off = c->n_cut_off;
	status.clients_refused = c->n_refused;
	status.clients_garbage = c->n_garbage;
	status.now = loop_now(c->loop);
	answer.is_case = CONTROL__ANSWER__IS_STATUS;
	answer.status = &status;
	peer_say(p, &answer, false);
	peer_say_end(p, &end);
}

static int gather(const void *data, size_t length, void *user)
{
	struct buf *b = user;

	buf_append(b, data, length);
	return b->failed ? -ENOMEM : 0;
}

/* kith-fold reads the disk; what is in memory is handed to it. */
static int ask_past(struct peer *p, const Control__Request *request)
{
	struct control_status facts = { 0 };
	struct buf ring = BUF_INIT;
	int r = 0;

	if (p->control->daemon.status)
		p->control->daemon.status(&facts, p->control->daemon.user);
	if (facts.journal)
		r = journal_snapshot(facts.journal, gather, &ring);
	if (r == 0)
		r = relay_start(p, "kith-fold", "--answer", request, ring.data, ring.length, RELAY_TIMEOUT);
	buf_free(&ring);
	return r;
}

/* Answers that fail say so themselves, but for -ENOMEM. */
void request_handle(struct peer *p, const Control__Request *request)
{
	int r = 0;

	/* protoc-c's enum has a member of its own that only sets the size, hence no -Wswitch-enum here */
	if (request->ask_case == CONTROL__REQUEST__ASK_STATUS)
		say_status(p);
	else if (request->ask_case == CONTROL__REQUEST__ASK_GET)
		r = answer_get(p, request->get->patterns, request->get->n_patterns);
	else if (request->ask_case == CONTROL__REQUEST__ASK_WATCH)
		r = watch_start(p, request->watch);
	else if (request->ask_case == CONTROL__REQUEST__ASK_PROMISES)
		r = answer_promises(p, request->promises);
	else if (request->ask_case == CONTROL__REQUEST__ASK_EXPLAIN)
		r = answer_explain(p, request->explain);
	else if (request->ask_case == CONTROL__REQUEST__ASK_PLUGINS)
		r = answer_plugins(p);
	else if (request->ask_case == CONTROL__REQUEST__ASK_COST)
		r = answer_cost(p);
	else if (request->ask_case == CONTROL__REQUEST__ASK_CHECK)
		r = answer_check(p, request->check);
	else if (request->ask_case == CONTROL__REQUEST__ASK_TRAIL)
		r = answer_trail(p, request->trail->patterns, request->trail->n_patterns);
	else if (request->ask_case == CONTROL__REQUEST__ASK_ACK)
		r = quiet_ack(p, request->ack);
	else if (request->ask_case == CONTROL__REQUEST__ASK_SILENCE)
		r = quiet_silence(p, request->silence);
	else if (request->ask_case == CONTROL__REQUEST__ASK_SILENCES)
		r = answer_silences(p);
	else if (request->ask_case == CONTROL__REQUEST__ASK_LOG)
		r = relay_start(p, "kith-log", NULL, request, NULL, 0, request->log->follow ? 0 : RELAY_TIMEOUT);
	else if (request->ask_case == CONTROL__REQUEST__ASK_HISTORY || request->ask_case == CONTROL__REQUEST__ASK_GRAPH)
		r = ask_past(p, request);
	else
		peer_say_fault(p, CONTROL__CODE__USAGE, "this kithd does not know that request: is kith newer than kithd?");
	if (r == -ENOMEM)
		peer_say_fault(p, CONTROL__CODE__INTERNAL, "kithd is out of memory");
}
